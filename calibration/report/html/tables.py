"""The tables of the page, as text ready to print: no figure is computed here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from calibration.intervals import Estimate
from calibration.report.table import percent

HEAT_STEPS = 9


class Form(StrEnum):
    """How a figure is written."""

    SHARE = "share"
    """In percent."""
    POINTS = "points"
    """A difference of shares, in percentage points with its sign."""
    NUMBER = "number"
    P = "p"
    """A p-value."""


@dataclass(frozen=True)
class Cell:
    """One figure of a table."""

    text: str
    interval: str = ""
    note: str = ""
    """How much was counted, or why there is no figure."""
    numbers: tuple[float | int | None, ...] | None = None
    """Value, low, high and n unrounded, for the copy as CSV."""
    heat: int | None = None
    """Shade of the cell, 0 to `HEAT_STEPS`; its number says the same."""


@dataclass(frozen=True)
class Row:
    """A row with its head; without cells it heads the rows below."""

    name: str
    cells: tuple[Cell | None, ...] = ()
    depth: int = 0


@dataclass(frozen=True)
class Table:
    """A table; without rows only its notes are printed."""

    caption: str
    corner: str
    """Head of the column of heads."""
    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    """What is absent, and why."""

    @property
    def is_expanded(self) -> bool:
        """Whether its copy as CSV has columns for value, low, high and n."""
        return any(cell and cell.numbers for row in self.rows for cell in row.cells)


@dataclass(frozen=True)
class Line:
    """A row still in numbers: one estimate, plain number or absence per column."""

    name: str
    values: tuple[Estimate | float | None, ...] = ()
    form: Form | tuple[Form, ...] = Form.SHARE
    """One for all values, or one for each."""
    depth: int = 0
    why: str = "unknown"
    """Why a plain number is absent; an estimate says so itself."""

    def cell(self, index: int) -> Cell | None:
        """Return a value as it is printed."""
        form = self.form if isinstance(self.form, Form) else self.form[index]
        return _cell(self.values[index], form)


def estimates_table(
    caption: str, corner: str, *, heads: Sequence[str], lines: Iterable[Line]
) -> Table:
    """Return the table of the lines that have any value; the others become notes by reason."""
    given = list(lines)
    known = [line for line in given if not line.values or any(map(_is_known, line.values))]
    shown = [line for i, line in enumerate(known) if line.values or _heads_any(known, i)]
    kept = [
        i
        for i in range(len(heads))
        if any(line.values and line.values[i] is not None for line in shown)
    ]
    return Table(
        caption,
        corner,
        tuple(heads[i] for i in kept),
        tuple(Row(x.name, tuple(x.cell(i) for i in kept if x.values), x.depth) for x in shown),
        tuple(_absences(given)),
    )


def counts_table(
    caption: str, corner: str, *, heads: Sequence[str], counts: Mapping[str, Sequence[int]]
) -> Table:
    """Return a table of counts, shaded by their share of all."""
    total = sum(sum(row) for row in counts.values())
    rows = tuple(
        Row(name, tuple(_count(count, total) for count in row)) for name, row in counts.items()
    )
    return Table(caption, corner, tuple(heads), rows)


def rows_of(names: Sequence[str], counts: NDArray[np.integer]) -> dict[str, Sequence[int]]:
    """Return the rows of a matrix of counts by name."""
    return {name: [int(x) for x in row] for name, row in zip(names, counts, strict=True)}


def figure(estimate: Estimate, form: Form = Form.SHARE) -> str:
    """Return the value alone, in words."""
    return "-" if estimate.value is None else _written(estimate.value, form)


def interval(estimate: Estimate, form: Form = Form.SHARE) -> str:
    """Return the interval in words; empty where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    if estimate.low == estimate.high:
        return "exact"
    if form is Form.SHARE and estimate.low >= 0:
        return f"{percent(estimate.low)}-{percent(estimate.high)}"
    low, high = (_bare(end, form) for end in (estimate.low, estimate.high))
    return f"{low} to {high}"


def _cell(value: Estimate | float | None, form: Form) -> Cell | None:
    if value is None:
        return None
    if not isinstance(value, Estimate):
        return Cell(f"{value:,}" if isinstance(value, int) else _plain(value, form))
    n = f"n {value.n:,}"
    note = n if value.why is None else f"{n}; {value.why}" if value.n else value.why
    return Cell(
        figure(value, form),
        interval(value, form),
        note,
        (value.value, value.low, value.high, value.n),
    )


def _count(count: int, total: int) -> Cell:
    share = count / total if total else 0.0
    return Cell(f"{count:,}", note=f"{percent(share)} %", heat=round(HEAT_STEPS * share**0.5))


def _written(value: float, form: Form) -> str:
    bare = _bare(value, form)
    return bare if form is Form.NUMBER else f"{bare} {'%' if form is Form.SHARE else 'pt'}"


def _bare(value: float, form: Form) -> str:
    if form is Form.NUMBER:
        return f"{round(value, 3) + 0.0:.3f}"  # adding zero turns -0.0 into 0.0
    if form is Form.SHARE:
        return percent(value)
    return f"{round(100 * value, 1) + 0.0:+.1f}"


def _plain(value: float, form: Form) -> str:
    if form is Form.P:
        return "< 0.001" if value < 0.001 else f"{value:.3f}"
    return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.3g}"


def _is_known(value: Estimate | float | None) -> bool:
    return value.value is not None if isinstance(value, Estimate) else value is not None


def _heads_any(lines: Sequence[Line], index: int) -> bool:
    """Whether a heading is followed by a row before the next heading."""
    return index + 1 < len(lines) and bool(lines[index + 1].values)


def _absences(lines: Iterable[Line]) -> Iterable[str]:
    found: dict[str, list[str]] = {}
    for line in lines:
        if line.values and not any(map(_is_known, line.values)):
            whys = {x.why or "unknown" for x in line.values if isinstance(x, Estimate)}
            found.setdefault("; ".join(sorted(whys)) or line.why, []).append(line.name)
    for why, names in found.items():
        yield f"Not computed ({why}): {', '.join(names)}."
