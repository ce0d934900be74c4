"""How often a judge agrees with human votes, and how often humans agree with each other.

S1 counts all votes, ties included; an inconsistent label is a tie. S2 counts only where both
sides are decided (Zheng et al. 2023, arXiv 2306.05685, section 4 and appendix D.3).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.intervals import Estimate, Floats, cluster_codes, clustered_proportion

FIRST, TIE, SECOND = 1, 0, -1
"""Codes of a choice about candidates."""

Codes = NDArray[np.int8]
Mask = NDArray[np.bool_]
Index = NDArray[np.integer]

NO_LABELLED_VOTES = "no human vote on a labelled pair"
NONE_DECIDED = "no vote and label are both decided"
NO_OVERLAP = "no pair has votes by two annotators"
NO_DECIDED_OVERLAP = "no pair has decided votes by two annotators"


@dataclass(frozen=True)
class VoteColumns:
    """Human votes, one row each, in the orientation of their pair; skipped votes are not here."""

    pair: Index
    """Shape (n_votes,): the row of the pair in the columns of the pairs."""
    annotator: Index
    """Shape (n_votes,): any code that tells annotators apart."""
    choice: Codes
    """Shape (n_votes,), in {1, 0, -1}; a vote that calls both answers bad is a tie."""
    both_bad: Mask | None = None
    """Shape (n_votes,): ties that call both answers bad; None for no such vote."""
    batch: Index | None = None
    """Shape (n_votes,): code of the delivery that the vote came with; None where none is known."""

    def __post_init__(self) -> None:
        lengths = [len(self.pair), len(self.annotator), len(self.choice)]
        lengths += [len(each) for each in (self.both_bad, self.batch) if each is not None]
        if len(set(lengths)) != 1:
            raise ValueError(
                f"the columns of VoteColumns differ in length ({', '.join(map(str, lengths))})"
            )
        check_choices(self.choice, "a vote")
        if self.both_bad is not None and np.any(self.choice[self.both_bad] != TIE):
            raise ValueError("a vote that calls both answers bad is not a tie; give it choice 0")

    def on(self, mask: Mask) -> "VoteColumns":
        """The votes on the pairs of a mask (n_pairs,); rows of pairs stay as they are."""
        return self.kept(mask[self.pair])

    def kept(self, mask: Mask) -> "VoteColumns":
        """The votes of a mask (n_votes,)."""
        return VoteColumns(
            self.pair[mask],
            self.annotator[mask],
            self.choice[mask],
            both_bad=None if self.both_bad is None else self.both_bad[mask],
            batch=None if self.batch is None else self.batch[mask],
        )

    def counts(self, n_pairs: int) -> Floats:
        """Votes per pair and choice, shape (n_pairs, 3): second, tie, first."""
        return _tally(self.pair, self.choice, n_pairs)


@dataclass(frozen=True)
class Averages:
    """One kind of agreement, averaged in three ways."""

    micro: Estimate
    """Over votes: a pair with five votes weighs five (the published code)."""
    macro: Estimate
    """Over pairs: every pair weighs the same (the published definition)."""
    majority: Estimate
    """Over pairs, with the majority of the votes; a shared top splits the credit evenly."""


@dataclass(frozen=True)
class JudgeAgreement:
    """A judge's agreement with votes."""

    s1: Averages
    s2: Averages
    s2_coverage: Estimate
    """Share of the votes that S2 counts."""


@dataclass(frozen=True)
class Agreement:
    """Agreement with ties (S1) and without (S2), over votes."""

    s1: Estimate
    s2: Estimate


@dataclass(frozen=True)
class Credit:
    """Comparisons that agree and all of them, each of shape (rows,); S2 counts the decided."""

    s1_agreeing: Floats
    s1_possible: Floats
    s2_agreeing: Floats
    s2_possible: Floats


@dataclass(frozen=True)
class AgainstOthers:
    """Each annotator on each pair voted on, one row each, against the majority of the others."""

    pair: Index
    annotator: Index
    """Places in the sorted distinct codes of `VoteColumns.annotator`."""
    credit: Credit


def check_choices(choices: Codes, name: str) -> None:
    """Raise ValueError unless every code is 1, 0 or -1."""
    wrong = choices[(choices > FIRST) | (choices < SECOND)]
    if len(wrong):
        raise ValueError(f"{name} has code {wrong[0]}; first is 1, tie is 0, second is -1")


def judge_agreement(
    label: Codes, votes: Floats, *, cluster: Index, level: float = 0.95
) -> JudgeAgreement:
    """Return the agreement of labels with votes on the same pairs.

    `label` and `cluster` have shape (n,), `votes` are counts (n, 3) as `VoteColumns.counts`
    gives them; leave out the rows without a label. An inconsistent label is passed as a tie.
    """
    own = _one_hot(label)
    total = votes.sum(axis=1)
    decided_votes = np.where(own[:, [1]] > 0, 0.0, votes) * [1, 0, 1]
    decided = decided_votes.sum(axis=1)
    return JudgeAgreement(
        s1=_averages(
            own, votes, top=_top(votes), cluster=cluster, level=level, empty=NO_LABELLED_VOTES
        ),
        s2=_averages(
            own,
            decided_votes,
            # A shared top is decided by its decided part; ties alone on top are left out.
            top=_top(votes) * (decided_votes > 0),
            cluster=cluster,
            level=level,
            empty=NONE_DECIDED,
        ),
        s2_coverage=clustered_proportion(
            decided, cluster, size=total, level=level, empty=NO_LABELLED_VOTES
        ).estimate,
    )


def agreement_with_errors_wrong(
    label: Codes, is_error: Mask, votes: Floats, *, cluster: Index, level: float = 0.95
) -> Estimate:
    """Return S1 over votes where every vote on a pair that ended in an error counts as missed.

    As `judge_agreement`, but `label` is ignored where `is_error` (n,) is True: leave out only the
    rows that have neither.
    """
    agreeing = (_one_hot(label) * votes).sum(axis=1) * ~is_error
    return _share(
        agreeing, votes.sum(axis=1), cluster=cluster, level=level, empty=NO_LABELLED_VOTES
    )


def human_human_agreement(votes: VoteColumns, cluster: Index, *, level: float = 0.95) -> Agreement:
    """Return the agreement of all unordered pairs of votes on one pair by two annotators.

    `cluster` has shape (n_pairs,). Votes of one annotator on one pair are never matched with
    each other: the definition asks for non-identical individuals.
    """
    return _credited(human_couples(votes, len(cluster)), cluster, level=level)


def leave_one_out_agreement(
    votes: VoteColumns, cluster: Index, *, level: float = 0.95
) -> Agreement:
    """Return the agreement of each vote with the majority of the other annotators' votes.

    `cluster` has shape (n_pairs,). A shared top splits the credit evenly. This is the fairer
    ceiling for a judge: two humans who contradict each other cannot both be with the majority.
    """
    others = against_others(votes, len(cluster))
    return _credited(others.credit, cluster[others.pair], level=level)


def human_couples(votes: VoteColumns, n_pairs: int) -> Credit:
    """Return the couples of votes on each pair by two annotators, and those that agree."""
    everyone = votes.counts(n_pairs)
    pair, _, own = _by_annotator(votes)

    def matched(choices: list[int]) -> tuple[Floats, Floats]:
        agreeing = _couples(everyone[:, choices]).sum(axis=1)
        agreeing -= np.bincount(pair, _couples(own[:, choices]).sum(axis=1), minlength=n_pairs)
        possible = _couples(everyone[:, choices].sum(axis=1))
        possible -= np.bincount(pair, _couples(own[:, choices].sum(axis=1)), minlength=n_pairs)
        return agreeing, possible

    return Credit(*matched([0, 1, 2]), *matched([0, 2]))


def against_others(votes: VoteColumns, n_pairs: int) -> AgainstOthers:
    """Return what each annotator's votes on each pair earn from the others' majority."""
    pair, annotator, own = _by_annotator(votes)
    top = _top(votes.counts(n_pairs)[pair] - own)
    compared = own * (top.sum(axis=1, keepdims=True) > 0)
    decided_top = top * [1, 0, 1]
    decided = own * [1, 0, 1] * (decided_top.sum(axis=1, keepdims=True) > 0)
    return AgainstOthers(
        pair=pair,
        annotator=annotator,
        credit=Credit(
            s1_agreeing=(compared * _split(top)).sum(axis=1),
            s1_possible=compared.sum(axis=1),
            s2_agreeing=(decided * _split(decided_top)).sum(axis=1),
            s2_possible=decided.sum(axis=1),
        ),
    )


def _credited(credit: Credit, cluster: Index, *, level: float) -> Agreement:
    return Agreement(
        s1=_share(
            credit.s1_agreeing, credit.s1_possible, cluster=cluster, level=level, empty=NO_OVERLAP
        ),
        s2=_share(
            credit.s2_agreeing,
            credit.s2_possible,
            cluster=cluster,
            level=level,
            empty=NO_DECIDED_OVERLAP,
        ),
    )


def _averages(
    own: Floats, votes: Floats, *, top: Floats, cluster: Index, level: float, empty: str
) -> Averages:
    agreeing, total = (own * votes).sum(axis=1), votes.sum(axis=1)
    voted, majority = total > 0, top.sum(axis=1) > 0
    return Averages(
        micro=_share(agreeing, total, cluster=cluster, level=level, empty=empty),
        macro=_share(
            agreeing[voted] / total[voted],
            None,
            cluster=cluster[voted],
            level=level,
            empty=empty,
        ),
        majority=_share(
            (own * _split(top)).sum(axis=1)[majority],
            None,
            cluster=cluster[majority],
            level=level,
            empty=empty,
        ),
    )


def _share(
    values: Floats, size: Floats | None, *, cluster: Index, level: float, empty: str
) -> Estimate:
    return clustered_proportion(values, cluster, size=size, level=level, empty=empty).estimate


def _tally(row: Index, choice: Codes, rows: int) -> Floats:
    cells = row.astype(np.intp) * 3 + (choice + 1)
    return np.bincount(cells, minlength=rows * 3).reshape(rows, 3).astype(np.float64)


def _by_annotator(votes: VoteColumns) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Return pair (r,), annotator (r,) and counts (r, 3) of each annotator on each pair."""
    codes, annotators = cluster_codes(votes.annotator)
    both, row = np.unique(votes.pair.astype(np.int64) * annotators + codes, return_inverse=True)
    pair, annotator = np.divmod(both.astype(np.intp), max(annotators, 1))
    return pair, annotator, _tally(row.reshape(-1), votes.choice, len(both))


def _one_hot(label: Codes) -> Floats:
    return np.eye(3)[label.astype(np.intp) + 1]


def _top(votes: Floats) -> Floats:
    """1 for each choice with the most votes of its row, 0 elsewhere and in rows without votes."""
    most = votes.max(axis=1, keepdims=True)
    return np.asarray((votes == most) & (most > 0), dtype=np.float64)


def _split(top: Floats) -> Floats:
    return np.asarray(top / np.maximum(top.sum(axis=1, keepdims=True), 1), dtype=np.float64)


def _couples(count: Floats) -> Floats:
    return count * (count - 1) / 2
