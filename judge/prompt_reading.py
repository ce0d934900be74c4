"""Reading a file of prompts into the ledger, before any candidate is asked for."""

from collections.abc import Iterator

from judge.errors import InputError
from judge.formats.lines import BadLine, Line
from judge.formats.prompts import InputKind, read_prompts, require_kind
from judge.intake import IntakeReport, Selection
from judge.ledger.prompt_intake import add_prompts
from judge.ledger.runs import discard_run
from judge.ledger.store import Ledger
from judge.records import Prompt

CHUNK = 500


def read_prompt_file(
    ledger: Ledger, run_id: str, path: str, *, selection: Selection, skip_bad_lines: bool
) -> IntakeReport:
    """Store the selected prompts of a file and select them for a run; return what was found.

    `IntakeReport.pairs` counts prompts here. Raises InputError, with every bad line named, unless
    bad lines are to be skipped; the run is then taken back.
    """
    report = IntakeReport()
    try:
        require_kind(path, InputKind.PROMPTS)
        _store(ledger, run_id, path, selection, report)
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
    ledger: Ledger, run_id: str, path: str, selection: Selection, report: IntakeReport
) -> None:
    chunk: list[Prompt] = []
    for line in selected_prompts(path, selection):
        if isinstance(line, BadLine):
            report.refuse(str(line))
            continue
        chunk.append(line.record)
        if len(chunk) == CHUNK:
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
