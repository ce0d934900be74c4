"""Laying settings over each other: dotted keys into nested tables, texts into values. Pure."""

import tomllib
from copy import deepcopy
from itertools import pairwise
from typing import Any

from judge.errors import ConfigError


def put(tree: dict[str, Any], dotted: str, value: Any) -> None:
    """Set a dotted key in nested tables and lists, making what is missing on the way.

    Raises ConfigError for a position outside a list, and for a key under a single value.
    """
    keys = dotted.split(".")
    *path, last = keys
    node: Any = tree
    for key, following in pairwise(keys):
        empty: Any = [] if following.isdigit() else {}
        node = _child(node, key, empty, dotted)
    # A copy: a later key may reach into this value, which belongs to the caller.
    if isinstance(node, list):
        index = _index(node, last, dotted)
        node[index:] = [deepcopy(value), *node[index + 1 :]]
    elif isinstance(node, dict):
        node[last] = deepcopy(value)
    else:
        raise ConfigError(f'setting "{dotted}": "{path[-1]}" is a single value, not a table')


def toml_value(text: str) -> Any:
    """Return the TOML value that a text stands for, or the text itself where it is none."""
    try:
        found = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return found["value"] if len(found) == 1 else text


def _child(node: Any, key: str, empty: Any, dotted: str) -> Any:
    if isinstance(node, list):
        index = _index(node, key, dotted)
        if index == len(node):
            node.append(empty)
        return node[index]
    if isinstance(node, dict):
        return node.setdefault(key, empty)
    raise ConfigError(f'setting "{dotted}": "{key}" stands under a single value, not a table')


def _index(node: list[Any], key: str, dotted: str) -> int:
    if not key.isdigit() or int(key) > len(node):
        raise ConfigError(
            f'setting "{dotted}": "{key}" is not a position in a list of {len(node)}; '
            "positions count from 0"
        )
    return int(key)
