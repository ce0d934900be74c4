"""What is sent to an OpenAI-compatible endpoint: one chat request as the fields of its body. Pure.

A direct request and a line of a batch file hold the same body.
"""

from typing import Any

from judge.chat import ChatRequest
from judge.settings.config import Endpoint

SCHEMA_NAME = "verdict"
"""Endpoints want one; it has no meaning."""


def chat_body(request: ChatRequest, endpoint: Endpoint) -> dict[str, Any]:
    """Return the body of a chat completion request, ready to be written as JSON."""
    return {
        "model": request.model,
        "messages": request.conversation or _messages(request),
        **request.sampling,
        endpoint.max_tokens_field: request.max_tokens,
        **_logprobs(request),
        **_structure(request),
        **endpoint.extra_body,
    }


def _logprobs(request: ChatRequest) -> dict[str, Any]:
    if request.top_logprobs is None:
        return {}
    return {"logprobs": True, "top_logprobs": request.top_logprobs}


def _structure(request: ChatRequest) -> dict[str, Any]:
    if request.json_schema is None:
        return {}
    schema = {"name": SCHEMA_NAME, "strict": True, "schema": request.json_schema}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _messages(request: ChatRequest) -> list[dict[str, str]]:
    user = {"role": "user", "content": request.user}
    return [{"role": "system", "content": request.system}, user] if request.system else [user]
