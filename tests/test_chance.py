"""Cohen's kappa, against values computed by established libraries."""

import json
from pathlib import Path

import numpy as np
import pytest

from calibration.chance import ONE_CATEGORY, clustered_kappa, cohens_kappa, confusion_sums

VECTORS = json.loads((Path(__file__).parent / "cases" / "statistics_vectors.json").read_text())
THREE = [[35, 5, 5], [4, 8, 6], [3, 4, 30]]
LINEAR = [[1, 0.5, 0], [0.5, 1, 0.5], [0, 0.5, 1]]
QUADRATIC = [[1, 0.75, 0], [0.75, 1, 0.75], [0, 0.75, 1]]


def items_of(table: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    cells = np.repeat(np.arange(9), np.ravel(table))
    return cells // 3, cells % 3


@pytest.mark.parametrize(
    ("name", "weights"), [("none", None), ("linear", LINEAR), ("quadratic", QUADRATIC)]
)
def test_kappa_matches_the_published_vectors(name: str, weights: list[list[float]] | None) -> None:
    vector = VECTORS[f"kappa/{name}/cohen"]
    kappa = cohens_kappa(vector["input"]["table"], weights=weights)
    assert kappa == pytest.approx(vector["expected"], abs=vector["tol"])


def test_the_same_agreement_can_have_a_kappa_below_zero_or_a_good_one() -> None:
    vector = VECTORS["kappa/paradox"]
    assert cohens_kappa(vector["input"]["table"]) == pytest.approx(
        vector["expected"][0], abs=vector["tol"]
    )
    assert cohens_kappa([[40, 10], [10, 40]]) == pytest.approx(0.6)


@pytest.mark.parametrize("table", [[[0, 0], [0, 0]], [[7, 0], [0, 0]]])
def test_kappa_is_none_where_chance_explains_everything(table: list[list[int]]) -> None:
    assert cohens_kappa(table) is None


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


def test_weights_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(3, 3\)"):
        cohens_kappa(THREE, weights=[[1, 0], [0, 1]])
