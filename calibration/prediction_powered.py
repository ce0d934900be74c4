"""The mean of few human scores, made narrower by many scores of a judge.

Prediction-powered inference takes the judge's mean over many items and corrects it by what the
humans say about a few (Angelopoulos et al. 2023, arXiv 2301.09633; tuned as PPI++, arXiv
2311.01453; in strata, arXiv 2406.04291). The items with human scores must be a random sample of
all items: no formula can see it when they are not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.intervals import (
    ONE_CLUSTER,
    Estimate,
    Floats,
    cluster_codes,
    clustered_proportion,
    wilson,
)

NO_HUMAN_SCORES = "no item has a human score"
_STRATUM_WITHOUT = "a stratum has no human score; merge it with another"
MIN_JUDGED = 20
"""Prompts without votes from which the judge's labels on them are made use of."""
_NO_SPREAD = "the human scores are all alike"

Codes = NDArray[np.intp]


@dataclass(frozen=True)
class PredictionPowered:
    """A mean of human scores, estimated with a judge's help."""

    estimate: Estimate
    """`n` counts the items with human scores."""
    weights: tuple[float, ...] = ()
    """Lambda of each stratum in [0, 1]: how far the judge is followed, 0 where it is not."""
    se: float | None = None
    equivalent_labels: float | None = None
    """Items with human scores that would give so narrow an interval without the judge."""


def ppi_mean(
    human: ArrayLike,
    judge: ArrayLike,
    *,
    has_human: ArrayLike,
    cluster: ArrayLike,
    stratum: ArrayLike | None = None,
    shares: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    level: float = 0.95,
    small_sample: bool = True,
) -> PredictionPowered:
    """Return the prediction-powered mean of scores in [0, 1] over all items (PPI++).

    Every column has shape (n_items,); `human` is ignored where `has_human` is False. The mean is
    weight * mean(judge, other items) + mean(human - weight * judge, items with human scores); a
    `weight` of None is tuned for the narrowest interval and clipped to [0, 1]. With `stratum`,
    codes 0 to K - 1, it is the mean of the strata's by `shares` (K,), by default those of the
    items, and `weight` may have one value for each.

    Errors are summed by prompt, within and across strata. `small_sample` scales them by
    G / (G - 2), by G / (G - 1) where the weight is given, and takes the quantile of t with as
    many degrees of freedom, G being the prompts with human scores; without it the interval is the
    large-sample one of the paper. Where the judge is no help, it is the humans' own proportion.
    """
    items = _Items.of(human, judge, has_human, cluster, stratum)
    n = int(items.has_human.sum())
    if not n:
        return PredictionPowered(Estimate(None, None, None, 0, NO_HUMAN_SCORES))
    w = items.shares() if shares is None else np.asarray(shares, dtype=np.float64)
    voiced = np.bincount(items.stratum[items.has_human], minlength=len(w))
    if np.any((voiced == 0) & (w > 0)):
        return PredictionPowered(Estimate(None, None, None, n, _STRATUM_WITHOUT))
    parts = _parts(items, w, weight, small_sample=small_sample)
    is_alone = weight is None and len(parts) == 1 and not parts[0].weight
    if is_alone and small_sample:
        return _humans_alone(items, level=level)
    return _combined(parts, n=n, level=level, small_sample=small_sample)


def equivalent_labels(n: int, n_judged: int, *, correlation: float) -> float:
    """Return how many human scores alone tell as much as `n` with a judge on `n_judged` more.

    n / (1 - rho^2 N / (n + N)), the gain of PPI++ at its best weight (arXiv 2311.01453), for
    independent items; `correlation` is that of human and judge scores.
    """
    return n / (1 - correlation**2 * n_judged / max(n + n_judged, 1))


@dataclass(frozen=True)
class _Items:
    human: Floats
    judge: Floats
    has_human: NDArray[np.bool_]
    prompt: Codes
    prompts: int
    stratum: Codes

    @classmethod
    def of(
        cls,
        human: ArrayLike,
        judge: ArrayLike,
        has_human: ArrayLike,
        cluster: ArrayLike,
        stratum: ArrayLike | None,
    ) -> "_Items":
        codes, prompts = cluster_codes(cluster)
        strata = np.zeros(len(codes)) if stratum is None else stratum
        return cls(
            np.asarray(human, dtype=np.float64),
            np.asarray(judge, dtype=np.float64),
            np.asarray(has_human, dtype=np.bool_),
            codes,
            prompts,
            np.asarray(strata, dtype=np.intp),
        )

    def within(self, *, stratum: int) -> "_Items":
        rows = self.stratum == stratum
        columns = (self.human, self.judge, self.has_human, self.prompt)
        human, judge, has_human, prompt = (column[rows] for column in columns)
        return _Items(human, judge, has_human, prompt, self.prompts, self.stratum[rows])

    def shares(self) -> Floats:
        return np.asarray(np.bincount(self.stratum) / len(self.stratum), dtype=np.float64)

    def errors(self, values: Floats, rows: NDArray[np.bool_]) -> Floats:
        """What each prompt adds to the error of the mean of the rows, shape (prompts,)."""
        kept = values[rows]
        centred = (kept - kept.mean()) / len(kept) if len(kept) else kept
        sums = np.bincount(self.prompt[rows], centred, minlength=self.prompts)
        return np.asarray(sums, dtype=np.float64)


@dataclass(frozen=True)
class _Part:
    """One stratum's share of the estimate and of its error."""

    value: float
    weight: float
    errors: Floats
    """Shape (prompts,), corrected for small samples."""
    human_errors: Floats
    """The same of the humans' mean."""
    flawless: float
    """The weight given to a judge that no human score contradicts, else 0."""
    prompts: int
    """Prompts with human scores."""
    degrees: int


def _parts(
    items: _Items, shares: Floats, weight: ArrayLike | None, *, small_sample: bool
) -> list[_Part]:
    given = None if weight is None else np.broadcast_to(np.asarray(weight, float), shares.shape)
    return [
        _part(
            items.within(stratum=int(k)),
            None if given is None else float(given[k]),
            share=float(shares[k]),
            small_sample=small_sample,
        )
        for k in np.flatnonzero(shares > 0)
    ]


def _part(items: _Items, weight: float | None, *, share: float, small_sample: bool) -> _Part:
    labelled, others = items.has_human, ~items.has_human
    prompts = len(np.unique(items.prompt[labelled]))
    judged_prompts = len(np.unique(items.prompt[others]))
    human = items.errors(items.human, labelled)
    seen, unseen = items.errors(items.judge, labelled), items.errors(items.judge, others)
    followed = _tuned(items, human, seen, unseen) if weight is None else weight
    # Too few prompts to tell the spread of a part: the humans are better off alone. Where nearly
    # everything has votes, the judge's spread on the rest would be told from a handful.
    if judged_prompts < 2 or (weight is None and (prompts < 3 or judged_prompts < MIN_JUDGED)):
        followed = 0.0
    spent = 2 if weight is None and followed else 1
    correction = _correction(prompts, spent) if small_sample else 1.0
    of_judged = _correction(judged_prompts, 1) if small_sample else 1.0
    value = float(items.human[labelled].mean())
    if followed:
        value += followed * float(items.judge[others].mean() - items.judge[labelled].mean())
    is_flawless = bool(np.all(items.human[labelled] == items.judge[labelled]))
    return _Part(
        value=share * value,
        weight=followed,
        errors=share * (correction * (human - followed * seen) + of_judged * followed * unseen),
        human_errors=share * (_correction(prompts, 1) if small_sample else 1.0) * human,
        flawless=share * followed if is_flawless else 0.0,
        prompts=prompts,
        degrees=prompts - spent,
    )


def _tuned(items: _Items, human: Floats, seen: Floats, unseen: Floats) -> float:
    """The weight of the narrowest interval (PPI++, example 6.1), with errors summed by prompt."""
    labelled = items.has_human
    n, others = int(labelled.sum()), int((~labelled).sum())
    if not others:
        return 0.0
    gain = float(human @ (seen - unseen))
    if np.intersect1d(items.prompt[labelled], items.prompt[~labelled]).size:
        cost = float((seen - unseen) @ (seen - unseen))
    else:
        # Where no prompt has both kinds of items, all items tell the judge's spread.
        pooled = items.errors(items.judge, np.ones(n + others, bool))
        pooled *= _correction(len(np.unique(items.prompt)), 1)
        cost = float(pooled @ pooled) * (n + others) ** 2 / (n * others)
    return min(1.0, max(0.0, gain / cost)) if cost > 0 else 0.0


def _combined(parts: list[_Part], *, n: int, level: float, small_sample: bool) -> PredictionPowered:
    value = min(1.0, max(0.0, sum(part.value for part in parts)))
    weights = tuple(part.weight for part in parts)
    if small_sample and min(part.degrees for part in parts) < 1:
        return PredictionPowered(Estimate(value, None, None, n, ONE_CLUSTER), weights)
    errors = np.sum([part.errors for part in parts], axis=0)
    human_errors = np.sum([part.human_errors for part in parts], axis=0)
    se = float(np.sqrt(errors @ errors))
    quantile = _quantile(level, _degrees(parts) if small_sample else None)
    # A judge that a few human scores never contradict may still err: as often as Wilson's bound
    # on a share never seen.
    unseen = [part.flawless * wilson(0, part.prompts, quantile=quantile)[1] for part in parts]
    half = float(np.sqrt((quantile * se) ** 2 + np.sum(np.square(unseen))))
    if half < 1e-12:
        return PredictionPowered(Estimate(value, None, None, n, _NO_SPREAD), weights)
    alone = _quantile(level, sum(part.prompts - 1 for part in parts) if small_sample else None)
    alone *= float(np.sqrt(human_errors @ human_errors))
    if small_sample and 0 < value < 1:
        # As many independent items as have this spread; Wald's interval is too short near 0 and 1.
        worth = value * (1 - value) * (quantile / half) ** 2
        low, high = wilson(value, worth, quantile=quantile)
    else:
        low, high = max(0.0, min(value, value - half)), min(1.0, value + half)
    return PredictionPowered(Estimate(value, low, high, n), weights, se, n * (alone / half) ** 2)


def _humans_alone(items: _Items, *, level: float) -> PredictionPowered:
    rows = items.has_human
    own = clustered_proportion(items.human[rows], items.prompt[rows], level=level)
    return PredictionPowered(own.estimate, (0.0,), own.se_cr1, float(rows.sum()))


def _degrees(parts: list[_Part]) -> float:
    """Degrees of freedom of a sum of errors (Satterthwaite 1946)."""
    variances = np.array([part.errors @ part.errors for part in parts])
    degrees = np.array([part.degrees for part in parts])
    if not np.any(variances > 0):
        return float(degrees.min())
    return float(variances.sum() ** 2 / np.sum(variances**2 / degrees))


def _correction(groups: int, spent: int) -> float:
    return float(np.sqrt(groups / max(groups - spent, 1)))


def _quantile(level: float, degrees: float | None) -> float:
    from scipy.special import ndtri, stdtrit

    tail = (1 + level) / 2
    return float(ndtri(tail) if degrees is None else stdtrit(degrees, tail))
