"""Runs: which pairs and which judges a job looks at. Facts belong to no run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from judge.errors import LedgerError
from judge.ledger.schema import (
    batch_asks,
    batch_exports,
    contents,
    deferrals,
    judgments,
    losses,
    pairs,
    reference_checks,
    run_judges,
    run_pairs,
    run_prompts,
    runs,
    tasks,
    votes,
)
from judge.ledger.store import Ledger
from judge.policies.choice import LEFT_OUT, asks_one_order
from judge.references.references import ReferenceStatus

IMPORT_RUN = "import"
ROUNDS_RUN = "rounds"
"""Kind of a run that selects pairs by how others were judged: complete after its last round."""
FIRST_PASS_RUN = "first pass"
"""Kind of a run whose labels only decide which pairs another run judges."""
_GROWING = (ROUNDS_RUN, FIRST_PASS_RUN)


@dataclass(frozen=True, slots=True)
class RunJudge:
    """One judge of a run, as it was when the run began."""

    judge_key: str
    name: str
    model: str
    prompt: str
    prompt_digest: str
    sampling: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """An input selection and its settings."""

    run_id: str
    kind: str
    source: str
    settings: Mapping[str, Any]
    is_complete: bool
    """Whether the whole input has been read into the ledger."""
    created_at: str
    judges: tuple[RunJudge, ...]
    left_out: frozenset[str] = frozenset()
    """Contents that the run asks nothing about, for their doubtful references."""

    @property
    def policy_settings(self) -> Mapping[str, Any]:
        """What its policy follows from: its settings, and what is left out."""
        return {**self.settings, LEFT_OUT: self.left_out} if self.left_out else self.settings

    @property
    def rule(self) -> str:
        return str(self.settings["rule"])

    @property
    def judge_keys(self) -> list[str]:
        return [judge.judge_key for judge in self.judges]

    @property
    def one_order(self) -> bool:
        """Whether each pair is asked in one order only, so that other orders do not count."""
        return asks_one_order(self.settings)


def begin_run(
    ledger: Ledger,
    run_id: str,
    *,
    kind: str,
    source: str,
    settings: Mapping[str, Any],
    judges: Sequence[RunJudge],
    now: str,
) -> Run:
    """Return the run with this id, made if it is new and marked as the newest in use.

    A run whose input was not read to the end starts over with an empty selection, and others of
    that kind are discarded: only one process writes, so whatever read their input is gone. Runs
    with rounds stay as they are: their selection is made anew from the facts.
    """
    with ledger.transaction() as connection:
        _discard(connection, _abandoned(connection, but=run_id))
        row = {
            "run_id": run_id, "kind": kind, "source": source, "created_at": now, "used_at": now,
            "settings": json.dumps(settings, sort_keys=True), "is_complete": False,
        }  # fmt: skip
        renewed = {"used_at": now, "settings": row["settings"], "source": source}
        connection.execute(sqlite_insert(runs).values(row).on_conflict_do_update(set_=renewed))
        for judge in judges:
            values = {
                "run_id": run_id, "judge_key": judge.judge_key, "name": judge.name,
                "model": judge.model, "prompt": judge.prompt,
                "prompt_digest": judge.prompt_digest,
                "sampling": json.dumps(judge.sampling, sort_keys=True),
            }  # fmt: skip
            connection.execute(
                sqlite_insert(run_judges)
                .values(values)
                .on_conflict_do_update(set_={"name": judge.name})
            )
        is_complete = connection.scalar(select(runs.c.is_complete).where(runs.c.run_id == run_id))
        if not is_complete and kind not in (IMPORT_RUN, *_GROWING):
            connection.execute(delete(run_pairs).where(run_pairs.c.run_id == run_id))
    return find_run(ledger, run_id)


def complete_run(ledger: Ledger, run_id: str, *, is_complete: bool = True) -> None:
    """Record that the whole input of a run is in the ledger, or that more of it is to come."""
    with ledger.transaction() as connection:
        told = update(runs).where(runs.c.run_id == run_id).values(is_complete=is_complete)
        connection.execute(told)


def clear_selection(ledger: Ledger, run_id: str) -> None:
    """Have a run select no pairs; the facts about them stay."""
    with ledger.transaction() as connection:
        connection.execute(delete(run_pairs).where(run_pairs.c.run_id == run_id))


def find_run(ledger: Ledger, run_id: str) -> Run:
    """Return a run by id, or for "latest" the one used last that has judges.

    Raises LedgerError, naming the runs there are.
    """
    found = list_runs(ledger)
    if run_id == "latest":
        # One between two rounds is meant too: it must not be mistaken for the one before it.
        delivering = [run for run in found if run.judges and run.kind != FIRST_PASS_RUN]
        judging = [run for run in delivering if run.is_complete or run.kind == ROUNDS_RUN]
        if judging:
            return judging[-1]
        raise LedgerError(
            f"ledger {ledger.path} holds no judgments yet; start with judge run, or judge import"
        )
    for run in found:
        if run.run_id == run_id:
            return run
    known = ", ".join(run.run_id for run in found) or "none"
    raise LedgerError(f'ledger {ledger.path} has no run "{run_id}"; its runs are: {known}')


def list_runs(ledger: Ledger) -> list[Run]:
    """Return all runs, the one used last at the end."""
    with ledger.snapshot() as connection:
        judges: dict[str, list[RunJudge]] = {}
        ordered = select(run_judges).order_by(run_judges.c.run_id, run_judges.c.name)
        for row in connection.execute(ordered):
            judges.setdefault(row.run_id, []).append(_run_judge(row))
        found = connection.execute(select(runs).order_by(runs.c.used_at, runs.c.created_at))
        return [
            Run(
                run_id=row.run_id,
                kind=row.kind,
                source=row.source,
                settings=json.loads(row.settings),
                left_out=_left_out(connection, row),
                is_complete=row.is_complete,
                created_at=row.created_at,
                judges=tuple(judges.get(row.run_id, ())),
            )
            for row in found
        ]


def count_pairs(ledger: Ledger, run_id: str) -> int:
    """Return how many pairs a run selects, counting ids, not contents."""
    with ledger.snapshot() as connection:
        query = select(func.count()).select_from(run_pairs).where(run_pairs.c.run_id == run_id)
        return connection.scalar(query) or 0


def discard_run(ledger: Ledger, run_id: str) -> None:
    """Delete a run whose input turned out bad, and the pairs that nothing else rests on."""
    with ledger.transaction() as connection:
        _discard(connection, [run_id])


def _discard(connection: Connection, run_ids: Sequence[str]) -> None:
    """Delete runs, and those of their pairs that no run selects and no fact names."""
    for run_id in run_ids:
        exports = select(batch_exports.c.export_id).where(batch_exports.c.run_id == run_id)
        connection.execute(delete(batch_asks).where(batch_asks.c.export_id.in_(exports)))
        for table in (
            run_pairs, run_prompts, run_judges, deferrals, losses, batch_exports, runs,
        ):  # fmt: skip
            connection.execute(delete(table).where(table.c.run_id == run_id))
    if run_ids:
        # NOT IN lists are made once; NOT EXISTS would search a table without a fitting index
        # again for every row.
        connection.execute(
            delete(pairs).where(
                pairs.c.pair_id.not_in(select(run_pairs.c.pair_id)),
                pairs.c.pair_id.not_in(select(votes.c.pair_id)),
                pairs.c.pair_id.not_in(select(tasks.c.pair_id)),  # answers are to come
            )
        )
        connection.execute(
            delete(contents).where(
                contents.c.content_id.not_in(select(pairs.c.content_id)),
                contents.c.content_id.not_in(select(judgments.c.content_id)),
            )
        )
        kept = select(contents.c.content_id)
        connection.execute(
            delete(reference_checks).where(reference_checks.c.content_id.not_in(kept))
        )


def _abandoned(connection: Connection, *, but: str) -> Sequence[str]:
    query = select(runs.c.run_id).where(
        runs.c.is_complete.is_(False),
        runs.c.kind.not_in((IMPORT_RUN, *_GROWING)),
        runs.c.run_id != but,
    )
    return connection.scalars(query).all()


def _left_out(connection: Connection, row: Row[Any]) -> frozenset[str]:
    if "doubtful_references" not in row.settings:
        return frozenset()
    doubtful = (
        select(run_pairs.c.content_id)
        .join(reference_checks, reference_checks.c.content_id == run_pairs.c.content_id)
        .where(
            run_pairs.c.run_id == row.run_id,
            reference_checks.c.status == ReferenceStatus.DOUBTFUL.value,
        )
    )
    return frozenset(connection.scalars(doubtful))


def _run_judge(row: Row[Any]) -> RunJudge:
    return RunJudge(
        judge_key=row.judge_key,
        name=row.name,
        model=row.model,
        prompt=row.prompt,
        prompt_digest=row.prompt_digest,
        sampling=json.loads(row.sampling),
    )
