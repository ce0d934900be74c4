"""What draws a judge, set against what draws people."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.bias import NO_VOTES_ON_THEM, Bias, bias
from calibration.intervals import Estimate
from calibration.length_control import length_controlled_win_rate
from calibration.logistic import SEPARATED
from calibration.position import TwoOrders
from calibration.report.columns import NO_ORDERS, Answers, JudgeColumns, PairColumns
from calibration.self_preference import (
    NO_FAMILIES,
    NO_OWN,
    DecidedPairs,
    beyond_control,
    equal_opportunity,
    newcombe_difference,
)
from calibration.verdict_effects import NO_ANSWERS, NO_QUALITY, markdown_difference

World = tuple[JudgeColumns, PairColumns, np.ndarray]


def answers(**columns: Any) -> Answers:
    """Answers of which only some columns are given; the others are all zero."""
    n = len(next(iter(columns.values())))
    names = [f.name for f in fields(Answers)]
    return Answers(**{name: np.array(columns.get(name, [0] * n), np.intp) for name in names})


def judge_of(
    label: Any, *, own: Any = None, orders: tuple[Any, Any] | None = None, has: Any = None
) -> JudgeColumns:
    codes = np.array(label, np.int8)
    has_label = np.ones(len(codes), bool) if has is None else np.array(has, bool)
    given = None
    if orders is not None:
        forward, reversed_ = (np.array(side, np.int8) for side in orders)
        given = TwoOrders(forward, reversed_, np.ones_like(has_label), np.ones_like(has_label))
    return JudgeColumns(
        name="j",
        label=codes,
        has_label=has_label,
        inconsistent=np.zeros(len(codes), bool),
        judgments=np.full(len(codes), 2),
        n_pending=int(np.sum(~has_label)),
        own_family=None if own is None else np.array(own, np.int8),
        orders=given,
    )


def tally_of(*votes: str) -> np.ndarray:
    """Counts of each pair's votes, written as `112` (two for the first, one for the second)."""
    return np.array([[v.count("2"), v.count("0"), v.count("1")] for v in votes], float)


def assert_is(estimate: Estimate, value: float, n: int) -> None:
    assert estimate.value == pytest.approx(value)
    assert estimate.n == n
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.low <= estimate.value <= estimate.high


# Pulls


def test_pulls_of_judge_and_humans_are_counted_on_the_same_pairs() -> None:
    # The first is longer in all but p2; p3 is too close; the judge ties p4; people tie p5.
    pairs = PairColumns(
        np.arange(7),
        answers(chars=[200, 100, 130, 200, 200, 200, 200]),
        answers(chars=[100, 200, 100, 100, 100, 100, 100]),
    )
    label = [1, -1, 1, 0, 1, -1, 1]
    votes = tally_of("112", "21", "1", "1", "00", "0222", "")
    found = bias(judge_of(label), pairs, tally=votes).length
    assert_is(found.judge, 2 / 3, 3)
    assert_is(found.humans, (2 / 3 + 1 / 2 + 0) / 3, 3)
    assert_is(found.difference, 2 / 3 - (2 / 3 + 1 / 2 + 0) / 3, 3)


def test_a_gap_of_30_characters_is_none_and_one_of_31_is() -> None:
    pairs = PairColumns(np.arange(2), answers(chars=[130, 131]), answers(chars=[100, 100]))
    assert bias(judge_of([1, 1]), pairs, tally=tally_of("1", "1")).length.judge.n == 1


def test_lists_markdown_and_family_are_pulls_of_their_own() -> None:
    pairs = PairColumns(
        np.arange(3),
        # As many marks in the third, but in a shorter answer.
        answers(chars=[100, 100, 50], lists=[3, 0, 0], marks=[0, 5, 2]),
        answers(chars=[100, 100, 100], lists=[1, 0, 0], marks=[0, 1, 2]),
    )
    judge = judge_of([1, -1, 1], own=[0, -1, 1])
    found = bias(judge, pairs, tally=tally_of("1", "1", "1"))
    assert (found.lists.judge.value, found.lists.judge.n) == (1, 1)
    assert_is(found.markdown.judge, 1 / 2, 2)
    assert_is(found.markdown.humans, 1, 2)
    assert_is(found.own_family.judge, 1, 2)
    assert_is(found.own_family.humans, 1 / 2, 2)


def test_without_votes_the_judge_is_counted_alone() -> None:
    pairs = PairColumns(np.arange(3), answers(chars=[200] * 3), answers(chars=[100] * 3))
    judge = judge_of([1, -1, 1], orders=([1, -1, 1], [1, -1, -1]))
    found = bias(judge, pairs, tally=np.zeros((3, 3)))
    assert_is(found.length.judge, 2 / 3, 3)
    assert found.length.humans.why == found.length.difference.why == NO_VOTES_ON_THEM
    assert {effect.why for effect in found.effects.values()} == {NO_QUALITY}


def test_the_markdown_difference_is_that_of_arena_hard() -> None:
    assert markdown_difference(3, 120, 1, 80) == pytest.approx(0.0120020, abs=1e-7)
    assert markdown_difference(1, 80, 3, 120) == pytest.approx(-0.0120020, abs=1e-7)
    assert markdown_difference(0, 0, 0, 0) == 0


# Self-preference


def test_newcombes_interval_of_two_independent_counts() -> None:
    found = newcombe_difference(45, 50, 35, 50)
    assert found.value == pytest.approx(0.20)
    assert (found.low, found.high) == pytest.approx((0.042587, 0.348668), abs=1e-6)
    assert found.n == 100


def decided(rows: list[tuple[int, int, float, bool, int]], *, repeat: int = 1) -> DecidedPairs:
    """Pairs told as (label, own, humans, is control, how many of them)."""
    spread = [row[:4] for row in rows for _ in range(row[4] * repeat)]
    label, own, humans, control = (np.array(column) for column in zip(*spread, strict=True))
    return DecidedPairs(
        label.astype(np.int8), humans.astype(float), own.astype(np.int8),
        control.astype(bool), np.arange(len(spread)),
    )  # fmt: skip


EQUAL_OPPORTUNITY = [(1, 1, 1, False, 45), (-1, 1, 1, False, 5),
                     (-1, 1, -1, False, 35), (1, 1, -1, False, 15)]  # fmt: skip


def test_equal_opportunity_is_the_difference_of_how_often_the_better_is_found() -> None:
    found = equal_opportunity(decided(EQUAL_OPPORTUNITY))
    assert found.value == pytest.approx(0.20)
    assert found.n == 100
    # Every pair has a prompt of its own: Newcombe's interval but for t(49) instead of the normal.
    assert (found.low, found.high) == pytest.approx((0.042587, 0.348668), abs=5e-3)


def test_prompts_shared_by_many_pairs_widen_the_interval() -> None:
    few = replace(decided(EQUAL_OPPORTUNITY), cluster=np.arange(100) // 5)
    narrow, wide = equal_opportunity(decided(EQUAL_OPPORTUNITY)), equal_opportunity(few)
    assert None not in (narrow.low, narrow.high, wide.low, wide.high)
    assert wide.high - wide.low > 1.2 * (narrow.high - narrow.low)  # type: ignore[operator]


def test_errors_as_common_among_others_are_no_self_preference() -> None:
    # It errs for its own answer in 15 of 50, and as often among two answers of others.
    control = [(1, 0, 1, True, 70), (-1, 0, 1, True, 30)]
    found = beyond_control(decided(EQUAL_OPPORTUNITY + control))
    assert_is(found, 0, 150)
    fair = [(1, 0, 1, True, 95), (-1, 0, 1, True, 5)]
    assert_is(beyond_control(decided(EQUAL_OPPORTUNITY + fair)), 0.30 - 0.05, 150)


def test_the_control_has_the_gaps_of_its_own_worse_answers() -> None:
    # Half the time on close pairs, never on clear ones, whoever wrote the answers.
    own = [(1, 1, -0.2, False, 20), (-1, 1, -0.2, False, 20), (-1, 1, -1, False, 10)]
    control = [(-1, 0, 0.2, True, 5), (1, 0, 0.2, True, 5), (1, 0, 1, True, 90)]
    assert_is(beyond_control(decided(own + control)), 0, 150)


def test_without_other_families_there_is_no_control() -> None:
    found = beyond_control(decided(EQUAL_OPPORTUNITY))
    assert found.value is None
    assert (
        found.why == "no decided pair of two other families' answers where people see an equal gap"
    )


def test_only_systems_once_set_against_its_own_are_a_control() -> None:
    # Systems: 0 is its own, 1 and 2 are rivals, 3 is its own too but never meets a rival.
    first, second = [0, 0, 2, 1, 0, 3], [1, 2, 0, 2, 3, 1]
    own = [1, 1, -1, 0, 0, 0]
    pairs = PairColumns(
        np.arange(6), answers(system=first), answers(system=second), systems=("a", "b", "c", "d")
    )
    # It errs for its own in two of three, and in the only pair of two rivals.
    judge = judge_of([1, 1, 1, -1, -1, -1], own=own)
    found = bias(judge, pairs, tally=tally_of("2", "2", "1", "1", "1", "1"))
    assert found.self_preference_beyond_control.n == 3 + 1
    assert found.self_preference_beyond_control.value == pytest.approx(2 / 3 - 1)


# Effects


def world(seed: int, *, pairs: int = 600, prompts: int = 60, **moved_by: float) -> World:
    """Verdicts that follow the votes, and what else they are told to, in logits."""
    rng = np.random.default_rng(seed)
    sides = [
        answers(
            chars=rng.integers(100, 2000, pairs),
            lists=rng.poisson(2, pairs),
            marks=rng.poisson(6, pairs),
            system=rng.integers(0, 6, pairs),
        )
        for _ in range(2)
    ]
    own = (sides[0].system < 2).astype(np.int8) - (sides[1].system < 2).astype(np.int8)
    votes = rng.integers(-1, 2, (pairs, 3))
    tally = np.stack([(votes == code).sum(axis=1) for code in (-1, 0, 1)], axis=1).astype(float)
    gap = sides[0].chars - sides[1].chars
    pull = 1.5 * votes.mean(axis=1) + moved_by.get("length", 0) * np.tanh(gap / 800)
    pull += moved_by.get("own_family", 0) * own
    slot = moved_by.get("position", 0)
    chances = [1 / (1 + np.exp(-pull - shift)) for shift in (slot, -slot)]
    orders = tuple(np.where(rng.random(pairs) < chance, 1, -1) for chance in chances)
    label = np.where(orders[0] == orders[1], orders[0], 0)
    columns = PairColumns(rng.integers(0, prompts, pairs), *sides, systems=tuple("abcdef"))
    return judge_of(label, own=own, orders=orders), columns, tally  # type: ignore[arg-type]


@pytest.mark.parametrize("moved", ["position", "length", "own_family"])
def test_an_effect_shows_where_it_is_and_nowhere_else(moved: str) -> None:
    judge, pairs, tally = world(1, pairs=3000, prompts=300, **{moved: 0.8})
    effects = bias(judge, pairs, tally=tally).effects
    assert list(effects) == ["position", "length", "markdown", "own_family"]
    for name, effect in effects.items():
        assert effect.low is not None
        assert effect.n == 6000
        assert (effect.low > 0.05) == (name == moved), name


def test_a_position_effect_is_the_share_beyond_an_even_one() -> None:
    # Nothing else moves this judge: shown first, an answer wins 3 of 4 times.
    n = 400
    rng = np.random.default_rng(0)
    forward = np.where(np.arange(n) % 4 < 3, 1, -1)
    pairs = PairColumns(
        np.arange(n) // 8,
        answers(chars=rng.integers(1, 999, n)),
        answers(chars=rng.integers(1, 999, n)),
    )
    judge = judge_of(forward, orders=(forward, -forward))
    votes = np.stack([rng.integers(0, 2, n), np.ones(n), rng.integers(0, 2, n)], axis=1)
    effects = bias(judge, pairs, tally=votes).effects
    assert effects["position"].value == pytest.approx(0.25, abs=2e-3)
    assert effects["own_family"].why == NO_FAMILIES
    assert effects["markdown"].why == "the answers of each pair are marked up alike"


def test_effects_say_why_there_are_none() -> None:
    judge, pairs, tally = world(2)
    without = {
        NO_ORDERS: bias(replace(judge, orders=None), pairs, tally=tally),
        NO_ANSWERS: bias(judge, replace(pairs, first=None), tally=tally),
        NO_QUALITY: bias(judge, pairs, tally=tally * 0),
    }
    for why, found in without.items():
        assert {effect.why for effect in found.effects.values()} == {why}
    stuck = np.ones(len(tally), np.int8)
    loyal = judge_of(stuck, orders=(stuck, -stuck))
    assert {e.why for e in bias(loyal, pairs, tally=tally).effects.values()} == {SEPARATED}


# All of it


def figures(found: Bias) -> dict[str, Estimate]:
    named = {
        "self": found.self_preference,
        "beyond": found.self_preference_beyond_control,
        **found.effects,
    }
    for kind in ("length", "lists", "markdown", "own_family"):
        pull = getattr(found, kind)
        named |= {f"{kind} {f.name}": getattr(pull, f.name) for f in fields(pull)}
    return named


def exchanged(given: World) -> World:
    """The same pairs with the two candidates of each named the other way round."""
    judge, pairs, tally = given
    assert judge.orders is not None
    orders = TwoOrders(
        forward=-judge.orders.reversed,
        reversed=-judge.orders.forward,
        has_forward=judge.orders.has_reversed,
        has_reversed=judge.orders.has_forward,
    )
    own = None if judge.own_family is None else -judge.own_family
    turned = replace(judge, label=-judge.label, orders=orders, own_family=own)
    return turned, replace(pairs, first=pairs.second, second=pairs.first), tally[:, ::-1]


@given(st.integers(0, 10_000), st.integers(2, 60))
@settings(max_examples=40, deadline=None)
def test_it_does_not_matter_which_answer_is_called_the_first(seed: int, pairs: int) -> None:
    one = world(seed, pairs=pairs, prompts=6, position=0.5, length=0.5)
    found, turned = (
        figures(bias(judge, columns, tally=tally))
        for judge, columns, tally in (one, exchanged(one))
    )
    for name, estimate in found.items():
        other = turned[name]
        assert (estimate.n, estimate.why) == (other.n, other.why), name
        assert (estimate.value, estimate.low, estimate.high) == pytest.approx(
            (other.value, other.low, other.high), abs=1e-6
        ), name


@given(
    st.integers(0, 12),
    st.sampled_from([1, 2, 12]),
    st.integers(0, 10_000),
    st.sampled_from(["votes", "no votes", "ties", "one class"]),
)
@settings(max_examples=150, deadline=None)
def test_whatever_is_given_every_figure_is_a_number_in_its_interval_or_says_why(
    pairs: int, prompts: int, seed: int, kind: str
) -> None:
    judge, columns, tally = world(seed, pairs=pairs, prompts=prompts)
    if kind == "no votes":
        tally = tally * 0
    elif kind == "ties":
        tally = tally * [0, 1, 0]
        judge = replace(judge, label=judge.label * 0)
    elif kind == "one class":
        judge = replace(judge, label=np.ones(pairs, np.int8))
    for name, estimate in figures(bias(judge, columns, tally=tally)).items():
        told = [x for x in (estimate.low, estimate.value, estimate.high) if x is not None]
        assert all(-1 <= x <= 1 for x in told), name
        assert told == sorted(told), name
        assert (len(told) == 3) == (estimate.why is None), name


def test_families_that_never_meet_are_no_self_preference() -> None:
    judge, pairs, tally = world(3)
    for own, why in ((None, NO_FAMILIES), (np.zeros(len(tally), np.int8), NO_OWN)):
        found = bias(replace(judge, own_family=own), pairs, tally=tally)
        assert found.self_preference.why == found.self_preference_beyond_control.why == why
        assert found.effects["own_family"].why == why
        assert found.effects["length"].value is not None


# Length-controlled win rate

WINS = [1, 1, 0.8, 0.6, 0.9, 0, 0.3, 0.2, 1, 0.7, 0.4, 0]
LONGER_BY = [400, 350, 120, 60, 300, -200, -150, -50, 500, 100, -20, -400]


def test_the_length_controlled_win_rate_is_that_of_the_reference_without_penalty() -> None:
    found = length_controlled_win_rate(WINS, LONGER_BY, np.arange(12))
    assert found.raw.value == pytest.approx(0.575)
    assert found.phi == pytest.approx(3.870101, abs=1e-5)
    assert found.theta == pytest.approx(-0.222985, abs=1e-5)
    assert_is(found.controlled, pytest.approx(0.444484, abs=1e-6), 12)


def test_seen_from_the_other_system_both_win_rates_are_the_rest() -> None:
    one = length_controlled_win_rate(WINS, LONGER_BY, np.arange(12))
    other = length_controlled_win_rate(1 - np.array(WINS), -np.array(LONGER_BY), np.arange(12))
    for a, b in ((one.raw, other.raw), (one.controlled, other.controlled.complement())):
        c = b.complement() if a is one.raw else b
        assert (a.value, a.low, a.high) == pytest.approx((c.value, c.low, c.high), abs=1e-6)


@pytest.mark.parametrize(
    ("wins", "longer_by", "why"),
    [
        ([], [], "nothing to count"),
        ([1.0], [3], "all lengths differ by the same"),
        ([1, 0, 1], [0, 0, 0], "all lengths differ by the same"),
        ([1, 1, 1], [5, -5, 2], SEPARATED),
        ([1, 1, 0, 0], [5, 2, -2, -5], SEPARATED),
    ],
)
def test_a_win_rate_that_cannot_be_controlled_says_why(
    wins: list[float], longer_by: list[int], why: str
) -> None:
    found = length_controlled_win_rate(wins, longer_by, np.arange(len(wins)))
    assert found.controlled == Estimate(None, None, None, len(wins), why)
    assert found.theta is found.phi is None
