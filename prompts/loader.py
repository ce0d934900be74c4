"""Read judge prompt templates: built-in ones by name, a user's own by path.

A template is a TOML file with the keys name, source, verdict_format, allows_tie, system and user.
"""

import difflib
import hashlib
import json
import tomllib
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

from prompts.errors import PromptError
from prompts.template import JudgePrompt, Text, cut_at_holes

VERDICT_FORMATS = ("mtbench",)
REQUIRED_HOLES = frozenset({"question", "answer_a", "answer_b"})
KNOWN_HOLES = REQUIRED_HOLES | {"reference"}
_KEYS: dict[str, type] = {
    "name": str,
    "source": str,
    "verdict_format": str,
    "allows_tie": bool,
    "system": str,
    "user": str,
}


def built_in_prompts() -> list[str]:
    """Return the names of the templates that come with the package, sorted."""
    templates = files("prompts") / "templates"
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in templates.iterdir()
        if entry.name.endswith(".toml")
    )


def load_prompt(name_or_path: str) -> JudgePrompt:
    """Return the built-in template of that name, or the template in the file at that path.

    Raises PromptError where there is none or where it is not a valid template.
    """
    built_in = built_in_prompts()
    if name_or_path in built_in:
        resource = files("prompts") / "templates" / f"{name_or_path}.toml"
        return parse_prompt(resource.read_bytes(), f"built-in prompt {name_or_path}")
    path = Path(name_or_path)
    if path.suffix != ".toml" and len(path.parts) < 2:
        raise PromptError(
            f"prompt {name_or_path}: no built-in prompt has this name"
            f"{_suggestion(name_or_path, built_in)}; choose one of {', '.join(built_in)}, "
            "or give the path of a .toml file"
        )
    where = f"prompt file {name_or_path}"
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or error
        raise PromptError(
            f"{where}: cannot be read ({cause}); check the path and its permissions"
        ) from error
    return parse_prompt(content, where)


def parse_prompt(content: bytes, where: str) -> JudgePrompt:
    """Return the template that a TOML file's bytes hold.

    `where` names the file in the PromptError that a broken template raises.
    """
    data = _toml(content, where)
    _check_keys(data, where)
    system, user = data["system"].strip("\n"), data["user"].strip("\n")
    system_text = cut_at_holes(system, f"{where}, system text")
    user_text = cut_at_holes(user, f"{where}, user text")
    _check_holes((system_text, user_text), where)
    _check_verdicts(data, where)
    meaning = [system, user, data["verdict_format"], data["allows_tie"]]
    return JudgePrompt(
        name=data["name"],
        source=data["source"],
        system=system,
        user=user,
        verdict_format=data["verdict_format"],
        allows_tie=data["allows_tie"],
        digest=hashlib.sha256(json.dumps(meaning).encode()).hexdigest()[:16],
        holes=system_text.holes | user_text.holes,
        system_text=system_text,
        user_text=user_text,
    )


def _toml(content: bytes, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise PromptError(
            f"{where}: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise PromptError(
            f"{where}: not valid TOML ({error}); put long texts between ''' and '''"
        ) from error


def _check_keys(data: dict[str, Any], where: str) -> None:
    for key in data:
        if key not in _KEYS:
            raise PromptError(
                f"{where}: unknown key {key}{_suggestion(key, _KEYS)}; "
                f"the keys are {', '.join(_KEYS)}"
            )
    for key, kind in _KEYS.items():
        if key not in data:
            raise PromptError(f"{where}: key {key} is missing; add it")
        if not isinstance(data[key], kind) or data[key] == "":
            wanted = "true or false" if kind is bool else "a text that is not empty"
            raise PromptError(f"{where}: key {key} is {data[key]!r}; it must be {wanted}")
    if data["verdict_format"] not in VERDICT_FORMATS:
        raise PromptError(
            f"{where}: verdict_format {data['verdict_format']} is unknown; "
            f"use one of {', '.join(VERDICT_FORMATS)}"
        )


def _check_holes(texts: tuple[Text, ...], where: str) -> None:
    for text in texts:
        _check_surroundings(text.pieces, where)
    holes = {hole for text in texts for hole in text.holes}
    for hole in sorted(holes - KNOWN_HOLES):
        raise PromptError(
            f"{where}: unknown hole ${hole}{_suggestion(hole, KNOWN_HOLES)}; "
            f"the holes are {', '.join(sorted(KNOWN_HOLES))}, and $$ is a dollar sign"
        )
    for hole in sorted(REQUIRED_HOLES - holes):
        raise PromptError(
            f"{where}: hole ${hole} is missing; add it, or the judge would not see that text"
        )


def _check_surroundings(pieces: tuple[str, ...], where: str) -> None:
    # "[$answer_a]" would make a token of the answer "[A]", and two neighbours one of their halves.
    has_neighbours = "" in pieces[2:-1:2]
    for before, hole, after in zip(pieces[:-1:2], pieces[1::2], pieces[2::2], strict=True):
        if has_neighbours or before[-1:] in {"[", "<"} or after[:1] in {"]", ">"}:
            raise PromptError(
                f"{where}: hole ${hole} touches a bracket or another hole; "
                "put it on a line of its own"
            )


def _check_verdicts(data: dict[str, Any], where: str) -> None:
    instructions = data["system"] + data["user"]
    for token in ("[[A]]", "[[B]]"):
        if token not in instructions:
            raise PromptError(f"{where}: {token} is never mentioned; tell the judge how to answer")
    if data["allows_tie"] and "[[C]]" not in instructions:
        raise PromptError(f"{where}: allows_tie is true but [[C]] is never mentioned; change one")
    if not data["allows_tie"] and "[[C]]" in instructions:
        raise PromptError(f"{where}: allows_tie is false but [[C]] is mentioned; change one")


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
