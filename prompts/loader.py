"""Read judge prompt templates: built-in ones by name, a user's own by path.

A template is a TOML file with the keys name, source, verdict_format, allows_tie, system and user,
and criteria where it has a hole for them, or one line of a FastChat `judge_prompts.jsonl`.
"""

from importlib.resources import files
from pathlib import Path
from typing import Any

from prompts.checks import check_criteria, check_holes, check_verdicts
from prompts.criteria import load_criteria
from prompts.errors import PromptError
from prompts.fastchat import parse_fastchat, split_address
from prompts.files import file_content, toml_table
from prompts.filling import ANSWER_HOLES, CONVERSATION_HOLES
from prompts.suggestion import suggestion
from prompts.template import CRITERIA_HOLE, JudgePrompt, VerdictFormat, make_prompt
from prompts.text import cut_at_holes

KNOWN_HOLES = ANSWER_HOLES | CONVERSATION_HOLES | {"reference", CRITERIA_HOLE}
_KEYS: dict[str, type] = {
    "name": str,
    "source": str,
    "verdict_format": str,
    "allows_tie": bool,
    "system": str,
    "user": str,
}
_OPTIONAL_KEYS: dict[str, type] = {"criteria": str}


def built_in_prompts() -> list[str]:
    """Return the names of the templates that come with the package, sorted."""
    templates = files("prompts") / "templates"
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in templates.iterdir()
        if entry.name.endswith(".toml")
    )


def load_prompt(name_or_path: str, criteria: str | None = None) -> JudgePrompt:
    """Return the built-in template of that name, or the template in the file at that path.

    `FILE.jsonl#NAME` is the prompt of that name in a FastChat file; it renders verbatim.
    `criteria` names what takes the place of the template's own criteria. Raises PromptError where
    there is none or where it is not a valid template.
    """
    built_in = built_in_prompts()
    if name_or_path in built_in:
        resource = files("prompts") / "templates" / f"{name_or_path}.toml"
        return parse_prompt(resource.read_bytes(), f"built-in prompt {name_or_path}", criteria)
    if address := split_address(name_or_path):
        file, name = address
        if criteria is not None:
            raise PromptError(
                f"prompt file {file}: a FastChat prompt has no place for criteria; remove "
                f"criteria {criteria}, or take a prompt such as pair-criteria"
            )
        return parse_fastchat(file_content(file, "prompt file"), name, file)
    path = Path(name_or_path)
    if path.suffix != ".toml" and len(path.parts) < 2:
        raise PromptError(
            f"prompt {name_or_path}: no built-in prompt has this name"
            f"{suggestion(name_or_path, built_in)}; choose one of {', '.join(built_in)}, "
            "or give the path of a .toml file or FILE.jsonl#NAME"
        )
    content = file_content(name_or_path, "prompt file")
    return parse_prompt(content, f"prompt file {name_or_path}", criteria)


def parse_prompt(content: bytes, where: str, criteria: str | None = None) -> JudgePrompt:
    """Return the template that a TOML file's bytes hold, with `criteria` for its own.

    `where` names the file in the PromptError that a broken template raises.
    """
    data = toml_table(content, where)
    _check_keys(data, where)
    system, user = data["system"].strip("\n"), data["user"].strip("\n")
    system_text = cut_at_holes(system, f"{where}, system text")
    user_text = cut_at_holes(user, f"{where}, user text")
    for text in (system_text, user_text):
        _check_surroundings(text.pieces, where)
    holes = system_text.holes | user_text.holes
    check_holes(
        holes,
        where,
        known=KNOWN_HOLES,
        shapes=(ANSWER_HOLES, CONVERSATION_HOLES),
        mark="${}",
    )
    verdict_format, allows_tie = VerdictFormat(data["verdict_format"]), data["allows_tie"]
    check_verdicts(f"{system}\n{user}", where, verdict_format=verdict_format, allows_tie=allows_tie)
    named = criteria or data.get("criteria")
    told = load_criteria(named) if named else None
    check_criteria(told, where, holes=holes, verdict_format=verdict_format)
    return make_prompt(
        system_text,
        user_text,
        name=data["name"],
        source=data["source"],
        system=system,
        user=user,
        verdict_format=verdict_format,
        allows_tie=allows_tie,
        criteria=told,
    )


def _check_keys(data: dict[str, Any], where: str) -> None:
    known = _KEYS | _OPTIONAL_KEYS
    for key in data:
        if key not in known:
            raise PromptError(
                f"{where}: unknown key {key}{suggestion(key, known)}; "
                f"the keys are {', '.join(known)}"
            )
    for key, kind in known.items():
        if key not in data:
            if key in _OPTIONAL_KEYS:
                continue
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
