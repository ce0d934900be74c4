"""What answering prompts and judging the answers would take, before there is any answer."""

import json
import math
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import judge as api
from judge.candidates.generation import ResolvedGenerator
from judge.candidates.generators import Generator
from judge.candidates.pairing import PairingRules, Strategy
from judge.prices.estimate import Estimate
from judge.prices.judging_estimating import pair_plan
from judge.prices.pricing import Price, Range
from judge.settings.config import Endpoint, Judge, Run, Settings
from judge.simulator.server import running_simulator
from judge.simulator.settings import GENERATORS, MODEL, SimulatorSettings
from tests.fakes import write_pairs

NOWHERE = "http://127.0.0.1:9/v1"
ONE, OTHER = GENERATORS
TOKENS = {ONE: Range(10, 20, 40), OTHER: Range(100, 200, 400)}


def told(base_url: str = NOWHERE, **more: Any) -> Settings:
    given = {
        "endpoints": {"default": Endpoint(base_url=base_url, max_in_flight=4)},
        "judges": (Judge(model=MODEL, max_tokens=800),),
        "generators": (Generator(model=ONE, n=3, max_tokens=160),),
    }
    return Settings(**(given | more))


def writers(*counts: int) -> list[ResolvedGenerator]:
    return [
        ResolvedGenerator(name, "default", name, n, 100, {})
        for name, n in zip(GENERATORS, counts, strict=False)
    ]


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.jsonl"
    rows = [{"prompt": f"What of {number}?"} for number in range(6)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def estimated(prompts: Path, settings: Settings, **more: Any) -> Estimate:
    more = {"ledger": prompts.with_name("x.db")} | more
    return api.cost(prompts, settings=settings, **more)


def test_answers_and_their_judging_are_counted_together(prompts: Path) -> None:
    estimate = estimated(prompts, told())
    assert estimate.judging is not None
    [generator], [judge] = estimate.judges, estimate.judging.judges
    assert (generator.calls, judge.calls) == (18, 6 * 3 * 2)
    assert estimate.calls == 18 + 36
    assert estimate.judging.contents == 18
    # An answer has an eighth of its room at least, and all of it at most: two in every call.
    answers = judge.prompt_tokens.high - judge.prompt_tokens.low
    assert answers > 36 * 2 * (160 - 20)
    assert len(estimate.samples) == 2
    assert estimate.samples[0].order is None
    assert estimate.samples[0].user == "What of 0?"


def test_judging_is_left_out_where_nobody_judges(prompts: Path) -> None:
    assert estimated(prompts, told(judges=())).judging is None
    assert estimated(prompts, told(), with_judging=False).judging is None


def test_a_price_of_one_part_is_not_the_price_of_both(prompts: Path) -> None:
    price = Price(input_per_million=1.0, output_per_million=2.0)
    half = estimated(prompts, told(prices={MODEL: price}))
    assert half.usd is None
    assert half.batch_usd is None
    both = estimated(prompts, told(prices={MODEL: price, ONE: price}))
    assert both.usd is not None
    assert both.batch_usd is not None
    assert both.batch_usd.high == pytest.approx(both.usd.high / 2)
    assert both.usd.high == pytest.approx(
        (both.prompt_tokens.high + 2 * both.reply_tokens.high) / 1e6
    )


async def test_what_is_stored_shows_how_long_answers_are(prompts: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "x.db"
    before = estimated(prompts, told())
    async with running_simulator(SimulatorSettings(answer_words=30)) as simulator:
        settings = told(simulator.base_url)
        await api.agenerate(prompts, settings=settings, ledger=ledger, limit=4, environ={})
    after = estimated(prompts, settings)
    assert (after.stored, after.judges[0].calls) == (12, 6)
    assert before.judging is not None
    assert after.judging is not None
    assert "measured" in after.judges[0].reply_source
    assert "12 prompts in the ledger" in after.judges[0].token_source
    wide, narrow = (
        estimate.judges[0].prompt_tokens for estimate in (before.judging, after.judging)
    )
    assert narrow.high - narrow.low < wide.high - wide.low


@pytest.mark.parametrize(
    ("rules", "counts", "pairs"),
    [
        (PairingRules(), (4,), 6),
        (PairingRules(), (2, 2), 6),
        (PairingRules(near_duplicate=0.1), (4,), 6),
        (PairingRules(across_models=True), (2, 2), 4),
        (PairingRules(strategy=Strategy.RANDOM, per_prompt=2), (4,), 2),
        (PairingRules(strategy=Strategy.RANDOM, per_prompt=20), (4,), 6),
        (PairingRules(strategy=Strategy.BASELINE, baseline=ONE), (1, 3), 3),
        (PairingRules(strategy=Strategy.ON_POLICY, on_policy=OTHER), (2, 2), 4),
        (PairingRules(strategy=Strategy.SWISS), (4,), 3 * 2),
        (PairingRules(strategy=Strategy.SWISS, rounds=1), (5,), 2),
        (PairingRules(strategy=Strategy.BEST_WORST), (4,), 1),
        (PairingRules(strategy=Strategy.BEST_WORST, margin=1), (4,), 3),
    ],
)
def test_every_pairing_rule_has_its_number_of_pairs(
    rules: PairingRules, counts: tuple[int, ...], pairs: int
) -> None:
    assert pair_plan(rules, writers(*counts), TOKENS).pairs == pairs


def test_the_answers_of_a_pair_are_as_long_as_their_writers_write() -> None:
    across = pair_plan(PairingRules(across_models=True), writers(1, 1), TOKENS)
    assert across.answer_tokens == Range(110, 220, 440)
    own = pair_plan(PairingRules(), writers(2), TOKENS)
    assert own.answer_tokens == Range(20, 40, 80)
    swiss = pair_plan(PairingRules(strategy=Strategy.SWISS, rounds=1), writers(1, 1), TOKENS)
    assert swiss.answer_tokens == Range(110, 220, 440)


@given(st.integers(2, 12), st.integers(0, 12))
def test_rounds_never_make_more_pairs_than_there_are(players: int, margin: int) -> None:
    most = math.comb(players, 2)
    swiss = PairingRules(strategy=Strategy.SWISS)
    assert 1 <= pair_plan(swiss, writers(players), TOKENS).pairs <= most
    best = PairingRules(strategy=Strategy.BEST_WORST, margin=margin)
    expected = sum(b - a >= players - 1 - margin for a, b in combinations(range(players), 2))
    assert pair_plan(best, writers(players), TOKENS).pairs == expected


# Policies


def test_a_policy_that_may_ask_less_has_a_range_of_calls(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs.jsonl", 10)
    judges = (
        Judge(model=MODEL, name="cheap", accept_above=0.9),
        Judge(model=MODEL, name="strong", seed=1),
    )
    settings = told(judges=judges, generators=(), run=Run.model_validate({"policy": "cascade"}))
    estimate = api.cost(pairs, settings=settings, ledger=tmp_path / "x.db")
    cheap, strong = estimate.judges
    assert (cheap.calls, cheap.least_calls) == (20, None)
    assert (strong.calls, strong.least_calls) == (20, 0)
    assert strong.prompt_tokens.low == strong.reply_tokens.low == 0
    assert strong.reply_tokens.high == 20 * 1024
    assert estimate.calls == 40


async def test_a_pair_that_the_policy_is_done_with_is_not_asked_about_again(
    tmp_path: Path,
) -> None:
    pairs, ledger = write_pairs(tmp_path / "pairs.jsonl", 10), tmp_path / "x.db"
    judges = (
        Judge(model=MODEL, name="cheap", accept_above=0.5),
        Judge(model=MODEL, name="strong", seed=1),
    )
    run = Run.model_validate({"policy": "cascade"})
    async with running_simulator(SimulatorSettings(position_bias=0.0)) as simulator:
        settings = told(simulator.base_url, judges=judges, generators=(), run=run)
        result = await api.arun(pairs, settings=settings, ledger=ledger, environ={})
    assert not result.progress.pending
    assert api.cost(pairs, settings=settings, ledger=ledger).calls == 0


def test_several_samples_and_a_panel_are_asked_in_full(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs.jsonl", 10)
    run = Run.model_validate({"policy": "samples", "samples": 3})
    settings = told(generators=(), run=run)
    estimate = api.cost(pairs, settings=settings, ledger=tmp_path / "x.db")
    assert estimate.calls == 10 * 2 * 3
    assert estimate.judges[0].least_calls is None
