"""What goes wrong with one sending of a request, and how long it takes. Pure draws."""

import math
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

from judge.simulator.draws import digest, uniform
from judge.simulator.settings import SimulatorSettings

_STANDARD_NORMAL = NormalDist()


class Fault(StrEnum):
    """A request that gets no usable answer."""

    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    RESET = "reset"
    TRUNCATED_BODY = "truncated_body"
    HANG = "hang"
    HTML = "html"


class Flaw(StrEnum):
    """A proper answer whose reply is of no use."""

    UNPARSABLE = "unparsable"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Delivery:
    """How one sending of a body fares. At most one of `fault` and `flaw` is felt: the fault."""

    fault: Fault | None
    flaw: Flaw | None
    cut: float
    """Share of a truncated text that arrives, in (0, 1)."""
    latency_s: float
    digest: bytes
    """Of this one sending, 64 bytes."""


def draw_delivery(
    settings: SimulatorSettings, body_digest: bytes, *, earlier_sends: int
) -> Delivery:
    """Return what befalls a body that was sent `earlier_sends` times before."""
    sending = digest(settings.seed, b"delivery", body_digest, b"%d" % earlier_sends)
    is_spared = settings.faulty_sends is not None and earlier_sends >= settings.faulty_sends
    return Delivery(
        fault=None if is_spared else _fault(settings, uniform(sending, 0)),
        flaw=None if is_spared else _flaw(settings, uniform(sending, 1)),
        cut=uniform(sending, 2),
        latency_s=_latency_s(settings, uniform(sending, 3)),
        digest=sending,
    )


def _fault(settings: SimulatorSettings, draw: float) -> Fault | None:
    for fault, rate in (
        (Fault.RATE_LIMITED, settings.rate_limit_rate),
        (Fault.SERVER_ERROR, settings.server_error_rate),
        (Fault.RESET, settings.reset_rate),
        (Fault.TRUNCATED_BODY, settings.truncated_body_rate),
        (Fault.HANG, settings.hang_rate),
        (Fault.HTML, settings.html_rate),
    ):
        draw -= rate
        if draw < 0:
            return fault
    return None


def _flaw(settings: SimulatorSettings, draw: float) -> Flaw | None:
    for flaw, rate in (
        (Flaw.UNPARSABLE, settings.unparsable_rate),
        (Flaw.LENGTH, settings.length_rate),
        (Flaw.CONTENT_FILTER, settings.content_filter_rate),
        (Flaw.EMPTY, settings.empty_rate),
    ):
        draw -= rate
        if draw < 0:
            return flaw
    return None


def _latency_s(settings: SimulatorSettings, draw: float) -> float:
    spread = settings.latency_spread
    if not spread:
        return settings.latency_s
    # Lognormal; half the variance is taken off so that the mean stays latency_s.
    return settings.latency_s * math.exp(spread * _STANDARD_NORMAL.inv_cdf(draw) - spread**2 / 2)
