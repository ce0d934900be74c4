"""Agreement on parts of the pairs: one question, asked of every kind of pair apart."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.intervals import Estimate


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
