"""How much CPU a judgment costs, and how much of the ideal time a job takes."""

import os
import time
from dataclasses import dataclass

from judge.simulator.process import SimulatorProcess
from tests.benchmarks.bench import Bench
from tests.benchmarks.client import ClientJob, ClientRun
from tests.benchmarks.figures import Figure
from tests.benchmarks.machine import cpu_used_s
from tests.benchmarks.material import write_bodies, write_pairs

IN_FLIGHT = 256


@dataclass(frozen=True, slots=True)
class Round:
    """One small and one large job, and a bare loop over the same requests."""

    small: ClientRun
    large: ClientRun
    small_bare_s: float
    large_bare_s: float
    others: float
    """Cores that processes other than ours kept busy meanwhile: above 0.1 the round is doubtful."""


def measure_cpu(bench: Bench) -> list[Figure]:
    """CPU per judgment as a slope between two sizes, beside a bare loop over the same requests.

    Both are measured in turn, round by round, so that a slow moment of the machine meets both.
    """
    few, many = bench.size(1_000, 100), bench.size(11_000, 600)
    rounds = bench.size(4, 1)
    write_pairs(bench.folder / "few.jsonl", few // 2)
    write_bodies(bench.folder / "bodies.jsonl", write_pairs(bench.folder / "many.jsonl", many // 2))
    measured = []
    # Position bias, ties and unreadable replies, so that the parser meets all of its cases.
    with bench.simulator(position_bias=0.1, tie_rate=0.1, unparsable_rate=0.01) as simulator:
        bench.say("cpu: warming up")
        _client_run(bench, simulator, "few", "warm-up")
        bench.run_bare(simulator.base_url, bench.folder / "bodies.jsonl", few)
        for number in range(1, rounds + 1):
            bench.say(f"cpu: round {number} of {rounds}")
            measured.append(_round(bench, simulator, few, many, name=str(number)))
    return _cpu_figures(measured, few, many)


def _round(bench: Bench, simulator: SimulatorProcess, few: int, many: int, *, name: str) -> Round:
    bodies = bench.folder / "bodies.jsonl"
    began, before_s = time.perf_counter(), _others_s(simulator)
    small = _client_run(bench, simulator, "few", name)
    small_bare = bench.run_bare(simulator.base_url, bodies, few)
    large = _client_run(bench, simulator, "many", name)
    large_bare = bench.run_bare(simulator.base_url, bodies, many)
    others = (_others_s(simulator) - before_s) / (time.perf_counter() - began)
    if (small.stored, large.stored) != (few, many):
        raise RuntimeError(f"{small.stored} of {few} and {large.stored} of {many} were stored")
    return Round(small, large, small_bare["cpu_s"], large_bare["cpu_s"], max(0.0, others))


def _client_run(bench: Bench, simulator: SimulatorProcess, size: str, name: str) -> ClientRun:
    pairs, ledger = bench.folder / f"{size}.jsonl", bench.folder / f"{size}-{name}.db"
    job = ClientJob(str(pairs), str(ledger), simulator.base_url, core=bench.cores.client)
    return bench.run_client(job)


def _others_s(simulator: SimulatorProcess) -> float:
    """Return the CPU seconds of all processes but this one, its children and the simulator."""
    return cpu_used_s() - sum(os.times()[:4]) - cpu_used_s(simulator.pid)


def _cpu_figures(rounds: list[Round], few: int, many: int) -> list[Figure]:
    per_ms = 1000 / (many - few)
    slopes = [per_ms * (r.large.cpu_s - r.small.cpu_s) for r in rounds]
    bare = [per_ms * (r.large_bare_s - r.small_bare_s) for r in rounds]
    startup = [r.small.cpu_s - few * s / 1000 for r, s in zip(rounds, slopes, strict=True)]
    ratios = [slope / floor for slope, floor in zip(slopes, bare, strict=True)]
    rates = [many / (r.large.to_last_stored_s or float("inf")) for r in rounds]
    walls = tuple(r.large.wall_s for r in rounds)
    return [
        Figure("cpu", "CPU per judgment, all in", tuple(slopes), "ms", at_most=0.35),
        Figure("cpu", "CPU per request, bare aiohttp loop", tuple(bare), "ms"),
        Figure("cpu", "ratio of the two", tuple(ratios)),
        Figure("cpu", "start-up CPU", tuple(startup), "s", at_most=2.5),
        Figure("cpu", "throughput without latency", tuple(rates), "judgments/s", at_least=2_800),
        Figure("cpu", "wall time of the larger job, all in", walls, "s"),
        Figure("cpu", "of which intake", tuple(r.large.intake_s for r in rounds), "s"),
        Figure("cpu", "cores busy with other programs", tuple(r.others for r in rounds)),
    ]


def measure_latency(bench: Bench) -> list[Figure]:
    """Share of the ideal time, where every reply takes one second."""
    jobs = _timed_jobs(bench, "latency")
    ideal_s = _ideal_s(bench)
    took = tuple(run.to_last_reply_s or float("inf") for run, _ in jobs)
    return [
        Figure(
            "latency", f"share of the ideal {ideal_s:g} s",
            tuple(ideal_s / s for s in took), at_least=0.96,
        ),
        Figure("latency", "first request to last reply", took, "s"),
        *_completeness(bench, "latency", jobs),
    ]  # fmt: skip


def measure_faults(bench: Bench) -> list[Figure]:
    """The same job while 1 % is throttled, 1 % fails and 0.5 % hangs for 5 s."""
    jobs = _timed_jobs(
        bench, "faults", timeout_s=5.0,
        rate_limit_rate=0.01, server_error_rate=0.01, hang_rate=0.005,
    )  # fmt: skip
    ratios = tuple((run.to_last_stored_s or float("inf")) / _ideal_s(bench) for run, _ in jobs)
    bar = None if bench.is_quick else 1.4  # one hung call alone outlasts the small job
    return [
        Figure("faults", "time against the ideal", ratios, "x", at_most=bar),
        *_completeness(bench, "faults", jobs),
    ]


def _completeness(bench: Bench, name: str, jobs: list[tuple[ClientRun, int]]) -> list[Figure]:
    asks = 2 * _pairs(bench)
    return [
        Figure(name, "judgments stored", tuple(run.stored for run, _ in jobs), at_least=asks),
        Figure(name, "asks left pending", tuple(run.pending for run, _ in jobs), at_most=0),
        Figure(name, "requests per judgment", tuple(sends / asks for _, sends in jobs)),
    ]


def _timed_jobs(
    bench: Bench, name: str, *, timeout_s: float = 120.0, **faults: float
) -> list[tuple[ClientRun, int]]:
    """Return, per round, what a job took and how many requests the simulated judge received."""
    path = write_pairs(bench.folder / f"{name}.jsonl", _pairs(bench))
    rounds = bench.size(3, 1)
    jobs = []
    for number in range(1, rounds + 1):
        bench.say(f"{name}: round {number} of {rounds}")
        # Another seed for the simulated judge: other requests go wrong.
        with bench.simulator(seed=number, latency_s=_latency_s(bench), **faults) as simulator:
            job = ClientJob(
                str(path), str(bench.folder / f"{name}-{number}.db"), simulator.base_url,
                timeout_s=timeout_s, core=bench.cores.client,
            )  # fmt: skip
            jobs.append((bench.run_client(job), simulator.stats().requests))
    return jobs


def _pairs(bench: Bench) -> int:
    return bench.size(2_048, 256)


def _latency_s(bench: Bench) -> float:
    return 0.2 if bench.is_quick else 1.0


def _ideal_s(bench: Bench) -> float:
    """Little's law: every slot is always waiting for a reply."""
    return 2 * _pairs(bench) * _latency_s(bench) / IN_FLIGHT
