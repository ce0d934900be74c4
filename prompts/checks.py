"""What every template must hold, whatever file it came from."""

import re
from collections.abc import Callable, Iterable

from prompts.criteria import Criteria
from prompts.errors import PromptError
from prompts.suggestion import suggestion
from prompts.template import CRITERIA_HOLE, VerdictFormat


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
    if verdict_format is VerdictFormat.SCORES and not allows_tie:
        raise PromptError(f"{where}: two scores can be equal; set allows_tie = true")
    *wins, tie = _TOKENS.get(verdict_format, _LETTERS)
    for token in wins:
        if not _mentions(instructions, token):
            raise PromptError(f"{where}: {token} is never mentioned; tell the judge how to answer")
    offers_tie = _mentions(instructions, tie)
    if allows_tie and not offers_tie:
        raise PromptError(f"{where}: allows_tie is true but {tie} is never mentioned; change one")
    # A single letter C may be a programming language.
    if offers_tie and not allows_tie and verdict_format is not VerdictFormat.TOKEN:
        raise PromptError(f"{where}: allows_tie is false but {tie} is mentioned; change one")


def check_criteria(
    criteria: Criteria | None,
    where: str,
    *,
    holes: frozenset[str],
    verdict_format: VerdictFormat,
) -> None:
    """Raise PromptError unless the template shows the criteria, and they hold what it asks for."""
    has_hole = CRITERIA_HOLE in holes
    if criteria is None:
        if has_hole:
            raise PromptError(
                f"{where}: hole $criteria has nothing to fill it; set criteria to a built-in name "
                "or the path of a .toml file"
            )
        if verdict_format in _NEEDS:
            raise PromptError(
                f"{where}: verdict_format {verdict_format} needs the hole $criteria; add it, or "
                "the judge would not see what to rate"
            )
        return
    if not has_hole:
        raise PromptError(
            f"{where}: has no hole $criteria, so criteria {criteria.name} would not be shown; "
            "add the hole, or take a prompt such as pair-criteria"
        )
    if verdict_format in _NEEDS and not _NEEDS[verdict_format](criteria):
        raise PromptError(f"{where}: criteria {criteria.name} hold {_REMEDIES[verdict_format]}")


_LETTERS = ("[[A]]", "[[B]]", "[[C]]")
_TOKENS = {
    VerdictFormat.TOKEN: ("A", "B", "C"),
    VerdictFormat.GRADES: ("[[A>>B]]", "[[A>B]]", "[[B>A]]", "[[B>>A]]", "[[A=B]]"),
    VerdictFormat.SCORES: ("[RESULT]", "[RESULT]"),
    VerdictFormat.JSON: ('"reasoning"', '"verdict"', '"A"', '"B"', '"tie"'),
}
"""What the judge writes for a win, and last for a tie."""

_NEEDS: dict[VerdictFormat, Callable[[Criteria], object]] = {
    VerdictFormat.RATINGS: lambda criteria: criteria.attributes,
    VerdictFormat.SCORES: lambda criteria: criteria.scores,
}
_REMEDIES = {
    VerdictFormat.RATINGS: "no attributes to rate; add attributes, or take a prompt such as "
    "pair-criteria",
    VerdictFormat.SCORES: "no scores; add criterion and score1_description and so on, or take a "
    "prompt such as pair-criteria",
}


def _mentions(instructions: str, token: str) -> bool:
    if len(token) == 1:
        return re.search(rf"\b{token}\b", instructions) is not None
    return token in instructions
