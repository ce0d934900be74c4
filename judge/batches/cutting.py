"""Requests into files: one model in each, and none larger than the provider takes."""

import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from judge.atomic import HashingWriter
from judge.batches.manifest import RequestFile


@dataclass(slots=True)
class _Open:
    """A file that requests are still added to."""

    name: str
    file: BinaryIO
    writer: HashingWriter
    judges: Counter[str] = field(default_factory=Counter)


class RequestFiles:
    """The request files of one export, in one folder. Use as a context manager.

    At most one file for each endpoint and model is open at a time.
    """

    def __init__(self, folder: Path, *, max_requests: int, max_bytes: int) -> None:
        self._folder = folder
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._open: dict[tuple[str, str], _Open] = {}
        self._done: list[RequestFile] = []
        self._begun = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for opened in self._open.values():
            with suppress(OSError):
                opened.file.close()

    def add(self, line: bytes, *, endpoint: str, model: str, judge: str) -> bool:
        """Append a request; False, with nothing written, for one longer than a whole file."""
        size = len(line) + 1
        if size > self._max_bytes:
            return False
        key = endpoint, model
        opened = self._open.get(key)
        if opened is not None and (
            opened.writer.rows == self._max_requests or opened.writer.size + size > self._max_bytes
        ):
            self._close(key)
            opened = None
        if opened is None:
            opened = self._open[key] = self._begin()
        opened.writer.write_row(line)
        opened.judges[judge] += 1
        return True

    def finish(self) -> tuple[RequestFile, ...]:
        """Put every file on the disk and return them in their order."""
        for key in list(self._open):
            self._close(key)
        return tuple(sorted(self._done, key=lambda file: file.name))

    def _begin(self) -> _Open:
        self._begun += 1
        name = f"requests-{self._begun:04d}.jsonl"
        path = self._folder / name
        file = path.open("wb", buffering=2**20)
        return _Open(name, file, HashingWriter(file, path))

    def _close(self, key: tuple[str, str]) -> None:
        opened = self._open.pop(key)
        with opened.file as file:
            file.flush()
            os.fsync(file.fileno())
        endpoint, model = key
        self._done.append(
            RequestFile(
                name=opened.name,
                endpoint=endpoint,
                model=model,
                requests=opened.writer.rows,
                bytes=opened.writer.size,
                sha256=opened.writer.sha256,
                judges=dict(opened.judges),
            )
        )
