"""What a reader of a report may look up: pairs with their texts, replies and votes. Plain records.

Every order, preference and vote here is in the orientation of the pair that it stands with.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np

from calibration.agreement import Index, Mask
from calibration.intervals import Floats
from calibration.report.columns import JudgeColumns
from calibration.report.disagreements import against_votes

_QUESTION_CHARS = 110
_INCONSISTENT = 2
"""Beside the codes of the three choices, so that judges who contradict themselves differ."""


class Flag(StrEnum):
    """What a reader may want to see only: properties of a pair, any number of them at once."""

    AGAINST_VOTES = "against-votes"
    """The delivered label is not what most votes say."""
    ORDERS = "orders"
    """A judge says otherwise when the answers trade places."""
    JUDGES = "judges"
    """Two judges have different labels."""
    TIE = "tie"
    INCONSISTENT = "inconsistent"
    UNPARSED = "unparsed"
    TRUNCATED = "truncated"
    REFUSED = "refused"
    FAILED = "failed"
    UNVOTED = "unvoted"


_STATUSES = (Flag.UNPARSED, Flag.TRUNCATED, Flag.REFUSED, Flag.FAILED)


@dataclass(frozen=True, slots=True)
class Passage:
    """A text, or the beginning and the end of one too long to show."""

    text: str
    tail: str = ""
    left_out: int = 0
    """Characters between `text` and `tail`."""

    @property
    def shown(self) -> int:
        """Characters that are here."""
        return len(self.text) + len(self.tail)

    @property
    def chars(self) -> int:
        """Length of the whole text."""
        return self.shown + self.left_out


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of the question."""

    role: str
    text: Passage


@dataclass(frozen=True, slots=True)
class AnswerEvidence:
    """One side of a pair."""

    texts: tuple[Passage, ...]
    """One answer, or one to every turn."""
    system: str | None = None
    """Who answered, where that is known."""

    @property
    def chars(self) -> int:
        return sum(text.chars for text in self.texts)


@dataclass(frozen=True, slots=True)
class VoteEvidence:
    """What one person said."""

    annotator: str
    preference: str
    """`first`, `second`, `tie`, `both_bad` or `skip`."""
    note: Passage | None = None


@dataclass(frozen=True, slots=True)
class ReplyEvidence:
    """One reply of a judge, with a verdict and what it means, or with why there is none."""

    judge: str
    order: str
    """`forward` shows the first answer as A, `reversed` the second."""
    text: Passage
    sample: int = 0
    verdict: str | None = None
    """`A`, `B` or `tie`, about shown positions."""
    preference: str | None = None
    """`first`, `second` or `tie`: what the verdict means."""
    status: str | None = None
    reason: str | None = None
    """Why there is no verdict, in words."""


@dataclass(frozen=True, slots=True)
class PairEvidence:
    """Everything that can be shown of one pair."""

    row: int
    """Its place in the input, from 0."""
    pair_id: str
    prompt_id: str
    prompt: tuple[Turn, ...]
    first: AnswerEvidence
    second: AnswerEvidence
    label: str
    """The delivered one: `first`, `second`, `tie`, `inconsistent` or `undecided`."""
    reason: str | None = None
    """Why it is undecided."""
    reference: Passage | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    judge_labels: Mapping[str, str] = field(default_factory=dict)
    """What each of several judges made of the pair, by its name; empty for a single judge."""
    replies: tuple[ReplyEvidence, ...] = ()
    votes: tuple[VoteEvidence, ...] = ()
    tally: Mapping[str, int] = field(default_factory=dict)
    """Votes by preference, those that are not in `votes` included."""
    flags: tuple[Flag, ...] = ()
    why: str | None = None
    """What makes it worth reading, where it is one of the chosen."""

    @property
    def question(self) -> str:
        """The beginning of what was asked, on one line."""
        asked = [turn.text.text for turn in self.prompt if turn.role == "user"]
        start = " ".join((asked[-1] if asked else self.prompt_id)[:_QUESTION_CHARS].split())
        return start if asked and len(asked[-1]) <= _QUESTION_CHARS else f"{start}…"

    @property
    def votes_left_out(self) -> int:
        return sum(self.tally.values()) - len(self.votes)

    def passages(self) -> Iterator[Passage]:
        """Yield every text of the pair."""
        yield from (turn.text for turn in self.prompt)
        if self.reference is not None:
            yield self.reference
        yield from self.first.texts
        yield from self.second.texts
        yield from (reply.text for reply in self.replies)
        yield from (vote.note for vote in self.votes if vote.note is not None)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence that goes with one report."""

    disagreements: tuple[PairEvidence, ...]
    """The most informative, the first before all others."""
    pairs: tuple[PairEvidence, ...]
    """For looking up: those against the votes first, then the others, each in input order."""
    pairs_in_run: int
    why_left_out: str | None = None
    """Why `pairs` are not all pairs of the run."""


def excerpt(text: str, most: int) -> Passage:
    """Return a text as it is, or its beginning and its end, together `most` characters.

    The end is kept because that is where judges state their verdicts.
    """
    if len(text) <= most:
        return Passage(text)
    tail = most // 3
    return Passage(text[: most - tail], text[len(text) - tail :], len(text) - most)


def shortened(passage: Passage, most: int) -> Passage:
    """Return a passage that shows at most `most` characters."""
    if passage.shown <= most:
        return passage
    tail = most // 3
    end = passage.tail or passage.text
    short = Passage(passage.text[: most - tail], end[max(len(end) - tail, 0) :])
    return replace(short, left_out=passage.chars - short.shown)


def steady_labels(delivered: JudgeColumns, judges: Sequence[JudgeColumns]) -> Mask:
    """Return where all of `judges` say the delivered label in both orders, shape (n_pairs,)."""
    steady = delivered.has_label & ~delivered.inconsistent
    for judge in judges:
        if judge.orders is None:
            return np.zeros(len(steady), bool)
        said = judge.orders
        steady &= said.has_forward & said.has_reversed & (said.forward == said.reversed)
        steady &= said.forward == delivered.label
    return steady


def flag_masks(
    delivered: JudgeColumns, judges: Sequence[JudgeColumns], votes: Floats
) -> dict[Flag, Mask]:
    """Return where each flag holds, shape (n_pairs,) each.

    `judges` are the single ones, `delivered` is one of them or their panel; `votes` (n_pairs, 3)
    are those of `VoteColumns.counts`.
    """
    tied = (delivered.label == 0) & delivered.has_label
    return {
        Flag.AGAINST_VOTES: against_votes(delivered.label, votes, has_label=delivered.has_label),
        Flag.ORDERS: _any([_flips(judge) for judge in judges], len(tied)),
        Flag.JUDGES: _judges_differ(judges, len(tied)),
        Flag.TIE: tied & ~delivered.inconsistent,
        Flag.INCONSISTENT: delivered.has_label & delivered.inconsistent,
        **{
            flag: _any([_some(judge.statuses.get(flag)) for judge in judges], len(tied))
            for flag in _STATUSES
        },
        Flag.UNVOTED: votes.sum(axis=1) == 0,
    }


def _any(masks: Sequence[Mask | None], n_pairs: int) -> Mask:
    found = np.zeros(n_pairs, bool)
    for mask in masks:
        if mask is not None:
            found |= mask
    return found


def _some(counts: Index | None) -> Mask | None:
    return None if counts is None else np.asarray(counts > 0, dtype=np.bool_)


def _flips(judge: JudgeColumns) -> Mask | None:
    said = judge.orders
    if said is None:
        return None
    flips = said.has_forward & said.has_reversed & (said.forward != said.reversed)
    return np.asarray(flips, dtype=np.bool_)


def _judges_differ(judges: Sequence[JudgeColumns], n_pairs: int) -> Mask:
    lowest, highest = np.full(n_pairs, _INCONSISTENT), np.full(n_pairs, -1)
    for judge in judges:
        code = np.where(judge.inconsistent, _INCONSISTENT, judge.label)
        lowest = np.where(judge.has_label, np.minimum(lowest, code), lowest)
        highest = np.where(judge.has_label, np.maximum(highest, code), highest)
    return np.asarray(lowest < highest, dtype=np.bool_)
