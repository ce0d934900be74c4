"""A plain-text table of estimates: value, interval and n, as many columns as fit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from calibration.intervals import Estimate

_GAP = "   "


@dataclass(frozen=True)
class Row:
    """One figure, an estimate per column; None leaves the cell empty."""

    name: str
    cells: tuple[Estimate | None, ...]
    is_share: bool = True
    """Shares are printed as percentages, everything else as it is."""


def percent(share: float) -> str:
    """Return a share in [0, 1] as a percentage with one decimal, without the sign."""
    return f"{100 * share:.1f}"


def table(rows: Iterator[Row], columns: Sequence[str], *, width: int) -> list[str]:
    """Return the lines of a table at most `width` wide, in several blocks where it must be.

    Rows and columns without a single value are left out: what is missing is told elsewhere, with
    its reason.
    """
    shown = [row for row in rows if any(_has_value(cell) for cell in row.cells)]
    if not shown:
        return []
    names = _padded(["", "", *(row.name for row in shown)])
    blocks: list[list[str]] = []
    lines = names
    for index, column in enumerate(columns):
        if not any(_has_value(row.cells[index]) for row in shown):
            continue
        cells = _column(column, [(row.cells[index], row.is_share) for row in shown])
        if lines is not names and len(lines[0]) + len(_GAP) + len(cells[0]) > width:
            blocks.append(lines)
            lines = names
        lines = [left + _GAP + right for left, right in zip(lines, cells, strict=True)]
    blocks.append(lines)
    return [line.rstrip() for block in _apart(blocks) for line in block]


def _has_value(estimate: Estimate | None) -> bool:
    return estimate is not None and estimate.value is not None


def _column(title: str, cells: Sequence[tuple[Estimate | None, bool]]) -> list[str]:
    parts = [_cell(estimate, is_share) for estimate, is_share in cells]
    values, intervals, counts = (
        _padded([head, *(part[i] for part in parts)], right=i != 1)
        for i, head in enumerate(("value", "interval", "n"))
    )
    body = [f"{v} {i} {n}" for v, i, n in zip(values, intervals, counts, strict=True)]
    room = len(body[0])
    name = title if len(title) <= room else f"{title[: room - 3]}..."
    return [f"{name:<{room}}", *body]


def _cell(estimate: Estimate | None, is_share: bool) -> tuple[str, str, str]:
    if estimate is None:
        return "", "", ""
    if estimate.value is None:
        return "-", "", f"{estimate.n:,}"
    if estimate.low is None or estimate.high is None:
        interval = "(unknown)"
    elif estimate.low == estimate.high:
        interval = "(exact)"
    elif is_share:
        dash = " to " if estimate.low < 0 else "-"
        interval = f"({percent(estimate.low)}{dash}{percent(estimate.high)})"
    else:
        interval = f"({_decimal(estimate.low)} to {_decimal(estimate.high)})"
    value = f"{percent(estimate.value)} %" if is_share else f"{_decimal(estimate.value)}  "
    return value, interval, f"{estimate.n:,}"


def _decimal(number: float) -> str:
    return f"{round(number, 3) + 0.0:.3f}"  # adding zero turns -0.0 into 0.0


def _padded(texts: Sequence[str], *, right: bool = False) -> list[str]:
    room = max(len(text) for text in texts)
    return [f"{text:>{room}}" if right else f"{text:<{room}}" for text in texts]


def _apart(blocks: Sequence[list[str]]) -> Iterator[list[str]]:
    for index, block in enumerate(blocks):
        yield block if index == 0 else ["", *block]
