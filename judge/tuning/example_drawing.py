"""Which pairs with votes a judge is shown as examples. Pure, and never from the test part."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from judge.errors import ConfigError
from judge.job.showing import question_of
from judge.records import Pair, Preference
from judge.trust.gold_split import is_test
from prompts.few_shots import FewShot

MAX_CHARS = 4000
"""Of the texts of one example: longer ones cost more in every prompt than they teach."""


@dataclass(frozen=True, slots=True)
class VotedPair:
    """A pair with what people said about it."""

    pair: Pair
    counts: Counter[Preference]
    """Votes that prefer anything."""
    strengths: tuple[int, ...] = ()
    """Of the votes for the winner, where given."""
    notes: dict[Preference, str] = field(default_factory=dict)
    """A note of a vote for each preference."""

    @property
    def verdict(self) -> Preference | None:
        """What most votes say; None where the top is shared."""
        [(top, most), *others] = self.counts.most_common()
        return None if others and others[0][1] == most else top

    @property
    def is_unanimous(self) -> bool:
        return len(self.counts) == 1

    @property
    def question(self) -> str:
        return question_of([message.row for message in self.pair.prompt.messages])


def draw_few_shots(
    voted: Sequence[VotedPair],
    count: int,
    *,
    share: float,
    seed: int = 0,
    with_ties: bool = True,
    max_chars: int = MAX_CHARS,
) -> tuple[FewShot, ...]:
    """Return `count` examples of as many prompts, any beginning of which is balanced too.

    A and B are right by turns, with a tie as every third where there are any; unanimous votes go
    first, then categories that were shown less, then the seed decides. Prompts of the test part,
    which takes `share` of all, are never drawn, nor those whose question is asked there under
    another id.
    Raises ConfigError where fewer than `count` can be drawn.
    """
    left = _drawable(voted, share=share, max_chars=max_chars)
    random.Random(seed).shuffle(left)
    drawn: list[FewShot] = []
    categories: Counter[str] = Counter()
    while len(drawn) < count:
        wanted = _wanted(drawn, left, with_ties=with_ties)
        if wanted is None:
            raise ConfigError(
                f"few_shots {count}: the dev split has {len(drawn)} prompts to draw examples from, "
                f"whose votes have a winner and whose texts have at most {max_chars:,} characters; "
                "lower few_shots, or give more votes"
            )
        fitting = [one for one in left if _fits(one, wanted)]
        chosen = min(fitting, key=lambda one: (not one.is_unanimous, categories[_category(one)]))
        categories[_category(chosen)] += 1
        drawn.append(_few_shot(chosen, wanted))
        left = [one for one in left if not _is_same_prompt(one, chosen)]
    return tuple(drawn)


def _drawable(voted: Sequence[VotedPair], *, share: float, max_chars: int) -> list[VotedPair]:
    in_test = {one.question for one in voted if is_test(one.pair.prompt.prompt_id, share)}
    return [
        one
        for one in sorted(voted, key=lambda one: one.pair.pair_id)
        if not is_test(one.pair.prompt.prompt_id, share)
        and one.question not in in_test
        and one.verdict is not None
        and _few_shot(one, "A").chars <= max_chars
    ]


def _wanted(drawn: Sequence[FewShot], left: Sequence[VotedPair], *, with_ties: bool) -> str | None:
    """Return the verdict that the next example is to have; None where none is left."""
    used = Counter(shot.verdict for shot in drawn)
    decided = [one for one in left if one.verdict is not Preference.TIE]
    ties = with_ties and len(decided) < len(left)
    if ties and (not decided or 2 * used["tie"] + 2 <= used["A"] + used["B"]):
        return "tie"
    if not decided:
        return None
    return "A" if used["A"] <= used["B"] else "B"


def _fits(one: VotedPair, wanted: str) -> bool:
    return (one.verdict is Preference.TIE) == (wanted == "tie")


def _few_shot(one: VotedPair, wanted: str) -> FewShot:
    """Return a pair as an example whose winner, if it has one, is shown where it is wanted."""
    verdict = one.verdict
    first, second = one.pair.first.text, one.pair.second.text
    is_exchanged = verdict is (Preference.SECOND if wanted == "A" else Preference.FIRST)
    a, b = (second, first) if is_exchanged else (first, second)
    return FewShot(
        question=one.question,
        answer_a=a,
        answer_b=b,
        verdict="tie" if verdict is Preference.TIE else "A" if wanted == "A" else "B",
        note=one.notes.get(verdict) if verdict else None,
        strength=sum(one.strengths) / len(one.strengths) if one.strengths else None,
        pair_id=one.pair.pair_id,
        prompt_id=one.pair.prompt.prompt_id,
    )


def _is_same_prompt(one: VotedPair, other: VotedPair) -> bool:
    return (
        one.pair.prompt.prompt_id == other.pair.prompt.prompt_id or one.question == other.question
    )


def _category(one: VotedPair) -> str:
    return str(one.pair.prompt.tags.get("category", ""))
