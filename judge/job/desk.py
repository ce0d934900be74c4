"""Working through jobs at one endpoint: its slots, its retries, and what its failures mean.

What the jobs are (judgments, candidates) is the business of whoever hands them in.
"""

import asyncio
import gc
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from judge.chat import ChatModel
from judge.errors import AccountError, EndpointError, EvenhandError, TransientError
from judge.job.progress import Progress
from judge.job.retry import RetryBudget, RetryPolicy
from judge.job.workers import FirstWave, run_workers
from judge.throttling.throttle import OUTAGE, STOPPED, Throttle

FIRST_WAVE = 7
"""With the question for the models and two more before the third refusal: 10 requests at most."""
PATIENCE_ROUND_TRIPS = 2
PATIENCE_FLOOR_S = 0.1
"""Refusals may take longer than the question for the models; a first reply takes longer still."""
ACCOUNT_ERRORS_IN_A_ROW = 3

GC_THRESHOLD = 50_000

Job = TypeVar("Job")
Page = TypeVar("Page")


class Stop:
    """Whether and why a job ends early. What is in flight is finished and stored."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.cause: EvenhandError | None = None

    def request(self, cause: EvenhandError | None = None) -> None:
        """End the job; the first cause given is the one that is reported."""
        self.cause = self.cause or cause
        self.event.set()


@dataclass(frozen=True, slots=True)
class EndpointPool:
    """One endpoint of a job: how to ask it, and how hard."""

    name: str
    chat: ChatModel
    """Sends through the throttle, and within the job's budget."""
    throttle: Throttle
    max_in_flight: int
    round_trip_s: float


class EndpointDesk:
    """Works through jobs at one endpoint, over one or more passes."""

    def __init__(self, pool: EndpointPool, progress: Progress, stop: Stop, *, seed: str) -> None:
        self.pool = pool
        self.retries = RetryPolicy(
            budget=RetryBudget(),
            stop=stop.event,
            on_wait=progress.note_wait,
            rng=random.Random(f"{seed} {pool.name}"),
        )
        self._stop = stop
        self._answered = asyncio.Event()
        self._refusals_in_a_row = 0

    async def work_through(
        self,
        pages: AsyncIterator[Sequence[Job]],
        work: Callable[[Job], Awaitable[None]],
        *,
        is_first: bool,
    ) -> None:
        """Apply `work` to every job of the pages, as many at a time as the endpoint may have."""
        patience_s = PATIENCE_FLOOR_S + PATIENCE_ROUND_TRIPS * self.pool.round_trip_s
        async with asyncio.TaskGroup() as group:
            shutting = group.create_task(self.pool.throttle.shut_when(self._stop.event))
            await run_workers(
                pages,
                work,
                concurrency=self.pool.max_in_flight,
                stop=self._stop.event,
                first_wave=FirstWave(FIRST_WAVE, self._answered, patience_s) if is_first else None,
            )
            shutting.cancel()

    def note_answer(self) -> None:
        """Note that the endpoint dealt with a job, whatever it made of it."""
        self._answered.set()
        self._refusals_in_a_row = 0

    def note_failure(self, failure: EndpointError) -> None:
        """Note a job that could not be done, and end the whole job where none can be.

        Refusals count before anything is stored: a commit takes time in which others would ask.
        """
        if isinstance(failure, AccountError):
            self._refusals_in_a_row += 1
            if failure.is_certain or self._refusals_in_a_row >= ACCOUNT_ERRORS_IN_A_ROW:
                self._stop.request(failure)
            return
        self._answered.set()
        if isinstance(failure, TransientError) and failure.kind == OUTAGE:
            self._stop.request(EndpointError(f"{failure}; run the same command again to resume"))


def is_unsent(failure: EndpointError) -> bool:
    """Return whether a request was merely held back by the end of the job: nothing failed."""
    return isinstance(failure, TransientError) and failure.kind == STOPPED


class PageReader:
    """Reads a ledger in a thread, one page at a time: a connection serves one thread at once."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def read(self, page: Callable[[], Page]) -> Page:
        """Return what `page` returns, called in a thread."""
        async with self._turn:
            reading = asyncio.get_running_loop().run_in_executor(None, page)
            try:
                return await asyncio.shield(reading)
            except asyncio.CancelledError:
                await asyncio.wait([reading])  # the thread reads on, and the connection is its own
                raise


@contextmanager
def calm_collector() -> Iterator[None]:
    """Collect garbage rarely while requests fly.

    Hundreds of requests in flight are live objects that every young collection would walk; this
    saves about a quarter of the CPU (tests/benchmarks/README.md).
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


async def in_passes(
    works: Callable[[bool], Sequence[Coroutine[Any, Any, None]]],
    progress: Progress,
    stop: Stop,
    *,
    is_once: bool = False,
    more: Callable[[], Awaitable[bool]] | None = None,
) -> None:
    """Work through what is missing, and again while that gets somewhere.

    What an endpoint could not answer in one pass is asked again in the next, unless `is_once`.
    `works` is told whether the pass is the first; `more` tells after a pass whether its answers
    raised new questions.
    """
    is_first = True
    while True:
        before = progress.judged
        progress.deferred.clear()
        await at_once(works(is_first))
        is_wanted = bool(progress.deferred) and not is_once
        if more is not None:
            is_wanted = await more() or is_wanted
        if stop.event.is_set() or not is_wanted or progress.judged == before:
            return
        is_first = False


async def at_once(works: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Await all at once; raises the first error itself, not a group of it."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except BaseExceptionGroup as failed:
        error = _first_error(failed)
        raise error from error.__cause__


def _first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error in a group of groups; a bug goes before an error of ours."""
    ours, bugs = group.split(EvenhandError)
    error: BaseException = bugs or ours or group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
