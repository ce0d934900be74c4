"""`judge run`: label pairs."""

import asyncio
import os
from pathlib import Path

from judge.api import DEFAULT_LEDGER, arun
from judge.cli.configured import config_path
from judge.cli.cost import show_cost
from judge.cli.inputs import Input, InputFlags
from judge.cli.overrides import SettingFlags, overrides_of
from judge.cli.progress_view import ProgressView
from judge.cli.signals import ending_on_signals
from judge.cli.summary import closing_lines, early_end, intake_lines, opening_lines
from judge.cli.talk import Talk, talk_on_stderr
from judge.config import Settings
from judge.desk import Stop
from judge.loading import load_settings
from judge.pipeline import RunResult
from judge.progress import Progress


def command(
    input_: Input,
    /,
    *,
    config: Path | None = None,
    ledger: Path = DEFAULT_LEDGER,
    settings: SettingFlags | None = None,
    lines: InputFlags | None = None,
    dry_run: bool = False,
    quiet: bool = False,
) -> int:
    """Judge every pair of a file in both orders and keep every reply in a ledger.

    Interrupted, killed or out of reach of its endpoint, it resumes when the same command is run
    again: what is stored is never asked twice.

    Parameters
    ----------
    input_
        JSON Lines file of pairs; - reads standard input.
    config
        Settings as TOML. ./judge.toml is used where it exists.
    ledger
        Where the replies are kept.
    dry_run
        Say what the job would take, as judge cost does, and send nothing.
    quiet
        Say only warnings and errors.
    """
    talk = talk_on_stderr(is_quiet=quiet)
    config = config_path(config, talk)
    overrides = overrides_of(settings or SettingFlags(), config, environ=os.environ)
    resolved = load_settings(config, overrides, environ=os.environ)
    chosen = lines or InputFlags()
    if dry_run:
        return show_cost(input_, resolved, ledger, lines=chosen, talk=talk)
    return asyncio.run(_run(input_, resolved, ledger, lines=chosen, talk=talk))


async def _run(
    source: str, settings: Settings, ledger: Path, *, lines: InputFlags, talk: Talk
) -> int:
    stop = Stop()
    with ending_on_signals(stop, talk) as interrupts:
        result = await watched_run(source, settings, ledger, lines=lines, stop=stop, talk=talk)
    return interrupts.exit_code or result.exit_code


async def watched_run(
    source: str, settings: Settings, ledger: Path, *, lines: InputFlags, stop: Stop, talk: Talk
) -> RunResult:
    """Run a job with its progress shown, and say how it began and how it ended."""

    def begin(progress: Progress) -> None:
        talk.say("\n".join(opening_lines(progress, settings, ledger)))
        if lines.retry:
            talk.say(f"asking again what ended as {' or '.join(lines.retry)}")
        view.begin(progress)

    with ProgressView(talk, source) as view:
        result = await arun(
            source,
            settings=settings,
            ledger=ledger,
            limit=lines.limit,
            sample=lines.sample,
            seed=lines.seed,
            retry=lines.retry or (),
            skip_bad_lines=lines.skip_bad_lines,
            stop=stop,
            on_start=begin,
        )
    for line in intake_lines(result.intake):
        talk.warn(line)
    if (why := early_end(result)) is not None:
        talk.warn(f"error: {why}")
    talk.say("\n".join(closing_lines(result)))
    return result
