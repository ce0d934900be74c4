"""What requests wait for at their endpoints, in words; nothing where all is well. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from judge.cli.visible import cut_short, in_ascii
from judge.throttling.admission import WaitReason
from judge.throttling.breaker import BreakerState
from judge.throttling.throttle import ThrottleView

_LONGEST_FAILURE = 80


@dataclass
class Gates:
    """The gates of all endpoints of a job."""

    parts: list[tuple[str, ...]] = field(default_factory=list)
    """For the live line, each with its shorter wordings."""
    fields: dict[str, object] = field(default_factory=dict)
    """For the record."""
    waiting: int = 0
    """Requests that are not sent yet."""
    are_paused: bool = False
    """Whether an endpoint is left alone for a while because it fails."""


def gates_of(views: Mapping[str, ThrottleView]) -> Gates:
    """Return the words for the gates of these endpoints; they are named where there are several."""
    gates = Gates()
    for name, view in views.items():
        gates.waiting += view.waiting
        shown = in_ascii(name)
        if view.breaker is not BreakerState.CLOSED:
            gates.are_paused = True
            _add_pause(gates, shown, view)
        elif view.waiting or view.limit < view.max_in_flight:
            _add_limits(gates, "" if len(views) == 1 else f"{shown} ", view)
    return gates


def _add_pause(gates: Gates, name: str, view: ThrottleView) -> None:
    seconds = math.ceil(view.next_probe_s or 0)
    when = f"next try in {seconds} s" if seconds else "trying it now"
    failure = cut_short(in_ascii(view.last_failure).removeprefix(f"{name}: "), _LONGEST_FAILURE)
    pause = f"paused: {name} fails, {when}"
    gates.parts.insert(0, (f"{pause}: {failure}", pause))
    key = name.replace(" ", "_")
    gates.fields[f"paused_s.{key}"] = seconds
    gates.fields[f"failure.{key}"] = repr(failure)


def _add_limits(gates: Gates, prefix: str, view: ThrottleView) -> None:
    limit = f"{view.limit}/{view.max_in_flight}"
    gates.parts.append((f"{prefix}limit {limit}",))
    key = prefix and f".{prefix.strip().replace(' ', '_')}"
    gates.fields[f"limit{key}"] = limit
    if view.waiting_for in (WaitReason.RPM, WaitReason.TPM):
        gates.parts.append((f"{prefix}{view.waiting} wait for {view.waiting_for.value}",))
        gates.fields[f"wait_for_{view.waiting_for.value}{key}"] = view.waiting
