"""Counting tokens before they are sent, and saying how sure the count is."""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.chat import ChatRequest
from judge.prices import token_counting
from judge.prices.pricing import Range, prompt_tokens
from judge.prices.token_counting import (
    BY_CHARACTERS,
    LEAST_MEASURED,
    counter_for,
    measured_counter,
    reply_percentiles,
    tiktoken_counter,
)

REQUEST = ChatRequest("m", "", "x" * 400, {}, 100)
FILE = b"an encoding"


def test_without_anything_to_go_by_characters_are_counted_and_the_range_is_wide() -> None:
    assert counter_for("nobody's model") is BY_CHARACTERS
    assert BY_CHARACTERS.prompt(REQUEST) == prompt_tokens(REQUEST) == 104
    assert BY_CHARACTERS.range(100) == Range(70, 100, 160)


def test_earlier_prompts_of_a_model_scale_the_count_and_narrow_the_range() -> None:
    counter = counter_for("m", [(100, 130)] * 20)
    assert counter.prompt(REQUEST) == pytest.approx(1.3 * 104)
    assert counter.range(100) == Range(95, 100, 105)
    assert "20 prompts in the ledger" in counter.source


def test_a_few_prompts_measure_nothing() -> None:
    assert measured_counter([(100, 130)] * (LEAST_MEASURED - 1)) is None
    assert measured_counter([(0, 10)] * 50) is None


@given(st.lists(st.tuples(st.integers(1, 10_000), st.integers(1, 10_000)), min_size=LEAST_MEASURED))
def test_a_measured_count_adds_up_to_what_was_measured(prompts: list[tuple[int, int]]) -> None:
    counter = measured_counter(prompts)
    assert counter is not None
    assert counter.scale * sum(g for g, _ in prompts) == pytest.approx(sum(c for _, c in prompts))
    assert counter.low_share <= 1 <= counter.high_share


def test_replies_to_come_are_as_long_as_those_that_came() -> None:
    assert reply_percentiles([100] * 3) is None
    assert reply_percentiles([100] * 50) == Range(90, 100, pytest.approx(110))
    spread = reply_percentiles(list(range(1, 101)))
    assert spread == Range(11, 50.5, 90)


@given(st.lists(st.integers(0, 10**6), min_size=LEAST_MEASURED))
def test_the_likely_length_lies_in_its_range(tokens: list[int]) -> None:
    found = reply_percentiles(tokens)
    assert found is not None
    assert found.low <= found.likely <= found.high


# tiktoken


@pytest.fixture
def tiktoken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    """A stand-in for tiktoken that counts words, with an empty cache of encodings."""

    def name_of(model: str) -> str:
        if not model.startswith("gpt-"):
            raise KeyError(model)
        return "o200k_base"

    def get_encoding(name: str) -> SimpleNamespace:
        return SimpleNamespace(encode_ordinary=str.split)

    module = ModuleType("tiktoken")
    module.encoding_name_for_model = name_of  # type: ignore[attr-defined]
    module.get_encoding = get_encoding  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tiktoken", module)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    name, _ = token_counting.ENCODINGS["o200k_base"]
    kept = {"o200k_base": (name, hashlib.sha256(FILE).hexdigest())}
    monkeypatch.setattr(token_counting, "ENCODINGS", kept)
    tiktoken_counter.cache_clear()
    yield module
    tiktoken_counter.cache_clear()


@pytest.mark.usefixtures("tiktoken")
def test_a_tokenizer_on_this_machine_goes_before_everything(tmp_path: Path) -> None:
    (tmp_path / token_counting.ENCODINGS["o200k_base"][0]).write_bytes(FILE)
    counter = counter_for("openai/gpt-4o", [(100, 130)] * 20)
    assert counter.source == "tiktoken's o200k_base"
    assert counter.text("one two three") == 3
    assert tiktoken_counter("some-other-model") is None


def test_a_tokenizer_that_would_have_to_be_fetched_is_left_alone(
    tiktoken: ModuleType, tmp_path: Path
) -> None:
    def fetch(name: str) -> None:
        raise AssertionError("it would be fetched")

    tiktoken.get_encoding = fetch  # type: ignore[attr-defined]
    assert tiktoken_counter("gpt-4o") is None
    tiktoken_counter.cache_clear()
    (tmp_path / token_counting.ENCODINGS["o200k_base"][0]).write_bytes(FILE[:-1])
    assert tiktoken_counter("gpt-4o") is None, "a damaged file is fetched anew"
