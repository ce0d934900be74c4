"""Agreement of two sides beyond chance, against values computed by established libraries."""

import json
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.chance import (
    ONE_CATEGORY,
    Coefficients,
    brennan_predigers_kappa,
    clustered_kappa,
    coefficients,
    cohens_kappa,
    confusion_sums,
    gwets_ac,
    krippendorffs_alpha,
    marginals,
    scotts_pi,
)
from calibration.corrections import linear_weights, ordinal_weights, quadratic_weights
from calibration.intervals import ONE_CLUSTER

VECTORS = json.loads((Path(__file__).parent / "cases" / "statistics_vectors.json").read_text())
THREE = [[35, 5, 5], [4, 8, 6], [3, 4, 30]]
WEIGHTS = {"none": None, "linear": linear_weights(3), "quadratic": quadratic_weights(3)}
KAPPAS: dict[str, Callable[..., float | None]] = {
    "cohen": cohens_kappa,
    "fleiss": scotts_pi,
    "gwet": gwets_ac,
    "bp": brennan_predigers_kappa,
    "alpha": krippendorffs_alpha,
}
NAMES = [field.name for field in fields(Coefficients)]
NOMINAL = ["observed", "cohen", "scott", "brennan_prediger", "ac1", "alpha_nominal"]
TABLES = st.lists(st.lists(st.integers(0, 6), min_size=9, max_size=9), min_size=1, max_size=6).map(
    lambda rows: np.array(rows).reshape(-1, 3, 3)
)


def items_of(table: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    cells = np.repeat(np.arange(9), np.ravel(table))
    return cells // 3, cells % 3


def flat(found: Coefficients) -> list[float | None]:
    return [x for name in NAMES for x in list(asdict(getattr(found, name)).values())[:3]]


def same(one: Coefficients, other: Coefficients) -> bool:
    return all(
        (a is None and b is None) or a == pytest.approx(b, abs=1e-9)
        for a, b in zip(flat(one), flat(other), strict=True)
    )


@pytest.mark.parametrize("kappa", KAPPAS)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_every_coefficient_matches_the_published_vectors(kappa: str, weights: str) -> None:
    vector = VECTORS[f"kappa/{weights}/{kappa}"]
    value = KAPPAS[kappa](vector["input"]["table"], weights=WEIGHTS[weights])
    assert value == pytest.approx(vector["expected"], abs=vector["tol"])


def test_ordinal_alpha_has_krippendorffs_metric() -> None:
    both = np.sum(THREE, axis=0) + np.sum(THREE, axis=1)
    value = krippendorffs_alpha(THREE, weights=ordinal_weights(both))
    assert value == pytest.approx(0.692297, abs=1e-6)


def test_ordinal_weights_are_distances_of_ranks() -> None:
    # Ranks of 2, 6 and 2 ratings have the means 1, 5 and 9 (counted from half a rank).
    assert ordinal_weights([2, 6, 2]).tolist() == quadratic_weights(3).tolist()
    assert ordinal_weights([8, 0, 2])[0].tolist() == pytest.approx([1, 1 - 0.8**2, 0])
    assert ordinal_weights([0, 0, 0]).tolist() == np.ones((3, 3)).tolist()


def test_weights_fall_from_one_to_nothing_along_the_order() -> None:
    assert linear_weights(3).tolist() == [[1, 0.5, 0], [0.5, 1, 0.5], [0, 0.5, 1]]
    assert quadratic_weights(3).tolist() == [[1, 0.75, 0], [0.75, 1, 0.75], [0, 0.75, 1]]
    assert linear_weights(1).tolist() == quadratic_weights(1).tolist() == [[1]]


def test_the_same_agreement_can_have_a_kappa_below_zero_or_a_good_one() -> None:
    vector = VECTORS["kappa/paradox"]
    order = {"cohen": "cohen", "ac1": "gwet", "alpha": "alpha", "bp": "bp"}
    names = [order[name] for name in vector["input"]["order"]]
    lopsided = [KAPPAS[name](vector["input"]["table"]) for name in names]
    assert lopsided == pytest.approx(vector["expected"], abs=vector["tol"])
    balanced = [KAPPAS[name]([[40, 10], [10, 40]]) for name in ("cohen", "gwet", "bp", "alpha")]
    assert balanced == pytest.approx([0.6, 0.6, 0.6, 0.602])


@pytest.mark.parametrize("kappa", [cohens_kappa, scotts_pi, krippendorffs_alpha])
@pytest.mark.parametrize("table", [[[0, 0], [0, 0]], [[7, 0], [0, 0]]])
def test_there_is_no_kappa_where_chance_explains_everything(
    kappa: Callable[..., float | None], table: list[list[int]]
) -> None:
    assert kappa(table) is None


@pytest.mark.parametrize("kappa", KAPPAS.values())
def test_no_coefficient_exists_of_nothing_or_of_a_single_category(
    kappa: Callable[..., float | None],
) -> None:
    assert kappa([[0, 0], [0, 0]]) is None
    assert kappa([[5]]) is None


def test_fixed_or_rarely_used_chance_still_credits_the_same_single_choice() -> None:
    assert gwets_ac([[7, 0], [0, 0]]) == brennan_predigers_kappa([[7, 0], [0, 0]]) == 1


def test_confusion_matrices_are_summed_by_prompt() -> None:
    tables = confusion_sums(
        np.array([0, 0, 2]), np.array([0, 1, 2]), np.array([9, 9, 4]), categories=3
    )
    assert tables.shape == (2, 3, 3)
    assert tables[0].tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert tables[1].tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_on_independent_items_the_bootstrap_agrees_with_the_analytic_interval() -> None:
    rows, columns = items_of(THREE)
    kappa = clustered_kappa(confusion_sums(rows, columns, np.arange(100), categories=3))
    assert kappa.value == pytest.approx(0.570542, abs=1e-6)
    assert kappa.n == 100
    assert kappa.low == pytest.approx(0.43807, abs=0.03)
    assert kappa.high == pytest.approx(0.70301, abs=0.03)


def test_items_of_one_prompt_that_err_together_widen_the_interval() -> None:
    rows, columns = items_of(THREE)
    apart = clustered_kappa(confusion_sums(rows, columns, np.arange(100), categories=3))
    together = clustered_kappa(confusion_sums(rows, columns, np.arange(100) // 5, categories=3))
    assert together.value == apart.value
    assert together.low is not None
    assert apart.low is not None
    assert together.low < apart.low - 0.02


def test_perfect_agreement_still_leaves_doubt() -> None:
    rows = np.array([0, 1, 2] * 10)
    kappa = clustered_kappa(confusion_sums(rows, rows, np.arange(30), categories=3))
    assert kappa.value == pytest.approx(1)
    assert kappa.high == pytest.approx(1)
    assert kappa.low is not None
    assert 0.5 < kappa.low < 0.95


def test_one_choice_on_both_sides_gives_no_kappa_and_the_reason() -> None:
    ties = np.ones(12, dtype=np.intp)
    kappa = clustered_kappa(confusion_sums(ties, ties, np.arange(12), categories=3))
    assert (kappa.value, kappa.low, kappa.n, kappa.why) == (None, None, 12, ONE_CATEGORY)


def test_one_prompt_gives_kappa_without_an_interval() -> None:
    rows, columns = items_of(THREE)
    kappa = clustered_kappa(confusion_sums(rows, columns, np.zeros(100, int), categories=3))
    assert kappa.value == pytest.approx(0.570542, abs=1e-6)
    assert kappa.low is None


def test_no_items_give_no_kappa() -> None:
    nothing = np.zeros(0, dtype=np.intp)
    kappa = clustered_kappa(confusion_sums(nothing, nothing, nothing, categories=3))
    assert (kappa.value, kappa.n) == (None, 0)


def test_weights_or_tables_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(3, 3\)"):
        cohens_kappa(THREE, weights=[[1, 0], [0, 1]])
    with pytest.raises(ValueError, match=r"shape \(2, 3\), expected \(K, K\)"):
        gwets_ac(THREE[:2])


def test_all_coefficients_are_those_of_the_summed_table() -> None:
    rows, columns = items_of(THREE)
    found = coefficients(confusion_sums(rows, columns, np.arange(100) % 30, categories=3))
    assert [getattr(found, name).value for name in NAMES] == pytest.approx(
        [
            *(0.73, 0.570542, 0.638654, 0.690609, 0.57010, 0.595, 0.60640, 0.65721),
            *(0.572247, 0.692297, 0.691698),
        ],
        abs=1e-5,
    )
    for name in NAMES:
        estimate = getattr(found, name)
        assert estimate.n == 100
        assert estimate.why is None
        assert estimate.low < estimate.value < estimate.high


def test_cohen_is_the_same_in_the_family_and_alone() -> None:
    tables = np.random.default_rng(3).integers(0, 4, (25, 3, 3))
    assert coefficients(tables).cohen == clustered_kappa(tables)
    linear = clustered_kappa(tables, weights=linear_weights(3))
    assert coefficients(tables).cohen_linear == linear


@given(TABLES)
def test_no_coefficient_depends_on_which_side_is_the_row(tables: np.ndarray) -> None:
    there = coefficients(tables, draws=50)
    assert same(there, coefficients(tables.transpose(0, 2, 1), draws=50))


@given(TABLES)
def test_exchanging_the_candidates_of_every_pair_changes_nothing(tables: np.ndarray) -> None:
    there = coefficients(tables, draws=50)
    assert same(there, coefficients(tables[:, ::-1, ::-1], draws=50))


@given(TABLES, st.permutations(range(3)))
def test_renaming_the_choices_changes_no_unweighted_coefficient(
    tables: np.ndarray, names: list[int]
) -> None:
    there = coefficients(tables, draws=20)
    back = coefficients(tables[:, names][:, :, names], draws=20)
    for name in NOMINAL:
        before, after = getattr(there, name).value, getattr(back, name).value
        assert after == (None if before is None else pytest.approx(before, abs=1e-9))


@given(TABLES)
def test_every_coefficient_has_a_reason_for_what_it_lacks_and_lies_in_its_interval(
    tables: np.ndarray,
) -> None:
    found = coefficients(tables, draws=50)
    for name in NAMES:
        e = getattr(found, name)
        assert e.n == tables.sum()
        if e.value is None or e.low is None:
            assert e.why
            assert e.low is e.high is None
        else:
            assert e.why is None
            assert e.low <= e.value <= e.high <= 1


@given(st.lists(st.integers(0, 2), min_size=2, max_size=30).filter(lambda x: len(set(x)) > 1))
def test_full_agreement_is_one_in_every_coefficient_and_keeps_some_doubt(rows: list[int]) -> None:
    choices = np.array(rows)
    tables = confusion_sums(choices, choices, np.arange(len(rows)), categories=3)
    found = coefficients(tables, draws=50)
    for name in NAMES:
        e = getattr(found, name)
        assert e.value == pytest.approx(1)
        assert -1 <= e.low < 0.98
        assert e.high == pytest.approx(1)


def test_where_every_prompt_has_the_same_table_the_raw_interval_is_carried_over() -> None:
    found = coefficients(np.array([[[4, 1, 0], [0, 2, 1], [1, 0, 3]]] * 20), draws=100)
    raw = found.observed
    assert raw.value == 0.75
    for name in NOMINAL[1:]:
        e = getattr(found, name)
        chance = (raw.value - e.value) / (1 - e.value)
        assert e.low == pytest.approx((raw.low - chance) / (1 - chance))
        assert e.high == pytest.approx((raw.high - chance) / (1 - chance))


def test_the_same_single_choice_leaves_what_is_not_explained_by_it() -> None:
    ties = np.ones(12, dtype=np.intp)
    found = coefficients(confusion_sums(ties, ties, np.arange(12), categories=3))
    for name in ("cohen", "cohen_quadratic", "scott", "alpha_nominal", "alpha_ordinal"):
        assert getattr(found, name).value is None
        assert getattr(found, name).why == ONE_CATEGORY
    for name in ("observed", "brennan_prediger", "ac1", "ac2"):
        assert getattr(found, name).value == pytest.approx(1)
        assert getattr(found, name).low < 0.9


def test_one_prompt_gives_no_intervals_whatever_empty_tables_are_beside_it() -> None:
    found = coefficients(np.array([THREE, np.zeros((3, 3), int)]))
    for name in NAMES:
        e = getattr(found, name)
        assert e.value is not None
        assert (e.low, e.high, e.why) == (None, None, ONE_CLUSTER)


def test_without_items_every_coefficient_says_why_there_is_none() -> None:
    for tables in (np.zeros((0, 3, 3), int), np.zeros((4, 3, 3), int)):
        found = coefficients(tables, empty="no votes")
        assert {getattr(found, name).why for name in NAMES} == {"no votes"}
        assert {getattr(found, name).n for name in NAMES} == {0}


def test_intervals_of_all_coefficients_cover_the_truth_across_prompts_that_err_together() -> None:
    rng = np.random.default_rng(7)
    truth = coefficients(_clustered_tables(rng, prompts=200_000), draws=1)
    covered = dict.fromkeys(NAMES, 0)
    for _ in range(300):
        found = coefficients(_clustered_tables(rng, prompts=60), draws=300)
        for name in NAMES:
            e = getattr(found, name)
            covered[name] += e.low <= getattr(truth, name).value <= e.high
    assert all(0.9 <= hits / 300 <= 0.985 for hits in covered.values()), covered


def _clustered_tables(rng: np.random.Generator, *, prompts: int) -> np.ndarray:
    """Five items a prompt; how often the sides agree differs from prompt to prompt."""
    agree = rng.beta(2, 1, (prompts, 1))
    rows = rng.choice(3, (prompts, 5), p=[0.45, 0.15, 0.4])
    others = rng.choice(3, (prompts, 5), p=[0.35, 0.2, 0.45])
    columns = np.where(rng.random((prompts, 5)) < agree, rows, others)
    cluster = np.repeat(np.arange(prompts), 5)
    return confusion_sums(rows.ravel(), columns.ravel(), cluster, categories=3)


def test_marginals_are_shares_of_each_choice_with_their_intervals() -> None:
    tables = np.array([THREE, THREE])
    labels = marginals(tables.sum(axis=2), np.arange(2))
    humans = marginals(tables.sum(axis=1), np.arange(2))
    assert (labels.second.value, labels.tie.value, labels.first.value) == (0.45, 0.18, 0.37)
    assert (humans.second.value, humans.tie.value, humans.first.value) == (0.42, 0.17, 0.41)
    assert labels.tie.n == 200
    assert labels.tie.low < 0.18 < labels.tie.high


def test_marginals_of_nothing_or_of_one_prompt_say_why() -> None:
    nothing = marginals(np.zeros((3, 3)), np.arange(3), empty="no votes").first
    assert (nothing.value, nothing.n, nothing.why) == (None, 0, "no votes")
    alone = marginals([[1, 0, 3]], [4]).first
    assert (alone.value, alone.low, alone.why) == (0.75, None, ONE_CLUSTER)
