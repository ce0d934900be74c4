"""What the facts of one run add up to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import case, func, literal_column, select, true

from judge.ledger.runs import Run
from judge.ledger.schema import judgments, run_pairs
from judge.ledger.store import Ledger
from judge.ledger.work import is_asked_order, reading_from, readings_of
from judge.records import Reading, Status

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


@dataclass(frozen=True, slots=True)
class ReplyTotals:
    """What the replies of one judge add up to; a total is None where a reply lacks its part."""

    judgments: int
    cost_usd: float | None
    latency_s: float | None
    """Of all replies, one after another."""
    input_tokens: int | None
    output_tokens: int | None


def reply_totals(ledger: Ledger, run: Run) -> dict[str, ReplyTotals]:
    """Return judge key -> totals over the judgments on pairs of a run, whatever run asked for them.

    A request that was rejected took nothing unless something else was told.
    """
    selected = select(run_pairs.c.content_id).where(run_pairs.c.run_id == run.run_id)
    is_rejected = judgments.c.status.in_((Status.REFUSED.value, Status.FAILED.value))
    parts = []
    for name in ("cost_usd", "latency_s", "input_tokens", "output_tokens"):
        told = case((is_rejected, func.coalesce(judgments.c[name], 0)), else_=judgments.c[name])
        parts.append(case((func.count(told) == func.count(), func.sum(told))).label(name))
    query = (
        select(judgments.c.judge_key, func.count().label("judgments"), *parts)
        .where(
            judgments.c.judge_key.in_(run.judge_keys),
            judgments.c.content_id.in_(selected),
            is_asked_order() if run.one_order else true(),
        )
        .group_by(judgments.c.judge_key)
    )
    with ledger.snapshot() as connection:
        return {row[0]: ReplyTotals(*row[1:]) for row in connection.execute(query)}


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
