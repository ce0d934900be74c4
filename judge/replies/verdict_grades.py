"""From a judge's raw reply to a graded verdict: [[A>>B]], [[A>B]], [[A=B]], [[B>A]] or [[B>>A]].

The rule is that of `judge.replies.verdicts`, token for token: a line states a grade where it would
state the letter of the better answer, and another grade of the same answer contradicts as another
letter does. A bare letter is no grade, so it can contradict and never decide.
"""

import re

from judge.records import Verdict
from judge.replies.verdict_lines import Statement, opening_letter, read_line
from judge.replies.verdicts import Notation, stated_token

PARSER = "grades/1"
"""Name and version of the rule, stored with every verdict it reads."""

_GRADES = {"A>>B": 2, "A>B": 1, "A=B": 0, "B>A": -1, "B>>A": -2}
_TOKEN = re.compile(r"(?<![A-Za-z0-9\[\\])\[\[(A>>B|A>B|A=B|B>A|B>>A|[ABC])\]\](?![A-Za-z0-9\](])")


def parse_grade(reply: str, *, allow_tie: bool = True) -> int | None:
    """Return how much better A is by `reply`, from 2 (much) to -2 (B is), or None.

    `reply` must be complete, as only its finish reason tells. With `allow_tie` False, [[A=B]] is
    not among the offered verdicts and is None. Never raises.
    """
    token = stated_token(reply, _NOTATION)
    grade = None if token is None else _GRADES.get(token)
    return None if grade == 0 and not allow_tie else grade


def verdict_of(grade: int) -> Verdict:
    """Return the verdict that a grade implies."""
    if grade == 0:
        return Verdict.TIE
    return Verdict.A if grade > 0 else Verdict.B


def _read(line: str, lead_in: str) -> Statement | None:
    tokens = set(_TOKEN.findall(line))
    if len(tokens) != 1:
        return None
    stated = read_line(_as_letters(line), lead_in=_as_letters(lead_in))
    return None if stated is None else Statement(tokens.pop(), stated.is_labelled)


def _opening(line: str) -> str | None:
    found = _TOKEN.search(line)
    return found[1] if found and opening_letter(_as_letters(line)) else None


def _as_letters(line: str) -> str:
    """Return `line` with each grade as the letter that says the same without a degree."""
    return _TOKEN.sub(lambda token: f"[[{_letter(token[1])}]]", line)


def _letter(token: str) -> str:
    return "C" if token == "A=B" else token[0]


_NOTATION = Notation(_TOKEN.findall, _read, _opening)
