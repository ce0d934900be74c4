"""From a judge's raw reply to the scores of both answers: a last line [RESULT] A: 4, B: 3.

The judge may quote what a candidate planted, so nothing is searched: the last line has to be the
result and nothing else, outside quotations and code fences, and no earlier line may be another one.
"""

import re

from judge.records import ShownRatings, Verdict
from judge.replies.ratings import Unreadable, whole_number
from judge.replies.verdicts import after_thinking, is_quoted, last_line_span, marked_lines

PARSER = "scores/1"
"""Name and version of the rule, stored with every verdict it reads."""

UNCLEAR = "the reply does not end in a line [RESULT] A: <score>, B: <score>"

_LINE = re.compile(
    r"\s{0,8}\[RESULT\]\s{0,4}A\s?:\s{0,4}([^\s,;:]{1,20})[,;]?\s{1,4}"
    r"B\s?:\s{0,4}([^\s,;:]{1,20}?)[.;]?\s*"
)
_EMPHASIS = str.maketrans("", "", "*_`#")


def parse_scores(reply: str, *, scale: int) -> ShownRatings | Unreadable:
    """Return the scores of both answers as shown, whole numbers from 1 to `scale`.

    `reply` must be complete, as only its finish reason tells. Never raises.
    """
    text = after_thinking(reply)
    if text is None or "[RESULT]" not in text:
        return Unreadable(UNCLEAR)
    start, end = last_line_span(text)
    stated = None if is_quoted(text, start, end) else _read(text[start:end])
    if stated is None:
        return Unreadable(UNCLEAR)
    for line, is_line_quoted in marked_lines(text[:start]):
        if not is_line_quoted and (_read(line) or stated) != stated:
            return Unreadable("the reply states two results that differ")
    scores = []
    for letter, written in zip("AB", stated, strict=True):
        score = whole_number(written, scale)
        if score is None:
            return Unreadable(
                f"answer {letter} is scored {written}, which is no whole number from 1 to {scale}"
            )
        scores.append(score)
    return ShownRatings(a=scores[0], b=scores[1])


def verdict_of(scores: ShownRatings) -> Verdict:
    """Return the verdict that two scores imply; equal ones are a tie."""
    if scores.a == scores.b:
        return Verdict.TIE
    return Verdict.A if scores.a > scores.b else Verdict.B


def _read(line: str) -> tuple[str, str] | None:
    if "[RESULT]" not in line:
        return None
    found = _LINE.fullmatch(line.translate(_EMPHASIS))
    return None if found is None else (found[1], found[2])
