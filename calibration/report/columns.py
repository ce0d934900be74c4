"""What a report is made from: columns, one row per pair."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from calibration.agreement import Codes, Index, Mask, check_choices
from calibration.intervals import Floats
from calibration.position import Repetitions, TwoOrders
from calibration.strata import Stratification

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
class Answers:
    """What is known of one side's answers, shape (n_pairs,) each."""

    chars: Index
    """Length in characters."""
    lists: Index
    """List items."""
    marks: Index
    """Headers and bold passages."""
    system: Index
    """Code of the system that answered, a place in `PairColumns.systems`."""
    answer: Index
    """Code of the answer's text: equal codes are equal answers to equal prompts."""


@dataclass(frozen=True)
class Expense:
    """What a judge's judgments took; a total is None where a part of it is unknown."""

    judgments: int
    usd: float | None
    seconds: float | None
    """Time of all calls added up, as if they had been made one after another."""
    input_tokens: int | None
    output_tokens: int | None


@dataclass(frozen=True)
class PairColumns:
    """What is known of each pair before anyone judged it."""

    cluster: Index
    """Shape (n_pairs,): any code of the pair's prompt."""
    first: Answers | None = None
    """The first candidates; None where nothing is known of the answers."""
    second: Answers | None = None
    turns: Mapping[int, Index] = field(default_factory=dict)
    """Rows of the pairs of each turn of a conversation; a pair without a turn is in none."""
    systems: tuple[str | None, ...] = ()
    """Names of the systems that the answers' codes mean; None is an answer of unknown origin."""
    strata: Mapping[str, Stratification] = field(default_factory=dict)
    """Ways to part the pairs, by name: category, language..."""

    def identical(self) -> Mask | None:
        """Which pairs are of two equal answers, shape (n_pairs,); None where that is unknown."""
        if self.first is None or self.second is None:
            return None
        return np.asarray(self.first.answer == self.second.answer, dtype=np.bool_)

    def longer(self) -> Codes | None:
        """Which answer is longer, shape (n_pairs,): first 1, second -1, equal 0."""
        if self.first is None or self.second is None:
            return None
        return np.asarray(np.sign(self.first.chars - self.second.chars), dtype=np.int8)


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
    own_family: Codes | None = None
    """Shape (n_pairs,): 1 where only the first answer is of the judge's family, -1 where only the
    second is, else 0; None where families are unknown."""
    probability: Floats | None = None
    """Shape (n_pairs,), in [0, 1]: that the first candidate is better, a tie being half."""
    has_probability: Mask | None = None
    repetitions: Repetitions | None = None
    expense: Expense | None = None
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
