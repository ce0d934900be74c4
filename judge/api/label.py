"""Twins of the commands that label: run, generate, cost."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from judge.api.base import DEFAULT_LEDGER, wait_for
from judge.inputs.intake import Selection
from judge.records import Status
from judge.settings.config import Settings
from judge.settings.loading import load_settings

if TYPE_CHECKING:
    from judge.candidates.generating import GenerateResult
    from judge.candidates.prompt_job import Part
    from judge.inputs.intake import IntakeReport
    from judge.job.desk import Stop
    from judge.job.pipeline import RunResult
    from judge.job.progress import Progress
    from judge.prices.estimate import Estimate


async def arun(
    pairs: str | Path,
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
    stop: "Stop | None" = None,
    on_start: "Callable[[Progress, IntakeReport], None] | None" = None,
    on_generated: "Callable[[GenerateResult], None] | None" = None,
    on_part: "Callable[[Part], None] | None" = None,
    environ: Mapping[str, str] = os.environ,
) -> "RunResult":
    """Judge every pair of a JSON Lines file in both orders; return how it went.

    A table of other columns is read by `map` and `values` (as `--map` and `--values`), and the
    votes in its rows are stored too. Prompts are answered by the generators and paired first; the
    pairs are kept beside the ledger, and budgets cover both parts. Settings come from `settings`,
    or from the `config` file, the environment and `overrides` (dotted keys, such as
    {"judges.0.model": "my-judge"}). Asking resumes: what the ledger holds is never asked again.
    `retry` names statuses to ask once more. Raises ConfigError, InputError and LedgerError before
    anything is asked; endpoint trouble is in the result.
    """
    from judge.candidates.from_prompts import label_input
    from judge.inputs.mapping import table_map
    from judge.job.pipeline import JobInput

    resolved = settings or load_settings(
        Path(config) if config else None, overrides, environ=environ
    )
    selection = Selection(limit, sample, seed)
    job = JobInput(str(pairs), selection, skip_bad_lines, table_map(map, values))
    return await label_input(
        job,
        resolved,
        Path(ledger),
        retry=frozenset(Status(name) for name in retry),
        stop=stop,
        on_start=on_start,
        on_generated=on_generated,
        on_part=on_part,
        environ=environ,
    )


def run(pairs: str | Path, **arguments: Any) -> "RunResult":
    """Judge a file; the synchronous twin of `arun`, with the same arguments."""
    return wait_for(arun(pairs, **arguments))


async def agenerate(
    prompts: str | Path,
    *,
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
) -> "GenerateResult":
    """Have the generators answer every prompt of a file, write the pairs, and return how it went.

    Settings as for `arun`. The pairs go to `out`, beside the ledger where it is None; they are
    written once no candidate is missing. Asking resumes, and other pairing rules ask nothing.
    Raises ConfigError, InputError and LedgerError before anything is asked; endpoint trouble is
    in the result.
    """
    from judge.candidates.generating import generate_job

    resolved = settings or load_settings(
        Path(config) if config else None, overrides, environ=environ
    )
    return await generate_job(
        str(prompts),
        resolved,
        Path(ledger),
        Path(out) if out else None,
        selection=Selection(limit, sample, seed),
        skip_bad_lines=skip_bad_lines,
        stop=stop,
        on_start=on_start,
        environ=environ,
    )


def generate(prompts: str | Path, **arguments: Any) -> "GenerateResult":
    """Answer every prompt of a file; the synchronous twin of `agenerate`, same arguments."""
    return wait_for(agenerate(prompts, **arguments))


def cost(
    pairs: str | Path,
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
    with_judging: bool = True,
    on_pairs: "Callable[[int], None] | None" = None,
    environ: Mapping[str, str] = os.environ,
) -> "Estimate":
    """Return what judging a file would take: calls, tokens, money and time.

    The arguments are those of `arun`. For a file of prompts it is what answering them would take
    and, unless told otherwise by `with_judging`, what judging the answers would. Sends nothing
    and writes nothing; what the ledger holds is counted as done.
    """
    from judge.candidates.from_prompts import needs_candidates
    from judge.inputs.mapping import table_map
    from judge.job.pipeline import JobInput
    from judge.prices.estimating import estimate_job
    from judge.prices.generation_estimating import estimate_generation

    resolved = settings or load_settings(
        Path(config) if config else None, overrides, environ=environ
    )
    selection, mapping = Selection(limit, sample, seed), table_map(map, values)
    if mapping is None and needs_candidates(str(pairs), resolved):
        return estimate_generation(
            str(pairs), resolved, Path(ledger),
            selection=selection, skip_bad_lines=skip_bad_lines, with_judging=with_judging,
        )  # fmt: skip
    return estimate_job(
        JobInput(str(pairs), selection, skip_bad_lines, mapping),
        resolved,
        Path(ledger),
        retry=frozenset(Status(name) for name in retry),
        on_pairs=on_pairs,
    )
