"""Families told from the names of models."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.trust.families import family_of, own_family_codes


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-4o-2024-08-06", "gpt"),
        ("openai/chatgpt-4o-latest", "gpt"),
        ("o1-mini", "gpt"),
        ("o3", "gpt"),
        ("text-davinci-003", "gpt"),
        ("marco-o1", "marco"),
        ("EleutherAI/gpt-neox-20b", "eleuther"),
        ("claude-v1", "claude"),
        ("us.anthropic.claude-opus-4-20250514-v1:0", "claude"),
        ("models/gemini-2.5-flash", "gemini"),
        ("palm-2-chat-bison-001", "gemini"),
        ("google/gemma-2-27b-it", "gemma"),
        ("codegemma-7b", "gemma"),
        ("meta-llama/Llama-3.1-70B-Instruct", "llama"),
        ("CodeLlama-34b", "llama"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "mistral"),
        ("codestral-2501", "mistral"),
        ("Qwen/Qwen2.5-72B-Instruct", "qwen"),
        ("QwQ-32B", "qwen"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", "deepseek"),
        ("microsoft/Phi-3-mini", "phi"),
        ("philosopher-7b", "philosopher"),
        ("command-r-plus", "command"),
        ("xai/grok-2", "grok"),
        ("/models/Qwen2.5-7B/", "qwen"),
        ("vicuna-13b-v1.5", "vicuna"),
        ("alpaca-13b", "alpaca"),
        ("my-judge", "my"),
        ("7b", None),
        ("42", None),
        ("", None),
    ],
)
def test_the_family_is_told_by_the_name(model: str, family: str | None) -> None:
    assert family_of(model) == family


@given(st.text())
def test_any_name_has_a_family_or_none_whatever_its_case(model: str) -> None:
    family = family_of(model)
    assert family is None or family
    if model.isascii():
        assert family_of(model.upper()) == family_of(model.lower()) == family


def codes(judge: str, pairs: list[tuple[str | None, str | None]]) -> list[int] | None:
    systems = list(dict.fromkeys(system for pair in pairs for system in pair))
    first, second = (
        np.array([systems.index(pair[side]) for pair in pairs], np.intp) for side in (0, 1)
    )
    found = own_family_codes(judge, systems, first=first, second=second)
    return None if found is None else found.tolist()


def test_only_an_answer_of_its_own_family_against_anothers_counts() -> None:
    pairs = [
        ("gpt-4", "claude-2"),
        ("claude-2", "openai/gpt-3.5-turbo"),
        ("gpt-4", "gpt-3.5-turbo"),
        ("claude-2", "llama-13b"),
        ("gpt-4", None),
        (None, None),
    ]
    assert codes("gpt-4o", pairs) == [1, -1, 0, 0, 0, 0]


def test_nothing_is_told_where_no_family_is_known() -> None:
    assert codes("gpt-4", [("gpt-4", None), (None, "gpt-4")]) is None
    assert codes("42", [("gpt-4", "claude-2")]) is None
    assert codes("gpt-4", []) is None
