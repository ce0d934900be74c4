"""May one more request go to an endpoint now, and if not, what for and until when? Pure.

The adaptive limit, the two rates and the circuit breaker decide together. The time is handed in,
in seconds of one steady clock.
"""

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from judge.throttling.breaker import Breaker, BreakerState
from judge.throttling.concurrency import AdaptiveLimit
from judge.throttling.health import Signal
from judge.throttling.rates import TokenBucket

PATIENCE_S = 900.0
"""How long an endpoint may be down before what waits for it is given up for now: as long as one
ask is retried."""
FIRST_PATIENCE_S = 60.0
"""The same for one that has done nothing but fail so far: it is more likely wrong than down."""


class WaitReason(StrEnum):
    """What those who wait are waiting for."""

    SLOT = "slot"
    RPM = "rpm"
    TPM = "tpm"
    BREAKER = "breaker"


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard one endpoint may be pushed. None is no limit."""

    max_in_flight: int
    start_in_flight: int | None = None
    """Where the adaptive limit starts; by default the smaller of 64 and max_in_flight."""
    rpm: int | None = None
    tpm: int | None = None
    """Tokens per minute, prompts and replies together."""
    patience_s: float = PATIENCE_S


class Permit(NamedTuple):
    """Leave to send one request; it goes back when the request ends."""

    tokens: int
    limit_epoch: int
    breaker_epoch: int
    is_probe: bool


class Refusal(NamedTuple):
    """Not now."""

    reason: WaitReason
    until_s: float | None
    """When to ask again; None when only another request's end can change the answer."""
    is_final: bool = False
    """The endpoint has been down for longer than the patience: not for a long time."""


class Admission:
    """The state of one endpoint's limits, and what every answer teaches."""

    def __init__(self, limits: Limits, *, now_s: float, rng: random.Random) -> None:
        self._limit = AdaptiveLimit(limits.max_in_flight, limits.start_in_flight)
        self._breaker = Breaker(rng=rng)
        self._rpm = TokenBucket(limits.rpm, now_s=now_s) if limits.rpm else None
        self._tpm = TokenBucket(limits.tpm, now_s=now_s) if limits.tpm else None
        self._patience_s = limits.patience_s
        self._has_answered = False
        self.in_flight = 0

    @property
    def limit(self) -> int:
        """Requests that may be in flight now."""
        return self._limit.limit

    def breaker_state(self, now_s: float) -> BreakerState:
        """Return the circuit breaker's state at a time."""
        return self._breaker.state(now_s)

    def next_probe_s(self, now_s: float) -> float | None:
        """Return the seconds until a probe may go, 0 while one is out; None while closed."""
        breaker = self._breaker
        return None if breaker.is_closed else max(0.0, breaker.probe_at_s - now_s)

    def admit(self, tokens: int, now_s: float) -> Permit | Refusal:
        """Return a permit, having taken what it needs, or why there is none."""
        breaker = self._breaker
        is_probe = not breaker.is_closed
        if is_probe and not breaker.may_probe(now_s):
            return self._pause(now_s)
        if self.in_flight >= self._limit.limit:
            return Refusal(WaitReason.SLOT, None)
        rpm, tpm = self._rpm, self._tpm
        if rpm is not None and (wait_s := rpm.wait_s(1, now_s=now_s)):
            return Refusal(WaitReason.RPM, now_s + wait_s)
        if tpm is not None and (wait_s := tpm.wait_s(tokens, now_s=now_s)):
            return Refusal(WaitReason.TPM, now_s + wait_s)
        if rpm is not None:
            rpm.take(1)
        if tpm is not None:
            tpm.take(tokens)
        if is_probe:
            breaker.begin_probe()
        self.in_flight += 1
        return Permit(tokens, self._limit.epoch, breaker.epoch, is_probe)

    def answered(
        self, permit: Permit, signal: Signal, now_s: float, *, retry_after_s: float | None = None
    ) -> None:
        """Take a permit back, and learn from the answer."""
        limit, breaker = self._limit, self._breaker
        if not permit.is_probe:
            limit.note(signal, epoch=permit.limit_epoch, in_flight=self.in_flight)
        self.in_flight -= 1
        if signal is not Signal.FAILED:
            self._has_answered = True
        if permit.breaker_epoch != breaker.epoch:
            return  # sent before it opened or closed
        was_closed = breaker.is_closed
        breaker.note(signal, block=limit.limit, now_s=now_s, retry_after_s=retry_after_s)
        if was_closed and not breaker.is_closed:
            limit.collapse()

    def unanswered(self, permit: Permit) -> None:
        """Take a permit back after a request that was left before it was answered."""
        self.in_flight -= 1
        if permit.is_probe and permit.breaker_epoch == self._breaker.epoch:
            self._breaker.drop_probe()

    def unused(self, permit: Permit) -> None:
        """Take a permit back with which nothing was sent."""
        if self._rpm is not None:
            self._rpm.give_back(1)
        self.refund(permit.tokens)
        self.unanswered(permit)

    def refund(self, tokens: int) -> None:
        """Return tokens reserved and not used; a negative number was used beyond that."""
        if self._tpm is not None:
            self._tpm.give_back(tokens)

    def _pause(self, now_s: float) -> Refusal:
        breaker = self._breaker
        patience_s = self._patience_s
        if not self._has_answered:
            patience_s = min(patience_s, FIRST_PATIENCE_S)
        patience_ends_s = breaker.down_since_s + patience_s
        if now_s >= patience_ends_s:
            return Refusal(WaitReason.BREAKER, None, is_final=True)
        # While a probe is out its answer comes first, or the patience ends.
        probe_at_s = breaker.probe_at_s if breaker.probe_at_s > now_s else patience_ends_s
        return Refusal(WaitReason.BREAKER, min(patience_ends_s, probe_at_s))
