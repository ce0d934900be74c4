"""What a job has spent, in words. Pure."""

from collections.abc import Iterable, Mapping

from judge.cli.visible import on_one_line
from judge.job.progress import Progress
from judge.prices.budget import Budget
from judge.prices.price_list import Quote


def spent_so_far(budget: Budget | None) -> str:
    """Return what a run has spent of its budgets, and its money where prices are known.

    Nothing where neither a budget nor a price is set.
    """
    if budget is None:
        return ""
    spent, limits = budget.spent, budget.limits
    words = []
    if "usd" in limits:
        words.append(f"{dollars(spent.usd)} of {dollars(limits['usd'])}")
    elif budget.is_priced:
        words.append(dollars(spent.usd))
    if "tokens" in limits:
        words.append(f"{spent.tokens:,} of {limits['tokens']:,} tokens")
    if "requests" in limits:
        words.append(f"{spent.requests:,} of {limits['requests']:,} requests")
    return ", ".join(words)


def spending_fields(budget: Budget | None) -> dict[str, object]:
    """Return the same as fields of a record."""
    if budget is None or not spent_so_far(budget):
        return {}
    spent = budget.spent
    fields: dict[str, object] = {"requests": spent.requests, "tokens": spent.tokens}
    return fields | ({"usd": f"{spent.usd:.4f}"} if budget.is_priced else {})


def spent_in_all(progress: Progress) -> str:
    """Return the tokens of a job and what its run has spent, to follow other words."""
    words = ""
    if progress.input_tokens or progress.output_tokens:
        words = f"; tokens {progress.input_tokens:,} in, {progress.output_tokens:,} out"
    spent = spent_so_far(progress.budget)
    return f"{words}; spent {spent}" if spent else words


def label_price(usd_per_1000: float | None) -> str:
    """Return the price of a usable label, to follow other words; nothing where none is known."""
    return f"; judging {dollars(usd_per_1000)} per 1,000 usable labels" if usd_per_1000 else ""


def price_line(quotes: Mapping[str, Quote], models: Iterable[str]) -> str | None:
    """Return where the prices of models come from, in a line; None where none has a price."""
    known = {model: quotes[model] for model in dict.fromkeys(models) if model in quotes}
    if not known:
        return None
    words = [
        f"{on_one_line(model)} ${quote.price.input_per_million:g} in, "
        f"${quote.price.output_per_million:g} out ({quote.source})"
        for model, quote in known.items()
    ]
    return f"prices per million tokens: {'; '.join(words)}"


def dollars(usd: float) -> str:
    """Return an amount of money with the digits that matter: "$0.0312", "$12.50"."""
    return f"${usd:,.4f}" if usd < 1 else f"${usd:,.2f}"
