"""`judge references`: can the reference answers of a file be relied on?"""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

from judge.api.base import DEFAULT_LEDGER
from judge.api.references import acheck_references
from judge.cli.configured import config_path
from judge.cli.generate import PromptFlags
from judge.cli.inputs import Input
from judge.cli.mapping import MapFlags
from judge.cli.overrides import SettingFlags, keyless_line, overrides_of
from judge.cli.progress_view import ProgressView
from judge.cli.signals import ending_on_signals
from judge.cli.talk import Talk, talk_on_stderr
from judge.inputs.intake import IntakeReport
from judge.job.desk import Stop
from judge.job.progress import Progress
from judge.references.reference_checking import ReferenceResult
from judge.references.references import ReferenceStatus
from judge.settings.config import Settings
from judge.settings.loading import load_settings

_WORDS = {
    ReferenceStatus.CHECKED: "agree with most own answers",
    ReferenceStatus.DOUBTFUL: "are contradicted by most own answers",
    ReferenceStatus.UNCLEAR: "unclear: no majority either way",
}


def check_command(
    input_: Input,
    /,
    *,
    config: Path | None = None,
    ledger: Path = DEFAULT_LEDGER,
    out: Path | None = None,
    settings: SettingFlags | None = None,
    lines: PromptFlags | None = None,
    columns: MapFlags | None = None,
    quiet: bool = False,
) -> int:
    """Have the judge's model answer each question itself, and flag references it contradicts.

    Wrong references are common, and a judge believes them. The model of the first judge, or of
    references.judge, answers each question three times without seeing the reference; each answer
    is then compared with it. A reference that most answers contradict is doubtful. Labels tell of
    it, and run.doubtful_references = "skip" leaves such pairs to people.

    Parameters
    ----------
    input_
        JSON Lines file of pairs with references, or a table with its --map.
    config
        Settings as TOML. ./judge.toml is used where it exists.
    ledger
        Where the replies are kept.
    out
        JSON Lines file to write: the pairs with a doubtful reference, with the own answers.
    quiet
        Say only warnings and errors.
    """
    talk = talk_on_stderr(is_quiet=quiet)
    flags = settings or SettingFlags()
    config = config_path(config, talk)
    overrides = overrides_of(flags, config, environ=os.environ)
    resolved = load_settings(config, overrides, environ=os.environ)
    if (line := keyless_line(flags, resolved, environ=os.environ)) is not None:
        talk.say(line)
    return asyncio.run(
        _check(
            input_,
            resolved,
            ledger,
            out=out,
            lines=lines or PromptFlags(),
            columns=columns or MapFlags(),
            talk=talk,
        )
    )


async def _check(
    source: str,
    settings: Settings,
    ledger: Path,
    *,
    out: Path | None,
    lines: PromptFlags,
    columns: MapFlags,
    talk: Talk,
) -> int:
    stop = Stop()

    def begin(progress: Progress, _: IntakeReport) -> None:
        view.begin(progress)

    with ending_on_signals(stop, talk) as interrupts:
        with ProgressView(talk, source) as view:
            result = await acheck_references(
                source,
                map=columns.map,
                values=columns.values,
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
        if result.ended.cause is not None:
            talk.warn(f"error: {result.ended.cause}")
        for line in _lines(result, out):
            talk.say(line)
    return interrupts.exit_code or result.exit_code


def _lines(result: ReferenceResult, out: Path | None) -> Iterator[str]:
    total = sum(result.statuses.values())
    yield f"checked {total:,} references of {sum(result.pairs.values()):,} pairs"
    for status, words in _WORDS.items():
        count = result.statuses.get(status, 0)
        share = f" ({count / total:.1%})" if total else ""
        yield f"  {count:,}{share} {words}"
    yield (
        f"{result.plainly_same:,} own answers matched outright, {result.compared:,} were compared "
        f"by the model; {result.spent.requests:,} requests in all"
    )
    if result.without_reference:
        yield f"{result.without_reference:,} pairs have no reference and were passed over"
    if result.unanswered:
        yield f"{result.unanswered:,} still wait for an answer; the same command goes on"
    if out is not None:
        yield f"wrote {result.pairs.get(ReferenceStatus.DOUBTFUL, 0):,} doubtful pairs to {out}"
