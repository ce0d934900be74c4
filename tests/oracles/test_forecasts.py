"""Recalibration and scores of probabilities beside scikit-learn and statsmodels."""

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from calibration.recalibration import calibration_ratio, fit_platt, fit_temperature, tempered
from calibration.scoring import brier_score, corp, isotonic, log_loss, logits

SEEDS = range(15)
Columns = tuple[NDArray[np.float64], NDArray[np.float64]]


def forecasts(seed: int, *, n: int = 600) -> Columns:
    """Over-confident probabilities and what happened."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(0.5, 1, size=n)
    sharp = 1 / (1 + np.exp(-2.2 * honest))
    happened = rng.random(n) < 1 / (1 + np.exp(-honest))
    return np.clip(sharp, 0.001, 0.999), happened.astype(np.float64)


@pytest.mark.parametrize("seed", SEEDS)
def test_isotonic_regression_with_weights_is_that_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.integers(0, 60, size=300) / 59
    size = rng.integers(1, 5, size=300)
    y = rng.binomial(size, p**1.5) / size
    theirs = IsotonicRegression().fit(p, y, sample_weight=size).predict(p)
    assert isotonic(p, y, size=size).fitted == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_platt_scaling_is_an_unpenalised_logistic_regression(seed: int) -> None:
    p, y = forecasts(seed)
    ours = fit_platt(p, y)
    assert ours is not None
    theirs = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000, solver="newton-cholesky").fit(
        logits(p)[:, None], y
    )
    found = (theirs.coef_[0, 0], theirs.intercept_[0])
    assert (ours.slope, ours.intercept) == pytest.approx(found, abs=1e-5)
    exact = sm.Logit(y, sm.add_constant(logits(p))).fit(disp=0, tol=1e-14)
    assert (ours.intercept, ours.slope) == pytest.approx(tuple(exact.params), abs=1e-7)
    null = -600 * sklearn_log_loss(y, p)
    assert calibration_ratio(p, y, ours) == pytest.approx(2 * (exact.llf - null), abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_temperature_is_one_over_the_slope_of_a_regression_through_zero(seed: int) -> None:
    p, y = forecasts(seed)
    theirs = sm.Logit(y, logits(p)).fit(disp=0, tol=1e-14)
    temperature = fit_temperature(p, y)
    assert temperature == pytest.approx(1 / theirs.params[0], abs=1e-7)
    assert temperature is not None
    assert tempered(p, temperature) == pytest.approx(theirs.predict(), abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_scores_are_those_of_scikit_learn(seed: int) -> None:
    p, y = forecasts(seed)
    assert brier_score(p, y) == pytest.approx(brier_score_loss(y, p), abs=1e-12)
    assert log_loss(p, y) == pytest.approx(sklearn_log_loss(y, p), abs=1e-9)
    parts = corp(p, y)
    assert parts is not None
    best = brier_score_loss(y, IsotonicRegression().fit(p, y).predict(p))
    assert parts.miscalibration == pytest.approx(brier_score_loss(y, p) - best, abs=1e-12)
    assert parts.discrimination == pytest.approx(y.var() - best, abs=1e-12)
