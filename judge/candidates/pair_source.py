"""Pairs that follow from how others were judged: the seam between rounds and the job that asks.

Such a run grows: when all that it selects is judged, it selects what follows from the labels, and
it is complete once nothing more follows. No state is kept beside the facts. Whatever ended a job,
the next one derives the rounds anew from the replies that are stored, and goes on where they end.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from judge.inputs.intake import IntakeReport
from judge.job.desk import Stop
from judge.job.progress import Progress
from judge.ledger.runs import Run, complete_run, count_pairs
from judge.ledger.store import Ledger


class PairSource(Protocol):
    """Decides which pairs a run selects, given what is stored."""

    @property
    def kind(self) -> str:
        """The kind of run that it makes."""

    @property
    def identity(self) -> Mapping[str, object]:
        """What tells its run from another on the same input, as JSON."""

    def select(self, ledger: Ledger, run: Run, *, is_anew: bool) -> bool:
        """Select what the stored labels lead to; return whether no more will follow from others.

        `is_anew` begins with an empty selection; otherwise what is selected stays.
        """

    def announce(self) -> None:
        """Tell whoever watches what was selected last."""


def begin_selection(source: PairSource, ledger: Ledger, run: Run) -> IntakeReport:
    """Select all that the stored labels lead to, as `intake.read_input` reads a file."""
    _select(source, ledger, run, is_anew=True)
    return IntakeReport(pairs=count_pairs(ledger, run.run_id))


async def ask_further_rounds(
    source: PairSource,
    ledger: Ledger,
    run: Run,
    ask: Callable[[], Awaitable[None]],
    count: Callable[[], Progress],
    *,
    progress: Progress,
    stop: Stop,
    is_anew: bool = False,
) -> None:
    """Select and ask round after round, until one stays unsettled or none follows.

    `ask` asks what the run lacks, `count` counts it anew. `is_anew` derives even the first rounds
    again, for where replies to them were replaced.
    """
    while not progress.pending and not stop.event.is_set():
        with progress.at_stage("pairing"):
            await asyncio.to_thread(_select, source, ledger, run, is_anew=is_anew)
        is_anew = False
        progress.recount(count())
        if not progress.pending:
            return
        source.announce()
        progress.forget_comparisons()
        await ask()


def _select(source: PairSource, ledger: Ledger, run: Run, *, is_anew: bool) -> None:
    with ledger.transaction():
        is_last = source.select(ledger, run, is_anew=is_anew)
        complete_run(ledger, run.run_id, is_complete=is_last)
