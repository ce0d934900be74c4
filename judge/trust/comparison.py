"""What is found when judges are laid side by side, as data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from calibration.compare import Bucket, Comparison, Metric
from calibration.label_shift import LabelShift
from calibration.significance import ChiSquareTest
from judge.trust.gold_split import DEFAULT_SHARE, Split
from judge.trust.looking import ALPHA, NotedLook

SCHEMA = "comparison/1"
OUTCOMES = ("first", "second", "tie", "inconsistent", "no label")


@dataclass(frozen=True, slots=True)
class ComparisonSettings:
    """What is asked."""

    metric: Metric = Metric.S1
    split: Split = Split.ALL
    share: float = DEFAULT_SHARE
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One of the judges compared."""

    name: str
    run_id: str
    judge: str
    rule: str
    models: tuple[str, ...]
    prompts: tuple[str, ...]
    """Judge prompts, each with the beginning of its digest."""
    pairs: int
    labelled: int
    """Of the common pairs."""


@dataclass(frozen=True, slots=True)
class Change:
    """One pair whose label differs."""

    pair_id: str
    first: str
    second: str
    bucket: str
    """Name of a `Bucket`: fixed, broken, still right, still wrong, or no vote."""
    votes: Mapping[str, int]


@dataclass(frozen=True)
class Couple:
    """Two of the judges against the votes; differences are the second less the first."""

    first: str
    second: str
    comparison: Comparison
    p_adjusted: float | None
    """By Holm over all couples; the p-value itself where there are only two judges."""


@dataclass(frozen=True)
class JudgeComparison:
    """Two or more judges on the pairs that all of them were given."""

    settings: ComparisonSettings
    sides: tuple[Side, ...]
    common: int
    compared: int
    """Common pairs that every judge labelled."""
    equal: int
    """Common pairs with the same outcome from every judge; no label from any is the same too."""
    votes_used: int
    votes_left_out: Mapping[str, int]
    gold: str
    couples: tuple[Couple, ...]
    """Every two judges, in the order they were named."""
    q: ChiSquareTest | None
    """Whether any of three or more judges differs; None for two."""
    shift: LabelShift | None
    """Of two judges, on the pairs both labelled; its codes are `OUTCOMES`. None for more."""
    outcomes: Mapping[str, Mapping[str, int]]
    """Outcome of the first judge -> of the second -> common pairs; empty for more than two."""
    changed: tuple[Change, ...]
    """Of two judges: some that were broken, some that were fixed, then others."""
    prompts: frozenset[bytes]
    """Digests of the test prompts whose votes were used."""
    facts: tuple[bytes, ...] = field(repr=False)
    """All that the figures rest on, whatever the judges are called."""
    look: NotedLook | None = None

    @property
    def n_changed(self) -> int:
        """Common pairs whose outcome differs."""
        return self.common - self.equal

    @property
    def alpha(self) -> float:
        """The p-value up to which a difference counts, after all looks."""
        return ALPHA if self.look is None else self.look.level

    def claim_level(self) -> float:
        """Level of the intervals that the margin is held against, after looks and challengers."""
        return 1 - self.alpha / (len(self.sides) - 1)

    def claims(self) -> dict[str, bool | None]:
        """Whether each judge after the first is worse by less than the margin; None without one."""
        against_first = self.couples[: len(self.sides) - 1]
        level = self.claim_level()
        return {c.second: c.comparison.is_non_inferior(level) for c in against_first}

    def as_dict(self) -> dict[str, object]:
        """The comparison as JSON, schema "comparison/1"."""
        return {
            "schema": SCHEMA,
            "settings": asdict(self.settings),
            "judges": [asdict(side) for side in self.sides],
            "counts": {
                "common": self.common, "compared": self.compared, "equal": self.equal,
                "votes_used": self.votes_used, "votes_left_out": dict(self.votes_left_out),
            },
            "couples": [_couple_dict(couple) for couple in self.couples],
            "cochrans_q": None if self.q is None else self.q.as_dict(),
            "labels": _shift_dict(self.shift, self.outcomes),
            "changed": [asdict(change) for change in self.changed],
            "look": None if self.look is None else {**asdict(self.look), "level": self.look.level},
            "non_inferior": self.claims(),
            "gold": self.gold,
        }  # fmt: skip


def _couple_dict(couple: Couple) -> dict[str, object]:
    found = couple.comparison
    return {
        "first": couple.first,
        "second": couple.second,
        "agreement": {
            metric.value: [estimate.as_dict() for estimate in found.agreement(metric)]
            for metric in Metric
        },
        "differences": {
            metric.value: difference.at(found.level).as_dict()
            for metric, difference in found.differences.items()
        },
        "metric": found.metric.value,
        "p": found.p.as_dict() | {"method": found.p.method, "why": found.p.why},
        "p_adjusted": couple.p_adjusted,
        "pairs": found.pairs,
        "prompts": found.prompts,
        "buckets": {bucket_name(bucket): n for bucket, n in found.buckets.items()},
    }


def bucket_name(bucket: Bucket) -> str:
    """Return a bucket in words."""
    return bucket.name.lower().replace("_", " ")


def _shift_dict(
    shift: LabelShift | None, outcomes: Mapping[str, Mapping[str, int]]
) -> dict[str, object] | None:
    if shift is None:
        return None
    return {
        "outcomes": {name: dict(row) for name, row in outcomes.items()},
        "stuart_maxwell": shift.stuart_maxwell.as_dict() | {"method": shift.stuart_maxwell.method},
        "bowker": shift.bowker.as_dict() | {"method": shift.bowker.method},
    }
