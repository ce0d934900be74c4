"""Fakes that several tests share: a clock that jumps, a chat model and a server with a script."""

import asyncio
import json
import selectors
import socket
import sqlite3
import struct
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from judge.chat import ChatRequest, Reply
from judge.errors import EndpointError
from judge.ledger.store import Ledger
from judge.ledger.work import WorkItem, work_page
from judge.settings.config import Endpoint, Judge, Run, Settings

P = ParamSpec("P")
T = TypeVar("T")

KERNEL_GRACE_S = 0.002
DEADLOCK_S = 10.0


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer as soon as nothing else can happen.

    Sockets of this process and threads are real: the clock stands still while a thread works, and
    jumps only when no socket has anything to say.
    """

    def __init__(self) -> None:
        self._now = 1000.0
        self._threads = 0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds

    @property
    def has_threads(self) -> bool:
        return self._threads > 0

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        future = super().run_in_executor(executor, func, *args)
        self._threads += 1
        future.add_done_callback(self._note_thread_end)
        return future

    def _note_thread_end(self, _: Any) -> None:
        self._threads -= 1


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None or self._loop.has_threads:
            ready = super().select(DEADLOCK_S)
            if not ready:
                raise RuntimeError("the event loop waits for something that cannot happen")
            return ready
        has_sockets = len(self.get_map()) > 1  # the loop's own wake-up is one
        ready = super().select(KERNEL_GRACE_S) if has_sockets else []
        if not ready:
            self._loop.advance(timeout)
        return ready


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Return the coroutine function as a plain one that runs it in a VirtualTimeLoop."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            return runner.run(test(*args, **kwargs))

    return run


def reply(text: str = "[[A]]", finish_reason: str = "stop") -> Reply:
    """Return a reply with small numbers everywhere else."""
    return Reply(text, finish_reason, input_tokens=7, output_tokens=3, latency_s=0.5)


class ScriptedChat:
    """A ChatModel that gives the scripted answers in turn, the last one for ever.

    An answer is a reply, an error to raise, or a function of the request that returns one.
    """

    def __init__(self, *script: Reply | EndpointError | Callable[[ChatRequest], Reply]) -> None:
        self._script = script or (reply(),)
        self.requests: list[ChatRequest] = []
        self.times: list[float] = []
        self.in_flight = 0
        self.peak_in_flight = 0
        self.latency_s = 0.0

    async def complete(self, request: ChatRequest) -> Reply:
        answer = self._script[min(len(self.requests), len(self._script) - 1)]
        self.requests.append(request)
        self.times.append(asyncio.get_running_loop().time())
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.latency_s)
        finally:
            self.in_flight -= 1
        if isinstance(answer, EndpointError):
            raise answer
        return answer if isinstance(answer, Reply) else answer(request)


@dataclass(frozen=True)
class Scripted:
    """One answer of a scripted server, and what becomes of it on the wire."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    cut: int | None = None
    """Bytes of the body after which the connection closes."""
    is_reset: bool = False
    is_hanging: bool = False
    chunks: tuple[bytes, int] | None = None
    """A chunk and how often it is sent, in chunked encoding, instead of `body`."""


@dataclass(frozen=True)
class Sent:
    """One request as a scripted server received it."""

    method: str
    target: str
    headers: Mapping[str, str]
    """Names in lower case."""
    raw_headers: tuple[tuple[str, str], ...]
    body: Any
    at_s: float
    """By the clock of the event loop."""

    @property
    def user(self) -> str:
        return str(self.body["messages"][-1]["content"])


Script = Sequence[Scripted] | Callable[[Sent], Scripted]


def completion(text: str | None = "[[A]]", finish_reason: str | None = "stop") -> Scripted:
    """Return the answer of an endpoint that replies."""
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 11, "completion_tokens": 5}
    return Scripted(body=json.dumps({"choices": [choice], "usage": usage}).encode())


def failure(status: int, code: str | None = None, **headers: str) -> Scripted:
    """Return an error in OpenAI's envelope; `headers` spell - as _."""
    error = {"message": f"it says {status}", "type": "some_error", "code": code}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Scripted(status, json.dumps({"error": error}).encode(), named)


class ScriptedServer:
    """An HTTP server on loopback that counts what it is sent and answers by a script."""

    def __init__(self, script: Script, models: Scripted) -> None:
        self.script = script
        self.models = models
        self.base_url = ""
        self.chats: list[Sent] = []
        """Requests to /chat/completions."""
        self.others: list[Sent] = []
        self.in_flight = 0
        self.peak_in_flight = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        port = self._server.sockets[0].getsockname()[1]
        self.base_url = f"http://127.0.0.1:{port}/v1"

    async def stop(self) -> None:
        """Close the address and drop every connection."""
        if self._server is not None:
            self._server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            while (sent := await _read_request(reader)) is not None:
                if not await self._exchange(sent, writer):
                    break
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async def _exchange(self, sent: Sent, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection goes on."""
        answer = self._answer(sent)
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        try:
            await asyncio.sleep(answer.delay_s)
            return await _deliver(answer, writer)
        finally:
            self.in_flight -= 1

    def _answer(self, sent: Sent) -> Scripted:
        if not sent.target.partition("?")[0].endswith("/chat/completions"):
            self.others.append(sent)
            return self.models
        self.chats.append(sent)
        if callable(self.script):
            return self.script(sent)
        return self.script[min(len(self.chats), len(self.script)) - 1]


async def _read_request(reader: asyncio.StreamReader) -> Sent | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    line, *lines = head.strip().split("\r\n")
    method, target, _ = line.split(" ")
    pairs = tuple((n.lower(), v.strip()) for n, _, v in (each.partition(":") for each in lines))
    headers = dict(pairs)
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    at_s = asyncio.get_running_loop().time()
    return Sent(method, target, headers, pairs, json.loads(body) if body else None, at_s)


async def _deliver(answer: Scripted, writer: asyncio.StreamWriter) -> bool:
    if answer.is_hanging:
        await asyncio.Event().wait()
    if answer.is_reset:
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False
    headers = {"content-type": "application/json", **answer.headers}
    if answer.chunks is None:
        headers["content-length"] = str(len(answer.body))
    else:
        headers["transfer-encoding"] = "chunked"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {answer.status} Scripted\r\n{lines}\r\n".encode("latin-1"))
    if answer.chunks is not None:
        chunk, times = answer.chunks
        for _ in range(times):
            writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
    writer.write(answer.body[: answer.cut])
    await writer.drain()
    if answer.cut is not None:
        writer.close()
        await writer.wait_closed()
    return answer.cut is None


@asynccontextmanager
async def scripted_server(
    script: Script, models: Scripted | None = None
) -> AsyncIterator[ScriptedServer]:
    """Yield a server in this event loop.

    A sequence is given answer by answer, its last one for ever; `models` answers everything that
    is no chat request, by default that there is no such thing.
    """
    server = ScriptedServer(script, models or failure(404, "unknown_url"))
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def settings_for(base_url: str, judge: Judge | None = None, **endpoint: Any) -> Settings:
    """Return settings of one judge at one address."""
    return Settings(
        endpoints={"default": Endpoint(base_url=base_url, **endpoint)},
        judges=(judge or Judge(model="a-judge", max_tokens=100),),
        run=Run(),
    )


def write_pairs(path: Path, count: int) -> Path:
    """Write pairs with ids p0, p1, ... and return the path."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            pair = {
                "pair_id": f"p{number}",
                "prompt": f"Question {number}?",
                "first": f"First answer to {number}.",
                "second": f"Second answer to {number}.",
            }
            file.write(json.dumps(pair) + "\n")
    return path


def rows(ledger: Path, table: str = "judgments") -> list[dict[str, Any]]:
    """Return the rows of a ledger's table, as they lie on the disk."""
    with closing(sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f'SELECT * FROM "{table}"')]


def work_pages(
    ledger: Ledger, run_id: str, judge_keys: Sequence[str], *, page_size: int
) -> Iterator[list[WorkItem]]:
    """Yield all that a run has to look at, page by page as a job reads it."""
    after = -1
    while page := work_page(ledger, run_id, judge_keys, after=after, page_size=page_size):
        yield page
        after = page[-1].position
