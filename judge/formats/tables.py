"""Rows of a table with any column names: JSON, JSON Lines, CSV and TSV, told by the file's ending.

    .jsonl .ndjson  one object per line; so is standard input, `-`
    .json           a list of objects, or an object with one list of objects; or JSON Lines
    .csv .tsv .tab  a header and rows; every cell is a text

Files are UTF-8, with or without a byte order mark. JSON Lines, CSV and TSV are read one row at a
time. A JSON list has to be held in memory as a whole, which takes several times its size, so it
is refused over 1 GiB.

Rows are numbered as the file shows them: a JSON list from 1, JSON Lines by line, and CSV as a
spreadsheet does, with the header as row 1.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from pydantic_core import from_json

from judge.errors import InputError
from judge.formats.lines import MAX_LINE_BYTES, BadLine, Line, read_lines
from judge.formats.problems import kind_of, shown
from judge.formats.rows import row_from

MAX_DOCUMENT_BYTES = 1024**3

Row: TypeAlias = dict[str, Any]

_DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_JSON_LINES = (".jsonl", ".ndjson")
_ENDINGS = ", ".join((".json", *_JSON_LINES, *_DELIMITERS))


def read_rows(path: str | Path) -> Iterator[Line[Row] | BadLine]:
    """One row or one problem at a time.

    Iterating raises InputError when the file as a whole cannot be used: missing, not readable,
    of another kind, too large for its kind, without any row, or broken so that no later row of
    it can be told.
    """
    ending = Path(path).suffix.lower()
    if str(path) == "-" or ending in _JSON_LINES:
        return read_lines(path, row_from)
    if ending in _DELIMITERS:
        return _delimited(Path(path), _DELIMITERS[ending])
    if ending == ".json":
        return _json(Path(path))
    was = f'the ending "{shown(ending)}"' if ending else "no ending"
    raise InputError(f"{path}: {was}, so its kind is unknown; name it with one of {_ENDINGS}")


def _json(path: Path) -> Iterator[Line[Row] | BadLine]:
    if _is_json_lines(path):
        yield from read_lines(path, row_from)
        return
    for number, row in enumerate(_rows_of(_document(path), path), start=1):
        if not isinstance(row, dict):
            yield BadLine(str(path), number, f"holds {kind_of(row)}; write one object per row")
        elif (column := _column_with_nul(row)) is not None:
            yield BadLine(str(path), number, _nul(column))
        else:
            yield Line(number, row)


def _is_json_lines(path: Path) -> bool:
    """Whether the first line is an object by itself and another line follows."""
    try:
        with path.open("rb") as file:
            first = file.readline(MAX_LINE_BYTES)
            if not first.lstrip(b"\xef\xbb\xbf \t").startswith(b"{"):
                return False
            row_from(first.removeprefix(b"\xef\xbb\xbf"))
            return any(not line.isspace() for line in file)
    except InputError:
        return False
    except OSError as error:
        raise _unreadable(path, error) from error


def _document(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_DOCUMENT_BYTES:
            raise InputError(
                f"{path}: larger than {MAX_DOCUMENT_BYTES // 1024**3} GiB, which a JSON list may "
                "not be because it is read at once; convert it to JSON Lines"
            )
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        return from_json(content.removeprefix(b"\xef\xbb\xbf"), allow_inf_nan=False)
    except ValueError as error:
        remedy = "write a list of objects in UTF-8, with null in place of NaN and Infinity"
        raise InputError(f"{path}: not JSON ({error}); {remedy}") from error


def _rows_of(document: Any, path: Path) -> list[Any]:
    """The list that a document is or holds; an object without any list is one row."""
    rows = document
    if isinstance(document, dict):
        lists = {name: value for name, value in document.items() if _is_table(value)}
        if len(lists) > 1:
            names = ", ".join(shown(name) for name in lists)
            raise InputError(f"{path}: holds several lists ({names}); make a file of the one meant")
        rows = next(iter(lists.values())) if lists else [document]
    if not isinstance(rows, list):
        raise InputError(f"{path}: holds {kind_of(document)}; write a list of objects")
    if not rows:
        raise InputError(f"{path}: holds no rows; write one object per row")
    return rows


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _delimited(path: Path, delimiter: str) -> Iterator[Line[Row] | BadLine]:
    # The limit belongs to the process, and answers are longer than the 128 KiB it starts with.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_BYTES))
    try:
        # Bytes that are not UTF-8 are let through, so that their row can be named.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            # Strict, because a quote that is never closed would swallow every row after it.
            yield from _rows_under_header(csv.reader(file, delimiter=delimiter, strict=True), path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _rows_under_header(cells: Iterator[list[str]], path: Path) -> Iterator[Line[Row] | BadLine]:
    header: list[str] | None = None
    is_empty = True
    for number, row in _numbered(cells, path):
        if not row:
            continue  # a blank line
        if header is None:
            header = _checked_header(row, path)
            continue
        is_empty = False
        if len(row) != len(header):
            cause = f"{len(row)} cells where the header has {len(header)}"
            yield BadLine(str(path), number, f"{cause}; quote cells that hold the separator")
            continue
        named = dict(zip(header, row, strict=True))
        if not _is_utf8(row):
            yield BadLine(str(path), number, "not UTF-8; save the file as UTF-8")
        elif (column := _column_with_nul(named)) is not None:
            yield BadLine(str(path), number, _nul(column))
        else:
            yield Line(number, named)
    if is_empty:
        raise InputError(f"{path}: holds no rows; write a header and one row per pair")


def _numbered(cells: Iterator[list[str]], path: Path) -> Iterator[tuple[int, list[str]]]:
    number = 0
    try:
        for number, row in enumerate(cells, start=1):
            yield number, row
    except csv.Error as error:
        raise InputError(
            f"{path}:{number + 1}: the row cannot be read ({error}), nor can those after it; "
            "correct its quotes"
        ) from error


def _checked_header(header: list[str], path: Path) -> list[str]:
    if not _is_utf8(header):
        raise InputError(f"{path}: not UTF-8; save the file as UTF-8")
    named = [name for name in header if name]
    twice = [name for name in named if named.count(name) > 1]
    if twice:
        raise InputError(f'{path}: two columns are called "{shown(twice[0])}"; rename one')
    return header


def _is_utf8(cells: list[str]) -> bool:
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return False
    return True


def _column_with_nul(row: Row) -> str | None:
    return next(
        (name for name, value in row.items() if _holds_nul(name) or _holds_nul(value)), None
    )


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_nul(inner) for pair in value.items() for inner in pair)
    return isinstance(value, list) and any(_holds_nul(inner) for inner in value)


def _nul(column: str) -> str:
    return f'NUL character in "{shown(column)}"; remove it'


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: cannot be read ({error.strerror or error}); check the path")
