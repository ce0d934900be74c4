"""Read judge prompt templates: built-in ones by name, a user's own by path.

A template is a TOML file with the keys name, source, verdict_format, allows_tie, system and user,
or one line of a FastChat `judge_prompts.jsonl`.
"""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from prompts.checks import check_holes, check_verdicts, suggestion
from prompts.errors import PromptError
from prompts.fastchat import parse_fastchat, split_address
from prompts.filling import ANSWER_HOLES, CONVERSATION_HOLES
from prompts.template import JudgePrompt, VerdictFormat, make_prompt
from prompts.text import cut_at_holes

KNOWN_HOLES = ANSWER_HOLES | CONVERSATION_HOLES | {"reference"}
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

    `FILE.jsonl#NAME` is the prompt of that name in a FastChat file; it renders verbatim. Raises
    PromptError where there is none or where it is not a valid template.
    """
    built_in = built_in_prompts()
    if name_or_path in built_in:
        resource = files("prompts") / "templates" / f"{name_or_path}.toml"
        return parse_prompt(resource.read_bytes(), f"built-in prompt {name_or_path}")
    if address := split_address(name_or_path):
        file, name = address
        return parse_fastchat(_content(file), name, file)
    path = Path(name_or_path)
    if path.suffix != ".toml" and len(path.parts) < 2:
        raise PromptError(
            f"prompt {name_or_path}: no built-in prompt has this name"
            f"{suggestion(name_or_path, built_in)}; choose one of {', '.join(built_in)}, "
            "or give the path of a .toml file or FILE.jsonl#NAME"
        )
    return parse_prompt(_content(name_or_path), f"prompt file {name_or_path}")


def parse_prompt(content: bytes, where: str) -> JudgePrompt:
    """Return the template that a TOML file's bytes hold.

    `where` names the file in the PromptError that a broken template raises.
    """
    data = _toml(content, where)
    _check_keys(data, where)
    system, user = data["system"].strip("\n"), data["user"].strip("\n")
    system_text = cut_at_holes(system, f"{where}, system text")
    user_text = cut_at_holes(user, f"{where}, user text")
    for text in (system_text, user_text):
        _check_surroundings(text.pieces, where)
    check_holes(
        system_text.holes | user_text.holes,
        where,
        known=KNOWN_HOLES,
        shapes=(ANSWER_HOLES, CONVERSATION_HOLES),
        mark="${}",
    )
    verdict_format, allows_tie = VerdictFormat(data["verdict_format"]), data["allows_tie"]
    check_verdicts(f"{system}\n{user}", where, verdict_format=verdict_format, allows_tie=allows_tie)
    return make_prompt(
        system_text,
        user_text,
        name=data["name"],
        source=data["source"],
        system=system,
        user=user,
        verdict_format=verdict_format,
        allows_tie=allows_tie,
    )


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or error
        raise PromptError(
            f"prompt file {path}: cannot be read ({cause}); check the path and its permissions"
        ) from error


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
                f"{where}: unknown key {key}{suggestion(key, _KEYS)}; "
                f"the keys are {', '.join(_KEYS)}"
            )
    for key, kind in _KEYS.items():
        if key not in data:
            raise PromptError(f"{where}: key {key} is missing; add it")
        if not isinstance(data[key], kind) or data[key] == "":
            wanted = "true or false" if kind is bool else "a text that is not empty"
            raise PromptError(f"{where}: key {key} is {data[key]!r}; it must be {wanted}")
    if data["verdict_format"] not in set(VerdictFormat):
        raise PromptError(
            f"{where}: verdict_format {data['verdict_format']} is unknown; "
            f"use one of {', '.join(VerdictFormat)}"
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
