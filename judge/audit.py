"""Ledger and votes become columns, and columns a report: the one join between the two worlds."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pydantic_core import to_json

from calibration.agreement import VoteColumns
from calibration.report.build import build_report
from calibration.report.model import PairColumns, Report
from judge.atomic import atomic_writer
from judge.errors import ConfigError, LedgerError
from judge.gold import read_gold
from judge.judge_columns import JudgeGathering
from judge.labelling import run_pairs_of
from judge.ledger.bare_votes import bare_votes
from judge.ledger.facts import JudgedPair
from judge.ledger.runs import Run, find_run
from judge.ledger.store import Ledger

PANEL = "panel"
"""Name of the majority of several judges in a report."""
TURN = "turn"
"""Tag of a pair that says which turn of a conversation its answers are to, from 1."""

_VOTES = {"first": 1, "second": -1, "tie": 0, "both_bad": 0}


class CastVote(Protocol):
    """The part of a vote that agreement looks at: `Vote` has it, and so has `BareVote`."""

    @property
    def pair_id(self) -> str: ...
    @property
    def annotator(self) -> str: ...
    @property
    def preference(self) -> str: ...


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
        run = find_run(ledger, run_id)
        if not run.judges:
            raise LedgerError(
                f"run {run.run_id} of ledger {path} has no judgments; name another with --run"
            )
        pairs = run_pairs_of(ledger, run)
        if gold:
            given = read_gold(ledger, gold)
            report = audit(run, pairs, given.votes, source=gold, left_out=given.left_out)
        else:
            report = audit(run, pairs, bare_votes(ledger))
    if json_path is not None:
        with atomic_writer(json_path) as file:
            file.write(to_json(report.as_dict(), indent=2) + b"\n")
    return report


def audit(
    run: Run,
    pairs: Iterable[JudgedPair],
    votes: Iterable[CastVote],
    *,
    source: str | None = None,
    left_out: Mapping[str, int] | None = None,
) -> Report:
    """Return the report of judged pairs and the votes on them, each given once. Pure.

    With several judges their majority is reported too, as the labels that are delivered. Pairs
    whose tags name a turn are also reported turn by turn. `left_out` counts votes that are not
    given, by reason.
    """
    gathered = [JudgeGathering(judge.name, judge.judge_key, run) for judge in run.judges]
    if len(gathered) > 1:
        gathered.append(JudgeGathering(_panel_name(run), None, run))
    given = _PairGathering()
    for pair in pairs:
        given.add(pair)
        for judge in gathered:
            judge.add(pair)
    columns, unused, both_bad = _vote_columns(votes, given.rows)
    return build_report(
        given.columns(),
        [judge.columns() for judge in gathered],
        votes=columns,
        votes_left_out=Counter(left_out or {}) + unused,
        both_bad=both_bad,
        delivered=gathered[-1].name,
        provenance=_provenance(run, source),
    )


@dataclass
class _PairGathering:
    """What is known of the pairs before anyone judged them, while it grows."""

    rows: dict[str, int] = field(default_factory=dict)
    """Pair id -> row."""
    prompts: dict[str, int] = field(default_factory=dict)
    cluster: list[int] = field(default_factory=list)
    longer: list[int] = field(default_factory=list)
    turns: dict[int, list[int]] = field(default_factory=dict)

    def add(self, pair: JudgedPair) -> None:
        row = self.rows[pair.pair_id] = len(self.rows)
        self.cluster.append(self.prompts.setdefault(pair.prompt_id, len(self.prompts)))
        self.longer.append(_sign(pair.first_chars - pair.second_chars))
        if (turn := turn_of(pair.tags)) is not None:
            self.turns.setdefault(turn, []).append(row)

    def columns(self) -> PairColumns:
        return PairColumns(
            cluster=np.array(self.cluster, np.intp),
            longer=np.array(self.longer, np.int8),
            turns={turn: np.array(rows, np.intp) for turn, rows in self.turns.items()},
        )


def turn_of(tags: Mapping[str, Any]) -> int | None:
    """Return the turn that tags name, as a number or its digits; None where they name none."""
    turn = tags.get(TURN)
    if isinstance(turn, str) and turn.isascii() and turn.isdigit():
        turn = int(turn)
    is_turn = isinstance(turn, int) and not isinstance(turn, bool) and turn >= 1
    return turn if is_turn else None


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


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


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
