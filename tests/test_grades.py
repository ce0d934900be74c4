"""Figures about grades, scores with ties and margins, against published vectors."""

from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.grades import (
    accuracy_with_ties,
    best_epsilon,
    grade_agreement,
    graded_votes,
    margin_loss,
)

VOTES = (1, 0, -1, 1, 0, 1, -1, 0, 1, -1)
DIFFERENCES = (2, 0.4, -1.2, 0.3, -0.1, 1.1, 0.2, 0.9, -0.5, -2)


def test_the_margin_loss_matches_the_published_vector() -> None:
    small = margin_loss(1.2, [1, 2 / 3, 1 / 3, 0])
    large = margin_loss(1.2, [3, 2, 1, 0])
    assert small == pytest.approx([0.598139, 0.461622, 0.350904, 0.263282], abs=1e-6)
    assert large == pytest.approx([1.952978, 1.171101, 0.598139, 0.263282], abs=1e-6)


def test_the_margin_loss_is_that_of_the_formula_and_never_overflows() -> None:
    assert float(margin_loss(0.4, 1)) == pytest.approx(-log(1 / (1 + exp(0.6))))
    assert float(margin_loss(-2000, 0)) == 2000
    assert float(margin_loss(2000, 0)) == 0


@pytest.mark.parametrize(
    ("epsilon", "accuracy"), [(0, 0.5), (0.1, 0.6), (0.5, 0.6), (0.9, 0.7), (1.1, 0.6)]
)
def test_accuracy_with_ties_matches_the_published_vector(epsilon: float, accuracy: float) -> None:
    assert accuracy_with_ties(VOTES, DIFFERENCES, epsilon=epsilon) == pytest.approx(accuracy)


def test_the_best_epsilon_of_the_published_vector_is_found() -> None:
    best = best_epsilon(VOTES, DIFFERENCES)
    assert best is not None
    assert (best.epsilon, best.accuracy) == (0.9, 0.7)
    assert best_epsilon([], []) is None
    assert accuracy_with_ties([], [], epsilon=0) is None


PAIR = st.tuples(st.integers(-1, 1), st.integers(-4, 4))


@given(st.lists(PAIR, min_size=1, max_size=30))
def test_no_other_epsilon_reaches_more_and_no_smaller_one_as_much(
    pairs: list[tuple[int, int]],
) -> None:
    votes, apart = [p[0] for p in pairs], [p[1] / 2 for p in pairs]
    best = best_epsilon(votes, apart)
    assert best is not None
    assert best.accuracy == accuracy_with_ties(votes, apart, epsilon=best.epsilon)
    for epsilon in np.arange(0, 2.5, 0.5):
        other = accuracy_with_ties(votes, apart, epsilon=float(epsilon))
        assert other is not None
        assert other <= best.accuracy + 1e-12
        assert epsilon >= best.epsilon or other < best.accuracy


def test_grades_are_compared_exactly_within_one_and_by_side() -> None:
    votes = [2, 2, 1, 1, 0, -1, -2, -2]
    judge = [2, 1, 1.5, -1, 0, -1, -1, 0.5]
    found = grade_agreement(judge, votes, range(8), draws=50)
    assert found.exact.value == pytest.approx(3 / 8)
    assert found.within_one.value == pytest.approx(6 / 8)
    assert {g: (e.value, e.n) for g, e in found.sign_by_grade.items()} == {
        0: (1.0, 1),
        1: (pytest.approx(2 / 3), 3),
        2: (pytest.approx(3 / 4), 4),
    }
    assert found.exact.n == 8


def test_the_weighted_kappa_is_that_of_its_definition() -> None:
    rng = np.random.default_rng(5)
    votes = rng.integers(-2, 3, 60)
    judge = np.clip(votes + rng.integers(-1, 2, 60), -2, 2)
    credit = 1 - (judge[:, None] - votes[None, :]) ** 2 / 16
    expected = (credit.diagonal().mean() - credit.mean()) / (1 - credit.mean())
    found = grade_agreement(judge, votes, np.arange(60) // 3, draws=50)
    assert found.quadratic_kappa.value == pytest.approx(expected)


def test_a_judge_stuck_on_one_grade_has_no_agreement_beyond_chance() -> None:
    found = grade_agreement([1] * 6, [2, 1, 0, -1, -2, 1], range(6), draws=50)
    assert found.quadratic_kappa.value == pytest.approx(0)


@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-2, 2)), min_size=2, max_size=12))
def test_exchanging_the_answers_changes_no_figure(rows: list[tuple[int, int]]) -> None:
    judge, votes = np.array([r[0] / 2 for r in rows]), np.array([r[1] for r in rows])
    straight = grade_agreement(judge, votes, range(len(rows)), draws=20)
    exchanged = grade_agreement(-judge, -votes, range(len(rows)), draws=20)
    assert straight.exact == exchanged.exact
    assert straight.within_one == exchanged.within_one
    assert straight.sign_by_grade == exchanged.sign_by_grade
    assert straight.quadratic_kappa.value == pytest.approx(exchanged.quadratic_kappa.value)


def test_no_grades_are_no_figure() -> None:
    found = grade_agreement([], [], [], draws=10)
    assert found.exact.value is None
    assert found.quadratic_kappa.value is None


@pytest.mark.parametrize(
    ("judge", "votes", "message"),
    [([3], [1], "judge's grade"), ([1], [-3], "vote's grade"), ([1], [0.5], "whole number")],
)
def test_a_grade_off_the_scale_is_refused(
    judge: list[float], votes: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        grade_agreement(judge, votes, [0])


def test_a_vote_of_strength_becomes_one_of_five_grades() -> None:
    sides, strengths = [1, 1, 1, 1, -1, -1, 0], [0, 1, 2, 3, 1, 3, 2]
    assert graded_votes(sides, strengths).tolist() == [0, 1, 2, 2, -1, -2, 0]
    with pytest.raises(ValueError, match="strength"):
        graded_votes([1], [4])
