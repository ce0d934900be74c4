"""Agreement corrected for chance.

Read kappa beside the raw agreement, never alone: with lopsided marginals a high agreement can
have a kappa below zero (the kappa paradox).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.intervals import (
    NOTHING,
    Estimate,
    Floats,
    cluster_bootstrap,
    cluster_codes,
    clustered_proportion,
)

ONE_CATEGORY = "both sides used the same single choice, so chance already explains everything"


@dataclass(frozen=True)
class Coefficients:
    """Agreement of two sides and what remains of it after chance; read them together."""

    observed: Estimate
    """Raw agreement."""
    cohen: Estimate
    cohen_linear: Estimate
    cohen_quadratic: Estimate
    scott: Estimate
    brennan_prediger: Estimate
    ac1: Estimate
    ac2: Estimate
    """Gwet's, quadratic weights."""
    alpha_nominal: Estimate
    alpha_ordinal: Estimate
    alpha_interval: Estimate


@dataclass(frozen=True)
class Marginals:
    """How often each choice is made, as shares of one side's choices."""

    first: Estimate
    tie: Estimate
    second: Estimate


def cohens_kappa(table: ArrayLike, *, weights: ArrayLike | None = None) -> float | None:
    """Return Cohen's kappa of a confusion matrix (K, K) of counts; None where not defined.

    `weights` (K, K) hold the credit of each cell, 1 on the diagonal; None is the identity
    (Cohen 1960), others give weighted kappa (Cohen 1968).
    """
    counts = np.asarray(table, dtype=np.float64)
    kappa = float(_kappas(counts[None], _credit(weights, len(counts)))[0])
    return kappa if np.isfinite(kappa) else None


def confusion_sums(
    rows: NDArray[np.integer],
    columns: NDArray[np.integer],
    cluster: NDArray[np.integer],
    *,
    categories: int,
) -> NDArray[np.intp]:
    """Return the confusion matrix of each cluster, shape (G, K, K).

    `rows` and `columns` hold the two sides' categories, 0 to K - 1, shape (n,).
    """
    codes, groups = cluster_codes(cluster)
    cells = (codes * categories + rows) * categories + columns
    counts = np.bincount(cells, minlength=groups * categories**2)
    return counts.reshape(groups, categories, categories)


def clustered_kappa(
    tables: NDArray[np.number],
    *,
    weights: ArrayLike | None = None,
    asymmetry: float = 0.0,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    empty: str = NOTHING,
) -> Estimate:
    """Return Cohen's kappa with a clustered bootstrap interval.

    `tables` holds each cluster's confusion matrix (G, K, K). Where resampling gives no interval
    (perfect agreement), that of the raw agreement is used with chance held fixed. `asymmetry` is
    subtracted from the chance of every resample (`calibration.couples`).
    """
    groups, categories = tables.shape[:2]
    n = round(float(tables.sum()))
    if not n:
        return Estimate(None, None, None, 0, empty)
    credit = _credit(weights, categories)

    def kappas(totals: Floats) -> Floats:
        return _kappas(totals.reshape(-1, categories, categories), credit, asymmetry)

    estimate = cluster_bootstrap(
        tables.reshape(groups, -1), kappas, n=n, level=level, draws=draws, seed=seed
    )
    if estimate.value is None:
        return Estimate(None, None, None, n, ONE_CATEGORY)
    if estimate.low is not None or groups == 1:
        return estimate
    raw = clustered_proportion(
        (tables * credit).sum(axis=(1, 2)),
        np.arange(groups),
        size=tables.sum(axis=(1, 2)),
        level=level,
    ).estimate
    chance = _chance(tables.sum(axis=0)[None].astype(np.float64), credit)[0] - asymmetry
    scaled = raw.rescaled(float(1 / (1 - chance)), float(-chance / (1 - chance)))
    return replace(scaled, low=None if scaled.low is None else max(-1.0, scaled.low))


def _credit(weights: ArrayLike | None, categories: int) -> Floats:
    credit = np.eye(categories) if weights is None else np.asarray(weights, dtype=np.float64)
    if credit.shape != (categories, categories):
        raise ValueError(
            f"weights have shape {credit.shape}, expected ({categories}, {categories})"
        )
    return credit


def _chance(tables: Floats, credit: Floats) -> Floats:
    """Agreement expected from the marginals alone, shape (r,)."""
    total = np.maximum(tables.sum(axis=(1, 2)), 1)
    rows, columns = tables.sum(axis=2), tables.sum(axis=1)
    expected = np.einsum("rk,kl,rl->r", rows, credit, columns)
    return np.asarray(expected / total**2, dtype=np.float64)


def _kappas(tables: Floats, credit: Floats, asymmetry: float = 0.0) -> Floats:
    total = np.maximum(tables.sum(axis=(1, 2)), 1)
    observed = (tables * credit).sum(axis=(1, 2)) / total
    room = 1 - (_chance(tables, credit) - asymmetry)
    undefined = np.full(len(tables), np.nan)
    defined = (room > 1e-12) & (tables.sum(axis=(1, 2)) > 0)
    return np.asarray(np.divide(observed - (1 - room), room, out=undefined, where=defined))
