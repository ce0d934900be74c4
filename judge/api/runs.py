"""Twins of `judge runs`: list, show, delete."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from judge.api.base import DEFAULT_LEDGER

if TYPE_CHECKING:
    from judge.job.run_listing import RunDetail, RunSummary
    from judge.ledger.deletion import Deletion
    from judge.prices.pricing import Price


def runs(*, ledger: str | Path = DEFAULT_LEDGER) -> "list[RunSummary]":
    """Return the runs of a ledger with their counts, the one used last at the end."""
    from judge.job.run_listing import run_summaries

    return list(run_summaries(Path(ledger)))


def show_run(
    run: str = "latest",
    *,
    ledger: str | Path = DEFAULT_LEDGER,
    prices: "Mapping[str, Price] | None" = None,
) -> "RunDetail":
    """Return the settings and judges of a run, and what its replies add up to.

    `prices`, by model, are for replies that are stored without what they cost.
    """
    from judge.job.run_listing import run_detail

    return run_detail(Path(ledger), run, prices=prices)


def delete_run(
    run: str,
    *,
    ledger: str | Path = DEFAULT_LEDGER,
    confirm: "Callable[[Deletion], bool] | None" = None,
) -> "Deletion | None":
    """Delete a run with the facts that no other run uses; votes and the pairs they name stay.

    `confirm` is asked with the exact counts before anything is deleted; None where it said no.
    """
    from judge.job.run_deletion import delete_from_ledger

    return delete_from_ledger(Path(ledger), run, confirm=confirm)
