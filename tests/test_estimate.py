"""What a job would take: counted from rendered prompts, without sending or writing anything."""

import hashlib
import json
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import judge as api
from judge.errors import ConfigError, InputError
from judge.ledger.seen import SeenIds
from judge.outcomes.labels import Rule
from judge.prices.estimate import (
    ASSUMED_LATENCY_S,
    Estimate,
    JudgeEstimate,
    endpoint_estimate,
    over_budget,
    reply_range,
    total,
)
from judge.prices.pricing import Price, Range, estimate_tokens
from judge.prices.token_counting import RULE_OF_THUMB
from judge.records import Order
from judge.settings.config import Endpoint, Judge, Run, Settings
from judge.simulator.server import running_simulator
from judge.simulator.settings import MODEL, SimulatorSettings
from tests.fakes import write_pairs

NOWHERE = "http://127.0.0.1:9/v1"


def told(base_url: str = NOWHERE, *judges: Judge, **more: Any) -> Settings:
    return Settings(
        endpoints={"default": Endpoint(base_url=base_url, max_in_flight=4)},
        judges=judges or (Judge(model=MODEL, max_tokens=800),),
        **more,
    )


def estimated(pairs: Path, settings: Settings, ledger: Path | None = None, **more: Any) -> Estimate:
    return api.cost(pairs, settings=settings, ledger=ledger or pairs.with_name("x.db"), **more)


def digests(folder: Path) -> Mapping[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if not path.name.endswith(("-wal", "-shm"))
    }


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return write_pairs(tmp_path / "pairs.jsonl", 10)


def test_a_new_job_asks_every_pair_in_both_orders(pairs: Path) -> None:
    estimate = estimated(pairs, told())
    [judge] = estimate.judges
    assert (estimate.intake.pairs, estimate.contents) == (10, 10)
    assert (estimate.calls, estimate.stored, judge.unaskable) == (20, 0, 0)
    assert (judge.reply_tokens.low, judge.reply_tokens.high) == (20 * 100, 20 * 800)
    assert judge.prompt_tokens.low < judge.prompt_tokens.likely < judge.prompt_tokens.high


def test_nothing_is_written(pairs: Path) -> None:
    before = digests(pairs.parent)
    estimated(pairs, told())
    assert digests(pairs.parent) == before


def test_prompt_tokens_are_those_of_the_rendered_prompts(pairs: Path) -> None:
    estimate = estimated(pairs, told(), limit=1)
    texts = [text for sample in estimate.samples for text in (sample.system, sample.user)]
    around = 4 * len(texts)
    assert estimate.prompt_tokens.likely == sum(map(estimate_tokens, texts)) + around


def test_two_prompts_are_shown_in_the_orientation_that_was_given(pairs: Path) -> None:
    forward, reversed_ = estimated(pairs, told()).samples
    both = {forward.order: forward.user, reversed_.order: reversed_.user}
    user = both[Order.FORWARD]
    assert user.index("First answer to 0.") < user.index("Second answer to 0.")
    user = both[Order.REVERSED]
    assert user.index("First answer to 0.") > user.index("Second answer to 0.")


async def test_what_the_ledger_holds_is_not_asked_again(pairs: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "runs" / "x.db"
    async with running_simulator(SimulatorSettings()) as simulator:
        settings = told(simulator.base_url)
        result = await api.arun(pairs, settings=settings, ledger=ledger, limit=4, environ={})
        before, asked = digests(ledger.parent), simulator.stats.requests
        estimate = estimated(pairs, settings, ledger)
        assert simulator.stats.requests == asked == 8
    assert result.exit_code == 0
    assert (estimate.stored, estimate.calls) == (8, 12)
    assert digests(ledger.parent) == before
    [judge] = estimate.judges
    assert judge.is_latency_measured
    assert 0 < judge.latency_s < ASSUMED_LATENCY_S


async def test_what_was_asked_shows_what_the_rest_will_weigh(pairs: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "runs" / "x.db"
    async with running_simulator(SimulatorSettings(reply_words=40)) as simulator:
        settings = told(simulator.base_url)
        await api.arun(pairs, settings=settings, ledger=ledger, limit=4, environ={})
        estimate = estimated(pairs, settings, ledger)
        result = await api.arun(pairs, settings=settings, ledger=ledger, environ={})
    [judge] = estimate.judges
    assert "8 prompts in the ledger" in judge.token_source
    assert "measured" in judge.reply_source
    for told_of, took in (
        (judge.prompt_tokens, result.progress.input_tokens),
        (judge.reply_tokens, result.progress.output_tokens),
    ):
        assert told_of.low <= took <= told_of.high
        assert told_of.high < 2 * told_of.low
    other = told(simulator.base_url, Judge(model="another", max_tokens=800))
    assert estimated(pairs, other, ledger).judges[0].token_source == RULE_OF_THUMB


async def test_statuses_to_retry_count_as_calls(pairs: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "runs" / "x.db"
    async with running_simulator(SimulatorSettings(unparsable_rate=1.0)) as simulator:
        settings = told(simulator.base_url)
        await api.arun(pairs, settings=settings, ledger=ledger, environ={})
    assert estimated(pairs, settings, ledger).calls == 0
    assert estimated(pairs, settings, ledger, retry=["unparsed"]).calls == 20
    assert estimated(pairs, settings, ledger, retry=["truncated"]).calls == 0


def test_another_judge_shares_nothing_and_one_order_halves_the_calls(pairs: Path) -> None:
    two = (Judge(model=MODEL, name="one"), Judge(model=MODEL, name="two", seed=1))
    assert estimated(pairs, told(NOWHERE, *two)).calls == 40
    single = told(run=Run(rule=Rule.SINGLE_RANDOM))
    assert estimated(pairs, single).calls == 10


def test_the_same_answers_are_counted_once_whatever_they_are_called(tmp_path: Path) -> None:
    row = {"prompt": "Q?", "first": "one", "second": "two"}
    turned = {"prompt": "Q?", "first": "two", "second": "one"}
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(json.dumps(each) + "\n" for each in (row, turned, row)))
    estimate = estimated(pairs, told())
    assert (estimate.intake.pairs, estimate.contents, estimate.calls) == (3, 1, 2)


def test_pairs_that_the_template_cannot_show_are_counted_apart(tmp_path: Path) -> None:
    row = {"prompt": "2 + 2?", "first": "4", "second": "5"}
    pairs = tmp_path / "pairs.jsonl"
    rows = ({**row, "reference": "4"}, {**row, "first": "3"})
    pairs.write_text("".join(json.dumps(each) + "\n" for each in rows))
    settings = told(NOWHERE, Judge(model=MODEL, prompt="pair-reference"))
    [judge] = estimated(pairs, settings).judges
    assert (judge.calls, judge.unaskable) == (2, 2)


def test_bad_lines_end_an_estimate_unless_they_are_left_out(pairs: Path) -> None:
    with pairs.open("a") as file:
        file.write('{"prompt": "no answers"}\n')
    with pytest.raises(InputError, match=r"pairs\.jsonl:11"):
        estimated(pairs, told())
    estimate = estimated(pairs, told(), skip_bad_lines=True)
    assert (estimate.calls, estimate.intake.n_bad_lines) == (20, 1)


def test_a_job_that_could_not_run_has_no_estimate(pairs: Path) -> None:
    twins = (Judge(model=MODEL, name="one"), Judge(model=MODEL, name="two"))
    with pytest.raises(ConfigError, match="ask the same thing"):
        estimated(pairs, told(NOWHERE, *twins))
    with pytest.raises(InputError, match="no such file"):
        estimated(pairs.with_name("none.jsonl"), told())


def test_a_price_gives_a_range_and_no_price_none(pairs: Path) -> None:
    price = Price(input_per_million=1.0, output_per_million=2.0)
    usd = estimated(pairs, told(prices={MODEL: price})).usd
    tokens = estimated(pairs, told())
    assert usd is not None
    assert usd.low == pytest.approx((tokens.prompt_tokens.low + 2 * 2000) / 1e6)
    assert usd.high == pytest.approx((tokens.prompt_tokens.high + 2 * 16000) / 1e6)
    assert tokens.usd is None


def test_one_unpriced_judge_makes_the_whole_price_unknown(pairs: Path) -> None:
    price = Price(input_per_million=1.0, output_per_million=2.0)
    judges = (Judge(model=MODEL), Judge(model="other"))
    estimate = estimated(pairs, told(NOWHERE, *judges, prices={MODEL: price}))
    assert [judge.usd is None for judge in estimate.judges] == [False, True]
    assert estimate.usd is None


def test_memory_stays_flat_whatever_the_input(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        path = write_pairs(tmp_path / f"{count}.jsonl", count)
        tracemalloc.start()
        estimate = estimated(path, told())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert estimate.calls == 2 * count
        return most

    peak(600)  # imports and caches
    assert peak(6000) < peak(1500) + 2**20  # the added pairs alone would be 4 MiB


def test_ids_are_new_once_and_keep_their_order() -> None:
    with SeenIds() as seen:
        assert seen.add_new(["b", "a", "b"]) == ["b", "a"]
        assert seen.add_new(["c", "a"]) == ["c"]


# Pure


def judge_of(calls: int, *, latency_s: float = 2.0) -> JudgeEstimate:
    return JudgeEstimate(
        name="j", model="m", endpoint="e", max_tokens=800, stored=0, calls=calls, unaskable=0,
        prompt_tokens=Range(0, 100 * calls, 0), reply_tokens=Range(0, 20 * calls, 0), usd=None,
        latency_s=latency_s, is_latency_measured=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("limits", "seconds", "bound_by"),
    [
        ({"max_in_flight": 10}, 200.0, "max_in_flight"),
        ({"max_in_flight": 100, "rpm": 600}, 100.0, "rpm"),
        ({"max_in_flight": 100, "rpm": 6000, "tpm": 60_000}, 120.0, "tpm"),
        ({"max_in_flight": 4096}, 2.0, "max_in_flight"),
    ],
)
def test_the_tightest_limit_decides_the_time(
    limits: dict[str, int], seconds: float, bound_by: str
) -> None:
    endpoint = Endpoint(base_url=NOWHERE, **limits)  # type: ignore[arg-type]
    found = endpoint_estimate("e", endpoint, [judge_of(1000)])
    assert (found.seconds, found.bound_by) == (pytest.approx(seconds), bound_by)


def test_nothing_to_ask_takes_no_time() -> None:
    assert endpoint_estimate("e", Endpoint(base_url=NOWHERE), [judge_of(0)]).seconds == 0


@given(calls=st.integers(0, 10**6), max_tokens=st.integers(1, 10**5))
def test_replies_lie_between_an_eighth_of_their_room_and_all_of_it(
    calls: int, max_tokens: int
) -> None:
    replies = reply_range(calls, max_tokens)
    assert replies.low == pytest.approx(replies.high / 8)
    assert replies.high == calls * max_tokens
    assert replies.low <= replies.likely <= replies.high


@given(st.lists(st.tuples(*[st.floats(0, 1e9)] * 3)))
def test_a_total_adds_bound_by_bound(bounds: list[tuple[float, float, float]]) -> None:
    ranges = [Range(*sorted(each)) for each in bounds]
    whole = total(ranges)
    assert whole == total(ranges[::-1]) or whole.high == pytest.approx(total(ranges[::-1]).high)
    assert whole.low <= whole.high


@pytest.mark.parametrize(
    ("budgets", "over"),
    [
        ({}, []),
        ({"budget_requests": 20}, []),
        ({"budget_requests": 19}, ["budget_requests"]),
        ({"budget_tokens": 16_000, "budget_usd": None}, ["budget_tokens"]),
        ({"budget_usd": 0.001}, []),  # no price, so nothing to compare
    ],
)
def test_budgets_that_may_not_suffice_are_named(
    pairs: Path, budgets: dict[str, float | None], over: list[str]
) -> None:
    assert over_budget(estimated(pairs, told()), budgets) == over
