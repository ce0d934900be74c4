"""Amounts as people write them, such as 20usd, 5000requests and 2Mtokens. Pure."""

import re
from collections.abc import Iterable
from decimal import Decimal

from judge.errors import ConfigError
from judge.settings.suggestion import did_you_mean

UNITS = {
    "usd": "budget_usd",
    "request": "budget_requests",
    "requests": "budget_requests",
    "token": "budget_tokens",
    "tokens": "budget_tokens",
}
"""Unit -> the setting that it limits."""
MULTIPLES = {"": 1, "k": 1_000, "M": 1_000_000}
EXAMPLES = "20usd, 5000requests or 2Mtokens"

_AMOUNT = re.compile(r"(?P<number>\d+(?:[_,]\d{3})*(?:\.\d+)?)\s?(?P<word>[A-Za-z$]*)")


def limit_of(text: str, *, flag: str = "--budget") -> tuple[str, int | float]:
    """Return the setting that an amount limits and its value, such as ("budget_usd", 20.0).

    A number, k or M where it counts things, and a unit: usd, requests or tokens. Raises
    ConfigError for anything else; `flag` is for its message.
    """
    given = text.strip()
    match = _AMOUNT.fullmatch(given)
    if match is None:
        raise ConfigError(f'{flag} "{text}": is no amount; write {EXAMPLES}')
    word = match["word"]
    if not word:
        raise ConfigError(f'{flag} "{text}": the unit is missing; write {EXAMPLES}')
    multiple, unit = _split(word)
    if unit not in UNITS or multiple not in MULTIPLES:
        hint = did_you_mean(unit, UNITS) if multiple in MULTIPLES else ""
        raise ConfigError(
            f'{flag} "{text}": there is no unit "{word}"{hint or ";"} write {EXAMPLES}'
        )
    if unit == "usd" and multiple:
        raise ConfigError(f'{flag} "{text}": {multiple} is for requests and tokens; write 20usd')
    amount = Decimal(re.sub("[_,]", "", match["number"])) * MULTIPLES[multiple]
    if not amount:
        raise ConfigError(f'{flag} "{text}": is nothing; write {EXAMPLES}')
    if unit == "usd":
        return UNITS[unit], float(amount)
    if amount != int(amount):
        raise ConfigError(f'{flag} "{text}": is no whole number of {unit}; write {EXAMPLES}')
    return UNITS[unit], int(amount)


def limits_of(texts: Iterable[str], *, flag: str = "--budget") -> dict[str, int | float]:
    """Return the settings that amounts limit; ConfigError where one unit is given twice."""
    limits: dict[str, int | float] = {}
    for text in texts:
        setting, amount = limit_of(text, flag=flag)
        if setting in limits:
            raise ConfigError(
                f'{flag} "{text}": {setting.removeprefix("budget_")} are limited twice; give one'
            )
        limits[setting] = amount
    return limits


def _split(word: str) -> tuple[str, str]:
    """Return the multiple before a unit, and the unit; "Mtokens" is ("M", "tokens")."""
    if word in UNITS or word[1:] not in UNITS:
        return "", word
    return word[0], word[1:]
