"""Couples of votes: every two votes on one pair by two annotators, as confusion matrices."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.agreement import NO_OVERLAP, Index, VoteColumns
from calibration.chance import clustered_kappa
from calibration.intervals import Estimate, Floats, cluster_codes

_CELLS = 9


@dataclass(frozen=True)
class CoupleTables:
    """Couples by cluster, those without any left out; each is half entered either way round."""

    tables: Floats
    """Shape (G, 3, 3), symmetric; the sum of a table is its number of couples."""
    asymmetry: float
    """What symmetric tables overstate chance by, in [0, 1]: annotators have habits of their own."""


def human_kappa(
    votes: VoteColumns,
    cluster: Index,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Return Cohen's kappa between humans, pooled over all pairs of annotators.

    `cluster` has shape (n_pairs,); n counts couples of votes. Which of two annotators is the row
    of the table is arbitrary, so chance is its mean over all ways to decide that for each two
    annotators: with S the summed marginals of both sides and d the difference of the marginals of
    one pair of annotators, (|S|^2 - sum |d|^2) / 4 N^2. With two annotators this is Cohen (1960);
    with many it nears Scott's pi (1955). The interval takes the sum of |d|^2 / N^2 as it is.
    """
    couples = couple_tables(votes, cluster)
    return clustered_kappa(
        couples.tables,
        asymmetry=couples.asymmetry,
        level=level,
        draws=draws,
        seed=seed,
        empty=NO_OVERLAP,
    )


def couple_tables(votes: VoteColumns, cluster: Index) -> CoupleTables:
    """Return the couples of votes on one pair by two annotators, counted by cluster.

    `cluster` has shape (n_pairs,). Two votes of one annotator on one pair are no couple.
    """
    codes, groups = cluster_codes(cluster)
    annotator, annotators = cluster_codes(votes.annotator)
    # Within a pair by annotator: of every couple, the annotator with the lower code comes first.
    by_pair = np.lexsort((annotator, votes.pair))
    pair, annotator = votes.pair[by_pair], annotator[by_pair]
    choice = votes.choice[by_pair].astype(np.int64) + 1
    tables = np.zeros(groups * _CELLS)
    # Counted distance by distance, so that memory stays that of the votes, not of the couples.
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for one, other in _couples(pair, annotator):
        cell = choice[one] * 3 + choice[other]
        tables += np.bincount(codes[pair[one]] * _CELLS + cell, minlength=groups * _CELLS)
        who = annotator[one].astype(np.int64) * annotators + annotator[other]
        keys, counts = np.unique(who * _CELLS + cell, return_counts=True)
        parts.append((keys, counts))
    counted = tables.reshape(groups, 3, 3)
    counted = counted[counted.sum(axis=(1, 2)) > 0]
    return CoupleTables((counted + counted.transpose(0, 2, 1)) / 2, _asymmetry(parts))


def _couples(pair: Index, annotator: Index) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield the rows of both votes of every couple, some at a time; rows are sorted by pair."""
    one = np.arange(len(pair))
    for distance in range(1, len(pair)):
        one = one[: np.searchsorted(one, len(pair) - distance)]
        one = one[pair[one] == pair[one + distance]]
        if not len(one):
            return
        apart = one[annotator[one] != annotator[one + distance]]
        yield apart, apart + distance


def _asymmetry(parts: list[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> float:
    """Return sum |d|^2 / 4 N^2 from the counts of (annotators, cell)."""
    total = sum(int(counts.sum()) for _, counts in parts)
    if not total:
        return 0.0
    keys = np.concatenate([keys for keys, _ in parts])
    counts = np.concatenate([counts for _, counts in parts])
    _, two = np.unique(keys // _CELLS, return_inverse=True)
    cell = keys % _CELLS
    own = np.bincount(two * 3 + cell // 3, counts, minlength=3 * (int(two.max()) + 1))
    others = np.bincount(two * 3 + cell % 3, counts, minlength=len(own))
    return float(np.sum((own - others) ** 2)) / (2 * total) ** 2
