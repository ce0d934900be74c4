"""From a reply of one token to a verdict, for prompts that ask for the letter and nothing else.

Such a judge explains nothing, so nothing is searched: a reply that is more than its letter is None,
which is data and never a tie.
"""

import re

from judge.records import Verdict
from judge.verdicts import after_thinking

PARSER = "token/1"
"""Name and version of the rule, stored with every verdict it reads."""

_VERDICTS = {"A": Verdict.A, "B": Verdict.B, "C": Verdict.TIE}
_TOKEN = re.compile(r"[ \t\r\n]*(?:\[\[([ABC])\]\]|([ABC]))\.?[ \t\r\n]*")


def parse_verdict_token(reply: str, *, allow_tie: bool = True) -> Verdict | None:
    """Return the verdict that `reply` is about the shown positions, or None.

    Accepted are A, B and C, also as [[A]], with white space around and a full stop behind; what
    stands before a closing think tag is left out. With `allow_tie` False, C is None. `reply` must
    be complete, as only its finish reason tells. Never raises.
    """
    text = after_thinking(reply)
    token = None if text is None else _TOKEN.fullmatch(text)
    if token is None:
        return None
    letter = token[1] or token[2]
    if letter == "C" and not allow_tie:
        return None
    return _VERDICTS[letter]
