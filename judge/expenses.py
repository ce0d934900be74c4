"""What judging took, in calls, money, time and tokens. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from calibration.report.columns import Expense
from judge.ledger.run_facts import ReplyTotals
from judge.ledger.runs import Run
from judge.pricing import Price, Usage, cost_usd

Number = TypeVar("Number", int, float)


def expenses_of(
    run: Run, totals: Mapping[str, ReplyTotals], *, prices: Mapping[str, Price] | None = None
) -> dict[str, Expense]:
    """Return judge key -> what the judgments of each judge of the run took, where there are any.

    Where no endpoint told the cost, it is that of the tokens if `prices` has the judge's model.
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


def _expense(totals: ReplyTotals, price: Price | None) -> Expense:
    usd, made = totals.cost_usd, totals.output_tokens
    if usd is None and price and totals.input_tokens is not None and made is not None:
        usd = cost_usd(price, Usage(totals.input_tokens, made))
    return Expense(totals.judgments, usd, totals.latency_s, totals.input_tokens, made)


def _total(values: Sequence[Number | None]) -> Number | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
