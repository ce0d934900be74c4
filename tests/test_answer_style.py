"""Formatting counted in answers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.trust.answer_style import style_of


def written(*texts: str, role: str = "assistant") -> str:
    return json.dumps([{"role": role, "content": text} for text in texts], ensure_ascii=False)


@pytest.mark.parametrize(
    ("text", "lists", "marks"),
    [
        ("", 0, 0),
        ("plain prose - with a dash, 3. and a # sign", 0, 0),
        ("- one\n* two\n+ three\n• four", 4, 0),
        ("1. one\n2) two\n  10. nested\n\t- nested", 4, 0),
        ("-not an item\n1.5 is a number\n---", 0, 0),
        ("# one\n## two\n###### six\n####### seven\n#no", 0, 3),
        ("**bold** and __bold__, not *this* nor 2 ** 3 ** 4", 0, 3),
        ("**never closed and 2 ** 3 ** 4", 0, 1),
        ("fill in ____ or ______ here", 0, 0),
        ("- **both** an item and bold", 1, 1),
        ("before\n```python\n# a comment\n- 1\n__init__\n```\n# after", 0, 1),
        ("- item\n```\n- never closed\n# nor this", 1, 0),
        ("# 日本語\n- 項目", 1, 1),
    ],
)
def test_items_headers_and_bold_passages_are_counted(text: str, lists: int, marks: int) -> None:
    style = style_of(written(text))
    assert (style.lists, style.marks) == (lists, marks)


def test_all_turns_count_and_only_what_the_assistant_said() -> None:
    assert style_of(written("- one", "- two")).lists == 2
    assert style_of(written("- one", role="user")).lists == 0


@given(st.text(), st.text())
def test_equal_answers_and_no_others_have_equal_digests(one: str, other: str) -> None:
    digests = style_of(written(one)).digest, style_of(written(other)).digest
    assert (digests[0] == digests[1]) == (one == other)


@given(st.text(alphabet="#*_-1. \n`a"))
def test_any_text_is_counted_and_never_more_often_than_it_has_characters(text: str) -> None:
    style = style_of(written(text))
    assert 0 <= style.lists + style.marks <= len(text)
