"""Win rates from many judged pairs and few human votes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.agreement import Codes, Index, Mask
from calibration.intervals import Estimate, Floats, clustered_proportion
from calibration.prediction_powered import ppi_mean

MOST_SYSTEMS = 100
_NO_LABELS = "the judge labelled no pair of this system"
_NO_VOTES = "no human vote on a labelled pair of this system"
_MIN_YOUDEN = 0.2
"""Below this sensitivity + specificity - 1, dividing by it says more of noise than of items."""


@dataclass(frozen=True)
class WinRate:
    """How often a system is preferred, a tie being half; three ways to say it.

    All three are over the pairs with another system that the judge labelled.
    """

    judge: Estimate
    """Mean of the judge's labels on all pairs of the system: as biased as the judge is."""
    humans: Estimate
    """Mean over the pairs with votes of their mean vote: unbiased, and wide."""
    corrected: Estimate
    """Prediction-powered (PPI++): as unbiased as the votes, as narrow as the judge allows."""
    equivalent_labels: float | None
    """Pairs with votes that would give the humans' figure the width of the corrected one."""


WinRates = Mapping[str, WinRate]
"""System -> its win rate against everything it was paired with."""


def win_rates(
    label: Codes,
    votes: Floats,
    *,
    has_label: Mask,
    cluster: Index,
    first_system: Index,
    second_system: Index,
    names: tuple[str | None, ...],
    probability: Floats | None = None,
    has_probability: Mask | None = None,
    level: float = 0.95,
    most: int = MOST_SYSTEMS,
) -> WinRates:
    """Return each system's win rate, systems in the order of `names`.

    Every column has shape (n_pairs,), `votes` are counts (n_pairs, 3) as `VoteColumns.counts`
    gives them; an inconsistent label is passed as a tie. Where probabilities of the first
    candidate are given, the correction follows them instead of the labels. The pairs with votes
    must be a random sample. Of more than `most` systems those with the most labelled pairs are
    told; an unknown system (None) is not, nor is a pair of a system with itself.
    """
    score = (label + 1.0) / 2
    soft = score
    if probability is not None and has_probability is not None:
        soft = np.where(has_probability, probability, score)
    total = votes.sum(axis=1)
    human = (votes[:, 2] + votes[:, 1] / 2) / np.maximum(total, 1)
    rows = np.flatnonzero(has_label & (first_system != second_system))
    sides = _Sides(
        system=np.concatenate([first_system[rows], second_system[rows]]),
        score=_both_sides(score[rows]),
        soft=_both_sides(soft[rows]),
        human=_both_sides(human[rows]),
        has_human=np.tile(total[rows] > 0, 2),
        cluster=np.tile(cluster[rows], 2),
    ).sorted()
    told = _most_judged(sides.system, names, most)
    return {str(names[code]): _win_rate(sides.of(code), level=level) for code in told}


def rogan_gladen(
    positives: int,
    n: int,
    *,
    sensitivity: tuple[int, int],
    specificity: tuple[int, int],
    level: float = 0.95,
) -> Estimate:
    """Return the share of true positives among `n` items of which a judge calls `positives` so.

    `sensitivity` and `specificity` are (right, all) of the true positives and the true negatives
    in an independent sample. For a sample with another mix of classes than the items; otherwise
    `ppi_mean` is narrower. Rogan and Gladen 1978, interval of Lang and Reiczigel 2014; items are
    taken as independent. Absent where sensitivity + specificity is below 1.2.
    """
    from scipy.special import ndtri

    if not n or not sensitivity[1] or not specificity[1]:
        return Estimate(None, None, None, n, "items, true positives and true negatives are needed")
    (right_1, all_1), (right_0, all_0) = sensitivity, specificity
    youden = right_1 / all_1 + right_0 / all_0 - 1
    z = float(ndtri((1 + level) / 2))
    p, size = (positives + z**2 / 2) / (n + z**2), n + z**2
    se, sp = (right_1 + 1) / (all_1 + 2), (right_0 + 1) / (all_0 + 2)
    if min(youden, se + sp - 1) < _MIN_YOUDEN:
        why = "the judge is too close to chance to correct for its errors"
        return Estimate(None, None, None, n, why)
    value = float(np.clip((positives / n + right_0 / all_0 - 1) / youden, 0, 1))
    centre = (p + sp - 1) / (se + sp - 1)
    of_se, of_sp = se * (1 - se) / (all_1 + 2), sp * (1 - sp) / (all_0 + 2)
    centre_error = p * (1 - p) / size + centre**2 * of_se + (1 - centre) ** 2 * of_sp
    half = z * float(np.sqrt(centre_error)) / (se + sp - 1)
    middle = centre + 2 * z**2 * (centre * of_se - (1 - centre) * of_sp)
    low, high = (float(np.clip(end, 0, 1)) for end in (middle - half, middle + half))
    return Estimate(value, min(low, value), max(high, value), n)


@dataclass(frozen=True)
class _Sides:
    """Each labelled pair twice, once from either system's side."""

    system: Index
    score: Floats
    """Of the system by the label: 1, 1/2 or 0."""
    soft: Floats
    """The same by the probability where there is one."""
    human: Floats
    """Mean of the votes."""
    has_human: Mask
    cluster: Index

    def sorted(self) -> "_Sides":
        return self._rows(np.argsort(self.system, kind="stable"))

    def of(self, system: int) -> "_Sides":
        low, high = np.searchsorted(self.system, [system, system + 1])
        return self._rows(slice(int(low), int(high)))

    def _rows(self, rows: NDArray[np.intp] | slice) -> "_Sides":
        return _Sides(
            self.system[rows],
            self.score[rows],
            self.soft[rows],
            self.human[rows],
            self.has_human[rows],
            self.cluster[rows],
        )


def _both_sides(score: Floats) -> Floats:
    return np.concatenate([score, 1 - score])


def _most_judged(system: Index, names: tuple[str | None, ...], most: int) -> list[int]:
    """Return the codes of the known systems with the most rows, ascending."""
    counts = np.bincount(system, minlength=len(names))
    known = np.array([code for code, name in enumerate(names) if name is not None], np.intp)
    by_rows = known[np.argsort(-counts[known], kind="stable")]
    return sorted(int(code) for code in by_rows[:most])


def _win_rate(own: _Sides, *, level: float) -> WinRate:
    judge = clustered_proportion(own.score, own.cluster, level=level, empty=_NO_LABELS).estimate
    voted = own.has_human
    humans = clustered_proportion(
        own.human[voted],
        own.cluster[voted],
        level=level,
        empty=_NO_VOTES if len(voted) else _NO_LABELS,
    ).estimate
    if humans.value is None:
        return WinRate(judge, humans, humans, None)
    powered = ppi_mean(own.human, own.soft, has_human=voted, cluster=own.cluster, level=level)
    return WinRate(judge, humans, powered.estimate, powered.equivalent_labels)
