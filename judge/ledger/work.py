"""What a run still has to look at, page by page, so that memory does not grow with the job."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Result, Row, Select, Subquery, case, func, select, true

from judge.ledger.schema import contents, judgments, run_pairs
from judge.ledger.store import Ledger
from judge.records import Order, Reading, Status, Verdict

PAGE_CHARS = 16 * 2**20
"""Texts of one page, in characters; the content that passes it is the page's last."""


@dataclass(frozen=True, slots=True)
class StoredContent:
    """The texts of one pair as they lie in the ledger, in canonical orientation."""

    content_id: str
    prompt_json: str
    reference: str | None
    first_json: str
    second_json: str


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One content of a run and what the run's judges have said about it so far."""

    position: int
    content: StoredContent
    answered: tuple[Reading, ...]


def work_page(
    ledger: Ledger,
    run_id: str,
    judge_keys: Sequence[str],
    *,
    after: int,
    page_size: int,
    one_order: bool = False,
) -> list[WorkItem]:
    """Return the next contents after a position, each with its stored judgments.

    A page of long texts is shorter, so that memory does not grow with the input. With `one_order`
    only the judgments in each pair's single order are looked at, here and below.
    """
    query = (
        select(run_pairs.c.position, contents)
        .join(contents, contents.c.content_id == run_pairs.c.content_id)
        .where(run_pairs.c.run_id == run_id, run_pairs.c.position > after, is_first_mention())
        .order_by(run_pairs.c.position)
        .limit(page_size)
    )
    with ledger.snapshot() as connection:
        rows = fill_page(connection.execute(query))
        answered: dict[str, list[Reading]] = {row.content_id: [] for row in rows}
        for row in connection.execute(readings_of(list(answered), judge_keys, one_order=one_order)):
            answered[row.content_id].append(reading_from(row))
    return [
        WorkItem(
            position=row.position,
            content=StoredContent(row.content_id, row.prompt, row.reference, row.first, row.second),
            answered=tuple(answered[row.content_id]),
        )
        for row in rows
    ]


def count_contents(ledger: Ledger, run_id: str) -> int:
    """Return how many distinct contents a run selects."""
    distinct = func.count(run_pairs.c.content_id.distinct())
    with ledger.snapshot() as connection:
        return connection.scalar(select(distinct).where(run_pairs.c.run_id == run_id)) or 0


def count_answered(
    ledger: Ledger,
    run_id: str,
    judge_keys: Sequence[str],
    *,
    one_order: bool = False,
    samples: int = 1,
) -> Mapping[str, int]:
    """Return judge key -> number of asks of the run that have a judgment.

    An ask is a (content, order, sample), of which `samples` are wanted.
    """
    asked = _asked(run_id, judge_keys, one_order=one_order)
    answered = func.sum(func.min(asked.c.replies, samples))
    query = select(asked.c.judge_key, answered).group_by(asked.c.judge_key)
    with ledger.snapshot() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def count_dropped(
    ledger: Ledger,
    run_id: str,
    judge_keys: Sequence[str],
    *,
    one_order: bool = False,
    samples: int = 1,
) -> int:
    """Return how many asks of a run ended without a verdict, whatever job asked them."""
    asked = _asked(run_id, judge_keys, one_order=one_order)
    replies = func.min(asked.c.replies, samples)
    query = select(func.sum(replies - func.min(asked.c.verdicts, samples)))
    with ledger.snapshot() as connection:
        return connection.scalar(query) or 0


def _asked(run_id: str, judge_keys: Sequence[str], *, one_order: bool) -> Subquery:
    """What was asked of a run and has judgments, each with its numbers of them and of verdicts."""
    selected = select(run_pairs.c.content_id).where(run_pairs.c.run_id == run_id)
    ask = (judgments.c.judge_key, judgments.c.content_id, judgments.c.order)
    return (
        select(
            *ask,
            func.count().label("replies"),
            func.count(judgments.c.verdict).label("verdicts"),
        )
        .where(
            judgments.c.judge_key.in_(judge_keys),
            judgments.c.content_id.in_(selected),
            is_asked_order() if one_order else true(),
        )
        .group_by(*ask)
        .subquery()
    )


def reading_from(row: Row[Any]) -> Reading:
    """Return the reading in a row of `readings_of`, in the content's orientation."""
    return Reading(
        judgment_id=row.judgment_id,
        judge_key=row.judge_key,
        order=Order(row.order),
        sample=row.sample,
        verdict=Verdict(row.verdict) if row.verdict else None,
        status=Status(row.status) if row.status else None,
        probabilities=None if row.p_a is None else (row.p_a, row.p_b, row.p_tie),
        grade=row.grade,
        ratings=_shown_ratings(row.ratings),
    )


def _shown_ratings(
    stored: Mapping[str, Mapping[str, float]] | None,
) -> Mapping[str, tuple[float, float]] | None:
    if stored is None:
        return None
    return {name: (shown["a"], shown["b"]) for name, shown in stored.items()}


def fill_page(rows: Result[Any]) -> list[Row[Any]]:
    """Return rows with texts until they are many or long; at least one if there is one."""
    page: list[Row[Any]] = []
    characters = 0
    with closing(rows):
        while characters < PAGE_CHARS and (row := rows.fetchone()) is not None:
            page.append(row)
            characters += len(row.prompt) + len(row.first) + len(row.second)
    return page


def is_first_mention() -> ColumnElement[bool]:
    """Several given ids may share one content: only the first of a run is work."""
    earlier = run_pairs.alias("earlier")
    return ~(
        select(earlier.c.position)
        .where(
            earlier.c.run_id == run_pairs.c.run_id,
            earlier.c.content_id == run_pairs.c.content_id,
            earlier.c.position < run_pairs.c.position,
        )
        .exists()
    )


def readings_of(
    content_ids: Sequence[str], judge_keys: Sequence[str], *, one_order: bool = False
) -> Select[Any]:
    """The judgments of some judges on some contents, without their texts."""
    return select(
        judgments.c.judgment_id,
        judgments.c.content_id,
        judgments.c.judge_key,
        judgments.c.order,
        judgments.c.sample,
        judgments.c.verdict,
        judgments.c.status,
        judgments.c.p_a,
        judgments.c.p_b,
        judgments.c.p_tie,
        judgments.c.grade,
        judgments.c.ratings,
    ).where(
        judgments.c.content_id.in_(content_ids),
        judgments.c.judge_key.in_(judge_keys),
        is_asked_order() if one_order else true(),
    )


def is_asked_order() -> ColumnElement[bool]:
    """`judge.policy.single_order`, in SQL."""
    is_even = func.substr(judgments.c.content_id, -1).in_(tuple("02468ace"))
    asked = case((is_even, Order.FORWARD.value), else_=Order.REVERSED.value)
    return judgments.c.order == asked
