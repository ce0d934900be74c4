"""The error table, row by row: what each failure costs in requests and leaves in the ledger.

Every case is a whole job against a real server on loopback. One pair and one slot make two asks,
one after the other; waits run on a clock that jumps.
"""

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import judge
from judge.job.pipeline import RunResult
from judge.settings.config import Judge
from judge.simulator.server import running_simulator
from judge.simulator.settings import AccountFault, SimulatorSettings
from tests.fakes import (
    Scripted,
    ScriptedServer,
    Sent,
    completion,
    failure,
    in_virtual_time,
    rows,
    scripted_server,
    settings_for,
    write_pairs,
)

WHOLE = completion()
ROOMY = Judge(model="simulated-judge")
"""With room for the simulator's replies."""

TRANSIENT = {
    "read time-out": (Scripted(is_hanging=True), "time-out"),
    "reset": (Scripted(is_reset=True), "reset"),
    "cut body": (Scripted(body=WHOLE.body, cut=20), "cut answer"),
    **{
        str(status): (failure(status), str(status))
        for status in (408, 409, 425, 500, 502, 503, 504, 529)
    },
    "HTML with 200": (
        Scripted(body=b"<html>Bad Gateway</html>", headers={"content-type": "text/html"}),
        "broken reply",
    ),
    "cut JSON with 200": (Scripted(body=WHOLE.body[:-9]), "broken reply"),
    "empty body with 200": (Scripted(), "broken reply"),
    "error object with 200": (Scripted(body=failure(500).body), "broken reply"),
    "no finish_reason": (
        Scripted(body=b'{"choices":[{"message":{"content":"[[A]]"}}]}'),
        "no finish reason",
    ),
    "null finish_reason": (completion(finish_reason=None), "no finish reason"),
    "finish_reason error": (completion("[[A]]", "error"), "cut answer"),
}


async def run(
    server: ScriptedServer, folder: Path, *, pairs: int = 1, max_in_flight: int = 1, **more: Any
) -> RunResult:
    """Run a job of `pairs` pairs in the folder's ledger."""
    given = write_pairs(folder / "pairs.jsonl", pairs)
    endpoint = {"max_in_flight": max_in_flight, "timeout_s": 5.0, **more.pop("endpoint", {})}
    settings = settings_for(server.base_url, more.pop("judge", None), **endpoint)
    return await judge.arun(given, settings=settings, ledger=folder / "l.db", **more)


def statuses(folder: Path) -> list[str | None]:
    return [row["status"] for row in rows(folder / "l.db")]


@pytest.mark.parametrize("row", TRANSIENT)
@in_virtual_time
async def test_a_transient_failure_is_sent_six_times_and_then_stays_pending(
    row: str, tmp_path: Path
) -> None:
    answer, kind = TRANSIENT[row]
    async with scripted_server([answer]) as server:
        result = await run(server, tmp_path)
        assert len(server.chats) == 2 * 6
    assert rows(tmp_path / "l.db") == []
    assert [row["attempts"] for row in rows(tmp_path / "l.db", "deferrals")] == [6, 6]
    assert result.progress.pending == 2
    assert result.progress.retry_reasons == {kind: 2 * 5}
    assert result.progress.sends_repeated == 2 * 5
    assert result.outcomes == {"undecided: pending": 1}
    assert (result.exit_code, result.is_interrupted) == (5, False)


@pytest.mark.parametrize("row", TRANSIENT)
@in_virtual_time
async def test_a_transient_failure_that_passes_costs_one_more_request(
    row: str, tmp_path: Path
) -> None:
    async with scripted_server([TRANSIENT[row][0], WHOLE]) as server:
        result = await run(server, tmp_path)
        assert len(server.chats) == 3
    assert [row["attempts"] for row in rows(tmp_path / "l.db")] == [2, 1]
    assert (result.exit_code, result.progress.judged) == (0, 2)


@pytest.mark.parametrize(
    "fault", ["server_error_rate", "reset_rate", "truncated_body_rate", "html_rate", "hang_rate"]
)
@in_virtual_time
async def test_the_sixth_attempt_is_still_sent(fault: str, tmp_path: Path) -> None:
    faulty = SimulatorSettings.model_validate({fault: 1.0, "faulty_sends": 5})
    async with running_simulator(faulty) as simulator:
        settings = settings_for(simulator.base_url, ROOMY, max_in_flight=1)
        given = write_pairs(tmp_path / "pairs.jsonl", 1)
        result = await judge.arun(given, settings=settings, ledger=tmp_path / "l.db")
        assert (simulator.stats.requests, simulator.stats.repeats) == (12, 10)
    assert [row["attempts"] for row in rows(tmp_path / "l.db")] == [6, 6]
    assert result.exit_code == 0


@in_virtual_time
async def test_a_429_is_waited_out_as_told_and_is_no_attempt(tmp_path: Path) -> None:
    throttled = [failure(429, "rate_limit_exceeded", Retry_After="7")] * 9
    async with scripted_server([*throttled, WHOLE]) as server:
        result = await run(server, tmp_path)
        assert len(server.chats) == 9 + 2
        times = [sent.at_s for sent in server.chats[:10]]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert min(gaps) > 7.0
    assert max(gaps) < 7.0 + 16.1
    assert len({round(gap, 6) for gap in gaps}) == 9
    assert result.exit_code == 0
    assert result.progress.retry_reasons == {"429": 9}


@in_virtual_time
async def test_a_429_and_five_failures_still_leave_the_sixth_attempt(tmp_path: Path) -> None:
    throttled = failure(429, "rate_limit_exceeded", Retry_After="1")
    script = [failure(500), throttled, *[failure(500)] * 2, throttled, *[failure(500)] * 2, WHOLE]
    async with scripted_server(script) as server:
        result = await run(server, tmp_path)
        assert len(server.chats) == 5 + 2 + 1 + 1
    assert result.exit_code == 0
    assert [row["attempts"] for row in rows(tmp_path / "l.db")] == [8, 1]


@in_virtual_time
async def test_a_429_that_asks_for_more_than_fifteen_minutes_defers_the_ask(
    tmp_path: Path,
) -> None:
    async with scripted_server([failure(429, Retry_After="901")]) as server:
        result = await run(server, tmp_path)
        assert len(server.chats) == 2
    assert (result.progress.pending, result.seconds < 1.0) == (2, True)


ACCOUNT: dict[str, tuple[Scripted, int, str]] = {
    "402": (failure(402, "payment_required"), 1, "add credit"),
    "429 insufficient_quota": (failure(429, "insufficient_quota"), 1, "out of credit"),
    "429 billing_hard_limit_reached": (failure(429, "billing_hard_limit_reached"), 1, "credit"),
    "401": (failure(401, "invalid_api_key"), 3, "check the key"),
    "403": (failure(403), 3, "permissions"),
    "404 model_not_found": (failure(404, "model_not_found"), 3, "the model's name"),
    "redirect": (Scripted(307, headers={"location": "http://elsewhere.invalid/"}), 1, "base_url"),
}


@pytest.mark.parametrize("row", ACCOUNT)
@in_virtual_time
async def test_an_account_error_stops_the_job_at_once_or_at_the_third_in_a_row(
    row: str, tmp_path: Path
) -> None:
    answer, sends, remedy = ACCOUNT[row]
    async with scripted_server([answer]) as server:
        result = await run(server, tmp_path, pairs=50)
        assert len(server.chats) == sends
    assert result.exit_code == 5
    assert remedy in str(result.cause)
    assert "\n" not in str(result.cause)
    assert rows(tmp_path / "l.db") == []
    assert result.progress.pending == 100


@pytest.mark.parametrize("row", ACCOUNT)
@pytest.mark.parametrize("stagger_s", [0.0, 0.05])
@in_virtual_time
async def test_an_account_error_costs_ten_requests_at_most(
    row: str, stagger_s: float, tmp_path: Path
) -> None:
    """Refusals that come one by one let earlier workers ask on: the worst case for the count."""
    answer = ACCOUNT[row][0]

    def refuse(sent: Sent) -> Scripted:
        wait_s = stagger_s * len(server.chats)
        return Scripted(answer.status, answer.body, answer.headers, delay_s=wait_s)

    models = Scripted(404, delay_s=0.5)  # patience is twice the round trip
    async with scripted_server(refuse, models) as server:
        result = await run(server, tmp_path, pairs=200, max_in_flight=64)
        assert len(server.chats) + len(server.others) <= 10
    assert result.exit_code == 5


@in_virtual_time
async def test_a_wrong_key_is_found_before_anything_is_asked(tmp_path: Path) -> None:
    refusal = failure(401, "invalid_api_key")
    async with scripted_server([refusal], models=refusal) as server:
        result = await run(server, tmp_path, pairs=50, max_in_flight=64)
        assert (len(server.others), len(server.chats)) == (1, 0)
    assert result.exit_code == 5


@pytest.mark.parametrize("fault", AccountFault)
@in_virtual_time
async def test_an_account_error_after_results_is_resumable(
    fault: AccountFault, tmp_path: Path
) -> None:
    faulty = SimulatorSettings(account_fault=fault, account_fault_after=30)
    given = write_pairs(tmp_path / "pairs.jsonl", 50)
    async with running_simulator(faulty) as simulator:
        settings = settings_for(simulator.base_url, ROOMY, max_in_flight=4)
        first = await judge.arun(given, settings=settings, ledger=tmp_path / "l.db")
        assert simulator.stats.requests <= 30 + 10
    assert first.exit_code == 4
    assert len(rows(tmp_path / "l.db")) == 30
    async with running_simulator(SimulatorSettings()) as simulator:
        settings = settings_for(simulator.base_url, ROOMY, max_in_flight=4)
        second = await judge.arun(given, settings=settings, ledger=tmp_path / "l.db")
        assert simulator.stats.requests == 70
    assert (second.exit_code, second.progress.stored_before) == (0, 30)


async def test_two_refusals_between_answers_are_no_account_error(tmp_path: Path) -> None:
    """Some providers answer 403 to a text they dislike: such an ask waits, the job goes on."""
    script = [failure(403), failure(403), WHOLE]
    async with scripted_server(script) as server:
        result = await run(server, tmp_path, pairs=4)
        assert len(server.chats) == 8 + 2
    assert (result.exit_code, result.cause) == (0, None)
    assert len(rows(tmp_path / "l.db")) == 8


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (failure(400, "context_length_exceeded"), "failed"),
        (failure(400), "failed"),
        (failure(413), "failed"),
        (failure(422), "failed"),
        (failure(400, "content_filter"), "refused"),
        (failure(400, "content_policy_violation"), "refused"),
        (completion("", "content_filter"), "refused"),
        (completion("I cannot say."), "unparsed"),
        (completion(None), "unparsed"),
        (completion("[[A]]", "tool_calls"), "unparsed"),
    ],
)
@in_virtual_time
async def test_what_is_final_costs_one_request_and_is_stored(
    answer: Scripted, status: str, tmp_path: Path
) -> None:
    async with scripted_server([answer]) as server:
        result = await run(server, tmp_path)
        assert len(server.chats) == 2
        again = await run(server, tmp_path)
        assert len(server.chats) == 2
    for row in rows(tmp_path / "l.db"):
        assert (row["status"], row["verdict"], row["attempts"]) == (status, None, 1)
        assert row["reason"]
    assert len(rows(tmp_path / "l.db")) == 2
    assert result.progress.statuses == {status: 2}
    assert (result.exit_code, again.progress.judged) == (3, 0)


@in_virtual_time
async def test_a_cut_reply_is_never_read_and_asked_once_more_with_twice_the_room(
    tmp_path: Path,
) -> None:
    async with scripted_server([completion("My verdict: [[A]]", "length")]) as server:
        result = await run(server, tmp_path)
        limits = [sent.body["max_tokens"] for sent in server.chats]
    assert limits == [100, 200, 100, 200]
    for row in rows(tmp_path / "l.db"):
        assert (row["status"], row["verdict"], row["attempts"]) == ("truncated", None, 2)
        assert row["reply"] == "My verdict: [[A]]"
    assert result.exit_code == 3


@in_virtual_time
async def test_a_cut_reply_that_then_fits_counts(tmp_path: Path) -> None:
    script = [completion("[[A]] or", "length"), completion("[[B]]"), completion("[[A]]")]
    async with scripted_server(script) as server:
        result = await run(server, tmp_path)
        assert len(server.chats) == 3
    assert [(row["verdict"], row["attempts"]) for row in rows(tmp_path / "l.db")] == [
        ("B", 2),
        ("A", 1),
    ]
    assert result.exit_code == 0


@in_virtual_time
async def test_a_cut_reply_stays_truncated_when_twice_the_room_is_refused(
    tmp_path: Path,
) -> None:
    script = [completion("half", "length"), failure(400, "context_length_exceeded")] * 2
    async with scripted_server(script) as server:
        await run(server, tmp_path)
        assert len(server.chats) == 4
    stored = [(row["status"], row["reply"], row["attempts"]) for row in rows(tmp_path / "l.db")]
    assert stored == [("truncated", "half", 2)] * 2


@pytest.mark.parametrize("status", ["unparsed", "refused", "truncated", "failed"])
@in_virtual_time
async def test_retry_asks_sample_one_of_that_status_only(status: str, tmp_path: Path) -> None:
    bad: dict[str, list[Scripted]] = {
        "unparsed": [completion("Hm.")],
        "refused": [completion("", "content_filter")],
        "truncated": [completion("x", "length")] * 2,
        "failed": [failure(422)],
    }
    async with scripted_server([*bad[status], WHOLE]) as server:
        first = await run(server, tmp_path, pairs=2)
        before = len(server.chats)
        others = [name for name in bad if name != status]
        nothing = await run(server, tmp_path, pairs=2, retry=others)
        assert (nothing.progress.sends_repeated, len(server.chats)) == (0, before)
        second = await run(server, tmp_path, pairs=2, retry=[status])
        assert len(server.chats) == before + 1
    assert first.progress.statuses == {status: 1}
    samples = [(row["sample"], row["status"]) for row in rows(tmp_path / "l.db")]
    assert sorted(samples, key=str) == sorted(
        [(0, status), (0, None), (0, None), (0, None), (1, None)], key=str
    )
    assert second.outcomes == {"inconsistent": 2}


@in_virtual_time
async def test_a_missing_finish_reason_is_accepted_on_request(tmp_path: Path) -> None:
    silent = Scripted(body=b'{"choices":[{"message":{"content":"[[A]]"}}]}')
    async with scripted_server([silent]) as server:
        opted = {"accept_missing_finish_reason": True}
        result = await run(server, tmp_path, endpoint=opted)
        assert len(server.chats) == 2
    assert (result.exit_code, statuses(tmp_path)) == (0, [None, None])


@in_virtual_time
async def test_an_address_where_nobody_answers_ends_the_job_quickly(tmp_path: Path) -> None:
    async with scripted_server([WHOLE]) as server:
        await server.stop()
        result = await run(server, tmp_path, pairs=30)
    assert (result.exit_code, result.progress.done) == (5, 0)
    assert "cannot connect to http://127.0.0.1" in str(result.cause)
    assert "start the server, or check base_url" in str(result.cause)
    assert result.seconds < 1.0
    assert rows(tmp_path / "l.db") == []


@in_virtual_time
async def test_an_endpoint_that_dies_stops_the_job_and_can_be_resumed(tmp_path: Path) -> None:
    def die_later(sent: Sent) -> Scripted:
        return WHOLE if len(server.chats) <= 40 else Scripted(is_reset=True)

    async with scripted_server(die_later) as server:
        result = await run(server, tmp_path, pairs=100, max_in_flight=8)
        # 20 failures until the breaker opens, the 7 others in flight, retries, and the probes.
        assert 40 + 20 <= len(server.chats) <= 40 + 20 + 7 + 20 + 0.1 * 67
        stored = len(rows(tmp_path / "l.db"))
        assert stored == 40
        assert result.exit_code == 4
        assert "down for too long, the last failure was: " in str(result.cause)
        assert "run the same command again to resume" in str(result.cause)
        server.script = [WHOLE]
        before = len(server.chats)
        resumed = await run(server, tmp_path, pairs=100, max_in_flight=8)
        assert len(server.chats) - before == 200 - stored
    assert (resumed.exit_code, len(rows(tmp_path / "l.db"))) == (0, 200)


@in_virtual_time
async def test_a_server_that_stops_in_mid_job_stops_the_job(tmp_path: Path) -> None:
    async with scripted_server([WHOLE]) as server:

        def stop_it(sent: Sent) -> Scripted:
            if len(server.chats) == 40:
                stopping.append(asyncio.ensure_future(server.stop()))
            return WHOLE

        stopping: list[asyncio.Future[None]] = []
        server.script = stop_it
        result = await run(server, tmp_path, pairs=100, max_in_flight=8)
        await asyncio.gather(*stopping)
    assert result.exit_code == 4
    assert "cannot connect" in str(result.cause)
    assert 30 <= len(rows(tmp_path / "l.db")) < 60


@in_virtual_time
async def test_deferred_asks_are_asked_again_once_the_endpoint_recovers(tmp_path: Path) -> None:
    """Ten asks fail until the budget is gone; the next pass finds the endpoint well."""
    failing: Callable[[Sent], bool] = lambda sent: len(server.chats) <= 45  # noqa: E731

    def recover(sent: Sent) -> Scripted:
        is_ill = sent.user.count("Question 1?") or sent.user.count("Question 3?")
        return failure(503) if is_ill and failing(sent) else WHOLE

    async with scripted_server(recover) as server:
        result = await run(server, tmp_path, pairs=30)
        assert len(server.chats) <= 2 * 60
    assert result.exit_code == 0
    assert len(rows(tmp_path / "l.db")) == 60
    assert rows(tmp_path / "l.db", "deferrals") != []
    assert result.progress.deferred == {}


@in_virtual_time
async def test_four_failures_in_ten_lose_nothing_and_stay_bounded(tmp_path: Path) -> None:
    """The budget of 10 % is gone soon: what remains is asked again pass by pass."""
    faulty = SimulatorSettings(server_error_rate=0.25, reset_rate=0.15)
    async with running_simulator(faulty) as simulator:
        settings = settings_for(simulator.base_url, ROOMY, max_in_flight=16)
        given = write_pairs(tmp_path / "pairs.jsonl", 150)
        result = await judge.arun(given, settings=settings, ledger=tmp_path / "l.db")
        stats = simulator.stats
    stored = len(rows(tmp_path / "l.db"))
    assert stored + result.progress.pending == 300
    assert (stored, result.exit_code) == (300, 0)
    # One in 0.6 sends succeeds, so 1.67 sends an item are the least there can be.
    assert stats.requests / 300 < 1.9
    first_sends = stats.requests - result.progress.sends_repeated
    assert result.progress.sends_repeated <= 20 + 0.1 * first_sends
