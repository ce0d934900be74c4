"""The bounded pool: how many at once, how far ahead, how it stops and how it fails."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.errors import LedgerError
from judge.job.workers import FirstWave, run_workers
from tests.fakes import in_virtual_time


class Source:
    """Pages of numbers, counting how far it has been read."""

    def __init__(self, pages: Sequence[Sequence[int]], *, delay_s: float = 0.0) -> None:
        self._pages = pages
        self._delay_s = delay_s
        self.read = 0
        """Jobs handed out."""

    async def __aiter__(self) -> AsyncIterator[Sequence[int]]:
        for page in self._pages:
            await asyncio.sleep(self._delay_s)
            self.read += len(page)
            yield page


def paged(count: int, page_size: int) -> list[list[int]]:
    return [
        list(range(start, min(start + page_size, count))) for start in range(0, count, page_size)
    ]


@given(
    st.lists(st.lists(st.integers(), max_size=7), max_size=12),
    st.integers(1, 9),
    st.integers(0, 3),
    st.integers(0, 3),
    st.one_of(st.none(), st.integers(1, 12)),
)
@settings(max_examples=150, deadline=None)
def test_every_job_reaches_one_worker_and_never_too_many_at_once(
    pages: list[list[int]], concurrency: int, page_delay: int, work_delay: int, wave: int | None
) -> None:
    worked: list[int] = []
    in_flight = peak = 0

    async def work(job: int) -> None:
        nonlocal in_flight, peak
        in_flight += 1
        peak = max(peak, in_flight)
        await asyncio.sleep(work_delay * (1 + job % 3))
        worked.append(job)
        in_flight -= 1

    @in_virtual_time
    async def scenario() -> None:
        first = FirstWave(wave, asyncio.Event(), patience_s=5.0) if wave else None
        source = aiter(Source(pages, delay_s=page_delay))
        stop = asyncio.Event()
        await run_workers(source, work, concurrency=concurrency, stop=stop, first_wave=first)

    scenario()
    assert Counter(worked) == Counter(job for page in pages for job in page)
    assert peak <= concurrency


@in_virtual_time
async def test_all_slots_are_used_when_there_is_work() -> None:
    in_flight = peak = 0

    async def work(job: int) -> None:
        nonlocal in_flight, peak
        in_flight += 1
        peak = max(peak, in_flight)
        await asyncio.sleep(1.0)
        in_flight -= 1

    clock = asyncio.get_running_loop()
    started = clock.time()
    source = aiter(Source(paged(100, 7)))
    await run_workers(source, work, concurrency=10, stop=asyncio.Event())
    assert (peak, clock.time() - started) == (10, pytest.approx(10.0))


@pytest.mark.parametrize(("page_size", "concurrency"), [(10, 4), (50, 50), (3, 8), (64, 1)])
@in_virtual_time
async def test_pages_are_read_only_as_fast_as_jobs_are_finished(
    page_size: int, concurrency: int
) -> None:
    source = Source(paged(1000, page_size))
    finished = furthest = 0

    async def work(job: int) -> None:
        nonlocal finished, furthest
        await asyncio.sleep(0.01)
        finished += 1
        furthest = max(furthest, source.read - finished)

    await run_workers(aiter(source), work, concurrency=concurrency, stop=asyncio.Event())
    assert finished == 1000
    assert furthest <= page_size + 2 * concurrency


@in_virtual_time
async def test_the_next_page_is_read_while_the_last_one_is_worked_on() -> None:
    async def work(job: int) -> None:
        await asyncio.sleep(1.0)

    clock = asyncio.get_running_loop()
    started = clock.time()
    source = aiter(Source(paged(80, 8), delay_s=0.5))
    await run_workers(source, work, concurrency=4, stop=asyncio.Event())
    assert clock.time() - started == pytest.approx(20.5)


@in_virtual_time
async def test_stop_finishes_what_is_begun_and_begins_nothing() -> None:
    stop = asyncio.Event()
    begun: list[int] = []
    finished: list[int] = []

    async def work(job: int) -> None:
        begun.append(job)
        await asyncio.sleep(1.0)
        finished.append(job)

    async def stop_soon() -> None:
        await asyncio.sleep(2.5)
        stop.set()

    stopping = asyncio.ensure_future(stop_soon())
    await run_workers(aiter(Source(paged(100, 10))), work, concurrency=5, stop=stop)
    await stopping
    assert (sorted(begun), sorted(finished)) == (list(range(15)), list(range(15)))


@in_virtual_time
async def test_a_stop_given_beforehand_begins_nothing() -> None:
    stop = asyncio.Event()
    stop.set()

    async def work(job: int) -> None:
        raise AssertionError("begun")

    await run_workers(aiter(Source(paged(9, 3))), work, concurrency=3, stop=stop)


@in_virtual_time
async def test_an_exception_cancels_the_others_and_surfaces() -> None:
    cancelled: list[int] = []

    async def work(job: int) -> None:
        try:
            await asyncio.sleep(1.0 if job == 2 else 9.0)
        except asyncio.CancelledError:
            cancelled.append(job)
            raise
        raise LedgerError("disk full")

    with pytest.raises(ExceptionGroup) as caught:
        await run_workers(aiter(Source(paged(50, 5))), work, concurrency=4, stop=asyncio.Event())
    matched, others = caught.value.split(LedgerError)
    assert matched is not None
    assert others is None
    assert sorted(cancelled) == [0, 1, 3]


@in_virtual_time
async def test_an_exception_of_the_source_surfaces() -> None:
    async def broken() -> AsyncIterator[list[int]]:
        yield [1, 2]
        raise LedgerError("cannot read")

    async def work(job: int) -> None:
        await asyncio.sleep(1.0)

    with pytest.raises(ExceptionGroup) as caught:
        await run_workers(broken(), work, concurrency=2, stop=asyncio.Event())
    assert caught.value.subgroup(LedgerError) is not None


@pytest.mark.parametrize("pages", [[], [[]], [[], [], []]])
@in_virtual_time
async def test_an_empty_source_ends_at_once(pages: list[list[int]]) -> None:
    async def work(job: int) -> None:
        raise AssertionError("begun")

    clock = asyncio.get_running_loop()
    started = clock.time()
    wave = FirstWave(2, asyncio.Event(), patience_s=60.0)
    source = aiter(Source(pages))
    await run_workers(source, work, concurrency=5, stop=asyncio.Event(), first_wave=wave)
    assert clock.time() == started


@in_virtual_time
async def test_the_first_wave_goes_alone_until_something_is_answered() -> None:
    answered = asyncio.Event()
    begun: list[float] = []
    clock = asyncio.get_running_loop()
    started = clock.time()

    async def work(job: int) -> None:
        begun.append(clock.time() - started)
        await asyncio.sleep(2.0)
        answered.set()

    wave = FirstWave(3, answered, patience_s=60.0)
    source = aiter(Source(paged(40, 40)))
    await run_workers(source, work, concurrency=10, stop=asyncio.Event(), first_wave=wave)
    assert begun[:3] == [0.0] * 3
    assert begun[3:13] == [2.0] * 10
    assert len(begun) == 40


@in_virtual_time
async def test_the_others_follow_the_first_wave_when_patience_ends() -> None:
    begun: list[float] = []
    clock = asyncio.get_running_loop()
    started = clock.time()

    async def work(job: int) -> None:
        begun.append(clock.time() - started)
        await asyncio.sleep(30.0)

    wave = FirstWave(3, asyncio.Event(), patience_s=5.0)
    source = aiter(Source(paged(10, 10)))
    await run_workers(source, work, concurrency=10, stop=asyncio.Event(), first_wave=wave)
    assert begun == [0.0] * 3 + [5.0] * 7


@in_virtual_time
async def test_a_stop_does_not_wait_for_the_patience_of_the_first_wave() -> None:
    stop = asyncio.Event()
    clock = asyncio.get_running_loop()
    started = clock.time()

    async def work(job: int) -> None:
        await asyncio.sleep(1.0)
        stop.set()

    wave = FirstWave(3, asyncio.Event(), patience_s=60.0)
    source = aiter(Source(paged(100, 10)))
    await run_workers(source, work, concurrency=10, stop=stop, first_wave=wave)
    assert clock.time() - started == pytest.approx(1.0)
