"""Where prices come from: the config first, then the packaged list, and never a model's name."""

import socket
from typing import Any

import pytest

from judge.prices.price_list import (
    CONFIG,
    Quote,
    batch_quote,
    is_own_machine,
    listed_quote,
    paid_in_batch,
    price_warnings,
    quotes_of,
)
from judge.prices.pricing import Price
from judge.settings.config import Endpoint, Judge, Run, Settings

genai_prices = pytest.importorskip("genai_prices", reason="the extra cost is not installed")

OPENAI = "https://api.openai.com/v1"
LOCAL = "http://127.0.0.1:8000/v1"
MODEL = "gpt-4o-mini"
PRICE = Price(input_per_million=1.0, output_per_million=2.0)


def asking(*judges: Judge, prices: dict[str, Price] | None = None, **run: Any) -> Settings:
    return Settings(
        endpoints={"openai": Endpoint(base_url=OPENAI), "local": Endpoint(base_url=LOCAL)},
        judges=judges,
        prices=prices or {},
        run=Run(**run),
    )


def test_a_known_model_at_its_provider_has_its_list_price_and_says_so() -> None:
    quote = quotes_of(asking(Judge(model=MODEL, endpoint="openai")))[MODEL]
    assert 0 < quote.price.input_per_million < quote.price.output_per_million
    assert quote.price.cached_input_per_million is not None
    assert quote.source == f"genai-prices {genai_prices.__version__} for openai"


def test_the_config_goes_before_the_list() -> None:
    settings = asking(Judge(model=MODEL, endpoint="openai"), prices={MODEL: PRICE})
    assert quotes_of(settings) == {MODEL: Quote(PRICE, CONFIG)}


@pytest.mark.parametrize(
    "address",
    [
        LOCAL,
        "http://localhost:8000/v1",
        "http://[::1]:8000/v1",
        "http://10.1.2.3/v1",
        "http://192.168.0.9:11434/v1",
        "http://gpu-box:8000/v1",
        "http://gpu.local/v1",
        "https://proxy.example.com/v1",
    ],
)
def test_a_model_elsewhere_is_not_priced_by_its_name(address: str) -> None:
    assert listed_quote(MODEL, address) is None


def test_a_model_in_this_process_has_no_price_and_no_batch() -> None:
    settings = Settings(
        endpoints={"gpu": Endpoint(engine="vllm")}, judges=(Judge(model=MODEL, endpoint="gpu"),)
    )
    assert quotes_of(settings) == {}
    assert batch_quote(Quote(PRICE, CONFIG), settings.endpoints["gpu"]) is None


def test_a_model_that_the_provider_does_not_list_has_no_price() -> None:
    assert listed_quote("no-such-model-of-anyone", OPENAI) is None


def test_a_price_that_tokens_cannot_tell_is_none() -> None:
    # Each request to it costs a fee beside its tokens.
    assert listed_quote("sonar", "https://api.perplexity.ai") is None


def test_a_model_asked_at_home_too_has_no_price() -> None:
    both = asking(
        Judge(model=MODEL, endpoint="openai"), Judge(model=MODEL, endpoint="local", seed=1)
    )
    assert quotes_of(both) == {}


def test_prices_are_found_without_any_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    listed_quote.cache_clear()
    assert listed_quote("gpt-4o", OPENAI) is not None


def test_prices_that_grow_with_the_prompt_say_from_where() -> None:
    quote = listed_quote("gemini-2.5-pro", "https://generativelanguage.googleapis.com/v1beta")
    assert quote is not None
    assert quote.dearer_above == 200_000


@pytest.mark.parametrize(
    ("address", "is_own"),
    [
        (LOCAL, True),
        ("http://0.0.0.0:1/v1", True),
        ("http://169.254.1.1/v1", True),
        ("http://[fd00::1]/v1", True),
        ("http://judge/v1", True),
        ("http://judge.internal/v1", True),
        ("http://8.8.8.8/v1", False),
        (OPENAI, False),
    ],
)
def test_own_machines_are_told_from_the_rest(address: str, is_own: bool) -> None:
    assert is_own_machine(address) is is_own


# Batches


def test_a_batch_costs_what_the_config_says_then_what_the_list_says() -> None:
    quote = listed_quote(MODEL, OPENAI)
    assert quote is not None
    listed = batch_quote(quote, Endpoint(base_url=OPENAI))
    assert listed is not None
    assert listed.source == quote.source
    assert listed.price.output_per_million == quote.price.output_per_million / 2
    told = batch_quote(quote, Endpoint(base_url=OPENAI, batch_discount=0.25))
    assert told is not None
    assert told.source == "batch_discount 0.25"
    assert told.price == quote.price.times(0.75)


@pytest.mark.parametrize(
    ("address", "is_assumed"),
    [
        (OPENAI, False),
        ("https://team.openai.azure.com/openai/v1", False),
        ("https://api.openai.com.example.org/v1", True),
        ("https://models.example.com/v1", True),
        (LOCAL, True),
    ],
)
def test_half_the_price_is_called_an_assumption_where_nobody_promises_it(
    address: str, is_assumed: bool
) -> None:
    found = batch_quote(Quote(PRICE, CONFIG), Endpoint(base_url=address))
    assert found is not None
    assert found.price == PRICE.times(0.5)
    assert found.is_assumed is is_assumed


def test_a_model_that_costs_nothing_is_no_cheaper_in_a_batch() -> None:
    free = Quote(Price(input_per_million=0, output_per_million=0), CONFIG)
    assert batch_quote(free, Endpoint(base_url=LOCAL)) is None


def test_what_came_in_a_batch_was_paid_at_a_discount_that_is_known_and_no_other() -> None:
    prices = {"m": PRICE}
    known = Endpoint(base_url=LOCAL, batch_discount=0.25)
    assert paid_in_batch("m", known, prices) == PRICE.times(0.75)
    assert paid_in_batch("m", Endpoint(base_url=OPENAI), prices) == PRICE.times(0.5)
    assert paid_in_batch("m", Endpoint(base_url=LOCAL), prices) == PRICE
    assert paid_in_batch("other", Endpoint(base_url=LOCAL), prices) is None
    free = Price(input_per_million=0, output_per_million=0)
    assert paid_in_batch("m", known, {"m": free}) == free


# What is odd


def test_a_budget_in_money_that_limits_nothing_is_warned_of() -> None:
    free = Price(input_per_million=0, output_per_million=0)
    local = Judge(model="m", endpoint="local")
    [warning] = price_warnings(asking(local, prices={"m": free}, budget_usd=1.0))
    assert "limits nothing" in warning
    assert not list(price_warnings(asking(local, prices={"m": PRICE}, budget_usd=1.0)))
    assert not list(price_warnings(asking(local, prices={"m": free})))
    other = Judge(model="other", endpoint="local")
    paid = asking(local, other, prices={"m": free, "other": PRICE}, budget_usd=1.0)
    assert not list(price_warnings(paid))
