"""Human votes become columns; those that cannot be used are counted by reason."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from calibration.agreement import VoteColumns

_BOTH_BAD = "both_bad"
_CHOICES = {"first": 1, "second": -1, "tie": 0, _BOTH_BAD: 0}


class CastVote(Protocol):
    """The part of a vote that agreement looks at: `Vote` has it, and so has `BareVote`."""

    @property
    def pair_id(self) -> str: ...
    @property
    def annotator(self) -> str: ...
    @property
    def preference(self) -> str: ...
    @property
    def batch(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class GatheredVotes:
    """The usable votes as columns, and what became of the others."""

    columns: VoteColumns
    annotators: tuple[str, ...]
    """Names of the annotators: `columns.annotator` holds places in it."""
    batches: tuple[str | None, ...]
    """Names of the deliveries: `columns.batch` holds places in it."""
    left_out: Counter[str]
    """Votes that are not among the columns, by reason."""


def vote_columns(votes: Iterable[CastVote], rows: Mapping[str, int]) -> GatheredVotes:
    """Return votes as columns; `rows` are the rows of the pairs by pair id."""
    annotators: dict[str, int] = {}
    left_out: Counter[str] = Counter()
    pair: list[int] = []
    annotator: list[int] = []
    choice: list[int] = []
    both_bad: list[bool] = []
    batches: dict[str | None, int] = {}
    batch: list[int] = []
    for vote in votes:
        preference, row = vote.preference, rows.get(vote.pair_id)
        if preference == "skip":
            left_out["skipped by the annotator"] += 1
        elif row is None:
            left_out["pair not in this run"] += 1
        else:
            pair.append(row)
            annotator.append(annotators.setdefault(vote.annotator, len(annotators)))
            choice.append(_CHOICES[preference])
            both_bad.append(preference == _BOTH_BAD)
            batch.append(batches.setdefault(vote.batch, len(batches)))
    columns = VoteColumns(
        np.array(pair, np.intp),
        np.array(annotator, np.intp),
        np.array(choice, np.int8),
        np.array(both_bad, np.bool_),
        np.array(batch, np.intp),
    )
    return GatheredVotes(columns, tuple(annotators), tuple(batches), left_out)
