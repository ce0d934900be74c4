"""The maximum of the likelihood of paired comparisons, with ties as half wins or of their own.

What `calibration.bradley_terry` rates systems by. Newton's method on tables of comparisons by
system, so that the work does not grow with their number.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.intervals import Floats
from calibration.logistic import share_of

_ARRIVED = 1e-10
"""Change of any strength, in logits, at which Newton's method has arrived."""
_MAX_STEPS = 200


@dataclass(frozen=True)
class Tally:
    """Comparisons by system: wins of row over column, and ties, shape (systems, systems) each."""

    wins: Floats
    ties: Floats
    prior: float = 0.0
    """Wins and losses of each system against an average one."""
    has_ties: bool = False
    """Whether ties are an outcome of their own, with a parameter behind the strengths."""

    @property
    def games(self) -> Floats:
        return np.asarray(self.wins + self.wins.T + self.ties, dtype=np.float64)


@dataclass(frozen=True)
class Chances:
    """Of row against column: points expected, their variance, and the chance of a tie."""

    points: Floats
    variance: Floats
    tie: Floats


def solve(tally: Tally) -> Floats | None:
    """Return the strengths, with ties log nu behind them, at the maximum; None where there is none.

    Newton's method from 0. The likelihood is concave, so halving a step that loses always gains in
    the end. Without a prior the strengths add up to 0.
    """
    parameters = np.zeros(len(tally.wins) + tally.has_ties)
    reached = _log_likelihood(tally, parameters)
    for _ in range(_MAX_STEPS):
        chances = chances_of(tally, parameters)
        information = information_of(tally, parameters, chances)
        gradient = _gradient(tally, parameters, chances)
        try:
            step = np.linalg.solve(information, gradient)
        except np.linalg.LinAlgError:
            return None
        if not np.isfinite(step).all():
            return None
        if np.max(np.abs(step)) < _ARRIVED:
            return parameters
        ahead = _log_likelihood(tally, parameters + step)
        while not ahead >= reached - 1e-9 * abs(reached):
            step = step / 2
            ahead = _log_likelihood(tally, parameters + step)
        parameters, reached = parameters + step, ahead
    return None


def chances_of(tally: Tally, parameters: Floats) -> Chances:
    """Return what the parameters expect of every comparison."""
    theta = parameters[: len(tally.wins)]
    apart = theta[:, None] - theta[None, :]
    if not tally.has_ties:
        points = share_of(apart)
        return Chances(points, points * (1 - points), np.zeros_like(points))
    logits = np.stack([apart / 2, np.full_like(apart, parameters[-1]), -apart / 2])
    weights = np.exp(logits - logits.max(axis=0))
    win, tie, _ = weights / weights.sum(axis=0)
    points = win + tie / 2
    return Chances(points, win + tie / 4 - points**2, tie)


def is_strongly_connected(beats: NDArray[np.bool_]) -> bool:
    """Return whether wins lead from every system to every other: then strengths are finite."""
    return bool(reached_from_first(beats).all() and reached_from_first(beats.T).all())


def reached_from_first(edges: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which systems can be reached from the first along edges from row to column."""
    reached = np.zeros(len(edges), dtype=np.bool_)
    reached[0] = True
    while True:
        further = reached | edges[reached].any(axis=0)
        if (further == reached).all():
            return reached
        reached = further


def information_of(tally: Tally, parameters: Floats, chances: Chances) -> Floats:
    """Return minus the second derivatives of the likelihood, shape (parameters, parameters)."""
    systems = len(tally.wins)
    weights = tally.games * chances.variance
    average = share_of(parameters[:systems])
    information = np.diag(weights.sum(axis=1) + 2 * tally.prior * average * (1 - average)) - weights
    if not tally.prior:
        # Only differences of strengths are told: this holds their mean at 0 and changes no other.
        information += 1 / systems
    if not tally.has_ties:
        return np.asarray(information, dtype=np.float64)
    whole = np.zeros((systems + 1, systems + 1))
    whole[:systems, :systems] = information
    across = tally.games * chances.tie * (0.5 - chances.points)
    whole[:systems, -1] = whole[-1, :systems] = across.sum(axis=1)
    whole[-1, -1] = float((tally.games * chances.tie * (1 - chances.tie)).sum()) / 2
    return whole


def _gradient(tally: Tally, parameters: Floats, chances: Chances) -> Floats:
    theta = parameters[: len(tally.wins)]
    surplus = tally.wins + tally.ties / 2 - tally.games * chances.points
    gradient = surplus.sum(axis=1) + tally.prior * (1 - 2 * share_of(theta))
    if not tally.has_ties:
        return np.asarray(gradient, dtype=np.float64)
    # Both halves of the tables tell the same ties.
    of_ties = float((tally.ties - tally.games * chances.tie).sum()) / 2
    return np.append(gradient, of_ties)


def _log_likelihood(tally: Tally, parameters: Floats) -> float:
    theta = parameters[: len(tally.wins)]
    apart = theta[:, None] - theta[None, :]
    if not tally.has_ties:
        kept = -tally.prior * float((np.logaddexp(0, theta) + np.logaddexp(0, -theta)).sum())
        return kept - float((tally.wins * np.logaddexp(0, -apart)).sum())
    tie = parameters[-1]
    whole = np.logaddexp(np.logaddexp(apart / 2, -apart / 2), tie)
    told = tally.wins * (apart / 2 - whole) + tally.ties / 2 * (tie - whole)
    return float(told.sum())
