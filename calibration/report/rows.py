"""The rows of the report's tables: which figures stand side by side, judges first, then humans."""

from collections.abc import Callable, Iterable, Iterator

from calibration.agreement import Agreement
from calibration.intervals import Estimate
from calibration.report.model import JudgeFigures, Report
from calibration.report.table import Row

HUMANS = "humans"
SHOWN_TURNS = 12
"""Turns shown in a text; the JSON has all of them."""


def columns(report: Report) -> list[str]:
    """Return the heads of the columns that every row here fills."""
    return [*report.judges, HUMANS]


def figure_rows(report: Report) -> Iterator[Row]:
    """Yield the rows of the main table."""
    judges = list(report.judges.values())
    pairwise, others = report.ceiling.human_human, report.ceiling.leave_one_out

    def row(name: str, cells: Iterable[Estimate], human: Estimate | None = None) -> Row:
        return Row(name, (*cells, human))

    yield row("S1, with ties", (j.s1.micro for j in judges), pairwise.s1)
    yield row("  over pairs", (j.s1.macro for j in judges))
    yield row("  against majority", (j.s1.majority for j in judges), others.s1)
    if counts_errors(report):
        yield row("  errors as wrong", (j.s1_errors_wrong for j in judges))
    yield row("S2, without ties", (j.s2.micro for j in judges), pairwise.s2)
    yield row("  over pairs", (j.s2.macro for j in judges))
    yield row("  against majority", (j.s2.majority for j in judges), others.s2)
    yield row("  votes that count", (j.s2_coverage for j in judges))
    yield Row("Kappa", (*(j.kappa for j in judges), report.ceiling.kappa), is_share=False)
    yield from _position_rows(judges)
    yield from _status_rows(judges)


def turn_rows(report: Report) -> Iterator[Row]:
    """Yield S1 and S2 of each turn; none where turns do not split the pairs."""
    turns = list(report.ceiling.turns)[:SHOWN_TURNS]
    if len(turns) < 2 and not report.pairs_without_turn:
        return
    kinds: list[tuple[str, Callable[[Agreement], Estimate]]] = [
        ("S1", lambda agreement: agreement.s1),
        ("S2", lambda agreement: agreement.s2),
    ]
    for name, of in kinds:
        for turn in turns:
            cells = (of(judge.turns[turn]) for judge in report.judges.values())
            yield Row(f"{name}, turn {turn}", (*cells, of(report.ceiling.turns[turn].human_human)))


def counts_errors(report: Report) -> bool:
    """Return whether any vote is on a pair that a judge's errors left without a label."""
    return any(j.s1_errors_wrong.n > j.s1.micro.n for j in report.judges.values())


def _position_rows(judges: list[JudgeFigures]) -> Iterator[Row]:
    yield Row("Same in both orders", (*(j.consistency for j in judges), None))
    yield Row("  moved to first", (*(j.toward_first for j in judges), None))
    yield Row("  moved to second", (*(j.toward_second for j in judges), None))
    fairness = (*(j.preference_fairness for j in judges), None)
    yield Row("Preference fairness", fairness, is_share=False)


def _status_rows(judges: list[JudgeFigures]) -> Iterator[Row]:
    """Unparsed replies always, the other statuses where there are any."""
    yield Row("Unparsed replies", (*(j.unparsed_rate for j in judges), None))
    for status in dict.fromkeys(name for j in judges for name in j.status_rates):
        rates = [j.status_rates.get(status) for j in judges]
        if status != "unparsed" and any(rate and rate.value for rate in rates):
            yield Row(f"  {status}", (*rates, None))
