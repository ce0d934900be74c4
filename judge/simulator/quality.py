"""The hidden truth of the simulation: how good each answer is, and what people would vote.

Quality is a function of texts, so the server finds in a rendered judge prompt the same truth that
the votes were made from. Rendering neutralises what could be read as structure and may trim white
space; quality is therefore computed from the letters and digits of the neutralised text, which is
the same before and after rendering because neutralising twice changes nothing more.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Literal

from judge.job.showing import question_of
from judge.job.trajectories import answer_text, answers_by_turn
from judge.records import Candidate, Order, Pair, Preference, Prompt, Vote
from judge.simulator.draws import digest, uniform
from prompts.neutralise import neutralise

_ASCII_DROPPED: Final = bytes(code for code in range(128) if not chr(code).isalnum())
_NOT_ALPHANUMERIC: Final = re.compile(r"[\W_]+")
STANDARD_NORMAL: Final = NormalDist()
_CAST: Final[dict[Preference, Literal["first", "second", "tie"]]] = {
    Preference.FIRST: "first",
    Preference.SECOND: "second",
    Preference.TIE: "tie",
}


@dataclass(frozen=True, slots=True)
class Essence:
    """What rendering leaves unchanged of a text."""

    key: bytes
    """Digest of the text's normal form."""
    length: int
    """Bytes of the normal form."""


def normal_form(text: str) -> bytes:
    """Return the letters and digits of a neutralised text in order, lower-cased, as UTF-8.

    White space, punctuation, symbols and invisible characters are dropped.
    """
    text = neutralise(text)[0].lower()
    if text.isascii():  # the common case, ten times faster
        return text.encode("ascii").translate(None, _ASCII_DROPPED)
    return _NOT_ALPHANUMERIC.sub("", text).encode()


def essence(text: str) -> Essence:
    """Return the essence of a prompt or an answer, as given or as a judge prompt shows it."""
    form = normal_form(text)
    return Essence(digest(0, b"essence", form), len(form))


def essential_quality(prompt: Essence, answer: Essence, *, seed: int) -> float:
    """Return `hidden_quality` for essences."""
    draw = uniform(digest(seed, b"quality", prompt.key, answer.key), 0)
    return STANDARD_NORMAL.inv_cdf(draw)


def hidden_quality(prompt_text: str, answer_text: str, *, seed: int = 0) -> float:
    """Return how good an answer truly is: a standard normal number decided by seed and texts."""
    return essential_quality(essence(prompt_text), essence(answer_text), seed=seed)


def true_preference(
    prompt_text: str, first_text: str, second_text: str, *, seed: int = 0
) -> Preference:
    """Return which answer is truly better; a tie only between answers of one normal form."""
    first = hidden_quality(prompt_text, first_text, seed=seed)
    second = hidden_quality(prompt_text, second_text, seed=seed)
    if first == second:
        return Preference.TIE
    return Preference.FIRST if first > second else Preference.SECOND


def pair_key(prompt: Essence, one: Essence, other: Essence) -> bytes:
    """Return bytes that name a pair whichever answer stands first."""
    return b"".join((prompt.key, *sorted((one.key, other.key))))


def question_text(prompt: Prompt) -> str:
    """Return what the candidates answer, as judging shows it under [User Question].

    The user's words alone, or the turns of a longer conversation with their roles.
    """
    return question_of([message.row for message in prompt.messages])


def answer_shown(candidate: Candidate) -> str:
    """Return an answer as judging shows it, calls of tools and their results included."""
    return "\n\n".join(map(answer_text, answers_by_turn(candidate.messages)))


def human_votes(
    pairs: Iterable[Pair],
    *,
    seed: int = 0,
    annotators: int = 3,
    accuracy: float = 0.85,
    tie_rate: float = 0.1,
) -> Iterator[Vote]:
    """Yield the votes of simulated annotators, all of one pair before the next.

    Each annotator calls a tie at `tie_rate` and otherwise names the truly better answer with
    probability `accuracy`, independently of the others. A pair given the other way round gets the
    same votes, mirrored.
    """
    for pair in pairs:
        for number in range(1, annotators + 1):
            yield _vote(
                pair, f"simulated-{number}", seed=seed, accuracy=accuracy, tie_rate=tie_rate
            )


def _vote(pair: Pair, annotator: str, *, seed: int, accuracy: float, tie_rate: float) -> Vote:
    question, first, second = (
        question_text(pair.prompt),
        *map(answer_shown, (pair.first, pair.second)),
    )
    pair_name = pair_key(essence(question), essence(first), essence(second))
    draws = digest(seed, b"vote", annotator.encode(), pair_name)
    shown = digest(seed, b"shown", annotator.encode(), pair.pair_id.encode())
    preference = true_preference(question, first, second, seed=seed)
    if uniform(draws, 0) < tie_rate:
        preference = Preference.TIE
    elif uniform(draws, 1) >= accuracy:
        preference = preference.swapped
    return Vote(
        pair_id=pair.pair_id,
        annotator=annotator,
        preference=_CAST[preference],
        shown_order=Order.FORWARD if uniform(shown, 0) < 0.5 else Order.REVERSED,
        batch="simulated",
    )
