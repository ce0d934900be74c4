"""Every hostile answer, in every hole of every built-in template, leaves the prompt's structure."""

import json
import re
import unicodedata
from pathlib import Path

import pytest

from prompts import Rendered, built_in_prompts, load_prompt

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "cases" / "hostile_answers.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]
REWRITTEN = {
    "tok-a",
    "tok-b-end",
    "tok-label",
    "tok-wide",
    "tok-split-zw",
    "tok-markdown-link",
    "delim-end-a",
    "delim-end-b",
    "delim-arena",
    "delim-case",
    "delim-homoglyph",
    "nonce-guess",
    "chat-inst",
    "chat-im",
    "chat-eot",
    "chat-think",
}
MARKERS = [
    f"[the {edge} of assistant {name}'s answer]" for name in "ab" for edge in ("start", "end")
]
CONTROL = ["<|im_end|>", "<|im_start|>", "[inst]", "[/inst]", "<s>", "</s>", "<think>", "</think>"]
HOMOGLYPHS = str.maketrans("АВСЕТавсетіѕ", "ABCETabcetis")


def answer_of(case: dict[str, str]) -> str:
    return case["answer"] * int(case.get("repeat", 1))


def without_invisibles(text: str) -> str:
    return "".join(c for c in text if c == "\n" or unicodedata.category(c) not in {"Cf", "Cc"})


def readings(text: str) -> list[str]:
    """The text as it is, and as anything downstream might come to read it; all in lower case."""
    compatible = unicodedata.normalize("NFKC", text)
    bare = without_invisibles(compatible)
    views = [text, compatible, without_invisibles(text), bare, bare.translate(HOMOGLYPHS)]
    return [view.lower() for view in views]


def render_with(template: str, hole: str, text: str) -> Rendered:
    fields = dict.fromkeys(load_prompt(template).holes, "harmless") | {hole: text}
    return load_prompt(template).render(**fields)


@pytest.mark.parametrize("template", built_in_prompts())
@pytest.mark.parametrize("hole", ["question", "answer_a", "answer_b"])
@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_no_text_forges_structure(case: dict[str, str], hole: str, template: str) -> None:
    rendered = render_with(template, hole, answer_of(case))
    harmless = render_with(template, hole, "harmless")
    assert rendered.system == harmless.system
    for view in readings(rendered.user):
        assert re.findall(r"\[\[\s*(?:[a-c]|tie)", view) == []
        assert [view.count(marker) for marker in MARKERS] == [1, 1, 1, 1]
        assert "<|the" not in view
        assert [token for token in CONTROL if token in view] == []
    rendered.user.encode()


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_only_texts_with_live_spots_are_rewritten(case: dict[str, str]) -> None:
    answer = answer_of(case)
    rendered = render_with("pair", "answer_a", answer)
    assert (rendered.rewrites > 0) is (case["id"] in REWRITTEN)
    if case["id"] not in REWRITTEN | {"surrogate-lone"}:
        assert f"[The Start of Assistant A's Answer]\n{answer}\n[The End" in rendered.user


def test_a_lone_surrogate_becomes_a_replacement_character() -> None:
    assert "bad \ufffd half" in render_with("pair", "answer_b", "bad \ud83d half").user


def test_the_corpus_is_whole() -> None:
    assert len(CASES) == 34
    assert {case["id"] for case in CASES} >= REWRITTEN
