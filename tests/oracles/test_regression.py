"""Logistic regression with clustered errors beside statsmodels."""

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import stats

from calibration.logistic import LogisticFit, NoFit, average_effect, fit_logistic

SEEDS = range(15)
Columns = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]


def random_rows(seed: int, *, outcomes: tuple[float, ...] = (0.0, 1.0)) -> Columns:
    """A constant, a number and a yes-or-no, with prompts that lean one way or the other."""
    rng = np.random.default_rng(seed)
    groups = int(rng.integers(25, 80))
    cluster = np.repeat(np.arange(groups), rng.integers(1, 7, size=groups))
    n = len(cluster)
    design = np.column_stack([np.ones(n), rng.normal(size=n), rng.integers(0, 2, size=n)])
    logits = design @ [0.2, 0.7, -0.5] + rng.normal(0, 0.8, size=groups)[cluster]
    draws = rng.random(n) < 1 / (1 + np.exp(-logits))
    response = np.where(draws, max(outcomes), min(outcomes))
    if len(outcomes) > 2:
        response = np.where(rng.random(n) < 0.2, outcomes[1], response)
    return design, response, cluster


def fitted(columns: Columns) -> LogisticFit:
    fit = fit_logistic(*columns)
    assert not isinstance(fit, NoFit)
    return fit


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("outcomes", [(0.0, 1.0), (0.0, 0.5, 1.0)])
def test_coefficients_and_clustered_covariance_are_those_of_statsmodels(
    seed: int, outcomes: tuple[float, ...]
) -> None:
    design, response, cluster = columns = random_rows(seed, outcomes=outcomes)
    ours = fitted(columns)
    theirs = sm.GLM(response, design, family=sm.families.Binomial()).fit(
        tol=1e-14, cov_type="cluster", cov_kwds={"groups": cluster}
    )
    assert ours.coefficients == pytest.approx(theirs.params, abs=1e-7)
    assert ours.covariance is not None
    assert ours.covariance == pytest.approx(theirs.cov_params(), rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_average_marginal_effects_are_those_of_statsmodels(seed: int) -> None:
    design, response, cluster = columns = random_rows(seed)
    fit = fitted(columns)
    theirs = sm.Logit(response, design).fit(
        disp=0, method="newton", tol=1e-14, cov_type="cluster", cov_kwds={"groups": cluster}
    )
    margins = theirs.get_margeff(dummy=True)
    ours = average_effect(fit, design, column=2, to=1.0, from_=0.0)
    assert ours.value == pytest.approx(margins.margeff[1], abs=1e-8)
    assert ours.low is not None
    assert ours.high is not None
    degrees = max(1, round(float(fit.carriers[2])) - 1)
    half = stats.t.ppf(0.975, degrees) * margins.margeff_se[1]
    assert (ours.high - ours.low) / 2 == pytest.approx(half, rel=1e-5)
