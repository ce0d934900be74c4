"""Whether two judges hand out their labels differently, whoever is right. Needs no vote."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.agreement import Index
from calibration.intervals import Floats
from calibration.significance import (
    ChiSquareTest,
    bowker,
    homogeneity_form,
    sign_flip_test,
    stuart_maxwell,
)


@dataclass(frozen=True)
class LabelShift:
    """How labels changed from one judge to another, and whether their distribution moved."""

    table: NDArray[np.intp]
    """Shape (k, k): pairs by the first judge's label (row) and the second's (column)."""
    stuart_maxwell: ChiSquareTest
    """Whether the totals of the labels moved."""
    bowker: ChiSquareTest
    """Whether changes of one label into another go as often the one way as the other."""


def label_shift(
    first: Index, second: Index, cluster: Index, *, kinds: int, draws: int = 9999, seed: int = 0
) -> LabelShift:
    """Return whether the labels of two judges are distributed differently.

    `first`, `second` and `cluster` have shape (n,); labels are codes 0..kinds-1. Where prompts
    have several pairs, the p-values are those of exchanging the two judges on whole prompts.
    """
    cells = first.astype(np.intp) * kinds + second
    table = np.bincount(cells, minlength=kinds**2).reshape(kinds, kinds)
    moved, turned = stuart_maxwell(table), bowker(table)
    changed = first != second
    first, second, prompts = first[changed], second[changed], cluster[changed]
    if not len(first) or len(np.unique(cluster)) == len(cluster):
        return LabelShift(table, moved, turned)
    total_form, _ = homogeneity_form(table)
    flows, cell_form = _flows(first, second, table)
    totals = np.eye(kinds)[first] - np.eye(kinds)[second]

    def flipped(test: ChiSquareTest, columns: Floats, form: Floats) -> ChiSquareTest:
        found = sign_flip_test(
            columns, prompts, draws=draws, seed=seed,
            statistic=lambda sums: np.einsum("dk,kl,dl->d", sums, form, sums, optimize=True),
        )  # fmt: skip
        return replace(test, p=found.p, method=found.method)

    return LabelShift(table, flipped(moved, totals, total_form), flipped(turned, flows, cell_form))


def _flows(first: Index, second: Index, table: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Changes (n, couples) of one label into another, 1 or -1 by direction, and Bowker's form."""
    above = np.triu_indices(len(table), 1)
    place = np.zeros(table.shape, np.intp)
    place[above] = place.T[above] = np.arange(len(above[0]))
    flows = np.zeros((len(first), len(above[0])))
    flows[np.arange(len(first)), place[first, second]] = np.sign(second - first)
    both = (table + table.T)[above]
    return flows, np.diag(np.where(both > 0, 1 / np.maximum(both, 1), 0.0))
