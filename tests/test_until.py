"""Until there are enough usable labels: how far each wave goes, and what ends a job."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import judge
from judge.candidates.generators import Generator
from judge.candidates.pairing import PairingRules
from judge.candidates.until import usable_in
from judge.candidates.waves import (
    FUTILE_PAIRS,
    FUTILE_PROMPTS,
    Harvest,
    Reach,
    first_reach,
    next_reach,
    why_futile,
)
from judge.errors import BudgetExceeded, ConfigError, InputError
from judge.inputs.intake import IntakeReport
from judge.job.desk import Stop
from judge.job.pipeline import RunResult
from judge.job.progress import Progress
from judge.outcomes.labels import Rule
from judge.settings.config import Endpoint, Judge, Run, Settings
from judge.simulator.server import running_simulator
from judge.simulator.settings import GENERATORS, MODEL, SimulatorSettings
from tests.fakes import rows

SMALL, LARGE = GENERATORS
PLAIN = SimulatorSettings(answer_words=40, reply_words=10, tie_rate=0.3)
EACH = 4
PAIRS = 6


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    return write_prompts(tmp_path / "prompts.jsonl", 20)


def write_prompts(path: Path, count: int) -> Path:
    lines = [{"prompt_id": f"q{n}", "prompt": f"Question number {n}?"} for n in range(count)]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


def told(base_url: str, **more: Any) -> Settings:
    """Settings of two generators of two candidates each and one judge, until so many labels."""
    run = {"rule": Rule.LENIENT, **more.pop("run", {})}
    writers = more.pop("generators", None) or tuple(
        Generator(model=model, name=name, n=2, max_tokens=200)
        for name, model in (("large", LARGE), ("small", SMALL))
    )
    return Settings(
        endpoints={"default": Endpoint(base_url=base_url, **more.pop("endpoint", {}))},
        generators=writers,
        judges=(Judge(model=MODEL, max_tokens=300),),
        run=Run.model_validate(run),
        pairing=PairingRules.model_validate(more.pop("pairing", {})),
    )


async def labelled(prompts: Path, settings: Settings, ledger: Path, **more: Any) -> RunResult:
    return await judge.arun(prompts, settings=settings, ledger=ledger, environ={}, **more)


def asked(ledger: Path) -> int:
    return len(rows(ledger, "judgments")) + len(rows(ledger, "generations"))


# How far to go: pure


@given(st.integers(1, 10_000), st.integers(1, 100))
def test_the_first_wave_cannot_give_more_labels_than_are_wanted(wanted: int, each: int) -> None:
    reach = first_reach(wanted, each)
    assert reach.level == 1
    assert reach.prompts >= 1
    assert reach.prompts == 1 or reach.prompts * each <= wanted


@given(st.integers(1, 5000), st.integers(1, 300), st.floats(0.05, 1), st.integers(1, 12))
def test_waves_come_to_what_is_wanted_with_little_beyond_it(
    wanted: int, prompts: int, rate: float, each: int
) -> None:
    """Where every prompt gives the same, no wave but the last prompt's goes beyond."""
    reach: Reach | None = first_reach(wanted, each)
    waves, usable = 0, 0
    while reach is not None and waves < 60:
        waves += 1
        usable = int(reach.prompts * each * rate)
        if usable >= wanted:
            break
        harvest = Harvest(pairs=reach.prompts * each, usable=usable, barren=0)
        reach = next_reach(reach, harvest, wanted=wanted, all_prompts=None, most_levels=1)
    assert usable >= wanted
    assert usable <= wanted + each + 1
    assert waves < 20


@given(st.integers(1, 50), st.integers(1, 4), st.integers(0, 500), st.integers(1, 1000))
def test_every_wave_goes_further_and_none_beyond_prompts_and_levels(
    prompts: int, levels: int, usable: int, further: int
) -> None:
    reach: Reach | None = Reach(1, 1)
    seen: list[Reach] = []
    while reach is not None:
        seen.append(reach)
        harvest = Harvest(pairs=usable + 1, usable=usable, barren=0)
        wanted = usable + further
        reach = next_reach(reach, harvest, wanted=wanted, all_prompts=prompts, most_levels=levels)
    assert seen == sorted(set(seen), key=lambda one: (one.level, one.prompts))
    assert seen[-1] == Reach(levels, prompts)
    assert all(one.prompts <= prompts for one in seen)


def test_a_level_adds_more_pairs_to_a_prompt_than_those_below() -> None:
    """100 prompts gave 300 usable labels at level 1; at level 2 each gives 3 times as many."""
    harvest = Harvest(pairs=600, usable=300, barren=0)
    following = next_reach(Reach(1, 100), harvest, wanted=390, all_prompts=100, most_levels=2)
    assert following == Reach(2, 10)


def test_a_job_gives_up_where_going_on_is_in_vain() -> None:
    assert why_futile(Harvest(FUTILE_PAIRS - 1, 0, 0)) is None
    assert "none of 100 pairs gave a usable label" in (
        why_futile(Harvest(FUTILE_PAIRS, 0, 0)) or ""
    )
    assert why_futile(Harvest(FUTILE_PAIRS, 1, FUTILE_PROMPTS - 1)) is None
    assert "gave no new pair" in (why_futile(Harvest(9, 9, FUTILE_PROMPTS)) or "")


def test_usable_is_what_names_one_answer_as_the_better() -> None:
    assert usable_in(Counter({"first": 3, "second": 4, "tie": 9, "undecided: unparsed": 1})) == 7


# End to end


async def test_it_answers_and_judges_until_there_are_enough(prompts: Path, ledger: Path) -> None:
    async with running_simulator(PLAIN) as simulator:
        result = await labelled(prompts, told(simulator.base_url, run={"until": 40}), ledger)
        assert simulator.stats.requests == asked(ledger), "nothing is asked twice"
    usable = usable_in(result.outcomes)
    assert 40 <= usable <= 40 + PAIRS
    assert result.ending is not None
    assert result.ending.words == f"{usable} of 40 usable labels: there are enough"
    assert (result.exit_code, result.ending.is_short) == (0, False)
    pairs = sum(result.outcomes.values())
    assert pairs % PAIRS == 0, "every prompt that was answered is judged whole"
    assert pairs < 20 * PAIRS, "not all prompts were needed"
    assert len(rows(ledger, "generations")) == pairs // PAIRS * EACH
    assert result.progress.judged == result.progress.total == pairs * 2


async def test_the_same_command_asks_nothing_and_more_labels_go_on_behind_it(
    prompts: Path, ledger: Path
) -> None:
    async with running_simulator(PLAIN) as simulator:
        few = told(simulator.base_url, run={"until": 20})
        first = await labelled(prompts, few, ledger)
        sent = simulator.stats.requests
        again = await labelled(prompts, few, ledger)
        assert simulator.stats.requests == sent
        assert (again.outcomes, again.run_id) == (first.outcomes, first.run_id)
        more = await labelled(prompts, told(simulator.base_url, run={"until": 50}), ledger)
        assert simulator.stats.requests == asked(ledger)
        fewer = await labelled(prompts, few, ledger)
    assert more.run_id == first.run_id
    assert 50 <= usable_in(more.outcomes) <= 50 + PAIRS
    assert fewer.outcomes == more.outcomes


@pytest.mark.parametrize("budget", [7, 40, 90])
async def test_a_budget_over_all_waves_and_jobs_is_kept_and_ends_it(
    prompts: Path, ledger: Path, budget: int
) -> None:
    async with running_simulator(PLAIN) as simulator:
        poor = told(simulator.base_url, run={"until": 60, "budget_requests": budget})
        for _ in range(2):
            result = await labelled(prompts, poor, ledger)
            assert isinstance(result.cause, BudgetExceeded)
            assert simulator.stats.requests == budget
        if result.is_judged:
            assert result.ending is not None
            assert "of 60 usable labels; ended by the budget" in result.ending.words
        rich = await labelled(prompts, told(simulator.base_url, run={"until": 60}), ledger)
        assert simulator.stats.requests == asked(ledger)
    assert result.exit_code == 4
    assert rich.exit_code == 0
    assert usable_in(rich.outcomes) >= 60


async def test_prompts_that_are_used_up_get_further_candidates_and_each_pair_once(
    prompts: Path, ledger: Path
) -> None:
    async with running_simulator(PLAIN) as simulator:
        settings = told(
            simulator.base_url, run={"until": 5000, "max_candidates_per_prompt": 3 * EACH}
        )
        result = await labelled(prompts, settings, ledger, limit=3)
        assert simulator.stats.requests == asked(ledger)
    assert len(rows(ledger, "generations")) == 3 * 12
    assert sum(result.outcomes.values()) == 3 * 12 * 11 // 2
    assert result.ending is not None
    assert "all 3 prompts are used up, with 12 candidates each" in result.ending.words
    assert "raise max_candidates_per_prompt" in result.ending.words
    assert result.exit_code == 1, "a stated number was not reached"


async def test_an_interrupted_job_goes_on_where_it_was(prompts: Path, ledger: Path) -> None:
    stop = Stop()

    def begin(progress: Progress, _: IntakeReport) -> None:
        note = progress.note_judgment

        def noted(*args: Any, **kwargs: Any) -> None:
            note(*args, **kwargs)
            if progress.kind != "generate" and progress.judged == 30:
                stop.request()

        progress.note_judgment = noted  # type: ignore[method-assign]

    async with running_simulator(PLAIN) as simulator:
        settings = told(simulator.base_url, run={"until": 40}, endpoint={"max_in_flight": 4})
        ended = await labelled(prompts, settings, ledger, stop=stop, on_start=begin)
        assert (ended.is_interrupted, ended.exit_code) == (True, 4)
        assert ended.ending is not None
        assert "ended by an interruption" in ended.ending.words
        result = await labelled(prompts, settings, ledger)
        assert simulator.stats.requests == asked(ledger)
    assert (result.exit_code, result.run_id) == (0, ended.run_id)
    assert 40 <= usable_in(result.outcomes) <= 40 + PAIRS


async def test_a_judge_that_never_decides_is_given_up_with_the_remedy(
    prompts: Path, ledger: Path
) -> None:
    undecided = PLAIN.model_copy(update={"tie_rate": 1.0})
    async with running_simulator(undecided) as simulator:
        result = await labelled(prompts, told(simulator.base_url, run={"until": 60}), ledger)
    assert result.ending is not None
    assert result.ending.words.startswith("0 of 60 usable labels; gave up: none of ")
    assert FUTILE_PAIRS <= sum(result.outcomes.values()) <= 2 * FUTILE_PAIRS
    assert result.exit_code == 1


async def test_generators_that_repeat_themselves_are_given_up_with_the_remedy(
    tmp_path: Path, ledger: Path
) -> None:
    many = write_prompts(tmp_path / "many.jsonl", 60)
    async with running_simulator(PLAIN) as simulator:
        cold = (Generator(model=SMALL, n=4, temperature=(0.0,), max_tokens=200),)
        settings = told(simulator.base_url, run={"until": 60}, generators=cold)
        result = await labelled(many, settings, ledger)
    assert result.ending is not None
    assert "gave no new pair, for their candidates equal earlier ones" in result.ending.words
    assert len(rows(ledger, "generations")) < 60 * 4


@pytest.mark.parametrize("pairing", [{"strategy": "swiss"}, {"strategy": "best_worst"}])
async def test_strategies_with_rounds_go_on_to_further_prompts(
    prompts: Path, ledger: Path, pairing: dict[str, str]
) -> None:
    async with running_simulator(PLAIN) as simulator:
        settings = told(simulator.base_url, run={"until": 4}, pairing=pairing)
        result = await labelled(prompts, settings, ledger, limit=8)
        assert simulator.stats.requests == asked(ledger)
        assert 4 <= usable_in(result.outcomes) <= 4 + PAIRS
        every = told(simulator.base_url, run={"until": 5000}, pairing=pairing)
        ended = await labelled(prompts, every, ledger, limit=8)
        assert simulator.stats.requests == asked(ledger)
    assert result.exit_code == 0
    assert ended.ending is not None
    assert "all 8 prompts are used up; add prompts" in ended.ending.words
    assert ended.standings is not None
    assert ended.standings.prompts == 8


async def test_until_is_for_prompts_in_a_file(tmp_path: Path, ledger: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"prompt": "Q?", "first": "a", "second": "b"}\n', encoding="utf-8")
    settings = told("http://127.0.0.1:9/v1", run={"until": 5})
    with pytest.raises(ConfigError, match="holds pairs, and until = 5 is for prompts"):
        await labelled(pairs, settings, ledger)


async def test_fewer_candidates_than_the_generators_write_are_refused(
    prompts: Path, ledger: Path
) -> None:
    run = {"until": 5, "max_candidates_per_prompt": 3}
    with pytest.raises(ConfigError, match="= 3 is less than the 4 that the generators write"):
        await labelled(prompts, told("http://127.0.0.1:9/v1", run=run), ledger)


async def test_a_bad_line_anywhere_is_told_before_anything_is_asked(
    prompts: Path, ledger: Path
) -> None:
    with prompts.open("a", encoding="utf-8") as file:
        file.write("{}\n")
    async with running_simulator(PLAIN) as simulator:
        with pytest.raises(InputError, match=r"prompts\.jsonl:21"):
            await labelled(prompts, told(simulator.base_url, run={"until": 5}), ledger)
        assert simulator.stats.requests == 0
