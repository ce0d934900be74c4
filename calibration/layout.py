"""How items lie on prompts, and how many independent ones they are worth.

An item is one yes-or-no observation: a vote that agrees with the label, or not. Items of one
prompt are alike, so n of them are worth n / deff, where deff is their design effect.
"""

from dataclasses import dataclass

import numpy as np

from calibration.agreement import Codes, Index
from calibration.intervals import Floats, cluster_codes, t_quantile


@dataclass(frozen=True)
class Layout:
    """How items lie on prompts."""

    per_prompt: float = 1.0
    """Items per prompt, on average."""
    deff: float = 1.0
    """Design effect: variance of the mean over that of independent items; at least 1."""
    typical: float | None = None
    """Mean prompt size seen by an item, sum m^2 / sum m; None where all prompts are alike."""

    @property
    def is_independent(self) -> bool:
        """Whether there is one item per prompt."""
        return self.per_prompt == 1 and self.typical in (None, 1)


def design_effect(per_prompt: float, icc: float) -> float:
    """Return 1 + (m - 1) ICC for m items per prompt, never below 1."""
    return max(1.0, 1 + (per_prompt - 1) * icc)


def observed_layout(residuals: Floats, sizes: Floats, *, variance: float) -> Layout:
    """Return how items lie on two or more prompts, from sums by prompt, shape (G,) each.

    `residuals` are sums of deviations from the mean, `sizes` the items; `variance` is that of one
    item. Where no item deviates, a prompt's items count as copies of each other.
    """
    n, squares = float(sizes.sum()), float(sizes @ sizes)
    if variance < 1e-12:
        deff = squares / n
    else:
        groups = len(sizes)
        deff = float(residuals @ residuals) / (n * variance) * groups / (groups - 1)
    is_alone = squares == n == len(sizes)
    return Layout(n / len(sizes), 1.0 if is_alone else max(1.0, deff), squares / n)


@dataclass(frozen=True)
class Discordance:
    """How often exactly one of two judges agrees with a vote."""

    share: float
    """Of the votes."""
    n: int
    """Votes that both judges are compared with."""
    prompts: int
    layout: Layout
    """Of the difference of the two, on the prompts."""


def discordance(one: Codes, other: Codes, votes: Floats, *, cluster: Index) -> Discordance | None:
    """Return how two judges' labels differ against votes; None where nothing can be said.

    `one`, `other` and `cluster` have shape (n,), `votes` are counts (n, 3) as `VoteColumns.counts`
    gives them; leave out the rows where either has no label.
    """
    codes, groups = cluster_codes(np.asarray(cluster)[votes.sum(axis=1) > 0])
    if groups < 2:
        return None
    voted = votes.sum(axis=1) > 0
    one, other, votes = one[voted], other[voted], votes[voted]
    rows = np.arange(len(one))
    mine, theirs = (votes[rows, label.astype(np.intp) + 1] for label in (one, other))
    n = float(votes.sum())
    share = float(np.sum((mine + theirs) * (one != other))) / n
    mean = float(np.sum(theirs - mine)) / n
    sums, sizes = (
        np.bincount(codes, x, minlength=groups).astype(np.float64)
        for x in (theirs - mine, votes.sum(axis=1))
    )
    layout = observed_layout(sums - mean * sizes, sizes, variance=share - mean**2)
    return Discordance(share, round(n), groups, layout)


def cautious_effect(
    *,
    n: float,
    share: float,
    squares: float,
    typical: float,
    residuals: float,
    cross: float = 0.0,
) -> float:
    """Return the design effect with one more prompt, of typical size, that disagrees wholly.

    Few prompts that disagree cannot show how alike a prompt's items are: without the added one,
    a design effect estimated from them is too small just when the agreement is high. `n` items
    with a share of agreement, `squares` the sum of squared prompt sizes, `residuals` the sum of
    squared deviations of the prompts from the share, `cross` that of deviation times size.
    """
    total = n + typical
    p = n * share / total
    if not 0 < p < 1:
        return 1.0
    shift = share - p
    spread = residuals + 2 * shift * cross + shift**2 * squares + (p * typical) ** 2
    return max(1.0, spread / (total * p * (1 - p)))


def few_prompts_factor(prompts: int, *, confidence: float) -> float:
    """Return what an estimated variance leaves of n: (z / t(G-1))^2 (Korn and Graubard 1998)."""
    return (normal_quantile(confidence) / t_quantile(2 * confidence - 1, prompts - 1)) ** 2


def expected_worth(prompts: int, share: float, *, layout: Layout, confidence: float) -> float:
    """Return the independent items that a certificate will count on that many prompts."""
    if layout.is_independent:
        return prompts
    n = prompts * layout.per_prompt
    typical = layout.per_prompt if layout.typical is None else layout.typical
    deff = cautious_effect(
        n=n,
        share=share,
        squares=n * typical,
        typical=typical,
        residuals=n * share * (1 - share) * layout.deff,
    )
    return n / deff * few_prompts_factor(prompts, confidence=confidence)


def normal_quantile(probability: float) -> float:
    """Return the quantile of the standard normal distribution."""
    from scipy.special import ndtri

    return float(ndtri(probability))
