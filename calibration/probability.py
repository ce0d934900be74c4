"""Whether a judge's probabilities mean what they say."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.agreement import Codes, Index, Mask
from calibration.bootstrap import cluster_bootstrap
from calibration.intervals import (
    ONE_CLUSTER,
    Estimate,
    Floats,
    cluster_codes,
    clustered_proportion,
    t_quantile,
)
from calibration.recalibration import (
    Platt,
    calibration_ratio,
    fit_platt,
    fit_temperature,
    tempered,
)
from calibration.scoring import (
    BINS,
    Isotonic,
    bin_of,
    calibration_error_if_perfect,
    corp,
    isotonic,
    log_losses,
)
from calibration.significance import PValue

NO_PROBABILITIES = "the judge gave no probabilities"
NO_VOTES = "no decided vote on a decided label with a probability"
COVERAGES = tuple(tenth / 10 for tenth in range(1, 11))
_FOLDS = 5
_NO_TEMPERATURE = "no temperature fits these probabilities"
_NO_FIT = "no single calibration line fits these probabilities"


@dataclass(frozen=True)
class ReliabilityPoint:
    """One step of the isotonic reliability curve."""

    stated: float
    """Mean confidence as the judge states it; below 1/2 it doubts its own label."""
    observed: float
    """Share of the votes that agree, by isotonic regression."""
    n: int


@dataclass(frozen=True)
class CoveragePoint:
    """What keeping only the most confident labels reaches."""

    coverage: float
    """Share kept of the decided labels with a probability, with votes or without."""
    agreement: Estimate
    """Share of the decided votes on them that agree (S2)."""


@dataclass(frozen=True)
class Reliability:
    """Confidence against agreement; every figure is absent where there are no probabilities."""

    brier: Estimate
    log_loss: Estimate
    """In nats."""
    ece: Estimate
    """Expected calibration error, 10 bins closed on the right: a picture, never a criterion."""
    ece_if_perfect: Estimate
    """The same that perfectly calibrated confidences of this number would show."""
    miscalibration: float | None
    """CORP: Brier = miscalibration - discrimination + uncertainty."""
    discrimination: float | None
    uncertainty: float | None
    temperature: float | None
    """Above 1: the judge is over-confident. Fitted to all of these votes."""
    log_loss_tempered: Estimate
    """Log-loss after a temperature that was fitted to the other prompts, five parts in turn."""
    slope: float | None
    """Of agreement on stated log-odds (Platt), fitted to all of these votes; 1 is calibrated."""
    intercept: float | None
    """In log-odds; 0 is calibrated."""
    misfit: PValue
    """Whether slope 1 and intercept 0 fit as well; likelihood ratio over the design effect."""
    curve: Sequence[ReliabilityPoint]
    coverage: Sequence[CoveragePoint]


def reliability(
    label: Codes,
    votes: Floats,
    *,
    has_label: Mask,
    cluster: Index,
    probability: Floats | None,
    has_probability: Mask | None,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Reliability:
    """Return how far confidence in decided labels matches the decided votes on them.

    Columns have shape (n_pairs,), `votes` (n_pairs, 3) as `VoteColumns.counts` gives them.
    `probability` is that of the first candidate; confidence is that of the label's own side, at
    least 1/2 unless label and probability contradict each other. Every vote counts once.
    """
    if probability is None or has_probability is None or not np.any(has_probability):
        return _absent(NO_PROBABILITIES, ())
    rows = has_label & has_probability & (label != 0)
    sure = np.where(label > 0, probability, 1 - probability)[rows]
    given = votes[rows][:, [0, 2]]
    total = given.sum(axis=1)
    agreeing = np.where(label[rows] > 0, given[:, 1], given[:, 0])
    prompts = cluster[rows]
    coverage = _coverage(sure, agreeing, total, prompts, level=level)
    voted = total > 0
    if not np.any(voted):
        return _absent(NO_VOTES, coverage)
    size = total[voted]
    codes, _ = cluster_codes(prompts[voted])
    cast = _Cast(sure[voted], agreeing[voted] / size, size, codes)
    return _figures(cast, coverage, level=level, draws=draws, seed=seed)


@dataclass(frozen=True)
class _Cast:
    """Confidence and the votes cast on it, one row per pair."""

    p: Floats
    y: Floats
    """Share of the votes that agree."""
    size: Floats
    prompt: NDArray[np.intp]
    """Codes 0 to G - 1."""

    def sums(self, values: Floats) -> Floats:
        return np.bincount(self.prompt, values).astype(np.float64)


def _figures(
    cast: _Cast, coverage: Sequence[CoveragePoint], *, level: float, draws: int, seed: int
) -> Reliability:
    p, y, size = cast.p, cast.y, cast.size
    parts, steps = corp(p, y, size=size), isotonic(p, y, size=size)
    deff = _design_effect(cast, steps)
    temperature, platt = fit_temperature(p, y, size=size), fit_platt(p, y, size=size)
    return Reliability(
        brier=_brier(cast, level=level),
        log_loss=_mean_loss(cast, log_losses(p, y), level=level),
        ece=_calibration_error(cast, level=level, draws=draws, seed=seed),
        ece_if_perfect=calibration_error_if_perfect(
            p, size=size, design_effect=deff, level=level, draws=draws, seed=seed
        ),
        miscalibration=None if parts is None else parts.miscalibration,
        discrimination=None if parts is None else parts.discrimination,
        uncertainty=None if parts is None else parts.uncertainty,
        temperature=temperature,
        log_loss_tempered=_tempered_loss(cast, level=level, seed=seed),
        slope=None if platt is None else platt.slope,
        intercept=None if platt is None else platt.intercept,
        misfit=_misfit(cast, platt, design_effect=deff),
        curve=_curve(steps),
        coverage=coverage,
    )


def _misfit(cast: _Cast, platt: Platt | None, *, design_effect: float) -> PValue:
    n = round(float(cast.size.sum()))
    if platt is None:
        return PValue(None, n, _NO_FIT)
    ratio = calibration_ratio(cast.p, cast.y, platt, size=cast.size) / design_effect
    # The upper tail of chi-squared with two degrees of freedom; divided as Rao and Scott 1984 do.
    return PValue(float(np.exp(-ratio / 2)), n)


def _curve(steps: Isotonic) -> tuple[ReliabilityPoint, ...]:
    blocks = zip(steps.stated, steps.observed, steps.size, strict=True)
    return tuple(ReliabilityPoint(float(p), float(y), round(float(n))) for p, y, n in blocks)


def _brier(cast: _Cast, *, level: float) -> Estimate:
    """One row per vote, so that the interval knows how votes differ within a pair."""
    agreeing = np.rint(cast.y * cast.size).astype(np.intp)
    against = np.rint(cast.size).astype(np.intp) - agreeing
    errors = np.concatenate([np.repeat((1 - cast.p) ** 2, agreeing), np.repeat(cast.p**2, against)])
    prompts = np.concatenate([np.repeat(cast.prompt, agreeing), np.repeat(cast.prompt, against)])
    return clustered_proportion(errors, prompts, level=level).estimate


def _mean_loss(cast: _Cast, losses: Floats, *, level: float) -> Estimate:
    """Mean over votes with the CR1 interval; losses have no upper bound worth the name."""
    total = float(cast.size.sum())
    n, value = round(total), float(losses @ cast.size) / total
    sums = cast.sums(cast.size * (losses - value)) / total
    groups = len(sums)
    if groups == 1:
        return Estimate(value, None, None, n, ONE_CLUSTER)
    error = float(np.sqrt(sums @ sums * groups / (groups - 1)))
    if error < 1e-12:
        return Estimate(value, None, None, n, "every prompt has the same loss")
    half = t_quantile(level, groups - 1) * error
    return Estimate(value, max(0.0, value - half), value + half, n)


def _tempered_loss(cast: _Cast, *, level: float, seed: int) -> Estimate:
    groups = int(cast.prompt.max()) + 1
    n = round(float(cast.size.sum()))
    if groups == 1:
        return Estimate(None, None, None, n, "one prompt only; fitting and testing need two")
    folds = np.random.default_rng(seed).permutation(groups) % _FOLDS
    of_row = folds[cast.prompt]
    p = cast.p.copy()
    for fold in range(min(_FOLDS, groups)):
        held_out, rest = of_row == fold, of_row != fold
        fit = fit_temperature(cast.p[rest], cast.y[rest], size=cast.size[rest])
        if fit is None:
            return Estimate(None, None, None, n, _NO_TEMPERATURE)
        p[held_out] = tempered(cast.p[held_out], fit)
    return _mean_loss(cast, log_losses(p, cast.y), level=level)


def _calibration_error(cast: _Cast, *, level: float, draws: int, seed: int) -> Estimate:
    groups = int(cast.prompt.max()) + 1
    cells = cast.prompt * BINS + bin_of(cast.p)
    gaps = np.bincount(cells, cast.size * (cast.y - cast.p), minlength=groups * BINS)
    table = np.column_stack([gaps.reshape(groups, BINS), cast.sums(cast.size)])

    def errors(totals: Floats) -> Floats:
        return np.asarray(np.abs(totals[:, :BINS]).sum(axis=1) / totals[:, BINS])

    n = round(float(cast.size.sum()))
    return cluster_bootstrap(table, errors, n=n, level=level, draws=draws, seed=seed)


def _design_effect(cast: _Cast, steps: Isotonic) -> float:
    """How much more votes vary around the reliability curve than independent ones, at least 1."""
    expected = steps.fitted
    sums = cast.sums(cast.size * (cast.y - expected))
    independent = float(cast.size @ (expected * (1 - expected)))
    return max(1.0, float(sums @ sums) / independent) if independent > 0 else 1.0


def _coverage(
    sure: Floats, agreeing: Floats, total: Floats, prompts: Index, *, level: float
) -> tuple[CoveragePoint, ...]:
    """Labels of equal confidence are kept together, so fewer points than coverages may differ."""
    ranked = np.sort(sure)[::-1]
    places = [max(1, round(share * len(sure))) - 1 for share in COVERAGES if len(sure)]
    points = []
    for bound in dict.fromkeys(float(ranked[place]) for place in places):
        kept = sure >= bound
        agreement = clustered_proportion(
            agreeing[kept], prompts[kept], size=total[kept], level=level, empty=NO_VOTES
        ).estimate
        points.append(CoveragePoint(float(kept.mean()), agreement))
    return tuple(points)


def _absent(why: str, coverage: Sequence[CoveragePoint]) -> Reliability:
    no = Estimate(None, None, None, 0, why)
    nothing = PValue(None, 0, why)
    return Reliability(
        no, no, no, no, None, None, None, None, no, None, None, nothing, (), coverage
    )
