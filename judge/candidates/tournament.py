"""Swiss tournaments: who meets whom next, and who stands where. Pure.

Players are numbers from 0. Every round pairs players of like score that have not met, so that
comparisons are spent where the order is open; a few rounds rank nearly as well as every pair.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, log2

HALF = 0.5
MOST_STEPS = 2_000
"""Tries at pairing everyone, after which some sit out: the search may take exponentially many."""
_EQUAL = 1e-9

Meeting = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Game:
    """A meeting that is over."""

    first: int
    second: int
    points: float | None
    """Of the first: 1, 0.5 or 0. None where nobody decided it, which pairs like a draw and tells
    nothing about strengths."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A tournament as far as it has come."""

    rounds: tuple[tuple[Meeting, ...], ...]
    games: tuple[Game, ...]
    """Those of all rounds that are over."""
    of: int
    """Rounds that there will be."""
    is_over: bool
    """Whether all of them are over."""

    @property
    def is_last(self) -> bool:
        """Whether no further round will come."""
        return len(self.rounds) == self.of


def default_rounds(players: int) -> int:
    """Return how many rounds rank so many players: ceil(log2 players) + 1, if there are as many."""
    return min(ceil(log2(players)) + 1, most_rounds(players)) if players > 1 else 0


def most_rounds(players: int) -> int:
    """Return the rounds in which everyone meets everyone."""
    if players < 2:
        return 0
    return players - 1 if players % 2 == 0 else players


def schedule(
    players: int,
    points_of: Callable[[Meeting], float | None],
    *,
    is_over: Callable[[Meeting], bool],
    rounds: int | None = None,
    seed: str = "",
) -> Schedule:
    """Return the tournament that the results so far lead to.

    `points_of` gives the points of a meeting's first player, `is_over` says whether it has taken
    place. The same results and seed lead to the same tournament, so that it resumes anywhere.
    """
    wanted = default_rounds(players) if rounds is None else min(rounds, most_rounds(players))
    made: list[tuple[Meeting, ...]] = []
    games: list[Game] = []
    while len(made) < wanted:
        meetings = next_round(players, games, draw=random.Random(f"{seed}\nround {len(made)}"))
        if not meetings:  # everyone that could be paired has met
            wanted = len(made)
            break
        made.append(tuple(meetings))
        if not all(is_over(meeting) for meeting in meetings):
            return Schedule(tuple(made), tuple(games), wanted, is_over=False)
        games += [Game(*meeting, points_of(meeting)) for meeting in meetings]
    return Schedule(tuple(made), tuple(games), wanted, is_over=True)


def next_round(players: int, games: Sequence[Game], *, draw: random.Random) -> list[Meeting]:
    """Return who meets whom, the lower number first; nobody meets twice.

    Players come by score, equal ones in an order drawn anew, and each meets the nearest below that
    it has not met. Who is left over, the lowest of those that sat out least, waits a round.
    """
    met = {frozenset((game.first, game.second)) for game in games}
    score, played = _scores(players, games), _played(players, games)
    order = list(range(players))
    draw.shuffle(order)
    order.sort(key=lambda player: -score[player])
    waiting: list[int | None] = [None]
    if players % 2:
        from_below = order[::-1]
        from_below.sort(key=lambda player: -played[player])
        waiting = [*from_below]
    search = _Search(met, MOST_STEPS)
    for left_over in waiting:
        paired = search.pair([player for player in order if player != left_over])
        if paired is not None:
            return [(min(one, other), max(one, other)) for one, other in paired]
    return _greedy(order, met)


def ranking(
    players: int, games: Sequence[Game], *, seed: str = ""
) -> tuple[list[int], list[float]]:
    """Return the players from best to worst, and their strengths in logits in that order.

    Bradley-Terry over the games with half a win and half a loss against an average player for
    each, so that strengths are finite however few the games. Equal ones stand as drawn.
    """
    order = list(range(players))
    if players < 2:
        return order, [0.0] * players
    import numpy as np  # heavy: only where something is ranked

    from calibration.bradley_terry import strengths

    wins = np.zeros((players, players))
    for game in games:
        if game.points is not None:
            wins[game.first, game.second] += game.points
            wins[game.second, game.first] += 1 - game.points
    random.Random(f"{seed}\nranking").shuffle(order)
    # Rounded, so that equal strengths are not told apart by the last bit of a sum.
    found = [round(float(strength), 9) for strength in strengths(wins)]
    order.sort(key=lambda player: -found[player])
    return order, [found[player] for player in order]


def extremes(order: Sequence[int], *, margin: int = 0) -> list[Meeting]:
    """Return best against worst, and whoever stands up to `margin` places closer together.

    `order` is a ranking, best first; so is each pair.
    """
    apart = max(1, len(order) - 1 - margin)
    return [
        (better, worse) for place, better in enumerate(order) for worse in order[place + apart :]
    ]


def is_undecided(strengths_in_order: Sequence[float]) -> bool:
    """Return whether the games tell no player from another."""
    return not strengths_in_order or strengths_in_order[0] - strengths_in_order[-1] < _EQUAL


def _scores(players: int, games: Sequence[Game]) -> list[float]:
    """Points by player. A round sat out counts as half a win: nothing was learnt of it."""
    scores = [0.0] * players
    for game in games:
        points = HALF if game.points is None else game.points
        scores[game.first] += points
        scores[game.second] += 1 - points
    played = _played(players, games)
    most = max(played, default=0)
    return [score + HALF * (most - count) for score, count in zip(scores, played, strict=True)]


def _played(players: int, games: Sequence[Game]) -> list[int]:
    counts = [0] * players
    for game in games:
        counts[game.first] += 1
        counts[game.second] += 1
    return counts


class _Search:
    """Pairs everyone with the nearest below that they have not met, going back where that fails."""

    def __init__(self, met: set[frozenset[int]], steps: int) -> None:
        self._met = met
        self._steps = steps

    def pair(self, order: Sequence[int]) -> list[Meeting] | None:
        """Return the pairs, or None where there are none or too many tries were made."""
        if not order:
            return []
        head, *rest = order
        for place, other in enumerate(rest):
            if frozenset((head, other)) in self._met:
                continue
            self._steps -= 1
            if self._steps < 0:
                return None
            further = self.pair([*rest[:place], *rest[place + 1 :]])
            if further is not None:
                return [(head, other), *further]
        return None


def _greedy(order: Sequence[int], met: set[frozenset[int]]) -> list[Meeting]:
    """Pair each with the nearest below that it has not met; the others sit out."""
    left, made = list(order), []
    while left:
        head = left.pop(0)
        other = next((p for p in left if frozenset((head, p)) not in met), None)
        if other is not None:
            left.remove(other)
            made.append((min(head, other), max(head, other)))
    return made
