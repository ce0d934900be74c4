"""Showing a job while it runs: one rewritten line on a terminal, a record now and then elsewhere.

The view has a thread of its own, so that a terminal that stands still never holds up the job.
"""

import threading
import time
from collections import deque
from types import TracebackType
from typing import Self

from judge.cli.progress_line import duration, progress_line, progress_record
from judge.cli.talk import Talk
from judge.job.progress import Progress

REFRESH_S = 0.25
RECORD_EVERY_S = 10.0
RATE_SPAN_S = 10.0
PROBLEM_STAYS_S = 10.0
READING_SHOWS_AFTER_S = 1.0


class RateWindow:
    """Judgments per second over the last `span_s` seconds, or since the beginning if shorter."""

    def __init__(self, span_s: float = RATE_SPAN_S) -> None:
        self._span_s = span_s
        self._points: deque[tuple[float, int]] = deque()

    def rate(self, at_s: float, judged: int) -> float:
        """Note how many are judged at a time, and return the rate; times must not decrease."""
        self._points.append((at_s, judged))
        # One point from before the window stays, so that rare calls measure a whole window.
        while len(self._points) > 2 and self._points[1][0] <= at_s - self._span_s:
            self._points.popleft()
        began_s, before = self._points[0]
        return (judged - before) / (at_s - began_s) if at_s > began_s else 0.0


class ProgressView:
    """Shows one job from the reading of its input on. Use as a context manager."""

    def __init__(self, talk: Talk, source: str) -> None:
        self._talk = talk
        self._source = source
        self._progress: Progress | None = None
        self._began_s = time.monotonic()
        self._rates = RateWindow()
        self._problems = 0
        self._problem_at_s = float("-inf")
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)

    def begin(self, progress: Progress) -> None:
        """Show these counts from now on."""
        now_s = time.monotonic()
        self._began_s = now_s
        self._rates = RateWindow()
        self._rates.rate(now_s, progress.judged)
        self._problems = 0
        self._progress = progress

    def begin_reading(self, source: str) -> None:
        """Show that an input is being read, until there are counts."""
        self._progress = None
        self._source = source
        self._began_s = time.monotonic()

    def __enter__(self) -> Self:
        if not self._talk.is_quiet:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._has_ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._talk.clear()

    def _watch(self) -> None:
        while not self._has_ended.wait(REFRESH_S if self._talk.is_live else RECORD_EVERY_S):
            self._tell(time.monotonic())

    def _tell(self, now_s: float) -> None:
        elapsed_s = now_s - self._began_s
        progress = self._progress
        if progress is None:
            if elapsed_s >= READING_SHOWS_AFTER_S:
                self._put(f"reading {self._source} ({duration(elapsed_s)})")
            return
        rate = self._rates.rate(now_s, progress.judged)
        problem = self._recent_problem(progress, now_s)
        if self._talk.is_live:
            width = self._talk.columns()
            self._put(progress_line(progress, elapsed_s, rate, width, problem=problem))
        else:
            self._put(progress_record(progress, elapsed_s, rate, problem=problem))

    def _recent_problem(self, progress: Progress, now_s: float) -> str:
        """Return the last problem while requests are being repeated or given up, else nothing.

        It stays for as long as its request waits: a job that waits must not look like one that
        hangs.
        """
        problems = progress.sends_repeated + progress.deferred.total()
        if problems != self._problems:
            self._problems, self._problem_at_s = problems, now_s
        stays_s = max(PROBLEM_STAYS_S, progress.last_wait_s)
        return progress.last_problem if now_s - self._problem_at_s < stays_s else ""

    def _put(self, line: str) -> None:
        if self._talk.is_live:
            self._talk.show(line)
        else:
            self._talk.say(line)
