"""The report as data.

Every rendering (JSON, text, HTML) reads the same `Report`; none computes a figure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass

import numpy as np

from calibration.agreement import Agreement, Averages
from calibration.bias import Bias
from calibration.certificates import Certificate
from calibration.chance import Coefficients, Marginals
from calibration.coherence import Coherence
from calibration.confusion import Confusion
from calibration.inference import WinRates
from calibration.intervals import Estimate
from calibration.position import OrderEffects
from calibration.probability import Reliability
from calibration.ranking import SystemRanking
from calibration.raters import RaterCoefficients
from calibration.significance import PValue
from calibration.strata import AnnotatorFigures, StratumFigures

SCHEMA = "report/1"


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
class ExpenseFigures:
    """What judging took; None where it is unknown."""

    judgments: int
    usd_per_1000: float | None
    """Per 1,000 judgments."""
    usd_per_1000_labels: float | None
    """Per 1,000 usable labels: first or second, neither tie, inconsistent nor undecided."""
    seconds_per_1000: float | None
    """Per 1,000 judgments, one after another."""
    input_tokens: int | None
    output_tokens: int | None


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
    coefficients: Coefficients
    marginals: Marginals
    """Of the labels compared, each as often as it has votes."""
    order_effects: OrderEffects
    strata: Mapping[str, Mapping[str, StratumFigures]]
    """Question -> part -> figures; `quality gap` and `length gap` beside those of the tags."""
    bias: Bias
    coherence: Coherence
    systems: SystemRanking
    win_rates: WinRates
    reliability: Reliability
    confusion: Confusion
    certificate: Certificate
    """What the figure of the first sentence is enough for."""
    expense: ExpenseFigures
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
    coefficients: RaterCoefficients
    marginals: Marginals
    annotators: Mapping[str, AnnotatorFigures]
    """Each annotator against the majority of the others, most votes first."""


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
    if isinstance(item, Estimate | PValue):
        return item.as_dict()
    if isinstance(item, np.ndarray):
        return item.tolist()
    if is_dataclass(item):
        return {f.name: _plain(getattr(item, f.name)) for f in fields(item)}
    if isinstance(item, Mapping):
        return {name: _plain(value) for name, value in item.items()}
    if isinstance(item, list | tuple):
        return [_plain(value) for value in item]
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
