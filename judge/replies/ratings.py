"""From a judge's raw reply to its ratings: one line per attribute, directly above the verdict.

    accuracy: A=6 B=4

A list mark, emphasis and a comma after the first rating are allowed. A reply that leaves out an
attribute, rates one twice, or rates outside the scale is refused as a whole, its verdict too: a
judge that lost the form of the ratings may have lost what it was rating. The verdict line itself is
read by `judge.replies.verdicts`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from judge.records import ShownRatings
from judge.replies.verdict_lines import is_continued
from judge.replies.verdicts import after_thinking, last_line_span, marked_lines

PARSER = "ratings/1"
"""Name and version of the rule, stored with every verdict it reads."""

_LINE = re.compile(
    r"\s{0,8}(?:[-+\u2022]\s{1,4}|\d{1,3}[.)]\s{1,4})?"
    r"(?P<name>[A-Za-z][A-Za-z0-9_ -]{0,60}?)\s?:\s{0,4}"
    r"A\s?=\s?(?P<a>[^\s,;=]{1,20})[,;]?\s{1,4}B\s?=\s?(?P<b>[^\s,;=]{1,20}?)[.;]?\s*"
)
_NUMBER = re.compile(r"-?\d{1,9}(?:\.\d{1,9})?")
_WHOLE = re.compile(r"[0-9]{1,3}")
_EMPHASIS = str.maketrans("", "", "*`")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a reply's numbers cannot be taken."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Line:
    """A line in the form of ratings, its values as they were written."""

    name: str
    a: str
    b: str


def parse_ratings(
    reply: str, *, attributes: Sequence[str], scale: int
) -> dict[str, ShownRatings] | Unreadable:
    """Return the ratings of both answers by attribute, in the order of `attributes`.

    Ratings are whole numbers from 1 to `scale`, as shown. `reply` must be complete; what it says
    inside a think block, a quotation or a code fence is not read. Never raises.
    """
    text = after_thinking(reply)
    if text is None:
        return Unreadable("the reply ends inside its thinking")
    start, _ = last_line_span(text)
    above, block = _parted([*marked_lines(text[:start])])
    found: dict[str, _Line] = {}
    for line in block:
        if line.name not in attributes:
            return Unreadable(f"{line.name} is rated and is no attribute of the criteria")
        if line.name in found:
            return Unreadable(f"{line.name} is rated more than once")
        found[line.name] = line
    for name in attributes:
        if name not in found:
            return Unreadable(
                f"{name} has no rating in the form {name}: A=<rating> B=<rating> above the verdict"
            )
    for line in above:
        if line.name in found and _NUMBER.fullmatch(line.a) and _NUMBER.fullmatch(line.b):
            return Unreadable(f"{line.name} is rated more than once")
    return _numbers(found, attributes, scale)


def whole_number(text: str, highest: int) -> int | None:
    """Return the whole number from 1 to `highest` that `text` is, or None."""
    if not _WHOLE.fullmatch(text):
        return None
    number = int(text)
    return number if 1 <= number <= highest else None


def _parted(lines: list[tuple[str, bool]]) -> tuple[list[_Line], list[_Line]]:
    """Return the rating lines before the block above the verdict, and those of the block."""
    block: list[_Line] = []
    is_below = True  # only "Verdict:" may stand between the block and the verdict
    while lines:
        line, is_quoted = lines.pop()
        if not line.strip() and not is_quoted:
            continue
        rated = None if is_quoted else _read(line)
        if rated is not None:
            block.append(rated)
        elif not (is_below and not is_quoted and is_continued(line)):
            break
        is_below = False
    above = [_read(line) for line, is_quoted in lines if not is_quoted]
    return [line for line in above if line is not None], block[::-1]


def _read(line: str) -> _Line | None:
    if "=" not in line:
        return None
    found = _LINE.fullmatch(line.translate(_EMPHASIS))
    if found is None:
        return None
    name = re.sub(r"[ -]+", "_", found["name"].strip().lower())
    return _Line(name, found["a"], found["b"])


def _numbers(
    found: dict[str, _Line], attributes: Sequence[str], scale: int
) -> dict[str, ShownRatings] | Unreadable:
    ratings = {}
    for name in attributes:
        a, b = (whole_number(text, scale) for text in (found[name].a, found[name].b))
        if a is None or b is None:
            wrong = found[name].a if a is None else found[name].b
            return Unreadable(
                f"{name} is rated {wrong}, which is no whole number from 1 to {scale}"
            )
        ratings[name] = ShownRatings(a=a, b=b)
    return ratings
