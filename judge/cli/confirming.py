"""Asking a person before a job that may cost more than they said they expect."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from judge.cli.cost import estimated
from judge.cli.cost_view import spending_line
from judge.cli.inputs import InputFlags
from judge.cli.mapping import MapFlags
from judge.cli.talk import Talk
from judge.cli.visible import visible
from judge.prices.amounts import limit_of
from judge.prices.estimate import over_budget
from judge.settings.config import Settings

DECLINED = 130
"""Exit code of a job that was not begun, as of one that was interrupted."""
FLAG = "--confirm-above"

ConfirmAbove = Annotated[str | None, Parameter(name=FLAG)]


def is_confirmed(
    above: str | None,
    source: str,
    settings: Settings,
    ledger: Path,
    *,
    lines: InputFlags,
    columns: MapFlags | None = None,
    talk: Talk,
    with_judging: bool = True,
) -> bool:
    """Return whether a job may begin, asking on a terminal where it may exceed an amount.

    Nobody is asked where standard input is no terminal: scripts have budgets. Raises ConfigError
    for what is no amount, and the errors of the estimate.
    """
    if above is None:
        return True
    name, amount = limit_of(above, flag=FLAG)
    if not sys.stdin.isatty() or source == "-":
        return True
    estimate = estimated(
        source, settings, ledger, lines=lines, columns=columns, talk=talk, with_judging=with_judging
    )
    is_unknown = name == "budget_usd" and estimate.usd is None
    if not estimate.calls or not (is_unknown or over_budget(estimate, {name: amount})):
        return True
    question = f"{spending_line(estimate)}: that may exceed {above}. Begin? [y/N] "
    print(visible(question), end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    talk.say("nothing was sent and nothing was written")
    return False
