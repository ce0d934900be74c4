"""From what a verdict's tokens weigh to the probability that a candidate is better."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from calibration.intervals import Floats
from calibration.scoring import logits


@dataclass(frozen=True)
class TwoOrderOdds:
    """What two orders say in log-odds of the first candidate, each of shape (n,)."""

    log_odds: Floats
    """Mean over both orders: a constant pull of a position cancels exactly."""
    position: Floats
    """Pull of the first position in each pair, half the difference of the orders."""

    @property
    def probability(self) -> Floats:
        """That the first candidate is better, ties aside, shape (n,)."""
        from scipy.special import expit

        return np.asarray(expit(self.log_odds), dtype=np.float64)


def decided_probability(first: ArrayLike, second: ArrayLike) -> Floats:
    """Return the probability of the first candidate among two, shape (n,); 1/2 without mass.

    `first` and `second` are what a judge's verdict gives them, ties aside.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    total = one + other
    half = np.full(np.shape(total), 0.5)
    return np.asarray(np.divide(one, total, out=half, where=total > 0), dtype=np.float64)


def half_credit(first: ArrayLike, tie: ArrayLike, second: ArrayLike) -> Floats:
    """Return the score of the first candidate with half of a tie's probability, shape (n,)."""
    one, even, other = (np.asarray(p, dtype=np.float64) for p in (first, tie, second))
    return decided_probability(one + even / 2, other + even / 2)


def two_order_log_odds(forward: ArrayLike, reversed_: ArrayLike) -> TwoOrderOdds:
    """Return the mean log-odds of two orders, and the pull of the first position.

    Both are the probability of the first *candidate*, shape (n,): shown first in `forward`,
    second in `reversed_`.
    """
    one, other = logits(forward), logits(reversed_)
    return TwoOrderOdds((one + other) / 2, (one - other) / 2)
