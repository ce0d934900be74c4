"""Saying how a job begins and how its parts end."""

from pathlib import Path

from judge.candidates.generating import KIND, GenerateResult
from judge.cli import candidate_summary
from judge.cli.candidate_summary import complaint_lines, poor_end
from judge.cli.spending_words import price_line
from judge.cli.summary import early_end, intake_lines, opening_lines
from judge.cli.talk import Talk
from judge.inputs.intake import IntakeReport
from judge.job.progress import Progress
from judge.prices.price_list import quotes_of
from judge.settings.config import Settings


def tell_beginning(
    talk: Talk, progress: Progress, intake: IntakeReport, *, settings: Settings, ledger: Path
) -> None:
    """Say what is about to be asked, and what was odd about the input."""
    is_generating = progress.kind == KIND
    opening = candidate_summary.opening_lines if is_generating else opening_lines
    talk.say("\n".join(opening(progress, settings, ledger)))
    askers = settings.generators if is_generating else settings.judges
    if (prices := price_line(quotes_of(settings), [asker.model for asker in askers])) is not None:
        talk.say(prices)
    for line in intake_lines(intake):
        talk.warn(line)


def tell_generated(talk: Talk, result: GenerateResult, *, judged_next: bool = False) -> None:
    """Say how a generation ended; `judged_next` where the same command goes on to judge."""
    for line in complaint_lines(result):
        talk.warn(line)
    if (why := early_end(result) or poor_end(result)) is not None:
        talk.warn(f"error: {why}")
    talk.say("\n".join(candidate_summary.closing_lines(result, judged_next=judged_next)))
