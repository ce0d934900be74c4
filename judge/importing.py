"""Loading pairs, votes and judgments made elsewhere into a ledger: `judge import`.

A file is taken whole or not at all, unless its bad lines are to be left out.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TypeVar

from judge.formats.judgments import GivenJudgment, read_judgments
from judge.formats.lines import BadLine, Line
from judge.formats.pairs import read_pairs, warnings_of
from judge.formats.votes import read_votes
from judge.identity import canonical, judge_key, judgment_id
from judge.intake import IntakeReport
from judge.judging import read_reply_text
from judge.labels import Rule
from judge.ledger.intake import (
    Conflict,
    Given,
    add_judgments,
    add_pairs,
    add_votes,
    select_pairs,
    sides_of,
)
from judge.ledger.runs import IMPORT_RUN, RunJudge, begin_run, complete_run
from judge.ledger.store import Ledger
from judge.records import Judgment, Vote
from judge.verdicts import PARSER

CHUNK = 500
IMPORTED_PROMPT = "imported"
"""Stands for the prompt of judgments made elsewhere, which is not known."""

R = TypeVar("R")


class ImportKind(StrEnum):
    """What the lines of an imported file are."""

    PAIRS = "pairs"
    VOTES = "votes"
    JUDGMENTS = "judgments"


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What one import did."""

    kind: ImportKind
    read: int
    """Lines with a valid record."""
    new: int
    """Records that the ledger did not have yet."""
    report: IntakeReport


def import_records(
    path: str, kind: ImportKind, ledger_path: Path, *, allows_tie: bool, skip_bad_lines: bool
) -> ImportResult:
    """Store the records of a JSON Lines file; importing it again adds nothing.

    `allows_tie` says whether [[C]] was offered to the judge of imported judgments. Raises
    InputError with every bad line named, and then stores nothing of the file, unless bad lines
    are to be skipped.
    """
    report = IntakeReport()
    with Ledger(ledger_path) as ledger, ledger.transaction():
        _begin_import(ledger, judges=())
        if kind is ImportKind.PAIRS:
            read, new = _import_pairs(ledger, path, report)
        elif kind is ImportKind.VOTES:
            read, new = _import_votes(ledger, path, report)
        else:
            read, new = _import_judgments(ledger, path, report, allows_tie=allows_tie)
        if not skip_bad_lines:
            remedy = "nothing was imported; mend the lines, or use --skip-bad-lines"
            report.raise_if_bad(remedy)
        if not read:
            report.raise_if_bad("no line of the file could be used")
        complete_run(ledger, IMPORT_RUN)
    return ImportResult(kind, read, new, report)


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


def _import_pairs(ledger: Ledger, path: str, report: IntakeReport) -> tuple[int, int]:
    read = new = 0
    for lines in _chunks(_records(path, read_pairs(path), report)):
        for line in lines:
            report.warn(f"{path}:{line.number}: {w}" for w in warnings_of(line.record))
        given = [Given(line.number, line.record, canonical(line.record)) for line in lines]
        known = sides_of(ledger, [g.pair.pair_id for g in given])
        conflicts = add_pairs(ledger, IMPORT_RUN, given)
        _refuse(path, conflicts, report)
        read += len(given) - len(conflicts)
        refused = {conflict.line for conflict in conflicts}
        new += len(
            {g.pair.pair_id for g in given if g.pair.pair_id not in known and g.line not in refused}
        )
    report.pairs = read
    return read, new


def _import_votes(ledger: Ledger, path: str, report: IntakeReport) -> tuple[int, int]:
    read = new = 0
    for lines in _chunks(_records(path, read_votes(path), report)):
        given: list[tuple[int, Vote]] = [(line.number, line.record) for line in lines]
        added, conflicts = add_votes(ledger, given)
        _refuse(path, conflicts, report)
        read += len(given) - len(conflicts)
        new += added
    return read, new


def _import_judgments(
    ledger: Ledger, path: str, report: IntakeReport, *, allows_tie: bool
) -> tuple[int, int]:
    read = new = 0
    judges: dict[str, RunJudge] = {}
    for lines in _chunks(_records(path, read_judgments(path), report)):
        sides = sides_of(ledger, {line.record.pair_id for line in lines})
        known = [line for line in lines if line.record.pair_id in sides]
        _refuse(path, [_unknown_pair(line) for line in lines if line not in known], report)
        for line in known:
            judge = _run_judge(line.record)
            judges.setdefault(judge.judge_key, judge)
        stored = [
            (line.number, _judgment(line.record, sides[line.record.pair_id], allows_tie))
            for line in known
        ]
        added, conflicts = add_judgments(ledger, stored)
        _refuse(path, conflicts, report)
        with ledger.transaction() as connection:
            pair_ids = [line.record.pair_id for line in known]
            select_pairs(connection, IMPORT_RUN, [(id_, sides[id_][0]) for id_ in pair_ids])
        read += len(known) - len(conflicts)
        new += added
    _begin_import(ledger, list(judges.values()))
    return read, new


def _unknown_pair(line: Line[GivenJudgment]) -> Conflict:
    problem = f'pair_id "{line.record.pair_id}" is not in the ledger; import its pair first'
    return Conflict(line.number, problem)


def _judgment(given: GivenJudgment, side: tuple[str, bool], allows_tie: bool) -> Judgment:
    """Return a given judgment in the orientation of its stored content, read by our parser."""
    content_id, is_exchanged = side
    key = _run_judge(given).judge_key
    order = given.order.other if is_exchanged else given.order
    verdict, status, reason = read_reply_text(
        given.reply, given.finish_reason or "stop", allows_tie=allows_tie
    )
    return Judgment(
        judgment_id=judgment_id(content_id, key, order, given.sample),
        content_id=content_id,
        judge_key=key,
        order=order,
        sample=given.sample,
        reply=given.reply,
        finish_reason=given.finish_reason,
        verdict=verdict,
        status=status,
        reason=reason,
        parser=PARSER,
        created_at=_now(),
    )


def _run_judge(given: GivenJudgment) -> RunJudge:
    model = given.model or given.judge
    return RunJudge(
        judge_key=judge_key(model, IMPORTED_PROMPT, {"judge": given.judge}),
        name=given.judge,
        model=model,
        prompt=IMPORTED_PROMPT,
        prompt_digest=IMPORTED_PROMPT,
        sampling={},
    )


def _records(
    path: str, lines: Iterable[Line[R] | BadLine], report: IntakeReport
) -> Iterator[Line[R]]:
    """Yield the valid lines; note the others."""
    for line in lines:
        if isinstance(line, BadLine):
            report.refuse(str(line))
        else:
            yield line


def _chunks(lines: Iterator[Line[R]]) -> Iterator[list[Line[R]]]:
    while chunk := list(islice(lines, CHUNK)):
        yield chunk


def _refuse(path: str, conflicts: Iterable[Conflict], report: IntakeReport) -> None:
    for conflict in conflicts:
        report.refuse(f"{path}:{conflict.line}: {conflict.problem}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
