"""`judge batch`: judge through a provider's batches, at half the price and by tomorrow."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from judge.api.base import DEFAULT_LEDGER
from judge.api.batch import (
    abatch_fetch,
    abatch_status,
    abatch_submit,
    batch_export,
    batch_import,
)
from judge.cli.batch_view import (
    export_lines,
    export_warnings,
    found_lines,
    import_lines,
    import_warnings,
    next_lines,
    state_lines,
)
from judge.cli.configured import config_path
from judge.cli.inputs import Count, Input, InputFlags
from judge.cli.mapping import MapFlags
from judge.cli.overrides import SettingFlags, overrides_of
from judge.cli.summary import intake_lines
from judge.cli.talk import Talk, talk_on_stderr
from judge.settings.config import Settings
from judge.settings.loading import load_settings

UNFINISHED = 4
Folder = Annotated[Path, Parameter(name="FOLDER")]
Outputs = Annotated[list[Path], Parameter(name="FOLDER_OR_FILES")]


def export_command(
    input_: Input,
    /,
    *,
    out: Path,
    config: Path | None = None,
    ledger: Path = DEFAULT_LEDGER,
    settings: SettingFlags | None = None,
    lines: InputFlags | None = None,
    columns: MapFlags | None = None,
    max_requests: Count | None = None,
    max_bytes: Count | None = None,
) -> int:
    """Write what judging a file still takes as OpenAI batch files. Sends nothing.

    The pairs, judges and prompts are those of judge run; what the ledger holds is left out. Every
    file is for one model.

    Parameters
    ----------
    input_
        JSON Lines file of pairs, or a table with its --map; - reads pairs from standard input.
    out
        Folder to write, new or empty.
    config
        Settings as TOML. ./judge.toml is used where it exists.
    ledger
        Where the replies will be kept.
    max_requests
        Requests in one file, at most 50,000.
    max_bytes
        Size of one file, at most 200,000,000.
    """
    talk = talk_on_stderr()
    config = config_path(config, talk)
    limits = {"batching.max_requests": max_requests, "batching.max_bytes": max_bytes}
    given = {key: value for key, value in limits.items() if value is not None}
    overrides = overrides_of(settings or SettingFlags(), config, environ=os.environ) | given
    resolved = load_settings(config, overrides, environ=os.environ)
    lines, columns = lines or InputFlags(), columns or MapFlags()

    def count(requests: int) -> None:
        if talk.is_live:
            talk.show(f"writing: {requests:,} requests")

    done = batch_export(
        input_,
        out,
        map=columns.map,
        values=columns.values,
        settings=resolved,
        ledger=ledger,
        limit=lines.limit,
        sample=lines.sample,
        seed=lines.seed,
        retry=lines.retry or (),
        skip_bad_lines=lines.skip_bad_lines,
        on_requests=count,
    )
    talk.clear()
    for line in (*intake_lines(done.intake), *export_warnings(done)):
        talk.warn(line)
    talk.say("\n".join(export_lines(done, resolved, ledger=ledger)))
    return 0


def import_command(
    paths: Outputs,
    /,
    *,
    ledger: Path = DEFAULT_LEDGER,
    config: Path | None = None,
    missing_out: Path | None = None,
) -> int:
    """Store what came of a batch, and say exactly what is still missing.

    Output and error files may come in any sequence. Importing them again adds nothing.

    Parameters
    ----------
    paths
        Output and error files, or the folder that they lie in.
    ledger
        The ledger that the batch was exported from.
    config
        Settings as TOML, for a judge whose prompt was changed since the export.
    missing_out
        JSON Lines file to write, one line for each ask that is still missing.
    """
    talk = talk_on_stderr()
    found = batch_import(*paths, ledger=ledger, config=config, missing_out=missing_out)
    for line in import_warnings(found):
        talk.warn(line)
    talk.say("\n".join([*import_lines(found), *next_lines(found, ledger=ledger)]))
    return 0


def submit_command(
    folder: Folder,
    /,
    *,
    config: Path | None = None,
    settings: SettingFlags | None = None,
) -> int:
    """Upload the files of a folder and have a batch made of each. Nothing is submitted twice.

    Parameters
    ----------
    folder
        What judge batch export wrote.
    config
        Settings as TOML. ./judge.toml is used where it exists.
    """
    talk = talk_on_stderr()
    resolved = _settings(config, settings, talk)
    state = asyncio.run(abatch_submit(folder, settings=resolved))
    talk.say("\n".join([*state_lines(state), f"next      judge batch status {folder}"]))
    return 0


def status_command(
    folder: Folder,
    /,
    *,
    config: Path | None = None,
    settings: SettingFlags | None = None,
) -> int:
    """Say how far the batches of a folder have come.

    Parameters
    ----------
    folder
        What judge batch export wrote.
    config
        Settings as TOML. ./judge.toml is used where it exists.
    """
    talk = talk_on_stderr()
    resolved = _settings(config, settings, talk)
    state = asyncio.run(abatch_status(folder, settings=resolved))
    print("\n".join(state_lines(state)))
    for line in found_lines(state, folder):
        talk.say(line)
    return 0


def fetch_command(
    folder: Folder,
    /,
    *,
    ledger: Path = DEFAULT_LEDGER,
    config: Path | None = None,
    settings: SettingFlags | None = None,
) -> int:
    """Download what came of the batches of a folder, and import it. Fetching again adds nothing.

    Parameters
    ----------
    folder
        What judge batch export wrote.
    ledger
        The ledger that the batch was exported from.
    config
        Settings as TOML. ./judge.toml is used where it exists.
    """
    talk = talk_on_stderr()
    resolved = _settings(config, settings, talk)
    state, found = asyncio.run(abatch_fetch(folder, settings=resolved, ledger=ledger))
    talk.say("\n".join(state_lines(state)))
    if found is not None:
        for line in import_warnings(found):
            talk.warn(line)
        talk.say("\n".join([*import_lines(found), *next_lines(found, ledger=ledger)]))
    if not state.is_over:
        talk.warn(f"not all batches are over; run judge batch fetch {folder} again later")
        return UNFINISHED
    return 0


def _settings(config: Path | None, flags: SettingFlags | None, talk: Talk) -> Settings:
    config = config_path(config, talk)
    overrides = overrides_of(flags or SettingFlags(), config, environ=os.environ)
    return load_settings(config, overrides, environ=os.environ)
