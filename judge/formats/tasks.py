"""Tasks for people as JSON Lines, and their answers: blinded pairs that wait for a preference.

    {"task_id", "prompt": TEXT | [MESSAGE, ...], "answer_a": TEXT | [MESSAGE, ...], "answer_b": …,
     "questions": {...}}

A task names no model, no judge and no pair; which answer is A was decided by a coin. An answer to
a task speaks of A and B as they were shown:

    {"task_id", "annotator", "preference": A | B | tie | both_bad | skip, "strength"?: 0-3,
     "ratings"?: {ATTRIBUTE: {"A": 1-7, "B": 1-7}}, "note"?, "seconds"?}

It may also be written into the task's own row: the fields of the task are then passed over.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import Field
from pydantic_core import to_json

from judge.formats.lines import BadLine, Line, read_lines
from judge.formats.rows import record_from, refuse_empty, row_from
from judge.formats.votes import parse_vote
from judge.people.drawing import Task
from judge.records import (
    AttributeRating,
    Message,
    Order,
    Preference,
    Rating,
    Record,
    Verdict,
    Vote,
    preference_from,
)

Choice: TypeAlias = Literal["A", "B", "tie", "both_bad", "skip"]

ATTRIBUTES = ("helpfulness", "correctness", "clarity")
"""What people are invited to rate; answers may rate other attributes."""

QUESTIONS: Mapping[str, Any] = {
    "preference": get_args(Choice),
    "optional": {
        "strength": [0, 1, 2, 3],
        "ratings": {"attributes": ATTRIBUTES, "lowest": 1, "highest": 7},
        "note": "text",
        "seconds": "number",
    },
}
_SHOWN = ("prompt", "answer_a", "answer_b", "questions")
_NO_SIDE: Mapping[Choice, Literal["both_bad", "skip"]] = {"both_bad": "both_bad", "skip": "skip"}
_VOTED: Mapping[Preference, Literal["first", "second", "tie"]] = {
    Preference.FIRST: "first",
    Preference.SECOND: "second",
    Preference.TIE: "tie",
}


class ShownRating(Record):
    """Both answers' ratings on one attribute, by the side they were shown on."""

    A: Rating
    B: Rating


class Answer(Record):
    """What a person says about one task, in terms of what was shown."""

    task_id: str
    annotator: str
    preference: Choice
    strength: Annotated[int, Field(ge=0, le=3)] | None = None
    ratings: dict[str, ShownRating] | None = None
    note: str | None = None
    seconds: Annotated[float, Field(ge=0)] | None = None


def task_row(
    task: Task, prompt: Sequence[Message], first: Sequence[Message], second: Sequence[Message]
) -> dict[str, Any]:
    """The JSON object of a task; `first` and `second` are in the orientation of its pair."""
    a, b = (first, second) if _is_first_shown_as_a(task.shown_order) else (second, first)
    return {
        "task_id": task.task_id,
        "prompt": _text_or_messages(prompt),
        "answer_a": _text_or_messages(a),
        "answer_b": _text_or_messages(b),
        "questions": QUESTIONS,
    }


def vote_from(answer: Answer, task: Task) -> Vote:
    """The vote that an answer is, un-shuffled to the orientation of the task's pair."""
    if answer.task_id != task.task_id:
        raise ValueError(f'answer to task "{answer.task_id}" given with task "{task.task_id}"')
    preference = (
        _NO_SIDE.get(answer.preference)
        or _VOTED[preference_from(Verdict(answer.preference), task.shown_order)]
    )
    ratings = answer.ratings
    unshuffled = (
        None
        if ratings is None
        else {name: _unshuffled(rating, task.shown_order) for name, rating in ratings.items()}
    )
    return Vote(
        pair_id=task.pair_id,
        annotator=answer.annotator,
        preference=preference,
        strength=answer.strength,
        ratings=unshuffled,
        shown_order=task.shown_order,
        batch=task.batch,
        seconds=answer.seconds,
        note=answer.note,
    )


def read_votes_and_answers(path: str | Path) -> Iterator[Line[Vote | Answer] | BadLine]:
    """One vote, answer or problem per line; `-` reads standard input.

    A line with a `task_id` is an answer, any other a vote. Raises InputError while iterating when
    the file as a whole cannot be used.
    """
    return read_lines(path, _parse_vote_or_answer)


def parse_answer(line: bytes) -> Answer:
    """The answer on one line; raises InputError with the problem in one line."""
    row = row_from(line)
    if not row.keys().isdisjoint(_SHOWN):
        line = to_json({name: value for name, value in row.items() if name not in _SHOWN})
    answer = record_from(line, Answer)
    refuse_empty("task_id", answer.task_id)
    refuse_empty("annotator", answer.annotator)
    return answer


def _parse_vote_or_answer(line: bytes) -> Vote | Answer:
    # Inside a JSON text a quote is escaped, so these bytes can only be a whole name or text.
    is_answer = b'"task_id"' in line and "task_id" in row_from(line)
    return parse_answer(line) if is_answer else parse_vote(line)


def _is_first_shown_as_a(order: Order) -> bool:
    return preference_from(Verdict.A, order) is Preference.FIRST


def _unshuffled(rating: ShownRating, order: Order) -> AttributeRating:
    first, second = rating.A, rating.B
    if not _is_first_shown_as_a(order):
        first, second = second, first
    return AttributeRating(first=first, second=second)


def _text_or_messages(messages: Sequence[Message]) -> str | list[dict[str, Any]]:
    if len(messages) == 1 and not messages[0].tool_calls:
        return messages[0].content
    return [message.row for message in messages]
