"""`judge run`: label pairs, or prompts whose candidates are generated first."""

import asyncio
import os
from pathlib import Path

from judge.api.base import DEFAULT_LEDGER
from judge.api.label import arun
from judge.candidates.generating import KIND, GenerateResult
from judge.candidates.prompt_job import Part
from judge.cli.configured import config_path
from judge.cli.confirming import DECLINED, ConfirmAbove, is_confirmed
from judge.cli.cost import show_cost
from judge.cli.inputs import Input, InputFlags
from judge.cli.mapping import MapFlags
from judge.cli.overrides import SettingFlags, keyless_line, overrides_of
from judge.cli.progress_view import ProgressView
from judge.cli.signals import ending_on_signals
from judge.cli.summary import closing_lines, dropped_lines, early_end, unsure_lines
from judge.cli.talk import Talk, talk_on_stderr
from judge.cli.telling import tell_beginning, tell_generated
from judge.inputs.intake import IntakeReport
from judge.job.desk import Stop
from judge.job.pipeline import RunResult
from judge.job.progress import Progress
from judge.settings.config import Settings
from judge.settings.loading import load_settings


def command(
    input_: Input,
    /,
    *,
    config: Path | None = None,
    ledger: Path = DEFAULT_LEDGER,
    settings: SettingFlags | None = None,
    lines: InputFlags | None = None,
    columns: MapFlags | None = None,
    dry_run: bool = False,
    confirm_above: ConfirmAbove = None,
    quiet: bool = False,
) -> int:
    """Judge every pair of a file in both orders and keep every reply in a ledger.

    Interrupted, killed or out of reach of its endpoint, it resumes when the same command is run
    again: what is stored is never asked twice. A file of prompts is answered by the [[generators]]
    of the config first, and the pairs of their answers are judged.

    Parameters
    ----------
    input_
        JSON Lines file of pairs or of prompts, or a table with its --map; - reads pairs from
        standard input.
    config
        Settings as TOML. ./judge.toml is used where it exists.
    ledger
        Where the replies are kept.
    dry_run
        Say what the job would take, as judge cost does, and send nothing.
    confirm_above
        Ask before beginning if the job may take more than this, such as 5usd; only on a terminal.
    quiet
        Say only warnings and errors.
    """
    talk = talk_on_stderr(is_quiet=quiet)
    config = config_path(config, talk)
    flags = settings or SettingFlags()
    overrides = overrides_of(flags, config, environ=os.environ)
    resolved = load_settings(config, overrides, environ=os.environ)
    chosen = lines or InputFlags()
    if dry_run:
        return show_cost(input_, resolved, ledger, lines=chosen, columns=columns, talk=talk)
    if not is_confirmed(
        confirm_above, input_, resolved, ledger, lines=chosen, columns=columns, talk=talk
    ):
        return DECLINED
    if (line := keyless_line(flags, resolved, environ=os.environ)) is not None:
        talk.say(line)
    return asyncio.run(_run(input_, resolved, ledger, lines=chosen, columns=columns, talk=talk))


async def _run(
    source: str,
    settings: Settings,
    ledger: Path,
    *,
    lines: InputFlags,
    columns: MapFlags | None,
    talk: Talk,
) -> int:
    stop = Stop()
    with ending_on_signals(stop, talk) as interrupts:
        result = await watched_run(
            source, settings, ledger, lines=lines, columns=columns, stop=stop, talk=talk
        )
    return interrupts.exit_code or result.exit_code


async def watched_run(
    source: str,
    settings: Settings,
    ledger: Path,
    *,
    lines: InputFlags,
    columns: MapFlags | None = None,
    stop: Stop,
    talk: Talk,
) -> RunResult:
    """Run a job with its progress shown, and say how it began and how it ended."""

    columns = columns or MapFlags()

    # Runs that go on in waves or rounds are told once.
    known: set[str] = set()
    answered: set[str] = set()
    current = settings

    def begin_part(part: Part) -> None:
        nonlocal current
        current = part.settings
        if part.words:
            talk.say(part.words)

    def begin(progress: Progress, intake: IntakeReport) -> None:
        if progress.run_id not in known:
            tell_beginning(talk, progress, intake, settings=current, ledger=ledger)
        known.add(progress.run_id)
        if intake.votes:
            talk.say(f"stored {intake.new_votes:,} new of {intake.votes:,} votes in the rows")
        if lines.retry and progress.kind != KIND:
            talk.say(f"asking again what ended as {' or '.join(lines.retry)}")
        view.begin(progress)

    def end_generating(result: GenerateResult) -> None:
        if result.run_id not in answered or result.progress.pending:
            tell_generated(talk, result, judged_next=True)
        answered.add(result.run_id)
        view.begin_reading(str(result.out or source))

    with ProgressView(talk, source) as view:
        result = await arun(
            source,
            map=columns.map,
            values=columns.values,
            settings=settings,
            ledger=ledger,
            limit=lines.limit,
            sample=lines.sample,
            seed=lines.seed,
            retry=lines.retry or (),
            skip_bad_lines=lines.skip_bad_lines,
            stop=stop,
            on_start=begin,
            on_generated=end_generating,
            on_part=begin_part,
        )
    if not result.is_judged and result.progress.pending:
        return result  # how the generation ended is said already
    if (why := early_end(result)) is not None:
        talk.warn(f"error: {why}")
    if not result.is_judged:
        return result
    for line in [*unsure_lines(result.progress), *dropped_lines(result.progress)]:
        talk.warn(line)
    talk.say("\n".join(closing_lines(result)))
    return result
