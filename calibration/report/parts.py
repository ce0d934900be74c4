"""The parts of the text after the main table, each with a line that says what it answers."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from calibration.report.model import JudgeFigures, Report
from calibration.report.part_rows import (
    bias_rows,
    coefficient_rows,
    effect_rows,
    order_rows,
    paradox,
    reliability_rows,
    stratum_rows,
    win_rate_rows,
)
from calibration.report.rows import columns
from calibration.report.table import Row, table
from calibration.strata import MIN_PROMPTS, MIN_VOTES

WIDTH = 100

SMALL = f"- stands for fewer than {MIN_VOTES} votes or {MIN_PROMPTS} prompts: too few to show."


def part_blocks(report: Report) -> Iterator[list[str]]:
    """Yield the lines of each part that has any figure; most are about the delivered judge."""
    figures = report.judges[report.delivered]
    yield _part(
        "Corrected for chance, beside the raw agreement and how often each side says what",
        coefficient_rows(report),
        columns(report),
        notes=[note] if (note := paradox(figures)) else [],
    )
    yield _part(
        "Orders and repeats: is it the answer, or its place?", order_rows(report), report.judges
    )
    yield from _strata(figures)
    yield _part(
        "Preferred by the judge and by the humans, on the same pairs",
        bias_rows(figures),
        ["judge", "humans", "difference"],
        notes=["A difference that excludes 0 is what the judge adds to the humans' own taste."],
    )
    yield _part(
        "What moves a verdict at equal quality",
        effect_rows(figures),
        ["share of verdicts"],
        notes=["The humans' votes are held fixed; length and markdown by one standard deviation."],
    )
    yield _part(
        "Win rates: the judge alone, the humans alone, the judge corrected by the humans (PPI++)",
        win_rate_rows(figures),
        ["judge", "humans", "corrected"],
        notes=[
            "Only right where the pairs with votes are a random sample of all pairs.",
            *_ranking(figures),
        ],
    )
    yield _part("Confidence: do the judge's probabilities mean what they say?",
                reliability_rows(figures), ["figure"])  # fmt: skip
    yield _expense(figures)


def _ranking(figures: JudgeFigures) -> list[str]:
    tau = figures.systems.tau
    if tau.value is None:
        return []
    interval = "" if tau.low is None else f" ({tau.low:.2f} to {tau.high:.2f})"
    return [
        f"Judge and humans rank the {tau.n} systems with Kendall's tau {tau.value:.2f}{interval}."
    ]


def _strata(figures: JudgeFigures) -> Iterator[list[str]]:
    for question, parts in figures.strata.items():
        rows = list(stratum_rows(parts))
        is_small = any(cell is None or cell.value is None for row in rows for cell in row.cells)
        yield _part(
            f"By {question}",
            iter(rows),
            ["S1", "humans S1", "S2"],
            notes=[SMALL] if is_small else [],
        )


def _expense(figures: JudgeFigures) -> list[str]:
    spent = figures.expense
    told = [
        ("$ per 1,000 judgments", spent.usd_per_1000, ",.2f"),
        ("$ per 1,000 usable labels", spent.usd_per_1000_labels, ",.2f"),
        ("seconds per 1,000 judgments", spent.seconds_per_1000, ",.0f"),
    ]
    lines = [f"  {name}: {value:{form}}" for name, value, form in told if value is not None]
    return ["What judging took", *lines] if lines else []


def _part(
    title: str, rows: Iterator[Row], heads: Iterable[str], *, notes: Sequence[str] = ()
) -> list[str]:
    lines = table(rows, list(heads), width=WIDTH)
    if not lines:
        return []
    told = [line for note in notes for line in textwrap.wrap(note, WIDTH)]
    return [title, "", *lines, *(["", *told] if told else [])]
