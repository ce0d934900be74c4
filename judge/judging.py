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
from judge.verdicts import PARSER, parse_verdict
from prompts.errors import PromptError
from prompts.filling import ANSWER_HOLES
from prompts.loader import load_prompt
from prompts.template import JudgePrompt, VerdictFormat


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
class Texts:
    """What a judge is shown of a pair, in canonical orientation."""

    question: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Ask:
    """One question to put to one judge."""

    content_id: str
    texts: Texts
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
    if prompt.holes != ANSWER_HOLES or prompt.verdict_format is not VerdictFormat.MTBENCH:
        raise ConfigError(
            f'judge "{judge.display_name}": prompt {judge.prompt} shows more than a question and '
            "two answers, or wants no explanation; judging cannot use it, use pair or pair-tie"
        )
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


def texts_of(prompt_json: str, first_json: str, second_json: str) -> Texts:
    """Return the texts to show, from messages as they are stored."""
    return Texts(
        question=_question(from_json(prompt_json)),
        first=_answer(from_json(first_json)),
        second=_answer(from_json(second_json)),
    )


async def judge_once(
    ask: Ask, chat: ChatModel, retries: RetryPolicy, *, now: str
) -> Judgment | Deferred:
    """Return the judgment of one ask, or why it stays pending.

    A reply that was cut at the token limit is never read: it is asked once more with twice the
    limit and then counted as truncated.
    """
    request, rewrites = _request(ask)
    delivery = await retries.deliver(lambda: chat.complete(request))
    if delivery.reply is not None and delivery.reply.finish_reason == "length":
        delivery = await _longer(delivery, request, chat, retries)
    outcome, attempts = delivery.reply or delivery.failure, delivery.attempts
    assert outcome is not None  # a delivery has one of the two
    if isinstance(outcome, EndpointError) and not isinstance(outcome, ItemError):
        return Deferred(outcome, attempts)
    return _judgment(ask, outcome, attempts=attempts, rewrites=rewrites, now=now)


async def _longer(
    cut: Delivery, request: ChatRequest, chat: ChatModel, retries: RetryPolicy
) -> Delivery:
    """Return the delivery of the same request with twice the room, or the cut one if refused."""
    longer = replace(request, max_tokens=2 * request.max_tokens)
    again = await retries.deliver(lambda: chat.complete(longer))
    # Twice the limit may exceed the model's context; that says nothing against the item.
    kept = cut if isinstance(again.failure, ItemError) else again
    return replace(kept, attempts=cut.attempts + again.attempts)


def _request(ask: Ask) -> tuple[ChatRequest, int]:
    shown_a, shown_b = ask.texts.first, ask.texts.second
    if ask.order is Order.REVERSED:
        shown_a, shown_b = shown_b, shown_a
    rendered = ask.judge.prompt.render(
        question=ask.texts.question, answer_a=shown_a, answer_b=shown_b
    )
    request = ChatRequest(
        model=ask.judge.model,
        system=rendered.system,
        user=rendered.user,
        sampling=ask.judge.sampling,
        max_tokens=ask.judge.max_tokens,
    )
    return request, rendered.rewrites


def read_reply_text(
    text: str, finish_reason: str, *, allows_tie: bool
) -> tuple[Verdict | None, Status | None, str | None]:
    """Return (verdict, None, None), or (None, status, reason in words) where there is none.

    Only a reply that ended by itself is read: a cut one may end in a working guess.
    """
    if finish_reason == "length":
        cut = "cut at the token limit; raise max_tokens of the judge"
        return None, Status.TRUNCATED, cut
    if finish_reason == "content_filter":
        return None, Status.REFUSED, "the provider's content filter stopped the reply"
    if finish_reason != "stop":
        return None, Status.UNPARSED, f"finish reason {finish_reason} is not an answer"
    verdict = parse_verdict(text, allow_tie=allows_tie)
    if verdict is None:
        return None, Status.UNPARSED, "the reply does not end in one clear verdict"
    return verdict, None, None


def _judgment(
    ask: Ask, outcome: Reply | ItemError, *, attempts: int, rewrites: int, now: str
) -> Judgment:
    """Return the judgment that a reply, or the endpoint's rejection of the item, amounts to."""
    if isinstance(outcome, ItemError):
        reply = None
        status = Status.REFUSED if outcome.is_refusal else Status.FAILED
        read: tuple[Verdict | None, Status | None, str | None] = (None, status, str(outcome))
    else:
        reply = outcome
        allows_tie = ask.judge.prompt.allows_tie
        read = read_reply_text(reply.text, reply.finish_reason, allows_tie=allows_tie)
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
        parser=PARSER,
        created_at=now,
    )


def _question(messages: list[dict[str, str]]) -> str:
    """Return a conversation as one text: the user's words alone, or turns with their roles."""
    if len(messages) == 1:
        return messages[0]["content"]
    return "\n\n".join(f"{m['role'].capitalize()}: {m['content']}" for m in messages)


def _answer(messages: list[dict[str, str]]) -> str:
    return "\n\n".join(m["content"] for m in messages if m["role"] == "assistant")
