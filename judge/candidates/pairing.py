"""Which candidates of a prompt are compared: duplicates out, then pairs by a strategy. Pure.

Nothing depends on any other prompt: the draws of a prompt come from the seed and its id alone,
so pairing may stop and resume anywhere.
"""

import random
import re
from collections.abc import Mapping, Sequence
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
    ON_POLICY = "on_policy"
    """Every candidate of one generator against every candidate of the others."""
    BEST_WORST = "best_worst"
    """The best against the worst, as a first pass of one judge ranks them."""
    SWISS = "swiss"
    """Rounds in which candidates of like score meet, each decided by the results before it."""


_USED_BY: Mapping[str, tuple[Strategy, ...]] = {
    "baseline": (Strategy.BASELINE,),
    "on_policy": (Strategy.ON_POLICY,),
    "first_pass": (Strategy.BEST_WORST,),
    "margin": (Strategy.BEST_WORST,),
    "rounds": (Strategy.BEST_WORST, Strategy.SWISS),
    "per_prompt": (Strategy.RANDOM, Strategy.BASELINE, Strategy.ON_POLICY),
    "across_models": (Strategy.ALL, Strategy.RANDOM, Strategy.BASELINE, Strategy.ON_POLICY),
}


class PairingRules(Record):
    """The `[pairing]` table: how candidates become pairs."""

    model_config = ConfigDict(hide_input_in_errors=True)

    strategy: Strategy = Strategy.ALL
    per_prompt: Annotated[int, Field(strict=True, ge=1)] | None = None
    """Most pairs of one prompt, drawn at random where there are more."""
    baseline: str | None = None
    """Model that all others are compared with."""
    on_policy: str | None = None
    """Name of the generator whose candidates meet those of the others."""
    first_pass: str | None = None
    """Name of the judge that ranks the candidates first; the first judge where not given. A judge
    that is named, and is not the only one, judges nothing else."""
    margin: Annotated[int, Field(strict=True, ge=0)] = 0
    """Places that two candidates may stand closer than best and worst to be judged too."""
    rounds: Annotated[int, Field(strict=True, ge=1)] | None = None
    """Of the tournament; ceil(log2 candidates) + 1 where not given."""
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
        strategy = self.strategy
        if strategy is Strategy.RANDOM and self.per_prompt is None:
            raise ValueError("strategy random needs per_prompt, the number of pairs per prompt")
        if strategy is Strategy.ALL and self.per_prompt is not None:
            raise ValueError(
                "per_prompt draws some of the pairs, strategy all makes every one; set strategy "
                "random, or leave per_prompt out"
            )
        if strategy is Strategy.BASELINE and not self.baseline:
            raise ValueError("strategy baseline needs baseline, the model to compare with")
        if strategy is Strategy.ON_POLICY and not self.on_policy:
            raise ValueError(
                "strategy on_policy needs on_policy, the name of the generator whose candidates "
                "meet the others"
            )
        for key, users in _USED_BY.items():
            if strategy not in users and getattr(self, key) not in (None, False, 0):
                names = " and ".join(user.value for user in users)
                raise ValueError(f"{key} is used by strategy {names} only; set it, or leave it out")
        return self

    @property
    def has_rounds(self) -> bool:
        """Whether which pairs are made depends on how others were judged."""
        return self.strategy in (Strategy.BEST_WORST, Strategy.SWISS)


@dataclass(frozen=True, slots=True)
class Kept:
    """The candidates of one prompt that are left to be paired, and what became of the others.

    `len(places) + identical + near_identical + empty` is the number of candidates given.
    """

    places: tuple[int, ...]
    """Among the candidates given, in their order."""
    identical: int
    """Dropped: equal to an earlier one but for white space."""
    near_identical: int
    """Dropped: too like an earlier one."""
    empty: int
    """Dropped: without a visible character."""


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
    prompt_id: str,
    candidates: Sequence[Candidate],
    rules: PairingRules,
    *,
    generators: Sequence[str] = (),
    after: int = 0,
) -> Pairing:
    """Return the pairs to judge for one prompt, with the duplicates dropped and counted first.

    Of equal answers the earliest is kept. The same arguments give the same pairs. `generators`
    names who wrote each candidate, for strategy on_policy. The first `after` candidates have been
    paired before: only pairs with a later one are made. Strategies with rounds are not for here.
    """
    kept = keep_candidates(candidates, rules)
    possible = [
        (one, other)
        for one, other in combinations(kept.places, 2)
        if other >= after and _is_wanted(candidates, generators, one, other, rules)
    ]
    rng = random.Random(f"{rules.seed}\n{prompt_id}" + (f"\nafter {after}" if after else ""))
    if rules.per_prompt is not None and rules.per_prompt < len(possible):
        # Sorted, so that a draw changes which pairs are made and not their order.
        drawn = sorted(rng.sample(range(len(possible)), rules.per_prompt))
        possible = [possible[index] for index in drawn]
    sides = [(candidates[one], candidates[other]) for one, other in possible]
    return Pairing(
        pairs=tuple((b, a) if rng.random() < 0.5 else (a, b) for a, b in sides),
        kept=len(kept.places),
        identical=kept.identical,
        near_identical=kept.near_identical,
        empty=kept.empty,
    )


def keep_candidates(candidates: Sequence[Candidate], rules: PairingRules) -> Kept:
    """Return which candidates are left once empty, identical and near-identical ones are dropped.

    Of equal answers the earliest is kept.
    """
    written = [at for at, candidate in enumerate(candidates) if candidate.text.strip()]
    distinct = _distinct(candidates, written)
    kept = _dissimilar(candidates, distinct, rules.near_duplicate)
    return Kept(
        places=tuple(kept),
        identical=len(written) - len(distinct),
        near_identical=len(distinct) - len(kept),
        empty=len(candidates) - len(written),
    )


def in_drawn_order(
    prompt_id: str, one: Candidate, other: Candidate, *, place: tuple[int, int], seed: int
) -> Sides:
    """Return two candidates, of which the draw of their places decides who stands first."""
    rng = random.Random(f"{seed}\n{prompt_id}\nsides {place[0]} {place[1]}")
    return (other, one) if rng.random() < 0.5 else (one, other)


def named_pairs(prompt: Prompt, pairing: Pairing) -> list[Pair]:
    """Return the pairs as records, each named as a pair that is read without an id."""
    return [named_pair(prompt, first, second) for first, second in pairing.pairs]


def word_trigram_jaccard(one: str, other: str) -> float:
    """Return the share of word trigrams that two texts have in common, in [0, 1].

    Common ones over all of both texts, as sets, upper and lower case alike (Broder 1997, "On the
    resemblance and containment of documents"). A text of one or two words is one gram of its own.
    """
    return _jaccard(_trigrams(one), _trigrams(other))


def named_pair(prompt: Prompt, first: Candidate, second: Candidate) -> Pair:
    """Return a pair as a record, named as above."""
    content = content_of(prompt.messages, prompt.reference, first.messages, second.messages)
    pair_id = content.content_id + ("-x" if content.is_exchanged else "")
    return Pair(pair_id=pair_id, prompt=prompt, first=first, second=second)


def _distinct(candidates: Sequence[Candidate], places: Sequence[int]) -> list[int]:
    earliest: dict[tuple[tuple[str, ...], ...], int] = {}
    for at in places:
        words = tuple(tuple(message.content.split()) for message in candidates[at].messages)
        earliest.setdefault(words, at)
    return list(earliest.values())


def _dissimilar(
    candidates: Sequence[Candidate], places: Sequence[int], near_duplicate: float
) -> list[int]:
    if near_duplicate >= 1:  # different texts may have the same trigrams, and are not identical
        return list(places)
    kept: list[tuple[int, frozenset[tuple[str, ...]]]] = []
    for at in places:
        grams = _trigrams(candidates[at].text)
        if all(_jaccard(grams, other) < near_duplicate for _, other in kept):
            kept.append((at, grams))
    return [at for at, _ in kept]


def _trigrams(text: str) -> frozenset[tuple[str, ...]]:
    words = _WORD.findall(text.casefold())
    if len(words) <= NGRAM:
        return frozenset([tuple(words)])
    return frozenset(zip(*(words[start:] for start in range(NGRAM)), strict=False))


def _jaccard(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    common = len(one & other)
    return common / (len(one) + len(other) - common)


def _is_wanted(
    candidates: Sequence[Candidate],
    generators: Sequence[str],
    one: int,
    other: int,
    rules: PairingRules,
) -> bool:
    """Return whether the strategy compares two candidates."""
    models = (candidates[one].model, candidates[other].model)
    if rules.strategy is Strategy.BASELINE:
        return (models[0] == rules.baseline) != (models[1] == rules.baseline)
    if rules.across_models and models[0] == models[1]:
        return False
    if rules.strategy is Strategy.ON_POLICY:
        return (generators[one] == rules.on_policy) != (generators[other] == rules.on_policy)
    return True
