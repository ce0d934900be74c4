"""Gold sets from populations whose truth is known, and what calibration makes of each.

Prompts succeed and fail together: each has a share of its own, drawn from a beta (or Dirichlet)
distribution with the mean and the intraclass correlation of the design.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtr, ndtri

from calibration.agreement import judge_agreement
from calibration.certificates import certify
from calibration.chance import clustered_kappa, cohens_kappa, confusion_sums
from calibration.compare import compare_judges
from calibration.intervals import (
    Estimate,
    Floats,
    clustered_difference,
    clustered_proportion,
    wilson,
)
from calibration.prediction_powered import ppi_mean

Codes = NDArray[np.int8]
Counts = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Design:
    """A gold set: so many prompts with so many items each."""

    prompts: int
    items: int
    share: float
    """Mean share of items that agree."""
    icc: float = 0.3
    """Intraclass correlation of the items of one prompt."""

    def __str__(self) -> str:
        return f"{self.prompts} x {self.items}, {self.share:g}"

    @property
    def cluster(self) -> Counts:
        return np.repeat(np.arange(self.prompts), self.items)

    @property
    def concentration(self) -> float:
        return 1 / self.icc - 1


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval, or a lower bound, of a figure whose truth is known."""

    low: float | None
    high: float | None
    """None for a bound."""
    truth: float

    @property
    def holds(self) -> bool:
        """Whether the truth lies inside; an absent interval claims nothing and holds."""
        above = self.low is None or self.low <= self.truth + 1e-12
        return above and (self.high is None or self.truth - 1e-12 <= self.high)

    @property
    def width(self) -> float:
        """From end to end; of a bound, how far it lies below the truth."""
        return (self.truth if self.high is None else self.high) - (self.low or 0.0)


def proportion(design: Design, rng: Generator) -> Interval:
    """A share of items, clustered."""
    hits = rng.random(design.prompts * design.items) < _shares(design, rng)
    return _of(clustered_proportion(hits, design.cluster).estimate, design.share)


def naive_proportion(design: Design, rng: Generator) -> Interval:
    """The same as if items were independent, which they are not: what must fail."""
    hits = rng.random(design.prompts * design.items) < _shares(design, rng)
    low, high = wilson(float(hits.mean()), len(hits), quantile=float(ndtri(0.975)))
    return Interval(low, high, design.share)


def s1_of_several_votes(design: Design, rng: Generator) -> Interval:
    """S1 over one to three votes on each pair; votes on one pair go together, too."""
    labels, votes = _judged(design, rng)
    estimate = judge_agreement(labels, votes, cluster=design.cluster).s1.micro
    return _of(estimate, design.share)


def macro_s1_of_several_votes(design: Design, rng: Generator) -> Interval:
    """The same over pairs."""
    labels, votes = _judged(design, rng)
    estimate = judge_agreement(labels, votes, cluster=design.cluster).s1.macro
    return _of(estimate, design.share)


def kappa(design: Design, rng: Generator) -> Interval:
    """Cohen's kappa over votes, from resampled prompts."""
    labels, votes = _judged(design, rng)
    rows, choices = np.nonzero(votes)
    times = votes[rows, choices].astype(np.intp)
    tables = confusion_sums(
        np.repeat(labels[rows] + 1, times),
        np.repeat(choices, times),
        np.repeat(design.cluster[rows], times),
        categories=3,
    )
    seed = int(rng.integers(2**31))
    truth = cohens_kappa(_expected_table(design.share))
    assert truth is not None
    return _of(clustered_kappa(tables, seed=seed), truth)


def difference(design: Design, rng: Generator) -> Interval:
    """Flips toward the second position minus those toward the first, of all pairs."""
    flips = 1 - design.share
    means = np.array([design.share, 0.6 * flips, 0.4 * flips])
    of_prompt = rng.dirichlet(means * design.concentration, size=design.prompts)
    upto = np.repeat(of_prompt.cumsum(axis=1), design.items, axis=0)
    kind = (rng.random((len(upto), 1)) > upto[:, :2]).sum(axis=1)
    estimate = clustered_difference(kind == 2, kind == 1, design.cluster)
    return _of(estimate, -0.2 * flips)


def judges_apart(design: Design, rng: Generator) -> Interval:
    """How much more often a second judge agrees with the votes than a first one, S1."""
    worse, better = design.share - 0.05, design.share
    # Prompts that are hard for one judge are hard for the other, and so are pairs.
    ease, ease_of_pair = (
        _correlated(rng, design.prompts, 0.7),
        _correlated(rng, design.items * design.prompts, 0.5),
    )
    labels = []
    for mean, of_prompt, of_pair in zip((worse, better), ease, ease_of_pair, strict=True):
        a, b = mean * design.concentration, (1 - mean) * design.concentration
        shares = np.repeat(betaincinv(a, b, of_prompt), design.items)
        labels.append(np.where(of_pair < shares, 1, -1).astype(np.int8))
    reliable = 0.9
    n_votes = rng.integers(1, 4, size=len(design.cluster))
    right = rng.binomial(n_votes, reliable)
    votes = np.stack([n_votes - right, np.zeros(len(right)), right], axis=1).astype(np.float64)
    found = compare_judges(*labels, votes, design.cluster, draws=1)
    return _of(found.difference, (better - worse) * (2 * reliable - 1))


def certificate(design: Design, rng: Generator) -> Interval:
    """The lower bound of S1 with one vote on each pair."""
    labels, votes = _judged(design, rng, most_votes=1)
    bound = certify(labels, votes, cluster=design.cluster).bound
    return Interval(bound, None, design.share)


def certificate_of_several_votes(design: Design, rng: Generator) -> Interval:
    """The lower bound of S1 with one to three votes on each pair."""
    labels, votes = _judged(design, rng)
    bound = certify(labels, votes, cluster=design.cluster).bound
    return Interval(bound, None, design.share)


def win_rate_by_prompt(design: Design, rng: Generator) -> Interval:
    """Prediction-powered: people vote on the design's prompts, the judge on five times as many."""
    whole = Design(5 * design.prompts, design.items, design.share, design.icc)
    return _powered(whole, whole.cluster < design.prompts, rng)


def win_rate_by_item(design: Design, rng: Generator) -> Interval:
    """Prediction-powered: people vote on every second item of the same prompts."""
    return _powered(design, _random_items(design, 0.5, rng), rng)


def win_rate_nearly_all_voted(design: Design, rng: Generator) -> Interval:
    """Prediction-powered where it can help little: people vote on all items but a few."""
    return _powered(design, _random_items(design, 0.95, rng), rng)


def _of(estimate: Estimate, truth: float) -> Interval:
    return Interval(estimate.low, 1.0 if estimate.low is None else estimate.high, truth)


def _shares(design: Design, rng: Generator) -> Floats:
    a, b = design.share * design.concentration, (1 - design.share) * design.concentration
    return np.repeat(rng.beta(a, b, size=design.prompts), design.items)


def _judged(design: Design, rng: Generator, *, most_votes: int = 3) -> tuple[Codes, Floats]:
    """Labels and votes that agree in the design's share; where not, a tie is as likely."""
    pairs = len(design.cluster)
    labels = rng.choice(np.array([-1, 0, 1], np.int8), p=_LABELS, size=pairs)
    shares = _shares(design, rng)
    if most_votes > 1:  # votes on one pair are more alike than those on one prompt
        spread = 4.0
        a, b = np.maximum(spread * shares, 1e-9), np.maximum(spread * (1 - shares), 1e-9)
        shares = rng.beta(a, b)
    n_votes = rng.integers(1, most_votes + 1, size=pairs)
    agreeing = rng.binomial(n_votes, shares)
    one = rng.binomial(n_votes - agreeing, 0.5)
    votes = np.zeros((pairs, 3))
    rows = np.arange(pairs)
    votes[rows, labels + 1] = agreeing
    votes[rows, (labels + 2) % 3] = one
    votes[rows, (labels + 3) % 3] = n_votes - agreeing - one
    return labels, votes


_LABELS = np.array([0.4, 0.15, 0.45])
"""Shares of the labels second, tie, first."""


def _expected_table(share: float) -> Floats:
    """The confusion matrix (3, 3) of labels (rows) and votes that `_judged` tends to."""
    credit = np.full((3, 3), (1 - share) / 2)
    np.fill_diagonal(credit, share)
    return _LABELS[:, None] * credit


def _correlated(rng: Generator, n: int, correlation: float) -> tuple[Floats, Floats]:
    """Two columns of uniform numbers (n,) that rise and fall together."""
    one, noise = rng.standard_normal((2, n))
    other = correlation * one + np.sqrt(1 - correlation**2) * noise
    return ndtr(one), ndtr(other)


def _random_items(design: Design, share: float, rng: Generator) -> NDArray[np.bool_]:
    chosen = np.zeros(design.prompts * design.items, bool)
    chosen[rng.permutation(len(chosen))[: round(share * len(chosen))]] = True
    return chosen


def _powered(design: Design, voted: NDArray[np.bool_], rng: Generator) -> Interval:
    shares = _shares(design, rng)
    human = (rng.random(len(shares)) < shares).astype(np.float64)
    # It errs more often where the first loses, so that the judge alone would be biased.
    errs = rng.random(len(shares)) < np.where(human > 0, 0.12, 0.3)
    judge = np.where(errs, 1 - human, human)
    found = ppi_mean(human, judge, has_human=voted, cluster=design.cluster)
    return _of(found.estimate, design.share)
