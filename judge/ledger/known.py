"""What the ledger already has of pairs that are given, before anything of them is stored."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from judge.ledger.intake import CHUNK, Conflict, Given, clash_with, pair_row, sides_of, unknown_pair
from judge.ledger.schema import pairs
from judge.ledger.store import Ledger


@dataclass(frozen=True, slots=True)
class Known:
    """How given pairs compare with those of the ledger."""

    new: int
    """Distinct pair ids that it does not have."""
    differing: int
    """Pairs that it has with another prompt_id, other tags or other models, which it keeps."""
    fields: Counter[str]
    """How many of those differ in each of these."""


def compare_known(ledger: Ledger, given: Sequence[Given]) -> Known:
    """Return how pairs that are about to be added compare with what the ledger has of them.

    Pairs that `add_pairs` will refuse count as neither new nor differing.
    """
    stored = dict(_stored_rows(ledger, {item.pair.pair_id for item in given}))
    new, differing = 0, 0
    fields: Counter[str] = Counter()
    for item in given:
        row = pair_row(item)
        known = stored.setdefault(item.pair.pair_id, row)
        if known is row:
            new += 1
        elif _side(known) == _side(row) and (names := _differing(known, row)):
            differing += 1
            fields.update(names)
    return Known(new, differing, fields)


def find_clashes(ledger: Ledger, given: Sequence[Given]) -> list[Conflict]:
    """Return those of some pairs that the ledger does not have just as they are given."""
    sides = sides_of(ledger, [item.pair.pair_id for item in given])
    clashes: list[Conflict] = []
    for item in given:
        pair_id = item.pair.pair_id
        stored = sides.get(pair_id)
        if stored is None:
            clashes.append(Conflict(item.line, unknown_pair(pair_id), pair_id))
        elif stored != (item.content.content_id, item.content.is_exchanged):
            clashes.append(clash_with(stored, item))
    return clashes


def _stored_rows(ledger: Ledger, pair_ids: set[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    ids = sorted(pair_ids)
    with ledger.snapshot() as connection:
        for start in range(0, len(ids), CHUNK):
            query = select(pairs).where(pairs.c.pair_id.in_(ids[start : start + CHUNK]))
            for row in connection.execute(query).mappings():
                yield row["pair_id"], {str(name): value for name, value in row.items()}


def _side(row: Mapping[str, Any]) -> tuple[str, bool]:
    return row["content_id"], row["is_exchanged"]


def _differing(stored: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Return what two rows of one pair say differently about it."""
    names = []
    if stored["prompt_id"] != given["prompt_id"]:
        names.append("prompt_id")
    one, other = stored["tags"], given["tags"]
    if one != other and json.loads(one) != json.loads(other):
        names.append("tags")
    if any(stored[side] != given[side] for side in ("first_model", "second_model")):
        names.append("models")
    return names
