"""Generating candidates for every prompt of a file, and pairing them: `judge generate`.

The same pool, throttle, budget and ledger as judging. Pairs are derived from the stored
candidates, so other pairing rules never pay a generator again.
"""

import asyncio
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pydantic import SecretStr
from pydantic_core import to_json

from judge.atomic import atomic_writer
from judge.budget import Budget, Spending
from judge.candidate_asking import GeneratorPool, ask_for_candidates
from judge.config import Settings
from judge.desk import Stop, calm_collector
from judge.endpoints import keys_of, open_endpoint
from judge.errors import ConfigError, EndpointError, EvenhandError
from judge.formats.pairs import pair_row
from judge.generation import ResolvedGenerator, Slot, refuse_twins, resolve_generator, slots_of
from judge.generators import complaints, generator_warnings
from judge.intake import IntakeReport, Selection, input_digest
from judge.ledger.candidates import (
    candidates_of,
    count_generations,
    count_prompts,
    tally_generator,
)
from judge.ledger.runs import begin_run, complete_run
from judge.ledger.spending import spent_on_generations
from judge.ledger.store import Ledger
from judge.pairing import PairingRules, named_pairs, pair_candidates
from judge.progress import Progress
from judge.prompt_reading import read_prompt_file

KIND = "generate"


@dataclass(frozen=True, slots=True)
class PairCounts:
    """What became of the candidates."""

    pairs: int = 0
    candidates: int = 0
    """Of the prompts that lack nothing, before identical and near-identical ones were dropped."""
    identical: int = 0
    near_identical: int = 0
    empty: int = 0
    prompts_without_pairs: int = 0


@dataclass(frozen=True, slots=True)
class GenerateResult:
    """How a generation ended. `cause` is None when everything that could be asked was."""

    run_id: str
    ledger: Path
    out: Path | None
    """Where the pairs were written; None while candidates are missing."""
    intake: IntakeReport
    progress: Progress
    pairs: PairCounts
    complaints: tuple[str, ...]
    """What is odd about a generator, in words with the remedy."""
    spent: Spending
    seconds: float
    cause: EvenhandError | None = None
    is_interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """0 ok, 4 or 5 ended early (resumable)."""
        if self.cause is not None:
            return 4 if self.progress.done else self.cause.exit_code
        if self.progress.pending:
            return 4 if self.progress.done else 5
        return 0


async def generate_job(
    prompts: str,
    settings: Settings,
    ledger_path: Path,
    out: Path,
    *,
    selection: Selection | None = None,
    skip_bad_lines: bool = False,
    stop: Stop | None = None,
    on_start: Callable[[Progress], None] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> GenerateResult:
    """Ask every generator about every prompt, then write the pairs of the candidates to `out`.

    Resumes by itself. Pairs are written once no candidate is missing. Raises ConfigError,
    InputError or LedgerError before anything is asked.
    """
    stop, selection = stop or Stop(), selection or Selection()
    started = asyncio.get_running_loop().time()
    generators = _resolved(settings)
    keys = keys_of(settings, sorted({g.endpoint for g in generators}), environ)
    slots = slots_of(generators)
    with Ledger(ledger_path) as ledger, Ledger(ledger_path, read_only=True) as reader:
        run_id = _run_id(prompts, selection, generators)
        prepare = partial(_prepare, ledger, run_id, prompts, selection, settings, skip_bad_lines)
        intake = await asyncio.to_thread(prepare)
        progress = _counted(reader, run_id, slots)
        budget = _budget(reader, run_id, settings)
        if on_start:
            on_start(progress)
        cause: EndpointError | None = None
        if progress.pending:
            async with AsyncExitStack() as stack:
                try:
                    pools = await _open_pools(
                        stack, settings, generators, keys, budget=budget, progress=progress
                    )
                except EndpointError as error:
                    cause = error
                else:
                    with calm_collector():
                        await ask_for_candidates(
                            ledger, reader, run_id, pools, progress=progress, stop=stop
                        )
        told = _complaints(reader, run_id, generators)
        pairs = PairCounts()
        if not progress.pending:
            write = partial(_write_pairs, reader, run_id, slots, settings.pairing, out)
            pairs = await asyncio.to_thread(write)
    return GenerateResult(
        run_id=run_id,
        ledger=ledger_path,
        out=None if progress.pending else out,
        intake=intake,
        progress=progress,
        pairs=pairs,
        complaints=tuple(told),
        spent=budget.spent,
        seconds=asyncio.get_running_loop().time() - started,
        cause=cause or stop.cause,
        is_interrupted=stop.event.is_set() and stop.cause is None,
    )


def _counted(reader: Ledger, run_id: str, slots: Sequence[Slot]) -> Progress:
    """Return the counts of a run before this job has asked anything."""
    total = len(slots) * count_prompts(reader, run_id)
    stored = sum(count_generations(reader, run_id, slots).values())
    return Progress(run_id=run_id, total=total, stored_before=stored)


def _complaints(reader: Ledger, run_id: str, generators: Sequence[ResolvedGenerator]) -> list[str]:
    return [
        complaint
        for generator in generators
        for complaint in complaints(generator.name, tally_generator(reader, run_id, generator))
    ]


def _resolved(settings: Settings) -> tuple[ResolvedGenerator, ...]:
    if not settings.generators:
        raise ConfigError(
            "no generator is set; add a [[generators]] table to the config, with model and n"
        )
    generators = tuple(resolve_generator(g, settings.endpoint_of(g)) for g in settings.generators)
    refuse_twins(generators)
    return generators


def _run_id(prompts: str, selection: Selection, generators: Sequence[ResolvedGenerator]) -> str:
    identity = {
        "input": input_digest(prompts),
        "selection": asdict(selection),
        "slots": [asdict(slot) for slot in slots_of(generators)],
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]


def _prepare(
    ledger: Ledger,
    run_id: str,
    prompts: str,
    selection: Selection,
    settings: Settings,
    skip_bad_lines: bool,
) -> IntakeReport:
    run = begin_run(
        ledger,
        run_id,
        kind=KIND,
        source=prompts,
        settings={"rule": settings.run.rule.value, "selection": asdict(selection)},
        judges=[],
        now=_now(),
    )
    report = IntakeReport(pairs=count_prompts(ledger, run_id))
    if not run.is_complete:
        report = read_prompt_file(
            ledger, run_id, prompts, selection=selection, skip_bad_lines=skip_bad_lines
        )
        complete_run(ledger, run_id)
    report.warn(generator_warnings(settings.generators))
    return report


def _budget(reader: Ledger, run_id: str, settings: Settings) -> Budget:
    limits = settings.run
    budget = Budget(
        requests=limits.budget_requests,
        tokens=limits.budget_tokens,
        usd=limits.budget_usd,
        prices=settings.prices,
        spent=spent_on_generations(reader, run_id, settings.prices),
    )
    budget.check_models(generator.model for generator in settings.generators)
    return budget


async def _open_pools(
    stack: AsyncExitStack,
    settings: Settings,
    generators: Sequence[ResolvedGenerator],
    keys: Mapping[str, SecretStr | None],
    *,
    budget: Budget,
    progress: Progress,
) -> list[GeneratorPool]:
    pools = []
    for name, key in keys.items():
        using = tuple(g for g in generators if g.endpoint == name)
        endpoint = await open_endpoint(
            stack,
            name,
            settings.endpoints[name],
            key,
            models={generator.model for generator in using},
            budget=budget,
            progress=progress,
        )
        pools.append(GeneratorPool(endpoint, using))
    return pools


def _write_pairs(
    reader: Ledger, run_id: str, slots: Sequence[Slot], rules: PairingRules, out: Path
) -> PairCounts:
    """Pair the candidates of every prompt, write the pairs, and return what was counted."""
    counts: Counter[str] = Counter()
    found = candidates_of(reader, run_id, slots, keep_truncated=rules.keep_truncated)
    with atomic_writer(out) as file:
        for prompt, candidates in found:
            pairing = pair_candidates(prompt.prompt_id, candidates, rules)
            for pair in named_pairs(prompt, pairing):
                file.write_row(to_json(pair_row(pair)))
            counts["candidates"] += len(candidates)
            counts["identical"] += pairing.identical
            counts["near_identical"] += pairing.near_identical
            counts["empty"] += pairing.empty
            counts["prompts_without_pairs"] += not pairing.pairs
        counts["pairs"] = file.rows
    return PairCounts(**counts)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
