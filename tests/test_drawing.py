"""Drawing pairs for people: uniform, with the right probabilities, the same on every machine."""

import math
from collections import Counter
from itertools import combinations
from random import Random
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.people.drawing import Draw, Lottery, draw
from judge.records import Order, Outcome

SEEDS = 3000

pair_ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
frames = st.dictionaries(pair_ids, st.sampled_from(Outcome), max_size=30)
includes = st.sets(st.sampled_from([Outcome.TIE, Outcome.INCONSISTENT, Outcome.UNDECIDED]))


def a_frame(size: int, inconsistent: int = 0) -> list[tuple[str, Outcome]]:
    return [
        (f"p{at}", Outcome.INCONSISTENT if at < inconsistent else Outcome.FIRST)
        for at in range(size)
    ]


def drawn(size: int, *, n: int, seed: int, inconsistent: int = 0) -> Draw:
    include = {Outcome.INCONSISTENT} if inconsistent else set()
    return draw(a_frame(size, inconsistent), Lottery("b", seed), n=n, include=include)


def assert_binomial(count: int, probability: float, *, spreads: float) -> None:
    """`count` of SEEDS is as probable as a draw within that many standard deviations."""
    spread = math.sqrt(SEEDS * probability * (1 - probability))
    assert abs(count - SEEDS * probability) < spreads * spread


def test_every_pair_is_drawn_equally_often_and_so_is_every_two_of_them() -> None:
    size, n = 20, 4
    single: Counter[str] = Counter()
    double: Counter[frozenset[str]] = Counter()
    for seed in range(SEEDS):
        chosen = [task.pair_id for task in drawn(size, n=n, seed=seed).tasks]
        single.update(chosen)
        double.update(frozenset(two) for two in combinations(chosen, 2))
    assert len(single) == size
    for count in single.values():
        assert_binomial(count, n / size, spreads=4)
    assert len(double) == size * (size - 1) // 2
    for count in double.values():
        assert_binomial(count, n * (n - 1) / (size * (size - 1)), spreads=4.5)


def test_sides_and_sequence_depend_neither_on_each_other_nor_on_what_was_drawn() -> None:
    seen: Counter[tuple[bool, bool, bool]] = Counter()
    for seed in range(SEEDS):
        result = drawn(4, n=2, inconsistent=4, seed=seed)
        place = next(at for at, task in enumerate(result.tasks) if task.pair_id == "p0")
        task = result.tasks[place]
        seen[(task.is_audit, task.shown_order is Order.FORWARD, place < 2)] += 1
    assert len(seen) == 8
    for count in seen.values():
        assert_binomial(count, 1 / 8, spreads=4)


def test_a_second_batch_of_the_same_seed_is_a_random_sample_of_what_the_first_left() -> None:
    seen: Counter[tuple[str, str]] = Counter()
    for seed in range(SEEDS):
        [first] = draw(a_frame(4), Lottery("b1", seed), n=1).tasks
        rest = [(id_, outcome) for id_, outcome in a_frame(4) if id_ != first.pair_id]
        [second] = draw(rest, Lottery("b2", seed), n=1).tasks
        seen[(first.pair_id, second.pair_id)] += 1
    assert len(seen) == 12
    for count in seen.values():
        assert_binomial(count, 1 / 12, spreads=4)


def test_weights_of_one_over_the_probability_make_the_batch_speak_for_the_frame() -> None:
    size, inconsistent = 40, 10  # people agree with the judge on all others
    weighted, plain, audit = [], [], []
    for seed in range(800):
        result = drawn(size, n=8, inconsistent=inconsistent, seed=seed)
        agrees = {task: task.included_as is None for task in result.tasks}
        weighted.append(sum(a / t.inclusion_probability for t, a in agrees.items()) / size)
        plain.append(fmean(agrees.values()))
        audit.append(fmean(a for task, a in agrees.items() if task.is_audit))
    truth = 1 - inconsistent / size
    for estimates in (weighted, audit):
        assert abs(fmean(estimates) - truth) < 4 * stdev(estimates) / math.sqrt(len(estimates))
    assert truth - fmean(plain) > 0.3


def test_a_pair_taken_by_both_ways_is_one_task_with_probability_one() -> None:
    result = drawn(10, n=4, inconsistent=5, seed=1)
    both = [task for task in result.tasks if task.is_audit and task.included_as]
    audit_alone = [task for task in result.tasks if task.included_as is None]
    assert both
    assert audit_alone
    assert len(result.tasks) == 5 + len(audit_alone) == 5 + 4 - len(both)
    assert {(task.inclusion_probability, task.stratum) for task in both} == {(1, "inconsistent")}
    assert {(t.inclusion_probability, t.stratum) for t in audit_alone} == {(0.4, "audit")}
    assert result.audit_probability == 0.4


@given(frames, st.integers(0, 40), includes, st.integers())
def test_a_draw_holds_n_pairs_and_all_included_ones_each_once(
    frame: dict[str, Outcome], n: int, include: set[Outcome], seed: int
) -> None:
    result = draw(frame.items(), Lottery("b", seed), n=n, include=include)
    ids = [task.pair_id for task in result.tasks]
    audit = {task.pair_id for task in result.tasks if task.is_audit}
    included = {id_ for id_, outcome in frame.items() if outcome in include}
    assert len(set(ids)) == len(ids) == len({task.task_id for task in result.tasks})
    assert audit | included == set(ids) <= frame.keys()
    assert len(audit) == min(n, len(frame))
    assert {t.pair_id: t.included_as for t in result.tasks if t.included_as} == {
        id_: frame[id_] for id_ in included
    }
    assert all(0 < task.inclusion_probability <= 1 for task in result.tasks)
    assert result.frame_size == len(frame)


@given(frames, st.integers(0, 10), includes, st.randoms(use_true_random=False))
def test_the_sequence_of_the_frame_changes_nothing(
    frame: dict[str, Outcome], n: int, include: set[Outcome], random: Random
) -> None:
    shuffled = list(frame.items())
    random.shuffle(shuffled)
    lottery = Lottery("b", 3)
    assert draw(shuffled, lottery, n=n, include=include) == draw(
        frame.items(), lottery, n=n, include=include
    )


def test_the_numbers_of_a_batch_are_the_same_for_ever() -> None:
    lottery = Lottery("batch one", 7)
    assert lottery.task_id("p1") == "e20eccc39f34811474a5"
    assert [lottery.shown_order(f"p{at}").value for at in range(6)] == [
        "forward",
        "forward",
        "forward",
        "forward",
        "reversed",
        "forward",
    ]


def test_a_negative_size_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        draw([], Lottery("b", 0), n=-1)
