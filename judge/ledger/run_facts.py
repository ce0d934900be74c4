"""What the facts of one run add up to, and which pairs two runs share."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import func, select

from judge.ledger.facts import JudgedPair, judged_pairs
from judge.ledger.schema import judgments, pairs, run_pairs
from judge.ledger.store import Ledger

CHUNK = 500


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
    ledger: Ledger, run_id: str, judge_keys: Sequence[str], *, other: str
) -> Iterator[JudgedPair]:
    """Yield the pairs of a run that another run selects too, in the order of the first.

    The readings are those of `judge_keys`, whichever run they belong to. Memory stays flat.
    """
    found = judged_pairs(ledger, run_id, judge_keys)
    while chunk := list(islice(found, CHUNK)):
        selected = _selected_by(ledger, other, [pair.pair_id for pair in chunk])
        yield from (pair for pair in chunk if pair.pair_id in selected)


def _selected_by(ledger: Ledger, run_id: str, pair_ids: Sequence[str]) -> set[str]:
    # By content, for which a run's selection has an index; by pair id it has none.
    contents = select(pairs.c.content_id).where(pairs.c.pair_id.in_(pair_ids))
    query = select(run_pairs.c.pair_id).where(
        run_pairs.c.run_id == run_id, run_pairs.c.content_id.in_(contents)
    )
    with ledger.snapshot() as connection:
        return set(connection.scalars(query))
