"""What every rendering of a report says in the same words."""

from collections.abc import Iterator
from enum import StrEnum

from calibration.certificates import certificate_lines
from calibration.intervals import Estimate
from calibration.report.model import Report
from calibration.report.table import percent


class Light(StrEnum):
    """Where the judge stands against the humans' agreement with each other."""

    BELOW = "below"
    LEVEL = "level"
    ABOVE = "above"
    UNKNOWN = "unknown"


_MEANINGS = {
    Light.BELOW: "The judge is below the human ceiling: the two intervals do not meet.",
    Light.LEVEL: "The two intervals overlap: these votes do not tell the judge from a human.",
    Light.ABOVE: "The judge is above human-human agreement: the two intervals do not meet.",
}


def headline(report: Report) -> str:
    """Return one sentence: the agreement, its interval and the human ceiling."""
    name, figures = report.delivered, report.judges[report.delivered]
    s1 = figures.s1.micro
    level = f"{report.level * 100:g} % CI"
    if s1.value is not None:
        pairs = many(report.votes.pairs_compared, "human-labelled pair")
        interval = _interval(s1, f"{level} ", ", clustered by prompt")
        return (
            f"On {pairs}, judge {name} agrees with {percent(s1.value)} % of the votes "
            f"({interval}); {_ceiling_clause(report)}."
        )
    why = "no vote is on a labelled pair" if report.votes.votes else "there are no human votes yet"
    start = f"Agreement of judge {name} with humans is unknown: {why}"
    consistency = figures.consistency
    if consistency.value is None:
        return f"{start}; nor can its consistency be told: {consistency.why}."
    return (
        f"{start}; it gives the same answer in both orders on {percent(consistency.value)} % of "
        f"{many(consistency.n, 'pair')} "
        f"({_interval(consistency, f'{level} ', ', clustered by prompt')})."
    )


def _ceiling_clause(report: Report) -> str:
    humans = report.ceiling.human_human.s1
    if humans.value is None:
        return f"how far humans agree with each other is unknown: {humans.why}"
    interval = _interval(humans, "", "")
    return f"humans agree with each other on {percent(humans.value)} % ({interval})"


def light(report: Report) -> Light:
    """Return how the interval of the delivered judge lies to that of the humans."""
    judge = report.judges[report.delivered].s1.micro
    humans = report.ceiling.human_human.s1
    if judge.low is None or judge.high is None or humans.low is None or humans.high is None:
        return Light.UNKNOWN
    if judge.high < humans.low:
        return Light.BELOW
    return Light.ABOVE if judge.low > humans.high else Light.LEVEL


def against_humans(report: Report) -> str:
    """Return what the light means in one sentence; empty where it is unknown."""
    return _MEANINGS.get(light(report), "")


def certificate_words(report: Report) -> tuple[str, str]:
    """Return what is certified or not, and what it rests on or would decide it."""
    judge = report.judges[report.delivered]
    first, *others = certificate_lines(judge.certificate, judge=report.delivered)
    return first, " ".join(line[:1].upper() + line[1:] for line in others)


def left_out(report: Report) -> Iterator[str]:
    """Yield what the figures leave out, and why."""
    for why, n in report.votes.votes_left_out.items():
        yield f"{many(n, 'vote')}: {why}"
    for why, n in report.labels.undecided.items():
        if n:
            yield f"{many(n, 'pair')} undecided: {why}"
    if report.labels.pending:
        yield f"{many(report.labels.pending, 'pair')} pending: judgments still to come"
    if report.ceiling.turns and report.pairs_without_turn:
        yield f"{many(report.pairs_without_turn, 'pair')} without a turn: in the figures of no turn"


def _interval(estimate: Estimate, before: str, after: str) -> str:
    if estimate.low is None or estimate.high is None:
        return f"no interval: {estimate.why}"
    return f"{before}{percent(estimate.low)}-{percent(estimate.high)}{after}"


def many(count: int, noun: str) -> str:
    """Return a number of things in words."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
