"""Whether a judge ranks the systems as the humans do, on the same pairs.

A judge can be good pair by pair and still wrong about one system (Gera et al. 2024, JuStRank,
arXiv 2412.09569).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from calibration.agreement import NO_LABELLED_VOTES, Codes, Index, Mask
from calibration.bootstrap import cluster_bootstrap
from calibration.intervals import Estimate, Floats, cluster_codes, clustered_difference
from calibration.significance import PValue, benjamini_hochberg

FEWEST_PAIRS = 10
"""Pairs from which a system is ranked."""
MOST_SYSTEMS = 50
"""Systems that are ranked: those with the most pairs."""
FEWEST_SYSTEMS = 3

_TOO_FEW_PAIRS = f"fewer than {FEWEST_PAIRS} labelled pairs with a vote"
_TOO_MANY_SYSTEMS = f"only the {MOST_SYSTEMS} systems with the most pairs are ranked"
_TOO_FEW_SYSTEMS = (
    f"fewer than {FEWEST_SYSTEMS} systems have {FEWEST_PAIRS} labelled pairs with a vote"
)
_ALL_ALIKE = "the judge, or the humans, give every system the same win rate"
_HUMANS_EVEN = "the humans give every system a win rate of 1/2"
_METHOD = (
    "sign flips of the prompts in normal approximation, adjusted over the systems "
    "(Benjamini-Hochberg)"
)
_EQUAL = 1e-9
"""Win rates closer than this differ by rounding alone."""


@dataclass(frozen=True)
class SystemRanking:
    """The judge's ranking of the systems beside that of the humans.

    A win rate counts every pair once, a tie as half a win. Ranked are the systems with enough
    pairs; `n` of `tau` and `decisiveness` counts them.
    """

    tau: Estimate
    """Kendall's tau-b between win rates by the judge and by the humans, in [-1, 1]."""
    decisiveness: Estimate
    """Slope of the judge's win rates on the humans' around 1/2; above 1 exaggerates.

    Unbounded. Few pairs to a system make the humans' win rates noisy, which lowers it.
    """
    residuals: Mapping[str, Estimate]
    """Per system, most pairs first: win rate by the judge minus by the humans, in [-1, 1]."""
    adjusted: Mapping[str, PValue] = field(default_factory=dict)
    """Per ranked system: whether its residual is 0, adjusted over the systems."""


@dataclass(frozen=True)
class _Scores:
    """Each pair twice: what either of its systems got from the judge and from the humans."""

    system: NDArray[np.intp]
    judge: Floats
    """In [0, 1]; a tie is half."""
    humans: Floats
    cluster: NDArray[np.intp]


def system_ranking(
    label: Codes,
    has_label: Mask,
    *,
    votes: Floats,
    first_system: Index,
    second_system: Index,
    names: Sequence[str | None],
    cluster: Index,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> SystemRanking:
    """Return the ranking of the systems by a judge's labels beside that by votes on the same pairs.

    `votes` are counts (n_pairs, 3) as `VoteColumns.counts` gives them, the other columns have
    shape (n_pairs,); an inconsistent label is passed as a tie. The systems are places in `names`,
    where None is an answer of unknown origin. A pair of one system with itself says nothing.
    """
    compared = has_label & (votes.sum(axis=1) > 0) & (first_system != second_system)
    scores = _scores(label, votes, first_system, second_system, cluster, rows=compared)
    pairs = np.bincount(scores.system, minlength=len(names))
    known = [place for place in np.argsort(-pairs, kind="stable") if names[place] is not None]
    ranked = np.array([p for p in known[:MOST_SYSTEMS] if pairs[p] >= FEWEST_PAIRS], np.intp)
    sums = _prompt_sums(scores, ranked)
    residuals = {
        str(names[place]): _residual(scores, place, int(pairs[place]), ranked, level=level)
        for place in known
    }
    p, differing = _sign_flips(sums)
    return SystemRanking(
        tau=_over_systems(sums, _tau_b, _ALL_ALIKE, level=level, draws=draws, seed=seed),
        decisiveness=_over_systems(sums, _slope, _HUMANS_EVEN, level=level, draws=draws, seed=seed),
        residuals=residuals,
        adjusted={
            str(names[place]): PValue(float(p[at]), int(differing[at]), method=_METHOD)
            for at, place in enumerate(ranked)
        },
    )


def _scores(
    label: Codes,
    votes: Floats,
    first_system: Index,
    second_system: Index,
    cluster: Index,
    *,
    rows: Mask,
) -> _Scores:
    cast = votes[rows]
    judge = (label[rows].astype(np.float64) + 1) / 2
    humans = (cast[:, 2] + cast[:, 1] / 2) / cast.sum(axis=1)
    codes, _ = cluster_codes(cluster[rows])
    return _Scores(
        np.concatenate([first_system[rows], second_system[rows]]).astype(np.intp),
        np.concatenate([judge, 1 - judge]),
        np.concatenate([humans, 1 - humans]),
        np.concatenate([codes, codes]),
    )


def _prompt_sums(scores: _Scores, ranked: NDArray[np.intp]) -> Floats:
    """Sums of each prompt: by the judge, by the humans, pairs; shape (G, 3, systems)."""
    groups, systems = int(scores.cluster.max(initial=-1)) + 1, len(ranked)
    column = np.full(int(scores.system.max(initial=-1)) + 1, -1)
    column[ranked] = np.arange(systems)
    rows = column[scores.system] >= 0
    cell = scores.cluster[rows] * systems + column[scores.system[rows]]
    sums = np.empty((groups, 3, systems))
    for part, weights in enumerate((scores.judge[rows], scores.humans[rows], None)):
        counted = np.bincount(cell, weights=weights, minlength=groups * systems)
        sums[:, part] = counted.reshape(groups, systems)
    return sums


def _residual(
    scores: _Scores, place: int, pairs: int, ranked: NDArray[np.intp], *, level: float
) -> Estimate:
    if place not in ranked:
        why = _TOO_FEW_PAIRS if pairs < FEWEST_PAIRS else _TOO_MANY_SYSTEMS
        return Estimate(None, None, None, pairs, why)
    rows = scores.system == place
    return clustered_difference(
        scores.judge[rows], scores.humans[rows], scores.cluster[rows], level=level
    )


def _sign_flips(sums: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Return the adjusted p of each system and how many prompts differ, shape (systems,) each.

    With every prompt's sum as likely to have the other sign, their total has mean 0 and the sum
    of their squares as variance.
    """
    from scipy.special import ndtr

    apart = (sums[:, 0] - sums[:, 1]) * (np.abs(sums[:, 0] - sums[:, 1]) > _EQUAL)
    spread = np.sqrt(np.sum(apart**2, axis=0))
    total = np.abs(apart.sum(axis=0))
    z = np.divide(total, spread, out=np.zeros_like(total), where=spread > 0)
    return benjamini_hochberg(2 * ndtr(-z)), np.count_nonzero(apart, axis=0).astype(np.intp)


def _over_systems(
    sums: Floats,
    statistic: Callable[[Floats, Floats], Floats],
    why_undefined: str,
    *,
    level: float,
    draws: int,
    seed: int,
) -> Estimate:
    """Return a statistic of the win rates by the judge and by the humans, (r, systems) each."""
    groups, _, systems = sums.shape
    if systems < FEWEST_SYSTEMS:
        why = _TOO_FEW_SYSTEMS if groups else NO_LABELLED_VOTES
        return Estimate(None, None, None, systems, why)

    def of_totals(totals: Floats) -> Floats:
        parts = totals.reshape(-1, 3, systems)
        pairs = parts[:, 2:]
        rates = np.full((len(parts), 2, systems), np.nan)
        np.divide(parts[:, :2], pairs, out=rates, where=pairs > 0)
        return statistic(rates[:, 0], rates[:, 1])

    estimate = cluster_bootstrap(
        sums.reshape(groups, -1), of_totals, n=systems, level=level, draws=draws, seed=seed
    )
    return replace(estimate, why=why_undefined) if estimate.value is None else estimate


def _tau_b(judge: Floats, humans: Floats) -> Floats:
    """Kendall's tau-b of each row; a system without a pair in a resample is left out of its row."""
    agreeing, by_judge, by_humans = (np.zeros(len(judge)) for _ in range(3))
    for distance in range(1, judge.shape[1]):
        one = _direction(judge[:, distance:] - judge[:, :-distance])
        other = _direction(humans[:, distance:] - humans[:, :-distance])
        agreeing += (one * other).sum(axis=1)
        by_judge += np.abs(one).sum(axis=1)
        by_humans += np.abs(other).sum(axis=1)
    scale = np.sqrt(by_judge * by_humans)
    undefined = np.full(len(judge), np.nan)
    return np.asarray(np.divide(agreeing, scale, out=undefined, where=scale > 0))


def _direction(difference: Floats) -> NDArray[np.int8]:
    # No comparison with NaN holds, so that a missing rate is neither above nor below another.
    return (difference > _EQUAL).astype(np.int8) - (difference < -_EQUAL)


def _slope(judge: Floats, humans: Floats) -> Floats:
    """Least squares through (1/2, 1/2); a system without a pair in a resample has no part."""
    x, y = np.nan_to_num(humans - 0.5), np.nan_to_num(judge - 0.5)
    scale = (x * x).sum(axis=1)
    undefined = np.full(len(x), np.nan)
    return np.asarray(np.divide((x * y).sum(axis=1), scale, out=undefined, where=scale > _EQUAL**2))
