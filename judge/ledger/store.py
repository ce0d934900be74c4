"""Opening a ledger: the file, its lock, its pragmas and its schema version.

One process writes at a time, over one connection; readers never write. `synchronous=FULL` makes a
committed fact survive power loss, and write-ahead logging lets readers look on meanwhile.
"""

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic_core import to_json
from sqlalchemy import Connection, create_engine, insert, inspect, select
from sqlalchemy.exc import DatabaseError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from judge.errors import LedgerError
from judge.ledger.migration import overlay, upgrade
from judge.ledger.schema import OLDER_VERSIONS, SCHEMA_VERSION, meta, metadata

PAGE_CACHE_KIB = 8192
BUSY_TIMEOUT_S = 10.0


class Ledger:
    """An open ledger file. Use as a context manager; one thread at a time.

    `Ledger(path)` opens for writing, makes the file if there is none, and holds the lock until it
    is closed. `Ledger(path, read_only=True)` needs no lock and works beside a writer.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self._is_writing = False
        self._lock = None if read_only else _FileLock(path)
        with ExitStack() as on_failure:
            if self._lock:
                on_failure.callback(self._lock.release)
            with self.translated_errors():
                self.connection = _connect(path, read_only=read_only)
                on_failure.callback(self._disconnect)
                self._check_schema()
            on_failure.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._disconnect()
        if self._lock:
            self._lock.release()

    def _disconnect(self) -> None:
        self.connection.close()
        self.connection.engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Commit everything done inside at once, or nothing of it; raises LedgerError.

        Inside another transaction it joins that one. Inside a snapshot it raises RuntimeError:
        the end of the snapshot would take back what was written.
        """
        if self._is_writing:
            yield self.connection
            return
        if self.connection.in_transaction():
            raise RuntimeError("a transaction was begun while a snapshot is being read")
        with self.translated_errors(), self.connection.begin():
            self._is_writing = True
            try:
                yield self.connection
            finally:
                self._is_writing = False

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Read one consistent state, or inside a transaction its own; raises LedgerError."""
        if self.connection.in_transaction():
            yield self.connection
            return
        with self.translated_errors():
            try:
                # The driver begins nothing for a SELECT: each would see a state of its own.
                self.connection.exec_driver_sql("BEGIN")
                yield self.connection
            finally:
                self.connection.rollback()

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Turn the database's errors into LedgerError with cause and remedy."""
        try:
            yield
        except SQLAlchemyError as error:
            cause = error.orig if isinstance(error, DatabaseError) else error
            raise LedgerError(f"ledger {self.path}: {cause}; {_remedy(cause)}") from error
        except sqlite3.Error as error:
            raise LedgerError(f"ledger {self.path}: {error}; {_remedy(error)}") from error

    def _check_schema(self) -> None:
        """Make the tables of a new file; refuse a file of another kind or of a later version.

        A file of an earlier version is brought up to date, or by a reader seen as if it were.
        """
        with self.connection.begin():
            # The driver begins nothing for a CREATE: a kill could leave half of the tables.
            self.connection.exec_driver_sql("BEGIN")
            tables = inspect(self.connection).get_table_names()
            if not tables and not self.read_only:
                metadata.create_all(self.connection)
                row = {"key": "schema", "value": str(SCHEMA_VERSION)}
                self.connection.execute(insert(meta), row)
                return
            version: str | None = None
            if meta.name in tables:
                known = select(meta.c.value).where(meta.c.key == "schema")
                version = self.connection.scalar(known)
            if version in OLDER_VERSIONS:
                (overlay if self.read_only else upgrade)(self.connection)
                return
        if version is None:
            raise LedgerError(f"ledger {self.path} is not a ledger; give another --ledger")
        if version != str(SCHEMA_VERSION):
            raise LedgerError(
                f"ledger {self.path} has schema version {version}, this program writes "
                f"{SCHEMA_VERSION}; use the program version that made it"
            )


def _connect(path: Path, *, read_only: bool) -> Connection:
    if read_only and not path.is_file():
        raise LedgerError(f"ledger {path} does not exist; check the path given to --ledger")
    mode = "ro" if read_only else "rwc"

    def open_file() -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode={mode}",
            uri=True,
            check_same_thread=False,
            timeout=BUSY_TIMEOUT_S,
        )
        try:
            if not read_only:
                _make_durable(connection, path)
            connection.execute(f"PRAGMA cache_size=-{PAGE_CACHE_KIB}")
            connection.execute("PRAGMA mmap_size=0")
        except BaseException:
            connection.close()
            raise
        return connection

    return create_engine(
        "sqlite://", creator=open_file, poolclass=StaticPool, json_serializer=_json
    ).connect()


def _json(value: object) -> str:
    return to_json(value).decode()  # records too, which json.dumps does not know


def _make_durable(connection: sqlite3.Connection, path: Path) -> None:
    (journal,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if journal != "wal":
        raise LedgerError(
            f"ledger {path}: its file system cannot keep a write-ahead log; "
            "keep the ledger on a local disk"
        )
    connection.execute("PRAGMA synchronous=FULL")


def _remedy(cause: BaseException | None) -> str:
    text = str(cause).lower()
    if "full" in text:
        return "free space on that disk and run the same command again: what was stored is kept"
    if "not a database" in text or "malformed" in text or "no such table" in text:
        return "the file is not an intact ledger; give another --ledger or restore a copy"
    if "readonly" in text or "unable to open" in text:
        return "check that the folder exists and may be written"
    if "disk i/o" in text:
        return "the disk failed to write; check it before running the same command again"
    return "nothing already stored is lost; run the same command again"


class _FileLock:
    """An advisory lock beside the ledger that dies with the process that holds it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        real = path.resolve()  # one lock, whatever link the ledger was named by
        with self._translated_errors():
            real.parent.mkdir(parents=True, exist_ok=True)
            # Replies may be confidential: the owner alone may read them.
            os.close(os.open(real, os.O_CREAT | os.O_RDWR, 0o600))
            self._file = real.with_name(real.name + ".lock").open("a+")
        try:
            with self._translated_errors():
                self._take()
        except BaseException:
            self.release()
            raise

    def _take(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.seek(0)
            holder = self._file.read().strip() or "another process"
            raise LedgerError(
                f"ledger {self._path} is in use by {holder}; "
                "wait until it ends, or use another --ledger"
            ) from error
        except OSError as error:
            raise LedgerError(
                f"ledger {self._path}: its file system cannot lock files ({error.strerror}); "
                "keep the ledger on a local disk"
            ) from error
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()}")
        self._file.flush()

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            remedy = "check that the folder exists and may be written"
            if error.errno == errno.ENOSPC:
                remedy = "free space on that disk and run the same command again"
            raise LedgerError(
                f"ledger {self._path} cannot be opened ({error.strerror}); {remedy}"
            ) from error

    def release(self) -> None:
        # What could not be written of the holder's name on a full disk is of no use any more.
        with suppress(OSError):
            self._file.close()
