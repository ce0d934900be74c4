"""Generating candidates for every prompt of a file, and pairing them: `judge generate`.

The same pool, throttle, budget and ledger as judging. Pairs are derived from the stored
candidates, so other pairing rules never pay a generator again.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from judge.candidates.candidate_asking import GeneratorPool, ask_for_candidates
from judge.candidates.generation import (
    GenerationStatus,
    ResolvedGenerator,
    Slot,
    slots_of,
)
from judge.candidates.generators import complaints, generator_warnings
from judge.candidates.pair_writing import PairCounts, check_out, pairs_path, write_pairs
from judge.candidates.pairing import PairingRules
from judge.candidates.prompt_reading import read_prompt_file
from judge.candidates.ready_generators import generation_run_id, names_of, ready_generators
from judge.errors import EndpointError, EvenhandError
from judge.inputs.intake import IntakeReport, Selection
from judge.job.desk import Stop, calm_collector
from judge.job.endpoints import LocalEngines, open_endpoint
from judge.job.progress import Progress
from judge.ledger.candidates import count_generations, count_prompts, tally_generator
from judge.ledger.runs import begin_run, complete_run
from judge.ledger.store import Ledger
from judge.prices.accounts import generation_account
from judge.prices.budget import Spending
from judge.prices.price_list import price_warnings
from judge.settings.config import Settings

KIND = "generate"


@dataclass(frozen=True, slots=True)
class Wave:
    """A part of the prompts, the earliest, that is asked about while more may follow."""

    prompts: int
    before: Spending
    """What other parts of the job have spent."""


@dataclass(frozen=True, slots=True)
class GenerateResult:
    """How a generation ended. `cause` is None when everything that could be asked was."""

    run_id: str
    ledger: Path
    out: Path | None
    """Where the pairs were written; None while candidates are missing, and where labels decide
    which pairs there are."""
    intake: IntakeReport
    progress: Progress
    pairs: PairCounts
    statuses: Mapping[str, int]
    """Replies of the run that are no candidate, by status, those of earlier jobs included."""
    complaints: tuple[str, ...]
    """What is odd about a generator, in words with the remedy."""
    spent: Spending
    """By all jobs of the run."""
    seconds: float
    max_dropped: float
    cause: EvenhandError | None = None
    is_interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """0 ok, 3 too many replies without a candidate or no pair, 4 or 5 ended early."""
        if self.cause is not None:
            return 4 if self.progress.done else self.cause.exit_code
        if self.progress.pending:
            return 4 if self.progress.done else 5
        is_poor = sum(self.statuses.values()) > self.max_dropped * self.progress.total
        return 3 if is_poor or not self.pairs.pairs else 0


@dataclass(frozen=True, slots=True)
class _Conclusion:
    """What the candidates of a run add up to."""

    statuses: Mapping[str, int]
    complaints: tuple[str, ...]
    out: Path | None
    pairs: PairCounts


async def generate_job(
    prompts: str,
    settings: Settings,
    ledger_path: Path,
    out: Path | None = None,
    *,
    selection: Selection | None = None,
    skip_bad_lines: bool = False,
    stop: Stop | None = None,
    on_start: Callable[[Progress, IntakeReport], None] | None = None,
    engines: LocalEngines | None = None,
    wave: Wave | None = None,
    environ: Mapping[str, str] = os.environ,
) -> GenerateResult:
    """Ask every generator about every prompt, then write the pairs of the candidates to `out`.

    Without `out` they go beside the ledger. Resumes by itself; pairs are written once no candidate
    is missing. `on_start` is handed the counts and what reading the prompts found, before anything
    is asked. `engines` keeps the models that are loaded for whoever asks them next. With a `wave`
    only its prompts are answered, and no pairs are written. Raises ConfigError, InputError or
    LedgerError before anything is asked, and LedgerError when the ledger cannot be written any
    more.
    """
    stop, selection = stop or Stop(), selection or Selection()
    started = asyncio.get_running_loop().time()
    generators, keys = ready_generators(settings, environ)
    if out is not None:
        check_out(out, prompts)
    with Ledger(ledger_path) as ledger, Ledger(ledger_path, read_only=True) as reader:
        run_id = generation_run_id(prompts, selection, generators, in_waves=wave is not None)
        prepare = partial(
            _prepare, ledger, run_id, prompts, selection, settings, skip_bad_lines, wave
        )
        intake = await asyncio.to_thread(prepare)
        progress = _counted(reader, run_id, generators)
        before = wave.before if wave is not None else None
        account = generation_account(reader, run_id, settings, before=before)
        progress.budget = account.budget
        intake.warn(price_warnings(settings))
        if on_start:
            on_start(progress, intake)
        cause: EndpointError | None = None
        if progress.pending:
            cause = await _ask(
                ledger, reader, settings, generators, keys,
                progress=progress, stop=stop, engines=engines,
            )  # fmt: skip
        account.close(ledger)
        is_written = not (progress.pending or wave or settings.pairing.has_rounds)
        out = (out or pairs_path(ledger_path, run_id)) if is_written else None
        is_whole = not progress.pending
        conclude = partial(
            _conclude, reader, run_id, generators, settings.pairing, out, is_whole=is_whole
        )
        with progress.at_stage("pairing"):
            conclusion = await asyncio.to_thread(conclude)
    return GenerateResult(
        run_id=run_id,
        ledger=ledger_path,
        out=conclusion.out,
        intake=intake,
        progress=progress,
        pairs=conclusion.pairs,
        statuses=conclusion.statuses,
        complaints=conclusion.complaints,
        spent=account.budget.spent,
        seconds=asyncio.get_running_loop().time() - started,
        max_dropped=settings.run.max_dropped,
        cause=cause or stop.cause,
        is_interrupted=stop.event.is_set() and stop.cause is None,
    )


def _prepare(
    ledger: Ledger,
    run_id: str,
    prompts: str,
    selection: Selection,
    settings: Settings,
    skip_bad_lines: bool,
    wave: Wave | None,
) -> IntakeReport:
    run = begin_run(
        ledger,
        run_id,
        kind=KIND,
        source=prompts,
        settings={"rule": settings.run.rule.value, "selection": asdict(selection)},
        judges=[],
        now=datetime.now(UTC).isoformat(timespec="microseconds"),
    )
    report = IntakeReport(pairs=count_prompts(ledger, run_id))
    up_to = wave.prompts if wave is not None else None
    if not run.is_complete or up_to is not None:
        report = read_prompt_file(
            ledger, run_id, prompts,
            selection=selection, skip_bad_lines=skip_bad_lines, up_to=up_to,
        )  # fmt: skip
        complete_run(ledger, run_id)
    report.warn(generator_warnings(settings.generators))
    return report


def _counted(reader: Ledger, run_id: str, generators: Sequence[ResolvedGenerator]) -> Progress:
    """Return the counts of a run before this job has asked anything."""
    slots = slots_of(generators)
    total = len(slots) * count_prompts(reader, run_id)
    stored = sum(count_generations(reader, run_id, slots).values())
    return Progress(run_id=run_id, kind=KIND, total=total, stored_before=stored)


async def _ask(
    ledger: Ledger,
    reader: Ledger,
    settings: Settings,
    generators: Sequence[ResolvedGenerator],
    keys: Mapping[str, SecretStr | None],
    *,
    progress: Progress,
    stop: Stop,
    engines: LocalEngines | None,
) -> EndpointError | None:
    """Ask for what is missing; return why an endpoint could not be asked at all, if that is so."""
    async with AsyncExitStack() as stack:
        try:
            pools = [
                await _open_pool(
                    stack, settings, name, key, generators, progress=progress, engines=engines
                )
                for name, key in keys.items()
            ]
        except EndpointError as error:
            return error
        with calm_collector():
            await ask_for_candidates(
                ledger, reader, progress.run_id, pools, progress=progress, stop=stop
            )
    return None


async def _open_pool(
    stack: AsyncExitStack,
    settings: Settings,
    name: str,
    key: SecretStr | None,
    generators: Sequence[ResolvedGenerator],
    *,
    progress: Progress,
    engines: LocalEngines | None,
) -> GeneratorPool:
    using = tuple(generator for generator in generators if generator.endpoint == name)
    assert progress.budget is not None  # every job has one, if only to count
    endpoint = await open_endpoint(
        stack,
        name,
        settings.endpoints[name],
        key,
        models={generator.model for generator in using},
        budget=progress.budget,
        progress=progress,
        engines=engines,
    )
    return GeneratorPool(endpoint, using)


def _conclude(
    reader: Ledger,
    run_id: str,
    generators: Sequence[ResolvedGenerator],
    rules: PairingRules,
    out: Path | None,
    *,
    is_whole: bool,
) -> _Conclusion:
    """Look over the replies of a run, and count the pairs of its candidates where none is missing.

    They are written to `out`, if any.
    """
    slots: tuple[Slot, ...] = slots_of(generators)
    useless = {
        status.value: count
        for status, count in count_generations(reader, run_id, slots).items()
        if status is not None
        and not (rules.keep_truncated and status is GenerationStatus.TRUNCATED)
    }
    told = [
        complaint
        for generator in generators
        for complaint in complaints(generator.name, tally_generator(reader, run_id, generator))
    ]
    pairs = PairCounts()
    if is_whole:
        pairs = write_pairs(reader, run_id, slots, rules, out, names=names_of(generators))
    return _Conclusion(useless, tuple(told), out, pairs)
