"""A circuit breaker: an endpoint that fails more than it answers is left alone for a while.

It pauses and never gives an item up. Pure: the time is handed in.
"""

import random
from enum import StrEnum

from judge.throttling.health import RecentAnswers, Signal

FAILED_SHARE = 0.5
"""Of the last calls; resilience4j opens on half too, unless told otherwise."""
REFUSED_SHARE = 0.9
"""Of the last calls, 429s and failures together. An endpoint that is merely asked too much still
answers a part, and the adaptive limit is the remedy; one that answers next to nothing is out of
quota, and only waiting helps."""
LEAST_CALLS = 20
"""With fewer, one dropped connection pool would stop a job."""
FIRST_PAUSE_S = 5.0
"""About what a restarting proxy or a failing-over replica takes."""
LONGEST_PAUSE_S = 60.0
"""A probe a minute costs nothing, and no job stands still much longer than the outage lasts."""
JITTER_SHARE = 0.25
"""Added to every pause, so that several jobs of one account do not come back together."""


class BreakerState(StrEnum):
    """Closed lets requests through, open none, half-open one at a time as a probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """The breaker of one endpoint. Its `epoch` changes whenever it opens or closes."""

    def __init__(self, *, rng: random.Random) -> None:
        self._rng = rng
        self._recent = RecentAnswers()
        self._pauses = 0
        self._asked_until_s = 0.0
        self._has_probe = False
        self.epoch = 0
        self.is_closed = True
        self.probe_at_s = 0.0
        """When the next probe may go; of no meaning while closed."""
        self.down_since_s = 0.0
        """When it last opened from closed; of no meaning while closed."""

    def state(self, now_s: float) -> BreakerState:
        """Return the state at a time."""
        if self.is_closed:
            return BreakerState.CLOSED
        is_due = self._has_probe or now_s >= self.probe_at_s
        return BreakerState.HALF_OPEN if is_due else BreakerState.OPEN

    def may_probe(self, now_s: float) -> bool:
        """Return whether a request may go as the probe of a breaker that is not closed."""
        return not self._has_probe and now_s >= self.probe_at_s

    def begin_probe(self) -> None:
        """Let one request out; `note` or `drop_probe` must follow."""
        self._has_probe = True

    def drop_probe(self) -> None:
        """Forget a probe that ended without an answer, so that another may go."""
        self._has_probe = False

    def note(
        self, signal: Signal, *, block: int, now_s: float, retry_after_s: float | None = None
    ) -> None:
        """Learn from an answer of this epoch, the probe's if it is not closed.

        Shares are of the last `block` answers or up to twice as many.
        """
        if signal is Signal.THROTTLED:
            self._asked_until_s = now_s + (retry_after_s or 0.0)
        if not self.is_closed:
            self._note_probe(signal, now_s)
            return
        recent = self._recent
        recent.add(signal, max(block, LEAST_CALLS))
        if recent.answers < LEAST_CALLS:
            return
        if signal is Signal.OK:
            if self._pauses and not self._is_down():
                self._pauses = 0
        elif self._is_down():
            self.down_since_s = now_s
            self._open(now_s)

    def _is_down(self) -> bool:
        recent = self._recent
        return (
            recent.failed >= FAILED_SHARE * recent.answers
            or recent.in_trouble >= REFUSED_SHARE * recent.answers
        )

    def _note_probe(self, signal: Signal, now_s: float) -> None:
        self._has_probe = False
        if signal is not Signal.OK:
            self._open(now_s)
            return
        self.is_closed = True
        self.epoch += 1
        self._recent.clear()

    def _open(self, now_s: float) -> None:
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._pauses, 10))
        # What the last 429 asked for is a floor: jitter only ever adds.
        pause_s = max(pause_s, self._asked_until_s - now_s)
        self.probe_at_s = now_s + pause_s * (1.0 + self._rng.uniform(0.0, JITTER_SHARE))
        self._pauses += 1
        self.is_closed = False
        self.epoch += 1
        self._recent.clear()
