"""Reading the message of a reply: its text, and the thinking that came apart from it. Pure.

Where servers put thinking: `reasoning_content` (DeepSeek, SGLang, older vLLM), `reasoning` (vLLM,
OpenRouter, Ollama), a list `reasoning_details` (OpenRouter), or parts of the content of type
"thinking" or "reasoning" (Mistral, gateways to Anthropic). Think tags inside the text stay there.
"""

from collections.abc import Iterator, Mapping
from typing import Any

REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks")
"""Gateways send the same thinking under several of these names; the first that holds any counts."""
_THINKING = frozenset({"thinking", "reasoning", "redacted_thinking"})
_INNER = ("text", "thinking", "reasoning", "summary", "content")
_DEEPEST = 5


def text_of(content: object) -> str:
    """Return a reply's text, which some servers send as a list of parts; thinking is none of it."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (part for part in content if isinstance(part, dict) and not _is_thinking(part))
    texts = [part.get("text") for part in parts]
    return "".join(text for text in texts if isinstance(text, str))


def reasoning_of(message: Mapping[str, Any]) -> str | None:
    """Return the thinking that came apart from a reply's text; None where there is none."""
    for name in REASONING_FIELDS:
        if found := _joined(message.get(name)):
            return found
    content = message.get("content")
    if not isinstance(content, list):
        return None
    thoughts = [part for part in content if isinstance(part, dict) and _is_thinking(part)]
    return _joined(thoughts) or None


def refusal_of(message: Mapping[str, Any]) -> str | None:
    """Return the words of a model that refuses, where its reply says nothing else."""
    refusal = message.get("refusal")
    return refusal if isinstance(refusal, str) and refusal.strip() else None


def _is_thinking(part: Mapping[str, Any]) -> bool:
    kind = part.get("type")
    return isinstance(kind, str) and kind.partition(".")[0] in _THINKING


def _joined(found: object) -> str:
    return "".join(_texts(found, _DEEPEST))


def _texts(found: object, depth: int) -> Iterator[str]:
    """Yield the texts in a field, which is a text, a part with one, or a list of parts."""
    if isinstance(found, str):
        yield found
    elif depth and isinstance(found, list):
        for part in found:
            yield from _texts(part, depth - 1)
    elif depth and isinstance(found, dict):
        inner = next((found[name] for name in _INNER if found.get(name)), None)
        yield from _texts(inner, depth - 1)
