"""Prompts and candidates as they are written: one text, or a list of messages."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from judge.errors import InputError
from judge.formats.messages import check_calls, messages_from
from judge.formats.problems import field_name, kind_of, problem, refuse_unknown, wrong_type
from judge.job.trajectories import answers_by_turn
from judge.records import Candidate, Message

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
    messages = messages_from(value, field)
    check_calls(messages, field)
    questions = [message for message in messages if message.role == "user"]
    if not questions:
        raise problem(field, "no user message", _GIVE_QUESTION)
    if not any(message.content.strip() for message in questions):
        raise problem(field, "empty", _GIVE_QUESTION)
    if messages[-1].tool_calls:
        cause = "ends with a tool call"
        raise problem(field, cause, "add the tool's result, or move the call into both answers")
    if messages[-1].role == "assistant":
        raise problem(field, "ends with an answer", "end it with the turn to be answered")
    return messages


def candidate_from(value: Any, prompt: Sequence[Message], field: str) -> Candidate:
    """The candidate that a text or an object stands for, checked against its prompt.

    Its messages are the answers alone: one to the last turn, or one to every user turn. User
    messages between the answers are accepted when they repeat the prompt's, and left out. An
    answer with tool calls is all messages of the assistant and its tools; where several turns are
    answered so, the user messages between them are needed, and kept.
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
    messages = messages_from(written, inner)
    check_calls(messages, inner, before=prompt)
    answers = _trajectory if _uses_tools(messages) else _answers
    return Candidate(messages=answers(messages, prompt, inner), model=model)


def optional_text(value: Any, field: str) -> str | None:
    """The text of a field that may be absent or null."""
    if value is None or isinstance(value, str):
        return value
    raise wrong_type(field, value, "a text")


def _uses_tools(messages: Sequence[Message]) -> bool:
    return any(message.role == "tool" or message.tool_calls for message in messages)


def _trajectory(
    messages: tuple[Message, ...], prompt: Sequence[Message], field: str
) -> tuple[Message, ...]:
    """The messages of a candidate that uses tools, without the user message that they begin with.

    Its shape fits its prompt: it answers the last turn, or every turn in its order.
    """
    turns = [message for message in prompt if message.role == "user"]
    said = [message for message in messages if message.role == "user"]
    if messages[0].role == "tool":
        cause = "other messages than an assistant's or the prompt's at the beginning"
        raise problem(field, cause, "begin with the call, or move the result into the prompt")
    if any(message.role == "system" for message in messages):
        raise problem(field, "a system message", "put it into the prompt, which both answers share")
    if not any(message.role == "assistant" for message in messages):
        raise problem(field, "no assistant message", "give the answer that is judged")
    if said and said not in (turns, turns[1:], turns[-1:]):
        cause = "other user messages than the prompt's"
        raise problem(field, cause, "repeat the prompt's user turns in their order, or none")
    begins = messages[0].role == "user"
    answers = messages[1:] if begins else messages
    answered = answers_by_turn(answers)
    expected = len(said) - begins + 1
    if len(answered) != expected or len(answered) not in (1, len(turns)):
        cause = f"turns answered: {len(answered)}, user turns: {len(turns)}"
        raise problem(field, cause, "answer the last turn, or every turn with its user message")
    if len(answered) > 1 and any(message.role == "assistant" for message in prompt):
        cause = "answers turns that the prompt already holds answers to"
        raise problem(field, cause, "answer the last turn, or take the answers out of the prompt")
    return answers


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
    turns = [len(answers_by_turn(candidate.messages)) for candidate in (first, second)]
    if turns[0] != turns[1]:
        raise InputError(
            f'"first" answers {turns[0]} turns and "second" {turns[1]}; '
            "give both for the same turns"
        )
