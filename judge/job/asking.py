"""Asking everything that a run still lacks: pages of asks and passes over them.

A pass works through what is missing. Asks that an endpoint could not answer stay pending and are
asked again in the next pass, as long as passes get somewhere. So is what a policy wants to know
once it has the answers of a pass.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from judge.errors import BudgetExceeded, ConfigError
from judge.job.ask_order import side_by_side
from judge.job.desk import EndpointDesk, EndpointPool, PageReader, Stop, in_passes, is_unsent
from judge.job.judging import Ask, Deferred, ResolvedJudge, judge_once
from judge.job.policy_counts import count_asks
from judge.job.progress import Progress
from judge.job.showing import shown_of
from judge.ledger.runs import Run
from judge.ledger.store import Ledger
from judge.ledger.work import WorkItem, work_page
from judge.ledger.writer import LedgerWriter
from judge.policies.choice import policy_of
from judge.policy import Policy
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
    judge_keys = [judge.judge_key for pool in pools for judge in pool.judges]
    policy = policy_of(run.policy_settings, judge_keys)
    async with LedgerWriter(ledger) as writer:
        work = _Work(run, policy, judge_keys, reader, PageReader(), writer, progress, stop, retry)
        desks = [_JudgeDesk(pool, work) for pool in pools]
        await in_passes(
            lambda is_first: [desk.work_through(is_first=is_first) for desk in desks],
            progress,
            stop,
            is_once=bool(retry),
            more=work.count_open if policy.is_staged else None,
        )


@dataclass(frozen=True, slots=True)
class _Work:
    """What all desks of a job share."""

    run: Run
    policy: Policy
    judge_keys: Sequence[str]
    reader: Ledger
    pages: PageReader
    writer: LedgerWriter
    progress: Progress
    stop: Stop
    retry: frozenset[Status]

    async def count_open(self) -> bool:
        """Count what the policy wants now; returns whether there is any."""
        counts = await self.pages.read(partial(count_asks, self.reader, self.run))
        self.progress.total = self.progress.done + counts.open
        return counts.open > 0


def missing_asks(
    item: WorkItem,
    judges: Mapping[str, ResolvedJudge],
    run: Run,
    *,
    retry: frozenset[Status] = frozenset(),
    policy: Policy | None = None,
) -> list[Ask]:
    """Return what a run now wants to ask some of its judges, by judge key, about one content.

    `policy` is the run's, for whoever has it at hand. A staged policy must see the answers of all
    judges of the run.
    """
    content = item.content
    policy = policy or policy_of(run.policy_settings, list(judges))
    questions = [
        question
        for question in policy.next_questions(content.content_id, item.answered, retry=retry)
        if question.judge_key in judges
    ]
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
        pages = self._ask_pages(is_first=is_first)
        # The judges of a later stage meet their endpoint in a later pass.
        is_first_wave = is_first or self._work.policy.is_staged
        await self._desk.work_through(pages, self._ask, is_first=is_first_wave)

    async def _ask_pages(self, *, is_first: bool) -> AsyncIterator[list[Ask]]:
        work, run, policy = self._work, self._work.run, self._work.policy
        retry = work.retry if is_first else frozenset()
        read = partial(
            work_page,
            work.reader,
            run.run_id,
            work.judge_keys if policy.is_staged else list(self._judges),
            page_size=max(MIN_PAGE, self._desk.pool.max_in_flight),
            one_order=run.one_order,
        )
        after = -1
        while page := await work.pages.read(partial(read, after=after)):
            after = page[-1].position
            if is_first:
                for item in page:
                    self._note_stored(item)
            yield side_by_side(
                [
                    ask
                    for item in page
                    for ask in missing_asks(item, self._judges, run, retry=retry, policy=policy)
                ]
            )

    def _note_stored(self, item: WorkItem) -> None:
        for reading in item.answered:
            if reading.judge_key in self._judges and self._is_compared(reading.sample):
                self._work.progress.note_answered(item.content.content_id, reading)

    def _is_compared(self, sample: int) -> bool:
        """Whether a reply counts for flips: of several samples the first of each order does."""
        return sample == 0 or self._work.policy.samples == 1

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
            if ask.judge.top_logprobs and result.verdict is not None and result.p_a is None:
                self._work.progress.without_probabilities[ask.judge.name] += 1
        self._work.progress.note_judgment(
            result,
            is_new_ask=ask.sample < self._work.policy.samples,
            is_compared=self._is_compared(ask.sample),
        )

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
