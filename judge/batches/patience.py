"""Sending a request to a batch server again, when that may help. The only layer that does."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from judge.errors import ThrottledError, TransientError, UnreachableError

ATTEMPTS = 5
LONGEST_WAIT_S = 16.0
LONGEST_ASKED_S = 60.0
"""A server that asks for more patience is left alone: the same command goes on later."""

T = TypeVar("T")

_jittered = wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT_S)


async def patiently(send: Callable[[], Awaitable[T]]) -> T:
    """Return what `send` returns, sending a few times while it raises TransientError.

    Raises the last one. An address where nothing answers is tried once: somebody has to see to it.
    """

    async def attempt() -> T:
        return await send()

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(TransientError),
        stop=lambda state: stop_after_attempt(ATTEMPTS)(state) or _is_hopeless(state),
        wait=_wait_s,
        reraise=True,
    )
    return await retrying(attempt)


def _is_hopeless(state: RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, ThrottledError):
        return (error.retry_after_s or 0.0) > LONGEST_ASKED_S
    return isinstance(error, UnreachableError)


def _wait_s(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after_s if isinstance(error, ThrottledError) else None
    return (asked or 0.0) + _jittered(state)
