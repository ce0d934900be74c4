"""What the command line says on standard error: plain lines and one line that is rewritten."""

import os
import shutil
import sys
import threading
from collections.abc import Mapping
from typing import TextIO

from judge.cli.visible import visible

_NARROWEST = 20
_ERASE_TO_END = "\x1b[K"


class Talk:
    """One voice on a stream; lines from several threads never mix.

    A stream that cannot be written, such as a closed terminal or a full disk, falls silent: what
    is said is never worth the job that says it.
    """

    def __init__(self, stream: TextIO, *, is_quiet: bool, environ: Mapping[str, str]) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._is_line_open = False
        self.is_quiet = is_quiet
        """Whether only warnings and errors are said."""
        self.is_live = can_rewrite(stream, environ)
        """Whether `show` may be used."""

    def say(self, text: str) -> None:
        """Say what happens, unless quiet."""
        if not self.is_quiet:
            self.warn(text)

    def warn(self, text: str) -> None:
        """Say something that even a quiet job says."""
        with self._lock:
            self._write(f"{self._closing()}{visible(text)}\n")

    def show(self, line: str) -> None:
        """Put `line` in place of the one shown before; it stays at the bottom until cleared."""
        with self._lock:
            self._write(f"\r{visible(line)}{_ERASE_TO_END}")
            self._is_line_open = True

    def clear(self) -> None:
        """Remove the line shown last, if there is one."""
        with self._lock:
            self._write(self._closing())

    def columns(self) -> int:
        """Return how wide a shown line may be without being wrapped."""
        return max(_NARROWEST, shutil.get_terminal_size().columns - 1)

    def _closing(self) -> str:
        was_open, self._is_line_open = self._is_line_open, False
        return f"\r{_ERASE_TO_END}" if was_open else ""

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self.is_live = False


def can_rewrite(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether a stream is a terminal that a person watches and whose lines can change."""
    is_attended = environ.get("CI", "").lower() in ("", "0", "false")
    return is_attended and environ.get("TERM", "dumb") != "dumb" and stream.isatty()


def talk_on_stderr(*, is_quiet: bool = False) -> Talk:
    """Return the voice of this process."""
    return Talk(sys.stderr, is_quiet=is_quiet, environ=os.environ)
