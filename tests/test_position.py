"""Order effects, against the vectors of two published analyses."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.position import (
    OrderEffects,
    Repetitions,
    TwoOrders,
    balanced_position_entropy,
    order_effects,
    position_effects,
)

VECTORS = json.loads((Path(__file__).parent / "cases" / "statistics_vectors.json").read_text())
IN_FORWARD = {"A": 1, "B": -1, "C": 0}
"""What a shown position means when the first candidate is shown as A."""


def orders_from(forward: list[int], reversed_: list[int]) -> TwoOrders:
    everywhere = np.ones(len(forward), dtype=bool)
    return TwoOrders(
        np.array(forward, dtype=np.int8), np.array(reversed_, dtype=np.int8), everywhere, everywhere
    )


def test_soft_and_hard_flips_count_as_shi_counts_them() -> None:
    vector = VECTORS["position/shi"]
    shown = [pair for pair, count in vector["input"].items() for _ in range(count)]
    effects = position_effects(
        orders_from([IN_FORWARD[p[0]] for p in shown], [-IN_FORWARD[p[1]] for p in shown]),
        np.arange(10),
    )
    consistency, fairness = vector["expected"]
    assert effects.consistency.value == pytest.approx(consistency)
    assert effects.toward_first.value == pytest.approx(0.3)
    assert effects.toward_second.value == pytest.approx(0.1)
    assert effects.preference_fairness.value == pytest.approx(fairness)


def test_counts_of_gpt_4_on_200_pairs_reproduce_its_order_effects() -> None:
    counts = {"11": 75 + 12, "22": 74 + 13, "12": 9 + 6, "21": 7 + 4}
    winners = [pair for pair, count in counts.items() for _ in range(count)]
    code = {"1": 1, "2": -1}
    effects = position_effects(
        orders_from([code[w[0]] for w in winners], [code[w[1]] for w in winners]), np.arange(200)
    )
    assert effects.consistency.value == pytest.approx(0.87)
    assert effects.consistency.n == 200
    # One pair per prompt: the published interval but for t(199) instead of the normal.
    assert effects.consistency.low == pytest.approx(0.8163, abs=1e-3)
    assert effects.consistency.high == pytest.approx(0.9097, abs=1e-3)
    assert effects.toward_first.value == pytest.approx(0.075)
    assert effects.toward_second.value == pytest.approx(0.055)
    assert effects.preference_fairness.value == pytest.approx(-0.02)


def test_a_judge_stuck_on_the_first_position_is_wholly_unfair() -> None:
    effects = position_effects(orders_from([1] * 6, [-1] * 6), np.arange(6))
    assert effects.consistency.value == 0
    assert effects.toward_first.value == 1
    assert effects.preference_fairness.value == -1


@pytest.mark.parametrize(
    ("forward", "reversed_", "toward_first"),
    [(1, -1, True), (1, 0, True), (0, -1, True), (-1, 1, False), (-1, 0, False), (0, 1, False)],
)
def test_every_flip_has_one_direction(forward: int, reversed_: int, toward_first: bool) -> None:
    effects = position_effects(orders_from([forward] * 2, [reversed_] * 2), np.arange(2))
    assert effects.toward_first.value == toward_first
    assert effects.toward_second.value == (not toward_first)


def test_only_pairs_with_two_verdicts_count() -> None:
    orders = TwoOrders(
        np.array([1, 1, 1, 1], dtype=np.int8),
        np.array([1, -1, 0, 1], dtype=np.int8),
        np.array([True, True, True, False]),
        np.array([True, True, False, True]),
    )
    effects = position_effects(orders, np.arange(4))
    assert effects.consistency.n == 2
    assert effects.consistency.value == 0.5


def test_without_two_verdicts_on_any_pair_nothing_is_computed_and_the_reason_is_told() -> None:
    nowhere = np.zeros(3, dtype=bool)
    codes = np.zeros(3, dtype=np.int8)
    effects = position_effects(TwoOrders(codes, codes, nowhere, ~nowhere), np.arange(3))
    for estimate in (effects.consistency, effects.toward_first, effects.preference_fairness):
        assert estimate.value is None
        assert estimate.why == "no pair has a verdict in both orders"


def test_columns_of_different_length_are_refused() -> None:
    codes, mask = np.zeros(3, dtype=np.int8), np.ones(3, dtype=bool)
    with pytest.raises(ValueError, match="differ in length"):
        TwoOrders(codes, codes[:2], mask, mask)


# What else two orders and repeated asks tell


def repeated(*rows: tuple[int, str]) -> Repetitions:
    """Asks of (pair, what was said about the first candidate: W, T or L each time)."""
    counts = [[said.count("L"), said.count("T"), said.count("W")] for _, said in rows]
    return Repetitions(
        np.array([pair for pair, _ in rows], np.intp), np.array(counts, float).reshape(-1, 3)
    )


def test_counts_of_gpt_4_on_200_pairs_fall_into_the_table_and_lean_nowhere() -> None:
    counts = {(1, 1): 87, (-1, -1): 87, (1, -1): 15, (-1, 1): 11}
    rows = [row for row, count in counts.items() for _ in range(count)]
    orders = orders_from([f for f, _ in rows], [r for _, r in rows])
    effects = order_effects(orders, np.arange(200))
    assert effects.table.tolist() == [[15, 0, 87, 0], [0, 0, 0, 0], [87, 0, 11, 0], [0, 0, 0, 0]]
    assert effects.hard_flips.value == pytest.approx(0.13)
    assert effects.first_slot.value == pytest.approx((200 + 4) / 400)
    assert effects.first_slot.n == 400
    assert effects.lean.p == pytest.approx(0.557, abs=5e-4)
    assert effects.lean.n == 26


def test_the_table_is_about_shown_positions() -> None:
    # The first candidate wins in both orders: shown as A in the forward one, then as B.
    table = order_effects(orders_from([1], [1]), np.arange(1)).table
    assert np.argwhere(table).tolist() == [[0, 2]]
    # The first position wins in both orders, once hard and once soft.
    table = order_effects(orders_from([1, 0], [-1, -1]), np.arange(2)).table
    assert np.argwhere(table).tolist() == [[0, 0], [1, 0]]


def test_a_missing_verdict_has_a_row_and_a_column_of_its_own() -> None:
    codes = np.array([1, 1, 0], dtype=np.int8)
    orders = TwoOrders(codes, codes, np.array([True, False, False]), np.array([False, True, False]))
    effects = order_effects(orders, np.arange(3))
    assert np.argwhere(effects.table).tolist() == [[0, 3], [3, 2], [3, 3]]
    assert effects.hard_flips.why == "no pair has a verdict in both orders"
    assert effects.lean.p is None
    assert effects.lean.why == "no pair has a verdict in both orders"


def test_a_flip_to_or_from_a_tie_is_no_hard_flip() -> None:
    effects = order_effects(orders_from([1, 1, 0, 1], [-1, 0, -1, 1]), np.arange(4))
    assert effects.hard_flips.value == 0.25


def test_repeated_asks_reproduce_the_published_stability() -> None:
    said = repeated((0, "WWW"), (0, "WLW"), (1, "LTW"), (1, "TTT"))
    effects = order_effects(orders_from([1, 0], [1, 0]), np.arange(2), repetitions=said)
    assert effects.repetition_stability.value == pytest.approx(0.75)
    assert effects.repetition_agreement.value == pytest.approx(0.583333, abs=1e-6)
    assert effects.repetition_stability.n == 4


def test_flips_of_a_noisy_judge_are_not_called_bias() -> None:
    rng = np.random.default_rng(3)
    asks = rng.choice([1, -1], size=(1000, 4), p=[0.8, 0.2]).astype(np.int8)
    pair = np.repeat(np.arange(1000), 2)
    wins = (asks.reshape(-1, 2) > 0).sum(axis=1)
    repetitions = Repetitions(pair, np.stack([2 - wins, 0 * wins, wins], axis=1).astype(float))
    everywhere = np.ones(1000, bool)

    def excess(reversed_: np.ndarray) -> tuple[float, float]:
        orders = TwoOrders(asks[:, 0], reversed_, everywhere, everywhere)
        effects = order_effects(orders, np.arange(1000) // 4, repetitions=repetitions)
        low, high = effects.excess_flips.low, effects.excess_flips.high
        assert low is not None
        assert high is not None
        return low, high

    low, high = excess(asks[:, 2])
    assert low < 0 < high
    assert high - low < 0.15
    # The same noise on top of a judge that turns round whenever the second answer comes first.
    assert excess(-asks[:, 2])[0] > 0.2


def test_flips_are_compared_with_repeated_asks_of_the_same_pairs() -> None:
    orders = orders_from([1, 1, 1, 1], [1, 1, -1, -1])
    asked = repeated((0, "WW"), (1, "WL"))
    effects = order_effects(orders, np.arange(4), repetitions=asked)
    assert effects.excess_flips.value == pytest.approx(-0.5)
    assert effects.excess_flips.n == 2


def test_identical_answers_must_tie() -> None:
    orders = TwoOrders(
        np.array([0, 0, 1, 1], dtype=np.int8),
        np.array([0, 1, 0, 1], dtype=np.int8),
        np.array([True, True, True, True]),
        np.array([True, True, False, True]),
    )
    identical = np.array([True, True, True, False])
    ties = order_effects(orders, np.arange(4), identical=identical).identical_ties
    assert ties.value == pytest.approx(3 / 5)
    assert ties.n == 5


def test_what_is_not_known_is_absent_with_the_reason() -> None:
    effects = order_effects(orders_from([1, 0], [1, 0]), np.arange(2))
    assert effects.repetition_stability.why == "no pair was asked twice in one order"
    assert effects.excess_flips.why == "no pair was asked twice in one order"
    assert effects.identical_ties.why == "the answers were not given"
    nowhere = np.zeros(2, bool)
    effects = order_effects(orders_from([0, 0], [0, 0]), np.arange(2), identical=nowhere)
    assert effects.identical_ties.why == "no pair of identical answers has a verdict"
    assert effects.first_slot.why == "no verdict of a pair with two verdicts prefers an answer"
    assert effects.lean.p == 1


def test_repeated_asks_count_where_one_order_was_asked() -> None:
    effects = order_effects(
        None, np.arange(2), repetitions=repeated((0, "WW"), (1, "WL")), why_no_orders="one order"
    )
    assert effects.repetition_agreement.value == 0.5
    assert effects.hard_flips.why == effects.excess_flips.why == effects.lean.why == "one order"
    assert effects.table.sum() == 0


def test_a_pair_asked_once_is_no_repetition() -> None:
    with pytest.raises(ValueError, match="fewer than two verdicts"):
        repeated((0, "WW"), (1, "W"))
    with pytest.raises(ValueError, match=r"expected \(1, 3\)"):
        Repetitions(np.zeros(1, np.intp), np.ones((2, 3)))


def test_the_entropy_of_balanced_verdicts_is_the_published_one() -> None:
    entropy = balanced_position_entropy([[3, 1, 2], [6, 0, 0], [2, 2, 2]])
    assert entropy == pytest.approx([1.011404, 0, 1.098612], abs=1e-6)
    with pytest.raises(ValueError, match="no verdict"):
        balanced_position_entropy([[1, 0, 0], [0, 0, 0]])


choices = st.sampled_from([1, 0, -1])
verdicts = st.sampled_from([1, 0, -1, None])
asks = st.lists(st.sampled_from("WTL"), min_size=2, max_size=4).map("".join)
ROWS = st.lists(
    st.tuples(verdicts, verdicts, st.integers(0, 4), st.booleans(), st.none() | asks),
    max_size=12,
)
Rows = list[tuple[int | None, int | None, int, bool, str | None]]


def effects_of(rows: Rows, *, is_exchanged: bool = False) -> OrderEffects:
    """With every candidate exchanged, preferences are negated and the orders trade names."""
    sign = -1 if is_exchanged else 1
    forward = np.array([sign * (row[0] or 0) for row in rows], np.int8)
    reversed_ = np.array([sign * (row[1] or 0) for row in rows], np.int8)
    has_forward = np.array([row[0] is not None for row in rows], bool)
    has_reversed = np.array([row[1] is not None for row in rows], bool)
    orders = TwoOrders(forward, reversed_, has_forward, has_reversed)
    if is_exchanged:
        orders = TwoOrders(reversed_, forward, has_reversed, has_forward)
    said = repeated(*((at, row[4]) for at, row in enumerate(rows) if row[4] is not None))
    if is_exchanged:
        said = Repetitions(said.pair, said.counts[:, ::-1])
    return order_effects(
        orders,
        np.array([row[2] for row in rows], np.intp),
        repetitions=said,
        identical=np.array([row[3] for row in rows], bool),
    )


@given(ROWS)
def test_exchanging_the_candidates_only_mirrors_the_table(rows: Rows) -> None:
    as_given, exchanged = effects_of(rows), effects_of(rows, is_exchanged=True)
    assert as_given.table.tolist() == exchanged.table.T.tolist()
    for name in ("hard_flips", "first_slot", "lean", "excess_flips", "identical_ties"):
        assert getattr(as_given, name) == getattr(exchanged, name)
    assert as_given.repetition_stability == exchanged.repetition_stability
    assert as_given.repetition_agreement == exchanged.repetition_agreement


@given(ROWS)
def test_every_order_effect_lies_in_its_interval_or_says_why_not(rows: Rows) -> None:
    effects = effects_of(rows)
    assert effects.table.sum() == len(rows)
    for name in ("hard_flips", "first_slot", "excess_flips", "identical_ties"):
        estimate = getattr(effects, name)
        if estimate.low is None:
            assert estimate.why
        else:
            assert -1 <= estimate.low <= estimate.value <= estimate.high <= 1
    if effects.lean.p is None:
        assert effects.lean.why


@given(ROWS)
def test_the_table_holds_the_flips_on_either_side_of_its_diagonal(rows: Rows) -> None:
    flipped = effects_of(rows).table[:3, :3][:, ::-1]
    toward_first, toward_second = np.triu(flipped, 1).sum(), np.tril(flipped, -1).sum()
    both = [(f, r) for f, r, *_ in rows if f is not None and r is not None]
    assert toward_first == sum(f > r for f, r in both)
    assert toward_second == sum(f < r for f, r in both)


@given(st.lists(st.tuples(choices, choices, st.integers(0, 5)), min_size=1, max_size=30))
def test_exchanging_the_candidates_of_every_pair_changes_no_order_effect(
    rows: list[tuple[int, int, int]],
) -> None:
    forward, reversed_, cluster = (list(column) for column in zip(*rows, strict=True))
    # Exchanged candidates: each preference is negated and the two orders trade names.
    as_given = position_effects(orders_from(forward, reversed_), np.array(cluster))
    exchanged = position_effects(
        orders_from([-c for c in reversed_], [-c for c in forward]), np.array(cluster)
    )
    assert as_given == exchanged


@given(st.lists(st.tuples(choices, choices), min_size=1, max_size=30))
def test_the_three_shares_add_up_to_one(rows: list[tuple[int, int]]) -> None:
    effects = position_effects(
        orders_from([f for f, _ in rows], [r for _, r in rows]), np.arange(len(rows))
    )
    shares = (effects.consistency, effects.toward_first, effects.toward_second)
    assert sum(share.value or 0.0 for share in shares) == pytest.approx(1)
