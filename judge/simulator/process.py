"""A simulated judge in a process of its own, for benchmarks, the demo and tests that kill."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from urllib.parse import urlsplit

from judge.errors import EndpointError
from judge.simulator.counts import Stats
from judge.simulator.settings import SimulatorSettings

_STOP_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class SimulatorProcess:
    """A running simulated judge."""

    base_url: str
    """Where it answers, with /v1 at the end."""
    pid: int

    def stats(self) -> Stats:
        """Return what it has seen since its start or the last reset."""
        return Stats.model_validate_json(self._request("GET", "/stats"))

    def reset_stats(self) -> None:
        """Make it forget all counts and all bodies."""
        self._request("POST", "/stats/reset")

    def _request(self, method: str, path: str) -> bytes:
        with closing(HTTPConnection(urlsplit(self.base_url).netloc, timeout=10)) as connection:
            connection.request(method, path)
            return connection.getresponse().read()


@contextmanager
def simulator_process(settings: SimulatorSettings) -> Iterator[SimulatorProcess]:
    """Yield a simulated judge that runs in its own process, and stop it at the end.

    It also ends by itself when this process dies, killed or not. Raises EndpointError when it does
    not start; its own message is on standard error.
    """
    command = [sys.executable, "-m", "judge.simulator", "--port", "0", "--end-with-stdin"]
    command += ["--settings-json", settings.model_dump_json()]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        try:
            base_url = process.stdout.readline().strip()
            if not base_url:
                raise EndpointError("the simulated judge did not start; its error is above")
            yield SimulatorProcess(base_url=base_url, pid=process.pid)
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
