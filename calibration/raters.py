"""Agreement corrected for chance between any number of raters, some of them missing."""

from dataclasses import dataclass

from calibration.intervals import Estimate


@dataclass(frozen=True)
class RaterCoefficients:
    """Agreement among raters and what remains of it after chance, in seven ways."""

    observed: Estimate
    """Mean over the rated units of the share of agreeing couples of ratings."""
    fleiss: Estimate
    brennan_prediger: Estimate
    ac1: Estimate
    ac2: Estimate
    """Gwet's, quadratic weights."""
    alpha_nominal: Estimate
    alpha_ordinal: Estimate
    alpha_interval: Estimate
