"""How the simulated judge starts and ends, in this event loop and as a process of its own."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest

from judge.errors import ConfigError, EndpointError
from judge.simulator.process import simulator_process
from judge.simulator.server import running_simulator
from judge.simulator.settings import SimulatorSettings

BODY = b'{"model": "m", "messages": [{"role": "user", "content": "Q"}]}'
ASK = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY


def client_of(base_url: str) -> socket.socket:
    parts = urlsplit(base_url)
    assert parts.hostname == "127.0.0.1"
    assert parts.path == "/v1"
    return socket.create_connection((parts.hostname, parts.port or 0), timeout=5)


async def test_leaving_drops_hanging_requests_at_once() -> None:
    async with running_simulator(SimulatorSettings(hang_rate=1)) as simulator:
        client = client_of(simulator.base_url)
        client.sendall(ASK)
        for _ in range(10_000):
            if simulator.stats.in_flight:
                break
            await asyncio.sleep(0)
        assert simulator.stats.in_flight == 1
        began = time.perf_counter()
    assert time.perf_counter() - began < 1
    assert simulator.stats.in_flight == 0
    with client:
        assert client.recv(1) == b""


async def test_it_listens_on_loopback_only() -> None:
    with pytest.raises(ConfigError, match=r"loopback only, not on 0\.0\.0\.0"):
        async with running_simulator(SimulatorSettings(), host="0.0.0.0"):
            pass


async def test_a_port_in_use_is_named() -> None:
    async with running_simulator(SimulatorSettings()) as simulator:
        port = urlsplit(simulator.base_url).port or 0
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}"):
            async with running_simulator(SimulatorSettings(), port):
                pass


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_process_stops_on_signals_within_a_second(how: signal.Signals) -> None:
    with (
        simulator_process(SimulatorSettings(hang_rate=1)) as simulator,
        client_of(simulator.base_url) as client,
    ):
        client.sendall(ASK)
        assert simulator.stats().in_flight == 1
        simulator.reset_stats()
        assert (simulator.stats().requests, simulator.stats().in_flight) == (0, 1)
        began = time.perf_counter()
        os.kill(simulator.pid, how)
        ended = os.waitid(os.P_PID, simulator.pid, os.WEXITED | os.WNOWAIT)
        assert time.perf_counter() - began < 1
        assert ended is not None
        assert (ended.si_code, ended.si_status) == (os.CLD_EXITED, 0)


def test_a_process_ends_when_its_owner_is_gone() -> None:
    command = [sys.executable, "-m", "judge.simulator", "--end-with-stdin"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"http://127.0.0.1:")
        process.stdin.close()
        assert process.wait(5) == 0


def test_a_process_that_cannot_start_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    wrong = SimulatorSettings().model_copy(update={"seed": "not a number"})
    with (
        pytest.warns(UserWarning, match="serializ"),
        pytest.raises(EndpointError, match="did not start"),
        simulator_process(wrong),
    ):
        pass
    assert "seed" in capfd.readouterr().err
