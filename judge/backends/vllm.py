"""A model that vLLM runs in this process, as a ChatModel.

Pure mappings between our requests and the engine's, and the thin shell around them. vLLM itself is
imported in `judge.backends.vllm_engine` alone.
"""

import asyncio
import itertools
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from judge.backends.wire import BROKEN_OFF
from judge.chat import ChatRequest, Reply
from judge.errors import ItemError, TransientError
from judge.settings.config import Endpoint

TEMPLATE_FIELDS = ("chat_template", "chat_template_kwargs")
"""Fields of extra_body that are the chat template's, by the names that `vllm serve` gives them."""
EFFORT = "reasoning_effort"


@dataclass(frozen=True, slots=True)
class Generated:
    """What the engine made of one prompt."""

    text: str
    finish_reason: str
    output_tokens: int
    cached_tokens: int | None
    alternatives: tuple[Mapping[str, float], ...] = ()


class LocalEngine(Protocol):
    """A model loaded in this process. Fakes in tests implement this."""

    @property
    def context_tokens(self) -> int:
        """Tokens that a prompt and its reply may have together."""
        ...

    @property
    def default_sampling(self) -> Mapping[str, Any]:
        """What the model's makers recommend, for parameters that a request leaves open."""
        ...

    def tokens_of(
        self, messages: Sequence[Mapping[str, str]], template: Mapping[str, Any]
    ) -> list[int]:
        """Return a conversation under the chat template, ready for the reply.

        Called from one thread at a time. Raises ItemError where the template refuses it.
        """
        ...

    async def generate(
        self, tokens: list[int], sampling: Mapping[str, Any], request_id: str
    ) -> Generated:
        """Return what follows these tokens; being cancelled takes the request out of the engine.

        Raises ItemError, TransientError, ConfigError for a parameter that does not exist, and
        AccountError once the engine is dead.
        """
        ...

    def shutdown(self) -> None:
        """Free what the engine holds; waits for its processes."""
        ...


class VLLMChat:
    """One model of an engine, as a ChatModel.

    `close` shuts the engine down. Requests are sent exactly once: the engine queues them itself.
    """

    def __init__(self, name: str, endpoint: Endpoint, engine: LocalEngine) -> None:
        self._name = name
        self._engine = engine
        self._timeout_s = endpoint.timeout_s
        self._extra, self._template = split_extra(endpoint.extra_body)
        self._numbers = itertools.count()
        # Tokenizers are not safe to use from several threads, and slow on the event loop's own.
        self._tokenizing = ThreadPoolExecutor(1, thread_name_prefix="tokenizing")

    async def warm_up(self) -> None:
        """Have one token made, so that what compiles at the first request has been compiled.

        Raises ConfigError for a sampling parameter in extra_body that the engine does not have.
        """
        greeting = [{"role": "user", "content": "Hello"}]
        tokens = await self._tokens(greeting, self._template)
        sampling = {**self._extra, "max_tokens": 1, "logprobs": 1}
        await self._engine.generate(tokens, sampling, f"{self._name}-warm-up")

    async def complete(self, request: ChatRequest) -> Reply:
        """Return the reply; raises as `ChatModel.complete` says."""
        started = time.perf_counter()
        tokens = await self._tokens(messages_of(request), self._template | effort_of(request))
        room = self._engine.context_tokens - len(tokens)
        if room < 1:
            raise ItemError(
                f"{self._name}: the prompt has {len(tokens):,} tokens, and the model's context "
                f"{self._engine.context_tokens:,}; leave the item out, or raise max_model_len in "
                "the endpoint's options"
            )
        sampling = sampling_of(request, self._engine.default_sampling, self._extra, room=room)
        try:
            async with asyncio.timeout(self._timeout_s):
                generated = await self._engine.generate(
                    tokens, sampling, f"{self._name}-{next(self._numbers)}"
                )
        except TimeoutError as error:
            raise TransientError(
                f"{self._name}: no answer within timeout_s; raise it, or lower max_in_flight",
                kind="time-out",
            ) from error
        latency_s = time.perf_counter() - started
        return reply_of(generated, input_tokens=len(tokens), latency_s=latency_s)

    async def close(self) -> None:
        """Shut the engine down."""
        self._tokenizing.shutdown(cancel_futures=True)
        await asyncio.to_thread(self._engine.shutdown)

    async def _tokens(
        self, messages: Sequence[Mapping[str, str]], template: Mapping[str, Any]
    ) -> list[int]:
        loop, engine = asyncio.get_running_loop(), self._engine
        return await loop.run_in_executor(self._tokenizing, engine.tokens_of, messages, template)


def split_extra(extra_body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (sampling parameters, arguments of the chat template) of an endpoint's extra_body."""
    template = dict(extra_body.get("chat_template_kwargs") or {})
    if "chat_template" in extra_body:
        template["chat_template"] = extra_body["chat_template"]
    sampling = {name: value for name, value in extra_body.items() if name not in TEMPLATE_FIELDS}
    return sampling, template


def effort_of(request: ChatRequest) -> dict[str, Any]:
    """Return how hard a request wants to be thought about, which is the chat template's to say."""
    asked = request.sampling
    return {EFFORT: asked[EFFORT]} if EFFORT in asked else {}


def messages_of(request: ChatRequest) -> list[dict[str, Any]]:
    """Return the conversation of a request, as chat templates take it."""
    if request.conversation:
        return [message.row for message in request.conversation]
    user = {"role": "user", "content": request.user}
    return [{"role": "system", "content": request.system}, user] if request.system else [user]


def sampling_of(
    request: ChatRequest, defaults: Mapping[str, Any], extra: Mapping[str, Any], *, room: int
) -> dict[str, Any]:
    """Return vLLM's sampling parameters for a request whose reply has room for `room` tokens.

    What the request says goes before the model's `defaults`, and `extra` before both, as it does
    at an address. A structured output that the request needs goes before one of `extra`.
    """
    asked = {name: value for name, value in request.sampling.items() if name != EFFORT}
    sampling = {**defaults, **asked, **extra}
    sampling["max_tokens"] = min(request.max_tokens, room)
    if request.top_logprobs is not None:
        chosen = extra.get("logprob_token_ids")  # these alone are told of, and exactly
        sampling["logprobs"] = len(chosen) if chosen else request.top_logprobs
    if request.json_schema is not None:
        sampling["structured_outputs"] = {"json": dict(request.json_schema)}
    return sampling


def reply_of(generated: Generated, *, input_tokens: int, latency_s: float) -> Reply:
    """Return the reply; TransientError where the engine broke it off."""
    if generated.finish_reason in BROKEN_OFF:
        raise TransientError(
            f"the engine broke off its reply with finish reason {generated.finish_reason}",
            kind="cut answer",
        )
    return Reply(
        text=generated.text,
        finish_reason=generated.finish_reason,
        input_tokens=input_tokens,
        output_tokens=generated.output_tokens,
        latency_s=latency_s,
        cached_tokens=generated.cached_tokens,
        alternatives=generated.alternatives,
    )


def alternatives_of(tokens: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Return text -> logarithm of its probability, for the alternatives of one token.

    Several tokens may have one text, such as the parts of a character; their probabilities are
    added. Those that cannot come are left out.
    """
    added: dict[str, float] = {}
    for text, logprob in tokens:
        if logprob == -math.inf:
            continue
        before = added.get(text)
        added[text] = logprob if before is None else _log_of_sum(before, logprob)
    return added


def _log_of_sum(one: float, other: float) -> float:
    high, low = max(one, other), min(one, other)
    return high + math.log1p(math.exp(low - high))
