"""Going through the answers of a pair as its policy would have asked for them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from judge.policy import Policy, Question, counted
from judge.records import Order, Reading


@dataclass(frozen=True, slots=True)
class Trace:
    """What a policy wants to know about one pair, answered or not."""

    answered: tuple[Reading, ...]
    """The readings that count of every question that it came to ask."""
    open_questions: tuple[Question, ...]
    """What it wants to ask next."""


def trace(policy: Policy, content_id: str, answered: Sequence[Reading]) -> Trace:
    """Return how far a pair has come under a policy.

    What is stored for another run, and never comes to be asked under this policy, is left out.
    """
    reached: list[tuple[str, Order]] = []
    known: list[Reading] = []
    while True:
        questions = policy.next_questions(content_id, known)
        wanted = [(q.judge_key, q.order) for q in questions]
        reached += (ask for ask in dict.fromkeys(wanted) if ask not in reached)
        found = [r for r in answered if (r.judge_key, r.order) in reached]
        if len(found) == len(known):
            break
        known = found
    return Trace(
        tuple(
            reading
            for ask in reached
            for reading in counted(
                (r for r in known if (r.judge_key, r.order) == ask), policy.samples
            )
        ),
        tuple(questions),
    )
