"""Prompts as JSON Lines: what is read, what is refused, and telling prompts from pairs."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from judge.errors import InputError
from judge.formats.lines import BadLine, Line
from judge.formats.pairs import pair_from
from judge.formats.prompts import (
    InputKind,
    kind_of_input,
    parse_prompt,
    prompt_from,
    prompt_row,
    read_prompts,
    require_kind,
)
from judge.records import Message, Prompt

PROMPT = {"prompt_id": "q1", "prompt": "Capital of Peru?"}
PAIR = {"prompt": "Capital of Peru?", "first": "Lima.", "second": "Cusco."}


def write(folder: Path, *rows: Any) -> Path:
    path = folder / "input.jsonl"
    raw = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path.write_bytes(b"\n".join(raw) + b"\n")
    return path


def problem_with(row: dict[str, Any]) -> str:
    with pytest.raises(InputError) as refused:
        parse_prompt(json.dumps(row).encode())
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_good_lines_and_bad_lines_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, PROMPT, b"{oops", b"", {"prompt": "And of Chile?"})
    read = list(read_prompts(path))
    assert [line.number for line in read] == [1, 2, 4]
    assert [type(line) for line in read] == [Line, BadLine, Line]


def test_a_conversation_is_read_turn_by_turn() -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": "And?"},
    ]
    row = {"prompt": turns, "reference": "So.", "tags": {"language": "en"}}
    prompt = parse_prompt(json.dumps(row).encode())
    assert prompt.messages == tuple(Message.model_validate(turn) for turn in turns)
    assert (prompt.reference, prompt.tags) == ("So.", {"language": "en"})


def test_prompts_without_an_id_share_one_where_they_are_equal() -> None:
    one, same, other = (parse_prompt(json.dumps({"prompt": p}).encode()) for p in "aab")
    assert one.prompt_id == same.prompt_id != other.prompt_id


def test_a_prompt_has_the_same_id_as_in_a_file_of_pairs() -> None:
    row = {"prompt": PAIR["prompt"], "reference": "Lima"}
    assert prompt_from(row) == pair_from({**row, "first": "a", "second": "b"}).prompt


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"prompt": " "}, 'field "prompt": empty; give the question'),
        ({"prompt": None}, 'field "prompt": missing; give a text or a list of messages'),
        ({"prompt": []}, 'field "prompt": an empty list'),
        ({"prompt": [{"role": "assistant", "content": "x"}]}, 'field "prompt": no user message'),
        ({"prompt_id": 7}, 'field "prompt_id": the number 7; write it as a text, "7"'),
        ({"prompt_id": " "}, 'field "prompt_id": empty; give an id or leave the field out'),
        ({"reference": 1.5}, 'field "reference": the number 1.5'),
        ({"tags": []}, 'field "tags": a list where an object is needed'),
        ({"promt": "x"}, 'unknown field "promt"; did you mean "prompt"? Own columns go under'),
    ],
)
def test_a_problem_names_field_cause_and_remedy(wrong: dict[str, Any], said: str) -> None:
    assert problem_with({**PROMPT, **wrong}).startswith(said)


@pytest.mark.parametrize("wrong", [{"prompt": ""}, {"prompt_id": 7}, {"tags": 1}, {"x": 1}])
def test_problems_read_as_they_do_in_a_file_of_pairs(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError) as refused:
        pair_from({**PAIR, **wrong})
    assert problem_with({**PROMPT, **wrong}) == str(refused.value)


@given(
    st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip),
    st.none() | st.text(st.characters(codec="utf-8")),
    st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), st.integers(), max_size=3),
    st.booleans(),
)
def test_a_prompt_survives_writing_and_reading(
    text: str, reference: str | None, tags: dict[str, int], is_long: bool
) -> None:
    messages = (Message(role="user", content=text),)
    if is_long:
        messages = (Message(role="system", content="s"), *messages)
    prompt = Prompt(prompt_id="p", messages=messages, reference=reference, tags=tags)
    line = to_json(prompt_row(prompt))
    if b"\\u0000" not in line:
        assert parse_prompt(line) == prompt


# Prompts or pairs


def test_a_pair_among_prompts_says_what_it_is() -> None:
    said = problem_with(PAIR)
    assert said.startswith('holds a pair, with "first" and "second", where a prompt is needed')


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([PROMPT, PAIR], InputKind.PROMPTS),
        ([PAIR, PROMPT], InputKind.PAIRS),
        ([{"prompt": "x", "second": "y"}], InputKind.PAIRS),
        ([b"{broken", b"[1]", PROMPT], InputKind.PROMPTS),
        ([b"{broken"], InputKind.PAIRS),
    ],
)
def test_the_first_record_tells_prompts_from_pairs(
    tmp_path: Path, rows: list[Any], kind: InputKind
) -> None:
    assert kind_of_input(write(tmp_path, *rows)) is kind


def test_standard_input_counts_as_pairs_and_stays_unread() -> None:
    assert kind_of_input("-") == "pairs"


def test_a_file_of_the_other_kind_is_refused_with_the_remedy(tmp_path: Path) -> None:
    prompts = write(tmp_path, PROMPT)
    require_kind(prompts, InputKind.PROMPTS)
    with pytest.raises(InputError, match="holds prompts where pairs are needed; generate"):
        require_kind(prompts, InputKind.PAIRS)
    pairs = write(tmp_path, PAIR)
    require_kind(pairs, InputKind.PAIRS)
    with pytest.raises(InputError, match="holds pairs where prompts are needed; judge it"):
        require_kind(pairs, InputKind.PROMPTS)


def test_a_file_without_prompts_is_an_error(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n \n")
    for read in (lambda: list(read_prompts(empty)), lambda: kind_of_input(empty)):
        with pytest.raises(InputError, match="holds no records"):
            read()
    with pytest.raises(InputError, match="no such file"):
        kind_of_input(tmp_path / "none.jsonl")
