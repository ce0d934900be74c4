"""Batches as the simulated provider works through them, a few requests at a time.

A batch goes from validating through in_progress and finalizing to completed or expired; a file
that cannot be worked on makes it failed. Its output comes in a sequence of its own.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from pydantic_core import from_json, to_json

from judge.simulator import messages
from judge.simulator.draws import digest
from judge.simulator.files import FileShelf, StoredFile
from judge.simulator.messages import Response
from judge.simulator.settings import SimulatorSettings
from judge.simulator.wire import Head

CHAT = "/v1/chat/completions"
BATCH_PATHS = ("/v1/files", "/v1/batches")
MOST_REQUESTS = 50_000
MOST_PROBLEMS = 50
AT_A_TIME = 20
"""Requests that are answered before others get their turn."""
WINDOW_S = 24 * 3600
DEFAULT_PAGE = 20

Ask = Callable[[bytes], Response]
"""Answers the body of a chat request, whatever befalls it."""


@dataclass(slots=True)
class SimulatedBatch:
    """One batch and how far it has come."""

    batch_id: str
    input_file_id: str
    metadata: dict[str, str]
    window: str
    created_at: int
    status: str = "validating"
    moments: dict[str, int] = field(default_factory=dict)
    """When it came to a status, in seconds since 1970."""
    problems: list[dict[str, Any]] = field(default_factory=list)
    total: int = 0
    completed: int = 0
    failed: int = 0
    output_file_id: str | None = None
    error_file_id: str | None = None

    def come_to(self, status: str) -> None:
        self.status = status
        self.moments[f"{status}_at"] = int(time.time())

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.batch_id,
            "object": "batch",
            "endpoint": CHAT,
            "errors": {"object": "list", "data": self.problems} if self.problems else None,
            "input_file_id": self.input_file_id,
            "completion_window": self.window,
            "status": self.status,
            "output_file_id": self.output_file_id,
            "error_file_id": self.error_file_id,
            "created_at": self.created_at,
            "expires_at": self.created_at + WINDOW_S,
            **self.moments,
            "request_counts": {
                "total": self.total, "completed": self.completed, "failed": self.failed,
            },
            "metadata": self.metadata,
        }  # fmt: skip


class BatchDesk:
    """The files and batches of one simulated provider."""

    def __init__(self, settings: SimulatorSettings, ask: Ask) -> None:
        self.shelf = FileShelf()
        self.batches: dict[str, SimulatedBatch] = {}
        self._settings = settings
        self._ask = ask
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def close(self) -> None:
        """Leave every batch as it is."""
        for timer in self._timers.values():
            timer.cancel()

    def page(self, head: Head, body: bytes) -> Response:
        """Return the answer to a request below one of `BATCH_PATHS`."""
        match head.method, head.path.removeprefix("/v1/").split("/"):
            case "POST", ["files"]:
                return self.shelf.upload(body, head.content_type)
            case "GET", ["files", file_id]:
                return self.shelf.page(file_id, wants_content=False)
            case "GET", ["files", file_id, "content"]:
                return self.shelf.page(file_id, wants_content=True)
            case "POST", ["batches"]:
                return self._create(body)
            case "GET", ["batches"]:
                return self._list(dict(parse_qsl(head.query)))
            case "GET", ["batches", batch_id] if batch_id in self.batches:
                return messages.as_json(self.batches[batch_id].as_dict())
            case "POST", ["batches", batch_id, "cancel"] if batch_id in self.batches:
                return self._cancel(self.batches[batch_id])
        return messages.error(404, f"{head.method} {head.path} is not here.", code="not_found")

    def _create(self, body: bytes) -> Response:
        try:
            given = from_json(body)
            file = self.shelf.files.get(given["input_file_id"])
            window, endpoint = given["completion_window"], given["endpoint"]
            metadata = dict(given.get("metadata") or {})
        except (ValueError, KeyError, TypeError, AttributeError):
            return messages.error(
                400, "input_file_id, endpoint and completion_window are needed as JSON."
            )
        if file is None:
            return messages.error(404, "there is no such file.", param="input_file_id")
        if endpoint != CHAT:
            return messages.error(400, f"only {CHAT} can be asked.", param="endpoint")
        batch = SimulatedBatch(
            batch_id=f"batch_simulated_{len(self.batches) + 1:06d}",
            input_file_id=file.file_id,
            metadata=metadata,
            window=str(window),
            created_at=int(time.time()),
        )
        self.batches[batch.batch_id] = batch
        self._go_on(batch, self._steps(batch, file), after_s=0.0)
        return messages.as_json(batch.as_dict())

    def _list(self, query: dict[str, str]) -> Response:
        """Return some batches, the newest first, after the one that is named."""
        ids = list(reversed(self.batches))
        after = query.get("after")
        start = ids.index(after) + 1 if after in self.batches else 0
        limit = query.get("limit", "")
        shown = ids[start : start + (int(limit) if limit.isdigit() else DEFAULT_PAGE)]
        return messages.as_json(
            {
                "object": "list",
                "data": [self.batches[id_].as_dict() for id_ in shown],
                "first_id": shown[0] if shown else None,
                "last_id": shown[-1] if shown else None,
                "has_more": start + len(shown) < len(ids),
            }
        )

    def _cancel(self, batch: SimulatedBatch) -> Response:
        if batch.status in ("validating", "in_progress"):
            batch.come_to("cancelling")
        return messages.as_json(batch.as_dict())

    def _go_on(self, batch: SimulatedBatch, steps: Iterator[float], *, after_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._timers[batch.batch_id] = loop.call_later(after_s, self._step, batch, steps)

    def _step(self, batch: SimulatedBatch, steps: Iterator[float]) -> None:
        wait_s = next(steps, None)
        if wait_s is None:
            del self._timers[batch.batch_id]
        else:
            self._go_on(batch, steps, after_s=wait_s)

    def _steps(self, batch: SimulatedBatch, file: StoredFile) -> Iterator[float]:
        """Work through a batch, yielding the seconds until it goes on."""
        requests, batch.problems = read_requests(file.content)
        if batch.problems:
            batch.come_to("failed")
            return
        batch.total = len(requests)
        yield 0.0
        if batch.status != "cancelling":
            batch.come_to("in_progress")
            yield self._settings.batch_latency_s
        answered = round(self._settings.batch_answered_share * len(requests))
        results: list[tuple[str, dict[str, Any]]] = []
        for position, request in enumerate(requests[:answered]):
            if position % AT_A_TIME == 0:
                yield 0.0
            if batch.status == "cancelling":
                break
            response = self._ask(to_json(request["body"]))
            results.append((request["custom_id"], _result(request, response, position)))
            batch.completed += response.status == 200
            batch.failed += response.status != 200
        was_cancelled = batch.status == "cancelling"
        batch.come_to("finalizing")
        yield 0.0
        code = "batch_cancelled" if was_cancelled else "batch_expired"
        results += [
            (request["custom_id"], _unanswered(request, code, position))
            for position, request in enumerate(requests[len(results) :], start=len(results))
        ]
        self._keep(batch, results)
        expired = answered < len(requests)
        batch.come_to("cancelled" if was_cancelled else "expired" if expired else "completed")

    def _keep(self, batch: SimulatedBatch, results: list[tuple[str, dict[str, Any]]]) -> None:
        """Put the results into an output and an error file, in a sequence of their own."""
        results.sort(key=lambda result: digest(self._settings.seed, b"line", result[0].encode()))
        lines = [line for _, line in results]
        good = [line for line in lines if _is_good(line)]
        bad = [line for line in lines if not _is_good(line)]
        batch.output_file_id = self._kept(f"{batch.batch_id}_output.jsonl", good)
        batch.error_file_id = self._kept(f"{batch.batch_id}_error.jsonl", bad)

    def _kept(self, name: str, lines: list[dict[str, Any]]) -> str | None:
        content = b"".join(to_json(line) + b"\n" for line in lines)
        file = self.shelf.add(name, content, purpose="batch_output") if lines else None
        return file.file_id if file else None


def read_requests(content: bytes) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the requests of a file, and what is wrong with it in the provider's words."""
    requests: list[dict[str, Any]] = []
    problems: list[dict[str, Any]] = []
    seen: set[str] = set()
    models: set[str] = set()
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        problem = _problem(line, requests, seen, models)
        if problem is not None and len(problems) < MOST_PROBLEMS:
            code, message = problem
            problems.append({"code": code, "line": number, "message": message, "param": None})
    if not requests and not problems:
        problems.append({"code": "empty_file", "line": None, "message": "no requests."})
    if len(requests) > MOST_REQUESTS:
        message = f"more than {MOST_REQUESTS} requests."
        problems.append({"code": "too_many_requests", "line": None, "message": message})
    return requests, problems


def _problem(
    line: bytes, requests: list[dict[str, Any]], seen: set[str], models: set[str]
) -> tuple[str, str] | None:
    try:
        request = json.loads(line)
        custom_id, body = request["custom_id"], request["body"]
        url, method, model = request["url"], request["method"], body["model"]
    except (ValueError, KeyError, TypeError):
        return "invalid_json_line", "not a request as JSON."
    if not isinstance(custom_id, str) or custom_id in seen:
        return "duplicate_custom_id", "the custom_id is no text, or stands here twice."
    if (method, url) != ("POST", CHAT):
        return "invalid_url", f"only POST {CHAT} can be asked."
    models.add(str(model))
    if len(models) > 1:
        return "mismatched_model", "all requests of a file must ask one model."
    seen.add(custom_id)
    requests.append(request)
    return None


def _result(request: dict[str, Any], response: Response, position: int) -> dict[str, Any]:
    return {
        "id": f"batch_req_{position:06d}",
        "custom_id": request["custom_id"],
        "response": {
            "status_code": response.status,
            "request_id": f"req_{position:06d}",
            "body": from_json(response.body),
        },
        "error": None,
    }


def _unanswered(request: dict[str, Any], code: str, position: int) -> dict[str, Any]:
    message = "Simulated: the batch ended before this request was worked on."
    return {
        "id": f"batch_req_{position:06d}",
        "custom_id": request["custom_id"],
        "response": None,
        "error": {"code": code, "message": message},
    }


def _is_good(line: dict[str, Any]) -> bool:
    return line["response"] is not None and line["response"]["status_code"] == 200
