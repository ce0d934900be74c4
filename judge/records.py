"""The records of the pipeline: what is stored, read and written.

Positions and candidates are two types. `Verdict` speaks of shown positions, `Preference` of
candidates, and `preference_from` is the only bridge between them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Record(BaseModel):
    """Base of every record: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Order(StrEnum):
    """Which candidate is shown as A: FORWARD shows the first, REVERSED the second."""

    FORWARD = "forward"
    REVERSED = "reversed"

    @property
    def other(self) -> "Order":
        return Order.REVERSED if self is Order.FORWARD else Order.FORWARD


class Verdict(StrEnum):
    """What a judge said, about shown positions."""

    A = "A"
    B = "B"
    TIE = "tie"


class Preference(StrEnum):
    """What a verdict or a vote means, about candidates."""

    FIRST = "first"
    SECOND = "second"
    TIE = "tie"

    @property
    def swapped(self) -> "Preference":
        """The same preference when the two candidates trade places."""
        if self is Preference.TIE:
            return self
        return Preference.SECOND if self is Preference.FIRST else Preference.FIRST


class Status(StrEnum):
    """Why a judgment has no verdict. None of these is ever a label."""

    UNPARSED = "unparsed"
    """The reply states no verdict, or not clearly."""
    TRUNCATED = "truncated"
    """The reply was cut at the token limit, twice."""
    REFUSED = "refused"
    """The provider's content filter stopped the reply."""
    FAILED = "failed"
    """The endpoint rejects this item for good (context too long, invalid request)."""


class Outcome(StrEnum):
    """How one pair resolved under a rule."""

    FIRST = "first"
    SECOND = "second"
    TIE = "tie"
    INCONSISTENT = "inconsistent"
    """The two orders contradict each other under the conservative rule."""
    UNDECIDED = "undecided"
    """No outcome; `Label.reason` says why."""


def preference_from(verdict: Verdict, order: Order) -> Preference:
    """Translate a shown position into a candidate. The only place that does so."""
    if verdict is Verdict.TIE:
        return Preference.TIE
    first_was_shown_as = Verdict.A if order is Order.FORWARD else Verdict.B
    return Preference.FIRST if verdict is first_was_shown_as else Preference.SECOND


def _is_absent(value: object) -> bool:
    return value is None


class FunctionCall(Record):
    """What a model wants a tool to do."""

    name: str
    arguments: str
    """As the model wrote them: JSON, or not."""


class ToolCall(Record):
    """One call of a tool in an assistant's message, as in a chat request."""

    id: str | None = Field(default=None, exclude_if=_is_absent)
    type: Literal["function"] = "function"
    function: FunctionCall


class Message(Record):
    """One turn of a conversation. What a plain message lacks is not written, so ids stay."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    """Empty where an assistant only calls tools."""
    tool_calls: tuple[ToolCall, ...] | None = Field(default=None, exclude_if=_is_absent)
    """An assistant's; never an empty list."""
    tool_call_id: str | None = Field(default=None, exclude_if=_is_absent)
    """The call that a tool's message answers."""
    name: str | None = Field(default=None, exclude_if=_is_absent)
    """The tool that a tool's message comes from."""

    @property
    def row(self) -> dict[str, Any]:
        """The JSON object of the message, which reads back as an equal one."""
        return self.model_dump(mode="json")


class Prompt(Record):
    """A conversation to answer."""

    prompt_id: str
    """The cluster that every interval is computed by."""
    messages: tuple[Message, ...]
    reference: str | None = None
    tags: dict[str, Any] = {}


class Candidate(Record):
    """One response to a prompt: the last turn, or one assistant message per user turn.

    Either may be an agent's, its tools' messages among its own (`judge.job.trajectories`).
    """

    messages: tuple[Message, ...]
    model: str | None = None

    @property
    def text(self) -> str:
        """What was said, as one text; turns are joined by a blank line, calls are left out."""
        return "\n\n".join(
            m.content
            for m in self.messages
            if m.role == "assistant" and (m.content or not m.tool_calls)
        )


class Pair(Record):
    """Two candidates of one prompt, in the orientation that its `pair_id` names."""

    pair_id: str
    prompt: Prompt
    first: Candidate
    second: Candidate


class ShownRatings(Record):
    """What a judge rates both answers on one attribute, by shown position."""

    a: float
    b: float


class Judgment(Record):
    """One reply of one judge to one pair in one order. Append-only in the ledger.

    `order` is in the orientation of whatever the judgment is read with: of the stored content
    inside the ledger, of the named pair outside it. Exactly one of `verdict` and `status` is set.
    """

    judgment_id: str
    content_id: str
    judge_key: str
    """Digest of the judge model, the prompt template and the sampling parameters."""
    order: Order
    sample: Annotated[int, Field(ge=0)] = 0
    reply: str
    """Raw text, as the judge gave it; empty when the request itself was rejected."""
    finish_reason: str | None = None
    verdict: Verdict | None
    status: Status | None
    reason: str | None = None
    """The cause in words when there is no verdict."""
    reasoning: str | None = None
    """Thinking that came beside the reply; never read for a verdict."""
    p_a: Annotated[float, Field(ge=0, le=1)] | None = None
    """Probability of the verdict A among the verdicts offered; None where none was given."""
    p_b: Annotated[float, Field(ge=0, le=1)] | None = None
    p_tie: Annotated[float, Field(ge=0, le=1)] | None = None
    grade: Annotated[int, Field(ge=-2, le=2)] | None = None
    """How much better A is: 2 much, 1 a little, 0 not, -1 and -2 B; None where not graded."""
    ratings: dict[str, ShownRatings] | None = None
    """By attribute, where the prompt asks for ratings."""
    input_tokens: int | None = None
    cached_tokens: int | None = None
    """Of the input tokens, those that the endpoint took from its prefix cache."""
    output_tokens: int | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    """Seconds from sending the accepted request to its last byte; waits and retries excluded."""
    attempts: int = 1
    """Requests sent for this judgment, the accepted one included."""
    rewrites: int = 0
    """Places in the question and the answers that were neutralised in the rendered prompt."""
    parser: str
    """Name and version of the rule that read the verdict."""
    created_at: str
    """UTC, ISO 8601. For display only: nothing is decided by it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one judgment decided, without its texts: all that policies and labels look at.

    `order` is in the orientation of whatever the reading is used with.
    """

    judgment_id: str
    judge_key: str
    order: Order
    sample: int
    verdict: Verdict | None
    status: Status | None
    probabilities: tuple[float, float, float] | None = None
    """Of A, B and tie as shown; they add up to 1."""
    grade: int | None = None
    """How much better A is, -2 to 2, as shown."""
    ratings: Mapping[str, tuple[float, float]] | None = field(default=None, hash=False)
    """Attribute -> ratings of A and B, as shown."""

    def oriented(self, *, is_exchanged: bool) -> "Reading":
        """Return the reading as seen by a pair whose given sides are exchanged, or unchanged.

        Exchanging the candidates exchanges the orders; what was said about a shown position
        stays as it was said.
        """
        return replace(self, order=self.order.other) if is_exchanged else self


class AttributeMeans(Record):
    """The mean ratings of both candidates on one attribute, on the scale of its criteria."""

    first: float
    second: float


class Label(Record):
    """One pair resolved from its judgments under a named rule."""

    pair_id: str
    outcome: Outcome
    reason: str | None = None
    probability: float | None = None
    """That the first candidate wins, in [0, 1]; None where no probability exists."""
    margin: float | None = None
    """|2 * probability - 1|, in [0, 1]; None where no probability exists."""
    grade: Annotated[float, Field(ge=-2, le=2)] | None = None
    """How much better the first candidate is, the mean over the orders; None where not graded."""
    attributes: dict[str, AttributeMeans] | None = None
    """Mean ratings over the orders by attribute; None where nothing was rated."""
    reference: Literal["checked", "doubtful", "unclear"] | None = None
    """What the check of the pair's reference came to; None where it was not checked."""
    rule: str
    judgments: tuple[str, ...] = ()


Rating = Annotated[int, Field(ge=1, le=7)]


class AttributeRating(Record):
    """Both candidates' ratings on one attribute, 1 to 7."""

    first: Rating
    second: Rating


class Vote(Record):
    """A human's preference about one pair, already un-shuffled to the pair's orientation."""

    pair_id: str
    annotator: str
    preference: Literal["first", "second", "tie", "both_bad", "skip"]
    strength: Annotated[int, Field(ge=0, le=3)] | None = None
    ratings: dict[str, AttributeRating] | None = None
    shown_order: Order | None = None
    batch: str | None = None
    seconds: Annotated[float, Field(ge=0)] | None = None
    note: str | None = None
    created_at: str | None = None
