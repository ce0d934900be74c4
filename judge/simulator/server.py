"""The simulated judge on the wire: connections, timers and the life of the server."""

import asyncio
import gc
import ipaddress
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from signal import SIGINT, SIGTERM

from judge.errors import ConfigError
from judge.simulator import messages
from judge.simulator.answering import Answer, answer_chat, refuse
from judge.simulator.batches import BATCH_PATHS, BatchDesk
from judge.simulator.counts import Counts, Stats
from judge.simulator.draws import digest
from judge.simulator.faults import Fault
from judge.simulator.messages import Response
from judge.simulator.settings import SimulatorSettings
from judge.simulator.wire import (
    CONTINUE,
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    Head,
    WireError,
    encode_response,
    read_head,
)

LOOPBACK = "127.0.0.1"

_CHAT = "/v1/chat/completions"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_GC_THRESHOLD = 50_000
"""Allocations between collections. Requests leave no cycles behind, so looking is wasted time."""


class Simulator:
    """One simulated judge: its settings, its counts and its open connections."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self.settings = settings
        self.base_url = ""
        """Where it answers, with /v1 at the end; set once it listens."""
        self.counts = Counts()
        self.connections: set[Connection] = set()
        self.batches = BatchDesk(settings, self._answer_in_batch)

    @property
    def stats(self) -> Stats:
        """What it has seen so far."""
        return self.counts.snapshot()

    def refusal(self, authorization: str | None) -> Answer | None:
        """Count a chat request; return its answer if it is not let in, else None."""
        counts = self.counts
        served, counts.requests = counts.requests, counts.requests + 1
        return refuse(self.settings, authorization, served=served, in_flight=counts.in_flight)

    def answer(self, body: bytes) -> Answer:
        """Return the answer to a chat request that is let in and thereby in flight."""
        body_digest = digest(self.settings.seed, b"body", body)
        return answer_chat(
            self.settings,
            body,
            body_digest=body_digest,
            earlier_sends=self.counts.admit(body_digest),
            created=int(time.time()),
        )

    def _answer_in_batch(self, body: bytes) -> Response:
        """Return the answer to a line of a batch; a fault on the wire is one of the server."""
        self.counts.requests += 1
        answer = self.answer(body)
        self.counts.in_flight -= 1
        response = answer.response
        if answer.cause is not None:
            self.counts.by_fault[answer.cause] += 1
        if response is None or response.content_type != messages.JSON:
            response = messages.error(500, "the server failed.", kind="server_error")
        self.counts.by_status[response.status] += 1
        return response

    def page(self, head: Head, body: bytes) -> Response:
        """Return the answer to anything but a chat request."""
        method, path = head.method, head.path
        if path.startswith(BATCH_PATHS):
            counts = self.counts
            refused = refuse(self.settings, head.authorization, served=counts.requests, in_flight=0)
            return (refused and refused.response) or self.batches.page(head, body)
        match method, path:
            case "GET", "/v1/models":
                return messages.model_list(self.settings.generators)
            case "GET", "/stats":
                return messages.as_json(self.stats.model_dump())
            case "POST", "/stats/reset":
                self.counts.reset()
                return messages.as_json({"reset": True})
            case "GET", "/healthz":
                return messages.as_json({"status": "ok", "simulated": True})
        return messages.error(404, f"{method} {path} is not here.", code="unknown_url")


class Connection(asyncio.BufferedProtocol):
    """One client connection: requests are answered in turn, one at a time."""

    # One buffer for all: it is emptied before the loop turns to the next connection. A fresh one
    # for every read, as a plain Protocol gets, costs a third of the bare exchange.
    _buffer = memoryview(bytearray(256 * 1024))

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._received = bytearray()
        self._head: Head | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_answering = False
        self._is_in_flight = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._simulator.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._simulator.connections.discard(self)
        self._is_answering = True  # whatever is left in the buffer stays unread
        if self._timer is not None:
            self._timer.cancel()
        self._release()

    def abort(self) -> None:
        """Drop the connection at once."""
        self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._received += self._buffer[:nbytes]
        if not self._is_answering:
            self._read_requests()
        elif len(self._received) > MAX_HEAD_BYTES + MAX_BODY_BYTES:
            self.abort()  # a client that sends on without waiting for answers

    def _read_requests(self) -> None:
        try:
            while self._received and not self._is_answering and self._read_request():
                pass
        except WireError as wrong:
            self._is_answering = True
            self._send(messages.error(wrong.status, f"{wrong}.", closes=True))

    def _read_request(self) -> bool:
        """Handle the first request received; False while it is incomplete."""
        head = self._head
        if head is None:
            head = self._head = read_head(self._received)
            if head is None:
                return False
            if head.expects_continue and len(self._received) < head.body_end:
                self._transport.write(CONTINUE)
        if len(self._received) < head.body_end:
            return False
        body = bytes(self._received[head.body_start : head.body_end])
        del self._received[: head.body_end]
        self._is_answering = True
        if head.path == _CHAT and head.method == "POST":
            self._answer_chat(body, head)
        else:
            self._send(self._simulator.page(head, body))
        return True

    def _answer_chat(self, body: bytes, head: Head) -> None:
        answer = self._simulator.refusal(head.authorization)
        if answer is None:
            self._is_in_flight = True
            answer = self._simulator.answer(body)
        if answer.cause is not None:
            self._simulator.counts.by_fault[answer.cause] += 1
        if answer.fault is Fault.HANG:
            return
        if answer.latency_s > 0:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(answer.latency_s, self._answer_late, answer)
        else:
            self._deliver(answer)

    def _answer_late(self, answer: Answer) -> None:
        self._timer = None
        self._deliver(answer)
        if not self._is_answering:
            self._read_requests()

    def _deliver(self, answer: Answer) -> None:
        if answer.response is None:
            self._reset()
            return
        self._simulator.counts.by_status[answer.response.status] += 1
        self._release()
        if answer.fault is Fault.TRUNCATED_BODY:
            whole = encode_response(answer.response, keeps_alive=True)
            self._transport.write(whole[: -len(answer.response.body) // 2])
            self._transport.close()
        else:
            self._send(answer.response)

    def _send(self, response: Response) -> None:
        keeps_alive = self._head is not None and self._head.keeps_alive and not response.closes
        self._head = None
        self._transport.write(encode_response(response, keeps_alive=keeps_alive))
        if keeps_alive:
            self._is_answering = False
        else:
            self._transport.close()

    def _reset(self) -> None:
        connection = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.abort()

    def _release(self) -> None:
        if self._is_in_flight:
            self._is_in_flight = False
            self._simulator.counts.in_flight -= 1


@asynccontextmanager
async def running_simulator(
    settings: SimulatorSettings, port: int = 0, *, host: str = LOOPBACK
) -> AsyncIterator[Simulator]:
    """Yield a simulated judge that listens in this event loop; port 0 takes a free one.

    Leaving drops every connection at once, hanging requests included. Raises ConfigError for a
    host that is not loopback and for a port in use.
    """
    if not ipaddress.ip_address(host).is_loopback:
        raise ConfigError(f"the simulated judge listens on loopback only, not on {host}")
    simulator = Simulator(settings)
    loop = asyncio.get_running_loop()
    try:
        # Thousands of clients may connect in the same instant; a short queue would refuse some.
        server = await loop.create_server(lambda: Connection(simulator), host, port, backlog=4096)
    except OSError as error:
        why = error.strerror or str(error)
        raise ConfigError(f"cannot listen on {host}:{port}: {why}; choose another port") from error
    try:
        port = server.sockets[0].getsockname()[1]
        simulator.base_url = f"http://{host}:{port}/v1"
        yield simulator
    finally:
        server.close()
        simulator.batches.close()
        for connection in tuple(simulator.connections):
            connection.abort()
        await server.wait_closed()
        await asyncio.sleep(0)  # aborted transports close their sockets in the next round


def serve_forever(
    settings: SimulatorSettings,
    host: str,
    port: int,
    announce: Callable[[str], None],
    *,
    lifeline: int | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then return; `announce` gets the base URL once it listens.

    With `lifeline`, a file descriptor whose other end the owner holds, it also ends with its owner.
    """
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)
    asyncio.run(_serve(settings, host, port, announce, lifeline))


async def _serve(
    settings: SimulatorSettings,
    host: str,
    port: int,
    announce: Callable[[str], None],
    lifeline: int | None,
) -> None:
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    for signal in (SIGINT, SIGTERM):
        loop.add_signal_handler(signal, end.set)
    if lifeline is not None:
        loop.add_reader(lifeline, end.set)
    async with running_simulator(settings, port, host=host) as simulator:
        announce(simulator.base_url)
        await end.wait()
    if lifeline is not None:
        loop.remove_reader(lifeline)
