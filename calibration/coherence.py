"""Whether a judge's verdicts fit together. Needs no human vote; reliability, not validity."""

from collections.abc import Mapping
from dataclasses import dataclass

from calibration.intervals import Estimate


@dataclass(frozen=True)
class Coherence:
    """Whether three answers to one prompt are ever preferred in a circle."""

    cycles: Estimate
    """Share of triples with three decided verdicts that form a circle; random is 1/4."""
    zeta: Estimate
    """Kendall's coefficient of consistence, mean over prompts with a complete tournament."""


@dataclass(frozen=True)
class SystemRanking:
    """The judge's ranking of the systems beside that of the humans."""

    tau: Estimate
    """Kendall's tau-b between win rates by the judge and by the humans; n counts systems."""
    decisiveness: Estimate
    """Slope of the judge's win rates on the humans' around 1/2; above 1 exaggerates."""
    residuals: Mapping[str, Estimate]
    """Per system: win rate by the judge minus win rate by the humans on the same pairs."""
