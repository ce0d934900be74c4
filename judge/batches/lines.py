"""One line of a batch's output or error file: which ask it is about, and what came of it. Pure.

    {"custom_id", "response": {"status_code", "body"} | null, "error": ANYTHING | null}

A provider puts what the endpoint said into the body of the response, vLLM puts errors into
`error`; a request that was never worked on has no response at all.
"""

import json
from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json

from judge.backends.wire import Answer, one_line, read_error, read_reply
from judge.chat import Reply
from judge.errors import EndpointError, InputError, ItemError, TransientError
from judge.formats.problems import kind_of

REQUEST = "is a request, not what came of one; give the output and error files"
"""The problem of a line of a file that was sent."""


class Worth(IntEnum):
    """What a line is worth where several speak of one ask: the lowest goes before."""

    REPLY = 0
    REJECTION = 1
    """The item will never be accepted."""
    NOTHING = 2
    """The ask stays pending: throttled, failed, expired or cancelled."""


@dataclass(frozen=True, slots=True)
class BatchLine:
    """What one line says about one ask."""

    custom_id: str
    answer: Answer | None
    """None where the request was never worked on."""
    cause: str
    """Why it was not, in words."""
    digest: bytes
    """Of what it says; what the provider numbers lines by is not in it."""


def parse_line(line: bytes) -> BatchLine:
    """Return what a line says; raises InputError with the problem where it says nothing."""
    row = _json(line)
    if not isinstance(row, dict):
        raise InputError(f"holds {kind_of(row)}; a line of a batch is one JSON object")
    if "body" in row and "response" not in row:
        raise InputError(REQUEST)
    custom_id = row.get("custom_id")
    if not isinstance(custom_id, str) or not custom_id.isprintable() or not custom_id:
        raise InputError("has no custom_id, so nobody can say which ask it answers")
    response, error = row.get("response"), row.get("error")
    if response is None and error is None:
        raise InputError("has neither a response nor an error")
    digest = blake2b(_bytes_of([response, error]), digest_size=16).digest()
    return BatchLine(custom_id, _answer(response, error), _words(error), digest)


def outcome_of(
    line: BatchLine, *, where: str, accept_missing_finish_reason: bool = False
) -> Reply | EndpointError:
    """Return the reply that a line holds, or the error, exactly as a direct request would.

    An ItemError becomes a judgment; after any other error the ask stays pending.
    """
    if line.answer is None:
        return TransientError(f"{where}: {line.cause}", kind="batch")
    if line.answer.status != 200:
        return read_error(line.answer, where=where)
    try:
        return read_reply(
            line.answer,
            latency_s=None,
            accept_missing_finish_reason=accept_missing_finish_reason,
        )
    except EndpointError as error:
        return error


def worth_of(line: BatchLine) -> Worth:
    """Return what a line is worth beside others about the same ask."""
    outcome = outcome_of(line, where="")
    if isinstance(outcome, Reply):
        return Worth.REPLY
    return Worth.REJECTION if isinstance(outcome, ItemError) else Worth.NOTHING


def _answer(response: Any, error: Any) -> Answer | None:
    """Return what the endpoint answered, as if it had been asked directly."""
    if not isinstance(response, dict):
        return None
    status, body = response.get("status_code"), response.get("body")
    if not isinstance(status, int) or isinstance(status, bool):
        return None
    if body is None and error is not None:
        is_envelope = isinstance(error, dict) and "error" in error
        body = error if is_envelope else {"error": error}
    return Answer(status, {}, _bytes_of(body))


def _words(error: Any) -> str:
    """Return the cause that stands beside a response, in one line."""
    inner = error.get("error", error) if isinstance(error, dict) else error
    if not isinstance(inner, dict):
        return one_line(str(inner)) if inner else "the batch gave no answer and no reason"
    parts = [str(inner[name]) for name in ("code", "message") if inner.get(name)]
    return one_line(": ".join(parts)) or "the batch gave no answer and no reason"


def _json(line: bytes) -> Any:
    try:
        return from_json(line, allow_inf_nan=False)
    except ValueError as error:
        try:
            return json.loads(line)  # a lone surrogate in an escape is no reason to pay again
        except (ValueError, RecursionError):
            raise InputError(
                f"is not valid JSON ({one_line(str(error))}); it may be cut"
            ) from error


def _bytes_of(value: Any) -> bytes:
    try:
        return to_json(value)
    except PydanticSerializationError:
        return json.dumps(value).encode()  # escapes what UTF-8 cannot hold
