"""What a simulated judge has seen: the counts behind /stats."""

from collections import Counter
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict


class Stats(BaseModel):
    """Counts of chat completion requests since the start or the last reset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests: int
    """Requests received, the refused ones included."""
    unique_bodies: int
    """Different bodies among the requests let in."""
    repeats: int
    """Requests let in beyond the first of each body."""
    in_flight: int
    peak_in_flight: int
    by_status: dict[int, int]
    """Answers sent by HTTP status; requests never answered are in none."""
    by_fault: dict[str, int]
    """Requests by what was wrong with their answer; plain replies are in none."""


@dataclass(slots=True)
class Counts:
    """The running counts. Memory grows by about 100 bytes for each different body."""

    requests: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0
    by_status: Counter[int] = field(default_factory=Counter)
    by_fault: Counter[str] = field(default_factory=Counter)
    sends: dict[bytes, int] = field(default_factory=dict)
    """Times each body was let in, by the first 8 bytes of its digest."""
    admitted: int = 0

    def admit(self, body_digest: bytes) -> int:
        """Count a request as let in and in flight; return how often its body was let in before."""
        key = body_digest[:8]
        earlier = self.sends.get(key, 0)
        self.sends[key] = earlier + 1
        self.admitted += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        return earlier

    def snapshot(self) -> Stats:
        """Return the counts as they are now."""
        return Stats(
            requests=self.requests,
            unique_bodies=len(self.sends),
            repeats=self.admitted - len(self.sends),
            in_flight=self.in_flight,
            peak_in_flight=self.peak_in_flight,
            by_status=dict(self.by_status),
            by_fault=dict(self.by_fault),
        )

    def reset(self) -> None:
        """Forget everything but the requests still in flight; draws begin anew."""
        self.requests = self.admitted = 0
        self.peak_in_flight = self.in_flight
        for counts in (self.by_status, self.by_fault, self.sends):
            counts.clear()
