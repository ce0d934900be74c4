"""Counting for an estimate: every prompt is rendered as it would be sent, and none is sent.

The input is streamed and the ledger only read; memory does not grow with either.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from judge.config import Settings
from judge.estimate import (
    ASSUMED_LATENCY_S,
    Estimate,
    JudgeEstimate,
    PromptSample,
    endpoint_estimate,
    price_range,
    reply_range,
)
from judge.formats.lines import BadLine
from judge.formats.pairs import warnings_of
from judge.identity import Content, canonical
from judge.intake import CHUNK, CHUNK_CHARS, IntakeReport, selected_lines
from judge.judging import ResolvedJudge, request_of, shown_of
from judge.labels import Rule
from judge.ledger.run_facts import readings_on, recent_latencies
from judge.ledger.seen import SeenIds
from judge.ledger.store import Ledger
from judge.pipeline import JobInput, resolved_judges
from judge.policy import BOTH_ORDERS, Question, missing_questions, single_order
from judge.pricing import prompt_tokens, token_range
from judge.records import Order, Reading, Status
from prompts.errors import PromptError
from prompts.shown import Shown

SAMPLES = 2
"""Prompts that are shown."""


@dataclass(slots=True)
class _Tally:
    """What one judge would be asked, while it is counted."""

    stored: int = 0
    calls: int = 0
    unaskable: int = 0
    tokens: int = 0


@dataclass(slots=True)
class _Counts:
    """All that is counted while the input goes by."""

    judges: Mapping[str, ResolvedJudge]
    """By judge key."""
    one_order: bool
    retry: frozenset[Status]
    tallies: dict[str, _Tally] = field(init=False)
    samples: list[PromptSample] = field(default_factory=list)
    contents: int = 0

    def __post_init__(self) -> None:
        self.tallies = {key: _Tally() for key in self.judges}

    def add(self, content: Content, answered: Sequence[Reading]) -> None:
        """Count what is missing of one content."""
        self.contents += 1
        orders = (single_order(content.content_id),) if self.one_order else BOTH_ORDERS
        questions = missing_questions(answered, self.judges, orders=orders, retry=self.retry)
        for key, tally in self.tallies.items():
            tally.stored += len(orders) - sum(q.judge_key == key for q in questions)
        if questions:
            shown = shown_of(
                content.prompt_json, content.reference, content.first_json, content.second_json
            )
            for question in questions:
                self._add_question(question, shown, is_exchanged=content.is_exchanged)

    def _add_question(self, question: Question, shown: Shown, *, is_exchanged: bool) -> None:
        judge, tally = self.judges[question.judge_key], self.tallies[question.judge_key]
        is_forward = question.order is Order.FORWARD
        try:
            rendered = judge.prompt.render_pair(shown if is_forward else shown.exchanged)
        except PromptError:
            tally.unaskable += 1
            return
        tally.calls += 1
        tally.tokens += prompt_tokens(request_of(judge, rendered))
        if len(self.samples) < SAMPLES:
            order = question.order.other if is_exchanged else question.order
            self.samples.append(PromptSample(judge.name, order, rendered.system, rendered.user))


def estimate_job(
    job: JobInput,
    settings: Settings,
    ledger_path: Path,
    *,
    retry: frozenset[Status] = frozenset(),
    on_pairs: Callable[[int], None] | None = None,
) -> Estimate:
    """Return what judging an input would take, given what the ledger already holds.

    Sends nothing and writes nothing; a ledger that does not exist holds nothing. `on_pairs` is
    handed the number of pairs read so far, now and then. Raises ConfigError, InputError and
    LedgerError as the job itself would.
    """
    judges = {judge.judge_key: judge for judge in resolved_judges(settings)}
    counts = _Counts(judges, settings.run.rule is Rule.SINGLE_RANDOM, retry)
    intake = IntakeReport()
    with ExitStack() as stack:
        seen = stack.enter_context(SeenIds())
        ledger = None
        if ledger_path.exists():
            ledger = stack.enter_context(Ledger(ledger_path, read_only=True))
        for chunk in _chunks(job, intake):
            by_id = {content.content_id: content for content in chunk}
            new = seen.add_new(by_id)
            answered = readings_on(ledger, new, list(judges)) if ledger else {}
            for content_id in new:
                counts.add(by_id[content_id], answered.get(content_id, ()))
            if on_pairs is not None:
                on_pairs(intake.pairs)
        latencies = recent_latencies(ledger, list(judges)) if ledger else {}
    if not job.skip_bad_lines:
        intake.raise_if_bad(
            "nothing was sent; mend the lines, or leave them out with --skip-bad-lines"
        )
    return _estimate(counts, intake, settings, latencies)


def _chunks(job: JobInput, intake: IntakeReport) -> Iterator[list[Content]]:
    """Yield the contents of the selected lines, as many at a time as an intake stores."""
    chunk: list[Content] = []
    characters = 0
    source = "<stdin>" if job.path == "-" else job.path
    for line in selected_lines(job.path, job.selection, job.mapping):
        if isinstance(line, BadLine):
            intake.refuse(str(line))
            continue
        intake.pairs += 1
        intake.warn(f"{source}:{line.number}: {w}" for w in warnings_of(line.record))
        content = canonical(line.record)
        chunk.append(content)
        characters += len(content.prompt_json) + len(content.first_json) + len(content.second_json)
        if len(chunk) == CHUNK or characters >= CHUNK_CHARS:
            yield chunk
            chunk, characters = [], 0
    yield chunk


def _estimate(
    counts: _Counts, intake: IntakeReport, settings: Settings, latencies: Mapping[str, float]
) -> Estimate:
    judges = tuple(
        _judge_estimate(judge, counts.tallies[key], settings, latencies.get(key))
        for key, judge in counts.judges.items()
    )
    names = sorted({judge.endpoint for judge in judges})
    return Estimate(
        intake=intake,
        contents=counts.contents,
        judges=judges,
        endpoints=tuple(
            endpoint_estimate(
                name, settings.endpoints[name], [j for j in judges if j.endpoint == name]
            )
            for name in names
        ),
        samples=tuple(counts.samples),
    )


def _judge_estimate(
    judge: ResolvedJudge, tally: _Tally, settings: Settings, latency_s: float | None
) -> JudgeEstimate:
    prompts = token_range(tally.tokens)
    replies = reply_range(tally.calls, judge.max_tokens)
    return JudgeEstimate(
        name=judge.name,
        model=judge.model,
        endpoint=judge.endpoint,
        max_tokens=judge.max_tokens,
        stored=tally.stored,
        calls=tally.calls,
        unaskable=tally.unaskable,
        prompt_tokens=prompts,
        reply_tokens=replies,
        usd=price_range(settings.prices.get(judge.model), prompts=prompts, replies=replies),
        latency_s=ASSUMED_LATENCY_S if latency_s is None else latency_s,
        is_latency_measured=latency_s is not None,
    )
