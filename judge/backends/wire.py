"""Reading what an OpenAI-compatible endpoint sent: a reply, or one of our errors. Pure.

The classes are those of the error table in the README: transient, throttle, account, item.
"""

import email.utils
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from judge.chat import Reply
from judge.errors import (
    AccountError,
    EndpointError,
    ItemError,
    ThrottledError,
    TransientError,
)

ITEM_STATUSES = frozenset({400, 413, 422})
ACCOUNT_STATUSES = frozenset({401, 402, 403, 404})
ACCOUNT_CODES = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "account_deactivated",
    }
)
REMEDIES = {
    401: "check the key in the variable named by api_key_env",
    402: "add credit to the account, then run the same command again",
    403: "the key may not use this model or address; check its permissions",
    404: "check base_url and the model's name",
    429: "the account is out of credit; add some, then run the same command again",
}
QUOTED_CHARS = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def read_reply(
    answer: Answer, *, latency_s: float, accept_missing_finish_reason: bool = False
) -> Reply:
    """Return the reply in a 200 answer.

    Raises TransientError when the body is not a whole reply: HTML, cut JSON, no finish reason.
    """
    try:
        document = _parse(answer.body)
        choice = document["choices"][0]
        message = choice["message"]
        finish_reason = choice.get("finish_reason")
        text = message.get("content")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise TransientError(
            f"the endpoint answered 200 without a reply in it: {_quote(answer.body)}"
        ) from error
    if finish_reason is None:
        if not accept_missing_finish_reason:
            raise TransientError(
                "the reply has no finish_reason, so it may be cut; set "
                "accept_missing_finish_reason on the endpoint if its server never sends one",
                kind="no finish reason",
            )
        finish_reason = "stop"
    usage = document.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Reply(
        text=_utf8(text) if isinstance(text, str) else "",
        finish_reason=str(finish_reason),
        input_tokens=_count(usage.get("prompt_tokens")),
        output_tokens=_count(usage.get("completion_tokens")),
        latency_s=latency_s,
    )


def read_error(answer: Answer, *, where: str) -> EndpointError:
    """Return the error that an answer other than 200 means, by status and error code."""
    status = answer.status
    code, message = _envelope(answer.body)
    said = f"{where}: HTTP {status}" + (f" {code}" if code else "") + f": {message}"
    if status == 429 and code not in ACCOUNT_CODES:
        return ThrottledError(said, retry_after_s(answer.headers))
    if status in ACCOUNT_STATUSES or code in ACCOUNT_CODES:
        is_certain = status == 402 or code in ACCOUNT_CODES
        return AccountError(f"{said}; {REMEDIES.get(status, REMEDIES[429])}", is_certain=is_certain)
    if status in ITEM_STATUSES:
        return ItemError(said, is_refusal="content_filter" in code or "content_policy" in code)
    if 300 <= status < 400:
        target = answer.headers.get("Location", "elsewhere")
        return AccountError(f"{where}: HTTP {status} to {target}; set base_url to that address")
    if 400 <= status < 500 and status not in (408, 409, 425):
        return ItemError(said)
    return TransientError(said, kind=str(status))


def retry_after_s(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """Return the seconds an endpoint asks to wait, or None when it does not say.

    Reads retry-after-ms, then Retry-After in seconds or as an HTTP date (RFC 9110, 10.2.3).
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    text = headers.get("Retry-After")
    if text is None:
        return None
    seconds = _number(text)
    if seconds is not None:
        return max(0.0, seconds)
    try:
        moment = email.utils.parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None
    return max(0.0, moment - (time.time() if now is None else now))


def listed_models(body: bytes) -> tuple[str, ...]:
    """Return the model names in an answer of /models; empty when it cannot be read."""
    try:
        return tuple(str(model["id"]) for model in _parse(body)["data"])
    except (ValueError, KeyError, TypeError):
        return ()


def _parse(body: bytes) -> Any:
    try:
        return from_json(body)
    except ValueError:
        # A lone surrogate in an escape is no reason to ask a paid judge again.
        return json.loads(body)


def _utf8(text: str) -> str:
    """Return the text with lone surrogates replaced, so that it can be stored and sent."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _envelope(body: bytes) -> tuple[str, str]:
    """Return (code, message) of an OpenAI error body, as far as it can be read."""
    try:
        document = _parse(body)
        error = document.get("error", document)
        if isinstance(error, str):
            return "", error
        message = error.get("message") or error.get("detail") or _quote(body)
        return str(error.get("code") or error.get("type") or ""), _one_line(str(message))
    except (ValueError, AttributeError):
        return "", _quote(body)


def _quote(body: bytes) -> str:
    return _one_line(body[:QUOTED_CHARS].decode("utf-8", "replace")) or "(empty body)"


def _one_line(text: str) -> str:
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split())[:QUOTED_CHARS]


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else None
    except ValueError:
        return None
    return number if number is not None and math.isfinite(number) else None
