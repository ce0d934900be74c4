"""Virtual time at full speed, for tests that wait for hours and open no socket."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import pytest

from tests import fakes

P = ParamSpec("P")
T = TypeVar("T")


def in_socketless_time(test: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Return the coroutine function as a plain one that runs in a VirtualTimeLoop.

    The loop jumps at once instead of first giving the kernel time to deliver: nothing is on the
    way where there are no sockets, and thousands of jumps then take a second, not a minute.
    """
    plain = fakes.in_virtual_time(test)

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fakes, "KERNEL_GRACE_S", 0.0)
            return plain(*args, **kwargs)

    return run
