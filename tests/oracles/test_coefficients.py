"""Chance-corrected coefficients beside statsmodels, scikit-learn, krippendorff and evalica."""

import evalica
import krippendorff
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats import inter_rater

from calibration.agreement import VoteColumns
from calibration.chance import coefficients, cohens_kappa, krippendorffs_alpha, scotts_pi
from calibration.corrections import linear_weights, ordinal_weights, quadratic_weights
from calibration.couples import human_kappa
from calibration.raters import rater_coefficients, rater_points

SEEDS = range(20)
MISSING = -9


def random_table(seed: int) -> NDArray[np.intp]:
    """A confusion matrix of 2 to 5 categories, more often than not on its diagonal."""
    rng = np.random.default_rng(seed)
    categories = int(rng.integers(2, 6))
    weights = rng.random((categories, categories)) + 2 * np.eye(categories) * rng.random()
    return rng.multinomial(int(rng.integers(20, 400)), (weights / weights.sum()).ravel()).reshape(
        categories, categories
    )


def both_sides(table: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The ratings that a confusion matrix counts, one row each."""
    rows, columns = np.indices(table.shape)
    return np.repeat(rows.ravel(), table.ravel()), np.repeat(columns.ravel(), table.ravel())


def random_votes(seed: int, *, most_raters: int = 6) -> NDArray[np.intp]:
    """Raters (rows) on units (columns), some missing; choices are -1, 0 and 1."""
    rng = np.random.default_rng(seed)
    raters, units = int(rng.integers(3, most_raters + 1)), int(rng.integers(30, 120))
    truth = rng.choice([-1, 0, 1], size=units, p=[0.4, 0.2, 0.4])
    noise = rng.choice([-1, 0, 1], size=(raters, units))
    votes = np.where(rng.random((raters, units)) < 0.6, truth, noise)
    votes = np.where(rng.random((raters, units)) < 0.35, MISSING, votes)
    return votes[:, (votes != MISSING).any(axis=0)]


def columns_of(votes: NDArray[np.intp]) -> VoteColumns:
    rater, unit = np.nonzero(votes != MISSING)
    return VoteColumns(unit, rater, votes[rater, unit].astype(np.int8))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_cohens_kappa_is_that_of_statsmodels_and_scikit_learn(
    seed: int, weights: str | None
) -> None:
    table = random_table(seed)
    known = {"linear": linear_weights, "quadratic": quadratic_weights}
    credit = None if weights is None else known[weights](len(table))
    ours = cohens_kappa(table, weights=credit)
    theirs = inter_rater.cohens_kappa(table, wt=weights, return_results=False)
    assert ours == pytest.approx(theirs, abs=1e-12)
    first, second = both_sides(table)
    labels = np.arange(len(table))
    score = cohen_kappa_score(first, second, labels=labels, weights=weights)
    assert ours == pytest.approx(score, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_scotts_pi_is_fleiss_kappa_of_two_raters(seed: int) -> None:
    table = random_table(seed)
    counts, _ = inter_rater.aggregate_raters(np.stack(both_sides(table), axis=1), n_cat=len(table))
    assert scotts_pi(table) == pytest.approx(inter_rater.fleiss_kappa(counts), abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_fleiss_and_randolph_of_many_raters_are_those_of_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(4), size=50)
    counts = np.array([rng.multinomial(7, share) for share in shares])
    points = rater_points(counts)
    fleiss = inter_rater.fleiss_kappa(counts, method="fleiss")
    assert points.fleiss == pytest.approx(fleiss, abs=1e-12)
    randolph = inter_rater.fleiss_kappa(counts, method="randolph")
    assert points.brennan_prediger == pytest.approx(randolph, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_alpha_of_two_raters_is_that_of_krippendorff_and_evalica(seed: int) -> None:
    table = random_table(seed)
    ratings = np.stack(both_sides(table)).astype(np.float64)
    marginals = table.sum(axis=0) + table.sum(axis=1)
    for level, credit in {
        "nominal": None,
        "ordinal": ordinal_weights(marginals),
        "interval": quadratic_weights(len(table)),
    }.items():
        ours = krippendorffs_alpha(table, weights=credit)
        theirs = krippendorff.alpha(ratings, level_of_measurement=level)
        assert ours == pytest.approx(theirs, abs=1e-12), level
        others = evalica.alpha(pd.DataFrame(ratings), distance=level).alpha
        assert ours == pytest.approx(others, abs=1e-9), level


@pytest.mark.parametrize("seed", SEEDS)
def test_alpha_with_missing_votes_is_that_of_krippendorff_and_evalica(seed: int) -> None:
    votes = random_votes(seed)
    given = np.where(votes == MISSING, np.nan, votes)
    prompts = np.arange(votes.shape[1])
    ours = rater_coefficients(columns_of(votes), prompts, draws=10)
    for level, estimate in {
        "nominal": ours.alpha_nominal,
        "ordinal": ours.alpha_ordinal,
        "interval": ours.alpha_interval,
    }.items():
        theirs = krippendorff.alpha(given, level_of_measurement=level, value_domain=[-1, 0, 1])
        assert estimate.value == pytest.approx(theirs, abs=1e-12), level
        others = evalica.alpha(pd.DataFrame(given), distance=level).alpha
        assert estimate.value == pytest.approx(others, abs=1e-9), level


@pytest.mark.parametrize("seed", SEEDS)
def test_kappa_between_two_humans_is_that_of_scikit_learn(seed: int) -> None:
    votes = random_votes(seed, most_raters=3)[:2]
    both = (votes != MISSING).all(axis=0)
    ours = human_kappa(columns_of(votes), np.arange(votes.shape[1]), draws=10)
    theirs = cohen_kappa_score(votes[0, both], votes[1, both], labels=[-1, 0, 1])
    assert ours.value == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_coefficients_of_a_report_are_those_of_the_summed_table(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tables = rng.integers(0, 4, size=(30, 3, 3)) + 3 * np.eye(3, dtype=np.intp)
    ours, table = coefficients(tables, draws=10), tables.sum(axis=0)
    for name, weights in {
        "cohen": None,
        "cohen_linear": "linear",
        "cohen_quadratic": "quadratic",
    }.items():
        theirs = inter_rater.cohens_kappa(table, wt=weights, return_results=False)
        assert getattr(ours, name).value == pytest.approx(theirs, abs=1e-12), name
    ratings = np.stack(both_sides(table))
    for level in ("nominal", "ordinal", "interval"):
        theirs = krippendorff.alpha(ratings, level_of_measurement=level)
        estimate = getattr(ours, f"alpha_{level}")
        assert estimate.value == pytest.approx(theirs, abs=1e-12), level


def test_the_bootstrap_of_independent_items_is_as_wide_as_the_formula() -> None:
    """One item a prompt: Fleiss, Cohen and Everitt's error must come out."""
    rng = np.random.default_rng(5)
    table = np.array([[70, 10, 10], [8, 16, 12], [6, 8, 60]])
    tables = np.zeros((int(table.sum()), 3, 3))
    tables[(np.arange(len(tables)), *both_sides(table))] = 1
    rng.shuffle(tables)
    ours = coefficients(tables, draws=4000).cohen
    theirs = inter_rater.cohens_kappa(table)
    assert ours.low == pytest.approx(theirs.kappa_low, abs=0.012)
    assert ours.high == pytest.approx(theirs.kappa_upp, abs=0.012)
