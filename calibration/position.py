"""What the order of presentation does to a judge. Needs no human vote.

Codes speak of candidates: first = 1, tie = 0, second = -1, in both orders. A judge that favours
the first position says `first` when the first candidate is shown first and `second` otherwise.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.intervals import Estimate, clustered_difference, clustered_proportion
from calibration.significance import PValue


@dataclass(frozen=True)
class TwoOrders:
    """A judge's preference per pair in each order; where a mask is False there is no verdict."""

    forward: NDArray[np.int8]
    """Shape (n_pairs,), in {1, 0, -1}: the first candidate was shown first."""
    reversed: NDArray[np.int8]
    """Shape (n_pairs,), in {1, 0, -1}: the second candidate was shown first."""
    has_forward: NDArray[np.bool_]
    has_reversed: NDArray[np.bool_]

    def __post_init__(self) -> None:
        columns = (self.forward, self.reversed, self.has_forward, self.has_reversed)
        if len({len(column) for column in columns}) != 1:
            lengths = ", ".join(str(len(column)) for column in columns)
            raise ValueError(f"the four columns of TwoOrders differ in length ({lengths})")


@dataclass(frozen=True)
class PositionEffects:
    """Shares of the pairs with two verdicts, each with its interval."""

    consistency: Estimate
    """The same preference in both orders."""
    toward_first: Estimate
    """Moved toward the first position: hard flips (A, A) and soft ones (A, tie) alike."""
    toward_second: Estimate
    preference_fairness: Estimate
    """toward_second - toward_first, in [-1, 1]; negative favours the first position."""


@dataclass(frozen=True)
class OrderEffects:
    """What else two orders and repeated asks tell."""

    hard_flips: Estimate
    """Share of pairs that go to one and the same position in both orders, of those with two
    verdicts; the conflict rate of FairEval also counts flips to or from a tie and is
    `1 - consistency`."""
    first_slot: Estimate
    """Share of decided verdicts that prefer the answer shown first; 1/2 is neutral."""
    lean: PValue
    """Whether flips lean to one position: sign flips by prompt."""
    repetition_stability: Estimate
    """Mean share of the modal verdict among repeated asks of one pair in one order."""
    repetition_agreement: Estimate
    """Mean agreement of two repeated asks of one pair in one order."""
    excess_flips: Estimate
    """Flips between the orders beyond those between repeated asks: bias, not noise."""
    identical_ties: Estimate
    """Share of ties among pairs of identical answers: a control that should be 1."""
    table: NDArray[np.intp]
    """Counts (4, 4) of pairs by forward (row) and reversed verdict: A, tie, B as shown, none."""


@dataclass(frozen=True)
class Repetitions:
    """Repeated asks: one row per pair and order that was asked more than once."""

    pair: NDArray[np.intp]
    """Shape (m,): the row of the pair."""
    counts: NDArray[np.float64]
    """Shape (m, 3): verdicts for the second candidate, ties, and for the first."""


def position_effects(
    orders: TwoOrders, cluster: NDArray[np.integer], *, level: float = 0.95
) -> PositionEffects:
    """Return consistency and the pull of each position, clustered by `cluster` (n_pairs,).

    Soft flips count as Shi et al. 2024 (arXiv 2406.07791) count them; their preference fairness
    is by algebra (recency - primacy) / N.
    """
    both = orders.has_forward & orders.has_reversed
    # Each order shows the other candidate first, so whoever gains from its own first place is
    # preferred more in the forward order than in the reversed one.
    shift = orders.forward[both].astype(np.int8) - orders.reversed[both].astype(np.int8)
    prompts = cluster[both]
    empty = "no pair has a verdict in both orders"

    def share(hits: NDArray[np.bool_]) -> Estimate:
        return clustered_proportion(hits, prompts, level=level, empty=empty).estimate

    return PositionEffects(
        consistency=share(shift == 0),
        toward_first=share(shift > 0),
        toward_second=share(shift < 0),
        preference_fairness=clustered_difference(
            shift < 0, shift > 0, prompts, level=level, empty=empty
        ),
    )
