"""OpenAI-compatible chat endpoints, spoken to over aiohttp.

The SDK's own call costs about seven times the CPU of the request it makes, so the hot path speaks
the wire format itself, with the SDK's base URL, key and error semantics.
"""

import difflib
import time
from types import TracebackType
from typing import Self
from urllib.request import getproxies, proxy_bypass

import aiohttp
from pydantic import SecretStr
from pydantic_core import to_json
from yarl import URL

from judge.backends.wire import Answer, listed_models, read_error, read_reply
from judge.chat import ChatRequest, Reply
from judge.config import Endpoint
from judge.errors import AccountError, EndpointError, TransientError, UnreachableError

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
        self._url = URL(endpoint.base_url.rstrip("/") + "/chat/completions")
        self._timeout = _timeout(endpoint.timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        headers = {"Content-Type": "application/json", **self._endpoint.headers}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
            headers=headers,
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
        answer = await self._send("POST", self._url, body)
        latency_s = time.perf_counter() - started
        if answer.status != 200:
            raise read_error(answer, where=self._name)
        return read_reply(
            answer,
            latency_s=latency_s,
            accept_missing_finish_reason=self._endpoint.accept_missing_finish_reason,
        )

    async def preflight(self, model: str) -> float:
        """Return the seconds of one cheap round trip, having asked the endpoint for its models.

        Finds a wrong address, key or model before the first paid request: raises
        UnreachableError or AccountError for those. Whatever else the endpoint makes of the question
        is left to the first real request, for many servers do not list their models.
        """
        started = time.perf_counter()
        url = URL(self._endpoint.base_url.rstrip("/") + "/models")
        try:
            answer = await self._send("GET", url, None, _timeout(PREFLIGHT_TIMEOUT_S))
        except (UnreachableError, AccountError):
            raise
        except TransientError:
            return time.perf_counter() - started
        round_trip_s = time.perf_counter() - started
        if answer.status in (401, 402, 403):
            raise read_error(answer, where=self._name)
        if answer.status == 200:
            _check_model(model, listed_models(answer.body), self._name)
        return round_trip_s

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
                return Answer(response.status, response.headers, await _read_bounded(response))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> EndpointError:
        address = self._endpoint.base_url
        if isinstance(error, aiohttp.InvalidURL | aiohttp.ClientSSLError):
            return AccountError(f"{self._name}: {error}; check base_url and its certificate")
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            cause = getattr(error, "os_error", None) or "timed out"
            return UnreachableError(
                f"{self._name}: cannot connect to {address} ({cause}); "
                "start the server, or check base_url",
                kind="unreachable",
            )
        if isinstance(error, TimeoutError):
            return TransientError(f"{self._name}: no answer within timeout_s", kind="time-out")
        if isinstance(error, aiohttp.ClientPayloadError):
            return TransientError(f"{self._name}: the answer broke off", kind="cut answer")
        cause = str(error) or type(error).__name__
        return TransientError(f"{self._name}: connection lost ({cause})", kind="reset")

    def _body(self, request: ChatRequest) -> bytes:
        messages = [{"role": "user", "content": request.user}]
        if request.system:
            messages.insert(0, {"role": "system", "content": request.system})
        return to_json(
            {
                "model": request.model,
                "messages": messages,
                **request.sampling,
                self._endpoint.max_tokens_field: request.max_tokens,
                **self._endpoint.extra_body,
            }
        )


def proxy_for(url: URL) -> URL | None:
    """Return the proxy that the environment sets for an address (https_proxy, no_proxy, ...)."""
    address = getproxies().get(url.scheme)
    if address is None or proxy_bypass(url.host or ""):
        return None
    return URL(address)


def _timeout(total_s: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=total_s, sock_connect=CONNECT_TIMEOUT_S)


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    """Return the body; TransientError once it exceeds the limit, without reading on."""
    length = response.content_length
    if length is not None and length <= MAX_REPLY_BYTES:
        return await response.read()
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_chunked(2**16):
        size += len(part)
        if size > MAX_REPLY_BYTES:
            response.close()
            raise TransientError(f"the answer is longer than {MAX_REPLY_BYTES // 2**20} MiB")
        parts.append(part)
    return b"".join(parts)


def _check_model(model: str, listed: tuple[str, ...], where: str) -> None:
    """Raise AccountError when an endpoint lists a similar model but not this one.

    Lists are often incomplete, so a name that resembles nothing listed is left to the endpoint.
    """
    if not listed or model in listed:
        return
    near = difflib.get_close_matches(model, listed, n=1)
    if near or len(listed) == 1:
        raise AccountError(
            f'{where}: there is no model "{model}"; did you mean "{(near or listed)[0]}"?'
        )
