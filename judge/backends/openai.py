"""OpenAI-compatible chat endpoints, spoken to over aiohttp.

The SDK's own call costs about seven times the CPU of the request it makes, so the hot path speaks
the wire format itself, with the SDK's base URL, key and error semantics.
"""

import asyncio
import difflib
import time
from types import TracebackType
from typing import Self
from urllib.request import getproxies, proxy_bypass

import aiohttp
from multidict import CIMultiDict
from pydantic import SecretStr
from pydantic_core import to_json
from yarl import URL

from judge.backends.body import chat_body
from judge.backends.keys import hide_key
from judge.backends.refusals import refusal_of
from judge.backends.wire import (
    Answer,
    listed_models,
    one_line,
    read_error,
    read_reply,
)
from judge.chat import ChatRequest, Reply
from judge.errors import (
    AccountError,
    ConfigError,
    EndpointError,
    TransientError,
    UnreachableError,
)
from judge.settings.config import Endpoint

MAX_REPLY_BYTES = 8 * 2**20
CONNECT_TIMEOUT_S = 10.0
PREFLIGHT_TIMEOUT_S = 10.0


class OpenAIChat:
    """One endpoint, as a ChatModel. Use as an async context manager.

    Sends each request exactly once; redirects are not followed, so a key never leaves the
    address it was given for.
    """

    def __init__(self, name: str, endpoint: Endpoint, key: SecretStr | None) -> None:
        self._name = name
        self._endpoint = endpoint
        self._key = key
        self._url = _address(name, endpoint.address, "chat/completions")
        self._headers = _headers(endpoint, key)
        self._timeout = _timeout(endpoint.timeout_s)
        self._listed: tuple[str, ...] = ()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            # Looked up once: aiohttp's trust_env asks the environment again for every request.
            proxy=proxy_for(self._url),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def complete(self, request: ChatRequest) -> Reply:
        """Return the reply; raises as `ChatModel.complete` says."""
        body = self._body(request)
        started = time.perf_counter()
        try:
            answer = await self._send("POST", self._url, body)
            latency_s = time.perf_counter() - started
            if answer.status != 200:
                raise self._refused_field(answer, request) or self._refusal(answer, request.model)
            return read_reply(
                answer,
                latency_s=latency_s,
                accept_missing_finish_reason=self._endpoint.accept_missing_finish_reason,
            )
        except EndpointError as error:
            self._hide_key(error)
            raise

    async def preflight(self, model: str) -> float:
        """Return the seconds of one cheap round trip, having asked the endpoint for its models.

        Finds a wrong address or key before the first paid request: raises UnreachableError or
        AccountError for those. Whatever else the endpoint makes of the question is left to the
        first real request: many servers do not list their models, or not under every name that
        they accept, and some keys may chat but not list.
        """
        clock = asyncio.get_running_loop().time
        started = clock()
        url = _address(self._name, self._endpoint.address, "models")
        try:
            answer = await self._send("GET", url, None, _timeout(PREFLIGHT_TIMEOUT_S))
            if answer.status in (401, 402):
                raise self._refusal(answer, model)
        except (UnreachableError, AccountError) as error:
            self._hide_key(error)
            raise
        except TransientError:
            return clock() - started
        if answer.status == 200:
            self._listed = listed_models(answer.body)
        return clock() - started

    def _refusal(self, answer: Answer, model: str) -> EndpointError:
        """Return the error in an answer; an unknown model is met with the nearest one listed."""
        error = read_error(answer, where=self._name)
        if answer.status == 404 and self._listed and model not in self._listed:
            near = difflib.get_close_matches(model, self._listed, n=1) or self._listed[:1]
            error.args = (f'{error}; it has "{one_line(near[0])}"',)
        return error

    def _refused_field(self, answer: Answer, request: ChatRequest) -> AccountError | None:
        """Return the error of an endpoint that refuses how every item is asked, if that is one."""
        body = chat_body(request, self._endpoint)
        return refusal_of(answer, body, where=self._name, extra=self._endpoint.extra_body)

    def _hide_key(self, error: EndpointError) -> None:
        hide_key(error, self._key)

    async def _send(
        self,
        method: str,
        url: URL,
        body: bytes | None,
        timeout: aiohttp.ClientTimeout | None = None,  # noqa: ASYNC109 (aiohttp's own time-out)
    ) -> Answer:
        if self._session is None:
            raise RuntimeError("OpenAIChat is used outside its async with block")
        try:
            async with self._session.request(
                method, url, data=body, allow_redirects=False, timeout=timeout or self._timeout
            ) as response:
                body_read = await _read_bounded(response, self._name)
                return Answer(response.status, response.headers, body_read)
        # ValueError is how aiohttp refuses headers, addresses and proxies it cannot send.
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> EndpointError:
        if isinstance(error, ValueError | aiohttp.ClientSSLError):  # InvalidURL is a ValueError
            return AccountError(
                f"{self._name}: {one_line(str(error))}; check base_url, its certificate and headers"
            )
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            cause = getattr(error, "os_error", None) or "timed out"
            # Without a user and password that the address may hold.
            return UnreachableError(
                f"{self._name}: cannot connect to {self._url.origin()} ({cause}); "
                "start the server, or check base_url",
                kind="unreachable",
            )
        if isinstance(error, TimeoutError):
            return TransientError(f"{self._name}: no answer within timeout_s", kind="time-out")
        if isinstance(error, aiohttp.ClientPayloadError):
            return TransientError(f"{self._name}: the answer broke off", kind="cut answer")
        cause = one_line(str(error)) or type(error).__name__
        return TransientError(f"{self._name}: connection lost ({cause})", kind="reset")

    def _body(self, request: ChatRequest) -> bytes:
        return to_json(chat_body(request, self._endpoint))


def proxy_for(url: URL) -> URL | None:
    """Return the proxy that the environment sets for an address (https_proxy, no_proxy, ...)."""
    address = getproxies().get(url.scheme)
    if address is None or proxy_bypass(url.host or ""):
        return None
    return URL(address)


def _timeout(total_s: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=total_s, sock_connect=CONNECT_TIMEOUT_S)


def _address(name: str, base_url: str, path: str) -> URL:
    """Return base_url with a path added; ConfigError where it is no address."""
    try:
        return URL(f"{base_url.rstrip('/')}/{path}")
    except ValueError as error:
        raise ConfigError(f'endpoint "{name}": base_url is no address ({error})') from error


def _headers(endpoint: Endpoint, key: SecretStr | None) -> CIMultiDict[str]:
    """Return the headers of every request; the key goes before a header of the settings."""
    headers = CIMultiDict({"Content-Type": "application/json"})
    headers.update(endpoint.headers)
    if key is not None:
        headers["Authorization"] = f"Bearer {key.get_secret_value()}"
    return headers


async def _read_bounded(response: aiohttp.ClientResponse, where: str) -> bytes:
    """Return the body; TransientError once it exceeds the limit, without reading on.

    The limit is on the body as decompressed, whose length no header tells.
    """
    length = response.content_length
    is_plain = "Content-Encoding" not in response.headers
    if is_plain and length is not None and length <= MAX_REPLY_BYTES:
        return await response.read()
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_chunked(2**16):
        size += len(part)
        if size > MAX_REPLY_BYTES:
            response.close()
            raise TransientError(
                f"{where}: the answer is longer than {MAX_REPLY_BYTES // 2**20} MiB; lower "
                "max_tokens, or top_logprobs of a judge that thinks at length",
                kind="endless answer",
            )
        parts.append(part)
    return b"".join(parts)
