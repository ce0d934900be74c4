"""When a request is sent again, and when it is given up for now.

Retries happen inside the worker that holds the slot. tenacity decides when; one budget, shared by
all workers of an endpoint, decides whether: jitter spreads retries, only a budget bounds them.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from judge.chat import Reply
from judge.errors import ThrottledError, TransientError

MAX_ATTEMPTS = 6
MAX_ELAPSED_S = 900.0
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 16.0
JITTER_SHARE = 0.25
"""Retry-After is a floor: up to this share is added, so that workers do not wake together."""


@dataclass
class RetryBudget:
    """Permission to retry: a fixed reserve plus a share of all first sends.

    Bounds the extra load on an endpoint in trouble (Google SRE, "Handling overload": about 10 %).
    """

    share: float = 0.1
    reserve: float = 20.0
    _granted: int = field(default=0, init=False)
    _first_sends: int = field(default=0, init=False)

    def note_first_send(self) -> None:
        self._first_sends += 1

    def grant(self) -> bool:
        """Return whether one more retry may be sent, and count it if so."""
        if self._granted + 1 > self.reserve + self.share * self._first_sends:
            return False
        self._granted += 1
        return True


@dataclass(frozen=True, slots=True)
class Delivery:
    """How sending one request ended: a reply, or the last failure of those that were allowed."""

    reply: Reply | None
    failure: TransientError | None
    attempts: int


class RetryPolicy:
    """The retry rules of one endpoint.

    `on_wait(error, wait_s)` is called before each wait, so that no wait is silent; `stop` ends
    waits early and forbids further attempts.
    """

    def __init__(
        self,
        *,
        budget: RetryBudget,
        stop: asyncio.Event,
        on_wait: Callable[[TransientError, float], None],
        rng: random.Random,
    ) -> None:
        self._budget = budget
        self._stop = stop
        self._on_wait = on_wait
        self._rng = rng

    async def deliver(self, send: Callable[[], Awaitable[Reply]]) -> Delivery:
        """Send until there is a reply, a limit is reached or the job stops.

        Errors other than TransientError pass through.
        """
        self._budget.note_first_send()
        try:
            return Delivery(await send(), None, 1)
        except TransientError as error:
            return await self._send_again(send, error)

    async def _send_again(
        self, send: Callable[[], Awaitable[Reply]], first: TransientError
    ) -> Delivery:
        attempts = 0
        last = first

        async def attempt() -> Reply:
            nonlocal attempts, last
            if attempts == 0 or self._stop.is_set():
                attempts = max(attempts, 1)
                raise last  # the first failure, or the one to end with when the job stops
            attempts += 1
            try:
                return await send()
            except TransientError as error:
                last = error
                raise

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(TransientError),
            stop=_GiveUp(self._budget, self._stop),
            wait=self._wait_s,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return Delivery(await retrying(attempt), None, attempts)
        except TransientError as error:
            return Delivery(None, error, attempts)

    def _wait_s(self, state: RetryCallState) -> float:
        error = _failure(state)
        asked = error.retry_after_s if isinstance(error, ThrottledError) else None
        if asked is not None:
            wait_s = asked + self._rng.uniform(0.0, JITTER_SHARE * max(asked, 1.0))
        else:
            ceiling = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (state.attempt_number - 1))
            wait_s = self._rng.uniform(0.0, ceiling)
        self._on_wait(error, wait_s)
        return wait_s

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return


class _GiveUp:
    """tenacity's `stop`: too many failures, too much time, no budget, or the job stops."""

    def __init__(self, budget: RetryBudget, stop: asyncio.Event) -> None:
        self._budget = budget
        self._stop = stop
        self._failures = 0

    def __call__(self, state: RetryCallState) -> bool:
        if self._stop.is_set():
            return True
        elapsed = state.seconds_since_start or 0.0
        error = _failure(state)
        if isinstance(error, ThrottledError):
            # Waiting as told is not a failed attempt; only the time is bounded.
            return elapsed + (error.retry_after_s or 0.0) > MAX_ELAPSED_S
        self._failures += 1
        if self._failures >= MAX_ATTEMPTS or elapsed > MAX_ELAPSED_S:
            return True
        return not self._budget.grant()


def _failure(state: RetryCallState) -> TransientError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, TransientError)  # the only class that is retried
    return error
