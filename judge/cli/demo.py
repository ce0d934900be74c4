"""`judge demo`: the whole path at work."""

import asyncio
from pathlib import Path

from calibration.report.text import report_text
from judge.api.base import DEFAULT_LEDGER
from judge.cli.export import manifest_line
from judge.cli.progress_line import to_do
from judge.cli.progress_view import ProgressView
from judge.cli.signals import ending_on_signals
from judge.cli.summary import closing_lines, early_end
from judge.cli.talk import Talk, talk_on_stderr
from judge.cli.visible import visible
from judge.inputs.intake import IntakeReport
from judge.job.desk import Stop
from judge.job.progress import Progress
from judge.start.demonstration import DemoResult, run_demo

WHAT_IT_IS = "a demonstration: judge and human votes are simulated, the texts are examples"


def command(*, folder: Path = DEFAULT_LEDGER.parent) -> int:
    """Judge example pairs, compare with human votes, report and export. All of it is simulated.

    Needs no key and no network, and takes some seconds. Every demonstration starts afresh.

    Parameters
    ----------
    folder
        Where demo.db and the other files go.
    """
    return asyncio.run(_demo(folder, talk_on_stderr()))


async def _demo(folder: Path, talk: Talk) -> int:
    talk.say(WHAT_IT_IS)
    stop = Stop()

    def begin(progress: Progress, _: IntakeReport) -> None:
        talk.say(
            f"asking the simulated judge about {progress.total // 2} example pairs in both orders: "
            f"{to_do(progress)}"
        )
        view.begin(progress)

    with ending_on_signals(stop, talk) as interrupts:
        with ProgressView(talk, "the examples") as view:
            result = await run_demo(folder, stop=stop, on_start=begin)
        if (why := early_end(result.run)) is not None:
            talk.warn(f"error: {why}")
        talk.say("\n".join([*closing_lines(result.run), ""]))
        if result.report is not None:
            print(visible(report_text(result.report)), end="", flush=True)
        talk.say("\n".join(["", *_what_next(result)]))
    return interrupts.exit_code or result.run.exit_code


def _what_next(result: DemoResult) -> list[str]:
    paths = result.paths
    lines = []
    if result.manifest is not None:
        exported = manifest_line(result.manifest, paths.data)
        lines = [f"{result.votes} simulated votes in {paths.votes}; {exported}"]
        if paths.html.exists():
            lines.append(f"the report as a page: {paths.html}")
        lines.append("")
    return [
        *lines,
        f"This was {WHAT_IT_IS}.",
        "With a judge of your own (pairs.jsonl: a prompt, a first and a second answer a line):",
        "  judge run pairs.jsonl --base-url http://127.0.0.1:8000/v1 --model YOUR-MODEL",
        "  judge agree --gold votes.jsonl",
    ]
