"""Files that are either whole or not there: written beside their place, then renamed over it."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from judge.errors import EvenhandError

_BUFFER_BYTES = 1024 * 1024

_CAUSES = {
    errno.ENOSPC: "no space left on the device; free some or choose another place",
    errno.EDQUOT: "the disk quota is used up; free some or choose another place",
    errno.EFBIG: "larger than the largest file allowed here; raise the limit or write less",
    errno.EACCES: "permission denied; choose a place you may write to",
    errno.EPERM: "permission denied; choose a place you may write to",
    errno.EROFS: "the file system is read-only; choose another place",
    errno.ENOENT: "its directory does not exist; create it first",
    errno.ENOTDIR: "a part of its path is not a directory; correct the path",
    errno.EISDIR: "it is a directory; name a file in it",
    errno.ENAMETOOLONG: "its name is too long; choose a shorter one",
}


class HashingWriter:
    """A file being written, with what a manifest says of it: rows, bytes and SHA-256."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path
        self._digest = sha256()
        self.rows = 0
        """Rows written by `write_row`."""
        self.size = 0
        """Bytes written."""

    @property
    def sha256(self) -> str:
        """Hex digest of everything written so far."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Append the bytes; raises EvenhandError when they cannot be written."""
        with _refusal(self._path):
            self._file.write(data)
        self._digest.update(data)
        self.size += len(data)

    def write_row(self, row: bytes) -> None:
        """Append one row and its line break; the row itself must hold none."""
        self.write(row + b"\n")
        self.rows += 1


@contextmanager
def atomic_writer(path: str | Path) -> Iterator[HashingWriter]:
    """A writer whose bytes take the place of `path` when the block ends without an error.

    Until then `path` keeps what it held, whatever happens: an error or Ctrl-C removes the
    half-written file, a kill or power loss leaves it beside as `.NAME.XXXXXXXX.partial`. After
    the block the new file is on the disk (fsync of the file and of its directory). A link is
    followed, permissions are kept, and a device or pipe is written to directly. Raises
    EvenhandError with the path, the cause and the remedy.
    """
    given = Path(path)
    old = _stat_of(given)
    if old is not None and not stat.S_ISREG(old.st_mode):
        # Renaming over a device would put a plain file in its place.
        with _closing(_open(given, os.O_WRONLY, given), given) as file:
            yield HashingWriter(file, given)
        return
    target = Path(os.path.realpath(given))
    partial = target.with_name(f".{target.name[:50]}.{token_hex(4)}.partial")
    file = _open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, given)
    try:
        with _closing(file, given):
            yield HashingWriter(file, given)
            with _refusal(given):
                if old is not None:
                    os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))
                file.flush()
                os.fsync(file.fileno())
        with _refusal(given):
            partial.replace(target)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    with _refusal(given):
        _sync_directory(target.parent)


def _stat_of(path: Path) -> os.stat_result | None:
    """The status of what is to be replaced, if anything; raises when it may not be replaced."""
    with _refusal(path):
        try:
            old = path.stat()
        except FileNotFoundError:
            return None
        if stat.S_ISDIR(old.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not os.access(path, os.W_OK):
            # A rename needs only the directory; whoever protected the file meant the file.
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return old


def _open(path: Path, flags: int, given: Path) -> BinaryIO:
    with _refusal(given):
        return os.fdopen(os.open(path, flags, 0o666), "wb", buffering=_BUFFER_BYTES)


@contextmanager
def _closing(file: BinaryIO, given: Path) -> Iterator[BinaryIO]:
    """Close the file; after an error, whatever is still buffered is given up in silence."""
    try:
        yield file
    except BaseException:
        with suppress(OSError):
            file.close()
        raise
    with _refusal(given):
        file.close()


@contextmanager
def _refusal(path: Path) -> Iterator[None]:
    """Translate an error of the operating system into one that names the path and the remedy."""
    try:
        yield
    except OSError as error:
        cause = _CAUSES.get(error.errno or 0) or f"{error.strerror or error}; try another place"
        raise EvenhandError(f"cannot write {path}: {cause}") from error


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot sync a directory and order renames themselves.
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(descriptor)
