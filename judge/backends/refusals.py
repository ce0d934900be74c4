"""Requests refused for one of their fields, which refuses every item alike. Pure.

Such an answer is none of the item's: taken for one, it would end thousands of items as failed. It
stops the job at its first refusal instead, and names the setting to change.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import from_json

from judge.backends.wire import UNREADABLE, Answer, envelope_message, read_error
from judge.errors import AccountError

LOGPROBS = ("logprobs", "top_logprobs")
LIMITS = ("max_tokens", "max_completion_tokens")
_EVERY_ITEM = ("model", "messages")
"""What a refusal of these is about is another matter: the model, or the item."""

_ALIASES = {
    "max_tokens": LIMITS,
    "max_completion_tokens": LIMITS,
    "response_format": ("response_format", "json_schema"),
    "logprobs": LOGPROBS,
    "top_logprobs": LOGPROBS,
}
_REJECTS = re.compile(
    r"unsupported|(?:not|n't)(?: \w+){0,2} (?:support|allow|permit|accept|available|enabled"
    r"|configured|recogni[sz]ed|known)|unavailable|unknown|unrecogni[sz]ed|unexpected"
    r"|extra (?:inputs?|fields?)|forbidden|deprecated|invalid (?:param|field|argument)"
    r"|only the default|may only be|cannot (?:both )?be (?:used|set|specified)|must be omitted"
    r"|\buse '?max_",
    re.IGNORECASE,
)
"""What is too large or too long is not rejected as such: another item may fit."""


def refused_field(answer: Answer, sent: Iterable[str]) -> tuple[str, bool] | None:
    """Return the field for which an answer refuses a request, and whether that is certain.

    `sent` are the fields of the request. None where the answer is about something else, such as
    the item. It is not certain where a word of the message, such as "seed", may be the item's.
    """
    if not 400 <= answer.status < 500 or answer.status in (401, 402, 429):
        return None
    param, message = _param(answer.body), envelope_message(answer.body)
    if param in _EVERY_ITEM:
        return None
    rejects = _REJECTS.search(message) is not None
    named: list[tuple[int, str]] = []
    for field in sent:
        if field in _EVERY_ITEM:
            continue
        aliases = _ALIASES.get(field, (field,))
        if param in aliases and (rejects or field not in LIMITS):
            return field, True
        places = [spot.start() for name in aliases if (spot := _mention(name, message))]
        if places and (rejects or field in LOGPROBS):
            named.append((min(places), field))
    if not named:
        return None
    field = min(named)[1]
    return field, "_" in field or field in LOGPROBS


def refusal_of(
    answer: Answer, body: Mapping[str, Any], *, where: str, extra: Iterable[str] = ()
) -> AccountError | None:
    """Return the error of an answer that refuses a field of the request `body`; None for others.

    `extra` are the fields that the endpoint's extra_body set.
    """
    found = refused_field(answer, body)
    if found is None:
        return None
    field, is_certain = found
    remedy = _remedy(field, body, is_extra=field in set(extra))
    said = str(read_error(answer, where=where)).rstrip(".")
    return AccountError(f"{said}; {remedy}", is_certain=is_certain)


def _remedy(field: str, body: Mapping[str, Any], *, is_extra: bool) -> str:
    """Return the setting to change, so that the endpoint takes the request."""
    if is_extra:
        return f"mend or remove {field} in extra_body of the endpoint"
    if field in LIMITS:
        other = next(name for name in LIMITS if name != field)
        return f'set max_tokens_field = "{other}" on the endpoint'
    if field in LOGPROBS:
        return (
            f"lower top_logprobs of the judge (it is {body.get('top_logprobs')}), or set "
            "top_logprobs = false to judge without probabilities"
        )
    if field == "response_format":
        return (
            "set json_schema = false for the judge, so that only its prompt asks for JSON; what is "
            "not exactly that is then unparsed"
        )
    if field == "temperature":
        return f"set temperature = false (it is {body[field]:g}), which leaves it to the server"
    if field == "reasoning_effort":
        return f'change reasoning_effort of the judge (it is "{body[field]}"), or remove it'
    if field in ("top_p", "top_k", "seed"):
        return f"remove {field} from the judge or the generator"
    return f"change or remove reasoning_tokens_field of the endpoint, which sends {field}"


def _mention(name: str, message: str) -> re.Match[str] | None:
    return re.search(rf"(?<![\w]){re.escape(name)}(?!\w)", message, re.IGNORECASE)


def _param(body: bytes) -> str | None:
    """Return the field that an OpenAI error body names, its outermost part."""
    try:
        error = from_json(body).get("error")
        param = error.get("param") if isinstance(error, dict) else None
    except UNREADABLE:
        return None
    return re.split(r"[.\[]", param, maxsplit=1)[0] if isinstance(param, str) else None
