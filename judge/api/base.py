"""What the twins share."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

DEFAULT_LEDGER = Path("runs/judge.db")

T = TypeVar("T")


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine, run to its end in a loop of its own."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, work).result()
