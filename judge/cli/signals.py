"""Ending a job on request: the first Ctrl-C drains and saves, the second exits at once.

What is stored is safe whichever way the process ends, so leaving at once costs at most the
requests in flight.
"""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from judge.cli.talk import Talk
from judge.job.desk import Stop

INTERRUPTED = 130
TERMINATED = 143
DRAIN_S = 8.0
"""After SIGTERM; process managers kill about 10 s after they have asked."""


class Interrupts:
    """Which signal has asked a job to end, if any."""

    def __init__(self, stop: Stop, talk: Talk) -> None:
        self._stop = stop
        self._talk = talk
        self.exit_code: int | None = None

    def on_interrupt(self) -> None:
        if self.exit_code is not None:
            self._leave(INTERRUPTED)
        self._talk.warn("stopping: requests in flight are finished and stored; again to stop now")
        self.exit_code = INTERRUPTED
        self._stop.request()

    def on_terminate(self) -> None:
        if self.exit_code == TERMINATED:
            return
        self._talk.warn(f"stopping: requests in flight have {DRAIN_S:g} s to finish")
        self.exit_code = TERMINATED
        self._stop.request()
        asyncio.get_running_loop().call_later(DRAIN_S, self._leave, TERMINATED)

    def _leave(self, exit_code: int) -> None:
        self._talk.warn("stopped; run the same command again to resume")
        os._exit(exit_code)


@contextmanager
def ending_on_signals(stop: Stop, talk: Talk) -> Iterator[Interrupts]:
    """Turn SIGINT and SIGTERM into requests to stop, inside a running event loop."""
    loop = asyncio.get_running_loop()
    interrupts = Interrupts(stop, talk)
    loop.add_signal_handler(signal.SIGINT, interrupts.on_interrupt)
    loop.add_signal_handler(signal.SIGTERM, interrupts.on_terminate)
    try:
        yield interrupts
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGTERM)
