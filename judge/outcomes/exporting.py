"""Delivering the labels of a run as files, with a manifest that says what is in them and what not.

Nothing disappears: pairs = exported + left out by reason, checked before a file takes its place.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from judge.atomic import HashingWriter, atomic_writer
from judge.errors import ConfigError, LedgerError
from judge.formats.labels import label_row
from judge.formats.trl import trl_row
from judge.ledger.facts import votes_on
from judge.ledger.rated import rated_attributes
from judge.ledger.runs import IMPORT_RUN, ROUNDS_RUN, Run, count_pairs, find_run
from judge.ledger.store import Ledger
from judge.outcomes.labelling import count_outcomes, labelled_texts, name_outcome, run_pairs_of
from judge.outcomes.labels import PENDING
from judge.outcomes.margins import MarginSource
from judge.records import Label, Pair
from judge.references.label_references import with_references

UNDECIDED_PENDING = f"undecided: {PENDING}"

RowMaker = Callable[[Pair, Label], dict[str, Any] | None]
"""What becomes of a pair; None leaves it out."""


class ExportFormat(StrEnum):
    """What the rows of an export are."""

    TRL = "trl"
    """Preference rows for TRL: only pairs that one answer won."""
    LABELS = "labels"
    """One row per pair, whatever its outcome."""


class Style(StrEnum):
    """How TRL rows write texts."""

    CONVERSATIONAL = "conversational"
    STANDARD = "standard"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an export holds. Written beside it as NAME.manifest.json, after it."""

    file: str
    format: str
    style: str | None
    rows: int
    sha256: str
    run: str
    rule: str
    is_partial: bool
    """Judgments were still to come when this was written."""
    pairs: int
    """Pairs of the run; rows plus everything left out."""
    left_out: dict[str, int]
    """Pairs that are not in the file, by outcome or reason."""
    judges: list[dict[str, Any]]
    margin: str | None
    """What the column of that name is made of; None for labels, which hold all there is."""
    attributes: list[str]
    """Those whose ratings are columns."""
    agreement: dict[str, Any] | None
    """S1 and S2 with human votes, where there are any; with intervals clustered by prompt."""
    created_at: str


def export_ledger(
    ledger_path: Path,
    out: Path,
    *,
    to: ExportFormat,
    style: Style = Style.CONVERSATIONAL,
    run_id: str = "latest",
    is_partial_allowed: bool = False,
    margin: MarginSource = MarginSource.PROBABILITY,
    with_attributes: bool = False,
) -> Manifest:
    """Write the pairs of a run to `out` and return its manifest, written beside it.

    Only pairs that one answer won become preferences; ties, inconsistent and undecided pairs are
    counted. Raises LedgerError while asks are pending, unless a partial export is allowed, and
    ConfigError where `margin` or `with_attributes` ask for what the judges did not give.
    """
    with Ledger(ledger_path, read_only=True) as ledger:
        if out.exists() and out.samefile(ledger_path):
            raise ConfigError(f"{out} is the ledger itself; write the export to another file")
        run = find_run(ledger, run_id)
        unfinished = _unfinished(ledger, run)
        if unfinished and not is_partial_allowed:
            raise LedgerError(
                f"run {run.run_id}: {unfinished}, or export what there is with --partial"
            )
        attributes = _attributes(ledger, run) if with_attributes else ()
        row = _row_maker(to, style, margin=margin, attributes=attributes)
        file, left_out = _write_file(ledger, run, out, row)
        manifest = Manifest(
            file=out.name,
            format=to.value,
            style=style.value if to is ExportFormat.TRL else None,
            rows=file.rows,
            sha256=file.sha256,
            run=run.run_id,
            rule=run.rule,
            is_partial=unfinished is not None,
            pairs=file.rows + left_out.total(),
            left_out=dict(sorted(left_out.items())),
            judges=[asdict(judge) for judge in run.judges],
            margin=margin.value if to is ExportFormat.TRL else None,
            attributes=list(attributes),
            agreement=_agreement(ledger, run),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
    if out.is_file():  # beside a device or a pipe there is no place for a manifest
        with atomic_writer(manifest_path(out)) as file:
            file.write(to_json(manifest, indent=2) + b"\n")
    return manifest


def manifest_path(out: Path) -> Path:
    """Return where the manifest of an export lies."""
    return out.with_name(out.name + ".manifest.json")


def _unfinished(ledger: Ledger, run: Run) -> str | None:
    """Return what a run still waits for, with the remedy, or None when it is complete."""
    again = "run the same judge run command again to finish"
    pending = count_outcomes(ledger, run)[UNDECIDED_PENDING]
    if run.kind == IMPORT_RUN:
        missing = f"{pending} pairs lack a reply in both orders; import the missing judgments"
        return missing if pending else None
    if not run.is_complete:
        is_growing = run.kind == ROUNDS_RUN
        why = "further rounds follow" if is_growing else "its input was not read to the end"
        return f"{why}; {again} it"
    return f"{pending} pairs still wait for a judgment; {again} them" if pending else None


def _attributes(ledger: Ledger, run: Run) -> tuple[str, ...]:
    found = rated_attributes(ledger, run.run_id, run.judge_keys)
    if not found:
        raise ConfigError(
            f"run {run.run_id}: its judges rated no attributes, so there are no columns to write; "
            "judge with the prompt pair-ratings, or leave out --attributes"
        )
    return found


def _row_maker(
    to: ExportFormat, style: Style, *, margin: MarginSource, attributes: Sequence[str]
) -> RowMaker:
    if to is ExportFormat.LABELS:
        return lambda pair, label: label_row(label)
    is_conversational = style is Style.CONVERSATIONAL
    return lambda pair, label: trl_row(
        pair, label, conversational=is_conversational, margin=margin, attributes=attributes
    )


def _write_file(
    ledger: Ledger, run: Run, out: Path, row: RowMaker
) -> tuple[HashingWriter, Counter[str]]:
    """Return what was written and what was left out; raises LedgerError where a pair is missing."""
    with atomic_writer(out) as file:
        left_out = _write_rows(ledger, run, file, row)
        pairs = count_pairs(ledger, run.run_id)
        if file.rows + left_out.total() != pairs:
            raise LedgerError(
                f"run {run.run_id}: {pairs} pairs became {file.rows} rows and "
                f"{left_out.total()} left out; the ledger changed meanwhile, export again"
            )
    return file, left_out


def _write_rows(ledger: Ledger, run: Run, file: HashingWriter, row: RowMaker) -> Counter[str]:
    """Write what becomes a row and return the rest, counted by outcome or reason."""
    left_out: Counter[str] = Counter()
    for pair, label in with_references(ledger, run, labelled_texts(ledger, run)):
        written = row(pair, label)
        if written is None:
            left_out[name_outcome(label)] += 1
        else:
            file.write_row(to_json(written))
    return left_out


def _agreement(ledger: Ledger, run: Run) -> dict[str, Any] | None:
    """Return the delivered labels' S1 and S2, or None without votes."""
    from judge.trust.audit import (  # numpy: only where it has something to compute
        agreement_of,
        gather,
    )

    votes = list(votes_on(ledger, run.run_id))
    if not votes:
        return None
    found = agreement_of(gather(run, run_pairs_of(ledger, run), votes))
    return {"s1": found.s1.micro.as_dict(), "s2": found.s2.micro.as_dict()}
