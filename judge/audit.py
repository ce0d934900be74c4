"""Ledger and votes become columns, and columns a report: the one join between the two worlds."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic_core import to_json

from calibration.agreement import VoteColumns
from calibration.position import TwoOrders
from calibration.report.build import build_report
from calibration.report.model import JudgeColumns, PairColumns, Report
from judge.atomic import atomic_writer
from judge.errors import ConfigError, LedgerError
from judge.formats.lines import BadLine
from judge.formats.votes import read_votes
from judge.intake import IntakeReport
from judge.labelling import label_of, run_pairs_of
from judge.labels import PENDING, Rule, order_preferences, resolve_label
from judge.ledger.facts import JudgedPair, votes_on
from judge.ledger.runs import Run, find_run
from judge.ledger.store import Ledger
from judge.records import Label, Outcome, Preference, Vote

PANEL = "panel"
"""Name of the majority of several judges in a report."""

_CODES = {Preference.FIRST: 1, Preference.TIE: 0, Preference.SECOND: -1}
_OUTCOME_CODES = {Outcome.FIRST: 1, Outcome.SECOND: -1, Outcome.TIE: 0, Outcome.INCONSISTENT: 0}
_VOTE_CODES = {"first": 1, "second": -1, "tie": 0, "both_bad": 0}

Codes = npt.NDArray[np.int8]


def audit_ledger(
    path: Path, *, run_id: str = "latest", gold: str | None = None, json_path: Path | None = None
) -> Report:
    """Return the agreement report of a run, and write it as report.json where a path is given.

    Votes are the ledger's, or those of the file `gold`. Raises LedgerError, and InputError for a
    gold file with bad lines.
    """
    with Ledger(path, read_only=True) as ledger:
        if json_path is not None and json_path.exists() and json_path.samefile(path):
            raise ConfigError(f"{json_path} is the ledger itself; write the report to another file")
        run = find_run(ledger, run_id)
        if not run.judges:
            raise LedgerError(
                f"run {run.run_id} of ledger {path} has no judgments; name another with --run"
            )
        votes = _gold_votes(gold) if gold else votes_on(ledger, run.run_id)
        report = audit(run, run_pairs_of(ledger, run), votes, source=gold)
    if json_path is not None:
        with atomic_writer(json_path) as file:
            file.write(to_json(report.as_dict(), indent=2) + b"\n")
    return report


def audit(
    run: Run, pairs: Iterable[JudgedPair], votes: Iterable[Vote], *, source: str | None = None
) -> Report:
    """Return the report of judged pairs and the votes on them. Pure.

    With several judges their majority is reported too, as the labels that are delivered.
    """
    rows: dict[str, int] = {}
    prompts: dict[str, int] = {}
    cluster: list[int] = []
    longer: list[int] = []
    gathered = [_Gathered(judge.name, judge.judge_key) for judge in run.judges]
    if len(gathered) > 1:
        gathered.append(_Gathered(_panel_name(run), None))
    for pair in pairs:
        rows[pair.pair_id] = len(rows)
        cluster.append(prompts.setdefault(pair.prompt_id, len(prompts)))
        longer.append(int(np.sign(pair.first_chars - pair.second_chars)))
        for judge in gathered:
            judge.add(pair, run)
    columns, left_out, both_bad = _vote_columns(votes, rows)
    return build_report(
        PairColumns(np.array(cluster, np.intp), np.array(longer, np.int8)),
        [judge.columns() for judge in gathered],
        votes=columns,
        votes_left_out=left_out,
        both_bad=both_bad,
        delivered=gathered[-1].name,
        provenance=_provenance(run, source),
    )


@dataclass
class _Gathered:
    """One judge's columns while they grow; the panel has no key and looks at every reading."""

    name: str
    judge_key: str | None
    labels: list[Label] = field(default_factory=list)
    forward: list[Preference | None] = field(default_factory=list)
    reversed_: list[Preference | None] = field(default_factory=list)
    judgments: list[int] = field(default_factory=list)
    statuses: dict[str, dict[int, int]] = field(default_factory=dict)

    def add(self, pair: JudgedPair, run: Run) -> None:
        readings = [r for r in pair.readings if self.judge_key in (None, r.judge_key)]
        row = len(self.labels)
        self.labels.append(
            label_of(run, pair.pair_id, readings)
            if self.judge_key is None
            else resolve_label(pair.pair_id, readings, rule=Rule(run.rule))
        )
        self.judgments.append(len(readings))
        for reading in readings:
            if reading.status is not None:
                per_row = self.statuses.setdefault(reading.status.value, {})
                per_row[row] = per_row.get(row, 0) + 1
        if self.judge_key is not None:
            forward, reversed_ = order_preferences(readings)
            self.forward.append(forward)
            self.reversed_.append(reversed_)

    def columns(self) -> JudgeColumns:
        outcomes = [label.outcome for label in self.labels]
        reasons = Counter(
            label.reason or "" for label in self.labels if label.outcome is Outcome.UNDECIDED
        )
        n_pending = reasons.pop(PENDING, 0)
        return JudgeColumns(
            name=self.name,
            label=np.array([_OUTCOME_CODES.get(outcome, 0) for outcome in outcomes], np.int8),
            has_label=np.array([outcome is not Outcome.UNDECIDED for outcome in outcomes], bool),
            inconsistent=np.array([o is Outcome.INCONSISTENT for o in outcomes], bool),
            judgments=np.array(self.judgments, np.intp),
            statuses={name: self._per_row(counts) for name, counts in self.statuses.items()},
            undecided=dict(reasons),
            n_pending=n_pending,
            orders=None if self.judge_key is None else self._orders(),
        )

    def _per_row(self, counts: dict[int, int]) -> npt.NDArray[np.intp]:
        column = np.zeros(len(self.labels), np.intp)
        column[list(counts)] = list(counts.values())
        return column

    def _orders(self) -> TwoOrders:
        return TwoOrders(
            forward=_codes(self.forward),
            reversed=_codes(self.reversed_),
            has_forward=np.array([p is not None for p in self.forward], bool),
            has_reversed=np.array([p is not None for p in self.reversed_], bool),
        )


def _codes(preferences: Sequence[Preference | None]) -> Codes:
    return np.array([0 if p is None else _CODES[p] for p in preferences], np.int8)


def _vote_columns(
    votes: Iterable[Vote], rows: dict[str, int]
) -> tuple[VoteColumns, dict[str, int], int]:
    """Return the usable votes as columns, the others counted by reason, and both-bad votes."""
    annotators: dict[str, int] = {}
    left_out: Counter[str] = Counter()
    pair: list[int] = []
    annotator: list[int] = []
    choice: list[int] = []
    both_bad = 0
    seen: set[bytes] = set()
    for vote in votes:
        digest = sha256(to_json(vote)).digest()
        if digest in seen:
            left_out["the same vote twice"] += 1
        elif vote.preference == "skip":
            left_out["skipped by the annotator"] += 1
        elif vote.pair_id not in rows:
            left_out["pair not in this run"] += 1
        else:
            pair.append(rows[vote.pair_id])
            annotator.append(annotators.setdefault(vote.annotator, len(annotators)))
            choice.append(_VOTE_CODES[vote.preference])
            both_bad += vote.preference == "both_bad"
        seen.add(digest)
    columns = VoteColumns(
        np.array(pair, np.intp), np.array(annotator, np.intp), np.array(choice, np.int8)
    )
    return columns, dict(left_out), both_bad


def _gold_votes(path: str) -> Iterator[Vote]:
    report = IntakeReport()
    for line in read_votes(path):
        if isinstance(line, BadLine):
            report.refuse(str(line))
        else:
            yield line.record
    report.raise_if_bad("no figure was computed; mend the lines")


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
