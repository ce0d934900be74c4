"""Asking the same of every pair: one order or both, one sample or several, every judge."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from judge.outcomes.labels import Rule
from judge.policies.majority import judge_labels
from judge.policy import BOTH_ORDERS, Deciding, Question, counted, missing_questions, single_order
from judge.records import Order, Outcome, Reading, Status

QUORUM = "no quorum"
"""`Label.reason` where fewer judges have an outcome than the panel needs."""


@dataclass(frozen=True, slots=True)
class FixedPolicy:
    """Asks every judge the same number of times in the same orders.

    `both_orders`, `single_order`, `samples` and `panel` are this.
    """

    judge_keys: tuple[str, ...]
    rule: Rule
    one_order: bool = False
    samples: int = 1
    quorum: int = 0
    """Judges that must have an outcome."""

    @property
    def is_staged(self) -> bool:
        return False

    def shows_orders(self, content_id: str) -> bool:
        """Return whether both orders are asked."""
        return not self.one_order

    @property
    def asks_per_pair(self) -> int:
        """How much is asked about every pair, without repeating failures."""
        return (1 if self.one_order else len(BOTH_ORDERS)) * self.samples * len(self.judge_keys)

    def next_questions(
        self,
        content_id: str,
        answered: Sequence[Reading],
        *,
        retry: frozenset[Status] = frozenset(),
    ) -> list[Question]:
        """Return everything that is missing, at once."""
        orders = (single_order(content_id),) if self.one_order else BOTH_ORDERS
        return missing_questions(
            answered, self.judge_keys, orders=orders, samples=self.samples, retry=retry
        )

    def deciding(self, content_id: str, answered: Sequence[Reading]) -> Deciding | None:
        """Return what counts of every answer.

        With one order, `answered` holds that order alone, as it is read from the ledger.
        """
        asked: dict[tuple[str, Order], list[Reading]] = {}
        for reading in answered:
            asked.setdefault((reading.judge_key, reading.order), []).append(reading)
        if sum(min(len(past), self.samples) for past in asked.values()) < self.asks_per_pair:
            return None
        readings = tuple(r for past in asked.values() for r in counted(past, self.samples))
        return Deciding(readings, self._lacking(readings) if self.quorum else None)

    def _lacking(self, readings: Sequence[Reading]) -> str | None:
        outcomes = Counter(label.outcome for label in judge_labels(readings, self.rule).values())
        return QUORUM if outcomes.total() - outcomes[Outcome.UNDECIDED] < self.quorum else None
