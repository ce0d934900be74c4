"""What draws a judge beside quality, always next to the same figure for the humans.

People, too, prefer longer and better formatted answers, often because they are better. So a pull
is no bias by itself: it is set against that of the humans on the same pairs, and the effects hold
the humans' votes fixed. Votes are noisy, so some quality still leaks into the effects.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from calibration.agreement import Codes, Index, Mask
from calibration.intervals import (
    Estimate,
    Floats,
    clustered_difference,
    clustered_proportion,
)
from calibration.report.columns import JudgeColumns, PairColumns
from calibration.self_preference import (
    NO_FAMILIES,
    NO_OWN,
    DecidedPairs,
    beyond_control,
    equal_opportunity,
)
from calibration.verdict_effects import NO_ANSWERS, markdown_gap, mean_vote, verdict_effects

LENGTH_GAP = 30
"""Characters; a smaller difference is no difference (AlpacaEval's figure, arXiv 2404.04475)."""
NO_VOTES_ON_THEM = "no human vote on these pairs"


@dataclass(frozen=True)
class Pull:
    """How often one kind of answer is preferred to the other, on the same pairs.

    Over labelled pairs that judge and people decide: ties, inconsistent labels and tied votes are
    left out. Where no such pair has a vote, the judge's figure is over all pairs it decides.
    """

    judge: Estimate
    humans: Estimate
    """Each pair's share of the votes that are decided, so that every pair weighs the same."""
    difference: Estimate
    """Judge minus humans, paired by prompt; 0 where the judge is drawn as the humans are."""


@dataclass(frozen=True)
class Bias:
    """The pulls of length, style and family, and their effects with quality held fixed."""

    length: Pull
    """P(the longer answer is preferred); ties and gaps of 30 characters or less left out."""
    lists: Pull
    """P(the answer with more list items is preferred)."""
    markdown: Pull
    """P(the answer with the greater density of markdown is preferred)."""
    own_family: Pull
    """P(the answer of the judge's own family is preferred)."""
    self_preference: Estimate
    """Equal opportunity: P(picks own | own is better by the humans) - P(picks other | other is)."""
    self_preference_beyond_control: Estimate
    """P(errs for its own answer) - P(errs for an equally worse answer of another family): what
    errors of judging alone do not explain of it."""
    effects: Mapping[str, Estimate]
    """Average marginal effects in share of verdicts, humans' votes held fixed: `position`,
    `length`, `markdown`, `own_family`."""


def bias(judge: JudgeColumns, pairs: PairColumns, *, tally: Floats, level: float = 0.95) -> Bias:
    """Return what draws a judge beside quality; `tally` is `votes.counts` over all pairs."""

    def pull(side: Codes | None, why: str, nothing: str) -> Pull:
        return _pull(side, judge, tally, cluster=pairs.cluster, level=level, words=(why, nothing))

    own = judge.own_family
    decided = _decided(judge, pairs, tally)
    return Bias(
        length=pull(_longer(pairs), NO_ANSWERS, "no decided pair of clearly different lengths"),
        lists=pull(_more_lists(pairs), NO_ANSWERS, "no decided pair where list items differ"),
        markdown=pull(_more_marks(pairs), NO_ANSWERS, "no decided pair where markdown differs"),
        own_family=pull(own, NO_FAMILIES, NO_OWN),
        self_preference=_about_own(own, tally) or equal_opportunity(decided, level=level),
        self_preference_beyond_control=(
            _about_own(own, tally) or beyond_control(decided, level=level)
        ),
        effects=verdict_effects(judge, pairs, tally=tally, level=level),
    )


def _pull(
    side: Codes | None,
    judge: JudgeColumns,
    tally: Floats,
    *,
    cluster: Index,
    level: float,
    words: tuple[str, str],
) -> Pull:
    """The pull of the answers that `side` (n_pairs,) names; `words` say why there is none."""
    unknown, nothing = words
    if side is None:
        absent = Estimate(None, None, None, 0, unknown)
        return Pull(absent, absent, absent)
    decided_votes = tally[:, 0] + tally[:, 2]
    is_decided = (side != 0) & judge.has_label & (judge.label != 0)
    rows = is_decided & (decided_votes > 0)
    if not rows.any():
        picks = (judge.label * side > 0)[is_decided]
        alone = clustered_proportion(picks, cluster[is_decided], level=level, empty=nothing)
        why = NO_VOTES_ON_THEM if is_decided.any() else nothing
        absent = Estimate(None, None, None, 0, why)
        return Pull(alone.estimate, absent, absent)
    towards = np.where(side > 0, tally[:, 2], tally[:, 0])[rows] / decided_votes[rows]
    picks, prompts = (judge.label * side > 0)[rows], cluster[rows]
    return Pull(
        judge=clustered_proportion(picks, prompts, level=level).estimate,
        humans=clustered_proportion(towards, prompts, level=level).estimate,
        difference=clustered_difference(picks, towards, prompts, level=level),
    )


def _longer(pairs: PairColumns) -> Codes | None:
    if pairs.first is None or pairs.second is None:
        return None
    gap = pairs.first.chars - pairs.second.chars
    return np.asarray(np.sign(gap) * (np.abs(gap) > LENGTH_GAP), dtype=np.int8)


def _more_lists(pairs: PairColumns) -> Codes | None:
    if pairs.first is None or pairs.second is None:
        return None
    return np.asarray(np.sign(pairs.first.lists - pairs.second.lists), dtype=np.int8)


def _more_marks(pairs: PairColumns) -> Codes | None:
    if pairs.first is None or pairs.second is None:
        return None
    return np.asarray(np.sign(markdown_gap(pairs.first, pairs.second)), dtype=np.int8)


def _about_own(own: Codes | None, tally: Floats) -> Estimate | None:
    """Why nothing can be said of self-preference; None where something can."""
    if own is None:
        return Estimate(None, None, None, 0, NO_FAMILIES)
    if not own.any():
        return Estimate(None, None, None, 0, NO_OWN)
    return None if tally[own != 0].any() else Estimate(None, None, None, 0, NO_VOTES_ON_THEM)


def _decided(judge: JudgeColumns, pairs: PairColumns, tally: Floats) -> DecidedPairs:
    humans = mean_vote(tally)
    own = np.zeros(len(tally), np.int8) if judge.own_family is None else judge.own_family
    rows = judge.has_label & (judge.label != 0) & (humans != 0)
    return DecidedPairs(
        label=judge.label[rows],
        humans=humans[rows],
        own=own[rows],
        is_control=_is_control(own, pairs)[rows],
        cluster=pairs.cluster[rows],
    )


def _is_control(own: Codes, pairs: PairColumns) -> Mask:
    """Pairs of two answers by systems that were also set against the judge's own family.

    Only of those is it certain that they are of other families, and they are its fairest measure.
    """
    if pairs.first is None or pairs.second is None:
        return np.zeros(len(own), bool)
    first, second = pairs.first.system, pairs.second.system
    is_rival = np.zeros(1 + int(max(first.max(initial=0), second.max(initial=0))), bool)
    is_rival[second[own > 0]] = True
    is_rival[first[own < 0]] = True
    return np.asarray((own == 0) & is_rival[first] & is_rival[second], dtype=bool)
