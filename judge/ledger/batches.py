"""Asks that were written to batch files: kept until their replies come back, and found again."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, select
from sqlalchemy.dialects.sqlite import insert

from judge.ledger.schema import batch_asks, batch_exports, deferrals, judgments, run_pairs
from judge.ledger.store import Ledger
from judge.ledger.writer import INSERT_DEFERRAL, INSERT_JUDGMENT
from judge.records import Judgment, Order

CHUNK = 500

AskKey = tuple[str, str, str, int]
"""Content, judge key, order and sample: what the ledger keeps one judgment of."""


@dataclass(frozen=True, slots=True)
class BatchExport:
    """One export of a run's asks to batch files."""

    export_id: str
    run_id: str
    folder: str
    judges: Mapping[str, Any]
    """Judge key -> what its replies are read by."""
    created_at: str


@dataclass(frozen=True, slots=True)
class BatchAsk:
    """One ask that stands in a batch file."""

    judgment_id: str
    """The custom_id of its line."""
    export_id: str
    content_id: str
    judge_key: str
    order: Order
    """In the content's orientation."""
    sample: int
    rewrites: int

    @property
    def key(self) -> AskKey:
        return (self.content_id, self.judge_key, self.order.value, self.sample)


def add_export(ledger: Ledger, export: BatchExport) -> None:
    """Note an export durably."""
    row = {
        "export_id": export.export_id,
        "run_id": export.run_id,
        "folder": export.folder,
        "judges": json.dumps(export.judges, sort_keys=True),
        "created_at": export.created_at,
    }
    with ledger.transaction() as connection:
        connection.execute(insert(batch_exports).values(row))


def add_batch_asks(ledger: Ledger, asks: Sequence[BatchAsk]) -> None:
    """Note asks durably; one that an earlier export holds too belongs to this one now."""
    if not asks:
        return
    new = insert(batch_asks)
    newest = {name: new.excluded[name] for name in ("export_id", "rewrites")}
    rows = [
        {
            "judgment_id": ask.judgment_id,
            "export_id": ask.export_id,
            "content_id": ask.content_id,
            "judge_key": ask.judge_key,
            "order": ask.order.value,
            "sample": ask.sample,
            "rewrites": ask.rewrites,
        }
        for ask in asks
    ]
    with ledger.transaction() as connection:
        connection.execute(new.on_conflict_do_update(set_=newest), rows)


def find_exports(ledger: Ledger, export_ids: Sequence[str]) -> dict[str, BatchExport]:
    """Return export id -> export of those that the ledger knows."""
    query = select(batch_exports).where(batch_exports.c.export_id.in_(export_ids))
    with ledger.snapshot() as connection:
        return {
            row.export_id: BatchExport(
                row.export_id, row.run_id, row.folder, json.loads(row.judges), row.created_at
            )
            for row in connection.execute(query)
        }


def find_batch_asks(ledger: Ledger, judgment_ids: Sequence[str]) -> dict[str, BatchAsk]:
    """Return judgment id -> ask of those that stand in a batch file."""
    query = select(batch_asks).where(batch_asks.c.judgment_id.in_(judgment_ids))
    with ledger.snapshot() as connection:
        return {
            row.judgment_id: BatchAsk(
                row.judgment_id, row.export_id, row.content_id, row.judge_key,
                Order(row.order), row.sample, row.rewrites,
            )
            for row in connection.execute(query)
        }  # fmt: skip


def stored_replies(ledger: Ledger, asks: Sequence[BatchAsk]) -> dict[AskKey, str]:
    """Return ask -> raw reply of those asks that have a judgment."""
    wanted = {ask.key for ask in asks}
    key = (judgments.c.content_id, judgments.c.judge_key, judgments.c.order, judgments.c.sample)
    query = select(*key, judgments.c.reply).where(
        judgments.c.content_id.in_({ask.content_id for ask in asks}),
        judgments.c.judge_key.in_({ask.judge_key for ask in asks}),
    )
    with ledger.snapshot() as connection:
        found = {(row[0], row[1], row[2], row[3]): row[4] for row in connection.execute(query)}
    return {each: reply for each, reply in found.items() if each in wanted}


def count_still_out(ledger: Ledger, run_id: str, asks: Sequence[BatchAsk]) -> int:
    """Return how many asks an earlier export holds of which nothing has come back.

    One that came back without an answer, such as from an expired batch, is not counted.
    """
    known = find_batch_asks(ledger, [ask.judgment_id for ask in asks])
    if not known:
        return 0
    query = select(deferrals.c.content_id, deferrals.c.judge_key, deferrals.c.order).where(
        deferrals.c.run_id == run_id,
        deferrals.c.content_id.in_({ask.content_id for ask in known.values()}),
    )
    with ledger.snapshot() as connection:
        came_back = {(row[0], row[1], row[2]) for row in connection.execute(query)}
    return sum(ask.key[:3] not in came_back for ask in known.values())


def store_replies(
    ledger: Ledger,
    given: Sequence[tuple[str, Judgment]],
    unanswered: Sequence[Mapping[str, Any]],
) -> None:
    """Store judgments, each with the run that paid for it, and why other asks stay pending.

    `unanswered` are rows as `LedgerWriter.defer` takes them. All at once or nothing.
    """
    with ledger.transaction() as connection:
        if given:
            rows = [{**judgment.__dict__, "run_id": run_id} for run_id, judgment in given]
            connection.execute(INSERT_JUDGMENT, rows)
        if unanswered:
            connection.execute(INSERT_DEFERRAL, [dict(row) for row in unanswered])


def count_missing(ledger: Ledger, run_ids: Sequence[str]) -> int:
    """Return how many asks of some runs stand in batch files and have no judgment."""
    query = select(func.count()).select_from(batch_asks).where(_is_missing(run_ids))
    with ledger.snapshot() as connection:
        return connection.scalar(query) or 0


def missing_batch_asks(ledger: Ledger, run_ids: Sequence[str]) -> Iterator[tuple[BatchAsk, str]]:
    """Yield those asks, each with a pair that it is about and the reason where one is known."""
    pair_id = (
        select(func.min(run_pairs.c.pair_id))
        .join(batch_exports, batch_exports.c.run_id == run_pairs.c.run_id)
        .where(
            run_pairs.c.content_id == batch_asks.c.content_id,
            batch_exports.c.export_id == batch_asks.c.export_id,
        )
        .scalar_subquery()
    )
    query = select(batch_asks, pair_id.label("pair_id")).where(_is_missing(run_ids))
    with ledger.snapshot() as connection:
        for row in connection.execute(query.order_by(batch_asks.c.judgment_id)):
            ask = BatchAsk(
                row.judgment_id, row.export_id, row.content_id, row.judge_key,
                Order(row.order), row.sample, row.rewrites,
            )  # fmt: skip
            yield ask, row.pair_id


def _is_missing(run_ids: Sequence[str]) -> ColumnElement[bool]:
    exports = select(batch_exports.c.export_id).where(batch_exports.c.run_id.in_(run_ids))
    is_answered = exists().where(
        judgments.c.content_id == batch_asks.c.content_id,
        judgments.c.judge_key == batch_asks.c.judge_key,
        judgments.c.order == batch_asks.c.order,
        judgments.c.sample == batch_asks.c.sample,
    )
    return and_(batch_asks.c.export_id.in_(exports), ~is_answered)
