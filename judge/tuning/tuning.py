"""How the variants of a judge stand on the dev split, and what the test split says. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.agreement import Mask, judge_agreement
from calibration.compare import Metric, compare_judges
from calibration.intervals import Estimate, Floats
from calibration.report.columns import JudgeColumns
from calibration.significance import holm
from judge.trust.audit import Gathered
from judge.trust.comparison import JudgeComparison
from judge.tuning.tuning_grid import Variant

SCHEMA = "tuning/1"
NO_LABEL = "no pair got a label"


@dataclass(frozen=True, slots=True)
class Standing:
    """One variant on the dev split."""

    variant: Variant
    agreement: Estimate
    """With the votes, a pair without a label agreeing with nobody; clustered by prompt."""
    labelled: int
    pairs: int
    """Pairs with votes that it was given."""
    statuses: Mapping[str, int]
    """Its replies without a verdict, by why."""
    difference: Estimate | None = None
    """Its agreement less the incumbent's, on pairs that both labelled; None for the incumbent."""
    p_holm: float | None = None
    """Of that difference, adjusted for all variants."""
    left_after: int | None = None
    """Prompts after which it left the race; None where it stayed."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """What tuning found."""

    metric: Metric
    standings: tuple[Standing, ...]
    """The best first; those that left the race come last."""
    incumbent: Variant
    dev_prompts: int
    shown_prompts: int
    test: JudgeComparison | None = None
    """The incumbent, then the winner, on the test split; None where they are the same."""

    @property
    def winner(self) -> Variant:
        return self.standings[0].variant

    @property
    def is_changed(self) -> bool:
        """Whether anything but the incumbent is best on the dev split."""
        return self.winner.judge_key != self.incumbent.judge_key

    @property
    def is_better(self) -> bool:
        """Whether the winner agrees more on the test split, surely after all looks at it."""
        if self.test is None:
            return False
        found = self.test.couples[0].comparison
        value, p = found.difference.value, found.p.p
        return value is not None and p is not None and value > 0 and p <= self.test.alpha

    def as_dict(self) -> dict[str, object]:
        """The result as JSON, schema "tuning/1"."""
        return {
            "schema": SCHEMA,
            "metric": self.metric.value,
            "incumbent": self.incumbent.name,
            "winner": self.winner.name,
            "is_better": self.is_better,
            "dev": {
                "prompts": self.dev_prompts,
                "shown_prompts": self.shown_prompts,
                "variants": [_standing_dict(one) for one in self.standings],
            },
            "test": None if self.test is None else self.test.as_dict(),
        }


def standings_of(
    gathered: Gathered, variants: Sequence[Variant], incumbent: Variant, metric: Metric
) -> tuple[Standing, ...]:
    """Return the variants by agreement with the votes, the best first, the incumbent among equals.

    A variant that never gave a label comes last.
    """
    columns = {judge.name: judge for judge in gathered.judges}
    votes = gathered.votes.counts(len(gathered.pair_ids))
    voted = votes.sum(axis=1) > 0
    cluster, base = gathered.pairs.cluster, columns[incumbent.name]
    found, tests = [], {}
    for variant in variants:
        own = columns[variant.name]
        difference = None
        both = voted & own.has_label & base.has_label
        if variant.judge_key != incumbent.judge_key and both.any():
            compared = compare_judges(
                base.label[both], own.label[both], votes[both], cluster[both], metric=metric
            )
            difference = compared.difference
            if compared.p.p is not None:
                tests[variant.name] = compared.p.p
        found.append(
            Standing(
                variant=variant,
                agreement=_agreement(own, votes, voted, gathered, metric=metric),
                labelled=int((voted & own.has_label).sum()),
                pairs=int(voted.sum()),
                statuses={str(s): int(n.sum()) for s, n in own.statuses.items() if n.any()},
                difference=difference,
            )
        )
    adjusted = dict(zip(tests, holm(list(tests.values())).tolist(), strict=True)) if tests else {}
    ranked = sorted(found, key=lambda one: _rank(one, incumbent))
    return tuple(replace(one, p_holm=adjusted.get(one.variant.name)) for one in ranked)


def stays(standing: Standing, best: Standing, incumbent: Variant) -> bool:
    """Return whether a variant goes on in a race: unless the best is surely better than it."""
    if standing.variant.judge_key == incumbent.judge_key or best.agreement.low is None:
        return True
    high = standing.agreement.high
    return high is not None and high >= best.agreement.low


def _agreement(
    own: JudgeColumns, votes: Floats, voted: Mask, gathered: Gathered, *, metric: Metric
) -> Estimate:
    rows = voted & own.has_label
    if not rows.any():
        return Estimate(None, None, None, 0, NO_LABEL)
    found = judge_agreement(own.label[rows], votes[rows], cluster=gathered.pairs.cluster[rows])
    by_metric = {
        Metric.S1: found.s1.micro, Metric.S2: found.s2.micro, Metric.MAJORITY: found.s1.majority
    }  # fmt: skip
    # Whoever keeps silent on the hard pairs must not win by it.
    weight = rows.astype(np.float64) if metric is Metric.MAJORITY else votes.sum(axis=1) * rows
    all_weight = voted.sum() if metric is Metric.MAJORITY else votes.sum()
    share = float(weight.sum() / all_weight)
    one = by_metric[metric]
    value, low, high = (None if x is None else x * share for x in (one.value, one.low, one.high))
    return Estimate(value, low, high, one.n, one.why)


def _rank(one: Standing, incumbent: Variant) -> tuple[float, bool]:
    value = one.agreement.value
    return (1.0 if value is None else -value, one.variant.judge_key != incumbent.judge_key)


def _standing_dict(one: Standing) -> dict[str, object]:
    judge = one.variant.judge.model_dump(mode="json", exclude_defaults=True)
    return {
        "name": one.variant.name,
        "judge": judge,
        "judge_key": one.variant.judge_key,
        "agreement": one.agreement.as_dict(),
        "labelled": one.labelled,
        "pairs": one.pairs,
        "without_verdict": dict(one.statuses),
        "difference": None if one.difference is None else one.difference.as_dict(),
        "p_holm": one.p_holm,
        "left_after": one.left_after,
    }
