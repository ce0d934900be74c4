"""Reading a file of prompts into the ledger, before any candidate is asked for."""

from collections.abc import Iterator
from contextlib import nullcontext

from judge.errors import InputError
from judge.formats.lines import BadLine, Line
from judge.formats.prompts import InputKind, read_prompts, require_kind
from judge.inputs.intake import IntakeReport, Selection
from judge.ledger.candidates import count_selected
from judge.ledger.prompt_intake import add_prompts
from judge.ledger.runs import discard_run
from judge.ledger.store import Ledger
from judge.records import Prompt

CHUNK = 500


def read_prompt_file(
    ledger: Ledger,
    run_id: str,
    path: str,
    *,
    selection: Selection,
    skip_bad_lines: bool,
    up_to: int | None = None,
) -> IntakeReport:
    """Store the selected prompts of a file and select them for a run; return what was found.

    `IntakeReport.pairs` counts prompts here. With `up_to` the run selects no more than that many,
    the earliest, and a later call goes on behind them. Raises InputError, with every bad line
    named, unless bad lines are to be skipped; the run is then taken back.
    """
    report = IntakeReport()
    try:
        require_kind(path, InputKind.PROMPTS)
        with ledger.transaction() if up_to is not None else nullcontext():
            _store(ledger, run_id, path, selection, report, up_to=up_to)
        if not skip_bad_lines:
            report.raise_if_bad(
                "nothing was asked; mend the lines, or leave them out with --skip-bad-lines"
            )
        if not report.pairs:
            report.raise_if_bad("no line of the input could be used")
    except InputError:
        discard_run(ledger, run_id)
        raise
    return report


def _store(
    ledger: Ledger,
    run_id: str,
    path: str,
    selection: Selection,
    report: IntakeReport,
    *,
    up_to: int | None,
) -> None:
    wanted = None if up_to is None else up_to - count_selected(ledger, run_id)
    chunk: list[Prompt] = []
    for line in selected_prompts(path, selection):
        if isinstance(line, BadLine):
            report.refuse(str(line))
            continue
        left = CHUNK if wanted is None else min(CHUNK, wanted - report.pairs)
        if left <= 0:
            continue  # the rest is read for its bad lines only
        chunk.append(line.record)
        if len(chunk) >= left:
            report.pairs += add_prompts(ledger, run_id, chunk)
            chunk.clear()
    if chunk:
        report.pairs += add_prompts(ledger, run_id, chunk)


def selected_prompts(path: str, selection: Selection) -> Iterator[Line[Prompt] | BadLine]:
    """Yield the lines of a file that take part, in their order."""
    chosen = selection.lines(path)
    for position, line in enumerate(read_prompts(path)):
        if selection.limit is not None and position >= selection.limit:
            return
        if chosen is None or position in chosen:
            yield line
