"""Reading JSON Lines files one line at a time; what a line means is its parser's business."""

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from judge.errors import InputError

MAX_LINE_BYTES = 64 * 1024 * 1024

R = TypeVar("R")

_TOO_LONG = f"longer than {MAX_LINE_BYTES // 1024**2} MiB; split or shorten the record"
_CHUNK_BYTES = 1024 * 1024
_UTF8_MARK = b"\xef\xbb\xbf"
_WRONG_KINDS = {
    b"\x1f\x8b": "is compressed with gzip; unpack it first",
    b"\xff\xfe": "is UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "is UTF-16 text; save it as UTF-8",
}
_REMEDIES = {
    errno.ENOENT: "no such file; check the path",
    errno.EISDIR: "is a directory; name a file in it",
    errno.EACCES: "may not be read; check its permissions",
}


@dataclass(frozen=True, slots=True)
class Line(Generic[R]):
    """A record and the number of its line, from 1."""

    number: int
    record: R


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that holds no valid record. Its text says where, what and what to do."""

    source: str
    number: int
    problem: str

    def __str__(self) -> str:
        return f"{self.source}:{self.number}: {self.problem}"


def read_lines(path: str | Path, parse: Callable[[bytes], R]) -> Iterator[Line[R] | BadLine]:
    """One record or one problem per line of a JSON Lines file; `-` reads standard input.

    `parse` raises InputError with the problem of a line. Blank lines are skipped, a byte order
    mark and CRLF are tolerated, and no more than one line is held in memory. Iterating raises
    InputError when the file as a whole cannot be used: missing, a directory, not readable,
    compressed, or without any record.
    """
    source = "<stdin>" if str(path) == "-" else str(path)
    is_empty = True
    with _opened(path, source) as file:
        for number, line in enumerate(_raw_lines(file, source), start=1):
            if line is None:
                is_empty = False
                yield BadLine(source, number, _TOO_LONG)
            elif not line.isspace():
                is_empty = False
                try:
                    record = parse(line)
                except InputError as error:
                    yield BadLine(source, number, str(error))
                else:
                    yield Line(number, record)
    if is_empty:
        raise InputError(f"{source}: holds no records; write one JSON object per line")


@contextmanager
def _opened(path: str | Path, source: str) -> Iterator[BinaryIO]:
    """The file as bytes. Standard input stays open: it is not ours to close."""
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    try:
        file = Path(path).open("rb", buffering=_CHUNK_BYTES)  # noqa: SIM115 - closed by the with below
    except OSError as error:
        raise _unreadable(source, error) from error
    with file:
        yield file


def _raw_lines(file: BinaryIO, source: str) -> Iterator[bytes | None]:
    """Every line as it stands; None for one over the limit."""
    try:
        line = file.readline(MAX_LINE_BYTES + 1)
        if (wrong := _WRONG_KINDS.get(line[:2])) is not None:
            raise InputError(f"{source}: {wrong}")
        while line:
            if len(line) > MAX_LINE_BYTES:
                _skip_rest(line, file)
                yield None
            else:
                # Files joined end to end carry their marks along, so not only the first line.
                yield line.removeprefix(_UTF8_MARK) or b"\n"
            line = file.readline(MAX_LINE_BYTES + 1)
    except OSError as error:
        raise _unreadable(source, error) from error


def _skip_rest(line: bytes, file: BinaryIO) -> None:
    while line and not line.endswith(b"\n"):
        line = file.readline(_CHUNK_BYTES)


def _unreadable(source: str, error: OSError) -> InputError:
    remedy = _REMEDIES.get(error.errno or 0, f"cannot be read ({error.strerror or error})")
    return InputError(f"{source}: {remedy}")
