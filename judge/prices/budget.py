"""Budgets of a job: requests, tokens and money, checked before every request is sent.

A request reserves the most it may cost and settles what it did cost, so a budget holds however
many requests are in flight. It can be overshot only by what their prompts, which are estimated,
turn out to be longer.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from judge.chat import ChatModel, ChatRequest, Reply
from judge.errors import BudgetExceeded, EndpointError, TransientError, UnreachableError
from judge.prices.pricing import Price, Usage, cost_usd, price_of, prompt_tokens, usage_of

ROUNDING_USD = 1e-9


@dataclass(frozen=True, slots=True)
class Spending:
    """What requests have cost, or may cost."""

    requests: int = 0
    """Sent ones, the repeated and the failed included."""
    tokens: int = 0
    """Of prompts and replies together."""
    usd: float = 0.0

    def __add__(self, other: "Spending") -> "Spending":
        return Spending(
            self.requests + other.requests, self.tokens + other.tokens, self.usd + other.usd
        )

    def beyond(self, other: "Spending") -> "Spending":
        """Return by how much this is more, each part by itself and never below 0."""
        usd = self.usd - other.usd
        return Spending(
            max(0, self.requests - other.requests),
            max(0, self.tokens - other.tokens),
            usd if usd > ROUNDING_USD else 0.0,
        )


class _Sum:
    """A running sum of spendings."""

    __slots__ = ("requests", "tokens", "usd")

    def __init__(self, start: Spending) -> None:
        self.requests, self.tokens, self.usd = start.requests, start.tokens, start.usd

    def add(self, spending: Spending) -> None:
        self.requests += spending.requests
        self.tokens += spending.tokens
        self.usd += spending.usd

    def subtract(self, spending: Spending) -> None:
        self.requests -= spending.requests
        self.tokens -= spending.tokens
        self.usd -= spending.usd


Kind = Literal["requests", "tokens", "usd"]
_ONE_REQUEST = Spending(requests=1)


class Budget:
    """What a job may spend over all its endpoints and resumptions. None is no limit.

    `spent` is what the run has spent before, as the ledger tells. `prices` need only hold the
    models asked; where `usd` is limited, all of them.
    """

    def __init__(
        self,
        *,
        requests: int | None = None,
        tokens: int | None = None,
        usd: float | None = None,
        prices: Mapping[str, Price] | None = None,
        spent: Spending | None = None,
    ) -> None:
        self._requests = requests
        self._tokens = tokens
        self._usd = usd
        self._prices = dict(prices or {})
        self._spent = _Sum(spent or Spending())
        self._committed = _Sum(spent or Spending())
        """Spent, and reserved for what is in flight."""
        self._in_flight = 0
        self._is_priced = False
        self._has_sent = False
        self._settled = asyncio.Event()

    @property
    def spent(self) -> Spending:
        """What has been spent, earlier jobs of the run included, without what is in flight."""
        return Spending(self._spent.requests, self._spent.tokens, self._spent.usd)

    @property
    def limits(self) -> Mapping[Kind, float]:
        """What is limited, and to how much."""
        given: dict[Kind, float | None] = {
            "usd": self._usd,
            "tokens": self._tokens,
            "requests": self._requests,
        }
        return {kind: limit for kind, limit in given.items() if limit is not None}

    @property
    def is_priced(self) -> bool:
        """Whether every model that was checked has a price, so that `spent.usd` is all there is."""
        return self._is_priced

    @property
    def has_sent(self) -> bool:
        """Whether this job has sent a request, and so may have spent anything."""
        return self._has_sent

    def check_models(self, models: Iterable[str]) -> None:
        """Raise ConfigError if money is limited and a model has no price."""
        asked = list(models)
        if self._usd is not None:
            for model in asked:
                price_of(model, self._prices)
        self._is_priced = bool(asked) and all(model in self._prices for model in asked)

    def most_of(self, request: ChatRequest) -> Spending:
        """Return the most that a request may cost: its prompt, estimated, and max_tokens.

        Raises ConfigError if money is limited and its model has no price.
        """
        if self._tokens is None and self._usd is None:
            return _ONE_REQUEST
        return self._spending(request, Usage(prompt_tokens(request), request.max_tokens))

    def reserve(self, most: Spending) -> None:
        """Set aside what a request may cost.

        Raises BudgetExceeded, having set nothing aside, if that is more than is left once all
        that is in flight is counted at its most.
        """
        over = self._first_over(self._committed, most)
        if over is not None:
            raise self._exceeded(over, most)
        self._committed.add(most)
        self._in_flight += 1
        self._has_sent = True

    async def reserve_when_settled(self, most: Spending) -> None:
        """Reserve, waiting while requests in flight may yet settle for less than they reserved.

        A reply is mostly far shorter than max_tokens: without the wait a job with many requests
        in flight would end with much of its budget unspent.
        """
        while self._may_fit_later(most):
            await self._settled.wait()
        self.reserve(most)

    def settle(self, most: Spending, actual: Spending) -> None:
        """Replace a reservation by what the request did cost."""
        self._committed.subtract(most)
        self._committed.add(actual)
        self._spent.add(actual)
        self._in_flight -= 1
        self._settled.set()  # wakes those who wait now
        self._settled.clear()

    def spent_on(self, request: ChatRequest, reply: Reply) -> Spending:
        """Return what a reply cost: as its endpoint told, or else by its tokens."""
        spending = self._spending(request, usage_of(request, reply))
        return spending if reply.cost_usd is None else replace(spending, usd=reply.cost_usd)

    def priced(self, request: ChatRequest, reply: Reply, spending: Spending) -> Reply:
        """Return the reply with what it cost, where that is known."""
        if reply.cost_usd is not None or request.model not in self._prices:
            return reply
        return replace(reply, cost_usd=spending.usd)

    def _spending(self, request: ChatRequest, usage: Usage) -> Spending:
        if self._usd is None and request.model not in self._prices:
            return Spending(1, usage.total_tokens)
        price = price_of(request.model, self._prices)
        return Spending(1, usage.total_tokens, cost_usd(price, usage))

    def _may_fit_later(self, most: Spending) -> bool:
        """Return whether a request that does not fit now may fit once others have settled."""
        over = self._first_over(self._committed, most)
        if over is None or over == "requests" or not self._in_flight:
            return False  # a request in flight stays one request; only its cost may shrink
        return self._first_over(self._spent, most) is None

    def _first_over(self, so_far: _Sum, most: Spending) -> Kind | None:
        """Return the first limit that one more request would exceed, None if none."""
        if self._requests is not None and so_far.requests + most.requests > self._requests:
            return "requests"
        if self._tokens is not None and so_far.tokens + most.tokens > self._tokens:
            return "tokens"
        if self._usd is not None and so_far.usd + most.usd > self._usd + ROUNDING_USD:
            return "usd"
        return None

    def _exceeded(self, over: Kind, most: Spending) -> BudgetExceeded:
        if over == "usd":
            spent, limit = f"${self._spent.usd:.4f}", f"${self._usd:.4f}"
            needs = f"the next request may cost ${most.usd:.4f}"
        elif over == "tokens":
            spent, limit = f"{self._spent.tokens:,}", f"{self._tokens:,} tokens"
            needs = f"the next request may need {most.tokens:,}"
        else:
            spent, limit = f"{self._spent.requests:,}", f"{self._requests:,} requests"
            needs = "the next is one too many"
        in_flight = f", {self._in_flight:,} in flight" if self._in_flight else ""
        is_begun = self._in_flight or self._spent.requests
        what = "is spent" if is_begun else "has no room for one request"
        remedy = "" if is_begun or over == "requests" else "lower max_tokens, or "
        return BudgetExceeded(
            f"the budget {what}: {spent} of {limit}{in_flight}, and {needs}; "
            f"{remedy}raise budget_{over} and run the same command again to resume"
        )


class BudgetedChat:
    """A ChatModel that sends only what a budget allows.

    It belongs inside a throttle: what waits for its turn then reserves nothing.
    """

    def __init__(self, inner: ChatModel, budget: Budget) -> None:
        self._inner = inner
        self._budget = budget

    async def complete(self, request: ChatRequest) -> Reply:
        """Return the inner model's reply, with what it cost where there is a price.

        Raises as `ChatModel.complete` does, and BudgetExceeded with nothing sent.
        """
        budget = self._budget
        most = budget.most_of(request)
        await budget.reserve_when_settled(most)
        try:
            reply = await self._inner.complete(request)
        except BaseException as error:
            budget.settle(most, most if _may_be_billed(error) else _ONE_REQUEST)
            raise
        spending = budget.spent_on(request, reply)
        budget.settle(most, spending)
        return budget.priced(request, reply, spending)


def _may_be_billed(error: BaseException) -> bool:
    """Return whether a failed request may have been worked on, and so be on the bill.

    Refusals and error statuses are free. A time-out, a lost connection, a broken body or a
    cancelled request may hide a reply that was written, so those count at their most.
    """
    if isinstance(error, UnreachableError):
        return False
    if isinstance(error, TransientError):
        return not error.kind.isdigit()  # the kind of an error status is its number
    return not isinstance(error, EndpointError)
