"""Tokens estimated from text, and what they cost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from judge.chat import ChatRequest, Reply
from judge.errors import ConfigError
from judge.prices.pricing import (
    Price,
    Range,
    Usage,
    cost_range,
    cost_usd,
    estimate_tokens,
    price_of,
    prompt_tokens,
    token_range,
    usage_of,
)

PRICE = Price(input_per_million=2.5, output_per_million=10.0)


def request_of(system: str, user: str) -> ChatRequest:
    return ChatRequest("m", system, user, {}, 100)


def test_a_price_is_read_as_the_config_file_writes_it() -> None:
    cached = Price.model_validate({"input": 2.5, "output": 10.0, "cached_input": 1.25})
    assert cached.cached_input_per_million == 1.25
    assert Price.model_validate({"input": 2.5, "output": 10.0}) == PRICE
    assert Price.model_validate({"input": 0, "output": 0}).input_per_million == 0


@pytest.mark.parametrize(
    "table",
    [
        {"input": 2.5},
        {"input": -1.0, "output": 1.0},
        {"input": float("inf"), "output": 1.0},
        {"input": float("nan"), "output": 1.0},
        {"input": "2.5", "output": 1.0},
        {"input": 2.5, "output": 1.0, "cached": 0.1},
        {"input": 2.5, "output": 1.0, "cached_input": -0.1},
    ],
)
def test_a_price_that_is_no_price_is_refused(table: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Price.model_validate(table)


def test_a_cost_is_tokens_times_the_price_per_million() -> None:
    assert cost_usd(PRICE, Usage(1_000_000, 0)) == 2.5
    assert cost_usd(PRICE, Usage(2_000, 300)) == pytest.approx(0.005 + 0.003)


def test_cached_tokens_have_their_own_price_or_that_of_any_other() -> None:
    used = Usage(1_000_000, 0, cached_tokens=800_000)
    assert cost_usd(PRICE, used) == 2.5
    cheaper = PRICE.model_copy(update={"cached_input_per_million": 0.25})
    assert cost_usd(cheaper, used) == pytest.approx(0.2 * 2.5 + 0.8 * 0.25)


@given(st.floats(0, 1))
def test_a_share_of_a_price_costs_that_share(share: float) -> None:
    price = PRICE.model_copy(update={"cached_input_per_million": 0.25})
    used = Usage(10_000, 500, cached_tokens=4_000)
    assert cost_usd(price.times(share), used) == pytest.approx(share * cost_usd(price, used))


def test_a_model_without_a_price_is_named_with_the_table_to_add() -> None:
    assert price_of("m", {"m": PRICE}) is PRICE
    with pytest.raises(ConfigError, match=r'"gpt-x".*\[prices\."gpt-x"\] with input and output'):
        price_of("gpt-x", {"m": PRICE})


def test_english_has_about_four_characters_a_token() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens("a") == 1
    assert estimate_tokens("x" * 4_000) == 1_000


def test_other_scripts_cost_more_tokens_a_character() -> None:
    german, greek, chinese = "ein schöner Tag" * 100, "μια ωραία ημέρα" * 100, "美好的一天" * 100
    assert estimate_tokens(german) / len(german) == pytest.approx(0.275, abs=0.01)
    assert estimate_tokens(greek) / len(greek) == pytest.approx(0.575, abs=0.03)
    assert estimate_tokens(chinese) / len(chinese) == pytest.approx(1.0)


@given(st.text(st.characters()), st.text(st.characters()))
def test_more_text_never_has_fewer_tokens_nor_more_than_bytes(one: str, other: str) -> None:
    both = estimate_tokens(one + other)
    assert max(estimate_tokens(one), estimate_tokens(other)) <= both
    assert both <= estimate_tokens(one) + estimate_tokens(other)
    assert both <= len((one + other).encode("utf-8", "surrogatepass"))


def test_a_lone_surrogate_has_tokens_like_any_character() -> None:
    assert estimate_tokens("\ud800") == 1


def test_a_prompt_weighs_its_messages_and_what_wraps_them() -> None:
    assert prompt_tokens(request_of("", "x" * 40)) == 14
    assert prompt_tokens(request_of("y" * 20, "x" * 40)) == 23


def test_usage_is_what_the_endpoint_counted_and_an_estimate_where_it_did_not() -> None:
    request = request_of("", "x" * 40)
    assert usage_of(request, Reply("abcd", "stop", 7, 3, 0.1)) == Usage(7, 3)
    assert usage_of(request, Reply("abcd" * 5, "stop", None, None, 0.1)) == Usage(14, 5)
    assert usage_of(request, Reply("", "stop", 0, 0, 0.1)).total_tokens == 0


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_cost_lies_in_the_range_that_its_tokens_span(given_tokens: int, made: int) -> None:
    cost = cost_range(
        PRICE, input_tokens=token_range(given_tokens), output_tokens=token_range(made)
    )
    assert cost.low <= cost.likely <= cost.high
    assert cost.likely == pytest.approx(cost_usd(PRICE, Usage(given_tokens, made)))


def test_a_range_of_tokens_states_its_width() -> None:
    assert token_range(1_000) == Range(low=700.0, likely=1_000.0, high=1_600.0)
