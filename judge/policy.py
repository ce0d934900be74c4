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


BOTH_ORDERS = (Order.FORWARD, Order.REVERSED)


def single_order(content_id: str) -> Order:
    """Return the one order in which a pair is asked where one must do: even last digit, forward.

    The id is a digest that knows no sides, so this is a fair coin that falls the same way in every
    run: the same ask is never paid twice. `judge.ledger.work` says the same in SQL.
    """
    return Order.FORWARD if int(content_id[-1], 16) % 2 == 0 else Order.REVERSED


def missing_questions(
    answered: Sequence[Reading],
    judge_keys: Iterable[str],
    *,
    orders: Sequence[Order] = BOTH_ORDERS,
    retry: frozenset[Status] = frozenset(),
) -> list[Question]:
    """Return what is missing for every judge to have answered in every one of `orders`.

    An order without a verdict whose newest answer ended in a status of `retry` is asked again
    with the next sample number; an order with a verdict, or with another status, never is.
    """
    questions = []
    for judge_key in judge_keys:
        for order in orders:
            past = [a for a in answered if a.judge_key == judge_key and a.order is order]
            if not past:
                questions.append(Question(judge_key, order, 0))
            elif retry and all(a.verdict is None for a in past):
                newest = max(past, key=lambda a: a.sample)
                if newest.status in retry:
                    questions.append(Question(judge_key, order, newest.sample + 1))
    return questions
