"""A policy that asks nothing about some pairs, which are left to people, and else is another."""

from collections.abc import Sequence, Set
from dataclasses import dataclass

from judge.policy import Deciding, Policy, Question
from judge.records import Reading, Status


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Leaves contents undecided for one reason, whatever was said about them."""

    policy: Policy
    """What decides about all other contents."""
    contents: Set[str]
    reason: str

    @property
    def samples(self) -> int:
        return self.policy.samples

    @property
    def is_staged(self) -> bool:
        """Return True: which content it is makes the difference."""
        return True

    def shows_orders(self, content_id: str) -> bool:
        """Return whether both orders are asked."""
        return content_id not in self.contents and self.policy.shows_orders(content_id)

    def next_questions(
        self,
        content_id: str,
        answered: Sequence[Reading],
        *,
        retry: frozenset[Status] = frozenset(),
    ) -> list[Question]:
        """Return what the policy wants to ask, nothing about what is left out."""
        if content_id in self.contents:
            return []
        return self.policy.next_questions(content_id, answered, retry=retry)

    def deciding(self, content_id: str, answered: Sequence[Reading]) -> Deciding | None:
        """Return what the label rests on, nothing for what is left out."""
        if content_id in self.contents:
            return Deciding((), self.reason)
        return self.policy.deciding(content_id, answered)
