"""Labelling an input of either kind: pairs are judged, prompts are answered and paired first."""

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from judge.candidates.first_pass import check_first_pass, first_pass_settings, second_pass_settings
from judge.candidates.generating import GenerateResult
from judge.candidates.pairing import Strategy
from judge.candidates.prompt_job import Part, PromptJob, contest_of, judge_candidates, unjudged
from judge.candidates.until import label_until
from judge.errors import ConfigError
from judge.formats.lines import Line
from judge.formats.prompts import InputKind, kind_of_input, read_prompts
from judge.inputs.intake import IntakeReport
from judge.job.desk import Stop
from judge.job.endpoints import LocalEngines
from judge.job.pipeline import JobInput, RunResult, run_job
from judge.job.progress import Progress
from judge.job.ready_judges import ready_judges
from judge.prices.accounts import check_prices
from judge.records import Status
from judge.settings.config import Settings


async def label_input(
    job: JobInput,
    settings: Settings,
    ledger_path: Path,
    *,
    retry: frozenset[Status] = frozenset(),
    stop: Stop | None = None,
    on_start: Callable[[Progress, IntakeReport], None] | None = None,
    on_generated: Callable[[GenerateResult], None] | None = None,
    on_part: Callable[[Part], None] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> RunResult:
    """Judge an input of pairs, or of prompts whose candidates are generated and paired first.

    The pairs of prompts are kept beside the ledger, or selected in it where labels decide which
    there are; the budgets cover all parts. `on_start` is called at the start of each part,
    `on_generated` behind candidates, `on_part` before what follows. Otherwise as `run_job`.
    """
    is_table = job.mapping is not None  # its map names the answers, whatever the columns are
    if is_table or not await asyncio.to_thread(needs_candidates, job.path, settings):
        if settings.run.until is not None:
            raise ConfigError(
                f"{job.path}: holds pairs, and until = {settings.run.until} is for prompts, which "
                "can be given further answers; leave it out"
            )
        return await run_job(
            job, settings, ledger_path,
            retry=retry, stop=stop, on_start=on_start, environ=environ,
        )  # fmt: skip
    _check_judges(settings, environ)
    async with LocalEngines() as engines:
        prompt_job = PromptJob(
            job, settings, ledger_path, stop or Stop(), engines, environ,
            retry=retry, on_start=on_start, on_generated=on_generated, on_part=on_part,
        )  # fmt: skip
        return await _label_prompts(prompt_job)


async def _label_prompts(job: PromptJob) -> RunResult:
    if job.settings.run.until is not None:
        return await label_until(job, job.settings.run.until)
    generated = await job.generate()
    if generated.progress.pending or not generated.pairs.pairs or job.stop.event.is_set():
        return unjudged(generated, job.settings)
    if job.settings.pairing.has_rounds:
        contest = contest_of(generated.run_id, job.settings)
        return await judge_candidates(job, generated, contest)
    return await job.judge(JobInput(str(generated.out)), generated)


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
    if settings.pairing.strategy is Strategy.BEST_WORST:
        check_first_pass(settings)
        ready_judges(first_pass_settings(settings), environ)
        ready_judges(second_pass_settings(settings), environ)
    judges, _ = ready_judges(settings, environ)
    check_prices(settings, (judge.model for judge in judges))
