"""The measured client: one job through the product's own door, in a process of its own.

`python -m tests.benchmarks.client JOB` runs the job given as JSON and prints what it took as one
JSON line, or, with `prints_acks`, a line for every judgment once it is reported as stored.
"""

import json
import os
import sys
import time
from dataclasses import asdict, dataclass

from tests.benchmarks.machine import memory_mib, pin


@dataclass(frozen=True, slots=True)
class ClientJob:
    """What a client is to do. Paths are strings, for the job travels as JSON."""

    pairs: str
    ledger: str
    base_url: str
    max_in_flight: int = 256
    timeout_s: float = 120.0
    core: int | None = None
    prints_acks: bool = False


@dataclass(frozen=True, slots=True)
class ClientRun:
    """What a job took. Seconds; a span is None where nothing was asked."""

    exit_code: int
    stored: int
    pending: int
    cpu_s: float
    """Of the whole process, from its start."""
    wall_s: float
    """From importing the product to the end of the job."""
    intake_s: float
    """From the same moment until the input is in the ledger and counted."""
    to_last_reply_s: float | None
    """From the first request to the last reply."""
    to_last_stored_s: float | None
    """From the first request until the last judgment is reported as stored."""
    peak_rss_mib: float


class Stopwatch:
    """The moments of one job."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.intake_ended = self.began
        self.first_send: float | None = None
        self.last_reply: float | None = None
        self.last_stored: float | None = None

    def since_first_send(self, moment: float | None) -> float | None:
        return None if moment is None or self.first_send is None else moment - self.first_send


def run_client(job: ClientJob) -> ClientRun:
    """Run a job and return what it took."""
    watch = Stopwatch()
    import judge
    from judge.backends import openai as backend
    from judge.inputs.intake import IntakeReport
    from judge.job.progress import Progress
    from judge.records import Judgment
    from judge.settings.config import Endpoint
    from judge.simulator.settings import MODEL

    class TimedChat(backend.OpenAIChat):
        """The product's own model; notes when the first request left and the last reply came."""

        async def complete(self, request):  # type: ignore[no-untyped-def]
            if watch.first_send is None:
                watch.first_send = time.perf_counter()
            reply = await super().complete(request)
            watch.last_reply = time.perf_counter()
            return reply

    def on_start(progress: Progress, _: IntakeReport) -> None:
        watch.intake_ended = time.perf_counter()
        note = progress.note_judgment

        def note_judgment(judgment: Judgment, **told: bool) -> None:
            note(judgment, **told)
            watch.last_stored = time.perf_counter()
            if job.prints_acks:
                # One write a line, past every buffer: a killed process has said it or has not.
                os.write(1, f"{judgment.judgment_id} {judgment.verdict}\n".encode())

        progress.note_judgment = note_judgment  # type: ignore[method-assign]

    backend.OpenAIChat = TimedChat  # type: ignore[misc]
    overrides = {
        "judges.0.model": MODEL,
        "endpoints.default.base_url": job.base_url,
        "endpoints.default.max_in_flight": job.max_in_flight,
        "endpoints.default.timeout_s": job.timeout_s,
    }
    if "start_in_flight" in Endpoint.model_fields:
        # A server of known strength needs no ramp; what the ramp costs is not measured here.
        overrides["endpoints.default.start_in_flight"] = job.max_in_flight
    result = judge.run(job.pairs, ledger=job.ledger, overrides=overrides, on_start=on_start)
    return ClientRun(
        exit_code=result.exit_code,
        stored=result.progress.done,
        pending=result.progress.pending,
        cpu_s=time.process_time(),
        wall_s=time.perf_counter() - watch.began,
        intake_s=watch.intake_ended - watch.began,
        to_last_reply_s=watch.since_first_send(watch.last_reply),
        to_last_stored_s=watch.since_first_send(watch.last_stored),
        peak_rss_mib=memory_mib("VmHWM") or 0.0,
    )


def main() -> None:
    """Run the job given as the only argument."""
    job = ClientJob(**json.loads(sys.argv[1]))
    pin(0, job.core)
    run = run_client(job)
    if not job.prints_acks:
        print(json.dumps(asdict(run)))
    sys.exit(run.exit_code)


if __name__ == "__main__":
    main()
