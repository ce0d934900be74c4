"""Reading what an OpenAI-compatible endpoint sent: a reply, or one of our errors. Pure.

The classes are those of the error table in the README: transient, throttle, account, item.
"""

import email.utils
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from pydantic_core import from_json

from judge.backends.message import reasoning_of, refusal_of, text_of
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
UNREADABLE = (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError)
"""What reading a body of the wrong shape raises."""
BROKEN_OFF = frozenset({"error", "abort"})
"""Finish reasons by which gateways and servers say that they failed in mid-reply."""
LOGPROBS = "logprobs"
MOST_TOKENS = 10**12
"""More than any reply can have; a larger count is a mistake, and no database could hold it."""
LEAST_LOGPROB = -10_000.0
"""What is less likely is written as this; some servers say -9999 for what cannot come."""
ROUNDING = 0.01
"""By as much may a logarithm be above 0: low-precision servers round."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def read_reply(
    answer: Answer, *, latency_s: float | None, accept_missing_finish_reason: bool = False
) -> Reply:
    """Return the reply in a 200 answer.

    Raises TransientError when the body is not a whole reply: HTML, cut JSON, no finish reason, or
    one that says the server failed.
    """
    try:
        document = _parse(answer.body)
        choice = document["choices"][0]
        message = choice["message"]
        finish_reason = choice.get("finish_reason")
        if finish_reason != "stop":
            finish_reason = _word(finish_reason)
        text, reasoning = text_of(message.get("content")), reasoning_of(message)
        refusal = None if text else refusal_of(message)
    except UNREADABLE as error:
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
    if finish_reason in BROKEN_OFF:
        raise TransientError(
            f"the endpoint broke off its reply with finish_reason {finish_reason}",
            kind="cut answer",
        )
    usage = document.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    details = usage.get("prompt_tokens_details")
    return Reply(
        text=_utf8(refusal or text),
        finish_reason=finish_reason,
        input_tokens=_count(usage.get("prompt_tokens")),
        output_tokens=_count(usage.get("completion_tokens")),
        latency_s=latency_s,
        reasoning=_utf8(reasoning) if reasoning else None,
        is_refusal=refusal is not None,
        cached_tokens=_count(details.get("cached_tokens")) if isinstance(details, dict) else None,
        alternatives=_alternatives(choice[LOGPROBS]) if choice.get(LOGPROBS) else (),
    )


def read_error(answer: Answer, *, where: str) -> EndpointError:
    """Return the error that an answer other than 200 means, by status and error code."""
    status = answer.status
    code, message, is_account = _envelope(answer.body)
    said = f"{where}: HTTP {status}" + (f" {code}" if code else "") + f": {message}"
    if status == 429 and not is_account:
        return ThrottledError(said, retry_after_s(answer.headers))
    if status in ACCOUNT_STATUSES or is_account:
        is_certain = status == 402 or is_account
        remedy = REMEDIES.get(status, REMEDIES[429])
        return AccountError(f"{said.rstrip('.')}; {remedy}", is_certain=is_certain)
    if status in ITEM_STATUSES:
        return ItemError(said, is_refusal="content_filter" in code or "content_policy" in code)
    if 300 <= status < 400:
        target = one_line(answer.headers.get("Location", "elsewhere"))
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
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)  # HTTP dates are, whether or not they say so
    return max(0.0, moment.timestamp() - (time.time() if now is None else now))


def listed_models(body: bytes) -> tuple[str, ...]:
    """Return the model names in an answer of /models; empty when it cannot be read."""
    try:
        return tuple(str(model["id"]) for model in _parse(body)["data"])
    except UNREADABLE:
        return ()


def _alternatives(logprobs: Any) -> tuple[Mapping[str, float], ...]:
    """Return the alternatives of each token, the one taken first; none where they make no sense.

    They come beside the reply, so nothing that is wrong with them makes it less of a reply.
    """
    try:
        return tuple(_alternatives_of(taken) for taken in logprobs["content"] or ())
    except UNREADABLE:
        return ()


def _alternatives_of(taken: dict[str, Any]) -> Mapping[str, float]:
    found: dict[str, float] = {}
    for token in (taken, *(taken.get("top_logprobs") or ())):
        found.setdefault(_utf8(token["token"]), _logprob(token["logprob"]))
    return found


def _parse(body: bytes) -> Any:
    try:
        return from_json(body)
    except ValueError:
        # A lone surrogate in an escape is no reason to ask a paid judge again.
        return json.loads(body)


def _word(value: object) -> str | None:
    """Return a short printable form of a field that should hold one word; None for nothing."""
    return None if value is None else one_line(str(value)) or None


def _utf8(text: str) -> str:
    """Return the text with lone surrogates replaced, so that it can be stored and sent."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def envelope_message(body: bytes) -> str:
    """Return what an error body says, in one line, at most `QUOTED_CHARS` of it."""
    return _envelope(body)[1]


def _envelope(body: bytes) -> tuple[str, str, bool]:
    """Return (code, message, whether it speaks of the account) of an OpenAI error body.

    What cannot be read is quoted.
    """
    try:
        document = _parse(body)
        error = document.get("error", document)
        if isinstance(error, str):
            return "", one_line(error), False
        message = error.get("message") or error.get("detail") or _quote(body)
        words = [_word(error.get(name)) for name in ("code", "type")]
        code = words[0] or words[1] or ""
        return code, one_line(str(message)), not ACCOUNT_CODES.isdisjoint(words)
    except UNREADABLE:
        return "", _quote(body), False


def _quote(body: bytes) -> str:
    return one_line(body[:QUOTED_CHARS].decode("utf-8", "replace")) or "(empty body)"


def one_line(text: str) -> str:
    printable = "".join(c if c.isprintable() else " " for c in text[: 10 * QUOTED_CHARS])
    return " ".join(printable.split())[:QUOTED_CHARS]


def _count(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= MOST_TOKENS else None


def _logprob(value: Any) -> float:
    """Return a logarithm of a probability; ValueError for what cannot be one."""
    if isinstance(value, bool) or not value <= ROUNDING:
        raise ValueError(f"{value} is no logarithm of a probability")
    return float(min(max(value, LEAST_LOGPROB), 0))


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else None
    except ValueError:
        return None
    return number if number is not None and math.isfinite(number) else None
