"""Which verdict the simulated judge reaches about a rendered prompt. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from judge.records import Verdict
from judge.simulator.conversations import read_conversations
from judge.simulator.draws import digest, uniform
from judge.simulator.quality import Essence, essence, essential_quality, pair_key
from judge.simulator.settings import SimulatorSettings

_QUESTION = "[User Question]"
_ANY_BLOCK = "[The Start of "
_TIE_TOKENS = ("[[C]]", "[[A=B]]", "[RESULT]", '"tie"')
_ONE_LETTER = re.compile(r"\b(?:one|single) (?:capital )?letter\b", re.IGNORECASE)
_LETTER_C = re.compile(r"\bC\b")


@dataclass(frozen=True, slots=True)
class ShownPair:
    """What a judge prompt shows: a question, answers A and B, and whether a tie may be said."""

    question: str
    answer_a: str
    answer_b: str
    is_tie_offered: bool
    is_letter_wanted: bool
    """Whether the reply is to be one letter and nothing else."""
    instructions: str
    """What stands around the answers."""


def read_prompt(system_text: str, user_texts: Sequence[str]) -> ShownPair | None:
    """Return the pair shown by the last user message that shows one, or None."""
    for text in reversed(user_texts):
        shown = _read_blocks(system_text, text)
        if shown is not None:
            return shown
    return None


def _read_blocks(system_text: str, text: str) -> ShownPair | None:
    block_a = _block(text, "A", begin=0)
    block_b = _block(text, "B", begin=block_a[1]) if block_a else None
    if block_a is None or block_b is None:
        return _read_turns(system_text, text)
    return _shown(
        _question(text[: block_a[0]]),
        text[slice(*block_a)],
        text[slice(*block_b)],
        outside="\n".join((system_text, text[: block_a[0]], text[block_b[1] :])),
    )


def _read_turns(system_text: str, text: str) -> ShownPair | None:
    found = read_conversations(text)
    if found is None:
        return None
    outside = "\n".join((system_text, text[: found.begin], text[found.end :]))
    return _shown(found.question, found.answer_a, found.answer_b, outside=outside)


def _shown(question: str, answer_a: str, answer_b: str, *, outside: str) -> ShownPair:
    is_letter_wanted = _ONE_LETTER.search(outside) is not None
    return ShownPair(
        question=question,
        answer_a=answer_a,
        answer_b=answer_b,
        is_tie_offered=any(token in outside for token in _TIE_TOKENS)
        or (is_letter_wanted and _LETTER_C.search(outside) is not None),
        is_letter_wanted=is_letter_wanted,
        instructions=outside,
    )


def _block(text: str, letter: str, *, begin: int) -> tuple[int, int] | None:
    """Return where the text of an answer begins and ends."""
    opening = f"[The Start of Assistant {letter}'s Answer]"
    start = text.find(opening, begin)
    if start < 0:
        return None
    start += len(opening)
    end = text.find(f"[The End of Assistant {letter}'s Answer]", start)
    return None if end < 0 else (start, end)


def _question(before_answers: str) -> str:
    _, marker, after = before_answers.partition(_QUESTION)
    # A reference answer may stand in a block of its own between the question and the answers.
    return (after if marker else before_answers).partition(_ANY_BLOCK)[0]


def decide_verdict(settings: SimulatorSettings, shown: ShownPair, *, voice: bytes) -> Verdict:
    """Return the verdict on a shown pair.

    The draws belong to the pair at rate `shared_opinion`, else to `voice`, a digest of the one
    request, so that the two orders of a pair err together or apart.
    """
    seed = settings.seed
    question, a, b = _essences(shown)
    draws = _draws(settings, question, a, b, voice=voice)
    if uniform(draws, 1) < abs(settings.position_bias):
        return Verdict.A if settings.position_bias > 0 else Verdict.B
    if shown.is_tie_offered and uniform(draws, 2) < settings.tie_rate:
        return Verdict.TIE
    if a == b:
        return _verdict_on_equals(uniform(draws, 3), is_tie_offered=shown.is_tie_offered)
    quality_a = essential_quality(question, a, seed=seed)
    is_a_better = quality_a > essential_quality(question, b, seed=seed)
    better, worse = (a, b) if is_a_better else (b, a)
    # +1 where the better answer is the longer one, -1 where it is the shorter, else 0.
    lead = (better.length > worse.length) - (better.length < worse.length)
    is_right = uniform(draws, 3) < settings.accuracy + settings.length_bias * lead
    return Verdict.A if is_a_better is is_right else Verdict.B


def true_verdict(settings: SimulatorSettings, shown: ShownPair) -> Verdict:
    """Return the answer that is truly better; a tie only between answers of one normal form."""
    question, a, b = _essences(shown)
    if a == b:
        return Verdict.TIE
    quality_a, quality_b = (essential_quality(question, x, seed=settings.seed) for x in (a, b))
    return Verdict.A if quality_a > quality_b else Verdict.B


def opinion_draws(settings: SimulatorSettings, shown: ShownPair, *, voice: bytes) -> bytes:
    """Return the digest whose numbers 0 to 3 `decide_verdict` uses; the others are free."""
    return _draws(settings, *_essences(shown), voice=voice)


def _essences(shown: ShownPair) -> tuple[Essence, Essence, Essence]:
    return essence(shown.question), essence(shown.answer_a), essence(shown.answer_b)


def _draws(
    settings: SimulatorSettings, question: Essence, a: Essence, b: Essence, *, voice: bytes
) -> bytes:
    draws = digest(settings.seed, b"opinion", pair_key(question, a, b))
    if uniform(draws, 0) < settings.shared_opinion:
        return draws
    return digest(settings.seed, b"opinion", draws, voice)


def _verdict_on_equals(coin: float, *, is_tie_offered: bool) -> Verdict:
    if is_tie_offered:
        return Verdict.TIE
    return Verdict.A if coin < 0.5 else Verdict.B
