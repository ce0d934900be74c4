"""What lies in a ledger, run by run: how far each has come and what its replies add up to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from judge.job.policy_counts import count_asks
from judge.ledger.facts import deferral_reasons
from judge.ledger.run_facts import ReplyFigures, reply_figures, reply_totals
from judge.ledger.runs import IMPORT_RUN, Run, RunJudge, count_pairs, find_run, list_runs
from judge.ledger.store import Ledger
from judge.outcomes.labelling import count_outcomes
from judge.prices.pricing import Price
from judge.records import Outcome

if TYPE_CHECKING:
    from calibration.report.columns import Expense


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run at a glance."""

    run_id: str
    kind: str
    created_at: str
    source: str
    judges: tuple[str, ...]
    pairs: int
    done: int
    """Asks that have a judgment: one judge, one content, one order."""
    pending: int | None
    """Asks that have none; None for imports, which ask nothing."""
    outcomes: Mapping[str, int]
    """Pairs by outcome; undecided ones by reason, as "undecided: unparsed"."""
    is_complete: bool
    """Whether the whole input has been read."""


@dataclass(frozen=True, slots=True)
class RunDetail:
    """Everything that a ledger tells about one run."""

    summary: RunSummary
    settings: Mapping[str, Any]
    judges: tuple[RunJudge, ...]
    replies: Mapping[str, ReplyFigures]
    """By judge name; a judge that has not replied is not in it."""
    deferrals: tuple[tuple[str, int], ...]
    """Reasons of asks that were given up and still wait, most first."""
    expenses: "Mapping[str, Expense]"
    """By judge name: what its judgments on the pairs of the run took, whatever run asked."""
    usd_per_1000_labels: float | None
    """US dollars of judging for 1,000 usable labels; None where that is unknown."""


def run_summaries(path: Path) -> Iterator[RunSummary]:
    """Yield the runs of a ledger, the one used last at the end; each takes a walk over its pairs.

    Raises LedgerError.
    """
    with Ledger(path, read_only=True) as ledger:
        for run in list_runs(ledger):
            yield _summary(ledger, run)


def run_detail(
    path: Path, run_id: str = "latest", *, prices: Mapping[str, Price] | None = None
) -> RunDetail:
    """Return everything about one run; raises LedgerError where there is no such run.

    `prices`, by model, are for replies that are stored without what they cost.
    """
    from judge.prices.expenses import expenses_of, joint_expense, usd_per_1000_labels  # numpy

    with Ledger(path, read_only=True) as ledger:
        run = find_run(ledger, run_id)
        figures = reply_figures(ledger, run.run_id, run.judge_keys)
        expenses = expenses_of(run, reply_totals(ledger, run), prices=prices)
        summary = _summary(ledger, run)
        return RunDetail(
            summary=summary,
            settings=run.settings,
            judges=run.judges,
            replies={
                judge.name: figures[judge.judge_key]
                for judge in run.judges
                if judge.judge_key in figures
            },
            deferrals=tuple(deferral_reasons(ledger, run.run_id)),
            expenses={
                judge.name: expenses[judge.judge_key]
                for judge in run.judges
                if judge.judge_key in expenses
            },
            usd_per_1000_labels=usd_per_1000_labels(
                joint_expense(expenses.values()), summary.outcomes
            ),
        )


def _summary(ledger: Ledger, run: Run) -> RunSummary:
    counts = count_asks(ledger, run)
    return RunSummary(
        run_id=run.run_id,
        kind=run.kind,
        created_at=run.created_at,
        source=run.source,
        judges=tuple(judge.name for judge in run.judges),
        pairs=count_pairs(ledger, run.run_id),
        done=counts.answered,
        pending=None if run.kind == IMPORT_RUN else counts.open,
        outcomes=_outcomes(ledger, run) if run.judges else {},
        is_complete=run.is_complete,
    )


def _outcomes(ledger: Ledger, run: Run) -> dict[str, int]:
    """Return the counts in the order of the outcomes, undecided reasons at the end."""
    places = {outcome.value: place for place, outcome in enumerate(Outcome)}
    counted = count_outcomes(ledger, run)
    return {
        name: counted[name]
        for name in sorted(counted, key=lambda n: (places.get(n, len(places)), n))
    }
