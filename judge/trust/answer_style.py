"""How an answer is written, as counts of its formatting. Pure; fast enough for every answer.

What is counted is Markdown as it is usually written, found by its look and not by a parser: list
items and headers at the start of a line, and couples of bold marks. Fenced code is left out,
since its comments and operators look like formatting.
"""

import re
from dataclasses import dataclass
from hashlib import blake2b

from pydantic_core import from_json

_FENCE = "```"
# Every pattern begins with a fixed text, which the engine finds several times faster than the
# start of a line.
_LIST_ITEM = re.compile(r"\n[ \t]*(?:[-*+•]|\d{1,9}[.)])[ \t]")
_HEADER = re.compile(r"\n#{1,6}[ \t]")
_UNDERSCORES = re.compile(r"__(?=\S)[^_\n]+(?<=\S)__")


@dataclass(frozen=True, slots=True)
class AnswerStyle:
    """What is counted of one answer, all its turns together."""

    lists: int
    """List items."""
    marks: int
    """Headers and bold passages."""
    digest: bytes
    """Of the whole answer: equal for equal answers only."""


def style_of(messages_json: str) -> AnswerStyle:
    """Return the style of an answer given as the JSON list of its messages.

    Only what the assistant said is counted; the digest is of all of it.
    """
    digest = blake2b(messages_json.encode(), digest_size=16).digest()
    texts = [m["content"] for m in from_json(messages_json) if m["role"] == "assistant"]
    lists = marks = 0
    for text in texts:
        prose = "\n" + text
        if _FENCE in prose:
            prose = "".join(prose.split(_FENCE)[::2])
        lists += len(_LIST_ITEM.findall(prose))
        if "\n#" in prose:
            marks += len(_HEADER.findall(prose))
        marks += prose.count("**") // 2
        # A row of these may be a blank to fill in and no bold passage.
        if "__" in prose:
            marks += len(_UNDERSCORES.findall(prose))
    return AnswerStyle(lists, marks, digest)
