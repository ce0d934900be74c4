"""Probabilities put right: temperature, Platt scaling, and the test of whether they need it.

`p`, `y` and `size` are those of `calibration.scoring`. Fit on some prompts and evaluate on others:
a fit looks better on what it was fitted to.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from calibration.intervals import Floats
from calibration.scoring import log_losses, logits

_STEPS, _TOLERANCE, _STEEPEST = 50, 1e-9, 1e3


@dataclass(frozen=True)
class Platt:
    """Recalibrated log-odds = slope * stated log-odds + intercept (Platt 1999)."""

    slope: float
    """Below 1: over-confident."""
    intercept: float


def fit_temperature(p: ArrayLike, y: ArrayLike, *, size: ArrayLike | None = None) -> float | None:
    """Return the temperature of least log-loss (Guo et al. 2017, arXiv 1706.04599).

    Above 1 the probabilities are too extreme. None where no temperature is best: every stated
    1/2, every outcome as the bolder side says, or outcomes no better than the opposite of it.
    """
    x = logits(p)
    fit = _logistic(x[:, None], np.asarray(y, dtype=np.float64), _weights(x, size))
    if fit is None or fit[0] < 1 / _STEEPEST:
        return None
    return float(1 / fit[0])


def tempered(p: ArrayLike, temperature: float) -> Floats:
    """Return the probabilities with their log-odds divided by the temperature, shape (n,)."""
    from scipy.special import expit

    return np.asarray(expit(logits(p) / temperature), dtype=np.float64)


def fit_platt(p: ArrayLike, y: ArrayLike, *, size: ArrayLike | None = None) -> Platt | None:
    """Return the slope and intercept of least log-loss; None where there is no single best."""
    x = logits(p)
    design = np.stack([x, np.ones(len(x))], axis=1)
    fit = _logistic(design, np.asarray(y, dtype=np.float64), _weights(x, size))
    return None if fit is None else Platt(float(fit[0]), float(fit[1]))


def calibration_ratio(
    p: ArrayLike, y: ArrayLike, fit: Platt, *, size: ArrayLike | None = None
) -> float:
    """Return twice the log-likelihood that a Platt fit gains over leaving `p` as it is.

    Chi-squared with 2 degrees of freedom where `p` is calibrated and outcomes are independent
    (Cox 1958).
    """
    from scipy.special import expit

    x = logits(p)
    better = np.asarray(expit(fit.slope * x + fit.intercept), dtype=np.float64)
    gain = (log_losses(p, y) - log_losses(better, y)) @ _weights(x, size)
    return max(0.0, 2 * float(gain))


def _weights(x: Floats, size: ArrayLike | None) -> Floats:
    return np.ones(len(x)) if size is None else np.asarray(size, dtype=np.float64)


def _logistic(design: Floats, y: Floats, weights: Floats) -> Floats | None:
    """The coefficients (k,) of least log-loss by Newton's method; None where it finds none."""
    from scipy.special import expit

    total = weights.sum()
    beta = np.zeros(design.shape[1])
    loss = np.inf
    for _ in range(_STEPS):
        mean = np.asarray(expit(design @ beta), dtype=np.float64)
        curvature = (design.T * (weights * mean * (1 - mean))) @ design
        if not total or np.linalg.cond(curvature / total) > 1e10:
            return None
        step = np.linalg.solve(curvature, design.T @ (weights * (y - mean)))
        # Newton overshoots where the data are nearly separated; halved steps always go down.
        now = _loss(design, y, weights, beta + step)
        while now > loss + 1e-12 * abs(loss) and np.max(np.abs(step)) > _TOLERANCE:
            step /= 2
            now = _loss(design, y, weights, beta + step)
        beta, loss = beta + step, now
        if np.max(np.abs(beta)) > _STEEPEST:
            return None
        if np.max(np.abs(step)) < _TOLERANCE:
            return np.asarray(beta, dtype=np.float64)
    return None


def _loss(design: Floats, y: Floats, weights: Floats, beta: Floats) -> float:
    score = design @ beta
    return float((np.logaddexp(0, score) - y * score) @ weights)
