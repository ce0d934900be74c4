"""Agreement of any number of raters beyond chance, against established libraries."""

import json
from dataclasses import asdict, fields
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.agreement import NO_OVERLAP, VoteColumns
from calibration.chance import coefficients, confusion_sums
from calibration.corrections import linear_weights, ordinal_weights, quadratic_weights
from calibration.intervals import ONE_CLUSTER
from calibration.raters import (
    ONE_CHOICE,
    RaterCoefficients,
    rater_coefficients,
    rater_points,
    ratings_of,
    vote_marginals,
)

VECTORS = json.loads((Path(__file__).parent / "cases" / "statistics_vectors.json").read_text())
FLEISS = np.array(
    [
        *([0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1]),
        *([7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]),
    ]
)
PANDALM = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "pandalm"
PANDALM_VOTES = PANDALM / "testset-v1.json"
CODES = {0: 0, 1: 1, 2: -1}
NAMES = [field.name for field in fields(RaterCoefficients)]
NOMINAL = ["observed", "fleiss", "brennan_prediger", "ac1", "alpha_nominal"]
CLUSTERS = np.arange(8) // 2

VOTES = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 4), st.sampled_from([1, 0, -1])), max_size=40
)
Rows = list[tuple[int, int, int]]


def columns(rows: Rows) -> VoteColumns:
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return VoteColumns(table[:, 0], table[:, 1], table[:, 2].astype(np.int8))


def counts_of(rows: list[str], categories: int) -> np.ndarray:
    """Ratings by unit and category of rows of raters, an asterisk being a missing rating."""
    given_ratings = [row.split() for row in rows]
    table = np.zeros((len(given_ratings[0]), categories), int)
    for unit, ratings in enumerate(zip(*given_ratings, strict=True)):
        for rating in ratings:
            if rating != "*":
                table[unit, int(rating) - 1] += 1
    return table


def flat(found: RaterCoefficients) -> list[float | None]:
    return [x for name in NAMES for x in list(asdict(getattr(found, name)).values())[:4]]


def found_in(rows: Rows, *, draws: int = 40) -> RaterCoefficients:
    return rater_coefficients(columns(rows), CLUSTERS, draws=draws)


def same(one: RaterCoefficients, other: RaterCoefficients) -> bool:
    return all(
        (a is None and b is None) or a == pytest.approx(b, abs=1e-9)
        for a, b in zip(flat(one), flat(other), strict=True)
    )


@pytest.mark.parametrize("metric", ["nominal", "ordinal", "interval"])
def test_alpha_with_missing_ratings_matches_the_published_vectors(metric: str) -> None:
    vector = VECTORS[f"alpha/missing/{metric}"]
    counts = counts_of(vector["input"]["rows"], 4)
    weights = {
        "nominal": None,
        "ordinal": ordinal_weights(counts[counts.sum(axis=1) > 1].sum(axis=0)),
        "interval": quadratic_weights(4),
    }[metric]
    value = rater_points(counts, weights=weights).alpha
    assert value == pytest.approx(vector["expected"], abs=vector["tol"])


def test_fleiss_and_ac1_with_missing_ratings_match_the_published_vectors() -> None:
    vector = VECTORS["multirater/missing/fleiss_ac1"]
    points = rater_points(counts_of(vector["input"]["rows"], 4))
    assert (points.fleiss, points.gwet) == pytest.approx(vector["expected"], abs=vector["tol"])


def test_the_example_of_fleiss_has_its_published_values() -> None:
    points = rater_points(FLEISS)
    assert points.fleiss == pytest.approx(0.209931, abs=1e-6)
    assert points.brennan_prediger == pytest.approx(0.222527, abs=1e-6)


def test_units_without_ratings_are_ignored_and_single_ratings_count_for_chance_alone() -> None:
    counts = np.array([[2, 0, 0], [0, 2, 1], [1, 0, 2], [0, 3, 0]])
    points = rater_points(counts)
    assert rater_points(np.vstack([counts, np.zeros((3, 3))])) == points
    single = rater_points(np.vstack([counts, [[1, 0, 0]]]))
    assert (single.observed, single.alpha) == (points.observed, points.alpha)
    assert single.fleiss != points.fleiss


def test_every_coefficient_of_nothing_or_of_single_ratings_is_absent() -> None:
    for counts in (np.zeros((0, 3)), np.zeros((4, 3)), np.eye(3)):
        assert set(asdict(rater_points(counts)).values()) == {None}


def test_tables_and_weights_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\), expected \(n, K\)"):
        rater_points([1, 2, 3])
    with pytest.raises(ValueError, match=r"expected \(3, 3\)"):
        rater_points(np.eye(3), weights=quadratic_weights(2))


@given(VOTES)
def test_votes_have_the_coefficients_of_their_table_where_nobody_voted_twice(rows: Rows) -> None:
    once = list({(pair, who): (pair, who, choice) for pair, who, choice in rows}.values())
    found = found_in(once)
    counts = columns(once).counts(8)
    several = counts[counts.sum(axis=1) > 1]
    ordinal = ordinal_weights(several.sum(axis=0))
    plain, squares = rater_points(counts), rater_points(counts, weights=quadratic_weights(3))
    expected = {
        "observed": plain.observed,
        "fleiss": plain.fleiss,
        "brennan_prediger": plain.brennan_prediger,
        "ac1": plain.gwet,
        "ac2": squares.gwet,
        "alpha_nominal": plain.alpha,
        "alpha_ordinal": rater_points(counts, weights=ordinal).alpha,
        "alpha_interval": squares.alpha,
    }
    for name, value in expected.items():
        e = getattr(found, name)
        assert e.n == len(several)
        assert e.value == (None if value is None else pytest.approx(value, abs=1e-9))


@given(VOTES)
def test_couples_are_those_of_two_different_annotators(rows: Rows) -> None:
    pairs, ratings = ratings_of(columns(rows))
    assert pairs.tolist() == sorted({pair for pair, _, _ in rows})
    for pair, table, couples in zip(pairs, ratings.ratings, ratings.couples, strict=True):
        shares: dict[int, np.ndarray] = {}
        for where, who, choice in rows:
            if where == pair:
                shares.setdefault(who, np.zeros(3))[choice + 1] += 1
        each = [share / share.sum() for share in shares.values()]
        assert table == pytest.approx(np.sum(each, axis=0))
        met = [np.outer(a, b) + np.outer(b, a) for a, b in combinations(each, 2)]
        assert couples == pytest.approx(np.sum([np.zeros((3, 3)), *met], axis=0))


@given(VOTES)
def test_a_vote_given_twice_by_one_annotator_counts_once(rows: Rows) -> None:
    once = sorted(set(rows))
    assert same(found_in(once), found_in(once + once))


def test_one_annotator_who_votes_twice_does_not_agree_with_themselves() -> None:
    found = found_in([(0, 1, 1), (0, 1, 1), (2, 1, 0), (2, 1, 0)])
    assert {getattr(found, name).why for name in NAMES} == {NO_OVERLAP}
    assert {getattr(found, name).n for name in NAMES} == {0}


@given(st.lists(st.tuples(*[st.sampled_from([0, 1, 2])] * 2), min_size=1, max_size=20))
def test_two_raters_of_everything_have_the_coefficients_of_their_confusion_matrix(
    ratings: list[tuple[int, int]],
) -> None:
    one, other = np.array(ratings).T
    where = np.arange(len(one))
    two = coefficients(confusion_sums(one, other, where, categories=3), draws=20)
    rows = [(int(pair), 0, int(one[pair]) - 1) for pair in where]
    rows += [(int(pair), 1, int(other[pair]) - 1) for pair in where]
    many = rater_coefficients(columns(rows), where, draws=20)
    for name in NAMES:
        value = getattr(two, "scott" if name == "fleiss" else name).value
        assert getattr(many, name).value == (None if value is None else pytest.approx(value))


@given(VOTES, st.permutations(range(5)))
def test_neither_renamed_annotators_nor_reordered_votes_change_anything(
    rows: Rows, names: list[int]
) -> None:
    renamed = [(pair, names[who], choice) for pair, who, choice in reversed(rows)]
    assert same(found_in(rows), found_in(renamed))


@given(VOTES)
def test_exchanging_the_candidates_of_every_pair_changes_nothing(rows: Rows) -> None:
    exchanged = [(pair, who, -choice) for pair, who, choice in rows]
    assert same(found_in(rows), found_in(exchanged))


@given(VOTES, st.permutations([1, 0, -1]))
def test_renaming_the_choices_changes_no_unweighted_coefficient(
    rows: Rows, names: list[int]
) -> None:
    there = found_in(rows, draws=10)
    back = found_in([(pair, who, names[choice + 1]) for pair, who, choice in rows], draws=10)
    for name in NOMINAL:
        before, after = getattr(there, name).value, getattr(back, name).value
        assert after == (None if before is None else pytest.approx(before, abs=1e-9))


@given(VOTES)
def test_every_coefficient_has_a_reason_for_what_it_lacks_and_lies_in_its_interval(
    rows: Rows,
) -> None:
    found = found_in(rows)
    for name in NAMES:
        e = getattr(found, name)
        if e.value is None or e.low is None:
            assert e.why
            assert e.low is e.high is None
        else:
            assert e.why is None
            assert e.low <= e.value <= e.high <= 1


def test_full_agreement_is_one_in_every_coefficient_and_keeps_some_doubt() -> None:
    rows = [(pair, who, pair % 3 - 1) for pair in range(8) for who in range(pair % 2 + 2)]
    found = found_in(rows)
    for name in NAMES:
        e = getattr(found, name)
        assert e.value == e.high == pytest.approx(1)
        assert -1 <= e.low < 0.7


def test_the_same_single_choice_leaves_what_is_not_explained_by_it() -> None:
    found = found_in([(pair, who, 0) for pair in range(8) for who in range(2)])
    for name in ("fleiss", "alpha_nominal", "alpha_ordinal", "alpha_interval"):
        assert getattr(found, name).value is None
        assert getattr(found, name).why == ONE_CHOICE
    for name in ("observed", "brennan_prediger", "ac1", "ac2"):
        assert getattr(found, name).value == pytest.approx(1)
        assert getattr(found, name).low < 0.95


def test_couples_on_one_prompt_give_no_interval_whatever_single_votes_are_beside_them() -> None:
    rows = [(0, 0, 1), (0, 1, 1), (1, 0, 0), (1, 1, -1), (2, 0, 1), (4, 0, -1), (6, 1, 0)]
    found = found_in(rows)
    for name in NAMES:
        e = getattr(found, name)
        assert e.value is not None
        assert (e.low, e.high, e.n, e.why) == (None, None, 2, ONE_CLUSTER)


def test_no_votes_and_one_annotator_say_why_there_is_no_agreement() -> None:
    for rows in ([], [(0, 0, 1)], [(pair, 3, 1) for pair in range(8)]):
        found = found_in(rows)
        assert {getattr(found, name).why for name in NAMES} == {NO_OVERLAP}


def test_votes_of_one_prompt_that_err_together_widen_the_interval() -> None:
    rng = np.random.default_rng(2)
    agree = np.repeat(rng.random(40) < 0.7, 5)
    rows = []
    for pair in range(200):
        said = rng.integers(-1, 2, 3)
        said = np.repeat(said[0], 3) if agree[pair] else said
        rows += [(pair, who, int(choice)) for who, choice in enumerate(said)]
    apart = rater_coefficients(columns(rows), np.arange(200))
    together = rater_coefficients(columns(rows), np.arange(200) // 5)
    for name in NAMES:
        narrow, wide = getattr(apart, name), getattr(together, name)
        assert wide.value == pytest.approx(narrow.value)
        assert wide.high - wide.low > 1.4 * (narrow.high - narrow.low)


def test_linear_weights_give_partial_credit_between_none_and_quadratic() -> None:
    counts = np.array([[3, 1, 0], [1, 2, 0], [0, 1, 3], [2, 1, 0], [0, 2, 2], [0, 0, 3]])
    plain, linear, squares = (
        rater_points(counts, weights=weights)
        for weights in (None, linear_weights(3), quadratic_weights(3))
    )
    assert plain.observed < linear.observed < squares.observed
    assert plain.fleiss < linear.fleiss < squares.fleiss


def test_vote_marginals_are_shares_of_all_votes_clustered_by_prompt() -> None:
    rows = [(0, 0, 1), (0, 1, 1), (1, 0, 0), (2, 0, -1), (4, 0, 1), (6, 2, 1), (7, 2, 0), (7, 3, 1)]
    found = vote_marginals(columns(rows), CLUSTERS)
    assert (found.first.value, found.tie.value, found.second.value) == (5 / 8, 2 / 8, 1 / 8)
    assert found.first.n == 8
    assert found.first.low < 5 / 8 < found.first.high
    swapped = vote_marginals(columns([(p, who, -c) for p, who, c in rows]), CLUSTERS)
    assert (swapped.first, swapped.second) == (found.second, found.first)


def test_marginals_of_no_votes_say_so() -> None:
    found = vote_marginals(columns([]), CLUSTERS)
    assert {e.why for e in (found.first, found.tie, found.second)} == {"no human votes"}


@pytest.mark.skipif(not PANDALM_VOTES.exists(), reason=f"no published votes at {PANDALM_VOTES}")
def test_real_annotators_have_the_coefficients_that_established_libraries_give_them() -> None:
    given_rows = json.loads(PANDALM_VOTES.read_text("utf-8"))
    asked = [row["instruction"] + row["input"] for row in given_rows]
    votes = columns(
        [
            (pair, who, CODES[row[f"annotator{who}"]])
            for pair, row in enumerate(given_rows)
            for who in (1, 2, 3)
        ]
    )
    found = rater_coefficients(votes, np.unique(asked, return_inverse=True)[1], draws=500)
    assert [getattr(found, name).value for name in NAMES] == pytest.approx(
        # observed, fleiss, brennan_prediger, ac1, ac2, then alpha: nominal, ordinal, interval
        [
            *(0.91991992, 0.864175365, 0.879879880, 0.886444708, 0.867074866),
            *(0.864220685, 0.877463674, 0.877217208),
        ],
        abs=1e-8,
    )
    # AC1's own standard error, for independent items, gives (0.867, 0.906); but these 999 pairs
    # belong to 170 prompts.
    assert found.ac1.low < 0.8672 - 0.005
    assert found.ac1.high > 0.9057 + 0.002
