"""Readings become columns: what was asked more than once, and what it took."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.position import Repetitions
from calibration.report.columns import Expense
from judge.ledger.facts import AnswerFacts, JudgedPair
from judge.ledger.runs import Run, RunJudge
from judge.outcomes.labels import Rule, resolve_label
from judge.records import Order, Outcome, Reading, Status, Verdict
from judge.trust.audit import gather
from judge.trust.judge_columns import JudgeGathering

OUTCOMES = {Outcome.FIRST: 1, Outcome.SECOND: -1}
A, B, TIE = Verdict.A, Verdict.B, Verdict.TIE
UNPARSED, TRUNCATED = Status.UNPARSED, Status.TRUNCATED
Said = Sequence[Verdict | Status]
"""What was said in one order, sample by sample."""

JUDGES = tuple(RunJudge(f"k{at}", f"j{at}", "m", "pair", "digest", {}) for at in range(2))


def a_run(judges: int = 1, rule: str = "conservative") -> Run:
    return Run("r", "judge", "pairs.jsonl", {"rule": rule}, True, "", JUDGES[:judges])


def a_pair(at: int, forward: Said, reversed_: Said, *, judges: int = 1) -> JudgedPair:
    readings = [
        Reading(
            judgment_id=f"{at} {judge} {order} {sample}",
            judge_key=f"k{judge}",
            order=order,
            sample=sample,
            verdict=one if isinstance(one, Verdict) else None,
            status=one if isinstance(one, Status) else None,
        )
        for judge in range(judges)
        for order, said in ((Order.FORWARD, forward), (Order.REVERSED, reversed_))
        for sample, one in enumerate(said)
    ]
    return JudgedPair(f"p{at}", f"q{at}", tuple(readings), {}, AnswerFacts(1), AnswerFacts(1))


def repetitions_of(*pairs: tuple[Said, Said]) -> Repetitions | None:
    gathering = JudgeGathering("j0", "k0", a_run())
    for at, (forward, reversed_) in enumerate(pairs):
        gathering.add(a_pair(at, forward, reversed_))
    return gathering.columns().repetitions


def test_samples_of_one_order_are_repetitions_of_what_they_say_about_the_candidates() -> None:
    found = repetitions_of(([A], [B]), ([A, A, TIE], [B]), ([A, B], [B, B, A]), ([A, B], [B]))
    assert found is not None
    assert found.pair.tolist() == [1, 2, 2, 3]
    # Verdicts for the second candidate, ties, for the first: reversed, B is the first.
    assert found.counts.tolist() == [[0, 1, 2], [1, 0, 1], [1, 0, 2], [1, 0, 1]]


def test_two_orders_are_no_repetition_of_each_other() -> None:
    assert repetitions_of(([A], [B]), ([A], [A])) is None


def test_a_failure_asked_again_is_no_repetition() -> None:
    assert repetitions_of(([UNPARSED, A], [TRUNCATED, UNPARSED, B])) is None
    found = repetitions_of(([A, UNPARSED, B], [B]))
    assert found is not None
    assert found.counts.tolist() == [[1, 0, 1]]


def test_no_pair_has_no_repetition() -> None:
    assert repetitions_of() is None


def test_a_panel_repeats_nothing_because_its_judges_are_different() -> None:
    gathered = gather(a_run(2), [a_pair(0, [A, A], [B], judges=2)], [])
    assert [judge.name for judge in gathered.judges] == ["j0", "j1", "panel"]
    assert [judge.repetitions is None for judge in gathered.judges] == [False, False, True]


said = st.lists(st.sampled_from([A, B, TIE, UNPARSED]), max_size=3)


@given(st.lists(st.tuples(said, said), max_size=6))
def test_exchanging_the_candidates_turns_the_counts_round(pairs: list[tuple[Said, Said]]) -> None:
    found = repetitions_of(*pairs)
    exchanged = repetitions_of(*((reversed_, forward) for forward, reversed_ in pairs))
    if found is None or exchanged is None:
        assert found is exchanged is None
        return
    given_rows = sorted(zip(found.pair, found.counts.tolist(), strict=True))
    turned = sorted(zip(exchanged.pair, exchanged.counts[:, ::-1].tolist(), strict=True))
    assert given_rows == turned
    assert np.all(found.counts.sum(axis=1) >= 2)


def test_each_judge_is_given_what_it_took_and_the_panel_their_sum() -> None:
    pairs = [a_pair(0, [A], [B], judges=2)]
    took = {"k0": Expense(2, 0.5, 3.0, 200, 40), "k1": Expense(2, None, 1.5, 100, 10)}
    one, other, panel = (
        judge.expense for judge in gather(a_run(2), pairs, [], expenses=took).judges
    )
    assert (one, other) == (took["k0"], took["k1"])
    assert panel == Expense(4, None, 4.5, 300, 50)
    assert gather(a_run(), pairs, []).judges[0].expense is None


@pytest.mark.parametrize("rule", ["conservative", "soft", "single_random"])
def test_the_columns_hold_no_probability_where_none_was_given(rule: str) -> None:
    gathered = gather(a_run(rule=rule), [a_pair(0, [A], [B])], [])
    assert gathered.delivered.probability is None


Told = tuple[float, float, float]
tellings = st.tuples(
    st.sampled_from([A, B, TIE, UNPARSED]),
    st.none() | st.sampled_from([(0.7, 0.2, 0.1), (0.4, 0.5, 0.1), (0.2, 0.1, 0.7), (1.0, 0, 0)]),
)


def telling_pair(at: int, *told: tuple[Verdict | Status, Told | None]) -> JudgedPair:
    """A pair of which each judge says two things, in the forward and in the reversed order."""
    readings = [
        Reading(
            judgment_id=f"{at} {place}",
            judge_key=f"k{place // 2}",
            order=tuple(Order)[place % 2],
            sample=0,
            verdict=one if isinstance(one, Verdict) else None,
            status=one if isinstance(one, Status) else None,
            probabilities=p if isinstance(one, Verdict) else None,
        )
        for place, (one, p) in enumerate(told)
    ]
    return JudgedPair(f"p{at}", f"q{at}", tuple(readings), {}, AnswerFacts(1), AnswerFacts(1))


@given(
    st.lists(st.tuples(tellings, tellings, tellings, tellings), min_size=1, max_size=8),
    st.sampled_from(["conservative", "lenient", "soft"]),
)
def test_every_pair_has_the_outcome_and_the_probability_of_its_label(
    given_pairs: list[tuple[Any, ...]], rule: str
) -> None:
    run = a_run(2, rule)
    pairs = [telling_pair(at, *told) for at, told in enumerate(given_pairs)]
    for judge in gather(run, pairs, []).judges:
        for row, pair in enumerate(pairs):
            key = {"j0": "k0", "j1": "k1"}.get(judge.name)
            readings = [r for r in pair.readings if key is None or r.judge_key == key]
            label = resolve_label("", readings, rule=Rule(rule))
            assert judge.has_label[row] == (label.outcome is not Outcome.UNDECIDED)
            if judge.has_label[row]:
                assert judge.label[row] == OUTCOMES.get(label.outcome, 0)
            if judge.has_probability is not None and judge.has_probability[row]:
                assert judge.probability is not None
                assert judge.probability[row] == label.probability
            elif label.probability is not None:  # a mere score of one verdict in each order
                assert rule == "soft"
                assert any(r.verdict and r.probabilities is None for r in readings)


@pytest.mark.parametrize("judges", [1, 2])
def test_the_same_verdicts_may_have_different_labels_by_their_probabilities(judges: int) -> None:
    sure, unsure = (0.9, 0.1, 0.0), (0.51, 0.49, 0.0)
    pairs = [
        telling_pair(at, *((A, forward), (A, reversed_)) * judges)
        for at, (forward, reversed_) in enumerate([(sure, unsure), (unsure, sure), (sure, sure)])
    ]
    labels = gather(a_run(judges, "soft"), pairs, []).delivered.label
    assert labels.tolist() == [1, -1, 0]


def test_several_samples_make_a_probability_and_one_verdict_in_each_order_does_not() -> None:
    sampled = gather(a_run(rule="soft"), [a_pair(0, [A, A], [B, A]), a_pair(1, [A], [B])], [])
    assert sampled.delivered.probability is not None
    assert sampled.delivered.has_probability is not None
    # A run asks one sample of each order unless it is told more: the second pair lacks nothing.
    assert sampled.delivered.has_probability.tolist()[1] is False
