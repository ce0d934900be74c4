"""Whole jobs under every policy, against simulated judges: what is asked, stored and resumed."""

import asyncio
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import judge
from judge.cli.policy_words import policy_lines
from judge.cli.summary import opening_lines
from judge.job.pipeline import JobInput, RunResult, run_job
from judge.job.policy_figures import CascadeFigures, StopFigures
from judge.job.progress import Progress
from judge.job.run_listing import run_summaries
from judge.ledger.runs import find_run
from judge.ledger.store import Ledger
from judge.outcomes.labelling import count_outcomes, labelled_pairs, labelled_texts, name_outcome
from judge.policies.rules import PolicyName
from judge.records import Order, Status
from judge.settings.config import Endpoint, Judge, Run, Settings
from judge.simulator.server import running_simulator
from judge.simulator.settings import MODEL, SimulatorSettings
from tests.fakes import rows, write_pairs

PAIRS = 40


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return write_pairs(tmp_path / "pairs.jsonl", PAIRS)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


@asynccontextmanager
async def two_judges(**cheap: Any) -> AsyncIterator[tuple[Any, Any]]:
    """Yield a cheap judge that often flips and a strong one that rarely does."""
    flips = SimulatorSettings(accuracy=0.7, position_bias=0.3, shared_opinion=0.3, **cheap)
    steady = SimulatorSettings(accuracy=0.95, shared_opinion=0.9, seed=1)
    async with running_simulator(flips) as one, running_simulator(steady) as other:
        yield one, other


def cascade(cheap: Any, strong: Any, *, last: float | None = None, **run: Any) -> Settings:
    return Settings(
        endpoints={
            "one": Endpoint(base_url=cheap.base_url),
            "two": Endpoint(base_url=strong.base_url),
        },
        judges=(
            # By name the strong one would come first.
            Judge(name="z-cheap", endpoint="one", model=MODEL, accept_above=0.9),
            Judge(name="a-strong", endpoint="two", model=MODEL, max_tokens=2048, accept_above=last),
        ),
        run=Run(policy=PolicyName.CASCADE, **run),
    )


def one_judge(base_url: str, judge: Judge | None = None, **run: Any) -> Settings:
    return Settings(
        endpoints={"default": Endpoint(base_url=base_url)},
        judges=(judge or Judge(model=MODEL),),
        run=Run(**run),
    )


async def job(pairs: Path, settings: Settings, ledger: Path, **more: Any) -> RunResult:
    return await run_job(JobInput(str(pairs)), settings, ledger, environ={}, **more)


def asked(ledger: Path) -> Counter[tuple[Any, ...]]:
    return Counter((r["content_id"], r["judge_key"], r["order"], r["sample"]) for r in rows(ledger))


def check_labels(result: RunResult) -> None:
    """However the labels of a run are told, they are the same."""
    with Ledger(result.ledger, read_only=True) as reader:
        run = find_run(reader, result.run_id)
        by_pair = {pair.pair_id: label for pair, label in labelled_pairs(reader, run)}
        assert {pair.pair_id: label for pair, label in labelled_texts(reader, run)} == by_pair
        counted = Counter(name_outcome(label) for label in by_pair.values())
        assert count_outcomes(reader, run) == counted == result.outcomes


async def test_a_cascade_asks_the_strong_judge_only_where_the_cheap_one_flipped(
    pairs: Path, ledger: Path
) -> None:
    seen: list[Progress] = []
    async with two_judges() as (cheap, strong):
        settings = cascade(cheap, strong)
        result = await job(pairs, settings, ledger, on_start=lambda p, _: seen.append(p))
        requests = (cheap.stats.requests, strong.stats.requests)
    figures = result.policy
    assert isinstance(figures, CascadeFigures)
    first, second = figures.stages
    assert (first.judge, second.judge) == ("z-cheap", "a-strong")
    assert first.reached == PAIRS
    assert 0 < first.decided < PAIRS
    assert second.reached == second.decided == PAIRS - first.decided
    assert requests == (2 * PAIRS, 2 * second.reached)
    assert (first.judgments, second.judgments) == requests
    assert set(asked(ledger).values()) == {1}
    progress = result.progress
    assert progress.total == progress.done == sum(requests)
    assert progress.most == 4 * PAIRS
    assert result.outcomes.get("undecided: pending", 0) == 0
    assert result.exit_code == 0
    check_labels(result)
    assert f"up to {4 * PAIRS}" not in opening_lines(progress, settings, ledger)[-1]


async def test_the_opening_says_what_is_known_and_up_to_how_much(pairs: Path, ledger: Path) -> None:
    told: list[str] = []
    async with two_judges() as (cheap, strong):
        settings = cascade(cheap, strong)
        await job(
            pairs, settings, ledger,
            on_start=lambda p, _: told.extend(opening_lines(p, settings, ledger)),
        )  # fmt: skip
    assert told[-1].startswith("40 pairs in both orders, by a judge only where")
    assert "80 asks so far, up to 160: 80 to do" in told[-1]


async def test_other_thresholds_are_another_run_that_asks_nothing_again(
    pairs: Path, ledger: Path
) -> None:
    async with two_judges() as (cheap, strong):
        settings = cascade(cheap, strong)
        first = await job(pairs, settings, ledger)
        requests = cheap.stats.requests + strong.stats.requests
        again = await job(pairs, settings, ledger)
        stricter = settings.model_copy(
            update={
                "judges": (
                    settings.judges[0],
                    settings.judges[1].model_copy(update={"accept_above": 0.9}),
                )
            }
        )
        other = await job(pairs, stricter, ledger)
        assert cheap.stats.requests + strong.stats.requests == requests
    assert again.run_id == first.run_id != other.run_id
    assert again.outcomes == first.outcomes
    assert again.policy == first.policy
    figures = other.policy
    assert isinstance(figures, CascadeFigures)
    assert figures.left == other.outcomes.get("undecided: left to people", 0) > 0
    handoff = f"judge handoff --ledger {ledger} --n 0 --include undecided --out tasks.jsonl"
    assert any(line.endswith(handoff) for line in policy_lines(figures, ledger))
    check_labels(other)


async def test_a_failure_of_the_cheap_judge_goes_to_the_strong_one(
    pairs: Path, ledger: Path
) -> None:
    async with two_judges(unparsable_rate=0.4) as (cheap, strong):
        settings = cascade(cheap, strong, max_dropped=1.0)
        result = await job(pairs, settings, ledger)
        before = strong.stats.requests
        repeated = await job(pairs, settings, ledger, retry=frozenset({Status.UNPARSED}))
        assert strong.stats.requests == before
        assert cheap.stats.requests > 2 * PAIRS
    assert result.dropped > 0
    assert not any("unparsed" in name for name, n in result.outcomes.items() if n)
    assert repeated.dropped < result.dropped
    assert repeated.progress.pending == 0
    check_labels(repeated)


async def test_a_judge_that_cannot_be_reached_leaves_its_pairs_pending(
    pairs: Path, ledger: Path
) -> None:
    async with two_judges() as (cheap, strong):
        settings = cascade(cheap, strong)
        broken = settings.model_copy(
            update={"run": Run(policy=PolicyName.CASCADE, budget_requests=2 * PAIRS + 3)}
        )
        first = await job(pairs, broken, ledger)
        assert (first.exit_code, first.progress.done) == (4, 2 * PAIRS + 3)
        assert first.outcomes["undecided: pending"] > 0
        assert first.progress.pending > 0
        result = await job(pairs, settings, ledger)
    assert result.run_id == first.run_id
    assert result.progress.stored_before == 2 * PAIRS + 3
    assert result.outcomes.get("undecided: pending", 0) == 0
    assert set(asked(ledger).values()) == {1}


async def test_a_job_killed_in_the_second_stage_goes_on_there(
    pairs: Path, ledger: Path, tmp_path: Path
) -> None:
    flips = SimulatorSettings(accuracy=0.7, position_bias=0.5, shared_opinion=0.1)
    slow = SimulatorSettings(accuracy=0.95, seed=1, latency_s=0.15)
    async with running_simulator(flips) as cheap, running_simulator(slow) as strong:
        config = tmp_path / "judge.toml"
        config.write_text(_cascade_toml(cheap.base_url, strong.base_url))
        command = (sys.executable, "-m", "judge", "run", pairs, "--config", config,
                   "--ledger", ledger, "--quiet")  # fmt: skip
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        victim = await asyncio.create_subprocess_exec(*command, env=environ)
        async with asyncio.timeout(60):
            while strong.stats.requests < 5:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        victim.send_signal(signal.SIGKILL)
        await victim.wait()
        assert cheap.stats.requests == 2 * PAIRS
        again = await asyncio.create_subprocess_exec(*command, env=environ)
        assert await again.wait() == 0
        assert cheap.stats.requests == 2 * PAIRS
    assert set(asked(ledger).values()) == {1}
    with Ledger(ledger, read_only=True) as reader:
        counted = count_outcomes(reader, find_run(reader, "latest"))
    assert counted["undecided: pending"] == 0
    assert counted.total() == PAIRS


def _cascade_toml(cheap: str, strong: str) -> str:
    return f"""
        [endpoints.one]
        base_url = "{cheap}"
        [endpoints.two]
        base_url = "{strong}"
        max_in_flight = 4
        [[judges]]
        name = "cheap"
        endpoint = "one"
        model = "{MODEL}"
        accept_above = 0.9
        [[judges]]
        name = "strong"
        endpoint = "two"
        model = "{MODEL}"
        max_tokens = 2048
        [run]
        policy = "cascade"
    """


async def test_samples_are_asked_once_each_and_counted_as_asks(pairs: Path, ledger: Path) -> None:
    async with running_simulator(SimulatorSettings()) as simulator:
        warm = Judge(model=MODEL, temperature=0.7)
        few = one_judge(simulator.base_url, warm, policy=PolicyName.SAMPLES, samples=2)
        first = await job(pairs, few, ledger)
        assert simulator.stats.requests == first.progress.total == 4 * PAIRS
        more = one_judge(simulator.base_url, warm, policy=PolicyName.SAMPLES, samples=3)
        result = await job(pairs, more, ledger)
        assert simulator.stats.requests == 6 * PAIRS
        plain = await job(pairs, one_judge(simulator.base_url, warm), ledger)
        assert simulator.stats.requests == 6 * PAIRS
    assert (result.progress.stored_before, result.progress.judged) == (4 * PAIRS, 2 * PAIRS)
    assert result.progress.compared <= PAIRS
    assert plain.progress.total == plain.progress.stored_before == 2 * PAIRS
    assert set(asked(ledger).values()) == {1}
    assert {row["sample"] for row in rows(ledger)} == {0, 1, 2}
    for one in (first, result, plain):
        check_labels(one)
    with Ledger(ledger, read_only=True) as reader:
        for _, label in labelled_pairs(reader, find_run(reader, result.run_id)):
            assert len(label.judgments) == 6


async def test_failed_samples_are_dropped_asks_until_they_are_repeated(
    pairs: Path, ledger: Path
) -> None:
    flawed = SimulatorSettings(unparsable_rate=0.3)
    async with running_simulator(flawed) as simulator:
        settings = one_judge(
            simulator.base_url, Judge(model=MODEL, temperature=1.0),
            policy=PolicyName.SAMPLES, samples=3, max_dropped=1.0,
        )  # fmt: skip
        first = await job(pairs, settings, ledger)
        lacking = sum(row["verdict"] is None for row in rows(ledger))
        assert first.dropped == lacking > 0
        again = await job(pairs, settings, ledger, retry=frozenset({Status.UNPARSED}))
        assert simulator.stats.requests == 6 * PAIRS + lacking
    assert 0 < again.dropped < lacking
    assert again.progress.done == again.progress.total == 6 * PAIRS


async def test_samples_without_temperature_or_with_a_seed_are_warned_about(
    pairs: Path, ledger: Path
) -> None:
    async with running_simulator(SimulatorSettings()) as simulator:
        for one, cause in (
            (Judge(model=MODEL), "at temperature 0"),
            (Judge(model=MODEL, temperature=1.0, seed=3), "with a seed"),
            (Judge(model=MODEL, temperature=1.0), None),
        ):
            settings = one_judge(simulator.base_url, one, policy=PolicyName.SAMPLES, samples=2)
            result = await job(pairs, settings, ledger)
            found = [w for w in result.intake.warnings if "paid 2 times" in w]
            assert len(found) == (cause is not None)
            assert cause is None or cause in found[0]


async def test_early_stop_saves_second_orders_and_measures_the_price(
    pairs: Path, ledger: Path
) -> None:
    write_pairs(pairs, 120)
    async with running_simulator(SimulatorSettings(accuracy=0.8)) as simulator:
        letter = Judge(model=MODEL, prompt="verdict", max_tokens=8)
        settings = one_judge(
            simulator.base_url, letter,
            policy=PolicyName.EARLY_STOP, stop_above=0.75, audit_share=0.3,
        )  # fmt: skip
        result = await job(pairs, settings, ledger)
        requests = simulator.stats.requests
    figures = result.policy
    assert isinstance(figures, StopFigures)
    assert figures.without_probabilities == 0
    assert 0 < figures.stopped < 120
    assert requests == result.progress.total == 240 - figures.stopped
    assert figures.audited > 0
    assert figures.changed.n == figures.audited
    assert figures.changed.value is not None
    assert any("both orders would have changed" in line for line in policy_lines(figures, ledger))
    check_labels(result)
    report: Any = judge.agree(ledger=ledger).as_dict()
    (told,) = report["judges"].values()
    audited_in_both = told["consistency"]["n"]
    assert figures.audited <= audited_in_both < 120 - figures.stopped


async def test_early_stop_without_probabilities_asks_everything_and_says_so_once(
    pairs: Path, ledger: Path
) -> None:
    async with running_simulator(SimulatorSettings()) as simulator:
        settings = one_judge(simulator.base_url, policy=PolicyName.EARLY_STOP)
        result = await job(pairs, settings, ledger)
    assert isinstance(result.policy, StopFigures)
    assert result.policy.without_probabilities == PAIRS
    assert result.progress.total == 2 * PAIRS
    lines = [line for line in policy_lines(result.policy, ledger) if "probabilities" in line]
    assert len(lines) == 1


async def test_the_listing_and_the_report_know_the_policy(pairs: Path, ledger: Path) -> None:
    async with two_judges() as (cheap, strong):
        result = await job(pairs, cascade(cheap, strong), ledger)
    (summary,) = run_summaries(ledger)
    assert (summary.done, summary.pending) == (result.progress.total, 0)
    report: Any = judge.agree(ledger=ledger).as_dict()
    assert set(report["judges"]) == {"a-strong", "z-cheap", "cascade"}
    assert report["judges"]["cascade"]["counts"]["pending"] == 0


async def test_one_order_is_the_same_run_by_its_policy_or_by_its_rule(
    pairs: Path, ledger: Path
) -> None:
    async with running_simulator(SimulatorSettings()) as simulator:
        by_policy = one_judge(simulator.base_url, policy=PolicyName.SINGLE_ORDER)
        by_rule = one_judge(simulator.base_url, rule="single_random")
        first = await job(pairs, by_policy, ledger)
        again = await job(pairs, by_rule, ledger)
        assert simulator.stats.requests == PAIRS
    assert first.run_id == again.run_id
    assert {Order(row["order"]) for row in rows(ledger)} == set(Order)
    assert not re.search("up to", opening_lines(first.progress, by_policy, ledger)[-1])
    check_labels(again)
