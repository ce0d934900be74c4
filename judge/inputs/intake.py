"""Reading an input file into the ledger, before anything is asked.

The whole input is checked and stored first: a broken line at the end costs nothing but the
reading, the total is known from the start, and a resumed run needs no input at all.
"""

import hashlib
import random
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from judge.errors import ConfigError, InputError
from judge.formats.lines import BadLine, Line, read_lines
from judge.formats.mapped import MappedRow
from judge.formats.pairs import read_pairs, warnings_of
from judge.identity import canonical
from judge.inputs.input_kinds import refuse_other_kinds
from judge.inputs.mapping import TableMap
from judge.inputs.text_lengths import pair_chars, row_chars
from judge.ledger.intake import Conflict, Given, add_pairs, add_votes
from judge.ledger.known import compare_known
from judge.ledger.runs import complete_run, discard_run
from judge.ledger.store import Ledger
from judge.records import Pair

CHUNK = 500
CHUNK_CHARS = 8 * 2**20
"""Texts that are held before they are stored, so that long ones need no more memory."""
SHOWN = 10
"""Warnings and bad lines that are named one by one; the rest are counted."""

R = TypeVar("R")


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

    def lines(self, path: str, mapping: TableMap | None = None) -> frozenset[int] | None:
        """Return the positions (from 0) of the records that take part, or None for all.

        Raises InputError when a sample is asked of standard input, which can be read only once.
        """
        if self.sample is None:
            return None
        if path == "-":
            raise InputError("--sample needs a file: standard input can be read only once")
        if mapping is None:
            total = sum(1 for _ in read_lines(path, lambda line: None))
        else:
            total = mapping.count_rows(path)
        if self.sample >= total:
            return None
        return frozenset(random.Random(self.seed).sample(range(total), self.sample))

    def of(
        self, lines: Iterable[Line[R] | BadLine], chosen: frozenset[int] | None
    ) -> Iterator[Line[R] | BadLine]:
        """Yield those lines that take part, in their order; `chosen` is what `lines` returned."""
        for position, line in enumerate(lines):
            if self.limit is not None and position >= self.limit:
                return
            if chosen is None or position in chosen:
                yield line


@dataclass
class IntakeReport:
    """What reading one input found."""

    pairs: int = 0
    votes: int = 0
    """Votes that stand in the rows of the pairs."""
    new_votes: int = 0
    warnings: list[str] = field(default_factory=list)
    """The first few, in words."""
    n_warnings: int = 0
    bad_lines: list[str] = field(default_factory=list)
    """The first few, in words."""
    n_bad_lines: int = 0
    differing: int = 0
    """Pairs that the ledger has, and keeps, with another prompt_id, other tags or models."""
    differing_fields: Counter[str] = field(default_factory=Counter)

    def warn(self, messages: Iterable[str]) -> None:
        for message in messages:
            self.n_warnings += 1
            if len(self.warnings) < SHOWN:
                self.warnings.append(message)

    def refuse(self, message: str) -> None:
        self.n_bad_lines += 1
        if len(self.bad_lines) < SHOWN:
            self.bad_lines.append(message)

    def refuse_all(self, source: str, conflicts: Iterable[Conflict]) -> None:
        for conflict in conflicts:
            self.refuse(f"{source}:{conflict.line}: {conflict.problem}")

    def raise_if_bad(self, remedy: str) -> None:
        """Raise InputError that names the bad lines, if there are any."""
        if not self.n_bad_lines:
            return
        unnamed = self.n_bad_lines - len(self.bad_lines)
        more = [f"and {unnamed} more bad lines"] if unnamed else []
        raise InputError("\n".join([*self.bad_lines, *more, remedy]))

    def warn_of_differing(self) -> None:
        """Put the count of pairs that keep what was stored before the other warnings."""
        if self.differing:
            self.n_warnings += 1
            fields = ", ".join(f"{name} {n:,}" for name, n in self.differing_fields.most_common())
            self.warnings.insert(
                0,
                f"pairs known already with other values: {self.differing:,} ({fields}); the "
                "ledger keeps what it has, so give them new pair_ids if the new values are meant",
            )


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of some pairs."""

    new: int
    """Pairs that the ledger did not have."""
    refused: frozenset[tuple[int, str | None]]
    """Line and pair id of those it could not take."""


def read_input(
    ledger: Ledger,
    run_id: str,
    path: str,
    *,
    selection: Selection,
    skip_bad_lines: bool,
    mapping: TableMap | None = None,
) -> IntakeReport:
    """Store the selected pairs of a file and select them for a run; return what was found.

    With a map, the votes in the rows are stored too. Raises InputError, with every bad line
    named, unless bad lines are to be skipped; the run is then taken back, and nothing that was
    stored before is touched.
    """
    report = IntakeReport()
    try:
        if mapping is None:
            for lines in chunked(selected_lines(path, selection), pair_chars, report):
                store_pairs(ledger, run_id, source_of(path), lines, report)
            _check(report, path, skip_bad_lines=skip_bad_lines)
        else:
            # A vote would keep its pair from being taken back, so all is stored at once.
            with ledger.transaction():
                for rows in chunked(selected_rows(path, selection, mapping), row_chars, report):
                    store_rows(ledger, run_id, path, mapping, rows, report)
                _check(report, path, skip_bad_lines=skip_bad_lines, is_mapped=True)
    except InputError:
        discard_run(ledger, run_id)
        raise
    complete_run(ledger, run_id)
    report.warn_of_differing()
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


def selected_lines(
    path: str, selection: Selection, mapping: TableMap | None = None
) -> Iterator[Line[Pair] | BadLine]:
    """Yield the pairs of a file that take part, in their order, and the lines that hold none."""
    if mapping is None:
        yield from selection.of(read_pairs(path), selection.lines(path))
        return
    for line in selected_rows(path, selection, mapping):
        yield line if isinstance(line, BadLine) else Line(line.number, line.record.pair)


def selected_rows(
    path: str, selection: Selection, mapping: TableMap
) -> Iterator[Line[MappedRow] | BadLine]:
    """Yield the rows of a table that take part, in their order, and those that hold no pair."""
    return selection.of(mapping.rows(path), selection.lines(path, mapping))


def chunked(
    lines: Iterable[Line[R] | BadLine], chars: Callable[[R], int], report: IntakeReport
) -> Iterator[list[Line[R]]]:
    """Yield the valid lines some at a time, and note the others.

    `chars` counts the text of one record: the longer they are, the fewer are held.
    """
    chunk: list[Line[R]] = []
    held = 0
    for line in lines:
        if isinstance(line, BadLine):
            report.refuse(str(line))
            continue
        chunk.append(line)
        held += chars(line.record)
        if len(chunk) == CHUNK or held >= CHUNK_CHARS:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk


def store_pairs(
    ledger: Ledger, run_id: str, source: str, lines: Sequence[Line[Pair]], report: IntakeReport,
    *, note: str = "",
) -> Stored:  # fmt: skip
    """Store pairs and select them for a run; what is odd about them goes into the report.

    `note` is added to the reason of a refusal.
    """
    for line in lines:
        report.warn(f"{source}:{line.number}: {w}" for w in warnings_of(line.record))
    given = [Given(line.number, line.record, canonical(line.record)) for line in lines]
    known = compare_known(ledger, given)
    conflicts = add_pairs(ledger, run_id, given)
    report.refuse_all(source, [replace(c, problem=c.problem + note) for c in conflicts])
    report.pairs += len(given) - len(conflicts)
    report.differing += known.differing
    report.differing_fields += known.fields
    return Stored(known.new, frozenset((c.line, c.pair_id) for c in conflicts))


def store_rows(
    ledger: Ledger,
    run_id: str,
    path: str,
    mapping: TableMap,
    rows: Sequence[Line[MappedRow]],
    report: IntakeReport,
) -> Stored:
    """Store the pairs of some rows as `store_pairs` does, and the votes on those it took."""
    lines = [Line(row.number, row.record.pair) for row in rows]
    stored = store_pairs(ledger, run_id, source_of(path), lines, report, note=mapping.id_note)
    votes = [
        (row.number, vote)
        for row in rows
        if (row.number, row.record.pair.pair_id) not in stored.refused
        for vote in row.record.votes
    ]
    new_votes, _ = add_votes(ledger, votes)
    report.votes += len(votes)
    report.new_votes += new_votes
    return stored


def source_of(path: str) -> str:
    """Return how messages call an input."""
    return "<stdin>" if path == "-" else path


def _check(
    report: IntakeReport, path: str, *, skip_bad_lines: bool, is_mapped: bool = False
) -> None:
    """Raise InputError where the input has bad lines that may not be left out, or nothing else."""
    if not (report.pairs or is_mapped):
        refuse_other_kinds(path)
    if not skip_bad_lines:
        report.raise_if_bad(
            "nothing was asked; mend the lines, or leave them out with --skip-bad-lines"
        )
    if not report.pairs:
        report.raise_if_bad("no line of the input could be used")
