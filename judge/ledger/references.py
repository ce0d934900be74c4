"""What the checks of reference answers came to, by content."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import case, func, select
from sqlalchemy.dialects.sqlite import insert

from judge.ledger.schema import contents, reference_checks, run_pairs
from judge.ledger.store import Ledger
from judge.references.references import ReferenceCheck, ReferenceStatus


class CheckedContent(NamedTuple):
    """One content whose reference was checked, and by whom."""

    content_id: str
    checker_key: str
    check: ReferenceCheck


def store_checks(ledger: Ledger, checks: Iterable[CheckedContent], *, now: str) -> None:
    """Store checks in place of earlier ones of the same contents."""
    rows = [
        {
            "content_id": checked.content_id,
            "checker_key": checked.checker_key,
            "status": checked.check.status.value,
            "same": checked.check.same,
            "different": checked.check.different,
            "unsure": checked.check.unsure,
            "created_at": now,
        }
        for checked in checks
    ]
    if not rows:
        return
    statement = insert(reference_checks)
    renewed = {name: statement.excluded[name] for name in rows[0] if name != "content_id"}
    with ledger.transaction() as connection:
        connection.execute(statement.on_conflict_do_update(set_=renewed), rows)


def reference_statuses(ledger: Ledger, content_ids: Sequence[str]) -> Mapping[str, ReferenceStatus]:
    """Return content id -> status, for those of the contents whose reference was checked."""
    columns = (reference_checks.c.content_id, reference_checks.c.status)
    query = select(*columns).where(reference_checks.c.content_id.in_(content_ids))
    with ledger.snapshot() as connection:
        return {row[0]: ReferenceStatus(row[1]) for row in connection.execute(query)}


def has_checks(ledger: Ledger, run_id: str) -> bool:
    """Return whether the reference of any pair of a run was checked."""
    query = (
        select(reference_checks.c.content_id)
        .join(run_pairs, run_pairs.c.content_id == reference_checks.c.content_id)
        .where(run_pairs.c.run_id == run_id)
        .limit(1)
    )
    with ledger.snapshot() as connection:
        return connection.scalar(query) is not None


def count_without_reference(ledger: Ledger, run_id: str) -> tuple[int, int]:
    """Return how many pairs of a run have no reference, and how many it has."""
    lacking = func.sum(case((func.trim(func.coalesce(contents.c.reference, "")) == "", 1), else_=0))
    query = (
        select(lacking, func.count())
        .select_from(run_pairs)
        .join(contents, contents.c.content_id == run_pairs.c.content_id)
        .where(run_pairs.c.run_id == run_id)
    )
    with ledger.snapshot() as connection:
        found, total = connection.execute(query).one()
        return found or 0, total
