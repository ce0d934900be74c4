"""What is said about batches. Pure."""

import shlex
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from judge.batches.exporting import Export
from judge.batches.manifest import RequestFile
from judge.batches.reports import BatchImport, Named
from judge.batches.server import BatchStatus
from judge.batches.submitting import FileState, FolderState
from judge.cli.progress_line import counts
from judge.cli.summary import many
from judge.cli.visible import on_one_line
from judge.settings.config import Settings

MEGABYTE = 1_000_000


def export_warnings(done: Export) -> list[str]:
    """Return what is not as one may have expected."""
    lines: list[str] = []
    if done.still_out:
        lines.append(
            f"warning: {many(done.still_out, 'ask')} of these stand in an earlier export of which "
            "nothing has come back; if that batch still runs, you pay for them twice"
        )
    if done.unaskable:
        lines.append(
            f"warning: {many(done.unaskable, 'ask')} cannot be shown to a judge, such as for want "
            "of a reference; stored as failed"
        )
    if done.too_long:
        lines.append(
            f"warning: {many(done.too_long, 'ask')} longer than a whole file may be stay pending; "
            "raise batching.max_bytes, or judge them with judge run"
        )
    return lines


def export_lines(done: Export, settings: Settings, *, ledger: Path) -> list[str]:
    """Return what was written, and what to do next."""
    size = _size(sum(file.bytes for file in done.files))
    before = f"{done.stored:,} answered before"
    if done.folder is None:
        return [f"requests  none: run {done.run_id} lacks nothing to write; {before}"]
    folder = shlex.quote(str(done.folder))
    lines = [
        f"requests  {done.requests:,} of run {done.run_id} in {many(len(done.files), 'file')}, "
        f"{size}; {before}"
    ]
    lines += [
        f"file      {done.folder / file.name}: {many(file.requests, 'request')} for {file.model} "
        f"at {file.endpoint}, {_size(file.bytes)}"
        for file in done.files
    ]
    engines = [file for file in done.files if settings.endpoints[file.endpoint].base_url is None]
    run = f"judge batch submit {folder}; or run the files yourself"
    if engines:
        run = f"run the files, such as with {_vllm(done.folder, engines[0])}"
    lines.append(
        f"next      {run}, put what comes beside them, and judge batch import {folder} "
        f"--ledger {shlex.quote(str(ledger))}"
    )
    return lines


def import_warnings(found: BatchImport) -> list[str]:
    """Return which lines were of no use, and why."""
    lines: list[str] = []
    for what, named in (
        ("broken", found.broken),
        ("foreign", found.foreign),
        ("doubled", found.doubled),
        ("in conflict", found.conflicting),
    ):
        lines += _named(what, named)
    return lines


def import_lines(found: BatchImport) -> list[str]:
    """Return what was stored, what came without an answer, and what is missing."""
    tokens = ""
    if found.input_tokens or found.output_tokens:
        tokens = f"; tokens {found.input_tokens:,} in, {found.output_tokens:,} out"
    statuses = Counter({str(status): count for status, count in found.statuses.items()})
    dropped = f"; without a verdict {counts(statuses)}" if statuses else ""
    lines = [
        f"read      {many(found.lines, 'line')} of {many(len(found.files), 'file')}: "
        f"{found.new:,} judgments stored, {found.stored_before:,} there already{dropped}{tokens}",
    ]
    useless = {
        "broken": found.broken.count,
        "foreign": found.foreign.count,
        "doubled": found.doubled.count,
        "in conflict": found.conflicting.count,
    }
    if any(useless.values()):
        lines.append(
            "left out  "
            + ", ".join(f"{count:,} {what}" for what, count in useless.items() if count)
        )
    if found.pending:
        reasons = Counter(
            {on_one_line(cause)[:100]: count for cause, count in found.pending.most_common()}
        )
        lines.append(f"no answer {found.pending.total():,} ({counts(reasons)})")
    lines.append(f"missing   {found.missing:,} of the asks that were exported")
    return lines


def next_lines(found: BatchImport, *, ledger: Path) -> list[str]:
    """Return what to do after an import."""
    at = f"--ledger {shlex.quote(str(ledger))}"
    wanted = found.missing if found.wanted is None else found.wanted
    if not wanted:
        return [f"next      judge agree {at}"] if found.run_ids else []
    source = shlex.quote(found.source or "INPUT")
    asks = "what is missing, and only that"
    if wanted != found.missing:
        asks = f"the {many(wanted, 'ask')} that the run wants now"
    return [f"next      {asks}: judge batch export {source} --out NEW {at}"]


def state_lines(state: FolderState) -> list[str]:
    """Return how each batch of a folder stands."""
    return [_state_line(file) for file in state.files]


def found_lines(state: FolderState, folder: Path) -> list[str]:
    """Return what to do about the batches of a folder now."""
    where = shlex.quote(str(folder))
    if any(file.batch is None for file in state.files):
        return [f"next      judge batch submit {where}"]
    return [f"next      judge batch fetch {where}"] if state.has_output else []


def _state_line(state: FileState) -> str:
    batch = state.batch
    if batch is None:
        return f"{state.file.name}  not submitted"
    status = batch.status or "in a state not known here"
    line = (
        f"{state.file.name}  {status}: {batch.completed:,} of "
        f"{many(batch.total or state.file.requests, 'request')} done, {batch.failed:,} failed; "
        f"batch {batch.batch_id}{', made now' if state.is_new else ''}"
    )
    if batch.status is BatchStatus.FAILED:
        why = on_one_line("; ".join(batch.problems[:3])) or "no reason was given"
        line += f"; refused: {why}"
    return line


def _vllm(folder: Path, file: RequestFile) -> str:
    """Return the command by which vLLM works through a file."""
    requests, outputs = (shlex.quote(str(folder / name)) for name in (file.name, "output.jsonl"))
    return (
        f"python -m vllm.entrypoints.openai.run_batch -i {requests} -o {outputs} "
        f"--model {shlex.quote(file.model)}"
    )


def _size(n_bytes: int) -> str:
    if n_bytes < MEGABYTE:
        return f"{n_bytes / 1000:,.1f} kB"
    return f"{n_bytes / MEGABYTE:,.1f} MB"


def _named(what: str, named: Named) -> Iterable[str]:
    yield from (f"{what}: {text}" for text in named.shown)
    if more := named.count - len(named.shown):
        yield f"{what}: and {more:,} more"
