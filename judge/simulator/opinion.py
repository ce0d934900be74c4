"""Which verdict the simulated judge reaches about a rendered prompt. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from judge.records import Verdict
from judge.simulator.draws import digest, uniform
from judge.simulator.quality import essence, essential_quality, pair_key
from judge.simulator.settings import SimulatorSettings

_QUESTION = "[User Question]"
_ANY_BLOCK = "[The Start of "
_TIE_TOKEN = "[[C]]"


@dataclass(frozen=True, slots=True)
class ShownPair:
    """What a judge prompt shows: a question, answers A and B, and whether a tie may be said."""

    question: str
    answer_a: str
    answer_b: str
    is_tie_offered: bool


def read_prompt(system_text: str, user_texts: Sequence[str]) -> ShownPair | None:
    """Return the pair shown by the last user message that shows one, or None."""
    for text in reversed(user_texts):
        shown = _read_blocks(system_text, text)
        if shown is not None:
            return shown
    return None


def _read_blocks(system_text: str, text: str) -> ShownPair | None:
    block_a = _block(text, "A", begin=0)
    if block_a is None:
        return None
    block_b = _block(text, "B", begin=block_a[1])
    if block_b is None:
        return None
    outside = (system_text, text[: block_a[0]], text[block_b[1] :])
    return ShownPair(
        question=_question(text[: block_a[0]]),
        answer_a=text[slice(*block_a)],
        answer_b=text[slice(*block_b)],
        is_tie_offered=any(_TIE_TOKEN in part for part in outside),
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
    question, a, b = essence(shown.question), essence(shown.answer_a), essence(shown.answer_b)
    draws = digest(seed, b"opinion", pair_key(question, a, b))
    if uniform(draws, 0) >= settings.shared_opinion:
        draws = digest(seed, b"opinion", draws, voice)
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


def _verdict_on_equals(coin: float, *, is_tie_offered: bool) -> Verdict:
    if is_tie_offered:
        return Verdict.TIE
    return Verdict.A if coin < 0.5 else Verdict.B
