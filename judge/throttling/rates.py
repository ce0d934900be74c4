"""Requests and tokens per minute as token buckets. Pure: the time is handed in."""

BURST_S = 1.0
"""Providers enforce a limit per minute over shorter spans too, down to a second."""
_ROUNDING = 1e-6


class TokenBucket:
    """An allowance that refills steadily and holds at most one second of itself.

    It may run into debt: one request larger than a second's worth goes when the bucket is full,
    and those after it wait until the debt is paid. The rate over a minute holds either way.
    """

    __slots__ = ("_at_s", "_burst", "_level", "_rate")

    def __init__(self, per_minute: float, *, now_s: float) -> None:
        self._rate = per_minute / 60.0
        self._burst = self._rate * BURST_S
        self._level = self._burst
        self._at_s = now_s

    def wait_s(self, amount: float, *, now_s: float) -> float:
        """Return the seconds until an amount may be taken; 0 when it may be now."""
        if now_s > self._at_s:
            self._level = min(self._burst, self._level + self._rate * (now_s - self._at_s))
            self._at_s = now_s
        missing = min(amount, self._burst) - self._level
        return missing / self._rate if missing > _ROUNDING * self._burst else 0.0

    def take(self, amount: float) -> None:
        """Take an amount that `wait_s` allows."""
        self._level -= amount

    def give_back(self, amount: float) -> None:
        """Return what was reserved and not used; a negative amount was used beyond that."""
        self._level = min(self._burst, self._level + amount)
