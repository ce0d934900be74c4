"""Measured figures, the bars they are held to, and the table that shows both."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity: a value per round, judged by its median."""

    benchmark: str
    what: str
    values: tuple[float, ...]
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def passes(self) -> bool | None:
        """Whether the median clears the bar; None where there is no bar."""
        if self.at_most is None and self.at_least is None:
            return None
        is_low_enough = self.at_most is None or self.median <= self.at_most
        is_high_enough = self.at_least is None or self.median >= self.at_least
        return is_low_enough and is_high_enough

    @property
    def cells(self) -> tuple[str, ...]:
        """Benchmark, figure, bar, median, range and result, as they stand in the table."""
        spread = f"{_plain(min(self.values))} to {_plain(max(self.values))}"
        return (
            self.benchmark,
            self.what,
            self._bar,
            f"{_plain(self.median)} {self.unit}".strip(),
            spread if len(self.values) > 1 else "",
            {True: "pass", False: "MISS", None: ""}[self.passes],
        )

    @property
    def _bar(self) -> str:
        if self.at_most is not None and self.at_least is not None:
            return f"{_plain(self.at_least)} to {_plain(self.at_most)}"
        if self.at_most is not None:
            return f"<= {_plain(self.at_most)}"
        return "" if self.at_least is None else f">= {_plain(self.at_least)}"


HEADER = ("benchmark", "figure", "bar", "median", "range", "")


def table(figures: Iterable[Figure]) -> str:
    """Return the figures as a Markdown table whose columns line up."""
    rows = [HEADER, *(figure.cells for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    rule = tuple("-" * width for width in widths)
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (rows[0], rule, *rows[1:])
    ]
    return "\n".join(lines)


def _plain(value: float) -> str:
    """Write a number with about three significant digits, and counts in full."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
