"""What goes to people and comes back: tasks drawn from a run, answers that become votes.

The module is not called `handoff`: a submodule of that name would hide the function
`judge.handoff`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from pydantic_core import to_json

from judge.atomic import HashingWriter, atomic_writer
from judge.errors import ConfigError, LedgerError
from judge.formats.lines import Line
from judge.formats.tasks import Answer, task_row, vote_from
from judge.inputs.intake import input_digest
from judge.ledger.handoffs import (
    Batch,
    add_batch,
    count_prompts,
    find_batch,
    find_tasks,
    set_aside,
    task_texts,
    tasks_in,
)
from judge.ledger.intake import Conflict
from judge.ledger.runs import Run, find_run
from judge.ledger.store import Ledger
from judge.outcomes.labelling import labelled_pairs
from judge.outcomes.labels import PENDING
from judge.people.drawing import Draw, Lottery, Task, draw
from judge.people.guidelines import guidelines_digest, guidelines_text
from judge.records import Outcome, Vote

INCLUDABLE = (Outcome.INCONSISTENT, Outcome.TIE, Outcome.UNDECIDED)
"""Outcomes that can be handed over whole: those where the judges leave something to decide."""


@dataclass(frozen=True, slots=True)
class HandoffSettings:
    """What a batch is to hold. Raises ConfigError for what cannot be drawn."""

    n: int
    """Pairs of the audit, drawn uniformly."""
    include: frozenset[Outcome] = frozenset()
    """Outcomes whose pairs are all handed over, beside the audit."""
    seed: int = 0
    is_again: bool = False
    """Whether pairs that were handed off or voted on may be drawn."""
    batch: str | None = None
    """Its name; by default one made of the other settings and the run."""

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ConfigError(f"--n {self.n}: give how many pairs to draw, 0 or more")
        for outcome in self.include:
            if outcome not in INCLUDABLE:
                raise ConfigError(f"--include {outcome}: give one of {', '.join(INCLUDABLE)}")
        if not self.n and not self.include:
            raise ConfigError(
                "--n 0 draws nothing; give how many pairs to draw, or --include OUTCOME"
            )
        name = self.batch
        if name is not None and not (name.strip() and name.isprintable() and len(name) <= 100):
            raise ConfigError("--batch: give a name of 1 to 100 printable characters")

    def name_for(self, run: Run) -> str:
        """Return the name of the batch of these settings from a run."""
        drawn = [run.run_id, self.n, sorted(self.include), self.seed, self.is_again]
        return self.batch or f"batch-{sha256(to_json(drawn)).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class Handoff:
    """What was handed over. The ledger keeps which pair a task is of; the files do not say."""

    batch: Batch
    tasks: tuple[Task, ...]
    """In the order of the file."""
    prompts: int
    """Distinct prompts of all tasks."""
    audit_prompts: int
    """Distinct prompts of the audit: what its intervals will be clustered by."""
    is_repeat: bool
    """Whether the batch was there already and its files were written once more."""
    out: Path
    guidelines: Path
    sha256: str
    """Of the task file."""

    @property
    def audit_tasks(self) -> int:
        return sum(task.is_audit for task in self.tasks)

    @property
    def included_tasks(self) -> Mapping[Outcome, int]:
        """Tasks by the outcome that was asked for whole, zeros included."""
        found = Counter(task.included_as for task in self.tasks)
        return {outcome: found[outcome] for outcome in self.batch.include}


def hand_over(
    ledger_path: Path,
    out: Path,
    *,
    settings: HandoffSettings,
    run_id: str = "latest",
    guidelines_out: Path | None = None,
) -> Handoff:
    """Store a batch drawn from a run, write its tasks to `out` and guidelines beside it.

    Only labelled pairs are drawn, one for each content, and those handed off or voted on before
    only if asked for. The batch is on the disk before its files take their place, and repeating
    the call writes the same files. Raises ConfigError where a file or a batch of that name is
    there already and differs, LedgerError where there is nothing to draw; nothing is stored then.
    """
    guidelines = guidelines_out or out.with_name(f"{out.stem}.guidelines.md")
    with Ledger(ledger_path, read_only=True) as ledger:
        # A writer would make the file that a mistyped path names.
        find_run(ledger, run_id)
    _check_paths(ledger_path, out, guidelines)
    with (
        Ledger(ledger_path) as ledger,
        atomic_writer(guidelines) as guidelines_file,
        atomic_writer(out) as file,
        ledger.transaction(),
    ):
        run = find_run(ledger, run_id)
        known = find_batch(ledger, settings.name_for(run))
        batch = _repeated(known, run, settings) if known else _drawn(ledger, run, settings)
        _write(ledger, batch, file, guidelines_file)
        for path, written in ((out, file), (guidelines, guidelines_file)):
            _refuse_replacing(path, written)
        tasks = tuple(tasks_in(ledger, batch.name))
        audit_prompts, prompts = count_prompts(ledger, batch.name)
    is_repeat = known is not None
    return Handoff(batch, tasks, prompts, audit_prompts, is_repeat, out, guidelines, file.sha256)


def votes_from(
    ledger: Ledger, lines: Sequence[Line[Vote | Answer]]
) -> tuple[list[tuple[int, Vote]], list[Conflict]]:
    """Return the votes on some lines with their line numbers, answers un-shuffled, and the rest.

    Answers are matched with the tasks of the ledger; one to an unknown task is a conflict.
    """
    answers = [line.record for line in lines if isinstance(line.record, Answer)]
    tasks = find_tasks(ledger, {answer.task_id for answer in answers})
    given: list[tuple[int, Vote]] = []
    conflicts: list[Conflict] = []
    for line in lines:
        if isinstance(line.record, Vote):
            given.append((line.number, line.record))
        elif (task := tasks.get(line.record.task_id)) is not None:
            given.append((line.number, vote_from(line.record, task)))
        else:
            problem = (
                f'task_id "{line.record.task_id}" is of no batch in this ledger; correct it, or '
                "import into the ledger that it was handed off from"
            )
            conflicts.append(Conflict(line.number, problem))
    return given, conflicts


def _drawn(ledger: Ledger, run: Run, settings: HandoffSettings) -> Batch:
    """Draw a new batch and store it."""
    if not run.is_complete:
        raise LedgerError(
            f"run {run.run_id}: its input was not read to the end; "
            "run the same judge run command again to finish it"
        )
    excluded: Counter[str] = Counter()
    frame = _frame(ledger, run, excluded, is_again=settings.is_again)
    lottery = Lottery(settings.name_for(run), settings.seed)
    drawn = draw(frame, lottery, n=settings.n, include=settings.include)
    if not drawn.tasks:
        raise LedgerError(_nothing(run, drawn, excluded))
    batch = Batch(
        name=lottery.batch,
        run_id=run.run_id,
        rule=run.rule,
        seed=settings.seed,
        n=settings.n,
        include=tuple(sorted(settings.include)),
        is_again=settings.is_again,
        frame_size=drawn.frame_size,
        excluded=dict(sorted(excluded.items())),
        audit_probability=drawn.audit_probability,
        guidelines_digest=guidelines_digest(),
        created_at=datetime.now(UTC).isoformat(timespec="microseconds"),
    )
    add_batch(ledger, batch, drawn.tasks)
    return batch


def _frame(
    ledger: Ledger, run: Run, excluded: Counter[str], *, is_again: bool
) -> Iterator[tuple[str, Outcome]]:
    """Yield the pairs of a run that can be drawn, and count the others by reason."""
    aside = set_aside(ledger, run.run_id, is_again=is_again)
    for pair, label in labelled_pairs(ledger, run):
        reason = aside.get(pair.pair_id)
        if reason is None and label.reason == PENDING:
            reason = PENDING
        if reason is None:
            yield pair.pair_id, label.outcome
        else:
            excluded[reason] += 1


def _nothing(run: Run, drawn: Draw, excluded: Mapping[str, int]) -> str:
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(excluded.items()))
    if drawn.frame_size:
        return (
            f"run {run.run_id}: none of its {drawn.frame_size:,} pairs that can be drawn has an "
            "outcome that was asked for; draw an audit with --n, or --include another outcome"
        )
    return (
        f"run {run.run_id}: no pair can be drawn ({reasons or 'it has none'}); finish the run if "
        "pairs are pending, or draw pairs once more with --again"
    )


def _repeated(known: Batch, run: Run, settings: HandoffSettings) -> Batch:
    """Return the known batch if the same settings made it."""
    was = _flags(known.run_id, known.n, known.seed, known.include, known.is_again)
    now = _flags(run.run_id, settings.n, settings.seed, settings.include, settings.is_again)
    if was == now:
        return known
    raise ConfigError(
        f'batch "{known.name}" was handed off with {_only(was, now)}, and now {_only(now, was)} '
        "is given; repeat it as it was, or give another --batch"
    )


def _flags(
    run_id: str, n: int, seed: int, include: Sequence[Outcome] | frozenset[Outcome], is_again: bool
) -> list[str]:
    outcomes = [f"--include {outcome}" for outcome in sorted(include)]
    again = "--again" if is_again else "no --again"
    return [f"--run {run_id}", f"--n {n}", f"--seed {seed}", " ".join(outcomes) or "no --include",
            again]  # fmt: skip


def _only(flags: Sequence[str], others: Sequence[str]) -> str:
    return " ".join(flag for flag in flags if flag not in others)


def _check_paths(ledger_path: Path, out: Path, guidelines: Path) -> None:
    for path in (out, guidelines):
        if path.exists() and path.samefile(ledger_path):
            raise ConfigError(f"{path} is the ledger itself; write to another file")
    if out.resolve() == guidelines.resolve():
        raise ConfigError(f"{out}: tasks and guidelines need a file each; name another")


def _write(
    ledger: Ledger, batch: Batch, file: HashingWriter, guidelines_file: HashingWriter
) -> None:
    for item in task_texts(ledger, batch.name):
        file.write_row(to_json(task_row(item.task, item.prompt, item.first, item.second)))
    text = guidelines_text(batch=batch.name, tasks=file.rows, tasks_digest=file.sha256)
    guidelines_file.write(text.encode())


def _refuse_replacing(path: Path, written: HashingWriter) -> None:
    """Refuse to put other bytes in place of a file: answers may have been written into it."""
    if path.is_file() and input_digest(str(path)) != written.sha256:
        raise ConfigError(f"{path} exists with other content; move it away or name another file")
