"""The simulated judge on the wire: the OpenAI contract, every fault and its counts."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from openai import AsyncOpenAI, RateLimitError

from judge.simulator.messages import Response
from judge.simulator.server import Simulator, running_simulator
from judge.simulator.settings import (
    GENERATORS,
    MODEL,
    AccountFault,
    Refusable,
    SimulatorSettings,
)
from judge.simulator.wire import WireError, encode_response, read_head

USER = """[User Question]
Which tea?

[The Start of Assistant A's Answer]
Oolong.
[The End of Assistant A's Answer]

[The Start of Assistant B's Answer]
Any green one.
[The End of Assistant B's Answer]"""
MESSAGES: Any = [{"role": "system", "content": "[[A]] or [[B]]"}, {"role": "user", "content": USER}]
BODY = json.dumps({"model": "m", "messages": MESSAGES}).encode()


@dataclass(frozen=True)
class Received:
    """What came back on a connection until it closed."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> Any:
        return json.loads(self.body)["error"]


def post(content: bytes = BODY, *, path: str = "/v1/chat/completions", extra: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(content)}\r\n{extra}\r\n"
    return head.encode() + content


@asynccontextmanager
async def connected(
    simulator: Simulator,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, port = simulator.base_url.removeprefix("http://").removesuffix("/v1").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def ask(simulator: Simulator, *, extra: str = "", content: bytes = BODY) -> Received:
    return await exchange(simulator, post(content, extra=extra + "Connection: close\r\n"))


async def exchange(simulator: Simulator, sent: bytes) -> Received:
    """Send bytes and read until the server closes."""
    async with connected(simulator) as (reader, writer):
        writer.write(sent)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert headers["x-simulated"] == "true"
    return Received(int(status.split()[1]), headers, body)


async def test_the_official_client_works_against_it() -> None:
    async with (
        running_simulator(SimulatorSettings(seed=3)) as simulator,
        AsyncOpenAI(base_url=simulator.base_url, api_key="none", max_retries=0) as client,
    ):
        assert [model.id async for model in await client.models.list()] == [MODEL, *GENERATORS]
        done = await client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=900)
    assert done.model == MODEL
    assert done.choices[0].finish_reason == "stop"
    text = done.choices[0].message.content
    assert text is not None
    assert "[[" in text
    assert done.usage is not None
    assert done.usage.completion_tokens == -(-len(text) // 4)
    assert done.usage.prompt_tokens == -(-sum(len(m["content"]) for m in MESSAGES) // 4)
    assert done.usage.total_tokens == done.usage.prompt_tokens + done.usage.completion_tokens
    assert done.model_extra == {"simulated": True}


async def test_the_official_client_reads_its_errors() -> None:
    settings = SimulatorSettings(rate_limit_rate=1.0, retry_after_s=0.25)
    async with (
        running_simulator(settings) as simulator,
        AsyncOpenAI(base_url=simulator.base_url, api_key="none", max_retries=0) as client,
    ):
        with pytest.raises(RateLimitError, match="Simulated: too many requests") as caught:
            await client.chat.completions.create(model="m", messages=MESSAGES)
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.response.headers["retry-after"] == "0.25"


@pytest.mark.parametrize(
    ("settings", "status", "code", "counted"),
    [
        (SimulatorSettings(rate_limit_rate=1), 429, "rate_limit_exceeded", "rate_limited"),
        (SimulatorSettings(server_error_rate=1), 500, None, "server_error"),
        (SimulatorSettings(context_chars=99), 400, "context_length_exceeded", "context_length"),
        (SimulatorSettings(required_key="made-up"), 401, "invalid_api_key", "invalid_key"),
        *(
            (SimulatorSettings(account_fault=fault), status, code, fault.value)
            for fault, status, code in (
                (AccountFault.INVALID_KEY, 401, "invalid_api_key"),
                (AccountFault.PAYMENT_REQUIRED, 402, "payment_required"),
                (AccountFault.FORBIDDEN, 403, "permission_denied"),
                (AccountFault.MODEL_NOT_FOUND, 404, "model_not_found"),
                (AccountFault.INSUFFICIENT_QUOTA, 429, "insufficient_quota"),
            )
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_every_error_arrives_with_its_status_and_code(
    settings: SimulatorSettings, status: int, code: str | None, counted: str
) -> None:
    async with running_simulator(settings) as simulator:
        received = await ask(simulator)
        assert (received.status, received.error["code"]) == (status, code)
        assert received.error.keys() == {"message", "type", "param", "code"}
        assert simulator.stats.by_fault == {counted: 1}
        assert simulator.stats.by_status == {status: 1}
        assert simulator.stats.in_flight == 0


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b'{"model": "m", "messages": []}', BODY[:-1] + b', "n": 2}', b"\xff"],
    ids=["cut", "list", "no messages", "two replies", "not UTF-8"],
)
async def test_a_body_it_does_not_serve_is_a_400(content: bytes) -> None:
    async with running_simulator(SimulatorSettings()) as simulator:
        assert (await ask(simulator, content=content)).status == 400


async def test_retry_after_can_be_left_out() -> None:
    settings = SimulatorSettings(rate_limit_rate=1, retry_after_s=None)
    async with running_simulator(settings) as simulator:
        assert "retry-after" not in (await ask(simulator)).headers


async def test_only_the_required_key_is_let_in() -> None:
    async with running_simulator(SimulatorSettings(required_key="made-up")) as simulator:
        assert (await ask(simulator, extra="Authorization: Bearer made-up\r\n")).status == 200
        assert (await ask(simulator, extra="Authorization: Bearer made-uq\r\n")).status == 401


def test_choices_may_be_typed_with_hyphens_as_the_help_shows_them() -> None:
    settings: Any = {"refuses": ["max-tokens", "temperature"], "account_fault": "invalid-key"}
    read = SimulatorSettings(**settings)
    assert read.refuses == (Refusable.MAX_TOKENS, Refusable.TEMPERATURE)
    assert read.account_fault is AccountFault.INVALID_KEY
    with pytest.raises(ValueError, match="Input should be 'max_tokens'"):
        SimulatorSettings(refuses=("max-token",))  # type: ignore[arg-type]


async def test_an_account_fault_can_set_in_later() -> None:
    settings = SimulatorSettings(account_fault=AccountFault.FORBIDDEN, account_fault_after=2)
    async with running_simulator(settings) as simulator:
        assert [(await ask(simulator)).status for _ in range(4)] == [200, 200, 403, 403]


async def test_a_reset_breaks_the_connection() -> None:
    async with running_simulator(SimulatorSettings(reset_rate=1)) as simulator:
        with pytest.raises(ConnectionResetError):
            await ask(simulator)
        assert simulator.stats.by_fault == {"reset": 1}


async def test_a_truncated_body_ends_before_its_content_length() -> None:
    async with running_simulator(SimulatorSettings(truncated_body_rate=1)) as simulator:
        received = await ask(simulator)
        assert 0 < len(received.body) < int(received.headers["content-length"])


async def test_html_comes_with_status_200() -> None:
    async with running_simulator(SimulatorSettings(html_rate=1)) as simulator:
        received = await ask(simulator)
        assert (received.status, received.body[:6]) == (200, b"<html>")
        assert received.headers["content-type"].startswith("text/html")


async def test_flaws_arrive_as_finish_reasons() -> None:
    for settings, reason in (
        (SimulatorSettings(length_rate=1), "length"),
        (SimulatorSettings(content_filter_rate=1), "content_filter"),
        (SimulatorSettings(unparsable_rate=1), "stop"),
    ):
        async with running_simulator(settings) as simulator:
            received = await ask(simulator)
            assert json.loads(received.body)["choices"][0]["finish_reason"] == reason
            assert sum(simulator.stats.by_fault.values()) == 1


async def test_a_hanging_request_is_in_flight_until_the_client_leaves() -> None:
    async with running_simulator(SimulatorSettings(hang_rate=1)) as simulator:
        async with connected(simulator) as (reader, writer):
            writer.write(post())
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.1)
            assert simulator.stats.in_flight == 1
        for _ in range(10_000):
            if not simulator.stats.in_flight:
                break
            await asyncio.sleep(0)
        assert simulator.stats.in_flight == 0
        assert (simulator.stats.by_status, simulator.stats.by_fault) == ({}, {"hang": 1})


async def test_more_in_flight_than_allowed_are_told_to_wait() -> None:
    settings = SimulatorSettings(max_concurrency=2, latency_s=0.3, retry_after_s=7)
    async with running_simulator(settings) as simulator:
        received = await asyncio.gather(*(ask(simulator) for _ in range(5)))
        assert sorted(r.status for r in received) == [200, 200, 429, 429, 429]
        assert {r.headers.get("retry-after") for r in received} == {None, "7"}
        assert simulator.stats.peak_in_flight == 2
        assert simulator.stats.by_fault == {"overload": 3}


async def test_latency_delays_each_answer() -> None:
    async with running_simulator(SimulatorSettings(latency_s=0.3)) as simulator:
        began = time.perf_counter()
        await asyncio.gather(*(ask(simulator) for _ in range(20)))
        assert 0.3 <= time.perf_counter() - began < 3
        assert simulator.stats.peak_in_flight == 20


async def test_statistics_count_bodies_and_repeats_until_they_are_reset() -> None:
    async with running_simulator(SimulatorSettings()) as simulator:
        for content in (BODY, BODY, BODY, BODY + b" "):
            await ask(simulator, content=content)
        get = b"GET /stats HTTP/1.1\r\nConnection: close\r\n\r\n"
        stats = json.loads((await exchange(simulator, get)).body)
        assert (stats["requests"], stats["unique_bodies"], stats["repeats"]) == (4, 2, 2)
        assert (stats["by_status"], stats["in_flight"]) == ({"200": 4}, 0)
        reset = post(b"", path="/stats/reset", extra="Connection: close\r\n")
        assert (await exchange(simulator, reset)).status == 200
        assert (simulator.stats.requests, simulator.stats.unique_bodies) == (0, 0)


async def test_requests_on_one_connection_are_answered_in_turn() -> None:
    async with running_simulator(SimulatorSettings(latency_s=0.01)) as simulator:
        last = post(b"{}", extra="Connection: close\r\n")
        async with connected(simulator) as (reader, writer):
            writer.write(post() + b"GET /healthz HTTP/1.1\r\n\r\n" + last)
            received = await reader.read()
    found = [received.find(text) for text in (b"chat.completion", b'"ok"', b"Field required")]
    assert found == sorted(found)
    assert -1 not in found
    assert simulator.stats.peak_in_flight == 1


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: 16777217\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"hello\r\n\r\n", 400),
        (b"GET /" + b"a" * 70_000, 431),
        (b"GET /nothing HTTP/1.1\r\nConnection: close\r\n\r\n", 404),
        (b"POST /stats/reset HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", 200),
    ],
)
async def test_strange_requests_get_a_plain_answer(sent: bytes, status: int) -> None:
    async with running_simulator(SimulatorSettings()) as simulator:
        assert (await exchange(simulator, sent)).status == status


def test_a_head_cut_anywhere_is_incomplete_and_never_an_error() -> None:
    whole = post(b"")
    assert all(read_head(whole[:end]) is None for end in range(len(whole)))
    head = read_head(whole)
    assert head is not None
    assert (head.method, head.path, head.body_end) == ("POST", "/v1/chat/completions", len(whole))
    with pytest.raises(WireError):
        read_head(b"nonsense\r\n\r\n")
    assert b"content-length: 2\r\n" in encode_response(Response(200, b"{}"), keeps_alive=True)
