"""What is known of the pairs before anyone judged them: records become columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from calibration.report.columns import Answers, PairColumns
from calibration.strata import Stratification
from judge.ledger.facts import AnswerFacts, JudgedPair

TURN = "turn"
"""Tag of a pair that says which turn of a conversation its answers are to, from 1."""
STRATA = ("category", "language")
"""Tags of a pair by which a report parts the pairs, unless told others."""


@dataclass
class PairGathering:
    """What is known of the pairs before anyone judged them, while it grows."""

    by: Sequence[str] = STRATA
    """Tags to part the pairs by."""
    rows: dict[str, int] = field(default_factory=dict)
    """Pair id -> row."""
    prompts: dict[str, int] = field(default_factory=dict)
    cluster: list[int] = field(default_factory=list)
    turns: dict[int, list[int]] = field(default_factory=dict)
    _first: "_Side" = field(default_factory=lambda: _Side())
    _second: "_Side" = field(default_factory=lambda: _Side())
    _systems: dict[str | None, int] = field(default_factory=dict)
    _answers: dict[tuple[int, int | None, bytes], int] = field(default_factory=dict)
    """Prompt, turn and digest of an answer -> its code."""
    _parts: dict[str, "_Parts"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._parts = {tag: _Parts() for tag in self.by}

    def add(self, pair: JudgedPair) -> None:
        """Append the row of a pair."""
        row = self.rows[pair.pair_id] = len(self.rows)
        prompt = self.prompts.setdefault(pair.prompt_id, len(self.prompts))
        self.cluster.append(prompt)
        if (turn := turn_of(pair.tags)) is not None:
            self.turns.setdefault(turn, []).append(row)
        self._append(self._first, pair.first, prompt, turn)
        self._append(self._second, pair.second, prompt, turn)
        for tag, parts in self._parts.items():
            parts.add(_part_of(pair.tags.get(tag)))

    def columns(self) -> PairColumns:
        """Return the columns of all pairs so far.

        Nothing is told of the answers where the style of any was not read.
        """
        strata = {tag: parts.stratification() for tag, parts in self._parts.items()}
        return PairColumns(
            cluster=np.array(self.cluster, np.intp),
            first=self._first.answers(len(self.rows)),
            second=self._second.answers(len(self.rows)),
            turns={turn: np.array(rows, np.intp) for turn, rows in self.turns.items()},
            systems=tuple(self._systems),
            strata={tag: parting for tag, parting in strata.items() if parting is not None},
        )

    def _append(self, side: "_Side", answer: AnswerFacts, prompt: int, turn: int | None) -> None:
        side.system.append(self._systems.setdefault(answer.model, len(self._systems)))
        if (style := answer.style) is not None:
            key = (prompt, turn, style.digest)
            side.chars.append(answer.chars)
            side.lists.append(style.lists)
            side.marks.append(style.marks)
            side.answer.append(self._answers.setdefault(key, len(self._answers)))


@dataclass
class _Side:
    """One side's answers; what needs their texts is shorter where those were not read."""

    system: list[int] = field(default_factory=list)
    chars: list[int] = field(default_factory=list)
    lists: list[int] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    answer: list[int] = field(default_factory=list)

    def answers(self, pairs: int) -> Answers | None:
        """Return the columns, or None where a text was not read."""
        if len(self.answer) < pairs:
            return None
        columns = (self.chars, self.lists, self.marks, self.system, self.answer)
        return Answers(*(np.array(column, np.intp) for column in columns))


@dataclass
class _Parts:
    """The part of each pair by one tag, while it grows."""

    names: dict[str | None, int] = field(default_factory=dict)
    codes: list[int] = field(default_factory=list)

    def add(self, name: str | None) -> None:
        self.codes.append(self.names.setdefault(name, len(self.names)))

    def stratification(self) -> Stratification | None:
        """Return the parting, or None where no pair bears the tag."""
        if all(name is None for name in self.names):
            return None
        return Stratification(np.array(self.codes, np.intp), tuple(self.names))


def turn_of(tags: Mapping[str, Any]) -> int | None:
    """Return the turn that tags name, as a number or its digits; None where they name none."""
    turn = tags.get(TURN)
    if isinstance(turn, str) and turn.isascii() and turn.isdigit():
        turn = int(turn)
    is_turn = isinstance(turn, int) and not isinstance(turn, bool) and turn >= 1
    return turn if is_turn else None


def _part_of(value: Any) -> str | None:
    """Return the name of the part that a tag's value puts a pair in; None for no usable value."""
    if isinstance(value, str):
        return value.strip() or None
    return str(value) if isinstance(value, int | float) else None
