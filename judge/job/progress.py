"""What a job has done so far: counted as it happens, read by whoever shows it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from judge.candidates.generation import Generation
from judge.errors import TransientError
from judge.prices.budget import Budget
from judge.records import Judgment, Preference, Reading, preference_from
from judge.throttling.throttle import Throttle, ThrottleView

MOST_REASONS = 50


@dataclass
class Progress:
    """Counts of one job. Mutable, owned by the job's event loop.

    Asks are what is counted: one judge, one content, one order.
    """

    run_id: str = ""
    kind: str = "judge"
    """What is asked for: "judge" for judgments, "generate" for candidates."""
    stage: str = ""
    """What the job does beside asking, such as reaching an endpoint; empty while it asks."""
    total: int = 0
    """Asks that the run needs, as far as is known: a policy may come to want more."""
    most: int = 0
    """Asks that it may come to need."""
    stored_before: int = 0
    """Asks that the ledger had answers to when the job began."""
    judged: int = 0
    """Judgments, or candidates, committed by this job, of whatever use."""
    in_flight: int = 0
    sends_repeated: int = 0
    """Requests that were sent again, whatever the reason."""
    retry_reasons: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    """Judgments of this job without a verdict, by status."""
    drop_reasons: Counter[str] = field(default_factory=Counter)
    """The same by cause in words; only the first `MOST_REASONS` different ones are counted."""
    without_probabilities: Counter[str] = field(default_factory=Counter)
    """Verdicts of this job that came without the token probabilities asked for, by judge."""
    deferred: Counter[str] = field(default_factory=Counter)
    """Asks given up for now, by reason; they stay pending."""
    compared: int = 0
    """Pairs with a verdict of one judge in both orders."""
    flipped: int = 0
    """Those of them where the two orders disagree."""
    input_tokens: int = 0
    output_tokens: int = 0
    last_problem: str = ""
    last_wait_s: float = 0.0
    """How long the request of the last problem waits before it is sent again."""
    budget: Budget | None = field(default=None, repr=False)
    """What has been spent, and what may be."""
    throttles: dict[str, Throttle] = field(default_factory=dict, repr=False)
    """By endpoint."""
    _half_done: dict[tuple[str, str], Preference] = field(default_factory=dict, repr=False)

    @property
    def done(self) -> int:
        return self.stored_before + self.judged

    @property
    def pending(self) -> int:
        return max(0, self.total - self.done)

    def gates(self) -> dict[str, ThrottleView]:
        """Return what requests wait for now, by endpoint."""
        return {name: throttle.view() for name, throttle in tuple(self.throttles.items())}

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Count one ask as in flight while it is worked on."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    def note_wait(self, error: TransientError, wait_s: float) -> None:
        self.sends_repeated += 1
        self.retry_reasons[error.kind] += 1
        self.last_problem = f"{error} (waiting {wait_s:.1f} s)"
        self.last_wait_s = wait_s

    @contextmanager
    def at_stage(self, stage: str) -> Iterator[None]:
        """Say what the job does beside asking, while it does it."""
        self.stage = stage
        try:
            yield
        finally:
            self.stage = ""

    def note_answered(self, content_id: str, answered: Reading) -> None:
        """Remember a verdict stored by an earlier job, so that flips of half-done pairs count."""
        if answered.verdict is not None:
            preference = preference_from(answered.verdict, answered.order)
            self._note_preference((content_id, answered.judge_key), preference)

    def note_judgment(
        self, judgment: Judgment, *, is_new_ask: bool = True, is_compared: bool = True
    ) -> None:
        """Count a committed judgment; `is_compared` says whether it may show a flip."""
        self.judged += is_new_ask
        self.input_tokens += judgment.input_tokens or 0
        self.output_tokens += judgment.output_tokens or 0
        if judgment.status is not None:
            self.statuses[judgment.status.value] += 1
            self._note_drop(judgment.reason)
        if judgment.verdict is not None and is_compared:
            preference = preference_from(judgment.verdict, judgment.order)
            self._note_preference((judgment.content_id, judgment.judge_key), preference)

    def _note_drop(self, reason: str | None) -> None:
        # Causes may quote what an endpoint wrote, which is different each time.
        if reason and (reason in self.drop_reasons or len(self.drop_reasons) < MOST_REASONS):
            self.drop_reasons[reason] += 1

    def note_generation(self, generation: Generation) -> None:
        self.judged += 1
        self.input_tokens += generation.input_tokens or 0
        self.output_tokens += generation.output_tokens or 0
        if generation.status is not None:
            self.statuses[generation.status.value] += 1

    def recount(self, counted: "Progress") -> None:
        """Take over the counts of a run that has grown; what this job did stays this job's."""
        self.total = counted.total
        self.stored_before = counted.stored_before - self.judged

    def forget_comparisons(self) -> None:
        """Count compared pairs from 0: all stored ones are noted anew where more is asked."""
        self.compared = self.flipped = 0
        self._half_done.clear()

    def carry_over(self, earlier: "Progress") -> None:
        """Count as this job's what an earlier part of it did for the same run."""
        self.stored_before -= earlier.judged
        self.judged += earlier.judged
        self.sends_repeated += earlier.sends_repeated
        self.retry_reasons += earlier.retry_reasons
        self.statuses += earlier.statuses
        self.drop_reasons += earlier.drop_reasons
        self.input_tokens += earlier.input_tokens
        self.output_tokens += earlier.output_tokens

    def _note_preference(self, pair: tuple[str, str], preference: Preference) -> None:
        other = self._half_done.pop(pair, None)
        if other is None:
            self._half_done[pair] = preference
        else:
            self.compared += 1
            self.flipped += other is not preference
