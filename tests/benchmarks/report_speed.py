"""How long the agreement report takes and how much memory, on one core.

Run as a program, it makes one report of a ledger and prints the seconds of its parts as JSON:

    python -m tests.benchmarks.report_speed LEDGER [PAGE.html] [--profile]
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.bench import Bench
from tests.benchmarks.figures import Figure
from tests.benchmarks.gold_ledger import GoldLedger
from tests.benchmarks.machine import ROOT, pin

MIB = 1024


@dataclass(frozen=True, slots=True)
class Took:
    """What a command took, from its start to its end."""

    wall_s: float
    peak_rss_mib: float


def measure_report(bench: Bench) -> list[Figure]:
    """Time and memory of `judge agree` on 100,000 pairs, and of 2,000 with import and page."""
    return [*_large(bench), *_small(bench)]


def _large(bench: Bench) -> Iterator[Figure]:
    pairs = bench.size(100_000, 1_000)
    name = f"{pairs:,} pairs"
    bench.say(f"report: writing a ledger of {name} and {3 * pairs:,} votes")
    ledger = GoldLedger(pairs, prompts=pairs // 20).write(bench.folder / "large.db")
    bench.say("report: judge agree")
    target = str(bench.folder / "report.json")
    runs = [
        _run(bench, _judge("agree", "--ledger", str(ledger), "--json", target))
        for _ in range(bench.size(3, 1))
    ]
    walls, peaks = tuple(run.wall_s for run in runs), tuple(run.peak_rss_mib for run in runs)
    yield Figure("report", f"{name}: judge agree --json", walls, "s", at_most=20)
    yield Figure("report", f"{name}: peak resident memory", peaks, "MiB", at_most=1024)
    bench.say("report: its parts")
    for part, seconds in _parts(bench, ledger).items():
        yield Figure("report", f"{name}: of which {part}", (seconds,), "s")
    ledger.unlink()


def _small(bench: Bench) -> Iterator[Figure]:
    pairs = bench.size(2_000, 200)
    name = f"{pairs:,} pairs"
    gold = GoldLedger(pairs, prompts=pairs // 5, with_votes=False)
    votes = gold.write_votes(bench.folder / "votes.jsonl")
    page = _can_make_pages()
    rounds = []
    for number in range(bench.size(3, 1)):
        bench.say(f"report: {name}, round {number + 1}")
        ledger = gold.write(bench.folder / f"small-{number}.db")
        html = str(bench.folder / f"small-{number}.html")
        intake = ("import", str(votes), "--kind", "votes", "--ledger", str(ledger))
        rounds.append(
            (
                _run(bench, _judge(*intake)).wall_s,
                _run(bench, _judge("agree", "--ledger", str(ledger))).wall_s,
                _run(bench, _judge("agree", "--ledger", str(ledger), "--html", html)).wall_s
                if page
                else None,
            )
        )
    imports, plain = tuple(r[0] for r in rounds), tuple(r[1] for r in rounds)
    whole = tuple(r[0] + (r[1] if r[2] is None else r[2]) for r in rounds)
    what = "with the page" if page else "without a page: its libraries are missing"
    yield Figure("report", f"{name}: import and agree, {what}", whole, "s", at_most=4)
    yield Figure("report", f"{name}: of which judge import of the votes", imports, "s")
    yield Figure("report", f"{name}: judge agree without a page", plain, "s")
    for part, seconds in _parts(bench, ledger, *([html] if page else [])).items():
        yield Figure("report", f"{name}: of judge agree, {part}", (seconds,), "s")


def _judge(*arguments: str) -> Sequence[str]:
    return [sys.executable, "-m", "judge", *arguments]


def _run(bench: Bench, command: Sequence[str]) -> Took:
    """Run a command to its end on the client's core."""
    began = time.perf_counter()
    with _on_core(bench.cores.client):
        process = subprocess.Popen(
            command, cwd=ROOT, env=bench.environment(), text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
    with process:
        said = process.stderr.read() if process.stderr else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[2:5])} ended with {process.returncode}: {said}")
    return Took(time.perf_counter() - began, usage.ru_maxrss / MIB)


def _parts(bench: Bench, ledger: Path, *page: str) -> Mapping[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.report_speed", str(ledger), *page]
    with _on_core(bench.cores.client):
        parts: Mapping[str, float] = json.loads(bench.output_of(command))
    return parts


@contextmanager
def _on_core(core: int | None) -> Iterator[None]:
    """What is started inside inherits the core."""
    before = os.sched_getaffinity(0)
    pin(0, core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _can_make_pages() -> bool:
    from judge.trust.reporting import has_page_libraries

    return has_page_libraries()


@contextmanager
def _timed(parts: dict[str, float], name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    parts[name] = round(time.perf_counter() - began, 3)


def report_parts(path: Path, page: Path | None) -> Mapping[str, float]:
    """Return the seconds that each part of one report takes in this process."""
    parts: dict[str, float] = {}
    with _timed(parts, "imports"):
        from pydantic_core import to_json

        from calibration.report.text import report_text
        from judge.ledger.runs import find_run
        from judge.ledger.store import Ledger
        from judge.trust.audit import gather_in, report_of
        from judge.trust.evidence import evidence_of
    with Ledger(path, read_only=True) as ledger:
        with _timed(parts, "reading"):
            gathered = gather_in(ledger, find_run(ledger, "latest"))
        with _timed(parts, "statistics"):
            report = report_of(gathered)
        with _timed(parts, "text and JSON"):
            report_text(report)
            to_json(report.as_dict(), indent=2)
        if page is not None:
            with _timed(parts, "imports of the page"):
                from calibration.report.html.evidence import (
                    EVIDENCE_CSS,
                    EVIDENCE_JS,
                    evidence_markup,
                )
                from calibration.report.html.page import report_html
            with _timed(parts, "evidence of the page"):
                evidence = evidence_of(ledger, gathered, annotators=gathered.annotators)
            with _timed(parts, "page"):
                markup = report_html(
                    report,
                    title="Agreement report",
                    evidence=evidence_markup(evidence),
                    styles=[EVIDENCE_CSS],
                    scripts=[EVIDENCE_JS],
                )
                page.write_text(markup, encoding="utf-8")
    return parts


def main(arguments: Sequence[str]) -> None:
    """Print the parts of one report, and where its time went with --profile."""
    paths = [Path(argument) for argument in arguments if not argument.startswith("-")]
    page = paths[1] if len(paths) > 1 else None
    if "--profile" not in arguments:
        print(json.dumps(report_parts(paths[0], page)))
        return
    import cProfile
    import pstats

    with cProfile.Profile() as profile:
        report_parts(paths[0], page)
    pstats.Stats(profile).sort_stats("cumulative").print_stats(r"calibration|judge", 60)


if __name__ == "__main__":
    main(sys.argv[1:])
