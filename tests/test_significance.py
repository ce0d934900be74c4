"""Tests of differences: published numbers, symmetry, and what clustering does to them."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.significance import (
    ALL_FLIPS,
    MCNEMAR,
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

VECTORS = json.loads((Path(__file__).parent / "cases" / "statistics_vectors.json").read_text())
TABLE = [[40, 6, 4], [12, 10, 3], [9, 6, 10]]
HITS = [
    [1, 1, 0], [1, 1, 1], [0, 1, 0], [1, 1, 0], [1, 0, 0],
    [1, 1, 1], [1, 1, 0], [0, 0, 0], [1, 1, 0], [1, 1, 1],
]  # fmt: skip
P = (0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216)


# McNemar


def test_mcnemar_matches_the_published_vector() -> None:
    exact, mid = VECTORS["mcnemar/25_10"]["expected"]
    assert mcnemar_exact(25, 10).p == pytest.approx(exact, abs=1e-7)
    assert mcnemar_mid_p(25, 10).p == pytest.approx(mid, abs=1e-6)
    assert mcnemar_exact(25, 10).n == 35


def test_mcnemar_of_nothing_changed_is_one() -> None:
    assert (mcnemar_exact(0, 0).p, mcnemar_mid_p(0, 0).p) == (1.0, 1.0)


def test_the_mid_p_of_an_even_split_leaves_out_half_of_the_middle() -> None:
    # 252 of the 1024 ways in which 10 coins fall are an even split.
    assert mcnemar_mid_p(5, 5).p == pytest.approx(1 - 252 / 1024 / 2)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_does_not_know_which_judge_is_which(b: int, c: int) -> None:
    assert mcnemar_exact(b, c) == mcnemar_exact(c, b)
    assert mcnemar_mid_p(b, c) == mcnemar_mid_p(c, b)
    exact, mid = mcnemar_exact(b, c).p, mcnemar_mid_p(b, c).p
    assert exact is not None
    assert mid is not None
    assert 0 < mid <= exact <= 1


# Sign flips


def test_sign_flips_match_the_published_vector() -> None:
    found = sign_flip_test([1, 1, 0, 1, 1, 1, 0, 1], range(8))
    assert (found.p, found.n, found.method) == (0.03125, 6, MCNEMAR)


def test_unequal_amounts_go_through_every_pattern() -> None:
    # Of the 8 patterns of 3, 2 and 1, only 3+2+1 and its mirror image are as far from 0.
    found = sign_flip_test([3, 2, 1], range(3))
    assert (found.p, found.n, found.method) == (0.25, 3, ALL_FLIPS)


def test_rows_of_one_prompt_flip_together() -> None:
    differences = np.ones(12)
    assert sign_flip_test(differences, range(12)).p == pytest.approx(2 / 2**12)
    assert sign_flip_test(differences, [0] * 6 + [1] * 6).p == 0.5
    assert sign_flip_test(differences, [0] * 12).p == 1.0


def test_many_prompts_are_drawn_from_a_seed_and_come_near_the_exact_test() -> None:
    differences = [1.0] * 25 + [-1.0] * 10 + [0.0] * 65
    uneven = [*differences, 0.001]
    drawn = sign_flip_test(uneven, range(101), seed=1)
    assert drawn.method == "9,999 random sign flips of the prompts"
    assert drawn == sign_flip_test(uneven, range(101), seed=1)
    assert drawn.p == pytest.approx(mcnemar_exact(25, 10).p, abs=0.01)
    assert sign_flip_test(differences, range(100)).p == mcnemar_exact(25, 10).p


def test_an_even_statistic_of_several_sums_can_be_asked_for() -> None:
    rows = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    found = sign_flip_test(rows, range(3), statistic=lambda sums: (sums**2).sum(axis=1))
    # (2, 2) is reached by one pattern of four, up to the sign of all.
    assert found.p == 0.25


def test_no_difference_is_a_p_of_one_and_no_item_is_none() -> None:
    assert sign_flip_test([0, 0], [0, 1]).p == 1.0
    empty = sign_flip_test([], [])
    assert (empty.p, empty.n) == (None, 0)
    assert empty.why


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 5)), min_size=1, max_size=30))
def test_exchanging_the_judges_keeps_the_p_value(rows: list[tuple[int, int]]) -> None:
    differences, cluster = np.array(rows).T
    there, back = sign_flip_test(differences, cluster), sign_flip_test(-differences, cluster)
    assert there == back
    assert there.p is not None
    assert 0 < there.p <= 1


def test_clustered_flips_keep_their_level_where_independent_ones_do_not() -> None:
    rng = np.random.default_rng(3)
    clusters, per_prompt, tries = 15, 8, 300
    cluster = np.repeat(np.arange(clusters), per_prompt)
    clustered = independent = 0
    for _ in range(tries):
        lean = np.repeat(rng.choice([-1, 1], clusters), per_prompt)
        differences = np.where(rng.random(len(cluster)) < 0.5, lean, 0)
        clustered += (sign_flip_test(differences, cluster).p or 0) <= 0.05
        b, c = int(np.sum(differences > 0)), int(np.sum(differences < 0))
        independent += (mcnemar_exact(b, c).p or 0) <= 0.05
    assert clustered / tries <= 0.08
    assert independent / tries >= 0.25


# Tables


def test_bowker_and_stuart_maxwell_match_the_published_vectors() -> None:
    symmetric, homogeneous = bowker(TABLE), stuart_maxwell(TABLE)
    assert symmetric.statistic == pytest.approx(4.923077, abs=1e-6)
    assert symmetric.p == pytest.approx(0.177518, abs=1e-6)
    assert homogeneous.statistic == pytest.approx(4.596491, abs=1e-6)
    assert homogeneous.p == pytest.approx(0.100435, abs=1e-6)
    assert (symmetric.degrees, homogeneous.degrees, homogeneous.n) == (3, 2, 40)


def test_two_labels_make_both_tests_mcnemars_without_continuity() -> None:
    table = [[50, 25], [10, 15]]
    for test in (bowker(table), stuart_maxwell(table)):
        assert test.statistic == pytest.approx(15**2 / 35)
        assert test.p == pytest.approx(0.0112299, abs=1e-6)
        assert test.degrees == 1


def test_labels_that_never_changed_take_no_degree_of_freedom() -> None:
    table = np.zeros((5, 5))
    table[:3, :3] = TABLE
    table[3, 3] = 7
    assert stuart_maxwell(table).statistic == pytest.approx(4.596491, abs=1e-6)
    assert (stuart_maxwell(table).degrees, bowker(table).degrees) == (2, 3)


def test_a_table_without_changes_is_not_tested() -> None:
    for test in (bowker(np.diag([5, 6, 7])), stuart_maxwell(np.diag([5, 6, 7]))):
        assert (test.statistic, test.p, test.why) == (None, None, "nothing differs")


@given(st.lists(st.integers(0, 9), min_size=16, max_size=16))
def test_transposing_a_table_changes_no_test(cells: list[int]) -> None:
    table = np.reshape(cells, (4, 4))
    for test in (bowker, stuart_maxwell):
        there, back = test(table), test(table.T)
        assert there.degrees == back.degrees
        assert (there.p is None) == (back.p is None)
        if there.p is not None:
            assert there.p == pytest.approx(back.p)


# Cochran's Q


def test_cochrans_q_matches_the_published_vector() -> None:
    found = cochrans_q(HITS)
    assert found.statistic == pytest.approx(8.333333, abs=1e-6)
    assert found.p == pytest.approx(0.0155039, abs=1e-6)
    assert found == cochrans_q(HITS, range(10))


def test_copies_of_a_prompt_make_cochrans_q_no_surer() -> None:
    copied = np.repeat(HITS, 5, axis=0)
    prompts = np.repeat(np.arange(10), 5)
    assert cochrans_q(copied, prompts).statistic == pytest.approx(8.333333, abs=1e-6)
    assert (cochrans_q(copied).p or 1) < 1e-6


def test_judges_that_are_always_right_together_are_not_tested() -> None:
    assert cochrans_q([[1, 1, 1], [0, 0, 0]]).why == "nothing differs"


# Many tests at once


def test_adjusted_p_values_match_the_published_vectors() -> None:
    assert holm(P) == pytest.approx([0.01, 0.072, *[0.312] * 5, *[0.615] * 3])
    assert benjamini_hochberg(P) == pytest.approx(
        [0.01, 0.04, *[0.084] * 3, 0.1, 0.105714, *[0.216] * 3], abs=1e-6
    )
    assert benjamini_yekutieli(P)[:2] == pytest.approx([0.02929, 0.117159], abs=1e-6)


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg, benjamini_yekutieli])
def test_adjusting_keeps_places_and_never_makes_surer(adjust: object) -> None:
    assert callable(adjust)
    assert len(adjust([])) == 0
    assert adjust([0.3]) == pytest.approx([0.3])
    shuffled = np.random.default_rng(0).permutation(P)
    back = np.argsort(np.argsort(shuffled))
    assert adjust(shuffled) == pytest.approx(np.asarray(adjust(P))[back])
    assert np.all(adjust(shuffled) >= shuffled)
    assert np.all(adjust([0.9, 0.8]) <= 1)
