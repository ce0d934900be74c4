"""The confusion matrix of labels and votes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.agreement import VoteColumns
from calibration.confusion import confusion


def columns(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, VoteColumns]:
    rng = np.random.default_rng(seed)
    inconsistent = rng.random(30) < 0.3
    label = np.where(inconsistent, 0, rng.integers(-1, 2, 30)).astype(np.int8)
    choice = rng.integers(-1, 2, 90).astype(np.int8)
    votes = VoteColumns(
        rng.integers(0, 30, 90),
        rng.integers(0, 5, 90),
        choice,
        (choice == 0) & (rng.random(90) < 0.5),
    )
    return label, rng.random(30) < 0.8, inconsistent, votes


def test_every_vote_is_where_its_label_and_choice_meet() -> None:
    label = np.array([1, 0, -1, 0, 1], np.int8)
    votes = VoteColumns(
        np.array([0, 0, 1, 2, 3, 3, 4]),
        np.arange(7),
        np.array([1, -1, 0, -1, 0, 1, 0], np.int8),
        np.array([False, False, False, False, True, False, False]),
    )
    table = confusion(
        label,
        votes,
        has_label=np.array([True, True, True, True, False]),
        inconsistent=np.array([False, False, False, True, False]),
    )
    assert table.rows == ("first", "tie", "second", "inconsistent", "no label")
    assert table.columns == ("first", "tie", "second", "both bad")
    assert table.counts.tolist() == [
        [1, 0, 1, 0],
        [0, 1, 0, 0],
        [0, 0, 1, 0],
        [1, 0, 0, 1],
        [0, 1, 0, 0],
    ]


@given(st.integers(0, 2**32 - 1))
def test_swapping_the_answers_exchanges_first_and_second(seed: int) -> None:
    label, has_label, inconsistent, votes = columns(seed)
    swapped = VoteColumns(votes.pair, votes.annotator, -votes.choice, votes.both_bad)
    one = confusion(label, votes, has_label=has_label, inconsistent=inconsistent).counts
    other = confusion(-label, swapped, has_label=has_label, inconsistent=inconsistent).counts
    assert int(one.sum()) == 90
    assert np.array_equal(one[[2, 1, 0, 3, 4]][:, [2, 1, 0, 3]], other)


def test_without_votes_all_cells_are_zero() -> None:
    none = np.zeros(0, int)
    table = confusion(
        np.zeros(2, np.int8),
        VoteColumns(none, none, none.astype(np.int8)),
        has_label=np.ones(2, bool),
        inconsistent=np.zeros(2, bool),
    )
    assert table.counts.shape == (5, 4)
    assert not table.counts.any()


def test_votes_keep_which_of_them_call_both_bad() -> None:
    *_, votes = columns(0)
    on = votes.on(np.arange(30) < 10)
    assert votes.both_bad is not None
    assert on.both_bad is not None
    assert on.both_bad.tolist() == votes.both_bad[votes.pair < 10].tolist()


def test_a_decided_vote_cannot_call_both_bad() -> None:
    with pytest.raises(ValueError, match="is not a tie"):
        VoteColumns(np.zeros(1, int), np.zeros(1, int), np.ones(1, np.int8), np.ones(1, bool))
