"""The gate of an endpoint: whole jobs against limited endpoints, and the line before the gate."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.backends.openai import OpenAIChat
from judge.chat import ChatModel, ChatRequest, Reply
from judge.errors import (
    BudgetExceeded,
    ConfigError,
    EndpointError,
    ItemError,
    ThrottledError,
    TransientError,
    UnreachableError,
)
from judge.job.retry import RetryBudget, RetryPolicy
from judge.job.workers import run_workers
from judge.settings.config import Endpoint
from judge.simulator.server import Simulator, running_simulator
from judge.simulator.settings import SimulatorSettings
from judge.throttling.admission import Limits, WaitReason
from judge.throttling.breaker import BreakerState
from judge.throttling.throttle import Throttle, ThrottledChat
from tests.fakes import ScriptedChat, in_virtual_time, reply

BUSY = ThrottledError("busy")
DOWN = TransientError("down", kind="500")


def request_of(characters: int = 40, *, max_tokens: int = 10) -> ChatRequest:
    return ChatRequest("m", "", "x" * characters, {}, max_tokens)


def throttle_of(max_in_flight: int = 64, **limits: float) -> Throttle:
    return Throttle("local", Limits(max_in_flight, **limits), rng=random.Random(1))  # type: ignore[arg-type]


# ----------------------------------------------------------------------------------------------
# a job against an endpoint of limited capacity


class LoadedEndpoint:
    """A ChatModel that serves so many requests at a time, by the clock, and refuses the rest."""

    def __init__(
        self,
        capacity: Callable[[float], int],
        *,
        retry_after_s: float | None = 1.0,
        refusal_s: float = 0.01,
        latency_s: float = 1.0,
        stray: float = 0.0,
        refusal: type[TransientError] = ThrottledError,
    ) -> None:
        self._capacity = capacity
        self._retry_after_s = retry_after_s
        self._refusal_s = refusal_s
        self._latency_s = latency_s
        self._stray = stray
        self._refusal = refusal
        self._rng = random.Random(11)
        self._serving = 0
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()
        self.sends_by_second: Counter[int] = Counter()

    async def complete(self, request: ChatRequest) -> Reply:
        now_s = self._loop.time() - self._began_s
        self.sends_by_second[int(now_s)] += 1
        if self._serving >= self._capacity(now_s) or self._rng.random() < self._stray:
            await asyncio.sleep(self._refusal_s)
            if self._refusal is ThrottledError:
                raise ThrottledError("busy", self._retry_after_s)
            raise TransientError("busy", kind="503")
        self._serving += 1
        try:
            spread = self._rng.lognormvariate(-0.045, 0.3)
            await asyncio.sleep(round(self._latency_s * spread, 2))
        finally:
            self._serving -= 1
        return reply()


@dataclass
class Account:
    """What became of a job, and its limit by the second."""

    begun: int = 0
    done: int = 0
    deferred: int = 0
    limits: list[int] = field(default_factory=list)
    breakers: set[BreakerState] = field(default_factory=set)


async def run_job(chat: ChatModel, throttle: Throttle, *, workers: int, seconds: float) -> Account:
    """Ask for so long, with retries, and return what became of it."""
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + seconds
    stop = asyncio.Event()
    account = Account()
    throttled = ThrottledChat(chat, throttle)
    retries = RetryPolicy(
        budget=RetryBudget(), stop=stop, on_wait=lambda _, __: None, rng=random.Random(3)
    )

    async def pages() -> AsyncIterator[Sequence[int]]:
        while loop.time() < ends_s:
            yield range(workers)

    async def work(number: int) -> None:
        account.begun += 1
        request = ChatRequest("m", "", f"question {account.begun}", {}, 10)
        delivery = await retries.deliver(lambda: throttled.complete(request))
        account.done += delivery.reply is not None
        account.deferred += delivery.reply is None

    async def watch() -> None:
        while True:
            view = throttle.view()
            account.limits.append(view.limit)
            account.breakers.add(view.breaker)
            await asyncio.sleep(1.0)

    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch())
        await run_workers(pages(), work, concurrency=workers, stop=stop)
        watching.cancel()
    return account


def capacity(before: int, after: int, *, until_s: float) -> Callable[[float], int]:
    return lambda now_s: before if now_s < until_s else after


@pytest.mark.parametrize(
    ("served", "offered", "refusal_s", "retry_after_s"),
    [
        (60, 100, 0.01, 1.0),
        (60, 100, 1.0, 1.0),
        (60, 100, 0.01, None),
        (6, 10, 0.01, 1.0),
        (6, 10, 1.0, None),
        (300, 500, 0.5, 2.0),
    ],
)
@in_virtual_time
async def test_an_endpoint_that_serves_60_percent_is_found_and_its_recovery_too(
    served: int, offered: int, refusal_s: float, retry_after_s: float | None
) -> None:
    endpoint = LoadedEndpoint(
        capacity(served, offered, until_s=120), refusal_s=refusal_s, retry_after_s=retry_after_s
    )
    account = await run_job(endpoint, throttle_of(offered), workers=offered, seconds=190)
    assert account.deferred == 0
    assert account.done == account.begun
    assert endpoint.sends_by_second.total() <= 1.15 * account.done
    rounding = 1 if served < 10 else 0
    assert min(account.limits[30:120]) >= 0.8 * served - rounding
    assert max(account.limits[30:120]) <= 1.2 * served + rounding
    assert min(account.limits[180:190]) >= 0.9 * offered
    assert account.breakers == {BreakerState.CLOSED}
    if served >= 60:  # fewer answers a second vary too much by chance
        # Little's law: answers take a second, so a second sees as many sends as are in flight.
        seconds = range(1, 189)
        peaks = [endpoint.sends_by_second[s] / max(account.limits[s : s + 2]) for s in seconds]
        assert max(peaks) <= 1.2


@in_virtual_time
async def test_a_steady_stream_of_429s_takes_the_limit_to_its_minimum_and_its_end_back_up() -> None:
    endpoint = LoadedEndpoint(capacity(0, 64, until_s=800), retry_after_s=89)
    account = await run_job(endpoint, throttle_of(64), workers=64, seconds=1000)
    assert min(account.limits[:800]) == 1
    assert min(account.limits[960:1000]) >= 58
    assert account.deferred == 0
    assert account.done == account.begun
    assert endpoint.sends_by_second.total() <= 1.15 * account.done


@in_virtual_time
async def test_one_stray_429_in_a_hundred_costs_no_concurrency() -> None:
    endpoint = LoadedEndpoint(capacity(256, 256, until_s=0), stray=0.01)
    account = await run_job(endpoint, throttle_of(256), workers=256, seconds=200)
    assert sum(account.limits[20:200]) / 180 >= 0.95 * 256


@in_virtual_time
async def test_an_outage_pauses_the_job_and_loses_nothing() -> None:
    endpoint = LoadedEndpoint(
        lambda now_s: 0 if 30 <= now_s < 230 else 100, refusal=TransientError, refusal_s=0.1
    )
    throttle = throttle_of(100)
    account = await run_job(endpoint, throttle, workers=100, seconds=400)
    assert account.done + account.deferred == account.begun
    assert account.deferred <= 100  # those in flight as it began
    probes = [endpoint.sends_by_second[second] for second in range(40, 230)]
    assert max(probes) == 1
    assert 3 <= sum(probes) <= 10
    assert min(account.limits[340:400]) >= 90


# ----------------------------------------------------------------------------------------------
# rates


@in_virtual_time
async def test_requests_per_minute_hold_over_every_minute_with_a_second_of_burst() -> None:
    chat = ScriptedChat()
    throttled = ThrottledChat(chat, throttle_of(64, rpm=600))
    async with asyncio.TaskGroup() as group:
        for _ in range(1500):
            group.create_task(throttled.complete(request_of()))
    began_s = chat.times[0]
    assert [sum(t <= began_s + s for t in chat.times) for s in (0, 1, 60, 120)] == [
        10,
        20,
        610,
        1210,
    ]


@in_virtual_time
async def test_tokens_per_minute_count_what_was_used_not_what_was_reserved() -> None:
    chat = ScriptedChat()  # uses 10 tokens a reply
    chat.latency_s = 0.5
    throttled = ThrottledChat(chat, throttle_of(256, tpm=60_000))
    async with asyncio.TaskGroup() as group:
        for _ in range(4_000):
            group.create_task(throttled.complete(request_of(max_tokens=50)))
    settled = [at_s - chat.times[0] for at_s in chat.times if at_s - chat.times[0] > 5]
    assert len(settled) / (settled[-1] - 5) == pytest.approx(1_000 / 10, rel=0.05)


@in_virtual_time
async def test_a_request_larger_than_a_second_of_tokens_goes_and_is_paid_for_by_those_after() -> (
    None
):
    chat = ScriptedChat(Reply("", "stop", 914, 500, 0.1))
    throttled = ThrottledChat(chat, throttle_of(64, tpm=6_000))
    for _ in range(5):
        await throttled.complete(request_of(3_640, max_tokens=500))
    gaps = [later - earlier for earlier, later in zip(chat.times, chat.times[1:], strict=False)]
    assert gaps == [pytest.approx(14.14, rel=0.01)] * 4


@in_virtual_time
async def test_a_request_that_no_minute_has_room_for_is_a_config_error_with_a_remedy() -> None:
    chat = ScriptedChat()
    throttled = ThrottledChat(chat, throttle_of(64, tpm=1_000))
    with pytest.raises(ConfigError, match=r'"local".* tpm .*lower max_tokens'):
        await throttled.complete(request_of(max_tokens=1_000))
    assert chat.requests == []


# ----------------------------------------------------------------------------------------------
# the line


class HeldChat:
    """A ChatModel whose replies are let go one by one."""

    def __init__(self) -> None:
        self.held: dict[str, asyncio.Future[Reply | BaseException]] = {}

    async def complete(self, request: ChatRequest) -> Reply:
        future: asyncio.Future[Reply | BaseException] = asyncio.get_running_loop().create_future()
        self.held[request.user] = future
        outcome = await future
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def let_go(self, user: str, outcome: Reply | BaseException | None = None) -> None:
        self.held.pop(user).set_result(reply() if outcome is None else outcome)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def ask(chat: ThrottledChat, user: str) -> asyncio.Task[Reply]:
    return asyncio.create_task(chat.complete(ChatRequest("m", "", user, {}, 10)))


async def test_the_waiting_are_served_in_the_order_they_came() -> None:
    inner = HeldChat()
    throttle = throttle_of(1)
    chat = ThrottledChat(inner, throttle)
    tasks = [ask(chat, str(number)) for number in range(4)]
    await settle()
    for number in range(4):
        assert list(inner.held) == [str(number)]
        assert throttle.view().waiting == 3 - number
        inner.let_go(str(number))
        await settle()
    assert all(task.done() for task in tasks)


@given(st.lists(st.tuples(st.integers(0, 11), st.booleans()), max_size=40), st.integers(1, 4))
def test_the_cancelled_leak_no_slot(events: list[tuple[int, bool]], max_in_flight: int) -> None:
    async def scene() -> None:
        inner = HeldChat()
        throttle = throttle_of(max_in_flight)
        chat = ThrottledChat(inner, throttle)
        tasks = [ask(chat, str(number)) for number in range(12)]
        await asyncio.sleep(0)
        for number, lets_go in events:
            if lets_go and str(number) in inner.held and not inner.held[str(number)].done():
                inner.let_go(str(number))
            else:
                tasks[number].cancel()
            if number % 2:
                await asyncio.sleep(0)
            assert throttle.view().in_flight <= max_in_flight
        while not all(task.done() for task in tasks):
            for user in [user for user, future in inner.held.items() if not future.done()]:
                inner.let_go(user)
            await asyncio.sleep(0)
        view = throttle.view()
        assert (view.in_flight, view.waiting, view.waiting_for) == (0, 0, None)

    asyncio.run(scene())


@in_virtual_time
async def test_a_cancelled_waiter_leaves_its_tokens_to_the_next() -> None:
    inner = ScriptedChat()
    throttle = throttle_of(64, rpm=60)
    chat = ThrottledChat(inner, throttle)
    began_s = asyncio.get_running_loop().time()
    tasks = [ask(chat, str(number)) for number in range(6)]
    await asyncio.sleep(0.5)
    assert throttle.view().waiting_for is WaitReason.RPM
    for task in tasks[1:5]:
        task.cancel()
    await tasks[5]
    assert inner.times[-1] - began_s == pytest.approx(1.0)


@in_virtual_time
async def test_a_small_request_waits_behind_a_large_one_and_goes_when_that_is_cancelled() -> None:
    inner = ScriptedChat(Reply("", "stop", 400, 200, 0.0))
    throttle = throttle_of(64, tpm=6_000)
    chat = ThrottledChat(inner, throttle)
    loop = asyncio.get_running_loop()
    await chat.complete(request_of(max_tokens=50))  # leaves 5 s of debt
    began_s = loop.time()
    large = asyncio.create_task(chat.complete(request_of(2_000, max_tokens=1_000)))
    await asyncio.sleep(5.5)  # enough for a small one, not for the large
    small = asyncio.create_task(chat.complete(request_of(4, max_tokens=5)))
    await asyncio.sleep(0)
    view = throttle.view()
    assert (view.waiting, view.waiting_for) == (2, WaitReason.TPM)
    large.cancel()
    await small
    assert loop.time() - began_s == 5.5
    assert len(inner.requests) == 2


@in_virtual_time
async def test_what_was_not_sent_gives_its_slot_and_its_tokens_back() -> None:
    throttle = throttle_of(64, rpm=60, tpm=6_000)
    chat = ThrottledChat(ScriptedChat(), throttle)

    class Broke:
        async def complete(self, request: ChatRequest) -> Reply:
            raise BudgetExceeded("spent")

    broke = ThrottledChat(Broke(), throttle)
    began_s = asyncio.get_running_loop().time()
    for _ in range(20):
        with pytest.raises(BudgetExceeded):
            await broke.complete(request_of())
    await chat.complete(request_of())
    assert asyncio.get_running_loop().time() == began_s
    assert throttle.view().in_flight == 0


async def test_a_shut_throttle_sends_nobody_away_who_was_let_in_and_lets_nobody_in() -> None:
    inner = HeldChat()
    throttle = throttle_of(1)
    chat = ThrottledChat(inner, throttle)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(throttle.shut_when(stop))
        first, second = ask(chat, "first"), ask(chat, "second")
        await settle()
        stop.set()
    with pytest.raises(TransientError, match="not sent"):
        await second
    with pytest.raises(TransientError, match="not sent"):
        await chat.complete(request_of())
    inner.let_go("first")
    assert (await first).text == "[[A]]"
    assert list(inner.held) == []


async def test_a_view_says_how_many_wait_and_for_what() -> None:
    inner = HeldChat()
    throttle = throttle_of(2)
    chat = ThrottledChat(inner, throttle)
    assert throttle.view().waiting_for is None
    tasks = [ask(chat, str(number)) for number in range(5)]
    await settle()
    view = await asyncio.to_thread(throttle.view)
    assert (view.limit, view.in_flight, view.waiting, view.waiting_for) == (
        2, 2, 3, WaitReason.SLOT,
    )  # fmt: skip
    assert (view.breaker, view.next_probe_s) == (BreakerState.CLOSED, None)
    for task in tasks:
        task.cancel()


# ----------------------------------------------------------------------------------------------
# the circuit breaker


@pytest.mark.parametrize(
    "harmless",
    [
        reply(finish_reason="length"),
        reply("no verdict here"),
        reply(finish_reason="content_filter"),
        ItemError("context too long"),
        TransientError("no finish reason", kind="no finish reason"),
    ],
)
@in_virtual_time
async def test_replies_of_no_use_and_rejected_items_never_open_the_breaker(
    harmless: Reply | EndpointError,
) -> None:
    throttle = throttle_of(4)
    chat = ThrottledChat(ScriptedChat(harmless), throttle)
    for _ in range(100):
        with suppress(EndpointError):
            await chat.complete(request_of())
    assert throttle.view().breaker is BreakerState.CLOSED


async def brought_down(throttle: Throttle, error: EndpointError = DOWN) -> None:
    chat = ThrottledChat(ScriptedChat(error), throttle)
    for _ in range(20):
        with pytest.raises(type(error)):
            await chat.complete(request_of())


@in_virtual_time
async def test_an_open_breaker_holds_all_back_and_lets_one_probe_out() -> None:
    throttle = throttle_of(8)
    await brought_down(throttle)
    inner = HeldChat()
    chat = ThrottledChat(inner, throttle)
    tasks = [ask(chat, str(number)) for number in range(6)]
    await settle()
    view = throttle.view()
    assert (view.breaker, view.waiting_for) == (BreakerState.OPEN, WaitReason.BREAKER)
    assert view.limit == 1
    assert view.next_probe_s is not None
    assert 4.9 <= view.next_probe_s <= 6.25
    await asyncio.sleep(7)
    assert list(inner.held) == ["0"]
    view = throttle.view()
    assert (view.breaker, view.next_probe_s) == (BreakerState.HALF_OPEN, 0.0)
    tasks[0].cancel()  # a probe that is cancelled has said nothing: the next one goes
    await settle()
    assert [user for user, future in inner.held.items() if not future.done()] == ["1"]
    inner.let_go("1")
    await settle()
    assert throttle.view().breaker is BreakerState.CLOSED
    while not all(task.done() for task in tasks):
        for user in [user for user, future in inner.held.items() if not future.done()]:
            inner.let_go(user)
        await settle()
    assert throttle.view().limit > 1


@in_virtual_time
async def test_an_endpoint_out_of_quota_is_asked_no_sooner_than_it_says() -> None:
    throttle = throttle_of(8)
    await brought_down(throttle, ThrottledError("out of quota", retry_after_s=89))
    next_probe_s = throttle.view().next_probe_s
    assert next_probe_s is not None
    assert 89 <= next_probe_s <= 1.25 * 89


@in_virtual_time
async def test_after_its_patience_an_outage_is_said_and_what_waits_is_given_up_for_now() -> None:
    throttle = throttle_of(8, patience_s=300.0)
    loop = asyncio.get_running_loop()
    await ThrottledChat(ScriptedChat(), throttle).complete(request_of())
    began_s = loop.time()
    await brought_down(throttle)
    chat = ThrottledChat(ScriptedChat(DOWN), throttle)
    tasks = [ask(chat, str(number)) for number in range(20)]
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert loop.time() - began_s == pytest.approx(300, abs=1)
    given_up = [error for error in outcomes if getattr(error, "kind", "") == "outage"]
    assert 10 <= len(given_up) < 20
    assert "the last failure was: down" in str(given_up[0])


@pytest.mark.parametrize(("error", "patience_s"), [(DOWN, 60), (BUSY, 900)])
@in_virtual_time
async def test_an_endpoint_that_only_ever_failed_is_given_up_sooner_than_one_out_of_quota(
    error: EndpointError, patience_s: float
) -> None:
    throttle = throttle_of(8)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await brought_down(throttle, error)
    chat = ThrottledChat(ScriptedChat(error), throttle)
    outcomes = await asyncio.gather(
        *(ask(chat, str(number)) for number in range(60)), return_exceptions=True
    )
    assert {getattr(outcome, "kind", "") for outcome in outcomes} >= {"outage"}
    assert loop.time() - began_s == pytest.approx(patience_s, abs=1)


@in_virtual_time
async def test_an_answer_to_what_was_sent_before_the_breaker_opened_is_no_probe() -> None:
    throttle = throttle_of(8)
    inner = HeldChat()
    early = ask(ThrottledChat(inner, throttle), "early")
    await settle()
    await brought_down(throttle, UnreachableError("gone", kind="unreachable"))
    inner.let_go("early")
    await early
    assert throttle.view().breaker is BreakerState.OPEN
    assert throttle.view().in_flight == 0


# ----------------------------------------------------------------------------------------------
# cost


class Instant:
    """A ChatModel that answers without waiting."""

    def __init__(self) -> None:
        self.answer = reply()

    async def complete(self, request: ChatRequest) -> Reply:
        return self.answer


async def test_a_free_throttle_costs_microseconds() -> None:
    async def cpu_s(chat: ChatModel, request: ChatRequest) -> float:
        began_s = time.process_time()
        for _ in range(2_000):
            await chat.complete(request)
        return (time.process_time() - began_s) / 2_000

    bare, throttled = Instant(), ThrottledChat(Instant(), throttle_of(256))
    costs = [
        await cpu_s(throttled, request_of(6_000)) - await cpu_s(bare, request_of(6_000))
        for _ in range(7)
    ]
    assert min(costs) < 10e-6  # about 2.5 us on a quiet core


# ----------------------------------------------------------------------------------------------
# against the simulated judge


@pytest.mark.reliability
async def test_the_simulated_judge_at_60_percent_is_found_and_its_recovery_too() -> None:
    served, offered = 60, 100
    settings = SimulatorSettings(latency_s=1.0, latency_spread=0.3, max_concurrency=served)
    async with running_simulator(settings) as simulator:
        loop = asyncio.get_running_loop()
        loop.call_later(120, _open_up, simulator, offered)
        endpoint = Endpoint(base_url=simulator.base_url, max_in_flight=offered)
        async with OpenAIChat("simulated", endpoint, None) as chat:
            account = await run_job(chat, throttle_of(offered), workers=offered, seconds=190)
        stats = simulator.stats
    assert account.deferred == 0
    assert account.done == account.begun
    assert stats.requests <= 1.15 * account.done
    assert min(account.limits[30:120]) >= 0.8 * served
    assert max(account.limits[30:120]) <= 1.2 * served
    assert min(account.limits[180:190]) >= 0.9 * offered


def _open_up(simulator: Simulator, capacity: int) -> None:
    simulator.settings = simulator.settings.model_copy(update={"max_concurrency": capacity})
