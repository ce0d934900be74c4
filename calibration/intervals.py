"""Estimates and their uncertainty, clustered by prompt.

Answers to one prompt succeed and fail together, so intervals that treat them as independent are
too narrow (Miller 2024, arXiv 2411.00640). Every interval here takes the cluster of each row.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

ONE_CLUSTER = "one prompt only; an interval needs at least two"
NOTHING = "nothing to count"


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


def _sums(values: Floats, codes: NDArray[np.intp], groups: int) -> Floats:
    return np.bincount(codes, weights=values, minlength=groups).astype(np.float64)
