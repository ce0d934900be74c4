"""What a job would take: calls, tokens, money and time. Pure.

`judge.prices.estimating` counts for it. All of it is an estimate: replies are told from earlier
ones, or else from the room they are given.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from judge.inputs.intake import IntakeReport
from judge.prices.price_list import Quote, batch_quote
from judge.prices.pricing import Price, Range, cost_range
from judge.prices.token_counting import RULE_OF_THUMB
from judge.records import Order
from judge.settings.config import Endpoint

SHORTEST_REPLY_SHARE = 1 / 8
"""Of max_tokens: a judge that explains itself in a paragraph, given room for a page."""
ASSUMED_LATENCY_S = 5.0
"""Where the ledger holds no reply of the judge to measure."""
BY_ROOM = "1/8 of max_tokens to all of it"
"""How long replies are taken to be where there are none to measure."""
NOTHING = Range(0.0, 0.0, 0.0)
MEASURED = "measured on the newest in the ledger"


@dataclass(frozen=True, slots=True)
class JudgeEstimate:
    """What asking one judge, or one generator, would take."""

    name: str
    model: str
    endpoint: str
    max_tokens: int
    stored: int
    """Asks that the ledger has an answer to, which are not sent again."""
    calls: int
    """Asks that would be sent, at most."""
    unaskable: int
    """Asks that the template cannot show, such as those without a reference answer."""
    prompt_tokens: Range
    """Of all calls together, as are the other two."""
    reply_tokens: Range
    usd: Range | None
    """None where the model has no price."""
    latency_s: float
    """Of one call."""
    is_latency_measured: bool
    least_calls: int | None = None
    """Asks that would be sent in any case; None where that is all of them."""
    token_source: str = RULE_OF_THUMB
    """How the tokens of prompts are counted, in words."""
    reply_source: str = BY_ROOM
    """How long replies are taken to be, in words."""
    price: Price | None = None
    """Per million tokens."""
    price_source: str | None = None
    """Where the price comes from, in words."""
    dearer_above: int | None = None
    """Prompt tokens above which a call costs more than is counted here."""
    batch_usd: Range | None = None
    """The price of the same calls in the provider's batches."""
    batch_source: str | None = None
    """How that is known, in words."""
    is_batch_assumed: bool = False


@dataclass(frozen=True, slots=True)
class EndpointEstimate:
    """How long one endpoint would be busy."""

    name: str
    base_url: str
    seconds: float
    bound_by: str
    """What makes it so long: max_in_flight, rpm or tpm."""
    max_in_flight: int


@dataclass(frozen=True, slots=True)
class PromptSample:
    """One prompt as it would be sent."""

    judge: str
    order: Order | None
    """In the orientation in which the pair was given; None for a prompt to answer."""
    system: str
    user: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a job would take. Nothing was sent or written to tell it."""

    intake: IntakeReport
    contents: int
    """Distinct pairs: the same answers are asked about once, whatever they are called."""
    judges: tuple[JudgeEstimate, ...]
    endpoints: tuple[EndpointEstimate, ...]
    samples: tuple[PromptSample, ...]
    is_of_generating: bool = False
    """Whether prompts are answered, so that `judges` are generators and `contents` prompts."""
    judging: "Estimate | None" = None
    """Judging the pairs of the answers, where prompts are answered and there is a judge."""

    @property
    def stages(self) -> "tuple[Estimate, ...]":
        """This, and the judging that follows it."""
        return (self,) if self.judging is None else (self, self.judging)

    @property
    def askers(self) -> list[JudgeEstimate]:
        """All judges and generators of all stages."""
        return [asker for stage in self.stages for asker in stage.judges]

    @property
    def calls(self) -> int:
        """Asks that would be sent at most, to all together, as is everything below."""
        return sum(asker.calls for asker in self.askers)

    @property
    def stored(self) -> int:
        """Asks that the ledger has an answer to."""
        return sum(asker.stored for asker in self.askers)

    @property
    def prompt_tokens(self) -> Range:
        return total([asker.prompt_tokens for asker in self.askers])

    @property
    def reply_tokens(self) -> Range:
        return total([asker.reply_tokens for asker in self.askers])

    @property
    def usd(self) -> Range | None:
        """The price of all calls, None while a model that is called has no price."""
        return _known_total([asker.usd for asker in self.askers if asker.calls])

    @property
    def batch_usd(self) -> Range | None:
        """The price of all calls in batches, None while that of one model is unknown."""
        return _known_total([asker.batch_usd for asker in self.askers if asker.calls])

    @property
    def seconds(self) -> float:
        """Until the slowest endpoint is done; endpoints are asked at the same time."""
        return sum(
            max((endpoint.seconds for endpoint in stage.endpoints), default=0.0)
            for stage in self.stages
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the estimate as JSON, schema "cost/1". Totals are those of all stages."""
        return {
            "schema": "cost/1",
            "kind": "generate" if self.is_of_generating else "judge",
            "pairs": self.intake.pairs,
            "bad_lines": self.intake.n_bad_lines,
            "contents": self.contents,
            "calls": self.calls,
            "stored": self.stored,
            "prompt_tokens": self.prompt_tokens,
            "reply_tokens": self.reply_tokens,
            "usd": self.usd,
            "batch_usd": self.batch_usd,
            "seconds": self.seconds,
            "judges": self.judges,
            "endpoints": self.endpoints,
            "samples": self.samples,
            "judging": None if self.judging is None else self.judging.as_dict(),
        }


def reply_range(calls: int, max_tokens: int) -> Range:
    """Return the tokens of so many replies: from an eighth of their room to all of it.

    The likely value is the geometric middle: the range spans a factor, not a difference.
    """
    most = float(calls * max_tokens)
    least = SHORTEST_REPLY_SHARE * most
    return Range(low=least, likely=math.sqrt(least * most), high=most)


def priced(estimate: JudgeEstimate, quote: Quote | None, endpoint: Endpoint) -> dict[str, Any]:
    """Return the fields of an estimate that tell money; none where its model has no price."""
    if quote is None:
        return {}
    tokens = {"input_tokens": estimate.prompt_tokens, "output_tokens": estimate.reply_tokens}
    batch = batch_quote(quote, endpoint)
    return {
        "usd": cost_range(quote.price, **tokens),
        "price": quote.price,
        "price_source": quote.source,
        "dearer_above": quote.dearer_above,
        "batch_usd": None if batch is None else cost_range(batch.price, **tokens),
        "batch_source": None if batch is None else batch.source,
        "is_batch_assumed": batch is not None and batch.is_assumed,
    }


def endpoint_estimate(
    name: str, endpoint: Endpoint, judges: Sequence[JudgeEstimate]
) -> EndpointEstimate:
    """Return how long an endpoint would take for its judges' calls at its limits."""
    calls = sum(judge.calls for judge in judges)
    busy_s = sum(judge.calls * judge.latency_s for judge in judges)
    bounds: dict[str, float] = {"max_in_flight": busy_s / min(endpoint.max_in_flight, calls or 1)}
    if endpoint.rpm is not None:
        bounds["rpm"] = 60 * calls / endpoint.rpm
    if endpoint.tpm is not None:
        tokens = sum(judge.prompt_tokens.likely + judge.reply_tokens.likely for judge in judges)
        bounds["tpm"] = 60 * tokens / endpoint.tpm
    bound_by = max(bounds, key=lambda limit: bounds[limit])
    return EndpointEstimate(
        name=name,
        base_url=endpoint.address,
        seconds=bounds[bound_by],
        bound_by=bound_by,
        max_in_flight=endpoint.max_in_flight,
    )


def endpoint_estimates(
    endpoints: Mapping[str, Endpoint], askers: Sequence[JudgeEstimate]
) -> tuple[EndpointEstimate, ...]:
    """Return how long each endpoint would take that is asked, by name."""
    return tuple(
        endpoint_estimate(name, endpoints[name], [a for a in askers if a.endpoint == name])
        for name in sorted({asker.endpoint for asker in askers})
    )


def over_budget(estimate: Estimate, budgets: Mapping[str, float | None]) -> list[str]:
    """Return the names of budgets that the job may exceed before it is done.

    `budgets` are budget_requests, budget_tokens and budget_usd; None is no limit.
    """
    tokens = estimate.prompt_tokens.high + estimate.reply_tokens.high
    needs = {
        "budget_requests": float(estimate.calls),
        "budget_tokens": tokens,
        "budget_usd": estimate.usd.high if estimate.usd is not None else None,
    }
    return [
        name
        for name, need in needs.items()
        if need is not None and (limit := budgets.get(name)) is not None and need > limit
    ]


def total(ranges: Sequence[Range]) -> Range:
    """Return the sum of ranges, bound by bound: the widest it can be."""
    return Range(
        low=sum(r.low for r in ranges),
        likely=sum(r.likely for r in ranges),
        high=sum(r.high for r in ranges),
    )


def _known_total(ranges: Sequence[Range | None]) -> Range | None:
    known = [each for each in ranges if each is not None]
    return total(known) if len(known) == len(ranges) else None
