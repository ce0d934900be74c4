"""Twin of `judge references check`."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from judge.api.base import DEFAULT_LEDGER, wait_for
from judge.inputs.intake import Selection
from judge.settings.config import Settings
from judge.settings.loading import load_settings

if TYPE_CHECKING:
    from judge.inputs.intake import IntakeReport
    from judge.job.desk import Stop
    from judge.job.progress import Progress
    from judge.references.reference_checking import ReferenceResult


async def acheck_references(
    pairs: str | Path,
    *,
    map: str | None = None,
    values: str | None = None,
    settings: Settings | None = None,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    ledger: str | Path = DEFAULT_LEDGER,
    out: str | Path | None = None,
    limit: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    skip_bad_lines: bool = False,
    stop: "Stop | None" = None,
    on_start: "Callable[[Progress, IntakeReport], None] | None" = None,
    environ: Mapping[str, str] = os.environ,
) -> "ReferenceResult":
    """Check the references of a file by the judge model's own answers; return what came of it.

    `out` gets the pairs whose reference is doubtful, with the own answers. Asking resumes: what
    the ledger holds is never asked again. Raises ConfigError, InputError and LedgerError before
    anything is asked; endpoint trouble is in the result.
    """
    from judge.inputs.mapping import table_map
    from judge.references.reference_checking import ReferenceJob, check_references

    resolved = settings or load_settings(
        Path(config) if config else None, overrides, environ=environ
    )
    job = ReferenceJob(
        str(pairs),
        Selection(limit, sample, seed),
        skip_bad_lines,
        table_map(map, values),
        Path(out) if out else None,
    )
    return await check_references(
        job, resolved, Path(ledger), stop=stop, on_start=on_start, environ=environ
    )


def check_references(pairs: str | Path, **arguments: Any) -> "ReferenceResult":
    """Check references; the synchronous twin of `acheck_references`, with the same arguments."""
    return wait_for(acheck_references(pairs, **arguments))
