"""Certificates: published bounds, validity by simulation, honest refusals."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.agreement import NO_LABELLED_VOTES, NONE_DECIDED, judge_agreement
from calibration.certificates import (
    CLUSTERED,
    EXACT,
    ONE_PROMPT,
    Certificate,
    Metric,
    certificate_lines,
    certify,
    clopper_pearson_bound,
    posterior_probability,
)
from calibration.intervals import Floats
from calibration.layout import Layout

VECTORS = json.loads((Path(__file__).parent / "cases" / "statistics_vectors.json").read_text())
METRICS: tuple[Metric, ...] = ("s1", "s2", "majority")


def votes_on(label: np.ndarray, agrees: np.ndarray) -> Floats:
    """One vote per pair, for the label or for its opposite."""
    votes = np.zeros((len(label), 3))
    choice = np.where(agrees, label, -label).astype(int)
    votes[np.arange(len(label)), choice + 1] = 1
    return votes


def gold(agrees: np.ndarray, cluster: np.ndarray, **asked: object) -> Certificate:
    """The certificate of votes that agree or not, half of the labels being `second`."""
    label = np.where(np.arange(len(agrees)) % 2, 1, -1).astype(np.int8)
    return certify(label, votes_on(label, agrees), cluster=cluster, **asked)  # type: ignore[arg-type]


def first(k: int, n: int) -> np.ndarray:
    return np.arange(n) < k


def test_the_exact_bound_is_the_published_one() -> None:
    vector = VECTORS["cp/lower85_100"]
    bound = clopper_pearson_bound(85, 100)
    assert bound == pytest.approx(vector["expected"], abs=vector["tol"])
    # The two-sided 95 % interval is two bounds of 97.5 %.
    assert clopper_pearson_bound(85, 100, confidence=0.975) == pytest.approx(0.764692, abs=1e-6)
    assert 1 - clopper_pearson_bound(15, 100, confidence=0.975) == pytest.approx(0.913546, abs=1e-6)
    assert clopper_pearson_bound(0, 100) == 0


def test_the_posterior_is_the_published_one() -> None:
    assert posterior_probability(17, 20, target=0.8) == pytest.approx(0.629624, abs=1e-6)


def test_one_vote_per_prompt_is_certified_exactly() -> None:
    found = gold(first(85, 100), np.arange(100), target=0.75)
    assert (found.method, found.n, found.n_eff, found.prompts) == (EXACT, 100, 100, 100)
    assert found.value == 0.85
    assert found.bound == pytest.approx(0.778463, abs=1e-6)
    assert found.is_granted
    assert (found.more_prompts, found.posterior) == (None, None)


@pytest.mark.parametrize(("k", "n", "target"), [(305, 365, 0.8), (92, 119, 0.7), (14, 14, 0.8)])
def test_the_pass_mark_is_where_certification_begins(k: int, n: int, target: float) -> None:
    assert gold(first(k, n), np.arange(n), target=target).is_granted
    assert not gold(first(k - 1, n), np.arange(n), target=target).is_granted


def test_a_small_gold_set_comes_with_a_posterior() -> None:
    found = gold(first(17, 20), np.arange(20), target=0.8)
    assert not found.is_granted
    assert found.posterior == pytest.approx(0.629624, abs=1e-6)
    assert gold(first(17, 20), np.arange(20)).posterior is None


def test_a_refusal_says_how_many_more_prompts_would_decide_it() -> None:
    found = gold(first(85, 100), np.arange(100), target=0.8)
    assert not found.is_granted
    assert found.more_prompts == 365 - 100
    hopeless = gold(first(80, 100), np.arange(100), target=0.8)
    assert not hopeless.is_granted
    assert hopeless.more_prompts is None


@pytest.mark.parametrize(
    ("prompts", "items", "p", "icc"),
    [
        (20, 4, 0.85, 0.3),
        (50, 4, 0.85, 0.3),
        (80, 6, 0.80, 0.3),
        (80, 15, 0.85, 0.3),
        (50, 15, 0.98, 0.5),
    ],
)
def test_the_clustered_bound_lies_below_the_truth_as_often_as_it_says(
    prompts: int, items: int, p: float, icc: float
) -> None:
    rng = np.random.default_rng(13)
    cluster, strength, draws = np.repeat(np.arange(prompts), items), (1 - icc) / icc, 1000
    below = 0
    for _ in range(draws):
        each = np.repeat(rng.beta(p * strength, (1 - p) * strength, prompts), items)
        found = gold(rng.random(len(each)) < each, cluster)
        assert found.bound is not None
        below += found.bound <= p
    assert below / draws >= 0.945


def test_the_bound_holds_on_prompts_of_very_different_sizes() -> None:
    rng, p, icc, draws = np.random.default_rng(17), 0.85, 0.3, 1000
    sizes = np.tile([1, 2, 3, 4, 6, 8, 12, 20], 10)
    cluster, strength = np.repeat(np.arange(80), sizes), (1 - icc) / icc
    below = 0
    for _ in range(draws):
        each = np.repeat(rng.beta(p * strength, (1 - p) * strength, 80), sizes)
        below += (gold(rng.random(len(each)) < each, cluster).bound or 0) <= p
    assert below / draws >= 0.945


def test_a_bound_that_ignored_the_prompts_would_not_be_valid() -> None:
    rng, draws = np.random.default_rng(13), 400
    below = 0
    for _ in range(draws):
        each = rng.beta(0.85 * 7 / 3, 0.15 * 7 / 3, 80)
        below += clopper_pearson_bound(rng.binomial(15, each).sum(), 1200) <= 0.85
    assert below / draws < 0.85


def test_one_draw_per_prompt_restores_exactness() -> None:
    rng, cluster = np.random.default_rng(3), np.repeat(np.arange(40), 6)
    below = 0
    for seed in range(1000):
        each = np.repeat(rng.beta(0.85 * 1.5, 0.15 * 1.5, 40), 6)
        found = gold(rng.random(240) < each, cluster, one_per_prompt=True, seed=seed)
        assert (found.method, found.n, found.n_eff, found.seed) == (EXACT, 40, 40, seed)
        below += (found.bound or 0) <= 0.85
    assert below / 1000 >= 0.945


def test_the_draw_is_repeatable_and_its_seed_matters() -> None:
    rng, cluster = np.random.default_rng(3), np.repeat(np.arange(40), 6)
    agrees = rng.random(240) < 0.6
    values = [gold(agrees, cluster, one_per_prompt=True, seed=seed).value for seed in range(8)]
    assert values[0] == gold(agrees, cluster, one_per_prompt=True).value
    assert len(set(values)) > 1


def test_a_draw_weighs_every_prompt_the_same() -> None:
    agrees = np.array([True] * 90 + [False] * 10)
    cluster = np.repeat([0, 1], [90, 10])
    assert gold(agrees, cluster).value == 0.9
    assert gold(agrees, cluster, one_per_prompt=True).value == 0.5


@given(st.integers(0, 2**32 - 1), st.sampled_from(METRICS))
def test_the_value_is_the_agreement_of_the_report(seed: int, metric: Metric) -> None:
    rng = np.random.default_rng(seed)
    label = rng.integers(-1, 2, 30).astype(np.int8)
    votes = rng.integers(0, 3, (30, 3)).astype(float)
    cluster = rng.integers(0, 12, 30)
    found = certify(label, votes, cluster=cluster, metric=metric, target=0.3)
    agreement = judge_agreement(label, votes, cluster=cluster)
    expected = {
        "s1": agreement.s1.micro, "s2": agreement.s2.micro, "majority": agreement.s1.majority,
    }[metric]  # fmt: skip
    assert found.n == expected.n
    assert found.value == pytest.approx(expected.value)
    if found.bound is not None and found.value is not None:
        assert 0 <= found.bound <= found.value
        assert found.n_eff is not None
        assert 0 < found.n_eff <= found.n


@given(st.integers(0, 2**32 - 1), st.sampled_from(METRICS), st.booleans())
def test_exchanging_the_answers_of_every_pair_changes_nothing(
    seed: int, metric: Metric, one_per_prompt: bool
) -> None:
    rng = np.random.default_rng(seed)
    label = rng.integers(-1, 2, 12).astype(np.int8)
    votes = rng.integers(0, 3, (12, 3)).astype(float)
    cluster = rng.integers(0, 6, 12)

    def of(label: np.ndarray, votes: Floats) -> Certificate:
        return certify(
            label, votes, cluster=cluster, metric=metric, target=0.4, one_per_prompt=one_per_prompt
        )

    assert of(label, votes) == of(-label, votes[:, ::-1])


@given(st.integers(0, 2**32 - 1))
def test_one_more_vote_that_agrees_never_lowers_an_exact_bound(seed: int) -> None:
    rng = np.random.default_rng(seed)
    agrees = rng.random(30) < 0.7
    more = agrees.copy()
    more[int(np.argmin(agrees))] = True
    cluster = np.arange(30)
    assert (gold(more, cluster).bound or 0) >= (gold(agrees, cluster).bound or 0)


def test_agreement_without_exception_is_not_worth_more_than_its_prompts() -> None:
    found = gold(first(200, 200), np.repeat(np.arange(50), 4))
    almost = gold(first(199, 200), np.repeat(np.arange(50), 4))
    assert found.value == 1
    assert found.n_eff is not None
    assert found.n_eff <= 50
    assert found.bound is not None
    assert almost.bound is not None
    assert almost.bound < found.bound + 0.001
    assert found.bound < clopper_pearson_bound(50, 50)


def test_a_shared_majority_is_half_an_agreement_and_not_exact() -> None:
    label, cluster = np.ones(20, np.int8), np.arange(20)
    votes = np.tile([1.0, 0, 1], (20, 1))
    shared = certify(label, votes, cluster=cluster, metric="majority")
    assert (shared.value, shared.method, shared.n) == (0.5, CLUSTERED, 20)
    drawn = certify(label, votes, cluster=cluster, metric="majority", one_per_prompt=True)
    assert drawn.method == EXACT
    assert drawn.value in {k / 20 for k in range(1, 20)}


EMPTY = (np.zeros(0, np.int8), np.zeros((0, 3)), np.zeros(0, np.intp))


@pytest.mark.parametrize("one_per_prompt", [False, True])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("label", "votes", "cluster"),
    [
        EMPTY,
        (np.ones(3, np.int8), np.zeros((3, 3)), np.arange(3)),
        (np.ones(1, np.int8), np.array([[0.0, 0, 1]]), np.zeros(1, np.intp)),
        (np.ones(3, np.int8), np.tile([0.0, 0, 2], (3, 1)), np.zeros(3, np.intp)),
        (np.zeros(4, np.int8), np.tile([0.0, 1, 0], (4, 1)), np.arange(4)),
        (np.ones(2, np.int8), np.tile([3.0, 0, 0], (2, 1)), np.arange(2)),
        (np.ones(2, np.int8), np.tile([0.0, 0, 1], (2, 1)), np.arange(2)),
    ],
    ids=["no pair", "no vote", "one vote", "one prompt", "all ties", "never agrees", "two pairs"],
)
def test_a_poor_gold_set_gives_a_bound_or_the_reason_for_none(
    label: np.ndarray, votes: Floats, cluster: np.ndarray, metric: Metric, one_per_prompt: bool
) -> None:
    found = certify(
        label, votes, cluster=cluster, metric=metric, target=0.8, one_per_prompt=one_per_prompt
    )
    assert not found.is_granted
    assert (found.bound is None) == (found.why is not None)
    assert found.bound is None or 0 <= found.bound < 0.8
    assert certificate_lines(found, judge="j")[0].startswith("Not certified")


def test_the_reason_for_no_bound_is_named() -> None:
    def why(label: int, vote: list[float], pairs: int, metric: Metric) -> str | None:
        return certify(
            np.full(pairs, label, np.int8), np.tile(vote, (pairs, 1)),
            cluster=np.zeros(pairs, np.intp), metric=metric,
        ).why  # fmt: skip

    assert why(1, [0, 0, 0], 2, "s1") == why(1, [0, 0, 0], 2, "s2") == NO_LABELLED_VOTES
    assert why(0, [0, 0, 1], 2, "s2") == why(1, [0, 1, 0], 2, "s2") == NONE_DECIDED
    assert why(1, [0, 0, 1], 9, "majority") == ONE_PROMPT


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(ValueError, match="'s3' is unknown; give one of s1, s2, majority"):
        certify(*EMPTY[:2], cluster=EMPTY[2], metric="s3")  # type: ignore[arg-type]


# ----------------------------------------------------------------------------------------------
# in words


def test_a_certificate_in_words_never_rounds_its_bound_up() -> None:
    found = Certificate("s1", 0.85, 0.7999, 0.95, 900, 500.0, 300, CLUSTERED, 0.8, more_prompts=40)
    assert certificate_lines(found, judge="j") == [
        "Not certified: that judge j agrees with the votes (S1, ties included) at least 80 % of "
        "the time (95 % confidence, one-sided).",
        "85.0 % seen on 900 votes on 300 prompts, worth 500 independent ones; the lower bound is "
        "79.9 %.",
        "About 40 more prompts, labelled like these, would decide it with 80 % power if the "
        "agreement is what it seems.",
    ]


def test_a_granted_certificate_names_its_target_and_basis() -> None:
    found = gold(first(85, 100), np.arange(100), target=0.775, metric="s2")
    assert certificate_lines(found, judge="j") == [
        "Certified: judge j agrees with the votes (S2, where both sides are decided) at least "
        "77.5 % of the time (95 % confidence, one-sided).",
        "85.0 % seen on 100 votes on 100 prompts; the lower bound is 77.8 %.",
    ]


def test_without_a_target_the_bound_itself_is_told() -> None:
    found = gold(first(85, 100), np.arange(100), confidence=0.9)
    assert not found.is_granted
    told = certificate_lines(found, judge="j")[0]
    assert told.startswith("With 90 % confidence (one-sided) judge j agrees with")
    assert told.endswith("at least 79.3 % of the time.")
    few = gold(first(2, 3), np.arange(3), confidence=0.9)
    assert certificate_lines(few, judge="j")[0].startswith("No lower bound worth telling: 66.7 %")


def test_a_hopeless_target_is_said_to_be_one() -> None:
    below = gold(first(50, 100), np.arange(100), target=0.8)
    assert certificate_lines(below, judge="j")[-1].startswith("No number of further labels")
    close = gold(first(8001, 10_000), np.arange(10_000), target=0.8)
    assert "1,000,000 prompts would not decide it" in certificate_lines(close, judge="j")[-1]


def test_a_small_and_a_drawn_gold_set_are_named_as_such() -> None:
    found = gold(first(17, 20), np.arange(20), target=0.8, one_per_prompt=True, seed=4)
    told = certificate_lines(found, judge="j")
    assert "one vote of each of 20 prompts, drawn with seed 4" in told[1]
    assert "with a uniform prior, the target is met with probability 0.63" in told[2]


def test_the_layout_of_the_gold_is_part_of_the_certificate() -> None:
    found = gold(first(60, 80), np.repeat(np.arange(20), 4))
    assert found.layout is not None
    assert found.layout.per_prompt == found.layout.typical == 4
    assert found.layout.deff == pytest.approx(4 * 20 / 19)
    assert gold(first(60, 80), np.arange(80)).layout == Layout(1, 1, 1)
