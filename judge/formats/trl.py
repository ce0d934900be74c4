"""Preference rows as TRL trains on them: `prompt`, `chosen`, `rejected`, perhaps `margin`.

Two styles. *Standard* rows hold three texts, for prompts of one user message. *Conversational*
rows hold three lists of `{"role", "content"}`, tool calls and their results among them: the prompt
is every message up to the first answer, and chosen and rejected are what follows. For a candidate
that answers every turn, the prompt therefore ends with the first user turn, and the later user
turns stand between the answers, the same in chosen and rejected.

The layout is that of TRL's "Dataset formats" page, preference type with an explicit prompt.
"""

from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json, to_json

from judge.errors import InputError
from judge.job.trajectories import answers_by_turn, is_trajectory
from judge.outcomes.margins import MarginSource, attribute_columns, margin_of
from judge.records import Candidate, Label, Message, Outcome, Pair


def trl_row(
    pair: Pair,
    label: Label,
    *,
    conversational: bool,
    keep_meta: bool = False,
    margin: MarginSource = MarginSource.PROBABILITY,
    attributes: Sequence[str] = (),
) -> dict[str, Any] | None:
    """The row that a label makes of its pair; None unless one of the answers won.

    `margin` is written only where the label has one of that source; `attributes` name the ratings
    to write as columns (`judge.outcomes.margins`). `keep_meta` adds columns of plain values:
    ids, models, the probability of the chosen answer, the rule, and the tags as a JSON text,
    because columns that differ from row to row do not load. Raises InputError when a prompt of
    several messages is to be written in the standard style.
    """
    if label.pair_id != pair.pair_id:
        raise ValueError(f'label of "{label.pair_id}" given with pair "{pair.pair_id}"')
    if label.outcome is Outcome.FIRST:
        chosen, rejected, is_swapped = pair.first, pair.second, False
    elif label.outcome is Outcome.SECOND:
        chosen, rejected, is_swapped = pair.second, pair.first, True
    else:
        return None
    columns = _conversational if conversational else _standard
    row = columns(pair, chosen, rejected)
    ahead = margin_of(label, margin)
    if ahead is not None:
        row["margin"] = ahead
    row |= attribute_columns(label, attributes)
    if keep_meta:
        row |= _meta(pair, label, is_swapped)
    return row


def _standard(pair: Pair, chosen: Candidate, rejected: Candidate) -> dict[str, Any]:
    messages = pair.prompt.messages
    if len(messages) != 1 or messages[0].role != "user":
        roles = ", ".join(message.role for message in messages)
        raise InputError(
            f'pair "{pair.pair_id}": its prompt is a conversation ({roles}) and the standard style '
            "holds one user message; use the conversational style"
        )
    if is_trajectory(chosen.messages) or is_trajectory(rejected.messages):
        raise InputError(
            f'pair "{pair.pair_id}": its answers call tools and the standard style holds texts; '
            "use the conversational style"
        )
    return {"prompt": messages[0].content, "chosen": chosen.text, "rejected": rejected.text}


def _conversational(pair: Pair, chosen: Candidate, rejected: Candidate) -> dict[str, Any]:
    messages = pair.prompt.messages
    prompt_length = len(messages)
    chosen_by_turn, rejected_by_turn = map(_by_turn, (chosen, rejected))
    if max(len(chosen_by_turn), len(rejected_by_turn)) > 1:
        roles = [message.role for message in messages]
        prompt_length = roles.index("user") + 1
    later = messages[prompt_length:]
    return {
        "prompt": [_row(message) for message in messages[:prompt_length]],
        "chosen": _reply(chosen_by_turn, later),
        "rejected": _reply(rejected_by_turn, later),
    }


def _reply(answers: Sequence[Sequence[Message]], later: Sequence[Message]) -> list[dict[str, Any]]:
    """The answers with the prompt's later messages between them, an answer after each user turn."""
    rows = [_row(message) for message in answers[0]]
    remaining = iter(answers[1:])
    for message in later:
        rows.append(_row(message))
        if message.role == "user":
            rows += [_row(answer) for answer in next(remaining)]
    return rows


def _by_turn(candidate: Candidate) -> list[tuple[Message, ...]]:
    return answers_by_turn(candidate.messages)


def _row(message: Message) -> dict[str, Any]:
    """The message as chat templates take it: the arguments of a call as an object."""
    row = message.row
    for call in row.get("tool_calls", ()):
        call["function"]["arguments"] = _object(call["function"]["arguments"])
    return row


def _object(arguments: str) -> Any:
    """The JSON object that the arguments are; as they are where they are none."""
    try:
        value = from_json(arguments)
    except ValueError:
        return arguments
    return value if isinstance(value, dict) else arguments


def _meta(pair: Pair, label: Label, is_swapped: bool) -> dict[str, Any]:
    models = [pair.first.model, pair.second.model]
    probability = label.probability
    if is_swapped:
        models.reverse()
        probability = None if probability is None else 1.0 - probability
    return {
        "pair_id": pair.pair_id,
        "prompt_id": pair.prompt.prompt_id,
        "chosen_model": models[0],
        "rejected_model": models[1],
        "chosen_probability": probability,
        "rule": label.rule,
        "tags": to_json(pair.prompt.tags).decode(),
    }
