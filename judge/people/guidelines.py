"""What the people who answer the tasks of a batch are told, as one Markdown text."""

from hashlib import sha256
from importlib.resources import files
from string import Template

from judge.formats.tasks import ATTRIBUTES


def guidelines_template() -> str:
    """Return the text that comes with the package, with holes for what names a batch."""
    return files("judge.examples").joinpath("guidelines.md").read_text(encoding="utf-8")


def guidelines_digest() -> str:
    """Return the SHA-256 of the text with its holes: which version of it people were given."""
    return sha256(guidelines_template().encode()).hexdigest()


def guidelines_text(*, batch: str, tasks: int, tasks_digest: str) -> str:
    """Return the guidelines of a batch; `tasks_digest` is the SHA-256 of its task file."""
    return Template(guidelines_template()).substitute(
        batch=batch,
        tasks=f"{tasks:,}",
        tasks_digest=tasks_digest,
        guidelines_digest=guidelines_digest(),
        attributes=", ".join(ATTRIBUTES),
    )
