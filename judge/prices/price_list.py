"""What models cost: by the config first, then by the price list that genai-prices brings along.

A list price is found by the address that a model is asked at and never by its name alone: a model
on a machine of one's own costs what that machine costs. Nothing is fetched. genai-prices reads the
list that is packaged with it unless its updater is started, and nobody here starts it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from judge.candidates.generators import Generator
from judge.prices.pricing import Price
from judge.settings.config import Endpoint, Judge, Settings

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice

CONFIG = "config"
"""Source of a price that the config sets."""
LIST = "genai-prices"
BATCH_SHARE = 0.5
"""Of the price, what a batch costs where nothing better is known."""
HALF_PRICE_HOSTS = (
    "api.openai.com",
    "openai.azure.com",
    "api.anthropic.com",
    "generativelanguage.googleapis.com",
    "api.mistral.ai",
    "api.groq.com",
    "api.together.xyz",
)
"""Providers whose price pages promise half the price for batches."""
NOT_BY_TOKENS = (
    "requests_kcount",
    "input_text_messages_kcount",
    "output_reasoning_mtok",
    "output_citation_mtok",
)
"""Parts of a list price that tokens in and out cannot tell: with one of them it is no price."""


@dataclass(frozen=True, slots=True)
class Quote:
    """The price of one model, and where it comes from."""

    price: Price
    source: str
    """Such as "config" or "genai-prices 0.2.3 for openai"."""
    batch: Price | None = None
    """In the provider's batches, where the price list tells it."""
    dearer_above: int | None = None
    """Prompt tokens above which the provider asks for more than `price`."""


@dataclass(frozen=True, slots=True)
class BatchQuote:
    """What a model costs in a provider's batches, and how that is known."""

    price: Price
    source: str
    is_assumed: bool = False


def quotes_of(settings: Settings) -> dict[str, Quote]:
    """Return model -> price, for the models with a price among those of the config.

    A model that is asked at several addresses has the dearest of their list prices, and none
    while one of them is unknown, so that a budget in money always holds.
    """
    quotes = {model: Quote(price, CONFIG) for model, price in settings.prices.items()}
    addresses: dict[str, set[str | None]] = {}
    for asker in _askers(settings):
        if asker.model not in quotes:
            address = settings.endpoint_of(asker).base_url
            addresses.setdefault(asker.model, set()).add(address)
    for model, asked_at in addresses.items():
        listed = [listed_quote(model, address) for address in asked_at if address is not None]
        known = [quote for quote in listed if quote is not None]
        if len(known) == len(asked_at):
            quotes[model] = max(known, key=_dearness)
    return quotes


def prices_of(settings: Settings) -> dict[str, Price]:
    """Return model -> price alone; see `quotes_of`."""
    return {model: quote.price for model, quote in quotes_of(settings).items()}


def price_warnings(settings: Settings) -> Iterator[str]:
    """Yield what is odd about the prices beside the budget."""
    if settings.run.budget_usd is None:
        return
    quotes = quotes_of(settings)
    models = dict.fromkeys(asker.model for asker in _askers(settings))
    free = [model for model in models if model in quotes and quotes[model].price.is_free]
    if free and len(free) == len(models):
        yield (
            "budget_usd limits nothing: every model has a price of 0; set its price, or a budget "
            "in requests or tokens"
        )


def batch_quote(quote: Quote, endpoint: Endpoint) -> BatchQuote | None:
    """Return what a model would cost in a batch at its endpoint.

    None where nothing is to be saved: for a model in this process, and for one that costs nothing.
    """
    if endpoint.base_url is None or quote.price.is_free:
        return None
    if (discount := endpoint.batch_discount) is not None:
        return BatchQuote(quote.price.times(1 - discount), f"batch_discount {discount:g}")
    if quote.batch is not None:
        return BatchQuote(quote.batch, quote.source)
    half, host = quote.price.times(BATCH_SHARE), _host(endpoint.base_url)
    if any(host == known or host.endswith(f".{known}") for known in HALF_PRICE_HOSTS):
        return BatchQuote(half, f"half the price at {host}")
    return BatchQuote(half, "half the price; set batch_discount of the endpoint", is_assumed=True)


def paid_in_batch(model: str, endpoint: Endpoint, prices: Mapping[str, Price]) -> Price | None:
    """Return the price of a model whose replies came in a batch; None without a price.

    A discount that nobody promises is not counted on: then it is the full price.
    """
    if model in prices:
        quote: Quote | None = Quote(prices[model], CONFIG)
    else:
        quote = listed_quote(model, endpoint.base_url) if endpoint.base_url else None
    if quote is None:
        return None
    batch = batch_quote(quote, endpoint)
    return quote.price if batch is None or batch.is_assumed else batch.price


@cache
def listed_quote(model: str, address: str) -> Quote | None:
    """Return the list price of a model at an address.

    None for an address that the list does not know, for one on this machine or a private network,
    for a model that its provider's list lacks, and where genai-prices is not installed.
    """
    if is_own_machine(address):
        return None
    try:
        from genai_prices import Usage, calc_price
    except ImportError:
        return None
    try:
        usual = calc_price(Usage(), model, provider_api_url=address)
        batched = calc_price(
            Usage(), model, provider_api_url=address, price_context={"processing": "batch"}
        )
    except LookupError:
        return None
    price = _price(usual.model_price)
    if price is None:
        return None
    has_batch_price = batched.model_price != usual.model_price
    return Quote(
        price=price,
        source=f"{LIST} {version(LIST)} for {usual.provider.id}",
        batch=_price(batched.model_price) if has_batch_price else None,
        dearer_above=_first_tier(usual.model_price),
    )


def is_own_machine(address: str) -> bool:
    """Return whether an address is on this machine, a private network or a bare host name."""
    host = _host(address)
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".localhost", ".lan"))


def has_price_list() -> bool:
    """Return whether genai-prices is installed."""
    try:
        version(LIST)
    except PackageNotFoundError:
        return False
    return True


def _askers(settings: Settings) -> list[Judge | Generator]:
    return [*settings.judges, *settings.generators]


def _price(listed: "ModelPrice") -> Price | None:
    """Return a list price as ours, at the rate of its shortest prompts; None where it is no such.

    The longer a prompt, the more some providers ask: see `Quote.dearer_above`.
    """
    if any(getattr(listed, part) is not None for part in NOT_BY_TOKENS):
        return None
    given, made = _rate(listed.input_mtok), _rate(listed.output_mtok)
    if given is None or made is None:
        return None
    return Price(
        input_per_million=given,
        output_per_million=made,
        cached_input_per_million=_rate(listed.cache_read_mtok),
    )


def _rate(rate: Any) -> float | None:
    """Return dollars per million tokens; a rate with tiers has a base."""
    if rate is None:
        return None
    return float(getattr(rate, "base", rate))


def _first_tier(listed: "ModelPrice") -> int | None:
    tiers = [
        tier.start
        for rate in (listed.input_mtok, listed.output_mtok)
        for tier in getattr(rate, "tiers", ())
    ]
    return min(tiers, default=None)


def _dearness(quote: Quote) -> tuple[float, float]:
    return quote.price.output_per_million, quote.price.input_per_million


def _host(address: str) -> str:
    return (urlsplit(address).hostname or "").lower()
