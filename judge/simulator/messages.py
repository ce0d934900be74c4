"""The bodies of the OpenAI-compatible dialogue: what is read and what is answered. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from judge.simulator.settings import MODEL, AccountFault

CHARS_PER_TOKEN = 4
"""The usual estimate for English text."""

JSON = "application/json"
LOGPROBS = "logprobs"


class ContentPart(BaseModel):
    """One part of a message; only parts of text are read."""

    model_config = ConfigDict(frozen=True)

    text: str = ""


class ChatMessage(BaseModel):
    """One message of a request."""

    model_config = ConfigDict(frozen=True)

    role: str
    content: str | list[ContentPart] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content or ())


class ChatRequest(BaseModel):
    """The fields of a chat completion request that the simulated judge heeds; others pass."""

    model_config = ConfigDict(frozen=True)

    model: str
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    response_format: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    temperature: float | None = None
    seed: int | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    stream: bool | None = None

    @property
    def token_limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer, not yet on the wire."""

    status: int
    body: bytes
    content_type: str = JSON
    retry_after_s: float | None = None
    closes: bool = False
    """Whether the connection ends with it."""


def completion(
    content: str,
    finish_reason: str,
    *,
    reply_id: str,
    created: int,
    prompt_chars: int,
    model: str = MODEL,
    logprobs: dict[str, Any] | None = None,
    reasoning: str = "",
) -> Response:
    """Return a chat completion; `created` is in seconds since 1970, usage is estimated."""
    prompt_tokens = tokens_of(prompt_chars)
    completion_tokens = tokens_of(len(content) + len(reasoning))
    message = {"role": "assistant", "content": content, "refusal": None}
    if reasoning:
        message["reasoning_content"] = reasoning
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": finish_reason,
        "logprobs": logprobs,
    }
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }
    return as_json(
        {
            "id": f"chatcmpl-{reply_id}",
            "object": "chat.completion",
            "created": created,
            "model": model,
            "system_fingerprint": "simulated",
            "simulated": True,
            "choices": [choice],
            "usage": usage,
        }
    )


def tokens_of(chars: int) -> int:
    """Return the estimated number of tokens of a text of so many characters."""
    return -(-chars // CHARS_PER_TOKEN)


def as_json(value: Any, *, status: int = 200) -> Response:
    """Return a response that holds a value as JSON."""
    return Response(status, to_json(value))


def model_list(generators: Iterable[str]) -> Response:
    """Return the list of models: the judge, then the generators."""
    models = [
        {"id": name, "object": "model", "created": 0, "owned_by": "evenhand"}
        for name in (MODEL, *generators)
    ]
    return as_json({"object": "list", "data": models})


def error(
    status: int,
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
    kind: str = "invalid_request_error",
    retry_after_s: float | None = None,
    closes: bool = False,
) -> Response:
    """Return an error in OpenAI's envelope. Its message says that it is simulated."""
    inner = {"message": f"Simulated: {message}", "type": kind, "param": param, "code": code}
    return Response(status, to_json({"error": inner}), retry_after_s=retry_after_s, closes=closes)


def rate_limited(retry_after_s: float | None, *, why: str) -> Response:
    """Return a 429 that asks to wait."""
    return error(
        429,
        f"{why}; wait and send the request again.",
        code="rate_limit_exceeded",
        kind="requests",
        retry_after_s=retry_after_s,
    )


def account_error(fault: AccountFault) -> Response:
    """Return the answer that every request of a troubled account gets."""
    match fault:
        case AccountFault.INVALID_KEY:
            return error(401, "the API key is not valid.", code="invalid_api_key")
        case AccountFault.PAYMENT_REQUIRED:
            return error(402, "the balance is used up.", code="payment_required", kind="billing")
        case AccountFault.FORBIDDEN:
            return error(403, "this key may not use this endpoint.", code="permission_denied")
        case AccountFault.MODEL_NOT_FOUND:
            return error(404, "the model does not exist.", code="model_not_found", param="model")
        case AccountFault.INSUFFICIENT_QUOTA:
            kind = code = "insufficient_quota"
            return error(429, "the quota is used up; check the plan.", code=code, kind=kind)


def html_page() -> Response:
    """Return a gateway's page that claims success."""
    page = (
        b"<html><head><title>502 Bad Gateway</title></head><body>Simulated gateway.</body></html>"
    )
    return Response(200, page, content_type="text/html; charset=utf-8")
