"""Deleting a run with the facts that nothing else rests on. Votes are never deleted.

A judgment stays while another run asks the same judge about the same content; a pair stays while
another run selects it or a person has voted on it; a generated answer stays while another run
selects its prompt.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, false, func, or_, select

from judge.ledger.runs import discard_run
from judge.ledger.schema import (
    contents,
    deferrals,
    generations,
    judgments,
    pairs,
    prompts,
    run_judges,
    run_pairs,
    run_prompts,
    votes,
)
from judge.ledger.store import Ledger


@dataclass(frozen=True, slots=True)
class Deletion:
    """What deleting a run takes away, and what of it stays."""

    run_id: str
    judgments: int
    pairs: int
    contents: int
    """Texts of a prompt and its two answers; several pairs may share one."""
    generations: int
    """Answers of generators to prompts that no other run selects."""
    deferrals: int
    """Notes on asks that were given up."""
    kept_judgments: int
    """Another run asks the same judge about the same content."""
    kept_pairs: int
    """Another run selects them."""
    voted_pairs: int
    """No other run selects them, but people have voted on them: they stay with their votes."""
    votes: int
    """Votes on pairs of the run, all kept."""


class _Declined(Exception):
    """Ends the transaction of a deletion that was not confirmed."""


def delete_run(
    ledger: Ledger, run_id: str, *, confirm: Callable[[Deletion], bool] | None = None
) -> Deletion | None:
    """Delete a run and return what went with it, or None where `confirm` said no.

    `confirm` is asked with the exact counts before anything is committed; a process that dies
    meanwhile has deleted nothing.
    """
    try:
        with ledger.transaction() as connection:
            deletion = _delete(ledger, connection, run_id)
            if confirm is not None and not confirm(deletion):
                raise _Declined
    except _Declined:
        return None
    return deletion


def _delete(ledger: Ledger, connection: Connection, run_id: str) -> Deletion:
    theirs, is_shared = _of_run(run_id), _is_asked_by_another(connection, run_id)
    kept_judgments = _count(connection, judgments, and_(theirs, is_shared))
    kept_pairs, voted_pairs, n_votes = _pairs_that_stay(connection, run_id)
    n_deferrals = _count(connection, deferrals, deferrals.c.run_id == run_id)
    # Before the run itself: its judges and its selection say which judgments are its own.
    deleted = connection.execute(delete(judgments).where(theirs, ~is_shared)).rowcount
    n_generations = _delete_prompts(connection, run_id)
    before = [_count(connection, table) for table in (pairs, contents)]
    discard_run(ledger, run_id)
    after = [_count(connection, table) for table in (pairs, contents)]
    return Deletion(
        run_id=run_id,
        judgments=deleted,
        pairs=before[0] - after[0],
        contents=before[1] - after[1],
        generations=n_generations,
        deferrals=n_deferrals,
        kept_judgments=kept_judgments,
        kept_pairs=kept_pairs,
        voted_pairs=voted_pairs,
        votes=n_votes,
    )


def _delete_prompts(connection: Connection, run_id: str) -> int:
    """Delete the prompts that no other run selects; return how many generations went with them."""
    connection.execute(delete(run_prompts).where(run_prompts.c.run_id == run_id))
    selected = select(run_prompts.c.prompt_key)
    gone = connection.execute(
        delete(generations).where(generations.c.prompt_key.not_in(selected))
    ).rowcount
    connection.execute(delete(prompts).where(prompts.c.prompt_key.not_in(selected)))
    return gone


def _of_run(run_id: str) -> ColumnElement[bool]:
    """Whether a judgment is by a judge of the run on a content of the run."""
    judges = select(run_judges.c.judge_key).where(run_judges.c.run_id == run_id)
    selected = select(run_pairs.c.content_id).where(run_pairs.c.run_id == run_id)
    return and_(judgments.c.judge_key.in_(judges), judgments.c.content_id.in_(selected))


def _is_asked_by_another(connection: Connection, run_id: str) -> ColumnElement[bool]:
    """Whether some other run asks a judgment's judge about a judgment's content.

    Said run by run: in one join SQLite may walk all selections again for every judgment.
    """
    mine = select(run_judges.c.judge_key).where(run_judges.c.run_id == run_id)
    others = select(run_judges.c.judge_key, run_judges.c.run_id).where(
        run_judges.c.run_id != run_id, run_judges.c.judge_key.in_(mine)
    )
    asked = []
    for judge_key, other in connection.execute(others):
        selected = select(run_pairs.c.content_id).where(run_pairs.c.run_id == other)
        asked.append(and_(judgments.c.judge_key == judge_key, judgments.c.content_id.in_(selected)))
    return or_(false(), *asked)


def _pairs_that_stay(connection: Connection, run_id: str) -> tuple[int, int, int]:
    """Return the pairs that other runs select, those that only votes keep, and all votes."""
    selected = select(run_pairs.c.pair_id).where(run_pairs.c.run_id == run_id)
    elsewhere = select(run_pairs.c.pair_id).where(run_pairs.c.run_id != run_id)
    voted = select(votes.c.pair_id)
    shared = and_(pairs.c.pair_id.in_(selected), pairs.c.pair_id.in_(elsewhere))
    alone = and_(pairs.c.pair_id.in_(selected), pairs.c.pair_id.not_in(elsewhere))
    return (
        _count(connection, pairs, shared),
        _count(connection, pairs, and_(alone, pairs.c.pair_id.in_(voted))),
        _count(connection, votes, votes.c.pair_id.in_(selected)),
    )


def _count(connection: Connection, table: Table, *where: ColumnElement[bool]) -> int:
    return connection.scalar(select(func.count()).select_from(table).where(*where)) or 0
