"""Ids: content without sides, asks without nicknames, and no two inputs with the same bytes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.identity import (
    canonical,
    content_id,
    judge_key,
    judgment_id,
    messages_from_json,
    prompt_id_of,
)
from judge.records import Candidate, Message, Order, Pair, Prompt

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
MESSAGES = st.lists(
    st.builds(Message, role=st.sampled_from(["system", "user", "assistant", "tool"]), content=TEXT),
    min_size=1,
    max_size=3,
).map(tuple)
REFERENCE = st.none() | TEXT
CONTENT = st.tuples(MESSAGES, REFERENCE, MESSAGES, MESSAGES)


def say(role: str, text: str) -> tuple[Message, ...]:
    return (Message.model_validate({"role": role, "content": text}),)


def pair_of(
    prompt: tuple[Message, ...],
    reference: str | None,
    first: tuple[Message, ...],
    second: tuple[Message, ...],
    **named: Any,
) -> Pair:
    return Pair(
        pair_id=named.get("pair_id", "p1"),
        prompt=Prompt(
            prompt_id=named.get("prompt_id", "q1"),
            messages=prompt,
            reference=reference,
            tags=named.get("tags", {}),
        ),
        first=Candidate(messages=first, model=named.get("model")),
        second=Candidate(messages=second),
    )


@given(CONTENT)
def test_the_same_answers_the_other_way_round_are_the_same_content(content: Any) -> None:
    prompt, reference, first, second = content
    given_so = canonical(pair_of(prompt, reference, first, second))
    swapped = canonical(pair_of(prompt, reference, second, first))
    assert given_so.content_id == swapped.content_id == content_id(*content)
    assert (given_so.first, given_so.second) == (swapped.first, swapped.second)
    if first == second:
        assert not given_so.is_exchanged
        assert not swapped.is_exchanged
    else:
        assert given_so.is_exchanged is not swapped.is_exchanged


@given(CONTENT)
def test_an_exchanged_pair_is_one_whose_first_answer_is_the_canonical_second(content: Any) -> None:
    _, _, first, second = content
    stored = canonical(pair_of(*content))
    as_given = (
        (stored.second, stored.first) if stored.is_exchanged else (stored.first, stored.second)
    )
    assert as_given == (first, second)


@given(CONTENT, CONTENT)
def test_two_contents_share_an_id_only_when_they_are_the_same_content(one: Any, other: Any) -> None:
    def unordered(content: Any) -> Any:
        prompt, reference, first, second = content
        return prompt, reference, sorted([repr(first), repr(second)])

    is_same = unordered(one) == unordered(other)
    assert (content_id(*one) == content_id(*other)) is is_same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab", None, "c", "d"), ("a", None, "bc", "d")),
        (("a", "b", "c", "d"), ("a", None, "b", "c")),
        (("a", "", "c", "d"), ("a", None, "c", "d")),
        (("a", "null", "c", "d"), ("a", None, "c", "d")),
        (("a", None, "c\nd", "e"), ("a\nc", None, "d", "e")),
        (("a", None, 'c"},{"role":"user","content":"d', "e"), ("a", None, "c", "e")),
    ],
)
def test_text_moved_from_one_field_to_another_changes_the_id(one: Any, other: Any) -> None:
    def id_of(prompt: str, reference: str | None, first: str, second: str) -> str:
        return content_id(
            say("user", prompt), reference, say("assistant", first), say("assistant", second)
        )

    assert id_of(*one) != id_of(*other)


def test_one_message_and_the_same_text_in_two_messages_are_different_prompts() -> None:
    whole, halves = say("user", "ab"), say("user", "a") + say("user", "b")
    assert prompt_id_of(whole, None) != prompt_id_of(halves, None)
    assert prompt_id_of(whole, None) != prompt_id_of(say("system", "ab"), None)
    assert prompt_id_of(whole, None) != prompt_id_of(whole, "ab")


def test_names_tags_and_given_ids_are_no_part_of_the_content() -> None:
    parts = (say("user", "q"), "r", say("assistant", "x"), say("assistant", "y"))
    named: dict[str, Any] = {"pair_id": "p9", "prompt_id": "q9", "tags": {"turn": 1}, "model": "m"}
    assert canonical(pair_of(*parts)) == canonical(pair_of(*parts, **named))


@given(CONTENT)
def test_the_stored_texts_read_back_as_the_messages(content: Any) -> None:
    stored = canonical(pair_of(*content))
    assert messages_from_json(stored.prompt_json) == stored.prompt
    assert messages_from_json(stored.first_json) == stored.first
    assert messages_from_json(stored.second_json.encode()) == stored.second


def test_ids_stay_what_they_were_so_that_old_ledgers_are_found_again() -> None:
    prompt = say("user", "Capital of Perú?\n\t\x1f\x7f🦙")
    content = (prompt, None, say("assistant", "Lima."), say("assistant", "Cusco."))
    key = judge_key("judge-m", "d1", {"temperature": 0.0, "max_tokens": 1024})
    assert content_id(*content) == "46024406ad94831d8903d785d698aca5"
    assert prompt_id_of(prompt, "Lima") == "1fce9defad1c80be053b667a20d8c79d"
    assert key == "417d23aae1965a77ad1e8726fbae1ca2"
    assert judgment_id("a" * 32, "b" * 32, Order.FORWARD, 0) == "adce0ce905cad7a577971a0f09e37715"


def test_a_judge_key_ignores_what_does_not_change_the_ask() -> None:
    key = judge_key("m", "d", {"temperature": 0.0, "extra": {"top_k": 5, "seed": 1.0}})
    assert key == judge_key("m", "d", {"extra": {"seed": 1, "top_k": 5}, "temperature": 0})
    assert key == judge_key(
        "m", "d", {"temperature": 0, "extra": {"top_k": 5, "seed": 1}, "top_p": None}
    )


def test_a_judge_key_changes_with_everything_that_changes_the_ask() -> None:
    params = {"temperature": 0.0, "stop": ["x", "y"]}
    keys = {
        judge_key("m", "d", params),
        judge_key("n", "d", params),
        judge_key("m", "e", params),
        judge_key("d", "m", params),
        judge_key("m", "d", params | {"temperature": 0.5}),
        judge_key("m", "d", params | {"temperature": "0"}),
        judge_key("m", "d", params | {"temperature": False}),
        judge_key("m", "d", params | {"stop": ["y", "x"]}),
        judge_key("m", "d", {"temperature": 0.0}),
    }
    assert len(keys) == 9


def test_a_judgment_id_changes_with_every_part_of_the_ask() -> None:
    ids = {
        judgment_id(content, key, order, sample)
        for content in ("a" * 32, "b" * 32)
        for key in ("c" * 32, "d" * 32)
        for order in Order
        for sample in (0, 1, 10)
    }
    assert len(ids) == 24
    assert all(len(i) == 32 and set(i) <= set("0123456789abcdef") for i in ids)
