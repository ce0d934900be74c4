"""Loading pairs and votes from a table of other column names into a ledger."""

from collections.abc import Sequence
from pathlib import Path

from judge.errors import ConfigError
from judge.formats.lines import Line
from judge.formats.mapped import MappedRow
from judge.identity import canonical
from judge.inputs.importing import Importer, ImportKind, ImportResult, importing
from judge.inputs.intake import IntakeReport, Selection, chunked, selected_rows, source_of
from judge.inputs.mapping import TableMap
from judge.inputs.text_lengths import row_chars
from judge.ledger.intake import Given
from judge.ledger.known import find_clashes


def import_table(
    path: str,
    mapping: TableMap,
    ledger_path: Path,
    *,
    kind: ImportKind | None = None,
    selection: Selection | None = None,
    skip_bad_lines: bool,
) -> ImportResult:
    """Store the pairs and the votes of a table, or only one of them; again, it adds nothing.

    Votes alone are taken only where the ledger has their pairs just as the rows tell them, so
    that none can change sides. Raises as `importing` does, and ConfigError for a kind that the
    map does not give.
    """
    kinds = _kinds(mapping, kind)
    report = IntakeReport()
    rows = selected_rows(path, selection or Selection(), mapping)
    with importing(ledger_path, report, allows_tie=True, skip_bad_lines=skip_bad_lines) as importer:
        for chunk in chunked(rows, row_chars, report):
            if kind is None:
                importer.add_rows(path, mapping, chunk)
            elif kind is ImportKind.PAIRS:
                lines = [Line(row.number, row.record.pair) for row in chunk]
                importer.add_pairs(source_of(path), lines, note=mapping.id_note)
            else:
                _add_votes_alone(importer, source_of(path), chunk)
    return importer.result(*kinds)


def _kinds(mapping: TableMap, kind: ImportKind | None) -> tuple[ImportKind, ...]:
    if kind is ImportKind.JUDGMENTS:
        raise ConfigError("--kind judgments: a map gives pairs and votes; leave out one of the two")
    if kind is ImportKind.VOTES and not mapping.has_votes:
        raise ConfigError("--kind votes: the map names none; add vote:ANNOTATOR=COLUMN to --map")
    if kind is not None:
        return (kind,)
    return (ImportKind.PAIRS, ImportKind.VOTES) if mapping.has_votes else (ImportKind.PAIRS,)


def _add_votes_alone(importer: Importer, source: str, rows: Sequence[Line[MappedRow]]) -> None:
    given = [Given(row.number, row.record.pair, canonical(row.record.pair)) for row in rows]
    clashes = find_clashes(importer.ledger, given)
    importer.report.refuse_all(source, clashes)
    refused = {clash.line for clash in clashes}
    usable = [row for row in rows if row.number not in refused]
    importer.add_votes(source, [(row.number, vote) for row in usable for vote in row.record.votes])
