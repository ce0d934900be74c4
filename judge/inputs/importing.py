"""Loading pairs, votes and judgments made elsewhere into a ledger: `judge import`.

A file is taken whole or not at all, unless its bad lines are to be left out.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from judge.formats.judgments import GivenJudgment, read_judgments
from judge.formats.lines import Line
from judge.formats.mapped import MappedRow
from judge.formats.pairs import read_pairs
from judge.formats.tasks import read_votes_and_answers
from judge.inputs.imported_judgments import ImportedJudges
from judge.inputs.input_kinds import refuse_other_kinds
from judge.inputs.intake import (
    IntakeReport,
    chunked,
    source_of,
    store_pairs,
    store_rows,
)
from judge.inputs.mapping import TableMap
from judge.inputs.text_lengths import judgment_chars, pair_chars, vote_chars
from judge.ledger.intake import Conflict, add_judgments, add_votes, select_pairs, sides_of
from judge.ledger.runs import IMPORT_RUN, RunJudge, begin_run, complete_run, list_runs
from judge.ledger.store import Ledger
from judge.outcomes.labels import Rule
from judge.people.handing_over import votes_from
from judge.records import Judgment, Pair, Status, Vote


class ImportKind(StrEnum):
    """What the records of an imported file are."""

    PAIRS = "pairs"
    VOTES = "votes"
    JUDGMENTS = "judgments"


@dataclass(frozen=True, slots=True)
class ImportCount:
    """What became of the records of one kind."""

    read: int
    """Valid records that the ledger has now."""
    new: int
    """Those that it did not have before."""
    left_out: int = 0
    """Records about a pair that could not be stored, which is itself named as a bad line."""


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What one import did."""

    counts: Mapping[ImportKind, ImportCount]
    """Of every kind that was looked for."""
    statuses: Mapping[Status, int]
    """Judgments that were read and hold no verdict, by the reason why."""
    report: IntakeReport
    passed_over: tuple[str, ...] = ()
    """Files that hold nothing to import, each with the reason."""

    @property
    def read(self) -> int:
        return sum(count.read for count in self.counts.values())

    @property
    def new(self) -> int:
        return sum(count.new for count in self.counts.values())


@dataclass
class Importer:
    """Stores imported records, some at a time, and counts what became of them."""

    ledger: Ledger
    report: IntakeReport
    judges: ImportedJudges
    found: Counter[ImportKind] = field(default_factory=Counter)
    new: Counter[ImportKind] = field(default_factory=Counter)
    statuses: Counter[Status] = field(default_factory=Counter)

    def add_pairs(
        self, source: str, lines: Sequence[Line[Pair]], *, note: str = ""
    ) -> set[str | None]:
        """Store pairs; return the ids of those the ledger could not take, for which see `note`."""
        stored = store_pairs(self.ledger, IMPORT_RUN, source, lines, self.report, note=note)
        self._count(ImportKind.PAIRS, len(lines) - len(stored.refused), stored.new)
        return {pair_id for _, pair_id in stored.refused}

    def add_rows(self, path: str, mapping: TableMap, rows: Sequence[Line[MappedRow]]) -> None:
        """Store the pairs and the votes of some rows of a table."""
        votes, new_votes = self.report.votes, self.report.new_votes
        stored = store_rows(self.ledger, IMPORT_RUN, path, mapping, rows, self.report)
        self._count(ImportKind.PAIRS, len(rows) - len(stored.refused), stored.new)
        self._count(ImportKind.VOTES, self.report.votes - votes, self.report.new_votes - new_votes)

    def add_votes(self, source: str, votes: Sequence[tuple[int, Vote]]) -> None:
        """Store votes, each by its line."""
        added, conflicts = add_votes(self.ledger, votes)
        self.report.refuse_all(source, conflicts)
        self._count(ImportKind.VOTES, len(votes) - len(conflicts), added)

    def add_judgments(
        self, source: str, lines: Sequence[Line[GivenJudgment]], *, clash: str | None = None
    ) -> None:
        """Store judgments and select their pairs; `clash` replaces why another reply is refused."""
        sides = sides_of(self.ledger, {line.record.pair_id for line in lines})
        accepted: list[tuple[int, Judgment]] = []
        selected: list[tuple[str, str]] = []
        now = _now()
        for line in lines:
            given = line.record
            problem = self.judges.problem(given, sides)
            if problem is None:
                side = sides[given.pair_id]
                accepted.append((line.number, self.judges.judgment(given, side, now=now)))
                selected.append((given.pair_id, side[0]))
            else:
                self.report.refuse_all(source, [Conflict(line.number, problem)])
        added, conflicts = add_judgments(self.ledger, accepted)
        told = conflicts if clash is None else [Conflict(c.line, clash) for c in conflicts]
        self.report.refuse_all(source, told)
        with self.ledger.transaction() as connection:
            select_pairs(connection, IMPORT_RUN, selected)
        self.statuses.update(judgment.status for _, judgment in accepted if judgment.status)
        self._count(ImportKind.JUDGMENTS, len(accepted) - len(conflicts), added)

    def result(
        self,
        *kinds: ImportKind,
        left_out: Mapping[ImportKind, int] | None = None,
        passed_over: tuple[str, ...] = (),
    ) -> ImportResult:
        """Return what was done about each of some kinds."""
        unplaced = left_out or {}
        counts = {
            kind: ImportCount(self.found[kind], self.new[kind], unplaced.get(kind, 0))
            for kind in kinds
        }
        return ImportResult(counts, self.statuses, self.report, passed_over)

    def _count(self, kind: ImportKind, found: int, new: int) -> None:
        self.found[kind] += found
        self.new[kind] += new


@contextmanager
def importing(
    ledger_path: Path, report: IntakeReport, *, allows_tie: bool, skip_bad_lines: bool
) -> Iterator[Importer]:
    """Store everything that is imported inside at once, or nothing of it.

    `allows_tie` says whether [[C]] was offered to the judge of imported judgments. Raises
    InputError with every bad line named, unless those are to be skipped and others remain.
    """
    with Ledger(ledger_path) as ledger, ledger.transaction():
        imported = [run for run in list_runs(ledger) if run.run_id == IMPORT_RUN]
        if not imported:
            # Begun again, the judgments imported earlier would become the latest run.
            _begin_import(ledger, judges=())
        known = [judge for run in imported for judge in run.judges]
        importer = Importer(ledger, report, ImportedJudges(known, allows_tie=allows_tie))
        yield importer
        if not skip_bad_lines:
            report.raise_if_bad("nothing was imported; mend the lines, or use --skip-bad-lines")
        if not importer.found.total():
            report.raise_if_bad("no line of the file could be used")
        if importer.found[ImportKind.JUDGMENTS]:
            _begin_import(ledger, judges=importer.judges.known)
        complete_run(ledger, IMPORT_RUN)
        report.warn_of_differing()


def import_records(
    path: str, kind: ImportKind, ledger_path: Path, *, allows_tie: bool, skip_bad_lines: bool
) -> ImportResult:
    """Store the records of a JSON Lines file; importing it again adds nothing.

    Raises as `importing` does.
    """
    report = IntakeReport()
    source = source_of(path)
    with importing(
        ledger_path, report, allows_tie=allows_tie, skip_bad_lines=skip_bad_lines
    ) as importer:
        if kind is ImportKind.PAIRS:
            for pairs in chunked(read_pairs(path), pair_chars, report):
                importer.add_pairs(source, pairs)
            if not report.pairs:
                refuse_other_kinds(path)
        elif kind is ImportKind.VOTES:
            for votes in chunked(read_votes_and_answers(path), vote_chars, report):
                given, unmatched = votes_from(importer.ledger, votes)
                report.refuse_all(source, unmatched)
                importer.add_votes(source, given)
        else:
            for judgments in chunked(read_judgments(path), judgment_chars, report):
                importer.add_judgments(source, judgments)
    return importer.result(kind)


def _begin_import(ledger: Ledger, judges: Sequence[RunJudge]) -> None:
    begin_run(
        ledger,
        IMPORT_RUN,
        kind=IMPORT_RUN,
        source="judge import",
        settings={"rule": Rule.CONSERVATIVE.value},
        judges=judges,
        now=_now(),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
