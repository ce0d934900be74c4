"""Gwet's coefficients, and the others, beside irrCAC: an environment of its own."""

import numpy as np
import pandas as pd
import pytest
from irrCAC.raw import CAC as Raw
from irrCAC.table import CAC as Table
from numpy.typing import NDArray

from calibration.agreement import VoteColumns
from calibration.chance import (
    brennan_predigers_kappa,
    cohens_kappa,
    gwets_ac,
    krippendorffs_alpha,
    scotts_pi,
)
from calibration.corrections import linear_weights, quadratic_weights
from calibration.raters import rater_coefficients, rater_points

SEEDS = range(12)
CREDIT = {
    "identity": np.eye(3),
    "linear": linear_weights(3),
    "quadratic": quadratic_weights(3),
}
CHOICES = [-1.0, 0.0, 1.0]


def random_votes(seed: int) -> NDArray[np.float64]:
    """Units (rows) by raters (columns) with gaps; choices are -1, 0 and 1."""
    rng = np.random.default_rng(seed)
    raters, units = int(rng.integers(3, 7)), int(rng.integers(30, 90))
    truth = rng.choice(CHOICES, size=(units, 1), p=[0.4, 0.2, 0.4])
    votes = np.where(
        rng.random((units, raters)) < 0.6, truth, rng.choice(CHOICES, size=(units, raters))
    )
    votes[rng.random((units, raters)) < 0.35] = np.nan
    return votes[~np.isnan(votes).all(axis=1)]


def estimate(found: dict[str, dict[str, float]]) -> float:
    return found["est"]["coefficient_value"]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("weights", CREDIT)
def test_two_raters_give_what_irrcac_gives(seed: int, weights: str) -> None:
    rng = np.random.default_rng(seed)
    table = rng.integers(0, 20, size=(3, 3)) + np.diag(rng.integers(5, 40, size=3))
    theirs = Table(pd.DataFrame(table), weights=weights, digits=12)
    credit = CREDIT[weights]
    for name, ours, other in (
        ("Cohen", cohens_kappa, theirs.cohen),
        ("Scott", scotts_pi, theirs.scott),
        ("Brennan-Prediger", brennan_predigers_kappa, theirs.bp),
        ("Gwet", gwets_ac, theirs.gwet),
        ("Krippendorff", krippendorffs_alpha, theirs.krippendorff),
    ):
        assert ours(table, weights=credit) == pytest.approx(estimate(other()), abs=1e-9), name


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("weights", CREDIT)
def test_many_raters_with_gaps_give_what_irrcac_gives(seed: int, weights: str) -> None:
    votes = random_votes(seed)
    theirs = Raw(pd.DataFrame(votes), weights=weights, categories=CHOICES, digits=12)
    counts = np.stack([(votes == choice).sum(axis=1) for choice in CHOICES], axis=1)
    ours = rater_points(counts, weights=CREDIT[weights])
    for name, point, other in (
        ("Fleiss", ours.fleiss, theirs.fleiss),
        ("Brennan-Prediger", ours.brennan_prediger, theirs.bp),
        ("Gwet", ours.gwet, theirs.gwet),
        ("Krippendorff", ours.alpha, theirs.krippendorff),
    ):
        assert point == pytest.approx(estimate(other()), abs=1e-9), name
    assert ours.observed == pytest.approx(theirs.gwet()["est"]["pa"], abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_coefficients_of_a_report_give_what_irrcac_gives(seed: int) -> None:
    votes = random_votes(seed)
    unit, rater = np.nonzero(~np.isnan(votes))
    columns = VoteColumns(unit, rater, votes[unit, rater].astype(np.int8))
    ours = rater_coefficients(columns, np.arange(len(votes)), draws=10)
    nominal, quadratic = (
        Raw(pd.DataFrame(votes), weights=weights, categories=CHOICES, digits=12)
        for weights in ("identity", "quadratic")
    )
    for name, other in (
        ("fleiss", nominal.fleiss),
        ("brennan_prediger", nominal.bp),
        ("ac1", nominal.gwet),
        ("ac2", quadratic.gwet),
        ("alpha_nominal", nominal.krippendorff),
        ("alpha_interval", quadratic.krippendorff),
    ):
        value = getattr(ours, name).value
        assert value == pytest.approx(estimate(other()), abs=1e-9), name
