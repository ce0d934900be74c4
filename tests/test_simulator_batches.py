"""The simulated provider's files and batches, as the official client meets them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.request import Request, urlopen

import pytest
from openai import APIStatusError, AsyncOpenAI
from openai.types import Batch
from pydantic_core import to_json

from judge.simulator import files
from judge.simulator.batches import read_requests
from judge.simulator.files import FileShelf, read_form
from judge.simulator.server import Simulator, running_simulator
from judge.simulator.settings import MODEL, SimulatorSettings
from judge.simulator.wire import MAX_UPLOAD_BYTES, WireError, read_head

USER = """[User Question]
Which tea?

[The Start of Assistant A's Answer]
Oolong.
[The End of Assistant A's Answer]

[The Start of Assistant B's Answer]
Any green one.
[The End of Assistant B's Answer]"""
URL = "/v1/chat/completions"


def request(custom_id: str, **changes: Any) -> dict[str, Any]:
    messages = [{"role": "system", "content": "[[A]] or [[B]]"}, {"role": "user", "content": USER}]
    body = {"model": MODEL, "messages": messages, "temperature": 0, **changes.pop("body", {})}
    return {"custom_id": custom_id, "method": "POST", "url": URL, "body": body, **changes}


def lines(*requests: Any) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in requests)


@asynccontextmanager
async def provider(**settings: Any) -> AsyncIterator[tuple[AsyncOpenAI, Simulator]]:
    told = SimulatorSettings(**{"reply_words": 5, **settings})
    async with (
        running_simulator(told) as simulator,
        AsyncOpenAI(base_url=simulator.base_url, api_key="any", max_retries=0) as client,
    ):
        yield client, simulator


async def made(client: AsyncOpenAI, content: bytes) -> Batch:
    file = await client.files.create(file=("in.jsonl", content), purpose="batch")
    return await client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata={"who": "me"},
    )


async def until(client: AsyncOpenAI, batch: Batch, is_so: Callable[[Batch], bool]) -> Batch:
    async with asyncio.timeout(10):
        while not is_so(batch):
            await asyncio.sleep(0.005)
            batch = await client.batches.retrieve(batch.id)
    return batch


async def read(client: AsyncOpenAI, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id is not None
    content = await client.files.content(file_id)
    return [json.loads(line) for line in content.text.splitlines()]


def posted(simulator: Simulator, body: dict[str, Any]) -> Any:
    """Send a body byte for byte: the simulated judge's words depend on it."""
    sent = Request(f"{simulator.base_url}/chat/completions", to_json(body))
    with urlopen(sent) as response:
        return json.load(response)


async def test_a_batch_is_answered_by_the_same_judge_as_a_direct_request() -> None:
    async with provider() as (client, simulator):
        asked = [request(f"ask-{number}", body={"seed": number}) for number in range(30)]
        batch = await made(client, lines(*asked))
        assert (batch.status, batch.metadata) == ("validating", {"who": "me"})
        batch = await until(client, batch, lambda b: b.status == "completed")
        assert batch.request_counts is not None
        assert (batch.request_counts.total, batch.request_counts.completed) == (30, 30)
        assert (batch.error_file_id, batch.completed_at is not None) == (None, True)
        answers = await read(client, batch.output_file_id)
        assert {line["custom_id"] for line in answers} == {each["custom_id"] for each in asked}
        assert [line["custom_id"] for line in answers] != [each["custom_id"] for each in asked]
        by_id = {line["custom_id"]: line["response"]["body"] for line in answers}
        direct = await asyncio.to_thread(posted, simulator, asked[7]["body"])
        assert direct["choices"] == by_id["ask-7"]["choices"]
        assert simulator.stats.in_flight == 0


async def test_requests_that_the_judge_rejects_stand_in_the_error_file() -> None:
    async with provider(context_chars=500) as (client, _):
        long = request("long", body={"messages": [{"role": "user", "content": "x" * 600}]})
        batch = await made(client, lines(request("fits"), long))
        batch = await until(client, batch, lambda b: b.status == "completed")
        (good,) = await read(client, batch.output_file_id)
        (bad,) = await read(client, batch.error_file_id)
    assert good["custom_id"] == "fits"
    assert (bad["custom_id"], bad["response"]["status_code"]) == ("long", 400)
    assert bad["response"]["body"]["error"]["code"] == "context_length_exceeded"


async def test_what_would_fail_on_the_wire_is_an_error_of_the_server() -> None:
    async with provider(reset_rate=0.4, hang_rate=0.3, html_rate=0.3) as (client, _):
        batch = await made(client, lines(*(request(str(n), body={"seed": n}) for n in range(9))))
        batch = await until(client, batch, lambda b: b.status == "completed")
        bad = await read(client, batch.error_file_id)
    assert batch.output_file_id is None
    assert {line["response"]["status_code"] for line in bad} == {500}


async def test_an_expired_batch_has_both_files_and_the_rest_says_so() -> None:
    async with provider(batch_answered_share=0.25) as (client, _):
        batch = await made(client, lines(*(request(str(n)) for n in range(8))))
        batch = await until(client, batch, lambda b: b.status == "expired")
        good = await read(client, batch.output_file_id)
        bad = await read(client, batch.error_file_id)
    assert (len(good), len(bad)) == (2, 6)
    assert {line["error"]["code"] for line in bad} == {"batch_expired"}
    assert {line["response"] for line in bad} == {None}


async def test_a_batch_takes_its_time_and_can_be_cancelled_meanwhile() -> None:
    async with provider(batch_latency_s=0.2) as (client, simulator):
        batch = await made(client, lines(request("1"), request("2")))
        batch = await until(client, batch, lambda b: b.status == "in_progress")
        batch = await client.batches.cancel(batch.id)
        assert batch.status == "cancelling"
        batch = await until(client, batch, lambda b: b.status == "cancelled")
        bad = await read(client, batch.error_file_id)
        assert {line["error"]["code"] for line in bad} == {"batch_cancelled"}
        assert simulator.stats.requests == 0


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        (b'{"custom_id": "1", "meth', "invalid_json_line", 1),
        (lines(request("1"), request("1")), "duplicate_custom_id", 2),
        (lines(request("1"), request("2", body={"model": "other"})), "mismatched_model", 2),
        (lines(request("1", url="/v1/embeddings")), "invalid_url", 1),
        (b"\n", "empty_file", None),
    ],
)
async def test_a_file_that_cannot_be_worked_on_fails_with_its_lines(
    content: bytes, code: str, line: int | None
) -> None:
    async with provider() as (client, simulator):
        batch = await made(client, content)
        batch = await until(client, batch, lambda b: b.status == "failed")
        assert simulator.stats.requests == 0
    assert batch.errors is not None
    assert batch.errors.data is not None
    assert (batch.errors.data[0].code, batch.errors.data[0].line) == (code, line)


async def test_batches_are_listed_page_by_page_the_newest_first() -> None:
    async with provider() as (client, _):
        ids = [(await made(client, lines(request("1")))).id for _ in range(5)]
        page = await client.batches.list(limit=2)
        assert ([batch.id for batch in page.data], page.has_more) == ([ids[4], ids[3]], True)
        assert [batch.id async for batch in client.batches.list(limit=2)] == ids[::-1]


async def test_files_are_described_and_strangers_are_refused() -> None:
    async with provider() as (client, _):
        file = await client.files.create(file=("in.jsonl", b"{}\n"), purpose="batch")
        described = await client.files.retrieve(file.id)
        assert (described.bytes, described.filename) == (3, "in.jsonl")
        for refused in (
            client.files.retrieve("file-9"),
            client.batches.retrieve("batch-9"),
            client.batches.cancel("batch-9"),
            client.files.create(file=b"x", purpose="assistants"),
        ):
            with pytest.raises(APIStatusError):
                await refused


async def test_a_key_is_needed_where_one_is_required() -> None:
    async with provider(required_key="sk-made-up") as (client, _):
        with pytest.raises(APIStatusError, match="API key is not valid"):
            await client.batches.list()


def test_more_than_fits_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_STORED_BYTES", 100)
    shelf = FileShelf()
    assert shelf.add("a", b"x" * 60, purpose="batch") is not None
    assert shelf.add("b", b"x" * 60, purpose="batch") is None
    assert (len(shelf.files), shelf.stored_bytes) == (1, 60)


def test_only_files_may_be_longer_than_a_request() -> None:
    def head(path: str, length: int) -> bytes:
        return f"POST {path} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode()

    assert read_head(head("/v1/files", MAX_UPLOAD_BYTES)) is not None
    for path, length in (("/v1/files", MAX_UPLOAD_BYTES + 1), ("/v1/batches", MAX_UPLOAD_BYTES)):
        with pytest.raises(WireError):
            read_head(head(path, length))


def test_a_form_is_read_with_any_content_and_nothing_else_is_a_form() -> None:
    content = b'line\r\n--other\r\nname="no"\r\n\r\n\xff'
    body = (
        b'--mark\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        b'--mark\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n'
        b"Content-Type: application/jsonl\r\n\r\n" + content + b"\r\n--mark--\r\n"
    )
    for boundary in ("mark", '"mark"'):
        form = read_form(body, f"multipart/form-data; boundary={boundary}")
        assert form == {"purpose": ("", b"batch"), "file": ("a.jsonl", content)}
    assert read_form(body, "application/json") == {}
    assert read_form(b"", "multipart/form-data; boundary=mark") == {}


def test_more_requests_than_a_batch_may_have_are_refused() -> None:
    content = b"".join(
        b'{"custom_id":"%d","method":"POST","url":"%s","body":{"model":"m"}}\n'
        % (number, URL.encode())
        for number in range(50_001)
    )
    assert [problem["code"] for problem in read_requests(content)[1]] == ["too_many_requests"]
