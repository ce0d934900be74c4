"""Scores of stated probabilities against what happened.

Everywhere `p` are probabilities, shape (n,), and `y` the shares of `size` outcomes, by default one
each, that came true. Choose by log-loss or Brier, which honest probabilities minimise; the
calibration error depends on its bins and is a picture only.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.intervals import Estimate, Floats

BINS = 10
_CERTAIN = 1e-6
"""A stated 0 or 1 counts as this far from it, so that one mistake is not infinitely bad."""


@dataclass(frozen=True)
class Isotonic:
    """The best forecasts that rise with the stated ones: blocks of one value each, ascending."""

    stated: Floats
    """Shape (blocks,): mean stated probability."""
    observed: Floats
    """Shape (blocks,): share that came true."""
    size: Floats
    """Shape (blocks,): outcomes."""
    fitted: Floats
    """Shape (n,): `observed` of the block of each row."""


@dataclass(frozen=True)
class Corp:
    """Brier = miscalibration - discrimination + uncertainty, exactly and without bins."""

    miscalibration: float
    """What recalibration would gain."""
    discrimination: float
    """What the recalibrated forecasts gain over always stating the overall share."""
    uncertainty: float
    """Brier score of always stating the overall share."""


def brier_score(p: ArrayLike, y: ArrayLike, *, size: ArrayLike | None = None) -> float | None:
    """Return the mean squared error of the probabilities, in [0, 1]; None of nothing."""
    p_, y_, m = _columns(p, y, size)
    return _mean(y_ * (1 - p_) ** 2 + (1 - y_) * p_**2, m)


def log_losses(p: ArrayLike, y: ArrayLike) -> Floats:
    """Return the log-loss of each row in nats, shape (n,); at most 13.8."""
    stated = np.clip(np.asarray(p, dtype=np.float64), _CERTAIN, 1 - _CERTAIN)
    came_true = np.asarray(y, dtype=np.float64)
    return np.asarray(-(came_true * np.log(stated) + (1 - came_true) * np.log1p(-stated)))


def log_loss(p: ArrayLike, y: ArrayLike, *, size: ArrayLike | None = None) -> float | None:
    """Return the mean log-loss in nats; None of nothing."""
    p_, y_, m = _columns(p, y, size)
    return _mean(log_losses(p_, y_), m)


def logits(p: ArrayLike) -> Floats:
    """Return the log-odds of probabilities, finite for 0 and 1 too."""
    stated = np.clip(np.asarray(p, dtype=np.float64), _CERTAIN, 1 - _CERTAIN)
    return np.asarray(np.log(stated) - np.log1p(-stated))


def bin_of(p: ArrayLike, *, bins: int = BINS) -> NDArray[np.intp]:
    """Return the bin of each probability: equal widths, closed on the right, 0 in the first."""
    inner = np.arange(1, bins) / bins
    return np.searchsorted(inner, np.asarray(p, dtype=np.float64), side="left")


def calibration_error(
    p: ArrayLike, y: ArrayLike, *, size: ArrayLike | None = None, bins: int = BINS
) -> float | None:
    """Return the expected calibration error (ECE) over the bins of `bin_of`; None of nothing.

    The mean over outcomes of |share that came true - mean stated| of their bin.
    """
    p_, y_, m = _columns(p, y, size)
    if not m.sum():
        return None
    gaps = np.bincount(bin_of(p_, bins=bins), m * (y_ - p_), minlength=bins)
    return float(np.abs(gaps).sum() / m.sum())


def calibration_error_if_perfect(
    p: ArrayLike,
    *,
    size: ArrayLike | None = None,
    design_effect: float = 1.0,
    bins: int = BINS,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Return the ECE that outcomes drawn with the stated probabilities would show.

    The mean of the simulation, and where `level` of it lies. Each bin is drawn at its mean
    probability; outcomes that fail together count as n / `design_effect`.
    """
    p_, _, m = _columns(p, np.zeros(np.size(p)), size)
    n = round(float(m.sum()))
    if not n:
        return Estimate(None, None, None, 0, "nothing to count")
    place = bin_of(p_, bins=bins)
    count, stated = np.bincount(place, m), np.bincount(place, m * p_)
    stated, count = stated[count > 0], count[count > 0]
    mean = np.clip(stated / count, 0, 1)
    worth = np.maximum(1, np.rint(count / max(design_effect, 1.0))).astype(np.int64)
    drawn = np.random.default_rng(seed).binomial(worth, mean, size=(draws, len(mean)))
    errors = np.abs(drawn / worth - mean) @ (count / n)
    low, high = np.quantile(errors, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(errors.mean()), float(low), float(high), n)


def isotonic(p: ArrayLike, y: ArrayLike, *, size: ArrayLike | None = None) -> Isotonic:
    """Return the isotonic regression of outcomes on probabilities, by pooling adjacent violators.

    Barlow et al. 1972; rows of size 0 take the value of the block they fall in.
    """
    p_, y_, m = _columns(p, y, size)
    stated, row = np.unique(p_, return_inverse=True)
    row = row.reshape(-1)
    sizes = np.bincount(row, m, minlength=len(stated))
    trues = np.bincount(row, m * y_, minlength=len(stated))
    lengths = _pooled(trues.tolist(), sizes.tolist())
    block = np.repeat(np.arange(len(lengths)), lengths)
    count = np.bincount(block, sizes, minlength=len(lengths)).astype(np.float64)
    count_or_1 = np.where(count > 0, count, 1)
    observed = np.bincount(block, trues, minlength=len(lengths)) / count_or_1
    return Isotonic(
        stated=np.bincount(block, sizes * stated, minlength=len(lengths)) / count_or_1,
        observed=observed,
        size=count,
        fitted=observed[block[row]],
    )


def corp(p: ArrayLike, y: ArrayLike, *, size: ArrayLike | None = None) -> Corp | None:
    """Return the CORP decomposition of the Brier score; None of nothing.

    Dimitriadis, Gneiting and Jordan 2021, PNAS 118 (8): recalibrated by isotonic regression.
    """
    p_, y_, m = _columns(p, y, size)
    score = brier_score(p_, y_, size=m)
    recalibrated = brier_score(isotonic(p_, y_, size=m).fitted, y_, size=m)
    share = _mean(y_, m)
    if score is None or recalibrated is None or share is None:
        return None
    uncertainty = share * (1 - share)
    return Corp(score - recalibrated, uncertainty - recalibrated, uncertainty)


def _pooled(trues: list[float], sizes: list[float]) -> list[int]:
    """Return how many neighbours each block holds once shares never fall."""
    blocks: list[tuple[float, float, int]] = []
    for true, size in zip(trues, sizes, strict=True):
        length = 1
        # Compared crosswise, so that a share of nothing needs no value of its own.
        while blocks and blocks[-1][0] * size >= true * blocks[-1][1]:
            before = blocks.pop()
            true, size, length = true + before[0], size + before[1], length + before[2]
        blocks.append((true, size, length))
    return [length for _, _, length in blocks]


def _columns(p: ArrayLike, y: ArrayLike, size: ArrayLike | None) -> tuple[Floats, Floats, Floats]:
    p_ = np.asarray(p, dtype=np.float64)
    m = np.ones(len(p_)) if size is None else np.asarray(size, dtype=np.float64)
    return p_, np.asarray(y, dtype=np.float64), m


def _mean(values: Floats, size: Floats) -> float | None:
    total = float(size.sum())
    return float(values @ size) / total if total else None
