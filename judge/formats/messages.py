"""Messages as they are written in chat requests, tool calls included.

    {"role", "content": TEXT | null | [{"type": "text", "text"}, ...], "tool_calls"?: [CALL, ...],
     "tool_call_id"?, "name"?}

A CALL is `{"id"?, "type"?: "function", "function": {"name", "arguments": TEXT | {...}}}`.
Arguments given as an object are kept as compact JSON, parts of text are joined, and the content
of a message that only calls tools is kept as an empty text.
"""

import json
from collections.abc import Sequence
from typing import Any, cast, get_args

from judge.formats.problems import field_name, kind_of, problem, refuse_unknown, shown, wrong_type
from judge.records import FunctionCall, Message, ToolCall

ROLES: tuple[str, ...] = get_args(Message.model_fields["role"].annotation)

_MESSAGE_FIELDS = ("role", "content", "tool_calls", "tool_call_id", "name")
_CALL_FIELDS = ("id", "type", "function", "index")
_FUNCTION_FIELDS = ("name", "arguments")
_A_CALL = 'give {"id": ..., "function": {"name": ..., "arguments": ...}}'


def messages_from(values: list[Any], field: str) -> tuple[Message, ...]:
    """The messages that a JSON list stands for; raises InputError with the problem."""
    if not values:
        raise problem(field, "an empty list", "give at least one message")
    return tuple(_message(value, field_name(field, at)) for at, value in enumerate(values))


def check_calls(messages: Sequence[Message], field: str, *, before: Sequence[Message] = ()) -> None:
    """Refuse a tool's message that answers no call made earlier, in `before` or `messages`."""
    known = {call.id for message in before for call in message.tool_calls or ()}
    for at, message in enumerate(messages):
        known |= {call.id for call in message.tool_calls or ()}
        if message.tool_call_id is not None and message.tool_call_id not in known:
            raise problem(
                field_name(field_name(field, at), "tool_call_id"),
                f'no call "{shown(message.tool_call_id)}" before it',
                "put the assistant message with that call before it, or leave tool_call_id out",
            )


def _message(value: Any, field: str) -> Message:
    if not isinstance(value, dict):
        raise wrong_type(field, value, 'an object with "role" and "content"')
    refuse_unknown(
        value, _MESSAGE_FIELDS, remedy='a message holds "role" and "content"', field=field
    )
    role = value.get("role")
    if role not in ROLES:
        was = f'"{shown(role)}"' if isinstance(role, str) else kind_of(role)
        raise problem(
            field_name(field, "role"), f"unknown role {was}", f"give {' or '.join(ROLES)}"
        )
    _refuse_misplaced(value, role, field)
    calls = _tool_calls(value.get("tool_calls"), field_name(field, "tool_calls"))
    content = value.get("content")
    text = "" if content is None and calls else _content(content, field_name(field, "content"))
    return Message(
        role=cast(Any, role),
        content=text,
        tool_calls=calls,
        tool_call_id=_text_or_none(value, "tool_call_id", field),
        name=_text_or_none(value, "name", field) if role == "tool" else None,
    )


def _refuse_misplaced(value: dict[str, Any], role: str, field: str) -> None:
    if role != "assistant" and value.get("tool_calls"):
        name = field_name(field, "tool_calls")
        raise problem(name, f"in a {role} message", "only an assistant calls tools")
    if role != "tool" and value.get("tool_call_id") is not None:
        name = field_name(field, "tool_call_id")
        raise problem(name, f"in a {role} message", 'write the result of a call as role "tool"')
    if role != "tool" and value.get("name") is not None:
        name = field_name(field, "name")
        raise problem(name, f"in a {role} message", "leave it out; only a tool has a name here")


def _content(content: Any, field: str) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_part(part, field_name(field, at)) for at, part in enumerate(content))
    raise wrong_type(field, content, "a text")


def _part(part: Any, field: str) -> str:
    if not isinstance(part, dict):
        raise wrong_type(field, part, 'an object with "type" and "text"')
    kind = part.get("type")
    if kind != "text":
        was = f'a part of type "{shown(kind)}"' if isinstance(kind, str) else "a part without type"
        raise problem(field, was, "only text is judged: describe it in words, or leave the row out")
    refuse_unknown(part, ("type", "text"), remedy='a part holds "type" and "text"', field=field)
    if not isinstance(part.get("text"), str):
        raise wrong_type(field_name(field, "text"), part.get("text"), "a text")
    return str(part["text"])


def _tool_calls(value: Any, field: str) -> tuple[ToolCall, ...] | None:
    if value is None or value == []:
        return None
    if not isinstance(value, list):
        raise wrong_type(field, value, "a list of calls")
    return tuple(_call(call, field_name(field, at)) for at, call in enumerate(value))


def _call(value: Any, field: str) -> ToolCall:
    if not isinstance(value, dict):
        raise wrong_type(field, value, 'an object with "id" and "function"')
    refuse_unknown(value, _CALL_FIELDS, remedy=_A_CALL, field=field)
    kind, function = value.get("type", "function"), value.get("function")
    if kind != "function":
        was = f'"{shown(kind)}"' if isinstance(kind, str) else kind_of(kind)
        raise problem(field_name(field, "type"), f"unknown type {was}", "give function")
    inner = field_name(field, "function")
    if not isinstance(function, dict):
        raise wrong_type(inner, function, 'an object with "name" and "arguments"')
    refuse_unknown(function, _FUNCTION_FIELDS, remedy=_A_CALL, field=inner)
    name = function.get("name")
    if not isinstance(name, str) or not name:
        raise problem(field_name(inner, "name"), kind_of(name), "give the name of the tool")
    arguments = _arguments(function.get("arguments"), field_name(inner, "arguments"))
    return ToolCall(
        id=_text_or_none(value, "id", field), function=FunctionCall(name=name, arguments=arguments)
    )


def _arguments(value: Any, field: str) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, str):
        return value
    raise wrong_type(field, value, "a text or an object")


def _text_or_none(value: dict[str, Any], name: str, field: str) -> str | None:
    given = value.get(name)
    if given is None or isinstance(given, str):
        return given
    raise wrong_type(field_name(field, name), given, "a text")
