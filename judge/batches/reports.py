"""What an import of batch files found and did."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from judge.records import Status

MOST_CAUSES = 100
OTHER_CAUSES = "other causes"
"""Where each request is told apart, causes are too many to keep."""
SHOWN = 10
"""Lines of each kind that are named one by one; the rest are counted."""


@dataclass(slots=True)
class Named:
    """Lines of one kind: how many, and where the first few stand."""

    count: int = 0
    shown: list[str] = field(default_factory=list)

    def add(self, where: str) -> None:
        self.count += 1
        if len(self.shown) < SHOWN:
            self.shown.append(where)


@dataclass(slots=True)
class BatchImport:
    """What one import found and did."""

    files: tuple[Path, ...]
    lines: int = 0
    new: int = 0
    """Judgments stored now."""
    stored_before: int = 0
    """Lines about asks that had the same reply already."""
    statuses: Counter[Status] = field(default_factory=Counter)
    """New judgments without a verdict, by the reason why."""
    pending: Counter[str] = field(default_factory=Counter)
    """Lines after which their ask stays pending, by the cause in words."""
    input_tokens: int = 0
    """Of the new judgments, as are the output tokens."""
    output_tokens: int = 0
    broken: Named = field(default_factory=Named)
    """Lines that say nothing, such as a cut one."""
    foreign: Named = field(default_factory=Named)
    """Lines about asks that the ledger never exported."""
    doubled: Named = field(default_factory=Named)
    """Lines that repeat another."""
    conflicting: Named = field(default_factory=Named)
    """Lines with another reply to an ask than the one that is kept."""
    run_ids: set[str] = field(default_factory=set)
    missing: int = 0
    """Asks of those runs that stand in batch files and have no judgment yet."""
    wanted: int | None = None
    """Asks that the run wants now, exported or not, where there is one run only."""
    source: str | None = None
    """The input of the run, where there is one run only."""

    def note_pending(self, cause: str) -> None:
        """Count a line without an answer; causes that name each request apart are one."""
        is_known = cause in self.pending or len(self.pending) < MOST_CAUSES
        self.pending[cause if is_known else OTHER_CAUSES] += 1
