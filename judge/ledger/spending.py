"""What a run has paid for so far, as its stored judgments tell."""

from collections.abc import Mapping

from sqlalchemy import func, select

from judge.budget import Spending
from judge.ledger.runs import Run
from judge.ledger.schema import judgments
from judge.ledger.store import Ledger
from judge.pricing import Price, Usage, cost_usd


def spent_by(ledger: Ledger, run: Run, prices: Mapping[str, Price]) -> Spending:
    """Return what the judgments cost that a run asked for; those it found stored cost it nothing.

    Money only for models with a price. Requests that ended without a judgment are not known.
    """
    query = (
        select(
            judgments.c.judge_key,
            func.coalesce(func.sum(judgments.c.attempts), 0).label("requests"),
            func.coalesce(func.sum(judgments.c.input_tokens), 0).label("input"),
            func.coalesce(func.sum(judgments.c.output_tokens), 0).label("output"),
        )
        .where(judgments.c.run_id == run.run_id)
        .group_by(judgments.c.judge_key)
    )
    models = {judge.judge_key: judge.model for judge in run.judges}
    requests, tokens, usd = 0, 0, 0.0
    with ledger.snapshot() as connection:
        for row in connection.execute(query):
            price = prices.get(models.get(row.judge_key, ""))
            usage = Usage(row.input, row.output)
            requests += row.requests
            tokens += usage.total_tokens
            usd += cost_usd(price, usage) if price else 0.0
    return Spending(requests, tokens, usd)
