"""Votes as agreement sees them: who prefers what, without ratings, notes and times."""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import select

from judge.ledger.schema import votes
from judge.ledger.store import Ledger


class BareVote(NamedTuple):
    """The part of a `Vote` that agreement looks at, in the orientation of the pair it names."""

    pair_id: str
    annotator: str
    preference: str


def bare_votes(ledger: Ledger) -> Iterator[BareVote]:
    """Yield every vote of the ledger, whatever run its pair is in; memory stays flat."""
    query = select(votes.c.pair_id, votes.c.annotator, votes.c.preference)
    with ledger.snapshot() as connection:
        for row in connection.execute(query):
            yield BareVote(*row)
