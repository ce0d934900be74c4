"""Estimates and their uncertainty, clustered by prompt.

Answers to one prompt succeed and fail together, so intervals that treat them as independent are
too narrow (Miller 2024, arXiv 2411.00640). Every interval here takes the cluster of each row.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

ONE_CLUSTER = "one prompt only; an interval needs at least two"
NOTHING = "nothing to count"

_BCA_BELOW = 200
"""Clusters from which the percentile interval is as good as BCa, and cheaper."""
_CELLS_PER_BATCH = 4_000_000
"""Bootstrap weights held at a time: 32 MB."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval; `value`, or `low` and `high`, are None where `why` says so."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    """What was counted: votes, pairs, judgments; never the number of prompts."""
    why: str | None = None

    def as_dict(self) -> dict[str, float | int | None]:
        """The figure as JSON; the reason of an absence is told apart from the numbers."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}

    def complement(self) -> "Estimate":
        """The estimate of `1 - x`."""
        value, high, low = (None if x is None else 1 - x for x in (self.value, self.low, self.high))
        return Estimate(value, low, high, self.n, self.why)

    def rescaled(self, scale: float, shift: float) -> "Estimate":
        """The estimate of `shift + scale * x`; `scale` is not negative."""
        value, low, high = (
            None if x is None else shift + scale * x for x in (self.value, self.low, self.high)
        )
        return Estimate(value, low, high, self.n, self.why)


@dataclass(frozen=True)
class ClusteredProportion:
    """A proportion with what clustering does to its error; all but `estimate` may be None."""

    estimate: Estimate
    n_clusters: int
    se_iid: float | None = None
    se_cr0: float | None = None
    """Cluster-robust standard error."""
    se_cr1: float | None = None
    """The same with the small-sample factor G / (G - 1)."""
    deff: float | None = None
    """Design effect: variance over that of n independent items, unbounded either way."""
    n_eff: float | None = None
    """Independent yes-or-no items worth as much; at most n where the rows are yes or no."""
    icc: float | None = None
    """Intraclass correlation, analysis of variance estimator."""


def cluster_codes(cluster: ArrayLike) -> tuple[NDArray[np.intp], int]:
    """Return codes 0..G-1 of the clusters, shape (n,), and G."""
    names, codes = np.unique(np.asarray(cluster), return_inverse=True)
    return codes.reshape(-1).astype(np.intp), len(names)


def wilson(p: float, n: float, *, quantile: float) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion `p` out of `n` (Wilson 1927).

    `quantile` is that of the normal or t distribution; both ends lie in [0, 1] around `p`.
    """
    spread = quantile**2 / n
    centre = (p + spread / 2) / (1 + spread)
    half = float(np.sqrt(p * (1 - p) * spread + spread**2 / 4)) / (1 + spread)
    return max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half))


def clustered_proportion(
    values: ArrayLike,
    cluster: ArrayLike,
    *,
    size: ArrayLike | None = None,
    level: float = 0.95,
    empty: str = NOTHING,
) -> ClusteredProportion:
    """Return the mean of values in [0, 1] with its interval clustered by prompt.

    `values` and `cluster` have shape (n,). With `size`, a row stands for that many yes-or-no
    items of which `values` are yes; rows of size 0 are ignored. `empty` is the reason given when
    there is nothing to count. The interval is Wilson's with the effective sample size and the
    t(G - 1) quantile: of six intervals simulated it kept closest to its level on few prompts.
    """
    x = np.asarray(values, dtype=np.float64)
    m = np.ones(len(x)) if size is None else np.asarray(size, dtype=np.float64)
    kept = m > 0
    x, m = x[kept], m[kept]
    codes, groups = cluster_codes(np.asarray(cluster)[kept])
    n = float(m.sum())
    if not n:
        return ClusteredProportion(Estimate(None, None, None, 0, empty), 0)
    yes, sizes = _sums(x, codes, groups), _sums(m, codes, groups)
    p = min(1.0, float(yes.sum()) / n)
    if groups == 1:
        return ClusteredProportion(Estimate(p, None, None, round(n), ONE_CLUSTER), 1)
    squares = float(x @ x) if size is None else float(x.sum())
    return _proportion(p, yes, sizes, squares=squares, level=level)


def clustered_difference(
    plus: ArrayLike,
    minus: ArrayLike,
    cluster: ArrayLike,
    *,
    level: float = 0.95,
    empty: str = NOTHING,
) -> Estimate:
    """Return mean(plus) - mean(minus) over the same items, values in [0, 1], clustered.

    Combines the two proportions' intervals with their correlation (MOVER: Zou and Donner 2008),
    so that it keeps a width where neither event was seen.
    """
    a = clustered_proportion(plus, cluster, level=level, empty=empty).estimate
    b = clustered_proportion(minus, cluster, level=level, empty=empty).estimate
    if a.value is None or b.value is None:
        return a
    value = a.value - b.value
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return Estimate(value, None, None, a.n, a.why)
    codes, groups = cluster_codes(cluster)
    sizes = _sums(np.ones(len(codes)), codes, groups)
    residual_a = _sums(np.asarray(plus, dtype=np.float64), codes, groups) - a.value * sizes
    residual_b = _sums(np.asarray(minus, dtype=np.float64), codes, groups) - b.value * sizes
    scale = float(np.sqrt((residual_a @ residual_a) * (residual_b @ residual_b)))
    r = float(np.clip(residual_a @ residual_b / scale, -1, 1)) if scale > 0 else 0.0
    low = value - _mover(a.value - a.low, b.high - b.value, r)
    high = value + _mover(a.high - a.value, b.value - b.low, r)
    return Estimate(value, max(-1.0, low), min(1.0, high), a.n)


def cluster_bootstrap(
    sums: ArrayLike,
    statistic: Callable[[Floats], Floats],
    *,
    n: int,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Return a statistic of summed counts with its interval from resampled clusters.

    `sums` holds each cluster's sufficient statistics, shape (G, K); `statistic` maps totals of
    shape (draws, K) to values of shape (draws,), NaN where it is not defined. BCa (Efron 1987)
    below 200 clusters, percentile from there. No interval where resampling cannot give one:
    a single cluster, a value that never varies, or one undefined in half of the draws.
    """
    return cluster_bootstraps(
        sums, lambda totals: statistic(totals)[:, None], n=n, level=level, draws=draws, seed=seed
    )[0]


def cluster_bootstraps(
    sums: ArrayLike,
    statistics: Callable[[Floats], Floats],
    *,
    n: int,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
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
    return tuple(
        _bootstrapped(float(value), column, left, n=n, level=level)
        for value, column, left in zip(values, drawn.T, left_out.T, strict=True)
    )


def t_quantile(level: float, degrees: int) -> float:
    """Return the two-sided quantile of Student's t at `level`."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + level) / 2))


def _proportion(
    p: float, yes: Floats, sizes: Floats, *, squares: float, level: float
) -> ClusteredProportion:
    groups, n = len(sizes), float(sizes.sum())
    residuals = yes - p * sizes
    variance = float(residuals @ residuals) / n**2
    independent = max(0.0, squares / n - p**2) / n
    # A variance below that of independent rows is luck of few prompts, never more information.
    # Rows that are all alike cannot show how alike a prompt's items are: they count as copies of
    # each other, the worst case, so that certainty is never invented.
    alike = independent * n < 1e-12
    worst = n**2 / float(sizes @ sizes)
    n_eff = worst if alike else p * (1 - p) / max(variance, independent)
    low, high = wilson(p, n_eff, quantile=t_quantile(level, groups - 1))
    return ClusteredProportion(
        Estimate(p, low, high, round(n)),
        n_clusters=groups,
        se_iid=float(np.sqrt(independent)),
        se_cr0=float(np.sqrt(variance)),
        se_cr1=float(np.sqrt(variance * groups / (groups - 1))),
        deff=None if alike else variance / independent,
        n_eff=n_eff,
        icc=_icc(p, yes, sizes, squares=squares),
    )


def _icc(p: float, yes: Floats, sizes: Floats, *, squares: float) -> float | None:
    groups, n = len(sizes), float(sizes.sum())
    if n <= groups:
        return None
    within = (squares - float(np.sum(yes**2 / sizes))) / (n - groups)
    between = float(np.sum((yes - p * sizes) ** 2 / sizes)) / (groups - 1)
    typical = (n - float(sizes @ sizes) / n) / (groups - 1)
    total = between + (typical - 1) * within
    return (between - within) / total if total > 0 else None


def _mover(this: float, other: float, r: float) -> float:
    return float(np.sqrt(max(0.0, this**2 - 2 * r * this * other + other**2)))


def _not_resampled(value: float, groups: int, n: int) -> Estimate:
    if not groups or not np.isfinite(value):
        return Estimate(None, None, None, n, "not defined on these counts" if groups else NOTHING)
    return Estimate(value, None, None, n, ONE_CLUSTER)


def _bootstrapped(
    value: float, drawn: Floats, left_out: Floats, *, n: int, level: float
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
        tails = _bca_tails(value, drawn, left_out[np.isfinite(left_out)], tails)
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


def _bca_tails(value: float, drawn: Floats, left_out: Floats, tails: Floats) -> Floats:
    from scipy.special import ndtr, ndtri

    # Draws that equal the value but for rounding count half, whichever way the rounding went.
    below = np.heaviside(np.round(value - drawn, 12), 0.5).mean()
    bias = ndtri(np.clip(below, 0.5 / len(drawn), 1 - 0.5 / len(drawn)))
    spread = (left_out.mean() if len(left_out) else 0.0) - left_out
    scale = 6 * np.sum(spread**2) ** 1.5
    acceleration = np.sum(spread**3) / scale if scale > 0 else 0.0
    z = bias + ndtri(tails)
    return np.asarray(ndtr(bias + z / (1 - acceleration * z)), dtype=np.float64)


def _sums(values: Floats, codes: NDArray[np.intp], groups: int) -> Floats:
    return np.bincount(codes, weights=values, minlength=groups).astype(np.float64)
