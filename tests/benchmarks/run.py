"""Measure what is promised of speed, memory, durability and figures, and print it beside its bar.

    python tests/benchmarks/run.py [--quick] [NAME ...]

Without names everything is measured, which takes about twenty minutes; --quick makes every job
small, to see that the harness works, and its figures mean nothing. A missed bar is shown, never
fatal.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from tests.benchmarks.batches import measure_batches
from tests.benchmarks.bench import Bench
from tests.benchmarks.coverage import measure_coverage
from tests.benchmarks.figures import Figure, table
from tests.benchmarks.kills import measure_kills
from tests.benchmarks.machine import Cores, description, pin, scratch_folder, separate_cores
from tests.benchmarks.memory import measure_memory
from tests.benchmarks.report_speed import measure_report
from tests.benchmarks.speed import measure_cpu, measure_faults, measure_latency
from tests.benchmarks.startup import measure_help, measure_rerun
from tests.benchmarks.truth import measure_truth

Benchmark = Callable[[Bench], list[Figure]]

BENCHMARKS: Mapping[str, Benchmark] = {
    "cpu": measure_cpu,
    "latency": measure_latency,
    "faults": measure_faults,
    "memory": measure_memory,
    "kill": measure_kills,
    "help": measure_help,
    "rerun": measure_rerun,
    "batches": measure_batches,
    "report": measure_report,
    "coverage": measure_coverage,
    "truth": measure_truth,
}


def main() -> int:
    """Run the named benchmarks; 1 only when one of them could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="small jobs: tests the harness only")
    given = parser.parse_args()
    unknown = set(given.names) - set(BENCHMARKS)
    if unknown:
        parser.error(
            f"no benchmark is called {', '.join(sorted(unknown))}; try {', '.join(BENCHMARKS)}"
        )
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {description()}", flush=True)
    cores = separate_cores()
    if cores.client is None:
        print("one core only: client and simulated judge share it, and every figure is worse")
    pin(0, cores.other)
    figures: list[Figure] = []
    broken: list[str] = []
    for name in given.names or BENCHMARKS:
        try:
            figures += _measured(name, cores, is_quick=given.quick)
        except Exception as error:  # one broken benchmark must not hide the others
            broken.append(f"{name}: not measured: {type(error).__name__}: {error}")
    print(table(figures))
    for line in broken:
        print(line, file=sys.stderr)
    return 1 if broken else 0


def _measured(name: str, cores: Cores, *, is_quick: bool) -> list[Figure]:
    """Return the figures of one benchmark, from a folder that is gone afterwards."""
    began = time.perf_counter()
    with scratch_folder() as folder:
        figures = BENCHMARKS[name](Bench(folder, cores, is_quick))
    print(f"{name}: measured in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return figures


if __name__ == "__main__":
    sys.exit(main())
