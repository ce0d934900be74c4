"""The main job: an input and its settings become stored judgments. The order of the stages."""

import asyncio
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from judge.asking import JudgePool, ask_missing
from judge.budget import Budget, Spending
from judge.config import Settings
from judge.desk import Stop, calm_collector
from judge.endpoints import LocalEngines, check_rates, keys_of, open_endpoint
from judge.errors import ConfigError, EndpointError, EvenhandError
from judge.generating import GenerateResult
from judge.intake import IntakeReport, Selection, input_digest, read_input
from judge.judging import ResolvedJudge, resolve_judge
from judge.labelling import count_outcomes
from judge.ledger.runs import Run, RunJudge, begin_run, count_pairs
from judge.ledger.spending import note_losses, spent_by, stored_spending
from judge.ledger.store import Ledger
from judge.ledger.work import count_answered, count_contents, count_dropped
from judge.mapping import TableMap
from judge.policy import BOTH_ORDERS
from judge.price_list import price_warnings, prices_of
from judge.progress import Progress
from judge.records import Status

GC_THRESHOLD = 50_000


@dataclass(frozen=True, slots=True)
class JobInput:
    """What a run is to look at."""

    path: str
    selection: Selection = field(default_factory=Selection)
    skip_bad_lines: bool = False
    mapping: TableMap | None = None
    """What the columns of a table mean; None for JSON Lines of pairs."""

    @property
    def identity(self) -> dict[str, object]:
        """What tells this input from another, besides its bytes."""
        told: dict[str, object] = {"selection": asdict(self.selection)}
        if self.mapping is not None:
            told["map"], told["values"] = self.mapping.given
        return told


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended. `cause` is None when everything that could be asked was."""

    run_id: str
    ledger: Path
    intake: IntakeReport
    progress: Progress
    outcomes: Mapping[str, int]
    """Pairs by label outcome; undecided ones by reason, as "undecided: unparsed"."""
    rule: str
    seconds: float
    max_dropped: float
    dropped: int = 0
    """Asks of the run that ended without a verdict, in this job or before."""
    spent: Spending = field(default_factory=Spending)
    """By all jobs of the run, those that generated its pairs included."""
    cause: EvenhandError | None = None
    is_interrupted: bool = False
    generated: GenerateResult | None = None
    """How the pairs came about, where the input held prompts."""
    is_judged: bool = True
    """False where the run ended while its pairs were generated: then nothing was judged."""

    @property
    def exit_code(self) -> int:
        """0 ok, 3 too many asks without a verdict, 4 or 5 ended early (resumable)."""
        if self.generated is not None and not self.is_judged:
            return self.generated.exit_code
        if self.cause is not None:
            return 4 if self.progress.done else self.cause.exit_code
        if self.progress.pending:
            return 4 if self.progress.done else 5
        if self.dropped > self.max_dropped * self.progress.total:
            return 3
        return self.generated.exit_code if self.generated is not None else 0


async def run_job(
    job: JobInput,
    settings: Settings,
    ledger_path: Path,
    *,
    retry: frozenset[Status] = frozenset(),
    stop: Stop | None = None,
    on_start: Callable[[Progress, IntakeReport], None] | None = None,
    generated: GenerateResult | None = None,
    engines: LocalEngines | None = None,
    environ: Mapping[str, str] = os.environ,
) -> RunResult:
    """Judge every pair of an input in both orders and return how it went.

    Resumes by itself: only what the ledger lacks is asked. `on_start` is handed the counts once,
    before anything is asked, and may read them whenever it likes. `stop` ends the job early.
    What `generated` its pairs has spent counts too; `engines` may hold models that are loaded
    already. Raises ConfigError, InputError or LedgerError
    before anything is asked, and LedgerError when the ledger cannot be written any more.
    """
    stop, loop = stop or Stop(), asyncio.get_running_loop()
    started = loop.time()
    judges, keys = ready_judges(settings, environ)
    with Ledger(ledger_path) as ledger, Ledger(ledger_path, read_only=True) as reader:
        run, intake = await asyncio.to_thread(prepare_run, ledger, job, settings, judges)
        progress = _counted(reader, run)
        prices = await asyncio.to_thread(prices_of, settings)
        budget = progress.budget = _budget(reader, run, settings, prices, generated)
        intake.warn(price_warnings(settings))
        if on_start:
            on_start(progress, intake)
        cause: EvenhandError | None = None
        if progress.pending or retry:
            async with AsyncExitStack() as stack:
                try:
                    pools = await _open_pools(
                        stack, settings, judges, keys,
                        budget=budget, progress=progress, engines=engines,
                    )  # fmt: skip
                except EndpointError as error:
                    cause = error
                else:
                    with calm_collector():
                        await ask_missing(
                            ledger, reader, run, pools,
                            progress=progress, stop=stop, retry=retry,
                        )  # fmt: skip
        if progress.judged or budget.has_sent:
            paid = budget.spent.beyond(generated.spent if generated else Spending())
            note_losses(ledger, run.run_id, paid.beyond(stored_spending(reader, run, prices)))
        with progress.at_stage("counting labels"):
            outcomes = await asyncio.to_thread(count_outcomes, reader, run)
        expense = joint_expense(expenses_of(run, reply_totals(reader, run), prices=prices).values())
        dropped = count_dropped(reader, run.run_id, run.judge_keys, one_order=run.one_order)
    return RunResult(
        run_id=run.run_id,
        ledger=ledger_path,
        intake=intake,
        progress=progress,
        outcomes=outcomes,
        rule=run.rule,
        seconds=loop.time() - started,
        max_dropped=settings.run.max_dropped,
        dropped=dropped,
        spent=budget.spent,
        cause=cause or stop.cause,
        is_interrupted=stop.event.is_set() and stop.cause is None,
        generated=generated,
    )


def ready_judges(
    settings: Settings, environ: Mapping[str, str]
) -> tuple[tuple[ResolvedJudge, ...], dict[str, SecretStr | None]]:
    """Return the judges and the keys of their endpoints; ConfigError where they cannot be asked."""
    judges = resolved_judges(settings)
    check_rates(settings, judges, longest=2)  # a cut reply is asked for with twice the room
    return judges, keys_of(settings, sorted({judge.endpoint for judge in judges}), environ)


def resolved_judges(settings: Settings) -> tuple[ResolvedJudge, ...]:
    """Return the judges of the settings ready to ask; ConfigError where they cannot be."""
    if not settings.judges:
        raise ConfigError("no judge is set; add a [[judges]] table to the config or give --model")
    judges = tuple(resolve_judge(j, settings.endpoint_of(j)) for j in settings.judges)
    by_key: dict[str, str] = {}
    for judge in judges:
        twin = by_key.setdefault(judge.judge_key, judge.name)
        if twin != judge.name:
            raise ConfigError(
                f'judges "{twin}" and "{judge.name}" ask the same thing: same model, prompt and '
                "sampling; remove one, or give them different seeds"
            )
    return judges


def prepare_run(
    ledger: Ledger, job: JobInput, settings: Settings, judges: Sequence[ResolvedJudge]
) -> tuple[Run, IntakeReport]:
    """Make or find the run of an input, and read the input unless an earlier job has.

    Returns the run and what was found in the input. Raises InputError and LedgerError.
    """
    run = begin_run(
        ledger,
        _run_id(job, settings, judges),
        kind="judge",
        source=job.path,
        settings={"rule": settings.run.rule.value, **job.identity},
        judges=[_run_judge(judge) for judge in judges],
        now=datetime.now(UTC).isoformat(timespec="microseconds"),
    )
    if run.is_complete:
        return run, IntakeReport(pairs=count_pairs(ledger, run.run_id))
    intake = read_input(
        ledger,
        run.run_id,
        job.path,
        selection=job.selection,
        skip_bad_lines=job.skip_bad_lines,
        mapping=job.mapping,
    )
    return run, intake


def _run_id(job: JobInput, settings: Settings, judges: Sequence[ResolvedJudge]) -> str:
    """Return the id of this input selection under these settings: the same job, the same run."""
    identity = {
        "input": input_digest(job.path),
        **job.identity,
        "judges": sorted(judge.judge_key for judge in judges),
        "rule": settings.run.rule.value,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]


def _run_judge(judge: ResolvedJudge) -> RunJudge:
    return RunJudge(
        judge_key=judge.judge_key,
        name=judge.name,
        model=judge.model,
        prompt=judge.prompt.name,
        prompt_digest=judge.prompt.digest,
        sampling={**judge.sampling, "max_tokens": judge.max_tokens},
    )


def _counted(reader: Ledger, run: Run) -> Progress:
    """Return the counts of a run before this job has asked anything."""
    keys, one_order = run.judge_keys, run.one_order
    orders = 1 if one_order else len(BOTH_ORDERS)
    asks = orders * len(keys) * count_contents(reader, run.run_id)
    stored = sum(count_answered(reader, run.run_id, keys, one_order=one_order).values())
    return Progress(run_id=run.run_id, total=asks, stored_before=stored)


async def _open_pools(
    stack: AsyncExitStack,
    settings: Settings,
    judges: Sequence[ResolvedJudge],
    keys: Mapping[str, SecretStr | None],
    *,
    budget: Budget,
    progress: Progress,
    engines: LocalEngines | None,
) -> list[JudgePool]:
    pools = []
    for name, key in keys.items():
        using = tuple(judge for judge in judges if judge.endpoint == name)
        endpoint = await open_endpoint(
            stack,
            name,
            settings.endpoints[name],
            key,
            models={judge.model for judge in using},
            budget=budget,
            progress=progress,
            engines=engines,
        )
        pools.append(JudgePool(endpoint, using))
    return pools


def _budget(
    reader: Ledger,
    run: Run,
    settings: Settings,
    prices: Mapping[str, Price],
    generated: GenerateResult | None,
) -> Budget:
    """Return what the run may still spend; ConfigError for a model without the price it needs."""
    limits = settings.run
    before = generated.spent if generated else Spending()
    budget = Budget(
        requests=limits.budget_requests,
        tokens=limits.budget_tokens,
        usd=limits.budget_usd,
        prices=prices,
        spent=spent_by(reader, run, prices) + before,
    )
    budget.check_models(judge.model for judge in run.judges)
    return budget
