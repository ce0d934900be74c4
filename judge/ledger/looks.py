"""Looks at the test part of the gold votes: each is noted, for the more looks, the more luck."""

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, literal_column, select
from sqlalchemy.dialects.sqlite import insert

from judge.ledger.schema import looks
from judge.ledger.store import Ledger

_DIGEST_BYTES = 8


@dataclass(frozen=True, slots=True)
class Look:
    """One question asked of the test part, and what came out."""

    look_id: str
    """Digest of the question and of every fact that answers it: a repetition is no other look."""
    command: str
    subject: str
    """What was compared or certified, in words."""
    split: str
    share: float
    """Of the prompts that the test part takes."""
    prompts: Set[bytes]
    """Digests of 8 bytes of the test prompts whose votes were looked at."""
    result: Mapping[str, Any]
    """The figure that was shown, as JSON."""
    created_at: str


def record_look(ledger: Ledger, look: Look) -> None:
    """Note a look durably, unless the same one is noted already; raises LedgerError."""
    row = {
        "look_id": look.look_id,
        "command": look.command,
        "subject": look.subject,
        "split": look.split,
        "share": look.share,
        "prompts": b"".join(sorted(look.prompts)),
        "result": json.dumps(look.result, sort_keys=True),
        "created_at": look.created_at,
    }
    with ledger.transaction() as connection:
        connection.execute(insert(looks).values(row).on_conflict_do_nothing())


def looks_of(ledger: Ledger, prompts: Set[bytes]) -> list[Look]:
    """Return the looks that saw any of these test prompts, the oldest first.

    Neither more votes nor another share or selection makes prompts unseen that were seen.
    """
    with ledger.snapshot() as connection:
        found = connection.execute(select(looks).order_by(literal_column("rowid")))
        return [look for row in found if (look := _look_from(row)).prompts & prompts]


def _look_from(row: Row[Any]) -> Look:
    packed = row.prompts
    return Look(
        look_id=row.look_id,
        command=row.command,
        subject=row.subject,
        split=row.split,
        share=row.share,
        prompts={packed[at : at + _DIGEST_BYTES] for at in range(0, len(packed), _DIGEST_BYTES)},
        result=json.loads(row.result),
        created_at=row.created_at,
    )
