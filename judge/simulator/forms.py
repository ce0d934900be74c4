"""How a prompt asks for its verdict: graded, with ratings, as scores; and the words for it. Pure.

Asked for a letter alone, the simulated judge says it in its own ways (`judge.simulator.replies`).
"""

import re
from dataclasses import dataclass

from judge.records import Verdict
from judge.simulator.draws import digest, uniform
from judge.simulator.opinion import ShownPair
from judge.simulator.quality import STANDARD_NORMAL, Essence, essence, essential_quality
from judge.simulator.settings import SimulatorSettings

_GRADED = "[[A>>B]]"
_RESULT = "[RESULT]"
_KEYS = ('"reasoning"', '"verdict"')
_ASKED = re.compile(r"^([a-z][a-z0-9_]*): A=<rating> B=<rating>$", re.MULTILINE)
_SCALE = re.compile(r"from 1 \(worst\) to (\d+) \(best\)")
_SCORE = re.compile(r"^Score (\d+):", re.MULTILINE)
_MUCH_BETTER = 1.0
"""Lead in hidden quality, a standard normal number, from which an answer is much better."""


@dataclass(frozen=True, slots=True)
class Wording:
    """What a reply holds besides its reasoning and the usual words for its verdict."""

    above: str = ""
    """Lines above the verdict."""
    last: str | None = None
    """The last line, where it is not the letter of the verdict."""


def wants_json(shown: ShownPair) -> bool:
    """Return whether a prompt asks for its verdict as a JSON object."""
    return all(key in shown.instructions for key in _KEYS)


def wording(
    settings: SimulatorSettings, shown: ShownPair, verdict: Verdict, *, voice: bytes
) -> Wording:
    """Return how a verdict is put in the form that the prompt asks for.

    A right verdict by a wide lead in hidden quality is graded much better. Scores say what the
    verdict says. Ratings come from the hidden quality of each answer, attribute by attribute, and
    leave the verdict alone; `voice` moves some of them by one.
    """
    asked = shown.instructions
    if _GRADED in asked:
        return Wording(last=_graded(settings, shown, verdict))
    if _RESULT in asked:
        return Wording(last=_scored(settings, shown, verdict))
    if attributes := _ASKED.findall(asked):
        return Wording(above=_rated(settings, shown, attributes, voice=voice))
    return Wording()


def _graded(settings: SimulatorSettings, shown: ShownPair, verdict: Verdict) -> str:
    if verdict is Verdict.TIE:
        return "[[A=B]]"
    a, b = _qualities(settings, shown)
    lead = a - b if verdict is Verdict.A else b - a
    sign = ">>" if lead > _MUCH_BETTER else ">"
    return f"[[A{sign}B]]" if verdict is Verdict.A else f"[[B{sign}A]]"


def _scored(settings: SimulatorSettings, shown: ShownPair, verdict: Verdict) -> str:
    highest = max(map(int, _SCORE.findall(shown.instructions)), default=5)
    a, b = (_on_scale(quality, highest) for quality in _qualities(settings, shown))
    if verdict is Verdict.TIE:
        b = a
    elif verdict is Verdict.A and a <= b:
        a, b = min(b + 1, highest), min(b, highest - 1)
    elif verdict is Verdict.B and b <= a:
        a, b = min(a, highest - 1), min(a + 1, highest)
    return f"{_RESULT} A: {a}, B: {b}"


def _rated(
    settings: SimulatorSettings, shown: ShownPair, attributes: list[str], *, voice: bytes
) -> str:
    scale = _SCALE.search(shown.instructions)
    highest = int(scale[1]) if scale else 7
    question, lines = essence(shown.question), []
    answers = (essence(shown.answer_a), essence(shown.answer_b))
    for attribute in attributes:
        a, b = (
            _rating(settings, question, answer, attribute, highest, voice=voice)
            for answer in answers
        )
        lines.append(f"{attribute}: A={a} B={b}")
    return "\n\n" + "\n".join(lines)


def _rating(
    settings: SimulatorSettings,
    question: Essence,
    answer: Essence,
    attribute: str,
    highest: int,
    *,
    voice: bytes,
) -> int:
    named = attribute.encode()
    own = digest(settings.seed, b"attribute", named, question.key, answer.key)
    mood = digest(settings.seed, b"mood", named, answer.key, voice)
    quality = essential_quality(question, answer, seed=settings.seed)
    heard = 0.8 * quality + 0.6 * STANDARD_NORMAL.inv_cdf(uniform(own, 0))
    return _on_scale(heard + 0.5 * (uniform(mood, 0) - 0.5), highest)


def _qualities(settings: SimulatorSettings, shown: ShownPair) -> tuple[float, float]:
    question = essence(shown.question)
    a, b = essence(shown.answer_a), essence(shown.answer_b)
    return (
        essential_quality(question, a, seed=settings.seed),
        essential_quality(question, b, seed=settings.seed),
    )


def _on_scale(quality: float, highest: int) -> int:
    """Return a standard normal number as a rating from 1 to `highest`, 2.5 deviations to an end."""
    middle = (1 + highest) / 2
    return min(highest, max(1, round(middle + quality * (highest - 1) / 5)))
