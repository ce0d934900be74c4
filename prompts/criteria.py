"""Criteria to judge by: principles to weigh, attributes to rate, or a rubric of scores.

A criteria file is TOML with the keys name, principles, attributes and scale, or criterion and
score1_description, score2_description, ... Built in are the files of prompts/rubrics.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from prompts.errors import PromptError
from prompts.files import file_content, toml_table
from prompts.suggestion import suggestion

DEFAULT_SCALE = 7
LARGEST_SCALE = 10

STANDARD = "quality"
"""The built-in criteria whose attributes another file may name without describing them."""

_KEYS = ("name", "principles", "attributes", "scale", "criterion")
_SCORE_KEY = re.compile(r"score([1-9]\d?)_description")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One thing to weigh or to rate both answers on."""

    name: str
    """Lower-case letters, digits and underscores: it names a line of a reply and a column."""
    description: str


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a judge is told to judge by; `load_criteria` makes one."""

    name: str
    principles: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    scale: int
    """Ratings and scores are whole numbers from 1, the worst, to this."""
    criterion: str | None
    """What the scores are about; None where there are no scores."""
    scores: tuple[str, ...]
    """What an answer of each score is like, from score 1 on."""

    @property
    def column(self) -> str:
        """The name under which scores are kept, as attributes are under theirs."""
        return self.name.replace("-", "_")

    @property
    def attribute_names(self) -> tuple[str, ...]:
        return tuple(attribute.name for attribute in self.attributes)

    def text(self, *, asks_ratings: bool) -> str:
        """Return the criteria as a prompt shows them, with the form of ratings where asked."""
        parts = []
        if self.principles:
            numbered = (f"{number}. {text}" for number, text in enumerate(self.principles, start=1))
            parts.append("\n".join(("Principles:", *numbered)))
        if self.attributes:
            described = (f"- {each.name}: {each.description}" for each in self.attributes)
            parts.append("\n".join(("Attributes:", *described)))
        if self.attributes and asks_ratings:
            parts.append(self._form())
        if self.criterion is not None:
            scored = (f"Score {number}: {text}" for number, text in enumerate(self.scores, start=1))
            parts.append("\n".join((f"Criterion: {self.criterion}", *scored)))
        return "\n\n".join(parts)

    def _form(self) -> str:
        asked = (
            f"Rate both answers on every attribute with whole numbers from 1 (worst) to "
            f"{self.scale} (best), one line per attribute, in this form:"
        )
        lines = (f"{name}: A=<rating> B=<rating>" for name in self.attribute_names)
        return "\n".join((asked, *lines))


def built_in_criteria() -> list[str]:
    """Return the names of the criteria that come with the package, sorted."""
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in (files("prompts") / "rubrics").iterdir()
        if entry.name.endswith(".toml")
    )


def load_criteria(name_or_path: str) -> Criteria:
    """Return the built-in criteria of that name, or those in the file at that path.

    Raises PromptError where there are none or where they are not valid.
    """
    built_in = built_in_criteria()
    if name_or_path in built_in:
        return parse_criteria(_built_in(name_or_path), f"built-in criteria {name_or_path}")
    if not name_or_path.endswith(".toml") and len(Path(name_or_path).parts) < 2:
        raise PromptError(
            f"criteria {name_or_path}: no built-in criteria have this name"
            f"{suggestion(name_or_path, built_in)}; choose one of {', '.join(built_in)}, "
            "or give the path of a .toml file"
        )
    content = file_content(name_or_path, "criteria file")
    return parse_criteria(content, f"criteria file {name_or_path}")


def parse_criteria(content: bytes, where: str) -> Criteria:
    """Return the criteria that a TOML file's bytes hold.

    `where` names the file in the PromptError that broken criteria raise.
    """
    data = toml_table(content, where)
    _check_keys(data, where)
    scores = _scores(data, where)
    criterion = _criterion(data, scores, where)
    attributes = _attributes(data.get("attributes", []), where)
    principles = _principles(data.get("principles", []), where)
    if scores and attributes:
        raise PromptError(
            f"{where}: holds attributes and score descriptions, and a prompt asks for one of the "
            "two; put them into two files"
        )
    if not (scores or attributes or principles):
        raise PromptError(
            f"{where}: holds nothing to judge by; add principles, attributes, or a criterion with "
            "score1_description and so on"
        )
    return Criteria(
        name=_name(data, where),
        principles=principles,
        attributes=attributes,
        scale=_scale(data, scores, where),
        criterion=criterion,
        scores=scores,
    )


def _built_in(name: str) -> bytes:
    return (files("prompts") / "rubrics" / f"{name}.toml").read_bytes()


def _check_keys(data: Mapping[str, Any], where: str) -> None:
    for key in data:
        if key not in _KEYS and not _SCORE_KEY.fullmatch(key):
            known = (*_KEYS, "score1_description")
            raise PromptError(
                f"{where}: unknown key {key}{suggestion(key, known)}; the keys are "
                f"{', '.join(_KEYS)}, score1_description, score2_description and so on"
            )


def _name(data: Mapping[str, Any], where: str) -> str:
    name = data.get("name")
    if name is None:
        raise PromptError(f"{where}: key name is missing; add it")
    if not isinstance(name, str) or not _NAME.fullmatch(name.replace("-", "_")):
        raise PromptError(f"{where}: name {name!r} {_NAME_RULE}")
    return name


_NAME_RULE = "must be of lower-case letters, digits and _, a letter first, 40 characters at most"


def _principles(given: Any, where: str) -> tuple[str, ...]:
    if not isinstance(given, list):
        raise PromptError(f"{where}: principles must be a list of texts")
    return tuple(
        _line(text, f"{where}: principle {number}") for number, text in enumerate(given, start=1)
    )


def _attributes(given: Any, where: str) -> tuple[Attribute, ...]:
    if not isinstance(given, list):
        raise PromptError(
            f"{where}: attributes must be a list of names and of tables with name and description"
        )
    attributes: list[Attribute] = []
    for number, entry in enumerate(given, start=1):
        attribute = _attribute(entry, f"{where}: attribute {number}")
        if any(attribute.name == earlier.name for earlier in attributes):
            raise PromptError(
                f"{where}: attribute {attribute.name} is there twice; rename or remove one"
            )
        attributes.append(attribute)
    return tuple(attributes)


def _attribute(entry: Any, where: str) -> Attribute:
    if isinstance(entry, str):
        return _standard_attribute(entry, where)
    if not isinstance(entry, dict):
        raise PromptError(f"{where} is {entry!r}; write a name or {{ name, description }}")
    for key in entry:
        if key not in ("name", "description"):
            hint = suggestion(key, ("name", "description"))
            raise PromptError(
                f"{where}: unknown key {key}{hint}; the keys are name and description"
            )
    name = entry.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PromptError(f"{where}: name {name!r} {_NAME_RULE}")
    return Attribute(name, _line(entry.get("description"), f"{where}, {name}: description"))


def _standard_attribute(name: str, where: str) -> Attribute:
    table = toml_table(_built_in(STANDARD), f"built-in criteria {STANDARD}")
    described = {entry["name"]: entry["description"] for entry in table["attributes"]}
    if name not in described:
        raise PromptError(
            f"{where}: {name!r} is not built in{suggestion(name, described)}; describe it as "
            f'{{ name = "...", description = "..." }}, or name one of {", ".join(described)}'
        )
    return Attribute(name, _line(described[name], f"{where}, {name}: description"))


def _scores(data: Mapping[str, Any], where: str) -> tuple[str, ...]:
    numbered = {int(m[1]): key for key in data if (m := _SCORE_KEY.fullmatch(key))}
    if not numbered:
        return ()
    highest = max(numbered)
    for number in range(1, highest + 1):
        if number not in numbered:
            raise PromptError(
                f"{where}: score{number}_description is missing below score{highest}_description; "
                "describe every score from 1 on"
            )
    if not 2 <= highest <= LARGEST_SCALE:
        raise PromptError(
            f"{where}: {highest} score descriptions; describe 2 to {LARGEST_SCALE} scores"
        )
    return tuple(_line(data[numbered[n]], f"{where}: {numbered[n]}") for n in sorted(numbered))


def _criterion(data: Mapping[str, Any], scores: tuple[str, ...], where: str) -> str | None:
    if not scores:
        if "criterion" in data:
            raise PromptError(
                f"{where}: a criterion without scores; add score1_description, "
                "score2_description and so on, one for each score"
            )
        return None
    if "criterion" not in data:
        raise PromptError(f"{where}: scores without a criterion; add criterion, what they measure")
    return _line(data["criterion"], f"{where}: criterion")


def _scale(data: Mapping[str, Any], scores: tuple[str, ...], where: str) -> int:
    given = data.get("scale", len(scores) or DEFAULT_SCALE)
    if type(given) is not int or not 2 <= given <= LARGEST_SCALE:
        raise PromptError(
            f"{where}: scale is {given!r}; it must be a whole number from 2 to {LARGEST_SCALE}, "
            "and ratings go from 1 to it"
        )
    if scores and given != len(scores):
        raise PromptError(
            f"{where}: scale is {given} and {len(scores)} scores are described; make them agree"
        )
    return given


def _line(text: Any, what: str) -> str:
    """Return a text as one line, so that a line break in it is no structure."""
    if not isinstance(text, str) or not text.strip():
        found = "empty" if isinstance(text, str) else "missing" if text is None else repr(text)
        raise PromptError(f"{what} is {found}; write a text")
    return " ".join(text.split())
