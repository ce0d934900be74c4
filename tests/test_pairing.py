"""Pairing candidates, and the settings of generators and of pairing that fit together."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from judge.candidates.generators import (
    Generator,
    Tally,
    check_generators,
    complaints,
    generator_warnings,
)
from judge.candidates.pairing import (
    Pairing,
    PairingRules,
    Strategy,
    named_pairs,
    pair_candidates,
    word_trigram_jaccard,
)
from judge.errors import ConfigError
from judge.formats.pairs import pair_from, pair_row
from judge.records import Candidate, Message, Prompt
from judge.settings.config import Settings
from judge.settings.loading import load_settings

WORDS = ["red", "green", "blue", "tea", "cup"]


def candidate(text: str, model: str = "m") -> Candidate:
    return Candidate(messages=(Message(role="assistant", content=text),), model=model)


def rules(**given: Any) -> PairingRules:
    return PairingRules.model_validate(given)


texts = st.lists(st.sampled_from([*WORDS, " ", "\n"]), max_size=8).map(" ".join)
candidates = st.lists(st.builds(candidate, texts, st.sampled_from("xyz")), max_size=7)
any_rules = st.builds(
    rules,
    strategy=st.just("all"),
    across_models=st.booleans(),
    near_duplicate=st.sampled_from([0.2, 0.5, 1.0]),
    seed=st.integers(0, 9),
) | st.builds(
    rules,
    strategy=st.just("random"),
    per_prompt=st.integers(1, 5),
    near_duplicate=st.sampled_from([0.5, 1.0]),
    seed=st.integers(0, 9),
)


def unordered(pairing: Pairing) -> list[frozenset[str]]:
    return [frozenset({a.text, b.text}) for a, b in pairing.pairs]


def words_of(one: Candidate) -> list[str]:
    return one.text.split()


# Properties


@given(candidates, any_rules)
def test_every_candidate_is_kept_or_counted_as_dropped(
    given: list[Candidate], rule: PairingRules
) -> None:
    made = pair_candidates("p", given, rule)
    assert made.kept + made.identical + made.near_identical + made.empty == len(given)
    assert made.empty == sum(not one.text.strip() for one in given)


@given(candidates, any_rules)
def test_no_pair_holds_equal_or_empty_answers_and_none_is_made_twice(
    given: list[Candidate], rule: PairingRules
) -> None:
    made = pair_candidates("p", given, rule)
    for first, second in made.pairs:
        assert words_of(first) != words_of(second)
        assert words_of(first)
        assert words_of(second)
        assert word_trigram_jaccard(first.text, second.text) < rule.near_duplicate or (
            rule.near_duplicate == 1
        )
    assert len(set(unordered(made))) == len(made.pairs)


@given(candidates, any_rules)
def test_the_same_arguments_give_the_same_pairs(given: list[Candidate], rule: PairingRules) -> None:
    state = random.getstate()
    assert pair_candidates("p", given, rule) == pair_candidates("p", given, rule)
    assert random.getstate() == state


@given(candidates, any_rules)
def test_white_space_makes_no_difference(given: list[Candidate], rule: PairingRules) -> None:
    spread = [candidate("\n\t" + "  ".join(words_of(c)) + "\n", c.model or "") for c in given]
    made, again = (pair_candidates("p", each, rule) for each in (given, spread))
    assert [(words_of(a), words_of(b)) for a, b in made.pairs] == [
        (words_of(a), words_of(b)) for a, b in again.pairs
    ]


@given(candidates, st.integers(0, 9))
def test_of_equal_answers_the_earliest_is_kept(given: list[Candidate], seed: int) -> None:
    made = pair_candidates("p", given, rules(seed=seed))
    for one in {c for sides in made.pairs for c in sides}:
        earlier = given[: next(i for i, c in enumerate(given) if c is one)]
        assert all(words_of(c) != words_of(one) for c in earlier)


@given(candidates, st.integers(1, 8))
def test_random_draws_as_many_as_asked_for_or_all_there_are(
    given: list[Candidate], count: int
) -> None:
    every = unordered(pair_candidates("p", given, rules()))
    drawn = unordered(pair_candidates("p", given, rules(strategy="random", per_prompt=count)))
    assert len(drawn) == min(count, len(every))
    assert set(drawn) <= set(every)


@given(candidates)
def test_baseline_compares_every_other_model_with_the_baseline(given: list[Candidate]) -> None:
    kept = {tuple(words_of(c)): c.model for c in reversed(given) if c.text.strip()}
    base = sum(model == "x" for model in kept.values())
    made = pair_candidates("p", given, rules(strategy="baseline", baseline="x"))
    assert len(made.pairs) == base * (len(kept) - base)
    assert all((a.model == "x") is not (b.model == "x") for a, b in made.pairs)


@given(candidates)
def test_across_models_is_all_without_pairs_of_one_model(given: list[Candidate]) -> None:
    every = pair_candidates("p", given, rules())
    across = pair_candidates("p", given, rules(across_models=True))
    expected = [frozenset({a.text, b.text}) for a, b in every.pairs if a.model != b.model]
    assert unordered(across) == expected


@given(texts, texts)
def test_likeness_is_symmetric_and_1_of_a_text_with_itself(one: str, other: str) -> None:
    likeness = word_trigram_jaccard(one, other)
    assert likeness == word_trigram_jaccard(other, one)
    assert 0 <= likeness <= 1
    assert word_trigram_jaccard(one, one) == 1


# By hand


@pytest.mark.parametrize(
    ("one", "other", "likeness"),
    [
        ("a b c d", "a b c e", 1 / 3),
        ("a b c d e", "a b c d f", 2 / 4),
        ("A b C", "a B c", 1),
        ("yes", "no", 0),
        ("今天天气很好", "今天天气很坏", 3 / 5),
    ],
)
def test_likeness_is_the_share_of_common_trigrams(one: str, other: str, likeness: float) -> None:
    assert word_trigram_jaccard(one, other) == pytest.approx(likeness)


def test_near_duplicates_are_dropped_from_the_threshold_on() -> None:
    given = [candidate(text) for text in ("a b c d e", "a b c d f", "q r s t u")]
    kept = [pair_candidates("p", given, rules(near_duplicate=at)).kept for at in (0.5, 0.51, 1.0)]
    assert kept == [2, 3, 3]


def test_at_1_only_identical_answers_are_dropped() -> None:
    looped = [candidate("a b c a b c a"), candidate("a b c a b c a b"), candidate("a  b c a b c a")]
    made = pair_candidates("p", looped, rules())
    assert (made.kept, made.identical, made.near_identical) == (2, 1, 0)


def test_answers_to_every_turn_are_compared_turn_by_turn() -> None:
    def turns(*said: str) -> Candidate:
        return Candidate(messages=tuple(Message(role="assistant", content=t) for t in said))

    made = pair_candidates("p", [turns("a b", "c"), turns("a", "b c")], rules())
    assert (made.kept, made.identical) == (2, 0)


def test_no_model_is_always_first() -> None:
    given = [candidate("one", "x"), candidate("two", "y")]
    first = [pair_candidates(f"p{i}", given, rules()).pairs[0][0].model for i in range(1000)]
    assert abs(first.count("x") - 500) < 4 * (1000 * 0.25) ** 0.5


def test_another_seed_draws_other_pairs_and_sides() -> None:
    given = [candidate(f"answer {n}") for n in range(6)]
    drawn = {
        pair_candidates("p", given, rules(strategy="random", per_prompt=3, seed=seed)).pairs
        for seed in range(5)
    }
    assert len(drawn) == 5


def test_pairs_are_named_as_a_file_of_pairs_names_them() -> None:
    prompt = Prompt(prompt_id="q", messages=(Message(role="user", content="?"),), tags={"a": 1})
    given = [candidate(f"answer {n}", "xy"[n % 2]) for n in range(4)]
    named = named_pairs(prompt, pair_candidates("q", given, rules()))
    assert len({pair.pair_id for pair in named}) == 6
    assert {pair.pair_id.endswith("-x") for pair in named} == {True, False}
    for pair in named:
        row = pair_row(pair)
        del row["pair_id"]
        assert pair_from(row) == pair


# Rules


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"strategy": "random"}, "random needs per_prompt"),
        ({"strategy": "all", "per_prompt": 2}, "set strategy random"),
        ({"strategy": "baseline"}, "baseline needs baseline"),
        ({"baseline": "m"}, "used by strategy baseline only"),
        ({"near_duplicate": 0}, "greater than 0"),
        ({"per_prompt": 0, "strategy": "random"}, "greater than or equal to 1"),
    ],
)
def test_rules_that_contradict_themselves_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        rules(**wrong)


def generator(**given: Any) -> Generator:
    return Generator.model_validate({"model": "m", **given})


def test_one_value_and_a_list_are_set_alike() -> None:
    assert generator(temperature=0.7) == generator(temperature=[0.7])
    assert generator(system="Be brief.").system == ("Be brief.",)


def test_lists_span_a_grid_in_which_the_seed_changes_first() -> None:
    grid = generator(temperature=[0.5, 1.0], seed=[1, 2], system=["a", "b"], top_k=40).variants
    assert len(grid) == 8
    assert [v.system for v in grid] == ["a"] * 4 + ["b"] * 4
    assert [v.sampling["seed"] for v in grid] == [1, 2] * 4
    assert grid[2].sampling == {"temperature": 1.0, "top_k": 40, "seed": 1}


def test_what_is_not_set_is_not_sent() -> None:
    (only,) = generator().variants
    assert (only.system, dict(only.sampling)) == (None, {"temperature": 1.0})


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 0},
        {"temperature": []},
        {"temperature": -1},
        {"temperature": "hot"},
        {"temperature": [0.7, 0.7]},
        {"top_p": 0},
        {"seed": 1.5},
        {"system": ""},
        {"temprature": 1},
    ],
)
def test_impossible_generators_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        generator(**wrong)


@pytest.mark.parametrize(
    ("generators", "rule", "said"),
    [
        ([{}], {}, 'generator "m": n = 1 with one generator gives no pairs; set n = 2'),
        ([{}, {}], {}, 'two generators are called "m"; give one another name'),
        (
            [{"n": 2}, {"model": "other"}],
            {"strategy": "baseline", "baseline": "othr"},
            'baseline "othr" is no generator\'s model; did you mean "other"?',
        ),
        (
            [{"n": 2}],
            {"strategy": "baseline", "baseline": "zzz"},
            'baseline "zzz" is no generator\'s model; models are: m',
        ),
        (
            [{"n": 2}],
            {"strategy": "baseline", "baseline": "m"},
            'strategy baseline needs two models, and all generators are "m"',
        ),
        ([{"n": 2}], {"across_models": True}, "across_models needs two models"),
    ],
)
def test_settings_that_can_give_no_pair_are_refused(
    generators: Sequence[dict[str, Any]], rule: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        check_generators([generator(**each) for each in generators], rules(**rule))
    assert said in str(refused.value)


def test_settings_that_fit_together_are_let_pass() -> None:
    check_generators([], rules())
    check_generators([generator(n=2)], rules())
    both = [generator(), generator(model="other")]
    check_generators(both, rules(strategy="baseline", baseline="other"))
    check_generators(both, rules(across_models=True))
    assert generator_warnings(both) == []
    assert rules().strategy is Strategy.ALL


def test_variants_that_are_never_used_are_named() -> None:
    (said,) = generator_warnings([generator(n=2, temperature=[0.1, 0.2, 0.3], system="Be brief.")])
    assert said == (
        'generator "m": n = 2 uses the first 2 of 3 variants, never these: temperature 0.3, '
        'system "Be brief."; raise n, or shorten the lists'
    )
    (said,) = generator_warnings([generator(n=2, seed=list(range(9)))])
    assert "and 4 more; raise n" in said


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ({"temperature": 0, "n": 2}, "raise the temperature, or lower n"),
        ({"seed": 7, "n": 3}, "give 3 seeds, or none"),
        ({"seed": [7, 8], "n": 2}, None),
        ({"temperature": [0, 1], "n": 2}, None),
        ({"temperature": [1, 0], "n": 3}, None),
    ],
)
def test_asking_the_same_again_is_warned_of(given: dict[str, Any], remedy: str | None) -> None:
    found = generator_warnings([generator(**given)])
    assert [said.endswith(remedy or "") for said in found] == [True] * (remedy is not None)


FILE = """
[endpoints.local]
base_url = "http://127.0.0.1:8000/v1"

[[generators]]
endpoint = "local"
model = "my-policy"
n = 4
temperature = [0.7, 1.0]
{more}
"""


def load(folder: Path, more: str = "") -> Settings:
    path = folder / "judge.toml"
    path.write_text(FILE.format(more=more))
    return load_settings(path, environ={})


def test_generators_and_pairing_are_read_from_the_config_file(tmp_path: Path) -> None:
    settings = load(tmp_path, '[pairing]\nstrategy = "random"\nper_prompt = 2')
    (read,) = settings.generators
    assert (read.n, read.temperature, read.display_name) == (4, (0.7, 1.0), "my-policy")
    assert settings.pairing == rules(strategy="random", per_prompt=2)
    assert settings.endpoint_of(read).base_url == "http://127.0.0.1:8000/v1"
    assert load(tmp_path).pairing == PairingRules()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("max_token = 5", 'unknown key "generators.0.max_token"; did you mean "max_tokens"?'),
        ("[pairing]\nsede = 5", 'unknown key "pairing.sede"; did you mean "seed"?'),
        ('[pairing]\nstrategy = "random"', "strategy random needs per_prompt"),
        ("seed = [1, 1]", "1 stands there twice; name each value once"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, more)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_generator_at_no_known_endpoint_is_refused() -> None:
    with pytest.raises(ConfigError, match='generator "m": there is no endpoint "default"'):
        Settings().endpoint_of(generator())


# What replies say about a generator


def test_a_generator_that_repeats_itself_or_says_nothing_is_named_with_the_remedy() -> None:
    tally = Tally(replies=40, statuses={"empty": 8, "truncated": 3}, prompts=10, repeated=10)
    assert complaints("small", tally) == [
        'generator "small": 8 of 40 replies are empty; raise max_tokens, or check the model\'s '
        "chat template",
        'generator "small": gave 10 of 10 prompts the same answer every time; raise the '
        "temperature, or give other seeds",
    ]


def test_a_generator_that_answers_is_not_complained_of() -> None:
    assert complaints("small", Tally(replies=0, statuses={}, prompts=0, repeated=0)) == []
    fine = Tally(replies=100, statuses={"empty": 9, "failed": 1}, prompts=20, repeated=1)
    assert complaints("small", fine) == []
