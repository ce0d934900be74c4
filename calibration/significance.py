"""Tests of differences: two or more judges on the same items, and many tests at once.

Answers to one prompt succeed and fail together, so what is exchanged under the null hypothesis is
a whole prompt: its summed differences change their sign together, or not at all.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration.intervals import Floats, cluster_codes

NOTHING_TO_TEST = "no item to compare"
NOTHING_DIFFERS = "nothing differs"

MCNEMAR = "exact McNemar test"
ALL_FLIPS = "all sign flips of the prompts"
RANDOM_FLIPS = "{:,} random sign flips of the prompts"

_ENUMERATED = 20
"""Clusters up to which all sign patterns are gone through."""
_CELLS_PER_BATCH = 4_000_000
"""Random numbers held at a time: 32 MB."""
_DECIMALS = 12
"""Sums equal to so many places are the same sum, reached in another order."""

Statistic = Callable[[Floats], Floats]
"""Maps sums of shape (draws, K) to values of shape (draws,); larger is more extreme."""


@dataclass(frozen=True)
class PValue:
    """A two-sided p-value; `p` is None where `why` says so."""

    p: float | None
    n: int
    """What could have changed: pairs or clusters that differ."""
    why: str | None = None
    method: str | None = None
    """How it was made, in words, where there are several ways."""

    def as_dict(self) -> dict[str, float | int | None]:
        """The test as JSON."""
        return {"p": self.p, "n": self.n}


@dataclass(frozen=True)
class ChiSquareTest:
    """A statistic that is chi-squared where nothing but chance differs; None as `why` says."""

    statistic: float | None
    degrees: int
    p: float | None
    n: int
    """What could have changed: items, or clusters, that differ."""
    why: str | None = None
    method: str | None = None
    """Where `p` comes from, in words."""

    def as_dict(self) -> dict[str, float | int | None]:
        """The test as JSON."""
        return {"statistic": self.statistic, "degrees": self.degrees, "p": self.p, "n": self.n}


def mcnemar_exact(b: int, c: int) -> PValue:
    """Return McNemar's exact test of `b` items that changed one way and `c` the other.

    Twice the smaller tail of a fair coin (McNemar 1947); 1 where nothing changed.
    """
    from scipy.special import bdtr

    return PValue(min(1.0, 2 * float(bdtr(min(b, c), b + c, 0.5))), b + c)


def mcnemar_mid_p(b: int, c: int) -> PValue:
    """Return McNemar's test with half the probability of outcomes as extreme as the one seen.

    Less strict than the exact test and rarely above its level (Fagerland, Lydersen and Laake
    2013).
    """
    from scipy.special import bdtr

    exact, low = mcnemar_exact(b, c), min(b, c)
    if not exact.n:
        return exact
    seen = float(bdtr(low, b + c, 0.5)) - (float(bdtr(low - 1, b + c, 0.5)) if low else 0.0)
    # A split in the middle is one outcome, every other has a mirror image as extreme.
    return PValue((exact.p or 0.0) - (seen / 2 if b == c else seen), b + c)


def sign_flip_test(
    differences: ArrayLike,
    cluster: ArrayLike,
    *,
    statistic: Statistic | None = None,
    draws: int = 9999,
    seed: int = 0,
) -> PValue:
    """Return the test that each cluster's summed difference might as well have the other sign.

    `differences` have shape (n,), or (n, K) with a `statistic` of the K sums that is the same
    where all of them change their sign; by default it is the absolute sum. All sign patterns are
    gone through up to 20 clusters that differ, and counted without a draw where each differs by
    the same amount (McNemar's exact test); else `draws` random ones, the one seen among them.
    """
    given = np.asarray(differences, dtype=np.float64)
    if not len(given):
        return PValue(None, 0, NOTHING_TO_TEST)
    sums = cluster_sums(given.reshape(len(given), -1), cluster).round(_DECIMALS)
    sums = sums[np.any(sums != 0, axis=1)]
    if not len(sums):
        return PValue(1.0, 0)
    amounts = np.abs(sums)
    if statistic is None and sums.shape[1] == 1 and np.all(amounts == amounts[0]):
        exact = mcnemar_exact(int(np.sum(sums > 0)), int(np.sum(sums < 0)))
        return replace(exact, method=MCNEMAR)
    measure = _absolute if statistic is None else statistic
    seen = float(measure(sums.sum(axis=0, keepdims=True))[0])
    reached = seen - 1e-9 * abs(seen)
    if len(sums) <= _ENUMERATED:
        p = float(np.mean(measure(_all_patterns(sums)) >= reached))
        return PValue(p, len(sums), method=ALL_FLIPS)
    extreme = sum(int(np.sum(measure(d) >= reached)) for d in _drawn(sums, draws, seed))
    return PValue((1 + extreme) / (1 + draws), len(sums), method=RANDOM_FLIPS.format(draws))


def stuart_maxwell(table: ArrayLike) -> ChiSquareTest:
    """Return the test that rows and columns of a square table have the same totals.

    `table` (k, k) counts items by their two labels. Asks whether the distribution of labels
    moved (Stuart 1955, Maxwell 1970); items are taken as independent. Labels that never changed
    into each other, even by a detour, take no degree of freedom.
    """
    counts = np.asarray(table, dtype=np.float64)
    form, degrees = homogeneity_form(counts)
    moved = counts.sum(axis=1) - counts.sum(axis=0)
    return _chi_square(float(moved @ form @ moved), degrees, _changed(counts))


def homogeneity_form(table: ArrayLike) -> tuple[Floats, int]:
    """Return the form (k, k) that makes Stuart and Maxwell's statistic of moved totals, and its
    degrees of freedom.

    It depends on changes regardless of their direction, so exchanging the labels of any items
    leaves it as it is.
    """
    both = np.asarray(table, dtype=np.float64)
    both = both + both.T
    np.fill_diagonal(both, 0)
    variance = np.diag(both.sum(axis=1)) - both
    rank = int(np.linalg.matrix_rank(variance)) if np.any(both) else 0
    return np.asarray(np.linalg.pinv(variance, hermitian=True), dtype=np.float64), rank


def bowker(table: ArrayLike) -> ChiSquareTest:
    """Return the test that a square table is symmetric (Bowker 1948), items independent.

    `table` (k, k) counts items by their two labels; couples of labels that never changed into
    each other take no degree of freedom.
    """
    counts = np.asarray(table, dtype=np.float64)
    above = np.triu_indices(len(counts), 1)
    there, back = counts[above], counts.T[above]
    used = there + back > 0
    there, back = there[used], back[used]
    statistic = float(np.sum((there - back) ** 2 / (there + back)))
    return _chi_square(statistic, len(there), _changed(counts))


def cochrans_q(credit: ArrayLike, cluster: ArrayLike | None = None) -> ChiSquareTest:
    """Return the test that k judges are equally often right about the same items.

    `credit` has shape (n, k), 0 or 1, or any part of a credit. With `cluster` (n,) the blocks are
    the clusters' sums, whose columns are exchanged as a whole; without it they are the items, and
    for 0 and 1 the statistic is Cochran's (1950).
    """
    given = np.asarray(credit, dtype=np.float64)
    judges = given.shape[1]
    blocks = given if cluster is None else cluster_sums(given, cluster)
    apart = blocks - blocks.mean(axis=1, keepdims=True)
    differing = int(np.sum(np.any(np.abs(apart) > 1e-9, axis=1)))
    if not differing:
        return _chi_square(0.0, 0, 0)
    totals = apart.sum(axis=0)
    statistic = (judges - 1) * float(totals @ totals) / float(np.sum(apart**2))
    return _chi_square(statistic, judges - 1, differing)


def holm(p: ArrayLike) -> Floats:
    """Return p-values adjusted so that one false claim among all is as rare (Holm 1979)."""
    given = np.asarray(p, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    factors = np.arange(len(given), 0, -1)
    return np.minimum(1.0, _put_back(np.maximum.accumulate(given[order] * factors), order))


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Return p-values adjusted for the share of false claims among all claims.

    For tests that are independent or rise and fall together (Benjamini and Hochberg 1995).
    """
    return np.minimum(1.0, _step_up(p))


def benjamini_yekutieli(p: ArrayLike) -> Floats:
    """Return p-values adjusted as by Benjamini and Hochberg, for tests that depend in any way.

    Benjamini and Yekutieli 2001.
    """
    adjusted = _step_up(p)
    return np.minimum(1.0, adjusted * np.sum(1 / np.arange(1, len(adjusted) + 1)))


def cluster_sums(values: ArrayLike, cluster: ArrayLike) -> Floats:
    """Return the sums (G, K) of values (n, K) by cluster (n,)."""
    given = np.asarray(values, dtype=np.float64)
    codes, groups = cluster_codes(cluster)
    columns = [np.bincount(codes, weights=column, minlength=groups) for column in given.T]
    return np.stack(columns, axis=1).astype(np.float64)


def _absolute(sums: Floats) -> Floats:
    return np.asarray(np.abs(sums[:, 0]))


def _all_patterns(sums: Floats) -> Floats:
    """Return the total under every pattern of signs, the first sign fixed, shape (2^(G-1), K)."""
    totals = sums[:1]
    for one in sums[1:]:
        totals = np.concatenate([totals + one, totals - one])
    return totals


def _drawn(sums: Floats, draws: int, seed: int) -> Iterator[Floats]:
    """Yield totals under random signs, in batches of shape (b, K), `draws` in all."""
    rng = np.random.default_rng(seed)
    clusters = len(sums)
    step = max(1, _CELLS_PER_BATCH // clusters)
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        bits = np.frombuffer(rng.bytes(-(-rows * clusters // 8)), np.uint8)
        flipped = np.unpackbits(bits, count=rows * clusters).reshape(rows, clusters)
        yield sums.sum(axis=0) - 2.0 * (flipped.astype(np.float64) @ sums)


def _chi_square(statistic: float, degrees: int, n: int) -> ChiSquareTest:
    from scipy.special import chdtrc

    if not degrees:
        return ChiSquareTest(None, 0, None, n, NOTHING_DIFFERS)
    p = float(chdtrc(degrees, statistic))
    return ChiSquareTest(statistic, degrees, p, n, method="chi-squared")


def _changed(table: Floats) -> int:
    return round(float(table.sum() - np.trace(table)))


def _step_up(p: ArrayLike) -> Floats:
    given = np.asarray(p, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    scaled = given[order] * len(given) / np.arange(1, len(given) + 1)
    return _put_back(np.minimum.accumulate(scaled[::-1])[::-1], order)


def _put_back(ordered: Floats, order: NDArray[np.intp]) -> Floats:
    back = np.empty_like(ordered)
    back[order] = ordered
    return back
