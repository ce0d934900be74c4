"""Asking generators for every candidate that a run still lacks; the twin of `judge.job.asking`."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from judge.candidates.generation import (
    GenerationAsk,
    ResolvedGenerator,
    asks_of,
    generate_once,
    slots_of,
)
from judge.errors import BudgetExceeded, ConfigError
from judge.job.desk import EndpointDesk, EndpointPool, PageReader, Stop, in_passes, is_unsent
from judge.job.judging import Deferred
from judge.job.progress import Progress
from judge.ledger.candidates import INSERT_GENERATION, generation_page, generation_row
from judge.ledger.store import Ledger
from judge.ledger.writer import LedgerWriter

MIN_PAGE = 128


@dataclass(frozen=True, slots=True)
class GeneratorPool:
    """An endpoint and the generators that are asked there."""

    endpoint: EndpointPool
    generators: tuple[ResolvedGenerator, ...]


async def ask_for_candidates(
    ledger: Ledger,
    reader: Ledger,
    run_id: str,
    pools: Sequence[GeneratorPool],
    *,
    progress: Progress,
    stop: Stop,
) -> None:
    """Ask for what the run lacks and commit every reply; returns when nothing more can be had."""
    async with LedgerWriter(ledger) as writer:
        work = _Work(run_id, reader, PageReader(), writer, progress, stop)
        desks = [_GeneratorDesk(pool, work) for pool in pools]
        await in_passes(
            lambda is_first: [desk.work_through(is_first=is_first) for desk in desks],
            progress,
            stop,
        )


@dataclass(frozen=True, slots=True)
class _Work:
    """What all desks of a job share."""

    run_id: str
    reader: Ledger
    pages: PageReader
    writer: LedgerWriter
    progress: Progress
    stop: Stop


class _GeneratorDesk:
    """Asks the generators of one endpoint and stores what they answer."""

    def __init__(self, pool: GeneratorPool, work: _Work) -> None:
        self._generators = pool.generators
        self._work = work
        self._desk = EndpointDesk(pool.endpoint, work.progress, work.stop, seed=work.run_id)

    async def work_through(self, *, is_first: bool) -> None:
        """Ask for everything that this endpoint's generators have not answered yet."""
        await self._desk.work_through(self._ask_pages(), self._ask, is_first=is_first)

    async def _ask_pages(self) -> AsyncIterator[list[GenerationAsk]]:
        work = self._work
        read = partial(
            generation_page,
            work.reader,
            work.run_id,
            slots_of(self._generators),
            page_size=max(MIN_PAGE, self._desk.pool.max_in_flight),
        )
        after = -1
        while page := await work.pages.read(partial(read, after=after)):
            after = page[-1].position
            yield [
                ask
                for item in page
                for ask in asks_of(item.prompt_key, item.messages, self._generators, item.missing)
            ]

    async def _ask(self, ask: GenerationAsk) -> None:
        work = self._work
        with work.progress.asking():
            try:
                result = await generate_once(
                    ask, self._desk.pool.chat, self._desk.retries, now=_now()
                )
            except (BudgetExceeded, ConfigError) as error:
                work.stop.request(error)  # nothing was sent: the ask stays pending
                return
            if isinstance(result, Deferred):
                if is_unsent(result.failure):
                    return
                self._desk.note_failure(result.failure)
                await self._defer(ask, result)
                return
            self._desk.note_answer()
            await work.writer.write(INSERT_GENERATION, generation_row(result, run_id=work.run_id))
        work.progress.note_generation(result)

    async def _defer(self, ask: GenerationAsk, deferred: Deferred) -> None:
        self._work.progress.deferred[deferred.reason] += 1
        self._work.progress.last_problem = deferred.reason
        await self._work.writer.defer(
            run_id=self._work.run_id,
            content_id=ask.prompt_key,
            judge_key=ask.slot.generator_key,
            order=f"sample {ask.slot.sample}",
            reason=deferred.reason,
            attempts=deferred.attempts,
            created_at=_now(),
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
