"""Strategies that name a generator, a judge or rounds: what they pair, what contradicts them."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from judge.candidates.first_pass import check_first_pass, first_pass_settings, second_pass_settings
from judge.candidates.generators import Generator, check_generators
from judge.candidates.pairing import PairingRules, in_drawn_order, keep_candidates, pair_candidates
from judge.errors import ConfigError
from judge.outcomes.labels import Rule
from judge.records import Candidate, Message
from judge.settings.config import Endpoint, Judge, Settings


def candidate(text: str) -> Candidate:
    return Candidate(messages=(Message(role="assistant", content=text),), model="m")


def rules(**given: Any) -> PairingRules:
    return PairingRules.model_validate(given)


def texts(pairs: Sequence[tuple[Candidate, Candidate]]) -> set[frozenset[str]]:
    return {frozenset({one.text, other.text}) for one, other in pairs}


def named(*names: str) -> list[Generator]:
    return [Generator(model="m", name=name, n=2) for name in names]


written = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("xyz")), max_size=9)
plain_rules = st.builds(rules, seed=st.integers(0, 3)) | st.builds(
    rules, strategy=st.just("on_policy"), on_policy=st.just("x"), seed=st.integers(0, 3)
)


# One generator against the others


@given(written)
def test_on_policy_pairs_one_generators_candidates_with_all_others_and_with_no_own(
    given: list[tuple[str, str]],
) -> None:
    candidates, names = [candidate(text) for text, _ in given], [name for _, name in given]
    made = pair_candidates(
        "p", candidates, rules(strategy="on_policy", on_policy="x"), generators=names
    )
    wrote = dict(reversed(given))
    expected = {
        frozenset(pair)
        for pair in combinations(wrote, 2)
        if (wrote[pair[0]] == "x") != (wrote[pair[1]] == "x")
    }
    assert texts(made.pairs) == expected


def test_on_policy_draws_as_many_per_prompt_as_asked_for() -> None:
    candidates = [candidate(text) for text in "abcdef"]
    rule = rules(strategy="on_policy", on_policy="x", per_prompt=2)
    made = pair_candidates("p", candidates, rule, generators=list("xxxyyy"))
    assert len(made.pairs) == 2


# Candidates that come later


@given(written, st.integers(0, 9), plain_rules)
def test_pairs_of_a_later_wave_and_of_those_before_it_are_all_pairs_each_once(
    given: list[tuple[str, str]], split: int, rule: PairingRules
) -> None:
    candidates, names = [candidate(text) for text, _ in given], [name for _, name in given]
    split = min(split, len(candidates))
    before = pair_candidates("p", candidates[:split], rule, generators=names[:split])
    after = pair_candidates("p", candidates, rule, generators=names, after=split)
    whole = pair_candidates("p", candidates, rule, generators=names)
    assert not texts(before.pairs) & texts(after.pairs)
    assert texts(before.pairs) | texts(after.pairs) == texts(whole.pairs)


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 9))
def test_who_stands_first_is_drawn_by_place_and_is_the_same_each_time(
    one: int, other: int, seed: int
) -> None:
    sides = [
        in_drawn_order("p", candidate("a"), candidate("b"), place=(one, other), seed=seed)
        for _ in range(2)
    ]
    assert sides[0] == sides[1]
    assert texts([sides[0]]) == {frozenset("ab")}


def test_neither_place_always_stands_first() -> None:
    firsts = [
        in_drawn_order(f"p{n}", candidate("a"), candidate("b"), place=(0, 1), seed=0)[0].text
        for n in range(400)
    ]
    assert 150 < firsts.count("a") < 250


def test_what_is_left_of_candidates_is_told_by_place() -> None:
    given = [candidate(text) for text in ("a", " ", "b", "a ", "c")]
    kept = keep_candidates(given, rules(strategy="swiss"))
    assert kept.places == (0, 2, 4)
    assert (kept.identical, kept.near_identical, kept.empty) == (1, 0, 1)


# Rules


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"strategy": "on_policy"}, "on_policy needs on_policy, the name of the generator"),
        ({"strategy": "all", "on_policy": "x"}, "on_policy is used by strategy on_policy only"),
        ({"strategy": "swiss", "first_pass": "x"}, "used by strategy best_worst only"),
        ({"strategy": "swiss", "margin": 1}, "margin is used by strategy best_worst only"),
        ({"rounds": 3}, "rounds is used by strategy best_worst and swiss only"),
        ({"strategy": "swiss", "per_prompt": 3}, "per_prompt is used by strategy random and"),
        ({"strategy": "best_worst", "across_models": True}, "across_models is used by strategy"),
        ({"strategy": "swiss", "rounds": 0}, "greater than or equal to 1"),
        ({"strategy": "best_worst", "margin": -1}, "greater than or equal to 0"),
    ],
)
def test_rules_that_contradict_themselves_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        rules(**wrong)


def test_strategies_that_judge_to_pair_are_told_from_those_that_do_not() -> None:
    assert [
        rules(strategy=name, **more).has_rounds
        for name, more in (
            ("all", {}), ("on_policy", {"on_policy": "x"}), ("swiss", {}), ("best_worst", {}),
        )
    ] == [False, False, True, True]  # fmt: skip


@pytest.mark.parametrize(
    ("generators", "on_policy", "said"),
    [
        (("mine", "other"), "mien", 'on_policy "mien" is no generator; did you mean "mine"?'),
        (("mine", "other"), "zzz", 'on_policy "zzz" is no generator; generators are: mine, other'),
        (("mine",), "mine", 'on_policy needs a second generator to compare "mine" with'),
    ],
)
def test_a_generator_that_is_not_there_is_named_with_the_nearest(
    generators: tuple[str, ...], on_policy: str, said: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        check_generators(named(*generators), rules(strategy="on_policy", on_policy=on_policy))
    assert said in str(refused.value)


# The judge of a first pass


def told(first_pass: str | None, *judges: str, **more: Any) -> Settings:
    return Settings(
        endpoints={"default": Endpoint(base_url="http://127.0.0.1:8000/v1")},
        judges=tuple(Judge(model="m", name=name) for name in judges),
        pairing=rules(strategy="best_worst", first_pass=first_pass),
        **more,
    )


@pytest.mark.parametrize(
    ("first_pass", "ranks", "judge"),
    [
        (None, "cheap", ["cheap", "strong"]),
        ("cheap", "cheap", ["strong"]),
        ("strong", "strong", ["cheap"]),
    ],
)
def test_a_judge_that_is_named_for_the_first_pass_judges_nothing_else(
    first_pass: str | None, ranks: str, judge: list[str]
) -> None:
    settings = told(first_pass, "cheap", "strong")
    first, second = first_pass_settings(settings), second_pass_settings(settings)
    assert [one.name for one in first.judges] == [ranks]
    assert [one.name for one in second.judges] == judge


def test_the_only_judge_does_both_passes() -> None:
    settings = told("only", "only")
    assert [one.name for one in second_pass_settings(settings).judges] == ["only"]


def test_the_first_pass_asks_one_order_within_the_same_budget() -> None:
    settings = told(None, "only", run={"budget_requests": 7, "max_dropped": 0.2})
    first = first_pass_settings(settings)
    assert first.run.rule is Rule.SINGLE_RANDOM
    assert (first.run.budget_requests, first.run.max_dropped) == (7, 0.2)
    assert settings.run.rule is Rule.CONSERVATIVE


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("chep", 'first_pass "chep" is no judge; did you mean "cheap"?'),
        ("zzz", 'first_pass "zzz" is no judge; judges are: cheap, strong'),
    ],
)
def test_a_judge_that_is_not_there_is_named_with_the_nearest(name: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_first_pass(told(name, "cheap", "strong"))
    assert said in str(refused.value)
