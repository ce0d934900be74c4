"""Pairs and votes from a table whose columns have other names, as a column map says.

How cells become records, with the map and the values of `judge.formats.column_map`:

- A text stands as it is; true is "true", 3 is "3", and null is the empty text: an empty answer,
  no reference, no model. Blank columns are left out of a join, the others are joined by a blank
  line. A single column may also hold a list of messages.
- A tag keeps its JSON value; null is no tag.
- A vote is looked up as text, without white space around it. A cell that is null or blank is no
  vote: that annotator did not see the row.

The id of a pair is that of the column mapped to pair_id. Where none is: when votes are mapped,
the file's name without ending and the row's number (`testset-17`), because rows of one content,
even with sides exchanged, then keep their own votes; otherwise the id that `judge.formats.pairs`
gives to its content.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from judge.errors import InputError
from judge.formats.column_map import DEFAULT_VALUES, ColumnMap, VotePreference
from judge.formats.lines import BadLine, Line
from judge.formats.pairs import pair_from
from judge.formats.problems import kind_of, shown
from judge.formats.tables import Row, read_rows
from judge.records import Pair, Vote

FIRST_ROWS = 100
"""Rows that are looked through for the columns of a map: a JSON row may leave columns out."""

_SHOWN_COLUMNS = 20


@dataclass(frozen=True, slots=True)
class MappedRow:
    """What one row holds. The votes are in the orientation of the pair."""

    pair: Pair
    votes: tuple[Vote, ...]


def read_mapped(
    path: str | Path, column_map: ColumnMap, values: Mapping[str, VotePreference] = DEFAULT_VALUES
) -> Iterator[Line[MappedRow] | BadLine]:
    """One pair with its votes, or one problem, per row; `-` reads standard input.

    Raises InputError while iterating when the file as a whole cannot be used, or when the map
    names a column that its first rows do not have.
    """
    source = "<stdin>" if str(path) == "-" else str(path)
    stem = "stdin" if str(path) == "-" else Path(path).stem
    lines = read_rows(path)
    first_lines = list(islice(lines, FIRST_ROWS))
    first_rows = [line.record for line in first_lines if isinstance(line, Line)]
    if first_rows:
        _check_columns(column_map, first_rows, source)
    for line in chain(first_lines, lines):
        if isinstance(line, BadLine):
            yield line
            continue
        try:
            row = mapped_row(line.record, column_map, values, row_name=f"{stem}-{line.number}")
        except InputError as error:
            yield BadLine(source, line.number, str(error))
        else:
            yield Line(line.number, row)


def mapped_row(
    row: Row, column_map: ColumnMap, values: Mapping[str, VotePreference], *, row_name: str
) -> MappedRow:
    """The pair and the votes of one row; raises InputError with the problem in one line.

    `row_name` becomes the pair's id when votes are mapped and no id is.
    """
    pair = pair_from(_pair_row(row, column_map, row_name))
    votes = [
        Vote(pair_id=pair.pair_id, annotator=annotator, preference=preference)
        for annotator, column in column_map.votes.items()
        if (preference := _preference(row, column, values)) is not None
    ]
    return MappedRow(pair, tuple(votes))


def _pair_row(row: Row, column_map: ColumnMap, row_name: str) -> dict[str, Any]:
    """The row in the words of `judge.formats.pairs`."""
    pair_id = row_name if column_map.votes else None
    if column_map.pair_id is not None:
        pair_id = _joined(row, (column_map.pair_id,))
    return {
        "pair_id": pair_id,
        "prompt_id": _optional(row, column_map.prompt_id),
        "prompt": _messages(row, column_map.prompt) or _joined(row, column_map.prompt),
        "first": _candidate(row, column_map.first, column_map.first_model),
        "second": _candidate(row, column_map.second, column_map.second_model),
        "reference": _present(_joined(row, column_map.reference)),
        "tags": {
            name: cell
            for name, column in column_map.tags.items()
            if (cell := _cell(row, column)) is not None
        },
    }


def _candidate(row: Row, columns: tuple[str, ...], model: str | None) -> dict[str, Any]:
    for column in columns:
        if not _has(row, column):
            raise InputError(f'column "{shown(column)}": missing; write null for an empty answer')
    messages = _messages(row, columns)
    answer = {"messages": messages} if messages else {"text": _joined(row, columns)}
    return {**answer, "model": _optional(row, model)}


def _preference(
    row: Row, column: str, values: Mapping[str, VotePreference]
) -> VotePreference | None:
    value = _text(_cell(row, column), column).strip()
    if not value:
        return None
    if value not in values:
        quoted = json.dumps(value, ensure_ascii=False) if set(value) & set('",=+\\') else value
        raise InputError(
            f'column "{shown(column)}" is "{shown(value)}", which no rule covers; '
            f"add a rule to --values, such as {shown(quoted)}=skip"
        )
    return values[value]


def _optional(row: Row, column: str | None) -> str | None:
    """The text of a column that may be left out, null or blank."""
    return None if column is None else _present(_joined(row, (column,)))


def _present(text: str) -> str | None:
    """The text, or None where it is blank."""
    return text if text.strip() else None


def _joined(row: Row, columns: tuple[str, ...]) -> str:
    parts = [_text(_cell(row, column), column) for column in columns]
    if len(parts) == 1:
        return parts[0]
    return "\n\n".join(part for part in parts if part.strip())


def _messages(row: Row, columns: tuple[str, ...]) -> list[Any] | None:
    """The list that a single column holds; None where it holds anything else."""
    cell = _cell(row, columns[0])
    return cell if len(columns) == 1 and isinstance(cell, list) and cell else None


def _text(cell: Any, column: str) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool | int | float):
        return json.dumps(cell)
    remedy = f"reach into it as {shown(column)}.{0 if isinstance(cell, list) else 'NAME'}"
    raise InputError(f'column "{shown(column)}": {kind_of(cell)} where a text is needed; {remedy}')


def _has(row: Row, column: str) -> bool:
    return bool(_found(row, column))


def _cell(row: Row, column: str) -> Any:
    """The value of a column; None where it is null or missing."""
    found = _found(row, column)
    return found[0] if found else None


def _found(row: Row, column: str) -> list[Any]:
    """The value of a column, in a list that is empty where the row has none.

    A column of exactly that name comes first; otherwise its dots reach into nested values.
    """
    if column in row:
        return [row[column]]
    value: Any = row
    for part in column.split("."):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return []
    return [value]


def _check_columns(column_map: ColumnMap, rows: list[Row], source: str) -> None:
    for column in column_map.columns:
        if any(_has(row, column) for row in rows):
            continue
        known = list(dict.fromkeys(name for row in rows for name in row))
        close = difflib.get_close_matches(column[:100], known, n=1)
        guess = f'did you mean "{shown(close[0])}"? ' if close else ""
        listed = ", ".join(shown(name) for name in known[:_SHOWN_COLUMNS])
        more = ", …" if len(known) > _SHOWN_COLUMNS else ""
        raise InputError(
            f'{source}: --map names column "{shown(column)}", which the file does not have; '
            f"{guess}Its columns are {listed}{more}"
        )
