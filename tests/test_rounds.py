"""Rounds end to end: each follows from stored labels, nothing is asked twice, kills change nothing.

Simulated generators and a simulated judge; the generator "large" truly wins 4 comparisons of 5.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import judge
from judge.candidates.generators import Generator
from judge.candidates.pairing import PairingRules
from judge.candidates.prompt_job import Part
from judge.errors import BudgetExceeded, LedgerError
from judge.inputs.intake import IntakeReport
from judge.job.desk import Stop
from judge.job.pipeline import RunResult
from judge.job.progress import Progress
from judge.ledger.runs import FIRST_PASS_RUN, ROUNDS_RUN, find_run, list_runs
from judge.ledger.store import Ledger
from judge.outcomes.exporting import ExportFormat, export_ledger
from judge.settings.config import Endpoint, Judge, Run, Settings
from judge.simulator.process import simulator_process
from judge.simulator.server import running_simulator
from judge.simulator.settings import GENERATORS, MODEL, SimulatorSettings
from tests.fakes import rows

SMALL, LARGE = GENERATORS
PLAIN = SimulatorSettings(answer_words=40, reply_words=10)
PROMPTS = 6
GENERATED = PROMPTS * 8
SWISS_ASKS = PROMPTS * 16 * 2


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    return write_prompts(tmp_path / "prompts.jsonl", PROMPTS)


def write_prompts(path: Path, count: int) -> Path:
    lines = [{"prompt_id": f"q{n}", "prompt": f"Question number {n}?"} for n in range(count)]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


def told(base_url: str, *judges: Judge, pairing: dict[str, Any], **more: Any) -> Settings:
    """Settings of two generators of four candidates each, and one judge or those given."""
    writers = more.pop("generators", None) or tuple(
        Generator(model=model, name=name, n=4, max_tokens=200)
        for name, model in (("large", LARGE), ("small", SMALL))
    )
    return Settings(
        endpoints={"default": Endpoint(base_url=base_url, **more.pop("endpoint", {}))},
        generators=writers,
        judges=judges or (Judge(model=MODEL, max_tokens=300),),
        pairing=PairingRules.model_validate(pairing),
        **more,
    )


async def labelled(prompts: Path, settings: Settings, ledger: Path, **more: Any) -> RunResult:
    return await judge.arun(prompts, settings=settings, ledger=ledger, environ={}, **more)


def judgments(ledger: Path) -> Counter[tuple[str, str, str, int]]:
    return Counter(
        (row["judge_key"], row["content_id"], row["order"], row["sample"])
        for row in rows(ledger, "judgments")
    )


def selected(ledger: Path, run_id: str) -> list[str]:
    return [row["pair_id"] for row in rows(ledger, "run_pairs") if row["run_id"] == run_id]


def rankings(result: RunResult) -> list[dict[str, Any]]:
    assert result.standings is not None
    assert result.standings.rankings is not None
    lines = result.standings.rankings.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


class Watching:
    """Notes the parts of a job, and ends it once so many judgments are stored."""

    def __init__(self, at: int | None = None) -> None:
        self.stop = Stop()
        self.words: list[str] = []
        self.runs: list[str] = []
        self._at = at

    def begin_part(self, part: Part) -> None:
        self.words.append(part.words)

    def begin(self, progress: Progress, _: IntakeReport) -> None:
        self.runs.append(progress.run_id)
        if progress.kind == "generate":
            return
        note = progress.note_judgment

        def noted(*args: Any, **kwargs: Any) -> None:
            note(*args, **kwargs)
            if progress.judged == self._at:
                self.stop.request()

        progress.note_judgment = noted  # type: ignore[method-assign]


def watched(watching: Watching) -> dict[str, Any]:
    return {
        "stop": watching.stop, "on_start": watching.begin, "on_part": watching.begin_part,
    }  # fmt: skip


# Swiss


async def test_swiss_judges_four_rounds_of_eight_candidates_and_ranks_them(
    prompts: Path, ledger: Path
) -> None:
    watching = Watching()
    async with running_simulator(PLAIN) as simulator:
        settings = told(simulator.base_url, pairing={"strategy": "swiss"})
        result = await labelled(prompts, settings, ledger, **watched(watching))
        assert simulator.stats.requests == GENERATED + SWISS_ASKS
    assert (result.exit_code, result.is_whole, result.progress.pending) == (0, True, 0)
    assert result.progress.total == result.progress.judged == SWISS_ASKS
    assert sum(result.outcomes.values()) == len(selected(ledger, result.run_id)) == PROMPTS * 16
    assert watching.words == ["", "round 2 of 4", "round 3 of 4", "round 4 of 4"]
    assert result.progress.compared == PROMPTS * 16, "flips are counted once over all rounds"
    ranked = rankings(result)
    assert [row["prompt_id"] for row in ranked] == [f"q{n}" for n in range(PROMPTS)]
    for row in ranked:
        strengths = [one["strength"] for one in row["ranking"]]
        assert len(strengths) == 8
        assert all(one >= other for one, other in pairwise(strengths))
        assert row["chosen"][0]["content"] == row["ranking"][0]["text"]
        assert row["rejected"][0]["content"] == row["ranking"][-1]["text"]


async def test_swiss_rates_the_generators_with_intervals_by_prompt(
    prompts: Path, ledger: Path
) -> None:
    async with running_simulator(PLAIN) as simulator:
        settings = told(simulator.base_url, pairing={"strategy": "swiss"})
        result = await labelled(prompts, settings, ledger)
    assert result.standings is not None
    ratings = result.standings.ratings
    assert list(ratings) == ["large", "small"]
    assert ratings["large"].value == pytest.approx(-(ratings["small"].value or 0))
    assert ratings["large"].low is not None
    assert ratings["large"].low < (ratings["large"].value or 0)
    assert result.standings.prompts == PROMPTS


async def test_one_generator_is_ranked_by_prompt_and_rated_against_nobody(
    prompts: Path, ledger: Path
) -> None:
    async with running_simulator(PLAIN) as simulator:
        alone = (Generator(model=SMALL, n=4, max_tokens=200),)
        settings = told(simulator.base_url, pairing={"strategy": "swiss"}, generators=alone)
        result = await labelled(prompts, settings, ledger)
    assert result.standings is not None
    assert result.standings.ratings == {}
    assert "one generator" in (result.standings.why or "")
    assert len(rankings(result)) == PROMPTS
    assert sum(result.outcomes.values()) == PROMPTS * 6, "three rounds of four are every pair"


async def test_the_same_command_again_asks_nothing_and_says_the_same(
    prompts: Path, ledger: Path
) -> None:
    async with running_simulator(PLAIN) as simulator:
        settings = told(simulator.base_url, pairing={"strategy": "swiss"})
        first = await labelled(prompts, settings, ledger)
        pairs, ranked = selected(ledger, first.run_id), rankings(first)
    again = await labelled(prompts, settings, ledger)
    assert (again.run_id, again.exit_code, again.progress.judged) == (first.run_id, 0, 0)
    assert again.outcomes == first.outcomes
    assert sorted(selected(ledger, first.run_id)) == sorted(pairs)
    assert rankings(again) == ranked
    assert again.standings == first.standings


@pytest.mark.parametrize("at", [PROMPTS * 8 - 5, PROMPTS * 8, PROMPTS * 16 + 9])
async def test_a_job_that_ends_in_any_round_goes_on_in_it(
    prompts: Path, ledger: Path, tmp_path: Path, at: int
) -> None:
    async with running_simulator(PLAIN) as simulator:
        settings = told(
            simulator.base_url, pairing={"strategy": "swiss"}, endpoint={"max_in_flight": 4}
        )
        await judge.agenerate(prompts, settings=settings, ledger=ledger, environ={})
        shutil.copy(ledger, tmp_path / "straight.db")
        straight = await labelled(prompts, settings, tmp_path / "straight.db")
        assert simulator.stats.requests == GENERATED + SWISS_ASKS
        watching = Watching(at)
        ended = await labelled(prompts, settings, ledger, **watched(watching))
        assert ended.is_interrupted
        assert at <= ended.progress.judged <= at + 4
        assert (ended.exit_code, ended.standings) == (4, None)
        result = await labelled(prompts, settings, ledger)
        assert simulator.stats.requests == GENERATED + 2 * SWISS_ASKS, "nothing is asked twice"
    assert result.run_id == ended.run_id == straight.run_id
    assert set(judgments(ledger)) == set(judgments(tmp_path / "straight.db"))
    assert set(judgments(ledger).values()) == {1}
    assert result.outcomes == straight.outcomes
    assert rankings(result) == rankings(straight)


async def test_a_budget_that_ends_in_round_2_is_kept_and_resumes_there(
    prompts: Path, ledger: Path
) -> None:
    budget = GENERATED + PROMPTS * 8 + 20
    async with running_simulator(PLAIN) as simulator:
        poor = told(
            simulator.base_url, pairing={"strategy": "swiss"}, run=Run(budget_requests=budget)
        )
        ended = await labelled(prompts, poor, ledger)
        assert isinstance(ended.cause, BudgetExceeded)
        assert ended.exit_code == 4
        assert simulator.stats.requests == budget
        await labelled(prompts, poor, ledger)
        assert simulator.stats.requests == budget, "a budget is one over all jobs"
        rich = told(simulator.base_url, pairing={"strategy": "swiss"})
        result = await labelled(prompts, rich, ledger)
        assert simulator.stats.requests == GENERATED + SWISS_ASKS
    assert (result.exit_code, result.run_id) == (0, ended.run_id)


async def test_a_run_between_two_rounds_is_the_latest_and_not_delivered_as_whole(
    prompts: Path, ledger: Path, tmp_path: Path
) -> None:
    async with running_simulator(PLAIN) as simulator:
        every = told(simulator.base_url, pairing={"strategy": "random", "per_prompt": 1})
        await labelled(prompts, every, ledger)
        settings = told(simulator.base_url, pairing={"strategy": "swiss"})
        ended = await labelled(prompts, settings, ledger, **watched(Watching(PROMPTS * 8 + 9)))
        with Ledger(ledger, read_only=True) as reader:
            run = find_run(reader, "latest")
        assert (run.run_id, run.kind, run.is_complete) == (ended.run_id, ROUNDS_RUN, False)
        with pytest.raises(LedgerError, match="further rounds follow; run the same judge run"):
            export_ledger(ledger, tmp_path / "x.jsonl", to=ExportFormat.TRL)
        await labelled(prompts, every, ledger)  # another run leaves it as it is
        with Ledger(ledger, read_only=True) as reader:
            assert find_run(reader, ended.run_id).kind == ROUNDS_RUN


async def test_replies_that_are_asked_again_lead_to_the_rounds_that_follow_from_them(
    prompts: Path, ledger: Path
) -> None:
    odd = PLAIN.model_copy(update={"unparsable_rate": 0.5, "faulty_sends": 1})
    async with running_simulator(odd) as simulator:
        settings = told(simulator.base_url, pairing={"strategy": "swiss"})
        first = await labelled(prompts, settings, ledger)
        assert first.exit_code == 3
        again = await labelled(prompts, settings, ledger, retry=["unparsed"])
        settled = await labelled(prompts, settings, ledger)
    assert again.progress.pending == 0
    assert again.outcomes.get("undecided: unparsed", 0) < first.outcomes["undecided: unparsed"]
    assert sum(again.outcomes.values()) == PROMPTS * 16, "pairs of rounds that fell away are gone"
    assert settled.outcomes == again.outcomes


async def test_a_judge_that_never_decides_ranks_nobody_and_is_said(
    prompts: Path, ledger: Path
) -> None:
    undecided = PLAIN.model_copy(update={"tie_rate": 1.0})
    async with running_simulator(undecided) as simulator:
        settings = told(simulator.base_url, pairing={"strategy": "swiss"})
        result = await labelled(prompts, settings, ledger)
    assert result.standings is not None
    assert (result.standings.undecided, rankings(result)) == (PROMPTS, [])
    assert result.ending is not None
    assert "no ranking: the labels tell no candidate of 6 prompts" in result.ending.words
    assert result.exit_code == 1


async def test_candidates_that_are_all_the_same_are_never_paired(
    prompts: Path, ledger: Path
) -> None:
    async with running_simulator(PLAIN) as simulator:
        cold = (Generator(model=SMALL, n=4, temperature=(0.0,), max_tokens=200),)
        settings = told(simulator.base_url, pairing={"strategy": "swiss"}, generators=cold)
        result = await labelled(prompts, settings, ledger)
    assert (result.is_judged, result.exit_code) == (False, 3)
    assert result.generated is not None
    assert result.generated.pairs.identical == PROMPTS * 3


# Best against worst


async def test_best_meets_worst_before_the_judges_after_a_first_pass_in_one_order(
    prompts: Path, ledger: Path
) -> None:
    watching = Watching()
    cheap = Judge(model=MODEL, name="cheap", prompt="pair", max_tokens=300)
    strong = Judge(model=MODEL, name="strong", max_tokens=300)
    async with running_simulator(PLAIN) as simulator:
        settings = told(
            simulator.base_url, cheap, strong,
            pairing={"strategy": "best_worst", "first_pass": "cheap"},
        )  # fmt: skip
        result = await labelled(prompts, settings, ledger, **watched(watching))
        assert simulator.stats.requests == GENERATED + PROMPTS * 16 + PROMPTS * 2
        again = await labelled(prompts, settings, ledger)
        assert simulator.stats.requests == GENERATED + PROMPTS * 16 + PROMPTS * 2
    assert (result.exit_code, again.exit_code) == (0, 0)
    assert sum(result.outcomes.values()) == PROMPTS
    assert watching.words == [
        "first pass", "first pass, round 2 of 4", "first pass, round 3 of 4",
        "first pass, round 4 of 4", "best against worst",
    ]  # fmt: skip
    with Ledger(ledger, read_only=True) as reader:
        runs = {run.run_id: run for run in list_runs(reader)}
        assert find_run(reader, "latest").run_id == result.run_id
    (first,) = [run for run in runs.values() if run.kind == FIRST_PASS_RUN]
    assert [one.name for one in first.judges] == ["cheap"]
    assert [one.name for one in runs[result.run_id].judges] == ["strong"]
    assert result.standings is not None
    assert list(result.standings.ratings) == ["large", "small"]


async def test_neighbours_of_best_and_worst_are_judged_within_the_margin(
    prompts: Path, ledger: Path
) -> None:
    async with running_simulator(PLAIN) as simulator:
        settings = told(simulator.base_url, pairing={"strategy": "best_worst", "margin": 1})
        result = await labelled(prompts, settings, ledger)
    assert sum(result.outcomes.values()) == PROMPTS * 3
    assert result.exit_code == 0


async def test_two_candidates_need_no_first_pass(prompts: Path, ledger: Path) -> None:
    async with running_simulator(PLAIN) as simulator:
        two = (Generator(model=SMALL, n=2, max_tokens=200),)
        settings = told(simulator.base_url, pairing={"strategy": "best_worst"}, generators=two)
        result = await labelled(prompts, settings, ledger)
        assert simulator.stats.requests == PROMPTS * 2 + PROMPTS * 2
    assert sum(result.outcomes.values()) == PROMPTS


async def test_a_first_pass_that_tells_nobody_apart_leaves_prompts_out_and_says_so(
    prompts: Path, ledger: Path
) -> None:
    undecided = PLAIN.model_copy(update={"tie_rate": 1.0})
    async with running_simulator(undecided) as simulator:
        settings = told(simulator.base_url, pairing={"strategy": "best_worst"})
        result = await labelled(prompts, settings, ledger)
        assert simulator.stats.requests == GENERATED + PROMPTS * 16
    assert result.ending is not None
    assert result.ending.words.startswith("left out 6 prompts: the first pass told none")
    assert (sum(result.outcomes.values()), result.exit_code) == (0, 1)


async def test_a_budget_covers_candidates_first_pass_and_what_follows(
    prompts: Path, ledger: Path
) -> None:
    budget = GENERATED + PROMPTS * 16 + 5
    async with running_simulator(PLAIN) as simulator:
        poor = told(
            simulator.base_url, pairing={"strategy": "best_worst"}, run=Run(budget_requests=budget)
        )
        for _ in range(2):
            ended = await labelled(prompts, poor, ledger)
            assert isinstance(ended.cause, BudgetExceeded)
            assert simulator.stats.requests == budget
    assert ended.progress.done == 5 + reused(ledger, ended.run_id)


def reused(ledger: Path, run_id: str) -> int:
    """Judgments of the first pass on pairs that are judged in both orders later."""
    chosen = {r["content_id"] for r in rows(ledger, "run_pairs") if r["run_id"] == run_id}
    return sum(
        row["content_id"] in chosen and row["run_id"] != run_id for row in rows(ledger, "judgments")
    )


# Killed


def test_a_process_killed_in_round_2_goes_on_there_and_repeats_only_what_was_in_flight(
    prompts: Path, ledger: Path, tmp_path: Path
) -> None:
    straight = tmp_path / "straight.db"
    config = tmp_path / "judge.toml"
    with simulator_process(PLAIN.model_copy(update={"latency_s": 0.01})) as simulator:
        config.write_text(
            f'[endpoints.default]\nbase_url = "{simulator.base_url}"\nmax_in_flight = 4\n'
            f'[[judges]]\nmodel = "{MODEL}"\nmax_tokens = 300\n'
            f'[[generators]]\nmodel = "{LARGE}"\nname = "large"\nn = 4\nmax_tokens = 200\n'
            f'[[generators]]\nmodel = "{SMALL}"\nname = "small"\nn = 4\nmax_tokens = 200\n'
            '[pairing]\nstrategy = "swiss"\n',
            encoding="utf-8",
        )
        judge.generate(prompts, config=config, ledger=ledger, environ={})
        shutil.copy(ledger, straight)
        command = [sys.executable, "-m", "judge", "run", str(prompts), "--config", str(config)]
        process = subprocess.Popen(
            [*command, "--ledger", str(ledger)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(Path(judge.__file__).parents[1])},
        )
        kill_after(process, ledger, PROMPTS * 16 // 2 + PROMPTS)
        before = judgments(ledger)
        assert 0 < len(before) < SWISS_ASKS
        result = judge.run(prompts, config=config, ledger=ledger, environ={})
        unbroken = judge.run(prompts, config=config, ledger=straight, environ={})
    assert (result.exit_code, result.run_id) == (0, unbroken.run_id)
    assert set(before) <= set(judgments(ledger)) == set(judgments(straight))
    assert result.progress.judged == SWISS_ASKS - len(before)
    assert rankings(result) == rankings(unbroken)


def kill_after(process: "subprocess.Popen[bytes]", ledger: Path, count: int) -> None:
    """Kill a process once it has stored so many judgments."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "it ended before it could be killed"
        if ledger.exists() and stored(ledger) >= count:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(30)


def stored(ledger: Path) -> int:
    try:
        return len(rows(ledger, "judgments"))
    except sqlite3.OperationalError:
        return 0  # its tables are not there yet
