"""Agreement on parts: one question, asked of every kind of pair and of every annotator apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.agreement import (
    NO_DECIDED_OVERLAP,
    NO_LABELLED_VOTES,
    NO_OVERLAP,
    NONE_DECIDED,
    Codes,
    Credit,
    Index,
    Mask,
    VoteColumns,
    against_others,
    human_couples,
)
from calibration.intervals import Estimate, Floats, cluster_codes, clustered_proportion

TOO_FEW = "too few to show"

MIN_PROMPTS, MIN_VOTES = 5, 20
"""A figure on a part that rests on less is not shown: it would say more of chance than of it."""
MOST_PARTS = 30
"""Parts of one question that are shown, those with the most votes; the rest are one part."""

MARGINS = ("humans even", "humans lean", "humans unanimous")
LENGTH_GAPS = ("within 10 %", "10 to 50 %", "over 50 %")


@dataclass(frozen=True)
class Stratification:
    """A way to part the pairs."""

    codes: NDArray[np.intp]
    """Shape (n_pairs,): places in `names`."""
    names: tuple[str | None, ...]
    """None is the part of the pairs that the question does not apply to."""


@dataclass(frozen=True)
class StratumFigures:
    """Agreement on the pairs of one kind; figures of a cell too small to publish are absent."""

    pairs: int
    """Labelled pairs with a vote."""
    prompts: int
    s1: Estimate
    s2: Estimate
    humans_s1: Estimate
    """Human-human agreement on the same pairs."""
    humans_s2: Estimate


@dataclass(frozen=True)
class AnnotatorFigures:
    """One annotator against the majority of the others' votes."""

    votes: int
    s1: Estimate
    s2: Estimate


def stratify(
    label: Codes,
    votes: VoteColumns,
    *,
    has_label: Mask,
    cluster: Index,
    strata: Mapping[str, Stratification],
    level: float = 0.95,
    most: int = MOST_PARTS,
) -> Mapping[str, Mapping[str, StratumFigures]]:
    """Return agreement on every part of every question: question -> part -> figures.

    `label`, `has_label` and `cluster` have shape (n_pairs,); an inconsistent label is passed as a
    tie. Only labelled pairs with a vote count, for humans as for the judge. A figure on fewer
    than 20 votes (couples of votes for humans) or 5 prompts is absent. Parts keep their order;
    beyond `most` named parts, those with the fewest votes are one part `(N others)`. Pairs that a
    question does not apply to are in none of its parts.
    """
    tally = votes.counts(len(label))
    rows = np.flatnonzero(has_label & (tally.sum(axis=1) > 0))
    codes, groups = cluster_codes(cluster[rows])
    humans = human_couples(votes, len(label))
    counted = _stacked(_against_label(label[rows], tally[rows]), rows=None)
    counted = np.concatenate([counted, _stacked(humans, rows=rows)])
    figures = {}
    for question, parting in strata.items():
        part, names = _capped(parting, rows, weight=counted[1], most=most)
        cells = _Cells.of(part[part >= 0], codes[part >= 0], groups, counted[:, part >= 0])
        figures[question] = {
            name: _stratum(cells, place, level=level) for place, name in enumerate(names)
        }
    return figures


def by_batch(
    label: Codes,
    votes: VoteColumns,
    *,
    has_label: Mask,
    cluster: Index,
    names: Sequence[str | None],
    level: float = 0.95,
    most: int = MOST_PARTS,
) -> Mapping[str, StratumFigures]:
    """Return agreement with the votes of every delivery, in the order of `names`.

    `names` are what the codes of `votes.batch` mean, None where a vote named no batch. Whether
    people or pairs have drifted shows here; nothing is returned for fewer than two named batches.
    Of more than `most`, those with the most votes.
    """
    if votes.batch is None or sum(name is not None for name in names) < 2:
        return {}
    cast = np.bincount(votes.batch, minlength=len(names))
    named = [code for code, name in enumerate(names) if name is not None]
    shown = sorted(sorted(named, key=lambda code: -cast[code])[:most])
    everywhere = {"": Stratification(np.zeros(len(label), np.intp), ("",))}
    figures = {}
    for code in shown:
        own = votes.kept(votes.batch == code)
        parts = stratify(
            label, own, has_label=has_label, cluster=cluster, strata=everywhere, level=level
        )
        figures[str(names[code])] = parts[""][""]
    return figures


def quality_gap(votes: VoteColumns, n_pairs: int) -> Stratification:
    """Return how far apart humans find the answers: |first - second| / votes, in three parts.

    Even is 0, unanimous is 1; a pair with fewer than two votes is in no part. The same votes
    make the gap and the agreement, so agreement rises with it even for a judge of no merit: read
    it beside the humans' own.
    """
    tally = votes.counts(n_pairs)
    total, margin = tally.sum(axis=1), np.abs(tally[:, 2] - tally[:, 0])
    codes = np.where(margin == 0, 0, np.where(margin < total, 1, 2))
    return Stratification(np.where(total >= 2, codes, len(MARGINS)), (*MARGINS, None))


def length_gap(first_chars: Index, second_chars: Index) -> Stratification:
    """Return by how much the shorter answer is shorter than the longer one, in three parts.

    Lengths are in characters, shape (n_pairs,); over 50 % is less than half as long.
    """
    gap, longer = np.abs(first_chars - second_chars), np.maximum(first_chars, second_chars)
    codes = (gap * 10 > longer).astype(np.intp) + (gap * 2 > longer)
    return Stratification(codes, LENGTH_GAPS)


def annotator_figures(
    votes: VoteColumns, cluster: Index, *, level: float = 0.95, most: int = 50
) -> Mapping[int, AnnotatorFigures]:
    """Return each annotator's agreement with the majority of the others, by annotator's code.

    `cluster` has shape (n_pairs,). The `most` annotators with the most votes, those first; the
    credit is that of `leave_one_out_agreement`, and small figures are absent as in `stratify`.
    """
    names, of_vote = np.unique(votes.annotator, return_inverse=True)
    cast = np.bincount(of_vote.reshape(-1), minlength=len(names))
    order = np.argsort(-cast, kind="stable")[:most]
    place = np.full(len(names), -1)
    place[order] = np.arange(len(order))
    others = against_others(votes, len(cluster))
    part = place[others.annotator]
    codes, groups = cluster_codes(cluster[others.pair])
    counted = _stacked(others.credit, rows=part >= 0)
    cells = _Cells.of(part[part >= 0], codes[part >= 0], groups, counted)
    return {
        int(names[code]): AnnotatorFigures(
            votes=int(cast[code]),
            s1=cells.share(rank, 0, level=level, empty=NO_OVERLAP),
            s2=cells.share(rank, 2, level=level, empty=NO_DECIDED_OVERLAP),
        )
        for rank, code in enumerate(order)
    }


@dataclass(frozen=True)
class _Cells:
    """Sums by part and prompt: all that intervals need, however many pairs there are."""

    part: NDArray[np.intp]
    """Shape (m,), ascending."""
    pairs: NDArray[np.intp]
    sums: Floats
    """Shape (K, m): what agrees and what was compared, in turns."""

    @classmethod
    def of(cls, part: Index, prompt: Index, prompts: int, counted: Floats) -> "_Cells":
        keys, cell, pairs = np.unique(
            part * max(prompts, 1) + prompt, return_inverse=True, return_counts=True
        )
        sums = [np.bincount(cell.reshape(-1), row, minlength=len(keys)) for row in counted]
        return cls((keys // max(prompts, 1)).astype(np.intp), pairs, np.array(sums))

    def within(self, part: int) -> slice:
        low, high = np.searchsorted(self.part, [part, part + 1])
        return slice(int(low), int(high))

    def share(self, part: int, row: int, *, level: float, empty: str) -> Estimate:
        """The share of what agrees, row `row`, of what was compared, the row after it."""
        agreeing, compared = self.sums[row : row + 2, self.within(part)]
        n, prompts = round(float(compared.sum())), int(np.count_nonzero(compared))
        if n and (n < MIN_VOTES or prompts < MIN_PROMPTS):
            few = f"{TOO_FEW}: {n} on {prompts} prompts, not {MIN_VOTES} on {MIN_PROMPTS}"
            return Estimate(None, None, None, n, few)
        return clustered_proportion(
            agreeing, np.arange(len(agreeing)), size=compared, level=level, empty=empty
        ).estimate


def _stratum(cells: _Cells, place: int, *, level: float) -> StratumFigures:
    rows = cells.within(place)
    return StratumFigures(
        pairs=int(cells.pairs[rows].sum()),
        prompts=rows.stop - rows.start,
        s1=cells.share(place, 0, level=level, empty=NO_LABELLED_VOTES),
        s2=cells.share(place, 2, level=level, empty=NONE_DECIDED),
        humans_s1=cells.share(place, 4, level=level, empty=NO_OVERLAP),
        humans_s2=cells.share(place, 6, level=level, empty=NO_DECIDED_OVERLAP),
    )


def _against_label(label: Codes, tally: Floats) -> Credit:
    agreeing = tally[np.arange(len(label)), label.astype(np.intp) + 1]
    is_decided = label != 0
    return Credit(
        s1_agreeing=agreeing,
        s1_possible=tally.sum(axis=1),
        s2_agreeing=agreeing * is_decided,
        s2_possible=(tally[:, 0] + tally[:, 2]) * is_decided,
    )


def _stacked(credit: Credit, *, rows: NDArray[np.integer] | Mask | None) -> Floats:
    table = np.array(
        [credit.s1_agreeing, credit.s1_possible, credit.s2_agreeing, credit.s2_possible]
    )
    return table if rows is None else table[:, rows]


def _capped(
    parting: Stratification, rows: Index, *, weight: Floats, most: int
) -> tuple[NDArray[np.intp], list[str]]:
    """Return the place of each row's part, -1 for none, and the names of the places."""
    given = parting.codes[rows]
    named = np.array([place for place, name in enumerate(parting.names) if name is not None], int)
    votes = np.bincount(given, weight, minlength=len(parting.names))
    kept = np.sort(named[np.argsort(-votes[named], kind="stable")[:most]])
    place = np.full(len(parting.names), -1)
    if len(kept) < len(named):
        place[named] = len(kept)
    place[kept] = np.arange(len(kept))
    names = [str(parting.names[code]) for code in kept]
    if len(kept) < len(named):
        names.append(f"({len(named) - len(kept)} others)")
    return place[given], names
