"""Tests of paired differences beside statsmodels and scipy."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats import contingency_tables
from statsmodels.stats.multitest import multipletests

from calibration.significance import (
    benjamini_hochberg,
    benjamini_yekutieli,
    bowker,
    cochrans_q,
    holm,
    mcnemar_exact,
    mcnemar_mid_p,
    sign_flip_test,
    stuart_maxwell,
)

SEEDS = range(20)


def square_table(seed: int, *, categories: int = 3) -> NDArray[np.intp]:
    rng = np.random.default_rng(seed)
    return rng.integers(1, 30, size=(categories, categories))


@pytest.mark.parametrize("seed", SEEDS)
def test_mcnemars_exact_test_is_that_of_statsmodels(seed: int) -> None:
    table = square_table(seed, categories=2)
    b, c = int(table[0, 1]), int(table[1, 0])
    theirs = contingency_tables.mcnemar(table, exact=True)
    assert mcnemar_exact(b, c).p == pytest.approx(theirs.pvalue, abs=1e-12)
    # Half of the probability of the outcome seen, on either side, is left out.
    seen = stats.binom.pmf(min(b, c), b + c, 0.5) * (1 if b != c else 0.5)
    assert mcnemar_mid_p(b, c).p == pytest.approx(theirs.pvalue - seen, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("categories", [2, 3, 5])
def test_symmetry_and_homogeneity_are_those_of_statsmodels(seed: int, categories: int) -> None:
    table = square_table(seed, categories=categories)
    theirs = contingency_tables.SquareTable(table, shift_zeros=False)
    symmetry, homogeneity = theirs.symmetry(), theirs.homogeneity()
    ours = bowker(table)
    assert (ours.statistic, ours.p) == pytest.approx(
        (symmetry.statistic, symmetry.pvalue), rel=1e-9
    )
    assert ours.degrees == symmetry.df
    moved = stuart_maxwell(table)
    assert (moved.statistic, moved.p) == pytest.approx(
        (homogeneity.statistic, homogeneity.pvalue), rel=1e-8
    )
    assert moved.degrees == homogeneity.df


@pytest.mark.parametrize("seed", SEEDS)
def test_cochrans_q_is_that_of_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    right = (rng.random((60, 4)) < rng.beta(4, 1, size=(60, 1))).astype(np.float64)
    theirs = contingency_tables.cochrans_q(right)
    ours = cochrans_q(right)
    assert (ours.statistic, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)
    assert ours.degrees == theirs.df


@pytest.mark.parametrize("seed", SEEDS)
def test_adjusted_p_values_are_those_of_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = np.round(rng.beta(0.5, 3, size=int(rng.integers(1, 30))), 3)
    for ours, method in (
        (holm, "holm"),
        (benjamini_hochberg, "fdr_bh"),
        (benjamini_yekutieli, "fdr_by"),
    ):
        theirs = multipletests(p, method=method)[1]
        assert ours(p) == pytest.approx(theirs, abs=1e-12), method


@pytest.mark.parametrize("seed", range(8))
def test_sign_flips_of_few_prompts_are_those_of_scipys_permutation_test(seed: int) -> None:
    rng = np.random.default_rng(seed)
    differences = rng.normal(0.3, 1, size=int(rng.integers(4, 13)))
    ours = sign_flip_test(differences, np.arange(len(differences)))
    theirs = stats.permutation_test(
        (differences,), lambda x, axis: np.abs(x.sum(axis=axis)), permutation_type="samples",
        vectorized=True, n_resamples=np.inf, alternative="greater",
    )  # fmt: skip
    assert ours.p == pytest.approx(theirs.pvalue, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_random_sign_flips_of_many_prompts_come_near_the_normal_p_value(seed: int) -> None:
    rng = np.random.default_rng(seed)
    differences = rng.normal(0.08, 1, size=400)
    ours = sign_flip_test(differences, np.arange(400), draws=20_000, seed=seed)
    z = abs(differences.sum()) / np.sqrt(np.sum(differences**2))
    assert ours.p == pytest.approx(2 * stats.norm.sf(z), abs=0.015)
