"""What one line must hold: a JSON object of known fields and clean text.

Every problem is an InputError of one line that names the field, the cause and the remedy, but
not the file: only the reader knows that. Nothing here does I/O.
"""

import json
import math
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json

from judge.errors import InputError
from judge.formats.problems import explain, field_name, kind_of, problem, refuse_unknown, shown
from judge.records import Record

R = TypeVar("R", bound=Record)

_SURROGATES = range(0xD800, 0xE000)


def row_from(line: bytes) -> dict[str, Any]:
    """The JSON object on a line; raises InputError when there is none or it holds a NUL."""
    try:
        row = from_json(line, allow_inf_nan=False)
    except ValueError as error:
        raise InputError(_why_not_json(line, str(error))) from error
    if not isinstance(row, dict):
        raise InputError(f"holds {kind_of(row)}; write one JSON object per line")
    if b"\\u0000" in line:  # the only way to write a NUL that JSON allows
        _refuse_nul(row)
    return row


def record_from(line: bytes, record: type[R]) -> R:
    """The record that a line holds field by field, with exact JSON types."""
    row = row_from(line)
    refuse_unknown(row, record.model_fields, remedy=f"known are {', '.join(record.model_fields)}")
    refuse_infinite(row)
    try:
        return record.model_validate_json(line, strict=True)
    except ValidationError as error:
        raise InputError(explain(error.errors(include_url=False)[0])) from error


def refuse_infinite(value: Any, field: str = "") -> None:
    """Refuse a number beyond the range of a float, which could not be written back."""
    for name, leaf in _leaves(value, field):
        if isinstance(leaf, float) and not math.isfinite(leaf):
            raise InputError(f'field "{name}": number too large; leave it out or write a text')


def refuse_empty(field: str, value: str) -> None:
    """Refuse a name or id without a visible character."""
    if not value.strip():
        raise problem(field, "empty", "give a name")


def _refuse_nul(row: dict[str, Any]) -> None:
    for name, leaf in _leaves(row, ""):
        if isinstance(leaf, str) and "\0" in leaf:
            raise InputError(f'NUL character in "{shown(name)}"; remove it')


def _leaves(value: Any, field: str) -> Iterator[tuple[str, Any]]:
    """Every text, number and key of a JSON value with the name of its field."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield field, key
            yield from _leaves(inner, field_name(field, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, field_name(field, index))
    else:
        yield field, value


def _why_not_json(line: bytes, reason: str) -> str:
    """Why a line is no JSON, with the remedy, where `reason` is the parser's."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return f"not UTF-8 at byte {error.start + 1}; save the file as UTF-8"
    if b"\0" in line:
        return f"NUL byte at byte {line.index(0) + 1}; remove it"
    if "hex escape" in reason and (problem := _lone_surrogate(line)) is not None:
        return problem
    if _is_json_but_for_nan(line):
        return "NaN and Infinity are not JSON; leave such a field out or write null"
    where = reason.replace("at line 1 column", "at character")
    return f"not JSON ({where}); write one JSON object per line"


def _lone_surrogate(line: bytes) -> str | None:
    try:
        row = json.loads(line)  # the standard library lets them through, so they can be named
    except (ValueError, RecursionError):
        return None
    for name, leaf in _leaves(row, ""):
        if isinstance(leaf, str):
            for character in leaf:
                if ord(character) in _SURROGATES:
                    half = f"\\u{ord(character):04x}"
                    return f'lone surrogate {half} in "{shown(name)}", half a character; remove it'
    return None


def _is_json_but_for_nan(line: bytes) -> bool:
    try:
        from_json(line, allow_inf_nan=True)
    except ValueError:
        return False
    return True
