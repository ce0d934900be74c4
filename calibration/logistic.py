"""Logistic regression of shares, with errors clustered by prompt.

A response is any share in [0, 1]: a verdict, half for a tie, or a mean of votes (fractional
response, Papke and Wooldridge 1996). Whether an estimate exists at all is checked, never assumed:
regressors that predict the verdicts without exception have no finite coefficients.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from calibration.intervals import (
    NOTHING,
    ONE_CLUSTER,
    Estimate,
    Floats,
    cluster_codes,
    t_quantile,
)

COLLINEAR = "the regressors repeat each other, so their effects cannot be told apart"
SEPARATED = (
    "a mix of the regressors predicts the verdicts without exception, so no finite effect fits"
)
ONE_CARRIER = "one prompt alone tells this effect; an interval needs at least two"

_RANK_TOLERANCE = 1e-9
"""Of the Gram matrix of columns of length 1: the smallest eigenvalue taken for full rank."""
_SEPARATION_TOLERANCE = 1e-7
"""Variance of the verdicts along some direction of the regressors, at most 1/4: below it the
rows that tell that direction are predicted for certain."""
_STEP_TOLERANCE = 1e-8
"""Change of any linear predictor, in logits, at which Newton's method has arrived."""
_MAX_STEPS = 60
_FEWEST_CARRIERS = 1.5


@dataclass(frozen=True)
class LogisticFit:
    """Coefficients in logits with their clustered covariance."""

    coefficients: Floats
    """Shape (k,)."""
    covariance: Floats | None
    """Shape (k, k); None where there are too few prompts for one, as `why` says."""
    carriers: Floats
    """Shape (k,): prompts that carry each regressor, as the number of equal ones worth as much."""
    n: int
    n_clusters: int
    why: str | None = None


@dataclass(frozen=True)
class NoFit:
    """Why there are no coefficients, in words."""

    why: str


@dataclass(frozen=True)
class _Solution:
    """Coefficients and information on the orthonormal basis of the regressors."""

    coefficients: Floats
    information: Floats
    residuals: Floats


def fit_logistic(design: ArrayLike, response: ArrayLike, cluster: ArrayLike) -> LogisticFit | NoFit:
    """Return the maximum-likelihood fit of logit E[response] = design @ coefficients.

    `design` has shape (n, k), an intercept being a column of ones; `response` (n,) lies in [0, 1];
    `cluster` (n,). The covariance is the sandwich summed by cluster with the small-sample factor
    G / (G - 1) * (n - 1) / (n - k), CR1. `NoFit` where the regressors are collinear or separate
    the responses (Albert and Anderson 1984).
    """
    x, y = np.asarray(design, dtype=np.float64), np.asarray(response, dtype=np.float64)
    codes, groups = cluster_codes(cluster)
    if not len(x):
        return NoFit(NOTHING)
    norms = np.sqrt(np.einsum("ij,ij->j", x, x))
    if not np.all(norms > 0):
        return NoFit(COLLINEAR)
    gram = (x / norms).T @ (x / norms)
    if np.linalg.eigvalsh(gram)[0] < _RANK_TOLERANCE:
        return NoFit(COLLINEAR)
    # On an orthonormal basis the information is at most 1/4 in every direction, so what is small
    # there is small whatever the units of the regressors.
    to_basis = np.linalg.inv(np.linalg.cholesky(gram)).T / norms[:, None]
    basis = x @ to_basis
    solution = _newton(basis, y)
    if solution is None:
        return NoFit(SEPARATED)
    k = x.shape[1]
    why = _why_no_covariance(groups, k)
    covariance = None
    if why is None:
        covariance = to_basis @ _sandwich(basis, solution, codes, groups) @ to_basis.T
    return LogisticFit(
        coefficients=to_basis @ solution.coefficients,
        covariance=covariance,
        carriers=_carriers(x, codes, groups),
        n=len(x),
        n_clusters=groups,
        why=why,
    )


def average_effect(
    fit: LogisticFit,
    design: ArrayLike,
    *,
    column: int,
    to: float,
    from_: float,
    level: float = 0.95,
) -> Estimate:
    """Return the mean change of the predicted share when a regressor goes from a value to another.

    All else is as in `design`, shape (n, k): the average marginal effect as a discrete change. The
    standard error is by the delta method with the rows held fixed; the interval lies in [-1, 1].
    """
    x = np.asarray(design, dtype=np.float64)
    own = fit.coefficients[column]
    others = x @ fit.coefficients - x[:, column] * own
    p, q = share_of(others + to * own), share_of(others + from_ * own)
    value = float(np.mean(p - q))
    above, below = p * (1 - p), q * (1 - q)
    gradient = ((above - below) @ x) / len(x)
    gradient[column] = float(np.mean(above * to - below * from_))
    half, why = half_width(fit, gradient, column=column, level=level)
    if half is None:
        return Estimate(value, None, None, fit.n, why)
    return Estimate(value, max(-1.0, value - half), min(1.0, value + half), fit.n)


def half_width(
    fit: LogisticFit, gradient: Floats, *, column: int, level: float
) -> tuple[float | None, str | None]:
    """Return half the width of a figure's interval, or why there is none; `gradient` is (k,).

    The t quantile has the degrees of the prompts that carry `column`: with 2 of 40 prompts to tell
    an effect, simulated intervals of nominally 95 % held it 64 % of the time by t(39), 96 % by
    t(1).
    """
    if fit.covariance is None:
        return None, fit.why
    carriers = float(fit.carriers[column])
    if carriers < _FEWEST_CARRIERS:
        return None, ONE_CARRIER
    variance = float(gradient @ fit.covariance @ gradient)
    quantile = t_quantile(level, max(1, round(carriers) - 1))
    return quantile * float(np.sqrt(max(0.0, variance))), None


def share_of(logits: Floats) -> Floats:
    """Return the shares, in [0, 1], that logits mean."""
    # The same as 1 / (1 + exp(-x)), which would overflow.
    return np.asarray(0.5 + 0.5 * np.tanh(logits / 2), dtype=np.float64)


def _newton(basis: Floats, y: Floats) -> _Solution | None:
    """Newton's method from 0, halving steps that lose likelihood; None where it diverges."""
    coefficients = np.zeros(basis.shape[1])
    logits = np.zeros(len(y))
    reached = _log_likelihood(logits, y)
    for _ in range(_MAX_STEPS):
        p = share_of(logits)
        information = basis.T @ (basis * (p * (1 - p))[:, None])
        if np.linalg.eigvalsh(information)[0] < _SEPARATION_TOLERANCE:
            return None
        residuals = y - p
        step = np.linalg.solve(information, basis.T @ residuals)
        change = basis @ step
        if np.max(np.abs(change)) < _STEP_TOLERANCE:
            return _Solution(coefficients, information, residuals)
        ahead = _log_likelihood(logits + change, y)
        # The likelihood is concave, so a shorter step of the same direction always gains.
        while ahead < reached - 1e-9 * abs(reached):
            step, change = step / 2, change / 2
            ahead = _log_likelihood(logits + change, y)
        coefficients, logits, reached = coefficients + step, logits + change, ahead
    return None


def _log_likelihood(logits: Floats, y: Floats) -> float:
    return float(np.sum(y * logits - np.logaddexp(0, logits)))


def _why_no_covariance(groups: int, k: int) -> str | None:
    if groups == 1:
        return ONE_CLUSTER
    if groups <= k:
        return f"{groups} prompts for {k} coefficients; an interval needs at least {k + 1}"
    return None


def _carriers(x: Floats, codes: ArrayLike, groups: int) -> Floats:
    """Kish's effective number of clusters, by each regressor's sum of squares."""
    sums = [np.bincount(codes, weights=column**2, minlength=groups) for column in x.T]
    return np.array([weight.sum() ** 2 / (weight @ weight) for weight in sums])


def _sandwich(basis: Floats, solution: _Solution, codes: ArrayLike, groups: int) -> Floats:
    n, k = basis.shape
    scores = np.stack(
        [
            np.bincount(codes, weights=column * solution.residuals, minlength=groups)
            for column in basis.T
        ]
    )
    bread = np.linalg.inv(solution.information)
    factor = groups / (groups - 1) * (n - 1) / (n - k)
    return np.asarray(factor * bread @ (scores @ scores.T) @ bread, dtype=np.float64)
