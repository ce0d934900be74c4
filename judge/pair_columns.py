"""What is known of the pairs before anyone judged them: records become columns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from calibration.report.columns import Answers, PairColumns
from judge.ledger.facts import JudgedPair

TURN = "turn"
"""Tag of a pair that says which turn of a conversation its answers are to, from 1."""


@dataclass
class PairGathering:
    """What is known of the pairs before anyone judged them, while it grows."""

    rows: dict[str, int] = field(default_factory=dict)
    """Pair id -> row."""
    prompts: dict[str, int] = field(default_factory=dict)
    cluster: list[int] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    """Characters of the first answers."""
    second: list[int] = field(default_factory=list)
    turns: dict[int, list[int]] = field(default_factory=dict)

    def add(self, pair: JudgedPair) -> None:
        """Append the row of a pair."""
        row = self.rows[pair.pair_id] = len(self.rows)
        self.cluster.append(self.prompts.setdefault(pair.prompt_id, len(self.prompts)))
        self.first.append(pair.first_chars)
        self.second.append(pair.second_chars)
        if (turn := turn_of(pair.tags)) is not None:
            self.turns.setdefault(turn, []).append(row)

    def columns(self) -> PairColumns:
        """Return the columns of all pairs so far."""
        return PairColumns(
            cluster=np.array(self.cluster, np.intp),
            first=_answers(self.first),
            second=_answers(self.second),
            turns={turn: np.array(rows, np.intp) for turn, rows in self.turns.items()},
        )


def turn_of(tags: Mapping[str, Any]) -> int | None:
    """Return the turn that tags name, as a number or its digits; None where they name none."""
    turn = tags.get(TURN)
    if isinstance(turn, str) and turn.isascii() and turn.isdigit():
        turn = int(turn)
    is_turn = isinstance(turn, int) and not isinstance(turn, bool) and turn >= 1
    return turn if is_turn else None


def _answers(chars: list[int]) -> Answers:
    none = np.zeros(len(chars), np.intp)
    return Answers(np.array(chars, np.intp), none, none, none, none)
