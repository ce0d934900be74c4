"""Votes as agreement sees them: who prefers what, without ratings, notes and times."""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import func, select

from judge.ledger.schema import votes
from judge.ledger.store import Ledger


class BareVote(NamedTuple):
    """The part of a `Vote` that agreement looks at, in the orientation of the pair it names."""

    pair_id: str
    annotator: str
    preference: str
    batch: str | None = None
    """The delivery that it came with, where it names one."""


def bare_votes(ledger: Ledger) -> Iterator[BareVote]:
    """Yield every vote of the ledger, whatever run its pair is in; memory stays flat."""
    batch = func.json_extract(votes.c.record, "$.batch")
    query = select(votes.c.pair_id, votes.c.annotator, votes.c.preference, batch)
    with ledger.snapshot() as connection:
        for row in connection.execute(query):
            yield BareVote(*row)
