"""One judgment: an ask becomes a request, the reply becomes a verdict or the reason why not."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from judge.chat import ChatModel, ChatRequest, Reply
from judge.errors import ConfigError, EndpointError, ItemError
from judge.identity import judge_key, judgment_id
from judge.job.retry import Delivery, RetryPolicy
from judge.records import Judgment, Order, Status
from judge.replies.reading import Read, parser_of, read_reply
from judge.replies.verdict_json import verdict_schema
from judge.settings.config import Endpoint, Judge
from judge.settings.overlay import put
from prompts.errors import PromptError
from prompts.few_shots import load_few_shots, with_few_shots
from prompts.loader import load_prompt
from prompts.shown import Shown
from prompts.template import JudgePrompt, Rendered, VerdictFormat

LETTER_TOKENS = 8
"""Room for a verdict of one letter, what may stand around it, and the end."""


@dataclass(frozen=True, slots=True)
class ResolvedJudge:
    """A judge of the settings with its prompt read and its identity computed."""

    judge_key: str
    name: str
    endpoint: str
    model: str
    prompt: JudgePrompt
    sampling: Mapping[str, Any]
    """As it is sent, without `max_tokens`."""
    max_tokens: int
    """The room of a reply, its thinking included."""
    top_logprobs: int | None = None
    """How many alternatives of each token to ask the probabilities of; None asks for none."""
    json_schema: Mapping[str, Any] | None = None
    """What the reply must follow, as the endpoint is told; None tells it nothing."""


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
class Asked:
    """An ask whose texts are not at hand any more, such as one whose reply comes much later."""

    content_id: str
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
        prompt = _prompt_of(judge)
    except PromptError as error:
        raise ConfigError(f'judge "{judge.display_name}": {error}') from error
    is_token = prompt.verdict_format is VerdictFormat.TOKEN
    if is_token and judge.max_tokens == 1:
        raise ConfigError(
            f'judge "{judge.display_name}": max_tokens = 1 leaves no room to see that the reply '
            f"ends after its letter, so every one counts as cut; set max_tokens = {LETTER_TOKENS}"
        )
    is_json = prompt.verdict_format is VerdictFormat.JSON
    if judge.json_schema is not None and not is_json:
        raise ConfigError(
            f'judge "{judge.display_name}": json_schema is for prompts whose verdict is JSON, and '
            f'{judge.prompt} wants another; take prompt = "pair-json", or remove json_schema'
        )
    sampling = _sampling(judge, endpoint)
    is_schema_left_out = is_json and judge.json_schema is False
    asked = {
        **sampling,
        "max_tokens": judge.max_tokens,
        "reasoning_tokens": judge.reasoning_tokens,
        "json_schema": False if is_schema_left_out else None,
        **endpoint.asked,
    }
    return ResolvedJudge(
        judge_key=judge_key(judge.model, prompt.digest, asked),
        name=judge.display_name,
        endpoint=judge.endpoint,
        model=judge.model,
        prompt=prompt,
        sampling=sampling,
        max_tokens=judge.max_tokens + (judge.reasoning_tokens or 0),
        top_logprobs=judge.top_logprobs if is_token else None,
        json_schema=(
            verdict_schema(allow_tie=prompt.allows_tie)
            if is_json and not is_schema_left_out
            else None
        ),
    )


def _prompt_of(judge: Judge) -> JudgePrompt:
    prompt = load_prompt(judge.prompt, judge.criteria)
    if judge.examples is not None:
        return with_few_shots(prompt, load_few_shots(judge.examples, judge.few_shots))
    if judge.few_shots is not None:
        raise ConfigError(
            f'judge "{judge.display_name}": few_shots = {judge.few_shots} needs a file to '
            'take them from; add examples = "FILE", as judge tune writes one, or remove few_shots'
        )
    return prompt


def _sampling(judge: Judge, endpoint: Endpoint) -> dict[str, Any]:
    """Return what is sent beside the prompt; ConfigError where two settings send one field."""
    sampling: dict[str, Any] = judge.sampling()
    field = endpoint.reasoning_tokens_field
    if field is None or judge.reasoning_tokens is None:
        return sampling
    outermost = field.partition(".")[0]
    if outermost in sampling or outermost in endpoint.extra_body:
        raise ConfigError(
            f'endpoint "{judge.endpoint}": reasoning_tokens_field = "{field}" sends {outermost}, '
            "which another setting sends too; remove one of them"
        )
    put(sampling, field, judge.reasoning_tokens)
    return sampling


async def judge_once(
    ask: Ask, chat: ChatModel, retries: RetryPolicy, *, now: str
) -> Judgment | Deferred:
    """Return the judgment of one ask, or why it stays pending.

    A reply that was cut at the token limit is never read: it is asked once more with twice the
    limit and then counted as truncated.
    """
    try:
        rendered = rendered_of(ask)
    except PromptError as error:  # such as a missing reference: nothing is sent
        return judgment_of(ask, ItemError(str(error)), attempts=0, rewrites=0, now=now)
    request = request_of(ask.judge, rendered)
    delivery = await retries.deliver(lambda: chat.complete(request))
    if delivery.reply is not None and delivery.reply.finish_reason == "length":
        delivery = await _longer(delivery, request, chat, retries)
    outcome, attempts = delivery.reply or delivery.failure, delivery.attempts
    assert outcome is not None  # a delivery has one of the two
    if isinstance(outcome, EndpointError) and not isinstance(outcome, ItemError):
        return Deferred(outcome, attempts)
    return judgment_of(ask, outcome, attempts=attempts, rewrites=rendered.rewrites, now=now)


async def _longer(
    cut: Delivery, request: ChatRequest, chat: ChatModel, retries: RetryPolicy
) -> Delivery:
    """Return the delivery of the same request with twice the room, or the cut one if refused."""
    longer = replace(request, max_tokens=2 * request.max_tokens)
    again = await retries.deliver(lambda: chat.complete(longer))
    # Twice the limit may exceed the model's context; that says nothing against the item.
    kept = cut if isinstance(again.failure, ItemError) else again
    both = replace(kept, attempts=cut.attempts + again.attempts)
    cut_usd = cut.reply.cost_usd if cut.reply else None
    if kept is cut or kept.reply is None or kept.reply.cost_usd is None or cut_usd is None:
        return both
    return replace(both, reply=replace(kept.reply, cost_usd=cut_usd + kept.reply.cost_usd))


def rendered_of(ask: Ask) -> Rendered:
    """Return the prompt of an ask; raises PromptError where its pair cannot be shown."""
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
        top_logprobs=judge.top_logprobs,
        json_schema=judge.json_schema,
    )


def judgment_of(
    ask: Ask | Asked, outcome: Reply | ItemError, *, attempts: int, rewrites: int, now: str
) -> Judgment:
    """Return the judgment that a reply, or the endpoint's rejection of the item, amounts to."""
    prompt = ask.judge.prompt
    if isinstance(outcome, ItemError):
        reply = None
        status = Status.REFUSED if outcome.is_refusal else Status.FAILED
        read = Read(status=status, reason=str(outcome))
    else:
        reply = outcome
        read = read_reply(
            reply,
            allows_tie=prompt.allows_tie,
            verdict_format=prompt.verdict_format,
            criteria=prompt.criteria,
        )
    p_a, p_b, p_tie = read.probabilities or (None, None, None)
    return Judgment(
        judgment_id=judgment_id(ask.content_id, ask.judge.judge_key, ask.order, ask.sample),
        content_id=ask.content_id,
        judge_key=ask.judge.judge_key,
        order=ask.order,
        sample=ask.sample,
        reply=reply.text if reply else "",
        finish_reason=reply.finish_reason if reply else None,
        verdict=read.verdict,
        status=read.status,
        reason=read.reason,
        reasoning=reply.reasoning if reply else None,
        p_a=p_a,
        p_b=p_b,
        p_tie=p_tie,
        grade=read.grade,
        ratings=dict(read.ratings) if read.ratings else None,
        input_tokens=reply.input_tokens if reply else None,
        cached_tokens=reply.cached_tokens if reply else None,
        output_tokens=reply.output_tokens if reply else None,
        cost_usd=reply.cost_usd if reply else None,
        latency_s=reply.latency_s if reply else None,
        attempts=attempts,
        rewrites=rewrites,
        parser=parser_of(prompt.verdict_format),
        created_at=now,
    )
