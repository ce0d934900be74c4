"""What makes two records the same: ids that hash content, never names, files or jobs.

Every id is the first 32 hex digits (128 bits) of a SHA-256. The hashed fields are JSON without
white space, one per line. JSON writes a line break inside a text as an escape, so no two
different inputs run together into the same bytes.

A pair is stored in one canonical orientation: its two answers sorted by their JSON bytes. The
same answers the other way round are therefore the same content, and `is_exchanged` says which
way round they were given.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json

from judge.records import Message, Order, Pair

_MESSAGES = TypeAdapter(tuple[Message, ...])


@dataclass(frozen=True, slots=True)
class Content:
    """What a judge sees of a pair, in canonical orientation.

    Model names, tags and given ids are no part of it. The `*_json` texts are the messages as
    they were hashed, made once so that a store need not serialise them again;
    `messages_from_json` reads them back.
    """

    content_id: str
    prompt: tuple[Message, ...]
    reference: str | None
    first: tuple[Message, ...]
    second: tuple[Message, ...]
    prompt_json: str
    first_json: str
    second_json: str
    is_exchanged: bool
    """The pair was given the other way round: its first answer is the canonical second."""


def canonical(pair: Pair) -> Content:
    """The content of a pair, with its id and the side on which the pair gave its answers."""
    prompt = pair.prompt
    return content_of(prompt.messages, prompt.reference, pair.first.messages, pair.second.messages)


def content_of(
    prompt: tuple[Message, ...],
    reference: str | None,
    first: tuple[Message, ...],
    second: tuple[Message, ...],
) -> Content:
    """The content of a prompt with two answers, in the orientation they were given in."""
    prompt_json, first_json, second_json = to_json(prompt), to_json(first), to_json(second)
    is_exchanged = second_json < first_json
    if is_exchanged:
        first, second = second, first
        first_json, second_json = second_json, first_json
    return Content(
        _content_digest(prompt_json, reference, first_json, second_json),
        prompt,
        reference,
        first,
        second,
        prompt_json.decode(),
        first_json.decode(),
        second_json.decode(),
        is_exchanged,
    )


def content_id(
    prompt_messages: Sequence[Message],
    reference: str | None,
    first: Sequence[Message],
    second: Sequence[Message],
) -> str:
    """The id of a prompt with two answers, the same whichever answer is named first."""
    answers = sorted((to_json(first), to_json(second)))
    return _content_digest(to_json(prompt_messages), reference, *answers)


def prompt_id_of(messages: Sequence[Message], reference: str | None) -> str:
    """The id of a prompt that was given none, so that equal prompts form one cluster."""
    return _digest(b"prompt", to_json(messages), to_json(reference))


def judge_key(model: str, prompt_digest: str, params: Mapping[str, Any]) -> str:
    """The id of a way to judge: a model, a prompt template and the sampling parameters.

    `params` are JSON values. Their order does not matter, 0 and 0.0 are one number, and a
    parameter that is None counts as absent: none of these changes what is asked.
    """
    given = {name: _plain(value) for name, value in params.items() if value is not None}
    canonical_json = json.dumps(
        [model, prompt_digest, given], sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    return _digest(b"judge", canonical_json.encode())


def judgment_id(content_id: str, judge_key: str, order: Order, sample: int) -> str:
    """The id of one ask: a content, a judge, an order and a sample number, from 0.

    `order` is that of the canonical orientation, so that one ask has one id however the pair
    was given. Neither the job nor the judge's nickname takes part: no ask is paid twice.
    """
    return _digest(f"judgment\n{content_id}\n{judge_key}\n{order.value}\n{sample}".encode())


def messages_from_json(text: str | bytes) -> tuple[Message, ...]:
    """The messages that a `*_json` text of `Content` was made from."""
    return _MESSAGES.validate_json(text)


def _content_digest(
    prompt_json: bytes, reference: str | None, first_json: bytes, second_json: bytes
) -> str:
    return _digest(b"content", prompt_json, to_json(reference), first_json, second_json)


def _digest(*fields: bytes) -> str:
    return sha256(b"\n".join(fields)).hexdigest()[:32]


def _plain(value: Any) -> Any:
    """The value with whole floats as integers, at any depth."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
