"""What a run has paid for so far, as the ledger tells.

What a reply cost is a fact, stored with it at the prices of its day. Replies from a time when
their price was not known are priced by today's. What has no reply is noted at the end of a job.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, Table, case, func, literal, select
from sqlalchemy.dialects.sqlite import insert

from judge.ledger.runs import Run
from judge.ledger.schema import deferrals, generations, judgments, losses
from judge.ledger.store import Ledger
from judge.prices.budget import Spending
from judge.prices.pricing import Price, Usage, cost_usd

_insert_loss = insert(losses)
SET_LOSS = _insert_loss.on_conflict_do_update(
    set_={name: _insert_loss.excluded[name] for name in ("requests", "tokens", "usd")}
)


def stored_spending(ledger: Ledger, run: Run, prices: Mapping[str, Price]) -> Spending:
    """Return what the judgments cost that a run asked for; those it found stored cost it nothing.

    The requests of asks that were given up count too. Money only for models with a price.
    """
    models = {judge.judge_key: judge.model for judge in run.judges}
    query = _totals(judgments, judgments.c.judge_key, run.run_id, cached=judgments.c.cached_tokens)
    return _sum(ledger, query, models, prices) + _given_up(ledger, run.run_id)


def stored_generation_spending(
    ledger: Ledger, run_id: str, prices: Mapping[str, Price]
) -> Spending:
    """Return what the candidates cost that a run asked for, counted as above."""
    query = _totals(generations, generations.c.model, run_id)
    return _sum(ledger, query, {model: model for model in prices}, prices) + _given_up(
        ledger, run_id
    )


def noted_losses(ledger: Ledger, run_id: str) -> Spending:
    """Return what earlier jobs of a run have noted beyond its stored replies."""
    query = select(losses.c.requests, losses.c.tokens, losses.c.usd)
    with ledger.snapshot() as connection:
        row = connection.execute(query.where(losses.c.run_id == run_id)).first()
    return Spending(*row) if row else Spending()


def note_losses(ledger: Ledger, run_id: str, lost: Spending) -> None:
    """Keep what a run has spent beyond what its stored facts tell, in place of an earlier note."""
    if lost == noted_losses(ledger, run_id):
        return
    row = {"run_id": run_id, "requests": lost.requests, "tokens": lost.tokens, "usd": lost.usd}
    with ledger.transaction() as connection:
        connection.execute(SET_LOSS, row)


def _totals(
    table: Table, asked: Column[str], run_id: str, *, cached: ColumnElement[int] | None = None
) -> Select[Any]:
    """Sums of a run's rows for each judge or model; "unpriced" ones have no cost of their own."""

    def sum_of(column: ColumnElement[Any]) -> ColumnElement[Any]:
        return func.coalesce(func.sum(column), 0)

    def unpriced(column: ColumnElement[int]) -> ColumnElement[Any]:
        return sum_of(case((table.c.cost_usd.is_(None), column)))

    return (
        select(
            asked.label("asked"),
            sum_of(table.c.attempts).label("requests"),
            sum_of(table.c.input_tokens).label("input"),
            sum_of(table.c.output_tokens).label("output"),
            sum_of(table.c.cost_usd).label("usd"),
            unpriced(table.c.input_tokens).label("unpriced_input"),
            unpriced(table.c.output_tokens).label("unpriced_output"),
            (literal(0) if cached is None else unpriced(cached)).label("unpriced_cached"),
        )
        .where(table.c.run_id == run_id)
        .group_by(asked)
    )


def _sum(
    ledger: Ledger, query: Select[Any], models: Mapping[str, str], prices: Mapping[str, Price]
) -> Spending:
    requests, tokens, usd = 0, 0, 0.0
    with ledger.snapshot() as connection:
        for row in connection.execute(query):
            price = prices.get(models.get(row.asked, ""))
            requests += row.requests
            tokens += row.input + row.output
            usd += row.usd
            if price:
                usage = Usage(row.unpriced_input, row.unpriced_output, row.unpriced_cached)
                usd += cost_usd(price, usage)
    return Spending(requests, tokens, usd)


def _given_up(ledger: Ledger, run_id: str) -> Spending:
    """Return the requests of asks that were given up, whether or not a later job got a reply."""
    requests = func.coalesce(func.sum(deferrals.c.attempts), 0)
    with ledger.snapshot() as connection:
        return Spending(
            connection.scalar(select(requests).where(deferrals.c.run_id == run_id)) or 0
        )
