"""Twins of `judge batch`: export, import, submit, status, fetch."""

import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from judge.api.base import DEFAULT_LEDGER, wait_for
from judge.errors import ConfigError
from judge.inputs.intake import Selection
from judge.records import Status
from judge.settings.config import Settings
from judge.settings.loading import load_settings

if TYPE_CHECKING:
    from judge.batches.exporting import Export
    from judge.batches.reports import BatchImport
    from judge.batches.submitting import BatchFolder, FolderState


def batch_export(
    pairs: str | Path,
    out: str | Path,
    *,
    map: str | None = None,
    values: str | None = None,
    settings: Settings | None = None,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    ledger: str | Path = DEFAULT_LEDGER,
    limit: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    retry: Iterable[str] = (),
    skip_bad_lines: bool = False,
    on_requests: Callable[[int], None] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> "Export":
    """Write what judging a file still takes as batch files into the folder `out`.

    The arguments and the run are those of `judge.run`; no key is needed and nothing is sent.
    Returns what was written. `on_requests` is handed the number of requests written so far.
    Raises ConfigError, InputError and LedgerError; `out` then is as it was.
    """
    from judge.batches.exporting import export_batch
    from judge.inputs.mapping import table_map
    from judge.job.pipeline import JobInput

    resolved = settings or load_settings(
        Path(config) if config else None, overrides, environ=environ
    )
    selection = Selection(limit, sample, seed)
    return export_batch(
        JobInput(str(pairs), selection, skip_bad_lines, table_map(map, values)),
        resolved,
        Path(ledger),
        Path(out),
        retry=frozenset(Status(name) for name in retry),
        on_requests=on_requests,
    )


def batch_import(
    *paths: str | Path,
    ledger: str | Path = DEFAULT_LEDGER,
    settings: Settings | None = None,
    config: str | Path | None = None,
    missing_out: str | Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> "BatchImport":
    """Store what output and error files, or all those of a folder, say; return what was found.

    Files and lines may come in any sequence, cut, doubled or mixed with others; importing again
    adds nothing. What is still missing afterwards is written to `missing_out`, one ask a line.
    Settings are needed only for a judge whose prompt was changed since the export. Raises
    InputError, ConfigError and LedgerError.
    """
    from judge.batches.importing import import_batch, missing_rows

    if settings is None and config is not None:
        settings = load_settings(Path(config), environ=environ)
    found = import_batch([Path(path) for path in paths], Path(ledger), settings=settings)
    if missing_out is not None:
        from pydantic_core import to_json

        from judge.atomic import atomic_writer

        with atomic_writer(missing_out) as file:
            for row in missing_rows(Path(ledger), found.run_ids):
                file.write_row(to_json(row))
    return found


async def abatch_submit(folder: str | Path, **arguments: Any) -> "FolderState":
    """Make a batch of every file of an exported folder that has none; return how all stand.

    Arguments: `settings`, or `config` and `overrides`, and `environ`. Submitting again makes
    nothing twice. Raises ConfigError, InputError and EndpointError.
    """
    async with _opened(Path(folder), **arguments) as batches:
        return await batches.submit()


async def abatch_status(folder: str | Path, **arguments: Any) -> "FolderState":
    """Return how the batches of a folder stand. Arguments and errors as for `abatch_submit`."""
    async with _opened(Path(folder), **arguments) as batches:
        return await batches.status()


async def abatch_fetch(
    folder: str | Path, *, ledger: str | Path = DEFAULT_LEDGER, **arguments: Any
) -> "tuple[FolderState, BatchImport | None]":
    """Download what came of a folder's batches and import it.

    Returns how the batches stand and what was imported, None while nothing has come. Arguments
    and errors as for `abatch_submit`.
    """
    from judge.batches.importing import import_batch

    async with _opened(Path(folder), **arguments) as batches:
        state = await batches.fetch()
    if not state.has_output:
        return state, None
    return state, import_batch([Path(folder)], Path(ledger), settings=arguments.get("settings"))


def batch_submit(folder: str | Path, **arguments: Any) -> "FolderState":
    """Submit a folder; the synchronous twin of `abatch_submit`."""
    return wait_for(abatch_submit(folder, **arguments))


def batch_status(folder: str | Path, **arguments: Any) -> "FolderState":
    """Return how a folder's batches stand; the synchronous twin of `abatch_status`."""
    return wait_for(abatch_status(folder, **arguments))


def batch_fetch(folder: str | Path, **arguments: Any) -> "tuple[FolderState, BatchImport | None]":
    """Fetch and import a folder's batches; the synchronous twin of `abatch_fetch`."""
    return wait_for(abatch_fetch(folder, **arguments))


@asynccontextmanager
async def _opened(
    folder: Path,
    *,
    settings: Settings | None = None,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> "AsyncIterator[BatchFolder]":
    """The folder of an export with the servers of its files."""
    from judge.backends.openai_batches import OpenAIBatches
    from judge.batches.manifest import read_manifest
    from judge.batches.submitting import BatchFolder
    from judge.job.endpoints import keys_of

    resolved = settings or load_settings(
        Path(config) if config else None, overrides, environ=environ
    )
    names = sorted({file.endpoint for file in read_manifest(folder).files})
    for name in names:
        if name not in resolved.endpoints:
            known = ", ".join(sorted(resolved.endpoints)) or "none"
            raise ConfigError(
                f'{folder}: is for endpoint "{name}", which the settings lack (they have: '
                f"{known}); give the --config that it was exported with"
            )
    keys = keys_of(resolved, names, environ)
    async with AsyncExitStack() as stack:
        servers = {
            name: await stack.enter_async_context(
                OpenAIBatches(name, resolved.endpoints[name], keys[name])
            )
            for name in names
        }
        yield BatchFolder(folder, servers, resolved)
