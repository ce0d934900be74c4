"""Tests of differences: what a p-value may be asked of."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PValue:
    """A two-sided p-value; `p` is None where `why` says so."""

    p: float | None
    n: int
    """What could have changed: pairs or clusters that differ."""
    why: str | None = None

    def as_dict(self) -> dict[str, float | int | None]:
        """The test as JSON."""
        return {"p": self.p, "n": self.n}
