"""Asking everything that a run still lacks: pages of asks and passes over them.

A pass works through what is missing. Asks that an endpoint could not answer stay pending and are
asked again in the next pass, as long as passes get somewhere.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from judge.desk import EndpointDesk, EndpointPool, Stop, at_once
from judge.errors import BudgetExceeded
from judge.judging import Ask, Deferred, ResolvedJudge, judge_once, shown_of
from judge.ledger.runs import Run
from judge.ledger.store import Ledger
from judge.ledger.work import WorkItem, work_page
from judge.ledger.writer import LedgerWriter
from judge.policy import BOTH_ORDERS, missing_questions, single_order
from judge.progress import Progress
from judge.records import Status

MIN_PAGE = 128


@dataclass(frozen=True, slots=True)
class JudgePool:
    """An endpoint and the judges that are asked there."""

    endpoint: EndpointPool
    judges: tuple[ResolvedJudge, ...]


async def ask_missing(
    ledger: Ledger,
    reader: Ledger,
    run: Run,
    pools: Sequence[JudgePool],
    *,
    progress: Progress,
    stop: Stop,
    retry: frozenset[Status] = frozenset(),
) -> None:
    """Ask what the run lacks and commit every judgment; returns when nothing more can be had.

    `reader` is a second connection to the same ledger. Statuses in `retry` are asked once more.
    Raises LedgerError when a commit fails: what was committed before it is kept.
    """
    async with LedgerWriter(ledger) as writer:
        pages = _PageReader(reader, run)
        desks = [_JudgeDesk(pool, pages, writer, progress, stop) for pool in pools]
        is_first = True
        while True:
            before = progress.judged
            progress.deferred.clear()
            await at_once([desk.work_through(retry, is_first=is_first) for desk in desks])
            if stop.event.is_set() or not progress.deferred or progress.judged == before or retry:
                return
            is_first = False


class _JudgeDesk:
    """Asks the judges of one endpoint and stores what they say."""

    def __init__(
        self,
        pool: JudgePool,
        pages: "_PageReader",
        writer: LedgerWriter,
        progress: Progress,
        stop: Stop,
    ) -> None:
        self._judges = {judge.judge_key: judge for judge in pool.judges}
        self._desk = EndpointDesk(pool.endpoint, progress, stop, seed=pages.run.run_id)
        self._pages = pages
        self._writer = writer
        self._progress = progress
        self._stop = stop

    async def work_through(self, retry: frozenset[Status], *, is_first: bool) -> None:
        """Ask everything that this endpoint's judges have not answered yet."""
        pages = self._ask_pages(retry, note_stored=is_first)
        await self._desk.work_through(pages, self._ask, is_first=is_first)

    async def _ask_pages(
        self, retry: frozenset[Status], *, note_stored: bool
    ) -> AsyncIterator[list[Ask]]:
        one_order = self._pages.run.one_order
        page_size = max(MIN_PAGE, self._desk.pool.max_in_flight)
        after = -1
        while page := await self._pages.read(list(self._judges), after=after, page_size=page_size):
            after = page[-1].position
            if note_stored:
                for item in page:
                    for reading in item.answered:
                        self._progress.note_answered(item.content.content_id, reading)
            yield [ask for item in page for ask in _asks(item, self._judges, retry, one_order)]

    async def _ask(self, ask: Ask) -> None:
        with self._progress.asking():
            try:
                result = await judge_once(ask, self._desk.pool.chat, self._desk.retries, now=_now())
            except BudgetExceeded as error:
                self._stop.request(error)  # nothing was sent: the ask stays pending
                return
            if isinstance(result, Deferred):
                self._desk.note_failure(result.failure)
                await self._defer(ask, result)
                return
            self._desk.note_answer()
            await self._writer.append(result, run_id=self._pages.run.run_id)
        self._progress.note_judgment(result, is_new_ask=ask.sample == 0)

    async def _defer(self, ask: Ask, deferred: Deferred) -> None:
        self._progress.deferred[deferred.reason] += 1
        self._progress.last_problem = deferred.reason
        await self._writer.defer(
            run_id=self._pages.run.run_id,
            content_id=ask.content_id,
            judge_key=ask.judge.judge_key,
            order=ask.order.value,
            reason=deferred.reason,
            attempts=deferred.attempts,
            created_at=_now(),
        )


class _PageReader:
    """Reads pages of work in a thread, one at a time: a connection serves one thread at once."""

    def __init__(self, ledger: Ledger, run: Run) -> None:
        self._ledger = ledger
        self.run = run
        self._turn = asyncio.Lock()

    async def read(
        self, judge_keys: Sequence[str], *, after: int, page_size: int
    ) -> list[WorkItem]:
        read = partial(
            work_page,
            self._ledger,
            self.run.run_id,
            judge_keys,
            after=after,
            page_size=page_size,
            one_order=self.run.one_order,
        )
        async with self._turn:
            reading = asyncio.get_running_loop().run_in_executor(None, read)
            try:
                return await asyncio.shield(reading)
            except asyncio.CancelledError:
                await asyncio.wait([reading])  # the thread reads on, and the connection is its own
                raise


def _asks(
    item: WorkItem,
    judges: Mapping[str, ResolvedJudge],
    retry: frozenset[Status],
    one_order: bool,
) -> list[Ask]:
    content = item.content
    orders = (single_order(content.content_id),) if one_order else BOTH_ORDERS
    questions = missing_questions(item.answered, judges, orders=orders, retry=retry)
    if not questions:
        return []
    shown = shown_of(
        content.prompt_json, content.reference, content.first_json, content.second_json
    )
    return [
        Ask(content.content_id, shown, judges[q.judge_key], q.order, q.sample) for q in questions
    ]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
