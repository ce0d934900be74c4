"""What the command line costs before and after the work: help, and a job with nothing to do."""

import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from judge.simulator.settings import MODEL
from tests.benchmarks.bench import TIMEOUT_S, Bench
from tests.benchmarks.figures import Figure
from tests.benchmarks.machine import ROOT
from tests.benchmarks.material import write_pairs

COMMAND = str(Path(sys.executable).with_name("judge"))
HEAVY = frozenset({"aiohttp", "openai", "scipy", "sqlalchemy"})
NOTHING_TO_DO = re.compile(r"\b0 to do\b")


def measure_help(bench: Bench) -> list[Figure]:
    """Wall time of `judge --help`, and which heavy libraries it imports."""
    rounds = bench.size(7, 2)
    seconds = [_timed(bench, [COMMAND, "--help"])[1] for _ in range(rounds + 1)][1:]
    listing = _run(bench, [sys.executable, "-X", "importtime", COMMAND, "--help"]).stderr
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in listing.splitlines()}
    return [
        Figure("help", "judge --help", tuple(seconds), "s", at_most=0.4),
        Figure("help", "heavy libraries it imports", (len(HEAVY & imported),), at_most=0),
    ]


def measure_rerun(bench: Bench) -> list[Figure]:
    """Wall time of a finished job that is run again."""
    pairs = write_pairs(bench.folder / "rerun.jsonl", bench.size(2_048, 64))
    config = bench.folder / "rerun.toml"
    rounds = bench.size(5, 1)
    with bench.simulator() as simulator:
        config.write_text(
            f'[endpoints.local]\nbase_url = "{simulator.base_url}"\nmax_in_flight = 256\n\n'
            f'[[judges]]\nmodel = "{MODEL}"\nendpoint = "local"\n'
        )
        ledger = bench.folder / "rerun.db"
        command = [COMMAND, "run", str(pairs), "--config", str(config), "--ledger", str(ledger)]
        bench.say("rerun: judging once")
        _, first_s = _timed(bench, command)
        again = [_timed(bench, command) for _ in range(rounds)]
    says_so = all(NOTHING_TO_DO.search(run.stdout + run.stderr) for run, _ in again)
    return [
        Figure("rerun", "the job itself", (first_s,), "s"),
        Figure("rerun", "the finished job again", tuple(s for _, s in again), "s", at_most=2),
        Figure("rerun", "runs that did not say 0 to do", (0.0 if says_so else 1.0,), at_most=0),
    ]


def _timed(
    bench: Bench, command: Sequence[str]
) -> "tuple[subprocess.CompletedProcess[str], float]":
    began = time.perf_counter()
    result = _run(bench, command)
    return result, time.perf_counter() - began


def _run(bench: Bench, command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Return how a command ended; RuntimeError with its last words when it failed."""
    result = subprocess.run(
        command, cwd=ROOT, env=bench.environment(), capture_output=True, text=True,
        timeout=TIMEOUT_S,
    )  # fmt: skip
    if result.returncode:
        said = (result.stderr or result.stdout).strip()[-500:]
        raise RuntimeError(f"{' '.join(command)} ended with {result.returncode}: {said}")
    return result
