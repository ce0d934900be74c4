"""How many requests may be in flight at one endpoint: slow start, then AIMD. Pure: no clock.

Additive increase, multiplicative decrease finds a capacity that nobody states and that changes
(Chiu and Jain 1989); only 429s cut, for the latency of a judge follows the length of its reply.
Rounds are counted in answers, so the rules fit an endpoint of 0.1 s as well as one of 30 s.
"""

from judge.throttling.health import RecentAnswers, Signal, is_beyond_chance

DEFAULT_START = 64
MINIMUM = 1
"""A small server or a new account may serve one request at a time, and a floor above what an
endpoint serves would be a stream of 429s for ever. It costs little: the way up is a slow start."""
GROWTH_PER_ANSWER = 0.05
"""5 % per round of as many answers as the limit: a limit at 60 % of the capacity is at 90 % of it
after 8 rounds, and one at the capacity sends no more than a twentieth too much in the next."""
CUT = 0.8
"""A cut by a fifth keeps the limit between 0.8 and 1.1 of the capacity, within the 20 % wanted;
TCP's half would leave a third of the endpoint idle on average."""
USED_SHARE = 0.8
"""The limit grows only while it is what holds requests back (RFC 7661 for TCP)."""
LEAST_EVIDENCE = 3
"""429s before a cut, whatever their share."""
SMALLEST_BLOCK = 50
"""Answers between which shares are compared, where a round is fewer: 2 % of less is no number."""


class AdaptiveLimit:
    """The limit of one endpoint.

    Each request remembers the `epoch` it was sent in. Its answer counts only while that lasts: an
    answer to a request sent before the last cut speaks of the old limit. That is what makes one
    burst one cut, and no cooldown is needed that a steady stream of 429s could extend for ever.
    """

    __slots__ = ("_exact", "_most", "_pause", "_recent", "_threshold", "epoch", "limit")

    def __init__(self, most: int, start: int | None = None) -> None:
        """Start at `start`, by default the smaller of 64 and `most`, the upper bound."""
        self._most = most
        self._exact = float(min(most, DEFAULT_START if start is None else start))
        self._threshold = float(most)
        self._recent = RecentAnswers()
        self._pause = 0
        self.limit = int(self._exact)
        """Requests that may be in flight, from 1 to `most`."""
        self.epoch = 0

    def note(self, signal: Signal, *, epoch: int, in_flight: int) -> None:
        """Learn from an answer; `in_flight` counts the answered request too."""
        if epoch != self.epoch:
            return
        recent = self._recent
        recent.add(signal, max(self.limit, SMALLEST_BLOCK))
        if signal is Signal.OK:
            if self._pause:
                self._pause -= 1
            elif in_flight >= USED_SHARE * self.limit:
                self._grow()
        elif is_beyond_chance(recent.in_trouble, recent.answers):
            # A failure only stops the growth, for a round: it may have nothing to do with load.
            self._pause = self.limit
            if recent.throttled >= LEAST_EVIDENCE and is_beyond_chance(
                recent.throttled, recent.answers
            ):
                self._threshold = self._exact * CUT
                self._begin_epoch(self._threshold)

    def collapse(self) -> None:
        """Fall to the minimum: the endpoint is down, so what was learned about it may be void.

        The way back is a slow start up to one cut below where it was, and small steps from there
        (RFC 5681, section 3.1, on a retransmission time-out).
        """
        self._threshold = max(2.0, self._exact * CUT)
        self._begin_epoch(MINIMUM)

    def _grow(self) -> None:
        exact = self._exact
        # One more per answer doubles in a round; after the first cut 5 %, or 1 if that is more.
        step = 1.0 if exact < self._threshold else max(GROWTH_PER_ANSWER, 1.0 / exact)
        self._exact = min(self._most, exact + step)
        self.limit = int(self._exact)

    def _begin_epoch(self, exact: float) -> None:
        self._exact = max(float(MINIMUM), exact)
        self.limit = int(self._exact)
        self._recent.clear()
        self._pause = 0
        self.epoch += 1
