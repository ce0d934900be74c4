"""The floor under the client: an aiohttp loop over the same requests that keeps nothing.

No ledger, no parsing, no retries; only the garbage collector is calmed as the product calms it.
`python -m tests.benchmarks.bare URL BODIES REQUESTS CORE` prints what it took as one JSON line.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import aiohttp

from tests.benchmarks.machine import pin

IN_FLIGHT = 256
GC_THRESHOLD = 50_000


async def send_all(url: str, bodies: Iterable[bytes]) -> None:
    """Post every body and read every answer, at most IN_FLIGHT at a time."""
    pending = iter(bodies)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), headers={"Content-Type": "application/json"}
    ) as session:

        async def work() -> None:
            for body in pending:
                async with session.post(url, data=body) as response:
                    await response.read()

        async with asyncio.TaskGroup() as workers:
            for _ in range(IN_FLIGHT):
                workers.create_task(work())


def main() -> None:
    """Send the first REQUESTS lines of BODIES; their reading is not measured."""
    url, path, requests, core = sys.argv[1:]
    pin(0, None if core == "None" else int(core))
    with Path(path).open("rb") as lines:
        bodies = [line.rstrip(b"\n") for line in islice(lines, int(requests))]
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    asyncio.run(send_all(f"{url}/chat/completions", bodies))
    print(
        json.dumps({"cpu_s": time.process_time() - cpu_s, "wall_s": time.perf_counter() - wall_s})
    )


if __name__ == "__main__":
    main()
