"""Counting for an estimate: every prompt is rendered as it would be sent, and none is sent.

The input is streamed and the ledger only read; memory does not grow with either.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from judge.candidates.generation import ResolvedGenerator
from judge.formats.lines import BadLine
from judge.formats.pairs import warnings_of
from judge.identity import Content, canonical
from judge.inputs.intake import CHUNK, CHUNK_CHARS, IntakeReport, selected_lines
from judge.job.judging import ResolvedJudge, request_of
from judge.job.pipeline import JobInput
from judge.job.ready_judges import resolved_judges
from judge.job.run_identity import run_settings
from judge.job.showing import shown_of
from judge.ledger.run_facts import readings_on
from judge.ledger.seen import SeenIds
from judge.ledger.store import Ledger
from judge.policies.choice import most_asked, policy_of
from judge.policies.fixed import FixedPolicy
from judge.policy import Policy, Question
from judge.prices.estimate import (
    ASSUMED_LATENCY_S,
    BY_ROOM,
    MEASURED,
    NOTHING,
    Estimate,
    JudgeEstimate,
    PromptSample,
    endpoint_estimates,
    priced,
    reply_range,
    total,
)
from judge.prices.measures import Measures, measures_of
from judge.prices.price_list import Quote, quotes_of
from judge.prices.pricing import Range
from judge.prices.token_counting import TokenCounter
from judge.records import Order, Reading, Status
from judge.settings.config import Settings
from prompts.errors import PromptError
from prompts.shown import Shown

SAMPLES = 2
"""Prompts that are shown."""


@dataclass(slots=True)
class Tally:
    """What one judge or generator would be asked, while it is counted."""

    stored: int = 0
    calls: int = 0
    """At most."""
    least_calls: int = 0
    unaskable: int = 0
    tokens: float = 0.0
    """Of the prompts of all `calls`."""
    least_tokens: float = 0.0
    further: Range = NOTHING
    """Tokens of those prompts that are not known well enough to be counted."""


@dataclass(slots=True)
class _Counts:
    """All that is counted while the input goes by."""

    judges: Mapping[str, ResolvedJudge]
    """By judge key."""
    counters: Mapping[str, TokenCounter]
    """By judge key."""
    policy: Policy
    most: FixedPolicy
    """Asks at once all that `policy` may ever ask."""
    retry: frozenset[Status]
    tallies: dict[str, Tally] = field(init=False)
    samples: list[PromptSample] = field(default_factory=list)
    contents: int = 0

    def __post_init__(self) -> None:
        self.tallies = {key: Tally() for key in self.judges}

    def add(self, content: Content, answered: Sequence[Reading]) -> None:
        """Count what is missing of one content."""
        self.contents += 1
        content_id, each = content.content_id, self.most.asks_per_pair // len(self.judges)
        wanted = self.policy.next_questions(content_id, answered, retry=self.retry)
        missing = self.most.next_questions(content_id, answered, retry=self.retry)
        for key, tally in self.tallies.items():
            tally.stored += each - sum(question.judge_key == key for question in missing)
        # A policy that is content with less wants nothing further, whatever might be asked.
        questions, certain = (missing if wanted else []), frozenset(wanted)
        if questions:
            shown = shown_of(
                content.prompt_json, content.reference, content.first_json, content.second_json
            )
            for question in questions:
                self._add_question(
                    question,
                    shown,
                    is_exchanged=content.is_exchanged,
                    is_certain=question in certain,
                )

    def _add_question(
        self, question: Question, shown: Shown, *, is_exchanged: bool, is_certain: bool
    ) -> None:
        judge, tally = self.judges[question.judge_key], self.tallies[question.judge_key]
        is_forward = question.order is Order.FORWARD
        try:
            rendered = judge.prompt.render_pair(shown if is_forward else shown.exchanged)
        except PromptError:
            tally.unaskable += 1
            return
        tokens = self.counters[question.judge_key].prompt(request_of(judge, rendered))
        tally.calls += 1
        tally.tokens += tokens
        if is_certain:
            tally.least_calls += 1
            tally.least_tokens += tokens
        if len(self.samples) < SAMPLES:
            order = question.order.other if is_exchanged else question.order
            self.samples.append(PromptSample(judge.name, order, rendered.system, rendered.user))


@contextmanager
def reading(path: Path) -> Iterator[Ledger | None]:
    """Yield the ledger at a path to be read, None where there is none yet."""
    if not path.exists():
        yield None
        return
    with Ledger(path, read_only=True) as ledger:
        yield ledger


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
    with ExitStack() as stack:
        seen = stack.enter_context(SeenIds())
        ledger = stack.enter_context(reading(ledger_path))
        measures = measures_of(ledger, list(judges.values()))
        counts = _counts(judges, settings, measures, retry)
        intake = IntakeReport()
        for chunk in _chunks(job, intake):
            by_id = {content.content_id: content for content in chunk}
            new = seen.add_new(by_id)
            answered = readings_on(ledger, new, list(judges)) if ledger else {}
            for content_id in new:
                counts.add(by_id[content_id], answered.get(content_id, ()))
            if on_pairs is not None:
                on_pairs(intake.pairs)
    if not job.skip_bad_lines:
        intake.raise_if_bad(
            "nothing was sent; mend the lines, or leave them out with --skip-bad-lines"
        )
    found = judge_estimates(judges.values(), counts.tallies, settings, measures)
    return Estimate(
        intake=intake,
        contents=counts.contents,
        judges=found,
        endpoints=endpoint_estimates(settings.endpoints, found),
        samples=tuple(counts.samples),
    )


def judge_estimates(
    judges: Iterable[ResolvedJudge],
    tallies: Mapping[str, Tally],
    settings: Settings,
    measures: Measures,
) -> tuple[JudgeEstimate, ...]:
    """Return what each judge would take, from what was counted of it, by judge key."""
    quotes = quotes_of(settings)
    return tuple(
        asker_estimate(
            judge,
            tallies[judge.judge_key],
            [judge.judge_key],
            settings=settings,
            measures=measures,
            quote=quotes.get(judge.model),
        )
        for judge in judges
    )


def asker_estimate(
    asker: ResolvedJudge | ResolvedGenerator,
    tally: Tally,
    keys: Collection[str],
    *,
    settings: Settings,
    measures: Measures,
    quote: Quote | None,
) -> JudgeEstimate:
    """Return what a judge or a generator would take that the ledger knows by these keys."""
    counter, calls, least = measures.counter(asker.model), tally.calls, tally.least_calls
    latency_s, reply = measures.latency_s(keys), measures.reply_tokens(keys)
    replies = reply_range(calls, asker.max_tokens) if reply is None else reply.times(calls)
    estimate = JudgeEstimate(
        name=asker.name,
        model=asker.model,
        endpoint=asker.endpoint,
        max_tokens=asker.max_tokens,
        stored=tally.stored,
        calls=calls,
        least_calls=None if least == calls else least,
        unaskable=tally.unaskable,
        prompt_tokens=_from_least(
            total([counter.range(tally.tokens), tally.further]), tally.least_tokens, tally.tokens
        ),
        reply_tokens=_from_least(replies, least, calls),
        usd=None,
        latency_s=ASSUMED_LATENCY_S if latency_s is None else latency_s,
        is_latency_measured=latency_s is not None,
        token_source=counter.source,
        reply_source=BY_ROOM if reply is None else MEASURED,
    )
    endpoint = settings.endpoints[asker.endpoint]
    return replace(estimate, **priced(estimate, quote, endpoint))


def _from_least(most: Range, least_share: float, whole: float) -> Range:
    """Return the range of something of which only a part is certain to be asked for."""
    share = least_share / whole if whole else 1.0
    return Range(share * most.low, (1 + share) / 2 * most.likely, most.high)


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


def _counts(
    judges: Mapping[str, ResolvedJudge],
    settings: Settings,
    measures: Measures,
    retry: frozenset[Status],
) -> _Counts:
    kept, keys = run_settings(settings, list(judges.values()), {}), list(judges)
    return _Counts(
        judges=judges,
        counters={key: measures.counter(judge.model) for key, judge in judges.items()},
        policy=policy_of(kept, keys),
        most=most_asked(kept, keys),
        retry=retry,
    )
