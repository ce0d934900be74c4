"""Whether a judge's verdicts fit together. Needs no human vote; reliability, not validity."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.agreement import Codes, Index, Mask
from calibration.intervals import Estimate, Floats, cluster_codes, clustered_proportion

NO_TRIPLE = "no three answers to one prompt are all decided against each other"
NO_TOURNAMENT = "no three answers or more to one prompt make a complete, decided tournament"

Places = NDArray[np.intp]


@dataclass(frozen=True)
class Coherence:
    """Whether three answers to one prompt are ever preferred in a circle."""

    cycles: Estimate
    """Share of triples with three decided verdicts that form a circle, n counts triples.

    A judge that flips coins reaches 1/4.
    """
    zeta: Estimate
    """Kendall's coefficient of consistence, from 0 (as many circles as can be) to 1 (none).

    Mean over tournaments, n counts them: three or more answers that are all decided against each
    other and compared with no further answer (Kendall and Babington Smith 1940).
    """


@dataclass(frozen=True)
class _Comparisons:
    """Answers compared with each other, each two once, by place."""

    one: Places
    other: Places
    net: NDArray[np.number]
    """Wins of `one` minus wins of `other`."""


@dataclass(frozen=True)
class _Edges:
    """Decided comparisons sorted by the ranks of both ends, the lower rank first."""

    low: Places
    high: Places
    low_wins: Mask
    answer: Places
    """Place of the lower end."""


def coherence(
    label: Codes,
    has_label: Mask,
    *,
    first_answer: Index,
    second_answer: Index,
    cluster: Index,
    level: float = 0.95,
) -> Coherence:
    """Return how often a judge's labels contradict each other; all columns have shape (n_pairs,).

    Answers are codes, equal where the texts are; an inconsistent label is passed as a tie. Answers
    compared more than once are decided by the majority of their decided labels. A pair of
    identical answers says nothing.
    """
    apart = np.asarray(first_answer) != np.asarray(second_answer)
    codes, groups = cluster_codes(np.asarray(cluster)[apart])
    place, cluster_of = _places(codes, first_answer[apart], second_answer[apart])
    found = _comparisons(place, np.where(has_label[apart], label[apart], 0), len(cluster_of))
    triples, cycles = _count_triples(_decided(found, len(cluster_of)), len(cluster_of))
    tournament, is_complete = _tournaments(found, len(cluster_of))
    answers, circles = (
        np.bincount(tournament, weights=counts, minlength=len(cluster_of))[is_complete]
        for counts in (np.ones(len(cluster_of)), cycles)
    )
    return Coherence(
        cycles=clustered_proportion(
            np.bincount(cluster_of, weights=cycles, minlength=groups),
            np.arange(groups),
            size=np.bincount(cluster_of, weights=triples, minlength=groups),
            level=level,
            empty=NO_TRIPLE,
        ).estimate,
        zeta=clustered_proportion(
            _zeta(answers, circles), cluster_of[is_complete], level=level, empty=NO_TOURNAMENT
        ).estimate,
    )


def _places(codes: Places, first: Index, second: Index) -> tuple[Places, Places]:
    """Number the answers of all prompts from 0; return places (2, n) and each answer's cluster.

    One text under two prompts is two answers.
    """
    texts, text = np.unique(np.concatenate([first, second]), return_inverse=True)
    answer = np.concatenate([codes, codes]) * max(len(texts), 1) + text
    answers, place = np.unique(answer, return_inverse=True)
    return place.reshape(2, -1), answers // max(len(texts), 1)


def _comparisons(place: Places, direction: Codes, size: int) -> _Comparisons:
    one, other = place.min(axis=0), place.max(axis=0)
    keys, at = np.unique(one * size + other, return_inverse=True)
    net = np.bincount(
        at, weights=np.where(place[0] == one, direction, -direction), minlength=len(keys)
    )
    return _Comparisons(keys // max(size, 1), keys % max(size, 1), net)


def _decided(found: _Comparisons, size: int) -> _Edges:
    """Return the decided comparisons; the answers of the fewest have the lowest ranks."""
    is_decided = found.net != 0
    one, other = found.one[is_decided], found.other[is_decided]
    degree = np.bincount(np.concatenate([one, other]), minlength=size)
    by_rank = np.argsort(degree, kind="stable")
    rank = np.empty(size, np.intp)
    rank[by_rank] = np.arange(size)
    low, high = np.minimum(rank[one], rank[other]), np.maximum(rank[one], rank[other])
    low_wins = (found.net[is_decided] > 0) ^ (rank[one] > rank[other])
    order = np.lexsort((high, low))
    return _Edges(low[order], high[order], low_wins[order], by_rank[low[order]])


def _tournaments(found: _Comparisons, size: int) -> tuple[Places, Mask]:
    """Return each answer's tournament, named by a place, and which names are of complete ones.

    In a complete tournament every answer sees the same lowest place, so one look at the
    neighbours is enough: where it is not, some comparison leads out or is missing.
    """
    tournament = np.arange(size)
    np.minimum.at(tournament, found.one, found.other)
    np.minimum.at(tournament, found.other, found.one)
    one, other = tournament[found.one], tournament[found.other]
    is_open = np.zeros(size, bool)
    is_open[one[one != other]] = True
    is_open[other[one != other]] = True
    decided = np.bincount(one[(one == other) & (found.net != 0)], minlength=size)
    answers = np.bincount(tournament, minlength=size)
    return tournament, ~is_open & (answers >= 3) & (decided == answers * (answers - 1) // 2)


def _count_triples(edges: _Edges, size: int) -> tuple[Places, Places]:
    """Return the decided triples, and those that form a circle, of each answer as the lowest."""
    triples, cycles = np.zeros(size, np.intp), np.zeros(size, np.intp)
    for one, other, closing in _triples(edges):
        # The lowest answer has one win and one loss, and loses to whom its victim beats.
        is_cycle = edges.low_wins[one] != edges.low_wins[other]
        is_cycle &= edges.low_wins[one] == edges.low_wins[closing]
        triples += np.bincount(edges.answer[one], minlength=size)
        cycles += np.bincount(edges.answer[one[is_cycle]], minlength=size)
    return triples, cycles


def _triples(edges: _Edges) -> Iterator[tuple[Places, Places, Places]]:
    """Yield the edges u-v, u-w and v-w, u < v < w, of every triple, some at a time.

    An answer is the lower end of at most sqrt(2 m) of m edges, for the higher end of each has as
    many edges or more: the work is at most m^1.5, however unequal the answers are.
    """
    size = int(edges.high.max(initial=0)) + 1
    keys = edges.low * size + edges.high
    one = np.arange(len(keys))
    for distance in range(1, len(keys)):
        one = one[: np.searchsorted(one, len(keys) - distance)]
        one = one[edges.low[one] == edges.low[one + distance]]
        if not len(one):
            return
        wanted = edges.high[one] * size + edges.high[one + distance]
        closing = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        found = keys[closing] == wanted
        yield one[found], one[found] + distance, closing[found]


def _zeta(answers: NDArray[np.number], cycles: NDArray[np.number]) -> Floats:
    most = np.where(answers % 2 == 0, answers**3 - 4 * answers, answers**3 - answers) / 24
    return np.asarray(1 - cycles / most, dtype=np.float64)
