"""Pairs as JSON Lines: two candidates of one prompt, to be compared.

    {"pair_id"?, "prompt_id"?, "prompt": TEXT | [MESSAGE, ...], "first": CANDIDATE,
     "second": CANDIDATE, "reference"?: TEXT, "tags"?: {...}}

A CANDIDATE is a text or `{"text" | "messages", "model"?}`, a MESSAGE `{"role", "content"}`, with
tool calls as `judge.formats.messages` says.

A line without `pair_id` is named by its content id. Content has no sides, so when its answers
come in the reverse of canonical order the id ends in `-x`: the same answers the other way round
are another pair of the same content, and every vote keeps the side it was cast for.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from judge.formats.conversations import (
    candidate_from,
    check_same_turns,
    optional_text,
    prompt_messages,
)
from judge.formats.fields import given_id, tags_of
from judge.formats.lines import BadLine, Line, read_lines
from judge.formats.problems import refuse_unknown
from judge.formats.rows import row_from
from judge.identity import content_of, prompt_id_of
from judge.job.trajectories import is_trajectory
from judge.records import Candidate, Message, Pair, Prompt

_FIELDS = ("pair_id", "prompt_id", "prompt", "first", "second", "reference", "tags")
_EXCHANGED = "-x"


def read_pairs(path: str | Path) -> Iterator[Line[Pair] | BadLine]:
    """One pair or one problem per line; `-` reads standard input.

    Raises InputError while iterating when the file as a whole cannot be used.
    """
    return read_lines(path, parse_pair)


def parse_pair(line: bytes) -> Pair:
    """The pair on one line; raises InputError with the problem in one line."""
    return pair_from(row_from(line))


def pair_from(row: Mapping[str, Any]) -> Pair:
    """The pair that a decoded JSON object stands for; raises InputError with the problem.

    The object should come from `row_from`, which has refused what no text may hold.
    """
    refuse_unknown(row, _FIELDS, remedy='own columns go under "tags"')
    messages = prompt_messages(row.get("prompt"), "prompt")
    first = candidate_from(row.get("first"), messages, "first")
    second = candidate_from(row.get("second"), messages, "second")
    check_same_turns(first, second)
    reference = optional_text(row.get("reference"), "reference")
    prompt = Prompt(
        prompt_id=given_id(row, "prompt_id") or prompt_id_of(messages, reference),
        messages=messages,
        reference=reference,
        tags=tags_of(row.get("tags")),
    )
    pair_id = given_id(row, "pair_id")
    if pair_id is None:
        content = content_of(messages, reference, first.messages, second.messages)
        pair_id = content.content_id + (_EXCHANGED if content.is_exchanged else "")
    return Pair(pair_id=pair_id, prompt=prompt, first=first, second=second)


def pair_row(pair: Pair) -> dict[str, Any]:
    """The JSON object of a pair, which `pair_from` reads back as an equal pair."""
    prompt = pair.prompt
    row: dict[str, Any] = {
        "pair_id": pair.pair_id,
        "prompt_id": prompt.prompt_id,
        "prompt": _prompt_value(prompt.messages),
        "first": _candidate_value(pair.first),
        "second": _candidate_value(pair.second),
    }
    if prompt.reference is not None:
        row["reference"] = prompt.reference
    if prompt.tags:
        row["tags"] = prompt.tags
    return row


def warnings_of(pair: Pair) -> list[str]:
    """What is odd about a pair that is kept all the same: empty or identical answers."""
    warnings = []
    for side, candidate in (("first", pair.first), ("second", pair.second)):
        if not candidate.text.strip() and not is_trajectory(candidate.messages):
            warnings.append(
                f'pair "{pair.pair_id}": "{side}" is an empty answer; it is judged as it is'
            )
    if pair.first.messages == pair.second.messages:
        warnings.append(f'pair "{pair.pair_id}": the two answers are identical; expect ties')
    return warnings


def _prompt_value(messages: tuple[Message, ...]) -> str | list[dict[str, Any]]:
    is_text = len(messages) == 1 and messages[0].role == "user"
    return messages[0].content if is_text else _message_rows(messages)


def _candidate_value(candidate: Candidate) -> str | dict[str, Any]:
    answers = candidate.messages
    is_text = len(answers) == 1 and not is_trajectory(answers)
    if is_text and candidate.model is None:
        return answers[0].content
    value: dict[str, Any] = (
        {"text": answers[0].content} if is_text else {"messages": _message_rows(answers)}
    )
    if candidate.model is not None:
        value["model"] = candidate.model
    return value


def _message_rows(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    return [message.row for message in messages]
