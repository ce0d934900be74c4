"""Which ids a stream has brought before, in flat memory however long it is."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from types import TracebackType
from typing import Self

CACHE_KIB = 16384


class SeenIds:
    """A set of ids in a nameless temporary database, which moves to the disk as it grows.

    SQLite deletes the file itself, even where the process dies. Use as a context manager.
    """

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        self._connection.execute("PRAGMA journal_mode=OFF")
        self._connection.execute("CREATE TABLE seen (id TEXT PRIMARY KEY) WITHOUT ROWID")
        self._connection.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def add_new(self, ids: Iterable[str]) -> list[str]:
        """Remember ids and return those that were not there, each once and in their order."""
        insert = "INSERT OR IGNORE INTO seen VALUES (?)"
        new = []
        for id_ in ids:
            with closing(self._connection.execute(insert, (id_,))) as cursor:
                if cursor.rowcount:
                    new.append(id_)
        return new
