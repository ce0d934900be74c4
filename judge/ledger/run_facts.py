"""What the facts of one run add up to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, case, func, select, true

from judge.ledger.runs import Run
from judge.ledger.schema import judgments, run_pairs
from judge.ledger.store import Ledger
from judge.ledger.work import is_asked_order, reading_from, readings_of
from judge.prices.pricing import Usage
from judge.records import Reading, Status

NO_TOKENS = Usage(0, 0)


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
        return max(0, self.requests - self.judgments)  # some fail before any request is sent


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
    cost_usd: float
    """Of the replies that are stored with their cost."""
    latency_s: float | None
    """Of all replies, one after another."""
    input_tokens: int | None
    output_tokens: int | None
    unpriced: Usage | None = NO_TOKENS
    """Tokens of the replies that are stored without a cost."""


def reply_totals(ledger: Ledger, run: Run) -> dict[str, ReplyTotals]:
    """Return judge key -> totals over the judgments on pairs of a run, whatever run asked for them.

    A request that was rejected took nothing unless something else was told.
    """
    query = (
        select(judgments.c.judge_key, func.count().label("judgments"), *_totals())
        .where(
            judgments.c.judge_key.in_(run.judge_keys),
            judgments.c.content_id.in_(
                select(run_pairs.c.content_id).where(run_pairs.c.run_id == run.run_id)
            ),
            is_asked_order() if run.one_order else true(),
        )
        .group_by(judgments.c.judge_key)
    )
    with ledger.snapshot() as connection:
        return {row.judge_key: _totals_from(row) for row in connection.execute(query)}


def _totals() -> list[ColumnElement[Any]]:
    is_rejected = judgments.c.status.in_((Status.REFUSED.value, Status.FAILED.value))

    def told(name: str) -> ColumnElement[Any]:
        column = judgments.c[name]
        return case((is_rejected, func.coalesce(column, 0)), else_=column)

    parts: list[ColumnElement[Any]] = [
        case((func.count(told(name)) == func.count(), func.sum(told(name)))).label(name)
        for name in ("latency_s", "input_tokens", "output_tokens")
    ]
    is_unpriced = told("cost_usd").is_(None)
    parts.append(func.coalesce(func.sum(judgments.c.cost_usd), 0.0).label("cost_usd"))
    parts.append(func.count(case((is_unpriced, 1))).label("unpriced"))
    for name in ("input_tokens", "output_tokens"):
        counted = case((is_unpriced, judgments.c[name]))
        parts.append(func.count(counted).label(f"counted_{name}"))
        parts.append(func.coalesce(func.sum(counted), 0).label(f"unpriced_{name}"))
    cached = func.sum(case((is_unpriced, judgments.c.cached_tokens)))
    parts.append(func.coalesce(cached, 0).label("unpriced_cached_tokens"))
    return parts


def _totals_from(row: Row[Any]) -> ReplyTotals:
    unpriced = None
    if row.counted_input_tokens == row.counted_output_tokens == row.unpriced:
        given, made = row.unpriced_input_tokens, row.unpriced_output_tokens
        unpriced = Usage(given, made, row.unpriced_cached_tokens)
    return ReplyTotals(
        judgments=row.judgments,
        cost_usd=row.cost_usd,
        latency_s=row.latency_s,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        unpriced=unpriced,
    )


def readings_on(
    ledger: Ledger,
    content_ids: Sequence[str],
    judge_keys: Sequence[str],
    *,
    one_order: bool = False,
) -> dict[str, list[Reading]]:
    """Return content id -> what some judges have said about it, in the content's orientation."""
    found: dict[str, list[Reading]] = {}
    with ledger.snapshot() as connection:
        query = readings_of(content_ids, judge_keys, one_order=one_order)
        for row in connection.execute(query):
            found.setdefault(row.content_id, []).append(reading_from(row))
    return found
