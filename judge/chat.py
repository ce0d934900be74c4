"""The seam to models: what is asked, what comes back, and the protocol that backends fulfil."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from judge.records import Message


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request to a chat model: a system and a user text, or a whole conversation."""

    model: str
    system: str
    user: str
    sampling: Mapping[str, float | int]
    max_tokens: int
    conversation: tuple[Message, ...] = ()
    """Sent as it is instead of `system` and `user`, where it holds any message."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered, as it came. Only a reply with a finish reason is one."""

    text: str
    finish_reason: str
    input_tokens: int | None
    output_tokens: int | None
    latency_s: float


class ChatModel(Protocol):
    """A model that can be asked. Fakes in tests implement this."""

    async def complete(self, request: ChatRequest) -> Reply:
        """Return the model's reply to one request, sent exactly once.

        Raises TransientError, ThrottledError, ItemError or AccountError; never retries.
        """
        ...
