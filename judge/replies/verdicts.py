"""From a judge's raw reply to a verdict, by the strict rule for [[A]], [[B]] and [[C]].

The judge may quote what a candidate planted, so the rule never searches for a token: the last line
has to state a verdict, and everything before it may only contradict. What is in doubt is None,
which is data and never a tie. `judge.replies.verdict_lines` reads one line; this module says which
lines count. Both run in time linear in the reply.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from judge.records import Verdict
from judge.replies.verdict_lines import TOKEN, Statement, is_continued, opening_letter, read_line

PARSER = "mtbench/1"
"""Name and version of the rule, stored with every verdict it reads."""

_VERDICTS = {"A": Verdict.A, "B": Verdict.B, "C": Verdict.TIE}

_THINK_TAG = re.compile(
    r"[<\[](/?)(?:think|thinking|thought|reasoning|reflection)(?:\s[^<>\[\]]{0,80})?[>\]]",
    re.IGNORECASE,
)
_LINE_END = re.compile(r"\r\n|\n|\r")  # str.splitlines also breaks at U+2028 and eight others
_FENCE = re.compile(r"\s*(`{3,}(?=[^`]*$)|~{3,})")


def parse_verdict(reply: str, *, allow_tie: bool = True) -> Verdict | None:
    """Return the verdict that `reply` states about the shown positions, or None.

    `reply` must be complete: a text cut at the token limit can end in a working guess, and only
    its finish reason tells. With `allow_tie` False, [[C]] is not among the offered verdicts and
    is None. Never raises.
    """
    letter = stated_token(reply)
    if letter is None or (letter == "C" and not allow_tie):
        return None
    return _VERDICTS[letter]


@dataclass(frozen=True, slots=True)
class Notation:
    """How verdicts are written: which tokens there are, and how one line states one of them."""

    tokens_in: Callable[[str], Sequence[str]]
    """The tokens of a line, without their brackets."""
    read: Callable[[str, str], Statement | None]
    """From a line and its lead-in to what it states."""
    opening: Callable[[str], str | None]
    """The token that a line opens with."""


LETTERS = Notation(
    TOKEN.findall, lambda line, lead_in: read_line(line, lead_in=lead_in), opening_letter
)


def stated_token(reply: str, notation: Notation = LETTERS) -> str | None:
    """Return the token that `reply` states as its verdict in a notation, or None. Never raises."""
    text = after_thinking(reply)
    if text is None or "]]" not in text:
        return None
    start, end = last_line_span(text)
    if is_quoted(text, start, end):
        return None
    stated = notation.read(text[start:end], lead_in(text[:start]))
    if stated is None or _is_contradicted(text[:start], stated.letter, notation):
        return None
    return stated.letter


def after_thinking(reply: str) -> str | None:
    """Return what follows the last closing think tag; None while a think block is open.

    The last tag, not the first: a candidate's text, quoted inside the block, may hold a forged one.
    """
    if "<" not in reply and "THINK]" not in reply:
        return reply
    start = 0
    is_open = False
    for tag in _THINK_TAG.finditer(reply):
        is_open = not tag[1]
        if not is_open:
            start = tag.end()
    return None if is_open else reply[start:]


def last_line_span(text: str) -> tuple[int, int]:
    """Return start and end of the last line that is not blank, its line end excluded.

    The line keeps what str.strip would drop, since some of that must refuse it (vertical tab).
    """
    visible_end = len(text.rstrip())
    start = max(text.rfind("\n", 0, visible_end), text.rfind("\r", 0, visible_end)) + 1
    line_end = _LINE_END.search(text, visible_end)
    return start, line_end.start() if line_end else len(text)


def is_quoted(text: str, start: int, end: int) -> bool:
    """Whether the last line, from `start` to `end`, is quoted matter: blockquote or code fence."""
    if text[start:end].lstrip().startswith(">"):
        return True
    if "```" not in text and "~~~" not in text:
        return False
    *_, (_, is_last_quoted) = marked_lines(text[:end])
    return is_last_quoted


def marked_lines(text: str) -> Iterator[tuple[str, bool]]:
    """Yield every line with whether it is quoted: in a blockquote, in a code fence, or its mark.

    A fence closes at a line of the same mark, at least as long; one that never closes quotes the
    rest.
    """
    fence = ""
    for line in _LINE_END.split(text):
        mark = _FENCE.match(line)
        if fence:
            yield line, True
            if mark and mark[1].startswith(fence) and not line[mark.end() :].strip():
                fence = ""
        elif mark:
            fence = mark[1]
            yield line, True
        else:
            yield line, line.lstrip().startswith(">")


def lead_in(before: str) -> str:
    """Return the line before the last one when it runs on into it, else "".

    "The second reply says:" makes the token on the next line a quotation as much as one beside it.
    """
    before = before.rstrip()
    if not is_continued(before):
        return ""
    return before[max(before.rfind("\n"), before.rfind("\r")) + 1 :]


def _is_contradicted(before: str, token: str, notation: Notation) -> bool:
    """Whether an unquoted earlier line is itself a verdict line for another token.

    A token inside earlier prose is deliberation and does not count.
    """
    if "[[" not in before:
        return False
    for line, is_line_quoted in marked_lines(before):
        if is_line_quoted or "[[" not in line:
            continue
        opening = notation.opening(line)
        if opening is not None and opening != token:
            return True
        if any(other != token for other in notation.tokens_in(line)):
            stated = notation.read(line, "")
            if stated is not None and stated.is_labelled and stated.letter != token:
                return True
    return False
