"""Intervals of any statistic of counts, by resampling prompts."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from calibration.intervals import NOTHING, ONE_CLUSTER, Estimate, Floats

_BCA_BELOW = 200
"""Clusters from which the percentile interval is as good as BCa, and cheaper."""
_CELLS_PER_BATCH = 4_000_000
"""Bootstrap weights held at a time: 32 MB."""


def cluster_bootstrap(
    sums: ArrayLike,
    statistic: Callable[[Floats], Floats],
    *,
    n: int,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    is_expanded: bool = True,
) -> Estimate:
    """Return a statistic of summed counts with its interval from resampled clusters.

    `sums` holds each cluster's sufficient statistics, shape (G, K); `statistic` maps totals of
    shape (draws, K) to values of shape (draws,), NaN where it is not defined. BCa (Efron 1987)
    below 200 clusters, percentile from there. No interval where resampling cannot give one:
    a single cluster, a value that never varies, or one undefined in half of the draws. BCa takes
    quantiles of t in place of the normal's (Hesterberg 2015, arXiv 1411.5279: few clusters make it
    too short), unless `is_expanded` is False.
    """
    return cluster_bootstraps(
        sums,
        lambda totals: statistic(totals)[:, None],
        n=n,
        level=level,
        draws=draws,
        seed=seed,
        is_expanded=is_expanded,
    )[0]


def cluster_bootstraps(
    sums: ArrayLike,
    statistics: Callable[[Floats], Floats],
    *,
    n: int,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    is_expanded: bool = True,
) -> tuple[Estimate, ...]:
    """Return several statistics of the same resamples, each as `cluster_bootstrap` gives it.

    `statistics` maps totals of shape (draws, K) to values of shape (draws, S).
    """
    table = np.asarray(sums, dtype=np.float64)
    groups = len(table)
    total = table.sum(axis=0, keepdims=True)
    values = statistics(total)[0]
    if groups < 2:
        return tuple(_not_resampled(float(value), groups, n) for value in values)
    drawn = statistics(_resampled_totals(table, draws=draws, seed=seed))
    left_out = statistics(total - table) if groups < _BCA_BELOW else np.empty((0, len(values)))
    degrees = groups - 1 if is_expanded else None
    return tuple(
        _bootstrapped(float(value), column, left, n=n, level=level, degrees=degrees)
        for value, column, left in zip(values, drawn.T, left_out.T, strict=True)
    )


def _not_resampled(value: float, groups: int, n: int) -> Estimate:
    if not groups or not np.isfinite(value):
        return Estimate(None, None, None, n, "not defined on these counts" if groups else NOTHING)
    return Estimate(value, None, None, n, ONE_CLUSTER)


def _bootstrapped(
    value: float, drawn: Floats, left_out: Floats, *, n: int, level: float, degrees: int | None
) -> Estimate:
    """The estimate from draws, by BCa where there are values with each cluster left out."""
    if not np.isfinite(value):
        return _not_resampled(value, 2, n)
    draws, drawn = len(drawn), drawn[np.isfinite(drawn)]
    if len(drawn) * 2 < draws:
        return Estimate(value, None, None, n, "not defined on most resamples of the prompts")
    if np.ptp(drawn) < 1e-12:
        return Estimate(value, None, None, n, "every resample of the prompts gives this value")
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    if len(left_out):
        known = left_out[np.isfinite(left_out)]
        tails = _bca_tails(value, drawn, known, tails, degrees=degrees)
    low, high = (float(q) for q in np.quantile(drawn, tails))
    return Estimate(value, min(low, value), max(high, value), n)


def _resampled_totals(table: Floats, *, draws: int, seed: int) -> Floats:
    # Drawing indices and counting them is the multinomial, without a binomial per cluster.
    rng = np.random.default_rng(seed)
    groups = len(table)
    totals = np.empty((draws, table.shape[1]))
    step = max(1, _CELLS_PER_BATCH // groups)
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        drawn = rng.integers(0, groups, size=(rows, groups))
        drawn += np.arange(rows)[:, None] * groups
        weights = np.bincount(drawn.ravel(), minlength=rows * groups).reshape(rows, groups)
        totals[start : start + rows] = weights.astype(np.float64) @ table
    return totals


def _bca_tails(
    value: float, drawn: Floats, left_out: Floats, tails: Floats, *, degrees: int | None
) -> Floats:
    from scipy.special import ndtr, ndtri, stdtrit

    # Draws that equal the value but for rounding count half, whichever way the rounding went.
    below = np.heaviside(np.round(value - drawn, 12), 0.5).mean()
    bias = ndtri(np.clip(below, 0.5 / len(drawn), 1 - 0.5 / len(drawn)))
    spread = (left_out.mean() if len(left_out) else 0.0) - left_out
    scale = 6 * np.sum(spread**2) ** 1.5
    acceleration = np.sum(spread**3) / scale if scale > 0 else 0.0
    z = bias + (ndtri(tails) if degrees is None else stdtrit(degrees, tails))
    return np.asarray(ndtr(bias + z / (1 - acceleration * z)), dtype=np.float64)
