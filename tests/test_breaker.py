"""The circuit breaker: when it opens, how long it pauses, and what closes it."""

import random

from judge.throttling.breaker import Breaker, BreakerState
from judge.throttling.health import Signal

OK, THROTTLED, FAILED = Signal.OK, Signal.THROTTLED, Signal.FAILED


def opened(*, signal: Signal = FAILED, retry_after_s: float | None = None) -> Breaker:
    breaker = Breaker(rng=random.Random(2))
    for _ in range(20):
        breaker.note(signal, block=20, now_s=100.0, retry_after_s=retry_after_s)
    return breaker


def pause_s(breaker: Breaker, now_s: float) -> float:
    return breaker.probe_at_s - now_s


def test_a_breaker_opens_on_half_of_twenty_failing_and_not_before() -> None:
    breaker = Breaker(rng=random.Random(2))
    for number in range(19):
        breaker.note(FAILED if number % 2 else OK, block=20, now_s=1.0)
        assert breaker.state(1.0) is BreakerState.CLOSED
    breaker.note(FAILED, block=20, now_s=1.0)
    assert breaker.state(1.0) is BreakerState.OPEN


def test_a_breaker_stays_closed_while_an_overloaded_endpoint_answers_some() -> None:
    breaker = Breaker(rng=random.Random(2))
    for number in range(1000):
        breaker.note(OK if number % 5 == 0 else THROTTLED, block=20, now_s=1.0)
        assert breaker.is_closed


def test_pauses_double_from_5_to_60_seconds_with_positive_jitter() -> None:
    breaker = opened()
    now_s = 100.0
    for least in (5, 10, 20, 40, 60, 60, 60):
        assert least <= pause_s(breaker, now_s) <= 1.25 * least
        now_s = breaker.probe_at_s
        assert not breaker.may_probe(now_s - 0.01)
        assert breaker.may_probe(now_s)
        breaker.begin_probe()
        assert breaker.state(now_s) is BreakerState.HALF_OPEN
        assert not breaker.may_probe(now_s + 1000)
        breaker.note(FAILED, block=20, now_s=now_s)


def test_what_a_429_of_the_whole_endpoint_asks_for_is_a_floor() -> None:
    breaker = opened(signal=THROTTLED, retry_after_s=89)
    assert 89 <= pause_s(breaker, 100.0) <= 1.25 * 89
    breaker.begin_probe()
    breaker.note(THROTTLED, block=20, now_s=300.0, retry_after_s=120)
    assert 120 <= pause_s(breaker, 300.0) <= 1.25 * 120


def test_a_probe_that_is_answered_closes_the_breaker_and_health_shortens_the_next_pause() -> None:
    breaker = opened()
    for _ in range(3):
        breaker.begin_probe()
        breaker.note(FAILED, block=20, now_s=200.0)
    breaker.begin_probe()
    breaker.note(OK, block=20, now_s=300.0)
    assert breaker.is_closed
    for _ in range(20):
        breaker.note(OK, block=20, now_s=301.0)
    while breaker.is_closed:
        breaker.note(FAILED, block=20, now_s=302.0)
    assert 5 <= pause_s(breaker, 302.0) <= 6.25
