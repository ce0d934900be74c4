"""Strengths from comparisons: published vectors, clustered intervals, and what cannot be rated."""

import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.bradley_terry import (
    ALL_ALIKE,
    SHRUNK,
    UNBEATEN,
    Ratings,
    bradley_terry,
    davidson,
    strengths,
)
from calibration.intervals import NOTHING, ONE_CLUSTER
from calibration.logistic import NoFit, fit_logistic

VECTORS = json.loads((Path(__file__).parent / "cases/statistics_vectors.json").read_text())
NAMES = "ABCD"

Rows = list[tuple[int, int, float, int]]


def battles(wins_losses_ties: dict[str, Sequence[int]]) -> Rows:
    """Rows of (first, second, points, prompt), every battle a prompt of its own."""
    found: list[tuple[int, int, float]] = []
    for pair, counts in wins_losses_ties.items():
        first, second = (NAMES.index(name) for name in pair)
        for points, count in zip((1.0, 0.0, 0.5), counts, strict=True):
            found += [(first, second, points)] * count
    return [(*row, prompt) for prompt, row in enumerate(found)]


def rate(rows: Rows, names: Sequence[str] = NAMES, **more: float | None) -> Ratings | NoFit:
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
    return bradley_terry(*columns, names=names, **more)  # type: ignore[arg-type]


def values(ratings: Ratings | NoFit) -> list[float]:
    assert isinstance(ratings, Ratings)
    return [float(one.value or 0) for one in ratings.strengths]


def drawn(
    truth: Sequence[float], prompts: int, *, seed: int, each: int = 1, shift: float = 0.0
) -> Rows:
    """Comparisons of all systems on every prompt; `shift` makes prompts favour single systems."""
    rng = np.random.default_rng(seed)
    rows: Rows = []
    for prompt in range(prompts):
        here = np.asarray(truth) + rng.normal(0, shift, len(truth))
        for first, second in combinations(range(len(truth)), 2):
            for _ in range(each):
                won = rng.random() < 1 / (1 + np.exp(here[second] - here[first]))
                rows.append((first, second, float(won), prompt))
    return rows


games = st.lists(
    st.tuples(
        st.integers(0, 3), st.integers(0, 3), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 5)
    ),
    max_size=40,
)


# Vectors


def test_bradley_terry_is_that_of_the_vector() -> None:
    case = VECTORS["rating/bt"]
    assert values(rate(battles(case["input"]))) == pytest.approx(case["expected"], abs=case["tol"])


def test_davidson_is_that_of_the_vector() -> None:
    case = VECTORS["rating/dav"]
    columns = [list(column) for column in zip(*battles(case["input"]), strict=True)]
    found = davidson(*columns, names=NAMES)
    assert isinstance(found, Ratings)
    assert values(found) == pytest.approx(case["expected"], abs=case["tol"])
    assert found.nu == pytest.approx(0.230574, abs=1e-6)


def test_robust_errors_of_single_battles_are_those_of_the_published_regression() -> None:
    found = rate(battles(VECTORS["rating/bt"]["input"]))
    assert isinstance(found, Ratings)
    assert found.covariance is not None
    against_a = np.array([[-1, 1, 0, 0], [-1, 0, 1, 0], [-1, 0, 0, 1]])
    covariance = against_a @ found.covariance @ against_a.T
    factor = found.n / (found.n - 3)  # small samples; the published errors go without
    expected = [0.515919, 0.533716, 0.587720]
    assert np.sqrt(np.diag(covariance) / factor) == pytest.approx(expected, abs=1e-6)


def test_clustered_errors_are_those_of_a_logistic_regression_on_the_same_design() -> None:
    rows = drawn([0.6, 0.1, -0.3, -0.4], 30, seed=1, each=2)
    design = np.zeros((len(rows), 3))
    for at, (first, second, _, _) in enumerate(rows):
        for system, sign in ((first, 1), (second, -1)):
            if system:
                design[at, system - 1] += sign
    fit = fit_logistic(design, [row[2] for row in rows], [row[3] for row in rows])
    assert not isinstance(fit, NoFit)
    assert fit.covariance is not None
    found = rate(rows)
    assert isinstance(found, Ratings)
    assert found.covariance is not None
    against_a = np.array([[-1, 1, 0, 0], [-1, 0, 1, 0], [-1, 0, 0, 1]])
    assert against_a @ values(found) == pytest.approx(fit.coefficients, abs=1e-8)
    assert against_a @ found.covariance @ against_a.T == pytest.approx(fit.covariance, abs=1e-8)


# Properties


@given(games)
def test_exchanging_first_and_second_changes_nothing(rows: Rows) -> None:
    turned = [(second, first, 1 - points, prompt) for first, second, points, prompt in rows]
    one, other = rate(rows), rate(turned)
    assert isinstance(one, NoFit) == isinstance(other, NoFit)
    if isinstance(one, Ratings):
        assert values(one) == pytest.approx(values(other), abs=1e-7)


@given(games, st.permutations(range(4)))
def test_renaming_the_systems_renames_their_strengths(rows: Rows, new: list[int]) -> None:
    renamed = [(new[first], new[second], points, prompt) for first, second, points, prompt in rows]
    one, other = rate(rows), rate(renamed)
    if isinstance(one, Ratings):
        assert [values(other)[new[at]] for at in range(4)] == pytest.approx(values(one), abs=1e-7)
    else:
        assert isinstance(other, NoFit)


@given(games)
def test_strengths_are_finite_and_add_up_to_0(rows: Rows) -> None:
    found = rate(rows)
    if isinstance(found, Ratings):
        assert np.isfinite(values(found)).all()
        assert sum(values(found)) == pytest.approx(0, abs=1e-8)
        for one in found.strengths:
            assert one.low is None or one.high is None or one.low <= (one.value or 0) <= one.high


@given(games)
def test_light_strengths_are_those_of_the_full_fit_with_the_same_prior(rows: Rows) -> None:
    wins = np.zeros((4, 4))
    for first, second, points, _ in rows:
        if first != second:
            wins[first, second] += points
            wins[second, first] += 1 - points
    found = rate(rows, prior=0.5)
    if isinstance(found, Ratings):
        assert strengths(wins) == pytest.approx(values(found), abs=1e-8)


# Where strengths do not exist


def test_an_unbeaten_system_has_no_strength_without_a_prior() -> None:
    rows: Rows = [(0, 1, 1.0, prompt) for prompt in range(5)]
    assert rate(rows, names="AB", prior=0.0) == NoFit(UNBEATEN)
    shrunk = rate(rows, names="AB")
    assert isinstance(shrunk, Ratings)
    assert (shrunk.prior, shrunk.why) == (0.5, SHRUNK)
    # Five wins and the half of them that everyone has against an average system.
    assert values(shrunk) == pytest.approx([1.378102, -1.378102], abs=1e-6)
    (first, _) = shrunk.strengths
    assert first.low is not None
    assert first.low < 0  # five wins of five leave much open, however alike they are


def test_systems_that_no_comparisons_join_are_named() -> None:
    found = rate([(0, 1, 1.0, 0), (1, 0, 1.0, 1), (2, 3, 1.0, 2), (3, 2, 1.0, 3)])
    assert isinstance(found, NoFit)
    assert found.why == ("no comparisons join A, B with C, D; compare some of them with each other")


def test_nothing_to_compare_is_said() -> None:
    assert rate([]) == NoFit(NOTHING)
    assert rate([(1, 1, 1.0, 0)]) == NoFit(NOTHING)  # a system against itself


def test_one_prompt_gives_strengths_without_an_interval() -> None:
    found = rate([(0, 1, 1.0, 7), (0, 1, 0.0, 7), (0, 1, 1.0, 7)], names="AB")
    assert isinstance(found, Ratings)
    assert values(found)[0] == pytest.approx(np.log(2) / 2)
    assert found.strengths[0].low is None
    assert found.why == ONE_CLUSTER


def test_nothing_but_ties_is_no_certainty() -> None:
    found = rate([(0, 1, 0.5, prompt) for prompt in range(9)], names="AB")
    assert isinstance(found, Ratings)
    assert values(found) == pytest.approx([0, 0])
    assert [(one.low, one.why) for one in found.strengths] == [(None, ALL_ALIKE)] * 2


def test_davidson_needs_ties_and_more_than_ties() -> None:
    only_ties = davidson([0, 0], [1, 1], [0.5, 0.5], [0, 1], names="AB")
    no_ties = davidson([0, 0], [1, 1], [1.0, 0.0], [0, 1], names="AB")
    assert only_ties == NoFit("every comparison is a tie")
    assert isinstance(no_ties, NoFit)
    assert "no comparison is a tie" in no_ties.why


def test_light_strengths_need_a_prior() -> None:
    with pytest.raises(ValueError, match="give a number above 0"):
        strengths([[0, 1], [0, 0]], prior=0)


# Intervals


def test_comparisons_of_one_prompt_count_as_one_piece_of_evidence() -> None:
    """Ten copies of every comparison leave the strengths and their intervals where they were."""
    rows = drawn([0.5, 0.0, -0.5], 40, seed=3)
    once, often = rate(rows, names="ABC"), rate(rows * 10, names="ABC")
    assert isinstance(once, Ratings)
    assert isinstance(often, Ratings)
    assert values(often) == pytest.approx(values(once), abs=1e-8)
    widths = [(r.strengths[0].high or 0) - (r.strengths[0].low or 0) for r in (once, often)]
    assert widths[1] == pytest.approx(widths[0], rel=0.02)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Prompts that favour single systems, 200 draws: 95 % intervals held it in 95.8 %."""
    truth = np.array([0.5, 0.1, -0.2, -0.4])
    # What the strengths tend to with many prompts: prompts that differ flatten the logits.
    limit = np.array(values(rate(drawn(truth.tolist(), 6000, seed=99, shift=0.7))))
    held = 0
    for seed in range(200):
        found = rate(drawn(truth.tolist(), 40, seed=seed, shift=0.7))
        assert isinstance(found, Ratings)
        held += sum(
            (one.low or 0) <= at <= (one.high or 0)
            for one, at in zip(found.strengths, limit, strict=True)
        )
    assert 0.92 <= held / 800 <= 0.98, held / 800
