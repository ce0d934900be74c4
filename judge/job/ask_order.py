"""In which order the asks of a page are sent, so that prompts that begin alike follow each other.

A cache of prompt prefixes, in an engine or at a provider, holds what was sent last. Templates show
what they share first (instructions, question, answer A), so neighbours in this order share most.
Pure.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

from judge.job.judging import Ask
from judge.records import Order

Job = TypeVar("Job")
Prefix = tuple[Hashable, ...]


def side_by_side(asks: Sequence[Ask]) -> list[Ask]:
    """Return the asks with those of one question together, then of one judge, then one answer A.

    Both orders and all pairs of one prompt's candidates come together. Groups stand in the order
    of their first ask, so that what came first still comes first.
    """
    return in_groups(asks, [_prefix(ask) for ask in asks])


def in_groups(jobs: Sequence[Job], prefixes: Iterable[Prefix]) -> list[Job]:
    """Return the jobs so that equal prefixes are neighbours, level by level.

    `prefixes` are as many as `jobs`, each with one part per level and all of one length. At every
    level a group stands where its first job stood; equal prefixes keep their order.
    """
    ranks: dict[Prefix, int] = {}
    keys = [
        tuple(ranks.setdefault(prefix[: level + 1], len(ranks)) for level in range(len(prefix)))
        for prefix in prefixes
    ]
    return [jobs[index] for index in sorted(range(len(jobs)), key=keys.__getitem__)]


def _prefix(ask: Ask) -> Prefix:
    shown = ask.shown
    first = shown.answer_a if ask.order is Order.FORWARD else shown.answer_b
    return ((shown.question, tuple(shown.references)), ask.judge.judge_key, first)
