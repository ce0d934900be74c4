"""S1, S2 and the human ceilings, against a worked example of the published code."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.agreement import (
    VoteColumns,
    human_human_agreement,
    judge_agreement,
    leave_one_out_agreement,
)

FIRST, TIE, SECOND = 1, 0, -1


def votes_of(*pairs: list[int]) -> VoteColumns:
    """Votes of each pair in turn; the k-th vote on a pair is annotator k's."""
    rows = [(p, k, choice) for p, votes in enumerate(pairs) for k, choice in enumerate(votes)]
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return VoteColumns(columns[:, 0], columns[:, 1], columns[:, 2].astype(np.int8))


def codes(*choices: int) -> np.ndarray:
    return np.array(choices, dtype=np.int8)


# Turn 1 of the worked example: Q3 is entered for the human the other way round, so its vote
# for the first model there is one for the second here; Q2's judge contradicts itself (a tie).
TURN_1_LABELS = codes(FIRST, TIE, SECOND, FIRST)
TURN_1_VOTES = votes_of([FIRST, FIRST, TIE], [TIE, SECOND], [SECOND], [SECOND, TIE])
FOUR = np.arange(4)


def test_micro_agreement_matches_the_published_code() -> None:
    result = judge_agreement(TURN_1_LABELS, TURN_1_VOTES.counts(4), cluster=FOUR)
    assert (result.s1.micro.value, result.s1.micro.n) == (4 / 8, 8)
    assert result.s2.micro.value == pytest.approx(3 / 4)
    assert result.s2.micro.n == 4
    assert (result.s2_coverage.value, result.s2_coverage.n) == (4 / 8, 8)


def test_macro_and_majority_agreement_match_the_hand_computation() -> None:
    result = judge_agreement(TURN_1_LABELS, TURN_1_VOTES.counts(4), cluster=FOUR)
    assert result.s1.macro.value == pytest.approx(0.541667, abs=1e-6)
    assert result.s2.macro.value == pytest.approx(0.666667, abs=1e-6)
    assert result.s1.majority.value == pytest.approx(0.625)
    assert (result.s1.macro.n, result.s2.macro.n, result.s1.majority.n) == (4, 3, 4)


def test_human_human_agreement_matches_the_published_code() -> None:
    result = human_human_agreement(TURN_1_VOTES, FOUR)
    assert (result.s1.value, result.s1.n) == (pytest.approx(1 / 5), 5)
    assert (result.s2.value, result.s2.n) == (1.0, 1)


def test_the_second_turn_matches_the_published_code() -> None:
    votes = votes_of([SECOND, FIRST])
    judge = judge_agreement(codes(SECOND), votes.counts(1), cluster=np.zeros(1, int))
    humans = human_human_agreement(votes, np.zeros(1, int))
    assert (judge.s1.micro.value, judge.s2.micro.value) == (0.5, 0.5)
    assert (humans.s1.value, humans.s1.n) == (0.0, 1)


def test_a_shared_top_splits_its_credit() -> None:
    votes = votes_of([FIRST, SECOND], [FIRST, TIE], [TIE, TIE], [FIRST, SECOND, TIE])
    result = judge_agreement(codes(FIRST, FIRST, FIRST, FIRST), votes.counts(4), cluster=FOUR)
    assert result.s1.majority.value == pytest.approx((1 / 2 + 1 / 2 + 0 + 1 / 3) / 4)
    # Without ties: {first, second} ½, {first} 1, no decided top left out, {first, second} ½.
    assert result.s2.majority.value == pytest.approx((1 / 2 + 1 + 1 / 2) / 3)
    assert result.s2.majority.n == 3


def test_humans_who_disagree_can_still_be_with_the_majority() -> None:
    votes = votes_of([FIRST, FIRST, SECOND])
    two = np.array([0, 1])
    assert human_human_agreement(votes, two).s1.value == pytest.approx(1 / 3)
    # Each first faces {first, second}: ½; the second faces {first, first}: 0.
    result = leave_one_out_agreement(votes, two)
    assert (result.s1.value, result.s1.n) == (pytest.approx(1 / 3), 3)


def test_leave_one_out_needs_another_annotator_and_leaves_ties_out_of_s2() -> None:
    votes = votes_of([FIRST], [FIRST, TIE], [SECOND, SECOND, TIE])
    result = leave_one_out_agreement(votes, np.arange(3))
    # Pair 1: both wrong. Pair 2: the seconds each face {second, tie}: ½; the tie faces second.
    assert (result.s1.value, result.s1.n) == (pytest.approx((0.5 + 0.5) / 5), 5)
    assert (result.s2.value, result.s2.n) == (1.0, 2)


def test_two_votes_of_one_annotator_are_never_matched_with_each_other() -> None:
    votes = VoteColumns(np.array([0, 0, 0]), np.array([5, 5, 8]), codes(FIRST, FIRST, SECOND))
    humans = human_human_agreement(votes, np.array([0]))
    assert (humans.s1.value, humans.s1.n) == (0.0, 2)
    assert (humans.s2.value, humans.s2.n) == (0.0, 2)
    others = leave_one_out_agreement(votes, np.array([0]))
    assert (others.s1.value, others.s1.n) == (0.0, 3)


def test_intervals_are_clustered_by_prompt() -> None:
    rng = np.random.default_rng(0)
    right = np.repeat(rng.random(20) < 0.7, 10)  # a prompt is wholly right or wholly wrong
    votes = votes_of(*([FIRST] for _ in range(200)))
    label = np.where(right, FIRST, SECOND).astype(np.int8)
    together = judge_agreement(label, votes.counts(200), cluster=np.arange(200) // 10).s1.micro
    apart = judge_agreement(label, votes.counts(200), cluster=np.arange(200)).s1.micro
    assert together.low is not None
    assert apart.low is not None
    assert together.value == apart.value
    assert together.low < apart.low - 0.1


def test_no_votes_and_no_overlap_are_told() -> None:
    none = votes_of()
    result = judge_agreement(TURN_1_LABELS, none.counts(4), cluster=FOUR)
    assert result.s1.micro.value is None
    assert result.s1.micro.why == "no human vote on a labelled pair"
    single = votes_of([FIRST], [TIE])
    assert human_human_agreement(single, FOUR).s1.why == "no pair has votes by two annotators"
    assert leave_one_out_agreement(none, FOUR).s2.value is None


def test_ties_on_either_side_leave_nothing_for_s2() -> None:
    votes = votes_of([TIE, TIE], [FIRST])
    result = judge_agreement(codes(FIRST, TIE), votes.counts(2), cluster=np.arange(2))
    assert result.s2.micro.value is None
    assert result.s2.majority.why == "no vote and label are both decided"
    assert result.s2_coverage.value == 0


@pytest.mark.parametrize("wrong", [2, -2, 99])
def test_an_unknown_code_is_refused(wrong: int) -> None:
    with pytest.raises(ValueError, match=f"code {wrong}"):
        VoteColumns(np.array([0]), np.array([0]), codes(wrong))


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        VoteColumns(np.array([0, 1]), np.array([0]), codes(1, 1))


choices = st.sampled_from([FIRST, TIE, SECOND])
pairs = st.lists(st.tuples(choices, st.lists(choices, max_size=5)), min_size=1, max_size=12)


@given(pairs)
def test_exchanging_the_candidates_changes_no_agreement(
    rows: list[tuple[int, list[int]]],
) -> None:
    cluster = np.arange(len(rows)) // 2
    label, votes = codes(*(r[0] for r in rows)), votes_of(*(r[1] for r in rows))
    swapped = VoteColumns(votes.pair, votes.annotator, -votes.choice)
    counts, swapped_counts = votes.counts(len(rows)), swapped.counts(len(rows))
    assert judge_agreement(label, counts, cluster=cluster) == judge_agreement(
        -label, swapped_counts, cluster=cluster
    )
    assert human_human_agreement(votes, cluster) == human_human_agreement(swapped, cluster)
    assert leave_one_out_agreement(votes, cluster) == leave_one_out_agreement(swapped, cluster)


@given(pairs)
def test_micro_agreement_is_what_counting_vote_by_vote_gives(
    rows: list[tuple[int, list[int]]],
) -> None:
    votes = votes_of(*(r[1] for r in rows))
    label = codes(*(r[0] for r in rows))
    result = judge_agreement(label, votes.counts(len(rows)), cluster=np.arange(len(rows)))
    matches = [(judge, vote) for judge, given_votes in rows for vote in given_votes]
    decided = [(judge, vote) for judge, vote in matches if judge and vote]
    for estimate, found in ((result.s1.micro, matches), (result.s2.micro, decided)):
        assert estimate.n == len(found)
        if found:
            assert estimate.value == pytest.approx(sum(a == b for a, b in found) / len(found))


@given(pairs)
def test_human_agreement_is_what_matching_vote_by_vote_gives(
    rows: list[tuple[int, list[int]]],
) -> None:
    humans = human_human_agreement(votes_of(*(r[1] for r in rows)), np.arange(len(rows)))
    couples = [(v[i], v[j]) for _, v in rows for i in range(len(v)) for j in range(i)]
    decided = [(a, b) for a, b in couples if a and b]
    for estimate, found in ((humans.s1, couples), (humans.s2, decided)):
        assert estimate.n == len(found)
        if found:
            assert estimate.value == pytest.approx(sum(a == b for a, b in found) / len(found))
