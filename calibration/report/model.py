"""What a report is made from, and the report itself, as data.

Every rendering (JSON, text, HTML) reads the same `Report`; none computes a figure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass

import numpy as np

from calibration.agreement import (
    Agreement,
    Averages,
    Codes,
    Index,
    Mask,
    check_choices,
)
from calibration.intervals import Estimate
from calibration.position import TwoOrders

SCHEMA = "report/1"

NO_ORDERS = "the verdicts of the two orders were not given"
PANEL_HAS_NO_ORDER = "a panel has no order of its own"


@dataclass(frozen=True)
class IntervalSettings:
    """How intervals are made; `draws` and `seed` are those of the bootstrap of kappa."""

    level: float = 0.95
    draws: int = 2000
    seed: int = 0


DEFAULT_INTERVALS = IntervalSettings()


@dataclass(frozen=True)
class PairColumns:
    """What is known of each pair before anyone judged it."""

    cluster: Index
    """Shape (n_pairs,): any code of the pair's prompt."""
    longer: Codes | None = None
    """Shape (n_pairs,): which answer is longer, first 1, second -1, equal 0."""
    turns: Mapping[int, Index] = field(default_factory=dict)
    """Rows of the pairs of each turn of a conversation; a pair without a turn is in none."""


@dataclass(frozen=True)
class JudgeColumns:
    """What one judge, or a panel, made of the pairs. Rows are those of `PairColumns`."""

    name: str
    label: Codes
    """Shape (n_pairs,), in {1, 0, -1}; an inconsistent label is 0; ignored without a label."""
    has_label: Mask
    inconsistent: Mask
    """Labelled pairs whose two orders contradict each other."""
    judgments: Index
    """Shape (n_pairs,): stored judgments of each pair."""
    statuses: Mapping[str, Index] = field(default_factory=dict)
    """Judgments without a verdict, by status, each of shape (n_pairs,)."""
    undecided: Mapping[str, int] = field(default_factory=dict)
    """Pairs without a label that no further asking of this run will give one, by reason."""
    n_pending: int = 0
    """Pairs that still wait for a judgment."""
    errors: Mask | None = None
    """Pairs without a label because a judgment gave no verdict; None for no such pair."""
    orders: TwoOrders | None = None
    why_no_orders: str = NO_ORDERS
    """Why there is no `orders`, in words."""

    def __post_init__(self) -> None:
        pairs = len(self.label)
        columns = [self.has_label, self.inconsistent, self.judgments, *self.statuses.values()]
        columns += [] if self.orders is None else [self.orders.forward]
        columns += [] if self.errors is None else [self.errors]
        if any(len(column) != pairs for column in columns):
            raise ValueError(f"judge {self.name}: every column must have {pairs} rows, as `label`")
        check_choices(self.label, f"judge {self.name}: a label")
        labelled, undecided = int(np.sum(self.has_label)), sum(self.undecided.values())
        if labelled + undecided + self.n_pending != pairs:
            raise ValueError(
                f"judge {self.name}: {labelled} labelled + {undecided} undecided + "
                f"{self.n_pending} pending pairs are not the {pairs} pairs given; "
                "name a reason for each pair without a label"
            )
        errors = np.zeros(pairs, bool) if self.errors is None else self.errors
        if np.any(errors & self.has_label) or int(np.sum(errors)) > undecided:
            raise ValueError(
                f"judge {self.name}: a pair that ended in an error has a label, or no reason in "
                "`undecided`; give it a reason and no label"
            )
        if any(np.any(column > self.judgments) for column in self.statuses.values()):
            raise ValueError(f"judge {self.name}: a pair has more failures than judgments")


@dataclass(frozen=True)
class LabelCounts:
    """Where the pairs and judgments of one judge ended.

    pairs = labelled + undecided + pending; labelled = first + second + ties + inconsistent;
    judgments = the sum of `by_status`.
    """

    pairs: int
    labelled: int
    first: int
    second: int
    ties: int
    inconsistent: int
    undecided: Mapping[str, int]
    pending: int
    judgments: int
    by_status: Mapping[str, int]
    """`verdict`, and every status that a judgment without one has."""


@dataclass(frozen=True)
class VoteCounts:
    """Where the votes ended: votes = votes_used + votes_left_out."""

    votes: int
    votes_used: int
    votes_left_out: Mapping[str, int]
    votes_both_bad: int
    """Votes that call both answers bad; they are used as ties."""
    annotators: int
    """Annotators of the votes given, skipped votes aside."""
    pairs_compared: int
    """Labelled pairs with at least one vote."""


@dataclass(frozen=True)
class JudgeFigures:
    """Everything measured about one judge; the order is that of the JSON."""

    s1: Averages
    s2: Averages
    s2_coverage: Estimate
    kappa: Estimate
    """Cohen's, over votes, with the three choices unweighted."""
    consistency: Estimate
    toward_first: Estimate
    toward_second: Estimate
    preference_fairness: Estimate
    unparsed_rate: Estimate
    """Over judgments."""
    status_rates: Mapping[str, Estimate]
    """Judgments without a verdict by status, over judgments."""
    s1_errors_wrong: Estimate
    """S1 where a pair whose judgments gave no verdict is missed by every vote on it."""
    turns: Mapping[str, Agreement]
    """Agreement on the pairs of each turn, by its number; empty where no pair has a turn."""
    counts: LabelCounts


@dataclass(frozen=True)
class TurnCeiling:
    """How far humans agree among themselves on the pairs of one turn."""

    human_human: Agreement
    leave_one_out: Agreement


@dataclass(frozen=True)
class Ceiling:
    """How far humans agree among themselves, on all votes whether or not a judge was asked."""

    human_human: Agreement
    leave_one_out: Agreement
    kappa: Estimate
    """Cohen's between humans, over couples of votes, with the three choices unweighted."""
    turns: Mapping[str, TurnCeiling]


@dataclass(frozen=True)
class Baselines:
    """What labels made without reading an answer would reach."""

    always_first: Agreement
    longest: Agreement
    random: Agreement
    """One of the three choices at random; one of two for S2. Exact, not estimated."""
    coin_flip: Agreement
    """A coin in each of two orders, a contradiction being a tie: ties half of the time."""


@dataclass(frozen=True)
class Report:
    """An agreement report. `delivered` names the judge whose labels the counts speak of."""

    delivered: str
    level: float
    prompts: int
    pairs_without_turn: int
    """Pairs that are in the figures of no turn; all of them where no turn is known."""
    votes: VoteCounts
    judges: Mapping[str, JudgeFigures]
    ceiling: Ceiling
    baselines: Baselines
    provenance: Mapping[str, object]

    @property
    def labels(self) -> LabelCounts:
        """The counts of the delivered labels."""
        return self.judges[self.delivered].counts

    def as_dict(self) -> dict[str, object]:
        """The report as JSON, schema "report/1"."""
        return {
            "schema": SCHEMA,
            "counts": {
                "prompts": self.prompts,
                **{f.name: _plain(getattr(self.labels, f.name)) for f in fields(self.labels)},
                **{f.name: _plain(getattr(self.votes, f.name)) for f in fields(self.votes)},
            },
            "judges": _plain(self.judges),
            "ceiling": _plain(self.ceiling),
            "baselines": _plain(self.baselines),
            "provenance": dict(self.provenance),
        }

    def figures(self) -> Iterator[tuple[tuple[str, ...], Estimate]]:
        """Yield every figure with its path in the JSON."""
        for part, content in (
            ("judges", self.judges),
            ("ceiling", self.ceiling),
            ("baselines", self.baselines),
        ):
            yield from _estimates(content, (part,))

    def missing(self) -> Iterator[tuple[tuple[str, ...], Estimate]]:
        """Yield every figure that lacks its value or its interval, with its path in the JSON."""
        for path, estimate in self.figures():
            if estimate.why is not None:
                yield path, estimate


def _plain(item: object) -> object:
    if isinstance(item, Estimate):
        return item.as_dict()
    if is_dataclass(item):
        return {f.name: _plain(getattr(item, f.name)) for f in fields(item)}
    if isinstance(item, Mapping):
        return {name: _plain(value) for name, value in item.items()}
    return item


def _estimates(item: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Estimate]]:
    if isinstance(item, Estimate):
        yield path, item
    elif is_dataclass(item):
        for f in fields(item):
            yield from _estimates(getattr(item, f.name), (*path, f.name))
    elif isinstance(item, Mapping):
        for name, value in item.items():
            yield from _estimates(value, (*path, str(name)))
