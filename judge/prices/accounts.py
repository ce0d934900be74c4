"""The money side of a run: its budget at the beginning, and what it lost at the end.

A reply is stored with what it cost. What was spent without one, such as on time-outs that may be
on the bill, is noted when the job ends, so that a budget holds over all jobs of a run. A job that
is killed notes nothing: then the requests of its stored facts count, and what was lost does not.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from judge.ledger.runs import Run
from judge.ledger.spending import (
    note_losses,
    noted_losses,
    stored_generation_spending,
    stored_spending,
)
from judge.ledger.store import Ledger
from judge.prices.budget import Budget, Spending
from judge.prices.price_list import prices_of
from judge.prices.pricing import Price
from judge.settings.config import Settings


@dataclass(frozen=True, slots=True)
class Account:
    """What one run may spend, and how to tell what it spent."""

    run_id: str
    budget: Budget
    prices: Mapping[str, Price]
    before: Spending
    """What other parts of the job have spent, which counts towards the same budget."""
    stored: Callable[[Ledger], Spending]
    """What the stored facts of the run tell."""

    def close(self, ledger: Ledger) -> None:
        """Note what the run has spent beyond its stored facts, if this job has sent anything."""
        if self.budget.has_sent:
            paid = self.budget.spent.beyond(self.before)
            note_losses(ledger, self.run_id, paid.beyond(self.stored(ledger)))


def judging_account(
    ledger: Ledger, run: Run, settings: Settings, *, before: Spending | None = None
) -> Account:
    """Return the account of a run that judges; ConfigError for a model without a price it needs."""
    prices = prices_of(settings)
    stored = partial(stored_spending, run=run, prices=prices)
    models = [judge.model for judge in run.judges]
    return _account(ledger, run.run_id, settings, models, prices=prices, stored=stored,
                    before=before or Spending())  # fmt: skip


def generation_account(
    ledger: Ledger, run_id: str, settings: Settings, *, before: Spending | None = None
) -> Account:
    """Return the account of a run that generates; ConfigError as above."""
    prices = prices_of(settings)
    stored = partial(stored_generation_spending, run_id=run_id, prices=prices)
    models = [generator.model for generator in settings.generators]
    return _account(ledger, run_id, settings, models, prices=prices, stored=stored,
                    before=before or Spending())  # fmt: skip


def check_prices(settings: Settings, models: Iterable[str]) -> None:
    """Raise ConfigError if money is limited and one of the models has no price."""
    Budget(usd=settings.run.budget_usd, prices=prices_of(settings)).check_models(models)


def _account(
    ledger: Ledger,
    run_id: str,
    settings: Settings,
    models: Iterable[str],
    *,
    prices: Mapping[str, Price],
    stored: Callable[[Ledger], Spending],
    before: Spending,
) -> Account:
    limits = settings.run
    budget = Budget(
        requests=limits.budget_requests,
        tokens=limits.budget_tokens,
        usd=limits.budget_usd,
        prices=prices,
        spent=stored(ledger) + noted_losses(ledger, run_id) + before,
    )
    budget.check_models(models)
    return Account(run_id, budget, prices, before, stored)
