"""Win rates as they would be if both systems answered at the same length."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from calibration.intervals import Estimate, clustered_proportion
from calibration.logistic import NoFit, fit_logistic, half_width, share_of


@dataclass(frozen=True)
class LengthControlledWinRate:
    """A system's win rate over another, as counted and at equal lengths."""

    raw: Estimate
    controlled: Estimate
    theta: float | None
    """Logit of the win rate at equal lengths; None where the model has no fit."""
    phi: float | None
    """Logits gained by being much longer; above 0 the longer answer is preferred."""


def length_controlled_win_rate(
    wins: ArrayLike, length_difference: ArrayLike, cluster: ArrayLike, *, level: float = 0.95
) -> LengthControlledWinRate:
    """Return the win rate that logit P(win) = theta + phi * tanh(difference / sd) predicts at 0.

    `wins` (n,) lie in [0, 1], half for a tie; `length_difference` (n,) is the system's length less
    that of the other. The smallest form of length-controlled AlpacaEval (Dubois et al. 2024, arXiv
    2404.04475), fitted without penalty, without its difficulties of prompts and its added
    baselines: it is not the figure of that leaderboard.
    """
    y = np.asarray(wins, dtype=np.float64)
    gap = np.asarray(length_difference, dtype=np.float64)
    raw = clustered_proportion(y, cluster, level=level).estimate
    spread = float(np.std(gap, ddof=1)) if len(gap) > 1 else 0.0
    if raw.value is None or spread == 0:
        why = raw.why if raw.value is None else "all lengths differ by the same"
        return LengthControlledWinRate(raw, Estimate(None, None, None, raw.n, why), None, None)
    design = np.column_stack([np.ones(len(y)), np.tanh(gap / spread)])
    fit = fit_logistic(design, y, cluster)
    if isinstance(fit, NoFit):
        return LengthControlledWinRate(raw, Estimate(None, None, None, raw.n, fit.why), None, None)
    theta, phi = (float(coefficient) for coefficient in fit.coefficients)
    half, why = half_width(fit, np.array([1.0, 0.0]), column=0, level=level)
    low, value, high = (
        None if by is None else float(share_of(np.array(theta + by)))
        for by in (None if half is None else -half, 0.0, half)
    )
    return LengthControlledWinRate(raw, Estimate(value, low, high, raw.n, why), theta, phi)
