"""The words before and after a job that judges, and what all jobs have in common. Pure."""

import shlex
from collections import Counter
from pathlib import Path

from judge.candidates.generating import GenerateResult
from judge.cli.policy_words import asks_of, asks_per_pair, how_asked, policy_lines
from judge.cli.progress_line import counts, duration, per_second, percent, retries, to_do
from judge.cli.rounds_words import rounds_lines
from judge.cli.spending_words import label_price, spent_in_all
from judge.cli.visible import on_one_line
from judge.inputs.intake import IntakeReport
from judge.job.pipeline import RunResult
from judge.job.progress import Progress
from judge.records import Outcome
from judge.settings.config import Settings

RESUME = "run the same command again to resume"
_UNDECIDED = f"{Outcome.UNDECIDED.value}: "
_LONGEST_REASON = 100
NOTABLE_SHARE = 0.05
"""Of the replies of a job."""


def opening_lines(progress: Progress, settings: Settings, ledger: Path) -> list[str]:
    """Return what a job says before it asks: the run, its size and its judges."""
    judges = [
        f"{judge.display_name} ({judge.prompt}) at {settings.endpoint_of(judge).address}"
        for judge in settings.judges
    ]
    pairs = (progress.most or progress.total) // max(1, asks_per_pair(settings))
    return [
        f"run {progress.run_id} in ledger {ledger}",
        f"{many(len(judges), 'judge')}: {'; '.join(judges)}",
        f"{many(pairs, 'pair')} {how_asked(settings)}, {asks_of(progress)}: {to_do(progress)}",
    ]


def intake_lines(intake: IntakeReport) -> list[str]:
    """Return what was odd about an input: the first few of each kind, then a count."""
    lines = [f"warning: {text}" for text in intake.warnings]
    if unnamed := intake.n_warnings - len(intake.warnings):
        lines.append(f"warning: and {unnamed:,} more like these")
    lines += [f"left out: {text}" for text in intake.bad_lines]
    if unnamed := intake.n_bad_lines - len(intake.bad_lines):
        lines.append(f"left out: and {unnamed:,} more lines")
    return lines


def early_end(result: RunResult | GenerateResult) -> str | None:
    """Return why a job ended before everything was asked, in one line; None if it did not."""
    if result.cause is not None:
        cause = on_one_line(str(result.cause))
        return cause if RESUME in cause else f"{cause}; {RESUME}"
    if not result.progress.pending:
        if isinstance(result, RunResult) and result.is_interrupted and not result.is_whole:
            what = "further rounds follow" if result.is_judged else "nothing is judged yet"
            return f"interrupted: {what}; {RESUME}"
        return None
    why = "interrupted" if result.is_interrupted else _most_common(result.progress.deferred)
    return f"{why}: {many(result.progress.pending, 'ask')} still pending; {RESUME}"


def unsure_lines(progress: Progress) -> list[str]:
    """Return which judges told no token probabilities though they were asked for them."""
    return [
        f'warning: {many(n, "verdict")} of judge "{name}" came without token probabilities; its '
        "endpoint does not offer them: take another, or set top_logprobs = false and ask several "
        "samples"
        for name, n in progress.without_probabilities.items()
    ]


def dropped_lines(progress: Progress) -> list[str]:
    """Return the commonest cause of replies without a verdict, where that is worth a line."""
    if not progress.drop_reasons:
        return []
    reason, count = progress.drop_reasons.most_common(1)[0]
    if count < NOTABLE_SHARE * progress.judged:
        return []
    return [f"warning: {many(count, 'ask')} without a verdict: {on_one_line(reason)}"]


def closing_lines(result: RunResult) -> list[str]:
    """Return the five lines that end every job, and how policy and rounds went if that is told."""
    return [
        f"judged    {asked(result)}",
        f"labels    {_labels(result)}; rule {result.rule}",
        f"orders    {_orders(result)}",
        *policy_lines(result.policy, result.ledger),
        *rounds_lines(result),
        f"requests  {requests(result.progress)}{_label_price(result)}",
        f"stored    {result.ledger}, run {result.run_id}; next: {_next_step(result)}",
    ]


def asked(result: RunResult | GenerateResult) -> str:
    """Return how many asks of a run are answered, by this job and before, and how fast."""
    progress = result.progress
    done = f"{progress.done:,} of {many(progress.total, 'ask')}"
    time = f"{result.seconds:.1f} s" if result.seconds < 60 else duration(result.seconds)
    if not progress.judged:
        return f"{done}: {to_do(progress)}; {time}"
    rate = per_second(progress.judged / result.seconds) if result.seconds > 0 else "at once"
    return (
        f"{done}: {progress.judged:,} now, {progress.stored_before:,} stored before; {time}, {rate}"
    )


def _labels(result: RunResult) -> str:
    """Return the outcomes of all pairs of the run, undecided ones by reason."""
    outcomes = result.outcomes
    words = [
        f"{outcome.value} {outcomes.get(outcome.value, 0):,}"
        for outcome in Outcome
        if outcome is not Outcome.UNDECIDED
    ]
    reasons = Counter(
        {name.removeprefix(_UNDECIDED): n for name, n in outcomes.items() if _UNDECIDED in name}
    )
    words.append(f"undecided {_with_reasons(reasons.total(), reasons)}")
    return ", ".join(words)


def _orders(result: RunResult) -> str:
    progress = result.progress
    flips = "no pair compared in both orders now"
    if progress.compared:
        share = percent(progress.flipped, progress.compared)
        compared = many(progress.compared, "pair")
        flips = f"{progress.flipped:,} of {compared} flipped with the order ({share})"
    dropped = f"{result.dropped:,} of {many(progress.total, 'ask')}"
    if progress.statuses:
        dropped += f" (now: {counts(progress.statuses)})"
    return f"{flips}; without a verdict {dropped}"


def requests(progress: Progress) -> str:
    """Return what sending took: retries, what is still pending and why, tokens and money."""
    reasons = Counter(
        {_shortened(reason): count for reason, count in progress.deferred.most_common()}
    )
    pending = _with_reasons(progress.pending, reasons)
    return f"{retries(progress)}; pending {pending}{spent_in_all(progress)}"


def _label_price(result: RunResult) -> str:
    """Return the price of a usable label once every pair is judged: half a pair gives none."""
    return "" if result.progress.pending else label_price(result.usd_per_1000_labels)


def _most_common(reasons: Counter[str]) -> str:
    return on_one_line(reasons.most_common(1)[0][0]) if reasons else "ended early"


def _next_step(result: RunResult) -> str:
    if result.progress.pending or result.cause is not None or not result.is_whole:
        return RESUME
    return f"judge agree --ledger {shlex.quote(str(result.ledger))}"


def many(count: int, noun: str) -> str:
    """Return a count with its noun, such as "1 ask" and "4,096 asks"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _with_reasons(total: int, reasons: Counter[str]) -> str:
    return f"{total:,} ({counts(reasons)})" if reasons else f"{total:,}"


def _shortened(reason: str) -> str:
    text = on_one_line(reason)
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 3] + "..."
