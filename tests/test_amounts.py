"""Amounts as people write them: read strictly, refused with the remedy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.errors import ConfigError
from judge.prices.amounts import limit_of, limits_of


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("20usd", ("budget_usd", 20.0)),
        ("0.5usd", ("budget_usd", 0.5)),
        ("1,000usd", ("budget_usd", 1000.0)),
        ("5000requests", ("budget_requests", 5000)),
        ("1 request", ("budget_requests", 1)),
        ("2Mtokens", ("budget_tokens", 2_000_000)),
        ("2.5Mtokens", ("budget_tokens", 2_500_000)),
        ("500ktokens", ("budget_tokens", 500_000)),
        ("1_000_000tokens", ("budget_tokens", 1_000_000)),
    ],
)
def test_an_amount_is_a_number_and_a_unit(text: str, limit: tuple[str, float]) -> None:
    assert limit_of(text) == limit
    assert type(limit_of(text)[1]) is type(limit[1])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("20", "the unit is missing"),
        ("20eur", 'there is no unit "eur"'),
        ("20USD", 'there is no unit "USD"'),
        ("2mtokens", 'there is no unit "mtokens"'),
        ("20reqests", 'did you mean "requests"'),
        ("20kusd", "k is for requests and tokens"),
        ("1.5requests", "no whole number of requests"),
        ("0usd", "is nothing"),
        ("-5usd", "is no amount"),
        ("10,00usd", "is no amount"),
        ("1e3tokens", "is no amount"),
        ("inf usd", "is no amount"),
        ("", "is no amount"),
    ],
)
def test_what_is_no_amount_is_refused_with_examples(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as error:
        limit_of(text)
    assert f'--budget "{text}": ' in str(error.value)
    assert "write 20usd" in str(error.value)


def test_the_message_names_the_flag_it_came_by() -> None:
    with pytest.raises(ConfigError, match=r'^--confirm-above "5": '):
        limit_of("5", flag="--confirm-above")


def test_several_amounts_limit_several_things_and_nothing_twice() -> None:
    assert limits_of(["20usd", "5krequests"]) == {"budget_usd": 20.0, "budget_requests": 5000}
    with pytest.raises(ConfigError, match="tokens are limited twice"):
        limits_of(["1Mtokens", "2Mtokens"])


@given(st.text())
def test_no_text_does_anything_but_be_read_or_refused(text: str) -> None:
    try:
        _, amount = limit_of(text)
    except ConfigError:
        return
    assert amount > 0
