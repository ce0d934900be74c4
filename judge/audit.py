"""Ledger and votes become columns, and columns a report: the one join between the two worlds."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from pydantic_core import to_json

from calibration.agreement import JudgeAgreement, VoteColumns, judge_agreement
from calibration.report.build import build_report
from calibration.report.columns import JudgeColumns, PairColumns
from calibration.report.model import Report
from judge.atomic import atomic_writer
from judge.errors import ConfigError, LedgerError
from judge.gold import read_gold
from judge.judge_columns import JudgeGathering
from judge.labelling import run_pairs_of
from judge.ledger.bare_votes import bare_votes
from judge.ledger.facts import JudgedPair
from judge.ledger.runs import Run, find_run
from judge.ledger.store import Ledger
from judge.pair_columns import PairGathering

PANEL = "panel"
"""Name of the majority of several judges in a report."""

_VOTES = {"first": 1, "second": -1, "tie": 0, "both_bad": 0}


class CastVote(Protocol):
    """The part of a vote that agreement looks at: `Vote` has it, and so has `BareVote`."""

    @property
    def pair_id(self) -> str: ...
    @property
    def annotator(self) -> str: ...
    @property
    def preference(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Gathered:
    """Everything that statistics see of a run and the votes on it; rows are those of `pair_ids`."""

    run: Run
    pair_ids: tuple[str, ...]
    prompt_ids: tuple[str, ...]
    """Names of the clusters: `pairs.cluster` holds places in it."""
    pairs: PairColumns
    judges: tuple[JudgeColumns, ...]
    """Each judge of the run, then their panel where there are several."""
    votes: VoteColumns
    votes_left_out: Mapping[str, int]
    both_bad: int
    source: str | None
    """File of the votes; None where they are the ledger's."""

    @property
    def delivered(self) -> JudgeColumns:
        """The judge or panel whose labels are delivered."""
        return self.judges[-1]


def audit_ledger(
    path: Path, *, run_id: str = "latest", gold: str | None = None, json_path: Path | None = None
) -> Report:
    """Return the agreement report of a run, and write it as report.json where a path is given.

    Votes are the ledger's, or those of the file `gold`, votes or answers to handed-off tasks.
    Votes on other pairs are counted as left out. Raises LedgerError, and InputError for a gold
    file with bad lines.
    """
    with Ledger(path, read_only=True) as ledger:
        if json_path is not None and json_path.exists() and json_path.samefile(path):
            raise ConfigError(f"{json_path} is the ledger itself; write the report to another file")
        report = report_of(gather_in(ledger, find_run(ledger, run_id), gold=gold))
    if json_path is not None:
        with atomic_writer(json_path) as file:
            file.write(to_json(report.as_dict(), indent=2) + b"\n")
    return report


def gather_in(ledger: Ledger, run: Run, *, gold: str | None = None) -> Gathered:
    """Return the columns of a run and of the votes on it, from the ledger or the file `gold`.

    Raises LedgerError for a run without judgments, InputError for a gold file with bad lines.
    """
    if not run.judges:
        raise LedgerError(
            f"run {run.run_id} of ledger {ledger.path} has no judgments; name another with --run"
        )
    pairs = run_pairs_of(ledger, run)
    if not gold:
        return gather(run, pairs, bare_votes(ledger))
    given = read_gold(ledger, gold)
    return gather(run, pairs, given.votes, source=gold, left_out=given.left_out)


def gather(
    run: Run,
    pairs: Iterable[JudgedPair],
    votes: Iterable[CastVote],
    *,
    source: str | None = None,
    left_out: Mapping[str, int] | None = None,
) -> Gathered:
    """Return the columns of judged pairs and the votes on them, each given once. Pure.

    With several judges their majority comes last. `left_out` counts votes that are not given, by
    reason; `source` is where the votes come from, by default the ledger.
    """
    gathered = [JudgeGathering(judge.name, judge.judge_key, run) for judge in run.judges]
    if len(gathered) > 1:
        gathered.append(JudgeGathering(_panel_name(run), None, run))
    given = PairGathering()
    for pair in pairs:
        given.add(pair)
        for judge in gathered:
            judge.add(pair)
    columns, unused, both_bad = _vote_columns(votes, given.rows)
    return Gathered(
        run=run,
        pair_ids=tuple(given.rows),
        prompt_ids=tuple(given.prompts),
        pairs=given.columns(),
        judges=tuple(judge.columns() for judge in gathered),
        votes=columns,
        votes_left_out=Counter(left_out or {}) + unused,
        both_bad=both_bad,
        source=source,
    )


def report_of(gathered: Gathered) -> Report:
    """Return the agreement report; the last judge's labels are those that are delivered. Pure."""
    return build_report(
        gathered.pairs,
        gathered.judges,
        votes=gathered.votes,
        votes_left_out=gathered.votes_left_out,
        both_bad=gathered.both_bad,
        delivered=gathered.delivered.name,
        provenance=_provenance(gathered.run, gathered.source),
    )


def agreement_of(gathered: Gathered) -> JudgeAgreement:
    """Return the agreement of the delivered labels with the votes, and nothing else. Pure."""
    labelled = gathered.delivered.has_label
    tally = gathered.votes.counts(len(labelled))
    return judge_agreement(
        gathered.delivered.label[labelled],
        tally[labelled],
        cluster=gathered.pairs.cluster[labelled],
    )


def _vote_columns(
    votes: Iterable[CastVote], rows: Mapping[str, int]
) -> tuple[VoteColumns, Counter[str], int]:
    """Return the usable votes as columns, the others counted by reason, and both-bad votes."""
    annotators: dict[str, int] = {}
    left_out: Counter[str] = Counter()
    pair: list[int] = []
    annotator: list[int] = []
    choice: list[int] = []
    both_bad = 0
    for vote in votes:
        preference, row = vote.preference, rows.get(vote.pair_id)
        if preference == "skip":
            left_out["skipped by the annotator"] += 1
        elif row is None:
            left_out["pair not in this run"] += 1
        else:
            pair.append(row)
            annotator.append(annotators.setdefault(vote.annotator, len(annotators)))
            choice.append(_VOTES[preference])
            both_bad += preference == "both_bad"
    columns = VoteColumns(
        np.array(pair, np.intp), np.array(annotator, np.intp), np.array(choice, np.int8)
    )
    return columns, left_out, both_bad


def _panel_name(run: Run) -> str:
    """Return the panel's name, told apart from a judge who bears it."""
    is_taken = any(judge.name == PANEL for judge in run.judges)
    return f"{PANEL} of {len(run.judges)}" if is_taken else PANEL


def _provenance(run: Run, gold: str | None) -> dict[str, object]:
    return {
        "run": run.run_id,
        "source": run.source,
        "rule": run.rule,
        "gold": gold or "votes in the ledger",
        "judges": {
            judge.name: {
                "model": judge.model,
                "prompt": judge.prompt,
                "prompt_digest": judge.prompt_digest,
                "sampling": dict(judge.sampling),
            }
            for judge in run.judges
        },
    }
