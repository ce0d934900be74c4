"""What the order of presentation does to a judge. Needs no human vote.

Codes speak of candidates: first = 1, tie = 0, second = -1, in both orders. A judge that favours
the first position says `first` when the first candidate is shown first and `second` otherwise.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.intervals import Estimate, Floats, clustered_difference, clustered_proportion
from calibration.significance import PValue, sign_flip_test

NO_TWO_VERDICTS = "no pair has a verdict in both orders"
NO_REPETITION = "no pair was asked twice in one order"
_NONE_DECIDED = "no verdict of a pair with two verdicts prefers an answer"
_NO_REPETITION_IN_TWO = "no pair with a verdict in both orders was asked twice in one order"
_NO_ANSWERS = "the answers were not given"
_NO_IDENTICAL = "no pair of identical answers has a verdict"


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
    """Share of the pairs with two verdicts that go to one and the same position in both orders.

    The conflict rate of FairEval (Wang et al. 2023, arXiv 2305.17926) also counts flips to or
    from a tie and is `1 - PositionEffects.consistency`.
    """
    first_slot: Estimate
    """Share of the decided verdicts of pairs with two verdicts that prefer the answer shown first.

    Each answer of such a pair was shown first once, so 1/2 is neutral.
    """
    lean: PValue
    """Whether flips lean to one position: sign flips by prompt of second minus first."""
    repetition_stability: Estimate
    """Mean share of the modal verdict among repeated asks of one pair in one order.

    Of k asks it is at least ceil(k / 3) / k, so read it beside `repetition_agreement`.
    """
    repetition_agreement: Estimate
    """Mean agreement of two repeated asks of one pair in one order."""
    excess_flips: Estimate
    """Flips between the orders beyond those between repeated asks of the same pairs, in [-1, 1].

    A judge that is noisy but neutral flips as often without exchanging the answers: bias is what
    remains above 0.
    """
    identical_ties: Estimate
    """Share of ties among verdicts on identical answers: a control that should be 1."""
    table: NDArray[np.intp]
    """Counts (4, 4) of pairs by forward verdict (row) and reversed verdict (column).

    Both are about shown positions, in the order A, tie, B, none. Consistent pairs lie on the
    diagonal from (A, B) through (tie, tie) to (B, A); every count above it, toward (A, A), is a
    flip toward the first position and every count below it, toward (B, B), one toward the second,
    so a neutral judge's counts mirror each other across it. Exchanging the candidates of a pair
    mirrors the table across its other diagonal.
    """


@dataclass(frozen=True)
class Repetitions:
    """Repeated asks: one row per pair and order with a verdict more than once."""

    pair: NDArray[np.intp]
    """Shape (m,): the row of the pair."""
    counts: NDArray[np.float64]
    """Shape (m, 3): verdicts for the second candidate, ties, and for the first; at least 2."""

    def __post_init__(self) -> None:
        if self.counts.shape != (len(self.pair), 3):
            raise ValueError(
                f"counts of repetitions have shape {self.counts.shape}, expected "
                f"({len(self.pair)}, 3)"
            )
        if np.any(self.counts.sum(axis=1) < 2):
            raise ValueError(
                "a repetition has fewer than two verdicts; leave out what was asked once"
            )


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
    empty = NO_TWO_VERDICTS

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


def order_effects(
    orders: TwoOrders | None,
    cluster: NDArray[np.integer],
    *,
    repetitions: Repetitions | None = None,
    identical: NDArray[np.bool_] | None = None,
    why_no_orders: str = NO_TWO_VERDICTS,
    level: float = 0.95,
    seed: int = 0,
) -> OrderEffects:
    """Return what else two orders and repeated asks tell, clustered by `cluster` (n_pairs,).

    `identical` (n_pairs,) marks pairs of identical answers; None where the answers are not known.
    Without `orders` their figures are absent for the reason `why_no_orders`, and those of
    `repetitions` stay. `seed` is that of the test of `lean`.
    """
    stability, agreement = _repeated(repetitions, cluster, level=level)
    if orders is None:
        absent = Estimate(None, None, None, 0, why_no_orders)
        lean, table = PValue(None, 0, why_no_orders), np.zeros((4, 4), np.intp)
        return OrderEffects(absent, absent, lean, stability, agreement, absent, absent, table)
    both = orders.has_forward & orders.has_reversed
    forward, reversed_, prompts = orders.forward[both], orders.reversed[both], cluster[both]
    return OrderEffects(
        hard_flips=clustered_proportion(
            forward * reversed_ < 0, prompts, level=level, empty=NO_TWO_VERDICTS
        ).estimate,
        first_slot=_first_slot(forward, reversed_, prompts, level=level),
        lean=_lean(np.sign(reversed_ - forward), prompts, seed=seed),
        repetition_stability=stability,
        repetition_agreement=agreement,
        excess_flips=_excess_flips(orders, repetitions, cluster, level=level),
        identical_ties=_identical_ties(orders, identical, cluster, level=level),
        table=_table(orders),
    )


def balanced_position_entropy(counts: ArrayLike) -> Floats:
    """Return the entropy of the verdicts on each pair in nats, from 0 to ln 3, shape (...).

    `counts` has shape (..., 3): wins, ties and losses of one candidate over equally many asks in
    both orders (balanced position diversity entropy, Wang et al. 2023, arXiv 2305.17926). Raises
    ValueError for a pair without a verdict, of which nothing can be said.
    """
    given = np.asarray(counts, dtype=np.float64)
    total = given.sum(axis=-1, keepdims=True)
    if np.any(total <= 0):
        raise ValueError("a pair has no verdict, so no entropy; leave it out")
    share = given / total
    logs = np.log(share, out=np.zeros_like(share), where=share > 0)
    return np.asarray(np.maximum(0.0, -(share * logs).sum(axis=-1)), dtype=np.float64)


def _first_slot(
    forward: NDArray[np.int8],
    reversed_: NDArray[np.int8],
    prompts: NDArray[np.integer],
    *,
    level: float,
) -> Estimate:
    return clustered_proportion(
        (forward > 0).astype(np.intp) + (reversed_ < 0),
        prompts,
        size=(forward != 0).astype(np.intp) + (reversed_ != 0),
        level=level,
        empty=_NONE_DECIDED if len(prompts) else NO_TWO_VERDICTS,
    ).estimate


def _lean(toward_second: NDArray[np.int8], prompts: NDArray[np.integer], *, seed: int) -> PValue:
    test = sign_flip_test(toward_second, prompts, seed=seed)
    return test if len(prompts) else replace(test, why=NO_TWO_VERDICTS)


def _repeated(
    repetitions: Repetitions | None, cluster: NDArray[np.integer], *, level: float
) -> tuple[Estimate, Estimate]:
    """Return stability and pairwise agreement of repeated asks; each order counts by itself."""
    if repetitions is None:
        absent = Estimate(None, None, None, 0, NO_REPETITION)
        return absent, absent
    counts, prompts = repetitions.counts, cluster[repetitions.pair]
    modal = counts.max(axis=1) / counts.sum(axis=1)
    stability, agreement = (
        clustered_proportion(values, prompts, level=level, empty=NO_REPETITION).estimate
        for values in (modal, _pairwise(counts))
    )
    return stability, agreement


def _pairwise(counts: Floats) -> Floats:
    """Share of the couples of verdicts of each row (m, 3) that agree, shape (m,)."""
    total = counts.sum(axis=1)
    return np.asarray((counts * (counts - 1)).sum(axis=1) / (total * (total - 1)), np.float64)


def _excess_flips(
    orders: TwoOrders,
    repetitions: Repetitions | None,
    cluster: NDArray[np.integer],
    *,
    level: float,
) -> Estimate:
    """Return flips minus disagreement of repeated asks, a mean over the repeated pairs."""
    if repetitions is None:
        return Estimate(None, None, None, 0, NO_REPETITION)
    both = orders.has_forward & orders.has_reversed
    asked = both[repetitions.pair]
    pairs, place = np.unique(repetitions.pair[asked], return_inverse=True)
    noise = np.bincount(place, weights=1 - _pairwise(repetitions.counts[asked]))
    return clustered_difference(
        orders.forward[pairs] != orders.reversed[pairs],
        noise / np.bincount(place),
        cluster[pairs],
        level=level,
        empty=_NO_REPETITION_IN_TWO if np.any(both) else NO_TWO_VERDICTS,
    )


def _identical_ties(
    orders: TwoOrders,
    identical: NDArray[np.bool_] | None,
    cluster: NDArray[np.integer],
    *,
    level: float,
) -> Estimate:
    if identical is None:
        return Estimate(None, None, None, 0, _NO_ANSWERS)
    verdicts = orders.has_forward.astype(np.intp) + orders.has_reversed
    ties = (orders.has_forward & (orders.forward == 0)).astype(np.intp)
    ties += orders.has_reversed & (orders.reversed == 0)
    return clustered_proportion(
        ties[identical],
        cluster[identical],
        size=verdicts[identical],
        level=level,
        empty=_NO_IDENTICAL,
    ).estimate


def _table(orders: TwoOrders) -> NDArray[np.intp]:
    # The first candidate is shown as A in the forward order and as B in the reversed one.
    row = np.where(orders.has_forward, 1 - orders.forward, 3)
    column = np.where(orders.has_reversed, 1 + orders.reversed, 3)
    return np.bincount(row * 4 + column, minlength=16).reshape(4, 4).astype(np.intp)
