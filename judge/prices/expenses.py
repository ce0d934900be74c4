"""What judging took, in calls, money, time and tokens. Pure.

What a reply cost is stored with it. Prices are for replies that were stored without: from a time
when the price was not known, or made elsewhere.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from calibration.report.columns import Expense
from judge.ledger.run_facts import NO_TOKENS, ReplyTotals
from judge.ledger.runs import Run
from judge.prices.pricing import Price, cost_usd
from judge.records import Outcome

Number = TypeVar("Number", int, float)


def expenses_of(
    run: Run, totals: Mapping[str, ReplyTotals], *, prices: Mapping[str, Price] | None = None
) -> dict[str, Expense]:
    """Return judge key -> what the judgments of each judge of the run took, where there are any.

    Where replies are stored without their cost, it is that of their tokens if `prices` has the
    judge's model, and otherwise the whole cost is unknown.
    """
    given = prices or {}
    return {
        judge.judge_key: _expense(totals[judge.judge_key], given.get(judge.model))
        for judge in run.judges
        if judge.judge_key in totals
    }


def joint_expense(expenses: Iterable[Expense]) -> Expense | None:
    """Return what several judges took together; None where there is none."""
    parts = list(expenses)
    if not parts:
        return None
    return Expense(
        judgments=sum(part.judgments for part in parts),
        usd=_total([part.usd for part in parts]),
        seconds=_total([part.seconds for part in parts]),
        input_tokens=_total([part.input_tokens for part in parts]),
        output_tokens=_total([part.output_tokens for part in parts]),
    )


def usd_per_1000_labels(expense: Expense | None, outcomes: Mapping[str, int]) -> float | None:
    """Return US dollars for 1,000 usable labels: a first or a second answer that is better.

    `outcomes` counts pairs by label outcome. None where the cost is unknown or no label is usable.
    """
    usable = outcomes.get(Outcome.FIRST, 0) + outcomes.get(Outcome.SECOND, 0)
    if expense is None or expense.usd is None or not usable:
        return None
    return 1000 * expense.usd / usable


def _expense(totals: ReplyTotals, price: Price | None) -> Expense:
    usd: float | None = totals.cost_usd
    if totals.unpriced is None or (price is None and totals.unpriced != NO_TOKENS):
        usd = None
    elif price is not None:
        usd = totals.cost_usd + cost_usd(price, totals.unpriced)
    return Expense(
        judgments=totals.judgments,
        usd=usd,
        seconds=totals.latency_s,
        input_tokens=totals.input_tokens,
        output_tokens=totals.output_tokens,
    )


def _total(values: Sequence[Number | None]) -> Number | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
