"""The words of the simulated judge: reasoning, the line with the verdict, and failures. Pure."""

import json
from functools import cache
from typing import Final

from judge.records import Verdict

NO_PAIR: Final = (
    "I am a simulated judge and I find no two answers to compare in this prompt. I look for the "
    "lines [The Start of Assistant A's Answer] and [The End of Assistant A's Answer], and the same "
    "for B, in a user message."
)

_OPENINGS: Final = (
    "I read the question first and then both answers, setting aside their order and their style.",
    "Both assistants understood what was asked, so what counts is how well they did it.",
    "The question looks simple but leaves room for mistakes, and the two answers handle that room "
    "differently.",
    "To compare the answers I looked at correctness, coverage, clarity and how far each one stays "
    "on the topic.",
)
_NEUTRAL: Final = (
    "Each answer states its main point early, which makes both of them easy to follow.",
    "Neither of them asks a question back where the request could have been read in two ways.",
    "The tone is polite and plain in both cases, and neither pads the text with empty praise.",
    "Length alone decides nothing here, since the longer text mostly repeats what was said before.",
    "Formatting differs a little between the two, but the reader loses nothing in either version.",
    "The examples given are ordinary ones, close to what a patient teacher would write on a board.",
    "On safety there is nothing to remark, as both keep to what was asked and to common sense.",
    "A reader in a hurry would find the gist of either answer within the first two sentences.",
)
_DECIDED: Final = (
    "Assistant {winner} works through the steps in order, so that a reader can check each of them.",
    "Assistant {loser} leaves out a condition that changes the result for part of the cases.",
    "The explanation of assistant {winner} names its assumptions, and they fit the question.",
    "Assistant {loser} is fluent, yet one of its claims is stated with more certainty than it "
    "deserves.",
    "Where the two differ in substance, the version of assistant {winner} holds up better.",
    "Assistant {loser} spends several sentences on background that nobody asked about.",
    "Assistant {winner} covers the second half of the request, which is easy to overlook.",
    "I would have liked a source from assistant {loser}, as the figure it gives looks doubtful.",
)
_EVEN: Final = (
    "Both reach the same conclusion by nearly the same path and stop at the same point.",
    "The small slip in one answer is balanced by a small omission in the other.",
    "What one assistant gains in detail, the other gains in brevity, and neither is asked for.",
    "I looked for a difference that would matter to the person asking and did not find one.",
)

# Bare tokens are by far the commonest ending of real judgements; the rest are its variants.
_ENDINGS: Final = (
    *("\n\n[[{letter}]]",) * 11,
    *("\n\nFinal verdict: [[{letter}]]",) * 2,
    "\n\n**[[{letter}]]**",
    "\n\n**Final Verdict: [[{letter}]]**",
)
_DECIDED_ENDINGS: Final = (*_ENDINGS, "\n\nTherefore, [[{letter}]] is better.")
_TIE_ENDINGS: Final = (*_ENDINGS, "\n\nFinal Verdict: [[{letter}]] for a tie.")

_UNPARSABLE_ENDINGS: Final = (
    "",
    "\n\n{letter}",
    "\n\nFinal verdict: {letter}",
    "\n\nFinal verdict: [[A]] or [[B]]",
    "\n\n[[A]] [[B]]",
    "\n\n[{letter}]",
    "\n\n[[{letter}",
    "\n\nI cannot honestly choose between these two answers.",
)

_LETTERS: Final = {Verdict.A: "A", Verdict.B: "B", Verdict.TIE: "C"}


def compose_reply(
    verdict: Verdict, words: int, *, voice: bytes, above: str = "", last: str | None = None
) -> str:
    """Return a reply that reasons for about `words` words and states the verdict.

    `voice` (64 bytes) picks the sentences and the shape of the last line, unless `last` is that
    line. `above` stands before it.
    """
    if last is not None:
        return f"{_reasoning(verdict, words, voice=voice)}{above}\n\n{last}"
    endings = _TIE_ENDINGS if verdict is Verdict.TIE else _DECIDED_ENDINGS
    ending = endings[voice[0] % len(endings)].format(letter=_LETTERS[verdict])
    return _reasoning(verdict, words, voice=voice) + above + ending


def compose_unparsable(verdict: Verdict, words: int, *, voice: bytes) -> str:
    """Return a reply whose reasoning leans to the verdict but which never states it readably."""
    ending = _UNPARSABLE_ENDINGS[voice[0] % len(_UNPARSABLE_ENDINGS)]
    return _reasoning(verdict, words, voice=voice) + ending.format(letter=_LETTERS[verdict])


def compose_json(verdict: Verdict, words: int, *, voice: bytes, is_fenced: bool) -> str:
    """Return a verdict with its reasoning as one JSON object, in a code fence where asked."""
    reasoning = _reasoning(verdict, words, voice=voice)
    said = json.dumps({"reasoning": reasoning, "verdict": verdict.value})
    return f"```json\n{said}\n```" if is_fenced else said


def compose_thinking(verdict: Verdict, words: int, *, voice: bytes) -> str:
    """Return thinking of about `words` words that ends in a guess other than the verdict."""
    guess = Verdict.A if verdict is Verdict.B else Verdict.B
    return f"{_reasoning(guess, words, voice=voice)} A first guess:\n\n[[{_LETTERS[guess]}]]"


def _reasoning(verdict: Verdict, words: int, *, voice: bytes) -> str:
    openings, sentences = _sentences(verdict)
    text, left = openings[voice[1] % len(openings)]
    chosen, left = [text], words - left
    position = voice[2]
    for step in range(words):  # every sentence has a word, so this is bound enough
        if left <= 0:
            break
        # Odd strides visit every sentence before one is repeated: their number is a power of two.
        position += 2 * (voice[3] + step // len(sentences)) + 1
        text, length = sentences[position % len(sentences)]
        chosen.append(text)
        left -= length
    return " ".join(chosen)


@cache
def _sentences(verdict: Verdict) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Return the openings and the sentences that fit a verdict, each with its number of words."""
    if verdict is Verdict.TIE:
        fitting: tuple[str, ...] = (*_NEUTRAL, *_EVEN, *_EVEN)
    else:
        loser = Verdict.B if verdict is Verdict.A else Verdict.A
        names = {"winner": _LETTERS[verdict], "loser": _LETTERS[loser]}
        fitting = (*_NEUTRAL, *(text.format(**names) for text in _DECIDED))
    return _counted(_OPENINGS), _counted(fitting)


def _counted(texts: tuple[str, ...]) -> list[tuple[str, int]]:
    return [(text, len(text.split())) for text in texts]
