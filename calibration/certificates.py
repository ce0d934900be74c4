"""Certificates: agreement that is at least X, with a stated confidence."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calibration.agreement import NO_LABELLED_VOTES, NONE_DECIDED, TIE, Codes, Index
from calibration.intervals import Floats, cluster_codes
from calibration.layout import Layout, cautious_effect, few_prompts_factor, observed_layout
from calibration.planning import MOST_PROMPTS, prompts_to_certify

Metric = Literal["s1", "s2", "majority"]
"""Over votes with ties, over votes where both sides are decided, over majorities of a pair."""

ONE_PROMPT = "one prompt only; a certificate needs at least two"
EXACT = "exact (Clopper-Pearson): one item per prompt"
CLUSTERED = "Clopper-Pearson on the effective number of items, clustered by prompt"

_POSTERIOR_BELOW = 30
"""Independent items from which a posterior tells nothing that the bound does not."""
_FEWEST = 5
"""Independent items below which a bound without a target says nothing."""
_POWER = 0.8
_METRICS = {
    "s1": "the votes (S1, ties included)",
    "s2": "the votes (S2, where both sides are decided)",
    "majority": "the majority of the votes on a pair",
}


@dataclass(frozen=True)
class Certificate:
    """A one-sided lower bound, and what it is enough for."""

    metric: str
    """What is bounded: `s1`, `s2` or `majority`."""
    value: float | None
    bound: float | None
    """Lower bound at `confidence`; None where `why` says so."""
    confidence: float
    n: int
    """Items counted: votes, or pairs for the majority; one per prompt where they were drawn."""
    n_eff: float | None
    """Independent items that they are worth."""
    prompts: int
    method: str
    """How the bound was made, in words."""
    target: float | None = None
    why: str | None = None
    layout: Layout | None = None
    """How the items lie on the prompts, as observed; None without a bound."""
    posterior: float | None = None
    """P(agreement >= target) under a uniform prior; only with a target and few items."""
    more_prompts: int | None = None
    """Prompts beyond the present that would certify the target with 80 % power, laid out alike, if
    the agreement is what it seems; None where it is certified, or where no number would."""
    seed: int | None = None
    """Of the draw of one item per prompt; None where every item counts."""

    @property
    def is_granted(self) -> bool:
        """Whether the target is certified."""
        return self.target is not None and self.bound is not None and self.bound >= self.target


def clopper_pearson_bound(k: float, n: float, *, confidence: float = 0.95) -> float:
    """Return the exact one-sided lower bound of a proportion, k of n (Clopper and Pearson 1934).

    k and n may be fractions, as effective numbers are.
    """
    from scipy.special import betaincinv

    return float(betaincinv(k, n - k + 1, 1 - confidence)) if k > 0 else 0.0


def posterior_probability(k: float, n: float, *, target: float) -> float:
    """Return P(proportion >= target) after k of n, under the uniform prior Beta(1, 1)."""
    from scipy.special import betainc

    return float(betainc(1 + n - k, 1 + k, 1 - target))


def certify(
    label: Codes,
    votes: Floats,
    *,
    cluster: Index,
    metric: Metric = "s1",
    target: float | None = None,
    confidence: float = 0.95,
    one_per_prompt: bool = False,
    seed: int = 0,
) -> Certificate:
    """Return the lower bound of a judge's agreement with votes, and whether it reaches `target`.

    `label`, `votes` and `cluster` are as `agreement.judge_agreement` takes them. One item per
    prompt is exact (Clopper-Pearson); `one_per_prompt` draws one pair, and one of its votes, of
    each prompt by `seed`, so that every prompt weighs the same. Raises ValueError for an unknown
    metric.

    Otherwise k and n are those of n_eff = n / deff * (z / t(G-1))^2 independent items (Korn and
    Graubard 1998), where deff is that of `layout.cautious_effect`. Simulated (beta-binomial,
    20,000 gold sets each, nominal 95 %), the share of bounds that lie below the truth:

        prompts x items, truth, ICC      this     plain n_eff   (z / t)^2 alone
        20 x 4,  .85, .3                 1.000    0.938         0.952
        50 x 4,  .85, .3                 0.976    0.956         0.959
        80 x 6,  .80, .3                 0.963    0.953         0.955
        80 x 15, .85, .3                 0.966    0.949         0.951
        50 x 15, .98, .5                 1.000    0.852         0.852
        80 x 1 to 20, .85, .3            0.969    0.929         0.932

    Its price against (z / t)^2 alone is a mean bound lower by 0.022 on 20 prompts, 0.003 on 80.
    """
    if metric not in _METRICS:
        raise ValueError(f"metric {metric!r} is unknown; give one of {', '.join(_METRICS)}")
    agreeing, size = _items(label, votes, metric)
    kept = size > 0
    agreeing, size = agreeing[kept], size[kept]
    codes, prompts = cluster_codes(np.asarray(cluster)[kept])
    if one_per_prompt and prompts:
        agreeing, size, codes = _drawn(agreeing, size, codes, seed=seed)
    found = Certificate(
        metric,
        value=float(agreeing.sum() / size.sum()) if prompts else None,
        bound=None,
        confidence=confidence,
        n=round(float(size.sum())),
        n_eff=None,
        prompts=prompts,
        method="",
        target=target,
        seed=seed if one_per_prompt else None,
    )
    if prompts < 2:
        none = NONE_DECIDED if metric == "s2" and votes.sum() else NO_LABELLED_VOTES
        return replace(found, why=ONE_PROMPT if prompts else none)
    is_exact = len(codes) == prompts == found.n and bool(np.all(agreeing == np.round(agreeing)))
    yes, sizes = (
        np.bincount(codes, x, minlength=prompts).astype(np.float64) for x in (agreeing, size)
    )
    return _bounded(found, yes, sizes, is_exact=is_exact)


def certificate_lines(certificate: Certificate, *, judge: str) -> list[str]:
    """Return the certificate in words: what is certified or not, then what would decide it."""
    level = f"{100 * certificate.confidence:g} % confidence, one-sided"
    if certificate.value is None or certificate.bound is None:
        why = f"{_METRICS[certificate.metric]}: {certificate.why}"
        return [f"Not certified; nothing can be said of judge {judge} on {why}."]
    floor = math.floor(1000 * certificate.bound + 1e-9) / 10  # rounding up would claim too much
    seen = f"{100 * certificate.value:.1f} % seen on {_basis(certificate)}"
    what = f"judge {judge} agrees with {_METRICS[certificate.metric]}"
    if certificate.target is None:
        sure = f"With {100 * certificate.confidence:g} % confidence (one-sided)"
        if (certificate.n_eff or 0.0) < _FEWEST:
            return [f"No lower bound worth telling: {seen}."]
        return [f"{sure} {what} at least {floor:.1f} % of the time.", f"{seen}."]
    head = f"{what} at least {100 * certificate.target:.10g} % of the time ({level})."
    lines = [f"{seen}; the lower bound is {floor:.1f} %."]
    if certificate.posterior is not None:
        lines.append(
            f"From so few labels: with a uniform prior, the target is met with probability "
            f"{certificate.posterior:.2f}."
        )
    if certificate.is_granted:
        return [f"Certified: {head}", *lines]
    return [f"Not certified: that {head}", *lines, _outlook(certificate)]


def _basis(certificate: Certificate) -> str:
    item = "pair" if certificate.metric == "majority" else "vote"
    prompts = f"{certificate.prompts:,} prompts"
    if certificate.seed is not None:
        return f"one {item} of each of {prompts}, drawn with seed {certificate.seed}"
    basis = f"{certificate.n:,} {item}s on {prompts}"
    n_eff = certificate.n_eff or 0.0
    worth = f"{n_eff:,.0f}" if n_eff >= 10 else f"{n_eff:.1f}"
    return basis if certificate.method == EXACT else f"{basis}, worth {worth} independent ones"


def _outlook(certificate: Certificate) -> str:
    value, target = certificate.value or 0.0, certificate.target or 0.0
    if value <= target:
        return "No number of further labels would certify it if the agreement is what it seems."
    if certificate.more_prompts is None:
        return f"What is seen is so close that {MOST_PROMPTS:,} prompts would not decide it."
    return (
        f"About {certificate.more_prompts:,} more prompts, labelled like these, would decide it "
        f"with {100 * _POWER:.0f} % power if the agreement is what it seems."
    )


def _items(label: Codes, votes: Floats, metric: Metric) -> tuple[Floats, Floats]:
    """Return items that agree and all items of each pair, shape (n,) each."""
    at = label.astype(np.intp) + 1
    rows = np.arange(len(at))
    if metric == "majority":
        most = votes.max(axis=1, initial=0)
        top = (votes == most[:, None]) & (most > 0)[:, None]
        return top[rows, at] / np.maximum(top.sum(axis=1), 1), (most > 0).astype(np.float64)
    agreeing, size = votes[rows, at], votes.sum(axis=1)
    if metric == "s2":
        is_decided = label != TIE
        return agreeing * is_decided, (size - votes[:, 1]) * is_decided
    return agreeing, size


def _drawn(
    agreeing: Floats, size: Floats, codes: NDArray[np.intp], *, seed: int
) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Return one pair of each prompt, and one of its votes; a shared majority is a coin flip."""
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(len(codes)), codes))
    _, first = np.unique(codes[order], return_index=True)
    rows = order[first]
    agrees = rng.random(len(rows)) * size[rows] < agreeing[rows]
    return agrees.astype(np.float64), np.ones(len(rows)), codes[rows]


def _bounded(found: Certificate, yes: Floats, sizes: Floats, *, is_exact: bool) -> Certificate:
    share, n = found.value or 0.0, float(sizes.sum())
    layout = observed_layout(yes - share * sizes, sizes, variance=share * (1 - share))
    n_eff = n
    if not is_exact:
        residuals, squares = yes - share * sizes, float(sizes @ sizes)
        deff = cautious_effect(
            n=n,
            share=share,
            squares=squares,
            typical=squares / n,
            residuals=float(residuals @ residuals),
            cross=float(residuals @ sizes),
        )
        n_eff = n / deff * few_prompts_factor(found.prompts, confidence=found.confidence)
    k = share * n_eff
    certified = replace(
        found,
        bound=clopper_pearson_bound(k, n_eff, confidence=found.confidence),
        n_eff=n_eff,
        method=EXACT if is_exact else CLUSTERED,
        layout=layout,
    )
    if found.target is None:
        return certified
    if n_eff < _POSTERIOR_BELOW:
        posterior = posterior_probability(k, n_eff, target=found.target)
        certified = replace(certified, posterior=posterior)
    return certified if certified.is_granted else _with_outlook(certified, layout)


def _with_outlook(refused: Certificate, layout: Layout) -> Certificate:
    if refused.target is None or refused.value is None:
        return refused
    needed = prompts_to_certify(
        refused.target,
        refused.value,
        layout=layout,
        confidence=refused.confidence,
        power=_POWER,
    )
    if needed is None:
        return refused
    return replace(refused, more_prompts=max(1, needed - refused.prompts))
