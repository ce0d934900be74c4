"""Standard errors and intervals of proportions beside statsmodels and scipy."""

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from calibration.bootstrap import cluster_bootstrap
from calibration.certificates import clopper_pearson_bound, posterior_probability
from calibration.intervals import clustered_difference, clustered_proportion, t_quantile, wilson
from calibration.self_preference import newcombe_difference

SEEDS = range(20)


def clustered_rows(seed: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Yes or no on prompts of unequal size that succeed and fail together."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 9, size=int(rng.integers(5, 60)))
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    share = rng.beta(3, 1, size=len(sizes))[cluster]
    return (rng.random(len(cluster)) < share).astype(np.float64), cluster


@pytest.mark.parametrize("seed", SEEDS)
def test_clustered_standard_errors_are_those_of_a_regression_on_a_constant(seed: int) -> None:
    values, cluster = clustered_rows(seed)
    ours = clustered_proportion(values, cluster)
    fits = [
        sm.OLS(values, np.ones(len(values))).fit(
            cov_type="cluster", cov_kwds={"groups": cluster, "use_correction": corrected}
        )
        for corrected in (False, True)
    ]
    n, groups = len(values), len(np.unique(cluster))
    assert ours.estimate.value == pytest.approx(fits[0].params[0], abs=1e-12)
    assert ours.se_cr0 == pytest.approx(fits[0].bse[0], rel=1e-9)
    # Its correction has a factor (n - 1) / (n - k) too, which is 1 for a constant alone.
    assert ours.se_cr1 == pytest.approx(fits[1].bse[0], rel=1e-9)
    assert (ours.estimate.n, ours.n_clusters) == (n, groups)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_intraclass_correlation_is_that_of_the_analysis_of_variance(seed: int) -> None:
    values, cluster = clustered_rows(seed)
    ours = clustered_proportion(values, cluster)
    sizes = np.bincount(cluster)
    groups, n = len(sizes), len(values)
    dummies = (cluster[:, None] == np.arange(groups)).astype(np.float64)
    fit = sm.OLS(values, dummies).fit()
    between = (np.sum((values - values.mean()) ** 2) - fit.ssr) / (groups - 1)
    within = fit.ssr / (n - groups)
    typical = (n - np.sum(sizes**2) / n) / (groups - 1)
    assert ours.icc == pytest.approx(
        (between - within) / (between + (typical - 1) * within), abs=1e-9
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_wilson_is_that_of_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 500))
    k = int(rng.integers(0, n + 1))
    quantile = float(stats.norm.ppf(0.975))
    theirs = proportion_confint(k, n, method="wilson")
    assert wilson(k / n, n, quantile=quantile) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_clopper_pearson_bound_is_that_of_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 500))
    k = int(rng.integers(0, n + 1))
    low, _ = proportion_confint(k, n, alpha=0.1, method="beta")
    assert clopper_pearson_bound(k, n, confidence=0.95) == pytest.approx(low, abs=1e-12)
    target = float(rng.random())
    theirs = stats.beta.sf(target, 1 + k, 1 + n - k)
    assert posterior_probability(k, n, target=target) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_newcombes_difference_is_that_of_statsmodels(seed: int) -> None:
    from statsmodels.stats.proportion import confint_proportions_2indep

    rng = np.random.default_rng(seed)
    n, m = (int(x) for x in rng.integers(5, 200, size=2))
    k, j = int(rng.integers(0, n + 1)), int(rng.integers(0, m + 1))
    ours = newcombe_difference(k, n, j, m)
    theirs = confint_proportions_2indep(k, n, j, m, compare="diff", method="newcomb")
    assert (ours.low, ours.high) == pytest.approx(theirs, abs=1e-9)


def test_quantiles_of_students_t_are_those_of_scipy_stats() -> None:
    for degrees in (1, 2, 7, 41, 4999):
        for level in (0.8, 0.9, 0.95, 0.99):
            theirs = stats.t.ppf((1 + level) / 2, degrees)
            assert t_quantile(level, degrees) == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_a_clustered_difference_is_as_wide_as_the_regression_says_on_many_prompts(
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(400), 5)
    share = rng.beta(3, 2, size=400)[cluster]
    plus = (rng.random(2000) < share).astype(np.float64)
    minus = (rng.random(2000) < 0.8 * share).astype(np.float64)
    ours = clustered_difference(plus, minus, cluster)
    fit = sm.OLS(plus - minus, np.ones(2000)).fit(
        cov_type="cluster", cov_kwds={"groups": cluster}, use_t=True
    )
    [[low, high]] = fit.conf_int()
    assert ours.value == pytest.approx(fit.params[0], abs=1e-12)
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.002)


@pytest.mark.parametrize("groups", [8, 40, 300])
def test_the_cluster_bootstrap_is_that_of_scipy(groups: int) -> None:
    """Other random numbers, so the ends agree to within what draws leave open."""
    rng = np.random.default_rng(groups)
    sizes = rng.integers(2, 8, size=groups)
    yes = sizes * rng.beta(3, 1, size=groups)  # shares, lest few values tie with each other
    ours = cluster_bootstrap(
        np.stack([yes, sizes], axis=1), lambda totals: totals[:, 0] / totals[:, 1],
        n=int(sizes.sum()), draws=20_000, is_expanded=False,
    )  # fmt: skip
    theirs = stats.bootstrap(
        (yes, sizes), lambda s, n, axis: s.sum(axis=axis) / n.sum(axis=axis),
        paired=True, vectorized=True, n_resamples=20_000, rng=np.random.default_rng(1),
        method="BCa" if groups < 200 else "percentile",
    ).confidence_interval  # fmt: skip
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=0.012)
