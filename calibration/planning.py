"""How many human labels: sample sizes for certificates, interval widths and comparisons.

An item is one independent yes-or-no observation: a vote that agrees with the label or not. Items
of one prompt are alike, so a plan is made in independent items and then laid out on prompts.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.intervals import Floats, t_quantile
from calibration.layout import Layout, expected_worth, normal_quantile

MOST_PROMPTS = 1_000_000
"""A plan beyond this is no plan: it is said to be out of reach."""

MCNEMAR_MARGIN = 0.15
"""Added to Connor's size: the exact test has a power of 0.75 where the formula promises 0.80."""

_MOST_EXACT = 20_000
"""Items up to which every n is tried; beyond, the normal approximation is off by less than 1 %."""


@dataclass(frozen=True)
class SampleSize:
    """Independent items, and how many of them must agree."""

    items: int
    pass_mark: int
    power: float
    """Probability of reaching the pass mark, at this number of items."""


def items_to_certify(
    target: float, expected: float, *, confidence: float = 0.95, power: float = 0.8
) -> SampleSize | None:
    """Return the fewest items that certify `target` with this power if the truth is `expected`.

    Exact binomial; the power is saw-toothed in n, and this is the first n that reaches it: a
    little more is safer. None where the truth is not above the target, or too close to it.
    Raises ValueError for a target that is not between 0 and 1.
    """
    if not 0 < target < 1:
        raise ValueError(f"target is {target}; give a share between 0 and 1")
    if expected <= target:
        return None
    rough = _rough_items(target, expected, confidence=confidence, power=power)
    if rough > MOST_PROMPTS:
        return None
    if rough > _MOST_EXACT:
        return _tried(np.array([math.ceil(rough)]), target, expected, confidence)[1]
    # The approximation is poor for few items, so those are tried from the first.
    start = 1 if rough < 1000 else int(0.8 * rough)
    while True:
        tried = np.arange(start, start + max(500, start // 4))
        powers, found = _tried(tried, target, expected, confidence, power=power)
        if powers.max() >= power:
            return found
        start = int(tried[-1]) + 1


def zero_failure_items(target: float, *, confidence: float = 0.95) -> int:
    """Return how many items certify `target` if every one of them agrees."""
    return math.ceil(math.log(1 - confidence) / math.log(target) - 1e-9)


def items_for_half_width(
    share: float, half_width: float, *, quantile: float = 1.959963984540054
) -> int:
    """Return the fewest items whose Wilson interval is at most `half_width` to either side.

    `share` is the proportion expected; `quantile` that of the interval, by default 95 % normal.
    Solves w (1 + q^2/n) = q sqrt(p(1-p)/n + q^2/4n^2) for n.
    """
    spread = quantile**2
    a = spread**2 * (half_width**2 - 0.25)
    b = spread * (2 * half_width**2 - share * (1 - share))
    root = (-b - math.sqrt(b**2 - 4 * a * half_width**2)) / (2 * a)
    return max(1, math.ceil(1 / root - 1e-9))


def items_to_compare(
    difference: float, discordance: float, *, confidence: float = 0.95, power: float = 0.8
) -> int:
    """Return the paired items that tell two judges apart, by Connor's formula (1987).

    `difference` is that of their agreements, `discordance` the share of items on which exactly
    one of them agrees, at least |difference|; two-sided. Exact McNemar tests fall short of the
    power by a little: add `MCNEMAR_MARGIN`.
    """
    alpha, beta = normal_quantile((1 + confidence) / 2), normal_quantile(power)
    root = alpha * math.sqrt(discordance) + beta * math.sqrt(discordance - difference**2)
    return math.ceil(root**2 / difference**2 - 1e-9)


def detectable_difference(
    items: float, discordance: float, *, confidence: float = 0.95, power: float = 0.8
) -> float | None:
    """Return the smallest difference that so many paired items tell; None for none at all."""
    alpha, beta = normal_quantile((1 + confidence) / 2), normal_quantile(power)
    # With d^2 = x, Connor's formula is n x = (alpha sqrt(psi) + beta sqrt(psi - x))^2: as the
    # left side grows in x and the right side falls, halving the range finds where they meet.
    low, high = 0.0, discordance**2
    for _ in range(60):
        x = (low + high) / 2
        root = alpha * math.sqrt(discordance) + beta * math.sqrt(max(0.0, discordance - x))
        low, high = (low, x) if items * x >= root**2 else (x, high)
    is_any = discordance > 0 and high < discordance**2
    return math.sqrt(high) if is_any else None


def labels_beside_judge(items: float, judged: int, *, correlation: float) -> int:
    """Return the human labels that, beside `judged` unlabelled items, are worth `items` alone.

    `correlation` is that of the judge's score with the human one; prediction-powered inference
    with the best weight: (1 - rho^2 N / (n + N)) / n = 1 / items, solved for n.
    """
    half = (judged - items) / 2
    return math.ceil(math.sqrt(half**2 + items * judged * (1 - correlation**2)) - half - 1e-9)


def prompts_to_certify(
    target: float,
    expected: float,
    *,
    layout: Layout,
    confidence: float = 0.95,
    power: float = 0.8,
) -> int | None:
    """Return the fewest prompts that certify `target`; None where no number in reach does.

    Counts the prompts whose items are worth enough independent ones to `certificates.certify`.
    """
    size = items_to_certify(target, expected, confidence=confidence, power=power)
    if size is None:
        return None
    low, high = 1, 2
    while expected_worth(high, expected, layout=layout, confidence=confidence) < size.items:
        low, high = high, 2 * high
        if low > MOST_PROMPTS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        is_enough = (
            expected_worth(middle, expected, layout=layout, confidence=confidence) >= size.items
        )
        low, high = (low, middle) if is_enough else (middle, high)
    return high


def prompts_for_half_width(
    share: float, half_width: float, *, layout: Layout, level: float = 0.95
) -> int:
    """Return the fewest prompts whose clustered Wilson interval is as narrow as asked."""
    prompts = 0
    quantile = t_quantile(level, MOST_PROMPTS)
    # The t quantile depends on the prompts and hardly moves: two or three rounds settle it.
    for _ in range(10):
        items = items_for_half_width(share, half_width, quantile=quantile)
        needed = prompts_for(items, layout=layout)
        if needed <= prompts:
            break
        prompts = max(2, needed)
        quantile = t_quantile(level, prompts - 1)
    return prompts


def prompts_for(items: float, *, layout: Layout) -> int:
    """Return the prompts on which that many independent items are."""
    return math.ceil(items * layout.deff / layout.per_prompt - 1e-9)


def _rough_items(target: float, expected: float, *, confidence: float, power: float) -> float:
    root = normal_quantile(confidence) * math.sqrt(target * (1 - target))
    root += normal_quantile(power) * math.sqrt(expected * (1 - expected))
    return (root / (expected - target)) ** 2


def _tried(
    items: NDArray[np.int64],
    target: float,
    expected: float,
    confidence: float,
    *,
    power: float = 0.0,
) -> tuple[Floats, SampleSize]:
    """Return the power of each number of items, and the first that reaches `power`."""
    from scipy.special import bdtrc

    marks = _pass_marks(items, target, 1 - confidence)
    powers = np.where(marks > items, 0.0, bdtrc(marks - 1, items, expected))
    first = int(np.argmax(powers >= power))
    return powers, SampleSize(int(items[first]), int(marks[first]), float(powers[first]))


def _pass_marks(items: NDArray[np.int64], target: float, error: float) -> NDArray[np.int64]:
    """Return the least k with P(Bin(n, target) >= k) <= error, n + 1 where none is."""
    from scipy.special import bdtrc, bdtrik

    marks = np.ceil(bdtrik(1 - error, items, target)).astype(np.int64) + 1
    # The inverse is solved numerically: it may be one off where the tail equals the error.
    marks += bdtrc(marks - 1, items, target) > error
    marks -= bdtrc(np.maximum(marks - 2, 0), items, target) <= error
    return marks
