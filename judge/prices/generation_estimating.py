"""Counting what answering prompts would take, and judging the answers. Sends and writes nothing."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from judge.candidates.generation import (
    GenerationAsk,
    ResolvedGenerator,
    Slot,
    asks_of,
    prompt_key,
    request_of,
    slots_of,
)
from judge.candidates.prompt_reading import CHUNK, selected_prompts
from judge.candidates.ready_generators import resolved_generators
from judge.formats.lines import BadLine
from judge.formats.prompts import InputKind, require_kind
from judge.inputs.intake import IntakeReport, Selection
from judge.job.ready_judges import resolved_judges
from judge.ledger.candidates import stored_slots
from judge.ledger.seen import SeenIds
from judge.prices.estimate import Estimate, PromptSample, endpoint_estimates
from judge.prices.estimating import SAMPLES, Tally, asker_estimate, reading
from judge.prices.judging_estimating import UnansweredCounts, unanswered_counts
from judge.prices.measures import Measures, measures_of
from judge.prices.price_list import quotes_of
from judge.records import Prompt
from judge.settings.config import Settings


@dataclass(slots=True)
class _Counts:
    """What generators would be asked, counted while prompts go by."""

    generators: Sequence[ResolvedGenerator]
    measures: Measures
    judging: UnansweredCounts | None
    tallies: dict[str, Tally] = field(init=False)
    """By generator name."""
    samples: list[PromptSample] = field(default_factory=list)
    contents: int = 0

    def __post_init__(self) -> None:
        self.tallies = {generator.name: Tally() for generator in self.generators}

    def add(self, key: str, prompt: Prompt, missing: frozenset[Slot]) -> None:
        """Count what is missing of one prompt."""
        self.contents += 1
        for generator in self.generators:
            self.tallies[generator.name].stored += generator.n
        for ask in asks_of(key, prompt.messages, self.generators, missing):
            tally = self.tallies[ask.generator.name]
            tokens = self.measures.counter(ask.generator.model).prompt(request_of(ask))
            tally.stored -= 1
            tally.calls += 1
            tally.least_calls += 1
            tally.tokens += tokens
            tally.least_tokens += tokens
            if len(self.samples) < SAMPLES:
                self.samples.append(_sample(ask))
        if self.judging is not None:
            self.judging.add(prompt)


def estimate_generation(
    prompts: str,
    settings: Settings,
    ledger_path: Path,
    *,
    selection: Selection,
    skip_bad_lines: bool = False,
    with_judging: bool = True,
) -> Estimate:
    """Return what answering every prompt would take, given what the ledger already holds.

    `with_judging` adds what judging the answers would take, where there is a judge: as if no
    answer were like another, and none of the pairs judged. Raises ConfigError, InputError and
    LedgerError as the job itself would.
    """
    require_kind(prompts, InputKind.PROMPTS)
    generators = resolved_generators(settings)
    judges = resolved_judges(settings) if with_judging and settings.judges else ()
    slots = slots_of(generators)
    intake = IntakeReport()
    with ExitStack() as stack:
        seen = stack.enter_context(SeenIds())
        ledger = stack.enter_context(reading(ledger_path))
        measures = measures_of(ledger, judges, generators)
        judging = unanswered_counts(judges, generators, settings, measures) if judges else None
        counts = _Counts(generators, measures, judging)
        for chunk in _chunks(prompts, selection, intake):
            by_key = {prompt_key(prompt.messages): prompt for prompt in chunk}
            new = seen.add_new(by_key)
            stored = stored_slots(ledger, new, slots) if ledger else {}
            for key in new:
                missing = frozenset(slots) - stored.get(key, frozenset())
                counts.add(key, by_key[key], missing)
    if not skip_bad_lines:
        intake.raise_if_bad(
            "nothing was sent; mend the lines, or leave them out with --skip-bad-lines"
        )
    return _estimate(counts, settings, intake)


def _estimate(counts: _Counts, settings: Settings, intake: IntakeReport) -> Estimate:
    quotes = quotes_of(settings)
    found = tuple(
        asker_estimate(
            generator,
            counts.tallies[generator.name],
            generator.variants,
            settings=settings,
            measures=counts.measures,
            quote=quotes.get(generator.model),
        )
        for generator in counts.generators
    )
    return Estimate(
        intake=intake,
        contents=counts.contents,
        judges=found,
        endpoints=endpoint_estimates(settings.endpoints, found),
        samples=tuple(counts.samples),
        is_of_generating=True,
        judging=None if counts.judging is None else counts.judging.estimate(counts.contents),
    )


def _sample(ask: GenerationAsk) -> PromptSample:
    """Return a prompt as it would be sent: its system message, then each message under its role."""
    conversation = request_of(ask).conversation
    system = [message.content for message in conversation if message.role == "system"]
    others = [message for message in conversation if message.role != "system"]
    user = others[0].content
    if len(others) > 1:
        user = "\n\n".join(f"{message.role}: {message.content}" for message in others)
    return PromptSample(ask.generator.name, None, "\n\n".join(system), user)


def _chunks(path: str, selection: Selection, intake: IntakeReport) -> Iterator[list[Prompt]]:
    chunk: list[Prompt] = []
    for line in selected_prompts(path, selection):
        if isinstance(line, BadLine):
            intake.refuse(str(line))
            continue
        intake.pairs += 1
        chunk.append(line.record)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    yield chunk
