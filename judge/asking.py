"""Asking everything that a run still lacks: pages of asks and passes over them.

A pass works through what is missing. Asks that an endpoint could not answer stay pending and are
asked again in the next pass, as long as passes get somewhere.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from judge.ask_order import side_by_side
from judge.desk import EndpointDesk, EndpointPool, PageReader, Stop, in_passes, is_unsent
from judge.errors import BudgetExceeded, ConfigError
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
        work = _Work(run, reader, PageReader(), writer, progress, stop, retry)
        desks = [_JudgeDesk(pool, work) for pool in pools]
        await in_passes(
            lambda is_first: [desk.work_through(is_first=is_first) for desk in desks],
            progress,
            stop,
            is_once=bool(retry),
        )


@dataclass(frozen=True, slots=True)
class _Work:
    """What all desks of a job share."""

    run: Run
    reader: Ledger
    pages: PageReader
    writer: LedgerWriter
    progress: Progress
    stop: Stop
    retry: frozenset[Status]


def missing_asks(
    item: WorkItem,
    judges: Mapping[str, ResolvedJudge],
    run: Run,
    *,
    retry: frozenset[Status] = frozenset(),
) -> list[Ask]:
    """Return what a run still has to ask some of its judges, by judge key, about one content."""
    content = item.content
    orders = (single_order(content.content_id),) if run.one_order else BOTH_ORDERS
    questions = missing_questions(item.answered, judges, orders=orders, retry=retry)
    if not questions:
        return []
    shown = shown_of(
        content.prompt_json, content.reference, content.first_json, content.second_json
    )
    return [
        Ask(content.content_id, shown, judges[q.judge_key], q.order, q.sample) for q in questions
    ]


class _JudgeDesk:
    """Asks the judges of one endpoint and stores what they say."""

    def __init__(self, pool: JudgePool, work: _Work) -> None:
        self._judges = {judge.judge_key: judge for judge in pool.judges}
        self._work = work
        self._desk = EndpointDesk(pool.endpoint, work.progress, work.stop, seed=work.run.run_id)

    async def work_through(self, *, is_first: bool) -> None:
        """Ask everything that this endpoint's judges have not answered yet."""
        pages = self._ask_pages(note_stored=is_first)
        await self._desk.work_through(pages, self._ask, is_first=is_first)

    async def _ask_pages(self, *, note_stored: bool) -> AsyncIterator[list[Ask]]:
        work, run = self._work, self._work.run
        read = partial(
            work_page,
            work.reader,
            run.run_id,
            list(self._judges),
            page_size=max(MIN_PAGE, self._desk.pool.max_in_flight),
            one_order=run.one_order,
        )
        after = -1
        while page := await work.pages.read(partial(read, after=after)):
            after = page[-1].position
            if note_stored:
                for item in page:
                    for reading in item.answered:
                        work.progress.note_answered(item.content.content_id, reading)
            yield side_by_side(
                [
                    ask
                    for item in page
                    for ask in missing_asks(item, self._judges, run, retry=work.retry)
                ]
            )

    async def _ask(self, ask: Ask) -> None:
        with self._work.progress.asking():
            try:
                result = await judge_once(ask, self._desk.pool.chat, self._desk.retries, now=_now())
            except (BudgetExceeded, ConfigError) as error:
                self._work.stop.request(error)  # nothing was sent: the ask stays pending
                return
            if isinstance(result, Deferred):
                if is_unsent(result.failure):
                    return
                self._desk.note_failure(result.failure)
                await self._defer(ask, result)
                return
            self._desk.note_answer()
            await self._work.writer.append(result, run_id=self._work.run.run_id)
        self._work.progress.note_judgment(result, is_new_ask=ask.sample == 0)

    async def _defer(self, ask: Ask, deferred: Deferred) -> None:
        self._work.progress.deferred[deferred.reason] += 1
        self._work.progress.last_problem = deferred.reason
        await self._work.writer.defer(
            run_id=self._work.run.run_id,
            content_id=ask.content_id,
            judge_key=ask.judge.judge_key,
            order=ask.order.value,
            reason=deferred.reason,
            attempts=deferred.attempts,
            created_at=_now(),
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
