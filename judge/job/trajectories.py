"""The messages of a candidate turn by turn, where an answer may be an agent's whole trajectory.

A plain candidate holds one assistant message for each turn that it answers. One that calls tools
holds the messages of the assistant and its tools; where it answers several turns, the prompt's
user messages stand between them.
"""

from collections.abc import Sequence

from judge.records import Message
from prompts.steps import transcript


def is_trajectory(messages: Sequence[Message]) -> bool:
    """Whether an answer is more than assistant messages without calls."""
    return any(message.role != "assistant" or message.tool_calls for message in messages)


def answers_by_turn(messages: Sequence[Message]) -> list[tuple[Message, ...]]:
    """Return the messages that answer each turn; at least one message each."""
    if not is_trajectory(messages):
        return [(message,) for message in messages]
    answers: list[list[Message]] = [[]]
    for message in messages:
        if message.role == "user":
            answers.append([])
        else:
            answers[-1].append(message)
    return [tuple(answer) for answer in answers if answer]


def answer_text(answer: Sequence[Message]) -> str:
    """Return one turn's answer as a text: what was said, or a transcript with calls and results."""
    if len(answer) == 1 and not is_trajectory(answer):
        return answer[0].content
    return transcript([message.row for message in answer])


def message_text(message: Message) -> str:
    """Return one message of a conversation as a text, with the calls that it makes."""
    return transcript([message.row]) if message.tool_calls else message.content


def size_of(messages: Sequence[Message]) -> int:
    """Return the length of everything said, called and returned, in characters."""
    called = (call.function for message in messages for call in message.tool_calls or ())
    said = sum(len(message.content) for message in messages)
    return said + sum(len(call.name) + len(call.arguments) for call in called)
