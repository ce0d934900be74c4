"""How candidates and their generators stand once the rounds are over."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from calibration.bradley_terry import Ratings, bradley_terry
from calibration.intervals import Estimate
from calibration.logistic import NoFit
from judge.atomic import atomic_writer
from judge.candidates.rounds import Contest, Tournament, tournaments
from judge.candidates.tournament import is_undecided
from judge.ledger.runs import find_run
from judge.ledger.store import Ledger
from judge.records import Message

ONE_GENERATOR = "one generator wrote every candidate, so that there is nobody to rate it against"


@dataclass(frozen=True, slots=True)
class Standings:
    """What the labels of a tournament say beyond single pairs."""

    ratings: Mapping[str, Estimate]
    """Generator -> Bradley-Terry strength in logits around their mean, the strongest first, with
    an interval clustered by prompt; empty where `why` says so."""
    why: str | None
    """What is to be known about the ratings."""
    prompts: int
    """Prompts with two candidates or more."""
    undecided: int
    """Those of them where no label tells a candidate from another: they have no ranking."""
    rankings: Path | None = None
    """Where the rankings were written, best against worst as chosen and rejected."""


@dataclass(slots=True)
class _Games:
    """The games of all tournaments, between generators."""

    names: Sequence[str]
    first: list[int] = field(default_factory=list)
    second: list[int] = field(default_factory=list)
    points: list[float] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)

    def add(self, one: Tournament) -> None:
        places = [self.names.index(name) for name in one.generators]
        for game in one.schedule.games:
            if game.points is not None:
                self.first.append(places[game.first])
                self.second.append(places[game.second])
                self.points.append(game.points)
                self.prompts.append(one.prompt.prompt_id)


def rankings_path(ledger: Path, run_id: str) -> Path:
    """Return where the rankings of a run go: beside its ledger."""
    return ledger.with_name(f"{ledger.stem}.{run_id}.rankings.jsonl")


def standings_of(path: Path, contest: Contest, run_id: str, *, is_delivered: bool) -> Standings:
    """Return how a tournament of a run ended.

    Where it is delivered, the ranking of every prompt is written beside the ledger. Raises
    LedgerError.
    """
    games = _Games(list(dict.fromkeys(contest.names.values())))
    out = rankings_path(path, run_id) if is_delivered else None
    prompts = undecided = 0
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger(path, read_only=True))
        file = stack.enter_context(atomic_writer(out)) if out is not None else None
        run = find_run(ledger, run_id)
        for one in tournaments(ledger, contest, run):
            if len(one.candidates) < 2:
                continue
            prompts += 1
            games.add(one)
            order, strengths = one.ranking()
            if is_undecided(strengths):
                undecided += 1
            elif file is not None:
                file.write_row(to_json(_ranking_row(one, order, strengths)))
    ratings, why = _ratings(games)
    return Standings(ratings, why, prompts, undecided, out)


def _ratings(games: _Games) -> tuple[dict[str, Estimate], str | None]:
    if len(games.names) < 2:
        return {}, ONE_GENERATOR
    found: Ratings | NoFit = bradley_terry(
        games.first, games.second, games.points, games.prompts, names=games.names
    )
    if isinstance(found, NoFit):
        return {}, found.why
    rated = zip(games.names, found.strengths, strict=True)
    return dict(sorted(rated, key=lambda item: -(item[1].value or 0.0))), found.why


def _ranking_row(
    one: Tournament, order: Sequence[int], strengths: Sequence[float]
) -> dict[str, Any]:
    """Best and worst as a row to train on, with the whole ranking behind them."""
    best, worst = order[0], order[-1]
    met = {frozenset((game.first, game.second)) for game in one.schedule.games}
    return {
        "prompt_id": one.prompt.prompt_id,
        "prompt": _messages(one.prompt.messages),
        "chosen": _messages(one.candidates[best].messages),
        "rejected": _messages(one.candidates[worst].messages),
        "met": frozenset((best, worst)) in met,
        "ranking": [
            {
                "generator": one.generators[place],
                "model": one.candidates[place].model,
                "text": one.candidates[place].text,
                "strength": round(strength, 6),
            }
            for place, strength in zip(order, strengths, strict=True)
        ],
    }


def _messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [message.row for message in messages]
