"""An estimate in words. Pure."""

from typing import TYPE_CHECKING

from judge.cli.progress_line import duration
from judge.cli.visible import on_one_line, visible

if TYPE_CHECKING:
    from judge.prices.estimate import EndpointEstimate, Estimate, JudgeEstimate, PromptSample
    from judge.prices.pricing import Range

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
    for stage in estimate.stages:
        lines += _stage_lines(stage, is_alone=len(estimate.askers) == 1)
    if len(estimate.askers) > 1:
        unpriced = [asker for asker in estimate.askers if asker.usd is None and asker.calls]
        lines += [
            f"all      prompts {_tokens(estimate.prompt_tokens)}, "
            f"replies {_tokens(estimate.reply_tokens)}",
            f"         {_price(estimate.usd, unpriced)}{_batch_price(estimate.batch_usd)}",
        ]
    lines += [_time_line(stage, end) for stage in estimate.stages for end in stage.endpoints]
    if over:
        lines.append(f"budget   {', '.join(over)} may end the job before it is done")
    if estimate.judging is not None:
        lines.append(
            "         judging is estimated as if no two answers were alike and no pair were judged"
        )
    elif estimate.is_of_generating:
        lines.append("         judging comes on top: judge cost says it, where a judge is set")
    return lines


def spending_line(estimate: "Estimate") -> str:
    """Return what a job may take at most, in one line."""
    tokens = estimate.prompt_tokens.high + estimate.reply_tokens.high
    unpriced = [asker for asker in estimate.askers if asker.usd is None and asker.calls]
    price = _price(None, unpriced) if estimate.usd is None else f"${estimate.usd.high:,.2f}"
    return f"at most {estimate.calls:,} requests, {tokens:,.0f} tokens, {price}"


def sample_lines(sample: "PromptSample") -> list[str]:
    """Return a prompt as it would be sent, the middle of a long user text left out.

    The system text stays whole: it holds the criteria.
    """
    order = "" if sample.order is None else f", {sample.order.value} order"
    parts = [f"--- {on_one_line(sample.judge)}{order}"]
    if sample.system:
        parts += ["[system]", visible(sample.system)]
    return [*parts, "[user]", _shortened(sample.user)]


def _calls(estimate: "Estimate") -> str:
    words = f"{estimate.calls:,} to send"
    if estimate.judging is not None:
        answers = estimate.calls - estimate.judging.calls
        words += f": {answers:,} for answers, {estimate.judging.calls:,} for judging them"
    least = sum(
        asker.calls if asker.least_calls is None else asker.least_calls for asker in estimate.askers
    )
    if least < estimate.calls:
        words += f" at most, {least:,} at first: the replies decide what else is asked"
    if estimate.stored:
        words += f"; {estimate.stored:,} stored already and not asked again"
    if unaskable := sum(asker.unaskable for asker in estimate.askers):
        words += f"; {unaskable:,} cannot be asked: the template shows what the pair lacks"
    return words


def _stage_lines(stage: "Estimate", *, is_alone: bool) -> list[str]:
    role = "answers" if stage.is_of_generating else "judge"
    return [line for asker in stage.judges for line in _asker_lines(asker, role, is_alone=is_alone)]


def _asker_lines(asker: "JudgeEstimate", role: str, *, is_alone: bool) -> list[str]:
    calls = "" if is_alone else f", {asker.calls:,} calls"
    lines = [
        f"{role:<9}{on_one_line(asker.name)}: model {on_one_line(asker.model)}{calls}",
        f"         prompts {_tokens(asker.prompt_tokens)}, counted by {asker.token_source}",
        f"         replies {_tokens(asker.reply_tokens)}: {asker.reply_source}",
        f"         {_price(asker.usd, [asker])}{_source(asker)}",
    ]
    if asker.batch_usd is not None:
        assumed = "assumed: " if asker.is_batch_assumed else ""
        lines.append(
            f"         in batches {_dollars(asker.batch_usd)} ({assumed}{asker.batch_source})"
        )
    return lines


def _tokens(tokens: "Range") -> str:
    return f"about {tokens.likely:,.0f} tokens ({tokens.low:,.0f} to {tokens.high:,.0f})"


def _price(usd: "Range | None", unpriced: "list[JudgeEstimate]") -> str:
    if usd is None:
        models = dict.fromkeys(asker.model for asker in unpriced)
        tables = ", ".join(f'[prices."{on_one_line(model)}"]' for model in models)
        return f"price unknown; set {tables}"
    return f"price {_dollars(usd)}"


def _source(asker: "JudgeEstimate") -> str:
    price = asker.price
    if price is None:
        return ""
    if price.is_free:
        return f" ({asker.price_source}: a model that costs nothing)"
    each = f"${price.input_per_million:g} in, ${price.output_per_million:g} out per million tokens"
    if price.cached_input_per_million is not None:
        each += f", ${price.cached_input_per_million:g} in from a cache"
    if asker.dearer_above is not None:
        each += f"; more above {asker.dearer_above:,} tokens a prompt"
    return f" ({asker.price_source}: {each})"


def _batch_price(usd: "Range | None") -> str:
    return "" if usd is None else f"; in batches {_dollars(usd)}"


def _dollars(usd: "Range") -> str:
    return f"${usd.low:,.4f} to ${usd.high:,.4f}"


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
