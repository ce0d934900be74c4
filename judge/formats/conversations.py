"""Prompts and candidates as they are written: one text, or a list of messages."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, get_args

from judge.errors import InputError
from judge.formats.problems import field_name, kind_of, problem, refuse_unknown, shown, wrong_type
from judge.records import Candidate, Message

ROLES: tuple[str, ...] = get_args(Message.model_fields["role"].annotation)

_MESSAGE_FIELDS = ("role", "content")
_CANDIDATE_FIELDS = ("text", "messages", "model")
_GIVE_QUESTION = "give the question that was answered"
_GIVE_ANSWER = 'give a text or an object with "text"'


def prompt_messages(value: Any, field: str) -> tuple[Message, ...]:
    """The conversation that a prompt stands for: a text is one user message."""
    if isinstance(value, str):
        if not value or value.isspace():
            raise problem(field, "empty", _GIVE_QUESTION)
        return (Message(role="user", content=value),)
    if value is None:
        raise problem(field, "missing", "give a text or a list of messages")
    if not isinstance(value, list):
        raise wrong_type(field, value, "a text or a list of messages")
    messages = _messages(value, field)
    questions = [message for message in messages if message.role == "user"]
    if not questions:
        raise problem(field, "no user message", _GIVE_QUESTION)
    if not any(message.content.strip() for message in questions):
        raise problem(field, "empty", _GIVE_QUESTION)
    if messages[-1].role == "assistant":
        raise problem(field, "ends with an answer", "end it with the turn to be answered")
    return messages


def candidate_from(value: Any, prompt: Sequence[Message], field: str) -> Candidate:
    """The candidate that a text or an object stands for, checked against its prompt.

    Its messages are the answers alone: one to the last turn, or one to every user turn. User
    messages between the answers are accepted when they repeat the prompt's, and left out.
    """
    if isinstance(value, str):
        return Candidate(messages=(Message(role="assistant", content=value),))
    if value is None:
        raise problem(field, "missing", _GIVE_ANSWER)
    if not isinstance(value, dict):
        raise problem(field, f"{kind_of(value)} where a text is needed", _GIVE_ANSWER)
    refuse_unknown(value, _CANDIDATE_FIELDS, remedy='own columns go under "tags"', field=field)
    model = optional_text(value.get("model"), field_name(field, "model"))
    text, written = value.get("text"), value.get("messages")
    if text is not None and written is not None:
        raise problem(field, 'both "text" and "messages"', "give one of them")
    if text is None and written is None:
        raise problem(field, "no answer", _GIVE_ANSWER)
    if text is not None:
        if not isinstance(text, str):
            raise wrong_type(field_name(field, "text"), text, "a text")
        return Candidate(messages=(Message(role="assistant", content=text),), model=model)
    inner = field_name(field, "messages")
    if not isinstance(written, list):
        raise wrong_type(inner, written, "a list of messages")
    return Candidate(messages=_answers(_messages(written, inner), prompt, inner), model=model)


def optional_text(value: Any, field: str) -> str | None:
    """The text of a field that may be absent or null."""
    if value is None or isinstance(value, str):
        return value
    raise wrong_type(field, value, "a text")


def _messages(values: list[Any], field: str) -> tuple[Message, ...]:
    if not values:
        raise problem(field, "an empty list", "give at least one message")
    return tuple(_message(value, field_name(field, at)) for at, value in enumerate(values))


def _message(value: Any, field: str) -> Message:
    if not isinstance(value, dict):
        raise wrong_type(field, value, 'an object with "role" and "content"')
    refuse_unknown(
        value, _MESSAGE_FIELDS, remedy='a message holds "role" and "content"', field=field
    )
    role, content = value.get("role"), value.get("content")
    if role not in ROLES:
        was = f'"{shown(role)}"' if isinstance(role, str) else kind_of(role)
        raise problem(
            field_name(field, "role"), f"unknown role {was}", f"give {' or '.join(ROLES)}"
        )
    if not isinstance(content, str):
        raise wrong_type(field_name(field, "content"), content, "a text")
    return Message(role=role, content=content)


def _answers(
    messages: tuple[Message, ...], prompt: Sequence[Message], field: str
) -> tuple[Message, ...]:
    """The assistant messages of a candidate whose shape fits its prompt."""
    answers = tuple(message for message in messages if message.role == "assistant")
    turns = [message for message in prompt if message.role == "user"]
    if not answers:
        raise problem(field, "no assistant message", "give the answer that is judged")
    if len(messages) == len(answers) == 1:
        return answers
    if len(answers) != len(turns):
        cause = f"assistant messages: {len(answers)}, user turns: {len(turns)}"
        raise problem(field, cause, "answer the last turn once, or every turn once")
    if len(turns) > 1 and any(message.role == "assistant" for message in prompt):
        cause = "answers turns that the prompt already holds answers to"
        raise problem(
            field, cause, "give one assistant message, or take the answers out of the prompt"
        )
    whole = tuple(chain.from_iterable(zip(turns, answers, strict=True)))
    if messages not in (answers, whole, whole[1:]):
        cause = "other messages than the answers and the prompt's user turns in their order"
        raise problem(field, cause, "give the assistant messages alone")
    return answers


def check_same_turns(first: Candidate, second: Candidate) -> None:
    """Refuse two candidates of which one answers every turn and the other only the last."""
    if len(first.messages) != len(second.messages):
        raise InputError(
            f'"first" answers {len(first.messages)} turns and "second" {len(second.messages)}; '
            "give both for the same turns"
        )
