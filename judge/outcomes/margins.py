"""How far a label's winner is ahead, as training that takes margins wants it. Pure.

Llama 2 (arXiv 2307.09288, section 3.2) subtracts a margin from the reward difference that grows
with how much better annotators found the chosen answer, in a small and a large variant. Its scale
has four grades and ours two, so its numbers are not taken over: what is written is the mean grade
itself, or that on a scale to 1.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from judge.errors import ConfigError
from judge.records import Label, Outcome

_HIGHEST_GRADE = 2


class MarginSource(StrEnum):
    """What the column `margin` is made of."""

    PROBABILITY = "probability"
    """|2p - 1| of the label's probability, in [0, 1]; no column where there is none."""
    GRADE = "grade"
    """The label's mean grade: 2 where every verdict said much better, 1 for a little better."""
    GRADE_UNIT = "grade-unit"
    """Half of that, in [0, 1]."""
    NONE = "none"
    """No column."""


def margin_of(label: Label, source: MarginSource) -> float | None:
    """Return the margin of a label that one candidate won; None where it is not to be written.

    Never below 0: where several judges disagree, the grades of those outvoted can outweigh the
    others. Raises ConfigError where a grade is asked for and the label has none.
    """
    if source is MarginSource.NONE:
        return None
    if source is MarginSource.PROBABILITY:
        return label.margin
    if label.grade is None:
        raise ConfigError(
            f'pair "{label.pair_id}": its label has no grade to make a margin of; judge with the '
            "prompt pair-grades, or choose another --margin"
        )
    ahead = max(0.0, label.grade if label.outcome is Outcome.FIRST else -label.grade)
    return ahead / _HIGHEST_GRADE if source is MarginSource.GRADE_UNIT else ahead


def attribute_columns(label: Label, attributes: Sequence[str]) -> dict[str, Any]:
    """Return three columns for each attribute: of the chosen answer, of the rejected, and between.

    The difference is below 0 where the rejected answer is the better one in this attribute. All
    three are None where nothing rated it, because columns that differ from row to row do not load.
    """
    columns: dict[str, float | None] = {}
    for name in attributes:
        means = (label.attributes or {}).get(name)
        chosen = rejected = None
        if means is not None:
            is_first = label.outcome is Outcome.FIRST
            chosen, rejected = (means.first, means.second)[:: 1 if is_first else -1]
        columns[f"{name}_chosen"], columns[f"{name}_rejected"] = chosen, rejected
        columns[f"{name}_margin"] = (
            None if chosen is None or rejected is None else chosen - rejected
        )
    return columns
