"""Looking into a ledger from outside: plain SQLite, none of the product's code."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Audit:
    """What a ledger holds, against what was reported as stored."""

    stored: int
    lost: int
    """Judgments reported as stored that are not there."""
    changed: int
    """Judgments there with another verdict than the one reported."""
    duplicates: int
    """Judgments beyond the first of one content, judge, order and sample."""
    integrity: str
    """What SQLite's own check says; "ok" is all well."""


def read_acks(path: Path) -> Mapping[str, str]:
    """Return judgment id -> verdict of every whole line that clients printed."""
    whole, _, _ = path.read_text().rpartition("\n")
    return acks_in(whole)


def acks_in(text: str) -> Mapping[str, str]:
    """Return judgment id -> verdict of printed lines."""
    return dict(line.split(" ", 1) for line in text.splitlines())


def audit(ledger: Path, acks: Mapping[str, str]) -> Audit:
    """Compare a ledger with the acknowledged judgments."""
    with closing(sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True)) as connection:
        (integrity,) = connection.execute("PRAGMA integrity_check").fetchone()
        if not _has_judgments(connection):
            return Audit(0, len(acks), 0, 0, integrity)
        stored = {
            judgment_id: str(verdict)
            for judgment_id, verdict in connection.execute(
                "SELECT judgment_id, verdict FROM judgments"
            )
        }
        total, different = connection.execute(
            "SELECT (SELECT count(*) FROM judgments), (SELECT count(*) FROM "
            '(SELECT DISTINCT content_id, judge_key, "order", sample FROM judgments))'
        ).fetchone()
    found = acks.keys() & stored.keys()
    return Audit(
        stored=total,
        lost=len(acks) - len(found),
        changed=sum(stored[judgment_id] != acks[judgment_id] for judgment_id in found),
        duplicates=max(total - different, total - len(stored)),
        integrity=integrity,
    )


def _has_judgments(connection: sqlite3.Connection) -> bool:
    """A client may die before it has made its tables."""
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'judgments'"
    return connection.execute(query).fetchone() is not None
