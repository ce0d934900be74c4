"""The OpenAI-compatible backend on the wire: what it sends, to whom, and what it withstands."""

import asyncio
import gzip
import json
import socket
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from judge.backends.openai import MAX_REPLY_BYTES, OpenAIChat, proxy_for
from judge.chat import ChatRequest, Reply
from judge.errors import (
    AccountError,
    ConfigError,
    EndpointError,
    ItemError,
    TransientError,
    UnreachableError,
)
from judge.settings.config import Endpoint
from tests.fakes import (
    Scripted,
    ScriptedServer,
    completion,
    failure,
    in_virtual_time,
    scripted_server,
)

REQUEST = ChatRequest("a-judge", "Be fair.", "Which?", {"temperature": 0.0, "seed": 7}, 100)
CANARY = "sk-canary-0123456789"
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def ask(
    base_url: str, *, key: str | None = None, request: ChatRequest = REQUEST, **endpoint: Any
) -> Reply:
    async with chat_at(base_url, key=key, **endpoint) as chat:
        return await chat.complete(request)


def chat_at(base_url: str, *, key: str | None = None, **endpoint: Any) -> OpenAIChat:
    secret = None if key is None else SecretStr(key)
    return OpenAIChat("local", Endpoint(base_url=base_url, **endpoint), secret)


async def failing(server: ScriptedServer, *, key: str | None = None, **more: Any) -> EndpointError:
    with pytest.raises(EndpointError) as caught:
        await ask(server.base_url, key=key, **more)
    return caught.value


async def test_the_body_is_that_of_the_openai_contract() -> None:
    async with scripted_server([completion("Why. [[A]]")]) as server:
        reply = await ask(server.base_url)
    assert server.chats[0].body == {
        "model": "a-judge",
        "messages": [
            {"role": "system", "content": "Be fair."},
            {"role": "user", "content": "Which?"},
        ],
        "temperature": 0.0,
        "seed": 7,
        "max_tokens": 100,
    }
    assert server.chats[0].method == "POST"
    assert server.chats[0].headers["content-type"] == "application/json"
    assert (reply.text, reply.finish_reason) == ("Why. [[A]]", "stop")
    assert (reply.input_tokens, reply.output_tokens) == (11, 5)
    assert 0 < reply.latency_s < 5


async def test_text_survives_the_wire_whatever_it_holds() -> None:
    user = 'naïve "quotes" \\ \u2028 \U0001f600 \x00 [[A]]'
    async with scripted_server([completion(user)]) as server:
        request = ChatRequest("m", "", user, {}, 5)
        assert (await ask(server.base_url, request=request)).text == user
    assert server.chats[0].body["messages"] == [{"role": "user", "content": user}]


async def test_the_token_limit_is_sent_under_the_name_that_the_endpoint_wants() -> None:
    async with scripted_server([completion()]) as server:
        await ask(server.base_url, max_tokens_field="max_completion_tokens")
    body = server.chats[0].body
    assert (body["max_completion_tokens"], "max_tokens" in body) == (100, False)


async def test_extra_body_is_merged_and_wins() -> None:
    extra = {"top_k": 1, "chat_template_kwargs": {"enable_thinking": False}, "seed": 9}
    async with scripted_server([completion()]) as server:
        await ask(server.base_url, extra_body=extra)
    assert extra.items() <= server.chats[0].body.items()


async def test_token_probabilities_are_asked_for_only_where_they_are_wanted() -> None:
    async with scripted_server([completion("A")]) as server:
        await ask(server.base_url)
        await ask(server.base_url, request=replace(REQUEST, top_logprobs=7))
    plain, wanting = (sent.body for sent in server.chats)
    assert plain.keys().isdisjoint({"logprobs", "top_logprobs"})
    assert (wanting["logprobs"], wanting["top_logprobs"]) == (True, 7)


async def test_a_refusal_of_probabilities_is_certain_for_every_item_and_names_the_remedy() -> None:
    refused = Scripted(400, json.dumps({"error": {"message": "no logprobs, sorry"}}).encode())
    async with scripted_server([refused]) as server:
        error = await failing(server, request=replace(REQUEST, top_logprobs=20))
        of_the_item = await failing(server)
    assert isinstance(error, AccountError)
    assert error.is_certain
    for words in ("local: HTTP 400", "no logprobs, sorry", "it is 20", "top_logprobs = false"):
        assert words in str(error)
    assert isinstance(of_the_item, ItemError)  # it was not asked for them


@pytest.mark.parametrize(
    ("suffix", "path"),
    [
        ("", "/v1/chat/completions"),
        ("/", "/v1/chat/completions"),
        ("//", "/v1/chat/completions"),
    ],
)
async def test_the_path_is_added_to_the_base_url(suffix: str, path: str) -> None:
    async with scripted_server([completion()]) as server:
        await ask(server.base_url + suffix)
    assert server.chats[0].target == path


async def test_a_key_is_sent_as_a_bearer_and_none_without_one() -> None:
    async with scripted_server([completion()]) as server:
        await ask(server.base_url, key=CANARY)
        await ask(server.base_url)
    assert server.chats[0].headers["authorization"] == f"Bearer {CANARY}"
    assert "authorization" not in server.chats[1].headers


async def test_headers_of_the_settings_are_sent_once_whatever_their_case() -> None:
    headers = {"content-type": "application/json; x=1", "X-Team": "a", "authorization": "Basic b"}
    async with scripted_server([completion()]) as server:
        await ask(server.base_url, headers=headers)
        await ask(server.base_url, headers=headers, key=CANARY)
    given, keyed = (
        [pair for pair in sent.raw_headers if pair[0] in {name.lower() for name in headers}]
        for sent in server.chats
    )
    assert sorted(given) == [
        ("authorization", "Basic b"),
        ("content-type", "application/json; x=1"),
        ("x-team", "a"),
    ]
    assert [value for name, value in keyed if name == "authorization"] == [f"Bearer {CANARY}"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_so_the_key_stays_where_it_belongs(status: int) -> None:
    async with scripted_server([completion()]) as elsewhere:
        moved = Scripted(status, headers={"location": f"{elsewhere.base_url}/chat/completions"})
        async with scripted_server([moved], models=moved) as server:
            error = await failing(server, key=CANARY)
            async with chat_at(server.base_url, key=CANARY) as chat:
                await chat.preflight("m")
        assert elsewhere.chats == elsewhere.others == []
    assert isinstance(error, AccountError)
    assert elsewhere.base_url in str(error)


async def test_cookies_are_not_kept() -> None:
    answer = completion()
    cookie = Scripted(body=answer.body, headers={"set-cookie": "session=1"})
    async with (
        scripted_server([cookie]) as server,
        # By name: cookies of a bare address are dropped by most jars anyway.
        chat_at(server.base_url.replace("127.0.0.1", "localhost")) as chat,
    ):
        await chat.complete(REQUEST)
        await chat.complete(REQUEST)
    assert "cookie" not in server.chats[1].headers


@pytest.mark.parametrize(
    "answer",
    [
        failure(401, "invalid_api_key"),
        failure(500),
        Scripted(body=b"not JSON"),
        Scripted(302, headers={"location": f"http://x.invalid/?key={CANARY}"}),
    ],
)
async def test_a_key_that_the_endpoint_quotes_back_is_not_shown(answer: Scripted) -> None:
    quoting = Scripted(
        answer.status, answer.body.replace(b"it says", CANARY.encode()), answer.headers
    )
    if not quoting.body.startswith(b"{"):
        quoting = Scripted(answer.status, f"you sent {CANARY}".encode(), answer.headers)
    async with scripted_server([quoting], models=quoting) as server:
        error = await failing(server, key=CANARY)
    assert CANARY not in str(error)
    assert "[key]" in str(error)


async def test_a_key_that_the_preflight_quotes_back_is_not_shown() -> None:
    body = json.dumps({"error": {"message": f"bad key {CANARY}"}}).encode()
    async with (
        scripted_server([completion()], models=Scripted(401, body)) as server,
        chat_at(server.base_url, key=CANARY) as chat,
    ):
        with pytest.raises(AccountError, match=r"bad key \[key\]"):
            await chat.preflight("m")


@pytest.mark.parametrize("base_url", ["http://[bad/v1", "http://127.0.0.1:99999/v1"])
def test_a_base_url_that_is_no_address_is_a_config_error(base_url: str) -> None:
    with pytest.raises(ConfigError, match=r'^endpoint "local": base_url is no address'):
        chat_at(base_url)


@pytest.mark.parametrize(
    ("key", "base_url"),
    [(f"{CANARY}\n", "http://127.0.0.1:9/v1"), (CANARY, "http://u:hidden@127.0.0.1:9/v1")],
)
async def test_what_aiohttp_refuses_to_send_is_an_account_error(key: str, base_url: str) -> None:
    async with scripted_server([completion()]) as server:
        port = server.base_url.rsplit(":")[-1]
        with pytest.raises(AccountError, match="check base_url, its certificate and") as caught:
            await ask(base_url.replace("9/v1", port), key=key)
        assert server.chats == []
    assert CANARY not in str(caught.value)
    assert "hidden" not in str(caught.value)


async def test_an_address_that_aiohttp_cannot_send_to_is_an_account_error() -> None:
    with pytest.raises(AccountError, match="check base_url"):
        await ask(f"http://{'a' * 300}.invalid/v1")


async def test_a_password_in_the_address_is_not_shown() -> None:
    port = _unused_port()
    with pytest.raises(UnreachableError) as caught:
        await ask(f"http://user:hidden@127.0.0.1:{port}/v1")
    assert "hidden" not in str(caught.value)
    assert f"http://127.0.0.1:{port}" in str(caught.value)


async def test_nobody_at_the_address_is_unreachable_with_a_remedy() -> None:
    with pytest.raises(UnreachableError, match="start the server, or check base_url") as caught:
        await ask(f"http://127.0.0.1:{_unused_port()}/v1")
    assert caught.value.kind == "unreachable"


@in_virtual_time
async def test_a_connection_that_is_never_accepted_times_out_as_unreachable() -> None:
    with socket.socket() as full, socket.socket() as waiting, socket.socket() as too_many:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        for client in (waiting, too_many):
            client.setblocking(False)
            client.connect_ex(address)
        clock = asyncio.get_running_loop()
        started = clock.time()
        with pytest.raises(UnreachableError, match="timed out"):
            await ask(f"http://127.0.0.1:{address[1]}/v1")
        assert clock.time() - started == pytest.approx(10.0, abs=1.0)


@in_virtual_time
async def test_an_answer_that_does_not_come_in_time_is_a_time_out() -> None:
    async with scripted_server([Scripted(is_hanging=True)]) as server:
        clock = asyncio.get_running_loop()
        started = clock.time()
        error = await failing(server, timeout_s=30.0)
        assert clock.time() - started == pytest.approx(30.0, abs=1.0)
    assert isinstance(error, TransientError)
    assert (error.kind, not isinstance(error, UnreachableError)) == ("time-out", True)


@in_virtual_time
async def test_each_request_is_sent_exactly_once_even_when_the_connection_breaks() -> None:
    async with scripted_server([completion(), Scripted(is_reset=True)]) as server:
        async with chat_at(server.base_url) as chat:
            await chat.complete(REQUEST)  # the next request finds this connection alive
            with pytest.raises(TransientError) as caught:
                await chat.complete(REQUEST)
        assert len(server.chats) == 2
    assert caught.value.kind == "reset"


@pytest.mark.parametrize(
    "answer",
    [
        Scripted(body=b"x" * (MAX_REPLY_BYTES + 1)),
        Scripted(chunks=(b"x" * 2**16, 10**6)),
        Scripted(500, chunks=(b"x" * 2**16, 10**6)),
    ],
    ids=["with a length", "chunks without end", "an error without end"],
)
async def test_an_answer_without_end_is_cut_off(answer: Scripted) -> None:
    async with scripted_server([answer]) as server:
        forget_peak_rss()
        before = peak_rss_bytes()
        error = await failing(server)
    assert isinstance(error, TransientError)
    assert "longer than 8 MiB" in str(error)
    assert peak_rss_bytes() - before < 64 * 2**20


async def test_an_answer_as_long_as_the_limit_is_read() -> None:
    text = "x" * (MAX_REPLY_BYTES - 200)
    async with scripted_server([completion(text)]) as server:
        assert (await ask(server.base_url)).text == text


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("has_length", [True, False])
async def test_a_decompression_bomb_is_cut_off(encoding: str, has_length: bool) -> None:
    """1 GiB of zeros in about 1 MB."""
    headers = {"content-encoding": encoding}
    bomb = _zeros(encoding, mebibytes=1024)
    assert len(bomb) < 1.1 * 2**20
    answer = Scripted(body=bomb, headers=headers)
    if not has_length:
        answer = Scripted(chunks=(bomb, 1), headers=headers)
    async with scripted_server([answer]) as server:
        forget_peak_rss()
        before = peak_rss_bytes()
        error = await failing(server)
    assert isinstance(error, TransientError)
    assert "longer than 8 MiB" in str(error)
    assert peak_rss_bytes() - before < 64 * 2**20


async def test_a_compressed_reply_is_read() -> None:
    body = gzip.compress(completion("[[B]]").body)
    answer = Scripted(body=body, headers={"content-encoding": "gzip"})
    async with scripted_server([answer]) as server:
        assert (await ask(server.base_url)).text == "[[B]]"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
async def test_a_broken_compression_is_transient(encoding: str) -> None:
    answer = Scripted(body=b"no such thing" * 9, headers={"content-encoding": encoding})
    async with scripted_server([answer]) as server:
        assert isinstance(await failing(server), TransientError)


async def test_a_body_nested_without_end_is_transient() -> None:
    async with scripted_server([Scripted(body=b"[" * 10**6)]) as server:
        assert isinstance(await failing(server), TransientError)


@pytest.mark.parametrize(
    "models", [failure(404), failure(403), failure(500), failure(429), Scripted(body=b"<html>")]
)
async def test_an_endpoint_that_does_not_list_its_models_passes_the_preflight(
    models: Scripted,
) -> None:
    async with (
        scripted_server([completion()], models=models) as server,
        chat_at(server.base_url, key=CANARY) as chat,
    ):
        assert 0.0 <= await chat.preflight("m") < 5.0
    assert [sent.target for sent in server.others] == ["/v1/models"]
    assert server.others[0].headers["authorization"] == f"Bearer {CANARY}"


@pytest.mark.parametrize(
    ("listed", "hint"),
    [(("my-judge", "other"), 'it has "my-judge"'), (("only-one",), 'it has "only-one"')],
)
async def test_an_unknown_model_is_met_with_the_nearest_one_listed(
    listed: tuple[str, ...], hint: str
) -> None:
    body = json.dumps({"data": [{"id": name} for name in listed]}).encode()
    unknown = failure(404, "model_not_found")
    async with (
        scripted_server([unknown], models=Scripted(body=body)) as server,
        chat_at(server.base_url) as chat,
    ):
        await chat.preflight("my-jugde")
        with pytest.raises(AccountError) as caught:
            await chat.complete(ChatRequest("my-jugde", "", "u", {}, 5))
    assert hint in str(caught.value)


async def test_a_model_that_is_not_listed_may_still_be_asked() -> None:
    """Lists leave out aliases, and some list names with a prefix that requests go without."""
    body = b'{"data": [{"id": "models/gemini-pro"}]}'
    async with (
        scripted_server([completion()], models=Scripted(body=body)) as server,
        chat_at(server.base_url) as chat,
    ):
        await chat.preflight("gemini-pro")
        assert (await chat.complete(REQUEST)).text == "[[A]]"


async def test_a_proxy_of_the_environment_is_used_and_no_proxy_heeded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scripted_server([completion("by proxy")]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.base_url.removesuffix("/v1"))
        assert (await ask("http://judge.invalid/v1")).text == "by proxy"
        assert proxy.chats[0].target == "http://judge.invalid/v1/chat/completions"
        monkeypatch.setenv("no_proxy", "judge.invalid,127.0.0.1")
        async with scripted_server([completion("direct")]) as server:
            assert (await ask(server.base_url)).text == "direct"
        with pytest.raises(UnreachableError):
            await ask("http://judge.invalid/v1")
        assert len(proxy.chats) == 1


def test_proxies_are_chosen_by_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    from yarl import URL

    monkeypatch.setenv("https_proxy", "http://proxy.invalid:3128")
    assert proxy_for(URL("https://a.invalid/v1")) == URL("http://proxy.invalid:3128")
    assert proxy_for(URL("http://a.invalid/v1")) is None


async def test_it_says_so_when_it_is_used_before_it_is_opened() -> None:
    with pytest.raises(RuntimeError, match="outside its async with block"):
        await chat_at("http://127.0.0.1:9/v1").complete(REQUEST)


def forget_peak_rss() -> None:
    """Make the kernel measure the peak from now on."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_rss_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _zeros(encoding: str, *, mebibytes: int) -> bytes:
    """Return so many MiB of zeros, compressed piece by piece: every piece is the same bytes."""
    piece = bytes(2**24)
    if encoding == "gzip":
        return gzip.compress(piece) * (mebibytes // 16)
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = compressor.compress(piece) + compressor.flush(zlib.Z_FULL_FLUSH)
    return packed * (mebibytes // 16)


def _unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
