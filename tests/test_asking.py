"""Asking what a run lacks: commits before slots, passes, stops, outages and failing ledgers."""

import asyncio
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

import judge
from judge.errors import ConfigError, EndpointError, EvenhandError, LedgerError, TransientError
from judge.inputs.intake import Selection, read_input
from judge.job.asking import JudgePool, ask_missing
from judge.job.desk import EndpointPool, Stop
from judge.job.judging import resolve_judge
from judge.job.progress import Progress
from judge.ledger.runs import begin_run
from judge.ledger.store import Ledger
from judge.ledger.writer import LedgerWriter
from judge.records import Judgment, Order, Verdict
from judge.settings.config import Endpoint, Judge
from judge.throttling.admission import Limits
from judge.throttling.throttle import Throttle, ThrottledChat
from tests.fakes import (
    Scripted,
    ScriptedChat,
    Sent,
    completion,
    in_virtual_time,
    reply,
    rows,
    scripted_server,
    settings_for,
    write_pairs,
)

NOW = "2026-01-02T03:04:05+00:00"
RUN = "r1"


class GatedLedger(Ledger):
    """A ledger whose commits wait at a gate, and fail from the `fails_from`-th on."""

    def __init__(self, path: Path, *, fails_from: int | None = None) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.begun = 0
        self.fails_from = fails_from
        self.is_armed = False
        super().__init__(path)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        if self.is_armed:
            self.begun += 1
            assert self.gate.wait(timeout=20)
            if self.fails_from is not None and self.begun >= self.fails_from:
                raise LedgerError(f"ledger {self.path}: disk full; free space")
        with super().transaction() as connection:
            yield connection


class SlowReader(Ledger):
    """A reader that takes its time with every page and notes whether it is being read."""

    def __init__(self, path: Path) -> None:
        self.is_read = False
        self.reads = 0
        super().__init__(path, read_only=True)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        self.is_read = True
        self.reads += 1
        threading.Event().wait(0.05)
        try:
            with super().snapshot() as connection:
                yield connection
        finally:
            self.is_read = False


def judgment(number: int) -> Judgment:
    return Judgment(
        judgment_id=f"id{number}",
        content_id=f"c{number}",
        judge_key="k",
        order=Order.FORWARD,
        reply="[[A]]",
        verdict=Verdict.A,
        status=None,
        parser="p",
        created_at=NOW,
    )


@asynccontextmanager
async def writing(path: Path, **ledger: Any) -> AsyncIterator[tuple[GatedLedger, LedgerWriter]]:
    with GatedLedger(path, **ledger) as gated:
        gated.is_armed = True
        async with LedgerWriter(gated) as writer:
            yield gated, writer


async def until(condition: Callable[[], bool]) -> None:
    """Return once a condition that a thread makes true holds."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 (a thread has no event to set)
            await asyncio.sleep(0.001)


async def test_an_append_returns_only_when_its_row_is_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    async with writing(path) as (ledger, writer):
        ledger.gate.clear()
        appending = asyncio.ensure_future(writer.append(judgment(1)))
        await until(lambda: ledger.begun == 1)
        assert not appending.done()
        assert rows(path) == []
        ledger.gate.set()
        await appending
        assert [row["judgment_id"] for row in rows(path)] == ["id1"]


async def test_whatever_gathers_during_a_commit_is_committed_together(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    async with writing(path) as (ledger, writer):
        ledger.gate.clear()
        waiting = [asyncio.ensure_future(writer.append(judgment(0)))]
        await until(lambda: ledger.begun == 1)
        waiting += [asyncio.ensure_future(writer.append(judgment(n))) for n in range(1, 50)]
        await asyncio.sleep(0)
        ledger.gate.set()
        await asyncio.gather(*waiting)
        assert (writer.commits, len(rows(path))) == (2, 50)


async def test_a_cancelled_worker_cancels_nobody_elses_commit(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    async with writing(path) as (ledger, writer):
        ledger.gate.clear()
        waiting = [asyncio.ensure_future(writer.append(judgment(n))) for n in range(5)]
        await until(lambda: ledger.begun == 1)
        for cancelled in (waiting[0], waiting[3]):
            cancelled.cancel()
        ledger.gate.set()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert [isinstance(end, asyncio.CancelledError) for end in ended] == [
            True, False, False, True, False,
        ]  # fmt: skip
        assert len(rows(path)) == 5


async def test_leaving_the_writer_waits_for_what_was_appended(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    async with writing(path) as (ledger, writer):
        ledger.gate.clear()
        waiting = [asyncio.ensure_future(writer.append(judgment(n))) for n in range(3)]
        await until(lambda: ledger.begun == 1)
        asyncio.get_running_loop().call_later(0.02, ledger.gate.set)
    assert len(rows(path)) == 3
    await asyncio.gather(*waiting)


async def test_after_a_failed_commit_every_later_append_fails(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    async with writing(path, fails_from=3) as (ledger, writer):
        await writer.append(judgment(1))
        await writer.append(judgment(2))
        ledger.gate.clear()
        failing = [asyncio.ensure_future(writer.append(judgment(n))) for n in range(3, 6)]
        await until(lambda: ledger.begun == 3)
        gathered = asyncio.ensure_future(writer.append(judgment(6)))
        await asyncio.sleep(0)
        ledger.gate.set()
        ended = await asyncio.gather(*failing, gathered, return_exceptions=True)
        assert all(isinstance(end, LedgerError) for end in ended)
        ledger.fails_from = None  # as a disk that says all is well again after a failed sync
        for number in (7, 8):
            with pytest.raises(LedgerError, match="disk full"):
                await writer.append(judgment(number))
    assert [row["judgment_id"] for row in rows(path)] == ["id1", "id2"]


class Work:
    """A run with pairs in a ledger, ready to be asked."""

    def __init__(self, folder: Path, pairs: int, *, fails_from: int | None = None) -> None:
        self.path = folder / "l.db"
        self.stop = Stop()
        self.ledger = GatedLedger(self.path, fails_from=fails_from)
        self.run = begin_run(
            self.ledger, RUN, kind="judge", source="x", settings={"rule": "conservative"},
            judges=[], now=NOW,
        )  # fmt: skip
        given = write_pairs(folder / "pairs.jsonl", pairs)
        read_input(self.ledger, RUN, str(given), selection=Selection(), skip_bad_lines=False)
        self.ledger.is_armed = True
        self.reader: Ledger = SlowReader(self.path)

    def pool(self, chat: ScriptedChat, *, model: str = "m", max_in_flight: int = 4) -> JudgePool:
        resolved = resolve_judge(Judge(model=model), Endpoint(base_url="http://127.0.0.1:9/v1"))
        throttle = Throttle(model, Limits(max_in_flight), rng=random.Random(1))
        throttled = ThrottledChat(chat, throttle)
        endpoint = EndpointPool(model, throttled, throttle, max_in_flight, 0.001)
        return JudgePool(endpoint, (resolved,))

    async def ask(self, *pools: JudgePool, asks: int, **more: Any) -> Progress:
        progress = Progress(run_id=RUN, total=asks)
        try:
            await ask_missing(
                self.ledger, self.reader, self.run, pools, progress=progress, stop=self.stop, **more
            )
        finally:
            self.reader.close()
            self.ledger.close()
        return progress


@in_virtual_time
async def test_every_ask_is_stored_once_and_the_slots_are_never_exceeded(tmp_path: Path) -> None:
    work = Work(tmp_path, 60)
    chat = ScriptedChat(reply("[[B]]"))
    chat.latency_s = 1.0
    progress = await work.ask(work.pool(chat, max_in_flight=7), asks=120)
    assert (chat.peak_in_flight, len(chat.requests)) == (7, 120)
    asked = {(row["content_id"], row["order"]) for row in rows(work.path)}
    assert len(asked) == len(rows(work.path)) == 120
    assert (progress.done, progress.pending, progress.in_flight) == (120, 0, 0)
    assert (progress.compared, progress.flipped) == (60, 60)


async def test_a_slot_is_freed_only_after_its_judgment_is_committed(tmp_path: Path) -> None:
    work = Work(tmp_path, 20)
    chat = ScriptedChat()
    work.ledger.gate.clear()
    asking = asyncio.ensure_future(work.ask(work.pool(chat, max_in_flight=3), asks=40))
    await until(lambda: work.ledger.begun == 1)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(chat.requests) <= 3
    work.ledger.gate.set()
    assert (await asking).done == 40


@in_virtual_time
async def test_every_endpoint_is_asked_by_its_own_judges_only(tmp_path: Path) -> None:
    work = Work(tmp_path, 10)
    chats = [ScriptedChat(), ScriptedChat()]
    pools = [work.pool(chat, model=f"m{n}") for n, chat in enumerate(chats)]
    await work.ask(*pools, asks=40)
    for number, chat in enumerate(chats):
        assert {request.model for request in chat.requests} == {f"m{number}"}
        assert len(chat.requests) == 20


@in_virtual_time
async def test_what_an_endpoint_could_not_answer_is_asked_in_later_passes(tmp_path: Path) -> None:
    """An eighth of all sends fails for good: each pass leaves an eighth of what it asked."""
    down = TransientError("503", kind="503")
    work = Work(tmp_path, 100)
    flaky = [*[reply()] * 7, down] * 1000
    chat = ScriptedChat(*flaky)
    progress = await work.ask(work.pool(chat, max_in_flight=1), asks=200)
    assert (progress.done, progress.deferred) == (200, {})
    assert len(rows(work.path)) == 200


@in_virtual_time
async def test_passes_end_when_they_get_nowhere(tmp_path: Path) -> None:
    work = Work(tmp_path, 3)
    chat = ScriptedChat(*[reply()] * 5, TransientError("gone", kind="503"))
    progress = await work.ask(work.pool(chat, max_in_flight=1), asks=6)
    assert (progress.done, progress.pending) == (5, 1)
    assert progress.deferred == {"gone": 1}
    assert work.stop.cause is None


@in_virtual_time
async def test_an_endpoint_that_comes_back_is_waited_for(tmp_path: Path) -> None:
    """Every send fails for four minutes: the breaker pauses the job and nothing is lost."""
    work = Work(tmp_path, 60)
    loop = asyncio.get_running_loop()
    up_at_s = loop.time() + 240

    def answer(_: Any) -> Any:
        if up_at_s - 239 < loop.time() < up_at_s:
            raise TransientError("down", kind="503")
        return reply()

    chat = ScriptedChat(answer)
    chat.latency_s = 0.2
    progress = await work.ask(work.pool(chat), asks=120)
    assert work.stop.cause is None
    assert (progress.done, progress.pending) == (120, 0)


@in_virtual_time
async def test_an_endpoint_that_never_answers_ends_the_job_after_a_while(tmp_path: Path) -> None:
    work = Work(tmp_path, 60)
    began_s = asyncio.get_running_loop().time()
    chat = ScriptedChat(TransientError("down", kind="503"))
    await work.ask(work.pool(chat), asks=120)
    assert isinstance(work.stop.cause, EndpointError)
    assert "m: down for too long, the last failure was: down; " in str(work.stop.cause)
    assert asyncio.get_running_loop().time() - began_s < 200
    assert len(chat.requests) < 60
    assert rows(work.path) == []


@in_virtual_time
async def test_a_ledger_that_cannot_be_written_ends_the_job_with_its_own_error(
    tmp_path: Path,
) -> None:
    work = Work(tmp_path, 40, fails_from=4)
    chat = ScriptedChat()
    chat.latency_s = 0.5
    with pytest.raises(LedgerError, match="disk full; free space") as caught:
        await work.ask(work.pool(chat, max_in_flight=5), asks=80)
    assert "\n" not in str(caught.value)
    stored = len(rows(work.path))
    assert 3 <= stored <= 15
    assert len(chat.requests) - stored <= 5  # what was asked for nothing


@in_virtual_time
async def test_a_bug_surfaces_as_itself(tmp_path: Path) -> None:
    def fail(_: Any) -> Any:
        raise ZeroDivisionError

    work = Work(tmp_path, 4)
    with pytest.raises(ZeroDivisionError):
        await work.ask(work.pool(ScriptedChat(fail)), asks=8)


async def test_nobody_reads_the_ledger_any_more_once_the_asking_has_ended(tmp_path: Path) -> None:
    """A page that is being read when the job stops is read to its end: the thread has no other."""
    work = Work(tmp_path, 600)
    reader = work.reader
    assert isinstance(reader, SlowReader)

    def stop_while_reading(_: Any) -> Any:
        if reader.reads > 1 and reader.is_read:
            work.stop.request()
        return reply()

    pool = work.pool(ScriptedChat(stop_while_reading), max_in_flight=300)
    await ask_missing(
        work.ledger, reader, work.run, [pool], progress=Progress(total=1200), stop=work.stop
    )
    assert work.stop.event.is_set()
    assert not reader.is_read
    reader.close()
    work.ledger.close()


@pytest.mark.parametrize("cause", [None, EvenhandError("the budget is spent")])
@in_virtual_time
async def test_a_stop_drains_what_is_in_flight_and_stores_it(
    cause: EvenhandError | None, tmp_path: Path
) -> None:
    stop = Stop()
    stopped_at: list[int] = []

    def answer(sent: Sent) -> Scripted:
        if len(server.chats) == 30:
            stop.request(cause)
            stopped_at.append(server.in_flight + 1)
        return Scripted(body=completion().body, delay_s=2.0)

    given = write_pairs(tmp_path / "pairs.jsonl", 100)
    ledger = tmp_path / "l.db"
    async with scripted_server(answer) as server:
        settings = settings_for(server.base_url, max_in_flight=8)
        result = await judge.arun(given, settings=settings, ledger=ledger, stop=stop)
        assert 30 <= len(server.chats) <= 30 + 8
        assert len(rows(ledger)) == len(server.chats)
        assert (result.is_interrupted, result.cause) == (cause is None, cause)
        assert result.progress.pending == 200 - len(rows(ledger))
        before = len(server.chats)
        resumed = await judge.arun(given, settings=settings, ledger=ledger)
        assert len(server.chats) == 200
        assert (resumed.exit_code, resumed.progress.stored_before) == (0, before)
    assert stopped_at[0] <= 8


@in_virtual_time
async def test_a_stop_ends_the_waits_for_retries(tmp_path: Path) -> None:
    stop = Stop()
    asyncio.get_running_loop().call_later(20.0, stop.request)
    given = write_pairs(tmp_path / "pairs.jsonl", 3)
    throttled = Scripted(429, headers={"retry-after": "600"})
    async with scripted_server([throttled]) as server:
        settings = settings_for(server.base_url, max_in_flight=2)
        ledger = tmp_path / "l.db"
        result = await judge.arun(given, settings=settings, ledger=ledger, stop=stop)
        assert len(server.chats) == 2
    assert result.is_interrupted
    assert result.seconds == pytest.approx(20.0, abs=1.0)
    assert rows(ledger) == []


@in_virtual_time
async def test_what_a_stop_kept_from_being_sent_is_no_failure(tmp_path: Path) -> None:
    stop = Stop()

    def answer(_: Sent) -> Scripted:
        if len(server.chats) == 3:
            stop.request()
        return completion()

    given = write_pairs(tmp_path / "pairs.jsonl", 20)
    ledger = tmp_path / "l.db"
    async with scripted_server(answer) as server:
        settings = settings_for(server.base_url, max_in_flight=8, rpm=20)
        result = await judge.arun(given, settings=settings, ledger=ledger, stop=stop)
        assert len(server.chats) == len(rows(ledger)) == 3
    assert (result.is_interrupted, result.progress.pending) == (True, 37)
    assert (result.progress.deferred, result.progress.last_problem) == ({}, "")
    assert rows(ledger, "deferrals") == []


@in_virtual_time
async def test_a_pair_that_no_minute_has_room_for_ends_the_job_with_the_rest_stored(
    tmp_path: Path,
) -> None:
    given = write_pairs(tmp_path / "pairs.jsonl", 4)
    with given.open("a") as file:
        file.write(json.dumps({"prompt": "x " * 4000, "first": "a", "second": "b"}) + "\n")
    ledger = tmp_path / "l.db"
    async with scripted_server([completion()]) as server:
        settings = settings_for(server.base_url, max_in_flight=1, tpm=2000)
        result = await judge.arun(given, settings=settings, ledger=ledger)
        assert len(server.chats) == len(rows(ledger)) == 8
    assert isinstance(result.cause, ConfigError)
    assert "but tpm allows 2,000 a minute; raise tpm" in str(result.cause)
    assert (result.exit_code, result.progress.pending) == (4, 2)


TOO_BIG = """
import asyncio, resource, sys
from pathlib import Path
import judge
from judge.errors import LedgerError
from tests.fakes import completion, scripted_server, settings_for

async def main(folder):
    async with scripted_server([completion("x" * 4000 + "\\n\\n[[A]]")]) as server:
        settings = settings_for(server.base_url, max_in_flight=8)
        await judge.arun(folder / "pairs.jsonl", settings=settings, ledger=folder / "l.db")

resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, 700_000))
try:
    asyncio.run(main(Path(sys.argv[1])))
except LedgerError as error:
    print(error)
    sys.exit(error.exit_code)
"""


@in_virtual_time
async def test_a_disk_that_fills_up_ends_the_job_in_one_line_and_loses_nothing(
    tmp_path: Path,
) -> None:
    given = write_pairs(tmp_path / "pairs.jsonl", 200)
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "error", "-c", TOO_BIG, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert (ended.returncode, ended.stderr) == (2, "")
    assert ended.stdout.startswith(f"ledger {tmp_path / 'l.db'}: ")
    assert ended.stdout.count("\n") == 1
    stored = rows(tmp_path / "l.db")
    assert 8 <= len(stored) < 400
    assert {len(row["reply"]) for row in stored} == {4007}
    async with scripted_server([completion("x" * 4000 + "\n\n[[A]]")]) as server:
        settings = settings_for(server.base_url, max_in_flight=8)
        result = await judge.arun(given, settings=settings, ledger=tmp_path / "l.db")
        assert len(server.chats) == 400 - len(stored)
    assert (result.exit_code, len(rows(tmp_path / "l.db"))) == (0, 400)
