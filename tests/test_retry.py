"""Retries: how often, how long, within which budget. All on a clock that jumps."""

import asyncio
import random
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.chat import Reply
from judge.errors import (
    AccountError,
    EndpointError,
    ItemError,
    LedgerError,
    ThrottledError,
    TransientError,
    UnreachableError,
)
from judge.job.retry import (
    LONGEST_WAIT_S,
    MAX_ATTEMPTS,
    MAX_ELAPSED_S,
    Delivery,
    RetryBudget,
    RetryPolicy,
)
from tests.fakes import in_virtual_time, reply

Outcome = Reply | Exception


class Endpoint:
    """Answers in turn, the last answer for ever, and notes when it was asked."""

    def __init__(self, *script: Outcome) -> None:
        self._script = script
        self.times: list[float] = []

    async def send(self) -> Reply:
        self.times.append(asyncio.get_running_loop().time())
        outcome = self._script[min(len(self.times), len(self._script)) - 1]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    @property
    def gaps(self) -> list[float]:
        return [later - earlier for earlier, later in pairwise(self.times)]


def policy(
    *,
    budget: RetryBudget | None = None,
    stop: asyncio.Event | None = None,
    on_wait: Callable[[TransientError, float], None] = lambda error, wait_s: None,
    seed: int = 0,
) -> RetryPolicy:
    return RetryPolicy(
        budget=budget or RetryBudget(reserve=1e9),
        stop=stop or asyncio.Event(),
        on_wait=on_wait,
        rng=random.Random(seed),
    )


@in_virtual_time
async def test_a_first_reply_is_delivered_without_waiting() -> None:
    endpoint = Endpoint(reply())
    assert await policy().deliver(endpoint.send) == Delivery(reply(), None, 1)


@pytest.mark.parametrize("failures", range(1, MAX_ATTEMPTS))
@in_virtual_time
async def test_a_reply_after_failures_is_delivered_with_the_number_of_sends(failures: int) -> None:
    endpoint = Endpoint(*[TransientError("broken")] * failures, reply())
    assert await policy().deliver(endpoint.send) == Delivery(reply(), None, failures + 1)


@pytest.mark.parametrize("error", [TransientError("500"), UnreachableError("nobody")])
@in_virtual_time
async def test_six_sends_are_the_most_and_the_last_failure_is_kept(error: TransientError) -> None:
    endpoint = Endpoint(*[TransientError("earlier")] * 5, error)
    delivery = await policy().deliver(endpoint.send)
    assert delivery == Delivery(None, error, MAX_ATTEMPTS)
    assert len(endpoint.times) == 6


@in_virtual_time
async def test_waits_grow_to_a_ceiling_and_are_spread_below_it() -> None:
    endpoints = [Endpoint(TransientError("500")) for _ in range(200)]
    retries = policy()
    await asyncio.gather(*(retries.deliver(endpoint.send) for endpoint in endpoints))
    for number, ceiling in enumerate((0.5, 1.0, 2.0, 4.0, 8.0)):
        gaps = sorted(endpoint.gaps[number] for endpoint in endpoints)
        assert 0.0 <= gaps[0] < 0.1 * ceiling
        assert 0.9 * ceiling < gaps[-1] <= ceiling


@pytest.mark.parametrize("error", [ItemError("422"), AccountError("401")])
@pytest.mark.parametrize("failures", [0, 2])
@in_virtual_time
async def test_what_no_retry_can_mend_is_final_at_once(error: EndpointError, failures: int) -> None:
    endpoint = Endpoint(*[TransientError("500")] * failures, error)
    assert await policy().deliver(endpoint.send) == Delivery(None, error, failures + 1)


@pytest.mark.parametrize("error", [LedgerError("full"), ZeroDivisionError()])
@pytest.mark.parametrize("failures", [0, 1])
@in_virtual_time
async def test_errors_of_another_kind_pass_through(error: Exception, failures: int) -> None:
    endpoint = Endpoint(*[TransientError("500")] * failures, error)
    with pytest.raises(type(error)):
        await policy().deliver(endpoint.send)


@pytest.mark.parametrize("asked", [0.0, 0.02, 1.0, 30.0, 600.0])
@in_virtual_time
async def test_retry_after_is_a_floor_and_twenty_waiters_wake_apart(asked: float) -> None:
    endpoints = [Endpoint(ThrottledError("429", asked), reply()) for _ in range(20)]
    retries = policy()
    await asyncio.gather(*(retries.deliver(endpoint.send) for endpoint in endpoints))
    waits = sorted(endpoint.gaps[0] for endpoint in endpoints)
    assert waits[0] > asked
    assert waits[-1] <= asked + max(0.25 * asked, 0.5) + 1e-9
    assert waits[-1] - waits[0] > 0.1 * max(asked, 1.0)
    assert len(set(waits)) == 20


@in_virtual_time
async def test_429s_are_waited_out_however_many_there_are() -> None:
    endpoint = Endpoint(*[ThrottledError("429", 1.0)] * 40, reply())
    delivery = await policy(budget=RetryBudget(reserve=0, share=0)).deliver(endpoint.send)
    assert delivery == Delivery(reply(), None, 41)


@pytest.mark.parametrize("asked", [None, 0.0, 0.05, 60.0, 899.0, 901.0, 1e300])
@in_virtual_time
async def test_429s_without_end_are_given_up_within_fifteen_minutes(asked: float | None) -> None:
    endpoint = Endpoint(ThrottledError("429", asked))
    delivery = await policy().deliver(endpoint.send)
    assert delivery.reply is None
    assert endpoint.times[-1] - endpoint.times[0] <= MAX_ELAPSED_S
    # Even an endpoint that always says "at once" is asked about every eight seconds only.
    assert len(endpoint.times) < 2.5 * MAX_ELAPSED_S / LONGEST_WAIT_S + 10


@in_virtual_time
async def test_thousands_of_429s_do_not_break_the_arithmetic() -> None:
    class Hasty(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return 0.0

    retries = RetryPolicy(
        budget=RetryBudget(),
        stop=asyncio.Event(),
        on_wait=lambda error, wait_s: None,
        rng=Hasty(),
    )
    endpoint = Endpoint(*[ThrottledError("429", 0.0)] * 1500, ThrottledError("429"), reply())
    assert (await retries.deliver(endpoint.send)).attempts == 1502


@in_virtual_time
async def test_slow_failures_end_after_fifteen_minutes_too() -> None:
    async def slow() -> Reply:
        sent.append(asyncio.get_running_loop().time())
        await asyncio.sleep(400.0)
        raise TransientError("time-out", kind="time-out")

    sent: list[float] = []
    delivery = await policy().deliver(slow)
    assert delivery.attempts == len(sent) == 3
    assert sent[-1] - sent[0] <= MAX_ELAPSED_S


@in_virtual_time
async def test_no_wait_is_silent_and_only_waits_are_announced() -> None:
    heard: list[float] = []
    endpoint = Endpoint(TransientError("500"))
    await policy(on_wait=lambda error, wait_s: heard.append(wait_s)).deliver(endpoint.send)
    assert heard == pytest.approx(endpoint.gaps)
    assert len(heard) == 5


@in_virtual_time
async def test_a_stop_ends_a_wait_and_sends_nothing_more() -> None:
    stop = asyncio.Event()
    endpoint = Endpoint(ThrottledError("429", 500.0))
    clock = asyncio.get_running_loop()
    started = clock.time()
    delivering = asyncio.ensure_future(policy(stop=stop).deliver(endpoint.send))
    await asyncio.sleep(3.0)
    stop.set()
    delivery = await delivering
    assert (delivery.attempts, clock.time() - started) == (1, pytest.approx(3.0))
    assert isinstance(delivery.failure, ThrottledError)


@in_virtual_time
async def test_a_reply_that_arrives_after_a_stop_still_counts() -> None:
    stop = asyncio.Event()
    stop.set()
    assert (await policy(stop=stop).deliver(Endpoint(reply()).send)).reply == reply()
    failing = Endpoint(TransientError("500"))
    assert (await policy(stop=stop).deliver(failing.send)).attempts == 1


@in_virtual_time
async def test_one_budget_bounds_the_retries_of_all_workers() -> None:
    budget = RetryBudget(share=0.1, reserve=20)
    endpoints = [Endpoint(TransientError("500")) for _ in range(300)]
    retries = policy(budget=budget)
    await asyncio.gather(*(retries.deliver(endpoint.send) for endpoint in endpoints))
    sends = sum(len(endpoint.times) for endpoint in endpoints)
    assert sends == 300 + 20 + 30


@given(st.lists(st.booleans(), max_size=300), st.floats(0, 1), st.floats(0, 50))
def test_a_budget_never_grants_more_than_its_share(
    events: Sequence[bool], share: float, reserve: float
) -> None:
    budget = RetryBudget(share=share, reserve=reserve)
    first_sends = granted = 0
    for is_retry in events:
        if not is_retry:
            first_sends += 1
            budget.note_first_send()
            continue
        was_granted = budget.grant()
        granted += was_granted
        bound = reserve + share * first_sends
        assert granted <= bound
        assert was_granted or granted + 1 > bound
