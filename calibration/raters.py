"""Agreement corrected for chance between any number of raters, some of them missing.

Fleiss, Brennan-Prediger and Gwet follow Gwet's convention: agreement is the mean over the units
rated at least twice, what chance expects comes from all units. Krippendorff's alpha is that of the
coincidence matrix, over the units rated at least twice; its ordinal form has his own metric,
which is not Gwet's ordinal weights.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from calibration.agreement import NO_OVERLAP, Index, VoteColumns
from calibration.chance import Marginals, marginals
from calibration.corrections import (
    Corrected,
    alpha,
    brennan_prediger,
    corrected_estimates,
    credit_of,
    gwet,
    ordinal_weights,
    quadratic_weights,
    scott,
)
from calibration.intervals import Estimate, Floats, cluster_codes, clustered_proportion

ONE_CHOICE = "every vote is the same single choice, so chance already explains everything"
_NO_VOTES = "no human votes"
_CHOICES = 3


@dataclass(frozen=True)
class RaterCoefficients:
    """Agreement among raters and what remains of it after chance, in seven ways.

    `n` counts the pairs with votes by two annotators.
    """

    observed: Estimate
    """Mean over the rated units of the share of agreeing couples of ratings."""
    fleiss: Estimate
    brennan_prediger: Estimate
    """Randolph's free-marginal kappa."""
    ac1: Estimate
    ac2: Estimate
    """Gwet's, quadratic weights."""
    alpha_nominal: Estimate
    alpha_ordinal: Estimate
    """Krippendorff's own ordinal metric, not Gwet's ordinal weights."""
    alpha_interval: Estimate


@dataclass(frozen=True)
class RaterPoints:
    """The coefficients of one table under one set of weights; None where not defined."""

    observed: float | None
    fleiss: float | None
    brennan_prediger: float | None
    gwet: float | None
    """AC1, or AC2 where weights are given."""
    alpha: float | None


@dataclass(frozen=True)
class Ratings:
    """Units rated by any number of raters, who need not be the same from unit to unit."""

    ratings: Floats
    """Shape (n, K): raters by category; a row sums to the unit's number of raters."""
    couples: Floats
    """Shape (n, K, K): ordered couples of two different raters by what each said."""

    @property
    def raters(self) -> Floats:
        """Shape (n,), whole numbers, whatever rounding spread ratings suffered."""
        return np.asarray(np.rint(self.ratings.sum(axis=1)))

    def sums(self) -> Floats:
        """What coefficients read of each unit, shape (n, 2 K^2 + K), to be summed over units."""
        raters, categories = self.raters[:, None], self.ratings.shape[1]
        couples = self.couples.reshape(len(raters), categories**2)
        several = np.where(raters > 1, raters, np.inf)
        return np.concatenate(
            [
                couples / (several * (several - 1)),
                couples / (several - 1),
                self.ratings / np.where(raters > 0, raters, 1),
            ],
            axis=1,
        )


def rater_coefficients(
    votes: VoteColumns,
    cluster: Index,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> RaterCoefficients:
    """Return all coefficients among annotators, intervals from the same resamples of clusters.

    `cluster` has shape (n_pairs,). An annotator is one rater of a pair: where one voted on it
    several times, the rating is spread evenly over these votes; they are never compared with each
    other, and a vote given twice counts once.
    """
    pair, given = ratings_of(votes)
    codes, groups = cluster_codes(cluster[pair])
    sums = given.sums()
    rated = given.raters > 1
    agreeing = np.einsum("ukk->u", _parts(sums, _CHOICES)[0][rated])
    # Rounding of spread ratings must not lead out of [0, 1].
    observed = clustered_proportion(
        np.clip(agreeing, 0, 1), codes[rated], level=level, empty=NO_OVERLAP
    ).estimate
    if not observed.n:
        return RaterCoefficients(*[observed] * 8)
    by_cluster = [np.bincount(codes, column, groups) for column in sums.T]
    corrected = corrected_estimates(
        np.stack(by_cluster, axis=1).astype(np.float64),
        _family,
        n=observed.n,
        level=level,
        draws=draws,
        seed=seed,
        undefined=ONE_CHOICE,
    )
    return RaterCoefficients(observed=observed, **corrected)


def rater_points(counts: ArrayLike, *, weights: ArrayLike | None = None) -> RaterPoints:
    """Return the coefficients of a unit-by-category table (n, K) of counts of ratings.

    `weights` (K, K) hold the credit of two ratings, 1 on the diagonal; None is the identity.
    For alpha, `quadratic_weights(K)` is the interval metric, and `ordinal_weights` of the ratings
    of all units rated at least twice the ordinal one. Units without a rating are ignored.
    """
    table = np.asarray(counts, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"a table of ratings has shape {table.shape}, expected (n, K)")
    categories = table.shape[1]
    credit = credit_of(weights, categories)
    couples = table[:, :, None] * table[:, None, :] - table[:, :, None] * np.eye(categories)
    sums = Ratings(table, couples).sums().sum(axis=0, keepdims=True)
    agreeing, coincidences, shares = _parts(sums, categories)
    return RaterPoints(
        observed=Corrected(agreeing, credit, np.zeros(1)).value(),
        fleiss=scott(agreeing, shares, credit).value(),
        brennan_prediger=brennan_prediger(agreeing, credit).value(),
        gwet=gwet(agreeing, shares, credit).value(),
        alpha=alpha(coincidences, credit).value(),
    )


def vote_marginals(votes: VoteColumns, cluster: Index, *, level: float = 0.95) -> Marginals:
    """Return the share of each choice among all votes; `cluster` has shape (n_pairs,)."""
    return marginals(votes.counts(len(cluster)), cluster, level=level, empty=_NO_VOTES)


def ratings_of(votes: VoteColumns) -> tuple[Index, Ratings]:
    """Return the pairs voted on, shape (u,), and their ratings by choice: second, tie, first."""
    codes, annotators = cluster_codes(votes.annotator)
    key = votes.pair.astype(np.int64) * max(annotators, 1) + codes
    both, row = np.unique(key, return_inverse=True)
    own = replace(votes, pair=row.reshape(-1)).counts(len(both))
    own /= own.sum(axis=1, keepdims=True)
    pair, start = np.unique(both // max(annotators, 1), return_index=True)
    ratings = np.add.reduceat(own, start) if len(start) else own
    same = own[:, :, None] * own[:, None, :]
    same = np.add.reduceat(same, start) if len(start) else same
    return pair, Ratings(ratings, ratings[:, :, None] * ratings[:, None, :] - same)


def _family(sums: Floats) -> dict[str, Corrected]:
    agreeing, coincidences, shares = _parts(sums, _CHOICES)
    same, quadratic = np.eye(_CHOICES), quadratic_weights(_CHOICES)
    return {
        "fleiss": scott(agreeing, shares, same),
        "brennan_prediger": brennan_prediger(agreeing, same),
        "ac1": gwet(agreeing, shares, same),
        "ac2": gwet(agreeing, shares, quadratic),
        "alpha_nominal": alpha(coincidences, same),
        "alpha_ordinal": alpha(coincidences, ordinal_weights(coincidences.sum(axis=2))),
        "alpha_interval": alpha(coincidences, quadratic),
    }


def _parts(sums: Floats, categories: int) -> tuple[Floats, Floats, Floats]:
    """Agreement of couples (r, K, K), coincidences (r, K, K) and shares of categories (r, K)."""
    agreeing, coincidences, shares = np.split(sums, [categories**2, 2 * categories**2], axis=1)
    square = (-1, categories, categories)
    return agreeing.reshape(square), coincidences.reshape(square), shares
