"""What moves a judge's verdicts with the humans' votes held fixed: one regression for all."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from calibration.agreement import Index
from calibration.intervals import Estimate, Floats
from calibration.logistic import NoFit, average_effect, fit_logistic
from calibration.position import TwoOrders
from calibration.report.columns import Answers, JudgeColumns, PairColumns
from calibration.self_preference import NO_FAMILIES, NO_OWN

NO_ANSWERS = "nothing is known of the answers"
NO_QUALITY = "no human votes, so that quality cannot be held fixed"
_NO_VERDICT = "no verdict on a pair with votes"

_UNITS = {"position": 1.0, "length": float(np.tanh(1)), "markdown": 1.0, "own_family": 1.0}
"""From none to how much of a regressor an effect is told: one standard deviation of the
differences, or that an answer is shown first, or alone is of the judge's own family."""
_ALIKE = {
    "length": "the answers of each pair are equally long",
    "markdown": "the answers of each pair are marked up alike",
    "own_family": NO_OWN,
}


@dataclass(frozen=True)
class _Verdicts:
    """Single verdicts on pairs with votes, one row each, in the orientation that was shown."""

    pair: Index
    picks_shown_first: Floats
    """1, or 1/2 for a tie, or 0."""
    sign: Floats
    """1 where the first candidate was shown first, else -1."""


def verdict_effects(
    judge: JudgeColumns, pairs: PairColumns, *, tally: Floats, level: float = 0.95
) -> Mapping[str, Estimate]:
    """Return by name the share of verdicts that an answer gains by what is no quality of it.

    `position`: being shown first; `length`: being one standard deviation of the differences
    longer; `markdown`: as much denser in it; `own_family`: being of the judge's own family. Each
    is half the mean change of the predicted share between having and lacking it, all else as it
    is: an average marginal effect beyond an even share, in [-1/2, 1/2], 0 without a bias.

    From the logistic regression of every verdict, picking the answer shown first (a tie is half),
    on the intercept, the mean of the votes, tanh(length difference / sd), the difference of
    markdown and that of family, clustered by prompt.
    """
    first, second = pairs.first, pairs.second
    if first is None or second is None:
        return _all_absent(NO_ANSWERS)
    if judge.orders is None:
        return _all_absent(judge.why_no_orders)
    if not tally.any():
        return _all_absent(NO_QUALITY)
    verdicts = _shown(judge.orders, tally.sum(axis=1) > 0)
    if not len(verdicts.pair):
        return _all_absent(_NO_VERDICT)
    columns = {
        "position": np.ones(len(tally)),
        "quality": mean_vote(tally),
        "length": np.asarray(first.chars - second.chars, dtype=np.float64),
        "markdown": markdown_gap(first, second),
    }
    if judge.own_family is not None:
        columns["own_family"] = judge.own_family.astype(np.float64)
    return _effects(columns, verdicts, pairs.cluster, level=level)


def mean_vote(tally: Floats) -> Floats:
    """Return the mean of each pair's votes, shape (n_pairs,), in [-1, 1]; 0 where there are none.

    `tally` is `VoteColumns.counts`; above 0 the first answer is preferred.
    """
    return np.asarray(
        (tally[:, 2] - tally[:, 0]) / np.maximum(tally.sum(axis=1), 1), dtype=np.float64
    )


def markdown_difference(
    marks: ArrayLike, chars: ArrayLike, other_marks: ArrayLike, other_chars: ArrayLike
) -> Floats:
    """Return how much denser in markdown answers are than others, in (-1, 1), 0 for alike.

    Densities are d = marks / (chars + 1), their difference (d - d') / (d + d' + 1): the formula of
    Arena-Hard's style control, with lengths in characters.
    """
    d = np.asarray(marks, dtype=np.float64) / (np.asarray(chars, dtype=np.float64) + 1)
    other = np.asarray(other_marks, dtype=np.float64)
    other = other / (np.asarray(other_chars, dtype=np.float64) + 1)
    return np.asarray((d - other) / (d + other + 1), dtype=np.float64)


def markdown_gap(first: Answers, second: Answers) -> Floats:
    """Return `markdown_difference` of the answers to each pair, shape (n_pairs,)."""
    return markdown_difference(first.marks, first.chars, second.marks, second.chars)


def _effects(
    columns: Mapping[str, Floats], verdicts: _Verdicts, cluster: Index, *, level: float
) -> Mapping[str, Estimate]:
    design, names = _design(columns, verdicts)
    fit = fit_logistic(design, verdicts.picks_shown_first, cluster[verdicts.pair])
    if isinstance(fit, NoFit):
        return _all_absent(fit.why, n=len(design))
    absent = _ALIKE if "own_family" in columns else _ALIKE | {"own_family": NO_FAMILIES}

    def effect(name: str, unit: float) -> Estimate:
        if name not in names:
            return Estimate(None, None, None, len(design), absent[name])
        at = names.index(name)
        both = average_effect(fit, design, column=at, to=unit, from_=-unit, level=level)
        return both.rescaled(0.5, 0.0)

    return {name: effect(name, unit) for name, unit in _UNITS.items()}


def _all_absent(why: str, *, n: int = 0) -> Mapping[str, Estimate]:
    return {name: Estimate(None, None, None, n, why) for name in _UNITS}


def _shown(orders: TwoOrders, has_votes: Index) -> _Verdicts:
    forward = np.flatnonzero(orders.has_forward & has_votes)
    reversed_ = np.flatnonzero(orders.has_reversed & has_votes)
    preferences = np.concatenate([orders.forward[forward], -orders.reversed[reversed_]])
    return _Verdicts(
        pair=np.concatenate([forward, reversed_]),
        picks_shown_first=(1 + preferences.astype(np.float64)) / 2,
        sign=np.repeat([1.0, -1.0], [len(forward), len(reversed_)]),
    )


def _design(columns: Mapping[str, Floats], verdicts: _Verdicts) -> tuple[Floats, tuple[str, ...]]:
    """The regressors that vary, as shown, with their names."""
    kept = {}
    for name, column in columns.items():
        values = column[verdicts.pair]
        # Which answer is called the first is arbitrary, so differences spread around zero.
        spread = float(np.sqrt(np.mean(values**2)))
        if spread == 0:
            continue
        if name == "position":
            kept[name] = values
            continue
        if name == "length":
            values = np.tanh(values / spread)
        elif name == "markdown":
            values = values / spread
        kept[name] = values * verdicts.sign
    return np.column_stack(list(kept.values())), tuple(kept)
