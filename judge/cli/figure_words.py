"""Figures in words: shares as percentages, differences in points, p-values. Pure."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calibration.intervals import Estimate
    from calibration.significance import PValue


def interval_words(estimate: "Estimate", level: float) -> str:
    """Return the interval of a difference with its level, or why there is none."""
    if estimate.low is None:
        return f"no interval: {estimate.why}"
    return f"{100 * level:g} % CI {range_words(estimate)}, clustered by prompt"


def range_words(estimate: "Estimate") -> str:
    """Return the ends of a difference in points."""
    if estimate.low is None or estimate.high is None:
        return "-"
    return f"{signed_points(estimate.low)} to {signed_points(estimate.high)}"


def share_words(estimate: "Estimate") -> str:
    """Return a share as a percentage."""
    return "-" if estimate.value is None else f"{100 * estimate.value:.1f} %"


def points(share: float) -> str:
    """Return the size of a difference in points."""
    return f"{100 * share:.1f}"


def signed_points(share: float) -> str:
    """Return a difference in points, with its sign."""
    return f"{100 * share:+.1f}"


def p_words(p: "PValue") -> str:
    """Return a p-value, or that it is unknown."""
    return "unknown" if p.p is None else p_number(p.p)


def p_number(p: float) -> str:
    """Return a p-value or a statistic to two digits that matter."""
    return f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def many(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
