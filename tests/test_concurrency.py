"""The adaptive limit: slow start, additive increase, multiplicative decrease, and stray errors."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.throttling.concurrency import AdaptiveLimit
from judge.throttling.health import RecentAnswers, Signal, is_beyond_chance

OK, THROTTLED, FAILED = Signal.OK, Signal.THROTTLED, Signal.FAILED


def answers(limit: AdaptiveLimit, signal: Signal, count: int) -> None:
    """Let so many answers come to requests sent just now, with every slot in use."""
    for _ in range(count):
        limit.note(signal, epoch=limit.epoch, in_flight=limit.limit)


def test_the_limit_starts_at_64_or_at_the_upper_bound() -> None:
    assert AdaptiveLimit(1000).limit == 64
    assert AdaptiveLimit(10).limit == 10
    assert AdaptiveLimit(1000, 5).limit == 5
    assert AdaptiveLimit(10, 50).limit == 10


def test_the_limit_doubles_in_a_round_before_the_first_cut_and_grows_5_percent_after() -> None:
    limit = AdaptiveLimit(1000, 100)
    answers(limit, OK, 100)
    assert limit.limit == 200
    answers(limit, THROTTLED, 20)
    while limit.limit > 100:
        answers(limit, THROTTLED, 1)
    before = limit.limit
    answers(limit, OK, before)
    assert limit.limit == pytest.approx(1.05 * before, abs=1)


def test_the_limit_grows_by_one_a_round_where_5_percent_is_less() -> None:
    limit = AdaptiveLimit(1000, 12)
    answers(limit, THROTTLED, 3)
    assert limit.limit == 9
    answers(limit, OK, 10)
    assert limit.limit == 10


def test_the_limit_does_not_grow_while_it_is_not_used() -> None:
    limit = AdaptiveLimit(1000, 100)
    for _ in range(500):
        limit.note(OK, epoch=limit.epoch, in_flight=79)
    assert limit.limit == 100


def test_one_burst_of_429s_is_one_cut() -> None:
    limit = AdaptiveLimit(1000, 100)
    sent_before = limit.epoch
    for _ in range(40):
        limit.note(THROTTLED, epoch=sent_before, in_flight=100)
    assert limit.limit == 80


def test_growth_pauses_for_a_round_after_failures_and_no_failure_cuts() -> None:
    limit = AdaptiveLimit(1000, 100)
    answers(limit, FAILED, 40)
    assert limit.limit == 100
    answers(limit, OK, 100)
    assert limit.limit == 100
    answers(limit, OK, 10)
    assert limit.limit == 110


def test_two_429s_are_noise_and_many_of_few_are_not() -> None:
    limit = AdaptiveLimit(1000, 100)
    answers(limit, THROTTLED, 2)
    assert limit.limit == 100
    answers(limit, THROTTLED, 1)
    assert limit.limit == 80


@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.lists(st.tuples(st.sampled_from(Signal), st.integers(1, 200), st.booleans()), max_size=8),
)
def test_the_limit_stays_between_1_and_its_upper_bound(
    most: int, start: int, runs: list[tuple[Signal, int, bool]]
) -> None:
    limit = AdaptiveLimit(most, start)
    for signal, count, collapses in runs:
        answers(limit, signal, count)
        assert 1 <= limit.limit <= most
        if collapses:
            limit.collapse()
            assert limit.limit == 1
    answers(limit, OK, 20 * most + 400)
    assert limit.limit >= min(most, 20)


@given(st.lists(st.sampled_from(Signal), max_size=300), st.integers(1, 40))
def test_recent_answers_count_what_a_list_of_the_last_blocks_holds(
    signals: list[Signal], block: int
) -> None:
    recent = RecentAnswers()
    for signal in signals:
        recent.add(signal, block)
    kept = signals[max(0, len(signals) // block - 1) * block :]
    counted = Counter(kept)
    assert (recent.answers, recent.throttled, recent.failed) == (
        len(kept),
        counted[THROTTLED],
        counted[FAILED],
    )


def test_two_percent_and_what_chance_adds_to_it_is_stray() -> None:
    assert not is_beyond_chance(0, 0)
    assert not is_beyond_chance(20, 1000)
    assert not is_beyond_chance(28, 1000)
    assert is_beyond_chance(29, 1000)
