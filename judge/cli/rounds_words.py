"""The words for what rounds of judging led to: how generators stand, and why a job ended. Pure."""

from typing import TYPE_CHECKING

from judge.cli.visible import on_one_line
from judge.job.pipeline import RunResult

if TYPE_CHECKING:
    from judge.candidates.standings import Standings

MOST_SHOWN = 8
"""Generators that are named with their ratings."""


def rounds_lines(result: RunResult) -> list[str]:
    """Return how the generators stand, where the rankings are and what the job ended by, if told.

    Ratings are Bradley-Terry strengths in logits: a difference of 1 wins 73 of 100 comparisons.
    """
    told = []
    if result.standings is not None:
        told = [f"ratings   {_ratings(result.standings)}"]
        if result.standings.rankings is not None:
            told.append(f"rankings  {_rankings(result.standings)}")
    if result.ending is not None:
        told.append(f"ended     {on_one_line(result.ending.words)}")
    return told


def _ratings(standings: "Standings") -> str:
    if not standings.ratings:
        return f"none: {on_one_line(standings.why or '')}"
    shown = []
    for name, rating in list(standings.ratings.items())[:MOST_SHOWN]:
        interval = ""
        if rating.low is not None and rating.high is not None:
            interval = f" ({rating.low:+.2f} to {rating.high:+.2f})"
        shown.append(f"{on_one_line(name)} {rating.value:+.2f}{interval}")
    if unnamed := len(standings.ratings) - len(shown):
        shown.append(f"and {unnamed:,} more")
    reasons = (standings.why, *(rating.why for rating in standings.ratings.values()))
    told = next((reason for reason in reasons if reason), None)
    why = f"; {on_one_line(told)}" if told else ""
    return f"{', '.join(shown)}; Bradley-Terry in logits, 95 % CI by prompt{why}"


def _rankings(standings: "Standings") -> str:
    ranked = standings.prompts - standings.undecided
    undecided = f"; {standings.undecided:,} undecided" if standings.undecided else ""
    return f"{ranked:,} of {standings.prompts:,} prompts in {standings.rankings}{undecided}"
