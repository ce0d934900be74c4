"""Whether a judge's probabilities mean what they say."""

from collections.abc import Sequence
from dataclasses import dataclass

from calibration.intervals import Estimate


@dataclass(frozen=True)
class ReliabilityPoint:
    """One step of the isotonic reliability curve."""

    stated: float
    """Confidence as the judge states it, in [0.5, 1]."""
    observed: float
    """Share of the votes that agree, by isotonic regression."""
    n: int


@dataclass(frozen=True)
class CoveragePoint:
    """What keeping only the most confident labels reaches."""

    coverage: float
    agreement: Estimate


@dataclass(frozen=True)
class Reliability:
    """Confidence against agreement; every figure is absent where there are no probabilities."""

    brier: Estimate
    log_loss: Estimate
    ece: Estimate
    """Expected calibration error, 10 bins: a picture, never a criterion."""
    ece_if_perfect: Estimate
    """The same that perfectly calibrated confidences of this number would show."""
    miscalibration: float | None
    """CORP: Brier = miscalibration - discrimination + uncertainty."""
    discrimination: float | None
    uncertainty: float | None
    temperature: float | None
    """Above 1: the judge is over-confident."""
    curve: Sequence[ReliabilityPoint]
    coverage: Sequence[CoveragePoint]
