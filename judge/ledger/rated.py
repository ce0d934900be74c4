"""Which attributes the judges of a run rate."""

from collections.abc import Sequence

from sqlalchemy import select

from judge.ledger.schema import judgments, run_pairs
from judge.ledger.store import Ledger


def rated_attributes(ledger: Ledger, run_id: str, judge_keys: Sequence[str]) -> tuple[str, ...]:
    """Return the attributes that the judges rated on the pairs of a run, by judge in their order.

    A judge rates the same attributes in every reply, so one reply of each tells.
    """
    names: dict[str, None] = {}
    with ledger.snapshot() as connection:
        for key in judge_keys:
            one = (
                select(judgments.c.ratings)
                .join(run_pairs, run_pairs.c.content_id == judgments.c.content_id)
                .where(
                    run_pairs.c.run_id == run_id,
                    judgments.c.judge_key == key,
                    judgments.c.ratings.is_not(None),
                )
                .limit(1)
            )
            names |= dict.fromkeys(connection.scalar(one) or ())
    return tuple(names)
