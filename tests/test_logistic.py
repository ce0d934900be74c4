"""Logistic regression against an established library, and where no regression exists."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.intervals import NOTHING, ONE_CLUSTER, t_quantile
from calibration.logistic import (
    COLLINEAR,
    ONE_CARRIER,
    SEPARATED,
    LogisticFit,
    NoFit,
    average_effect,
    fit_logistic,
    share_of,
)

# Eight prompts of three rows: a number, a yes or no, and a response that is often a half.
NUMBER = [
    0.3, 0.8, 0.3, -1.3, 0.9, 0.4, -0.5, 0.6, 0.4, 0.3, 0.0, 0.5,
    -0.7, -0.2, -0.5, 0.6, 0.0, -0.3, -0.8, -0.3, 0.0, -0.3, 1.3, 1.0,
]  # fmt: skip
YES = [1, 1, 0, 1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 1, 1, 1]
RESPONSE = [
    0.5, 0, 1, 0.5, 1, 0.5, 0.5, 0, 0.5, 0.5, 1, 1, 0, 0.5, 1, 0, 0.5, 1, 0.5, 0.5, 1, 0.5, 1, 1,
]  # fmt: skip
DESIGN = np.column_stack([np.ones(24), NUMBER, YES])
CLUSTER = np.repeat(np.arange(8), 3)


def fitted(design: np.ndarray, response: np.ndarray, cluster: np.ndarray) -> LogisticFit:
    fit = fit_logistic(design, response, cluster)
    assert isinstance(fit, LogisticFit)
    return fit


def test_coefficients_and_clustered_errors_are_those_of_statsmodels() -> None:
    # statsmodels 0.15.0: GLM(Binomial) with cov_type="cluster".
    fit = fitted(DESIGN, np.array(RESPONSE), CLUSTER)
    assert fit.coefficients == pytest.approx([0.35004831, 0.31600432, 0.08131159], abs=1e-7)
    assert fit.covariance is not None
    errors = np.sqrt(np.diag(fit.covariance))
    assert errors == pytest.approx([0.49667238, 0.55423814, 0.75906742], abs=1e-7)


def test_an_average_effect_and_its_error_are_those_of_statsmodels() -> None:
    # statsmodels 0.15.0: Logit(...).get_margeff(dummy=True).
    fit = fitted(DESIGN, np.array(RESPONSE), CLUSTER)
    effect = average_effect(fit, DESIGN, column=2, to=1, from_=0)
    assert effect.value == pytest.approx(0.01928116, abs=1e-7)
    assert effect.low is not None
    assert effect.high is not None
    # The yeses are 12 on 8 prompts: (1 + ... + 3) ** 2 / (1 + ... + 9) prompts' worth.
    by_prompt = np.array(YES).reshape(8, 3).sum(axis=1)
    degrees = round(by_prompt.sum() ** 2 / (by_prompt**2).sum()) - 1
    half = t_quantile(0.95, degrees) * 0.18026977
    assert effect.high - effect.value == pytest.approx(half, abs=1e-6)
    assert effect.value - effect.low == pytest.approx(half, abs=1e-6)


def test_an_intercept_alone_is_the_logit_of_the_mean() -> None:
    fit = fitted(np.ones((24, 1)), np.array(RESPONSE), CLUSTER)
    assert share_of(fit.coefficients)[0] == pytest.approx(np.mean(RESPONSE))


def test_units_change_coefficients_and_nothing_else() -> None:
    scale = np.array([1, 1e6, 1e-4])
    one = fitted(DESIGN, np.array(RESPONSE), CLUSTER)
    other = fitted(DESIGN * scale, np.array(RESPONSE), CLUSTER)
    assert other.coefficients * scale == pytest.approx(one.coefficients)
    assert other.covariance is not None
    assert other.covariance * np.outer(scale, scale) == pytest.approx(one.covariance, rel=1e-6)


@pytest.mark.parametrize(
    ("extra", "response", "why"),
    [
        (np.array(YES) * 2.0, RESPONSE, COLLINEAR),
        (np.zeros(24), RESPONSE, COLLINEAR),
        (1 + 1e-12 * np.arange(24), RESPONSE, COLLINEAR),
        (np.array(NUMBER) ** 2, np.ones(24), SEPARATED),
        (np.array(NUMBER) ** 2, (np.array(NUMBER) > 0.1).astype(float), SEPARATED),
        # Only some rows are certain: three of one kind, all of them yes.
        (np.arange(24) < 3, np.r_[1, 1, 1, RESPONSE[3:]], SEPARATED),
        (np.arange(24) < 3, np.r_[0, 0, 0, RESPONSE[3:]], SEPARATED),
    ],
)
def test_where_no_finite_effect_exists_the_reason_is_told(
    extra: np.ndarray, response: np.ndarray, why: str
) -> None:
    assert fit_logistic(np.column_stack([DESIGN, extra]), response, CLUSTER) == NoFit(why)


def test_halves_are_not_separated_by_what_separates_wins() -> None:
    # As above, but with one tie among the certain rows.
    response = np.r_[1, 0.5, 1, RESPONSE[3:]]
    fit = fitted(np.column_stack([DESIGN, np.arange(24) < 3]), response, CLUSTER)
    assert np.all(np.abs(fit.coefficients) < 10)


def test_no_row_is_no_fit() -> None:
    assert fit_logistic(np.zeros((0, 2)), [], []) == NoFit(NOTHING)


@pytest.mark.parametrize(
    ("prompts", "why"),
    [(1, ONE_CLUSTER), (3, "3 prompts for 3 coefficients; an interval needs at least 4")],
)
def test_too_few_prompts_give_a_value_without_an_interval(prompts: int, why: str) -> None:
    fit = fitted(DESIGN, np.array(RESPONSE), CLUSTER % prompts)
    effect = average_effect(fit, DESIGN, column=1, to=1, from_=0)
    assert effect.value is not None
    assert effect.low is effect.high is None
    assert effect.why == why


def test_an_effect_that_one_prompt_tells_has_no_interval() -> None:
    alone = np.zeros(24)
    alone[:3] = [1, -1, 1]
    design = np.column_stack([DESIGN, alone])
    fit = fitted(design, np.array(RESPONSE), CLUSTER)
    assert average_effect(fit, design, column=3, to=1, from_=0).why == ONE_CARRIER
    assert average_effect(fit, design, column=0, to=1, from_=-1).low is not None


@given(st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_turning_every_row_round_turns_the_effects_round(seed: int) -> None:
    rng = np.random.default_rng(seed)
    response = rng.choice([0, 0.5, 1], 24)
    one, other = (fit_logistic(DESIGN, y, CLUSTER) for y in (response, 1 - response))
    if isinstance(one, NoFit):
        assert one == other
        return
    assert isinstance(other, LogisticFit)
    for column in range(3):
        a, b = (average_effect(f, DESIGN, column=column, to=1, from_=-1) for f in (one, other))
        assert (a.value, a.low, a.high) == pytest.approx(
            [None if x is None else -x for x in (b.value, b.high, b.low)], abs=1e-9
        )


def test_intervals_hold_the_effect_of_a_rare_regressor_as_often_as_they_say() -> None:
    # 3 of 40 prompts carry it; prompts differ in how strongly it acts.
    rng = np.random.default_rng(3)
    drawn = [_rare(rng, prompts=40, carrying=3) for _ in range(300)]
    many = _rare(rng, prompts=8000, carrying=8000)
    truth = fitted(*many).coefficients[2]
    held, counted = 0, 0
    for design, response, cluster in drawn:
        fit = fit_logistic(design, response, cluster)
        if isinstance(fit, NoFit):
            continue
        counted += 1
        effect = average_effect(fit, design, column=2, to=1, from_=0)
        rest = design @ fit.coefficients - design[:, 2] * fit.coefficients[2]
        at_truth = float(np.mean(share_of(rest + truth) - share_of(rest)))
        assert effect.low is not None
        assert effect.high is not None
        held += effect.low <= at_truth <= effect.high
    assert counted > 250
    assert held / counted > 0.9


def _rare(
    rng: np.random.Generator, *, prompts: int, carrying: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    cluster = np.repeat(np.arange(prompts), 10)
    quality = rng.choice([-1.0, 0.0, 1.0], len(cluster))
    own = np.where(cluster < carrying, rng.choice([-1.0, 1.0], len(cluster)), 0.0)
    logits = 0.3 + 1.2 * quality + (0.4 + 0.6 * rng.normal(size=prompts)[cluster]) * own
    response = (rng.random(len(cluster)) < share_of(logits)).astype(float)
    return np.column_stack([np.ones(len(cluster)), quality, own]), response, cluster
