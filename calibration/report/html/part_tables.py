"""The tables about one judge, and those about the humans alone."""

from collections.abc import Iterator
from dataclasses import fields

from calibration.chance import Coefficients, Marginals
from calibration.intervals import Estimate
from calibration.raters import RaterCoefficients
from calibration.report.html.tables import (
    Cell,
    Form,
    Line,
    Row,
    Table,
    counts_table,
    estimates_table,
    rows_of,
)
from calibration.report.model import Ceiling, JudgeFigures, LabelCounts, Report, VoteCounts

COEFFICIENTS = {
    "observed": "raw agreement",
    "cohen": "Cohen's kappa",
    "cohen_linear": "Cohen's kappa, linear weights",
    "cohen_quadratic": "Cohen's kappa, quadratic weights",
    "scott": "Scott's pi",
    "fleiss": "Fleiss' kappa",
    "brennan_prediger": "Brennan and Prediger",
    "ac1": "Gwet's AC1",
    "ac2": "Gwet's AC2, quadratic weights",
    "alpha_nominal": "Krippendorff's alpha, nominal",
    "alpha_ordinal": "Krippendorff's alpha, ordinal",
    "alpha_interval": "Krippendorff's alpha, interval",
}
PULLS = {
    "length": "the longer answer",
    "lists": "the answer with more list items",
    "markdown": "the answer with more markdown",
    "own_family": "the answer of its own family",
}
EFFECTS = {
    "position": "shown first",
    "length": "longer",
    "markdown": "more markdown",
    "own_family": "of its own family",
}
_SHOWN = ("A", "tie", "B", "no verdict")


def ends_table(labels: LabelCounts) -> Table:
    """Return where the pairs and the judgments of one judge ended."""
    kinds = {
        "first preferred": labels.first,
        "second preferred": labels.second,
        "tie": labels.ties,
        "inconsistent between the orders": labels.inconsistent,
    }
    undecided = {f"undecided: {why}": n for why, n in labels.undecided.items()}
    ends = {
        "labelled": labels.labelled,
        **undecided,
        "pending": labels.pending,
    }
    rows = [Row("Pairs"), *_ends(ends, labels.pairs), Row("Labels")]
    rows += [*_ends(kinds, labels.labelled), Row("Judgments")]
    rows += _ends(_by_status(labels), labels.judgments)
    return Table("Where pairs, labels and judgments ended", "what", ("count", "share"), tuple(rows))


def votes_table(votes: VoteCounts) -> Table:
    """Return where the votes ended."""
    left = {f"left out: {why}": n for why, n in votes.votes_left_out.items()}
    rows = tuple(_ends({"used": votes.votes_used, **left}, votes.votes))
    bad = f"{votes.votes_both_bad:,} of the votes call both answers bad; they are used as ties."
    notes = (
        *([bad] if votes.votes_both_bad else []),
        f"Annotators: {votes.annotators:,}. Labelled pairs with a vote: {votes.pairs_compared:,}.",
    )
    return Table("Where the votes ended", "votes", ("count", "share"), rows, notes)


def confusion_table(judge: JudgeFigures) -> Table:
    """Return the votes by label (row) and choice (column)."""
    confusion = judge.confusion
    counts = rows_of(confusion.rows, confusion.counts)
    caption = "Votes by what the label is (row) and what the human chose (column)"
    return counts_table(caption, "label", heads=confusion.columns, counts=counts)


def order_table(judge: JudgeFigures) -> Table:
    """Return the pairs by the verdict in the forward (row) and the reversed order (column)."""
    counts = rows_of([f"forward: {x}" for x in _SHOWN], judge.order_effects.table)
    heads = [f"reversed: {x}" for x in _SHOWN]
    caption = "Pairs by what was said in the forward order (row) and in the reversed one (column)"
    return counts_table(caption, "verdict", heads=heads, counts=counts)


def position_table(judge: JudgeFigures) -> Table:
    """Return the effects of order and repetition, and the identical-answer control."""
    effects = judge.order_effects
    lines = [
        Line("same answer in both orders", (judge.consistency,)),
        Line("moved toward the first shown", (judge.toward_first,), depth=1),
        Line("moved toward the second shown", (judge.toward_second,), depth=1),
        Line("same position in both orders (hard flip)", (effects.hard_flips,), depth=1),
        Line("first slot preferred among decided verdicts", (effects.first_slot,)),
        Line("preference fairness", (judge.preference_fairness,), Form.NUMBER),
        Line("repetition stability", (effects.repetition_stability,)),
        Line("agreement of two repeated asks", (effects.repetition_agreement,)),
        Line("flips beyond those of repeated asks", (effects.excess_flips,), Form.POINTS),
        Line("ties among identical answers", (effects.identical_ties,)),
    ]
    return estimates_table("Order and repetition", "figure", heads=("value",), lines=lines)


def confidence_table(judge: JudgeFigures) -> Table:
    """Return how well the stated confidence matches the agreement."""
    r, number = judge.reliability, Form.NUMBER
    lines = [
        Line("Brier score", (r.brier,), number),
        Line("miscalibration", (r.miscalibration,), depth=1),
        Line("discrimination", (r.discrimination,), depth=1),
        Line("uncertainty", (r.uncertainty,), depth=1),
        Line("log loss", (r.log_loss,), number),
        Line("after temperature", (r.log_loss_tempered,), number, 1),
        Line("expected calibration error, 10 bins", (r.ece,), number),
        Line("the same, were it perfectly calibrated", (r.ece_if_perfect,), number, 1),
        Line("temperature", (r.temperature,)),
        Line("slope", (r.slope,)),
        Line("intercept", (r.intercept,)),
        Line("p of slope 1 and intercept 0", (r.misfit.p,), Form.P),
    ]
    return estimates_table("Stated confidence", "figure", heads=("value",), lines=lines)


def curve_table(judge: JudgeFigures) -> Table:
    """Return the steps of the reliability curve."""
    rows = tuple(
        Row(f"{100 * p.stated:.1f} %", (Cell(f"{100 * p.observed:.1f} %"), Cell(f"{p.n:,}")))
        for p in judge.reliability.curve
    )
    return Table("Reliability curve", "stated confidence", ("agreement", "votes"), rows)


def coverage_table(judge: JudgeFigures) -> Table:
    """Return the agreement of the most confident labels by how many are kept."""
    lines = [Line(f"{100 * p.coverage:.0f} %", (p.agreement,)) for p in judge.reliability.coverage]
    caption = "Agreement of the most confident labels"
    return estimates_table(caption, "labels kept", heads=("agreement",), lines=lines)


def strata_tables(judge: JudgeFigures) -> dict[str, Table]:
    """Return a table of agreement for each way to part the pairs."""
    heads = ("S1", "S2", "humans S1", "humans S2", "pairs", "prompts")
    return {
        question: estimates_table(
            f"Agreement by {question}",
            question,
            heads=heads,
            lines=[
                Line(part, (f.s1, f.s2, f.humans_s1, f.humans_s2, f.pairs, f.prompts))
                for part, f in parts.items()
            ],
        )
        for question, parts in judge.strata.items()
    }


def annotators_table(ceiling: Ceiling) -> Table:
    """Return each annotator against the majority of the others."""
    lines = [Line(name, (x.s1, x.s2, x.votes)) for name, x in ceiling.annotators.items()]
    caption = "Each annotator against the majority of the others' votes"
    return estimates_table(caption, "annotator", heads=("S1", "S2", "votes"), lines=lines)


def pulls_table(judge: JudgeFigures) -> Table:
    """Return how often each kind of answer is preferred, by the judge and by the humans."""
    lines = [_pull_line(judge, field, name) for field, name in PULLS.items()]
    caption = "How often one kind of answer is preferred, on the same pairs"
    return estimates_table(
        caption, "preferred", heads=("judge", "humans", "difference"), lines=lines
    )


def effects_table(judge: JudgeFigures) -> Table:
    """Return what each property does once the humans' votes are held fixed."""
    bias = judge.bias
    lines = [
        Line(EFFECTS.get(name, name), (effect,), Form.POINTS)
        for name, effect in bias.effects.items()
    ]
    lines += [
        Line("self-preference (equal opportunity)", (bias.self_preference,), Form.POINTS),
        Line(
            "beyond answers of other families that are as bad",
            (bias.self_preference_beyond_control,),
            Form.POINTS,
            1,
        ),
    ]
    caption = "Effects with the humans' votes held fixed, in percentage points of verdicts"
    return estimates_table(caption, "property", heads=("effect",), lines=lines)


def coherence_table(judge: JudgeFigures) -> Table:
    """Return whether verdicts fit together, and how the judge ranks the systems."""
    lines = [
        Line("triples preferred in a circle", (judge.coherence.cycles,)),
        Line("Kendall's zeta", (judge.coherence.zeta,), Form.NUMBER),
        Line("Kendall's tau of the system rankings", (judge.systems.tau,), Form.NUMBER),
        Line("decisiveness", (judge.systems.decisiveness,), Form.NUMBER),
    ]
    return estimates_table("Coherence and ranking", "figure", heads=("value",), lines=lines)


def residuals_table(judge: JudgeFigures) -> Table:
    """Return per system the win rate by the judge minus that by the humans."""
    adjusted = {name: test.p for name, test in judge.systems.adjusted.items()}
    lines = [
        Line(name, (x, adjusted.get(name)), (Form.POINTS, Form.P))
        for name, x in judge.systems.residuals.items()
    ]
    caption = "Win rate by the judge minus win rate by the humans, on the same pairs"
    heads = ("difference", "p, adjusted over the systems")
    return estimates_table(caption, "system", heads=heads, lines=lines)


def win_rates_table(judge: JudgeFigures) -> Table:
    """Return the three win rates of every system."""
    heads = ("judge alone", "humans alone", "corrected", "equivalent votes")
    lines = [
        Line(name, (w.judge, w.humans, w.corrected, w.equivalent_labels))
        for name, w in judge.win_rates.items()
    ]
    return estimates_table("Win rates, a tie being half", "system", heads=heads, lines=lines)


def coefficients_table(report: Report) -> Table:
    """Return every chance-corrected coefficient, of each judge and among the humans."""
    sides: list[Coefficients | RaterCoefficients] = [
        *(j.coefficients for j in report.judges.values()),
        report.ceiling.coefficients,
    ]
    names = dict.fromkeys(f.name for side in sides for f in fields(side))
    order = [*(n for n in COEFFICIENTS if n in names), *(n for n in names if n not in COEFFICIENTS)]
    lines = [
        Line(
            COEFFICIENTS.get(name, name.replace("_", " ")),
            tuple(getattr(side, name, None) for side in sides),
            Form.SHARE if name == "observed" else Form.NUMBER,
        )
        for name in order
    ]
    heads = (*report.judges, "humans")
    return estimates_table("Agreement beyond chance", "coefficient", heads=heads, lines=lines)


def marginals_table(report: Report) -> Table:
    """Return how often each side makes each choice."""
    sides: list[Marginals] = [
        *(j.marginals for j in report.judges.values()),
        report.ceiling.marginals,
    ]
    lines = [
        Line(f.name, tuple(_estimate(side, f.name) for side in sides)) for f in fields(Marginals)
    ]
    heads = (*report.judges, "humans")
    return estimates_table("How often each choice is made", "choice", heads=heads, lines=lines)


def _estimate(side: Marginals, name: str) -> Estimate:
    estimate: Estimate = getattr(side, name)
    return estimate


def _pull_line(judge: JudgeFigures, field: str, name: str) -> Line:
    pull = getattr(judge.bias, field)
    forms = (Form.SHARE, Form.SHARE, Form.POINTS)
    return Line(name, (pull.judge, pull.humans, pull.difference), forms)


def _by_status(labels: LabelCounts) -> dict[str, int]:
    verdicts = {"with a verdict": labels.by_status.get("verdict", 0)}
    return verdicts | {f"{k}": n for k, n in labels.by_status.items() if k != "verdict"}


def _ends(counts: dict[str, int], total: int) -> Iterator[Row]:
    for name, count in counts.items():
        share = f"{100 * count / total:.1f} %" if total else "-"
        yield Row(name, (Cell(f"{count:,}"), Cell(share)), depth=1)
    yield Row("in all", (Cell(f"{total:,}"), Cell("100.0 %" if total else "-")))
