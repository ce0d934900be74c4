"""FastChat's judgments and human votes, line by line, in the orientation of their pair.

A pair is named `QUESTION:TURN:MODEL:MODEL` with its models sorted, so that one question, turn
and two models have one id however a line names them; a ":" or "%" within a name is written %3A
or %25. What a line says about the other way round is turned when it is read.

    judgment  {"question_id", "model_1", "model_2", "judge": MODEL | [MODEL, PROMPT],
               "g1_judgment", "g2_judgment", "turn"?, "tstamp"?}
    vote      {"question_id", "model_a", "model_b", "winner", "judge", "turn"?}

g1 showed model_1 as A and g2 showed model_2 as A; a vote showed model_a first. Without a turn it
is turn 1. The `g1_winner` fields are not read: what a reply decides is for our parser to say.
Layouts: FastChat, `fastchat/llm_judge` (common.py, gen_judgment.py), and the published
mt_bench_human_judgments.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from judge.errors import InputError
from judge.formats.column_map import VotePreference
from judge.formats.judgments import GivenJudgment
from judge.formats.problems import explain, problem, shown
from judge.formats.rows import refuse_empty, row_from
from judge.records import Order, Vote

OUTAGE = "$ERROR$"
"""What FastChat writes in place of a reply that it never got."""
OUTAGE_FINISH_REASON = "error"

_WINNERS: Mapping[str, VotePreference] = {
    "model_a": "first",
    "model_b": "second",
    "tie": "tie",
    "tie (inconsistent)": "tie",
    "tie (bothbad)": "both_bad",
    "both_bad": "both_bad",
    "error": "skip",
}
_NOTED = ("tie (inconsistent)", "error")
"""Winners that say more than the preference they become; the vote's note keeps them."""
_SWAPPED: Mapping[VotePreference, VotePreference] = {"first": "second", "second": "first"}

T = TypeVar("T", bound="ForeignRow")


def _id_text(value: Any) -> Any:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_whole else value


def _judge_model(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value


QuestionId = Annotated[str, BeforeValidator(_id_text)]
Turn = Annotated[int, Field(ge=1)]


class ForeignRow(BaseModel):
    """A row of another tool: the fields that are read, among others that are not."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


@dataclass(frozen=True, slots=True)
class PairName:
    """A question, a turn and two models in sorted order."""

    question_id: str
    turn: int
    first_model: str
    second_model: str

    @property
    def pair_id(self) -> str:
        names = (self.question_id, str(self.turn), self.first_model, self.second_model)
        return ":".join(name.replace("%", "%25").replace(":", "%3A") for name in names)


class _JudgmentRow(ForeignRow):
    question_id: QuestionId
    model_1: str
    model_2: str
    judge: Annotated[str, BeforeValidator(_judge_model)]
    g1_judgment: str
    g2_judgment: str
    turn: Turn = 1
    tstamp: float | None = None


class _VoteRow(ForeignRow):
    question_id: QuestionId
    model_a: str
    model_b: str
    winner: str
    judge: Any
    turn: Turn = 1


@dataclass(frozen=True, slots=True)
class NamedVote:
    """A vote with the name of its pair."""

    name: PairName
    vote: Vote


@dataclass(frozen=True, slots=True)
class NamedJudgments:
    """The two replies of one judgment line, with the name of their pair."""

    name: PairName
    judgments: tuple[GivenJudgment, GivenJudgment]
    """Of g1 and of g2, with sample number 0: only the whole bundle can number them."""
    written_at: float | None
    """`tstamp` of the line, in seconds since 1970."""


def parse_judgments(line: bytes) -> NamedJudgments:
    """The replies on a line; raises InputError with the problem in one line."""
    row = checked(row_from(line), _JudgmentRow)
    refuse_empty("judge", row.judge)
    name = _pair_name(row.question_id, row.turn, ("model_1", row.model_1), ("model_2", row.model_2))
    order = _shown_order(name, row.model_1)
    judgments = (
        _given(name, row.judge, order, row.g1_judgment),
        _given(name, row.judge, order.other, row.g2_judgment),
    )
    return NamedJudgments(name, judgments, row.tstamp)


def parse_vote(line: bytes) -> NamedVote:
    """The vote on a line; raises InputError with the problem in one line."""
    row = checked(row_from(line), _VoteRow)
    if isinstance(row.judge, list):
        remedy = "give the model_judgment file that holds its replies"
        raise problem("judge", "a model, whose verdict is no human vote", remedy)
    if not isinstance(row.judge, str):
        raise problem("judge", "not a name", "give the name of the annotator")
    refuse_empty("judge", row.judge)
    name = _pair_name(row.question_id, row.turn, ("model_a", row.model_a), ("model_b", row.model_b))
    preference = _WINNERS.get(row.winner)
    if preference is None:
        remedy = f"known are {', '.join(_WINNERS)}"
        raise problem("winner", f'unknown value "{shown(row.winner)}"', remedy)
    order = _shown_order(name, row.model_a)
    if order is Order.REVERSED:
        preference = _SWAPPED.get(preference, preference)
    vote = Vote(
        pair_id=name.pair_id,
        annotator=row.judge,
        preference=preference,
        shown_order=order,
        note=row.winner if row.winner in _NOTED else None,
    )
    return NamedVote(name, vote)


def checked(row: Mapping[str, Any], kind: type[T]) -> T:
    """The fields of a row that are read; raises InputError with the problem in one line."""
    try:
        return kind.model_validate(row)
    except ValidationError as error:
        raise InputError(explain(error.errors(include_url=False)[0])) from error


def _given(name: PairName, judge: str, order: Order, text: str) -> GivenJudgment:
    is_outage = text.strip() == OUTAGE
    return GivenJudgment(
        pair_id=name.pair_id,
        judge=judge,
        order=order,
        reply="" if is_outage else text,
        finish_reason=OUTAGE_FINISH_REASON if is_outage else None,
        model=judge,
    )


def _shown_order(name: PairName, shown_first: str) -> Order:
    return Order.FORWARD if shown_first == name.first_model else Order.REVERSED


def _pair_name(
    question_id: str, turn: int, one: tuple[str, str], other: tuple[str, str]
) -> PairName:
    """The name of the pair of two (field, model)."""
    for field, model in (("question_id", question_id), one, other):
        refuse_empty(field, model)
    if one[1] == other[1]:
        raise problem(other[0], f'"{shown(one[1])}" against itself', "name two models")
    return PairName(question_id, turn, *sorted((one[1], other[1])))
