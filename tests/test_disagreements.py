"""Which disagreements are picked, in which order, and what is said about each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.report.disagreements import Disagreement, against_votes, most_informative

CASES = st.lists(
    st.tuples(
        st.sampled_from([1, 0, -1]),
        st.booleans(),  # has_label
        st.booleans(),  # inconsistent
        st.booleans(),  # steady
        st.tuples(*[st.integers(0, 4)] * 3),
        st.integers(0, 6),  # prompt
    ),
    max_size=40,
)
Case = tuple[int, bool, bool, bool, tuple[int, int, int], int]


def picked(cases: list[Case], n: int = 20) -> tuple[Disagreement, ...]:
    label, has_label, inconsistent, steady, votes, cluster = (
        [case[i] for case in cases] for i in range(6)
    )
    torn = np.array(inconsistent, bool) & np.array(has_label, bool)
    return most_informative(
        np.where(torn, 0, np.array(label)).astype(np.int8),
        np.array(votes, np.float64).reshape(-1, 3),
        has_label=np.array(has_label, bool),
        inconsistent=torn,
        steady=np.array(steady, bool) & ~torn,
        cluster=np.array(cluster, np.intp),
        n=n,
    )


def case(
    label: int,
    *votes: int,
    prompt: int,
    steady: bool = True,
    inconsistent: bool = False,
    has_label: bool = True,
) -> Case:
    """Votes are for the second candidate, ties, and for the first."""
    second, tie, first = votes
    return label, has_label, inconsistent, steady, (second, tie, first), prompt


def rows(found: tuple[Disagreement, ...]) -> list[int]:
    return [disagreement.row for disagreement in found]


def test_kinds_come_in_their_order_whatever_their_strength() -> None:
    cases = [
        case(0, 0, 0, 9, prompt=0, inconsistent=True),
        case(0, 9, 0, 0, prompt=1),
        case(1, 9, 0, 0, prompt=2, steady=False),
        case(1, 2, 0, 0, prompt=3),
    ]
    assert rows(picked(cases)) == [3, 2, 1, 0]


def test_within_a_kind_strong_and_large_majorities_come_first() -> None:
    cases = [
        case(1, 1, 0, 0, prompt=0),
        case(1, 3, 0, 2, prompt=1),
        case(1, 9, 0, 1, prompt=2),
        case(1, 5, 0, 1, prompt=3),
    ]
    # Laplace: 2/3, 4/7, 10/12, 6/8. A single vote is no unanimity.
    assert rows(picked(cases)) == [2, 3, 0, 1]


def test_more_votes_of_the_same_mind_come_first_and_equals_by_row() -> None:
    cases = [case(1, n, 0, 0, prompt=i) for i, n in enumerate([2, 3, 2, 4])]
    assert rows(picked(cases)) == [3, 1, 0, 2]


@pytest.mark.parametrize(
    "agreeing",
    [
        case(1, 0, 0, 3, prompt=0),
        case(1, 2, 0, 2, prompt=0),
        case(1, 0, 0, 0, prompt=0),
        case(1, 3, 0, 0, prompt=0, has_label=False),
        case(0, 0, 2, 0, prompt=0),
        case(0, 2, 0, 1, prompt=0, inconsistent=True),
        case(0, 0, 0, 1, prompt=0, inconsistent=True),
    ],
)
def test_what_is_no_clear_disagreement_is_left_out(agreeing: Case) -> None:
    assert picked([agreeing]) == ()


def test_one_prompt_does_not_crowd_out_the_others() -> None:
    crowd = [case(1, 9, 0, 0, prompt=0) for _ in range(30)]
    others = [case(1, 2, 0, 0, prompt=i) for i in range(1, 4)]
    assert rows(picked(crowd + others, n=4)) == [0, 30, 31, 32]
    # With too few prompts, each gives a second pair, and never a third.
    assert rows(picked(crowd + others)) == [0, 1, 30, 31, 32]


@pytest.mark.parametrize(
    ("disagreeing", "why"),
    [
        (
            case(1, 3, 0, 0, prompt=0),
            "All 3 votes say second; the label is first, in both orders: "
            "either the judge is sure and wrong, or the votes are.",
        ),
        (
            case(-1, 1, 0, 2, prompt=0, steady=False),
            "2 of 3 votes say first; the label is second: the opposite side.",
        ),
        (
            case(0, 0, 0, 1, prompt=0, steady=False),
            "The only vote says first; the label is tie: "
            "the judge misses a difference that people see.",
        ),
        (
            case(1, 0, 2, 0, prompt=0, steady=False),
            "All 2 votes say tie; the label is first: "
            "the judge sees a difference that people do not.",
        ),
        (
            case(0, 2, 0, 0, prompt=0, inconsistent=True),
            "All 2 votes say second; the judge contradicts itself when the answers trade places.",
        ),
    ],
)
def test_each_kind_says_why(disagreeing: Case, why: str) -> None:
    assert picked([disagreeing]) == (Disagreement(0, why),)


@given(CASES)
def test_exchanging_the_candidates_picks_the_same_pairs(cases: list[Case]) -> None:
    swapped = [
        (-label, has_label, torn, steady, (votes[2], votes[1], votes[0]), prompt)
        for label, has_label, torn, steady, votes, prompt in cases
    ]
    assert rows(picked(swapped)) == rows(picked(cases))


@given(CASES, st.integers(0, 30))
def test_never_more_than_asked_nor_two_of_a_prompt_nor_an_agreement(
    cases: list[Case], n: int
) -> None:
    found = rows(picked(cases, n=n))
    assert len(found) == len(set(found)) <= n
    prompts = [cases[row][5] for row in found]
    assert all(prompts.count(prompt) <= 2 for prompt in prompts)
    for row in found:
        label, has_label, torn, _, votes, _ = cases[row]
        top = [votes[2], votes[1], votes[0]].index(max(votes))
        assert has_label
        assert torn or label != (1, 0, -1)[top]


@given(CASES)
def test_against_the_votes_is_a_label_that_is_not_the_clear_majority(cases: list[Case]) -> None:
    mask = against_votes(
        np.array([case[0] for case in cases], np.int8),
        np.array([case[4] for case in cases], np.float64).reshape(-1, 3),
        has_label=np.array([case[1] for case in cases], bool),
    )
    for found, (label, has_label, _, _, votes, _) in zip(mask, cases, strict=True):
        is_clear = sorted(votes)[-1] > sorted(votes)[-2]
        assert found == (has_label and is_clear and votes[label + 1] < max(votes))
