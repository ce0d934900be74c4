"""Checking the references of an input: a model answers by itself, and its answers are compared.

Both steps are generations of the ledger: own answers are replies to the questions, comparisons
are replies to prompts that show a reference and an own answer. Pool, throttle, budget and resuming
are therefore those of `judge generate`, and no reply is ever paid twice.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic_core import to_json

from judge.atomic import atomic_writer
from judge.candidates.generating import GenerateResult, Wave, generate_job
from judge.candidates.ready_generators import resolved_generators
from judge.errors import InputError
from judge.formats.lines import BadLine
from judge.formats.pairs import pair_row
from judge.formats.prompts import prompt_row
from judge.identity import canonical, prompt_id_of
from judge.inputs.intake import IntakeReport, Selection, selected_lines
from judge.inputs.mapping import TableMap
from judge.job.desk import Stop
from judge.job.progress import Progress
from judge.job.showing import question_of
from judge.ledger.candidates import candidates_of
from judge.ledger.references import CheckedContent, store_checks
from judge.ledger.store import Ledger
from judge.prices.budget import Spending
from judge.records import Candidate, Message, Pair, Prompt
from judge.references.reference_settings import answering_settings, comparing_settings
from judge.references.references import (
    ReferenceCheck,
    ReferenceStatus,
    Saying,
    check_of,
    is_plainly_same,
    read_saying,
)
from judge.settings.config import Settings
from prompts.reference_prompts import comparison

CHUNK = 500


@dataclass(frozen=True, slots=True)
class ReferenceJob:
    """Which references are to be checked."""

    path: str
    selection: Selection = field(default_factory=Selection)
    skip_bad_lines: bool = False
    mapping: TableMap | None = None
    out: Path | None = None
    """Where the pairs with a doubtful reference are written, with the model's own answers."""


@dataclass(frozen=True, slots=True)
class ReferenceResult:
    """What a check came to, counted by distinct question and reference."""

    statuses: Mapping[ReferenceStatus, int]
    pairs: Mapping[ReferenceStatus, int]
    """Pairs of the input by what their reference came to."""
    without_reference: int
    """Pairs that have none."""
    unanswered: int
    """References that still wait for an own answer or a comparison."""
    plainly_same: int
    """Own answers that needed no comparison."""
    compared: int
    spent: Spending
    ended: GenerateResult
    """The last of the two steps that was begun."""

    @property
    def exit_code(self) -> int:
        """0 ok, 4 or 5 ended early (resumable)."""
        if self.unanswered or self.ended.progress.pending:
            return 4 if self.ended.progress.done or self.ended.spent.requests else 5
        return 0


@dataclass(frozen=True, slots=True)
class _Answered:
    """The own answers to one question, and what is known of them before they are compared."""

    prompt: Prompt
    answers: tuple[str, ...]

    @property
    def plain(self) -> list[bool]:
        reference = self.prompt.reference or ""
        return [is_plainly_same(reference, answer) for answer in self.answers]


async def check_references(
    job: ReferenceJob,
    settings: Settings,
    ledger_path: Path,
    *,
    stop: Stop | None = None,
    on_start: Callable[[Progress, IntakeReport], None] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> ReferenceResult:
    """Check every reference of an input and return what came of it; resumes by itself.

    What a check came to is stored by content, so that labels can tell. Raises ConfigError,
    InputError or LedgerError before anything is asked.
    """
    stop = stop or Stop()
    answering, comparing = answering_settings(settings), comparing_settings(settings)
    questions = ledger_path.with_name(f"{ledger_path.name}.reference-questions.jsonl")
    comparisons = ledger_path.with_name(f"{ledger_path.name}.reference-comparisons.jsonl")
    ledger_path.parent.mkdir(parents=True, exist_ok=True)
    count, without = _write_questions(job, questions)
    own = await generate_job(
        str(questions), answering, ledger_path,
        stop=stop, on_start=on_start, wave=Wave(count, Spending()), environ=environ,
    )  # fmt: skip
    plain, compared = _write_comparisons(ledger_path, own.run_id, answering, comparisons)
    ended = own
    if compared and own.cause is None and not stop.event.is_set():
        ended = await generate_job(
            str(comparisons), comparing, ledger_path,
            stop=stop, on_start=on_start, wave=Wave(compared, own.spent), environ=environ,
        )  # fmt: skip
    sayings = _sayings(ledger_path, ended.run_id, comparing) if ended is not own else {}
    checks = _checks(ledger_path, own.run_id, answering, sayings)
    statuses = Counter(check.status for check, _ in checks.values())
    key = next(iter(resolved_generators(answering)[0].variants))
    pairs = _store(job, ledger_path, checks, checker_key=key)
    return ReferenceResult(
        statuses=statuses, pairs=pairs, without_reference=without,
        unanswered=count - len(checks), plainly_same=plain, compared=compared,
        spent=ended.spent, ended=ended,
    )  # fmt: skip


def _pairs(job: ReferenceJob) -> Iterator[Pair]:
    report = IntakeReport()
    for line in selected_lines(job.path, job.selection, job.mapping):
        if isinstance(line, BadLine):
            report.refuse(str(line))
        else:
            yield line.record
    if not job.skip_bad_lines:
        report.raise_if_bad(
            "nothing was asked; mend the lines, or leave them out with --skip-bad-lines"
        )


def _key(prompt: Prompt) -> str:
    return prompt_id_of(prompt.messages, prompt.reference)


def _write_questions(job: ReferenceJob, path: Path) -> tuple[int, int]:
    """Write each question with its reference once; return how many, and pairs without one."""
    seen: set[str] = set()
    without = 0
    with atomic_writer(path) as file:
        for pair in _pairs(job):
            prompt = pair.prompt
            if prompt.reference is None or not prompt.reference.strip():
                without += 1
            elif (key := _key(prompt)) not in seen:
                seen.add(key)
                asked = prompt.model_copy(update={"prompt_id": key, "tags": {}})
                file.write_row(to_json(prompt_row(asked)))
        if not seen:
            raise InputError(
                f'{job.path}: none of its {without:,} pairs has a "reference", so there is nothing '
                "to check; give the pairs one, or judge them with a prompt such as pair-tie"
            )
    return len(seen), without


def _answered(ledger_path: Path, run_id: str, answering: Settings) -> Iterator[_Answered]:
    """Yield every question of a run whose own answers have all come."""
    slots = resolved_generators(answering)[0].slots
    with Ledger(ledger_path, read_only=True) as ledger:
        for prompt, candidates in candidates_of(ledger, run_id, slots):
            yield _Answered(prompt, tuple(candidate.text for candidate in candidates))


def _write_comparisons(
    ledger_path: Path, run_id: str, answering: Settings, path: Path
) -> tuple[int, int]:
    """Write what must be compared by the model; return answers plainly the same, and the rest."""
    plain = compared = 0
    with atomic_writer(path) as file:
        for one in _answered(ledger_path, run_id, answering):
            question = question_of([message.row for message in one.prompt.messages])
            for number, (answer, is_same) in enumerate(zip(one.answers, one.plain, strict=True)):
                if is_same:
                    plain += 1
                    continue
                compared += 1
                asked = comparison(
                    question=question, reference=one.prompt.reference or "", answer=answer
                )
                messages = (
                    Message(role="system", content=asked.system),
                    Message(role="user", content=asked.user),
                )
                row = prompt_row(
                    Prompt(prompt_id=f"{one.prompt.prompt_id}-{number}", messages=messages)
                )
                file.write_row(to_json(row))
    return plain, compared


def _sayings(ledger_path: Path, run_id: str, comparing: Settings) -> dict[str, Saying]:
    """Return what each comparison that has come says, by the id it was asked under."""
    slots = resolved_generators(comparing)[0].slots
    with Ledger(ledger_path, read_only=True) as ledger:
        return {
            prompt.prompt_id: read_saying(_text(found))
            for prompt, found in candidates_of(ledger, run_id, slots)
        }


def _text(found: list[Candidate]) -> str:
    return found[0].text if found else ""


def _checks(
    ledger_path: Path, run_id: str, answering: Settings, sayings: Mapping[str, Saying]
) -> dict[str, tuple[ReferenceCheck, tuple[str, ...]]]:
    """Return the check of every reference that lacks nothing, with own answers where doubtful."""
    asked = answering.references.samples
    checks: dict[str, tuple[ReferenceCheck, tuple[str, ...]]] = {}
    for one in _answered(ledger_path, run_id, answering):
        key = one.prompt.prompt_id
        said = [
            Saying.SAME if is_same else sayings.get(f"{key}-{number}")
            for number, is_same in enumerate(one.plain)
        ]
        known = [saying for saying in said if saying is not None]
        if len(known) < len(said):
            continue
        check = check_of(known, asked=asked)
        is_doubtful = check.status is ReferenceStatus.DOUBTFUL
        checks[key] = (check, one.answers if is_doubtful else ())
    return checks


def _store(
    job: ReferenceJob,
    ledger_path: Path,
    checks: Mapping[str, tuple[ReferenceCheck, tuple[str, ...]]],
    *,
    checker_key: str,
) -> Counter[ReferenceStatus]:
    """Store the checks by content, write out the doubtful, and count the pairs by status."""
    found: Counter[ReferenceStatus] = Counter()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger(ledger_path))
        file = stack.enter_context(atomic_writer(job.out)) if job.out else None
        chunk: dict[str, CheckedContent] = {}
        for pair in _pairs(job):
            if (checked := checks.get(_key(pair.prompt))) is None:
                continue
            check, answers = checked
            content_id = canonical(pair).content_id
            chunk[content_id] = CheckedContent(content_id, checker_key, check)
            found[check.status] += 1
            if file is not None and check.status is ReferenceStatus.DOUBTFUL:
                told = {"same": check.same, "different": check.different, "unsure": check.unsure}
                row = {**pair_row(pair), "reference_check": {**told, "own_answers": answers}}
                file.write_row(to_json(row))
            if len(chunk) >= CHUNK:
                store_checks(ledger, chunk.values(), now=now)
                chunk.clear()
        store_checks(ledger, chunk.values(), now=now)
    return found
