"""What is wrong with a field, in words: the field, the cause and the remedy in one line."""

import difflib
import json
from collections.abc import Collection, Iterable
from typing import Any

from pydantic_core import ErrorDetails

from judge.errors import InputError

_SHOWN_CHARACTERS = 40

_WANTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "tuple_type": "a list",
    "list_type": "a list",
}
_RANGES = {"greater_than_equal", "less_than_equal"}


def problem(field: str, cause: str, remedy: str) -> InputError:
    """The error of one field."""
    return InputError(f'field "{shown(field)}": {cause}; {remedy}')


def wrong_type(field: str, value: Any, wanted: str) -> InputError:
    """The error of a field with a value of the wrong JSON type; `wanted` is as in "a text"."""
    if wanted == "a text" and isinstance(value, int | float) and not isinstance(value, bool):
        return problem(field, f"the number {value}", f'write it as a text, "{value}"')
    return problem(field, f"{kind_of(value)} where {wanted} is needed", f"give {wanted}")


def refuse_unknown(
    names: Iterable[str], known: Collection[str], *, remedy: str, field: str = ""
) -> None:
    """Refuse a field outside the known ones, with the name that was probably meant."""
    for name in names:
        if name not in known:
            raise InputError(_unknown(field_name(field, name), name, known, remedy))


def field_name(outer: str, inner: str | int) -> str:
    """The name of a field inside another, as `ratings.clarity` or `prompt[0]`."""
    if isinstance(inner, int):
        return f"{outer}[{inner}]"
    return f"{outer}.{inner}" if outer else inner


def kind_of(value: Any) -> str:
    """What JSON calls a value, with its article."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "an empty text" if not value else "a text"
    return "a list" if isinstance(value, list) else "an object"


def shown(text: str) -> str:
    """A text fit for one line of a terminal: short, and control characters as escapes."""
    if len(text) > _SHOWN_CHARACTERS:
        text = text[: _SHOWN_CHARACTERS - 1] + "…"
    return text if text.isprintable() else json.dumps(text)[1:-1]


def explain(error: ErrorDetails) -> str:
    """A validation error of pydantic in the words of this project."""
    field, value, context = _field_of(error["loc"]), error["input"], error.get("ctx", {})
    kind = error["type"]
    if kind == "missing":
        return str(problem(field, "missing", "every record needs it"))
    if kind == "extra_forbidden":
        return _unknown(field, str(error["loc"][-1]), (), "remove it")
    if kind in _WANTED:
        return str(wrong_type(field, value, _WANTED[kind]))
    if kind in {"enum", "literal_error"}:
        cause = f'"{shown(value)}"' if isinstance(value, str) else kind_of(value)
        return str(problem(field, f"unknown value {cause}", f"give {context['expected']}"))
    if kind in _RANGES:
        limit = error["msg"].removeprefix("Input should be ")
        return str(problem(field, f"{value} is out of range", f"give a value {limit}"))
    return str(problem(field, error["msg"], "correct it"))


def _unknown(field: str, name: str, known: Collection[str], remedy: str) -> str:
    close = difflib.get_close_matches(name[:100], known, n=1)
    if close:
        remedy = remedy[:1].upper() + remedy[1:]
        return f'unknown field "{shown(field)}"; did you mean "{close[0]}"? {remedy}'
    return f'unknown field "{shown(field)}"; {remedy}'


def _field_of(location: tuple[int | str, ...]) -> str:
    name = ""
    for part in location:
        name = field_name(name, part)
    return name
