"""What a judge, or a panel, made of the pairs of a run: readings become columns."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from calibration.position import Repetitions, TwoOrders
from calibration.report.columns import PANEL_HAS_NO_ORDER, Expense, JudgeColumns
from judge.ledger.facts import JudgedPair
from judge.ledger.runs import Run
from judge.outcomes.labelling import label_of_pair, own_label
from judge.outcomes.labels import PENDING, Rule, order_preferences
from judge.outcomes.soft import probable_verdict
from judge.policies.choice import policy_of
from judge.policies.majority import majority_readings
from judge.policy import BOTH_ORDERS, Policy
from judge.records import Label, Outcome, Preference, Reading, Status, preference_from

ONE_ORDER = "one order was asked"

_PREFERENCES = {Preference.FIRST: 1, Preference.TIE: 0, Preference.SECOND: -1}
_OUTCOMES = {Outcome.FIRST: 1, Outcome.SECOND: -1, Outcome.TIE: 0, Outcome.INCONSISTENT: 0}
_ERRORS = frozenset(status.value for status in Status)

Pattern: TypeAlias = tuple[tuple[Any, ...], ...]
"""What was said and what it amounts to; the same few patterns stand for any number of pairs."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What one pattern of readings amounts to."""

    outcome: Outcome
    reason: str | None
    probability: float | None
    """Of the first candidate; token probabilities make it differ from pair to pair."""
    is_probable: bool
    """Whether a probability of these readings states how sure the judges are."""
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
    _probabilities: list[float | None] = field(default_factory=list)
    """For each pair, that of its label."""
    _policy: Policy = field(init=False)

    def __post_init__(self) -> None:
        self._policy = policy_of(self.run.policy_settings, self.run.judge_keys)

    def add(self, pair: JudgedPair) -> None:
        """Append the row of a pair."""
        key = self.judge_key
        readings = [r for r in pair.readings if key is None or r.judge_key == key]
        pattern: Pattern = tuple(
            (r.judge_key, r.order, r.sample, r.verdict, r.status, r.probabilities is None)
            for r in readings
        )
        probability = None
        if self._policy.is_staged or any(r.probabilities is not None for r in readings):
            turns_on, probability = self._told(pair, readings)
            pattern += (turns_on,)
        if not self._shows_orders(pair):
            pattern += (("one order decides",),)
        place = self._patterns.get(pattern)
        if place is None:
            place = self._patterns[pattern] = len(self._said)
            self._said.append(self._resolved(pair, readings))
        self._rows.append(place)
        usual = self._said[place].probability
        self._probabilities.append(usual if usual is None or probability is None else probability)

    def columns(self) -> JudgeColumns:
        """Return the columns of all pairs so far."""
        outcomes = [said.outcome for said in self._said]
        reasons = [said.reason for said in self._said]
        is_undecided = [outcome is Outcome.UNDECIDED for outcome in outcomes]
        undecided = Counter(reasons[place] or "" for place in self._rows if is_undecided[place])
        n_pending = undecided.pop(PENDING, 0)
        probability, has_probability = self._probability()
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
            probability=probability,
            has_probability=has_probability,
            repetitions=self._repetitions(),
            expense=self.expense,
            orders=self._orders(),
            why_no_orders=PANEL_HAS_NO_ORDER if self.judge_key is None else ONE_ORDER,
        )

    def _told(
        self, pair: JudgedPair, readings: Sequence[Reading]
    ) -> tuple[tuple[Any, ...], float | None]:
        """Return what of the label turns on more than the pattern, and its probability.

        Of a judge who was asked once in each order these are what its token probabilities say,
        which is much faster than a label for each pair.
        """
        is_plain = self.judge_key is not None and not self._policy.is_staged
        if is_plain and len({reading.order for reading in readings}) == len(readings):
            soft = probable_verdict(readings)
            outcome = soft.outcome if soft and self.run.rule == Rule.SOFT else None
            return (outcome,), soft.probability if soft else None
        label = self._label(pair, readings)
        return (label.outcome, label.reason), label.probability

    def _label(self, pair: JudgedPair, readings: Sequence[Reading]) -> Label:
        if self.judge_key is None or len(self.run.judges) == 1:
            return label_of_pair(self.run, pair, policy=self._policy)
        return own_label(self.run, readings, policy=self._policy)

    def _shows_orders(self, pair: JudgedPair) -> bool:
        """Whether both orders were asked whatever one of them said; others would mislead."""
        return not self._policy.is_staged or self._policy.shows_orders(pair.content_id)

    def _resolved(self, pair: JudgedPair, readings: Sequence[Reading]) -> _Said:
        label = self._label(pair, readings)
        forward = reversed_ = None
        if self.judge_key is not None and self._shows_orders(pair):
            forward, reversed_ = order_preferences(majority_readings(readings))
        statuses = Counter(r.status for r in readings if r.status is not None)
        verdicts = tuple(_verdicts(r for r in readings if r.order is o) for o in BOTH_ORDERS)
        return _Said(
            outcome=label.outcome,
            reason=label.reason,
            probability=label.probability,
            is_probable=self.run.rule != Rule.SOFT or _is_probable(readings),
            judgments=len(readings),
            statuses=statuses,
            forward=forward,
            reversed_=reversed_,
            verdicts=verdicts,
        )

    def _probability(self) -> tuple[npt.NDArray[np.float64] | None, npt.NDArray[np.bool_] | None]:
        """The probability of each pair's label, and whether it has one; None where no pair has."""
        has_any = np.array([p is not None for p in self._probabilities], np.bool_)
        has = self._column([said.is_probable for said in self._said], np.bool_) & has_any
        if not np.any(has):
            return None, None
        return np.array([0.5 if p is None else p for p in self._probabilities]), has

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


def _is_probable(readings: Sequence[Reading]) -> bool:
    """Whether every judge told probabilities or was asked repeatedly in one order.

    One verdict in each order makes a score of 0, 1/4, 1/2, 3/4 or 1, which nobody meant as such.
    """
    asks = Counter((r.judge_key, r.order) for r in readings if r.verdict is not None)
    sampled = {judge_key for (judge_key, _), verdicts in asks.items() if verdicts > 1}
    return all(
        probable_verdict([r for r in readings if r.judge_key == judge_key]) is not None
        for judge_key in {judge_key for judge_key, _ in asks} - sampled
    )


def _verdicts(readings: Iterable[Reading]) -> tuple[int, ...]:
    """Count the verdicts on one pair in one order by what they prefer: second, tie, first."""
    said = Counter(preference_from(r.verdict, r.order) for r in readings if r.verdict is not None)
    return tuple(said[p] for p in (Preference.SECOND, Preference.TIE, Preference.FIRST))
