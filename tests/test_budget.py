"""Budgets: checked before sending, never overshot, settled by what was used, resumable."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.chat import ChatModel, ChatRequest, Reply
from judge.errors import (
    AccountError,
    BudgetExceeded,
    ConfigError,
    EndpointError,
    ItemError,
    ThrottledError,
    TransientError,
    UnreachableError,
)
from judge.prices.budget import Budget, BudgetedChat, Spending
from judge.prices.pricing import Price
from judge.throttling.admission import Limits
from judge.throttling.throttle import Throttle, ThrottledChat
from tests.fakes import ScriptedChat, in_virtual_time, reply

PRICES = {"m": Price(input_per_million=1.0, output_per_million=10.0)}
MOST = Spending(1, 114, 0.001014)  # of REQUEST: 4 + 40 / 4 tokens in, 100 out
REQUEST = ChatRequest("m", "", "x" * 40, {}, 100)


async def ask_all(chat: ChatModel, count: int) -> list[Reply | BaseException]:
    """Ask so often at once."""
    return await asyncio.gather(
        *(chat.complete(REQUEST) for _ in range(count)), return_exceptions=True
    )


def refused(outcomes: list[Reply | BaseException]) -> list[BudgetExceeded]:
    return [outcome for outcome in outcomes if isinstance(outcome, BudgetExceeded)]


async def test_the_request_after_the_last_is_not_sent() -> None:
    inner = ScriptedChat()
    outcomes = await ask_all(BudgetedChat(inner, Budget(requests=10)), 64)
    assert len(inner.requests) == 10
    assert len(refused(outcomes)) == 54


async def test_a_budget_of_nothing_sends_nothing_and_no_budget_checks_nothing() -> None:
    inner = ScriptedChat()
    with pytest.raises(BudgetExceeded):
        await BudgetedChat(inner, Budget(requests=0)).complete(REQUEST)
    assert inner.requests == []
    await BudgetedChat(inner, Budget()).complete(REQUEST)


def test_a_reservation_counts_at_its_most_until_it_is_settled() -> None:
    budget = Budget(tokens=300)
    most = budget.most_of(REQUEST)
    assert most.tokens == 114
    budget.reserve(most)
    budget.reserve(most)
    with pytest.raises(BudgetExceeded, match=r"0 of 300 tokens, 2 in flight, .* may need 114"):
        budget.reserve(most)
    budget.settle(most, Spending(1, 10))
    budget.reserve(most)
    assert budget.spent == Spending(1, 10)


@in_virtual_time
async def test_short_replies_let_a_budget_be_spent_to_its_end() -> None:
    inner = ScriptedChat(Reply("", "stop", 14, 6, 0.1))
    inner.latency_s = 1.0
    budget = Budget(tokens=2_000)
    outcomes = await ask_all(BudgetedChat(inner, budget), 200)
    assert 2_000 - 114 < budget.spent.tokens <= 2_000
    assert len(inner.requests) == budget.spent.requests
    assert len(refused(outcomes)) == 200 - len(inner.requests)


@pytest.mark.parametrize("limit", [{"tokens": 3_000}, {"usd": 0.02}, {"requests": 25}])
@given(seed=st.integers(0, 2**32), workers=st.integers(1, 40))
def test_no_order_of_replies_and_failures_overshoots(
    limit: dict[str, float], seed: int, workers: int
) -> None:
    rng = random.Random(seed)

    class Erratic:
        async def complete(self, request: ChatRequest) -> Reply:
            for _ in range(rng.randrange(4)):
                await asyncio.sleep(0)
            if rng.random() < 0.3:
                raise rng.choice([ItemError("no"), ThrottledError("busy"), TransientError("cut")])
            return Reply("", "stop", rng.randrange(15), rng.randrange(101), 0.1)

    async def scene() -> None:
        budget = Budget(prices=PRICES, **limit)  # type: ignore[arg-type]
        chat = BudgetedChat(Erratic(), budget)
        tasks = [asyncio.create_task(chat.complete(REQUEST)) for _ in range(workers)]
        for task in rng.sample(tasks, workers // 5):
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        spent = budget.spent
        assert spent.requests <= limit.get("requests", 1_000)
        assert spent.tokens <= limit.get("tokens", 100_000)
        assert spent.usd <= limit.get("usd", 10.0) + 1e-9
        # Nothing stays reserved: what is left can still be had.
        left = Budget(prices=PRICES, spent=spent, **limit)  # type: ignore[arg-type]
        for one in (budget, left):
            while True:
                try:
                    one.reserve(MOST)
                except BudgetExceeded:
                    break
                one.settle(MOST, MOST)
        assert budget.spent.requests == left.spent.requests

    asyncio.run(scene())


async def test_money_is_counted_by_the_price_of_the_model() -> None:
    budget = Budget(usd=1.0, prices=PRICES)
    assert budget.most_of(REQUEST) == Spending(1, 114, pytest.approx(MOST.usd))
    await BudgetedChat(ScriptedChat(Reply("", "stop", 1_000, 100, 0.1)), budget).complete(REQUEST)
    assert budget.spent == Spending(1, 1_100, pytest.approx(0.002))


async def test_the_message_says_what_is_spent_and_how_to_go_on() -> None:
    budget = Budget(usd=0.0015, prices=PRICES)
    chat = BudgetedChat(ScriptedChat(Reply("", "stop", 14, 60, 0.1)), budget)
    await chat.complete(REQUEST)
    with pytest.raises(
        BudgetExceeded,
        match=r"the budget is spent: \$0\.0006 of \$0\.0015.*\$0\.0010; raise budget_usd",
    ):
        await chat.complete(REQUEST)


async def test_a_budget_smaller_than_one_request_is_not_called_spent() -> None:
    budget = Budget(usd=0.0005, prices=PRICES)
    with pytest.raises(
        BudgetExceeded, match=r"has no room for one request: .*; lower max_tokens, or raise budget_"
    ):
        await BudgetedChat(ScriptedChat(), budget).complete(REQUEST)
    assert not budget.has_sent


async def test_a_reply_carries_what_it_cost_where_the_price_is_known() -> None:
    said = Reply("", "stop", 1_000, 100, 0.1)
    priced = await BudgetedChat(ScriptedChat(said), Budget(prices=PRICES)).complete(REQUEST)
    assert priced.cost_usd == pytest.approx(0.002)
    assert (await BudgetedChat(ScriptedChat(said), Budget()).complete(REQUEST)).cost_usd is None


async def test_what_the_endpoint_tells_goes_before_the_price_list() -> None:
    budget = Budget(usd=1.0, prices=PRICES)
    said = Reply("", "stop", 1_000, 100, 0.1, cost_usd=0.5)
    reply = await BudgetedChat(ScriptedChat(said), budget).complete(REQUEST)
    assert reply.cost_usd == budget.spent.usd == 0.5


async def test_tokens_from_a_cache_cost_what_the_price_says_of_them() -> None:
    cached = {
        "m": Price(input_per_million=1.0, output_per_million=10.0, cached_input_per_million=0.1)
    }
    said = Reply("", "stop", 1_000, 0, 0.1, cached_tokens=800)
    for prices, usd in ((PRICES, 0.001), (cached, 0.00028)):
        budget = Budget(prices=prices)
        await BudgetedChat(ScriptedChat(said), budget).complete(REQUEST)
        assert budget.spent.usd == pytest.approx(usd)


def test_a_money_budget_needs_a_price_for_every_model() -> None:
    with pytest.raises(ConfigError, match=r'\[prices\."other"\]'):
        Budget(usd=1.0, prices=PRICES).check_models(["m", "other"])
    Budget(usd=1.0, prices=PRICES).check_models(["m"])
    Budget(tokens=1_000).check_models(["other"])


async def test_a_resumed_job_starts_from_what_the_run_has_spent() -> None:
    inner = ScriptedChat()
    budget = Budget(requests=10, spent=Spending(requests=8))
    await ask_all(BudgetedChat(inner, budget), 5)
    assert len(inner.requests) == 2
    assert budget.spent.requests == 10


@pytest.mark.parametrize(
    ("error", "is_billed"),
    [
        (ThrottledError("busy"), False),
        (TransientError("broken", kind="500"), False),
        (UnreachableError("gone", kind="unreachable"), False),
        (ItemError("too long"), False),
        (AccountError("no credit"), False),
        (TransientError("late", kind="time-out"), True),
        (TransientError("lost", kind="reset"), True),
        (TransientError("half", kind="cut answer"), True),
        (TransientError("html"), True),
    ],
)
async def test_a_failed_request_counts_and_its_tokens_only_where_it_may_be_on_the_bill(
    error: EndpointError, is_billed: bool
) -> None:
    budget = Budget(tokens=1_000)
    with pytest.raises(type(error)):
        await BudgetedChat(ScriptedChat(error), budget).complete(REQUEST)
    assert budget.spent == Spending(1, 114 if is_billed else 0)


@in_virtual_time
async def test_a_cancelled_request_counts_at_its_most_and_a_cancelled_wait_not_at_all() -> None:
    inner = ScriptedChat()
    inner.latency_s = 10.0
    budget = Budget(tokens=200)
    chat = BudgetedChat(inner, budget)
    sent, waiting = (asyncio.create_task(chat.complete(REQUEST)) for _ in range(2))
    await asyncio.sleep(1)
    waiting.cancel()
    sent.cancel()
    await asyncio.gather(sent, waiting, return_exceptions=True)
    assert len(inner.requests) == 1
    assert budget.spent == Spending(1, 114)


@in_virtual_time
async def test_a_request_too_many_is_refused_at_once_for_none_in_flight_will_be_undone() -> None:
    inner = ScriptedChat()
    inner.latency_s = 100.0
    chat = BudgetedChat(inner, Budget(requests=1))
    sent = asyncio.create_task(chat.complete(REQUEST))
    await asyncio.sleep(1)
    with pytest.raises(BudgetExceeded, match="0 of 1 requests, 1 in flight"):
        await chat.complete(REQUEST)
    assert not sent.done()
    await sent


@in_virtual_time
async def test_inside_a_throttle_only_what_is_in_flight_is_reserved() -> None:
    inner = ScriptedChat(reply())
    inner.latency_s = 1.0
    budget = Budget(tokens=2 * 114)
    throttle = Throttle("local", Limits(2), rng=random.Random(1))
    chat = ThrottledChat(BudgetedChat(inner, budget), throttle)
    outcomes = await ask_all(chat, 12)  # of 10 tokens each
    assert len(inner.requests) == 12
    assert refused(outcomes) == []
