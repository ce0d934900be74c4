"""Flags for what of an input takes part."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from judge.records import Status

Count = Annotated[int, Parameter(validator=Number(gte=1))]
Input = Annotated[str, Parameter(name="INPUT", allow_leading_hyphen=True)]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class InputFlags:
    """Which lines of the input take part, and what is asked again."""

    limit: Count | None = None
    """Judge only the first N pairs."""
    sample: Count | None = None
    """Judge N pairs drawn at random."""
    seed: int = 0
    """Seed of --sample."""
    retry: list[Status] | None = None
    """Ask again what ended in this status; may be repeated."""
    skip_bad_lines: bool = False
    """Leave out lines that cannot be read, instead of stopping before anything is asked."""
