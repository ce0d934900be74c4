"""Which parsers read the verdicts of a run."""

from sqlalchemy import select

from judge.ledger.runs import Run
from judge.ledger.schema import judgments, run_pairs
from judge.ledger.store import Ledger


def parsers_of(ledger: Ledger, run: Run) -> dict[str, tuple[str, ...]]:
    """Return judge key -> names and versions of the parsers of its judgments, sorted."""
    selected = select(run_pairs.c.content_id).where(run_pairs.c.run_id == run.run_id)
    query = (
        select(judgments.c.judge_key, judgments.c.parser)
        .where(judgments.c.judge_key.in_(run.judge_keys), judgments.c.content_id.in_(selected))
        .distinct()
        .order_by(judgments.c.judge_key, judgments.c.parser)
    )
    found: dict[str, tuple[str, ...]] = {}
    with ledger.snapshot() as connection:
        for key, parser in connection.execute(query):
            found[key] = (*found.get(key, ()), parser)
    return found
