"""Power cuts, modelled from a trace of a client's system calls.

A disk may drop whatever was written after the last sync of its file, sector by sector. From the
traced calls every state that a power cut could have left can be rebuilt and opened again.
"""

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
TRACER = (
    "strace", "-f", "-qq", "-y", "--seccomp-bpf", "-xx", "--string-limit=16777216",
    "--trace=pwrite64,write,fdatasync,fsync,ftruncate,unlink",
)  # fmt: skip

_CALL = re.compile(r"(\d+) +(\w+)\((.*)")
_RESUMED = re.compile(r"(\d+) +<\.\.\. (?:fdatasync|fsync) resumed>")
_DESCRIPTOR = re.compile(r"\d+<([^>]*)>(.*)")
_BYTES = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(?:, (\d+))?(?:, (\d+))?')


@dataclass(frozen=True, slots=True)
class Write:
    path: Path
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Print:
    """Bytes appended to a file that is only ever appended to, such as printed lines."""

    path: Path
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    path: Path


@dataclass(frozen=True, slots=True)
class Unlink:
    path: Path


Call = Write | Print | Truncate | Sync | Unlink


def read_trace(lines: Iterable[str]) -> Iterator[Call]:
    """Yield the calls of a trace in order; a sync counts from its end, all else from its start."""
    syncing: dict[str, Path] = {}
    for line in lines:
        if resumed := _RESUMED.match(line):
            yield Sync(syncing.pop(resumed[1]))
        elif found := _CALL.match(line):
            process, name, arguments = found.groups()
            if name == "unlink":
                yield Unlink(Path(_bytes_in(arguments)[0].decode()))
                continue
            path, rest = _descriptor_in(arguments)
            match name:
                case "fdatasync" | "fsync" if "<unfinished" in rest:
                    syncing[process] = path
                case "fdatasync" | "fsync":
                    yield Sync(path)
                case "ftruncate":
                    yield Truncate(path, int(re.findall(r"\d+", rest)[0]))
                case "pwrite64":
                    data, offset = _bytes_in(rest)
                    yield Write(path, offset, data)
                case "write":
                    yield Print(path, _bytes_in(rest)[0])


@dataclass(slots=True)
class Disk:
    """What files hold for certain, and what was asked of them since their last sync."""

    folder: Path
    obeys_syncs: bool = True
    """False models a ledger that never syncs, to see that the model has teeth."""
    certain: dict[Path, bytes] = field(default_factory=dict)
    pending: dict[Path, list[Call]] = field(default_factory=dict)

    def note(self, call: Call) -> None:
        """Take one call into account; files outside the folder do not matter."""
        match call:
            case Print():
                return
            case Sync(path) if path == self.folder and self.obeys_syncs:
                self._sync_names()
            case Sync(path) if path in self.pending and self.obeys_syncs:
                self._make_certain(path, self.pending.pop(path))
            case Write() | Truncate() | Unlink() if call.path.parent == self.folder:
                self.pending.setdefault(call.path, []).append(call)

    def _sync_names(self) -> None:
        """Make every removal of a file certain: names belong to the folder, not to the file."""
        for path, calls in list(self.pending.items()):
            removals = [n for n, call in enumerate(calls, 1) if isinstance(call, Unlink)]
            if removals:
                self._make_certain(path, calls[: removals[-1]])
                self.pending[path] = calls[removals[-1] :]

    def _make_certain(self, path: Path, calls: Sequence[Call]) -> None:
        content = _applied(self.certain.get(path, b""), calls)
        if content is None:
            self.certain.pop(path, None)
        else:
            self.certain[path] = content

    def after_cut(self, rng: random.Random, kept_share: float) -> dict[Path, bytes]:
        """Return the files as a power cut may leave them, if each sector survives by chance."""
        files = dict(self.certain)
        for path, calls in self.pending.items():
            survivors = [part for call in calls for part in _survivors(call, rng, kept_share)]
            content = _applied(files.pop(path, b""), survivors)
            if content is not None:
                files[path] = content
        return files


def _survivors(call: Call, rng: random.Random, kept_share: float) -> Iterator[Call]:
    if not isinstance(call, Write):
        if rng.random() < kept_share:
            yield call
        return
    start = 0
    while start < len(call.data):
        end = start + SECTOR - (call.offset + start) % SECTOR
        if rng.random() < kept_share:
            yield Write(call.path, call.offset + start, call.data[start:end])
        start = end


def _applied(content: bytes, calls: Iterable[Call]) -> bytes | None:
    """Return a file's content after some calls; None where it is gone."""
    result: bytearray | None = bytearray(content)
    for call in calls:
        if isinstance(call, Unlink):
            result = None
            continue
        result = bytearray() if result is None else result
        match call:
            case Write(_, offset, data):
                result.extend(bytes(max(0, offset - len(result))))
                result[offset : offset + len(data)] = data
            case Truncate(_, size):
                result.extend(bytes(max(0, size - len(result))))
                del result[size:]
    return None if result is None else bytes(result)


def _descriptor_in(arguments: str) -> tuple[Path, str]:
    found = _DESCRIPTOR.match(arguments)
    if found is None:
        raise ValueError(f"a traced call without a file: {arguments[:80]}")
    return Path(_text(found[1])), found[2]


def _bytes_in(arguments: str) -> tuple[bytes, int]:
    """Return the first quoted bytes and the number after their length, or 0."""
    found = _BYTES.search(arguments)
    if found is None:
        raise ValueError(f"a traced call without bytes: {arguments[:80]}")
    return bytes.fromhex(found[1].replace("\\x", "")), int(found[3] or 0)


def _text(path: str) -> str:
    """Return a path that the tracer may have written in hexadecimal."""
    return bytes.fromhex(path.replace("\\x", "")).decode() if path.startswith("\\x") else path
