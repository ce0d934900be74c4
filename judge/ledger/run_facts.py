"""What the facts of one run add up to, and which pairs two runs share."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import func, literal_column, select

from judge.ledger.facts import JudgedPair, judged_pairs
from judge.ledger.runs import Run
from judge.ledger.schema import judgments, pairs, run_pairs, votes
from judge.ledger.store import Ledger
from judge.ledger.work import reading_from, readings_of
from judge.records import Reading

CHUNK = 500
RECENT = 1000
"""Judgments that a latency is measured on."""


@dataclass(frozen=True, slots=True)
class ReplyFigures:
    """What one judge's replies to the pairs of a run add up to."""

    judgments: int
    verdicts: int
    statuses: Mapping[str, int]
    """Judgments without a verdict, by status."""
    requests: int
    """Requests sent for them, the repeated included."""
    input_tokens: int | None
    """As the endpoint counted; None where it never did."""
    output_tokens: int | None
    cost_usd: float | None
    mean_latency_s: float | None
    rewrites: int
    """Places of questions and answers that were neutralised in the prompts."""

    @property
    def retries(self) -> int:
        """Requests beyond one per judgment."""
        return self.requests - self.judgments


def reply_figures(
    ledger: Ledger, run_id: str, judge_keys: Sequence[str]
) -> dict[str, ReplyFigures]:
    """Return judge key -> figures of the judges that have replied to pairs of the run."""
    selected = select(run_pairs.c.content_id).where(run_pairs.c.run_id == run_id)
    theirs = (judgments.c.judge_key.in_(judge_keys), judgments.c.content_id.in_(selected))
    sums = select(
        judgments.c.judge_key,
        func.count().label("judgments"),
        func.count(judgments.c.verdict).label("verdicts"),
        func.sum(judgments.c.attempts).label("requests"),
        func.sum(judgments.c.input_tokens).label("input_tokens"),
        func.sum(judgments.c.output_tokens).label("output_tokens"),
        func.sum(judgments.c.cost_usd).label("cost_usd"),
        func.avg(judgments.c.latency_s).label("mean_latency_s"),
        func.sum(judgments.c.rewrites).label("rewrites"),
    )
    by_status = select(judgments.c.judge_key, judgments.c.status, func.count())
    with ledger.snapshot() as connection:
        statuses: dict[str, dict[str, int]] = {}
        grouped = by_status.where(*theirs, judgments.c.status.is_not(None))
        ordered = grouped.group_by(judgments.c.judge_key, judgments.c.status)
        for key, status, count in connection.execute(ordered.order_by(judgments.c.status)):
            statuses.setdefault(key, {})[status] = count
        return {
            row.judge_key: ReplyFigures(
                statuses=statuses.get(row.judge_key, {}),
                **{name: value for name, value in row._mapping.items() if name != "judge_key"},
            )
            for row in connection.execute(sums.where(*theirs).group_by(judgments.c.judge_key))
        }


def shared_pairs(
    ledger: Ledger, selecting: Run, *, other: Run, judged: Run
) -> Iterator[JudgedPair]:
    """Yield the pairs of a run that another run selects too, in the order of the first.

    The readings are those of the judges of `judged`, which is one of the two. Memory stays flat.
    """
    found = judged_pairs(ledger, selecting.run_id, judged.judge_keys, one_order=judged.one_order)
    while chunk := list(islice(found, CHUNK)):
        selected = _selected_by(ledger, other.run_id, [pair.pair_id for pair in chunk])
        yield from (pair for pair in chunk if pair.pair_id in selected)


def has_votes(ledger: Ledger, run_id: str) -> bool:
    """Return whether people have voted on any pair of a run."""
    selected = select(run_pairs.c.pair_id).where(run_pairs.c.run_id == run_id)
    query = select(votes.c.vote_id).where(votes.c.pair_id.in_(selected)).limit(1)
    with ledger.snapshot() as connection:
        return connection.scalar(query) is not None


def _selected_by(ledger: Ledger, run_id: str, pair_ids: Sequence[str]) -> set[str]:
    # By content, for which a run's selection has an index; by pair id it has none.
    contents = select(pairs.c.content_id).where(pairs.c.pair_id.in_(pair_ids))
    query = select(run_pairs.c.pair_id).where(
        run_pairs.c.run_id == run_id, run_pairs.c.content_id.in_(contents)
    )
    with ledger.snapshot() as connection:
        return set(connection.scalars(query))


def readings_on(
    ledger: Ledger, content_ids: Sequence[str], judge_keys: Sequence[str]
) -> dict[str, list[Reading]]:
    """Return content id -> what some judges have said about it, in the content's orientation."""
    found: dict[str, list[Reading]] = {}
    with ledger.snapshot() as connection:
        for row in connection.execute(readings_of(content_ids, judge_keys)):
            found.setdefault(row.content_id, []).append(reading_from(row))
    return found


def recent_latencies(ledger: Ledger, judge_keys: Sequence[str]) -> dict[str, float]:
    """Return judge key -> mean seconds of its replies among the newest of the ledger."""
    newest = (
        select(judgments.c.judge_key, judgments.c.latency_s)
        .order_by(literal_column("rowid").desc())
        .limit(RECENT)
        .subquery()
    )
    query = (
        select(newest.c.judge_key, func.avg(newest.c.latency_s))
        .where(newest.c.judge_key.in_(judge_keys), newest.c.latency_s.is_not(None))
        .group_by(newest.c.judge_key)
    )
    with ledger.snapshot() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}
