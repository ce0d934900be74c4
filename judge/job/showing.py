"""What a judge is shown of a prompt with two answers, from messages as they are stored."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import from_json

from judge.identity import messages_from_json
from judge.job.trajectories import answers_by_turn, is_trajectory
from judge.records import Message
from prompts.shown import Shown, conversation
from prompts.steps import has_tools, transcript

_CALLS = '"tool_calls":'
_RESULT = '"role":"tool"'
"""Both stand in stored messages where tools are at work; inside a text, quotes are escaped."""


def shown_of(prompt_json: str, reference: str | None, first_json: str, second_json: str) -> Shown:
    """Return what a judge is shown of a pair."""
    prompt = from_json(prompt_json)
    references = () if reference is None else (reference,)
    first, second = _answers(first_json), _answers(second_json)
    if len(prompt) == 1 and isinstance(a := first[0], str) and isinstance(b := second[0], str):
        return Shown(prompt[0]["content"], a, b, references)  # most pairs
    question = question_of(prompt)
    a, b = ("\n\n".join(map(_text, side)) for side in (first, second))
    return Shown(
        question=question,
        answer_a=a,
        answer_b=b,
        references=references,
        conversation_a=conversation(prompt, first),
        conversation_b=conversation(prompt, second),
    )


def question_of(prompt: Sequence[Mapping[str, Any]]) -> str:
    """Return a prompt as one text: the user's words alone, or the turns with their roles.

    Where tools are called it is a transcript (`prompts.steps`).
    """
    if len(prompt) == 1:
        return str(prompt[0]["content"])
    if has_tools(prompt):
        return transcript(prompt)
    return "\n\n".join(f"{m['role'].capitalize()}: {m['content']}" for m in prompt)


def _answers(messages_json: str) -> list[str | list[dict[str, Any]]]:
    """Return the answer to each turn: a text, or the messages of an agent with its tools."""
    if _CALLS in messages_json or _RESULT in messages_json:
        by_turn = answers_by_turn(messages_from_json(messages_json))
        return [_answer(turn) for turn in by_turn]
    return [m["content"] for m in from_json(messages_json) if m["role"] == "assistant"]


def _answer(turn: Sequence[Message]) -> str | list[dict[str, Any]]:
    if len(turn) == 1 and not is_trajectory(turn):
        return turn[0].content
    return [message.row for message in turn]


def _text(answer: str | list[dict[str, Any]]) -> str:
    return answer if isinstance(answer, str) else transcript(answer)
