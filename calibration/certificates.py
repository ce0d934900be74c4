"""Certificates: agreement that is at least X, with a stated confidence."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Certificate:
    """A one-sided lower bound, and what it is enough for."""

    metric: str
    """What is bounded: `s1`, `s2` or `majority`."""
    value: float | None
    bound: float | None
    """Lower bound at `confidence`; None where `why` says so."""
    confidence: float
    n: int
    n_eff: float | None
    prompts: int
    method: str
    """How the bound was made, in words."""
    target: float | None = None
    why: str | None = None

    @property
    def is_granted(self) -> bool:
        """Whether the target is certified."""
        return self.target is not None and self.bound is not None and self.bound >= self.target
