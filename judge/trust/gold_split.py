"""The gold votes in two parts, dev and test, that no prompt is in both of. Pure.

Whoever tunes a judge on the votes that certify it certifies the tuning. A prompt's part is decided
by a hash of its id alone: it stays where it is, whatever else is in the file or the ledger.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from hashlib import sha256
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np

from calibration.agreement import Mask, VoteColumns
from calibration.report.columns import PairColumns
from judge.errors import ConfigError

DEFAULT_SHARE = 0.5

_SALT = b"evenhand gold split 1\n"
_WHOLE = 2**64


class Split(StrEnum):
    """Which votes are looked at."""

    ALL = "all"
    DEV = "dev"
    """For trying things out, as often as one likes."""
    TEST = "test"
    """For the last word; every look is counted."""


class HasVotes(Protocol):
    """The part of `Gathered` that a split restricts: a frozen dataclass of columns and votes."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def prompt_ids(self) -> tuple[str, ...]: ...
    @property
    def pairs(self) -> PairColumns: ...
    @property
    def votes(self) -> VoteColumns: ...
    @property
    def votes_left_out(self) -> Mapping[str, int]: ...


G = TypeVar("G", bound=HasVotes)


def is_test(prompt_id: str, share: float = DEFAULT_SHARE) -> bool:
    """Return whether a prompt belongs to the test part, which takes `share` of all prompts.

    A test part of a smaller share lies within one of a larger share. Raises ConfigError unless
    the share is above 0 and below 1.
    """
    if not 0 < share < 1:
        raise ConfigError(f"test share {share}: it must lie between 0 and 1; 0.5 is usual")
    return int.from_bytes(prompt_digest(prompt_id)) < share * _WHOLE


def split_gathered(gathered: G, split: Split, *, share: float = DEFAULT_SHARE) -> G:
    """Return the same columns with the votes on prompts of one part alone; pairs all stay.

    The other votes are counted as left out. Raises ConfigError as `is_test` does.
    """
    in_test = _test_mask(gathered.prompt_ids, share)
    if split is Split.ALL:
        return gathered
    mask = in_test if split is Split.TEST else ~in_test
    kept = gathered.votes.on(mask[gathered.pairs.cluster])
    left_out = Counter(gathered.votes_left_out)
    if gone := len(gathered.votes.pair) - len(kept.pair):
        left_out[f"prompt not in the {split} split"] += gone
    return replace(gathered, votes=kept, votes_left_out=left_out)


def prompts_under_test(gathered: HasVotes, *, share: float = DEFAULT_SHARE) -> frozenset[bytes]:
    """Return digests of the prompts with votes that belong to the test part: what is looked at."""
    mask = _test_mask(gathered.prompt_ids, share)
    voted = np.unique(gathered.pairs.cluster[gathered.votes.pair])
    return frozenset(prompt_digest(gathered.prompt_ids[at]) for at in voted[mask[voted]])


def prompt_digest(prompt_id: str) -> bytes:
    """Return the 8 bytes that place a prompt in a part, and stand for it in a noted look."""
    return sha256(_SALT + prompt_id.encode("utf-8", "surrogatepass")).digest()[:8]


def _test_mask(prompt_ids: tuple[str, ...], share: float) -> Mask:
    return np.fromiter((is_test(name, share) for name in prompt_ids), np.bool_, len(prompt_ids))
