"""Which candidates of a prompt are compared: duplicates out, then pairs by a strategy. Pure.

Nothing depends on any other prompt: the draws of a prompt come from the seed and its id alone,
so pairing may stop and resume anywhere.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from judge.identity import content_of
from judge.records import Candidate, Pair, Prompt, Record

NGRAM = 3
_UNSPACED = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")
"""Chinese, Japanese and Korean are written without spaces, so there a character is a word."""

Sides = tuple[Candidate, Candidate]


class Strategy(StrEnum):
    """Which of the possible pairs of a prompt are made."""

    ALL = "all"
    """Every pair."""
    RANDOM = "random"
    """`per_prompt` pairs, drawn without repetition."""
    BASELINE = "baseline"
    """Every candidate of another model against every candidate of the baseline model."""


class PairingRules(Record):
    """The `[pairing]` table: how candidates become pairs."""

    model_config = ConfigDict(hide_input_in_errors=True)

    strategy: Strategy = Strategy.ALL
    per_prompt: Annotated[int, Field(strict=True, ge=1)] | None = None
    """Most pairs of one prompt, drawn at random where there are more."""
    baseline: str | None = None
    """Model that all others are compared with."""
    across_models: Annotated[bool, Field(strict=True)] = False
    """Whether only candidates of different models are compared."""
    near_duplicate: Annotated[float, Field(strict=True, gt=0, le=1)] = 1.0
    """Share of common word trigrams (Jaccard) from which two answers count as the same; 1
    drops identical ones only."""
    keep_truncated: Annotated[bool, Field(strict=True)] = False
    """Whether answers cut at max_tokens are candidates too."""
    seed: Annotated[int, Field(strict=True)] = 0

    @model_validator(mode="after")
    def _strategy_has_what_it_needs(self) -> Self:
        if self.strategy is Strategy.RANDOM and self.per_prompt is None:
            raise ValueError("strategy random needs per_prompt, the number of pairs per prompt")
        if self.strategy is Strategy.ALL and self.per_prompt is not None:
            raise ValueError(
                "per_prompt draws some of the pairs, strategy all makes every one; set strategy "
                "random, or leave per_prompt out"
            )
        if self.strategy is Strategy.BASELINE and not self.baseline:
            raise ValueError("strategy baseline needs baseline, the model to compare with")
        if self.strategy is not Strategy.BASELINE and self.baseline is not None:
            raise ValueError("baseline is used by strategy baseline only; set it, or leave it out")
        return self


@dataclass(frozen=True, slots=True)
class Pairing:
    """The pairs of one prompt, and what became of every candidate.

    `kept + identical + near_identical + empty` is the number of candidates given.
    """

    pairs: tuple[Sides, ...]
    """First and second candidate; which stands first is drawn at random."""
    kept: int
    """Candidates left to be paired."""
    identical: int
    """Dropped: equal to an earlier one but for white space."""
    near_identical: int
    """Dropped: too like an earlier one."""
    empty: int
    """Dropped: without a visible character."""


def pair_candidates(
    prompt_id: str, candidates: Sequence[Candidate], rules: PairingRules
) -> Pairing:
    """Return the pairs to judge for one prompt, with the duplicates dropped and counted first.

    Of equal answers the earliest is kept. The same arguments give the same pairs.
    """
    written = [candidate for candidate in candidates if candidate.text.strip()]
    distinct = _distinct(written)
    kept = _dissimilar(distinct, rules.near_duplicate)
    possible = _possible(kept, rules)
    rng = random.Random(f"{rules.seed}\n{prompt_id}")
    if rules.per_prompt is not None and rules.per_prompt < len(possible):
        # Sorted, so that a draw changes which pairs are made and not their order.
        drawn = sorted(rng.sample(range(len(possible)), rules.per_prompt))
        possible = [possible[index] for index in drawn]
    return Pairing(
        pairs=tuple((b, a) if rng.random() < 0.5 else (a, b) for a, b in possible),
        kept=len(kept),
        identical=len(written) - len(distinct),
        near_identical=len(distinct) - len(kept),
        empty=len(candidates) - len(written),
    )


def named_pairs(prompt: Prompt, pairing: Pairing) -> list[Pair]:
    """Return the pairs as records, each named as a pair that is read without an id."""
    return [_named(prompt, first, second) for first, second in pairing.pairs]


def word_trigram_jaccard(one: str, other: str) -> float:
    """Return the share of word trigrams that two texts have in common, in [0, 1].

    Common ones over all of both texts, as sets, upper and lower case alike (Broder 1997, "On the
    resemblance and containment of documents"). A text of one or two words is one gram of its own.
    """
    return _jaccard(_trigrams(one), _trigrams(other))


def _named(prompt: Prompt, first: Candidate, second: Candidate) -> Pair:
    content = content_of(prompt.messages, prompt.reference, first.messages, second.messages)
    pair_id = content.content_id + ("-x" if content.is_exchanged else "")
    return Pair(pair_id=pair_id, prompt=prompt, first=first, second=second)


def _distinct(candidates: Sequence[Candidate]) -> list[Candidate]:
    earliest: dict[tuple[tuple[str, ...], ...], Candidate] = {}
    for candidate in candidates:
        words = tuple(tuple(message.content.split()) for message in candidate.messages)
        earliest.setdefault(words, candidate)
    return list(earliest.values())


def _dissimilar(candidates: Sequence[Candidate], near_duplicate: float) -> list[Candidate]:
    if near_duplicate >= 1:  # different texts may have the same trigrams, and are not identical
        return list(candidates)
    kept: list[tuple[Candidate, frozenset[tuple[str, ...]]]] = []
    for candidate in candidates:
        grams = _trigrams(candidate.text)
        if all(_jaccard(grams, other) < near_duplicate for _, other in kept):
            kept.append((candidate, grams))
    return [candidate for candidate, _ in kept]


def _trigrams(text: str) -> frozenset[tuple[str, ...]]:
    words = _WORD.findall(text.casefold())
    if len(words) <= NGRAM:
        return frozenset([tuple(words)])
    return frozenset(zip(*(words[start:] for start in range(NGRAM)), strict=False))


def _jaccard(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    common = len(one & other)
    return common / (len(one) + len(other) - common)


def _possible(candidates: Sequence[Candidate], rules: PairingRules) -> list[Sides]:
    pairs = combinations(candidates, 2)
    if rules.strategy is Strategy.BASELINE:
        return [
            (a, b) for a, b in pairs if (a.model == rules.baseline) != (b.model == rules.baseline)
        ]
    if rules.across_models:
        return [(a, b) for a, b in pairs if a.model != b.model]
    return list(pairs)
