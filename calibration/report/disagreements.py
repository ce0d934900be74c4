"""Which disagreements between labels and votes are the most worth reading. Pure, over columns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.agreement import Codes, Index, Mask
from calibration.intervals import Floats, cluster_codes

MOST_PER_PROMPT = 2

_NAMES = {1: "first", 0: "tie", -1: "second"}
_LEAST_FOR_UNANIMITY = 2
"""Votes. One vote is always of one mind."""

_CONFIDENT, _DECIDED, _TIED, _TORN, _AGREED = range(5)
"""Ranks of disagreements, the most informative first; the last is none."""


@dataclass(frozen=True)
class Disagreement:
    """A pair on which the label and the votes part, and what makes it worth reading."""

    row: int
    """Of the pair."""
    why: str


@dataclass(frozen=True)
class VoteTop:
    """The choice that most votes of each pair share; every array has shape (n_pairs,)."""

    choice: Codes
    """In {1, 0, -1}; ignored where `is_clear` is False."""
    is_clear: Mask
    """Whether there is a vote, and no other choice has as many."""
    votes: Floats
    """Votes for it."""
    total: Floats
    """Votes on the pair."""


def vote_top(votes: Floats) -> VoteTop:
    """Return the top choice of each pair; `votes` (n, 3) are those of `VoteColumns.counts`."""
    most = votes.max(axis=1)
    return VoteTop(
        choice=(votes.argmax(axis=1) - 1).astype(np.int8),
        is_clear=((votes == most[:, None]).sum(axis=1) == 1),
        votes=most,
        total=votes.sum(axis=1),
    )


def against_votes(label: Codes, votes: Floats, *, has_label: Mask) -> Mask:
    """Return where the label is not what most votes say, shape (n,).

    Votes without one top choice contradict nothing. An inconsistent label is passed as a tie.
    """
    top = vote_top(votes)
    return np.asarray(has_label & top.is_clear & (label != top.choice), dtype=np.bool_)


def most_informative(
    label: Codes,
    votes: Floats,
    *,
    has_label: Mask,
    inconsistent: Mask,
    steady: Mask,
    cluster: Index,
    n: int = 20,
) -> tuple[Disagreement, ...]:
    """Return at most `n` disagreements, the most informative first; ties go by row.

    All arrays have one row per pair; `votes` (n_pairs, 3) are those of `VoteColumns.counts`,
    `steady` marks labels that the judge gave in both orders. First come decided labels that every
    one of several votes contradicts although the judge is steady: the judge is sure and wrong, or
    the votes are. Then other decided labels against a decided majority, then ties against decided
    sides, then contradictory orders where humans are of one mind. Within a kind counts the share
    of the votes that agree, drawn toward one half where they are few: (k + 1) / (m + 2), after
    Laplace; then their number. A prompt is taken once, and twice where there are too few prompts.
    """
    top = vote_top(votes)
    kind = _kinds(label, top, has_label=has_label, inconsistent=inconsistent, steady=steady)
    strength = (top.votes + 1) / (top.total + 2)
    rows = np.flatnonzero(kind != _AGREED)
    rows = rows[np.lexsort((rows, -top.total[rows], -strength[rows], kind[rows]))]
    chosen = rows[_spread(cluster[rows], n)]
    return tuple(
        Disagreement(int(row), _why(int(kind[row]), int(label[row]), top, int(row), steady[row]))
        for row in chosen
    )


def _kinds(
    label: Codes, top: VoteTop, *, has_label: Mask, inconsistent: Mask, steady: Mask
) -> NDArray[np.int8]:
    is_unanimous = (top.votes == top.total) & (top.total >= _LEAST_FOR_UNANIMITY)
    parts = has_label & ~inconsistent & top.is_clear & (label != top.choice)
    both_decided = parts & (label != 0) & (top.choice != 0)
    is_torn = has_label & inconsistent & is_unanimous
    conditions = [both_decided & is_unanimous & steady, both_decided, parts, is_torn]
    ranks = [_CONFIDENT, _DECIDED, _TIED, _TORN]
    return np.select(conditions, ranks, default=_AGREED).astype(np.int8)


def _spread(cluster: Index, n: int) -> NDArray[np.intp]:
    """Return which of the ranked rows to take, ascending: as many prompts as there are."""
    codes, _ = cluster_codes(cluster)
    by_prompt = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[by_prompt], prepend=-1))
    sizes = np.diff(starts, append=len(codes))
    nth = np.empty(len(codes), np.intp)
    nth[by_prompt] = np.arange(len(codes)) - np.repeat(starts, sizes)
    by_turn = np.argsort(nth, kind="stable")
    return np.sort(by_turn[nth[by_turn] < MOST_PER_PROMPT][:n])


def _why(kind: int, label: int, top: VoteTop, row: int, steady: bool) -> str:
    votes, total = int(top.votes[row]), int(top.total[row])
    humans = f"{_said_by(votes, total)} {_NAMES[int(top.choice[row])]}"
    if kind == _TORN:
        return f"{humans}; the judge contradicts itself when the answers trade places."
    judge = f"the label is {_NAMES[label]}{', in both orders' if steady else ''}"
    if kind == _CONFIDENT:
        return f"{humans}; {judge}: either the judge is sure and wrong, or the votes are."
    if kind == _DECIDED:
        return f"{humans}; {judge}: the opposite side."
    if label == 0:
        return f"{humans}; {judge}: the judge misses a difference that people see."
    return f"{humans}; {judge}: the judge sees a difference that people do not."


def _said_by(votes: int, total: int) -> str:
    if total == 1:
        return "The only vote says"
    if votes == total:
        return f"All {total} votes say"
    return f"{votes} of {total} votes say"
