"""The main job: an input and its settings become stored judgments. The order of the stages."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from judge.candidates.generating import GenerateResult
from judge.candidates.pair_source import PairSource, ask_further_rounds, begin_selection
from judge.candidates.waves import Ending
from judge.errors import EndpointError, EvenhandError
from judge.inputs.intake import IntakeReport, Selection, input_digest, read_input
from judge.inputs.mapping import TableMap
from judge.job.asking import JudgePool, ask_missing
from judge.job.desk import Stop, calm_collector
from judge.job.endpoints import LocalEngines, open_endpoint
from judge.job.judging import ResolvedJudge
from judge.job.policy_counts import count_asks
from judge.job.policy_figures import PolicyFigures, policy_figures
from judge.job.progress import Progress
from judge.job.ready_judges import ready_judges
from judge.job.run_identity import run_id, run_judge, run_settings
from judge.ledger.run_facts import reply_totals
from judge.ledger.runs import Run, begin_run, count_pairs, find_run
from judge.ledger.store import Ledger
from judge.outcomes.labelling import count_outcomes
from judge.policies.cautions import policy_cautions
from judge.prices.accounts import judging_account
from judge.prices.budget import Budget, Spending
from judge.prices.price_list import price_warnings
from judge.prices.pricing import Price
from judge.records import Status
from judge.references.reference_cautions import reference_cautions
from judge.settings.config import Settings

if TYPE_CHECKING:
    from calibration.report.columns import Expense
    from judge.candidates.standings import Standings

GC_THRESHOLD = 50_000


@dataclass(frozen=True, slots=True)
class JobInput:
    """What a run is to look at."""

    path: str
    selection: Selection = field(default_factory=Selection)
    skip_bad_lines: bool = False
    mapping: TableMap | None = None
    """What the columns of a table mean; None for JSON Lines of pairs."""
    source: PairSource | None = None
    """What selects the pairs, where they follow from how others were judged: `path` then holds
    the prompts that they come from."""

    @property
    def identity(self) -> dict[str, object]:
        """What tells this input from another, besides its bytes."""
        told: dict[str, object] = {"selection": asdict(self.selection)}
        if self.mapping is not None:
            told["map"], told["values"] = self.mapping.given
        if self.source is not None:
            told["pairs"] = self.source.identity
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
    expense: "Expense | None" = None
    """What the judgments on its pairs took, whatever run asked for them; None where there is
    none."""
    policy: PolicyFigures | None = None
    """How a cascade, or early stopping, went; None where every pair was asked the same."""
    cause: EvenhandError | None = None
    is_interrupted: bool = False
    generated: GenerateResult | None = None
    """How the pairs came about, where the input held prompts."""
    is_judged: bool = True
    """False where the run ended while its pairs were generated: then nothing was judged."""
    standings: "Standings | None" = None
    """How the candidates and their generators stand, after rounds were played to the end."""
    ending: Ending | None = None
    """What a job ended by that was to go on until there is enough."""
    is_whole: bool = True
    """Whether the run selects all its pairs: False where rounds are still to come."""

    @property
    def usd_per_1000_labels(self) -> float | None:
        """US dollars of judging for 1,000 usable labels: a first or a second answer is better."""
        from judge.prices.expenses import usd_per_1000_labels

        return usd_per_1000_labels(self.expense, self.outcomes)

    @property
    def exit_code(self) -> int:
        """0 ok, 3 too many asks without a verdict, 4 or 5 ended early (resumable)."""
        if self.generated is not None and not self.is_judged:
            return self.generated.exit_code
        if self.cause is not None:
            return 4 if self.progress.done else self.cause.exit_code
        if self.progress.pending or not self.is_whole:
            return 4 if self.progress.done else 5
        if self.ending is not None and self.ending.is_short:
            return 1
        if self.dropped > self.max_dropped * self.progress.total:
            return 3
        return self.generated.exit_code if self.generated is not None else 0


@dataclass(frozen=True, slots=True)
class _Conclusion:
    """What the judgments on the pairs of a run add up to."""

    outcomes: Mapping[str, int]
    dropped: int
    expense: "Expense | None"
    policy: PolicyFigures | None
    is_whole: bool


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
    What `generated` its pairs has spent counts too; `engines` may hold models loaded already.
    Raises ConfigError, InputError or LedgerError before anything is asked, LedgerError also later.
    """
    stop, loop = stop or Stop(), asyncio.get_running_loop()
    started = loop.time()
    judges, keys = ready_judges(settings, environ)
    with Ledger(ledger_path) as ledger, Ledger(ledger_path, read_only=True) as reader:
        run, intake = await asyncio.to_thread(prepare_run, ledger, job, settings, judges)
        progress = _counted(reader, run)
        before = generated.spent if generated else None
        account = judging_account(reader, run, settings, before=before)
        progress.budget = account.budget
        intake.warn([*price_warnings(settings), *policy_cautions(settings)])
        intake.warn(reference_cautions(reader, run, judges))
        if on_start:
            on_start(progress, intake)
        cause: EvenhandError | None = None
        if progress.pending or retry:
            async with AsyncExitStack() as stack:
                try:
                    pools = await _open_pools(
                        stack, settings, judges, keys,
                        budget=account.budget, progress=progress, engines=engines,
                    )  # fmt: skip
                except EndpointError as error:
                    cause = error
                else:
                    with calm_collector():
                        ask = partial(
                            ask_missing, ledger, reader, run, pools, progress=progress, stop=stop
                        )
                        await ask(retry=retry)
                        if job.source is not None:
                            await ask_further_rounds(
                                job.source, ledger, run, ask, partial(_counted, reader, run),
                                progress=progress, stop=stop, is_anew=bool(retry),
                            )  # fmt: skip
        account.close(ledger)
        with progress.at_stage("counting labels"):
            conclusion = await asyncio.to_thread(_conclude, reader, run, account.prices)
    return RunResult(
        run_id=run.run_id,
        ledger=ledger_path,
        intake=intake,
        progress=progress,
        outcomes=conclusion.outcomes,
        rule=run.rule,
        seconds=loop.time() - started,
        max_dropped=settings.run.max_dropped,
        dropped=conclusion.dropped,
        spent=account.budget.spent,
        expense=conclusion.expense,
        policy=conclusion.policy,
        cause=cause or stop.cause,
        is_interrupted=stop.event.is_set() and stop.cause is None,
        generated=generated,
        is_whole=conclusion.is_whole,
    )


def prepare_run(
    ledger: Ledger, job: JobInput, settings: Settings, judges: Sequence[ResolvedJudge]
) -> tuple[Run, IntakeReport]:
    """Make or find the run of an input, and read the input unless an earlier job has.

    Returns the run and what was found in the input. Raises InputError and LedgerError.
    """
    remembered = run_settings(settings, judges, job.identity)
    run = begin_run(
        ledger,
        run_id(input_digest(job.path), remembered, judges),
        kind=job.source.kind if job.source is not None else "judge",
        source=job.path,
        settings=remembered,
        judges=[run_judge(judge) for judge in judges],
        now=datetime.now(UTC).isoformat(timespec="microseconds"),
    )
    if job.source is not None:
        return run, begin_selection(job.source, ledger, run)
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
    return find_run(ledger, run.run_id), intake  # with what it leaves out of its pairs


def _counted(reader: Ledger, run: Run) -> Progress:
    """Return the counts of a run before this job has asked anything."""
    counts = count_asks(reader, run)
    return Progress(
        run_id=run.run_id,
        total=counts.total,
        most=counts.most,
        stored_before=counts.answered,
    )


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


def _conclude(reader: Ledger, run: Run, prices: Mapping[str, Price]) -> _Conclusion:
    from judge.prices.expenses import (  # numpy: not before the first request
        expenses_of,
        joint_expense,
    )

    expenses = expenses_of(run, reply_totals(reader, run), prices=prices)
    return _Conclusion(
        outcomes=count_outcomes(reader, run),
        dropped=count_asks(reader, run).dropped,
        expense=joint_expense(expenses.values()),
        policy=policy_figures(reader, run, expenses),
        is_whole=find_run(reader, run.run_id).is_complete,
    )
