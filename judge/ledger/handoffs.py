"""Batches handed to people: what was drawn, from what, and with which probability."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Row,
    Select,
    Table,
    func,
    insert,
    select,
)

from judge.identity import messages_from_json
from judge.ledger.schema import batches as batches_table
from judge.ledger.schema import contents, pairs, run_pairs, votes
from judge.ledger.schema import tasks as tasks_table
from judge.ledger.store import Ledger
from judge.ledger.work import fill_page
from judge.people.drawing import Task
from judge.records import Message, Order, Outcome

PAGE = 1000
CHUNK = 500

HANDED_OFF = "handed off before"
VOTED = "human votes already"
REPEATED = "same answers as another pair"


@dataclass(frozen=True, slots=True)
class Batch:
    """One handoff: the settings it was drawn with and the frame it was drawn from."""

    name: str
    run_id: str
    rule: str
    seed: int
    n: int
    """Audit pairs that were asked for; fewer were drawn where the frame was smaller."""
    include: tuple[Outcome, ...]
    is_again: bool
    """Whether pairs handed off or voted on earlier could be drawn."""
    frame_size: int
    """Pairs of the run that could be drawn."""
    excluded: Mapping[str, int]
    """Pairs of the run that could not, by reason."""
    audit_probability: float
    """That the uniform draw takes a given pair of the frame."""
    guidelines_digest: str
    """SHA-256 of what the people were told, before the batch was named in it."""
    created_at: str


@dataclass(frozen=True, slots=True)
class TaskTexts:
    """A task with what is shown of it, in the orientation of its pair; never a model's name."""

    task: Task
    prompt: tuple[Message, ...]
    first: tuple[Message, ...]
    second: tuple[Message, ...]


def set_aside(ledger: Ledger, run_id: str, *, is_again: bool) -> Mapping[str, str]:
    """Return pair id -> reason of the pairs of a run that may not be drawn, pending ones not asked.

    The first pair of each content stands for it. What was handed off or voted on is set aside by
    content too, unless it is to be drawn again.
    """
    place = func.row_number().over(
        partition_by=run_pairs.c.content_id, order_by=run_pairs.c.position
    )
    mentions = select(run_pairs.c.pair_id, place.label("place")).where(run_pairs.c.run_id == run_id)
    mention = mentions.subquery()
    reasons: dict[str, str] = {}
    with ledger.snapshot() as connection:
        if not is_again:
            reasons |= dict.fromkeys(connection.scalars(_sharing(run_id, votes)), VOTED)
            reasons |= dict.fromkeys(connection.scalars(_sharing(run_id, tasks_table)), HANDED_OFF)
        repeated = connection.scalars(select(mention.c.pair_id).where(mention.c.place > 1))
        reasons |= dict.fromkeys(repeated, REPEATED)
    return reasons


def add_batch(ledger: Ledger, batch: Batch, tasks: Iterable[Task]) -> None:
    """Store a batch and its tasks in the order they are handed out."""
    with ledger.transaction() as connection:
        connection.execute(insert(batches_table), _batch_row(batch))
        rows = [_task_row(position, task) for position, task in enumerate(tasks)]
        if rows:
            connection.execute(insert(tasks_table), rows)


def find_batch(ledger: Ledger, name: str) -> Batch | None:
    """Return a batch by its name, if there is one."""
    return next((batch for batch in list_batches(ledger) if batch.name == name), None)


def list_batches(ledger: Ledger) -> list[Batch]:
    """Return all batches, the oldest first."""
    with ledger.snapshot() as connection:
        query = select(batches_table).order_by(batches_table.c.created_at, batches_table.c.name)
        return [_batch_from(row) for row in connection.execute(query)]


def tasks_in(ledger: Ledger, batch: str) -> list[Task]:
    """Return the tasks of a batch in the order they were handed out."""
    with ledger.snapshot() as connection:
        query = (
            select(tasks_table).where(tasks_table.c.batch == batch).order_by(tasks_table.c.position)
        )
        return [_task_from(row) for row in connection.execute(query)]


def find_tasks(ledger: Ledger, task_ids: Iterable[str]) -> Mapping[str, Task]:
    """Return task id -> task of those ids that were handed off."""
    ids = sorted(set(task_ids))
    found: dict[str, Task] = {}
    with ledger.snapshot() as connection:
        for start in range(0, len(ids), CHUNK):
            query = select(tasks_table).where(tasks_table.c.task_id.in_(ids[start : start + CHUNK]))
            found |= {row.task_id: _task_from(row) for row in connection.execute(query)}
    return found


def task_texts(ledger: Ledger, batch: str) -> Iterator[TaskTexts]:
    """Yield the tasks of a batch with their texts, in the order they were handed out."""
    after = -1
    while True:
        with ledger.snapshot() as connection:
            rows = fill_page(connection.execute(_texts_query(batch, after)))
        if not rows:
            return
        for row in rows:
            first, second = messages_from_json(row.first), messages_from_json(row.second)
            if row.is_exchanged:
                first, second = second, first
            yield TaskTexts(_task_from(row), messages_from_json(row.prompt), first, second)
        after = rows[-1].position


def count_prompts(ledger: Ledger, batch: str) -> tuple[int, int]:
    """Return how many prompts the audit pairs of a batch are of, and how many all its pairs."""
    prompts = func.count(pairs.c.prompt_id.distinct())
    query = select(prompts).join(tasks_table, tasks_table.c.pair_id == pairs.c.pair_id)
    query = query.where(tasks_table.c.batch == batch)
    with ledger.snapshot() as connection:
        audit = connection.scalar(query.where(tasks_table.c.is_audit)) or 0
        return audit, connection.scalar(query) or 0


def _sharing(run_id: str, facts: Table) -> Select[Any]:
    """The pairs of a run whose content some row of a table is about, by whatever pair id."""
    known = select(pairs.c.content_id).join(facts, facts.c.pair_id == pairs.c.pair_id)
    return select(run_pairs.c.pair_id).where(
        run_pairs.c.run_id == run_id, run_pairs.c.content_id.in_(known)
    )


def _texts_query(batch: str, after: int) -> Select[Any]:
    texts = (contents.c.prompt, contents.c.first, contents.c.second)
    return (
        select(tasks_table, pairs.c.is_exchanged, *texts)
        .join(pairs, pairs.c.pair_id == tasks_table.c.pair_id)
        .join(contents, contents.c.content_id == pairs.c.content_id)
        .where(tasks_table.c.batch == batch, tasks_table.c.position > after)
        .order_by(tasks_table.c.position)
        .limit(PAGE)
    )


def _batch_row(batch: Batch) -> dict[str, Any]:
    settings = {
        "seed": batch.seed, "n": batch.n, "include": batch.include, "is_again": batch.is_again,
    }  # fmt: skip
    return {
        "name": batch.name, "run_id": batch.run_id, "rule": batch.rule,
        "settings": json.dumps(settings), "frame_size": batch.frame_size,
        "excluded": json.dumps(dict(batch.excluded)), "audit_probability": batch.audit_probability,
        "guidelines_digest": batch.guidelines_digest, "created_at": batch.created_at,
    }  # fmt: skip


def _task_row(position: int, task: Task) -> dict[str, Any]:
    return {
        "task_id": task.task_id, "batch": task.batch, "position": position,
        "pair_id": task.pair_id, "shown_order": task.shown_order, "is_audit": task.is_audit,
        "included_as": task.included_as, "inclusion_probability": task.inclusion_probability,
    }  # fmt: skip


def _task_from(row: Row[Any]) -> Task:
    return Task(
        task_id=row.task_id,
        batch=row.batch,
        pair_id=row.pair_id,
        shown_order=Order(row.shown_order),
        is_audit=row.is_audit,
        included_as=Outcome(row.included_as) if row.included_as else None,
        inclusion_probability=row.inclusion_probability,
    )


def _batch_from(row: Row[Any]) -> Batch:
    settings = json.loads(row.settings)
    return Batch(
        name=row.name,
        run_id=row.run_id,
        rule=row.rule,
        seed=settings["seed"],
        n=settings["n"],
        include=tuple(Outcome(name) for name in settings["include"]),
        is_again=settings["is_again"],
        frame_size=row.frame_size,
        excluded=json.loads(row.excluded),
        audit_probability=row.audit_probability,
        guidelines_digest=row.guidelines_digest,
        created_at=row.created_at,
    )
