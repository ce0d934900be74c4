"""Two judges on the same votes: the difference, its interval, its test, and the pairs behind it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.compare import Bucket, Metric, bucket_of, compare_judges, compare_many
from calibration.intervals import ONE_CLUSTER
from calibration.label_shift import label_shift
from calibration.significance import MCNEMAR

FOR_FIRST, FOR_TIE, FOR_SECOND = [0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]


def codes(*labels: int) -> np.ndarray:
    return np.array(labels, np.int8)


def mcnemar_table(both: int, b: int, c: int, neither: int) -> tuple[np.ndarray, ...]:
    """Judges on pairs that one voter always calls for the first; b are fixed, c broken."""
    first = codes(*[1] * both, *[-1] * b, *[1] * c, *[-1] * neither)
    second = codes(*[1] * both, *[1] * b, *[-1] * c, *[-1] * neither)
    return first, second, np.tile(FOR_FIRST, (len(first), 1)), np.arange(len(first))


def test_the_difference_of_a_known_table_and_its_exact_p() -> None:
    found = compare_judges(*mcnemar_table(40, 25, 10, 25))
    assert found.difference.value == pytest.approx(0.15)
    # Bonett and Price: (26 - 11) / 102 and its error, with the t quantile of 99 degrees.
    centre, error = 15 / 102, np.sqrt((37 / 102 - (15 / 102) ** 2) / 102)
    assert found.difference.low == pytest.approx(centre - 1.984217 * error, abs=1e-6)
    assert found.difference.high == pytest.approx(centre + 1.984217 * error, abs=1e-6)
    assert found.p.p == pytest.approx(0.0166738, abs=1e-7)
    assert (found.p.method, found.p.n, found.prompts) == (MCNEMAR, 35, 100)
    assert found.buckets == {
        Bucket.FIXED: 25, Bucket.BROKEN: 10, Bucket.STILL_RIGHT: 40, Bucket.STILL_WRONG: 25,
        Bucket.NO_VOTE: 0,
    }  # fmt: skip
    assert found.first.s1.micro.value == 0.5
    assert found.second.s1.micro.value == 0.65


def test_judges_that_never_differ_are_not_certain_to_be_equal() -> None:
    found = compare_judges(*mcnemar_table(50, 0, 0, 50), margin=0.02)
    assert (found.difference.value, found.p.p) == (0.0, 1.0)
    assert found.difference.low == pytest.approx(-(found.difference.high or 0))
    assert -0.04 < (found.difference.low or 0) < -0.02
    assert found.is_non_inferior(0.95) is False


def test_copies_of_a_prompt_make_nothing_surer() -> None:
    first, second, votes, cluster = mcnemar_table(10, 6, 3, 6)
    once = compare_judges(first, second, votes, cluster)
    again = compare_judges(
        np.repeat(first, 4), np.repeat(second, 4), np.repeat(votes, 4, axis=0), cluster.repeat(4)
    )
    for metric in Metric:
        there, back = once.differences[metric].at(0.95), again.differences[metric].at(0.95)
        assert (there.value, there.low, there.high) == pytest.approx(
            (back.value, back.low, back.high)
        )
    assert once.p.p == again.p.p


def test_a_margin_is_kept_only_by_the_lower_bound() -> None:
    tables = {n: mcnemar_table(45 * n, 3 * n, 2 * n, 50 * n) for n in (1, 20)}
    small, large = (compare_judges(*table, margin=0.02) for table in tables.values())
    assert (small.difference.value, large.difference.value) == pytest.approx((0.01, 0.01))
    assert (small.is_non_inferior(0.95), large.is_non_inferior(0.95)) == (False, True)
    assert compare_judges(*tables[1]).is_non_inferior(0.95) is None


def test_a_stricter_level_has_a_wider_interval() -> None:
    difference = compare_judges(*mcnemar_table(40, 25, 10, 25)).differences[Metric.S1]
    usual, strict = difference.at(0.95), difference.at(1 - 0.05 / 3)
    assert (strict.low or 0) < (usual.low or 0) < (usual.high or 0) < (strict.high or 0)


def test_s2_of_each_judge_counts_what_it_decided() -> None:
    first, second = codes(1, 0, 0, 1), codes(1, 1, -1, 0)
    votes = np.array([FOR_FIRST, FOR_FIRST, FOR_FIRST, FOR_TIE])
    found = compare_judges(first, second, votes, np.arange(4), metric=Metric.S2)
    before, after = found.agreement(Metric.S2)
    assert (before.value, before.n) == (1.0, 1)
    assert (after.value, after.n) == (pytest.approx(2 / 3), 3)
    assert found.difference.value == pytest.approx(-1 / 3)
    assert found.difference.n == 3
    assert found.p.p is not None


def test_a_shared_top_counts_by_half() -> None:
    split = np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 0.0, 2.0]])
    found = bucket_of(codes(0, 1, 1), codes(1, 0, -1), split)
    assert found.tolist() == [Bucket.FIXED, Bucket.STILL_RIGHT, Bucket.BROKEN]
    assert bucket_of(codes(1), codes(0), np.zeros((1, 3))).tolist() == [Bucket.NO_VOTE]


def test_pairs_without_a_vote_do_not_count() -> None:
    first, second, votes, cluster = mcnemar_table(4, 3, 1, 2)
    padded = compare_judges(
        np.append(first, codes(1)), np.append(second, codes(-1)),
        np.vstack([votes, np.zeros(3)]), np.append(cluster, 99),
    )  # fmt: skip
    plain = compare_judges(first, second, votes, cluster)
    assert (padded.difference, padded.p, padded.pairs) == (plain.difference, plain.p, 10)
    assert padded.buckets[Bucket.NO_VOTE] == 1


ROWS = st.lists(
    st.tuples(
        st.sampled_from([1, 0, -1]), st.sampled_from([1, 0, -1]),
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), st.integers(0, 4),
    ),
    max_size=25,
)  # fmt: skip


@settings(deadline=None)
@given(ROWS, st.sampled_from(list(Metric)))
def test_exchanging_the_judges_or_the_candidates_mirrors_everything(
    rows: list[tuple[int, int, tuple[int, int, int], int]], metric: Metric
) -> None:
    first, second = codes(*(row[0] for row in rows)), codes(*(row[1] for row in rows))
    votes = np.array([row[2] for row in rows], np.float64).reshape(-1, 3)
    cluster = np.array([row[3] for row in rows], np.intp)
    there = compare_judges(first, second, votes, cluster, metric=metric)
    back = compare_judges(second, first, votes, cluster, metric=metric)
    turned = compare_judges(-first, -second, votes[:, ::-1], cluster, metric=metric)
    assert there.p.p == back.p.p == turned.p.p
    assert there.buckets == turned.buckets
    assert there.buckets[Bucket.FIXED] == back.buckets[Bucket.BROKEN]
    for m in Metric:
        one, other, same = (c.differences[m].at(0.95) for c in (there, back, turned))
        assert (one.value, one.low, one.high) == pytest.approx((same.value, same.low, same.high))
        mirrored = [None if x is None else -x for x in (other.value, other.high, other.low)]
        assert [one.value, one.low, one.high] == pytest.approx(mirrored)
        assert (one.low is None) == (one.why is not None)
        if one.low is not None and one.high is not None and one.value is not None:
            assert -1 <= one.low <= one.value <= one.high <= 1


@pytest.mark.parametrize("metric", list(Metric))
def test_what_cannot_be_told_says_why(metric: Metric) -> None:
    none = compare_judges(codes(), codes(), np.zeros((0, 3)), np.zeros(0, int), metric=metric)
    assert none.difference.value is None
    assert none.p.p is None
    assert "no human vote" in (none.difference.why or "")
    alone = compare_judges(codes(1), codes(-1), np.array([FOR_FIRST]), np.array([0]), metric=metric)
    assert (alone.difference.value, alone.difference.low, alone.difference.why) == (
        -1.0, None, ONE_CLUSTER,
    )  # fmt: skip
    ties = compare_judges(codes(0, 0), codes(0, 0), np.array([FOR_TIE] * 2), np.arange(2))
    assert ties.differences[Metric.S2].why == "a judge and the people are never both decided"


def test_the_interval_holds_its_level_on_few_prompts_and_rare_changes() -> None:
    rng = np.random.default_rng(5)
    for prompts, per_prompt, fixed, broken in ((20, 1, 0.075, 0.025), (20, 4, 0.1, 0.05)):
        held, tries = 0, 300
        for _ in range(tries):
            chance = rng.dirichlet([4 * fixed, 4 * broken, 4 * (1 - fixed - broken)], prompts)
            kind = np.array([rng.choice(3, per_prompt, p=p) for p in chance]).ravel()
            first, second = np.where(kind == 0, -1, 1), np.where(kind == 1, -1, 1)
            found = compare_judges(
                first.astype(np.int8), second.astype(np.int8),
                np.tile(FOR_FIRST, (len(kind), 1)), np.repeat(np.arange(prompts), per_prompt),
            ).difference  # fmt: skip
            assert found.low is not None
            assert found.high is not None
            held += found.low <= fixed - broken <= found.high
        assert held / tries >= 0.93


# Three or more


def test_three_judges_are_tested_together_and_then_two_by_two() -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice([1, -1], 300).astype(np.int8)
    judges = [
        np.where(rng.random(300) < p, truth, -truth).astype(np.int8) for p in (0.6, 0.62, 0.9)
    ]
    votes = np.where(truth[:, None] == 1, FOR_FIRST, FOR_SECOND)
    found = compare_many(judges, votes, np.arange(300))
    assert (found.q.p or 1) < 1e-6
    assert list(found.couples) == [(0, 1), (0, 2), (1, 2)]
    alone = found.couples[0, 1]
    assert alone == compare_judges(judges[0], judges[1], votes, np.arange(300))
    for places, couple in found.couples.items():
        assert (found.p_holm[places] or 0) >= (couple.p.p or 1)
    assert (found.p_holm[0, 2] or 1) < 0.001 < (found.p_holm[0, 1] or 0)


def test_cochrans_q_of_s2_is_not_computed_and_says_why() -> None:
    found = compare_many(
        [codes(1, 1), codes(1, -1), codes(0, 1)], np.array([FOR_FIRST] * 2), np.arange(2),
        metric=Metric.S2,
    )  # fmt: skip
    assert found.q.p is None
    assert "S2 counts other votes" in (found.q.why or "")


# Labels


def test_a_moved_distribution_is_seen_where_agreement_is_the_same() -> None:
    first, second = np.repeat([0, 1], [60, 40]), np.repeat([0, 2, 1], [20, 40, 40])
    found = label_shift(first, second, np.arange(100), kinds=3)
    assert found.table.tolist() == [[20, 0, 40], [0, 40, 0], [0, 0, 0]]
    assert (found.stuart_maxwell.p or 1) < 1e-6
    assert found.stuart_maxwell.method == "chi-squared"


def test_labels_that_moved_on_one_prompt_alone_did_not_surely_move() -> None:
    first, second = np.zeros(40, int), np.repeat([0, 1], [20, 20])
    prompts = np.repeat([0, 1], [20, 20])
    apart, together = (label_shift(first, second, c, kinds=2) for c in (np.arange(40), prompts))
    assert (apart.stuart_maxwell.p or 1) < 1e-4
    assert together.stuart_maxwell.statistic == apart.stuart_maxwell.statistic
    assert (together.stuart_maxwell.p, together.bowker.p) == (1.0, 1.0)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 5)), max_size=30))
def test_label_shifts_are_the_same_either_way_round(rows: list[tuple[int, int, int]]) -> None:
    first, second, cluster = np.array(rows, int).reshape(-1, 3).T
    there = label_shift(first, second, cluster, kinds=4)
    back = label_shift(second, first, cluster, kinds=4)
    assert there.table.tolist() == back.table.T.tolist()
    assert there.stuart_maxwell.p == pytest.approx(back.stuart_maxwell.p)
    assert there.bowker.p == pytest.approx(back.bowker.p)
