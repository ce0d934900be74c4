"""Which charts the page has, and what each shows in words."""

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from calibration.report.html.charts import (
    MOST_LABELS,
    Axis,
    Dot,
    coverage_chart,
    dots_chart,
    reliability_chart,
)
from calibration.report.html.judge_tables import BASELINES
from calibration.report.html.part_tables import EFFECTS, PULLS
from calibration.report.model import JudgeFigures, Report

_JUDGE, _HUMANS, _BASELINE = "judge", "humans", "without reading"
_MOST_QUESTIONS = 6
"""Ways to part the pairs that get a chart; every one has its table."""


@dataclass(frozen=True)
class Picture:
    """A chart with its title and its content in a sentence."""

    title: str
    alt: str
    svg: Markup


def agreement_pictures(report: Report) -> list[Picture]:
    """Return S1 and S2 of judges and baselines against the human ceiling."""
    made = []
    for kind, words in (("s1", "S1, with ties"), ("s2", "S2, without ties")):
        humans = report.ceiling.human_human
        dots = [Dot(n, _JUDGE, getattr(j, kind).micro) for n, j in report.judges.items()]
        dots += [
            Dot(name, _BASELINE, getattr(getattr(report.baselines, field), kind))
            for field, name in BASELINES.items()
        ]
        axis = Axis("agreement with the votes, %", band=getattr(humans, kind))
        alt = (
            f"Dots with intervals: {words}, of each judge and of labels made without reading; the "
            "shaded band is how far humans agree with each other."
        )
        made.append((f"{words}; band: humans with each other", alt, dots, axis))
    return _drawn(made)


def position_pictures(report: Report) -> list[Picture]:
    """Return how often verdicts move toward each position, of all judges."""
    dots = []
    for name, judge in report.judges.items():
        dots.append(Dot(name, "toward the first shown", judge.toward_first))
        dots.append(Dot(name, "toward the second shown", judge.toward_second))
    alt = "Dots with intervals: share of pairs whose verdict moves toward each position, by judge."
    return _drawn([("Moved by the order", alt, dots, Axis("pairs, %"))])


def confidence_pictures(judge: JudgeFigures) -> list[Picture]:
    """Return the reliability curve and agreement by coverage."""
    reliability = judge.reliability
    drawn = [
        (
            "Reliability",
            "Step curve of the agreement observed at each stated confidence; on the dashed "
            "diagonal confidence means what it says, below it the judge is over-confident.",
            reliability_chart(reliability.curve),
        ),
        (
            "Keeping only the most confident labels",
            "Line with interval: agreement of the most confident labels by the share kept.",
            coverage_chart(reliability.coverage),
        ),
    ]
    return [Picture(title, alt, svg) for title, alt, svg in drawn if svg is not None]


def strata_pictures(judge: JudgeFigures) -> dict[str, Picture]:
    """Return agreement on each kind of pair, for each way to part the pairs."""
    found = {}
    for question, parts in list(judge.strata.items())[:_MOST_QUESTIONS]:
        dots = []
        for part, figures in parts.items():
            dots.append(Dot(part, _JUDGE, figures.s1))
            dots.append(Dot(part, _HUMANS, figures.humans_s1))
        alt = f"Dots with intervals: S1 of the judge and of humans with each other by {question}."
        axis = Axis("S1, %")
        for picture in _drawn([(f"By {question}", alt, dots, axis)]):
            found[question] = picture
    return found


def annotator_pictures(report: Report) -> list[Picture]:
    """Return each annotator against the majority of the others."""
    dots = [Dot(name, _HUMANS, x.s1) for name, x in report.ceiling.annotators.items()]
    alt = "Dots with intervals: S1 of each annotator against the majority of the others' votes."
    known = sum(dot.estimate.value is not None for dot in dots)
    title = "Annotators" if known == len(dots) else f"{known} of {len(dots)} annotators"
    if known > MOST_LABELS:
        title = f"The {MOST_LABELS} busiest of {len(dots)} annotators"
    axis = Axis("S1 against the others' majority, %")
    return _drawn([(title, alt, dots, axis)])


def bias_pictures(judge: JudgeFigures) -> list[Picture]:
    """Return what draws the judge beside what draws the humans, and the effects."""
    dots = []
    for field, name in PULLS.items():
        pull = getattr(judge.bias, field)
        dots += [Dot(_short(name), _JUDGE, pull.judge), Dot(_short(name), _HUMANS, pull.humans)]
    alt = (
        "Paired dots with intervals: how often the judge and the humans prefer the longer answer, "
        "more lists, more markdown and the judge's own family; the dashed line is one half."
    )
    pulls = ("Preferred by judge and humans", alt, dots, Axis("preferred, %", neutral=0.5))
    effects = [Dot(EFFECTS.get(n, n), _JUDGE, x) for n, x in judge.bias.effects.items()]
    told = "Dots with intervals: effects with the humans' votes held fixed; the dashed line is 0."
    axis = Axis("effect, percentage points", neutral=0.0)
    return _drawn([pulls, ("With quality held fixed", told, effects, axis)])


def system_pictures(judge: JudgeFigures) -> list[Picture]:
    """Return the residual of each system."""
    dots = [Dot(name, _JUDGE, x) for name, x in judge.systems.residuals.items()]
    alt = "Dots with intervals: win rate by the judge minus that by the humans, per system."
    axis = Axis("judge minus humans, percentage points", neutral=0.0)
    return _drawn([("Who the judge favours", alt, dots, axis)])


def win_rate_pictures(judge: JudgeFigures) -> list[Picture]:
    """Return the three win rates of each system."""
    dots = []
    for name, rate in judge.win_rates.items():
        dots.append(Dot(name, _JUDGE, rate.judge))
        dots.append(Dot(name, _HUMANS, rate.humans))
        dots.append(Dot(name, "corrected", rate.corrected))
    alt = "Dots with intervals: win rate of each system by the judge, by the humans and corrected."
    return _drawn([("Win rates", alt, dots, Axis("win rate, %", neutral=0.5))])


def _drawn(wanted: Iterable[tuple[str, str, list[Dot], Axis]]) -> list[Picture]:
    drawn = ((title, alt, dots_chart(dots, axis)) for title, alt, dots, axis in wanted)
    return [Picture(title, alt, svg) for title, alt, svg in drawn if svg is not None]


def _short(name: str) -> str:
    return name.removeprefix("the ").replace("answer with ", "").replace("answer of its ", "")
