"""Durable appends from the event loop, with natural group commit.

Whatever has gathered is committed as soon as the previous commit has ended. There is no timer:
waiting would hold the slots of the workers that wait for their commit.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from pydantic_core import to_json
from sqlalchemy import Insert
from sqlalchemy.dialects.sqlite import insert

from judge.errors import LedgerError
from judge.ledger.schema import deferrals, judgments
from judge.ledger.store import Ledger
from judge.records import Judgment

Row = dict[str, Any]


class LedgerWriter:
    """Appends facts to a ledger; each append returns once its row is on the disk.

    After one failed commit every later append fails too: an operating system that reported a
    failed sync once may report success for data it has dropped.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._rows: dict[Insert, list[Row]] = {}
        self._gathering: list[asyncio.Future[None]] = []
        """One for each worker that waits: a cancelled one then cancels nobody else's commit."""
        self._committing: asyncio.Future[None] | None = None
        self._failure: LedgerError | None = None
        self._compiled: dict[Insert, tuple[str, Sequence[str]]] = {}
        self.commits = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            while self._committing is not None:
                await asyncio.wait([self._committing])
        finally:  # even when cancelled: the ledger must not be closed under a commit
            self._thread.shutdown(wait=True)

    def append(self, judgment: Judgment, *, run_id: str | None = None) -> Awaitable[None]:
        """Return an awaitable that ends when the judgment is committed; raises LedgerError.

        A judgment whose key is stored already leaves the stored one as it is. `run_id` is the run
        that paid for it.
        """
        row = {**judgment.__dict__, "run_id": run_id}
        if judgment.ratings is not None:
            row["ratings"] = to_json(judgment.ratings).decode()
        return self.write(INSERT_JUDGMENT, row)

    def defer(
        self,
        *,
        run_id: str,
        content_id: str,
        judge_key: str,
        order: str,
        reason: str,
        attempts: int,
        created_at: str,
    ) -> Awaitable[None]:
        """Return an awaitable that ends when the cause of a still pending ask is committed."""
        row = {
            "run_id": run_id,
            "content_id": content_id,
            "judge_key": judge_key,
            "order": order,
            "reason": reason,
            "attempts": attempts,
            "created_at": created_at,
        }
        return self.write(INSERT_DEFERRAL, row)

    def write(self, statement: Insert, row: Row) -> Awaitable[None]:
        """Return an awaitable that ends when the statement has been committed with the row."""
        self._rows.setdefault(statement, []).append(row)
        waiting = asyncio.get_running_loop().create_future()
        self._gathering.append(waiting)
        if self._committing is None:
            self._start_commit()
        return waiting

    def _start_commit(self) -> None:
        loop = asyncio.get_running_loop()
        waiting, self._gathering = self._gathering, []
        batch, self._rows = self._rows, {}
        self._committing = loop.run_in_executor(self._thread, self._commit, batch)
        self._committing.add_done_callback(lambda done: self._after_commit(done, waiting))

    def _commit(self, batch: Mapping[Insert, list[Row]]) -> None:
        if self._failure is not None:
            raise self._failure
        with self._ledger.transaction() as connection:
            for statement, rows in batch.items():
                sql, names = self._prepared(statement, rows[0])
                # Compiled once and handed to the driver: a third of the cost of a row.
                connection.exec_driver_sql(sql, [tuple(row[n] for n in names) for row in rows])
        self.commits += 1

    def _prepared(self, statement: Insert, row: Row) -> tuple[str, Sequence[str]]:
        """Return a statement for the driver and the fields that it takes, in order.

        Every row of a statement has the same fields, and values as the database keeps them.
        """
        known = self._compiled.get(statement)
        if known is None:
            dialect = self._ledger.connection.dialect
            compiled = statement.compile(dialect=dialect, column_keys=list(row))
            known = str(compiled), tuple(compiled.positiontup or ())
            self._compiled[statement] = known
        return known

    def _after_commit(
        self, done: asyncio.Future[None], waiting: list[asyncio.Future[None]]
    ) -> None:
        self._committing = None
        error = done.exception()
        if isinstance(error, LedgerError):
            self._failure = error
        for future in waiting:
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
        if self._gathering:
            self._start_commit()


INSERT_JUDGMENT = insert(judgments).on_conflict_do_nothing()
_insert_deferral = insert(deferrals)
INSERT_DEFERRAL = _insert_deferral.on_conflict_do_update(
    set_={
        "reason": _insert_deferral.excluded.reason,
        "attempts": deferrals.c.attempts + _insert_deferral.excluded.attempts,
        "created_at": _insert_deferral.excluded.created_at,
    }
)
"""An ask that is given up again keeps its newest reason alone, and counts all of its requests."""
