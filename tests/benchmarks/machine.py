"""The machine that is measured on: its cores, its disk, and its processes as /proc shows them."""

import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of the client and that of everything else; None where there is only one."""

    client: int | None
    other: int | None


def separate_cores() -> Cores:
    """Return two different cores of those this process may use, if it may use two."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[-1], usable[0]) if len(usable) > 1 else Cores(None, None)


def pin(pid: int, core: int | None) -> None:
    """Keep a process (0: this one) on one core; None leaves it where it is."""
    if core is not None:
        os.sched_setaffinity(pid, {core})


def cpu_used_s(pid: int | None = None) -> float:
    """Return the CPU seconds a process has used, or, without one, all of them since the boot."""
    ticks = os.sysconf("SC_CLK_TCK")
    if pid is not None:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / ticks
    user, nice, system, _, _, irq, softirq, steal, *_ = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + irq + softirq + steal) / ticks


def memory_mib(field: str, pid: int | None = None) -> float | None:
    """Return a size field of /proc/PID/status, such as VmRSS; None once the process has ended."""
    try:
        status = Path(f"/proc/{pid or 'self'}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    for line in status.splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    return None


def description() -> str:
    """Return the machine in one line: cores, processor, load, Python, kernel."""
    names = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    processor = names[0].partition(":")[2].strip() if names else platform.machine()
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return (
        f"{len(os.sched_getaffinity(0))} cores of {processor}; load average {load}; "
        f"{platform.python_implementation()} {platform.python_version()}; "
        f"{platform.system()} {platform.release()}"
    )


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield an empty folder outside the repository, on the repository's disk if that is possible.

    Commits are measured, so a folder in memory would flatter.
    """
    device = ROOT.stat().st_dev
    candidates = (Path(tempfile.gettempdir()), Path("/var/tmp"), ROOT.parent)
    home = next(
        (
            c
            for c in candidates
            if c.is_dir() and c.stat().st_dev == device and os.access(c, os.W_OK)
        ),
        candidates[0],
    )
    with tempfile.TemporaryDirectory(prefix="evenhand-bench-", dir=home) as folder:
        yield Path(folder)
