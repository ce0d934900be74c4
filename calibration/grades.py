"""Graded judgments against graded votes, scores as verdicts with ties, and the loss of margins.

Grades run from -highest to highest, above 0 where the first answer is better; a judge's may be the
mean of two orders. Accuracy falls with the grade for the best of judges: Llama 2's reward model
reached 80.7 % on significantly better pairs and 54.7 % on negligibly better ones (arXiv 2307.09288,
table 8), so figures are given by grade.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.chance import clustered_kappa, confusion_sums
from calibration.corrections import quadratic_weights
from calibration.intervals import Estimate, Floats, clustered_proportion

NO_GRADES = "no pair has a grade of the judge and one of a vote"

_GRADE_OF_STRENGTH = np.array([0, 1, 2, 2])
"""Negligible is a tie, slight is a little better, anything more is much better."""


@dataclass(frozen=True, slots=True)
class GradeAgreement:
    """How far a judge's grades are from those of votes, with intervals clustered by prompt."""

    exact: Estimate
    """Share of votes with the judge's very grade, to half a grade."""
    within_one: Estimate
    """Share of votes at most one grade away."""
    quadratic_kappa: Estimate
    """Cohen's kappa with the credit 1 - (k - l)^2 / (K - 1)^2."""
    sign_by_grade: Mapping[int, Estimate]
    """Size of a vote's grade -> share of such votes whose side the judge takes; for size 0, whose
    tie it shares. A judge's tie takes no side."""


@dataclass(frozen=True, slots=True)
class TieEpsilon:
    """From which difference of scores on a pair counts as decided."""

    epsilon: float
    """Differences up to this are ties."""
    accuracy: float
    """Reached with it, ties included, where it was chosen: report it beside any other figure."""


def grade_agreement(
    judge: ArrayLike,
    votes: ArrayLike,
    cluster: ArrayLike,
    *,
    highest: int = 2,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> GradeAgreement:
    """Return how a judge's grades agree with votes on the same pairs; all have shape (n,).

    One row per vote, `cluster` its prompt. A judge's mean is taken to half a grade. Raises
    ValueError for a grade beyond `highest`, and for a vote's that is no whole number.
    """
    heard = _half_steps(judge, highest, "judge")
    cast = _half_steps(votes, highest, "vote")
    if np.any(cast % 2):
        raise ValueError("a vote's grade is not a whole number")
    groups = np.asarray(cluster)

    def share(of: NDArray[np.bool_], rows: NDArray[np.bool_]) -> Estimate:
        return clustered_proportion(
            of[rows].astype(float), groups[rows], level=level, empty=NO_GRADES
        ).estimate

    every, apart = np.ones(len(cast), bool), np.abs(heard - cast)
    same_side = np.sign(heard) == np.sign(cast)
    sizes = {grade: np.abs(cast) == 2 * grade for grade in range(highest + 1)}
    categories = 4 * highest + 1
    tables = confusion_sums(heard + 2 * highest, cast + 2 * highest, groups, categories=categories)
    return GradeAgreement(
        exact=share(apart == 0, every),
        within_one=share(apart <= 2, every),
        quadratic_kappa=clustered_kappa(
            tables,
            weights=quadratic_weights(categories),
            level=level,
            draws=draws,
            seed=seed,
            empty=NO_GRADES,
        ),
        sign_by_grade={grade: share(same_side, rows) for grade, rows in sizes.items()},
    )


def graded_votes(preference: ArrayLike, strength: ArrayLike) -> NDArray[np.intp]:
    """Return the grades, -2 to 2, of votes with a preference (-1, 0, 1) and a strength (0 to 3).

    Strengths are those of Llama 2: significantly better, better, slightly better, negligibly
    better or unsure. How they meet our grades is a convention of this project.
    """
    sides, strengths = np.asarray(preference, np.intp), np.asarray(strength, np.intp)
    if np.any((strengths < 0) | (strengths > 3)):
        raise ValueError("a strength is not 0, 1, 2 or 3")
    return np.asarray(np.sign(sides) * _GRADE_OF_STRENGTH[strengths])


def accuracy_with_ties(votes: ArrayLike, difference: ArrayLike, *, epsilon: float) -> float | None:
    """Return the share of pairs called right when scores up to `epsilon` apart are a tie.

    `votes` (n,) are -1, 0 or 1 and `difference` (n,) is the first answer's score less the
    second's. Accuracy over all pairs, ties included (Deutsch et al. 2023, arXiv 2305.14324). None
    without pairs.
    """
    said, apart = np.sign(np.asarray(votes)), np.asarray(difference, dtype=float)
    if not len(said):
        return None
    called = np.where(np.abs(apart) <= epsilon, 0, np.sign(apart))
    return float(np.mean(called == said))


def best_epsilon(votes: ArrayLike, difference: ArrayLike) -> TieEpsilon | None:
    """Return the smallest epsilon of the best `accuracy_with_ties`; None without pairs.

    To be chosen on dev votes, never on those that it is then reported on.
    """
    said, apart = np.sign(np.asarray(votes)), np.asarray(difference, dtype=float)
    if not len(said):
        return None
    size = np.abs(apart)
    order = np.argsort(size, kind="stable")
    as_ties = np.concatenate(([0], np.cumsum(said[order] == 0)))
    decided = (np.sign(apart) == said) & (said != 0)
    as_decided = np.concatenate((np.cumsum(decided[order][::-1])[::-1], [0]))
    candidates = np.unique(np.concatenate(([0.0], size)))
    tied = np.searchsorted(size[order], candidates, side="right")
    right = as_ties[tied] + as_decided[tied]
    best = int(np.argmax(right))
    return TieEpsilon(float(candidates[best]), float(right[best] / len(said)))


def margin_loss(difference: ArrayLike, margin: ArrayLike) -> Floats:
    """Return -log sigmoid(difference - margin), the loss of a reward model trained with margins.

    `difference` is the reward of the chosen answer less that of the rejected (Llama 2, arXiv
    2307.09288, equation 2).
    """
    ahead = np.asarray(difference, dtype=float) - np.asarray(margin, dtype=float)
    return np.asarray(np.logaddexp(0.0, -ahead))


def _half_steps(grades: ArrayLike, highest: int, whose: str) -> NDArray[np.intp]:
    """Return grades in halves, as whole numbers from -2 * highest to 2 * highest."""
    given = np.asarray(grades, dtype=float)
    if not np.all(np.abs(given) <= highest):
        raise ValueError(f"a {whose}'s grade is not from -{highest} to {highest}")
    return np.asarray(np.rint(2 * given), dtype=np.intp)
