"""The Python twin of every command: the same arguments, the same results, no printing.

`run` and the other synchronous twins start an event loop of their own in a thread, so they also
work where a loop is running already, as in a notebook. Inside a coroutine, use `arun`.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from judge.config import Settings
from judge.intake import Selection
from judge.loading import load_settings
from judge.records import Outcome, Status

if TYPE_CHECKING:
    from calibration.report.model import Report
    from judge.check_steps import Step
    from judge.checking import CheckResult
    from judge.demonstration import DemoResult
    from judge.desk import Stop
    from judge.estimate import Estimate
    from judge.exporting import Manifest
    from judge.generating import GenerateResult
    from judge.handing_over import Handoff
    from judge.importing import ImportResult
    from judge.intake import IntakeReport
    from judge.ledger.deletion import Deletion
    from judge.pipeline import RunResult
    from judge.progress import Progress
    from judge.run_comparison import Comparison
    from judge.run_listing import RunDetail, RunSummary
    from judge.simulator.process import SimulatorProcess

DEFAULT_LEDGER = Path("runs/judge.db")

T = TypeVar("T")


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
    from judge.from_prompts import label_input
    from judge.mapping import table_map
    from judge.pipeline import JobInput

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
        environ=environ,
    )


def run(pairs: str | Path, **arguments: Any) -> "RunResult":
    """Judge a file; the synchronous twin of `arun`, with the same arguments."""
    return _wait_for(arun(pairs, **arguments))


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
    from judge.generating import generate_job

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
    return _wait_for(agenerate(prompts, **arguments))


def import_file(
    path: str | Path | Sequence[str | Path],
    kind: str | None = None,
    *,
    map: str | None = None,
    values: str | None = None,
    from_: str | None = None,
    ledger: str | Path = DEFAULT_LEDGER,
    limit: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    allows_tie: bool = True,
    skip_bad_lines: bool = False,
) -> "ImportResult":
    """Load records made elsewhere into a ledger; return what was read and what was new.

    A JSON Lines file has one `kind`: "pairs", "votes" or "judgments". A table of other columns is
    read by `map` and `values` (as `--map` and `--values`), its pairs and votes at once unless a
    `kind` is given, and only there `limit` and `sample` select rows. `from_` "fastchat" takes
    several files and folders together. Raises ConfigError, InputError and LedgerError, and then
    nothing is stored.
    """
    from judge.importing import ImportKind
    from judge.importing_any import import_any

    paths = [path] if isinstance(path, str | Path) else path
    return import_any(
        [str(each) for each in paths],
        Path(ledger),
        kind=None if kind is None else ImportKind(kind),
        mapping=(map, values),
        foreign=from_,
        selection=Selection(limit, sample, seed),
        allows_tie=allows_tie,
        skip_bad_lines=skip_bad_lines,
    )


def agree(
    *,
    ledger: str | Path = DEFAULT_LEDGER,
    gold: str | Path | None = None,
    run: str = "latest",
    json: str | Path | None = None,
) -> "Report":
    """Return how far the judges of a run agree with human votes, and with themselves.

    The votes are the ledger's, or those of the file `gold`. Writes report.json to `json`.
    """
    from judge.audit import audit_ledger

    return audit_ledger(
        Path(ledger),
        run_id=run,
        gold=str(gold) if gold else None,
        json_path=Path(json) if json else None,
    )


def export(
    out: str | Path,
    *,
    ledger: str | Path = DEFAULT_LEDGER,
    to: str = "trl",
    style: str = "conversational",
    run: str = "latest",
    partial: bool = False,
) -> "Manifest":
    """Write the decided pairs of a run as training data, and a manifest beside it.

    `to` is "trl" (`style` "standard" or "conversational") or "labels". Raises LedgerError while
    asks are pending, unless `partial`.
    """
    from judge.exporting import ExportFormat, Style, export_ledger

    return export_ledger(
        Path(ledger),
        Path(out),
        to=ExportFormat(to),
        style=Style(style),
        run_id=run,
        is_partial_allowed=partial,
    )


async def acheck(
    *,
    config: str | Path | None = None,
    ledger: str | Path = DEFAULT_LEDGER,
    overrides: Mapping[str, Any] | None = None,
    on_step: "Callable[[Step], None] | None" = None,
    environ: Mapping[str, str] = os.environ,
) -> "CheckResult":
    """Return whether settings, prompts, keys, endpoints and ledger work, step by step.

    Each judge is asked one small question and one for token probabilities; nothing is stored.
    `on_step` is handed each step as soon as it is done. What does not work is a failed step, not
    an exception.
    """
    from judge.checking import check_everything

    return await check_everything(
        Path(config) if config else None,
        Path(ledger),
        overrides=overrides,
        on_step=on_step,
        environ=environ,
    )


def check(**arguments: Any) -> "CheckResult":
    """Look everything over; the synchronous twin of `acheck`, with the same arguments."""
    return _wait_for(acheck(**arguments))


def init(folder: str | Path = ".") -> tuple[Path, ...]:
    """Write a project folder that runs at once, and return its files.

    Raises ConfigError, having written nothing, where one of the files is there already.
    """
    from judge.project import make_project

    return make_project(Path(folder))


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
    on_pairs: "Callable[[int], None] | None" = None,
    environ: Mapping[str, str] = os.environ,
) -> "Estimate":
    """Return what judging a file would take: calls, tokens, money and time.

    The arguments are those of `arun`. Sends nothing and writes nothing; what the ledger holds is
    counted as done.
    """
    from judge.estimating import estimate_job
    from judge.mapping import table_map
    from judge.pipeline import JobInput

    resolved = settings or load_settings(
        Path(config) if config else None, overrides, environ=environ
    )
    return estimate_job(
        JobInput(
            str(pairs), Selection(limit, sample, seed), skip_bad_lines, table_map(map, values)
        ),
        resolved,
        Path(ledger),
        retry=frozenset(Status(name) for name in retry),
        on_pairs=on_pairs,
    )


def runs(*, ledger: str | Path = DEFAULT_LEDGER) -> "list[RunSummary]":
    """Return the runs of a ledger with their counts, the one used last at the end."""
    from judge.run_listing import run_summaries

    return list(run_summaries(Path(ledger)))


def show_run(run: str = "latest", *, ledger: str | Path = DEFAULT_LEDGER) -> "RunDetail":
    """Return the settings and judges of a run, and what its replies add up to."""
    from judge.run_listing import run_detail

    return run_detail(Path(ledger), run)


def delete_run(
    run: str,
    *,
    ledger: str | Path = DEFAULT_LEDGER,
    confirm: "Callable[[Deletion], bool] | None" = None,
) -> "Deletion | None":
    """Delete a run with the facts that no other run uses; votes and the pairs they name stay.

    `confirm` is asked with the exact counts before anything is deleted; None where it said no.
    """
    from judge.run_deletion import delete_from_ledger

    return delete_from_ledger(Path(ledger), run, confirm=confirm)


def compare_runs(first: str, second: str, *, ledger: str | Path = DEFAULT_LEDGER) -> "Comparison":
    """Return how the labels of two runs differ on the pairs that both select."""
    from judge.run_comparison import compare_in_ledger

    return compare_in_ledger(Path(ledger), first, second)


def handoff(
    out: str | Path,
    *,
    n: int,
    ledger: str | Path = DEFAULT_LEDGER,
    include: Iterable[str] = (),
    run: str = "latest",
    seed: int = 0,
    batch: str | None = None,
    again: bool = False,
    guidelines_out: str | Path | None = None,
) -> "Handoff":
    """Write pairs of a run as blinded tasks for people; return what was drawn, and from what.

    `n` pairs are drawn uniformly; those with an outcome in `include` ("inconsistent", "tie",
    "undecided") all come along. The ledger keeps each task's pair, sides and inclusion
    probability, so `import_file(answers, "votes")` can un-shuffle what comes back. The same
    arguments write the same files. Raises ConfigError and LedgerError.
    """
    from judge.handing_over import HandoffSettings, hand_over

    outcomes = frozenset(Outcome(name) for name in include)
    return hand_over(
        Path(ledger),
        Path(out),
        settings=HandoffSettings(n, outcomes, seed=seed, is_again=again, batch=batch),
        run_id=run,
        guidelines_out=Path(guidelines_out) if guidelines_out else None,
    )


def demo(folder: str | Path = DEFAULT_LEDGER.parent) -> "DemoResult":
    """Run the whole path on example pairs with a simulated judge; return everything it made.

    Writes demo.db, demo.votes.jsonl and demo.trl.jsonl into `folder`, in place of earlier ones.
    """
    from judge.demonstration import run_demo

    return _wait_for(run_demo(Path(folder)))


def simulate(**settings: Any) -> "AbstractContextManager[SimulatorProcess]":
    """Return a context manager that yields a simulated judge in a process of its own.

    `settings` are the fields of `SimulatorSettings`; the judge's address is its `base_url`.
    """
    from judge.simulator.process import simulator_process
    from judge.simulator.settings import SimulatorSettings

    return simulator_process(SimulatorSettings(**settings))


def _wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine, run to its end in a loop of its own."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, work).result()
