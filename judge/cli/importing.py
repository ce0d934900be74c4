"""`judge import`: load records made elsewhere."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from judge.api.base import DEFAULT_LEDGER
from judge.api.deliver import import_file
from judge.cli.inputs import Count
from judge.cli.mapping import MapFlags
from judge.cli.summary import intake_lines
from judge.cli.talk import talk_on_stderr
from judge.inputs.importing import ImportKind, ImportResult

File = Annotated[str, Parameter(name="FILE", allow_leading_hyphen=True)]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class RowFlags:
    """Which rows of a table are imported."""

    limit: Count | None = None
    """With --map: only the first N rows."""
    sample: Count | None = None
    """With --map: N rows drawn at random."""
    seed: int = 0
    """Seed of --sample."""


def command(
    file: File,
    /,
    *more: str,
    kind: Literal["pairs", "votes", "judgments"] | None = None,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    ledger: Path = DEFAULT_LEDGER,
    columns: MapFlags | None = None,
    rows: RowFlags | None = None,
    skip_bad_lines: bool = False,
    no_ties: bool = False,
) -> int:
    """Load pairs, human votes or judgments into a ledger. Importing a file again adds nothing.

    Parameters
    ----------
    file
        JSON Lines file of one --kind, a table with its --map, or what --from says; - reads
        standard input.
    more
        With --from: more files and folders.
    kind
        What the lines are. With --map: only the pairs or only the votes of the rows.
    from_
        The tool that wrote the files: fastchat, whose question, model_answer, reference_answer,
        model_judgment and human vote files are taken together.
    ledger
        Where they are kept.
    skip_bad_lines
        Leave out lines that cannot be read, instead of importing nothing.
    no_ties
        For judgments: the judge was offered no tie, so [[C]] is no verdict.
    """
    talk = talk_on_stderr()
    columns, rows = columns or MapFlags(), rows or RowFlags()
    result = import_file(
        [file, *more],
        kind,
        map=columns.map,
        values=columns.values,
        from_=from_,
        limit=rows.limit,
        sample=rows.sample,
        seed=rows.seed,
        ledger=ledger,
        allows_tie=not no_ties,
        skip_bad_lines=skip_bad_lines,
    )
    for line in (*intake_lines(result.report), *left_out_lines(result)):
        talk.warn(line)
    talk.say("\n".join(imported_lines(result, ledger)))
    return 0


def left_out_lines(result: ImportResult) -> list[str]:
    """Return what was not taken besides the bad lines."""
    lines = [f"passed over: {text}" for text in result.passed_over]
    unplaced = [
        f"{count.left_out:,} {kind}" for kind, count in result.counts.items() if count.left_out
    ]
    if unplaced:
        lines.append(f"left out: {' and '.join(unplaced)} on pairs that could not be stored")
    return lines


def imported_lines(result: ImportResult, ledger: Path) -> list[str]:
    """Return what an import did, in words."""
    new = [f"{count.new:,} {kind}" for kind, count in result.counts.items()]
    stored = result.read - result.new
    lines = [f"imported {_listed(new)} into {ledger}; {stored:,} were there already"]
    if result.statuses:
        reasons = [f"{count:,} {status}" for status, count in sorted(result.statuses.items())]
        lines.append(f"judgments without a verdict: {_listed(reasons)}")
    judgments = result.counts.get(ImportKind.JUDGMENTS)
    if judgments is not None and judgments.read:
        lines.append(f"next: judge agree --ledger {shlex.quote(str(ledger))}")
    return lines


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
