"""From a reply in JSON to a verdict: {"reasoning": "...", "verdict": "A"}, and nothing else.

As strict as for [[A]], and for the same reason: a candidate's text may hold an object that looks
like a verdict. So none is looked for; the whole reply has to be one.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from judge.records import Verdict
from judge.replies.ratings import Unreadable
from judge.replies.verdicts import after_thinking

PARSER = "json/1"
"""Name and version of the rule, stored with every verdict it reads."""

REASONING = "reasoning"
VERDICT = "verdict"
LONGEST_QUOTE = 40

_BLANKS = " \t\r\n"
_FENCED = re.compile(r"```(?:json|JSON)?[ \t]*\r?\n(.*?)\r?\n[ \t]*```", re.DOTALL)
NOT_ONE_OBJECT = 'the reply is not one JSON object {"reasoning": ..., "verdict": ...}'


def verdict_schema(*, allow_tie: bool) -> dict[str, Any]:
    """Return the JSON schema of a reply, in the strict subset of OpenAI's structured outputs.

    The reasoning stands first: a model writes in the order of the schema, so it thinks before it
    decides.
    """
    return {
        "type": "object",
        "properties": {
            REASONING: {"type": "string"},
            VERDICT: {"type": "string", "enum": _offered(allow_tie=allow_tie)},
        },
        "required": [REASONING, VERDICT],
        "additionalProperties": False,
    }


def parse_verdict_json(reply: str, *, allow_tie: bool = True) -> Verdict | Unreadable:
    """Return the verdict that `reply` is about the shown positions, or why there is none.

    Accepted is one object with a text as "reasoning" and a verdict offered as "verdict", in either
    sequence, with JSON's white space around it or alone in a code fence, as models write it that
    were not given the schema. What stands before a closing think tag is left out. `reply` must be
    complete, as only its finish reason tells. Never raises, and takes time linear in the reply.
    """
    text = after_thinking(reply)
    if text is None:
        return Unreadable("the reply ends inside its thinking")
    try:
        found = json.loads(
            _unfenced(text.strip(_BLANKS)),
            object_pairs_hook=_without_repeats,
            parse_constant=_refuse,
            # Numbers have no place in a verdict, and huge ones take long to read.
            parse_int=_refuse,
            parse_float=_refuse,
        )
    except _NotAVerdictError as error:
        return Unreadable(str(error))
    except (ValueError, RecursionError):
        return Unreadable(NOT_ONE_OBJECT)
    if not isinstance(found, dict):
        return Unreadable(NOT_ONE_OBJECT)
    return _verdict_of(found, offered=_offered(allow_tie=allow_tie))


class _NotAVerdictError(Exception):
    """JSON that no verdict can be part of."""


def _verdict_of(found: Mapping[str, object], *, offered: list[str]) -> Verdict | Unreadable:
    for key in (REASONING, VERDICT):
        if key not in found:
            return Unreadable(f'the reply has no key "{key}"')
    for key in found:
        if key not in (REASONING, VERDICT):
            return Unreadable(f"the reply has a key that was not asked for: {_quoted(key)}")
    if not isinstance(found[REASONING], str):
        return Unreadable(f'"{REASONING}" is not a text')
    verdict = found[VERDICT]
    if not isinstance(verdict, str) or verdict not in offered:
        return Unreadable(
            f'"{VERDICT}" is {_quoted(verdict)}; it must be one of {", ".join(offered)}'
        )
    return Verdict(verdict)


def _offered(*, allow_tie: bool) -> list[str]:
    return [verdict.value for verdict in Verdict if allow_tie or verdict is not Verdict.TIE]


def _unfenced(text: str) -> str:
    """Return what stands in the code fence that a text consists of, else the text."""
    if not text.startswith("```"):
        return text
    fenced = _FENCED.fullmatch(text)
    return fenced[1] if fenced else text


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; one that says a thing twice says nothing."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _NotAVerdictError(f"the reply has the key {_quoted(key)} twice")
        found[key] = value
    return found


def _refuse(number: str) -> None:
    raise _NotAVerdictError(
        f"the reply holds the number {_quoted(number)}, and texts were asked for"
    )


def _quoted(value: object) -> str:
    """Return a value as JSON in printable ASCII, cut where it is long."""
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    text = json.dumps(value)
    return text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 3] + "..."
