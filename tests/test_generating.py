"""Generating end to end: candidates once each, pairs derived from them, then judged; it resumes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

import judge
from judge.candidates.generating import GenerateResult
from judge.candidates.generators import Generator
from judge.candidates.pairing import PairingRules, Strategy
from judge.cli.progress_line import progress_line
from judge.cli.summary import early_end
from judge.errors import AccountError, BudgetExceeded, ConfigError, InputError, UnreachableError
from judge.formats.lines import Line
from judge.formats.pairs import read_pairs
from judge.formats.prompts import prompt_row
from judge.inputs.intake import IntakeReport
from judge.job.desk import Stop
from judge.job.pipeline import RunResult
from judge.job.progress import Progress
from judge.ledger.runs import list_runs
from judge.ledger.store import Ledger
from judge.prices.budget import Spending
from judge.prices.pricing import Price
from judge.records import Message, Pair, Prompt
from judge.settings.config import Endpoint, Judge, Run, Settings
from judge.simulator.process import simulator_process
from judge.simulator.server import Simulator, running_simulator
from judge.simulator.settings import GENERATORS, MODEL, AccountFault, SimulatorSettings
from tests.fakes import Sent, completion, failure, in_virtual_time, rows, scripted_server

SMALL, LARGE = GENERATORS
PLAIN = SimulatorSettings(answer_words=60, reply_words=20)
PRICES = {
    name: Price(input_per_million=1.0, output_per_million=10.0) for name in (MODEL, SMALL, LARGE)
}


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    return write_prompts(tmp_path / "prompts.jsonl", 12)


def write_prompts(path: Path, count: int) -> Path:
    lines = [{"prompt_id": f"q{n}", "prompt": f"Question number {n}?"} for n in range(count)]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


def writer(**given: Any) -> Generator:
    return Generator.model_validate({"model": SMALL, "n": 2, "max_tokens": 200, **given})


def told(base_url: str, *generators: Generator, **more: Any) -> Settings:
    """Settings of two generators, or of those given, and one judge at one address."""
    endpoint = Endpoint(base_url=base_url, **more.pop("endpoint", {}))
    return Settings(
        endpoints={"default": endpoint},
        generators=generators or (writer(), writer(model=LARGE)),
        judges=(Judge(model=MODEL, max_tokens=300),),
        **more,
    )


async def generated(
    prompts: Path, settings: Settings, ledger: Path, **more: Any
) -> tuple[GenerateResult, list[Pair]]:
    """How a generation went, and the pairs that it wrote."""
    result = await judge.agenerate(prompts, settings=settings, ledger=ledger, environ={}, **more)
    return result, [] if result.out is None else pairs_in(result.out)


async def labelled(prompts: Path, settings: Settings, ledger: Path, **more: Any) -> RunResult:
    return await judge.arun(prompts, settings=settings, ledger=ledger, environ={}, **more)


def pairs_in(path: Path) -> list[Pair]:
    if not path.stat().st_size:
        return []
    lines = list(read_pairs(path))
    assert all(isinstance(line, Line) for line in lines)
    return [line.record for line in lines if isinstance(line, Line)]


def stored(ledger: Path) -> Counter[tuple[str, str, int]]:
    return Counter(
        (row["prompt_key"], row["generator_key"], row["sample"])
        for row in rows(ledger, "generations")
    )


class StopAfter:
    """Ends a job once so many replies of the wanted kind are stored."""

    def __init__(self, count: int, kind: str = "generate") -> None:
        self.stop = Stop()
        self._count = count
        self._kind = kind

    def begin(self, progress: Progress, _: IntakeReport) -> None:
        if progress.kind != self._kind:
            return
        note = progress.note_generation if self._kind == "generate" else progress.note_judgment

        def noted(*args: Any, **kwargs: Any) -> None:
            note(*args, **kwargs)
            if progress.judged >= self._count:
                self.stop.request()

        if self._kind == "generate":
            progress.note_generation = noted  # type: ignore[method-assign]
        else:
            progress.note_judgment = noted  # type: ignore[method-assign]


# Candidates


async def test_every_prompt_gets_every_candidate_once_and_all_pairs_of_them(
    prompts: Path, ledger: Path
) -> None:
    async with running_simulator(PLAIN) as simulator:
        result, pairs = await generated(prompts, told(simulator.base_url), ledger)
        assert simulator.stats.requests == 48
    assert set(stored(ledger).values()) == {1}
    assert len(stored(ledger)) == result.progress.total == result.progress.judged == 48
    assert (result.exit_code, result.cause, dict(result.statuses)) == (0, None, {})
    assert result.pairs.pairs == len(pairs) == 12 * 6
    assert Counter(pair.prompt.prompt_id for pair in pairs) == {f"q{n}": 6 for n in range(12)}
    assert {pair.first.model for pair in pairs} == {SMALL, LARGE}
    assert result.out == ledger.with_name(f"x.{result.run_id}.pairs.jsonl")


async def test_the_same_command_asks_nothing_and_writes_the_same_bytes(
    prompts: Path, ledger: Path
) -> None:
    async with running_simulator(PLAIN) as simulator:
        settings = told(simulator.base_url)
        first, _ = await generated(prompts, settings, ledger)
        assert first.out is not None
        written = first.out.read_bytes()
    seen: list[Progress] = []
    again, _ = await generated(
        prompts, settings, ledger, on_start=lambda progress, _: seen.append(progress)
    )
    assert (seen[0].kind, seen[0].total, seen[0].pending) == ("generate", 48, 0)
    assert (again.run_id, again.exit_code, again.progress.judged) == (first.run_id, 0, 0)
    assert again.out == first.out
    assert first.out.read_bytes() == written


async def test_an_interrupted_generation_resumes_with_only_what_is_missing(
    prompts: Path, ledger: Path
) -> None:
    ending = StopAfter(15)
    slow = PLAIN.model_copy(update={"latency_s": 0.005})
    async with running_simulator(slow) as simulator:
        settings = told(simulator.base_url, endpoint={"max_in_flight": 4})
        first, pairs = await generated(
            prompts, settings, ledger, stop=ending.stop, on_start=ending.begin
        )
        assert first.is_interrupted
        assert (first.exit_code, first.out, pairs) == (4, None, [])
        assert 15 <= first.progress.judged <= 19
        assert simulator.stats.requests == first.progress.judged, "what was in flight is stored"
        second, pairs = await generated(prompts, settings, ledger)
        assert second.progress.stored_before == first.progress.judged
        assert simulator.stats.requests == 48
    assert (second.exit_code, len(pairs)) == (0, 72)


async def test_more_candidates_and_another_selection_pay_only_for_what_is_new(
    prompts: Path, ledger: Path
) -> None:
    async with running_simulator(PLAIN) as simulator:
        url = simulator.base_url
        await generated(prompts, told(url, writer(n=2)), ledger, limit=5)
        assert simulator.stats.requests == 10
        await generated(prompts, told(url, writer(n=3)), ledger, limit=5)
        assert simulator.stats.requests == 15
        await generated(prompts, told(url, writer(n=3)), ledger, sample=6, seed=1)
        await generated(prompts, told(url, writer(n=3)), ledger)
        assert simulator.stats.requests == 36
    assert set(stored(ledger).values()) == {1}


async def test_other_pairing_rules_send_nothing(prompts: Path, ledger: Path) -> None:
    rules = [
        PairingRules(across_models=True),
        PairingRules(strategy=Strategy.RANDOM, per_prompt=1),
        PairingRules(strategy=Strategy.BASELINE, baseline=SMALL, per_prompt=2),
    ]
    async with running_simulator(PLAIN) as simulator:
        await generated(prompts, told(simulator.base_url), ledger)
        counts = []
        for rule in rules:
            settings = told(simulator.base_url, pairing=rule)
            counts.append(len((await generated(prompts, settings, ledger))[1]))
        assert simulator.stats.requests == 48
    assert counts == [48, 12, 24]


async def test_pairs_are_drawn_by_their_seed_alone(prompts: Path, ledger: Path) -> None:
    async with running_simulator(PLAIN) as simulator:
        found = []
        for seed in (1, 1, 2):
            rule = PairingRules(strategy=Strategy.RANDOM, per_prompt=2, seed=seed)
            settings = told(simulator.base_url, pairing=rule)
            found.append((await generated(prompts, settings, ledger))[1])
    assert found[0] == found[1] != found[2]
    assert len(found[0]) == len(found[2]) == 24


async def test_answers_at_temperature_0_are_dropped_counted_and_complained_about(
    prompts: Path, ledger: Path
) -> None:
    cold = writer(n=3, temperature=0.0, name="cold")
    async with running_simulator(PLAIN) as simulator:
        alone, pairs = await generated(prompts, told(simulator.base_url, cold), ledger)
        assert (alone.exit_code, pairs) == (3, [])
        assert (alone.pairs.identical, alone.pairs.prompts_without_pairs) == (24, 12)
        [complaint] = alone.complaints
        assert complaint == (
            'generator "cold": gave 12 of 12 prompts the same answer every time; '
            "raise the temperature, or give other seeds"
        )
        assert ["n = 3" in w or "asks the same" in w for w in alone.intake.warnings] == [True]
        both, pairs = await generated(
            prompts, told(simulator.base_url, cold, writer(model=LARGE)), ledger
        )
    assert (both.exit_code, both.pairs.identical, len(pairs)) == (0, 24, 12 * 3)


async def test_a_generator_that_says_nothing_is_counted_and_the_others_are_paired(
    prompts: Path, ledger: Path
) -> None:
    mute = PLAIN.model_copy(update={"empty_rate": 1.0})
    async with running_simulator(PLAIN) as simulator, running_simulator(mute) as silent:
        settings = told(
            simulator.base_url, writer(), writer(model=LARGE, endpoint="mute", name="quiet one")
        )
        endpoints = {**settings.endpoints, "mute": Endpoint(base_url=silent.base_url)}
        result, pairs = await generated(
            prompts, settings.model_copy(update={"endpoints": endpoints}), ledger
        )
    assert dict(result.statuses) == {"empty": 24}
    assert result.progress.statuses == {"empty": 24}
    assert (result.exit_code, len(pairs)) == (3, 12), "half of the replies are no candidates"
    assert result.complaints[0].startswith('generator "quiet one": 24 of 24 replies are empty; ')
    assert {pair.first.model for pair in pairs} == {SMALL}


async def test_cut_answers_are_candidates_only_where_they_are_to_be_kept(
    prompts: Path, ledger: Path
) -> None:
    brief = (writer(max_tokens=5), writer(model=LARGE, max_tokens=5))
    async with running_simulator(PLAIN) as simulator:
        dropped, _ = await generated(prompts, told(simulator.base_url, *brief), ledger)
        keeping = told(simulator.base_url, *brief, pairing=PairingRules(keep_truncated=True))
        kept, pairs = await generated(prompts, keeping, ledger)
    assert (dict(dropped.statuses), dropped.exit_code) == ({"truncated": 48}, 3)
    assert (dict(kept.statuses), kept.exit_code) == ({}, 0)
    assert pairs


async def test_each_generator_is_asked_at_its_own_endpoint(prompts: Path, ledger: Path) -> None:
    async with AsyncExitStack() as stack:
        simulators: list[Simulator] = [
            await stack.enter_async_context(running_simulator(PLAIN)) for _ in range(2)
        ]
        settings = Settings(
            endpoints={
                name: Endpoint(base_url=simulator.base_url)
                for name, simulator in zip("ab", simulators, strict=True)
            },
            generators=(writer(endpoint="a", n=1), writer(model=LARGE, endpoint="b", n=3)),
        )
        result, pairs = await generated(prompts, settings, ledger)
        assert [simulator.stats.requests for simulator in simulators] == [12, 36]
    assert (result.exit_code, len(pairs)) == (0, 72)
    assert {row["model"] for row in rows(ledger, "generations")} == {SMALL, LARGE}


# What ends early


@pytest.mark.parametrize("is_key_refused_at_once", [True, False])
async def test_a_refused_key_ends_the_job_after_a_few_requests(
    prompts: Path, ledger: Path, is_key_refused_at_once: bool
) -> None:
    fault = {"account_fault": AccountFault.INVALID_KEY}
    if not is_key_refused_at_once:
        fault["account_fault_after"] = 8  # type: ignore[assignment]
    settings_ = PLAIN.model_copy(update=fault)
    async with running_simulator(settings_) as simulator:
        settings = told(simulator.base_url, endpoint={"max_in_flight": 4})
        result, _ = await generated(prompts, settings, ledger)
        assert simulator.stats.requests <= 16
    assert isinstance(result.cause, AccountError)
    assert result.out is None
    assert result.exit_code == (5 if is_key_refused_at_once else 4)
    assert len(stored(ledger)) == (0 if is_key_refused_at_once else 8)


async def test_an_address_where_nothing_answers_is_told_before_anything_is_sent(
    prompts: Path, ledger: Path
) -> None:
    result, _ = await generated(prompts, told("http://127.0.0.1:9/v1"), ledger)
    assert isinstance(result.cause, UnreachableError)
    assert (result.exit_code, result.out) == (5, None)


@in_virtual_time
async def test_what_a_stop_kept_from_being_sent_is_no_failure(prompts: Path, ledger: Path) -> None:
    ending = StopAfter(3)
    slow = PLAIN.model_copy(update={"latency_s": 0.02})
    async with running_simulator(slow) as simulator:
        # One request at a time may go, and all the other workers wait for their turn.
        endpoint = {"max_in_flight": 16, "start_in_flight": 1, "rpm": 30}
        settings = told(simulator.base_url, endpoint=endpoint)
        result, _ = await generated(
            prompts, settings, ledger, stop=ending.stop, on_start=ending.begin
        )
    assert result.is_interrupted
    assert result.progress.pending > 0
    assert rows(ledger, "deferrals") == []
    assert result.progress.deferred == {}
    assert result.progress.last_problem == ""


@in_virtual_time
async def test_a_reply_that_no_minute_has_room_for_is_refused_before_anything_is_read(
    prompts: Path, ledger: Path
) -> None:
    async with running_simulator(PLAIN) as simulator:
        tight = told(simulator.base_url, writer(name="wordy"), endpoint={"tpm": 100})
        with pytest.raises(ConfigError, match=r"tpm = 100 .* \"wordy\" \(max_tokens 200\); raise"):
            await generated(prompts, tight, ledger)
        with pytest.raises(ConfigError, match=r"max_tokens 300, and 2 times that .* at least 600"):
            await labelled(prompts, told(simulator.base_url, endpoint={"tpm": 400}), ledger)
        assert simulator.stats.requests == 0
    assert list(ledger.parent.glob("x.db*")) == []


@in_virtual_time
async def test_a_prompt_that_no_minute_has_room_for_ends_the_job_with_the_rest_stored(
    tmp_path: Path, ledger: Path
) -> None:
    path = tmp_path / "long.jsonl"
    lines = [{"prompt": f"Short {n}?"} for n in range(6)] + [{"prompt": "long " * 3000}]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    async with running_simulator(PLAIN) as simulator:
        settings = told(simulator.base_url, writer(), endpoint={"tpm": 3000, "max_in_flight": 1})
        result, _ = await generated(path, settings, ledger)
    assert isinstance(result.cause, ConfigError)
    assert "tpm allows 3,000" in str(result.cause)
    assert (result.exit_code, len(stored(ledger))) == (4, 12)


# Budgets


async def test_a_budget_of_requests_is_kept_to_the_request_and_resumes_once_raised(
    prompts: Path, ledger: Path
) -> None:
    async with running_simulator(PLAIN.model_copy(update={"latency_s": 0.002})) as simulator:
        sent = []
        for budget in (20, 20, 31, 48):
            settings = told(simulator.base_url, run=Run(budget_requests=budget))
            result, pairs = await generated(prompts, settings, ledger)
            sent.append(simulator.stats.requests)
            assert result.spent.requests == budget
            if budget < 48:
                assert isinstance(result.cause, BudgetExceeded)
                assert "raise budget_requests and run the same command again" in str(result.cause)
                assert (result.exit_code, result.out) == (4, None)
    assert sent == [20, 20, 31, 48]
    assert (result.exit_code, len(pairs)) == (0, 72)
    assert set(stored(ledger).values()) == {1}


@pytest.mark.parametrize(
    ("limits", "unit"),
    [({"budget_tokens": 2_000}, "tokens"), ({"budget_usd": 0.01}, "usd")],
)
async def test_a_budget_of_tokens_or_money_is_not_overshot_and_nothing_is_lost(
    prompts: Path, ledger: Path, limits: dict[str, Any], unit: str
) -> None:
    async with running_simulator(PLAIN.model_copy(update={"latency_s": 0.002})) as simulator:
        short = told(simulator.base_url, run=Run(**limits), prices=PRICES)
        first, _ = await generated(prompts, short, ledger)
        [limit] = limits.values()
        assert isinstance(first.cause, BudgetExceeded)
        assert 0.5 * limit < getattr(first.spent, unit) <= limit
        assert len(stored(ledger)) == simulator.stats.requests == first.progress.judged
        ample = {name: 100 * value for name, value in limits.items()}
        raised = told(simulator.base_url, run=Run(**ample), prices=PRICES)
        second, pairs = await generated(prompts, raised, ledger)
        assert simulator.stats.requests == 48
    assert (second.exit_code, len(pairs)) == (0, 72)
    used = [row["input_tokens"] + row["output_tokens"] for row in rows(ledger, "generations")]
    assert second.spent.tokens == sum(used)


async def test_a_budget_covers_generating_and_judging_together(prompts: Path, ledger: Path) -> None:
    async with running_simulator(PLAIN) as simulator:
        sent = []
        for budget in (48, 60, 192):
            settings = told(simulator.base_url, run=Run(budget_requests=budget), prices=PRICES)
            result = await labelled(prompts, settings, ledger)
            sent.append(simulator.stats.requests)
            assert result.generated is not None
            assert result.generated.exit_code == 0
            assert result.spent.requests == budget
            assert result.exit_code == (4 if budget < 192 else 0)
        bare = told(simulator.base_url, prices=PRICES)
        again = await labelled(prompts, bare, ledger)
    assert sent == [48, 60, 192]
    assert again.spent.tokens == result.spent.tokens
    facts = rows(ledger, "generations") + rows(ledger)
    tokens = sum(row["input_tokens"] + row["output_tokens"] for row in facts)
    assert again.spent.tokens == tokens
    assert again.spent.usd == pytest.approx(
        sum(row["input_tokens"] + 10 * row["output_tokens"] for row in facts) / 1e6
    )


async def test_money_is_counted_where_prices_are_known_without_any_budget(
    prompts: Path, ledger: Path
) -> None:
    async with running_simulator(PLAIN) as simulator:
        priced = told(simulator.base_url, prices=PRICES)
        free = told(simulator.base_url)
        with_price, _ = await generated(prompts, priced, ledger)
        without, _ = await generated(prompts, free, ledger.with_name("y.db"))
    assert with_price.spent.usd > 0
    assert without.spent == Spending(48, without.spent.tokens, 0.0)
    assert without.spent.tokens > 0


async def test_money_cannot_be_limited_for_a_judge_without_a_price(
    prompts: Path, ledger: Path
) -> None:
    async with running_simulator(PLAIN) as simulator:
        prices = {name: price for name, price in PRICES.items() if name != MODEL}
        settings = told(simulator.base_url, run=Run(budget_usd=1.0), prices=prices)
        with pytest.raises(ConfigError, match=rf'\[prices\."{MODEL}"\]'):
            await labelled(prompts, settings, ledger)
        assert simulator.stats.requests == 0, "it is found before any candidate is paid for"


# Prompts judged at once


async def test_prompts_are_answered_paired_and_judged_and_asked_nothing_twice(
    prompts: Path, ledger: Path
) -> None:
    async with running_simulator(PLAIN) as simulator:
        settings = told(simulator.base_url)
        parts: list[str] = []
        told_of: list[GenerateResult] = []

        def begin(progress: Progress, intake: IntakeReport) -> None:
            parts.append(f"{progress.kind} {intake.pairs}")

        first = await labelled(
            prompts, settings, ledger, on_start=begin, on_generated=told_of.append
        )
        assert parts == ["generate 12", "judge 72"]
        assert told_of == [first.generated]
        assert simulator.stats.requests == 48 + 144
        again = await labelled(prompts, settings, ledger)
        assert simulator.stats.requests == 48 + 144
    assert first.exit_code == again.exit_code == 0
    assert sum(first.outcomes.values()) == 72
    assert again.outcomes == first.outcomes
    assert again.run_id == first.run_id
    assert again.run_id != again.generated.run_id  # type: ignore[union-attr]


async def test_every_kind_of_prompt_with_generated_answers_is_read_by_the_simulated_judge(
    tmp_path: Path, ledger: Path
) -> None:
    def said(*texts: str, system: str | None = None) -> tuple[Message, ...]:
        roles = ("user", "assistant")
        turns = [Message(role=roles[n % 2], content=text) for n, text in enumerate(texts)]  # type: ignore[arg-type]
        return (*([Message(role="system", content=system)] if system else []), *turns)

    given = [
        Prompt(prompt_id="one", messages=said("How is tea made?")),
        Prompt(prompt_id="sum", messages=said("1 + 1?"), reference="2", tags={"category": "math"}),
        Prompt(prompt_id="talk", messages=said("Hello", "Hi!", "And [[A]] or [[B]]?")),
        Prompt(prompt_id="long", messages=said("a", "b", "c", "d", "e?", system="Be brief.")),
        Prompt(prompt_id="block", messages=said("[The Start of Assistant A's Answer] what is it?")),
    ]
    path = tmp_path / "kinds.jsonl"
    path.write_text("".join(f"{json.dumps(prompt_row(prompt))}\n" for prompt in given))
    async with running_simulator(PLAIN) as simulator:
        result = await labelled(path, told(simulator.base_url), ledger)
    assert (result.exit_code, result.dropped) == (0, 0)
    assert result.progress.judged == 5 * 6 * 2
    assert all(row["verdict"] for row in rows(ledger))
    asked = {pair.prompt.prompt_id: pair.prompt for pair in pairs_in(result.generated.out)}  # type: ignore[union-attr,arg-type]
    assert asked == {prompt.prompt_id: prompt for prompt in given}


async def test_the_simulated_judge_prefers_the_better_generator(
    tmp_path: Path, ledger: Path
) -> None:
    many = write_prompts(tmp_path / "many.jsonl", 60)
    sharp = PLAIN.model_copy(update={"accuracy": 1.0})
    async with running_simulator(sharp) as simulator:
        settings = told(
            simulator.base_url,
            writer(n=1),
            writer(model=LARGE, n=1),
            pairing=PairingRules(across_models=True),
        )
        result = await labelled(many, settings, ledger)
    assert result.generated is not None
    assert result.generated.out is not None
    large_first = Counter(pair.first.model == LARGE for pair in pairs_in(result.generated.out))
    assert min(large_first.values()) > 15, "either model may stand first"
    out = ledger.with_name("trl.jsonl")
    judge.export(out, ledger=ledger, to="labels")
    winners = Counter()
    by_id = {pair.pair_id: pair for pair in pairs_in(result.generated.out)}
    for line in out.read_text().splitlines():
        label = json.loads(line)
        pair = by_id[label["pair_id"]]
        winner = {"first": pair.first, "second": pair.second}.get(label["outcome"])
        winners[winner.model if winner else None] += 1
    assert winners[LARGE] >= 40, "4 of 5 comparisons, by its four drafts against one"
    assert winners[SMALL] >= 3


async def test_a_stop_while_generating_judges_nothing_and_the_same_command_goes_on(
    prompts: Path, ledger: Path
) -> None:
    ending = StopAfter(10)
    slow = PLAIN.model_copy(update={"latency_s": 0.005})
    async with running_simulator(slow) as simulator:
        settings = told(simulator.base_url, endpoint={"max_in_flight": 4})
        first = await labelled(prompts, settings, ledger, stop=ending.stop, on_start=ending.begin)
        assert (first.is_judged, first.is_interrupted, first.exit_code) == (False, True, 4)
        assert first.run_id == first.generated.run_id  # type: ignore[union-attr]
        assert rows(ledger) == []
        halfway = StopAfter(30, kind="judge")
        second = await labelled(
            prompts, settings, ledger, stop=halfway.stop, on_start=halfway.begin
        )
        assert (second.is_judged, second.is_interrupted, second.exit_code) == (True, True, 4)
        third = await labelled(prompts, settings, ledger)
        assert simulator.stats.requests == 48 + 144
    assert (third.exit_code, third.progress.done) == (0, 144)


async def test_a_stop_between_the_parts_judges_nothing(prompts: Path, ledger: Path) -> None:
    ending = StopAfter(48)
    async with running_simulator(PLAIN) as simulator:
        settings = told(simulator.base_url)
        result = await labelled(prompts, settings, ledger, stop=ending.stop, on_start=ending.begin)
        assert simulator.stats.requests == 48
    assert (result.is_judged, result.is_interrupted, result.progress.pending) == (False, True, 0)
    assert early_end(result) == (
        "interrupted: nothing is judged yet; run the same command again to resume"
    )
    with Ledger(ledger, read_only=True) as reader:
        assert [run.kind for run in list_runs(reader)] == ["generate"]


async def test_prompts_without_a_generator_are_refused_with_the_remedy(
    prompts: Path, ledger: Path
) -> None:
    async with running_simulator(PLAIN) as simulator:
        bare = told(simulator.base_url).model_copy(update={"generators": ()})
        with pytest.raises(ConfigError, match=r"prompts, and no generator .*\[\[generators\]\]"):
            await labelled(prompts, bare, ledger)
        with pytest.raises(ConfigError, match=r"no generator is set; add a \[\[generators\]\]"):
            await generated(prompts, bare, ledger)
        unjudged = told(simulator.base_url).model_copy(update={"judges": ()})
        with pytest.raises(ConfigError, match="no judge is set"):
            await labelled(prompts, unjudged, ledger)
        assert simulator.stats.requests == 0


async def test_a_record_that_is_neither_pair_nor_prompt_is_named_as_a_bad_pair(
    tmp_path: Path, ledger: Path
) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_text('{"prompt": "Tea?", "chosen": "a", "rejected": "b"}\n')
    bare = told("http://127.0.0.1:9/v1").model_copy(update={"generators": ()})
    with pytest.raises(InputError, match=r'odd\.jsonl:1: .*"chosen"'):
        await labelled(path, bare, ledger)


async def test_pairs_are_never_written_over_the_prompts_or_into_nowhere(
    prompts: Path, ledger: Path
) -> None:
    settings = told("http://127.0.0.1:9/v1")
    with pytest.raises(ConfigError, match="is the file of prompts itself"):
        await generated(prompts, settings, ledger, out=prompts)
    with pytest.raises(ConfigError, match="there is no folder"):
        await generated(prompts, settings, ledger, out=prompts.parent / "none" / "p.jsonl")
    pairs = prompts.parent / "pairs.jsonl"
    pairs.write_text('{"prompt": "Tea?", "first": "a", "second": "b"}\n')
    with pytest.raises(InputError, match="holds pairs where prompts are needed"):
        await generated(pairs, settings, ledger)


# No wait is silent


@in_virtual_time
async def test_a_job_that_waits_for_its_rate_or_for_a_failing_endpoint_says_so_at_every_moment(
    prompts: Path, ledger: Path
) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()

    def answer(sent: Sent) -> Any:
        is_down = 20 <= sent.at_s - began < 60
        return failure(503) if is_down else completion(f"An answer at {sent.at_s}.")

    watched: list[str] = []

    async def watch(progress: Progress) -> None:
        while True:
            await asyncio.sleep(1)
            watched.append(progress_line(progress, loop.time() - began, 0.0, 300))

    watching: list[asyncio.Task[None]] = []

    def begin(progress: Progress, _: IntakeReport) -> None:
        watching.append(loop.create_task(watch(progress)))

    async with scripted_server(answer) as server:
        settings = told(server.base_url, endpoint={"rpm": 60})
        result, _ = await generated(prompts, settings, ledger, on_start=begin)
    watching[0].cancel()
    assert result.progress.done == 48
    silent = [line for line in watched if " 0 in flight" in line and "wait" not in line]
    assert [line for line in silent if "paused: default fails, " not in line] == []
    assert any("wait for rpm" in line for line in watched)
    assert any("next try in " in line and "HTTP 503" in line for line in watched)


# Kills


@pytest.mark.parametrize("command", ["generate", "run"])
def test_a_kill_loses_no_stored_candidate_and_the_same_command_finishes(
    tmp_path: Path, prompts: Path, ledger: Path, command: str
) -> None:
    in_flight = 8
    with simulator_process(PLAIN.model_copy(update={"latency_s": 0.03})) as simulator:
        config = tmp_path / "judge.toml"
        config.write_text(
            f'[endpoints.default]\nbase_url = "{simulator.base_url}"\nmax_in_flight = {in_flight}\n'
            f'[[generators]]\nmodel = "{SMALL}"\nn = 2\n[[generators]]\nmodel = "{LARGE}"\nn = 2\n'
            f'[[judges]]\nmodel = "{MODEL}"\n'
        )
        typed = [command, str(prompts), "--ledger", str(ledger), "--quiet"]
        with start(tmp_path, typed) as process:
            while simulator.stats().requests < 20:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
        before = {row["generation_id"]: row["text"] for row in rows(ledger, "generations")}
        with start(tmp_path, typed) as process:
            assert process.wait(30) == 0
        asked = simulator.stats().requests
    after = {row["generation_id"]: row["text"] for row in rows(ledger, "generations")}
    assert before.items() <= after.items()
    assert len(before) >= 20 - in_flight
    assert len(after) == 48
    judged = 144 if command == "run" else 0
    assert len(rows(ledger)) == judged
    assert 48 + judged <= asked <= 48 + judged + in_flight


def start(folder: Path, arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
    environ = {name: value for name, value in os.environ.items() if "JUDGE_" not in name}
    return subprocess.Popen(
        [sys.executable, "-m", "judge", *arguments],
        cwd=folder,
        env=environ | {"PYTHONPATH": str(Path(judge.__file__).parents[1])},
        stdin=subprocess.DEVNULL,
    )
