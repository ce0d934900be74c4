"""What was said about every content of a run, without texts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from judge.ledger.schema import pairs, run_pairs
from judge.ledger.store import Ledger
from judge.ledger.work import is_first_mention, reading_from, readings_of
from judge.records import Reading

PAGE = 1000


@dataclass(frozen=True, slots=True)
class ReadContent:
    """One content of a run with its readings, in the content's orientation."""

    content_id: str
    prompt_id: str
    readings: tuple[Reading, ...]


def read_contents(ledger: Ledger, run_id: str, judge_keys: Sequence[str]) -> Iterator[ReadContent]:
    """Yield every content of a run once, in input order; memory stays flat."""
    after = -1
    query = (
        select(run_pairs.c.position, run_pairs.c.content_id, pairs.c.prompt_id)
        .join(pairs, pairs.c.pair_id == run_pairs.c.pair_id)
        .where(run_pairs.c.run_id == run_id, is_first_mention())
        .order_by(run_pairs.c.position)
        .limit(PAGE)
    )
    while True:
        with ledger.snapshot() as connection:
            rows = connection.execute(query.where(run_pairs.c.position > after)).all()
            said: dict[str, list[Reading]] = {row.content_id: [] for row in rows}
            for row in connection.execute(readings_of(list(said), judge_keys)):
                said[row.content_id].append(reading_from(row))
        if not rows:
            return
        for row in rows:
            yield ReadContent(row.content_id, row.prompt_id, tuple(said[row.content_id]))
        after = rows[-1].position
