"""The whole path at work on example data: pairs, judgments, human votes, report, training data.

Judge and votes are simulated, in this process and on the loopback interface only. The module is
not called `demo`: a submodule of that name would hide the function `judge.demo`.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from pydantic_core import to_json

from calibration.report.model import Report
from judge.atomic import atomic_writer
from judge.errors import InputError
from judge.formats.lines import BadLine
from judge.formats.pairs import read_pairs
from judge.formats.votes import vote_row
from judge.inputs.importing import ImportKind, import_records
from judge.inputs.intake import IntakeReport
from judge.job.desk import Stop
from judge.job.pipeline import JobInput, RunResult, run_job
from judge.job.progress import Progress
from judge.ledger.store import Ledger
from judge.outcomes.exporting import ExportFormat, Manifest, Style, export_ledger
from judge.records import Pair
from judge.settings.config import Endpoint, Judge, Settings
from judge.simulator.quality import human_votes
from judge.simulator.server import running_simulator
from judge.simulator.settings import MODEL, SimulatorSettings
from judge.trust.reporting import ReportQuestion, has_page_libraries, report_ledger

ANNOTATORS = 3
IN_FLIGHT = 12

SIMULATED = SimulatorSettings(
    seed=10,
    accuracy=0.9,
    position_bias=0.12,
    tie_rate=0.1,
    shared_opinion=0.7,
    unparsable_rate=0.015,
    latency_s=0.35,
    latency_spread=0.4,
    rate_limit_rate=0.05,
    retry_after_s=0.4,
    reply_words=120,
)
"""A judge with the flaws that the report is there to find, and an endpoint that has bad moments."""


@dataclass(frozen=True, slots=True)
class DemoPaths:
    """The files of one demonstration; each is replaced by the next one."""

    ledger: Path
    votes: Path
    data: Path
    html: Path
    """The report as a page; only where the libraries for it are installed."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What a demonstration made. `report` and `manifest` are None where the run ended early."""

    paths: DemoPaths
    run: RunResult
    votes: int
    report: Report | None
    manifest: Manifest | None


def example_pairs() -> Iterator[Pair]:
    """Yield the pairs that come with the package."""
    with _examples() as path:
        for line in read_pairs(path):
            if isinstance(line, BadLine):
                raise InputError(str(line))
            yield line.record


def demo_paths(folder: Path) -> DemoPaths:
    """Return where a demonstration in `folder` keeps its files."""
    return DemoPaths(
        ledger=folder / "demo.db",
        votes=folder / "demo.votes.jsonl",
        data=folder / "demo.trl.jsonl",
        html=folder / "demo.report.html",
    )


def demo_settings(base_url: str) -> Settings:
    """Return the settings under which the simulated judge at `base_url` is asked."""
    return Settings(
        endpoints={"simulated": Endpoint(base_url=base_url, max_in_flight=IN_FLIGHT)},
        judges=(Judge(model=MODEL, endpoint="simulated", prompt="pair-tie"),),
    )


async def run_demo(
    folder: Path,
    *,
    stop: Stop | None = None,
    on_start: Callable[[Progress, IntakeReport], None] | None = None,
) -> DemoResult:
    """Judge the example pairs, vote on them, report and export; return all of it.

    Starts with an empty ledger. Raises LedgerError where the one in `folder` is in use.
    """
    paths = demo_paths(folder)
    _discard_ledger(paths.ledger)
    async with running_simulator(SIMULATED) as simulator:
        settings = demo_settings(simulator.base_url)
        with _examples() as pairs:
            run = await run_job(
                JobInput(str(pairs)), settings, paths.ledger, stop=stop, on_start=on_start
            )
    if run.cause is not None or run.progress.pending:
        return DemoResult(paths, run, 0, None, None)
    return await asyncio.to_thread(_conclude, paths, run)


def _conclude(paths: DemoPaths, run: RunResult) -> DemoResult:
    votes = _write_votes(paths.votes)
    import_records(
        str(paths.votes), ImportKind.VOTES, paths.ledger, allows_tie=True, skip_bad_lines=False
    )
    report = report_ledger(
        paths.ledger,
        ReportQuestion(run=run.run_id),
        html_path=paths.html if has_page_libraries() else None,
    )
    manifest = export_ledger(
        paths.ledger,
        paths.data,
        to=ExportFormat.TRL,
        style=Style.CONVERSATIONAL,
        run_id=run.run_id,
    )
    return DemoResult(paths, run, votes, report, manifest)


def _write_votes(path: Path) -> int:
    """Write what simulated people vote by the truth that the judge is measured against."""
    with atomic_writer(path) as file:
        for vote in human_votes(example_pairs(), seed=SIMULATED.seed, annotators=ANNOTATORS):
            file.write_row(to_json(vote_row(vote)))
        return file.rows


def _discard_ledger(path: Path) -> None:
    """Delete the ledger of an earlier demonstration, unless a process is using it."""
    if path.exists():
        Ledger(path).close()
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def _examples() -> AbstractContextManager[Path]:
    return as_file(files("judge.examples") / "pairs.jsonl")
