"""A conversation step by step: what was said, which tools were called, and what they returned.

Calls are numbered through a conversation, so that a result names the call it answers. Their ids
are left out: they tell a judge nothing. Arguments are indented JSON where they are JSON and stand
as they are where they are not. Two layouts write the same steps: blocks with bracketed headings
(`prompts.shown`), and `transcript`, which needs no neutralising to be safe.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prompts.errors import PromptError

ChatMessage = Mapping[str, Any]
"""`role` (system, user, assistant or tool) and `content`, as in a chat request; an assistant's may
hold `tool_calls`, a tool's `tool_call_id` and `name`."""

MOST_OF_A_RESULT = 4000
"""Characters of a tool's result, or of the arguments of a call, that are shown in full."""
_HEAD, _TAIL = 3000, 1000
"""Of a longer one, its beginning and its end."""
_INDENT = "    "

_SPEAKERS = {"assistant": "Assistant", "system": "System", "user": "User", "tool": "Tool"}
_NO_NAME = re.compile(r"[^\w.:/-]+")
_NAME_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class Step:
    """One heading and the text under it."""

    turn: int
    """From 1; what stands before the user's first words is part of turn 1."""
    speaker: str
    """Assistant, System, User or Tool."""
    about: str
    """What follows the speaker in the heading: empty, or such as `, call 2: search`."""
    text: str


def steps(messages: Sequence[ChatMessage]) -> Iterator[Step]:
    """Yield the steps of a conversation; a long tool result or argument comes in two parts.

    Raises PromptError for an unknown role.
    """
    turn = 0
    calls: list[_Call] = []
    for message in messages:
        role = message["role"]
        if role not in _SPEAKERS:
            raise PromptError(
                f"conversation: unknown role {role!r}; the roles are assistant, system, tool, user"
            )
        turn += role == "user"
        made = message.get("tool_calls") or ()
        if role == "tool":
            yield from _result(max(turn, 1), message, calls)
        elif message["content"] or not made:
            yield Step(max(turn, 1), _SPEAKERS[role], "", message["content"])
        for call in made:
            calls.append(_Call(len(calls) + 1, call.get("id"), _name(call["function"]["name"])))
            arguments = _pretty(call["function"]["arguments"])
            yield from _folded(max(turn, 1), "Assistant", f", {calls[-1].words}", arguments)


def transcript(messages: Sequence[ChatMessage]) -> str:
    """Return a conversation as one text whose layout no content can forge.

    Headings begin at the margin and every line of content is indented.
    """
    parts = []
    for step in steps(messages):
        lines = [f"{_INDENT}{line}" for line in step.text.splitlines()]
        parts.append("\n".join([f"{step.speaker}{step.about}:", *lines]))
    return "\n\n".join(parts)


def has_tools(messages: Sequence[ChatMessage]) -> bool:
    """Whether any message calls a tool or names the call that it answers."""
    return any(
        message.get("tool_calls") or message.get("tool_call_id") or message.get("name")
        for message in messages
    )


@dataclass(slots=True)
class _Call:
    number: int
    id: str | None
    name: str
    is_answered: bool = False

    @property
    def words(self) -> str:
        return f"call {self.number}: {self.name}"


def _result(turn: int, message: ChatMessage, calls: Sequence[_Call]) -> Iterator[Step]:
    call = _answered_call(message, calls)
    if call is not None:
        call.is_answered = True
        yield from _folded(turn, "Tool", f", result of {call.words}", message["content"])
    elif message.get("name"):
        yield from _folded(turn, "Tool", f": {_name(message['name'])}", message["content"])
    else:
        yield Step(turn, "Tool", "", message["content"])


def _answered_call(message: ChatMessage, calls: Sequence[_Call]) -> _Call | None:
    """Return the call that a tool's message answers: by its id, or else the first open one."""
    if given := message.get("tool_call_id"):
        named = [call for call in calls if call.id == given]
        waiting = [call for call in named if not call.is_answered]
        # Some servers number their calls anew in each message, so the newest is meant.
        return (waiting or named)[-1] if named else None
    name = message.get("name")
    fits = (c for c in calls if not c.is_answered and (not name or c.name == _name(name)))
    return next(fits, None)


def _folded(turn: int, speaker: str, about: str, text: str) -> Iterator[Step]:
    if len(text) <= MOST_OF_A_RESULT:
        yield Step(turn, speaker, about, text)
        return
    left_out = len(text) - _HEAD - _TAIL
    yield Step(turn, speaker, about, text[:_HEAD])
    yield Step(turn, speaker, f"{about}, after {left_out:,} characters left out", text[-_TAIL:])


def _pretty(arguments: str) -> str:
    try:
        value = json.loads(arguments, object_pairs_hook=_object)
        pretty = json.dumps(value, indent=2, ensure_ascii=False)
        pretty.encode()  # an escape may stand for what is no character
    except (ValueError, RecursionError):
        return arguments
    return pretty


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("a name stands there twice")  # nothing that was written is left out
    return found


def _name(name: str) -> str:
    return _NO_NAME.sub("_", name)[:_NAME_CHARACTERS]
