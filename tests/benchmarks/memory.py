"""Whether a large job stays small in memory."""

import subprocess
import time
from dataclasses import dataclass

from judge.simulator.process import SimulatorProcess
from tests.benchmarks.bench import Bench, finished
from tests.benchmarks.client import ClientJob
from tests.benchmarks.figures import Figure
from tests.benchmarks.machine import memory_mib
from tests.benchmarks.material import write_pairs

SAMPLE_EVERY_S = 0.25
STEADY_FROM = 0.2


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a client: the share of its requests that were sent, and its resident memory."""

    share: float
    rss_mib: float


def measure_memory(bench: Bench) -> list[Figure]:
    """Peak and growth of the client's memory over 100,000 pairs."""
    pairs = bench.size(100_000, 1_000)
    bench.say(f"memory: writing {pairs:,} pairs")
    path = write_pairs(bench.folder / "memory.jsonl", pairs)
    with bench.simulator() as simulator:
        bench.say(f"memory: {2 * pairs:,} judgments")
        job = ClientJob(
            str(path), str(bench.folder / "memory.db"), simulator.base_url, core=bench.cores.client
        )
        with bench.start_client(job) as client:
            samples = _watch(client, simulator, asks=2 * pairs)
            run = finished(client)
    path.unlink()
    asking = [sample for sample in samples if sample.share >= STEADY_FROM] or samples[-1:]
    steady = asking[0].rss_mib
    growth = max(sample.rss_mib for sample in asking) - steady
    return [
        Figure("memory", "judgments stored", (run.stored,), at_least=2 * pairs),
        Figure("memory", "peak resident memory", (run.peak_rss_mib,), "MiB", at_most=160),
        Figure("memory", "resident at 20 % of the asks", (steady,), "MiB"),
        Figure("memory", "resident at 100 %", (asking[-1].rss_mib,), "MiB"),
        Figure("memory", "most growth after 20 %", (growth,), "MiB", at_most=16),
        Figure("memory", "intake of the whole file", (run.intake_s,), "s"),
        Figure("memory", "wall time, all in", (run.wall_s,), "s"),
        Figure("memory", "CPU, all in", (1000 * run.cpu_s / (2 * pairs),), "ms/judgment"),
    ]


def _watch(
    client: "subprocess.Popen[str]", simulator: SimulatorProcess, *, asks: int
) -> list[Sample]:
    """Return looks at a client until it ends."""
    samples = []
    while client.poll() is None:
        rss_mib = memory_mib("VmRSS", client.pid)
        if rss_mib is not None:
            samples.append(Sample(simulator.stats().requests / asks, rss_mib))
        time.sleep(SAMPLE_EVERY_S)
    return samples
