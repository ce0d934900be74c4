"""Order effects, against the vectors of two published analyses."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.position import TwoOrders, position_effects

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


choices = st.sampled_from([1, 0, -1])


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
