"""From a reply of one token to a verdict, for prompts that ask for the letter and nothing else.

Such a judge explains nothing, so nothing is searched: a reply that is more than its letter is None,
which is data and never a tie. What the model might have said instead of its letter is how sure it
was; the verdict stays what it said.
"""

import itertools
import math
import re
from collections.abc import Mapping, Sequence

from judge.records import Verdict
from judge.replies.verdicts import after_thinking

PARSER = "token/1"
"""Name and version of the rule, stored with every verdict it reads."""

_VERDICTS = {"A": Verdict.A, "B": Verdict.B, "C": Verdict.TIE}
_TOKEN = re.compile(r"[ \t\r\n]*(?:\[\[([ABC])\]\]|([ABC]))\.?[ \t\r\n]*")
_LETTER_TOKEN = re.compile(r"\[{0,2}([ABC])\]{0,2}\.?")
_VOCABULARY_BLANKS = str.maketrans({"\u2581": " ", "\u0120": " ", "\u010a": "\n"})
"""How SentencePiece and byte-level vocabularies write a space and a line break."""


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


def verdict_probabilities(
    reply: str, alternatives: Sequence[Mapping[str, float]], *, allow_tie: bool = True
) -> tuple[float, float, float] | None:
    """Return the probabilities of A, B and tie at the token of the verdict; they add up to 1.

    `alternatives` are token -> natural logarithm of its probability for each token of the reply,
    the token that was taken first. A softmax over the offered verdicts alone: with `allow_tie`
    False over A and B. Tokens are one answer where a reply that begins with them could still be
    read as its letter: "A", " A", "[[A", "A." and "\u2581A", but not "a" or "Assistant". A verdict
    that is not among the alternatives has the probability of the least of them, or what they
    leave where that is less. None where `reply` states no verdict, or not at a token of its own.
    """
    verdict = parse_verdict_token(reply, allow_tie=allow_tie)
    if verdict is None:
        return None
    place = _verdict_place(reply, alternatives)
    if place is None or _verdict_of(next(iter(place))) is not verdict:
        return None
    likely = {token: math.exp(logprob) for token, logprob in place.items()}
    least = max(0.0, min(*likely.values(), 1 - math.fsum(likely.values())))
    weights: dict[Verdict, float] = {}
    for token, weight in likely.items():
        said = _verdict_of(token)
        if said is not None:
            weights[said] = weights.get(said, 0.0) + weight
    offered = _VERDICTS.values() if allow_tie else (Verdict.A, Verdict.B)
    weights = {said: weights.get(said, least) for said in offered}
    total = math.fsum(weights.values())
    if total <= 0:
        return None
    p_a, p_b, p_tie = (weights.get(said, 0.0) / total for said in _VERDICTS.values())
    return p_a, p_b, p_tie


def _verdict_place(
    reply: str, alternatives: Sequence[Mapping[str, float]]
) -> Mapping[str, float] | None:
    """Return the alternatives of the token that holds the letter of a reply that is a verdict.

    Looked for from the end, since an endpoint may hide thinking and still tell its tokens. Marks
    that end a reply, such as <|end|>, are passed over; white space is left out on both sides, for
    vocabularies write it in several ways.
    """
    pieces = [_visible(_plain(next(iter(tokens), ""))) for tokens in alternatives]
    answer = _visible(after_thinking(reply) or "")
    while pieces and (not pieces[-1] or _is_mark(pieces[-1])):
        pieces.pop()
    text = "".join(pieces)
    if not text.endswith(answer):
        return None
    letter_at = len(text) - len(answer) + max(answer.rfind(letter) for letter in _VERDICTS)
    ends = itertools.accumulate(len(piece) for piece in pieces)
    return next(at for at, end in zip(alternatives, ends, strict=False) if end > letter_at)


def _is_mark(piece: str) -> bool:
    return piece.startswith("<") and piece.endswith(">")


def _verdict_of(token: str) -> Verdict | None:
    letter = _LETTER_TOKEN.fullmatch(_plain(token).strip(" \t\r\n"))
    return _VERDICTS[letter[1]] if letter else None


def _plain(token: str) -> str:
    return token.translate(_VOCABULARY_BLANKS)


def _visible(text: str) -> str:
    return "".join(text.split())
