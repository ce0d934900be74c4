"""What a judge, or a panel, made of the pairs of a run: readings become columns."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from calibration.position import Repetitions, TwoOrders
from calibration.report.columns import PANEL_HAS_NO_ORDER, Expense, JudgeColumns
from judge.labelling import label_of
from judge.labels import PENDING, Rule, order_preferences, resolve_label
from judge.ledger.facts import JudgedPair
from judge.ledger.runs import Run
from judge.policy import BOTH_ORDERS
from judge.records import Label, Outcome, Preference, Reading, Status, preference_from

ONE_ORDER = "one order was asked"

_PREFERENCES = {Preference.FIRST: 1, Preference.TIE: 0, Preference.SECOND: -1}
_OUTCOMES = {Outcome.FIRST: 1, Outcome.SECOND: -1, Outcome.TIE: 0, Outcome.INCONSISTENT: 0}
_ERRORS = frozenset(status.value for status in Status)

Pattern: TypeAlias = tuple[tuple[Any, ...], ...]
"""Everything that decides a label; the same few patterns stand for any number of pairs."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What one pattern of readings amounts to."""

    label: Label
    judgments: int
    statuses: Counter[Status]
    forward: Preference | None
    reversed_: Preference | None
    verdicts: tuple[tuple[int, ...], ...]
    """Per order, verdicts for the second candidate, ties, and for the first."""


@dataclass
class JudgeGathering:
    """One judge's columns while they grow; a panel has no key and looks at every reading."""

    name: str
    judge_key: str | None
    run: Run
    expense: Expense | None = None
    """What its judgments took; None where it is not known."""
    _patterns: dict[Pattern, int] = field(default_factory=dict)
    _said: list[_Said] = field(default_factory=list)
    _rows: list[int] = field(default_factory=list)
    """For each pair, the place of its pattern in `_said`."""

    def add(self, pair: JudgedPair) -> None:
        """Append the row of a pair."""
        key = self.judge_key
        readings = [r for r in pair.readings if key is None or r.judge_key == key]
        pattern = tuple((r.judge_key, r.order, r.sample, r.verdict, r.status) for r in readings)
        place = self._patterns.get(pattern)
        if place is None:
            place = self._patterns[pattern] = len(self._said)
            self._said.append(self._resolved(readings))
        self._rows.append(place)

    def columns(self) -> JudgeColumns:
        """Return the columns of all pairs so far."""
        outcomes = [said.label.outcome for said in self._said]
        reasons = [said.label.reason for said in self._said]
        is_undecided = [outcome is Outcome.UNDECIDED for outcome in outcomes]
        undecided = Counter(reasons[place] or "" for place in self._rows if is_undecided[place])
        n_pending = undecided.pop(PENDING, 0)
        return JudgeColumns(
            name=self.name,
            label=self._column([_OUTCOMES.get(outcome, 0) for outcome in outcomes], np.int8),
            has_label=~self._column(is_undecided, np.bool_),
            inconsistent=self._column([o is Outcome.INCONSISTENT for o in outcomes], np.bool_),
            judgments=self._column([said.judgments for said in self._said], np.intp),
            statuses={
                status.value: self._column([said.statuses[status] for said in self._said], np.intp)
                for status in Status
            },
            undecided=dict(undecided),
            n_pending=n_pending,
            errors=self._column(
                [
                    undecided and reason in _ERRORS
                    for undecided, reason in zip(is_undecided, reasons, strict=True)
                ],
                np.bool_,
            ),
            repetitions=self._repetitions(),
            expense=self.expense,
            orders=self._orders(),
            why_no_orders=PANEL_HAS_NO_ORDER if self.judge_key is None else ONE_ORDER,
        )

    def _resolved(self, readings: Sequence[Reading]) -> _Said:
        if self.judge_key is None:
            label = label_of(self.run, "", readings)
            forward = reversed_ = None
        else:
            label = resolve_label("", readings, rule=Rule(self.run.rule))
            forward, reversed_ = order_preferences(readings)
        statuses = Counter(r.status for r in readings if r.status is not None)
        verdicts = tuple(_verdicts(r for r in readings if r.order is o) for o in BOTH_ORDERS)
        return _Said(label, len(readings), statuses, forward, reversed_, verdicts)

    def _repetitions(self) -> Repetitions | None:
        """Every pair and order with several verdicts; a failure asked again is no repetition."""
        if self.judge_key is None:
            return None
        counts = self._column([said.verdicts for said in self._said], np.float64)
        counts = counts.reshape(len(self._rows), len(BOTH_ORDERS), len(_PREFERENCES))
        pair, order = np.nonzero(counts.sum(axis=2) > 1)
        return Repetitions(pair, counts[pair, order]) if len(pair) else None

    def _orders(self) -> TwoOrders | None:
        if self.judge_key is None or self.run.one_order:
            return None
        forward = [said.forward for said in self._said]
        reversed_ = [said.reversed_ for said in self._said]
        return TwoOrders(
            forward=self._column(_codes(forward), np.int8),
            reversed=self._column(_codes(reversed_), np.int8),
            has_forward=self._column([p is not None for p in forward], np.bool_),
            has_reversed=self._column([p is not None for p in reversed_], np.bool_),
        )

    def _column(self, per_pattern: Sequence[Any], kind: type[Any]) -> npt.NDArray[Any]:
        return np.array(per_pattern, kind)[np.array(self._rows, np.intp)]


def _codes(preferences: Sequence[Preference | None]) -> list[int]:
    return [0 if p is None else _PREFERENCES[p] for p in preferences]


def _verdicts(readings: Iterable[Reading]) -> tuple[int, ...]:
    """Count the verdicts on one pair in one order by what they prefer: second, tie, first."""
    said = Counter(preference_from(r.verdict, r.order) for r in readings if r.verdict is not None)
    return tuple(said[p] for p in (Preference.SECOND, Preference.TIE, Preference.FIRST))
