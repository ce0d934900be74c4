"""How far a run has come under its policy, in asks."""

from dataclasses import dataclass

from judge.ledger.readings import read_contents
from judge.ledger.runs import Run
from judge.ledger.store import Ledger
from judge.ledger.work import count_answered, count_contents, count_dropped
from judge.policies.choice import most_asked, policy_of
from judge.policies.fixed import FixedPolicy
from judge.policies.tracing import trace
from judge.policy import Policy


@dataclass(frozen=True, slots=True)
class AskCounts:
    """Asks of a run: one judge, one content, one order, one sample."""

    answered: int
    open: int
    """What the policy wants to ask now."""
    dropped: int
    """Of the answered, those that ended without a verdict."""
    most: int
    """What the policy may come to ask, the answered included."""

    @property
    def total(self) -> int:
        """What is known to be needed."""
        return self.answered + self.open


def count_asks(ledger: Ledger, run: Run) -> AskCounts:
    """Return the counts of a run as the ledger stands.

    Where every pair is asked the same they are counted in the database; where the answers decide,
    every pair is looked at.
    """
    policy = policy_of(run.policy_settings, run.judge_keys)
    contents = count_contents(ledger, run.run_id)
    most = contents * most_asked(run.policy_settings, run.judge_keys).asks_per_pair
    if isinstance(policy, FixedPolicy):
        return _count_fixed(ledger, run, policy, most)
    return _count_staged(ledger, run, policy, most)


def _count_fixed(ledger: Ledger, run: Run, policy: FixedPolicy, most: int) -> AskCounts:
    one_order, samples = policy.one_order, policy.samples
    found = count_answered(ledger, run.run_id, run.judge_keys, one_order=one_order, samples=samples)
    answered = sum(found.values())
    dropped = count_dropped(
        ledger, run.run_id, run.judge_keys, one_order=one_order, samples=samples
    )
    return AskCounts(answered, most - answered, dropped, most)


def _count_staged(ledger: Ledger, run: Run, policy: Policy, most: int) -> AskCounts:
    answered = wanted = dropped = 0
    for content in read_contents(ledger, run.run_id, run.judge_keys):
        traced = trace(policy, content.content_id, content.readings)
        answered += len(traced.answered)
        wanted += len(traced.open_questions)
        dropped += sum(reading.verdict is None for reading in traced.answered)
    return AskCounts(answered, wanted, dropped, most)
