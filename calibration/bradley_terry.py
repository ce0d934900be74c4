"""How strong systems are, from who beat whom: Bradley-Terry and Davidson, clustered by prompt.

Bradley-Terry (1952): P(i beats j) = 1 / (1 + exp(-(s_i - s_j))), a tie being half a win to either
side. Davidson (1970) models the tie itself: with w = exp(s), the chances of i, a tie and j are as
w_i : nu * sqrt(w_i * w_j) : w_j. Whether strengths exist is checked, never assumed: a system that
never lost has none (Ford 1957), and two that no chain of comparisons joins cannot be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.intervals import (
    NOTHING,
    ONE_CLUSTER,
    Estimate,
    Floats,
    cluster_codes,
    t_quantile,
)
from calibration.logistic import ONE_CARRIER, NoFit
from calibration.paired_comparisons import (
    Tally,
    chances_of,
    information_of,
    is_strongly_connected,
    reached_from_first,
    solve,
)

ELO_PER_LOGIT = 400 / np.log(10)
HALF_WIN = 0.5
"""Wins, and as many losses, against an average system that the fallback credits everyone with."""
UNBEATEN = "a system, or a group of them, won everything or lost everything against the others"
NO_TIES = "no comparison is a tie, so that there is no chance of ties to estimate"
ALL_TIES = "every comparison is a tie"
ALL_ALIKE = "every prompt says the same, so that nothing shows what they leave open"
SHRUNK = f"{UNBEATEN}: strengths are shrunk by half a win and half a loss each"

_FEWEST_CARRIERS = 1.5
_NO_VARIANCE = 1e-12

Index = NDArray[np.intp]


@dataclass(frozen=True)
class Ratings:
    """Strengths of systems in logits, adding up to 0, with intervals clustered by prompt."""

    strengths: tuple[Estimate, ...]
    """In the order of the systems; `n` counts the comparisons of each."""
    covariance: Floats | None
    """Of the strengths, shape (systems, systems); None where `why` says so."""
    nu: float | None
    """Davidson's: equals tie with the chance nu / (nu + 2); None under Bradley-Terry."""
    n: int
    n_clusters: int
    prior: float = 0.0
    """Wins and losses against an average system that were added for each system."""
    why: str | None = None
    """What is to be known about these figures, in words."""


def bradley_terry(
    first: ArrayLike,
    second: ArrayLike,
    points: ArrayLike,
    cluster: ArrayLike,
    *,
    names: Sequence[str],
    prior: float | None = None,
    level: float = 0.95,
) -> Ratings | NoFit:
    """Return the Bradley-Terry strengths of the systems `names`.

    `first` and `second` are places in `names`, `points` those of the first (1, 0.5 for a tie, 0),
    `cluster` the prompt; shape (n,) each. Standard errors are the sandwich summed by prompt, CR1,
    with the t quantile of the prompts that carry each system. `prior` wins and losses against an
    average system keep strengths finite; None adds half of each where the maximum of the
    likelihood does not exist, and says so. `NoFit` where no comparisons join two systems, or where
    there is no maximum and `prior` is 0.
    """
    one, other, scored = _columns(first, second, points)
    kept = one != other  # a system against itself says nothing
    one, other, scored = one[kept], other[kept], scored[kept]
    wins = _wins(one, other, scored, len(names))
    if (problem := _disconnection(wins + wins.T, names)) is not None:
        return NoFit(problem)
    is_bounded = is_strongly_connected(wins > 0)
    if not is_bounded and prior == 0:
        return NoFit(UNBEATEN)
    added = (0.0 if is_bounded else HALF_WIN) if prior is None else prior
    tally = Tally(wins, np.zeros_like(wins), added)
    solved = solve(tally)
    if solved is None:
        return NoFit(UNBEATEN)
    ratings = _rated(tally, solved, one, other, scored, np.asarray(cluster)[kept], level=level)
    return replace(ratings, why=SHRUNK) if prior is None and added else ratings


def davidson(
    first: ArrayLike,
    second: ArrayLike,
    points: ArrayLike,
    cluster: ArrayLike,
    *,
    names: Sequence[str],
    level: float = 0.95,
) -> Ratings | NoFit:
    """Return the strengths of the systems with ties as an outcome of their own (Davidson 1970).

    Arguments and errors as for `bradley_terry`, without a prior: `NoFit` where there is no tie,
    nothing but ties, or no maximum of the likelihood.
    """
    one, other, scored = _columns(first, second, points)
    kept = one != other
    one, other, scored = one[kept], other[kept], scored[kept]
    is_tie = scored == 0.5
    wins = _wins(one[~is_tie], other[~is_tie], scored[~is_tie], len(names))
    ties = 2 * _wins(one[is_tie], other[is_tie], scored[is_tie], len(names))
    if (problem := _disconnection(wins + wins.T + ties, names)) is not None:
        return NoFit(problem)
    if not is_tie.any() or is_tie.all():
        return NoFit(ALL_TIES if is_tie.any() else NO_TIES)
    if not is_strongly_connected(wins + ties > 0):
        return NoFit(UNBEATEN)
    tally = Tally(wins, ties, has_ties=True)
    solved = solve(tally)
    if solved is None:
        return NoFit(UNBEATEN)
    return _rated(tally, solved, one, other, scored, np.asarray(cluster)[kept], level=level)


def strengths(wins: ArrayLike, *, prior: float = HALF_WIN) -> Floats:
    """Return Bradley-Terry strengths in logits, adding up to 0, shape (systems,).

    `wins` has shape (systems, systems): of row over column, a tie being half a win to either. The
    prior is above 0, so that they exist whatever was compared.
    """
    table = np.asarray(wins, dtype=np.float64)
    if not prior > 0:
        raise ValueError(f"prior {prior}: give a number above 0, or use bradley_terry")
    solved = solve(Tally(table, np.zeros_like(table), prior))
    assert solved is not None  # the prior bounds them
    return np.asarray(solved - solved.mean(), dtype=np.float64)


def _columns(first: ArrayLike, second: ArrayLike, points: ArrayLike) -> tuple[Index, Index, Floats]:
    return (
        np.asarray(first, dtype=np.intp),
        np.asarray(second, dtype=np.intp),
        np.asarray(points, dtype=np.float64),
    )


def _wins(first: Index, second: Index, points: Floats, systems: int) -> Floats:
    table = np.zeros((systems, systems))
    np.add.at(table, (first, second), points)
    np.add.at(table, (second, first), 1 - points)
    return table


def _disconnection(games: Floats, names: Sequence[str]) -> str | None:
    """Return which systems no chain of comparisons joins, in words; None where all are joined."""
    if not games.any():
        return NOTHING
    reached = reached_from_first(games > 0)
    if reached.all():
        return None
    here = ", ".join(name for name, is_in in zip(names, reached, strict=True) if is_in)
    there = ", ".join(name for name, is_in in zip(names, reached, strict=True) if not is_in)
    return f"no comparisons join {here} with {there}; compare some of them with each other"


def _rated(
    tally: Tally,
    solved: Floats,
    first: Index,
    second: Index,
    points: Floats,
    cluster: ArrayLike,
    *,
    level: float,
) -> Ratings:
    systems = len(tally.wins)
    codes, groups = cluster_codes(cluster)
    centred = solved[:systems] - solved[:systems].mean()
    why = _why_no_covariance(groups, systems)
    covariance, variances = None, np.full(systems, np.nan)
    if why is None:
        scores = _cluster_scores(tally, solved, first, second, points, codes, groups)
        covariance, variances = _sandwich(tally, solved, scores, n=len(points))
    played = [_by_cluster(s, first, second, codes, groups) for s in range(systems)]
    return Ratings(
        strengths=tuple(
            _estimate(float(centred[s]), float(variances[s]), played[s], why=why, level=level)
            for s in range(systems)
        ),
        covariance=covariance,
        nu=float(np.exp(solved[-1])) if tally.has_ties else None,
        n=len(points),
        n_clusters=groups,
        prior=tally.prior,
        why=why,
    )


def _why_no_covariance(groups: int, systems: int) -> str | None:
    if groups == 1:
        return ONE_CLUSTER
    if groups <= systems:
        return f"{groups} prompts for {systems} systems; an interval needs at least {systems + 1}"
    return None


def _by_cluster(system: int, first: Index, second: Index, codes: Index, groups: int) -> Floats:
    """Comparisons of a system by prompt, shape (G,)."""
    takes_part = ((first == system) | (second == system)).astype(np.float64)
    return np.bincount(codes, weights=takes_part, minlength=groups).astype(np.float64)


def _cluster_scores(
    tally: Tally,
    solved: Floats,
    first: Index,
    second: Index,
    points: Floats,
    codes: Index,
    groups: int,
) -> Floats:
    """The gradient of each prompt's own likelihood, shape (parameters, G)."""
    systems = len(tally.wins)
    chances = chances_of(tally, solved)
    surplus = points - chances.points[first, second]
    rows = [
        np.bincount(codes, weights=surplus * ((first == s) * 1.0 - (second == s)), minlength=groups)
        for s in range(systems)
    ]
    if tally.has_ties:
        of_ties = (points == 0.5) - chances.tie[first, second]
        rows.append(np.bincount(codes, weights=of_ties, minlength=groups))
    return np.stack(rows)


def _sandwich(tally: Tally, solved: Floats, scores: Floats, *, n: int) -> tuple[Floats, Floats]:
    """Covariance of the strengths around their mean, and the variances to draw intervals from."""
    systems, groups = len(tally.wins), scores.shape[1]
    bread = np.linalg.inv(information_of(tally, solved, chances_of(tally, solved)))
    told = len(solved) - 1  # the mean of the strengths is not
    factor = groups / (groups - 1) * (n - 1) / max(1, n - told)
    whole = factor * bread @ (scores @ scores.T) @ bread
    centring = np.eye(systems) - 1 / systems
    covariance = centring @ whole[:systems, :systems] @ centring
    variances = np.diag(covariance)
    if tally.prior:
        # Prompts that all say the same vary too little to show what they leave open.
        variances = np.maximum(variances, np.diag(centring @ bread @ centring))
    return np.asarray(covariance, dtype=np.float64), np.asarray(variances, dtype=np.float64)


def _estimate(
    value: float, variance: float, played: Floats, *, why: str | None, level: float
) -> Estimate:
    n = round(float(played.sum()))
    if why is not None:
        return Estimate(value, None, None, n, why)
    if variance < _NO_VARIANCE:
        return Estimate(value, None, None, n, ALL_ALIKE)
    carriers = float(played.sum() ** 2 / (played @ played))
    if carriers < _FEWEST_CARRIERS:
        return Estimate(value, None, None, n, ONE_CARRIER)
    quantile = t_quantile(level, max(1, round(carriers) - 1))
    half = quantile * float(np.sqrt(max(0.0, variance)))
    return Estimate(value, value - half, value + half, n)
