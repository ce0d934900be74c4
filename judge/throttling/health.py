"""What the last answers of an endpoint say about it. Pure."""

from enum import StrEnum

from judge.errors import ThrottledError, TransientError

STRAY_SHARE = 0.02
"""Share of 429s and failures that is noise on a healthy endpoint and says nothing about load."""
CERTAINTY = 2.0
"""Standard deviations beyond which a share is no longer chance. Without them an endpoint with one
stray 429 in a hundred would be slowed down every few rounds, for a window is but a small sample."""
NO_FINISH_REASON = "no finish reason"


class Signal(StrEnum):
    """What one answer says about how its endpoint bears the load."""

    OK = "ok"
    """Any whole answer, a rejected item included: the endpoint is alive and not overloaded."""
    THROTTLED = "throttled"
    FAILED = "failed"


def signal_of(error: BaseException) -> Signal:
    """Return what a failed request says about its endpoint.

    A reply that cannot be used, whether truncated, unparsed or without a finish reason, is an
    answer: a judge with a small max_tokens would otherwise look like an endpoint in trouble.
    """
    if isinstance(error, ThrottledError):
        return Signal.THROTTLED
    if isinstance(error, TransientError) and error.kind != NO_FINISH_REASON:
        return Signal.FAILED
    return Signal.OK


class RecentAnswers:
    """Counts of the last answers: between one and two blocks of them, by signal.

    Two blocks of counts instead of a queue of answers: nothing to keep per request.
    """

    __slots__ = ("_old", "answers", "failed", "throttled")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.answers = self.throttled = self.failed = 0
        self._old = (0, 0, 0)

    def add(self, signal: Signal, block: int) -> None:
        """Count one answer; beyond `block` answers the older half is forgotten."""
        self.answers += 1
        if signal is Signal.THROTTLED:
            self.throttled += 1
        elif signal is Signal.FAILED:
            self.failed += 1
        answers, throttled, failed = self._old
        if self.answers - answers >= block:
            self.answers -= answers
            self.throttled -= throttled
            self.failed -= failed
            self._old = (self.answers, self.throttled, self.failed)

    @property
    def in_trouble(self) -> int:
        """Answers that were not a whole one."""
        return self.throttled + self.failed


def is_beyond_chance(count: int, answers: int) -> bool:
    """Return whether more than the stray share of the answers is meant, chance allowed for.

    The count must exceed STRAY_SHARE by CERTAINTY standard deviations of a Poisson count.
    """
    expected = STRAY_SHARE * answers
    excess = count - expected
    return excess > 0 and excess * excess > CERTAINTY * CERTAINTY * expected
