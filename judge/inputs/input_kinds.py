"""Telling what a file holds that was taken for pairs and holds none."""

from contextlib import suppress
from pathlib import Path

from judge.errors import InputError
from judge.formats.lines import Line, read_lines
from judge.formats.problems import shown
from judge.formats.prompts import InputKind, read_prompts, require_kind
from judge.formats.rows import row_from
from judge.formats.tables import Row, read_rows

MAP_HINT = "--map prompt=COLUMN,first=COLUMN,second=COLUMN"
_OURS = ("prompt", "first", "second")
_SHOWN_COLUMNS = 20


def refuse_other_kinds(path: str) -> None:
    """Raise InputError where a file without a single pair holds prompts, or other columns.

    Returns where its lines are to speak for themselves.
    """
    if not Path(path).is_file():
        return  # what was piped in cannot be read again
    if isinstance(next(read_prompts(path), None), Line):
        require_kind(path, InputKind.PAIRS)
    row = _first_row(path)
    if row is not None and (row.keys().isdisjoint(_OURS) or not _is_json_lines(path)):
        columns = ", ".join(shown(name) for name in list(row)[:_SHOWN_COLUMNS])
        more = ", …" if len(row) > _SHOWN_COLUMNS else ""
        raise InputError(
            f"{path}: holds no pairs as JSON Lines of ours; say what its columns mean with "
            f"{MAP_HINT}. Its columns are {columns}{more}"
        )


def _is_json_lines(path: str) -> bool:
    return isinstance(next(read_lines(path, row_from), None), Line)


def _first_row(path: str) -> Row | None:
    """The first row, whatever kind of table it is in; None where there is none."""
    with suppress(InputError):
        row = next(read_rows(path), None)
        if isinstance(row, Line):
            return row.record
    return None
