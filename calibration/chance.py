"""Agreement of two sides corrected for chance.

Read kappa beside the raw agreement, never alone: with lopsided marginals a high agreement can
have a kappa below zero (the kappa paradox; Feinstein and Cicchetti 1990). AC1 then stays high.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.corrections import (
    Corrected,
    alpha,
    brennan_prediger,
    cohen,
    corrected_estimates,
    credit_of,
    gwet,
    linear_weights,
    ordinal_weights,
    quadratic_weights,
    scott,
)
from calibration.intervals import (
    NOTHING,
    Estimate,
    Floats,
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
    """Krippendorff's own ordinal metric, not Gwet's ordinal weights."""
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
    (Cohen 1960), others give weighted kappa (Cohen 1968). Rows and columns each have their own
    marginals.
    """
    tables = _square(table)
    return cohen(tables, credit_of(weights, tables.shape[1])).value()


def scotts_pi(table: ArrayLike, *, weights: ArrayLike | None = None) -> float | None:
    """Return Scott's pi (1955), Fleiss' kappa of two raters; otherwise as `cohens_kappa`."""
    tables = _square(table)
    return scott(tables, _ratings(tables), credit_of(weights, tables.shape[1])).value()


def brennan_predigers_kappa(table: ArrayLike, *, weights: ArrayLike | None = None) -> float | None:
    """Return Brennan and Prediger's kappa (1981), chance 1 / K; otherwise as `cohens_kappa`."""
    tables = _square(table)
    return brennan_prediger(tables, credit_of(weights, tables.shape[1])).value()


def gwets_ac(table: ArrayLike, *, weights: ArrayLike | None = None) -> float | None:
    """Return Gwet's AC1 (2008), or AC2 where `weights` are given; as `cohens_kappa`."""
    tables = _square(table)
    return gwet(tables, _ratings(tables), credit_of(weights, tables.shape[1])).value()


def krippendorffs_alpha(table: ArrayLike, *, weights: ArrayLike | None = None) -> float | None:
    """Return Krippendorff's alpha of two raters; None where not defined.

    `table` and `weights` are those of `cohens_kappa`: None is the nominal metric,
    `quadratic_weights(K)` the interval metric, and `ordinal_weights` of both sides' summed
    marginals the ordinal one.
    """
    tables = _square(table)
    return alpha(_coincidences(tables), credit_of(weights, tables.shape[1])).value()


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


def coefficients(
    tables: NDArray[np.number],
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    empty: str = NOTHING,
) -> Coefficients:
    """Return all coefficients with their intervals from the same resamples of the clusters.

    `tables` holds each cluster's confusion matrix (G, K, K), its K categories in their order;
    `n` counts its items. Raw agreement has the clustered Wilson interval.
    """
    counts = _counted(tables)
    categories = counts.shape[1]
    observed = clustered_proportion(
        np.einsum("gkk->g", counts),
        np.arange(len(counts)),
        size=counts.sum(axis=(1, 2)),
        level=level,
        empty=empty,
    ).estimate
    if not observed.n:
        return Coefficients(*[observed] * 11)

    def family(sums: Floats) -> dict[str, Corrected]:
        return _family(sums.reshape(-1, categories, categories))

    corrected = corrected_estimates(
        counts.reshape(len(counts), -1),
        family,
        n=observed.n,
        level=level,
        draws=draws,
        seed=seed,
        undefined=ONE_CATEGORY,
    )
    return Coefficients(observed=observed, **corrected)


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
    """Return Cohen's kappa alone, as `coefficients` gives it, with weights of any kind.

    `asymmetry` is subtracted from the chance of every resample (`calibration.couples`).
    """
    counts = _counted(tables)
    categories = counts.shape[1]
    n = round(float(counts.sum()))
    if not n:
        return Estimate(None, None, None, 0, empty)
    credit = credit_of(weights, categories)

    def family(sums: Floats) -> dict[str, Corrected]:
        tables = sums.reshape(-1, categories, categories)
        return {"cohen": cohen(tables, credit, asymmetry=asymmetry)}

    return corrected_estimates(
        counts.reshape(len(counts), -1),
        family,
        n=n,
        level=level,
        draws=draws,
        seed=seed,
        undefined=ONE_CATEGORY,
    )["cohen"]


def marginals(
    counts: ArrayLike, cluster: ArrayLike, *, level: float = 0.95, empty: str = NOTHING
) -> Marginals:
    """Return the share of each choice, with intervals clustered by `cluster` (n,).

    `counts` (n, 3) hold choices of the second, ties, and choices of the first, in the order of
    their codes -1, 0 and 1. Of confusion matrices, sum over the columns for the side of the rows.
    """
    table = np.asarray(counts, dtype=np.float64)
    second, tie, first = (
        clustered_proportion(
            column, cluster, size=table.sum(axis=1), level=level, empty=empty
        ).estimate
        for column in table.T
    )
    return Marginals(first=first, tie=tie, second=second)


def _family(tables: Floats) -> dict[str, Corrected]:
    categories = tables.shape[1]
    same, quadratic = np.eye(categories), quadratic_weights(categories)
    ratings, coincidences = _ratings(tables), _coincidences(tables)
    return {
        "cohen": cohen(tables, same),
        "cohen_linear": cohen(tables, linear_weights(categories)),
        "cohen_quadratic": cohen(tables, quadratic),
        "scott": scott(tables, ratings, same),
        "brennan_prediger": brennan_prediger(tables, same),
        "ac1": gwet(tables, ratings, same),
        "ac2": gwet(tables, ratings, quadratic),
        "alpha_nominal": alpha(coincidences, same),
        "alpha_ordinal": alpha(coincidences, ordinal_weights(coincidences.sum(axis=2))),
        "alpha_interval": alpha(coincidences, quadratic),
    }


def _square(table: ArrayLike) -> Floats:
    counts = np.asarray(table, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"a confusion matrix has shape {counts.shape}, expected (K, K)")
    return counts[None]


def _counted(tables: NDArray[np.number]) -> Floats:
    return np.asarray(tables[tables.sum(axis=(1, 2)) > 0], dtype=np.float64)


def _ratings(tables: Floats) -> Floats:
    return np.asarray(tables.sum(axis=1) + tables.sum(axis=2))


def _coincidences(tables: Floats) -> Floats:
    return tables + tables.transpose(0, 2, 1)
