"""Tasks and answers: what is shown of a pair, and the way back to its orientation."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.errors import InputError
from judge.formats.lines import BadLine
from judge.formats.tasks import (
    Answer,
    ShownRating,
    parse_answer,
    read_votes_and_answers,
    task_row,
    vote_from,
)
from judge.people.drawing import Task
from judge.records import (
    AttributeRating,
    Message,
    Order,
    Preference,
    Verdict,
    Vote,
    preference_from,
)

QUESTION = (Message(role="user", content="Q?"),)
FIRST = (Message(role="assistant", content="one"),)
SECOND = (Message(role="assistant", content="two"),)

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
votes = st.builds(
    Vote,
    pair_id=st.just("p1"),
    annotator=st.sampled_from(["ann", "böb"]),
    preference=st.sampled_from(["first", "second", "tie", "both_bad", "skip"]),
    strength=st.none() | st.integers(0, 3),
    ratings=st.none()
    | st.dictionaries(
        texts,
        st.builds(AttributeRating, first=st.integers(1, 7), second=st.integers(1, 7)),
        max_size=3,
    ),
    shown_order=st.sampled_from(Order),
    batch=st.just("b1"),
    seconds=st.none() | st.floats(0, 1e6),
    note=st.none() | texts,
)


def a_task(order: Order = Order.FORWARD) -> Task:
    return Task("t1", "b1", "p1", order, True, None, 0.5)


def answered(**more: Any) -> bytes:
    return json.dumps({"task_id": "t1", "annotator": "ann", "preference": "A"} | more).encode()


def as_shown(vote: Vote) -> Answer:
    """What a person who means this vote answers, seeing its sides in `vote.shown_order`."""
    assert vote.shown_order is not None
    choices = {preference_from(said, vote.shown_order).value: said.value for said in Verdict}
    is_first_a = choices[Preference.FIRST.value] == "A"
    ratings = vote.ratings and {
        name: ShownRating(
            A=rating.first if is_first_a else rating.second,
            B=rating.second if is_first_a else rating.first,
        )
        for name, rating in vote.ratings.items()
    }
    return Answer.model_validate(
        {
            "task_id": "t1",
            "annotator": vote.annotator,
            "preference": choices.get(vote.preference, vote.preference),
            "strength": vote.strength,
            "ratings": ratings,
            "note": vote.note,
            "seconds": vote.seconds,
        }
    )


@given(votes)
def test_shuffling_a_vote_and_un_shuffling_it_is_the_identity(vote: Vote) -> None:
    assert vote.shown_order is not None
    assert vote_from(as_shown(vote), a_task(vote.shown_order)) == vote


@given(votes)
def test_an_answer_survives_being_written(vote: Vote) -> None:
    answer = as_shown(vote)
    assert parse_answer(answer.model_dump_json(exclude_none=True).encode()) == answer


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("choice", ["A", "B"])
def test_the_answer_that_was_preferred_is_the_one_that_was_shown_there(
    order: Order, choice: str
) -> None:
    row = task_row(a_task(order), QUESTION, FIRST, SECOND)
    shown = row[f"answer_{choice.lower()}"]
    vote = vote_from(parse_answer(answered(preference=choice)), a_task(order))
    assert {"first": "one", "second": "two"}[vote.preference] == shown
    assert {row["answer_a"], row["answer_b"]} == {"one", "two"}


def test_a_task_shows_its_texts_and_its_questions_and_nothing_else() -> None:
    assert json.loads(json.dumps(task_row(a_task(), QUESTION, FIRST, SECOND))) == {
        "task_id": "t1",
        "prompt": "Q?",
        "answer_a": "one",
        "answer_b": "two",
        "questions": {
            "preference": ["A", "B", "tie", "both_bad", "skip"],
            "optional": {
                "strength": [0, 1, 2, 3],
                "ratings": {
                    "attributes": ["helpfulness", "correctness", "clarity"],
                    "lowest": 1,
                    "highest": 7,
                },
                "note": "text",
                "seconds": "number",
            },
        },
    }


def test_conversations_are_shown_as_messages() -> None:
    row = task_row(a_task(), QUESTION * 2, FIRST * 2, SECOND * 2)
    assert row["prompt"] == [{"role": "user", "content": "Q?"}] * 2
    assert row["answer_b"] == [{"role": "assistant", "content": "two"}] * 2


def test_an_answer_may_be_written_into_the_row_of_its_task() -> None:
    row = task_row(a_task(), QUESTION, FIRST, SECOND) | {"annotator": "ann", "preference": "tie"}
    assert parse_answer(json.dumps(row).encode()) == Answer(
        task_id="t1", annotator="ann", preference="tie"
    )


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"preference": "first"}, 'field "preference": unknown value "first"'),
        ({"preference": "C"}, "'A', 'B', 'tie', 'both_bad' or 'skip'"),
        ({"strength": 4}, 'field "strength": 4 is out of range'),
        ({"ratings": {"clarity": {"A": 8, "B": 1}}}, 'field "ratings.clarity.A"'),
        ({"ratings": {"clarity": {"first": 3, "second": 1}}}, '"ratings.clarity.A": missing'),
        ({"seconds": -1}, 'field "seconds": -1 is out of range'),
        ({"task_id": " "}, 'field "task_id": empty'),
        ({"annotator": ""}, 'field "annotator": empty'),
        ({"anotator": "x"}, 'did you mean "annotator"'),
        ({"pair_id": "p1"}, 'unknown field "pair_id"'),
    ],
)
def test_a_bad_answer_is_refused_with_its_field(more: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError) as refusal:
        parse_answer(answered(**more))
    assert expected in str(refusal.value)


def test_an_answer_to_another_task_is_no_vote() -> None:
    with pytest.raises(ValueError, match='given with task "t1"'):
        vote_from(Answer(task_id="t2", annotator="ann", preference="A"), a_task())


def test_a_file_may_mix_votes_and_answers(tmp_path: Path) -> None:
    vote = {"pair_id": "p1", "annotator": "ann", "preference": "tie", "note": 'the "task_id" …'}
    rated = vote | {"ratings": {"task_id": {"first": 1, "second": 2}}}
    lines = [json.dumps(vote).encode(), answered(), json.dumps(rated).encode(), answered(x=1)]
    path = tmp_path / "mixed.jsonl"
    path.write_bytes(b"\n".join(lines))
    read = list(read_votes_and_answers(path))
    bad = read.pop()
    assert [type(line.record) for line in read if not isinstance(line, BadLine)] == [
        Vote,
        Answer,
        Vote,
    ]
    assert str(bad).startswith(f'{path}:4: unknown field "x"')
