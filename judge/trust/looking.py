"""Looks at the test part of the gold: noted before the result is told, counted for ever after.

Trying one thing after another on the same votes finds a lucky one in the end; the level at which
a result counts is therefore divided by the number of looks (Bonferroni).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pydantic_core import to_json

from judge.errors import LedgerError
from judge.ledger.looks import Look, looks_of, record_look
from judge.ledger.store import Ledger

ALPHA = 0.05
"""Chance of a false claim that is accepted, over all looks together."""


@dataclass(frozen=True, slots=True)
class NotedLook:
    """A look among all looks that saw any of its test prompts."""

    number: int
    """Of this look, the oldest being 1."""
    looks: int
    prompts: int
    """Test prompts whose votes it saw."""
    is_repeated: bool
    """Whether the same question had been asked of the same facts before; it is one look then."""

    @property
    def level(self) -> float:
        """The p-value up to which a result counts: 0.05 divided by the looks."""
        return ALPHA / self.looks


def note_look(path: Path, look: Look) -> NotedLook | None:
    """Note a look in the ledger and return its place; None where it sees no test prompt.

    Opens the ledger for writing only if the look is new. Raises LedgerError where it cannot be
    noted, for then its result must not be told.
    """
    if not look.prompts:
        return None
    with Ledger(path, read_only=True) as reader:
        seen = [noted.look_id for noted in looks_of(reader, look.prompts)]
    is_repeated = look.look_id in seen
    if not is_repeated:
        try:
            with Ledger(path) as ledger:
                record_look(ledger, look)
                seen = [noted.look_id for noted in looks_of(ledger, look.prompts)]
        except LedgerError as error:
            raise LedgerError(
                f"{error} (a look at the test split is noted before its result is told; "
                "--split dev is no such look and works meanwhile)"
            ) from error
    return NotedLook(seen.index(look.look_id) + 1, len(seen), len(look.prompts), is_repeated)


def look_id_of(question: object, facts: Iterable[bytes]) -> str:
    """Return the digest of a question, as JSON, and of the facts that answer it, in their order."""
    digest = sha256(to_json(question))
    for fact in facts:
        digest.update(sha256(fact).digest())
    return digest.hexdigest()[:32]
