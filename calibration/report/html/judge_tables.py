"""The tables that set all judges side by side."""

from collections.abc import Callable, Iterator

from calibration.intervals import Estimate
from calibration.report.html.tables import Form, Line, Table, estimates_table
from calibration.report.model import JudgeFigures, Report
from calibration.report.rows import HUMANS, counts_errors

BASELINES = {
    "always_first": "always the first answer",
    "longest": "the longer answer",
    "random": "any choice at random",
    "coin_flip": "a coin flip in each order",
}
PAIRWISE, OTHERS = "humans with each other", "a human against the others' majority"

_Of = Callable[[JudgeFigures], Estimate | float | None]


def agreement_table(report: Report) -> Table:
    """Return who agrees how far with the votes: judges, then humans, then baselines."""
    heads = ("S1, with ties", "S2, without ties", "S1, majority", "S2, majority")
    lines = [
        Line(name, (j.s1.micro, j.s2.micro, j.s1.majority, j.s2.majority))
        for name, j in report.judges.items()
    ]
    ceiling = report.ceiling
    lines.append(Line(PAIRWISE, (ceiling.human_human.s1, ceiling.human_human.s2, None, None)))
    others = ceiling.leave_one_out
    lines.append(Line(OTHERS, (None, None, others.s1, others.s2)))
    for field, name in BASELINES.items():
        reached = getattr(report.baselines, field)
        lines.append(Line(name, (reached.s1, reached.s2, None, None)))
    caption = "Agreement with human votes: judges, humans and labels made without reading"
    return estimates_table(caption, "who", heads=heads, lines=lines)


def judges_table(report: Report) -> Table:
    """Return every figure of every judge, with the same figure of the humans where it exists."""
    heads = (*report.judges, HUMANS)
    lines = [
        *_agreement_lines(report),
        *_chance_lines(report),
        *_order_lines(report),
        *_pull_lines(report),
        *_reply_lines(report),
        *_expense_lines(report),
    ]
    return estimates_table("Every figure, judge by judge", "figure", heads=heads, lines=lines)


def turns_table(report: Report) -> Table:
    """Return S1 and S2 of each turn of the conversation."""
    lines = []
    for name in ("s1", "s2"):
        for turn, humans in report.ceiling.turns.items():
            cells = [getattr(j.turns[turn], name) for j in report.judges.values()]
            human = getattr(humans.human_human, name)
            lines.append(Line(f"{name.upper()}, turn {turn}", (*cells, human)))
    heads = (*report.judges, HUMANS)
    return estimates_table("Agreement by turn", "figure", heads=heads, lines=lines)


class _Lines:
    """Makes lines with a value per judge and one of the humans."""

    def __init__(self, report: Report) -> None:
        self._judges = list(report.judges.values())

    def __call__(
        self,
        name: str,
        of: _Of,
        *,
        humans: Estimate | None = None,
        form: Form = Form.SHARE,
        depth: int = 0,
        why: str = "unknown",
    ) -> Line:
        return Line(name, (*(of(j) for j in self._judges), humans), form, depth, why)


def _agreement_lines(report: Report) -> Iterator[Line]:
    line = _Lines(report)
    pairwise, others = report.ceiling.human_human, report.ceiling.leave_one_out
    yield Line("Agreement with human votes")
    yield line("S1, with ties", lambda j: j.s1.micro, humans=pairwise.s1)
    yield line("over pairs", lambda j: j.s1.macro, depth=1)
    yield line("against the majority", lambda j: j.s1.majority, humans=others.s1, depth=1)
    if counts_errors(report):
        yield line("errors counted as wrong", lambda j: j.s1_errors_wrong, depth=1)
    yield line("S2, without ties", lambda j: j.s2.micro, humans=pairwise.s2)
    yield line("over pairs", lambda j: j.s2.macro, depth=1)
    yield line("against the majority", lambda j: j.s2.majority, humans=others.s2, depth=1)
    yield line("votes that S2 counts", lambda j: j.s2_coverage, depth=1)


def _chance_lines(report: Report) -> Iterator[Line]:
    line, humans = _Lines(report), report.ceiling.coefficients
    number = Form.NUMBER
    yield Line("Agreement beyond chance")
    yield line("Cohen's kappa", lambda j: j.kappa, humans=report.ceiling.kappa, form=number)
    yield line("Gwet's AC1", lambda j: j.coefficients.ac1, humans=humans.ac1, form=number)
    yield line("Gwet's AC2", lambda j: j.coefficients.ac2, humans=humans.ac2, form=number)
    yield line(
        "Krippendorff's alpha, ordinal",
        lambda j: j.coefficients.alpha_ordinal,
        humans=humans.alpha_ordinal,
        form=number,
    )


def _order_lines(report: Report) -> Iterator[Line]:
    line = _Lines(report)
    yield Line("Order of the answers")
    yield line("same answer in both orders", lambda j: j.consistency)
    yield line("moved toward the first shown", lambda j: j.toward_first, depth=1)
    yield line("moved toward the second shown", lambda j: j.toward_second, depth=1)
    yield line("flip rate, hard", lambda j: j.order_effects.hard_flips, depth=1)
    yield line("first slot preferred", lambda j: j.order_effects.first_slot)
    yield line("preference fairness", lambda j: j.preference_fairness, form=Form.NUMBER)


def _pull_lines(report: Report) -> Iterator[Line]:
    line, bias = _Lines(report), report.judges[report.delivered].bias
    yield Line("What else draws preference")
    yield line("longer preferred", lambda j: j.bias.length.judge, humans=bias.length.humans)
    yield line("more lists preferred", lambda j: j.bias.lists.judge, humans=bias.lists.humans)
    yield line(
        "more markdown preferred", lambda j: j.bias.markdown.judge, humans=bias.markdown.humans
    )
    # Families differ by judge, so the humans' figure stands with each judge further down.
    yield line("own family preferred", lambda j: j.bias.own_family.judge)


def _reply_lines(report: Report) -> Iterator[Line]:
    line = _Lines(report)
    yield Line("Replies")
    yield line("replies that could be parsed", lambda j: j.unparsed_rate.complement())
    yield line("unparsed", lambda j: j.unparsed_rate, depth=1)
    seen = dict.fromkeys(s for j in report.judges.values() for s in j.status_rates)
    for status in seen:
        rates = [j.status_rates.get(status) for j in report.judges.values()]
        if status != "unparsed" and any(rate is not None and rate.value for rate in rates):
            yield Line(status, (*rates, None), depth=1)


def _expense_lines(report: Report) -> Iterator[Line]:
    line = _Lines(report)
    yield Line("Expense")
    prices, times = "not every judgment has a known price", "not every judgment has a known time"
    is_priced = any(j.expense.usd_per_1000 is not None for j in report.judges.values())
    usable = "no label is usable" if is_priced else prices
    yield line("$ per 1,000 judgments", lambda j: j.expense.usd_per_1000, why=prices)
    yield line("$ per 1,000 usable labels", lambda j: j.expense.usd_per_1000_labels, why=usable)
    yield line("seconds per 1,000 judgments", lambda j: j.expense.seconds_per_1000, why=times)
