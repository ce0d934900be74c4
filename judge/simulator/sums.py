"""Sums that the simulated judge can work out, and references to them, some of them wrong. Pure.

Asked to answer by itself, the simulated judge works out the one sum in a question such as "What is
17 * 23?", rightly at rate `answer_accuracy`. At rate `shared_opinion` it gives one answer to a
question however often it is asked; otherwise it errs anew each time. Asked whether two answers
come to the same, it compares their last numbers.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from judge.records import Candidate, Message, Pair, Prompt
from judge.simulator.draws import digest, uniform
from judge.simulator.settings import SimulatorSettings

_OWN_ANSWER = 'End with one last line that holds "Answer: "'
_REFERENCE = re.compile(
    r"\[The Start of the Reference Answer\]\n(.*?)\n\[The End of the Reference Answer\].*?"
    r"\[The Start of the Response\]\n(.*?)\n\[The End of the Response\]",
    re.DOTALL,
)
_SUM = re.compile(r"(\d{1,6}) ([-+*]) (\d{1,6})")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def checking_reply(
    settings: SimulatorSettings, system_text: str, user_text: str, *, voice: bytes
) -> str | None:
    """Return the reply to a prompt by which a reference is checked; None for any other."""
    if _OWN_ANSWER in system_text:
        return _own_answer(settings, user_text, voice=voice)
    if found := _REFERENCE.search(user_text):
        reference, answer = (_NUMBER.findall(text.replace(",", "")) for text in found.groups())
        if not reference or not answer:
            return "UNSURE"
        return "SAME" if float(reference[-1]) == float(answer[-1]) else "DIFFERENT"
    return None


class SimulatedReference(NamedTuple):
    """A pair about a sum, with a reference that is right or not."""

    pair: Pair
    is_right: bool


def reference_pairs(
    n: int, *, wrong_share: float = 0.2, seed: int = 0
) -> Iterator[SimulatedReference]:
    """Yield pairs about sums, about `wrong_share` of them with a wrong reference."""
    for number in range(n):
        draws = digest(seed, b"reference", b"%d" % number)
        a, b = (10 + int(90 * uniform(draws, at)) for at in (0, 1))
        sign = "+-*"[int(3 * uniform(draws, 2))]
        right, is_right = _result(a, sign, b), uniform(draws, 3) >= wrong_share
        reference = right if is_right else right + _slip(uniform(draws, 4))
        question = f"What is {a} {sign} {b}? (question {number + 1})"
        yield SimulatedReference(_pair(number, question, right, reference), is_right)


def _pair(number: int, question: str, right: int, reference: int) -> Pair:
    said = (f"The result is {right}.", f"I get {right + 1}.")
    first, second = (
        Candidate(messages=(Message(role="assistant", content=text),)) for text in said
    )
    asked = (Message(role="user", content=question),)
    prompt = Prompt(prompt_id=f"sum-{number + 1}", messages=asked, reference=f"{reference}")
    return Pair(pair_id=f"sum-{number + 1}", prompt=prompt, first=first, second=second)


def _own_answer(settings: SimulatorSettings, question: str, *, voice: bytes) -> str:
    found = _SUM.search(question)
    if found is None:
        return "I cannot work this out.\n\nAnswer: unknown"
    draws = digest(settings.seed, b"sum", question.encode())
    if uniform(draws, 0) >= settings.shared_opinion:
        draws = digest(settings.seed, b"sum", draws, voice)
    result = _result(int(found[1]), found[2], int(found[3]))
    if uniform(draws, 1) >= settings.answer_accuracy:
        result += _slip(uniform(draws, 2))
    return f"I work out {found[0]} step by step.\n\nAnswer: {result}"


def _result(a: int, sign: str, b: int) -> int:
    return a + b if sign == "+" else a - b if sign == "-" else a * b


def _slip(draw: float) -> int:
    size = 1 + int(9 * draw)
    return size if size % 2 else -size
