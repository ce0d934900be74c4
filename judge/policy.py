"""What to ask next about one pair, given what has been answered. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from judge.records import Order, Reading, Status


@dataclass(frozen=True, slots=True)
class Question:
    """One request that a policy wants: which judge, which order, which sample."""

    judge_key: str
    order: Order
    sample: int


def both_orders(
    answered: Sequence[Reading],
    judge_keys: Iterable[str],
    *,
    retry: frozenset[Status] = frozenset(),
) -> list[Question]:
    """Return what is missing for every judge to have answered in both orders.

    An order without a verdict whose newest answer ended in a status of `retry` is asked again
    with the next sample number; an order with a verdict, or with another status, never is.
    """
    questions = []
    for judge_key in judge_keys:
        for order in Order:
            past = [a for a in answered if a.judge_key == judge_key and a.order is order]
            if not past:
                questions.append(Question(judge_key, order, 0))
            elif retry and all(a.verdict is None for a in past):
                newest = max(past, key=lambda a: a.sample)
                if newest.status in retry:
                    questions.append(Question(judge_key, order, newest.sample + 1))
    return questions
