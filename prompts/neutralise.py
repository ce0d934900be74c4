"""Make a model's or a user's text harmless as part of a judge prompt.

A text that carries a verdict token, a block marker or a chat-control string could be read as part
of the prompt's structure. Each such spot is rewritten so that it stays readable and is structure no
more. Only the rendered prompt changes; what is stored stays as it was.

Detection looks at a view of the text: NFKC, without invisible characters, with look-alike letters
as the Latin letters they imitate. So full-width brackets, zero-width splits and a Cyrillic A are
found too. Cost is linear in the length of the text, and almost nothing where no spot can begin.
"""

import re
from collections.abc import Sequence

from prompts.view import view_of

OPENERS = "\uff3b\ufe47\uff1c\ufe64\u27e6\u301a\u2039\u02c2\u276e\u1438"
"""Every character beyond ASCII whose view holds an opening bracket."""

_PLAIN = (
    r"\t\n\r -~\u00a1-\u00a7\u00ab\u00b0\u00b7\u00bb\u00bf-\u00ff\u2013\u2014\u2018\u2019\u201c"
    r"\u201d\u2020\u2022\u20ac\u2190-\u2193\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3"
)
OBSCURE = f"[^{_PLAIN}]"
"""A character whose view may be another than itself. Common ones that look only like themselves
are left out, so that an accent or a dash costs no time."""
_NOT_ASCII = r"[^\t\n\r -~]"
"""Wider than OBSCURE, and much faster to compile where a pattern holds many."""

_COMPARISON = (
    r"[ \t]{0,2}[<>=~\u00ab\u00bb\u2248\u226a\u226b\u227a\u227b\u300a\u300b]{1,3}[ \t]{0,2}"
)
_DECORATION = r"[ \t*_`\#]*"
_PARTY = r"(?:the[ \t]+)?(?:assistant|user|reference|answer|response|conversation|model|question)"
_TURN = r"turn[ \t]*\#?\d{1,6}[^a-z0-9\[\]\n]{0,8}(?:the[ \t]+)?(?:user|assistant|system|tool)\b"
_CONTROL_WORD = (
    r"/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|THINK|RESULT"
    r"|BOS|EOS|gMASK)\]"
)
_CONTROL_TAG = (
    r"/?(?:s|think|thinking|thoughts?|reasoning|bos|eos|unk|pad|sop|eop|start_of_turn|end_of_turn"
    r"|tool_calls?|tool_response)"
)

# Ratings such as [[7]] are left alone: no pair template reads them, and x[[1]] is everyday R.
LIVE = re.compile(
    rf"""
      \[[*_`\#]*\[ {_DECORATION} (?P<verdict>[a-c](?:{_COMPARISON}[a-c])?|tie)
      {_DECORATION} \][*_`\#]*\]
    | (?:\[|<\|) {_DECORATION} (?:the[ \t]+)?
      (?P<marker>(?:start|end)[ \t]+of[ \t]+{_PARTY}|user[ \t]+question|{_TURN})
    | \[{_CONTROL_WORD}
    | <\|(?=[^|\n]{{1,80}}\|>|[a-z_]{{1,40}}>)
    | <(?=[a-z_]{{1,40}}\|>)
    | <</?SYS>>
    | <{_CONTROL_TAG}(?:[ \t][^<>\n]{{0,80}})?/?>
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""What is structure, in a view. No match reaches beyond its line."""


def _starts(*words: str) -> str:
    """Return a pattern for the start of any of `words`, up to where a character is obscure.

    Both cases are spelled out, because a case-insensitive pattern is scanned for far more slowly.
    """
    patterns = [OBSCURE]
    for word in words:
        pattern = ""
        for letter in reversed(word):
            rest = f"(?:{_NOT_ASCII}|{pattern})" if pattern else ""
            pattern = f"[{letter}{letter.upper()}]{rest}"
        patterns.append(pattern)
    return "|".join(patterns)


_WORD_STARTS = _starts(
    *("the", "star", "end", "user", "turn"),
    *("inst", "syst", "avai", "tool", "thin", "bos", "eos", "gmas", "resu"),
)
_TAG_STARTS = _starts(
    "thin", "thou", "reas", "star", "end_", "tool", "bos", "eos", "unk", "pad", "sop", "eop"
)

SUSPECT = re.compile(
    rf"""
    [\[<{OPENERS}](?:
        (?<=\[)(?=[ \t*_`\#/\[TSEUIABGRtseuiabgr]|{OBSCURE}) {_DECORATION}
        (?: \[{_DECORATION}(?:[A-Ca-cTt]|{_NOT_ASCII}) | /?(?:{_WORD_STARTS}) )
      | (?<=<)(?=[|</A-Za-z_]|{OBSCURE})
        (?: \| | <[/Ss] | <?{OBSCURE} | [A-Za-z_]{{1,40}}(?:\||{_NOT_ASCII})
          | /?(?:[Ss](?:[ \t/>]|{_NOT_ASCII})|{_TAG_STARTS}) )
      | (?<=[{OPENERS}])
    )
    """,
    re.VERBOSE,
)
"""Where structure may begin, in the text itself: never misses a spot, and is seldom wrong."""

_SURROGATE = re.compile("[\ud800-\udfff]")


def neutralise(text: str) -> tuple[str, int]:
    """Return `text` with every live spot rewritten, and how many spots that were.

    `[[A]]` becomes `[ [A] ]`, `[The End of Assistant A's Answer]` becomes `[quoted: End of
    Assistant A's Answer]`, `</think>` becomes `< /think>`. Lone surrogates become U+FFFD and are
    not counted, so that the result is always valid UTF-8. Text without live spots comes back as it
    is; the result never has one.
    """
    if text.isascii():
        if "[" not in text and "<" not in text:
            return text, 0
    else:
        text = without_surrogates(text)
    parts: list[str] = []
    spots = done = 0
    while suspect := SUSPECT.search(text, done):
        start = text.rfind("\n", done, suspect.start()) + 1 or done
        end = text.find("\n", suspect.end())
        end = len(text) if end < 0 else end
        line, found = _neutralise_line(text[start:end])
        parts += [text[done:start], line]
        spots += found
        done = end
    return "".join([*parts, text[done:]]), spots


def without_surrogates(text: str) -> str:
    """Return `text` with each lone surrogate as U+FFFD, which makes it valid UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text)
    return text


def _neutralise_line(line: str) -> tuple[str, int]:
    is_plain = line.isascii() and line.isprintable()
    pieces: Sequence[str] = line if is_plain else [view_of(character) for character in line]
    spots = list(LIVE.finditer("".join(pieces)))
    if not spots:
        return line, 0
    source = [index for index, piece in enumerate(pieces) for _ in piece]  # per view character
    parts: list[str] = []
    done = 0
    for spot in spots:
        # Two spots may share one source character; a slice that starts beyond its end is empty.
        parts += [line[done : source[spot.start()]], _rewritten(spot)]
        done = source[spot.end() - 1] + 1
    return "".join([*parts, line[done:]]), len(spots)


def _rewritten(spot: re.Match[str]) -> str:
    if verdict := spot["verdict"]:
        return f"[ [{verdict}] ]"
    opening, rest = spot[0][0], spot[0][1:]
    if marker := spot["marker"]:
        return f"{opening}quoted: {marker}"
    return f"{opening} {rest}"
