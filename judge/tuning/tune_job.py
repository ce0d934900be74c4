"""Tuning from end to end: try a grid on the dev split, then look at the test split once."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from pydantic_core import to_json

from calibration.compare import Metric
from judge.atomic import atomic_writer
from judge.errors import ConfigError
from judge.formats.pairs import pair_row
from judge.inputs.intake import IntakeReport
from judge.job.desk import Stop
from judge.job.judging import resolve_judge
from judge.job.pipeline import JobInput, RunResult, run_job
from judge.job.progress import Progress
from judge.ledger.runs import find_run
from judge.ledger.store import Ledger
from judge.policies.rules import PolicyName
from judge.prices.budget import Spending
from judge.settings.config import Run, Settings
from judge.trust.audit import Gathered, gather_in
from judge.trust.column_comparison import compare_gathered
from judge.trust.comparing import look_of
from judge.trust.comparison import ComparisonSettings, JudgeComparison
from judge.trust.contenders import Contender
from judge.trust.gold_split import DEFAULT_SHARE, Split
from judge.trust.looking import note_look
from judge.tuning.example_drawing import MAX_CHARS, VotedPair, draw_few_shots
from judge.tuning.tune_material import LEAST_PROMPTS, Material, material_of, n_prompts, read_voted
from judge.tuning.tuning import Standing, Tuned, standings_of, stays
from judge.tuning.tuning_grid import Grid, Variant, table_of, variants_of

OnStart = Callable[[Progress, IntakeReport], None]


@dataclass(frozen=True, slots=True)
class TuneQuestion:
    """What is tuned, and how."""

    pairs: str
    grid: Grid
    gold: str | None = None
    """File of the votes; the ledger's where None."""
    metric: Metric = Metric.S1
    share: float = DEFAULT_SHARE
    """Of the prompts that the test split takes."""
    seed: int = 0
    """Of the drawing of examples."""
    is_race: bool = False
    """Drop variants that are surely worse after a third of the dev prompts."""
    max_chars: int = MAX_CHARS
    """Of the texts of one example."""


@dataclass(frozen=True, slots=True)
class TuneResult:
    """How tuning ended. `tuned` is None where asking ended early; the same command resumes."""

    tuned: Tuned | None
    run: RunResult
    """The last job that asked."""
    table: str | None = None
    """The winner as a [[judges]] table."""
    examples: Path | None = None
    """File of the examples that were drawn; None where none are tried."""

    @property
    def is_better(self) -> bool:
        return self.tuned is not None and self.tuned.is_better

    @property
    def exit_code(self) -> int:
        return 0 if self.tuned is not None else self.run.exit_code or 130


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is known before anything is asked."""

    settings: Settings
    """With a policy that asks every judge the same."""
    variants: tuple[Variant, ...]
    material: Material
    examples: Path | None

    def asking(self, variants: Sequence[Variant], spent: Spending | None = None) -> Settings:
        """Return the settings under which these variants are asked, within what budget is left."""
        run = self.settings.run if spent is None else _left(self.settings.run, spent)
        judges = tuple(variant.judge for variant in variants)
        return self.settings.model_copy(update={"judges": judges, "run": run})


def prepare_tuning(
    question: TuneQuestion, settings: Settings, ledger: Path, *, folder: Path
) -> Prepared:
    """Return the variants and the pairs, having written the examples into `folder`.

    Raises ConfigError and InputError where the votes, the grid or the settings do not do.
    """
    if not settings.judges:
        raise ConfigError("no judge is set; add a [[judges]] table to the config or give --model")
    if settings.run.policy not in (PolicyName.BOTH_ORDERS, PolicyName.SAMPLES, PolicyName.PANEL):
        raise ConfigError(
            f'tuning asks every judge the same, which the policy "{settings.run.policy}" does not; '
            'set policy = "both_orders" for tuning'
        )
    voted = read_voted(question.pairs, ledger, question.gold)
    bare = question.grid.model_copy(update={"few_shots": ()})
    plain = variants_of(settings, bare, None, needs_others=False)
    shots = draw_few_shots(
        voted,
        question.grid.most_few_shots,
        share=question.share,
        seed=question.seed,
        with_ties=all(_allows_tie(variant, settings) for variant in plain),
        max_chars=question.max_chars,
    )
    material = material_of(voted, shots, share=question.share)
    examples = None
    if shots:
        text = b"".join(to_json(shot.row) + b"\n" for shot in shots)
        examples = folder / f"few-shots-{sha256(text).hexdigest()[:8]}.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_writer(examples) as file:
            file.write(text)
    variants = variants_of(settings, question.grid, str(examples) if examples else None)
    run = settings.run.model_copy(update={"quorum": None, "until": None})
    return Prepared(settings.model_copy(update={"run": run}), variants, material, examples)


async def tune_job(
    question: TuneQuestion,
    settings: Settings,
    ledger: Path,
    *,
    stop: Stop | None = None,
    on_start: OnStart | None = None,
    environ: Mapping[str, str] = os.environ,
) -> TuneResult:
    """Try the grid on the dev split and compare the winner with the incumbent on the test split.

    Asks only pairs with votes, resumes by itself, and keeps its files beside the ledger. Raises
    ConfigError, InputError and LedgerError; endpoint trouble is in the result.
    """
    prepared = await asyncio.to_thread(
        prepare_tuning, question, settings, ledger, folder=ledger.parent
    )
    job = _Job(question, prepared, ledger, stop or Stop(), on_start, environ)
    return await job.run()


@dataclass(slots=True)
class _Job:
    question: TuneQuestion
    prepared: Prepared
    ledger: Path
    stop: Stop
    on_start: OnStart | None
    environ: Mapping[str, str]
    spent: Spending = field(default_factory=Spending)

    async def run(self) -> TuneResult:
        material, incumbent = self.prepared.material, self.prepared.variants[0]
        left: tuple[Standing, ...] = ()
        variants = self.prepared.variants
        first = _first_slice(material.dev) if self.question.is_race else ()
        if first:
            result = await self._ask("tune-race", first, variants)
            if _is_early(result):
                return TuneResult(None, result, examples=self.prepared.examples)
            found = await self._standings(result, variants)
            left = tuple(
                replace(one, left_after=n_prompts(first))
                for one in found
                if not stays(one, found[0], incumbent)
            )
            gone = {one.variant.judge_key for one in left}
            variants = tuple(one for one in variants if one.judge_key not in gone)
        result = await self._ask("tune-dev", material.dev, variants)
        if _is_early(result):
            return TuneResult(None, result, examples=self.prepared.examples)
        tuned = Tuned(
            self.question.metric,
            (*await self._standings(result, variants), *left),
            incumbent,
            material.dev_prompts,
            material.shown,
        )
        if tuned.is_changed:
            result = await self._ask("tune-test", material.test, (incumbent, tuned.winner))
            if _is_early(result):
                return TuneResult(None, result, examples=self.prepared.examples)
            tuned = replace(tuned, test=await asyncio.to_thread(self._tested, result, tuned))
        judge, base = tuned.winner.judge, tuned.winner.base
        name = f"{base} tuned" if tuned.is_changed else base
        return TuneResult(tuned, result, table_of(judge, name), self.prepared.examples)

    async def _ask(
        self, part: str, voted: Sequence[VotedPair], variants: Sequence[Variant]
    ) -> RunResult:
        path = self.ledger.with_suffix(f".{part}.jsonl")
        write_pairs(path, voted)
        result = await run_job(
            JobInput(str(path)),
            self.prepared.asking(variants, self.spent),
            self.ledger,
            stop=self.stop,
            on_start=self.on_start,
            environ=self.environ,
        )
        self.spent += result.spent
        return result

    async def _standings(
        self, result: RunResult, variants: Sequence[Variant]
    ) -> tuple[Standing, ...]:
        incumbent, metric = self.prepared.variants[0], self.question.metric

        def stand() -> tuple[Standing, ...]:
            return standings_of(self._gathered(result), variants, incumbent, metric)

        return await asyncio.to_thread(stand)

    def _gathered(self, result: RunResult) -> Gathered:
        with Ledger(self.ledger, read_only=True) as ledger:
            return gather_in(ledger, find_run(ledger, result.run_id), gold=self.question.gold)

    def _tested(self, result: RunResult, tuned: Tuned) -> JudgeComparison:
        gathered = self._gathered(result)
        contenders = [
            Contender(one.name, gathered.run, one.name) for one in (tuned.incumbent, tuned.winner)
        ]
        asked = ComparisonSettings(self.question.metric, Split.TEST, self.question.share)
        found = compare_gathered(contenders, {gathered.run.run_id: gathered}, asked)
        return replace(found, look=note_look(self.ledger, look_of(found, command="tune")))


def write_pairs(path: Path, voted: Sequence[VotedPair]) -> None:
    """Write pairs as an input of a run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_writer(path) as file:
        for one in voted:
            file.write_row(to_json(pair_row(one.pair)))


def _first_slice(dev: Sequence[VotedPair]) -> tuple[VotedPair, ...]:
    """Return the pairs of a third of the prompts; none where that is too few to drop anybody."""
    ids = list(dict.fromkeys(one.pair.prompt.prompt_id for one in dev))
    first = set(ids[: max(LEAST_PROMPTS, len(ids) // 3)])
    if len(first) == len(ids):
        return ()
    return tuple(one for one in dev if one.pair.prompt.prompt_id in first)


def _allows_tie(variant: Variant, settings: Settings) -> bool:
    return resolve_judge(variant.judge, settings.endpoint_of(variant.judge)).prompt.allows_tie


def _is_early(result: RunResult) -> bool:
    return bool(result.cause is not None or result.is_interrupted or result.progress.pending)


def _left(run: Run, spent: Spending) -> Run:
    """Return the settings with what earlier jobs have spent taken from the budgets."""
    update: dict[str, int | float] = {}
    if run.budget_requests is not None:
        update["budget_requests"] = max(run.budget_requests - spent.requests, 0)
    if run.budget_tokens is not None:
        update["budget_tokens"] = max(run.budget_tokens - spent.tokens, 0)
    if run.budget_usd is not None:
        update["budget_usd"] = max(run.budget_usd - spent.usd, 0.0)
    return run.model_copy(update=update)
