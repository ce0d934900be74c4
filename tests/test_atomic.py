"""Atomic files: the old content or the new, never something between, and errors that help."""

import hashlib
import os
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from judge.atomic import atomic_writer
from judge.errors import EvenhandError

ROOT = Path(__file__).parents[1]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_the_whole_file_appears_at_the_end_of_the_block(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with atomic_writer(path) as out:
        out.write_row(b'{"a":1}')
        out.write_row(b'{"a":2}')
        assert not path.exists()
    assert path.read_bytes() == b'{"a":1}\n{"a":2}\n'
    assert names_in(tmp_path) == ["out.jsonl"]


def test_the_writer_knows_the_rows_the_bytes_and_the_digest_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with atomic_writer(str(path)) as out:
        out.write(b"head\n")
        for row in range(1000):
            out.write_row(b"x" * row)
    written = path.read_bytes()
    assert out.rows == 1000
    assert out.size == len(written)
    assert out.sha256 == hashlib.sha256(written).hexdigest()


def test_an_error_in_the_block_keeps_the_old_file_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with atomic_writer(path) as out:
            out.write_row(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["out.jsonl"]


def test_an_error_of_the_caller_is_not_taken_for_one_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_writer(tmp_path / "out.jsonl"):
        (tmp_path / "missing").read_bytes()


KILLED = """
import sys
from judge.atomic import atomic_writer
with atomic_writer(sys.argv[1]) as out:
    for _ in range(40):
        out.write(b"n" * 100_000)
    print("written", flush=True)
    sys.stdin.read()
"""


def test_a_kill_in_the_middle_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"old")
    with start(KILLED, str(path)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        process.kill()
    assert path.read_bytes() == b"old"
    leftover = [name for name in names_in(tmp_path) if name != "out.jsonl"]
    assert len(leftover) == 1
    assert leftover[0].startswith(".out.jsonl.")
    assert leftover[0].endswith(".partial")
    with atomic_writer(path) as out:
        out.write(b"new")
    assert path.read_bytes() == b"new"


LIMITED = """
import resource, sys
from judge.atomic import atomic_writer
from judge.errors import EvenhandError
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    with atomic_writer(sys.argv[1]) as out:
        for _ in range(int(sys.argv[2])):
            out.write(b"n" * 1000)
except EvenhandError as error:
    print(error)
"""


@pytest.mark.parametrize("kilobytes", ["60", "5000"])
def test_a_file_that_may_not_grow_keeps_the_old_one_and_leaves_nothing(
    tmp_path: Path, kilobytes: str
) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"old")
    with start(LIMITED, str(path), kilobytes) as process:
        said, _ = process.communicate()
    assert said.startswith(f"cannot write {path}: larger than the largest file allowed here; ")
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["out.jsonl"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_full_disk_is_named_with_the_remedy(size: int) -> None:
    with pytest.raises(EvenhandError) as refused, atomic_writer("/dev/full") as out:
        out.write(b"n" * size)
    assert str(refused.value) == (
        "cannot write /dev/full: no space left on the device; free some or choose another place"
    )
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(path.read_bytes()))
    reader.start()
    with atomic_writer(path) as out:
        out.write_row(b"row")
    reader.join()
    assert received == [b"row\n"]
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.mark.parametrize(
    ("place", "cause"),
    [
        ("missing/out.jsonl", "its directory does not exist; create it first"),
        ("file/out.jsonl", "a part of its path is not a directory; correct the path"),
        (".", "it is a directory; name a file in it"),
        ("n" * 300, "its name is too long; choose a shorter one"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_with_the_remedy(
    tmp_path: Path, place: str, cause: str
) -> None:
    (tmp_path / "file").write_bytes(b"")
    path = tmp_path / place
    with pytest.raises(EvenhandError) as refused, atomic_writer(path):
        pytest.fail("the block must not be entered")
    assert str(refused.value) == f"cannot write {path}: {cause}"


UNPRIVILEGED = """
import os, sys
from judge.atomic import atomic_writer
from judge.errors import EvenhandError
if os.geteuid() == 0:
    os.setuid(65534)
for path in sys.argv[1:]:
    try:
        with atomic_writer(path):
            print("entered")
    except EvenhandError as error:
        print(error)
"""


def test_a_protected_file_or_directory_is_refused_with_the_remedy() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "inner").mkdir(0o555)
        protected = folder / "out.jsonl"
        protected.write_bytes(b"old")
        protected.chmod(0o444)
        folder.chmod(0o777)
        paths = [str(protected), str(folder / "inner" / "new")]
        with start(UNPRIVILEGED, *paths) as process:
            said, _ = process.communicate()
        remedy = "permission denied; choose a place you may write to"
        assert said.splitlines() == [f"cannot write {path}: {remedy}" for path in paths]
        assert protected.read_bytes() == b"old"


def test_a_link_is_followed_and_permissions_are_kept(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to("target")
    with atomic_writer(link) as out:
        out.write(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_new_file_gets_the_permissions_that_any_new_file_gets(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    with atomic_writer(tmp_path / "new") as out:
        out.write(b"new")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_the_longest_name_a_file_system_takes_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 127)
    with atomic_writer(path) as out:
        out.write(b"new")
    assert path.read_bytes() == b"new"


def test_the_file_is_synced_before_the_rename_and_its_directory_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"old")
    synced: list[tuple[str, int, bytes]] = []

    def recording_fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        kind = "directory" if stat.S_ISDIR(status.st_mode) else "file"
        synced.append((kind, status.st_size if kind == "file" else 0, path.read_bytes()))

    monkeypatch.setattr(os, "fsync", recording_fsync)
    with atomic_writer(path) as out:
        out.write(b"newer")
    assert synced == [("file", 5, b"old"), ("directory", 0, b"newer")]
