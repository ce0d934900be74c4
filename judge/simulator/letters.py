"""Verdicts of one letter: how sure the simulated judge is, and what else it might have said. Pure.

A stated certainty of q is right with probability q, and its mean is the accuracy, so an honest
judge is calibrated by construction. `confidence_temperature` makes it boast or doubt.
"""

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from judge.records import Verdict
from judge.simulator.draws import uniform
from judge.simulator.opinion import ShownPair, opinion_draws, true_verdict
from judge.simulator.settings import SimulatorSettings

LETTERS: Final = {Verdict.A: "A", Verdict.B: "B", Verdict.TIE: "C"}

_MOST_CERTAIN: Final = 0.9999
_SPACED: Final = 0.1
"""Share of a letter's probability that its token with a space before it has."""
_STRAY: Final = 1e-4
"""Probability of all tokens together that are no verdict."""
_STRAY_TOKENS: Final = (
    *("The", "Both", "Assistant", "I", "Answer", "Neither", "**", "Based", "After", "[["),
    *("Overall", "D", "In", "While", "Each", "It", "Looking", "First", "Verdict", "To"),
)
_UNREADABLE: Final = ("A or B", "Assistant {letter}", "**{letter}**", "I choose {letter}.", "both")


def compose_letter(verdict: Verdict, *, voice: bytes, is_unparsable: bool = False) -> str:
    """Return a reply of one letter, or one that leans to it and cannot be read as a verdict."""
    if not is_unparsable:
        return LETTERS[verdict]
    return _UNREADABLE[voice[0] % len(_UNREADABLE)].format(letter=LETTERS[verdict])


def verdict_weights(
    settings: SimulatorSettings, shown: ShownPair, verdict: Verdict, *, voice: bytes
) -> dict[Verdict, float]:
    """Return the probability of each offered verdict; the stated one has the most, 1/2 at least."""
    truth = true_verdict(settings, shown)
    # Those of the opinion, so that two orders that share it are equally sure.
    draws = opinion_draws(settings, shown, voice=voice)
    is_tie = Verdict.TIE in (verdict, truth)
    is_right = uniform(draws, 4) < 0.5 if is_tie else verdict is truth
    stated = _tempered(_certainty(settings.accuracy, draws, is_right), settings)
    others = [said for said in Verdict if said is not verdict]
    if not shown.is_tie_offered:
        return {verdict: stated, next(o for o in others if o is not Verdict.TIE): 1 - stated}
    shares = [0.5, 0.5]
    if verdict is not Verdict.TIE:
        shares = [settings.tie_rate if o is Verdict.TIE else 1 - settings.tie_rate for o in others]
    rest = {said: (1 - stated) * share for said, share in zip(others, shares, strict=True)}
    return {verdict: stated, **rest}


def letter_logprobs(weights: dict[Verdict, float], verdict: Verdict, *, top: int) -> dict[str, Any]:
    """Return the `logprobs` of a choice whose reply is the letter of `verdict`."""
    likely = sorted(_tokens(weights), key=lambda entry: -entry[1])
    taken = next(entry for entry in likely if entry[0] == LETTERS[verdict])
    tops = [_entry(*one) for one in islice(likely, top)]
    return {"content": [{**_entry(*taken), "top_logprobs": tops}], "refusal": None}


def _tokens(weights: dict[Verdict, float]) -> Iterator[tuple[str, float]]:
    for verdict, weight in weights.items():
        if weight > 0:
            known = weight * (1 - _STRAY)
            yield LETTERS[verdict], known * (1 - _SPACED)
            yield f" {LETTERS[verdict]}", known * _SPACED
    for place, token in enumerate(_STRAY_TOKENS, start=1):
        yield token, _STRAY * 2.0**-place


def _entry(token: str, probability: float) -> dict[str, Any]:
    return {"token": token, "logprob": math.log(probability), "bytes": list(token.encode())}


def _certainty(accuracy: float, draws: bytes, is_right: bool) -> float:
    """Return q in [1/2, 1) such that of all who state q the share q is right.

    q = (1 + x) / 2 with x of density proportional to x^(a - 1), whose mean is a / (a + 1). Given
    right or wrong its density is that times q or 1 - q, and such x are products of powers.
    """
    mean = min(max(2 * accuracy - 1, 1e-3), 1 - 1e-3)
    a = mean / (1 - mean)
    if not is_right:
        x = math.pow(uniform(draws, 5), 1 / a) * math.pow(uniform(draws, 6), 1 / (a + 1))
    elif uniform(draws, 6) < mean / (1 + mean):
        x = math.pow(uniform(draws, 5), 1 / (a + 1))
    else:
        x = math.pow(uniform(draws, 5), 1 / a)
    return min((1 + x) / 2, _MOST_CERTAIN)


def _tempered(certainty: float, settings: SimulatorSettings) -> float:
    odds = math.pow(certainty / (1 - certainty), 1 / settings.confidence_temperature)
    return min(odds / (1 + odds), _MOST_CERTAIN)
