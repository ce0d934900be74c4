"""What a ledger tells of models before they are asked again: tokens, replies and time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from judge.candidates.generation import GenerationAsk, ResolvedGenerator, Slot
from judge.candidates.generation import request_of as generation_request
from judge.job.judging import ResolvedJudge, request_of
from judge.job.showing import shown_of
from judge.ledger.recent import RecentReplies, counted_pairs, counted_prompts, recent_replies
from judge.ledger.store import Ledger
from judge.prices.pricing import Range, prompt_tokens
from judge.prices.token_counting import TokenCounter, counter_for, reply_percentiles
from judge.records import Order
from prompts.errors import PromptError


@dataclass(frozen=True, slots=True)
class Measures:
    """What earlier replies tell. Empty where there is no ledger."""

    replies: Mapping[str, RecentReplies] = field(default_factory=dict)
    """By judge or generator key."""
    counters: Mapping[str, TokenCounter] = field(default_factory=dict)
    """By model, for those whose prompts an endpoint has counted."""

    def counter(self, model: str) -> TokenCounter:
        """Return the best way to count the tokens of a model's prompts."""
        return self.counters.get(model) or counter_for(model)

    def latency_s(self, keys: Iterable[str]) -> float | None:
        """Return the mean seconds of a reply; None where none is known."""
        seconds = [s for key in keys if key in self.replies for s in self.replies[key].seconds]
        return fmean(seconds) if seconds else None

    def reply_tokens(self, keys: Iterable[str]) -> Range | None:
        """Return the tokens of one reply; None where too few are known."""
        return reply_percentiles(
            [t for key in keys if key in self.replies for t in self.replies[key].tokens]
        )


def measures_of(
    ledger: Ledger | None,
    judges: Sequence[ResolvedJudge],
    generators: Sequence[ResolvedGenerator] = (),
) -> Measures:
    """Return what the newest replies of a ledger tell of judges and generators.

    Prompts are rendered again, so that what an endpoint counted is compared with what was sent.
    A judge's model counts under any of the given judges' templates.
    """
    if ledger is None:
        return Measures()
    by_key = {key: generator for generator in generators for key in generator.variants}
    counted: dict[str, list[tuple[int, int]]] = {}
    for model, guess, tokens in (*_counted_by(ledger, judges), *_counted_of(ledger, by_key)):
        counted.setdefault(model, []).append((guess, tokens))
    return Measures(
        replies=recent_replies(ledger, [judge.judge_key for judge in judges] + list(by_key)),
        counters={model: counter_for(model, pairs) for model, pairs in counted.items()},
    )


def _counted_by(ledger: Ledger, judges: Sequence[ResolvedJudge]) -> Iterator[tuple[str, int, int]]:
    """Yield the model of a judge, its prompt's tokens by the rule of thumb, and as counted."""
    templates = {judge.prompt.digest: judge for judge in judges}
    for pair in counted_pairs(ledger, sorted({judge.model for judge in judges})):
        judge = templates.get(pair.prompt_digest)
        if judge is None:
            continue
        shown = shown_of(pair.prompt_json, pair.reference, pair.first_json, pair.second_json)
        shown = shown if pair.order is Order.FORWARD else shown.exchanged
        try:
            request = request_of(judge, judge.prompt.render_pair(shown))
        except PromptError:
            continue
        yield pair.model, prompt_tokens(request), pair.input_tokens


def _counted_of(
    ledger: Ledger, by_key: Mapping[str, ResolvedGenerator]
) -> Iterator[tuple[str, int, int]]:
    """Yield the same of generators, by generator key."""
    for prompt in counted_prompts(ledger, by_key):
        generator, slot = by_key[prompt.generator_key], Slot(prompt.generator_key, 0)
        request = generation_request(GenerationAsk("", prompt.messages, generator, slot))
        yield generator.model, prompt_tokens(request), prompt.input_tokens
