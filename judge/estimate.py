"""What a job would take: calls, tokens, money and time. Pure; `judge.estimating` counts for it.

All of it is an estimate: tokens are told from characters, replies from the room they are given.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from judge.config import Endpoint
from judge.intake import IntakeReport
from judge.pricing import Price, Range, cost_range
from judge.records import Order

SHORTEST_REPLY_SHARE = 1 / 8
"""Of max_tokens: a judge that explains itself in a paragraph, given room for a page."""
ASSUMED_LATENCY_S = 5.0
"""Where the ledger holds no reply of the judge to measure."""


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
    """Asks that would be sent."""
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
    order: Order
    """In the orientation in which the pair was given."""
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

    @property
    def calls(self) -> int:
        """Asks that would be sent, to all judges together."""
        return sum(judge.calls for judge in self.judges)

    @property
    def stored(self) -> int:
        """Asks that the ledger has an answer to."""
        return sum(judge.stored for judge in self.judges)

    @property
    def prompt_tokens(self) -> Range:
        """Of all calls to all judges."""
        return total([judge.prompt_tokens for judge in self.judges])

    @property
    def reply_tokens(self) -> Range:
        """Of all calls to all judges."""
        return total([judge.reply_tokens for judge in self.judges])

    @property
    def usd(self) -> Range | None:
        """The price of all calls, None while a model that is called has no price."""
        costs = [judge.usd for judge in self.judges if judge.calls]
        known = [cost for cost in costs if cost is not None]
        return total(known) if len(known) == len(costs) else None

    @property
    def seconds(self) -> float:
        """Until the slowest endpoint is done; endpoints are asked at the same time."""
        return max((endpoint.seconds for endpoint in self.endpoints), default=0.0)

    def as_dict(self) -> dict[str, Any]:
        """Return the estimate as JSON, schema "cost/1"."""
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
            "seconds": self.seconds,
            "judges": self.judges,
            "endpoints": self.endpoints,
            "samples": self.samples,
        }


def reply_range(calls: int, max_tokens: int) -> Range:
    """Return the tokens of so many replies: from an eighth of their room to all of it.

    The likely value is the geometric middle: the range spans a factor, not a difference.
    """
    most = float(calls * max_tokens)
    least = SHORTEST_REPLY_SHARE * most
    return Range(low=least, likely=math.sqrt(least * most), high=most)


def price_range(price: Price | None, *, prompts: Range, replies: Range) -> Range | None:
    """Return what calls cost in US dollars; None without a price."""
    if price is None:
        return None
    return cost_range(price, input_tokens=prompts, output_tokens=replies)


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
