"""Prompts as JSON Lines: conversations that candidates are to be generated for.

    {"prompt_id"?, "prompt": TEXT | [MESSAGE, ...], "reference"?: TEXT, "tags"?: {...}}

A MESSAGE is `{"role", "content"}`. A line without `prompt_id` is named by a digest of its
messages and reference, so equal prompts form one cluster.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from judge.errors import InputError
from judge.formats.conversations import optional_text, prompt_messages
from judge.formats.fields import given_id, tags_of
from judge.formats.lines import BadLine, Line, read_lines
from judge.formats.problems import refuse_unknown
from judge.formats.rows import row_from
from judge.identity import prompt_id_of
from judge.records import Prompt

_FIELDS = ("prompt_id", "prompt", "reference", "tags")
_ANSWERS = ("first", "second")


class InputKind(StrEnum):
    """What the records of an input file are."""

    PROMPTS = "prompts"
    PAIRS = "pairs"


def read_prompts(path: str | Path) -> Iterator[Line[Prompt] | BadLine]:
    """One prompt or one problem per line; `-` reads standard input.

    Raises InputError while iterating when the file as a whole cannot be used.
    """
    return read_lines(path, parse_prompt)


def parse_prompt(line: bytes) -> Prompt:
    """The prompt on one line; raises InputError with the problem in one line."""
    return prompt_from(row_from(line))


def prompt_from(row: Mapping[str, Any]) -> Prompt:
    """The prompt that a decoded JSON object stands for; raises InputError with the problem.

    The object should come from `row_from`, which has refused what no text may hold.
    """
    if any(field in row for field in _ANSWERS):
        raise InputError(
            'holds a pair, with "first" and "second", where a prompt is needed; judge the file '
            "as pairs, or leave the two answers out"
        )
    refuse_unknown(row, _FIELDS, remedy='own columns go under "tags"')
    messages = prompt_messages(row.get("prompt"), "prompt")
    reference = optional_text(row.get("reference"), "reference")
    return Prompt(
        prompt_id=given_id(row, "prompt_id") or prompt_id_of(messages, reference),
        messages=messages,
        reference=reference,
        tags=tags_of(row.get("tags")),
    )


def prompt_row(prompt: Prompt) -> dict[str, Any]:
    """The JSON object of a prompt, which `prompt_from` reads back as an equal prompt."""
    messages = prompt.messages
    is_text = len(messages) == 1 and messages[0].role == "user"
    row: dict[str, Any] = {
        "prompt_id": prompt.prompt_id,
        "prompt": messages[0].content if is_text else [message.row for message in messages],
    }
    if prompt.reference is not None:
        row["reference"] = prompt.reference
    if prompt.tags:
        row["tags"] = prompt.tags
    return row


def kind_of_input(path: str | Path) -> InputKind:
    """What a file holds, by its first record: pairs where it has an answer, otherwise prompts.

    Lines that are no JSON object are passed over; a file of nothing else counts as pairs, whose
    reader names the bad lines. Standard input (`-`) can be read only once and counts as pairs.
    Raises InputError when the file as a whole cannot be used.
    """
    if str(path) == "-":
        return InputKind.PAIRS
    for line in read_lines(path, row_from):
        if isinstance(line, Line):
            is_pair = any(field in line.record for field in _ANSWERS)
            return InputKind.PAIRS if is_pair else InputKind.PROMPTS
    return InputKind.PAIRS


def require_kind(path: str | Path, wanted: InputKind) -> None:
    """Raise InputError where a file holds the other kind of record."""
    if kind_of_input(path) is wanted or str(path) == "-":
        return
    if wanted is InputKind.PROMPTS:
        raise InputError(f"{path}: holds pairs where prompts are needed; judge it as pairs")
    raise InputError(
        f"{path}: holds prompts where pairs are needed; generate candidates for them first, or "
        'give each record a "first" and a "second" answer'
    )
