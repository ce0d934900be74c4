"""What a run has paid for so far, as its stored judgments tell."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Select, Table, func, select

from judge.budget import Spending
from judge.ledger.runs import Run
from judge.ledger.schema import generations, judgments
from judge.ledger.store import Ledger
from judge.pricing import Price, Usage, cost_usd


def spent_by(ledger: Ledger, run: Run, prices: Mapping[str, Price]) -> Spending:
    """Return what the judgments cost that a run asked for; those it found stored cost it nothing.

    Money only for models with a price. Requests that ended without a judgment are not known.
    """
    models = {judge.judge_key: judge.model for judge in run.judges}
    return _sum(ledger, _totals(judgments, judgments.c.judge_key, run.run_id), models, prices)


def spent_on_generations(ledger: Ledger, run_id: str, prices: Mapping[str, Price]) -> Spending:
    """Return what the candidates cost that a run asked for, counted as above."""
    query = _totals(generations, generations.c.model, run_id)
    return _sum(ledger, query, {model: model for model in prices}, prices)


def _totals(table: Table, asked: Column[str], run_id: str) -> Select[Any]:
    return (
        select(
            asked.label("asked"),
            func.coalesce(func.sum(table.c.attempts), 0).label("requests"),
            func.coalesce(func.sum(table.c.input_tokens), 0).label("input"),
            func.coalesce(func.sum(table.c.output_tokens), 0).label("output"),
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
            usage = Usage(row.input, row.output)
            requests += row.requests
            tokens += usage.total_tokens
            usd += cost_usd(price, usage) if price else 0.0
    return Spending(requests, tokens, usd)
