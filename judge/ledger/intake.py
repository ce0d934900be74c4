"""Putting given pairs and votes into the ledger, with their conflicts found first."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.sqlite import insert

from judge.identity import Content
from judge.ledger.schema import contents, judgments, pairs, run_pairs, votes
from judge.ledger.store import Ledger
from judge.records import Judgment, Message, Pair, Vote

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Given:
    """One pair as it stood on a line of an input."""

    line: int
    pair: Pair
    content: Content


@dataclass(frozen=True, slots=True)
class Conflict:
    """A line that the ledger cannot take, and why."""

    line: int
    problem: str
    pair_id: str | None = None
    """Where a pair is refused: several may stand on one line."""


def add_pairs(ledger: Ledger, run_id: str, given: Sequence[Given]) -> list[Conflict]:
    """Store pairs and select them for a run, after those it has; return what was refused.

    The same pair again is no conflict. The same `pair_id` with another content or with exchanged
    sides is one, and its line is left out.
    """
    with ledger.transaction() as connection:
        known = _known_pairs(connection, [g.pair.pair_id for g in given])
        accepted: list[Given] = []
        conflicts: list[Conflict] = []
        for item in given:
            side = (item.content.content_id, item.content.is_exchanged)
            stored = known.setdefault(item.pair.pair_id, side)
            if stored == side:
                accepted.append(item)
            else:
                conflicts.append(clash_with(stored, item))
        if accepted:
            _insert_pairs(connection, accepted)
            selected = [(g.pair.pair_id, g.content.content_id) for g in accepted]
            select_pairs(connection, run_id, selected)
    return conflicts


def select_pairs(connection: Connection, run_id: str, selected: Sequence[tuple[str, str]]) -> None:
    """Append (pair id, content id) to a run's selection; an id selected already stays once."""
    highest = select(func.max(run_pairs.c.position)).where(run_pairs.c.run_id == run_id)
    start = connection.scalar(highest)
    start = 0 if start is None else start + 1
    content_ids = {content_id for _, content_id in selected}
    query = select(run_pairs.c.pair_id).where(
        run_pairs.c.run_id == run_id, run_pairs.c.content_id.in_(content_ids)
    )
    seen = set(connection.scalars(query))
    rows: list[dict[str, Any]] = []
    for pair_id, content_id in selected:
        if pair_id not in seen:
            seen.add(pair_id)
            rows.append(
                {
                    "run_id": run_id,
                    "position": start + len(rows),
                    "pair_id": pair_id,
                    "content_id": content_id,
                }
            )
    if rows:
        connection.execute(insert(run_pairs), rows)


def add_votes(ledger: Ledger, given: Sequence[tuple[int, Vote]]) -> tuple[int, list[Conflict]]:
    """Store votes, each by its line; return how many were new, and what was refused.

    A vote is identified by all its fields, so importing the same file again adds nothing.
    A vote for a pair that the ledger does not know is refused.
    """
    with ledger.transaction() as connection:
        known = _known_pairs(connection, [vote.pair_id for _, vote in given])
        rows = [_vote_row(vote) for _, vote in given if vote.pair_id in known]
        new = 0
        if rows:
            added = connection.execute(
                insert(votes).on_conflict_do_nothing(),
                rows,
                execution_options={"preserve_rowcount": True},
            )
            new = added.rowcount
    unknown = [
        Conflict(line, unknown_pair(vote.pair_id))
        for line, vote in given
        if vote.pair_id not in known
    ]
    return new, unknown


def add_judgments(
    ledger: Ledger, given: Sequence[tuple[int, Judgment]]
) -> tuple[int, list[Conflict]]:
    """Store judgments, each by its line; return how many were new, and what was refused.

    The same reply again is no conflict. Another reply to the same judge, order and sample is one.
    """
    new: list[dict[str, Any]] = []
    conflicts: list[Conflict] = []
    with ledger.transaction() as connection:
        known = _known_replies(connection, [judgment for _, judgment in given])
        for line, judgment in given:
            key = (judgment.content_id, judgment.judge_key, judgment.order, judgment.sample)
            if key not in known:
                known[key] = judgment.reply
                new.append(judgment.__dict__)
            elif known[key] != judgment.reply:
                problem = (
                    "the same judge, pair, order and sample have another reply already; "
                    'give this one another "sample" number'
                )
                conflicts.append(Conflict(line, problem))
        if new:
            connection.execute(insert(judgments), new)
    return len(new), conflicts


def sides_of(ledger: Ledger, pair_ids: Iterable[str]) -> Mapping[str, tuple[str, bool]]:
    """Return pair id -> (content id, is_exchanged) of those ids that the ledger knows."""
    with ledger.snapshot() as connection:
        return _known_pairs(connection, list(pair_ids))


def _known_pairs(connection: Connection, pair_ids: list[str]) -> dict[str, tuple[str, bool]]:
    known: dict[str, tuple[str, bool]] = {}
    for chunk in _chunks(sorted(set(pair_ids))):
        query = select(pairs.c.pair_id, pairs.c.content_id, pairs.c.is_exchanged)
        for row in connection.execute(query.where(pairs.c.pair_id.in_(chunk))):
            known[row.pair_id] = (row.content_id, row.is_exchanged)
    return known


def _known_replies(
    connection: Connection, given: Sequence[Judgment]
) -> dict[tuple[str, str, str, int], str]:
    key = (judgments.c.content_id, judgments.c.judge_key, judgments.c.order, judgments.c.sample)
    known: dict[tuple[str, str, str, int], str] = {}
    for chunk in _chunks(sorted({judgment.content_id for judgment in given})):
        query = select(*key, judgments.c.reply).where(judgments.c.content_id.in_(chunk))
        for content_id, judge_key, order, sample, reply in connection.execute(query):
            known[(content_id, judge_key, order, sample)] = reply
    return known


def _insert_pairs(connection: Connection, given: Sequence[Given]) -> None:
    content_rows = [
        {
            "content_id": g.content.content_id,
            "prompt": g.content.prompt_json,
            "reference": g.content.reference,
            "first": g.content.first_json,
            "second": g.content.second_json,
            "first_chars": _characters(g.content.first),
            "second_chars": _characters(g.content.second),
        }
        for g in given
    ]
    connection.execute(insert(contents).on_conflict_do_nothing(), content_rows)
    connection.execute(insert(pairs).on_conflict_do_nothing(), [pair_row(g) for g in given])


def pair_row(given: Given) -> dict[str, Any]:
    """Return a given pair as its row."""
    return {
        "pair_id": given.pair.pair_id,
        "content_id": given.content.content_id,
        "is_exchanged": given.content.is_exchanged,
        "prompt_id": given.pair.prompt.prompt_id,
        "first_model": given.pair.first.model,
        "second_model": given.pair.second.model,
        "tags": to_json(given.pair.prompt.tags).decode(),
    }


def _characters(answer: Sequence[Message]) -> int:
    """Return the length of an answer, all its turns together."""
    return sum(len(message.content) for message in answer if message.role == "assistant")


def clash_with(stored: tuple[str, bool], given: Given) -> Conflict:
    """Return why a pair cannot be taken whose id is known with another content or side."""
    pair_id = given.pair.pair_id
    if stored[0] == given.content.content_id:
        problem = (
            f'pair_id "{pair_id}" is known with its two answers exchanged; '
            "give the answers in the known order, or another pair_id"
        )
    else:
        problem = (
            f'pair_id "{pair_id}" is known with another content; give this pair another pair_id'
        )
    return Conflict(given.line, problem, pair_id)


def unknown_pair(pair_id: str) -> str:
    """Return why a fact about a pair cannot be taken."""
    return f'pair_id "{pair_id}" is not in the ledger; import its pair first'


def _vote_row(vote: Vote) -> dict[str, Any]:
    record = to_json(vote, exclude_none=True)
    return {
        "vote_id": sha256(record).hexdigest()[:32],
        "pair_id": vote.pair_id,
        "annotator": vote.annotator,
        "preference": vote.preference,
        "record": record.decode(),
    }


def _chunks(ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]
