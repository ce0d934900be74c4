"""Token buckets: no span of time lets through more than its rate and a second of burst."""

from hypothesis import given
from hypothesis import strategies as st

from judge.throttling.rates import TokenBucket


@given(
    st.integers(1, 100_000),
    st.lists(st.tuples(st.floats(0, 30), st.integers(1, 5_000), st.floats(0, 1)), max_size=60),
)
def test_no_span_of_time_lets_through_more_than_its_rate(
    per_minute: int, requests: list[tuple[float, int, float]]
) -> None:
    bucket = TokenBucket(per_minute, now_s=0.0)
    rate = per_minute / 60
    now_s = taken = 0.0
    for pause_s, amount, share_used in requests:
        now_s += pause_s
        now_s += bucket.wait_s(amount, now_s=now_s)
        assert bucket.wait_s(amount, now_s=now_s) == 0.0
        assert taken <= rate * now_s + rate + 1e-3
        bucket.take(amount)
        bucket.give_back(amount * (1 - share_used))
        taken += amount * share_used


def test_an_hour_of_silence_saves_up_one_second() -> None:
    bucket = TokenBucket(600, now_s=0.0)
    now_s = 3600.0
    sent = 0
    while bucket.wait_s(1, now_s=now_s) == 0.0:
        bucket.take(1)
        sent += 1
    assert sent == 10
