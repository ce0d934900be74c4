"""The files and batches API, through the openai SDK. Its errors are translated here."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
from openai import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AsyncOpenAI,
    DefaultAsyncHttpxClient,
    Omit,
)
from openai.types import Batch
from pydantic import SecretStr

from judge.atomic import atomic_writer
from judge.backends.keys import hide_key
from judge.backends.wire import Answer, one_line, read_error
from judge.batches.manifest import URL, RequestFile
from judge.batches.server import SHA_KEY, BatchState, BatchStatus
from judge.errors import (
    AccountError,
    ConfigError,
    EndpointError,
    TransientError,
    UnreachableError,
)
from judge.settings.config import Endpoint

PAGE = 100
MOST_LISTED = 1000
"""Batches that are looked through for one that was made before."""
NO_API = frozenset({404, 405, 501})
"""How servers without the API answer."""
CHUNK_BYTES = 2**20


class OpenAIBatches:
    """One endpoint, as a BatchServer. Use as an async context manager.

    Each request is sent exactly once, for the SDK's own retries are off; redirects are not
    followed, so a key never leaves the address it was given for.
    """

    def __init__(self, name: str, endpoint: Endpoint, key: SecretStr | None) -> None:
        if endpoint.base_url is None:
            raise ConfigError(
                f'endpoint "{name}": has no address to submit to; run the files through the engine '
                "itself, such as python -m vllm.entrypoints.openai.run_batch, and import its output"
            )
        self._name = name
        self._key = key
        self._client = AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key=key.get_secret_value() if key else "",
            admin_api_key="",  # else the SDK takes one from the environment
            max_retries=0,
            timeout=endpoint.timeout_s,
            default_headers=endpoint.headers,
            http_client=DefaultAsyncHttpxClient(follow_redirects=False),
        )
        names = {header.lower() for header in endpoint.headers}
        # Only told so for each request does the SDK send none.
        is_keyless = key is None and "authorization" not in names
        self._headers: Mapping[str, Any] = {"Authorization": Omit()} if is_keyless else {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.close()

    async def find(self, sha256: str) -> BatchState | None:
        """Return the newest batch made of a file with this digest that was not refused."""
        after: str | Omit = Omit()
        for _ in range(MOST_LISTED // PAGE):
            async with self._translated():
                page = await self._client.batches.list(
                    limit=PAGE, after=after, extra_headers=self._headers
                )
            for batch in page.data:
                if (batch.metadata or {}).get(SHA_KEY) == sha256 and batch.status != "failed":
                    return _state(batch)
            if not page.data or not page.has_more:
                return None
            after = page.data[-1].id
        return None

    async def upload(self, path: Path, *, name: str) -> str:
        """Return the id of an uploaded request file; it is sent as it is read."""
        async with self._translated():
            with path.open("rb") as file:
                uploaded = await self._client.files.create(
                    file=(name, file, "application/jsonl"),
                    purpose="batch",
                    extra_headers=self._headers,
                )
        return uploaded.id

    async def create(self, file_id: str, request_file: RequestFile, *, window: str) -> BatchState:
        """Return a batch made of an uploaded file."""
        # In the body, for the SDK knows one window only where other servers offer more.
        told = {"completion_window": window}
        async with self._translated():
            batch = await self._client.batches.create(
                input_file_id=file_id,
                endpoint=URL,
                completion_window="24h",
                metadata={SHA_KEY: request_file.sha256, "evenhand_file": request_file.name},
                extra_headers=self._headers,
                extra_body=told,
            )
        return _state(batch)

    async def state(self, batch_id: str) -> BatchState:
        """Return what is known of a batch."""
        async with self._translated():
            batch = await self._client.batches.retrieve(batch_id, extra_headers=self._headers)
        return _state(batch)

    async def download(self, file_id: str, path: Path) -> None:
        """Write a file of the server to `path`, whole or not at all; memory stays flat."""
        content = self._client.files.with_streaming_response.content
        with atomic_writer(path) as writer:
            async with (
                self._translated(),
                content(file_id, extra_headers=self._headers) as response,
            ):
                async for chunk in response.iter_bytes(CHUNK_BYTES):
                    writer.write(chunk)

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        try:
            yield
        except (APIError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            meant = self._meaning(error)
            hide_key(meant, self._key)
            raise meant from error

    def _meaning(self, error: Exception) -> EndpointError:
        if isinstance(error, APIStatusError):
            if error.status_code in NO_API:
                return AccountError(
                    f"{self._name}: HTTP {error.status_code}: {one_line(error.message)}; a server "
                    "without the files and batches API cannot be submitted to: check base_url, or "
                    "run the files another way and import their output"
                )
            answer = Answer(error.status_code, error.response.headers, error.response.content)
            return read_error(answer, where=self._name)
        if isinstance(error, APITimeoutError | httpx2.TimeoutException):
            return TransientError(f"{self._name}: no answer within timeout_s", kind="time-out")
        cause = one_line(str(error.__cause__ or error)) or type(error).__name__
        if isinstance(error.__cause__ or error, httpx2.ConnectError):
            return UnreachableError(
                f"{self._name}: cannot connect ({cause}); start the server, or check base_url",
                kind="unreachable",
            )
        if isinstance(error, APIConnectionError | httpx2.TransportError):
            return TransientError(f"{self._name}: connection lost ({cause})", kind="reset")
        if isinstance(error, httpx2.InvalidURL):
            return AccountError(f"{self._name}: base_url is no address ({cause})")
        return TransientError(f"{self._name}: a broken answer ({cause})")


def _state(batch: Batch) -> BatchState:
    """Return what a batch says of itself. The SDK checks no types, so nothing is relied on."""
    counts = batch.request_counts
    problems = (batch.errors.data if batch.errors else None) or []
    return BatchState(
        batch_id=str(batch.id),
        status=BatchStatus(batch.status) if batch.status in set(BatchStatus) else None,
        total=counts.total if counts else 0,
        completed=counts.completed if counts else 0,
        failed=counts.failed if counts else 0,
        file_ids=tuple(id_ for id_ in (batch.output_file_id, batch.error_file_id) if id_),
        problems=tuple(
            one_line(
                f"line {problem.line}: {problem.message}" if problem.line else str(problem.message)
            )
            for problem in problems
        ),
    )
