"""FastChat's file of judge prompts, `judge_prompts.jsonl`, used as it is.

Each line is one prompt: name, type, system_prompt, prompt_template and output_format. Only the
pairwise ones compare two answers. Their texts are filled in verbatim, as FastChat does, so that a
judge is asked in the very words of published results; an answer can therefore forge structure.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from prompts.checks import check_holes, check_verdicts
from prompts.errors import PromptError
from prompts.filling import ANSWER_HOLES, TWO_TURN_HOLES
from prompts.suggestion import suggestion
from prompts.template import JudgePrompt, VerdictFormat, make_prompt
from prompts.text import Text

KNOWN_HOLES = ANSWER_HOLES | TWO_TURN_HOLES | {"ref_answer_1", "ref_answer_2"}

_SUFFIX = ".jsonl"
_FIELDS = ("name", "type", "system_prompt", "prompt_template", "output_format")
_BRACES = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}")
_HOLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def split_address(text: str) -> tuple[str, str | None] | None:
    """Return file and prompt name of `FILE.jsonl#NAME`, or None where `text` names no such file.

    The name is None where there is no `#`.
    """
    if text.endswith(_SUFFIX):
        return text, None
    file, mark, name = text.rpartition("#")
    return (file, name) if mark and file.endswith(_SUFFIX) else None


def parse_fastchat(content: bytes, name: str | None, path: str) -> JudgePrompt:
    """Return the prompt called `name` among those that a FastChat file's bytes hold.

    `path` names the file in the PromptError that is raised where there is no such prompt, where
    it does not compare two answers, or where the file is broken.
    """
    where = f"prompt file {path}"
    rows = _rows(content, where)
    names = [key for key, row in rows.items() if row["type"] == "pairwise"]
    choice = f"choose one of {', '.join(names)}" if names else "it has no pairwise prompt"
    if not name:
        raise PromptError(f"{where}: holds many prompts; name one, as in {path}#NAME: {choice}")
    if name not in rows:
        raise PromptError(f"{where}: has no prompt {name}{suggestion(name, names)}; {choice}")
    row = rows[name]
    if row["type"] != "pairwise":
        raise PromptError(
            f"{where}: prompt {name} is of type {row['type']}, not pairwise, "
            f"and does not compare two answers; {choice}"
        )
    return _prompt(row, f"{where}#{name}", source=f"FastChat prompt file {path}")


def _prompt(row: Mapping[str, str], where: str, *, source: str) -> JudgePrompt:
    if row["output_format"] != "[[A]]":
        raise PromptError(
            f"{where}: output_format {row['output_format']} is unknown; only [[A]] can be read"
        )
    system, user = row["system_prompt"], row["prompt_template"]
    allows_tie = "[[C]]" in system or "[[C]]" in user
    check_verdicts(
        f"{system}\n{user}",
        where,
        verdict_format=VerdictFormat.MTBENCH,
        allows_tie=allows_tie,
    )
    user_text = cut_at_braces(user)
    check_holes(
        user_text.holes,
        where,
        known=KNOWN_HOLES,
        shapes=(ANSWER_HOLES, TWO_TURN_HOLES),
        mark="{{{}}}",
    )
    return make_prompt(
        Text((system,)),  # FastChat sends it as it stands, braces and all
        user_text,
        name=row["name"],
        source=source,
        system=system,
        user=user,
        verdict_format=VerdictFormat.MTBENCH,
        allows_tie=allows_tie,
        is_verbatim=True,
    )


def cut_at_braces(template: str) -> Text:
    """Return `template` cut at its `{name}` holes.

    Where it is a valid format string, `{{` and `}}` are single braces as in FastChat. Where other
    braces stand in it, as JSON has them, it never was one, and every brace but a hole's stays.
    """
    rest = _BRACES.sub("", template)
    is_format_string = "{" not in rest and "}" not in rest
    pieces = [""]
    end = 0
    for match in (_BRACES if is_format_string else _HOLE).finditer(template):
        pieces[-1] += template[end : match.start()]
        end = match.end()
        if hole := match[1]:
            pieces += [hole, ""]
        else:
            pieces[-1] += match[0][0]
    pieces[-1] += template[end:]
    return Text(tuple(pieces))


def _rows(content: bytes, where: str) -> dict[str, dict[str, str]]:
    """Return the prompts of a file by name, in the order of its lines."""
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise PromptError(
            f"{where}: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from error
    rows: dict[str, dict[str, str]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row = _row(line, f"{where}, line {number}")
        if row["name"] in rows:
            raise PromptError(
                f"{where}, line {number}: prompt {row['name']} is there twice; rename one of them"
            )
        rows[row["name"]] = row
    return rows


def _row(line: str, where: str) -> dict[str, str]:
    try:
        row: Any = json.loads(line)
    except ValueError as error:
        raise PromptError(
            f"{where}: not valid JSON ({error}); write one object per line"
        ) from error
    if not isinstance(row, dict):
        raise PromptError(f"{where}: not a JSON object; write one object per line")
    for key in _FIELDS:
        if key not in row:
            raise PromptError(f"{where}: field {key} is missing; add it")
        if not isinstance(row[key], str):
            raise PromptError(f"{where}: field {key} is {row[key]!r}; it must be a text")
    return {key: row[key] for key in _FIELDS}
