"""Win rates from many judged pairs and few human votes."""

from collections.abc import Mapping
from dataclasses import dataclass

from calibration.intervals import Estimate


@dataclass(frozen=True)
class WinRate:
    """How often a system is preferred, a tie being half; three ways to say it."""

    judge: Estimate
    """Mean of the judge's labels on all pairs of the system: as biased as the judge is."""
    humans: Estimate
    """Mean of the votes' majority on the pairs with votes: unbiased, and wide."""
    corrected: Estimate
    """Prediction-powered (PPI++): as unbiased as the votes, as narrow as the judge allows."""
    equivalent_labels: float | None
    """Votes that would give the humans' figure the width of the corrected one."""


WinRates = Mapping[str, WinRate]
"""System -> its win rate against everything it was paired with."""
