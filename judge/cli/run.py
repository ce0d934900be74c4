"""`judge run`: label pairs."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from judge.api import DEFAULT_LEDGER, arun
from judge.asking import Stop
from judge.cli.overrides import SettingFlags, overrides_of
from judge.cli.progress_view import ProgressView
from judge.cli.signals import ending_on_signals
from judge.cli.summary import closing_lines, early_end, intake_lines, opening_lines
from judge.cli.talk import Talk, talk_on_stderr
from judge.config import Settings
from judge.loading import load_settings
from judge.pipeline import RunResult
from judge.progress import Progress
from judge.records import Status

CONFIG_HERE = Path("judge.toml")

Count = Annotated[int, Parameter(validator=Number(gte=1))]
Input = Annotated[str, Parameter(name="INPUT", allow_leading_hyphen=True)]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class InputFlags:
    """Which lines of the input take part, and what is asked again."""

    limit: Count | None = None
    """Judge only the first N pairs."""
    sample: Count | None = None
    """Judge N pairs drawn at random."""
    seed: int = 0
    """Seed of --sample."""
    retry: list[Status] | None = None
    """Ask again what ended in this status; may be repeated."""
    skip_bad_lines: bool = False
    """Leave out lines that cannot be read, instead of stopping before anything is asked."""


def command(
    input_: Input,
    /,
    *,
    config: Path | None = None,
    ledger: Path = DEFAULT_LEDGER,
    settings: SettingFlags | None = None,
    lines: InputFlags | None = None,
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
    quiet
        Say only warnings and errors.
    """
    talk = talk_on_stderr(is_quiet=quiet)
    if config is None and CONFIG_HERE.is_file():
        config = CONFIG_HERE
        talk.say(f"settings from {config}")
    overrides = overrides_of(settings or SettingFlags(), config, environ=os.environ)
    resolved = load_settings(config, overrides, environ=os.environ)
    return asyncio.run(_run(input_, resolved, ledger, lines=lines or InputFlags(), talk=talk))


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
