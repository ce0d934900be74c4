"""What requests weigh and cost: tokens estimated from text, money from a table of prices. Pure.

No tokenizer is asked here: every model has its own, so an estimate by characters is as honest as a
count by the wrong one. What was really used is read from the endpoint's own counts. Where prices
come from is the business of `judge.prices.price_list`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field

from judge.chat import ChatRequest, Reply
from judge.errors import ConfigError
from judge.records import Record

CHARACTERS_PER_TOKEN = 4.0
"""The rule of thumb that OpenAI gives for English (help center, "What are tokens and how to
count them"); code and digits have about 3."""
TOKENS_PER_EXTRA_BYTE = 0.375
"""Added for every byte of UTF-8 beyond one per character: an assumption, not a measurement. It
makes Greek or Cyrillic 0.6 tokens a character, Chinese, Japanese and Korean 1, an emoji 1.4.
Tokenizers differ much here (Petrov et al. 2023, "Language model tokenizers introduce unfairness
between languages")."""
TOKENS_PER_MESSAGE = 4
"""What a chat template wraps around each message."""
LOW_SHARE = 0.7
HIGH_SHARE = 1.6
"""From prose of long words (5.7 characters a token) to code and rare scripts (2.5)."""
PER_MILLION = 1_000_000

Dollars = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]


class Price(Record):
    """The price of one model in US dollars per million tokens, without discounts.

    In the config file: `[prices."MODEL"]` with `input = 2.5`, `output = 10.0` and, where it is
    known, `cached_input = 1.25`. A price of 0 is that of a model that costs nothing.
    """

    model_config = ConfigDict(populate_by_name=True, hide_input_in_errors=True)

    input_per_million: Dollars = Field(alias="input")
    output_per_million: Dollars = Field(alias="output")
    cached_input_per_million: Dollars | None = Field(default=None, alias="cached_input")
    """Of input tokens taken from a prefix cache; None prices them as any other."""

    @property
    def is_free(self) -> bool:
        """Whether nothing is ever paid."""
        return not self.input_per_million and not self.output_per_million

    def times(self, share: float) -> "Price":
        """Return this price times a share of it."""
        cached = self.cached_input_per_million
        return Price(
            input_per_million=share * self.input_per_million,
            output_per_million=share * self.output_per_million,
            cached_input_per_million=None if cached is None else share * cached,
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more requests."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    """Of the input tokens, those taken from a prefix cache."""

    @property
    def total_tokens(self) -> int:
        """Prompts and replies together."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Range:
    """An estimated quantity, in tokens or in US dollars, and the range it likely lies in."""

    low: float
    likely: float
    high: float

    def times(self, factor: float) -> "Range":
        """Return the range of so many times the quantity."""
        return Range(factor * self.low, factor * self.likely, factor * self.high)


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a text has, by its characters: an estimate, see `token_range`.

    0 only for no text. Text beyond ASCII costs more tokens a character.
    """
    if text.isascii():
        return math.ceil(len(text) / CHARACTERS_PER_TOKEN)
    extra_bytes = len(text.encode("utf-8", "surrogatepass")) - len(text)
    return math.ceil(len(text) / CHARACTERS_PER_TOKEN + TOKENS_PER_EXTRA_BYTE * extra_bytes)


def token_range(tokens: int) -> Range:
    """Return the range that the true count of `tokens` estimated ones likely lies in."""
    return Range(low=LOW_SHARE * tokens, likely=float(tokens), high=HIGH_SHARE * tokens)


def prompt_tokens(request: ChatRequest, count: Callable[[str], int] = estimate_tokens) -> int:
    """Return about how many tokens the prompt of a request has, its texts counted by `count`."""
    texts: Sequence[str] = (request.system, request.user) if request.system else (request.user,)
    if request.conversation:
        texts = [message.content for message in request.conversation]
    return sum(count(text) + TOKENS_PER_MESSAGE for text in texts)


def usage_of(request: ChatRequest, reply: Reply) -> Usage:
    """Return what a request used: as the endpoint counted, estimated where it did not say."""
    used, made = reply.input_tokens, reply.output_tokens
    return Usage(
        input_tokens=prompt_tokens(request) if used is None else used,
        output_tokens=estimate_tokens(reply.text) if made is None else made,
        cached_tokens=0 if used is None else min(reply.cached_tokens or 0, used),
    )


def price_of(model: str, prices: Mapping[str, Price]) -> Price:
    """Return the price of a model; ConfigError where the table has none."""
    price = prices.get(model)
    if price is None:
        raise ConfigError(
            f'there is no price for model "{model}", which a budget in US dollars needs; add '
            f'[prices."{model}"] with input and output in dollars per million tokens to the '
            "config (0 for a model that costs nothing), or set a budget in tokens instead"
        )
    return price


def cost_usd(price: Price, usage: Usage) -> float:
    """Return what tokens cost in US dollars; cached ones at the full price unless it has theirs."""
    cached, fresh = price.cached_input_per_million, usage.input_tokens
    usd = price.output_per_million * usage.output_tokens
    if cached is not None:
        fresh -= usage.cached_tokens
        usd += cached * usage.cached_tokens
    return (usd + price.input_per_million * fresh) / PER_MILLION


def cost_range(price: Price, *, input_tokens: Range, output_tokens: Range) -> Range:
    """Return the range of a cost in US dollars, given the ranges of its tokens."""

    def cost(given: float, made: float) -> float:
        return (price.input_per_million * given + price.output_per_million * made) / PER_MILLION

    return Range(
        low=cost(input_tokens.low, output_tokens.low),
        likely=cost(input_tokens.likely, output_tokens.likely),
        high=cost(input_tokens.high, output_tokens.high),
    )
