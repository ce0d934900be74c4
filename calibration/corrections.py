"""What remains of an agreement after chance: (observed - chance) / (1 - chance).

The coefficients differ in what they credit and in what they expect of chance alone. Everything
here takes a stack of r tables, so that a table and all its resamples are one call. Weights (K, K)
hold the credit of two ratings, 1 where they are equal. Krippendorff's distances are weights too:
credit is 1 less the distance over the largest one, a scale that cancels out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from calibration.bootstrap import cluster_bootstraps
from calibration.intervals import ONE_CLUSTER, Estimate, Floats, clustered_proportion

_NOTHING_LEFT = 1e-9
"""Sums below are what rounding leaves where resampling took everything away."""


@dataclass(frozen=True)
class Corrected:
    """One coefficient of r tables."""

    couples: Floats
    """Shape (r, K, K), of any scale: how often a rating (row) meets another (column)."""
    credit: Floats
    """Shape (K, K) or (r, K, K)."""
    chance: Floats
    """Shape (r,): the credit expected of chance alone."""

    def values(self) -> Floats:
        """The coefficient, shape (r,); NaN where chance explains everything or nothing is rated."""
        total = self.couples.sum(axis=(1, 2))
        rated = total > _NOTHING_LEFT
        observed = (self.couples * self.credit).sum(axis=(1, 2)) / np.where(rated, total, 1)
        room = 1 - self.chance
        undefined = np.full(len(total), np.nan)
        defined = rated & (room > 1e-12)
        values = np.divide(observed - self.chance, room, out=undefined, where=defined)
        return np.asarray(np.minimum(values, 1))

    def value(self) -> float | None:
        """The coefficient of the first table; None where not defined."""
        value = float(self.values()[0])
        return value if np.isfinite(value) else None


Family = Callable[[Floats], Mapping[str, Corrected]]
"""From sums (r, S) of any clusters to coefficients by name."""


def linear_weights(categories: int) -> Floats:
    """Return the credit 1 - |k - l| / (K - 1) of ordered categories, shape (K, K)."""
    return 1 - _steps(categories)


def quadratic_weights(categories: int) -> Floats:
    """Return the credit 1 - (k - l)^2 / (K - 1)^2 of ordered categories, shape (K, K)."""
    return 1 - _steps(categories) ** 2


def ordinal_weights(ratings: ArrayLike) -> Floats:
    """Return Krippendorff's ordinal metric as credit, shape (..., K, K).

    `ratings` (..., K) counts the ratings of each category, in their order: two categories are as
    far apart as the ranks of their ratings. Gwet's weights of the same name are something else.
    """
    counts = np.asarray(ratings, dtype=np.float64)
    rank = np.cumsum(counts, axis=-1) - counts / 2
    apart = rank[..., :, None] - rank[..., None, :]
    largest = np.abs(apart).max(axis=(-2, -1), keepdims=True, initial=0)
    return np.asarray(1 - (apart / np.where(largest > 0, largest, 1)) ** 2)


def credit_of(weights: ArrayLike | None, categories: int) -> Floats:
    """Return weights as an array (K, K), the identity for None; ValueError for another shape."""
    credit = np.eye(categories) if weights is None else np.asarray(weights, dtype=np.float64)
    if credit.shape != (categories, categories):
        raise ValueError(
            f"weights have shape {credit.shape}, expected ({categories}, {categories})"
        )
    return credit


def cohen(tables: Floats, credit: Floats, *, asymmetry: float = 0.0) -> Corrected:
    """Return Cohen's kappa (1960; weighted 1968): each rater has habits of its own.

    `asymmetry` is subtracted from the chance of every table (`calibration.couples`).
    """
    rows, columns = _shares(tables.sum(axis=2)), _shares(tables.sum(axis=1))
    return Corrected(tables, credit, _expected(rows, columns, credit) - asymmetry)


def scott(couples: Floats, ratings: Floats, credit: Floats) -> Corrected:
    """Return Scott's pi (1955) and Fleiss' kappa (1971): all raters share one habit.

    `ratings` (r, K) say how often each category is used.
    """
    shares = _shares(ratings)
    return Corrected(couples, credit, _expected(shares, shares, credit))


def brennan_prediger(couples: Floats, credit: Floats) -> Corrected:
    """Return Brennan and Prediger's coefficient (1981): by chance all categories are alike."""
    return Corrected(couples, credit, np.full(len(couples), credit.mean() if credit.size else 1.0))


def gwet(couples: Floats, ratings: Floats, credit: Floats) -> Corrected:
    """Return Gwet's AC1 (2008), or AC2 with weights; `ratings` as in `scott`."""
    shares, categories = _shares(ratings), ratings.shape[1]
    if categories < 2:
        return Corrected(couples, credit, np.ones(len(couples)))
    scale = credit.sum() / (categories * (categories - 1))
    return Corrected(couples, credit, scale * (shares * (1 - shares)).sum(axis=1))


def alpha(coincidences: Floats, credit: Floats) -> Corrected:
    """Return Krippendorff's alpha of coincidence matrices, whose sums are numbers of ratings."""
    ratings = coincidences.sum(axis=2)
    total = ratings.sum(axis=1)
    expected = np.einsum("rk,rkl,rl->r", ratings, _each(1 - credit, len(ratings)), ratings)
    chance = 1 - expected / np.maximum(total * (total - 1), _NOTHING_LEFT)
    return Corrected(coincidences, credit, chance)


def corrected_estimates(
    sums: Floats,
    family: Family,
    *,
    n: int,
    level: float,
    draws: int,
    seed: int,
    undefined: str,
) -> dict[str, Estimate]:
    """Return each coefficient of the summed clusters with its clustered bootstrap interval.

    `sums` (G, S) holds what `family` reads of each cluster; all coefficients share the resamples.
    Where resampling gives no interval (perfect agreement), that of the raw agreement is used with
    chance held fixed. `undefined` is the reason given where chance explains everything.
    """
    whole, parts = family(sums.sum(axis=0, keepdims=True)), family(sums)

    def values(totals: Floats) -> Floats:
        return np.stack([each.values() for each in family(totals).values()], axis=1)

    estimates = cluster_bootstraps(sums, values, n=n, level=level, draws=draws, seed=seed)
    found = {}
    for name, estimate in zip(whole, estimates, strict=True):
        rated = parts[name].couples.sum(axis=(1, 2)) > _NOTHING_LEFT
        if estimate.value is None:
            found[name] = replace(estimate, why=undefined)
        elif np.count_nonzero(rated) < 2:
            found[name] = Estimate(estimate.value, None, None, n, ONE_CLUSTER)
        elif estimate.low is None:
            found[name] = _with_chance_fixed(estimate, whole[name], parts[name], level=level)
        else:
            found[name] = estimate
    return found


def _with_chance_fixed(
    estimate: Estimate, whole: Corrected, parts: Corrected, *, level: float
) -> Estimate:
    sizes = parts.couples.sum(axis=(1, 2))
    # Coincidences sum to ratings; what is counted is n units, and no more is known than of those.
    scale = estimate.n / sizes.sum()
    raw = clustered_proportion(
        scale * (parts.couples * whole.credit).sum(axis=(1, 2)),
        np.arange(len(sizes)),
        size=scale * sizes,
        level=level,
    ).estimate
    chance = float(whole.chance[0])
    scaled = raw.rescaled(1 / (1 - chance), -chance / (1 - chance))
    if estimate.value is None or scaled.low is None or scaled.high is None:
        return estimate
    low, high = max(-1.0, scaled.low), min(1.0, scaled.high)
    return Estimate(estimate.value, min(low, estimate.value), max(high, estimate.value), estimate.n)


def _steps(categories: int) -> Floats:
    places = np.arange(categories, dtype=np.float64)
    return np.abs(places[:, None] - places) / max(categories - 1, 1)


def _shares(ratings: Floats) -> Floats:
    total = ratings.sum(axis=1, keepdims=True)
    return np.asarray(ratings / np.where(total > _NOTHING_LEFT, total, 1))


def _expected(rows: Floats, columns: Floats, credit: Floats) -> Floats:
    return np.asarray(np.einsum("rk,kl,rl->r", rows, credit, columns))


def _each(credit: Floats, tables: int) -> Floats:
    return np.broadcast_to(credit, (tables, *credit.shape[-2:]))
