"""Whether a judge favours answers of its own family, beyond what errors of judging explain."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.agreement import Codes, Index, Mask
from calibration.intervals import (
    Estimate,
    Floats,
    cluster_codes,
    clustered_proportion,
    wilson,
)

NO_FAMILIES = "the families of the judge and of the answers are not known"
NO_OWN = "no pair sets an answer of the judge's own family against another's"
_NO_OWN_BETTER = "no decided pair where people prefer the answer of the judge's own family"
_NO_OWN_WORSE = "no decided pair where people prefer the answer of another family"
_NO_CONTROL = "no decided pair of two other families' answers where people see an equal gap"
_GAP_BINS = 3


@dataclass(frozen=True)
class DecidedPairs:
    """Pairs that judge and people decide, ties left out; every column has shape (n,)."""

    label: Codes
    """The judge's, 1 for the first answer, -1 for the second."""
    humans: Floats
    """Mean of the votes, in [-1, 1] without 0: above 0 for the first answer."""
    own: Codes
    """1 where only the first answer is of the judge's family, -1 where only the second is."""
    is_control: Mask
    """Both answers are of other families."""
    cluster: Index


@dataclass(frozen=True)
class _Rate:
    """A proportion and the part of each cluster in its error, shape (G,)."""

    estimate: Estimate
    shares: Floats


def newcombe_difference(
    hits: int, n: int, other_hits: int, other_n: int, *, level: float = 0.95
) -> Estimate:
    """Return hits / n - other_hits / other_n for independent counts, with Newcombe's interval.

    Method 10 of Newcombe 1998: the Wilson intervals of both proportions, combined. The `n` of the
    estimate counts both.
    """
    from scipy.special import ndtri

    quantile = float(ndtri((1 + level) / 2))
    a, b = hits / n, other_hits / other_n
    (a_low, a_high), (b_low, b_high) = (
        wilson(a, n, quantile=quantile),
        wilson(b, other_n, quantile=quantile),
    )
    return _combined(Estimate(a, a_low, a_high, n), Estimate(b, b_low, b_high, other_n), r=0.0)


def equal_opportunity(pairs: DecidedPairs, *, level: float = 0.95) -> Estimate:
    """Return P(picks own | people prefer own) - P(picks the other | people prefer the other).

    0 where the judge finds the better answer as often on both sides, above it where it favours its
    own family (Wataoka et al. 2024, arXiv 2410.21819). It is also how much more often the judge
    errs for its own than against it, so a weaker family is enough to move it: read
    `beyond_control` beside it.
    """
    codes, groups = cluster_codes(pairs.cluster)
    is_hit = pairs.label == np.sign(pairs.humans)
    own_better = pairs.own * pairs.humans > 0
    own_worse = pairs.own * pairs.humans < 0
    found_own = _rate(is_hit, own_better, codes, groups, level=level, empty=_NO_OWN_BETTER)
    found_other = _rate(is_hit, own_worse, codes, groups, level=level, empty=_NO_OWN_WORSE)
    return _difference(found_own, found_other)


def beyond_control(pairs: DecidedPairs, *, level: float = 0.95) -> Estimate:
    """Return P(errs for its own answer) - P(errs for an equally worse one of another family).

    The control is how often the judge picks the worse of two answers of other families, over
    pairs whose votes show the same gaps as those where its own answer is the worse. It is what
    hard pairs and noisy votes explain without any self-preference (the evaluator quality baseline
    of arXiv 2601.22548); what is left may be called one.
    """
    codes, groups = cluster_codes(pairs.cluster)
    is_error = pairs.label != np.sign(pairs.humans)
    own_worse = pairs.own * pairs.humans < 0
    gap = np.clip(np.ceil(np.abs(pairs.humans) * _GAP_BINS - 1e-9), 1, _GAP_BINS).astype(np.intp)
    own_gaps = np.bincount(gap[own_worse], minlength=_GAP_BINS + 1)
    control_gaps = np.bincount(gap[pairs.is_control], minlength=_GAP_BINS + 1)
    is_matched = ((own_gaps > 0) & (control_gaps > 0))[gap]
    weights = own_gaps[gap] / np.maximum(control_gaps, 1)[gap]
    for_own = _rate(
        is_error, own_worse & is_matched, codes, groups, level=level,
        empty=_NO_CONTROL if own_worse.any() else _NO_OWN_WORSE,
    )  # fmt: skip
    for_others = _rate(
        is_error, pairs.is_control & is_matched, codes, groups, level=level, empty=_NO_CONTROL,
        weights=weights,
    )  # fmt: skip
    return _difference(for_own, for_others)


def _rate(
    hits: Mask,
    rows: Mask,
    codes: NDArray[np.intp],
    groups: int,
    *,
    level: float,
    empty: str,
    weights: Floats | None = None,
) -> _Rate:
    values, cluster = hits[rows].astype(np.float64), codes[rows]
    size = np.ones(len(values)) if weights is None else weights[rows]
    # Unequal weights are worth fewer pairs than there are (Kish).
    worth = size * (size.sum() / max(float(size @ size), 1e-12))
    found = clustered_proportion(
        values * worth, cluster, size=worth, level=level, empty=empty
    ).estimate
    if found.value is None:
        return _Rate(found, np.zeros(groups))
    residuals = worth * (values - found.value) / worth.sum()
    shares = np.bincount(cluster, weights=residuals, minlength=groups).astype(np.float64)
    return _Rate(replace(found, n=len(values)), shares)


def _difference(a: _Rate, b: _Rate) -> Estimate:
    """The difference of two rates on different pairs, some of which share prompts."""
    scale = float(np.sqrt((a.shares @ a.shares) * (b.shares @ b.shares)))
    r = float(np.clip(a.shares @ b.shares / scale, -1, 1)) if scale > 0 else 0.0
    return _combined(a.estimate, b.estimate, r=r)


def _combined(a: Estimate, b: Estimate, *, r: float) -> Estimate:
    """Two intervals as that of the difference (MOVER: Zou and Donner 2008)."""
    if a.value is None or b.value is None:
        return Estimate(None, None, None, 0, a.why if a.value is None else b.why)
    value, n = a.value - b.value, a.n + b.n
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return Estimate(value, None, None, n, a.why or b.why)
    low = value - _span(a.value - a.low, b.high - b.value, r)
    high = value + _span(a.high - a.value, b.value - b.low, r)
    return Estimate(value, max(-1.0, low), min(1.0, high), n)


def _span(this: float, other: float, r: float) -> float:
    return float(np.sqrt(max(0.0, this**2 - 2 * r * this * other + other**2)))
