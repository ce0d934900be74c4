"""The pairs for looking up, as compressed text that fits into a page.

JSON Lines, compressed with gzip and written in base64: the browser unpacks it without a library,
and nothing a model wrote can end the element that it lies in.
"""

import json
import zlib
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from calibration.report.evidence import AnswerEvidence, PairEvidence, Passage
from calibration.report.html.model_text import well_formed

MOST_BASE64_BYTES = 2_200_000

_GROUP = 16
"""Pairs that are compressed before the size is looked at again: the last few may not fit."""
_GZIP = 31
"""Window bits of a gzip stream; its header then holds no time, so equal pairs are equal bytes."""
_TRAILER_BYTES = 64


@dataclass(frozen=True, slots=True)
class Payload:
    """The first so many of the pairs given."""

    base64: str
    pairs: int


def payload_of(pairs: Sequence[PairEvidence], *, most_bytes: int = MOST_BASE64_BYTES) -> Payload:
    """Return the pairs in their order, as many as fit into `most_bytes` of base64."""
    most = most_bytes // 4 * 3 - _TRAILER_BYTES
    compressor, packed, count = zlib.compressobj(6, zlib.DEFLATED, _GZIP), bytearray(), 0
    remaining = iter(pairs)
    while group := list(islice(remaining, _GROUP)):
        before = compressor.copy()
        lines = "".join(f"{_line(pair)}\n" for pair in group)
        added = compressor.compress(lines.encode()) + compressor.flush(zlib.Z_SYNC_FLUSH)
        if len(packed) + len(added) > most:
            compressor = before
            break
        packed += added
        count += len(group)
    packed += compressor.flush()
    return Payload(b64encode(packed).decode("ascii"), count)


def _line(pair: PairEvidence) -> str:
    line = json.dumps(_plain(pair), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return well_formed(line)


def _plain(pair: PairEvidence) -> dict[str, Any]:
    return {
        "row": pair.row,
        "id": pair.pair_id,
        "prompt_id": pair.prompt_id,
        "prompt": [[turn.role, _text(turn.text)] for turn in pair.prompt],
        "reference": _text(pair.reference),
        "first": _answer(pair.first),
        "second": _answer(pair.second),
        "tags": pair.tags,
        "label": pair.label,
        "reason": pair.reason,
        "judge_labels": pair.judge_labels,
        "replies": [
            {
                "judge": reply.judge,
                "order": reply.order,
                "sample": reply.sample,
                "verdict": reply.verdict,
                "preference": reply.preference,
                "status": reply.status,
                "reason": reply.reason,
                "text": _text(reply.text),
            }
            for reply in pair.replies
        ],
        "votes": [[vote.annotator, vote.preference, _text(vote.note)] for vote in pair.votes],
        "tally": pair.tally,
        "flags": pair.flags,
    }


def _answer(answer: AnswerEvidence) -> dict[str, Any]:
    return {
        "texts": [_text(text) for text in answer.texts],
        "system": answer.system,
        "chars": answer.chars,
    }


def _text(passage: Passage | None) -> Any:
    """A whole text as itself, a cut one as its beginning, the characters left out, its end."""
    if passage is None or not passage.left_out:
        return passage and passage.text
    return [passage.text, passage.left_out, passage.tail]
