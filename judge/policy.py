"""What to ask next about one pair, given what has been answered. Pure.

A policy is a small object that says so; `judge.policies` has one module for each kind.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from judge.records import Order, Reading, Status


@dataclass(frozen=True, slots=True)
class Question:
    """One request that a policy wants: which judge, which order, which sample."""

    judge_key: str
    order: Order
    sample: int


@dataclass(frozen=True, slots=True)
class Deciding:
    """The readings that a label rests on, or why the pair is left without one."""

    readings: tuple[Reading, ...]
    reason: str | None = None
    """Why these readings make no label; None where they do."""


class Policy(Protocol):
    """Says what to ask about a pair and which answers count. In the content's orientation."""

    @property
    def samples(self) -> int:
        """How often a judge is asked in one order; later sample numbers repeat failures."""

    @property
    def is_staged(self) -> bool:
        """Whether what is asked depends on what was answered."""

    def shows_orders(self, content_id: str) -> bool:
        """Whether a pair tells of the orders: both are asked, whatever one of them says."""

    def next_questions(
        self,
        content_id: str,
        answered: Sequence[Reading],
        *,
        retry: frozenset[Status] = frozenset(),
    ) -> list[Question]:
        """Return what to ask next, nothing where the pair is settled; `retry` as below."""

    def deciding(self, content_id: str, answered: Sequence[Reading]) -> Deciding | None:
        """Return what the label rests on; None exactly while the policy still wants something."""


ROUNDING = 1e-9
"""What a confidence may lose on its way through log-odds: so much less still counts as enough."""
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
    samples: int = 1,
    retry: frozenset[Status] = frozenset(),
) -> list[Question]:
    """Return what is missing for every judge to have answered `samples` times in every order.

    Where all were asked and some have no verdict, as many as are lacking are asked again with the
    next sample numbers, if the newest without one ended in a status of `retry`.
    """
    questions = []
    for judge_key in judge_keys:
        for order in orders:
            past = [a for a in answered if a.judge_key == judge_key and a.order is order]
            if not past:
                numbers: Iterable[int] = range(samples)
            elif len(past) < samples:
                asked = {a.sample for a in past}
                unused = (n for n in range(2 * samples) if n not in asked)
                numbers = [next(unused) for _ in range(samples - len(past))]
            else:
                numbers = _repeated(past, samples, retry) if retry else ()
            questions += [Question(judge_key, order, number) for number in numbers]
    return questions


def counted(past: Iterable[Reading], samples: int) -> list[Reading]:
    """Return those of one judge's readings in one order that count, by sample number.

    The first with a verdict, `samples` at most; where they are fewer, the newest failures too.
    """
    by_sample = sorted(past, key=lambda reading: (reading.sample, reading.judgment_id))
    chosen = [reading for reading in by_sample if reading.verdict is not None][:samples]
    failures = [reading for reading in by_sample if reading.verdict is None]
    lacking = samples - len(chosen)
    return chosen + failures[-lacking:] if lacking else chosen


def _repeated(past: Sequence[Reading], samples: int, retry: frozenset[Status]) -> range:
    failed = [r for r in counted(past, samples) if r.verdict is None and r.status in retry]
    following = 1 + max(reading.sample for reading in past)
    return range(following, following + len(failed))
