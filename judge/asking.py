"""Asking everything that a run still lacks: pages of asks, a pool per endpoint, passes.

A pass works through what is missing. Asks that an endpoint could not answer stay pending and are
asked again in the next pass, as long as passes get somewhere.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from judge.chat import ChatModel
from judge.errors import AccountError, EndpointError, EvenhandError
from judge.judging import Ask, Deferred, ResolvedJudge, judge_once, shown_of
from judge.ledger.store import Ledger
from judge.ledger.work import WorkItem, work_page
from judge.ledger.writer import LedgerWriter
from judge.policy import both_orders
from judge.progress import Progress
from judge.records import Status
from judge.retry import RetryBudget, RetryPolicy
from judge.workers import FirstWave, run_workers

FIRST_WAVE = 7
"""With the question for the models and two more before the third refusal: 10 requests at most."""
PATIENCE_ROUND_TRIPS = 2
PATIENCE_FLOOR_S = 0.1
"""Refusals may take longer than the question for the models; a first reply takes longer still."""
ACCOUNT_ERRORS_IN_A_ROW = 3
OUTAGE_DEFERRALS_IN_A_ROW = 20
MIN_PAGE = 128


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
    """One endpoint of a job: its model, its slots, and the judges that use it."""

    name: str
    chat: ChatModel
    max_in_flight: int
    judges: tuple[ResolvedJudge, ...]
    round_trip_s: float


async def ask_missing(
    ledger: Ledger,
    reader: Ledger,
    run_id: str,
    pools: Sequence[EndpointPool],
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
        pages = _PageReader(reader, run_id)
        desks = [EndpointDesk(pool, pages, writer, progress, stop) for pool in pools]
        is_first = True
        while True:
            before = progress.judged
            progress.deferred.clear()
            await _at_once([desk.work_through(retry, is_first=is_first) for desk in desks])
            if stop.event.is_set() or not progress.deferred or progress.judged == before or retry:
                return
            is_first = False


class EndpointDesk:
    """Asks one endpoint: its retries, and what its refusals mean for the job."""

    def __init__(
        self,
        pool: EndpointPool,
        pages: "_PageReader",
        writer: LedgerWriter,
        progress: Progress,
        stop: Stop,
    ) -> None:
        self._pool = pool
        self._pages = pages
        self._writer = writer
        self._progress = progress
        self._stop = stop
        self._answered = asyncio.Event()
        self._refusals_in_a_row = 0
        self._deferrals_in_a_row = 0
        self._retries = RetryPolicy(
            budget=RetryBudget(),
            stop=stop.event,
            on_wait=progress.note_wait,
            rng=random.Random(f"{pages.run_id} {pool.name}"),
        )

    async def work_through(self, retry: frozenset[Status], *, is_first: bool) -> None:
        """Ask everything that this endpoint's judges have not answered yet."""
        pages = self._ask_pages(retry, note_stored=is_first)
        patience_s = PATIENCE_FLOOR_S + PATIENCE_ROUND_TRIPS * self._pool.round_trip_s
        await run_workers(
            pages,
            self._ask,
            concurrency=self._pool.max_in_flight,
            stop=self._stop.event,
            first_wave=FirstWave(FIRST_WAVE, self._answered, patience_s) if is_first else None,
        )

    async def _ask_pages(
        self, retry: frozenset[Status], *, note_stored: bool
    ) -> AsyncIterator[list[Ask]]:
        judges = {judge.judge_key: judge for judge in self._pool.judges}
        page_size = max(MIN_PAGE, self._pool.max_in_flight)
        after = -1
        while page := await self._pages.read(list(judges), after=after, page_size=page_size):
            after = page[-1].position
            if note_stored:
                for item in page:
                    for reading in item.answered:
                        self._progress.note_answered(item.content.content_id, reading)
            yield [ask for item in page for ask in _asks(item, judges, retry)]

    async def _ask(self, ask: Ask) -> None:
        with self._progress.asking():
            result = await judge_once(ask, self._pool.chat, self._retries, now=_now())
            # What it means for the job comes first: a commit takes time in which others would ask.
            if isinstance(result, Deferred):
                if isinstance(result.failure, AccountError):
                    self._note_refusal(result.failure)
                else:
                    self._answered.set()
                    self._note_outage(result)
                await self._defer(ask, result)
                return
            self._answered.set()
            self._refusals_in_a_row = self._deferrals_in_a_row = 0
            await self._writer.append(result)
        self._progress.note_judgment(result, is_new_ask=ask.sample == 0)

    async def _defer(self, ask: Ask, deferred: Deferred) -> None:
        self._progress.deferred[deferred.reason] += 1
        self._progress.last_problem = deferred.reason
        await self._writer.defer(
            run_id=self._pages.run_id,
            content_id=ask.content_id,
            judge_key=ask.judge.judge_key,
            order=ask.order.value,
            reason=deferred.reason,
            attempts=deferred.attempts,
            created_at=_now(),
        )

    def _note_refusal(self, error: AccountError) -> None:
        self._refusals_in_a_row += 1
        if error.is_certain or self._refusals_in_a_row >= ACCOUNT_ERRORS_IN_A_ROW:
            self._stop.request(error)

    def _note_outage(self, deferred: Deferred) -> None:
        if self._stop.event.is_set():
            return
        self._deferrals_in_a_row += 1
        if self._deferrals_in_a_row >= OUTAGE_DEFERRALS_IN_A_ROW:
            self._stop.request(
                EndpointError(
                    f"endpoint {self._pool.name}: {self._deferrals_in_a_row} asks in a row failed, "
                    f"the last with: {deferred.reason}; run the same command again to resume"
                )
            )


class _PageReader:
    """Reads pages of work in a thread, one at a time: a connection serves one thread at once."""

    def __init__(self, ledger: Ledger, run_id: str) -> None:
        self._ledger = ledger
        self.run_id = run_id
        self._turn = asyncio.Lock()

    async def read(
        self, judge_keys: Sequence[str], *, after: int, page_size: int
    ) -> list[WorkItem]:
        read = partial(
            work_page, self._ledger, self.run_id, judge_keys, after=after, page_size=page_size
        )
        async with self._turn:
            reading = asyncio.get_running_loop().run_in_executor(None, read)
            try:
                return await asyncio.shield(reading)
            except asyncio.CancelledError:
                await asyncio.wait([reading])  # the thread reads on, and the connection is its own
                raise


async def _at_once(works: Sequence[Coroutine[Any, Any, None]]) -> None:
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


def _asks(
    item: WorkItem, judges: Mapping[str, ResolvedJudge], retry: frozenset[Status]
) -> list[Ask]:
    questions = both_orders(item.answered, judges, retry=retry)
    if not questions:
        return []
    content = item.content
    shown = shown_of(
        content.prompt_json, content.reference, content.first_json, content.second_json
    )
    return [
        Ask(content.content_id, shown, judges[q.judge_key], q.order, q.sample) for q in questions
    ]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
