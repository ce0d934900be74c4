"""One gate per endpoint: who may send now, and who waits for what.

The waiting are served in the order they came. One event loop, so no locks.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from judge.chat import ChatModel, ChatRequest, Reply
from judge.errors import (
    BudgetExceeded,
    ConfigError,
    EndpointError,
    ThrottledError,
    TransientError,
)
from judge.prices.pricing import prompt_tokens, usage_of
from judge.throttling.admission import Admission, Limits, Permit, Refusal, WaitReason
from judge.throttling.breaker import BreakerState
from judge.throttling.health import Signal, signal_of

OUTAGE = "outage"
"""Kind of the TransientError for an endpoint that was down for longer than the patience."""
STOPPED = "stopped"
"""Kind of the TransientError for what was not sent because the job is ending: no failure."""


@dataclass(frozen=True, slots=True)
class ThrottleView:
    """A throttle at one moment, for the progress line."""

    limit: int
    """Requests that may be in flight now."""
    max_in_flight: int
    """The upper bound of `limit`."""
    in_flight: int
    waiting: int
    waiting_for: WaitReason | None
    """What the first in line waits for, and so all behind it; None while nobody waits."""
    breaker: BreakerState
    next_probe_s: float | None
    """Seconds until the breaker lets a probe out, 0 while one is out; None while it is closed."""
    last_failure: str
    """What the endpoint did last that was no answer, in words."""


class Throttle:
    """The gate of one endpoint. Made inside a running event loop; `name` is for messages."""

    def __init__(self, name: str, limits: Limits, *, rng: random.Random) -> None:
        self._name = name
        self._tpm = limits.tpm
        self._max_in_flight = limits.max_in_flight
        self._loop = asyncio.get_running_loop()
        self._admission = Admission(limits, now_s=self._loop.time(), rng=rng)
        self._line: deque[tuple[asyncio.Future[Permit], int]] = deque()
        self._waiting = 0
        self._waiting_for = WaitReason.SLOT
        self._alarm: asyncio.TimerHandle | None = None
        self._last_failure = "it refuses"
        self._is_shut = False

    def view(self) -> ThrottleView:
        """Return the state of now. Changes nothing, so any thread may ask."""
        now_s = self._loop.time()
        return ThrottleView(
            limit=self._admission.limit,
            max_in_flight=self._max_in_flight,
            in_flight=self._admission.in_flight,
            waiting=self._waiting,
            waiting_for=self._waiting_for if self._waiting else None,
            breaker=self._admission.breaker_state(now_s),
            next_probe_s=self._admission.next_probe_s(now_s),
            last_failure=self._last_failure,
        )

    def tokens_for(self, request: ChatRequest) -> int:
        """Return the tokens to reserve: the prompt's, estimated, and all that the reply may have.

        0 where tokens per minute are not limited. Raises ConfigError for a request that no minute
        has room for.
        """
        if self._tpm is None:
            return 0
        prompt = prompt_tokens(request)
        tokens = prompt + request.max_tokens
        if tokens > self._tpm:
            raise ConfigError(
                f'endpoint "{self._name}": one request needs about {tokens:,} tokens (prompt about '
                f"{prompt:,}, max_tokens {request.max_tokens:,}), but tpm allows {self._tpm:,} a "
                "minute; raise tpm of the endpoint, or lower max_tokens"
            )
        return tokens

    def try_enter(self, tokens: int) -> Permit | None:
        """Return a permit if one is to be had at once and nobody waits for it, else None."""
        if self._line or self._is_shut:
            return None
        permit = self._admission.admit(tokens, self._loop.time())
        return permit if isinstance(permit, Permit) else None

    async def enter(self, tokens: int) -> Permit:
        """Return a permit once it is this caller's turn.

        Raises TransientError, with nothing sent, when the throttle is shut and when the endpoint
        has been down for longer than the patience.
        """
        if self._is_shut:
            raise self._shut_error()
        future: asyncio.Future[Permit] = self._loop.create_future()
        self._line.append((future, tokens))
        self._waiting += 1
        try:
            self._serve_line()
            return await future
        except asyncio.CancelledError:
            if future.cancelled():
                self._serve_line()  # it may have been the first in line
            elif future.exception() is None:
                self.unused(future.result())  # admitted in the moment of the cancellation
            raise
        finally:
            self._waiting -= 1

    def replied(self, permit: Permit, request: ChatRequest, reply: Reply) -> None:
        """Take back the permit of a request that was replied to."""
        if permit.tokens:
            self._admission.refund(permit.tokens - usage_of(request, reply).total_tokens)
        self._admission.answered(permit, Signal.OK, self._loop.time())
        self._next_in_line()

    def failed(self, permit: Permit, error: EndpointError) -> None:
        """Take back the permit of a request that the endpoint failed or refused.

        Nothing is refunded: providers count failed requests towards the limits too.
        """
        asked_s = error.retry_after_s if isinstance(error, ThrottledError) else None
        signal = signal_of(error)
        if signal is not Signal.OK:
            self._last_failure = str(error)
        self._admission.answered(permit, signal, self._loop.time(), retry_after_s=asked_s)
        self._next_in_line()

    def unanswered(self, permit: Permit) -> None:
        """Take back the permit of a request that was left before it was answered."""
        self._admission.unanswered(permit)
        self._next_in_line()

    def unused(self, permit: Permit) -> None:
        """Take back a permit with which nothing was sent."""
        self._admission.unused(permit)
        self._next_in_line()

    def shut(self) -> None:
        """Let nobody in any more: those who wait get a TransientError, what is in flight ends."""
        self._is_shut = True
        self._turn_away(self._shut_error)

    async def shut_when(self, stop: asyncio.Event) -> None:
        """Shut once `stop` is set. Run it beside the workers, and cancel it after them."""
        await stop.wait()
        self.shut()

    def _next_in_line(self) -> None:
        if self._line:
            self._serve_line()

    def _serve_line(self) -> None:
        """Admit from the front as far as it goes; an alarm wakes the rest when time alone helps."""
        self._set_alarm(None)
        line, now_s = self._line, self._loop.time()
        while line:
            future, tokens = line[0]
            if not future.done():
                answer = self._admission.admit(tokens, now_s)
                if isinstance(answer, Refusal):
                    self._wait_on(answer)
                    return
                future.set_result(answer)
            line.popleft()

    def _wait_on(self, refusal: Refusal) -> None:
        self._waiting_for = refusal.reason
        if refusal.is_final:
            self._turn_away(self._outage_error)
        else:
            self._set_alarm(refusal.until_s)

    def _set_alarm(self, at_s: float | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = None if at_s is None else self._loop.call_at(at_s, self._serve_line)

    def _turn_away(self, error: Callable[[], TransientError]) -> None:
        self._set_alarm(None)
        for future, _ in self._line:
            if not future.done():
                future.set_exception(error())
        self._line.clear()

    def _shut_error(self) -> TransientError:
        return TransientError(f"{self._name}: not sent, for the job is ending", kind=STOPPED)

    def _outage_error(self) -> TransientError:
        return TransientError(
            f"{self._name}: down for too long, the last failure was: {self._last_failure}",
            kind=OUTAGE,
        )


class ThrottledChat:
    """A ChatModel that sends through a throttle."""

    def __init__(self, inner: ChatModel, throttle: Throttle) -> None:
        self._inner = inner
        self._throttle = throttle

    async def complete(self, request: ChatRequest) -> Reply:
        """Return the inner model's reply, asked once it is this request's turn.

        Raises as `ChatModel.complete` does; TransientError also when nothing could be sent, and
        ConfigError when the limits can never allow the request.
        """
        throttle = self._throttle
        tokens = throttle.tokens_for(request)
        permit = throttle.try_enter(tokens)
        if permit is None:
            permit = await throttle.enter(tokens)
        try:
            reply = await self._inner.complete(request)
        except EndpointError as error:
            throttle.failed(permit, error)
            raise
        except (BudgetExceeded, ConfigError):
            throttle.unused(permit)
            raise
        except BaseException:
            throttle.unanswered(permit)
            raise
        throttle.replied(permit, request, reply)
        return reply
