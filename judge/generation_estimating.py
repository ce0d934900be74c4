"""Counting what generating candidates would take. Sends nothing and writes nothing."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from judge.config import Settings
from judge.estimate import (
    ASSUMED_LATENCY_S,
    Estimate,
    JudgeEstimate,
    endpoint_estimate,
    price_range,
    reply_range,
)
from judge.formats.lines import BadLine
from judge.formats.prompts import InputKind, require_kind
from judge.generating import resolved_generators
from judge.generation import ResolvedGenerator, asks_of, prompt_key, request_of, slots_of
from judge.intake import IntakeReport, Selection
from judge.ledger.candidates import stored_slots
from judge.ledger.seen import SeenIds
from judge.ledger.store import Ledger
from judge.pricing import prompt_tokens, token_range
from judge.prompt_reading import CHUNK, selected_prompts
from judge.records import Prompt


def estimate_generation(
    prompts: str,
    settings: Settings,
    ledger_path: Path,
    *,
    selection: Selection,
    skip_bad_lines: bool = False,
) -> Estimate:
    """Return what answering every prompt would take, given what the ledger already holds.

    Judging the pairs is not in it: what they weigh depends on the answers. Raises ConfigError,
    InputError and LedgerError as the job itself would.
    """
    require_kind(prompts, InputKind.PROMPTS)
    generators = resolved_generators(settings)
    slots = slots_of(generators)
    calls = {generator.name: 0 for generator in generators}
    tokens = dict(calls)
    contents = 0
    intake = IntakeReport()
    with ExitStack() as stack:
        seen = stack.enter_context(SeenIds())
        ledger = None
        if ledger_path.exists():
            ledger = stack.enter_context(Ledger(ledger_path, read_only=True))
        for chunk in _chunks(prompts, selection, intake):
            by_key = {prompt_key(prompt.messages): prompt for prompt in chunk}
            new = seen.add_new(by_key)
            contents += len(new)
            stored = stored_slots(ledger, new, slots) if ledger else {}
            for key in new:
                missing = frozenset(slots) - stored.get(key, frozenset())
                for ask in asks_of(key, by_key[key].messages, generators, missing):
                    calls[ask.generator.name] += 1
                    tokens[ask.generator.name] += prompt_tokens(request_of(ask))
    if not skip_bad_lines:
        intake.raise_if_bad(
            "nothing was sent; mend the lines, or leave them out with --skip-bad-lines"
        )
    found = tuple(
        _estimate(g, settings, calls=calls[g.name], tokens=tokens[g.name], contents=contents)
        for g in generators
    )
    names = sorted({generator.endpoint for generator in generators})
    return Estimate(
        intake=intake,
        contents=contents,
        judges=found,
        endpoints=tuple(
            endpoint_estimate(
                name, settings.endpoints[name], [e for e in found if e.endpoint == name]
            )
            for name in names
        ),
        samples=(),
        is_of_generating=True,
    )


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


def _estimate(
    generator: ResolvedGenerator, settings: Settings, *, calls: int, tokens: int, contents: int
) -> JudgeEstimate:
    prompts = token_range(tokens)
    replies = reply_range(calls, generator.max_tokens)
    return JudgeEstimate(
        name=generator.name,
        model=generator.model,
        endpoint=generator.endpoint,
        max_tokens=generator.max_tokens,
        stored=generator.n * contents - calls,
        calls=calls,
        unaskable=0,
        prompt_tokens=prompts,
        reply_tokens=replies,
        usd=price_range(settings.prices.get(generator.model), prompts=prompts, replies=replies),
        latency_s=ASSUMED_LATENCY_S,
        is_latency_measured=False,
    )
