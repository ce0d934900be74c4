"""Stopping early: the second order is skipped where the first one alone is sure enough."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from judge.outcomes.soft import log_odds, probable_verdict
from judge.policy import (
    BOTH_ORDERS,
    ROUNDING,
    Deciding,
    Question,
    counted,
    missing_questions,
    single_order,
)
from judge.records import Order, Reading, Status

_DIGITS = 8
_ALL = 16.0**_DIGITS


@dataclass(frozen=True, slots=True)
class EarlyStop:
    """Asks one judge in one order, and in the other unless token probabilities already decide.

    A share of the pairs is asked in both orders whatever the first says: on them the price of
    stopping is measured.
    """

    judge_key: str
    stop_above: float
    """Confidence of the first order, 0.5 to 1, from which on the second is not asked."""
    audit_share: float
    temperature_scale: float = 1.0
    """Log-odds are divided by it: above 1 for a judge that is surer than it should be."""

    @property
    def samples(self) -> int:
        return 1

    @property
    def is_staged(self) -> bool:
        return True

    def shows_orders(self, content_id: str) -> bool:
        """Return whether the pair is audited: of the others, the sure ones lack an order."""
        return self.is_audited(content_id)

    def next_questions(
        self,
        content_id: str,
        answered: Sequence[Reading],
        *,
        retry: frozenset[Status] = frozenset(),
    ) -> list[Question]:
        """Return the first order, then the second where it is wanted; both for an audit."""
        orders = self._orders(content_id, answered)
        return missing_questions(answered, (self.judge_key,), orders=orders, retry=retry)

    def deciding(self, content_id: str, answered: Sequence[Reading]) -> Deciding | None:
        """Return the readings of the orders that are asked; another run may have asked more."""
        if self.next_questions(content_id, answered):
            return None
        by_order = (self.said(answered, o) for o in self._orders(content_id, answered))
        return Deciding(tuple(reading for said in by_order for reading in said))

    def is_audited(self, content_id: str) -> bool:
        """Return whether a pair is asked in both orders in any case: a fair draw by its digest."""
        return int(content_id[:_DIGITS], 16) < self.audit_share * _ALL

    def would_stop(self, content_id: str, answered: Sequence[Reading]) -> bool:
        """Return whether the first order alone is sure enough; never without probabilities."""
        confidence = self.confidence(self.said(answered, single_order(content_id)))
        return confidence is not None and confidence >= self.stop_above - ROUNDING

    def audit(
        self, content_id: str, answered: Sequence[Reading]
    ) -> tuple[list[Reading], list[Reading]]:
        """Return the readings of both orders and of the first, of a pair that tells the price.

        Only the first where the pair was not drawn, lacks an order, or would not have stopped.
        """
        first = self.said(answered, single_order(content_id))
        second = self.said(answered, single_order(content_id).other)
        tells = self.is_audited(content_id) and self.would_stop(content_id, answered)
        return (first + second if tells and second else []), first

    def confidence(self, said: Sequence[Reading]) -> float | None:
        """Return max(p, 1 - p) of one order after scaling; None without token probabilities."""
        verdict = probable_verdict(said)
        if verdict is None:
            return None
        scaled = abs(log_odds(verdict.probability, 1 - verdict.probability))
        return 1 / (1 + math.exp(-scaled / self.temperature_scale))

    def said(self, answered: Sequence[Reading], order: Order) -> list[Reading]:
        """Return what counts of one order."""
        return counted(
            (r for r in answered if r.judge_key == self.judge_key and r.order is order), 1
        )

    def _orders(self, content_id: str, answered: Sequence[Reading]) -> tuple[Order, ...]:
        first = single_order(content_id)
        if self.is_audited(content_id):
            return BOTH_ORDERS
        is_enough = not self.said(answered, first) or self.would_stop(content_id, answered)
        return (first,) if is_enough else BOTH_ORDERS
