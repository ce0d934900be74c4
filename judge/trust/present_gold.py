"""What the human votes on a run's labels are worth at present."""

from dataclasses import dataclass

import numpy as np

from calibration.agreement import judge_agreement
from calibration.certificates import Certificate, Metric
from calibration.certificates import certify as certify_columns
from calibration.layout import Discordance, discordance
from judge.trust.audit import Gathered
from judge.trust.label_plan import PresentGold


@dataclass(frozen=True, slots=True)
class MeasuredGold:
    """The present labels, measured."""

    told: PresentGold
    certificate: Certificate
    discordance: Discordance | None
    """Of the first two judges; None for a single one."""


def present_gold(
    gathered: Gathered, metric: Metric, target: float | None, confidence: float
) -> MeasuredGold:
    """Return what the votes on the delivered labels are worth; `target` is one to certify. Pure."""
    delivered, cluster = gathered.delivered, gathered.pairs.cluster
    rows = delivered.has_label
    tally = gathered.votes.counts(len(rows))
    columns = (delivered.label[rows], tally[rows])
    certificate = certify_columns(
        *columns, cluster=cluster[rows], metric=metric, target=target, confidence=confidence
    )
    agreement = judge_agreement(*columns, cluster=cluster[rows], level=confidence)
    by_metric = {
        "s1": agreement.s1.micro,
        "s2": agreement.s2.micro,
        "majority": agreement.s1.majority,
    }
    differing = _differing(gathered)
    voted = rows & (tally.sum(axis=1) > 0)
    told = PresentGold(
        judge=delivered.name,
        labels=round(float(tally[rows].sum())),
        pairs=int(voted.sum()),
        prompts=len(np.unique(cluster[voted])),
        agreement=by_metric[metric],
        worth=certificate.n_eff,
        discordance=None if differing is None else differing.share,
    )
    return MeasuredGold(told, certificate, differing)


def _differing(gathered: Gathered) -> Discordance | None:
    if len(gathered.judges) < 2:
        return None
    one, other = gathered.judges[:2]
    both = one.has_label & other.has_label
    tally = gathered.votes.counts(len(both))
    return discordance(
        one.label[both], other.label[both], tally[both], cluster=gathered.pairs.cluster[both]
    )
