"""The seam to servers that work through batches, and what they say of one."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from judge.batches.manifest import RequestFile

SHA_KEY = "evenhand_sha256"
"""The metadata of a batch by which it is found again: the digest of its request file."""


class BatchStatus(StrEnum):
    """How far a batch has come."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    FAILED = "failed"
    """Its file was refused; none of its requests was worked on."""
    EXPIRED = "expired"
    """Its window ended before all of its requests were worked on; what was done can be had."""
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in _FINAL


_FINAL = frozenset(
    {BatchStatus.COMPLETED, BatchStatus.FAILED, BatchStatus.EXPIRED, BatchStatus.CANCELLED}
)


@dataclass(frozen=True, slots=True)
class BatchState:
    """What a server says of a batch."""

    batch_id: str
    status: BatchStatus | None
    """None where it uses a word that is not known here."""
    total: int
    completed: int
    failed: int
    """Requests that ended in an error."""
    file_ids: tuple[str, ...] = ()
    """Of its output file and its error file, as far as there are any."""
    problems: tuple[str, ...] = ()
    """Why its file was refused."""

    @property
    def is_final(self) -> bool:
        return self.status is not None and self.status.is_final


class BatchServer(Protocol):
    """A server that speaks the files and batches API. Fakes in tests implement this.

    Every method sends its requests once and raises TransientError, ThrottledError, ItemError or
    AccountError.
    """

    async def find(self, sha256: str) -> BatchState | None:
        """Return the newest batch made of a file with this digest that was not refused, if any."""
        ...

    async def upload(self, path: Path, *, name: str) -> str:
        """Return the id of an uploaded request file."""
        ...

    async def create(self, file_id: str, request_file: RequestFile, *, window: str) -> BatchState:
        """Return a batch made of an uploaded file, to be found again by the file's digest."""
        ...

    async def state(self, batch_id: str) -> BatchState:
        """Return what is known of a batch."""
        ...

    async def download(self, file_id: str, path: Path) -> None:
        """Write a file of the server to `path`, whole or not at all."""
        ...
