"""How sure one judge is about one pair: from its replies to a probability. Pure, without numpy.

`calibration.soft_verdicts` says the same of whole columns. Everything is worked out in log-odds
of the first candidate, so that exchanging the candidates changes a sign and nothing else.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from judge.policy import BOTH_ORDERS
from judge.records import Order, Outcome, Preference, Reading, preference_from

LEAST = 1e-6
"""A probability of 0 or 1 counts as this far from it, so that log-odds stay finite."""
_MOST_LOG_ODDS = math.log(1 - LEAST) - math.log(LEAST)
TIE_BAND = math.log(0.51 / 0.49)
"""Log-odds of 51 to 49: what is closer to even is a tie. An endpoint that is asked the same twice
tells probabilities that differ by as much, for it computes in 16 bits and in changing batches."""


@dataclass(frozen=True, slots=True)
class SoftVerdict:
    """What one judge makes of one pair."""

    probability: float
    """That the first candidate is better, in [0, 1]; a tie is half a win of each."""
    outcome: Outcome
    """first, second or tie."""
    position: float | None = None
    """Pull of the first position in log-odds, half the difference of the orders; negative: of the
    second. None unless both orders carry token probabilities."""


class _Said(NamedTuple):
    """What one order says about the candidates; the three add up to 1."""

    first: float
    tie: float
    second: float

    @property
    def log_odds(self) -> float:
        return log_odds(self.first + self.tie / 2, self.second + self.tie / 2)


def soft_verdict(
    readings: Sequence[Reading], *, orders: Sequence[Order] = BOTH_ORDERS
) -> SoftVerdict | None:
    """Return what one judge's readings of one pair say, or None where none has a verdict.

    By token probabilities where every order with a verdict carries them, otherwise by votes.
    """
    return probable_verdict(readings, orders=orders) or voted_verdict(readings, orders=orders)


def probable_verdict(
    readings: Sequence[Reading], *, orders: Sequence[Order] = BOTH_ORDERS
) -> SoftVerdict | None:
    """Return what the token probabilities of one judge's readings say about one pair.

    Log-odds are averaged over the samples of an order and then over the orders, so a constant
    pull of a position cancels exactly. None where no order has a verdict, or one has verdicts and
    no probabilities: the other order alone would keep its bias.
    """
    means: list[float] = []
    said: list[_Said] = []
    for order in BOTH_ORDERS:
        if order not in orders:
            continue
        heard = [r for r in readings if r.order is order and r.verdict is not None]
        told = [_of_candidates(r.probabilities, order) for r in heard if r.probabilities]
        if told:
            means.append(_mean([one.log_odds for one in told]))
            said.append(_average(told))
        elif heard:
            return None
    if not means:
        return None
    total = _mean(means)
    return SoftVerdict(
        probability=1 / (1 + math.exp(-total)),
        outcome=_outcome(total, said),
        position=(means[0] - means[1]) / 2 if len(means) == len(BOTH_ORDERS) else None,
    )


def voted_verdict(
    readings: Sequence[Reading], *, orders: Sequence[Order] = BOTH_ORDERS
) -> SoftVerdict | None:
    """Return what the verdicts of one judge's readings say about one pair, or None without any.

    With one verdict per order the mean of 1, 1/2 and 0. With more, (k + 1/2) / (n + 1) of n
    verdicts, k of them for the first candidate and a tie half of one, so that few samples never
    make a certainty. Orders weigh the same, however often each was asked.
    """
    by_order: dict[Order, list[_Said]] = {}
    for reading in readings:
        if reading.verdict is not None and reading.order in orders:
            said = _CERTAIN[preference_from(reading.verdict, reading.order)]
            by_order.setdefault(reading.order, []).append(said)
    if not by_order:
        return None
    shares = [_average(said) for said in by_order.values()]
    share = _average(shares)
    first, second = share.first + share.tie / 2, share.second + share.tie / 2
    n = sum(len(said) for said in by_order.values())
    if n > len(by_order):
        first, second = (n * first + 0.5) / (n + 1), (n * second + 0.5) / (n + 1)
    return SoftVerdict(first, _outcome(log_odds(first, second), shares))


def log_odds(first: float, second: float) -> float:
    """Return the log-odds of one of two weights, finite even where one is 0; not both may be."""
    least = LEAST * (first + second)
    if first < least:
        return -_MOST_LOG_ODDS
    if second < least:
        return _MOST_LOG_ODDS
    return math.log(first) - math.log(second)


def _of_candidates(shown: tuple[float, float, float], order: Order) -> _Said:
    """Translate probabilities of A, B and tie, as `preference_from` does verdicts."""
    p_a, p_b, p_tie = shown
    return _Said(p_a, p_tie, p_b) if order is Order.FORWARD else _Said(p_b, p_tie, p_a)


def _outcome(total: float, said: Sequence[_Said]) -> Outcome:
    """Return a tie where the mean is close to even, or every order finds a tie the likeliest."""
    if abs(total) <= TIE_BAND or all(one.tie > one.first and one.tie > one.second for one in said):
        return Outcome.TIE
    return Outcome.FIRST if total > 0 else Outcome.SECOND


def _average(said: Sequence[_Said]) -> _Said:
    if len(said) == 1:
        return said[0]
    return _Said(
        _mean([one.first for one in said]),
        _mean([one.tie for one in said]),
        _mean([one.second for one in said]),
    )


def _mean(values: Sequence[float]) -> float:
    """Return the mean, the same in whatever sequence the values come."""
    if len(values) == 1:
        return values[0]
    return math.fsum(values) / len(values)


_CERTAIN = {
    Preference.FIRST: _Said(1.0, 0.0, 0.0),
    Preference.TIE: _Said(0.0, 1.0, 0.0),
    Preference.SECOND: _Said(0.0, 0.0, 1.0),
}
