"""From the body of a chat request to its answer, faults included. Pure."""

from dataclasses import dataclass, replace
from hmac import compare_digest
from typing import Any

from pydantic import ValidationError

from judge.simulator import messages
from judge.simulator.abilities import able
from judge.simulator.answers import asked_of, best_answer
from judge.simulator.draws import digest, uniform
from judge.simulator.faults import Delivery, Fault, Flaw, draw_delivery
from judge.simulator.forms import wants_json, wording
from judge.simulator.letters import LETTERS, compose_letter, letter_logprobs, verdict_weights
from judge.simulator.messages import ChatRequest, Response
from judge.simulator.opinion import ShownPair, decide_verdict, read_prompt
from judge.simulator.refusing import refused_field
from judge.simulator.replies import (
    NO_PAIR,
    compose_json,
    compose_reply,
    compose_thinking,
    compose_unparsable,
)
from judge.simulator.settings import MODEL, Logprobs, Reasoning, SimulatorSettings
from judge.simulator.sums import checking_reply
from judge.simulator.thinking import Said, said_after


@dataclass(frozen=True, slots=True)
class Answer:
    """What becomes of one chat request."""

    response: Response | None
    """None when the request is never answered."""
    cause: str | None = None
    """Why it is not a plain reply, as counted in the statistics."""
    fault: Fault | None = None
    latency_s: float = 0.0


def refuse(
    settings: SimulatorSettings, authorization: str | None, *, served: int, in_flight: int
) -> Answer | None:
    """Return the answer to a request that is not let in, whatever its body; None lets it in.

    `served` counts the chat requests before this one, `in_flight` those not yet answered.
    """
    if settings.required_key is not None:
        expected = f"Bearer {settings.required_key}".encode()
        if not compare_digest((authorization or "").encode(), expected):
            wrong_key = messages.error(401, "the API key is not valid.", code="invalid_api_key")
            return Answer(wrong_key, "invalid_key")
    if settings.account_fault is not None and served >= settings.account_fault_after:
        response = messages.account_error(settings.account_fault)
        return Answer(response, settings.account_fault.value)
    limit = settings.max_concurrency
    if limit is not None and in_flight >= limit:
        why = f"more than {limit} requests in flight"
        return Answer(messages.rate_limited(settings.retry_after_s, why=why), "overload")
    return None


def answer_chat(
    settings: SimulatorSettings,
    body: bytes,
    *,
    body_digest: bytes,
    earlier_sends: int,
    created: int,
) -> Answer:
    """Return the answer to a request that was let in.

    `earlier_sends` counts the times this body was let in before; `created` is in seconds since
    1970 and goes into the reply as it is.
    """
    try:
        request = ChatRequest.model_validate_json(body)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        return Answer(messages.error(400, f"{where}: {first['msg']}.", param=where), "invalid")
    rejection = _reject(settings, request)
    if rejection is not None:
        return rejection
    settings = able(settings, request)
    delivery = draw_delivery(settings, body_digest, earlier_sends=earlier_sends)
    if delivery.fault in _ANSWERED_INSTEAD or delivery.fault in _NEVER_ANSWERED:
        return _instead(settings, delivery)
    if delivery.flaw is Flaw.UNPARSABLE and request.model in settings.generators:
        delivery = replace(delivery, flaw=None)  # an answer has no verdict to spoil
    response = _completion(settings, request, delivery, body_digest=body_digest, created=created)
    cause = delivery.fault or delivery.flaw
    return Answer(response, cause, delivery.fault, delivery.latency_s)


def _completion(
    settings: SimulatorSettings,
    request: ChatRequest,
    delivery: Delivery,
    *,
    body_digest: bytes,
    created: int,
) -> Response:
    # Sampling at temperature 0 repeats itself; above it every sending is a sample of its own.
    voice = body_digest if request.temperature == 0 else delivery.digest
    said = _reply(settings, request, delivery, voice=voice)
    content = said.content
    return messages.completion(
        content,
        said.finish_reason,
        reasoning=said.reasoning,
        reply_id=voice[:12].hex(),
        created=created,
        prompt_chars=_prompt_chars(request),
        model=request.model if request.model in settings.generators else MODEL,
        logprobs=_logprobs(settings, request, content, voice=voice) if request.logprobs else None,
    )


def _reject(settings: SimulatorSettings, request: ChatRequest) -> Answer | None:
    if request.stream or request.n not in (None, 1):
        unsupported = "stream" if request.stream else "n"
        message = f"{unsupported} is not supported; ask for one reply at a time, not streamed."
        return Answer(messages.error(400, message, param=unsupported), "invalid")
    if request.logprobs and settings.logprobs is Logprobs.REFUSED:
        refused = messages.error(400, "logprobs are not supported.", param=messages.LOGPROBS)
        return Answer(refused, messages.LOGPROBS)
    if (found := refused_field(settings, request)) is not None:
        return Answer(found[1], f"refused_{found[0]}")
    prompt_chars = _prompt_chars(request)
    if settings.context_chars is not None and prompt_chars > settings.context_chars:
        return Answer(_context_exceeded(prompt_chars, settings.context_chars), "context_length")
    return None


_ANSWERED_INSTEAD = frozenset({Fault.RATE_LIMITED, Fault.SERVER_ERROR, Fault.HTML})
_NEVER_ANSWERED = frozenset({Fault.RESET, Fault.HANG})


def _instead(settings: SimulatorSettings, delivery: Delivery) -> Answer:
    fault, latency_s = delivery.fault, delivery.latency_s
    match fault:
        case Fault.RATE_LIMITED:
            # A limiter answers before any work is done.
            why = "too many requests per minute"
            return Answer(messages.rate_limited(settings.retry_after_s, why=why), fault, fault)
        case Fault.SERVER_ERROR:
            failed = messages.error(500, "the server failed; try again.", kind="server_error")
            return Answer(failed, fault, fault, latency_s)
        case Fault.HTML:
            return Answer(messages.html_page(), fault, fault, latency_s)
        case _:
            return Answer(None, fault, fault, latency_s)


def _reply(
    settings: SimulatorSettings, request: ChatRequest, delivery: Delivery, *, voice: bytes
) -> Said:
    if delivery.flaw is Flaw.CONTENT_FILTER:
        return Said("", "content_filter")
    if delivery.flaw is Flaw.EMPTY:
        return Said("")
    said = _said(settings, request, delivery, voice=voice)
    limit = len(said.reasoning) + len(said.content)
    if delivery.flaw is Flaw.LENGTH:
        limit = int(limit * delivery.cut)
    if request.token_limit is not None:
        limit = min(limit, request.token_limit * messages.CHARS_PER_TOKEN)
    return said.cut_to(limit)


def _said(
    settings: SimulatorSettings, request: ChatRequest, delivery: Delivery, *, voice: bytes
) -> Said:
    content = _content(settings, request, delivery, voice=voice)
    shown = _shown(request) if settings.reasoning is not Reasoning.NONE else None
    if shown is None:
        return Said(content)
    verdict = decide_verdict(settings, shown, voice=voice)
    thinking = compose_thinking(verdict, settings.reasoning_words, voice=voice)
    return said_after(thinking, content, settings.reasoning)


def _content(
    settings: SimulatorSettings, request: ChatRequest, delivery: Delivery, *, voice: bytes
) -> str:
    shown = _shown(request)
    if shown is not None:
        verdict = decide_verdict(settings, shown, voice=voice)
        if shown.is_letter_wanted:
            is_unparsable = delivery.flaw is Flaw.UNPARSABLE
            return compose_letter(verdict, voice=voice, is_unparsable=is_unparsable)
        if delivery.flaw is Flaw.UNPARSABLE:
            return compose_unparsable(verdict, settings.reply_words, voice=voice)
        if wants_json(shown):
            # Models that were not given the schema like to fence what they write.
            is_fenced = request.response_format is None and voice[4] % 4 == 0
            return compose_json(verdict, settings.reply_words, voice=voice, is_fenced=is_fenced)
        form = wording(settings, shown, verdict, voice=voice)
        return compose_reply(
            verdict, settings.reply_words, voice=voice, above=form.above, last=form.last
        )
    drafts = settings.generators.get(request.model)
    if drafts is None:
        if (checked := checking_reply(settings, *_texts(request), voice=voice)) is not None:
            return checked
        return NO_PAIR
    return best_answer(
        asked_of(request.messages),
        seed=settings.seed,
        drafts=drafts,
        words=settings.answer_words,
        voice=_voice_of_answer(settings, request, sending=voice),
    )


def _texts(request: ChatRequest) -> tuple[str, str]:
    """Return the system texts and the last user text."""
    system = "\n".join(m.text for m in request.messages if m.role in ("system", "developer"))
    user = [m.text for m in request.messages if m.role == "user"]
    return system, user[-1] if user else ""


def _shown(request: ChatRequest) -> ShownPair | None:
    system_text = "\n".join(m.text for m in request.messages if m.role in ("system", "developer"))
    return read_prompt(system_text, [m.text for m in request.messages if m.role == "user"])


def _logprobs(
    settings: SimulatorSettings, request: ChatRequest, content: str, *, voice: bytes
) -> dict[str, Any] | None:
    """Return the token probabilities of a reply, where it is the letter of a verdict."""
    shown = _shown(request)
    verdict = next((said for said, letter in LETTERS.items() if letter == content), None)
    if shown is None or verdict is None or settings.logprobs is not Logprobs.OFFERED:
        return None
    weights = verdict_weights(settings, shown, verdict, voice=voice)
    return letter_logprobs(weights, verdict, top=request.top_logprobs or 0)


def _voice_of_answer(settings: SimulatorSettings, request: ChatRequest, *, sending: bytes) -> bytes:
    """Return what decides an answer: the colder the sampling, the likelier the one greedy text.

    A seed in the request makes every sending of its conversation the same sample.
    """
    temperature = 1.0 if request.temperature is None else request.temperature
    said = [part.encode() for m in request.messages for part in (m.role, m.text)]
    greedy = digest(settings.seed, b"greedy", request.model.encode(), *said)
    if request.seed is not None:
        sending = digest(settings.seed, b"seeded", greedy, b"%d %r" % (request.seed, temperature))
    return greedy if uniform(sending, 4) < max(0.0, 1.0 - temperature) ** 2 else sending


def _prompt_chars(request: ChatRequest) -> int:
    return sum(len(message.text) for message in request.messages)


def _context_exceeded(prompt_chars: int, context_chars: int) -> Response:
    message = f"the prompt has {prompt_chars} characters; at most {context_chars} fit the context."
    return messages.error(400, message, code="context_length_exceeded", param="messages")
