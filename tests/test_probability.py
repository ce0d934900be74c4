"""Probabilities: their arithmetic, their scores, and whether they mean what they say."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.intervals import Estimate
from calibration.probability import NO_PROBABILITIES, Reliability, reliability
from calibration.recalibration import (
    calibration_ratio,
    fit_platt,
    fit_temperature,
    tempered,
)
from calibration.scoring import (
    bin_of,
    brier_score,
    calibration_error,
    calibration_error_if_perfect,
    corp,
    isotonic,
    log_loss,
)
from calibration.soft_verdicts import decided_probability, half_credit, two_order_log_odds

VECTORS = json.loads((Path(__file__).parent / "cases" / "statistics_vectors.json").read_text())
P, Y = (np.array(VECTORS["corp"]["input"][name]) for name in ("p", "y"))


def ends(estimate: Estimate) -> tuple[float, float]:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low, estimate.high


# ----------------------------------------------------------------------------------------------
# arithmetic


def test_two_orders_average_as_the_published_vector_does() -> None:
    # Of the first candidate: shown first it has .7 and the other .2, shown second .3 and .6.
    decided = decided_probability([0.7, 0.3], [0.2, 0.6])
    assert decided == pytest.approx([0.777778, 0.333333], abs=1e-6)
    assert decided.mean() == pytest.approx(0.555556, abs=1e-6)
    both = two_order_log_odds(decided[:1], decided[1:])
    assert both.log_odds == pytest.approx([0.279808], abs=1e-6)
    assert both.probability == pytest.approx([0.569499], abs=1e-6)
    assert both.position == pytest.approx([0.972955], abs=1e-6)
    assert half_credit([0.7, 0.3], [0.1, 0.1], [0.2, 0.6]).mean() == pytest.approx(0.55)


@given(st.floats(-6, 6), st.floats(-6, 6))
def test_a_constant_pull_of_a_position_cancels(truth: float, pull: float) -> None:
    forward, reversed_ = (1 / (1 + np.exp(-np.array([truth + sign * pull]))) for sign in (1, -1))
    both = two_order_log_odds(forward, reversed_)
    assert both.log_odds == pytest.approx([truth], abs=1e-4)
    assert both.position == pytest.approx([pull], abs=1e-4)


def test_certain_and_empty_verdicts_stay_finite() -> None:
    assert decided_probability([0.0, 1.0], [0.0, 0.0]).tolist() == [0.5, 1.0]
    both = two_order_log_odds([1.0], [0.0])
    assert both.log_odds == pytest.approx([0.0], abs=1e-9)
    assert np.isfinite(both.position).all()


# ----------------------------------------------------------------------------------------------
# scores


def test_the_scores_match_the_published_vectors() -> None:
    vector = VECTORS["corp"]
    parts = corp(P, Y)
    assert parts is not None
    found = (brier_score(P, Y), parts.miscalibration, parts.discrimination, parts.uncertainty)
    assert found == pytest.approx(vector["expected"], abs=vector["tol"])
    assert log_loss(P, Y) == pytest.approx(0.661959, abs=1e-6)


@pytest.mark.parametrize(("bins", "expected"), [(5, 0.140417), (10, 0.180417), (15, 0.224583)])
def test_the_calibration_error_has_bins_closed_on_the_right(bins: int, expected: float) -> None:
    assert calibration_error(P, Y, bins=bins) == pytest.approx(expected, abs=1e-6)
    assert bin_of([0.0, 0.1, 0.3, 0.300001, 0.7, 1.0]).tolist() == [0, 0, 2, 3, 6, 9]


def test_recalibration_matches_the_published_vectors() -> None:
    temperature, platt = fit_temperature(P, Y), fit_platt(P, Y)
    assert temperature == pytest.approx(2.112407, abs=1e-6)
    assert platt is not None
    assert (platt.slope, platt.intercept) == pytest.approx((0.507749, -0.198011), abs=1e-6)
    assert temperature is not None
    assert log_loss(tempered(P, temperature), Y) == pytest.approx(0.585431, abs=1e-6)
    assert calibration_ratio(P, Y, platt) == pytest.approx(3.838312, abs=1e-6)


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.integers(0, 4), st.integers(0, 4)),
        min_size=1,
        max_size=40,
    )
)
def test_votes_counted_together_score_as_votes_apart(rows: list[tuple[int, int, int]]) -> None:
    p = np.array([row[0] / 20 for row in rows])
    yes, no = (np.array([row[k] for row in rows]) for k in (1, 2))
    size = yes + no
    share = yes / np.maximum(size, 1)
    apart = np.concatenate([np.repeat(p, yes), np.repeat(p, no)])
    outcome = np.concatenate([np.ones(yes.sum()), np.zeros(no.sum())])
    for score in (brier_score, log_loss, calibration_error):
        together, single = score(p, share, size=size), score(apart, outcome)
        assert together == (None if single is None else pytest.approx(single, abs=1e-12))
    one, other = corp(p, share, size=size), corp(apart, outcome)
    if one is None or other is None:
        assert one is other
        return
    assert one.miscalibration == pytest.approx(other.miscalibration, abs=1e-12)
    assert one.miscalibration >= -1e-12
    assert one.discrimination >= -1e-12
    whole = one.miscalibration - one.discrimination + one.uncertainty
    assert whole == pytest.approx(brier_score(apart, outcome), abs=1e-12)


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=60))
def test_isotonic_regression_rises_and_pools_to_means(rows: list[tuple[int, bool]]) -> None:
    p, y = np.array([row[0] / 9 for row in rows]), np.array([float(row[1]) for row in rows])
    steps = isotonic(p, y)
    assert np.all(np.diff(steps.observed) > 0)
    assert np.all(np.diff(steps.stated) > 0)
    assert steps.size.sum() == len(rows)
    assert steps.fitted.mean() == pytest.approx(y.mean())
    # Best among rising fits: no threshold could move a block's ends apart (Barlow et al. 1972).
    for value in steps.observed:
        block = steps.fitted == value
        assert y[block].mean() == pytest.approx(value)
        for cut in np.unique(p[block])[:-1]:
            below, above = y[block & (p <= cut)], y[block & (p > cut)]
            assert below.mean() >= above.mean() - 1e-12


def test_a_long_fall_at_the_end_is_pooled_in_one_pass() -> None:
    y = np.concatenate([np.linspace(0, 1, 50_000), np.zeros(50_000)])
    steps = isotonic(np.arange(100_000) / 100_000, y)
    assert steps.observed[-1] == pytest.approx(steps.fitted[-1])
    assert np.all(np.diff(steps.fitted) >= 0)


@pytest.mark.parametrize("shape", [2, 8])
def test_perfect_confidences_show_the_error_that_is_expected(shape: int) -> None:
    rng = np.random.default_rng(shape)
    p = 0.5 + rng.beta(shape, 2, 500) / 2
    expected = calibration_error_if_perfect(p)
    shown = [calibration_error(p, rng.random(500) < p) or 0.0 for _ in range(400)]
    assert expected.value is not None
    assert expected.value == pytest.approx(np.mean(shown), rel=0.05)
    low, high = ends(expected)
    assert np.mean([low <= error <= high for error in shown]) > 0.92
    clustered = calibration_error_if_perfect(p, design_effect=4)
    assert clustered.value == pytest.approx(2 * expected.value, rel=0.1)


@pytest.mark.parametrize(
    ("p", "y"),
    [
        ([], []),
        ([0.9, 0.8, 0.7], [1, 1, 1]),
        ([0.9, 0.8, 0.7], [0, 0, 0]),
        ([0.5, 0.5], [1, 0]),
        ([1.0, 1.0, 0.8], [0, 0, 1]),
    ],
)
def test_no_temperature_is_given_where_none_is_best(p: list[float], y: list[float]) -> None:
    assert fit_temperature(p, y) is None


def test_no_line_is_given_where_none_is_best() -> None:
    assert fit_platt([0.9, 0.9], [1, 0]) is None
    assert fit_platt([0.2, 0.9], [0, 1]) is None
    assert fit_platt([], []) is None


def test_scores_of_nothing_are_absent() -> None:
    assert brier_score([], []) is log_loss([], []) is calibration_error([], []) is None
    assert corp([], []) is None
    assert calibration_error_if_perfect([]).value is None


# ----------------------------------------------------------------------------------------------
# reliability


def overconfident(
    seed: int, *, pairs: int = 3000, prompts: int = 300, sharpness: float = 2.0
) -> dict[str, np.ndarray]:
    """A judge whose log-odds are `sharpness` times too large, with up to three votes a pair."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(size=pairs) * 1.2
    p = 1 / (1 + np.exp(-odds))
    cast = rng.integers(0, 4, pairs)
    firsts = rng.binomial(cast, p)
    stated = 1 / (1 + np.exp(-sharpness * odds))
    return {
        "label": np.where(stated > 0.5, 1, -1).astype(np.int8),
        "votes": np.stack([cast - firsts, rng.integers(0, 2, pairs), firsts], axis=1) * 1.0,
        "has_label": np.ones(pairs, bool),
        "cluster": rng.integers(0, prompts, pairs),
        "probability": stated,
        "has_probability": np.ones(pairs, bool),
    }


def figures_of(columns: dict[str, np.ndarray]) -> Reliability:
    return reliability(
        columns["label"],
        columns["votes"],
        has_label=columns["has_label"],
        cluster=columns["cluster"],
        probability=columns["probability"],
        has_probability=columns["has_probability"],
        draws=400,
    )


def test_an_overconfident_judge_is_found_out_and_put_right() -> None:
    found = figures_of(overconfident(0))
    assert found.temperature == pytest.approx(2, abs=0.25)
    assert found.slope is not None
    assert found.slope < 0.75
    assert found.misfit.p is not None
    assert found.misfit.p < 1e-6
    assert found.log_loss_tempered.high is not None
    assert found.log_loss.low is not None
    assert found.log_loss_tempered.high < found.log_loss.low
    assert found.ece.low is not None
    assert found.ece_if_perfect.high is not None
    assert found.ece.low > found.ece_if_perfect.high
    parts = (found.miscalibration, found.discrimination, found.uncertainty)
    assert None not in parts
    assert found.miscalibration - found.discrimination + found.uncertainty == pytest.approx(  # type: ignore[operator]
        found.brier.value
    )


def test_an_honest_judge_is_left_alone() -> None:
    found = figures_of(overconfident(1, sharpness=1.0))
    assert found.temperature == pytest.approx(1, abs=0.15)
    assert found.misfit.p is not None
    assert found.misfit.p > 0.05
    assert found.ece.value is not None
    assert found.ece_if_perfect.high is not None
    assert found.ece.value < 1.5 * found.ece_if_perfect.high


def test_the_misfit_of_honest_judges_is_rarely_claimed_even_in_clusters() -> None:
    claimed = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        # Ten copies of each pair's vote: 60 prompts are worth 60 votes, not 600.
        p = 0.5 + rng.random(60) / 2
        outcome = rng.random(60) < p
        found = reliability(
            np.ones(600, np.int8),
            np.repeat(np.stack([~outcome, outcome & False, outcome], axis=1) * 1.0, 10, axis=0),
            has_label=np.ones(600, bool),
            cluster=np.repeat(np.arange(60), 10),
            probability=np.repeat(p, 10),
            has_probability=np.ones(600, bool),
            draws=10,
        )
        claimed += found.misfit.p is not None and found.misfit.p < 0.05
    assert claimed / 200 < 0.12


def test_the_most_confident_labels_agree_most() -> None:
    coverage = figures_of(overconfident(2)).coverage
    shares = [point.coverage for point in coverage]
    assert shares == pytest.approx([tenth / 10 for tenth in range(1, 11)], abs=1e-3)
    reached = [point.agreement.value for point in coverage]
    assert reached[0] is not None
    assert reached[-1] is not None
    assert reached[0] > reached[-1] + 0.1


def test_labels_of_equal_confidence_are_kept_together() -> None:
    columns = overconfident(3)
    columns["probability"] = np.where(columns["label"] > 0, 0.9, 0.1)
    coverage = figures_of(columns).coverage
    assert [point.coverage for point in coverage] == [1.0]


@given(st.integers(0, 2**32 - 1))
def test_exchanging_the_answers_changes_no_figure(seed: int) -> None:
    one = overconfident(seed, pairs=60, prompts=12)
    rng = np.random.default_rng(seed)
    # Powers of two, whose complements are exact, so that ties in confidence stay ties.
    one["probability"] = rng.integers(0, 65, 60) / 64
    other = {
        **one,
        "label": -one["label"],
        "votes": one["votes"][:, ::-1],
        "probability": 1 - one["probability"],
    }
    assert figures_of(one) == figures_of(other)


def test_without_probabilities_every_figure_says_so() -> None:
    columns = overconfident(0, pairs=4)
    for probability in (None, columns["probability"]):
        found = reliability(
            columns["label"],
            columns["votes"],
            has_label=columns["has_label"],
            cluster=columns["cluster"],
            probability=probability,
            has_probability=None if probability is None else np.zeros(4, bool),
        )
        for figure in (found.brier, found.log_loss, found.ece, found.log_loss_tempered):
            assert (figure.value, figure.why) == (None, NO_PROBABILITIES)
        assert found.misfit.why == NO_PROBABILITIES
        assert (found.curve, found.coverage) == ((), ())


@pytest.mark.parametrize("pairs", [0, 1, 2, 3])
@pytest.mark.parametrize("prompts", [1, 2, 3])
@pytest.mark.parametrize("stated", [0.5, 0.8, 1.0, 0.2])
@pytest.mark.parametrize("vote", [None, [0, 0, 1], [1, 0, 0], [0, 2, 0], [1, 1, 1]])
def test_tiny_samples_give_figures_or_say_why(
    pairs: int, prompts: int, stated: float, vote: list[int] | None
) -> None:
    found = reliability(
        np.ones(pairs, np.int8),
        np.tile([vote or [0, 0, 0]], (pairs, 1)).astype(float),
        has_label=np.ones(pairs, bool),
        cluster=np.arange(pairs) % prompts,
        probability=np.full(pairs, stated),
        has_probability=np.ones(pairs, bool),
        draws=50,
    )
    for name in ("brier", "log_loss", "ece", "ece_if_perfect", "log_loss_tempered"):
        figure = getattr(found, name)
        assert figure.why is not None or figure.low <= figure.value <= figure.high
        assert all(x is None or np.isfinite(x) for x in (figure.value, figure.low, figure.high))
