"""Whether a report meets what was asked of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from calibration.intervals import Estimate
from calibration.report.columns import PANEL_HAS_NO_ORDER
from calibration.report.model import JudgeFigures, Report
from calibration.report.table import percent

_SLACK = 1e-12
"""A figure that equals its threshold meets it, however the two were rounded."""


@dataclass(frozen=True)
class Thresholds:
    """What is asked of the judges, shares in [0, 1]; None asks nothing.

    A figure is compared by its value, not by an end of its interval.
    """

    min_agreement: float | None = None
    """Of the delivered labels with the votes."""
    metric: Literal["s1", "s2"] = "s1"
    """The agreement that is meant, over votes: with ties or without."""
    max_flip: float | None = None
    """Of every judge: pairs whose verdict changes with the order, hard and soft flips alike."""
    max_unparsed: float | None = None
    """Of every judge: replies that state no verdict."""

    def __post_init__(self) -> None:
        for name in ("min_agreement", "max_flip", "max_unparsed"):
            share = getattr(self, name)
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"{name} is {share}; give a share from 0 to 1")

    @property
    def is_any(self) -> bool:
        """Whether anything is asked."""
        return any(x is not None for x in (self.min_agreement, self.max_flip, self.max_unparsed))


def failures(report: Report, thresholds: Thresholds) -> list[str]:
    """Return in words which thresholds failed and by how much; nothing where all are met.

    A threshold on a figure that is not known has failed. Pure.
    """
    found: list[str | None] = []
    if thresholds.min_agreement is not None:
        agreement = getattr(report.judges[report.delivered], thresholds.metric).micro
        name = f"{thresholds.metric.upper()} of judge {report.delivered}"
        found.append(_below(name, agreement, thresholds.min_agreement))
    for name, judge in report.judges.items():
        found += _failures_of(name, judge, thresholds)
    return [failure for failure in found if failure is not None]


def _failures_of(name: str, judge: JudgeFigures, thresholds: Thresholds) -> Iterator[str | None]:
    if thresholds.max_flip is not None and judge.consistency.why != PANEL_HAS_NO_ORDER:
        flips = judge.consistency.complement()
        yield _above(f"the share of pairs that judge {name} flips", flips, thresholds.max_flip)
    if thresholds.max_unparsed is not None:
        what = f"the share of unparsed replies of judge {name}"
        yield _above(what, judge.unparsed_rate, thresholds.max_unparsed)


def _below(name: str, estimate: Estimate, minimum: float) -> str | None:
    if estimate.value is None:
        return f"{name} is unknown ({estimate.why}), so the minimum of {_share(minimum)} is not met"
    gap = minimum - estimate.value
    if gap <= _SLACK:
        return None
    return f"{name} is {_shown(estimate)}, {_points(gap)} below the minimum of {_share(minimum)}"


def _above(name: str, estimate: Estimate, maximum: float) -> str | None:
    if estimate.value is None:
        return f"{name} is unknown ({estimate.why}), so the maximum of {_share(maximum)} is not met"
    gap = estimate.value - maximum
    if gap <= _SLACK:
        return None
    return f"{name} is {_shown(estimate)}, {_points(gap)} above the maximum of {_share(maximum)}"


def _shown(estimate: Estimate) -> str:
    value = f"{percent(estimate.value or 0)} %"
    if estimate.low is None or estimate.high is None:
        return f"{value} (n {estimate.n:,})"
    return f"{value} ({percent(estimate.low)}-{percent(estimate.high)}, n {estimate.n:,})"


def _share(share: float) -> str:
    return f"{100 * share:.10g} %"


def _points(gap: float) -> str:
    points = 100 * gap
    return f"{points:.1f} points" if points >= 0.1 else f"{points:.1g} points"
