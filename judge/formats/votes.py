"""Votes as JSON Lines: what people preferred, in the orientation of the pair they name.

    {"pair_id", "annotator", "preference": first | second | tie | both_bad | skip,
     "strength"?: 0-3, "ratings"?: {ATTRIBUTE: {"first": 1-7, "second": 1-7}},
     "shown_order"?: forward | reversed, "batch"?, "seconds"?, "note"?, "created_at"?}

A vote is already un-shuffled: `shown_order` records how it was cast and changes nothing.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from judge.formats.lines import BadLine, Line, read_lines
from judge.formats.rows import record_from, refuse_empty
from judge.records import Vote


def read_votes(path: str | Path) -> Iterator[Line[Vote] | BadLine]:
    """One vote or one problem per line; `-` reads standard input.

    Raises InputError while iterating when the file as a whole cannot be used.
    """
    return read_lines(path, parse_vote)


def parse_vote(line: bytes) -> Vote:
    """The vote on one line; raises InputError with the problem in one line."""
    vote = record_from(line, Vote)
    refuse_empty("pair_id", vote.pair_id)
    refuse_empty("annotator", vote.annotator)
    return vote


def vote_row(vote: Vote) -> dict[str, Any]:
    """The JSON object of a vote, without the fields that it leaves open."""
    return vote.model_dump(mode="json", exclude_none=True)
