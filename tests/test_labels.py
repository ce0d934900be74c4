"""How verdicts of two orders, several samples and several judges become one label."""

import math
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.outcomes.labels import Rule, collapse, resolve_label
from judge.records import (
    Label,
    Order,
    Outcome,
    Preference,
    Reading,
    Status,
    Verdict,
    preference_from,
)

F, S, T = Preference.FIRST, Preference.SECOND, Preference.TIE
SIDES_EXCHANGED = {Outcome.FIRST: Outcome.SECOND, Outcome.SECOND: Outcome.FIRST}


def reading(
    order: Order = Order.FORWARD,
    said: Verdict | Status = Verdict.A,
    *,
    judge: str = "judge-1",
    sample: int = 0,
    told: tuple[float, float, float] | None = None,
) -> Reading:
    return Reading(
        judgment_id=f"{judge}/{order}/{sample}",
        judge_key=judge,
        order=order,
        sample=sample,
        verdict=said if isinstance(said, Verdict) else None,
        status=said if isinstance(said, Status) else None,
        probabilities=told,
    )


def both(
    forward: Verdict | Status, reversed_: Verdict | Status, judge: str = "judge-1"
) -> list[Reading]:
    return [
        reading(Order.FORWARD, forward, judge=judge),
        reading(Order.REVERSED, reversed_, judge=judge),
    ]


def label(readings: list[Reading], rule: Rule = Rule.CONSERVATIVE, **settings: Any) -> Label:
    return resolve_label("pair", readings, rule=rule, **settings)


rules = st.sampled_from(Rule)
preferences = st.sampled_from(Preference) | st.none()
said = st.sampled_from([*Verdict, *Status])
told = st.sampled_from([(0.7, 0.2, 0.1), (0.3, 0.6, 0.1), (0.2, 0.1, 0.7), (0.5, 0.5, 0.0)])
panels = st.lists(
    st.builds(
        reading,
        st.sampled_from(Order),
        said,
        judge=st.sampled_from(["judge-1", "judge-2", "judge-3"]),
        sample=st.integers(0, 2),
        told=st.none() | told,
    ),
    unique_by=lambda one: one.judgment_id,
    max_size=12,
)


@pytest.mark.parametrize(
    ("forward", "reversed_", "conservative", "lenient"),
    [
        (F, F, Outcome.FIRST, Outcome.FIRST),
        (S, S, Outcome.SECOND, Outcome.SECOND),
        (T, T, Outcome.TIE, Outcome.TIE),
        (F, S, Outcome.INCONSISTENT, Outcome.TIE),
        (S, F, Outcome.INCONSISTENT, Outcome.TIE),
        (F, T, Outcome.INCONSISTENT, Outcome.FIRST),
        (T, F, Outcome.INCONSISTENT, Outcome.FIRST),
        (S, T, Outcome.INCONSISTENT, Outcome.SECOND),
        (T, S, Outcome.INCONSISTENT, Outcome.SECOND),
        (F, None, None, Outcome.FIRST),
        (None, S, None, Outcome.SECOND),
        (None, T, None, Outcome.TIE),
        (None, None, None, None),
    ],
)
def test_two_orders_collapse_by_the_table_of_the_rule(
    forward: Preference | None,
    reversed_: Preference | None,
    conservative: Outcome | None,
    lenient: Outcome | None,
) -> None:
    assert collapse(forward, reversed_, rule=Rule.CONSERVATIVE) is conservative
    assert collapse(forward, reversed_, rule=Rule.LENIENT) is lenient


@given(preferences, preferences, rules)
def test_exchanging_the_candidates_exchanges_the_wins_and_nothing_else(
    forward: Preference | None, reversed_: Preference | None, rule: Rule
) -> None:
    outcome = collapse(forward, reversed_, rule=rule)
    exchanged = collapse(
        forward.swapped if forward else None, reversed_.swapped if reversed_ else None, rule=rule
    )
    assert exchanged is (SIDES_EXCHANGED.get(outcome, outcome) if outcome else None)


@given(panels, rules)
def test_a_pair_with_its_sides_exchanged_has_the_exchanged_label(
    readings: list[Reading], rule: Rule
) -> None:
    given_way = label(readings, rule)
    other_way = label([one.oriented(is_exchanged=True) for one in readings], rule)
    exchanged = SIDES_EXCHANGED.get(given_way.outcome, given_way.outcome)
    p = given_way.probability
    assert other_way.model_copy(update={"probability": None, "margin": None}) == (
        given_way.model_copy(update={"outcome": exchanged, "probability": None, "margin": None})
    )
    assert other_way.probability == (None if p is None else pytest.approx(1 - p))
    assert other_way.margin == (None if p is None else pytest.approx(given_way.margin))


@given(panels, rules, st.integers())
def test_the_sequence_of_the_readings_does_not_matter(
    readings: list[Reading], rule: Rule, seed: int
) -> None:
    shuffled = random.Random(seed).sample(readings, len(readings))
    assert label(shuffled, rule) == label(readings, rule)


@given(st.lists(st.tuples(st.sampled_from(Status), st.sampled_from(Status)), max_size=3), rules)
def test_failures_alone_are_never_a_label(failed: list[tuple[Status, Status]], rule: Rule) -> None:
    readings = [
        one for number, pair in enumerate(failed) for one in both(*pair, judge=f"judge-{number}")
    ]
    assert label(readings, rule).outcome is Outcome.UNDECIDED


@given(st.sampled_from(Verdict), st.sampled_from(Status), st.sampled_from(Order))
def test_a_failure_beside_a_verdict_is_never_a_tie(
    verdict: Verdict, status: Status, order: Order
) -> None:
    readings = [reading(order, verdict), reading(order.other, status)]
    conservative = label(readings, Rule.CONSERVATIVE)
    assert (conservative.outcome, conservative.reason) == (Outcome.UNDECIDED, status.value)
    lenient = label(readings, Rule.LENIENT)
    assert (lenient.outcome, lenient.reason) == (preference_from(verdict, order).value, None)


@pytest.mark.parametrize("stuck", [Verdict.A, Verdict.B])
def test_a_judge_stuck_on_a_position_is_inconsistent_or_a_tie_by_rule(stuck: Verdict) -> None:
    assert label(both(stuck, stuck), Rule.CONSERVATIVE).outcome is Outcome.INCONSISTENT
    assert label(both(stuck, stuck), Rule.LENIENT).outcome is Outcome.TIE


@given(panels, rules)
def test_a_reason_is_given_exactly_when_nothing_is_decided(
    readings: list[Reading], rule: Rule
) -> None:
    resolved = label(readings, rule)
    assert (resolved.outcome is Outcome.UNDECIDED) == (resolved.reason is not None)
    assert resolved.reason in {None, "pending", "split", *Status}
    assert resolved.rule == rule.value
    has_probability = rule is Rule.SOFT and resolved.outcome is not Outcome.UNDECIDED
    assert has_probability <= (resolved.probability is not None)
    if rule is not Rule.SOFT and all(one.probabilities is None for one in readings):
        assert (resolved.probability, resolved.margin) == (None, None)
    assert list(resolved.judgments) == sorted(resolved.judgments)
    assert set(resolved.judgments) <= {one.judgment_id for one in readings}


TWO_ORDER_RULES = [rule for rule in Rule if rule is not Rule.SINGLE_RANDOM]


@pytest.mark.parametrize("rule", TWO_ORDER_RULES)
def test_an_order_not_yet_asked_leaves_the_pair_pending_under_every_rule(rule: Rule) -> None:
    assert label([], rule).reason == "pending"
    assert label([reading(Order.FORWARD, Verdict.A)], rule).reason == "pending"
    assert label([reading(Order.REVERSED, Status.FAILED)], rule).reason == "pending"


@pytest.mark.parametrize(
    ("forward", "reversed_", "reason"),
    [
        (Status.UNPARSED, Status.TRUNCATED, "truncated"),
        (Status.REFUSED, Status.TRUNCATED, "refused"),
        (Status.REFUSED, Status.FAILED, "failed"),
        (Status.UNPARSED, Verdict.A, "unparsed"),
    ],
)
def test_the_gravest_status_is_the_reason(
    forward: Status, reversed_: Status | Verdict, reason: str
) -> None:
    assert label(both(forward, reversed_)).reason == reason


def test_with_one_expected_order_its_preference_is_the_outcome() -> None:
    forward = [reading(Order.FORWARD, Verdict.B)]
    assert label(forward, expected_orders=[Order.FORWARD]).outcome is Outcome.SECOND
    reversed_ = [reading(Order.REVERSED, Verdict.B)]
    assert label(reversed_, expected_orders=[Order.REVERSED]).outcome is Outcome.FIRST
    assert label(reversed_, expected_orders=[Order.FORWARD]).reason == "pending"
    unparsed = [reading(Order.FORWARD, Status.UNPARSED)]
    assert label(unparsed, expected_orders=[Order.FORWARD]).reason == "unparsed"
    stray = both(Verdict.B, Verdict.B)
    assert label(stray, expected_orders=[Order.FORWARD]).outcome is Outcome.SECOND


def test_expecting_no_order_is_an_error() -> None:
    with pytest.raises(ValueError, match="no expected order"):
        label([], expected_orders=[])


def test_the_lowest_sample_with_a_verdict_decides() -> None:
    readings = [
        reading(Order.FORWARD, Status.UNPARSED, sample=0),
        reading(Order.FORWARD, Verdict.A, sample=1),
        reading(Order.FORWARD, Verdict.B, sample=2),
        reading(Order.REVERSED, Verdict.B, sample=0),
    ]
    resolved = label(readings)
    assert resolved.outcome is Outcome.FIRST
    assert resolved.judgments == ("judge-1/forward/1", "judge-1/reversed/0")


def test_without_a_verdict_the_highest_sample_gives_the_reason() -> None:
    readings = [
        reading(Order.FORWARD, Status.FAILED, sample=0),
        reading(Order.FORWARD, Status.UNPARSED, sample=1),
        reading(Order.REVERSED, Verdict.B),
    ]
    assert label(readings).reason == "unparsed"


FOR_FIRST = (Verdict.A, Verdict.B)
FOR_SECOND = (Verdict.B, Verdict.A)
STUCK = (Verdict.A, Verdict.A)
LOST = (Status.UNPARSED, Verdict.A)


@pytest.mark.parametrize(
    ("panel", "outcome", "reason"),
    [
        ([FOR_FIRST, FOR_FIRST, FOR_SECOND], Outcome.FIRST, None),
        ([FOR_FIRST, FOR_SECOND], Outcome.UNDECIDED, "split"),
        ([FOR_FIRST, FOR_SECOND, STUCK], Outcome.UNDECIDED, "split"),
        ([FOR_FIRST, FOR_FIRST, FOR_SECOND, STUCK], Outcome.UNDECIDED, "split"),
        ([STUCK, STUCK, FOR_FIRST], Outcome.INCONSISTENT, None),
        ([FOR_SECOND, LOST, LOST], Outcome.SECOND, None),
        ([LOST, LOST], Outcome.UNDECIDED, "unparsed"),
    ],
)
def test_several_judges_decide_by_strict_majority_of_those_with_an_outcome(
    panel: list[tuple[Verdict | Status, Verdict]], outcome: Outcome, reason: str | None
) -> None:
    readings = [
        one for number, said in enumerate(panel) for one in both(*said, judge=f"judge-{number}")
    ]
    resolved = label(readings)
    assert (resolved.outcome, resolved.reason) == (outcome, reason)


def test_a_label_rests_on_the_judges_that_voted() -> None:
    readings = [*both(*LOST, judge="judge-1"), *both(*FOR_FIRST, judge="judge-2")]
    assert label(readings).judgments == ("judge-2/forward/0", "judge-2/reversed/0")


def test_when_no_judge_has_an_outcome_the_first_one_gives_the_reason() -> None:
    readings = [
        *both(Status.REFUSED, Verdict.A, judge="judge-2"),
        reading(Order.FORWARD, Status.FAILED, judge="judge-1"),
    ]
    assert label(readings).reason == "pending"


def test_orienting_a_reading_flips_its_order_and_keeps_what_was_said() -> None:
    stored = reading(Order.FORWARD, Verdict.A)
    assert stored.oriented(is_exchanged=False) is stored
    exchanged = stored.oriented(is_exchanged=True)
    assert exchanged == replace(stored, order=Order.REVERSED)
    assert exchanged.oriented(is_exchanged=True) == stored


def test_the_soft_rule_averages_the_orders_and_keeps_the_mean() -> None:
    soft = label(both(Verdict.A, Verdict.B), Rule.SOFT)
    assert (soft.outcome, soft.probability, soft.margin) == (Outcome.FIRST, 1.0, 1.0)
    half = label(both(Verdict.A, Verdict.TIE), Rule.SOFT)
    assert (half.outcome, half.probability, half.margin) == (Outcome.FIRST, 0.75, 0.5)
    stuck = label(both(Verdict.B, Verdict.B), Rule.SOFT)
    assert (stuck.outcome, stuck.probability, stuck.margin) == (Outcome.TIE, 0.5, 0.0)
    alone = label(both(Verdict.B, Status.UNPARSED), Rule.SOFT)
    assert (alone.outcome, alone.probability) == (Outcome.SECOND, 0.0)


@pytest.mark.parametrize("order", Order)
def test_the_single_random_rule_takes_the_one_order_there_is(order: Order) -> None:
    assert label([], Rule.SINGLE_RANDOM).reason == "pending"
    said = label([reading(order, Verdict.A)], Rule.SINGLE_RANDOM)
    assert said.outcome == preference_from(Verdict.A, order).value
    assert label([reading(order, Status.UNPARSED)], Rule.SINGLE_RANDOM).reason == "unparsed"


SURE, LEANING, TIED = (0.9, 0.1, 0.0), (0.6, 0.3, 0.1), (0.2, 0.1, 0.7)


def telling(
    forward: tuple[float, float, float] | None,
    reversed_: tuple[float, float, float] | None,
    *,
    judge: str = "judge-1",
    verdicts: tuple[Verdict, Verdict] = (Verdict.A, Verdict.B),
) -> list[Reading]:
    return [
        reading(Order.FORWARD, verdicts[0], judge=judge, told=forward),
        reading(Order.REVERSED, verdicts[1], judge=judge, told=reversed_),
    ]


def test_the_soft_rule_goes_by_token_probabilities_where_there_are_any() -> None:
    stuck = label(telling(SURE, LEANING, verdicts=(Verdict.A, Verdict.A)), Rule.SOFT)
    odds = (math.log(0.9 / 0.1) - math.log(0.65 / 0.35)) / 2
    assert stuck.probability == pytest.approx(1 / (1 + math.exp(-odds)))
    assert stuck.margin == pytest.approx(2 * (stuck.probability or 0) - 1)
    assert stuck.outcome is Outcome.FIRST
    tied = label(telling(TIED, TIED, verdicts=(Verdict.TIE, Verdict.TIE)), Rule.SOFT)
    assert tied.outcome is Outcome.TIE


@pytest.mark.parametrize("rule", [Rule.CONSERVATIVE, Rule.LENIENT])
def test_other_rules_keep_to_the_verdicts_and_tell_the_probability_beside(rule: Rule) -> None:
    doubting = telling(LEANING, SURE, verdicts=(Verdict.A, Verdict.B))
    assert label(doubting, rule).outcome is Outcome.FIRST
    assert label(doubting, rule).probability == label(doubting, Rule.SOFT).probability
    assert (label(doubting, rule).probability or 1) < 0.5
    lost = [reading(Order.FORWARD, Verdict.A, told=SURE), reading(Order.REVERSED, Status.FAILED)]
    assert label(lost, Rule.CONSERVATIVE).probability is None
    assert label(lost, Rule.LENIENT).probability == pytest.approx(0.9)


def test_one_order_is_as_sure_as_its_reply() -> None:
    alone = label([reading(Order.REVERSED, Verdict.A, told=SURE)], Rule.SINGLE_RANDOM)
    assert (alone.outcome, alone.probability) == (Outcome.SECOND, pytest.approx(0.1))


def test_the_probability_of_a_panel_is_the_mean_of_its_judges() -> None:
    one = telling(SURE, (0.1, 0.9, 0.0), judge="judge-1")
    other = telling((0.7, 0.3, 0.0), (0.3, 0.7, 0.0), judge="judge-2")
    for rule in (Rule.SOFT, Rule.CONSERVATIVE):
        assert label([*one, *other], rule).probability == pytest.approx(0.8)


def test_a_judge_without_an_outcome_has_no_share_in_the_probability_of_its_panel() -> None:
    lost = [reading(o, Status.UNPARSED, judge="judge-2", told=SURE) for o in Order]
    panel = [*telling(SURE, (0.1, 0.9, 0.0)), *lost]
    assert label(panel).probability == pytest.approx(0.9)


def test_a_panel_has_no_probability_where_one_of_its_judges_has_none() -> None:
    panel = [*telling(SURE, SURE), *telling(None, None, judge="judge-2")]
    assert label(panel).probability is None
    assert label(panel, Rule.SOFT).probability == pytest.approx((0.5 + 1) / 2)


def test_the_soft_rule_counts_every_sample_and_rests_on_all_of_them() -> None:
    samples = [
        reading(order, said, sample=sample)
        for order, verdicts in ((Order.FORWARD, "AAB"), (Order.REVERSED, "BBB"))
        for sample, said in enumerate(map(Verdict, verdicts))
    ]
    soft = label(samples, Rule.SOFT)
    assert soft.probability == pytest.approx((5 + 0.5) / (6 + 1))
    assert len(soft.judgments) == 6
    assert label(samples).probability is None
