"""A prompt template that was read, and how it is filled."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from prompts.criteria import Criteria
from prompts.errors import PromptError
from prompts.filling import ANSWER_HOLES, CONVERSATION_HOLES, REFERENCE_HOLES, filling
from prompts.neutralise import neutralise, without_surrogates
from prompts.shown import TURN_LAYOUT, ChatMessage, Shown, conversation_text
from prompts.text import Text

CRITERIA_HOLE = "criteria"
"""Filled when the template is read; no field of a pair goes there."""

_neutralised = lru_cache(maxsize=1024)(neutralise)
"""Each text of a pair is shown twice, once in each order, and the two are rendered close by."""


class VerdictFormat(StrEnum):
    """How the judge is told to write its verdict, which decides how the reply is read."""

    MTBENCH = "mtbench"
    """An explanation that ends in [[A]], [[B]] or [[C]]."""
    TOKEN = "token"
    """A, B or C and nothing else, so that the probability of that one token is the judge's."""
    GRADES = "grades"
    """An explanation that ends in [[A>>B]], [[A>B]], [[A=B]], [[B>A]] or [[B>>A]]."""
    RATINGS = "ratings"
    """An explanation, a line of ratings for each attribute, and [[A]], [[B]] or [[C]]."""
    SCORES = "scores"
    """An explanation that ends in [RESULT] A: 4, B: 3; the higher score is the verdict."""
    JSON = "json"
    """One object {"reasoning": ..., "verdict": "A", "B" or "tie"}, whose schema can be sent."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt ready to send: one system message, one user message."""

    system: str
    user: str
    rewrites: int
    """Spots of the filled-in texts that were neutralised."""


@dataclass(frozen=True, slots=True)
class JudgePrompt:
    """A judge prompt template; `load_prompt` makes one."""

    name: str
    source: str
    """Where the idea of the prompt comes from."""
    system: str
    user: str
    verdict_format: VerdictFormat
    allows_tie: bool
    digest: str
    """16 hexadecimal digits over all that can change a reply; name and source are not in it."""
    holes: frozenset[str]
    """The fields that `render` needs, all of them and no others."""
    system_text: Text = field(repr=False, compare=False)
    user_text: Text = field(repr=False, compare=False)
    is_verbatim: bool = False
    """Texts are filled in as they are, so an answer can forge structure; worth a warning."""
    criteria: Criteria | None = None
    """What the judge is told to judge by, where the template has a hole for it."""

    @property
    def rated(self) -> tuple[str, ...]:
        """The attributes that a reply rates both answers on; empty where it rates nothing."""
        if self.criteria is None:
            return ()
        if self.verdict_format is VerdictFormat.SCORES:
            return (self.criteria.column,)
        is_rating = self.verdict_format is VerdictFormat.RATINGS
        return self.criteria.attribute_names if is_rating else ()

    @property
    def needs_reference(self) -> bool:
        """Whether only pairs with a reference answer can be shown."""
        return not self.holes.isdisjoint(REFERENCE_HOLES)

    @property
    def is_conversational(self) -> bool:
        """Whether the two conversations are shown turn by turn, not as question and answers."""
        return self.holes.isdisjoint(ANSWER_HOLES)

    def render_pair(self, shown: Shown) -> Rendered:
        """Return the prompt that shows a pair.

        Raises PromptError where the pair lacks what the template shows, such as a reference.
        """
        if self.holes == ANSWER_HOLES:  # most prompts, at half the cost
            return self.render(
                question=shown.question, answer_a=shown.answer_a, answer_b=shown.answer_b
            )
        try:
            fields = {hole: filling(hole, shown) for hole in self.holes}
        except PromptError as error:
            raise PromptError(f"prompt {self.name}: {error}") from error
        return self.render(**fields)

    def render(self, **fields: str | Sequence[ChatMessage]) -> Rendered:
        """Return the prompt with every hole filled by the neutralised field of its name.

        `conversation_a` and `conversation_b` are messages, every other field is a text. Raises
        PromptError where a field is missing or unknown.
        """
        if fields.keys() != self.holes:
            raise PromptError(self._mismatch(set(fields)))
        texts: dict[str, str] = {}
        rewrites = 0
        for name, value in fields.items():
            if not isinstance(value, str):
                texts[name], spots = conversation_text(value, name[-1].upper())
            elif self.is_verbatim:
                texts[name], spots = without_surrogates(value), 0
            else:
                texts[name], spots = _neutralised(value)
            rewrites += spots
        return Rendered(self.system_text.filled(texts), self.user_text.filled(texts), rewrites)

    def _mismatch(self, given: set[str]) -> str:
        missing, unknown = sorted(self.holes - given), sorted(given - self.holes)
        causes = [f"field {name} is missing" for name in missing]
        causes += [f"field {name} has no hole" for name in unknown]
        return (
            f"prompt {self.name}: {', '.join(causes)}; pass exactly {', '.join(sorted(self.holes))}"
        )


def make_prompt(
    system_text: Text,
    user_text: Text,
    *,
    name: str,
    source: str,
    system: str,
    user: str,
    verdict_format: VerdictFormat,
    allows_tie: bool,
    is_verbatim: bool = False,
    criteria: Criteria | None = None,
) -> JudgePrompt:
    """Return the prompt of a template whose texts were cut at their holes and checked.

    The criteria are part of the digest, so that an edited rubric is another judge.
    """
    meaning: list[object] = [system, user, verdict_format, allows_tie]
    if criteria is not None:
        text = criteria.text(asks_ratings=verdict_format is VerdictFormat.RATINGS)
        system_text = system_text.fixed(CRITERIA_HOLE, text)
        user_text = user_text.fixed(CRITERIA_HOLE, text)
        meaning += [text, criteria.column, criteria.scale]
    holes = system_text.holes | user_text.holes
    if not holes.isdisjoint(CONVERSATION_HOLES):
        meaning.append(TURN_LAYOUT)
    return JudgePrompt(
        name=name,
        source=source,
        system=system,
        user=user,
        verdict_format=verdict_format,
        allows_tie=allows_tie,
        digest=hashlib.sha256(json.dumps(meaning).encode()).hexdigest()[:16],
        holes=holes,
        system_text=system_text,
        user_text=user_text,
        is_verbatim=is_verbatim,
        criteria=criteria,
    )
