"""The seam to models: what is asked, what comes back, and the protocol that backends fulfil."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from judge.records import Message


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request to a chat model: a system and a user text, or a whole conversation."""

    model: str
    system: str
    user: str
    sampling: Mapping[str, Any]
    """Sampling parameters and budgets for thinking, by their names in the request."""
    max_tokens: int
    conversation: tuple[Message, ...] = ()
    """Sent as it is instead of `system` and `user`, where it holds any message."""
    top_logprobs: int | None = None
    """How many alternatives of each token to tell the probabilities of; None asks for none."""
    json_schema: Mapping[str, Any] | None = None
    """A JSON schema that the reply must follow; None leaves its form free."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered, as it came. Only a reply with a finish reason is one."""

    text: str
    finish_reason: str
    input_tokens: int | None
    output_tokens: int | None
    latency_s: float | None
    """None where nobody waited for it, as in a batch."""
    reasoning: str | None = None
    """Thinking that the endpoint sends apart from the text."""
    is_refusal: bool = False
    """Whether the text is the model's own refusal, which endpoints send in a field of its own."""
    cached_tokens: int | None = None
    """Of the input tokens, those taken from a prefix cache; None where it is not told."""
    alternatives: tuple[Mapping[str, float], ...] = ()
    """For each token of the text, token -> natural logarithm of its probability, where asked.

    The token that was taken comes first.
    """
    cost_usd: float | None = None
    """As the endpoint tells, or by the prices of the day; None where neither is known."""


class ChatModel(Protocol):
    """A model that can be asked. Fakes in tests implement this."""

    async def complete(self, request: ChatRequest) -> Reply:
        """Return the model's reply to one request, sent exactly once.

        Raises TransientError, ThrottledError, ItemError or AccountError; never retries.
        """
        ...
