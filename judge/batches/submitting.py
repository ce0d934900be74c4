"""Handing request files to a server, following them, and fetching what came of them.

What is known of each file is written down after every step. A process that dies between two
steps loses nothing: a batch is found again by the digest of its file.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from judge.batches.manifest import (
    SUBMISSIONS,
    Manifest,
    RequestFile,
    Submission,
    read_manifest,
    read_submissions,
    write_record,
)
from judge.batches.patience import patiently
from judge.batches.server import BatchServer, BatchState, BatchStatus
from judge.errors import ConfigError, InputError
from judge.settings.config import Settings


@dataclass(frozen=True, slots=True)
class FileState:
    """One request file and the batch that was made of it."""

    file: RequestFile
    batch: BatchState | None
    """None where none was made yet."""
    is_new: bool = False
    """Whether the batch was made just now."""


@dataclass(frozen=True, slots=True)
class FolderState:
    """All request files of a folder, as their servers tell."""

    manifest: Manifest
    files: tuple[FileState, ...]

    @property
    def is_over(self) -> bool:
        """Whether no batch of the folder is still worked on or still to be made."""
        return all(file.batch is not None and file.batch.is_final for file in self.files)

    @property
    def has_output(self) -> bool:
        """Whether any batch that is over has brought files."""
        return any(
            file.batch is not None and file.batch.is_final and file.batch.file_ids
            for file in self.files
        )


class BatchFolder:
    """The folder of an export, and the servers its files are for, by endpoint name."""

    def __init__(
        self, folder: Path, servers: Mapping[str, BatchServer], settings: Settings
    ) -> None:
        self._folder = folder
        self._servers = servers
        self._settings = settings
        self._manifest = read_manifest(folder)

    async def submit(self) -> FolderState:
        """Make a batch of every request file that has none, and return how all of them stand.

        Submitting again makes nothing twice; only a file whose batch was refused is submitted
        once more. Raises InputError where a file is not what was exported, and what the servers
        raise, having written down what was done before.
        """
        for file in self._manifest.files:
            await asyncio.to_thread(_check_digest, self._folder / file.name, file)
        states = []
        for file in self._manifest.files:
            batch = await self._known_batch(file)
            is_new = batch is None
            if batch is None:
                batch = await self._made(file)
            states.append(FileState(file, batch, is_new))
        return FolderState(self._manifest, tuple(states))

    async def status(self) -> FolderState:
        """Return how the batches of the folder stand."""
        states = [FileState(file, await self._state(file)) for file in self._manifest.files]
        return FolderState(self._manifest, tuple(states))

    async def fetch(self) -> FolderState:
        """Download what came of every batch that is over; return how all of them stand.

        What was fetched before is not fetched again.
        """
        found = await self.status()
        for state in found.files:
            if state.batch is not None and state.batch.is_final:
                for file_id in state.batch.file_ids:
                    await self._download(state.file, file_id)
        return found

    async def _known_batch(self, file: RequestFile) -> BatchState | None:
        """Return the batch that was made of a file before, unless it was refused."""
        batch = await self._state(file)
        if batch is not None and batch.status is not BatchStatus.FAILED:
            return batch
        if batch is not None:
            self._note(file, file_id=None, batch_id=None)
        server = self._servers[file.endpoint]
        batch = await patiently(lambda: server.find(file.sha256))
        if batch is not None:
            self._note(file, batch_id=batch.batch_id, status=batch.status)
        return batch

    async def _state(self, file: RequestFile) -> BatchState | None:
        batch_id = self._submission(file).batch_id
        if batch_id is None:
            return None
        server = self._servers[file.endpoint]
        batch = await patiently(lambda: server.state(batch_id))
        self._note(file, status=batch.status)
        return batch

    async def _made(self, file: RequestFile) -> BatchState:
        """Return a batch made of a file now."""
        server = self._servers[file.endpoint]
        window = self._settings.batching.completion_window
        file_id = self._submission(file).file_id
        if file_id is None:
            path, name = self._folder / file.name, f"evenhand-{file.sha256[:12]}-{file.name}"
            file_id = await patiently(lambda: server.upload(path, name=name))
            self._note(file, file_id=file_id)
        uploaded = file_id

        async def create_once() -> BatchState:
            # A request whose answer was lost may have made it, so it is looked for first.
            found = await server.find(file.sha256)
            return found or await server.create(uploaded, file, window=window)

        batch = await patiently(create_once)
        self._note(file, batch_id=batch.batch_id, status=batch.status)
        return batch

    async def _download(self, file: RequestFile, file_id: str) -> None:
        """Download one file that came of a request file, unless it is here."""
        fetched = self._submission(file).fetched
        name = fetched.get(file_id, f"output-{file.sha256[:8]}-{len(fetched) + 1}.jsonl")
        target, server = self._folder / name, self._servers[file.endpoint]
        if file_id not in fetched or not target.exists():
            await patiently(lambda: server.download(file_id, target))
            self._note(file, fetched={**fetched, file_id: name})

    def _submission(self, file: RequestFile) -> Submission:
        """Return what is known of a file; ConfigError where it was submitted elsewhere."""
        address = self._settings.endpoints[file.endpoint].base_url or ""
        known = read_submissions(self._folder).files.get(file.name)
        if known is None:
            return Submission(sha256=file.sha256, base_url=address)
        if known.base_url != address:
            raise ConfigError(
                f"{self._folder / file.name}: was submitted to {known.base_url}, and endpoint "
                f'"{file.endpoint}" is {address} now; put its base_url back, or export again for '
                "the other address"
            )
        return known

    def _note(self, file: RequestFile, **told: Any) -> None:
        """Write down durably what is known of a file now."""
        known = self._submission(file)
        changed = known.model_copy(update=told)
        submissions = read_submissions(self._folder)
        if changed != submissions.files.get(file.name):
            write_record(self._folder / SUBMISSIONS, submissions.with_file(file.name, changed))


def _check_digest(path: Path, file: RequestFile) -> None:
    try:
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); export again") from error
    if digest != file.sha256:
        raise InputError(
            f"{path}: is not what was exported (its SHA-256 differs); nothing was submitted; "
            "export again into another folder"
        )
