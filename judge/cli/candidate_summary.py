"""The words before and after candidates are generated. Pure."""

import shlex
from collections import Counter
from pathlib import Path

from judge.candidates.generating import GenerateResult
from judge.cli.progress_line import counts, to_do
from judge.cli.summary import RESUME, asked, many, requests
from judge.cli.visible import on_one_line
from judge.job.progress import Progress
from judge.settings.config import Settings


def opening_lines(progress: Progress, settings: Settings, ledger: Path) -> list[str]:
    """Return what is said before anything is asked: the run, its size and its generators."""
    generators = [
        f"{on_one_line(generator.display_name)} (n {generator.n}) at "
        f"{settings.endpoint_of(generator).address}"
        for generator in settings.generators
    ]
    each = sum(generator.n for generator in settings.generators)
    return [
        f"run {progress.run_id} in ledger {ledger}",
        f"{many(len(generators), 'generator')}: {'; '.join(generators)}",
        f"{many(progress.total // max(1, each), 'prompt')}, {many(each, 'candidate')} each, "
        f"{many(progress.total, 'ask')}: {to_do(progress)}",
    ]


def poor_end(result: GenerateResult) -> str | None:
    """Return why whole candidates gave no pair at all, in one line; None if they gave one."""
    if result.progress.pending or result.pairs.pairs:
        return None
    return (
        f"no pairs: {many(result.pairs.candidates, 'candidate')} of "
        f"{many(result.pairs.prompts, 'prompt')} left no two to compare; {_remedy(result)}"
    )


def complaint_lines(result: GenerateResult) -> list[str]:
    """Return what is odd about the generators, with the remedies."""
    return [f"warning: {on_one_line(complaint)}" for complaint in result.complaints]


def closing_lines(result: GenerateResult, *, judged_next: bool = False) -> list[str]:
    """Return the five lines that end every generation; `judged_next` where judging follows."""
    next_step = _next_step(result, judged_next=judged_next)
    return [
        f"generated {asked(result)}",
        f"dropped   {_dropped(result)}",
        f"pairs     {_pairs(result)}",
        f"requests  {requests(result.progress)}",
        f"stored    {result.ledger}, run {result.run_id}; next: {next_step}",
    ]


def _dropped(result: GenerateResult) -> str:
    statuses = Counter(result.statuses)
    which = f" ({counts(statuses)})" if statuses else ""
    replies = many(statuses.total(), "reply").replace("replys", "replies")
    words = f"{replies} without a candidate{which}"
    if result.progress.pending:
        return words
    pairs = result.pairs
    return f"{words}; identical {pairs.identical:,}, near-identical {pairs.near_identical:,}"


def _pairs(result: GenerateResult) -> str:
    if result.progress.pending:
        return "none yet: they are written once no candidate is missing"
    pairs = result.pairs
    if result.out is None:
        return (
            f"of {many(pairs.candidates, 'candidate')}, chosen as they are judged; "
            f"{pairs.prompts_without_pairs:,} of {many(pairs.prompts, 'prompt')} without a pair"
        )
    return (
        f"{pairs.pairs:,} in {result.out}, of {many(pairs.candidates, 'candidate')}; "
        f"{pairs.prompts_without_pairs:,} of {many(pairs.prompts, 'prompt')} without a pair"
    )


def _next_step(result: GenerateResult, *, judged_next: bool) -> str:
    if result.progress.pending:
        return RESUME
    if not result.pairs.pairs:
        return _remedy(result)
    if judged_next:
        return "judging the pairs"
    if result.out is None:
        return "judge run on the same prompts, which chooses their pairs and judges them"
    out, ledger = shlex.quote(str(result.out)), shlex.quote(str(result.ledger))
    return f"judge run {out} --ledger {ledger}"


def _remedy(result: GenerateResult) -> str:
    if result.pairs.identical or result.pairs.near_identical:
        return "raise the temperature of a generator, or add another model"
    return "look at the generators' replies and at the [pairing] rules"
