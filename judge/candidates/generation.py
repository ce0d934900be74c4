"""One generation: a prompt becomes a request, the reply a candidate or the reason why not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from judge.candidates.generators import Generator, Variant
from judge.chat import ChatModel, ChatRequest, Reply
from judge.errors import ConfigError, EndpointError, ItemError
from judge.identity import judge_key, prompt_id_of
from judge.job.judging import Deferred
from judge.job.retry import RetryPolicy
from judge.records import Message, Record
from judge.settings.config import Endpoint


class GenerationStatus(StrEnum):
    """Why a generation is no candidate."""

    TRUNCATED = "truncated"
    """Cut at max_tokens. The text is kept, and pairing may be told to take it."""
    EMPTY = "empty"
    """The reply holds no visible character."""
    REFUSED = "refused"
    """The provider's content filter stopped the reply."""
    FAILED = "failed"
    """The endpoint rejects this item for good (context too long, invalid request)."""
    UNFINISHED = "unfinished"
    """The reply ended for another reason than being complete, such as a call of a tool."""


class Generation(Record):
    """One reply of one generator to one prompt. Append-only in the ledger."""

    model_config = ConfigDict(protected_namespaces=())

    generation_id: str
    prompt_key: str
    generator_key: str
    """Digest of the model, the system prompt, the sampling parameters and the token limit."""
    sample: Annotated[int, Field(ge=0)] = 0
    model: str
    sampling: dict[str, Any]
    """What was asked for, `max_tokens` and the generator's `system` prompt included."""
    text: str
    """As the model gave it; empty when the request itself was rejected."""
    status: GenerationStatus | None
    """None where the text is a candidate."""
    reason: str | None = None
    """The cause in words when it is none."""
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    """Seconds from sending the accepted request to its last byte; waits and retries excluded."""
    attempts: int = 1
    """Requests sent for this generation, the accepted one included."""
    created_at: str
    """UTC, ISO 8601. For display only: nothing is decided by it."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One candidate that every prompt of a run is to get: a variant and its sample number."""

    generator_key: str
    sample: int


@dataclass(frozen=True, slots=True)
class ResolvedGenerator:
    """A generator of the settings with the identity of each of its variants computed."""

    name: str
    endpoint: str
    model: str
    n: int
    max_tokens: int
    variants: Mapping[str, Variant]
    """By generator key, in the order of the grid; those that `n` leaves out are not among them."""

    @property
    def slots(self) -> tuple[Slot, ...]:
        """One per candidate. Samples are counted by variant, so that a longer list of
        temperatures or a larger `n` pays for nothing that is stored already."""
        keys = list(self.variants)
        return tuple(Slot(keys[i % len(keys)], i // len(keys)) for i in range(self.n))


@dataclass(frozen=True, slots=True)
class GenerationAsk:
    """One request for one candidate."""

    prompt_key: str
    messages: tuple[Message, ...]
    generator: ResolvedGenerator
    slot: Slot


def resolve_generator(generator: Generator, endpoint: Endpoint) -> ResolvedGenerator:
    """Return the generator ready to ask."""
    variants = {}
    for variant in generator.variants[: generator.n]:
        asked = {**variant.sampling, "max_tokens": generator.max_tokens, **endpoint.asked}
        variants[generator_key(generator.model, variant.system, asked)] = variant
    return ResolvedGenerator(
        name=generator.display_name,
        endpoint=generator.endpoint,
        model=generator.model,
        n=generator.n,
        max_tokens=generator.max_tokens,
        variants=variants,
    )


def refuse_twins(generators: Sequence[ResolvedGenerator]) -> None:
    """Raise ConfigError where two generators would ask the same thing."""
    by_key: dict[str, str] = {}
    for generator in generators:
        for key in generator.variants:
            twin = by_key.setdefault(key, generator.name)
            if twin != generator.name:
                raise ConfigError(
                    f'generators "{twin}" and "{generator.name}" ask the same thing: same model, '
                    "system prompt and sampling; remove one and raise n of the other"
                )


def slots_of(generators: Sequence[ResolvedGenerator]) -> tuple[Slot, ...]:
    """Return the candidates that every prompt is to get, in the order of the generators."""
    return tuple(slot for generator in generators for slot in generator.slots)


def asks_of(
    prompt_key: str,
    messages: tuple[Message, ...],
    generators: Sequence[ResolvedGenerator],
    missing: frozenset[Slot],
) -> Iterator[GenerationAsk]:
    """Yield what to ask these generators about one prompt that lacks these slots."""
    for generator in generators:
        for slot in generator.slots:
            if slot in missing:
                yield GenerationAsk(prompt_key, messages, generator, slot)


def prompt_key(messages: Sequence[Message]) -> str:
    """Return the id of a conversation to answer.

    The reference is no part of it: a generator never sees it, so mending it costs nothing.
    """
    return prompt_id_of(messages, None)


def generator_key(model: str, system: str | None, params: Mapping[str, Any]) -> str:
    """Return the id of a way to generate: a model, a system prompt and what is sent beside them.

    As with a judge's key, the order of `params` does not matter, and 0 and 0.0 are one number.
    """
    asked = judge_key(model, "", {"params": params, "system": system})
    return _digest(f"generator\n{asked}")


def generation_id(prompt_key: str, slot: Slot) -> str:
    """Return the id of one generation. Neither the job nor the generator's nickname takes part."""
    return _digest(f"generation\n{prompt_key}\n{slot.generator_key}\n{slot.sample}")


async def generate_once(
    ask: GenerationAsk, chat: ChatModel, retries: RetryPolicy, *, now: str
) -> Generation | Deferred:
    """Return the generation of one ask, or why it stays pending.

    A reply that was cut is not asked for again: the limit is part of what was ordered.
    """
    request = request_of(ask)
    delivery = await retries.deliver(lambda: chat.complete(request))
    outcome = delivery.reply or delivery.failure
    assert outcome is not None  # a delivery has one of the two
    if isinstance(outcome, EndpointError) and not isinstance(outcome, ItemError):
        return Deferred(outcome, delivery.attempts)
    return _generation(ask, outcome, attempts=delivery.attempts, now=now)


def read_answer(text: str, finish_reason: str) -> tuple[GenerationStatus | None, str | None]:
    """Return (None, None) for a candidate, otherwise (status, reason in words)."""
    if finish_reason == "content_filter":
        return GenerationStatus.REFUSED, "the provider's content filter stopped the reply"
    if finish_reason == "length":
        cut = "cut at the token limit; raise max_tokens of the generator"
        return GenerationStatus.TRUNCATED, cut
    if finish_reason != "stop":
        why = f"finish reason {finish_reason} is not an answer"
        return GenerationStatus.UNFINISHED, why
    if not text.strip():
        return GenerationStatus.EMPTY, "the reply is empty"
    return None, None


def request_of(ask: GenerationAsk) -> ChatRequest:
    """Return what is sent to a generator for an ask."""
    generator = ask.generator
    variant = generator.variants[ask.slot.generator_key]
    return ChatRequest(
        model=generator.model,
        system="",
        user="",
        conversation=_with_system(variant.system, ask.messages),
        sampling=variant.sampling,
        max_tokens=generator.max_tokens,
    )


def _with_system(system: str | None, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    if system is None:
        return messages
    if messages[0].role != "system":
        return (Message(role="system", content=system), *messages)
    # Many chat templates refuse a second system message, and neither text may be lost.
    joined = Message(role="system", content=f"{system}\n\n{messages[0].content}")
    return (joined, *messages[1:])


def _generation(
    ask: GenerationAsk, outcome: Reply | ItemError, *, attempts: int, now: str
) -> Generation:
    """Return the generation that a reply, or the endpoint's rejection of the item, amounts to."""
    if isinstance(outcome, ItemError):
        reply = None
        failed = GenerationStatus.REFUSED if outcome.is_refusal else GenerationStatus.FAILED
        read: tuple[GenerationStatus | None, str | None] = (failed, str(outcome))
    else:
        reply = outcome
        read = read_answer(reply.text, reply.finish_reason)
    status, reason = read
    return Generation(
        generation_id=generation_id(ask.prompt_key, ask.slot),
        prompt_key=ask.prompt_key,
        generator_key=ask.slot.generator_key,
        sample=ask.slot.sample,
        model=ask.generator.model,
        sampling=_asked(ask),
        # Candidates are written into a file of pairs, which may hold no NUL character.
        text=reply.text.replace("\0", "\ufffd") if reply else "",
        status=status,
        reason=reason,
        finish_reason=reply.finish_reason if reply else None,
        input_tokens=reply.input_tokens if reply else None,
        output_tokens=reply.output_tokens if reply else None,
        cost_usd=reply.cost_usd if reply else None,
        latency_s=reply.latency_s if reply else None,
        attempts=attempts,
        created_at=now,
    )


def _asked(ask: GenerationAsk) -> dict[str, Any]:
    variant = ask.generator.variants[ask.slot.generator_key]
    asked = {**variant.sampling, "max_tokens": ask.generator.max_tokens}
    return asked if variant.system is None else {**asked, "system": variant.system}


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:32]
