"""What can be set about the simulated models: how they judge, how they write, how they fail."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MODEL = "simulated-judge"
GENERATORS = {"simulated-generator-small": 1, "simulated-generator-large": 4}
"""Drafts of two generators, of which the large one wins 4 of 5 comparisons."""

MOST_DRAFTS = 64

Rate = Annotated[float, Field(ge=0, le=1)]
"""A probability per request, in [0, 1]."""
Shift = Annotated[float, Field(ge=-1, le=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _TypedChoice(StrEnum):
    """Words that may be typed with hyphens, as the help of the command line shows them."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        spelt = str(value).replace("-", "_")
        return next((member for member in cls if member.value == spelt), None)


class AccountFault(_TypedChoice):
    """An error that every request of an account meets."""

    INVALID_KEY = "invalid_key"
    """401"""
    PAYMENT_REQUIRED = "payment_required"
    """402"""
    FORBIDDEN = "forbidden"
    """403"""
    MODEL_NOT_FOUND = "model_not_found"
    """404"""
    INSUFFICIENT_QUOTA = "insufficient_quota"
    """429 whose code says that waiting will not help"""


class Logprobs(StrEnum):
    """What becomes of a request for the probabilities of a reply's tokens."""

    OFFERED = "offered"
    """They come with a reply of one letter, as the verdict prompt wants it."""
    IGNORED = "ignored"
    """The reply comes without them."""
    REFUSED = "refused"
    """400"""


class Reasoning(StrEnum):
    """Where the simulated judge's thinking goes. Its last line is always a wrong guess."""

    NONE = "none"
    """It does not think."""
    FIELD = "field"
    """Into `reasoning_content`, beside the content."""
    TAGS = "tags"
    """Into the content, between think tags."""
    ONLY = "only"
    """Into `reasoning_content`, and the answer too: the content stays empty."""


class Refusable(_TypedChoice):
    """A field of requests that some models refuse."""

    MAX_TOKENS = "max_tokens"
    MAX_COMPLETION_TOKENS = "max_completion_tokens"
    TEMPERATURE = "temperature"
    """Any but the default of 1."""
    RESPONSE_FORMAT = "response_format"
    REASONING_EFFORT = "reasoning_effort"


class SimulatorSettings(BaseModel):
    """Everything about one simulated endpoint; the same settings give the same replies.

    Faults and flaws are drawn for each (seed, request body, how often this body was sent before),
    so a retry meets a fresh draw and the whole run repeats exactly.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    accuracy: Rate = 0.85
    """Probability that a verdict names the truly better answer, where it is neither a tie nor
    driven by position; before `length_bias`."""
    example_gain: Shift = 0.0
    """Added to the accuracy where the prompt shows examples."""
    temperature_loss: Rate = 0.0
    """Taken from the accuracy at temperature 1; in proportion at others."""
    position_bias: Shift = 0.0
    """Share of verdicts given to the first shown answer whatever the texts; negative: to the
    second shown."""
    length_bias: Shift = 0.0
    """Added to the probability of naming the longer answer; negative favours the shorter."""
    tie_rate: Rate = 0.0
    """Share of ties among verdicts not driven by position, where the prompt offers [[C]]."""
    shared_opinion: Rate = 0.5
    """Share of pairs judged once, whichever order is shown: their mistakes and ties repeat in the
    other order. The other pairs are judged anew in each order."""

    answer_accuracy: Rate = 0.9
    """Probability that the judge's own answer to a sum is right, where a reference is checked."""

    reply_words: Annotated[int, Field(ge=1, le=20_000)] = 150
    """Length of a reply's reasoning in words, to within a sentence."""
    unparsable_rate: Rate = 0.0
    """Share of replies that state no readable verdict."""
    length_rate: Rate = 0.0
    """Share of replies cut short, with finish_reason `length`."""
    content_filter_rate: Rate = 0.0
    """Share of replies withheld, with finish_reason `content_filter`."""

    empty_rate: Rate = 0.0
    """Share of replies without any text, with finish_reason `stop`."""

    reasoning: Reasoning = Reasoning.NONE
    """Where the judge's thinking goes: into a field of its own, think tags, or nothing but it."""
    reasoning_words: Annotated[int, Field(ge=1, le=20_000)] = 200
    """Length of its thinking in words, to within a sentence; it counts towards max_tokens."""
    refuses: tuple[Refusable, ...] = ()
    """Fields of requests that are answered 400, as by models that do not know them."""

    logprobs: Logprobs = Logprobs.OFFERED
    """What becomes of a request for token probabilities."""
    confidence_temperature: Annotated[float, Field(ge=0.05, le=20)] = 1.0
    """Divides the log-odds that are stated: 1 is calibrated, below 1 is over-confident."""

    generators: dict[str, Annotated[int, Field(ge=1, le=MOST_DRAFTS)]] = GENERATORS
    """Models that answer what is no judge prompt, by the drafts that each writes: it gives the
    best of them by the hidden truth, so one of `a` drafts beats one of `b` with probability
    a / (a + b)."""
    answer_words: Annotated[int, Field(ge=1, le=20_000)] = 90
    """Mean length of a generator's answer in words."""

    latency_s: Seconds = 0.0
    """Mean seconds from a request to its answer."""
    latency_spread: Annotated[float, Field(ge=0, le=3)] = 0.0
    """Standard deviation of the logarithm of the latency; 0 makes it constant."""
    max_concurrency: Annotated[int, Field(ge=1)] | None = None
    """Requests in flight beyond which the next is answered 429; None: no limit."""

    rate_limit_rate: Rate = 0.0
    """Share of requests answered 429."""
    retry_after_s: Seconds | None = 1.0
    """Seconds in the Retry-After header of a 429; None leaves the header out."""
    server_error_rate: Rate = 0.0
    """Share of requests answered 500."""
    reset_rate: Rate = 0.0
    """Share of requests whose connection is reset instead of answered."""
    truncated_body_rate: Rate = 0.0
    """Share of answers that end before their Content-Length."""
    hang_rate: Rate = 0.0
    """Share of requests never answered: the connection stays open until the client leaves."""
    html_rate: Rate = 0.0
    """Share of requests answered by an HTML page with status 200."""
    faulty_sends: Annotated[int, Field(ge=0)] | None = None
    """Faults and flaws meet only this many first sends of a body; None: every send."""

    batch_latency_s: Seconds = 0.0
    """Seconds that a batch is in progress at least."""
    batch_answered_share: Rate = 1.0
    """Share of a batch's requests that are answered in time; below 1 the batch expires."""

    account_fault: AccountFault | None = None
    account_fault_after: Annotated[int, Field(ge=0)] = 0
    """Requests served before the account fault sets in."""
    context_chars: Annotated[int, Field(ge=1)] | None = None
    """Characters of a prompt beyond which it is refused with 400 context_length_exceeded."""
    required_key: Annotated[str | None, Field(repr=False)] = None
    """The only bearer key accepted, a made-up one; None accepts any or none."""

    @model_validator(mode="after")
    def _rates_leave_room_for_each_other(self) -> Self:
        faults = (
            self.rate_limit_rate
            + self.server_error_rate
            + self.reset_rate
            + self.truncated_body_rate
            + self.hang_rate
            + self.html_rate
        )
        flaws = self.unparsable_rate + self.length_rate + self.content_filter_rate + self.empty_rate
        for what, total in (("request faults", faults), ("reply flaws", flaws)):
            if total > 1 + 1e-9:
                raise ValueError(
                    f"the rates of {what} add up to {total:g}; lower them to 1 or less"
                )
        return self
