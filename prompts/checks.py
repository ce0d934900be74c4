"""What every template must hold, whatever file it came from."""

import difflib
import re
from collections.abc import Iterable

from prompts.errors import PromptError
from prompts.template import VerdictFormat


def check_holes(
    holes: frozenset[str],
    where: str,
    *,
    known: frozenset[str],
    shapes: Iterable[frozenset[str]],
    mark: str,
) -> None:
    """Raise PromptError for an unknown hole, and unless one of `shapes` is there as a whole.

    A shape is a set of holes that shows a pair. A template has the holes of one shape only: two
    would show the same text twice, and half a shape one side alone. `mark` is how a hole looks
    in a message, around `{}`.
    """
    for hole in sorted(holes - known):
        names = ", ".join(sorted(known))
        raise PromptError(
            f"{where}: unknown hole {mark.format(hole)}{suggestion(hole, known)}; "
            f"the holes are {names}"
        )
    shapes = list(shapes)
    begun = [shape for shape in shapes if holes & shape] or shapes[:1]
    if len(begun) > 1:
        beside = " stands beside ".join(mark.format(min(holes & shape)) for shape in begun)
        either = " or else ".join(", ".join(sorted(shape)) for shape in begun)
        raise PromptError(f"{where}: hole {beside}; use {either}")
    for hole in sorted(begun[0] - holes):
        raise PromptError(
            f"{where}: hole {mark.format(hole)} is missing; "
            "add it, or the judge would not see that text"
        )


def check_verdicts(
    instructions: str, where: str, *, verdict_format: VerdictFormat, allows_tie: bool
) -> None:
    """Raise PromptError unless the judge is told every verdict it may give, and no other."""
    is_token = verdict_format is VerdictFormat.TOKEN
    for letter in "AB":
        if not _mentions(instructions, letter, is_token=is_token):
            named = letter if is_token else f"[[{letter}]]"
            raise PromptError(f"{where}: {named} is never mentioned; tell the judge how to answer")
    offers_tie = _mentions(instructions, "C", is_token=is_token)
    named = "C" if is_token else "[[C]]"
    if allows_tie and not offers_tie:
        raise PromptError(f"{where}: allows_tie is true but {named} is never mentioned; change one")
    # A single letter C may be a programming language.
    if offers_tie and not allows_tie and not is_token:
        raise PromptError(f"{where}: allows_tie is false but {named} is mentioned; change one")


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return " (did you mean ...?)" with the known word that is closest, or "" if none is."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _mentions(instructions: str, letter: str, *, is_token: bool) -> bool:
    if is_token:
        return re.search(rf"\b{letter}\b", instructions) is not None
    return f"[[{letter}]]" in instructions
