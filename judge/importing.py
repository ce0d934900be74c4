"""Loading pairs, votes and judgments made elsewhere into a ledger: `judge import`.

A file is taken whole or not at all, unless its bad lines are to be left out.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from judge.formats.judgments import GivenJudgment, read_judgments
from judge.formats.lines import BadLine, Line
from judge.formats.pairs import read_pairs, warnings_of
from judge.formats.tasks import read_votes_and_answers
from judge.handing_over import votes_from
from judge.identity import canonical, judge_key, judgment_id
from judge.intake import CHUNK, CHUNK_CHARS, IntakeReport
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
from judge.ledger.runs import IMPORT_RUN, Run, RunJudge, begin_run, complete_run, list_runs
from judge.ledger.store import Ledger
from judge.records import Judgment, Pair
from judge.verdicts import PARSER

IMPORTED_PROMPT = "imported"
"""Stands for the prompt of judgments made elsewhere, which is not known but for its ties."""
IMPORTED_PROMPT_WITHOUT_TIE = "imported-without-tie"

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
        if all(run.run_id != IMPORT_RUN for run in list_runs(ledger)):
            # Begun again, the judgments imported earlier would become the latest run.
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
    for lines in _chunks(_records(read_pairs(path), report), _pair_chars):
        for line in lines:
            where = f"{_source(path)}:{line.number}"
            report.warn(f"{where}: {warning}" for warning in warnings_of(line.record))
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
    records = _records(read_votes_and_answers(path), report)
    for lines in _chunks(records, lambda vote: len(vote.note or "")):
        given, unmatched = votes_from(ledger, lines)
        added, conflicts = add_votes(ledger, given)
        _refuse(path, [*unmatched, *conflicts], report)
        read += len(given) - len(conflicts)
        new += added
    return read, new


def _import_judgments(
    ledger: Ledger, path: str, report: IntakeReport, *, allows_tie: bool
) -> tuple[int, int]:
    read = new = 0
    judges = {judge.name: judge for run in list_runs(ledger) for judge in _imported(run)}
    records = _records(read_judgments(path), report)
    for lines in _chunks(records, lambda given: len(given.reply)):
        sides = sides_of(ledger, {line.record.pair_id for line in lines})
        accepted: list[tuple[int, Judgment]] = []
        pair_ids: list[str] = []
        for line in lines:
            judge = _run_judge(line.record, allows_tie=allows_tie)
            problem = _problem(line.record, judge, sides, judges)
            if problem is None:
                pair_ids.append(line.record.pair_id)
                side = sides[line.record.pair_id]
                judgment = _judgment(line.record, judge, side, allows_tie=allows_tie)
                accepted.append((line.number, judgment))
            else:
                _refuse(path, [Conflict(line.number, problem)], report)
        added, conflicts = add_judgments(ledger, accepted)
        _refuse(path, conflicts, report)
        with ledger.transaction() as connection:
            select_pairs(connection, IMPORT_RUN, [(id_, sides[id_][0]) for id_ in pair_ids])
        read += len(accepted) - len(conflicts)
        new += added
    _begin_import(ledger, list(judges.values()))
    return read, new


def _imported(run: Run) -> tuple[RunJudge, ...]:
    return run.judges if run.run_id == IMPORT_RUN else ()


def _problem(
    given: GivenJudgment,
    judge: RunJudge,
    sides: Mapping[str, tuple[str, bool]],
    judges: dict[str, RunJudge],
) -> str | None:
    """Return why a judgment cannot be taken, if so; the first to use a judge's name takes it."""
    if given.pair_id not in sides:
        return f'pair_id "{given.pair_id}" is not in the ledger; import its pair first'
    known = judges.setdefault(judge.name, judge)
    if known.model != judge.model:
        return (
            f'judge "{judge.name}" is known with model "{known.model}", here with '
            f'"{judge.model}"; give one of the two another "judge" name'
        )
    if known.prompt != judge.prompt:
        ties = "without" if known.prompt == IMPORTED_PROMPT_WITHOUT_TIE else "with"
        return (
            f'judge "{judge.name}" is known from an import {ties} ties allowed; import this one '
            'alike, or give it another "judge" name'
        )
    return None


def _judgment(
    given: GivenJudgment, judge: RunJudge, side: tuple[str, bool], *, allows_tie: bool
) -> Judgment:
    """Return a given judgment in the orientation of its stored content, read by our parser."""
    content_id, is_exchanged = side
    order = given.order.other if is_exchanged else given.order
    verdict, status, reason = read_reply_text(
        given.reply, given.finish_reason or "stop", allows_tie=allows_tie
    )
    return Judgment(
        judgment_id=judgment_id(content_id, judge.judge_key, order, given.sample),
        content_id=content_id,
        judge_key=judge.judge_key,
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


def _run_judge(given: GivenJudgment, *, allows_tie: bool) -> RunJudge:
    """Return the judge behind an imported reply; its name stands for the settings not known."""
    model = given.model or given.judge
    prompt = IMPORTED_PROMPT if allows_tie else IMPORTED_PROMPT_WITHOUT_TIE
    return RunJudge(
        judge_key=judge_key(model, prompt, {"judge": given.judge}),
        name=given.judge,
        model=model,
        prompt=prompt,
        prompt_digest=prompt,
        sampling={},
    )


def _records(lines: Iterable[Line[R] | BadLine], report: IntakeReport) -> Iterator[Line[R]]:
    """Yield the valid lines; note the others."""
    for line in lines:
        if isinstance(line, BadLine):
            report.refuse(str(line))
        else:
            yield line


def _chunks(lines: Iterator[Line[R]], chars: Callable[[R], int]) -> Iterator[list[Line[R]]]:
    """Yield the lines some at a time; `chars` counts the text of one, so that few are held."""
    chunk: list[Line[R]] = []
    held = 0
    for line in lines:
        chunk.append(line)
        held += chars(line.record)
        if len(chunk) == CHUNK or held >= CHUNK_CHARS:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk


def _pair_chars(pair: Pair) -> int:
    told = (pair.prompt.messages, pair.first.messages, pair.second.messages)
    return sum(len(message.content) for messages in told for message in messages)


def _refuse(path: str, conflicts: Iterable[Conflict], report: IntakeReport) -> None:
    for conflict in conflicts:
        report.refuse(f"{_source(path)}:{conflict.line}: {conflict.problem}")


def _source(path: str) -> str:
    return "<stdin>" if path == "-" else path


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
