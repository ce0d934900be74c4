"""Answering and judging prompts in waves until there are enough usable labels: `--until`.

How far a job has come is what its runs select: nothing else is kept. The same command goes on
from there, whatever ended it, and one that wants more labels goes on behind it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

from judge.candidates.generating import GenerateResult, Wave
from judge.candidates.generation import Slot
from judge.candidates.level_pairs import LevelPairs
from judge.candidates.pairing import Strategy
from judge.candidates.prompt_job import (
    PromptJob,
    contest_of,
    judge_candidates,
    judging_runs,
    may_go_on,
    source_run_id,
    unjudged,
)
from judge.candidates.ready_generators import generation_run_id, resolved_generators
from judge.candidates.rounds import Contest
from judge.candidates.waves import (
    MOST_LEVELS,
    Ending,
    Harvest,
    Reach,
    first_reach,
    next_reach,
    why_futile,
)
from judge.errors import BudgetExceeded, ConfigError, EndpointError, EvenhandError, InputError
from judge.job.pipeline import RunResult
from judge.ledger.candidates import count_selected
from judge.ledger.runs import list_runs
from judge.ledger.store import Ledger
from judge.prices.accounts import generation_account, judging_account
from judge.prices.budget import Spending
from judge.records import Outcome
from judge.settings.config import Settings


@dataclass(frozen=True, slots=True)
class _Level:
    """So many times what the generators are set to write."""

    settings: Settings
    contest: Contest


@dataclass(slots=True)
class _Account:
    """What the parts of the job have spent, each counted once."""

    generated: list[Spending]
    """By level."""
    judged: Spending

    def before(self, level: int) -> Spending:
        """Return what all parts but the generation of a level have spent."""
        others = [paid for at, paid in enumerate(self.generated, 1) if at != level]
        return reduce(add, others, self.judged)

    @property
    def all_generated(self) -> Spending:
        return reduce(add, self.generated)


async def label_until(job: PromptJob, wanted: int) -> RunResult:
    """Answer and judge prompts in waves until so many labels are usable; return how it went.

    Ends as well where the budget, the prompts or the candidates per prompt are used up, and where
    going on would be in vain; `RunResult.ending` says which. Raises ConfigError and InputError.
    """
    if job.input.path == "-":
        raise InputError("--until needs a file of prompts: it is read again for every wave")
    waves = _Waves(job, wanted)
    reach: Reach | None = waves.begin()
    while reach is not None:
        reach = await waves.play(reach)
    assert waves.result is not None  # every way out of a wave sets it
    return waves.result


class _Waves:
    """Plays one wave after the other, and keeps what they come to."""

    def __init__(self, job: PromptJob, wanted: int) -> None:
        self.result: RunResult | None = None
        self._job = job
        self._wanted = wanted
        self._levels = _levels(job)
        self._account = _Account([Spending() for _ in self._levels], Spending())
        self._harvest = Harvest(0, 0, 0)
        self._reached: Reach | None = None
        self._all_prompts: int | None = None
        """None until the last prompt was met."""

    def begin(self) -> Reach:
        """Return where an earlier job ended, or where to begin."""
        settings = self._job.settings
        stored: Reach | None = None
        if self._job.ledger.exists():
            with Ledger(self._job.ledger, read_only=True) as reader:
                for number, level in enumerate(self._levels, 1):
                    run_id = level.contest.run_id
                    self._account.generated[number - 1] = generation_account(
                        reader, run_id, level.settings
                    ).budget.spent
                    if reached := count_selected(reader, run_id):
                        self._all_prompts = stored.prompts if stored is not None else None
                        stored = Reach(number, reached)
                self._account.judged = _judged(reader, self._job, self._levels[0].contest)
        return stored or first_reach(self._wanted, _pairs_each(settings))

    async def play(self, reach: Reach) -> Reach | None:
        """Answer and judge up to a reach; return how far to go next, or None where that is all."""
        job, level = self._job, self._levels[reach.level - 1]
        before = self._account.before(reach.level)
        generated = await job.generate(level.settings, wave=Wave(reach.prompts, before))
        self._account.generated[reach.level - 1] = generated.spent.beyond(before)
        if generated.progress.pending or job.stop.event.is_set():
            self._end_generating(generated)
            return None
        reached = self._met(reach)
        result = await self._judge(replace(generated, spent=self._account.all_generated), reach)
        self._account.judged = result.spent.beyond(self._account.all_generated)
        if self.result is not None:
            result.progress.carry_over(self.result.progress)
            result = replace(result, seconds=result.seconds + self.result.seconds)
        self.result = result
        pairs, usable = sum(result.outcomes.values()), usable_in(result.outcomes)
        barren = 0 if pairs > self._harvest.pairs else self._harvest.barren + self._added(reached)
        self._harvest, self._reached = Harvest(pairs, usable, barren), reached
        if not may_go_on(result, job.stop):
            self._end(self._stopped(result))
            return None
        return self._next(reached)

    def _next(self, reach: Reach) -> Reach | None:
        """Return how far to go next; where that is all, the result says why."""
        harvest, wanted = self._harvest, self._wanted
        if harvest.usable >= wanted:
            self._end(Ending(f"{self._count()}: there are enough", is_short=False))
            return None
        if (why := why_futile(harvest)) is not None:
            self._end(Ending(f"{self._count()}; gave up: {why}", is_short=True))
            return None
        following = next_reach(
            reach, harvest, wanted=wanted, all_prompts=self._all_prompts,
            most_levels=len(self._levels),
        )  # fmt: skip
        if following is None:
            self._end(Ending(f"{self._count()}; {self._used_up()}", is_short=True))
            return None
        level = self._levels[following.level - 1]
        each = len(level.contest.slots)
        self._job.tell(
            f"{self._count()}; going on to {following.prompts:,} prompts with {each:,} candidates",
            level.settings,
        )
        return following

    def _added(self, reach: Reach) -> int:
        """Return how many prompts a wave has added to its level."""
        earlier = self._reached
        is_same = earlier is not None and earlier.level == reach.level
        return reach.prompts - (earlier.prompts if earlier is not None and is_same else 0)

    def _met(self, reach: Reach) -> Reach:
        """Return how far a wave really went: there may be fewer prompts than it was for."""
        with Ledger(self._job.ledger, read_only=True) as reader:
            met = count_selected(reader, self._levels[reach.level - 1].contest.run_id)
        if met < reach.prompts:
            self._all_prompts = met
        return replace(reach, prompts=met)

    async def _judge(self, generated: GenerateResult, reach: Reach) -> RunResult:
        contests = [level.contest for level in self._levels[: reach.level]]
        if contests[0].rules.has_rounds:
            return await judge_candidates(self._job, generated, contests[0])
        return await self._job.judge_source(LevelPairs(contests), generated)

    def _end_generating(self, generated: GenerateResult) -> None:
        if self.result is None:
            self.result = unjudged(generated, self._job.settings)
            return
        self.result = replace(
            self.result,
            cause=generated.cause or _why_pending(generated),
            is_interrupted=generated.is_interrupted,
        )
        self._end(self._stopped(self.result))

    def _end(self, ending: Ending) -> None:
        assert self.result is not None
        self.result = replace(self.result, ending=ending)

    def _stopped(self, result: RunResult) -> Ending:
        by = "an early end"
        if isinstance(result.cause, BudgetExceeded):
            by = "the budget"
        elif result.is_interrupted:
            by = "an interruption"
        return Ending(f"{self._count()}; ended by {by}", is_short=True)

    def _count(self) -> str:
        return f"{self._harvest.usable:,} of {self._wanted:,} usable labels"

    def _used_up(self) -> str:
        prompts = f"all {self._all_prompts or 0:,} prompts"
        if self._levels[0].contest.rules.has_rounds:
            return f"{prompts} are used up; add prompts"
        most = len(self._levels[-1].contest.slots)
        return (
            f"{prompts} are used up, with {most:,} candidates each; add prompts, or raise "
            "max_candidates_per_prompt"
        )


def usable_in(outcomes: Mapping[str, int]) -> int:
    """Return how many of the labels name one answer as the better."""
    return outcomes.get(Outcome.FIRST, 0) + outcomes.get(Outcome.SECOND, 0)


def _levels(job: PromptJob) -> list[_Level]:
    settings = job.settings
    each = sum(generator.n for generator in settings.generators)
    most = settings.run.max_candidates_per_prompt or MOST_LEVELS * each
    if most < each:
        raise ConfigError(
            f"max_candidates_per_prompt = {most} is less than the {each} that the generators "
            "write; raise it, or lower their n"
        )
    levels: list[_Level] = []
    slots: list[Slot] = []
    for number in range(1, 1 + (1 if settings.pairing.has_rounds else most // each)):
        more = tuple(g.model_copy(update={"n": number * g.n}) for g in settings.generators)
        chosen = settings.model_copy(update={"generators": more})
        generators = resolved_generators(chosen)
        run_id = generation_run_id(job.input.path, job.input.selection, generators, in_waves=True)
        contest = contest_of(run_id, chosen)
        slots += [slot for slot in contest.slots if slot not in slots]
        levels.append(_Level(chosen, replace(contest, slots=tuple(slots))))
    return levels


def _judged(reader: Ledger, job: PromptJob, contest: Contest) -> Spending:
    """Return what earlier jobs have spent on judging."""
    ids = (
        judging_runs(job, contest)
        if contest.rules.has_rounds
        else [source_run_id(job.input, LevelPairs([contest]), job.settings)]
    )
    found = [run for run in list_runs(reader) if run.run_id in ids]
    paid = (judging_account(reader, run, job.settings).budget.spent for run in found)
    return reduce(add, paid, Spending())


def _pairs_each(settings: Settings) -> float:
    """Return the most pairs that a prompt can give at the first level."""
    players, rules = sum(generator.n for generator in settings.generators), settings.pairing
    possible = players * (players - 1) // 2
    if rules.strategy is Strategy.BEST_WORST:
        return min(possible, (rules.margin + 1) * (rules.margin + 2) // 2)
    return min(possible, rules.per_prompt or possible)


def _why_pending(generated: GenerateResult) -> EvenhandError | None:
    """Return why candidates are missing though nothing ended the job."""
    if not generated.progress.pending or generated.is_interrupted:
        return None
    reasons = generated.progress.deferred.most_common(1)
    why = reasons[0][0] if reasons else "an endpoint gave no answer"
    return EndpointError(f"{generated.progress.pending:,} candidates are missing: {why}")
