"""How far to go next for a job that goes on until there are enough usable labels. Pure.

Prompts are answered in their order, each by what the generators write. Once all are, each gets
further candidates, again in order: a level more. Waves are as large as the share of usable labels
so far makes them, so that little is judged beyond what was wanted.
"""

from dataclasses import dataclass
from math import ceil

MOST_LEVELS = 4
"""Times the candidates that generators are set to write, where no other limit is given."""
FUTILE_PAIRS = 100
"""Pairs without one usable label after which a job gives up."""
FUTILE_PROMPTS = 20
"""Prompts in a row without one new pair after which a job gives up."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a job has gone: all prompts at the levels below, and so many at this one."""

    level: int
    """From 1; prompts get so many times what the generators write."""
    prompts: int


@dataclass(frozen=True, slots=True)
class Harvest:
    """What a job has come to."""

    pairs: int
    usable: int
    """Labels that name one answer as the better."""
    barren: int
    """Prompts in a row that gave no new pair."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a job that was to go on until there is enough did not go on."""

    words: str
    is_short: bool
    """Whether there is not enough."""


def first_reach(wanted: int, pairs_each: float) -> Reach:
    """Return where to begin: with prompts for as many pairs as labels are wanted.

    Not every label will be usable, so this cannot be too many.
    """
    return Reach(1, max(1, int(wanted / max(1.0, pairs_each))))


def next_reach(
    reach: Reach, harvest: Harvest, *, wanted: int, all_prompts: int | None, most_levels: int
) -> Reach | None:
    """Return how far to go next, None where prompts and levels are used up.

    As many prompts further as the usable labels of each so far make up what is lacking, at most
    doubling their number. `all_prompts` is None while the last has not been met.
    """
    level, done = reach.level, reach.prompts
    if all_prompts is not None and done >= all_prompts:
        level, done = level + 1, 0
        if level > most_levels or not all_prompts:
            return None
    seen = (all_prompts or 0) * (reach.level - 1) + reach.prompts
    # Each new candidate of a level meets all before it: a level adds more pairs than those below.
    usable_each = _pairs_added(level) * max(harvest.usable, 1) / _pairs_so_far(reach, all_prompts)
    further = max(1, min(ceil((wanted - harvest.usable) / usable_each), seen))
    return Reach(level, done + further if all_prompts is None else min(done + further, all_prompts))


def _pairs_added(level: int) -> int:
    """Return about how many times the pairs of level 1 a level adds to a prompt."""
    return 2 * level - 1


def _pairs_so_far(reach: Reach, all_prompts: int | None) -> int:
    """Return about the pairs that a reach has, in those of one prompt at level 1."""
    below = sum(_pairs_added(level) for level in range(1, reach.level)) * (all_prompts or 0)
    return below + _pairs_added(reach.level) * reach.prompts


def why_futile(harvest: Harvest) -> str | None:
    """Return why going on would be in vain, with the remedy; None where it would not."""
    if not harvest.usable and harvest.pairs >= FUTILE_PAIRS:
        return (
            f"none of {harvest.pairs:,} pairs gave a usable label; look at the judge's replies, "
            "or take another judge, prompt or rule"
        )
    if harvest.barren >= FUTILE_PROMPTS:
        return (
            f"the last {harvest.barren:,} prompts gave no new pair, for their candidates equal "
            "earlier ones; raise the temperature of a generator, or add another"
        )
    return None
