"""Whether a reference answer can be relied on, from a model's own answers. Pure.

A model answers the question several times without seeing the reference. Each answer is the same
as the reference, different from it, or neither is sure. A reference that more than half of the
answers contradict is doubtful: it may be wrong, or the model is.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum

DOUBTFUL_REASON = "doubtful reference"
"""`Label.reason` of a pair that is left out for its reference."""

_FINAL = re.compile(r"^[ \t*_#>-]*(?:final[ \t]+)?answer[*_ \t]*[:=][*_ \t]*(.+)$", re.I | re.M)
_MARKED = re.compile(r"^####[ \t]*(.+)$", re.M)
_BOXED = re.compile(r"\\boxed\{([^{}]+)\}")
_NUMBER = re.compile(r"([-+]?)[$€£]?(\d{1,3}(?:,\d{3})+|\d+)?(\.\d+)?(?![\d,])[ ]?(\D*)")
_AROUND = " \t.*_`\"'$€£"
_SHORT = 200
"""Characters up to which an answer is compared letter by letter."""


class Saying(StrEnum):
    """How one own answer compares with the reference."""

    SAME = "same"
    DIFFERENT = "different"
    UNSURE = "unsure"


class ReferenceStatus(StrEnum):
    """What the check of a reference came to."""

    CHECKED = "checked"
    """More than half of the own answers agree with it."""
    DOUBTFUL = "doubtful"
    """More than half of them contradict it."""
    UNCLEAR = "unclear"
    """Neither."""


@dataclass(frozen=True, slots=True)
class ReferenceCheck:
    """How many of the own answers agree with a reference, contradict it, or are not sure."""

    same: int
    different: int
    unsure: int

    @property
    def status(self) -> ReferenceStatus:
        total = self.same + self.different + self.unsure
        if 2 * self.different > total:
            return ReferenceStatus.DOUBTFUL
        return ReferenceStatus.CHECKED if 2 * self.same > total else ReferenceStatus.UNCLEAR


def check_of(sayings: Iterable[Saying], *, asked: int) -> ReferenceCheck:
    """Return the check that sayings amount to; own answers that never came are not sure."""
    found = Counter(sayings)
    same, different = found[Saying.SAME], found[Saying.DIFFERENT]
    return ReferenceCheck(same, different, max(asked, found.total()) - same - different)


def read_saying(text: str) -> Saying:
    """Return what a comparison says: one word and nothing else, or it is not sure."""
    word = text.strip().strip("*_`\"'[]. \n\t")
    return {saying.value.upper(): saying for saying in Saying}.get(word, Saying.UNSURE)


def is_plainly_same(reference: str, answer: str) -> bool:
    """Whether an answer and a reference end in the same short result, so that no one need be asked.

    White space, case, emphasis and currency signs around a result do not matter, and 1,250.0 is
    1250; a unit does. Another result is never plainly different: units may hide a match.
    """
    ends = [_result(text) for text in (reference, answer)]
    return ends[0] is not None and ends[0] == ends[1]


def _result(text: str) -> tuple[str, str] | None:
    """Return a number and its unit, or an empty text and the words; None where it is long."""
    found = _MARKED.findall(text) or _FINAL.findall(text) or _BOXED.findall(text)
    final = unicodedata.normalize("NFKC", found[-1] if found else text)
    final = " ".join(final.split()).strip(_AROUND).casefold()
    if not final or len(final) > _SHORT:
        return None
    return _quantity(final) or ("", final)


def _quantity(text: str) -> tuple[str, str] | None:
    match = _NUMBER.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        return None
    try:
        number = Decimal(f"{match[1]}{(match[2] or '0').replace(',', '')}{match[3] or ''}")
    except InvalidOperation:
        return None
    return f"{number.normalize() + 0:f}", match[4].strip(_AROUND)
