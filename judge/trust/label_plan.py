"""A plan for human labels, as data."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from calibration.certificates import Metric
from calibration.intervals import Estimate

SCHEMA = "plan/1"


@dataclass(frozen=True, slots=True)
class Assumed:
    """What a plan supposes; None asks the ledger, or takes what is usual where there is none."""

    expected: float | None = None
    discordance: float | None = None
    pairs_per_prompt: float | None = None
    icc: float | None = None


@dataclass(frozen=True, slots=True)
class PresentGold:
    """The labels that a ledger has, and what they say."""

    judge: str
    labels: int
    """Votes on labelled pairs."""
    pairs: int
    prompts: int
    agreement: Estimate
    worth: float | None
    """Independent items that a certificate counts."""
    discordance: float | None
    """Share of the votes with which exactly one of the first two judges agrees."""


@dataclass(frozen=True, slots=True)
class Goal:
    """One thing that labels are bought for; numbers are None where `why` says so."""

    kind: Literal["certify", "half_width", "difference"]
    size: float
    """The share to certify, the half-width, or the difference."""
    expected: float
    """The agreement expected; for a difference, the discordance."""
    items: int | None = None
    """Independent labels, as if each prompt had one."""
    deff: float | None = None
    prompts: int | None = None
    labels: int | None = None
    """Labels on all of those prompts."""
    more_prompts: int | None = None
    """Beyond the present gold; all of them where there is none."""
    more_labels: int | None = None
    cost_usd: float | None = None
    """Of the further labels."""
    present: float | None = None
    """What the present gold is enough for: a certified share, a half-width, a difference."""
    is_met: bool = False
    """Whether the present gold is enough."""
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """How many labels each goal takes, and how they lie on prompts."""

    metric: Metric
    confidence: float
    power: float
    labels_per_prompt: float
    icc: float | None
    """Intraclass correlation of the labels of one prompt; None where each has one."""
    goals: tuple[Goal, ...]
    present: PresentGold | None
    notes: tuple[str, ...]
    """What was assumed, in words."""

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON, schema "plan/1"."""
        present = None if self.present is None else asdict(self.present)
        if present is not None and self.present is not None:
            present["agreement"] = self.present.agreement.as_dict()
        return {"schema": SCHEMA, **asdict(self), "present": present}
