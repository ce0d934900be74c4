"""What a policy asks, and how it went, in words. Pure."""

import shlex
from pathlib import Path

from judge.cli.figure_words import many, share_words
from judge.cli.spending_words import dollars
from judge.job.policy_figures import CascadeFigures, PolicyFigures, StageFigures, StopFigures
from judge.job.progress import Progress
from judge.policies.rules import PolicyName
from judge.settings.config import Settings


def asks_of(progress: Progress) -> str:
    """Return how many asks a run needs, and up to how many where the answers will tell."""
    total = many(progress.total, "ask")
    is_open = progress.pending and progress.most > progress.total
    return f"{total} so far, up to {progress.most:,}" if is_open else total


def how_asked(settings: Settings) -> str:
    """Return in what way the pairs of a run are asked, such as "in both orders"."""
    rules = settings.run
    k = rules.samples_per_order
    times = f", {k:,} samples each" if k > 1 else ""
    if rules.policy is PolicyName.SINGLE_ORDER:
        return "in one order each"
    if rules.policy is PolicyName.CASCADE:
        return f"in both orders{times}, by a judge only where those before were not sure"
    if rules.policy is PolicyName.EARLY_STOP:
        return "in one order, in both where the first does not decide"
    return f"in both orders{times}"


def asks_per_pair(settings: Settings) -> int:
    """Return how much is asked about a pair at most."""
    orders = 1 if settings.run.policy is PolicyName.SINGLE_ORDER else 2
    return orders * settings.run.samples_per_order * len(settings.judges)


def policy_lines(figures: PolicyFigures | None, ledger: Path) -> list[str]:
    """Return how a policy went, in the form of a job's closing lines; none where all is usual."""
    if isinstance(figures, CascadeFigures):
        return _cascade_lines(figures, ledger)
    if isinstance(figures, StopFigures):
        return _stop_lines(figures)
    return []


def _cascade_lines(figures: CascadeFigures, ledger: Path) -> list[str]:
    lines = [f"stage {place}   {_stage(stage)}" for place, stage in enumerate(figures.stages, 1)]
    left = f"{many(figures.left, 'pair')} left to people"
    if figures.left:
        handoff = f"judge handoff --ledger {shlex.quote(str(ledger))} --n 0 --include undecided"
        left += f"; send them with: {handoff} --out tasks.jsonl"
    rest = [f"{figures.failed:,} without a verdict"] if figures.failed else []
    rest += [f"{figures.pending:,} pending"] if figures.pending else []
    return [*lines, f"cascade   {'; '.join([left, *rest])}"]


def _stage(stage: StageFigures) -> str:
    words = [many(stage.judgments, "judgment")]
    if stage.expense is not None:
        made, read = stage.expense.output_tokens, stage.expense.input_tokens
        if made is not None and read is not None:
            words.append(f"{made + read:,} tokens")
        if stage.expense.usd is not None:
            words.append(dollars(stage.expense.usd))
    of = f"{stage.decided:,} of {many(stage.reached, 'pair')}"
    return f"{stage.judge} decided {of} that came to it, with {', '.join(words)}"


def _stop_lines(figures: StopFigures) -> list[str]:
    of = f"{figures.stopped:,} of {many(figures.contents, 'pair')}"
    share = f" ({100 * figures.stopped / figures.contents:.1f} %)" if figures.contents else ""
    lines = [f"stopping  the second order was skipped for {of}{share}"]
    if figures.without_probabilities:
        lines.append(
            f"stopping  {many(figures.without_probabilities, 'first verdict')} came without token "
            'probabilities and never stop; use prompt = "verdict" at an endpoint that offers them'
        )
    if figures.changed.value is None:
        return [*lines, f"price     not known: {figures.changed.why}"]
    changed = f"{share_words(figures.changed)} of {figures.audited:,} audited labels"
    low, high = figures.changed.low, figures.changed.high
    interval = f"no interval: {figures.changed.why}"
    if low is not None and high is not None:
        interval = f"95 % CI {100 * low:.1f} to {100 * high:.1f} %, clustered by prompt"
    return [*lines, f"price     both orders would have changed {changed} ({interval})"]
