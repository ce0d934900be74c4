"""A job on prompts in its parts: candidates are generated, pairs selected and judged.

How the parts follow each other is decided by the pairing strategy: once, in rounds, or after a
first pass that ranks the candidates.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from judge.candidates.first_pass import first_pass_settings, second_pass_settings
from judge.candidates.generating import GenerateResult, Wave, generate_job
from judge.candidates.generation import slots_of
from judge.candidates.pair_source import PairSource
from judge.candidates.pairing import Strategy
from judge.candidates.ready_generators import names_of, resolved_generators
from judge.candidates.rounds import BestWorstPairs, Contest, SwissPairs, first_pass_pairs
from judge.candidates.waves import Ending
from judge.inputs.intake import IntakeReport, input_digest
from judge.job.desk import Stop
from judge.job.endpoints import LocalEngines
from judge.job.pipeline import JobInput, RunResult, run_job
from judge.job.progress import Progress
from judge.job.ready_judges import resolved_judges
from judge.job.run_identity import run_id, run_settings
from judge.records import Status
from judge.settings.config import Settings

if TYPE_CHECKING:
    from judge.candidates.standings import Standings


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a job that is about to begin."""

    words: str
    """Such as "round 2 of 4"; empty for the main part."""
    settings: Settings
    """Those that it goes by."""


@dataclass(frozen=True, slots=True)
class PromptJob:
    """What all parts of a job on prompts share."""

    input: JobInput
    settings: Settings
    ledger: Path
    stop: Stop
    engines: LocalEngines
    environ: Mapping[str, str]
    retry: frozenset[Status] = frozenset()
    on_start: Callable[[Progress, IntakeReport], None] | None = None
    on_generated: Callable[[GenerateResult], None] | None = None
    on_part: Callable[[Part], None] | None = None

    async def generate(
        self, settings: Settings | None = None, *, wave: Wave | None = None
    ) -> GenerateResult:
        """Have the generators answer the prompts, or a wave of them."""
        chosen = settings or self.settings
        await self.engines.keep_only({generator.endpoint for generator in chosen.generators})
        generated = await generate_job(
            self.input.path, chosen, self.ledger,
            selection=self.input.selection, skip_bad_lines=self.input.skip_bad_lines,
            stop=self.stop, on_start=self.on_start, engines=self.engines, wave=wave,
            environ=self.environ,
        )  # fmt: skip
        if self.on_generated:
            self.on_generated(generated)
        return generated

    async def judge(
        self,
        job: JobInput,
        generated: GenerateResult,
        *,
        settings: Settings | None = None,
        words: str = "",
    ) -> RunResult:
        """Judge what a job selects, with what its candidates cost counted towards the budget."""
        chosen = settings or self.settings
        self.tell(words, chosen)
        await self.engines.keep_only({judge.endpoint for judge in chosen.judges})
        return await run_job(
            job, chosen, self.ledger,
            retry=self.retry, stop=self.stop, on_start=self.on_start, generated=generated,
            engines=self.engines, environ=self.environ,
        )  # fmt: skip

    async def judge_source(
        self,
        source: PairSource,
        generated: GenerateResult,
        *,
        settings: Settings | None = None,
        words: str = "",
    ) -> RunResult:
        """Judge the pairs that a source selects."""
        job = replace(self.input, source=source)
        return await self.judge(job, generated, settings=settings, words=words)

    def tell(self, words: str, settings: Settings) -> None:
        if self.on_part is not None:
            self.on_part(Part(words, settings))


def judging_runs(job: PromptJob, contest: Contest) -> list[str]:
    """Return the ids of the runs that a strategy with rounds judges by, in their order."""
    if contest.rules.strategy is Strategy.SWISS:
        return [source_run_id(job.input, SwissPairs(contest), job.settings)]
    first = source_run_id(job.input, first_pass_pairs(contest), first_pass_settings(job.settings))
    second = BestWorstPairs(contest, first)
    return [first, source_run_id(job.input, second, second_pass_settings(job.settings))]


async def judge_candidates(
    job: PromptJob, generated: GenerateResult, contest: Contest
) -> RunResult:
    """Judge the candidates of a strategy with rounds, and return how it went and who stands where.

    `contest` names the candidates, all of which are there.
    """
    if contest.rules.strategy is Strategy.SWISS:
        source = SwissPairs(contest, on_round=lambda words: job.tell(words, job.settings))
        return _with_standings(job, await job.judge_source(source, generated), contest)
    return await _judge_best_against_worst(job, generated, contest)


def contest_of(run_id: str, settings: Settings) -> Contest:
    """Return the contest of the candidates that a run generated under these settings."""
    generators = resolved_generators(settings)
    return Contest(run_id, slots_of(generators), names_of(generators), settings.pairing)


async def _judge_best_against_worst(
    job: PromptJob, generated: GenerateResult, contest: Contest
) -> RunResult:
    ranking = first_pass_settings(job.settings)
    source = first_pass_pairs(contest, lambda words: job.tell(f"first pass, {words}", ranking))
    first = await job.judge_source(source, generated, settings=ranking, words="first pass")
    if not may_go_on(first, job.stop):
        return first
    pairs = BestWorstPairs(contest, first.run_id)
    second = await job.judge_source(
        pairs,
        replace(generated, spent=first.spent),
        settings=second_pass_settings(job.settings),
        words="best against worst",
    )
    standings = _standings(job, contest, first.run_id, is_delivered=False)
    return replace(
        second, generated=generated, standings=standings, ending=_left_out(pairs, second)
    )


def is_settled(result: RunResult) -> bool:
    """Return whether all was asked and answered."""
    return result.cause is None and not result.progress.pending and result.is_whole


def may_go_on(result: RunResult, stop: Stop) -> bool:
    """Return whether the job may go on behind a part of it."""
    return is_settled(result) and not stop.event.is_set()


def unjudged(generated: GenerateResult, settings: Settings) -> RunResult:
    """Return how a job ended that did not come to judge anything."""
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
        is_whole=False,
    )


def source_run_id(input_: JobInput, source: PairSource, settings: Settings) -> str:
    """Return the id of the run in which the pairs of a source are judged."""
    judges = resolved_judges(settings)
    told = replace(input_, source=source).identity
    return run_id(input_digest(input_.path), run_settings(settings, judges, told), judges)


def _with_standings(job: PromptJob, result: RunResult, contest: Contest) -> RunResult:
    if not is_settled(result):
        return result
    standings = _standings(job, contest, result.run_id, is_delivered=True)
    ending = None
    if standings.prompts and standings.undecided == standings.prompts:
        ending = Ending(
            f"no ranking: the labels tell no candidate of {standings.prompts:,} prompts from "
            "another; look at the judge's replies with judge runs, or take another judge",
            is_short=True,
        )
    return replace(result, standings=standings, ending=ending)


def _standings(job: PromptJob, contest: Contest, run_id: str, *, is_delivered: bool) -> "Standings":
    from judge.candidates.standings import (
        standings_of,  # numpy: only where there is something to rate
    )

    return standings_of(job.ledger, contest, run_id, is_delivered=is_delivered)


def _left_out(pairs: BestWorstPairs, result: RunResult) -> Ending | None:
    if not pairs.undecided:
        return None
    return Ending(
        f"left out {pairs.undecided:,} prompts: the first pass told none of their candidates from "
        "another; name another judge in first_pass, or raise rounds",
        is_short=not result.outcomes,
    )
