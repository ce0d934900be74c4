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
from judge.errors import EndpointError, ThrottledError, TransientError

MAX_ATTEMPTS = 6
MAX_ELAPSED_S = 900.0
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 16.0
MOST_DOUBLINGS = 10
JITTER_SHARE = 0.25
"""Retry-After is a floor: at least up to this share is added, so that workers wake apart."""


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
    """How sending one request ended. Exactly one of `reply` and `failure` is set."""

    reply: Reply | None
    failure: EndpointError | None
    """The last one: a TransientError once no more retries are allowed, any other at once."""
    attempts: int
    """Requests sent."""


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

        A TransientError is retried, any other EndpointError is final; the rest pass through.
        """
        self._budget.note_first_send()
        started_s = asyncio.get_running_loop().time()
        try:
            return Delivery(await send(), None, 1)
        except TransientError as error:
            return await self._send_again(send, error, started_s)
        except EndpointError as error:
            return Delivery(None, error, 1)

    async def _send_again(
        self, send: Callable[[], Awaitable[Reply]], first: TransientError, started_s: float
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
            stop=_GiveUp(self._budget, self._stop, started_s),
            wait=self._wait_s,
            # Not in `wait`: tenacity asks how long before it asks whether.
            before_sleep=lambda state: self._on_wait(_failure(state), state.upcoming_sleep),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return Delivery(await retrying(attempt), None, attempts)
        except EndpointError as error:
            return Delivery(None, error, attempts)

    def _wait_s(self, state: RetryCallState) -> float:
        error = _failure(state)
        # 429s do not count as attempts, so there may be thousands: the power must stay a number.
        doublings = min(state.attempt_number - 1, MOST_DOUBLINGS)
        ceiling = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**doublings)
        asked = error.retry_after_s if isinstance(error, ThrottledError) else None
        if asked is None:
            return self._rng.uniform(0.0, ceiling)
        # The ceiling too, so that an endpoint that says "0 seconds" each time is not hammered.
        return asked + self._rng.uniform(0.0, max(JITTER_SHARE * asked, ceiling))

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return


class _GiveUp:
    """tenacity's `stop`: too many failures, too much time, no budget, or the job stops."""

    def __init__(self, budget: RetryBudget, stop: asyncio.Event, started_s: float) -> None:
        self._budget = budget
        self._stop = stop
        self._started_s = started_s
        self._failures = 0

    def __call__(self, state: RetryCallState) -> bool:
        if self._stop.is_set():
            return True
        # The loop's clock, not tenacity's: it is the one that the waits run on.
        elapsed_s = asyncio.get_running_loop().time() - self._started_s
        if elapsed_s + state.upcoming_sleep > MAX_ELAPSED_S:
            return True
        if isinstance(_failure(state), ThrottledError):
            return False  # waiting as told is not a failed attempt; only the time is bounded
        self._failures += 1
        return self._failures >= MAX_ATTEMPTS or not self._budget.grant()


def _failure(state: RetryCallState) -> TransientError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, TransientError)  # the only class that is retried
    return error
