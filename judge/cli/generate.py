"""`judge generate`: candidates for prompts, as pairs to judge."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from judge.api.base import DEFAULT_LEDGER
from judge.api.label import agenerate
from judge.cli.configured import config_path
from judge.cli.confirming import DECLINED, ConfirmAbove, is_confirmed
from judge.cli.cost import show_cost
from judge.cli.inputs import Count, InputFlags
from judge.cli.overrides import GeneratorFlags, keyless_line, overrides_of
from judge.cli.progress_view import ProgressView
from judge.cli.signals import ending_on_signals
from judge.cli.talk import Talk, talk_on_stderr
from judge.cli.telling import tell_beginning, tell_generated
from judge.inputs.intake import IntakeReport
from judge.job.desk import Stop
from judge.job.progress import Progress
from judge.settings.config import Settings
from judge.settings.loading import load_settings

Prompts = Annotated[str, Parameter(name="PROMPTS", allow_leading_hyphen=True)]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFlags:
    """Which lines of the input take part."""

    limit: Count | None = None
    """Answer only the first N prompts."""
    sample: Count | None = None
    """Answer N prompts drawn at random."""
    seed: int = 0
    """Seed of --sample."""
    skip_bad_lines: bool = False
    """Leave out lines that cannot be read, instead of stopping before anything is asked."""


def command(
    prompts: Prompts,
    /,
    *,
    config: Path | None = None,
    ledger: Path = DEFAULT_LEDGER,
    out: Path | None = None,
    settings: GeneratorFlags | None = None,
    lines: PromptFlags | None = None,
    dry_run: bool = False,
    confirm_above: ConfirmAbove = None,
    quiet: bool = False,
) -> int:
    """Ask generators to answer every prompt of a file, and write their answers as pairs to judge.

    Every answer is kept in a ledger. The same command resumes, and pairs the same answers by other
    [pairing] rules without asking again. judge run takes prompts too, and judges at once.

    Parameters
    ----------
    prompts
        JSON Lines file of prompts; - reads standard input.
    config
        Settings as TOML. ./judge.toml is used where it exists.
    ledger
        Where the answers are kept.
    out
        File of pairs to write, in place of one there. Beside the ledger where not given.
    dry_run
        Say what it would take, and send nothing.
    confirm_above
        Ask before beginning if it may take more than this, such as 5usd; only on a terminal.
    quiet
        Say only warnings and errors.
    """
    talk = talk_on_stderr(is_quiet=quiet)
    flags = settings or GeneratorFlags()
    config = config_path(config, talk)
    overrides = overrides_of(flags, config, environ=os.environ)
    resolved = load_settings(config, overrides, environ=os.environ)
    chosen = lines or PromptFlags()
    counted = InputFlags(
        limit=chosen.limit,
        sample=chosen.sample,
        seed=chosen.seed,
        skip_bad_lines=chosen.skip_bad_lines,
    )
    if dry_run:
        return show_cost(prompts, resolved, ledger, lines=counted, talk=talk, with_judging=False)
    if not is_confirmed(
        confirm_above, prompts, resolved, ledger, lines=counted, talk=talk, with_judging=False
    ):
        return DECLINED
    if (line := keyless_line(flags, resolved, environ=os.environ)) is not None:
        talk.say(line)
    return asyncio.run(_generate(prompts, resolved, ledger, out=out, lines=chosen, talk=talk))


async def _generate(
    prompts: str,
    settings: Settings,
    ledger: Path,
    *,
    out: Path | None,
    lines: PromptFlags,
    talk: Talk,
) -> int:
    stop = Stop()

    def begin(progress: Progress, intake: IntakeReport) -> None:
        tell_beginning(talk, progress, intake, settings=settings, ledger=ledger)
        view.begin(progress)

    with ending_on_signals(stop, talk) as interrupts:
        with ProgressView(talk, prompts) as view:
            result = await agenerate(
                prompts,
                settings=settings,
                ledger=ledger,
                out=out,
                limit=lines.limit,
                sample=lines.sample,
                seed=lines.seed,
                skip_bad_lines=lines.skip_bad_lines,
                stop=stop,
                on_start=begin,
            )
        tell_generated(talk, result)
    return interrupts.exit_code or result.exit_code
