"""The ledger file: its lock, its durability, its readers, and what is said when it fails."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from judge.errors import LedgerError
from judge.ledger.runs import begin_run, list_runs
from judge.ledger.schema import metadata
from judge.ledger.store import Ledger

HOLD = """
import sys
from pathlib import Path
from judge.ledger.store import Ledger
with Ledger(Path(sys.argv[1])):
    print("open", flush=True)
    sys.stdin.read()
"""

FILL = """
import sys
from pathlib import Path
from judge.errors import LedgerError
from judge.ledger.runs import begin_run
from judge.ledger.store import Ledger
if len(sys.argv) > 2:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    with Ledger(Path(sys.argv[1])) as ledger:
        for number in range(100_000):
            begin_run(
                ledger, f"run-{number}", kind="import", source="x" * 2000, settings={},
                judges=(), now="2026",
            )
            print(number, flush=True)
except LedgerError as error:
    print(error)
    sys.exit(7)
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the ledger open for writing."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        try:
            yield process
        finally:
            process.kill()


def add_run(ledger: Ledger, run_id: str) -> None:
    begin_run(ledger, run_id, kind="import", source="s", settings={}, judges=(), now="2026")


def run_ids(path: Path) -> list[str]:
    with Ledger(path, read_only=True) as ledger:
        return [run.run_id for run in list_runs(ledger)]


def refusal(path: Path, *, read_only: bool = False) -> str:
    with pytest.raises(LedgerError) as caught, Ledger(path, read_only=read_only):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_second_process_is_refused_with_the_name_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with holder(path) as process:
        assert refusal(path) == (
            f"ledger {path} is in use by process {process.pid}; "
            "wait until it ends, or use another --ledger"
        )


def test_a_refused_opening_leaves_the_holder_named(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with holder(path) as process:
        assert refusal(path) == refusal(path)
        assert str(process.pid) in refusal(path)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_dies_with_its_process(tmp_path: Path, how: signal.Signals) -> None:
    path = tmp_path / "x.db"
    with holder(path) as process:
        process.send_signal(how)
        process.wait(10)
        with Ledger(path) as ledger:
            add_run(ledger, "after")
    assert run_ids(path) == ["after"]


def test_a_closed_ledger_can_be_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    for name in ("one", "two"):
        with Ledger(path) as ledger:
            add_run(ledger, name)
    assert set(run_ids(path)) == {"one", "two"}


def test_a_link_to_a_ledger_shares_its_lock(tmp_path: Path) -> None:
    path, link = tmp_path / "x.db", tmp_path / "link.db"
    with Ledger(path):
        link.symlink_to(path)
        assert "is in use by process" in refusal(link)


def test_the_lock_is_free_after_an_opening_that_failed(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"no database at all, but text of some length\n" * 100)
    refusal(path)
    path.unlink()
    with Ledger(path):
        pass


def test_only_the_owner_may_read_a_ledger(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    before = os.umask(0o000)
    try:
        with Ledger(path) as ledger:
            add_run(ledger, "one")
            modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.glob("x.db*")}
    finally:
        os.umask(before)
    del modes["x.db.lock"]  # holds a process number
    assert modes == {"x.db": 0o600, "x.db-wal": 0o600, "x.db-shm": 0o600}


def test_a_folder_that_is_missing_is_made(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "deep" / "x.db"
    with Ledger(path):
        assert path.is_file()


def test_commits_are_made_durable_and_readers_never_wait(tmp_path: Path) -> None:
    with Ledger(tmp_path / "x.db") as ledger, ledger.snapshot() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA synchronous")) == 2  # FULL
        assert connection.scalar(text("PRAGMA mmap_size")) == 0


def test_a_reader_sees_every_commit_of_a_writer_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with Ledger(path) as writer, Ledger(path, read_only=True) as reader:
        for count in range(1, 4):
            add_run(writer, f"run-{count}")
            assert len(list_runs(reader)) == count


def test_a_reader_in_another_process_needs_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with Ledger(path) as ledger:
        add_run(ledger, "one")
    with holder(path):
        assert run_ids(path) == ["one"]


def test_a_snapshot_stays_one_state_while_the_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with Ledger(path) as writer, Ledger(path, read_only=True) as reader:
        with reader.snapshot():
            assert list_runs(reader) == []
            add_run(writer, "one")
            assert list_runs(reader) == []
        assert len(list_runs(reader)) == 1


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with Ledger(path):
        pass
    with (
        Ledger(path, read_only=True) as reader,
        pytest.raises(LedgerError, match=r"x\.db: attempt to write a readonly database; check"),
    ):
        add_run(reader, "one")


def test_a_transaction_is_whole_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.db"

    def fail_halfway(ledger: Ledger) -> None:
        with ledger.transaction():
            add_run(ledger, "one")  # joins the transaction around it
            raise ZeroDivisionError

    with Ledger(path) as ledger:
        with pytest.raises(ZeroDivisionError):
            fail_halfway(ledger)
        assert list_runs(ledger) == []
        add_run(ledger, "two")
    assert run_ids(path) == ["two"]


def test_a_transaction_inside_a_snapshot_is_refused_rather_than_lost(tmp_path: Path) -> None:
    with Ledger(tmp_path / "x.db") as ledger:
        with ledger.snapshot(), pytest.raises(RuntimeError, match="snapshot is being read"):
            add_run(ledger, "lost")
        add_run(ledger, "kept")
        assert [run.run_id for run in list_runs(ledger)] == ["kept"]


def test_a_read_only_ledger_must_exist(tmp_path: Path) -> None:
    path = tmp_path / "no.db"
    assert refusal(path, read_only=True) == (
        f"ledger {path} does not exist; check the path given to --ledger"
    )
    assert not path.exists()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_database_is_refused_untouched(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"a text file of some length\n" * 100)
    message = refusal(path, read_only=read_only)
    assert message == (
        f"ledger {path}: file is not a database; "
        "the file is not an intact ledger; give another --ledger or restore a copy"
    )
    assert path.read_bytes() == b"a text file of some length\n" * 100


@pytest.mark.parametrize("read_only", [False, True])
def test_another_programs_database_is_refused_untouched(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE runs (name TEXT)")
    connection.close()
    message = refusal(path, read_only=read_only)
    assert message == f"ledger {path} is not a ledger; give another --ledger"
    connection = sqlite3.connect(path)
    assert [row[0] for row in connection.execute("SELECT name FROM sqlite_master")] == ["runs"]
    connection.close()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_ledger_of_another_version_is_refused_untouched(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "x.db"
    with Ledger(path) as ledger, ledger.transaction() as connection:
        connection.execute(text("UPDATE meta SET value = '99' WHERE key = 'schema'"))
        connection.execute(text("DROP TABLE deferrals"))
    assert refusal(path, read_only=read_only) == (
        f"ledger {path} has schema version 99, this program writes 2; "
        "use the program version that made it"
    )
    connection_ = sqlite3.connect(path)
    tables = {row[0] for row in connection_.execute("SELECT name FROM sqlite_master")}
    connection_.close()
    assert "deferrals" not in tables


def test_a_kill_while_the_tables_are_made_leaves_a_file_that_opens(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    kill = """
import os, signal, sys
from pathlib import Path
from judge.ledger.schema import metadata, judgments
from sqlalchemy import event
event.listen(judgments, "after_create", lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL))
from judge.ledger.store import Ledger
Ledger(Path(sys.argv[1]))
"""
    killed = subprocess.run([sys.executable, "-c", kill, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    with Ledger(path) as ledger, ledger.snapshot() as connection:
        names = connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table'"))
        assert set(metadata.tables) <= set(names)


def test_a_path_that_is_a_folder_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path) == (
        f"ledger {tmp_path} cannot be opened (Is a directory); "
        "check that the folder exists and may be written"
    )


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "x.db"
    assert refusal(path).startswith(f"ledger {path} cannot be opened (File exists)")


def test_a_folder_that_may_not_be_written_is_named() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.db"
        path.parent.chmod(0o555)
        with _ordinary_user():
            assert refusal(path) == (
                f"ledger {path} cannot be opened (Permission denied); "
                "check that the folder exists and may be written"
            )
        path.parent.chmod(0o700)


def test_a_write_that_the_system_refuses_ends_in_one_message_and_loses_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.db"
    limited = _fill(path, "400000")
    *acknowledged, message = limited.stdout.splitlines()
    assert limited.returncode == 7, limited.stderr
    assert message == (
        f"ledger {path}: disk I/O error; "
        "the disk failed to write; check it before running the same command again"
    )
    assert len(acknowledged) > 10
    assert set(run_ids(path)) >= {f"run-{number}" for number in acknowledged}
    with Ledger(path) as ledger:
        add_run(ledger, "after")
    assert "after" in run_ids(path)


def test_a_full_disk_is_named_loses_nothing_and_goes_on_once_there_is_space(
    tmp_path: Path,
) -> None:
    with _small_disk(tmp_path / "disk") as disk:
        path = disk / "x.db"
        filled = _fill(path)
        *acknowledged, message = filled.stdout.splitlines()
        assert filled.returncode == 7, filled.stderr
        assert message == (
            f"ledger {path}: database or disk is full; "
            "free space on that disk and run the same command again: what was stored is kept"
        )
        assert len(acknowledged) > 10
        assert set(run_ids(path)) >= {f"run-{number}" for number in acknowledged}
        (disk / "ballast").unlink()
        with Ledger(path) as ledger:
            add_run(ledger, "after")
        assert "after" in run_ids(path)
        checked = sqlite3.connect(path)
        assert checked.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        checked.close()


def _fill(path: Path, *limit: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", FILL, str(path), *limit]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@contextmanager
def _ordinary_user() -> Iterator[None]:
    """Without the rights of root, which no folder refuses."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


@contextmanager
def _small_disk(mount: Path) -> Iterator[Path]:
    """A disk of 2 MB, half of it taken by a file."""
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(mount)]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command, so no small disk can be made")
    if made.returncode:
        pytest.skip(f"no small disk can be mounted here: {made.stderr.strip()}")
    try:
        (mount / "ballast").write_bytes(b"\0" * 2**20)
        yield mount
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)
