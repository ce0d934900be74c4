"""Admission: what the limit and the breaker of an endpoint decide together."""

import random
from collections import deque

from judge.throttling.admission import Admission, Limits, Permit
from judge.throttling.health import Signal


def test_probes_refused_for_hours_do_not_slow_the_way_back_up() -> None:
    admission = Admission(Limits(64), now_s=0.0, rng=random.Random(4))

    def one(signal: Signal, now_s: float) -> None:
        permit = admission.admit(0, now_s)
        assert isinstance(permit, Permit)
        admission.answered(permit, signal, now_s)

    for _ in range(20):
        one(Signal.THROTTLED, 0.0)
    assert admission.limit == 1
    for hour in range(1, 8):
        one(Signal.THROTTLED, 3600.0 * hour)
    one(Signal.OK, 3600.0 * 8)
    in_flight: deque[Permit] = deque()
    for _ in range(15):  # four rounds of a slow start: 1 + 2 + 4 + 8 answers
        while isinstance(permit := admission.admit(0, 3600.0 * 8), Permit):
            in_flight.append(permit)
        admission.answered(in_flight.popleft(), Signal.OK, 3600.0 * 8)
    assert admission.limit >= 13
