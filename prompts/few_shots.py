"""Examples that a judge is shown before the pair it is to judge, each with the verdict of people.

An examples file is JSON Lines with the keys question, answer_a, answer_b and verdict (A, B or
tie), and where known note, strength, pair_id and prompt_id. The examples stand first in the user
text, so that all prompts of a judge share them as their beginning.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from prompts.errors import PromptError
from prompts.files import file_content
from prompts.neutralise import neutralise
from prompts.suggestion import suggestion
from prompts.template import JudgePrompt, VerdictFormat
from prompts.text import Text

MUCH = 2
"""Strength, of 0 to 3, from which on people found an answer much better."""

_REQUIRED = ("question", "answer_a", "answer_b", "verdict")
_OPTIONAL = ("note", "strength", "pair_id", "prompt_id")
_VERDICTS = ("A", "B", "tie")

# The markers begin as those that neutralise() finds, so that no answer can forge one.
_INTRODUCTION = (
    "[The Start of Reference Examples]\n"
    "People judged the pairs of answers in this block, and each pair is followed by their verdict. "
    "Judge the pair after the block by the same standard. What stands in the block is no part of "
    "that pair."
)
_CLOSING = "[The End of Reference Examples]\n\n"


@dataclass(frozen=True, slots=True)
class FewShot:
    """One example, as it is shown."""

    question: str
    answer_a: str
    answer_b: str
    verdict: Literal["A", "B", "tie"]
    note: str | None = None
    """Why, in a voter's words; None where nobody said."""
    strength: float | None = None
    """How much better, 0 to 3, where people said; only five grades show it."""
    pair_id: str | None = None
    prompt_id: str | None = None
    """Where it comes from; neither is shown."""

    @property
    def chars(self) -> int:
        """Characters of its texts."""
        texts = (self.question, self.answer_a, self.answer_b, self.note or "")
        return sum(map(len, texts))

    @property
    def row(self) -> dict[str, Any]:
        """The JSON object of the example, which reads back as an equal one."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def load_few_shots(path: str, count: int | None = None) -> tuple[FewShot, ...]:
    """Return the first `count` examples of a file, all of them where it is None.

    Raises PromptError where the file cannot be read, a line is not valid, or it holds too few.
    """
    lines = file_content(path, "examples file").decode("utf-8-sig", "replace").splitlines()
    shots = tuple(
        _parsed(line, f"examples file {path}:{number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    )
    if len(shots) < (count or 1):
        wanted = f"few_shots = {count}" if count else "a judge with examples"
        raise PromptError(
            f"examples file {path}: it holds {len(shots)} and {wanted} needs more; lower "
            "few_shots, or add lines to the file"
        )
    return shots[:count]


def with_few_shots(prompt: JudgePrompt, shots: Sequence[FewShot]) -> JudgePrompt:
    """Return the prompt with the examples before all else in its user text.

    They are part of its digest. Raises PromptError where the verdict of people cannot be shown in
    the form that the prompt asks for.
    """
    if not shots:
        return prompt
    if prompt.is_verbatim:
        raise PromptError(
            f"prompt {prompt.name}: a FastChat prompt is shown as it is, without examples; remove "
            "examples, or take a prompt such as pair-tie"
        )
    text = _shown(prompt, shots)
    pieces = prompt.user_text.pieces
    digest = hashlib.sha256(json.dumps([prompt.digest, "examples", text]).encode())
    return replace(
        prompt,
        name=f"{prompt.name} + {len(shots)} {'example' if len(shots) == 1 else 'examples'}",
        user=text.replace("$", "$$") + prompt.user,
        user_text=Text((text + pieces[0], *pieces[1:])),
        digest=digest.hexdigest()[:16],
    )


def _shown(prompt: JudgePrompt, shots: Sequence[FewShot]) -> str:
    said = _FORMS.get(prompt.verdict_format)
    if said is None:
        raise PromptError(
            f"prompt {prompt.name}: its replies rate the answers, which the votes of the examples "
            "do not; remove examples, or take a prompt such as pair-tie"
        )
    if not prompt.allows_tie and any(shot.verdict == "tie" for shot in shots):
        raise PromptError(
            f"prompt {prompt.name}: an example is a tie, which it does not offer; take the tie out "
            "of the examples file, or a prompt such as pair-tie"
        )
    blocks = [_block(number, shot, said) for number, shot in enumerate(shots, start=1)]
    return "\n\n".join([_INTRODUCTION, *blocks, _CLOSING])


def _block(number: int, shot: FewShot, said: Callable[[FewShot], str]) -> str:
    parts = (
        ("Question", _harmless(shot.question)),
        ("Answer A", _harmless(shot.answer_a)),
        ("Answer B", _harmless(shot.answer_b)),
        ("Reference Verdict", said(shot)),
    )
    return "\n\n".join(
        f"[The Start of {part} of Example {number}]\n{text}\n"
        f"[The End of {part} of Example {number}]"
        for part, text in parts
    )


def _explained(tokens: dict[str, str]) -> Callable[[FewShot], str]:
    """Return what writes a voter's note, where there is one, and the verdict on a last line."""

    def said(shot: FewShot) -> str:
        verdict = tokens[shot.verdict]
        return f"{_harmless(shot.note)}\n\n{verdict}" if shot.note else verdict

    return said


def _graded(shot: FewShot) -> str:
    is_much = shot.strength is not None and shot.strength >= MUCH
    by = ">>" if is_much else ">"
    return _explained({"A": f"[[A{by}B]]", "B": f"[[B{by}A]]", "tie": "[[A=B]]"})(shot)


def _json(shot: FewShot) -> str:
    reasoning = _harmless(shot.note) if shot.note else ""
    return json.dumps({"reasoning": reasoning, "verdict": shot.verdict}, ensure_ascii=False)


_FORMS: dict[VerdictFormat, Callable[[FewShot], str]] = {
    VerdictFormat.MTBENCH: _explained({"A": "[[A]]", "B": "[[B]]", "tie": "[[C]]"}),
    VerdictFormat.TOKEN: lambda shot: {"A": "A", "B": "B", "tie": "C"}[shot.verdict],
    VerdictFormat.GRADES: _graded,
    VerdictFormat.JSON: _json,
}
"""How each form of verdict is shown; ratings and scores have none."""


def _harmless(text: str) -> str:
    return neutralise(text)[0]


def _parsed(line: str, where: str) -> FewShot:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise PromptError(f"{where}: not valid JSON ({error}); mend the line") from error
    if not isinstance(row, dict):
        raise PromptError(f"{where}: not a JSON object; write one example per line")
    known = (*_REQUIRED, *_OPTIONAL)
    for key in row:
        if key not in known:
            raise PromptError(f"{where}: unknown key {key}{suggestion(key, known)}; remove it")
    for key in known:
        _check(key, row.get(key), where)
    return FewShot(**row)


def _check(key: str, value: object, where: str) -> None:
    if value is None and key in _OPTIONAL:
        return
    if key == "strength":
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 3:
            raise PromptError(f"{where}: strength is {value!r}; give a number from 0 to 3")
        return
    if not isinstance(value, str):
        raise PromptError(f"{where}: {key} is {value!r}; give a text")
    if key == "verdict" and value not in _VERDICTS:
        raise PromptError(f"{where}: verdict is {value!r}; give one of {', '.join(_VERDICTS)}")
