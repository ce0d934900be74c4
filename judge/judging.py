"""One judgment: an ask becomes a request, the reply becomes a verdict or the reason why not."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import from_json

from judge.chat import ChatModel, ChatRequest, Reply
from judge.config import Endpoint, Judge
from judge.errors import ConfigError, EndpointError, ItemError
from judge.identity import judge_key, judgment_id
from judge.records import Judgment, Order, Status, Verdict
from judge.retry import Delivery, RetryPolicy
from judge.verdict_token import PARSER as TOKEN_PARSER
from judge.verdict_token import parse_verdict_token
from judge.verdicts import PARSER as MTBENCH_PARSER
from judge.verdicts import parse_verdict
from prompts.errors import PromptError
from prompts.loader import load_prompt
from prompts.shown import Shown, conversation
from prompts.template import JudgePrompt, Rendered, VerdictFormat

Read = tuple[Verdict | None, Status | None, str | None]
"""A verdict, or a status and the reason in words."""


@dataclass(frozen=True, slots=True)
class ResolvedJudge:
    """A judge of the settings with its prompt read and its identity computed."""

    judge_key: str
    name: str
    endpoint: str
    model: str
    prompt: JudgePrompt
    sampling: Mapping[str, Any]
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Ask:
    """One question to put to one judge."""

    content_id: str
    shown: Shown
    """In canonical orientation; `order` says whether it is exchanged."""
    judge: ResolvedJudge
    order: Order
    sample: int


@dataclass(frozen=True, slots=True)
class Deferred:
    """An ask that stays pending, with the last failure. Never a judgment."""

    failure: EndpointError
    """An AccountError when no ask can succeed, otherwise a TransientError."""
    attempts: int
    """Requests sent."""

    @property
    def reason(self) -> str:
        return str(self.failure)


def resolve_judge(judge: Judge, endpoint: Endpoint) -> ResolvedJudge:
    """Return the judge ready to ask; raises ConfigError when its prompt cannot be used."""
    try:
        prompt = load_prompt(judge.prompt)
    except PromptError as error:
        raise ConfigError(f'judge "{judge.display_name}": {error}') from error
    asked = {**judge.sampling(), "max_tokens": judge.max_tokens, **endpoint.extra_body}
    return ResolvedJudge(
        judge_key=judge_key(judge.model, prompt.digest, asked),
        name=judge.display_name,
        endpoint=judge.endpoint,
        model=judge.model,
        prompt=prompt,
        sampling=judge.sampling(),
        max_tokens=judge.max_tokens,
    )


def shown_of(prompt_json: str, reference: str | None, first_json: str, second_json: str) -> Shown:
    """Return what a judge is shown, from messages as they are stored."""
    prompt = from_json(prompt_json)
    first, second = _answers(first_json), _answers(second_json)
    references = () if reference is None else (reference,)
    if len(prompt) == 1:
        return Shown(prompt[0]["content"], first[0], second[0], references)
    return Shown(
        question=_transcript(prompt),
        answer_a="\n\n".join(first),
        answer_b="\n\n".join(second),
        references=references,
        conversation_a=conversation(prompt, first),
        conversation_b=conversation(prompt, second),
    )


async def judge_once(
    ask: Ask, chat: ChatModel, retries: RetryPolicy, *, now: str
) -> Judgment | Deferred:
    """Return the judgment of one ask, or why it stays pending.

    A reply that was cut at the token limit is never read: it is asked once more with twice the
    limit and then counted as truncated.
    """
    try:
        rendered = _rendered(ask)
    except PromptError as error:  # such as a missing reference: nothing is sent
        return _judgment(ask, ItemError(str(error)), attempts=0, rewrites=0, now=now)
    request = request_of(ask.judge, rendered)
    delivery = await retries.deliver(lambda: chat.complete(request))
    if delivery.reply is not None and delivery.reply.finish_reason == "length":
        delivery = await _longer(delivery, request, chat, retries)
    outcome, attempts = delivery.reply or delivery.failure, delivery.attempts
    assert outcome is not None  # a delivery has one of the two
    if isinstance(outcome, EndpointError) and not isinstance(outcome, ItemError):
        return Deferred(outcome, attempts)
    return _judgment(ask, outcome, attempts=attempts, rewrites=rendered.rewrites, now=now)


async def _longer(
    cut: Delivery, request: ChatRequest, chat: ChatModel, retries: RetryPolicy
) -> Delivery:
    """Return the delivery of the same request with twice the room, or the cut one if refused."""
    longer = replace(request, max_tokens=2 * request.max_tokens)
    again = await retries.deliver(lambda: chat.complete(longer))
    # Twice the limit may exceed the model's context; that says nothing against the item.
    kept = cut if isinstance(again.failure, ItemError) else again
    return replace(kept, attempts=cut.attempts + again.attempts)


def _rendered(ask: Ask) -> Rendered:
    shown = ask.shown if ask.order is Order.FORWARD else ask.shown.exchanged
    return ask.judge.prompt.render_pair(shown)


def request_of(judge: ResolvedJudge, rendered: Rendered) -> ChatRequest:
    """Return what is sent to a judge for a rendered prompt."""
    return ChatRequest(
        model=judge.model,
        system=rendered.system,
        user=rendered.user,
        sampling=judge.sampling,
        max_tokens=judge.max_tokens,
    )


def parser_of(verdict_format: VerdictFormat) -> str:
    """Return the name and version of the rule that reads replies in a format."""
    return TOKEN_PARSER if verdict_format is VerdictFormat.TOKEN else MTBENCH_PARSER


def read_reply_text(
    text: str,
    finish_reason: str,
    *,
    allows_tie: bool,
    verdict_format: VerdictFormat = VerdictFormat.MTBENCH,
) -> Read:
    """Return (verdict, None, None), or (None, status, reason in words) where there is none.

    Only a reply that ended by itself is read: a cut one may end in a working guess.
    """
    if finish_reason == "length":
        cut = "cut at the token limit; raise max_tokens of the judge"
        return None, Status.TRUNCATED, cut
    if finish_reason == "content_filter":
        return None, Status.REFUSED, "the provider's content filter stopped the reply"
    if finish_reason == "error":
        return None, Status.FAILED, "the judge's endpoint failed; no reply was given"
    if finish_reason != "stop":
        return None, Status.UNPARSED, f"finish reason {finish_reason} is not an answer"
    parse = parse_verdict_token if verdict_format is VerdictFormat.TOKEN else parse_verdict
    verdict = parse(text, allow_tie=allows_tie)
    if verdict is None:
        return None, Status.UNPARSED, "the reply does not end in one clear verdict"
    return verdict, None, None


def _judgment(
    ask: Ask, outcome: Reply | ItemError, *, attempts: int, rewrites: int, now: str
) -> Judgment:
    """Return the judgment that a reply, or the endpoint's rejection of the item, amounts to."""
    prompt = ask.judge.prompt
    if isinstance(outcome, ItemError):
        reply = None
        status = Status.REFUSED if outcome.is_refusal else Status.FAILED
        read: Read = (None, status, str(outcome))
    else:
        reply = outcome
        read = read_reply_text(
            reply.text,
            reply.finish_reason,
            allows_tie=prompt.allows_tie,
            verdict_format=prompt.verdict_format,
        )
    verdict, no_verdict, reason = read
    return Judgment(
        judgment_id=judgment_id(ask.content_id, ask.judge.judge_key, ask.order, ask.sample),
        content_id=ask.content_id,
        judge_key=ask.judge.judge_key,
        order=ask.order,
        sample=ask.sample,
        reply=reply.text if reply else "",
        finish_reason=reply.finish_reason if reply else None,
        verdict=verdict,
        status=no_verdict,
        reason=reason,
        input_tokens=reply.input_tokens if reply else None,
        output_tokens=reply.output_tokens if reply else None,
        latency_s=reply.latency_s if reply else None,
        attempts=attempts,
        rewrites=rewrites,
        parser=parser_of(prompt.verdict_format),
        created_at=now,
    )


def _answers(messages_json: str) -> list[str]:
    return [m["content"] for m in from_json(messages_json) if m["role"] == "assistant"]


def _transcript(messages: list[dict[str, str]]) -> str:
    """Return a conversation as one text, each turn with its role."""
    return "\n\n".join(f"{m['role'].capitalize()}: {m['content']}" for m in messages)
