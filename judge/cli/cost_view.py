"""An estimate in words. Pure."""

from typing import TYPE_CHECKING

from judge.cli.progress_line import duration
from judge.cli.visible import on_one_line, visible

if TYPE_CHECKING:
    from judge.estimate import EndpointEstimate, Estimate, JudgeEstimate, PromptSample
    from judge.pricing import Range

HEAD_CHARS = 500
TAIL_CHARS = 200


def estimate_lines(estimate: "Estimate", *, over: list[str]) -> list[str]:
    """Return what a job would take; `over` names budgets that it may exceed."""
    intake = estimate.intake
    left_out = f"; {intake.n_bad_lines:,} lines left out" if intake.n_bad_lines else ""
    noun = "prompt" if estimate.is_of_generating else "pair"
    lines = [
        f"input    {_many(intake.pairs, noun)}, {estimate.contents:,} distinct{left_out}",
        f"calls    {_calls(estimate)}",
    ]
    for judge in estimate.judges:
        role = "answers" if estimate.is_of_generating else "judge"
        lines += _judge_lines(judge, role, is_alone=len(estimate.judges) == 1)
    if len(estimate.judges) > 1:
        lines += [f"all      {_tokens(estimate.prompt_tokens, estimate.reply_tokens)}"]
        lines += [
            f"         {_price(estimate.usd, [j.model for j in estimate.judges if not j.usd])}"
        ]
    lines += [_time_line(estimate, endpoint) for endpoint in estimate.endpoints]
    if over:
        lines.append(f"budget   {', '.join(over)} may end the job before it is done")
    if estimate.is_of_generating:
        lines.append("         judging comes on top: judge cost says it once the pairs are written")
    lines.append(
        "         all of it is estimated: tokens from characters, replies from 1/8 of max_tokens "
        "to all of it"
    )
    return lines


def sample_lines(sample: "PromptSample") -> list[str]:
    """Return a prompt as it would be sent, with its middle left out where it is long."""
    parts = [f"--- {on_one_line(sample.judge)}, {sample.order.value} order"]
    if sample.system:
        parts += ["[system]", _shortened(sample.system)]
    return [*parts, "[user]", _shortened(sample.user)]


def _calls(estimate: "Estimate") -> str:
    words = f"{estimate.calls:,} to send"
    if estimate.stored:
        words += f"; {estimate.stored:,} stored already and not asked again"
    if unaskable := sum(judge.unaskable for judge in estimate.judges):
        words += f"; {unaskable:,} cannot be asked: the template shows what the pair lacks"
    return words


def _judge_lines(judge: "JudgeEstimate", role: str, *, is_alone: bool) -> list[str]:
    calls = "" if is_alone else f", {judge.calls:,} calls"
    return [
        f"{role:<9}{on_one_line(judge.name)}: model {on_one_line(judge.model)}{calls}",
        f"         {_tokens(judge.prompt_tokens, judge.reply_tokens)}",
        f"         {_price(judge.usd, [judge.model])}",
    ]


def _tokens(prompts: "Range", replies: "Range") -> str:
    return (
        f"prompts about {prompts.likely:,.0f} tokens ({prompts.low:,.0f} to {prompts.high:,.0f}), "
        f"replies {replies.low:,.0f} to {replies.high:,.0f}"
    )


def _price(usd: "Range | None", unpriced: list[str]) -> str:
    if usd is None:
        tables = ", ".join(f'[prices."{on_one_line(model)}"]' for model in dict.fromkeys(unpriced))
        return f"price unknown; set {tables}"
    return f"price ${usd.low:,.4f} to ${usd.high:,.4f}"


def _time_line(estimate: "Estimate", endpoint: "EndpointEstimate") -> str:
    judges = [judge for judge in estimate.judges if judge.endpoint == endpoint.name]
    measured = [judge for judge in judges if judge.is_latency_measured]
    source = "measured" if len(measured) == len(judges) else "assumed"
    latency_s = max(judge.latency_s for judge in judges)
    limit = {
        "max_in_flight": f"{endpoint.max_in_flight:,} at the same time and {latency_s:.1f} s a "
        f"reply ({source})",
        "rpm": "its requests per minute",
        "tpm": "its tokens per minute",
    }[endpoint.bound_by]
    name = f"endpoint {on_one_line(endpoint.name)} at {on_one_line(endpoint.base_url)}"
    return f"time     about {duration(endpoint.seconds)} at {name}: {limit}"


def _shortened(text: str) -> str:
    if len(text) > HEAD_CHARS + TAIL_CHARS:
        left_out = len(text) - HEAD_CHARS - TAIL_CHARS
        middle = f"\n... {left_out:,} characters ...\n"
        text = text[:HEAD_CHARS] + middle + text[-TAIL_CHARS:]
    return visible(text)


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
