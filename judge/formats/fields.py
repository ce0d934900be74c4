"""Fields that pairs and prompts have in common: ids and tags."""

from collections.abc import Mapping
from typing import Any

from judge.formats.problems import problem, wrong_type
from judge.formats.rows import refuse_infinite


def given_id(row: Mapping[str, Any], field: str) -> str | None:
    """The id in a field, None where it is left out; raises InputError with the problem."""
    value = row.get(field)
    if value is None:
        return None
    if not isinstance(value, str):
        raise wrong_type(field, value, "a text")
    if not value.strip():
        raise problem(field, "empty", "give an id or leave the field out")
    return value


def tags_of(value: Any) -> dict[str, Any]:
    """The tags in a field, none where it is left out; raises InputError with the problem."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong_type("tags", value, "an object")
    refuse_infinite(value, "tags")
    return value
