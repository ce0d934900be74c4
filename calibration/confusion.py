"""What humans said where a judge said what: the confusion matrix of labels and votes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.agreement import Codes, Mask, VoteColumns

LABELS = ("first", "tie", "second", "inconsistent", "no label")
VOTES = ("first", "tie", "second", "both bad")

_INCONSISTENT, _NO_LABEL, _BOTH_BAD = 3, 4, 3


@dataclass(frozen=True)
class Confusion:
    """Votes by what the label is (row) and what the human said (column)."""

    rows: tuple[str, ...]
    """`first`, `tie`, `second`, `inconsistent`, `no label`."""
    columns: tuple[str, ...]
    """`first`, `tie`, `second`, `both bad`."""
    counts: NDArray[np.intp]


def confusion(
    label: Codes, votes: VoteColumns, *, has_label: Mask, inconsistent: Mask
) -> Confusion:
    """Return how many votes said what on pairs with each label; every vote is in one cell.

    `label`, `has_label` and `inconsistent` have shape (n_pairs,).
    """
    said = np.where(inconsistent, _INCONSISTENT, 1 - label.astype(np.intp))
    said = np.where(has_label, said, _NO_LABEL)
    heard = 1 - votes.choice.astype(np.intp)
    if votes.both_bad is not None:
        heard = np.where(votes.both_bad, _BOTH_BAD, heard)
    cells = said[votes.pair] * len(VOTES) + heard
    counts = np.bincount(cells, minlength=len(LABELS) * len(VOTES))
    return Confusion(LABELS, VOTES, counts.reshape(len(LABELS), len(VOTES)))
