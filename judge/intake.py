"""Reading an input file into the ledger, before anything is asked.

The whole input is checked and stored first: a broken line at the end costs nothing but the
reading, the total is known from the start, and a resumed run needs no input at all.
"""

import hashlib
import random
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from judge.errors import ConfigError, InputError
from judge.formats.lines import BadLine, Line, read_lines
from judge.formats.pairs import read_pairs, warnings_of
from judge.identity import canonical
from judge.ledger.intake import Given, add_pairs
from judge.ledger.runs import complete_run, discard_run
from judge.ledger.store import Ledger
from judge.records import Pair

CHUNK = 500
CHUNK_CHARS = 8 * 2**20
"""Texts that are held before they are stored, so that long ones need no more memory."""
SHOWN = 10
"""Warnings and bad lines that are named one by one; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which lines of an input take part: all, the first `limit`, or `sample` at random.

    With both, those of the sample that are among the first `limit`. Raises ConfigError for a
    number below 1.
    """

    limit: int | None = None
    sample: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for flag, count in (("--limit", self.limit), ("--sample", self.sample)):
            if count is not None and count < 1:
                raise ConfigError(f"{flag} {count}: give 1 or more, or leave it out for all pairs")

    def lines(self, path: str) -> frozenset[int] | None:
        """Return the positions (from 0) of the records that take part, or None for all.

        Raises InputError when a sample is asked of standard input, which can be read only once.
        """
        if self.sample is None:
            return None
        if path == "-":
            raise InputError("--sample needs a file: standard input can be read only once")
        total = sum(1 for _ in read_lines(path, lambda line: None))
        if self.sample >= total:
            return None
        return frozenset(random.Random(self.seed).sample(range(total), self.sample))


@dataclass
class IntakeReport:
    """What reading one input found."""

    pairs: int = 0
    warnings: list[str] = field(default_factory=list)
    """The first few, in words."""
    n_warnings: int = 0
    bad_lines: list[str] = field(default_factory=list)
    """The first few, in words."""
    n_bad_lines: int = 0

    def warn(self, messages: Iterable[str]) -> None:
        for message in messages:
            self.n_warnings += 1
            if len(self.warnings) < SHOWN:
                self.warnings.append(message)

    def refuse(self, message: str) -> None:
        self.n_bad_lines += 1
        if len(self.bad_lines) < SHOWN:
            self.bad_lines.append(message)

    def raise_if_bad(self, remedy: str) -> None:
        """Raise InputError that names the bad lines, if there are any."""
        if not self.n_bad_lines:
            return
        unnamed = self.n_bad_lines - len(self.bad_lines)
        more = [f"and {unnamed} more bad lines"] if unnamed else []
        raise InputError("\n".join([*self.bad_lines, *more, remedy]))


def read_input(
    ledger: Ledger, run_id: str, path: str, *, selection: Selection, skip_bad_lines: bool
) -> IntakeReport:
    """Store the selected pairs of a file and select them for a run; return what was found.

    Raises InputError, with every bad line named, unless bad lines are to be skipped; the run is
    then taken back, and nothing that was stored before is touched.
    """
    report = IntakeReport()
    try:
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
    complete_run(ledger, run_id)
    return report


def input_digest(path: str) -> str:
    """Return a digest of a file's bytes; standard input has a new one each time."""
    if path == "-":
        return secrets.token_hex(16)
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; check the path") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def _store(
    ledger: Ledger, run_id: str, path: str, selection: Selection, report: IntakeReport
) -> None:
    chunk: list[Given] = []
    characters = 0
    source = "<stdin>" if path == "-" else path
    for line in selected_lines(path, selection):
        if isinstance(line, BadLine):
            report.refuse(str(line))
            continue
        report.warn(f"{source}:{line.number}: {w}" for w in warnings_of(line.record))
        content = canonical(line.record)
        chunk.append(Given(line.number, line.record, content))
        characters += len(content.prompt_json) + len(content.first_json) + len(content.second_json)
        if len(chunk) == CHUNK or characters >= CHUNK_CHARS:
            _flush(ledger, run_id, source, chunk, report)
            characters = 0
    _flush(ledger, run_id, source, chunk, report)


def _flush(
    ledger: Ledger, run_id: str, source: str, chunk: list[Given], report: IntakeReport
) -> None:
    if not chunk:
        return
    conflicts = add_pairs(ledger, run_id, chunk)
    for conflict in conflicts:
        report.refuse(f"{source}:{conflict.line}: {conflict.problem}")
    report.pairs += len(chunk) - len(conflicts)
    chunk.clear()


def selected_lines(path: str, selection: Selection) -> Iterator[Line[Pair] | BadLine]:
    """Yield the lines of a file that take part, in their order."""
    chosen = selection.lines(path)
    for position, line in enumerate(read_pairs(path)):
        if selection.limit is not None and position >= selection.limit:
            return
        if chosen is None or position in chosen:
            yield line
