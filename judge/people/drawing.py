"""Drawing pairs for people to judge: which ones, on which sides, in which order. Pure.

A batch has two parts. The *audit* is a simple random sample, n of the M pairs of the frame, so
each pair of the frame is in it with probability n/M. *Included* outcomes, such as the pairs whose
two orders contradict each other, are taken whole, with probability 1. The two are independent, so
a pair of the frame is in the batch with probability 1 - (1 - n/M)(1 - 1) = 1 where its outcome is
included and n/M where it is not. A pair taken by both is one task. Weights of 1/probability make
totals over the batch unbiased for the frame (Horvitz and Thompson, 1952); the audit by itself
needs no weights.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from hashlib import sha256
from heapq import heappush, heappushpop

from pydantic_core import to_json

from judge.records import Order, Outcome

AUDIT = "audit"

_ID_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Lottery:
    """The random numbers of a batch, each a digest: the same on every machine, in any sequence.

    The batch's name takes part: two batches of one seed must not draw alike, or the second would
    be no random sample of what the first left over.
    """

    batch: str
    seed: int

    def number(self, purpose: str, pair_id: str) -> int:
        """Return a number uniform in [0, 2**256), independent between purposes and pairs."""
        fields = to_json([purpose, self.batch, self.seed, pair_id])
        return int.from_bytes(sha256(fields).digest())

    def task_id(self, pair_id: str) -> str:
        """Return an id that tells nothing about the pair to whoever does not know its id."""
        return f"{self.number('task', pair_id):064x}"[:_ID_DIGITS]

    def shown_order(self, pair_id: str) -> Order:
        """Return which answer is shown as A, by the toss of a coin for each pair."""
        return Order.REVERSED if self.number("side", pair_id) % 2 else Order.FORWARD


@dataclass(frozen=True, slots=True)
class Task:
    """One pair as it is handed to people, and how it came to be chosen."""

    task_id: str
    batch: str
    pair_id: str
    shown_order: Order
    """In the orientation of the pair: FORWARD shows its first answer as A."""
    is_audit: bool
    """Whether the uniform draw took it."""
    included_as: Outcome | None
    """Its outcome when it was chosen, where every pair of that outcome was asked for."""
    inclusion_probability: float
    """That the batch holds this pair, by either way, in (0, 1]."""

    @property
    def stratum(self) -> str:
        """The part of the frame whose pairs all have this inclusion probability."""
        return AUDIT if self.included_as is None else self.included_as.value


@dataclass(frozen=True, slots=True)
class Draw:
    """The tasks of a batch in the order they are handed out, and what they were drawn from."""

    frame_size: int
    audit_probability: float
    """That the uniform draw takes a given pair of the frame; 0 for an empty frame."""
    tasks: tuple[Task, ...]


def draw(
    frame: Iterable[tuple[str, Outcome]],
    lottery: Lottery,
    *,
    n: int,
    include: Collection[Outcome] = (),
) -> Draw:
    """Return the tasks drawn from a frame of (pair id, outcome), each id once, in any sequence.

    The audit is `n` pairs, or all where there are fewer. Of the frame only the chosen pairs are
    held in memory.
    """
    if n < 0:
        raise ValueError(f"n must be at least 0, got {n}")
    frame_size = 0
    drawn: list[tuple[int, str]] = []
    included: dict[str, Outcome] = {}
    for pair_id, outcome in frame:
        frame_size += 1
        if outcome in include:
            included[pair_id] = outcome
        ticket = (-lottery.number("draw", pair_id), pair_id)  # a heap gives up its smallest
        if len(drawn) < n:
            heappush(drawn, ticket)
        else:
            heappushpop(drawn, ticket)
    audit = {pair_id for _, pair_id in drawn}
    probability = len(audit) / frame_size if frame_size else 0.0
    tasks = [
        _task(pair_id, lottery, pair_id in audit, included.get(pair_id), probability)
        for pair_id in audit | included.keys()
    ]
    tasks.sort(key=lambda task: lottery.number("place", task.pair_id))
    return Draw(frame_size, probability, tuple(tasks))


def _task(
    pair_id: str,
    lottery: Lottery,
    is_audit: bool,
    included_as: Outcome | None,
    audit_probability: float,
) -> Task:
    return Task(
        task_id=lottery.task_id(pair_id),
        batch=lottery.batch,
        pair_id=pair_id,
        shown_order=lottery.shown_order(pair_id),
        is_audit=is_audit,
        included_as=included_as,
        inclusion_probability=audit_probability if included_as is None else 1.0,
    )
