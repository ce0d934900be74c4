"""A bounded pool of workers that pull jobs page by page, as fast as they finish them."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Job = TypeVar("Job")


@dataclass(frozen=True, slots=True)
class FirstWave:
    """A few workers go first, so that a refusal of everything costs a few requests, not hundreds.

    The rest follow after `answered` is set or `patience_s` has passed, whichever is sooner, and
    at once when the jobs run out or are stopped.
    """

    size: int
    answered: asyncio.Event
    patience_s: float


async def run_workers(
    pages: AsyncIterator[Sequence[Job]],
    work: Callable[[Job], Awaitable[None]],
    *,
    concurrency: int,
    stop: asyncio.Event,
    first_wave: FirstWave | None = None,
) -> None:
    """Apply `work` to every job, at most `concurrency` at a time.

    The next page is fetched while the last one is worked on, and no further ahead, so memory does
    not grow with the input. Once `stop` is set no job is begun and those begun are finished. The
    first exception cancels the other workers and is raised in an ExceptionGroup; `work` must
    store its own result, so whatever finished before is not lost.
    """
    feed = _Feed(pages, low_water=concurrency)
    opened = asyncio.Event()

    async def worker(index: int) -> None:
        if first_wave is not None and index >= first_wave.size:
            await opened.wait()
        while not stop.is_set():
            job = await feed.next()
            if job is None or stop.is_set():
                break
            await work(job)
        opened.set()  # nothing is left to begin: no one need wait any longer

    async with asyncio.TaskGroup() as around:
        filling = around.create_task(feed.fill())
        opening = around.create_task(_open(opened, first_wave))
        async with asyncio.TaskGroup() as workers:
            for index in range(concurrency):
                workers.create_task(worker(index))
        filling.cancel()
        opening.cancel()


async def _open(opened: asyncio.Event, first_wave: FirstWave | None) -> None:
    if first_wave is not None:
        try:
            async with asyncio.timeout(first_wave.patience_s):
                await first_wave.answered.wait()
        except TimeoutError:
            pass
    opened.set()


class _Feed(Generic[Job]):
    """Jobs between one filler and many workers, at most about one page more than needed."""

    def __init__(self, pages: AsyncIterator[Sequence[Job]], *, low_water: int) -> None:
        self._pages = pages
        self._low_water = low_water
        self._jobs: deque[Job] = deque()
        self._has_ended = False
        self._filled = asyncio.Event()
        self._hungry = asyncio.Event()

    async def fill(self) -> None:
        try:
            async for page in self._pages:
                self._jobs.extend(page)
                self._filled.set()
                if len(self._jobs) >= self._low_water:
                    self._hungry.clear()
                    await self._hungry.wait()
        finally:
            self._has_ended = True
            self._filled.set()

    async def next(self) -> Job | None:
        while not self._jobs:
            if self._has_ended:
                return None
            self._hungry.set()
            self._filled.clear()
            await self._filled.wait()
        job = self._jobs.popleft()
        if len(self._jobs) < self._low_water:
            self._hungry.set()
        return job
