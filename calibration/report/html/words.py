"""Sentences of the page that the plain text does not have."""

from calibration.report.model import JudgeFigures, Report
from calibration.report.words import Light

TITLES = {
    Light.BELOW: "Below the human ceiling",
    Light.LEVEL: "Not told apart from a human",
    Light.ABOVE: "Above human-human agreement",
    Light.UNKNOWN: "No comparison with humans",
}
ICONS = {Light.BELOW: "▼", Light.LEVEL: "≈", Light.ABOVE: "▲", Light.UNKNOWN: "?"}


def why_not_compared(report: Report) -> str:
    """Return why no light can be given."""
    judge = report.judges[report.delivered].s1.micro
    why = judge.why or report.ceiling.human_human.s1.why or "an interval is missing"
    return f"The judge cannot be set beside the human ceiling: {why}."


def missing(report: Report) -> dict[str, list[str]]:
    """Return the figures without value or interval, by reason, named as in report.json."""
    found: dict[str, list[str]] = {}
    for path, estimate in report.missing():
        what = "not computed" if estimate.value is None else "no interval"
        found.setdefault(f"{what}: {estimate.why}", []).append(".".join(path))
    return found


def no_confidence(figures: JudgeFigures) -> str | None:
    """Return why there is no picture of confidence; None where there is one."""
    reliability = figures.reliability
    if reliability.curve or reliability.coverage:
        return None
    return reliability.brier.why or "no label has a probability"
