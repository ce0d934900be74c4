"""Comparing judges, prompts and criteria of a ledger on the same pairs: `judge compare`.

The module is not called `compare`: a submodule of that name would hide the function
`judge.compare`.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic_core import to_json

from judge.atomic import atomic_writer
from judge.errors import ConfigError
from judge.ledger.looks import Look
from judge.ledger.store import Ledger
from judge.outcomes.labelling import run_pairs_of
from judge.trust.audit import Gathered, gather, gather_in
from judge.trust.column_comparison import compare_gathered
from judge.trust.comparison import ComparisonSettings, JudgeComparison
from judge.trust.contenders import Contender, find_contenders
from judge.trust.looking import look_id_of, note_look


def compare_in_ledger(
    path: Path,
    names: Sequence[str],
    *,
    gold: str | None = None,
    settings: ComparisonSettings | None = None,
    json_path: Path | None = None,
) -> JudgeComparison:
    """Return how two or more judges of a ledger differ, and write it as JSON where a path is given.

    Names are those that `find_contenders` reads. Votes are the ledger's, or those of the file
    `gold`. Where votes on test prompts are used, the look is noted in the ledger before anything
    is returned. Raises LedgerError, ConfigError, and InputError for a gold file with bad lines.
    """
    asked = settings or ComparisonSettings()
    if asked.margin is not None and not 0 <= asked.margin < 1:
        raise ConfigError(f"margin {asked.margin}: give a share of 0 or more, such as 0.02")
    with Ledger(path, read_only=True) as ledger:
        if json_path is not None and json_path.exists() and json_path.samefile(path):
            raise ConfigError(f"{json_path} is the ledger itself; write to another file")
        contenders = find_contenders(ledger, names)
        found = compare_gathered(contenders, _gathered(ledger, contenders, gold), asked)
    found = replace(found, look=note_look(path, look_of(found)))
    if json_path is not None:
        with atomic_writer(json_path) as file:
            file.write(to_json(found.as_dict(), indent=2) + b"\n")
    return found


def _gathered(
    ledger: Ledger, contenders: Sequence[Contender], gold: str | None
) -> dict[str, Gathered]:
    """Return run id -> columns; the votes are read once, with the first judge's run."""
    first, *others = [contender.run for contender in contenders]
    gathered = {first.run_id: gather_in(ledger, first, gold=gold)}
    for run in others:
        if run.run_id not in gathered:
            gathered[run.run_id] = gather(run, run_pairs_of(ledger, run), ())
    return gathered


def look_of(found: JudgeComparison, *, command: str = "compare") -> Look:
    """Return the look that a comparison is: the same question of the same facts is the same."""
    settings = asdict(found.settings)
    figures = [
        {
            "first": couple.first,
            "second": couple.second,
            **couple.comparison.difference.as_dict(),
            "p": couple.comparison.p.p,
        }
        for couple in found.couples
    ]
    return Look(
        look_id=look_id_of(["compare", settings], found.facts),
        command=command,
        subject=" against ".join(side.name for side in found.sides),
        split=found.settings.split.value,
        share=found.settings.share,
        prompts=found.prompts,
        result={"metric": found.settings.metric.value, "differences": figures},
        created_at=datetime.now(UTC).isoformat(timespec="microseconds"),
    )
