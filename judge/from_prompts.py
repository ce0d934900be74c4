"""Labelling an input of either kind: pairs are judged, prompts are answered and paired first."""

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from judge.budget import Budget
from judge.config import Settings
from judge.desk import Stop
from judge.endpoints import LocalEngines
from judge.errors import ConfigError
from judge.formats.lines import Line
from judge.formats.prompts import InputKind, kind_of_input, read_prompts
from judge.generating import GenerateResult, generate_job
from judge.intake import IntakeReport
from judge.pipeline import JobInput, RunResult, ready_judges, run_job
from judge.progress import Progress
from judge.records import Status


async def label_input(
    job: JobInput,
    settings: Settings,
    ledger_path: Path,
    *,
    retry: frozenset[Status] = frozenset(),
    stop: Stop | None = None,
    on_start: Callable[[Progress, IntakeReport], None] | None = None,
    on_generated: Callable[[GenerateResult], None] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> RunResult:
    """Judge an input of pairs, or of prompts whose candidates are generated and paired first.

    The pairs of prompts are kept beside the ledger, and the budgets cover both parts. `on_start`
    is called at the start of each part, `on_generated` between them. Otherwise as `run_job`.
    """
    is_table = job.mapping is not None  # its map names the answers, whatever the columns are
    if is_table or not await asyncio.to_thread(needs_candidates, job.path, settings):
        return await run_job(
            job, settings, ledger_path,
            retry=retry, stop=stop, on_start=on_start, environ=environ,
        )  # fmt: skip
    stop = stop or Stop()
    _check_judges(settings, environ)
    async with LocalEngines() as engines:
        generated = await generate_job(
            job.path, settings, ledger_path,
            selection=job.selection, skip_bad_lines=job.skip_bad_lines,
            stop=stop, on_start=on_start, engines=engines, environ=environ,
        )  # fmt: skip
        if on_generated:
            on_generated(generated)
        if generated.out is None or not generated.pairs.pairs or stop.event.is_set():
            return _unjudged(generated, settings)
        await engines.keep_only({judge.endpoint for judge in settings.judges})
        return await run_job(
            JobInput(str(generated.out)), settings, ledger_path,
            retry=retry, stop=stop, on_start=on_start, generated=generated,
            engines=engines, environ=environ,
        )  # fmt: skip


def needs_candidates(path: str, settings: Settings) -> bool:
    """Return whether an input holds prompts that are to be answered before anything is judged.

    Raises ConfigError where it holds prompts and there is no generator. Without generators a
    first record that is neither a pair nor a prompt is left to the reader of pairs, which says
    what is wrong with it.
    """
    if kind_of_input(path) is InputKind.PAIRS:
        return False
    if settings.generators:
        return True
    if isinstance(next(iter(read_prompts(path))), Line):
        raise ConfigError(
            f"{path}: holds prompts, and no generator is set to answer them; add a [[generators]] "
            'table to the config, with model and n, or give each record a "first" and a "second" '
            "answer"
        )
    return False


def _check_judges(settings: Settings, environ: Mapping[str, str]) -> None:
    """Raise ConfigError where nothing could be judged, before anything is paid for."""
    judges, _ = ready_judges(settings, environ)
    budget = Budget(usd=settings.run.budget_usd, prices=settings.prices)
    budget.check_models(judge.model for judge in judges)


def _unjudged(generated: GenerateResult, settings: Settings) -> RunResult:
    return RunResult(
        run_id=generated.run_id,
        ledger=generated.ledger,
        intake=generated.intake,
        progress=generated.progress,
        outcomes={},
        rule=settings.run.rule.value,
        seconds=generated.seconds,
        max_dropped=settings.run.max_dropped,
        spent=generated.spent,
        cause=generated.cause,
        is_interrupted=generated.is_interrupted,
        generated=generated,
        is_judged=False,
    )
