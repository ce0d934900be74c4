"""What every benchmark shares: a folder, the cores, and how processes are started."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from judge.simulator.process import SimulatorProcess, simulator_process
from judge.simulator.settings import SimulatorSettings
from tests.benchmarks.client import ClientJob, ClientRun
from tests.benchmarks.machine import ROOT, Cores, pin

_OURS = ("JUDGE_", "OPENAI_", "PYTHON")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
TIMEOUT_S = 1800.0


@dataclass(frozen=True, slots=True)
class Bench:
    """Where and how a benchmark runs."""

    folder: Path
    cores: Cores
    is_quick: bool = False

    def size(self, full: int, quick: int) -> int:
        return quick if self.is_quick else full

    def say(self, message: str) -> None:
        """Tell on standard error what is being done: no wait is silent."""
        print(f"  {message} ...", file=sys.stderr, flush=True)

    def environment(self) -> Mapping[str, str]:
        """Return the variables of a child: nobody's settings, and bytecode kept in our folder."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_OURS) and name.lower() not in _PROXIES
        }
        return {**kept, "PYTHONPYCACHEPREFIX": str(self.folder / "bytecode")}

    @contextmanager
    def simulator(self, **settings: Any) -> Iterator[SimulatorProcess]:
        """Yield a simulated judge on the core that the client does not use."""
        with simulator_process(SimulatorSettings(**settings)) as simulator:
            pin(simulator.pid, self.cores.other)
            yield simulator

    def start_client(
        self, job: ClientJob, *, under: Sequence[str] = (), **options: Any
    ) -> "subprocess.Popen[str]":
        """Start a client, if need be under another program such as a tracer."""
        command = [*under, sys.executable, "-m", "tests.benchmarks.client", json.dumps(asdict(job))]
        return subprocess.Popen(
            command, cwd=ROOT, env=self.environment(), text=True,
            **{"stdout": subprocess.PIPE, **options},
        )  # fmt: skip

    def run_client(self, job: ClientJob) -> ClientRun:
        """Run a client to its end and return what it took."""
        with self.start_client(job) as client:
            return finished(client)

    def run_bare(self, base_url: str, bodies: Path, requests: int) -> Mapping[str, float]:
        """Run the bare loop to its end and return its `cpu_s` and `wall_s`."""
        arguments = [base_url, str(bodies), str(requests), str(self.cores.client)]
        command = [sys.executable, "-m", "tests.benchmarks.bare", *arguments]
        result: Mapping[str, float] = json.loads(self.output_of(command))
        return result

    def output_of(self, command: Sequence[str]) -> str:
        """Return the standard output of a command that must succeed."""
        return subprocess.run(
            command, cwd=ROOT, env=self.environment(), check=True, timeout=TIMEOUT_S,
            stdout=subprocess.PIPE, text=True,
        ).stdout  # fmt: skip


def finished(client: "subprocess.Popen[str]") -> ClientRun:
    """Return what a started client took, once it has ended; kills it after half an hour."""
    try:
        output, _ = client.communicate(timeout=TIMEOUT_S)
    except BaseException:
        client.kill()
        raise
    if not output:
        raise RuntimeError(f"the client ended with {client.returncode} and no figures; see above")
    return ClientRun(**json.loads(output.splitlines()[-1]))
