"""What draws a judge beside quality, always next to the same figure for the humans."""

from collections.abc import Mapping
from dataclasses import dataclass

from calibration.intervals import Estimate


@dataclass(frozen=True)
class Pull:
    """How often one kind of answer is preferred to the other, on the same pairs."""

    judge: Estimate
    humans: Estimate
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
    self_preference_control: Estimate
    """The same of answers of other families in place of its own: what quality alone explains."""
    effects: Mapping[str, Estimate]
    """Average marginal effects in share of verdicts, humans' votes held fixed: `position`,
    `length`, `markdown`, `own_family`."""
