"""Every policy as a pure object: what it asks, when it is content, what its labels rest on."""

import math
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.errors import ConfigError
from judge.outcomes.labels import Rule
from judge.policies.cascade import LEFT_TO_PEOPLE, Cascade, Stage, confidence_of
from judge.policies.choice import most_asked, policy_of, policy_settings
from judge.policies.early_stop import EarlyStop
from judge.policies.fixed import QUORUM, FixedPolicy
from judge.policies.majority import majority_readings, resolve_samples
from judge.policies.rules import PolicyName, PolicyRules, check_policy
from judge.policies.tracing import trace
from judge.policy import Policy, Question, single_order
from judge.records import Order, Outcome, Reading, Status, Verdict

F, R = Order.FORWARD, Order.REVERSED
CHEAP, STRONG = "cheap", "strong"
EVEN = "7" * 31 + "0"
"""A content that is asked forward first, and not audited at a share of 0.1."""
AUDITED = "0" * 32

Said = Verdict | Status | tuple[float, float, float]


def reading(key: str, order: Order, said: Said, sample: int = 0) -> Reading:
    probabilities = said if isinstance(said, tuple) else None
    if probabilities is not None:
        said = (Verdict.A, Verdict.B, Verdict.TIE)[probabilities.index(max(probabilities))]
    return Reading(
        judgment_id=f"{key}-{order}-{sample}",
        judge_key=key,
        order=order,
        sample=sample,
        verdict=said if isinstance(said, Verdict) else None,
        status=said if isinstance(said, Status) else None,
        probabilities=probabilities,
    )


def sure(key: str, p: float) -> list[Reading]:
    """Both orders saying that the first is better with probability p."""
    return [reading(key, F, (p, 1 - p, 0.0)), reading(key, R, (1 - p, p, 0.0))]


def cascade(last: float | None = None, rule: Rule = Rule.CONSERVATIVE) -> Cascade:
    return Cascade((Stage(CHEAP, 0.9), Stage(STRONG, last)), rule)


POLICIES: dict[str, Callable[[Rule], Policy]] = {
    "both_orders": lambda rule: FixedPolicy((CHEAP,), rule),
    "single_order": lambda rule: FixedPolicy((CHEAP,), rule, one_order=True),
    "samples": lambda rule: FixedPolicy((CHEAP, STRONG), rule, samples=3),
    "panel": lambda rule: FixedPolicy((CHEAP, STRONG, "third"), rule, quorum=2),
    "cascade": lambda rule: cascade(0.8, rule),
    "cascade of samples": lambda rule: Cascade(
        (Stage(CHEAP, 0.8), Stage(STRONG, None)), rule, samples=2
    ),
    "early_stop": lambda rule: EarlyStop(CHEAP, 0.8, 0.3, 1.5),
}
policies = st.sampled_from(sorted(POLICIES))
rules = st.sampled_from([Rule.CONSERVATIVE, Rule.LENIENT, Rule.SOFT])
contents = st.text("0123456789abcdef", min_size=32, max_size=32)


def answer(question: Question, seed: int) -> Reading:
    """What a made-up judge says, always the same to the same question, whatever is shown as A."""
    rng = random.Random(f"{seed} {question}")
    if rng.random() < 0.15:
        return reading(
            question.judge_key, question.order, rng.choice(list(Status)), question.sample
        )
    p = rng.random()
    said: Said = (p, 1 - p, 0.0) if seed % 2 else rng.choice(list(Verdict))
    return reading(question.judge_key, question.order, said, question.sample)


def play(
    policy: Policy, content_id: str, seed: int, retry: frozenset[Status] = frozenset()
) -> list[Reading]:
    """Ask until the policy is content; a question asked twice, or without end, fails."""
    answered: list[Reading] = []
    asked: set[Question] = set()
    for _ in range(50):
        questions = policy.next_questions(content_id, answered, retry=retry)
        if not questions:
            return answered
        for question in questions:
            assert question not in asked
            asked.add(question)
            answered.append(answer(question, seed))
        if retry and len(answered) > 40:
            return answered
    raise AssertionError("the policy never ends")


@given(policies, rules, contents, st.integers(0, 500))
def test_a_policy_asks_nothing_twice_ends_and_then_decides(
    name: str, rule: Rule, content_id: str, seed: int
) -> None:
    policy = POLICIES[name](rule)
    answered = play(policy, content_id, seed)
    deciding = policy.deciding(content_id, answered)
    assert deciding is not None
    assert {r.judgment_id for r in deciding.readings} <= {r.judgment_id for r in answered}
    assert len(answered) <= 12


@given(policies, rules, contents, st.integers(0, 500))
def test_repeating_failures_asks_nothing_twice(
    name: str, rule: Rule, content_id: str, seed: int
) -> None:
    play(POLICIES[name](rule), content_id, seed, retry=frozenset(Status))


@given(policies, rules, contents, st.integers(0, 500), st.integers(0, 12))
def test_a_label_is_pending_exactly_while_something_is_wanted(
    name: str, rule: Rule, content_id: str, seed: int, known: int
) -> None:
    policy = POLICIES[name](rule)
    answered = play(policy, content_id, seed)[:known]
    wants = bool(policy.next_questions(content_id, answered))
    assert (policy.deciding(content_id, answered) is None) == wants


@given(policies, rules, contents, st.integers(0, 500), st.randoms())
def test_the_sequence_in_which_answers_arrive_does_not_matter(
    name: str, rule: Rule, content_id: str, seed: int, rng: random.Random
) -> None:
    policy = POLICIES[name](rule)
    answered = play(policy, content_id, seed)
    shuffled = rng.sample(answered, len(answered))
    one, other = (label(policy, rule, content_id, said) for said in (answered, shuffled))
    assert one == other
    part = shuffled[: len(shuffled) // 2]
    questions = policy.next_questions(content_id, part)
    assert set(policy.next_questions(content_id, part[::-1])) == set(questions)


@given(policies, rules, contents, st.integers(0, 500))
def test_exchanging_the_candidates_exchanges_the_label(
    name: str, rule: Rule, content_id: str, seed: int
) -> None:
    policy = POLICIES[name](rule)
    answered = play(policy, content_id, seed)
    outcome, reason = label(policy, rule, content_id, answered)
    # The same candidates named the other way round: other order, same position.
    exchanged = [r.oriented(is_exchanged=True) for r in answered]
    other_content = content_id
    if single_order(content_id) is F:
        other_content = content_id[:-1] + "1"
    else:
        other_content = content_id[:-1] + "0"
    mirrored = label(policy, rule, other_content, exchanged)
    swapped = {Outcome.FIRST: Outcome.SECOND, Outcome.SECOND: Outcome.FIRST}
    assert mirrored == (swapped.get(outcome, outcome), reason)


def label(
    policy: Policy, rule: Rule, content_id: str, answered: Sequence[Reading]
) -> tuple[Outcome, str | None]:
    deciding = policy.deciding(content_id, answered)
    assert deciding is not None
    if deciding.reason is not None:
        return Outcome.UNDECIDED, deciding.reason
    found = resolve_samples("p", deciding.readings, rule=rule)
    return found.outcome, found.reason


def test_samples_ask_every_order_several_times_and_fill_gaps() -> None:
    policy = FixedPolicy((CHEAP,), Rule.CONSERVATIVE, samples=3)
    assert policy.next_questions(EVEN, [reading(CHEAP, F, Verdict.A, 1)]) == [
        Question(CHEAP, F, 0),
        Question(CHEAP, F, 2),
        *(Question(CHEAP, R, n) for n in range(3)),
    ]


def test_a_failed_sample_is_asked_again_under_a_new_number_and_then_counts() -> None:
    policy = FixedPolicy((CHEAP,), Rule.CONSERVATIVE, samples=2)
    said = [
        reading(CHEAP, F, Status.UNPARSED, 0),
        reading(CHEAP, F, Verdict.A, 1),
        reading(CHEAP, R, Verdict.B, 0),
        reading(CHEAP, R, Verdict.B, 1),
    ]
    assert policy.next_questions(EVEN, said) == []
    (question,) = policy.next_questions(EVEN, said, retry=frozenset({Status.UNPARSED}))
    assert question == Question(CHEAP, F, 2)
    found = policy.deciding(EVEN, [*said, reading(CHEAP, F, Verdict.B, 2)])
    assert found is not None
    assert {r.sample for r in found.readings if r.order is F} == {1, 2}


def test_more_samples_of_another_run_do_not_change_a_label() -> None:
    policy = FixedPolicy((CHEAP,), Rule.CONSERVATIVE, samples=1)
    said = [reading(CHEAP, F, Verdict.A), reading(CHEAP, R, Verdict.B)]
    more = [*said, *(reading(CHEAP, o, Verdict.TIE, n) for o in Order for n in range(1, 5))]
    assert policy.deciding(EVEN, more) == policy.deciding(EVEN, said)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([Verdict.A, Verdict.A, Verdict.B], Verdict.A),
        ([Verdict.A, Verdict.B, Verdict.TIE, Status.REFUSED], Verdict.TIE),
        ([Verdict.A, Verdict.B], Verdict.TIE),
        ([Verdict.B, Status.UNPARSED, Status.UNPARSED], Verdict.B),
        ([Status.FAILED, Status.UNPARSED], None),
    ],
)
def test_the_samples_of_an_order_count_as_their_majority_and_a_shared_top_as_a_tie(
    said: list[Said], expected: Verdict | None
) -> None:
    samples = [reading(CHEAP, F, one, at) for at, one in enumerate(said)]
    (found,) = majority_readings(samples)
    assert found.verdict is expected
    assert (found.verdict is None) == (found.status is not None)


def test_a_label_of_samples_names_them_all() -> None:
    said = [reading(CHEAP, F, Verdict.A, n) for n in range(3)]
    said += [reading(CHEAP, R, v, n) for n, v in enumerate((Verdict.B, Verdict.B, Verdict.A))]
    found = resolve_samples("p", said, rule=Rule.CONSERVATIVE)
    assert found.outcome is Outcome.FIRST
    assert len(found.judgments) == 6


def test_a_panel_without_its_quorum_decides_nothing() -> None:
    keys = (CHEAP, STRONG, "third")
    said = sure(CHEAP, 0.9)
    said += [reading(key, order, Status.REFUSED) for key in keys[1:] for order in Order]
    for quorum, reason in ((1, None), (2, QUORUM)):
        found = FixedPolicy(keys, Rule.CONSERVATIVE, quorum=quorum).deciding(EVEN, said)
        assert found is not None
        assert found.reason == reason


def test_a_cascade_ends_with_the_first_judge_that_is_sure() -> None:
    policy = cascade()
    assert policy.next_questions(EVEN, []) == [Question(CHEAP, F, 0), Question(CHEAP, R, 0)]
    assert policy.next_questions(EVEN, sure(CHEAP, 0.9)) == []
    assert policy.next_questions(EVEN, sure(CHEAP, 0.89)) == [
        Question(STRONG, F, 0),
        Question(STRONG, R, 0),
    ]
    found = policy.deciding(EVEN, [*sure(CHEAP, 0.95), *sure(STRONG, 0.05)])
    assert found is not None
    assert {r.judge_key for r in found.readings} == {CHEAP}


def test_a_failure_of_a_cheap_judge_goes_on_to_the_next_and_is_never_a_label() -> None:
    half = [reading(CHEAP, F, (0.99, 0.01, 0.0)), reading(CHEAP, R, Status.UNPARSED)]
    policy = cascade()
    assert {q.judge_key for q in policy.next_questions(EVEN, half)} == {STRONG}
    assert policy.next_questions(EVEN, half, retry=frozenset({Status.UNPARSED})) == [
        Question(CHEAP, R, 1)
    ]
    failed = [reading(STRONG, order, Status.REFUSED) for order in Order]
    for last in (None, 0.9):
        ended = label(cascade(last), Rule.CONSERVATIVE, EVEN, [*half, *failed])
        assert ended == (Outcome.UNDECIDED, "refused")


def test_what_the_last_judge_is_not_sure_of_is_left_to_people() -> None:
    said = [*sure(CHEAP, 0.6), *sure(STRONG, 0.7)]
    assert label(cascade(0.8), Rule.CONSERVATIVE, EVEN, said) == (Outcome.UNDECIDED, LEFT_TO_PEOPLE)
    assert label(cascade(0.7), Rule.CONSERVATIVE, EVEN, said) == (Outcome.FIRST, None)
    assert label(cascade(None), Rule.CONSERVATIVE, EVEN, said) == (Outcome.FIRST, None)


def test_orders_that_contradict_each_other_are_not_accepted_however_sure_the_mean_is() -> None:
    said = [reading(CHEAP, F, (0.9999, 0.0001, 0.0)), reading(CHEAP, R, (0.55, 0.45, 0.0))]
    assert confidence_of(said) > 0.9
    assert cascade().next_questions(EVEN, said) != []
    assert cascade(rule=Rule.SOFT).next_questions(EVEN, said) == []


def test_without_probabilities_only_orders_that_agree_are_sure() -> None:
    agreed = [reading(CHEAP, F, Verdict.A), reading(CHEAP, R, Verdict.B)]
    flipped = [reading(CHEAP, F, Verdict.A), reading(CHEAP, R, Verdict.A)]
    assert (confidence_of(agreed), confidence_of(flipped)) == (1.0, 0.5)


def test_early_stop_asks_the_other_order_only_where_the_first_is_not_sure() -> None:
    policy = EarlyStop(CHEAP, stop_above=0.9, audit_share=0.1)
    assert policy.next_questions(EVEN, []) == [Question(CHEAP, F, 0)]
    assert policy.next_questions(EVEN, [reading(CHEAP, F, (0.91, 0.09, 0.0))]) == []
    wants = [Question(CHEAP, R, 0)]
    for said in ((0.89, 0.11, 0.0), Verdict.A, Status.UNPARSED):
        assert policy.next_questions(EVEN, [reading(CHEAP, F, said)]) == wants


def test_early_stop_does_not_look_at_an_order_that_only_another_run_asked() -> None:
    policy = EarlyStop(CHEAP, stop_above=0.9, audit_share=0.0)
    both = [reading(CHEAP, F, (0.95, 0.05, 0.0)), reading(CHEAP, R, (0.95, 0.05, 0.0))]
    found = policy.deciding(EVEN, both)
    assert found is not None
    assert [r.order for r in found.readings] == [F]


def test_audited_pairs_are_asked_in_both_orders_at_once_and_tell_the_price() -> None:
    policy = EarlyStop(CHEAP, stop_above=0.9, audit_share=0.1)
    assert {q.order for q in policy.next_questions(AUDITED, [])} == set(Order)
    said = sure(CHEAP, 0.95)
    assert policy.audit(AUDITED, said) == (said, said[:1])
    assert policy.audit(EVEN, said) == ([], said[:1])


def test_the_audit_is_a_share_of_the_contents() -> None:
    rng = random.Random(1)
    drawn = [f"{rng.getrandbits(128):032x}" for _ in range(4000)]
    for share in (0.0, 0.1, 1.0):
        policy = EarlyStop(CHEAP, 0.9, share)
        found = sum(policy.is_audited(one) for one in drawn) / len(drawn)
        assert abs(found - share) <= 0.015 * (0 < share < 1)


def test_the_temperature_scale_divides_the_log_odds() -> None:
    policy = EarlyStop(CHEAP, 0.9, 0.0, temperature_scale=2.0)
    found = policy.confidence([reading(CHEAP, F, (0.9, 0.1, 0.0))])
    assert found is not None
    assert math.isclose(math.log(found / (1 - found)), math.log(9) / 2)


def test_a_trace_leaves_out_what_the_policy_never_came_to_ask() -> None:
    said = [*sure(CHEAP, 0.95), *sure(STRONG, 0.6)]
    traced = trace(cascade(), EVEN, said)
    assert {r.judge_key for r in traced.answered} == {CHEAP}
    assert traced.open_questions == ()
    halfway = trace(cascade(), EVEN, [*sure(CHEAP, 0.6), reading(STRONG, F, Verdict.A)])
    assert len(halfway.answered) == 3
    assert halfway.open_questions == (Question(STRONG, R, 0),)


def test_what_a_run_remembers_makes_the_same_policy_again() -> None:
    keys, told = (CHEAP, STRONG), [0.9, None]
    rules = PolicyRules(policy=PolicyName.CASCADE, samples=2)
    kept = {"rule": "soft", "policy": policy_settings(rules, keys, told)}
    expected = Cascade((Stage(CHEAP, 0.9), Stage(STRONG, None)), Rule.SOFT, samples=2)
    # A run lists its judges by name, and a cascade keeps the order of the settings.
    assert policy_of(kept, sorted(keys, reverse=True)) == expected
    assert most_asked(kept, keys).asks_per_pair == 8


def test_usual_runs_remember_no_policy_so_that_their_ids_stay() -> None:
    usual = PolicyRules(rule=Rule.LENIENT), PolicyRules(rule=Rule.SINGLE_RANDOM)
    for rules in usual:
        assert policy_settings(rules, [CHEAP], [None]) == {}
    one = policy_of({"rule": "single_random"}, [CHEAP])
    assert one == FixedPolicy((CHEAP,), Rule.SINGLE_RANDOM, one_order=True)
    assert PolicyRules(policy=PolicyName.SINGLE_ORDER).rule is Rule.SINGLE_RANDOM
    assert PolicyRules(rule=Rule.SINGLE_RANDOM).policy is PolicyName.SINGLE_ORDER


@pytest.mark.parametrize(
    ("rules", "thresholds", "problem"),
    [
        ({"policy": "cascade"}, [0.9], "needs two judges"),
        ({"policy": "cascade"}, [None, 0.9], 'judge "j0": accept_above is missing'),
        ({"policy": "panel", "quorum": 3}, [None, None], "lower it"),
        ({"policy": "panel"}, [None], "needs two judges"),
        ({"policy": "early_stop"}, [None, None], "for one judge and there are 2"),
        ({"samples": 5}, [None], 'set policy = "samples"'),
        ({"stop_above": 0.9}, [None], 'set policy = "early_stop"'),
        ({"rule": "single_random", "policy": "samples"}, [None], "asks one order"),
        ({"rule": "lenient", "policy": "single_order"}, [None], "remove the rule"),
    ],
)
def test_a_policy_that_contradicts_its_settings_is_refused_with_the_remedy(
    rules: dict[str, object], thresholds: list[float | None], problem: str
) -> None:
    names = [f"j{at}" for at in range(len(thresholds))]
    with pytest.raises(ConfigError, match=problem):
        check_policy(PolicyRules.model_validate(rules), names, thresholds)


def test_an_unknown_policy_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match='did you mean "cascade"'):
        PolicyRules.model_validate({"policy": "cascad"})
