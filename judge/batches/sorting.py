"""Which of several lines about one ask is taken, in flat memory however many lines there are.

The choice depends on what the lines say and never on their sequence: a reply goes before a
rejection, a rejection before nothing, and among equals the one with the smallest digest.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from enum import StrEnum
from types import TracebackType
from typing import NamedTuple, Self

from judge.batches.lines import BatchLine, Worth, worth_of

CACHE_KIB = 16384

_RANKED = """
    SELECT file, number, worth, digest,
           ROW_NUMBER() OVER best AS place,
           FIRST_VALUE(digest) OVER best AS best_digest
    FROM lines
    WINDOW best AS (PARTITION BY custom_id ORDER BY worth, digest, file, number)
"""


class Part(StrEnum):
    """What becomes of a line."""

    TAKEN = "taken"
    DOUBLED = "doubled"
    """Another line says the same."""
    CONFLICTING = "conflicting"
    """Another line about the same ask says something else, and that one is taken."""
    OUTDATED = "outdated"
    """It says that there is no answer, and another line has one or another reason."""


class Place(NamedTuple):
    """Where a line stands."""

    file: int
    """Position of its file among those that are read."""
    number: int
    """Of the line, from 1."""


class LineIndex:
    """The lines of some files by their ask, in a nameless temporary database.

    SQLite deletes the file itself, even where the process dies. Use as a context manager.
    """

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        self._connection.execute("PRAGMA journal_mode=OFF")
        self._connection.execute(
            "CREATE TABLE lines (custom_id TEXT, worth INTEGER, digest BLOB, "
            "file INTEGER, number INTEGER)"
        )
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

    def add(self, line: BatchLine, place: Place) -> None:
        """Remember a line."""
        row = (line.custom_id, int(worth_of(line)), line.digest, *place)
        with closing(self._connection.execute("INSERT INTO lines VALUES (?, ?, ?, ?, ?)", row)):
            pass

    def parts(self) -> Iterator[tuple[Place, Part]]:
        """Yield what becomes of every line, in the sequence of the files and their lines."""
        query = f"SELECT * FROM ({_RANKED}) ORDER BY file, number"
        with closing(self._connection.execute(query)) as rows:
            for file, number, worth, digest, place, best_digest in rows:
                if place == 1:
                    part = Part.TAKEN
                elif digest == best_digest:
                    part = Part.DOUBLED
                else:
                    part = Part.OUTDATED if worth == Worth.NOTHING else Part.CONFLICTING
                yield Place(file, number), part
