"""A cascade: cheap judges first, and on to the next one where a judge is not sure enough."""

from collections.abc import Sequence
from dataclasses import dataclass

from judge.outcomes.labels import Rule
from judge.outcomes.soft import soft_verdict
from judge.policies.majority import resolve_samples
from judge.policy import (
    BOTH_ORDERS,
    ROUNDING,
    Deciding,
    Question,
    counted,
    missing_questions,
)
from judge.records import Outcome, Reading, Status

LEFT_TO_PEOPLE = "left to people"
"""`Label.reason` where the last judge is not sure enough either."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One judge of a cascade."""

    judge_key: str
    accept_above: float | None
    """Confidence from which on its label is final, 0.5 to 1; None takes every label (the last)."""


@dataclass(frozen=True, slots=True)
class Cascade:
    """Asks the judges one after the other, each in both orders, until one is sure enough."""

    stages: tuple[Stage, ...]
    rule: Rule
    samples: int = 1

    @property
    def is_staged(self) -> bool:
        return True

    def shows_orders(self, content_id: str) -> bool:
        """Return True: whoever is asked is asked in both orders."""
        return True

    def next_questions(
        self,
        content_id: str,
        answered: Sequence[Reading],
        *,
        retry: frozenset[Status] = frozenset(),
    ) -> list[Question]:
        """Return what the first judge lacks that has not said enough; a failure is not enough."""
        for stage in self.stages:
            questions = missing_questions(
                answered, (stage.judge_key,), samples=self.samples, retry=retry
            )
            if questions or self._is_accepted(stage, self._said(stage, answered)):
                return questions
        return []

    def deciding(self, content_id: str, answered: Sequence[Reading]) -> Deciding | None:
        """Return what the judge said who was sure enough; what the last one said where none was."""
        said: tuple[Reading, ...] = ()
        for stage in self.stages:
            if missing_questions(answered, (stage.judge_key,), samples=self.samples):
                return None
            said = self._said(stage, answered)
            if self._is_accepted(stage, said):
                return Deciding(said)
        is_bound = self.stages[-1].accept_above is not None
        return Deciding(said, LEFT_TO_PEOPLE if is_bound and _is_whole(said) else None)

    def _said(self, stage: Stage, answered: Sequence[Reading]) -> tuple[Reading, ...]:
        mine = [reading for reading in answered if reading.judge_key == stage.judge_key]
        by_order = ([r for r in mine if r.order is order] for order in BOTH_ORDERS)
        return tuple(r for past in by_order for r in counted(past, self.samples))

    def _is_accepted(self, stage: Stage, said: Sequence[Reading]) -> bool:
        """Whether a judge's label is final: orders that contradict each other make none."""
        if stage.accept_above is None:
            return True
        if not _is_whole(said) or confidence_of(said) < stage.accept_above - ROUNDING:
            return False
        return resolve_samples("", said, rule=self.rule).outcome is not Outcome.INCONSISTENT


def confidence_of(said: Sequence[Reading]) -> float:
    """Return max(p, 1 - p) of one judge's readings of a pair, both orders balanced; 0.5 to 1.

    `p` is the probability that the first is better: from token probabilities, else from verdicts.
    """
    verdict = soft_verdict(said)
    return 0.5 if verdict is None else max(verdict.probability, 1 - verdict.probability)


def _is_whole(said: Sequence[Reading]) -> bool:
    """Whether every order has a verdict: what failed leaves nothing to be sure of."""
    spoken = {reading.order for reading in said if reading.verdict is not None}
    return len(spoken) == len(BOTH_ORDERS)
