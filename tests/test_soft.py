"""How sure one judge is about one pair: log-odds of two orders, votes of several samples."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from calibration.scoring import logits
from calibration.soft_verdicts import half_credit, two_order_log_odds
from judge.outcomes.soft import (
    LEAST,
    TIE_BAND,
    SoftVerdict,
    log_odds,
    probable_verdict,
    soft_verdict,
    voted_verdict,
)
from judge.records import Order, Outcome, Reading, Status, Verdict

A, B, TIE = Verdict.A, Verdict.B, Verdict.TIE
FORWARD, REVERSED = Order.FORWARD, Order.REVERSED
Told = tuple[float, float, float]
"""Probabilities of A, B and tie."""

EXCHANGED = {
    Outcome.FIRST: Outcome.SECOND,
    Outcome.SECOND: Outcome.FIRST,
    Outcome.TIE: Outcome.TIE,
}


def reading(
    order: Order, said: Verdict | Status = A, told: Told | None = None, *, sample: int = 0
) -> Reading:
    verdict = said if isinstance(said, Verdict) else None
    status = said if isinstance(said, Status) else None
    return Reading(f"{order} {sample}", "judge", order, sample, verdict, status, told)


def both(forward: Told, reversed_: Told) -> list[Reading]:
    return [reading(FORWARD, A, forward), reading(REVERSED, A, reversed_)]


def votes(forward: list[Verdict], reversed_: list[Verdict]) -> list[Reading]:
    return [
        reading(order, said, sample=sample)
        for order, verdicts in ((FORWARD, forward), (REVERSED, reversed_))
        for sample, said in enumerate(verdicts)
    ]


def found(soft: SoftVerdict | None) -> SoftVerdict:
    assert soft is not None
    return soft


def logit(p: float) -> float:
    return math.log(p / (1 - p))


@st.composite
def told(draw: st.DrawFn) -> Told:
    weights = [draw(st.floats(0, 1)) for _ in range(3)]
    total = sum(weights)
    if total < 1e-3:
        return (1 / 3, 1 / 3, 1 / 3)
    return (weights[0] / total, weights[1] / total, weights[2] / total)


one_reading = st.builds(
    reading,
    st.sampled_from(Order),
    st.sampled_from([*Verdict, Status.UNPARSED]),
    st.none() | told(),
    sample=st.integers(0, 3),
)
panels = st.lists(one_reading, max_size=6, unique_by=lambda one: one.judgment_id)


# Token probabilities


def test_the_vectors_of_two_orders() -> None:
    # Ties set aside: .7 to .2 when shown first, and .6 to .3 for whoever is shown first when not.
    soft = found(probable_verdict(both((7 / 9, 2 / 9, 0), (2 / 3, 1 / 3, 0))))
    assert soft.probability == pytest.approx(0.569499, abs=1e-6)
    assert soft.position == pytest.approx(0.972955, abs=1e-6)
    assert logit(soft.probability) == pytest.approx(0.279808, abs=1e-6)


def test_a_tie_is_half_a_win_of_each() -> None:
    soft = found(probable_verdict(both((0.7, 0.2, 0.1), (0.6, 0.3, 0.1))))
    assert logit(soft.probability) == pytest.approx((logit(0.75) + logit(0.35)) / 2)
    assert found(probable_verdict(both((0.4, 0.4, 0.2), (0.4, 0.4, 0.2)))).probability == 0.5


@given(st.lists(st.tuples(told(), told()), min_size=1, max_size=5))
def test_one_pair_at_a_time_gives_what_whole_columns_give(pairs: list[tuple[Told, Told]]) -> None:
    columns = np.array(pairs)  # (n, 2 orders, A B tie)
    forward = half_credit(columns[:, 0, 0], columns[:, 0, 2], columns[:, 0, 1])
    reversed_ = half_credit(columns[:, 1, 1], columns[:, 1, 2], columns[:, 1, 0])
    odds = two_order_log_odds(forward, reversed_)
    singly = [found(probable_verdict(both(*pair))) for pair in pairs]
    assert [one.probability for one in singly] == pytest.approx(
        list(expit(odds.log_odds)), abs=1e-9
    )
    assert [one.position for one in singly] == pytest.approx(list(odds.position), abs=1e-6)


@given(st.floats(-3, 3), st.floats(-5, 5))
def test_a_constant_pull_of_a_position_cancels_and_is_told(truth: float, pull: float) -> None:
    def shown_first(log_odds: float) -> Told:
        p = 1 / (1 + math.exp(-log_odds))
        return (p, 1 - p, 0.0)

    soft = found(probable_verdict(both(shown_first(truth + pull), shown_first(pull - truth))))
    assert logit(soft.probability) == pytest.approx(truth, abs=1e-6)
    assert soft.position == pytest.approx(pull, abs=1e-6)


def test_certainties_stay_finite() -> None:
    sure = found(probable_verdict(both((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))))
    assert sure.probability == pytest.approx(1 - LEAST)
    torn = found(probable_verdict(both((1.0, 0.0, 0.0), (1.0, 0.0, 0.0))))
    assert (torn.probability, torn.outcome) == (0.5, Outcome.TIE)
    assert torn.position == pytest.approx(logit(1 - LEAST))


@given(st.floats(0, 1))
def test_log_odds_agree_with_those_of_columns(p: float) -> None:
    assert log_odds(p, 1 - p) == pytest.approx(float(logits(p)), abs=1e-9)
    assert log_odds(p, 1 - p) == -log_odds(1 - p, p)


def test_samples_of_an_order_are_averaged_before_the_orders() -> None:
    given_readings = [
        reading(FORWARD, A, (0.9, 0.1, 0.0), sample=0),
        reading(FORWARD, A, (0.8, 0.2, 0.0), sample=1),
        reading(REVERSED, B, (0.3, 0.7, 0.0)),
    ]
    soft = found(probable_verdict(given_readings))
    forward = (logit(0.9) + logit(0.8)) / 2
    assert logit(soft.probability) == pytest.approx((forward + logit(0.7)) / 2)


def test_an_order_without_a_verdict_leaves_the_other_alone_without_a_pull() -> None:
    soft = found(
        probable_verdict([reading(FORWARD, A, (0.8, 0.2, 0)), reading(REVERSED, Status.UNPARSED)])
    )
    assert (soft.probability, soft.position) == (pytest.approx(0.8), None)


def test_probabilities_of_one_order_alone_do_not_count_where_both_have_verdicts() -> None:
    mixed = [reading(FORWARD, A, (0.9, 0.1, 0.0)), reading(REVERSED, A)]
    assert probable_verdict(mixed) is None
    assert soft_verdict(mixed) == voted_verdict(mixed) == SoftVerdict(0.5, Outcome.TIE)


def test_probabilities_beside_no_verdict_do_not_count() -> None:
    assert soft_verdict([reading(FORWARD, Status.TRUNCATED, (0.9, 0.1, 0.0))]) is None


def test_orders_that_are_not_expected_do_not_count() -> None:
    pair = both((0.9, 0.1, 0.0), (0.9, 0.1, 0.0))
    soft = found(probable_verdict(pair, orders=[REVERSED]))
    assert (soft.probability, soft.position) == (pytest.approx(0.1), None)
    assert voted_verdict(pair, orders=[REVERSED]) == SoftVerdict(0.0, Outcome.SECOND)


# Ties


@pytest.mark.parametrize(
    ("p", "outcome"),
    [
        (0.5, Outcome.TIE),
        (0.5099, Outcome.TIE),
        (0.5101, Outcome.FIRST),
        (0.4901, Outcome.TIE),
        (0.4899, Outcome.SECOND),
    ],
)
def test_what_is_closer_to_even_than_51_to_49_is_a_tie(p: float, outcome: Outcome) -> None:
    soft = found(probable_verdict(both((p, 1 - p, 0.0), (1 - p, p, 0.0))))
    assert soft.outcome is outcome
    assert pytest.approx(math.log(51 / 49)) == TIE_BAND


def test_a_tie_is_one_where_both_orders_find_it_the_likeliest() -> None:
    leaning = (0.35, 0.05, 0.6)
    assert found(probable_verdict(both(leaning, (0.05, 0.35, 0.6)))).outcome is Outcome.TIE
    assert found(probable_verdict(both(leaning, (0.1, 0.5, 0.4)))).outcome is Outcome.FIRST


# Votes


@pytest.mark.parametrize(
    ("forward", "reversed_", "probability"),
    [
        ([A], [B], 1.0),
        ([B], [A], 0.0),
        ([A], [A], 0.5),
        ([A], [TIE], 0.75),
        ([TIE], [A], 0.25),
        ([A], [], 1.0),
        ([TIE], [], 0.5),
    ],
)
def test_one_verdict_in_each_order_makes_the_plain_mean(
    forward: list[Verdict], reversed_: list[Verdict], probability: float
) -> None:
    assert found(voted_verdict(votes(forward, reversed_))).probability == probability


def test_several_samples_make_a_smoothed_share() -> None:
    k_of_six = found(voted_verdict(votes([A, A, A], [B, B, A]))).probability
    assert k_of_six == pytest.approx((5 + 0.5) / (6 + 1))
    certain = found(voted_verdict(votes([A, A, A], [B, B, B]))).probability
    assert certain == pytest.approx(6.5 / 7)
    assert found(voted_verdict(votes([A, TIE], [A, A]))).probability == pytest.approx(2 / 5)


def test_both_orders_weigh_the_same_however_often_each_was_asked() -> None:
    unequal = found(voted_verdict(votes([A, A, A, A], [A])))
    assert (unequal.probability, unequal.outcome) == (0.5, Outcome.TIE)


def test_a_failure_that_was_asked_again_is_no_second_vote() -> None:
    again = [reading(FORWARD, Status.UNPARSED), reading(FORWARD, A, sample=1), reading(REVERSED, B)]
    assert found(voted_verdict(again)).probability == 1.0


def test_mostly_ties_in_both_orders_are_a_tie() -> None:
    assert found(voted_verdict(votes([TIE, TIE, A], [TIE, TIE, B]))).outcome is Outcome.TIE
    assert found(voted_verdict(votes([TIE, A, A], [TIE, TIE, B]))).outcome is Outcome.FIRST


# Everything


@given(panels)
def test_exchanging_the_candidates_exchanges_the_outcome_and_keeps_the_pull(
    readings: list[Reading],
) -> None:
    soft = soft_verdict(readings)
    other = soft_verdict([one.oriented(is_exchanged=True) for one in readings])
    if soft is None or other is None:
        assert soft is other is None
        return
    assert other.outcome is EXCHANGED[soft.outcome]
    assert other.probability == pytest.approx(1 - soft.probability, abs=1e-12)
    assert other.position == soft.position


@given(panels, st.integers())
def test_the_sequence_of_the_readings_does_not_matter(readings: list[Reading], seed: int) -> None:
    shuffled = random.Random(seed).sample(readings, len(readings))
    assert soft_verdict(shuffled) == soft_verdict(readings)


@given(panels)
def test_there_is_a_verdict_exactly_where_some_reading_has_one(readings: list[Reading]) -> None:
    soft = soft_verdict(readings)
    assert (soft is not None) == any(one.verdict is not None for one in readings)
    if soft is not None:
        assert 0 <= soft.probability <= 1
        assert soft.outcome in EXCHANGED
        if soft.outcome is not Outcome.TIE:
            assert (soft.probability > 0.5) == (soft.outcome is Outcome.FIRST)
