"""Text made harmless for a terminal. What a model or an endpoint wrote must not steer one. Pure."""

import re

_STEERING = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f"  # control characters, the line break excepted
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction overrides
    "\u2028\u2029\ud800-\udfff]"  # line separators, lone surrogates
)


def visible(text: str) -> str:
    """Return `text` with every character that could steer a terminal spelled out; lines are kept.

    >>> visible("red: \\x1b[31m")
    'red: \\\\x1b[31m'
    """
    return _STEERING.sub(lambda found: _spelled(found.group()), text)


def on_one_line(text: str) -> str:
    """Return `text` as one line in which nothing can steer a terminal."""
    return visible(text).replace("\n", "\\n")


def in_ascii(text: str) -> str:
    """Return `text` on one line whose length is its width on any terminal."""
    return on_one_line(text).encode("ascii", "backslashreplace").decode("ascii")


def cut_short(text: str, length: int) -> str:
    """Return `text` with its end left out where it is longer than `length`, at least 3."""
    return text if len(text) <= length else text[: length - 3] + "..."


def _spelled(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
