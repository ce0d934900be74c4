"""What a running job shows: the live line, the record for logs, the rate, the five last words."""

import dataclasses
import io
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.cli import progress_view
from judge.cli.progress_line import duration, progress_line, progress_record, retries, to_do
from judge.cli.progress_view import ProgressView, RateWindow
from judge.cli.summary import closing_lines, early_end, intake_lines
from judge.cli.talk import Talk, can_rewrite
from judge.cli.visible import on_one_line, visible
from judge.errors import AccountError, ThrottledError
from judge.inputs.intake import IntakeReport
from judge.job.pipeline import RunResult
from judge.job.progress import Progress
from judge.prices.budget import Budget, Spending
from judge.prices.pricing import Price
from judge.throttling.admission import WaitReason
from judge.throttling.breaker import BreakerState
from judge.throttling.throttle import ThrottleView

ATTENDED = {"TERM": "xterm"}


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class ClosedTerminal(Terminal):
    def write(self, text: str) -> int:
        raise OSError("the terminal is gone")


def busy() -> Progress:
    return Progress(
        total=4096,
        stored_before=204,
        judged=1000,
        in_flight=64,
        sends_repeated=38,
        retry_reasons=Counter({"time-out": 3, "429": 20, "500": 15}),
        statuses=Counter({"unparsed": 12}),
        compared=400,
        flipped=56,
    )


def ended(progress: Progress, **more: object) -> RunResult:
    values: dict[str, object] = {
        "run_id": "1a2b3c4d",
        "ledger": Path("runs/judge.db"),
        "intake": IntakeReport(pairs=3),
        "progress": progress,
        "outcomes": {"first": 2, "undecided: unparsed": 1},
        "rule": "conservative",
        "seconds": 4.0,
        "max_dropped": 0.05,
    }
    return RunResult(**(values | more))  # type: ignore[arg-type]


def talk_to(stream: io.StringIO) -> Talk:
    return Talk(stream, is_quiet=False, environ=ATTENDED)


# The live line


def test_the_line_says_how_far_how_fast_how_long_and_what_goes_wrong() -> None:
    assert progress_line(busy(), 32.0, 289.2, 200) == (
        "1,204/4,096 | 289/s | 32 s, 10 s left | 64 in flight | "
        "38 retries: 429 20, 500 15, time-out 3 | unparsed 1.2 % | flips 14.0 %"
    )


def test_a_narrow_line_leaves_details_out_and_keeps_the_counts() -> None:
    assert progress_line(busy(), 32.0, 289.2, 60) == (
        "1,204/4,096 | 289/s | 32 s, 10 s left | 64 in flight"
    )
    assert progress_line(busy(), 32.0, 289.2, 72).endswith("| 38 retries")


def test_a_job_that_waits_says_why() -> None:
    waiting = progress_line(busy(), 32.0, 0.0, 200, problem="local: HTTP 503 (waiting 4.0 s)")
    assert waiting.endswith("flips 14.0 % | local: HTTP 503 (waiting 4.0 s)")
    assert "left" not in waiting


@given(
    done=st.integers(0, 10**7),
    rate=st.just(0.0) | st.floats(1e-4, 1e5),
    width=st.integers(1, 300),
    problem=st.text(max_size=300),
)
def test_a_line_never_exceeds_its_width_and_holds_nothing_that_moves_the_cursor(
    done: int, rate: float, width: int, problem: str
) -> None:
    progress = busy()
    progress.judged = done
    line = progress_line(progress, 5.0, rate, width, problem=problem)
    assert len(line) <= width
    assert line.isascii()
    assert line.isprintable()


def test_a_job_with_nothing_to_do_says_so() -> None:
    assert to_do(Progress(total=4096, stored_before=4096)) == "0 to do, 4,096 stored"


def test_a_record_for_logs_has_the_same_counts_as_fields() -> None:
    record = progress_record(busy(), 32.0, 289.2, problem="HTTP 500\n[2026] forged line")
    assert record == (
        "progress done=1204 total=4096 elapsed_s=32 rate_per_s=289.2 left_s=10 in_flight=64 "
        "repeated=38 unparsed=12 flips_percent=14.0 problem='HTTP 500\\\\n[2026] forged line'"
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations_have_two_units_at_most(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_one_repeated_request_is_a_retry_and_two_are_retries() -> None:
    assert (
        retries(Progress(sends_repeated=1, retry_reasons=Counter({"429": 1}))) == "1 retry: 429 1"
    )
    assert retries(Progress()) == "0 retries"


# What requests wait for


def gate(**more: Any) -> ThrottleView:
    """A throttle that lets everything through, but for what is said."""
    well: dict[str, Any] = {
        "limit": 100, "max_in_flight": 100, "in_flight": 0, "waiting": 0, "waiting_for": None,
        "breaker": BreakerState.CLOSED, "next_probe_s": None, "last_failure": "it refuses",
    }  # fmt: skip
    return ThrottleView(**(well | more))


@dataclass
class Gated(Progress):
    """Counts whose endpoints are in a given state."""

    views: dict[str, ThrottleView] = field(default_factory=dict)

    def gates(self) -> dict[str, ThrottleView]:
        return self.views


def waiting_line(width: int = 200, *, problem: str = "", **views: ThrottleView) -> str:
    progress = Gated(total=9, judged=1, in_flight=20, views=views)
    return progress_line(progress, 5.0, 1.0, width, problem=problem)


def record_of(**views: ThrottleView) -> str:
    return progress_record(Gated(total=9, judged=1, in_flight=20, views=views), 5.0, 1.0)


DOWN = gate(
    limit=1, waiting=15, waiting_for=WaitReason.BREAKER, breaker=BreakerState.OPEN,
    next_probe_s=11.2, last_failure="local: HTTP 503: out\nof order",
)  # fmt: skip


def test_nothing_extra_is_said_while_all_is_well() -> None:
    assert waiting_line(local=gate()) == "1/9 | 1.0/s | 5 s, 8 s left | 20 in flight"
    assert record_of(local=gate()) == (
        "progress done=1 total=9 elapsed_s=5 rate_per_s=1.0 left_s=8 in_flight=20 repeated=0"
    )


def test_a_lowered_limit_is_shown_and_those_who_wait_for_it_are_not_in_flight() -> None:
    slowed = gate(limit=8, waiting=12, waiting_for=WaitReason.SLOT)
    assert waiting_line(local=slowed).endswith("| 8 in flight | limit 8/100")
    assert record_of(local=slowed).endswith("in_flight=8 limit=8/100 repeated=0")
    assert waiting_line(local=gate(limit=99)).endswith("| 20 in flight | limit 99/100")


@pytest.mark.parametrize("reason", [WaitReason.RPM, WaitReason.TPM])
def test_a_wait_for_a_rate_says_which_and_for_how_many(reason: WaitReason) -> None:
    held = gate(waiting=12, waiting_for=reason)
    assert waiting_line(local=held).endswith(
        f"| 8 in flight | limit 100/100 | 12 wait for {reason.value}"
    )
    assert f"limit=100/100 wait_for_{reason.value}=12" in record_of(local=held)


def test_a_failing_endpoint_is_named_with_its_last_failure_and_the_next_try() -> None:
    assert waiting_line(local=DOWN, problem="local: HTTP 500 (waiting 3.0 s)").endswith(
        "| 5 in flight | paused: local fails, next try in 12 s: HTTP 503: out\\nof order"
    )
    assert waiting_line(90, local=DOWN).endswith("| paused: local fails, next try in 12 s")
    probing = dataclasses.replace(DOWN, breaker=BreakerState.HALF_OPEN, next_probe_s=0.0)
    assert "paused: local fails, trying it now: HTTP 503" in waiting_line(local=probing)
    assert "paused_s.local=12 failure.local='HTTP 503: out" in record_of(local=DOWN)


def test_several_endpoints_are_told_apart_by_name() -> None:
    line = waiting_line(near=gate(limit=8), far=gate(waiting=3, waiting_for=WaitReason.TPM))
    assert line.endswith("| near limit 8/100 | far limit 100/100 | far 3 wait for tpm")
    record = record_of(near=gate(limit=8), far=gate(waiting=3, waiting_for=WaitReason.TPM))
    assert "limit.near=8/100 limit.far=100/100 wait_for_tpm.far=3" in record
    both = waiting_line(300, near=gate(limit=8), far=dataclasses.replace(DOWN, last_failure="x"))
    assert both.index("paused: far fails") < both.index("near limit 8/100")


def test_what_a_job_does_beside_asking_is_said_first() -> None:
    progress = busy()
    with progress.at_stage("reaching local"):
        assert progress_line(progress, 1.0, 0.0, 60).startswith("1,204/4,096 | reaching local | ")
        assert "stage='reaching local'" in progress_record(progress, 1.0, 0.0)
    assert "reaching" not in progress_line(progress, 1.0, 0.0, 60)


# What is spent


def spent_by(budget: Budget) -> tuple[str, str]:
    progress = Progress(total=9, judged=1, budget=budget, input_tokens=1200, output_tokens=300)
    closing = closing_lines(ended(progress))[3]
    return progress_line(progress, 5.0, 0.0, 200), closing


PRICES = {"m": Price(input_per_million=1.0, output_per_million=10.0)}
SPENT = Spending(requests=57, tokens=12_345, usd=0.0812)


def test_tokens_are_told_at_the_end_and_no_money_where_no_price_is_known() -> None:
    budget = Budget(spent=SPENT)
    budget.check_models(["m"])
    line, closing = spent_by(budget)
    assert line.endswith("0 in flight")
    assert closing == "requests  0 retries; pending 8; tokens 1,200 in, 300 out"


def test_money_is_told_where_every_model_has_a_price() -> None:
    budget = Budget(prices=PRICES, spent=SPENT)
    budget.check_models(["m"])
    line, closing = spent_by(budget)
    assert line.endswith("| $0.0812")
    assert closing.endswith("; tokens 1,200 in, 300 out; spent $0.0812")
    budget.check_models(["m", "unpriced"])
    assert "$" not in "".join(spent_by(budget))


def test_a_budget_is_told_with_what_is_left_of_it() -> None:
    budget = Budget(requests=100, tokens=1_000_000, usd=20.0, prices=PRICES, spent=SPENT)
    budget.check_models(["m"])
    line, closing = spent_by(budget)
    words = "$0.0812 of $20.00, 12,345 of 1,000,000 tokens, 57 of 100 requests"
    assert line.endswith(f"| {words}")
    assert closing.endswith(f"; spent {words}")
    record = progress_record(Progress(total=9, budget=budget), 5.0, 0.0)
    assert record.endswith("requests=57 tokens=12345 usd=0.0812")


# The rate


def test_the_rate_is_that_of_the_last_seconds() -> None:
    window = RateWindow(10.0)
    assert window.rate(0.0, 0) == 0.0
    assert window.rate(5.0, 100) == 20.0
    assert window.rate(10.0, 100) == 10.0
    assert window.rate(20.0, 100) == 0.0, "nothing in the last ten seconds"


def test_rare_calls_still_measure_a_whole_window() -> None:
    window = RateWindow(10.0)
    rates = [window.rate(12.0 * step, 600 * step) for step in range(5)]
    assert rates == [0.0, 50.0, 50.0, 50.0, 50.0]


# The view


def test_a_terminal_gets_a_line_that_is_removed_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_view, "REFRESH_S", 0.001)
    stream = Terminal()
    with ProgressView(talk_to(stream), "pairs.jsonl") as view:
        view.begin(busy())
        wait_for(lambda: stream.getvalue().count("1,204/4,096") >= 2)
    assert "\n" not in stream.getvalue()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_elsewhere_lines_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_view, "RECORD_EVERY_S", 0.001)
    stream = io.StringIO()
    with ProgressView(talk_to(stream), "pairs.jsonl") as view:
        view.begin(busy())
        wait_for(lambda: stream.getvalue().count("\n") >= 2)
    assert {line.split()[0] for line in stream.getvalue().splitlines()} == {"progress"}
    assert not {"\r", "\x1b"} & set(stream.getvalue())


def test_a_long_reading_of_the_input_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_view, "REFRESH_S", 0.001)
    monkeypatch.setattr(progress_view, "READING_SHOWS_AFTER_S", 0.0)
    stream = Terminal()
    with ProgressView(talk_to(stream), "pairs.jsonl"):
        wait_for(lambda: "reading pairs.jsonl" in stream.getvalue())


def test_the_last_problem_is_shown_while_it_is_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_view, "REFRESH_S", 0.001)
    monkeypatch.setattr(progress_view, "PROBLEM_STAYS_S", 0.05)
    monkeypatch.setenv("COLUMNS", "200")
    stream = Terminal()
    progress = busy()
    progress.last_problem = "local: HTTP 503 (waiting 4.0 s)"
    with ProgressView(talk_to(stream), "pairs.jsonl") as view:
        view.begin(progress)
        wait_for(lambda: "waiting 4.0 s" in stream.getvalue())
        wait_for(lambda: "waiting" not in stream.getvalue().split("\r")[-1])


def test_a_problem_is_shown_for_as_long_as_its_request_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress_view, "PROBLEM_STAYS_S", 0.0)
    progress = Progress(total=3)
    view = ProgressView(talk_to(Terminal()), "pairs.jsonl")
    progress.note_wait(ThrottledError("local: HTTP 429", 60.0), 62.0)
    assert view._recent_problem(progress, 100.0) == "local: HTTP 429 (waiting 62.0 s)"
    assert view._recent_problem(progress, 161.0) == "local: HTTP 429 (waiting 62.0 s)"
    assert view._recent_problem(progress, 163.0) == ""


def test_a_second_part_begins_with_counts_and_a_rate_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress_view, "REFRESH_S", 0.001)
    monkeypatch.setattr(progress_view, "READING_SHOWS_AFTER_S", 0.0)
    stream = Terminal()
    with ProgressView(talk_to(stream), "prompts.jsonl") as view:
        view.begin(busy())
        wait_for(lambda: "1,204/4,096" in stream.getvalue())
        view.begin_reading("made.jsonl")
        wait_for(lambda: "reading made.jsonl" in stream.getvalue())
        view.begin(Progress(total=7))
        wait_for(lambda: "0/7" in stream.getvalue())
    assert "-" not in stream.getvalue(), "no rate is negative"


def test_a_quiet_job_starts_no_view() -> None:
    stream = Terminal()
    before = threading.active_count()
    with ProgressView(Talk(stream, is_quiet=True, environ=ATTENDED), "pairs.jsonl") as view:
        view.begin(busy())
        assert threading.active_count() == before
    assert stream.getvalue() == ""


def wait_for(is_so: object) -> None:
    assert callable(is_so)
    end = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


# The voice


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True),
        ({"TERM": "xterm", "CI": "false"}, True),
        ({"TERM": "xterm", "CI": "true"}, False),
        ({"TERM": "dumb"}, False),
        ({}, False),
    ],
)
def test_a_line_is_rewritten_only_where_a_person_watches(
    environ: dict[str, str], expected: bool
) -> None:
    assert can_rewrite(Terminal(), environ) is expected
    assert can_rewrite(io.StringIO(), environ) is False


def test_what_is_said_replaces_the_live_line() -> None:
    stream = Terminal()
    talk = talk_to(stream)
    talk.show("1/2")
    talk.say("hello")
    talk.clear()
    assert stream.getvalue() == "\r1/2\x1b[K\r\x1b[Khello\n"


def test_a_terminal_that_is_gone_ends_no_job() -> None:
    talk = Talk(ClosedTerminal(), is_quiet=False, environ=ATTENDED)
    talk.say("anybody there?")
    assert talk.is_live is False


@given(st.text())
def test_visible_text_steers_no_terminal_and_keeps_its_lines(text: str) -> None:
    shown = visible(text)
    assert shown.count("\n") == text.count("\n")
    allowed = {"\n"}
    assert all(ord(c) >= 32 or c in allowed for c in shown)
    assert not set("\x7f\x9b\u202e\u2028") & set(shown)
    assert on_one_line(text).count("\n") == 0
    shown.encode("utf-8")


def test_ordinary_text_is_shown_as_it_is() -> None:
    assert visible("Grüße, 日本語, 👩‍🚀") == "Grüße, 日本語, 👩‍🚀"


# Before and after a job


def test_a_finished_job_ends_in_five_lines_with_the_next_command() -> None:
    progress = busy()
    progress.judged = 3892
    assert closing_lines(ended(progress, dropped=12)) == [
        "judged    4,096 of 4,096 asks: 3,892 now, 204 stored before; 4.0 s, 973/s",
        "labels    first 2, second 0, tie 0, inconsistent 0, undecided 1 (unparsed 1);"
        " rule conservative",
        "orders    56 of 400 pairs flipped with the order (14.0 %); "
        "without a verdict 12 of 4,096 asks (now: unparsed 12)",
        "requests  38 retries: 429 20, 500 15, time-out 3; pending 0",
        "stored    runs/judge.db, run 1a2b3c4d; next: judge agree --ledger runs/judge.db",
    ]
    assert early_end(ended(progress)) is None


def test_a_job_that_ended_early_says_why_and_how_to_resume() -> None:
    progress = busy()
    progress.deferred["local: HTTP 500\x1b[2J\nboom"] = 7
    cause = AccountError("local: HTTP 402: no credit\nfor you")
    assert early_end(ended(progress, cause=cause)) == (
        "local: HTTP 402: no credit\\nfor you; run the same command again to resume"
    )
    lines = closing_lines(ended(progress, cause=cause))
    assert len(lines) == 5
    assert lines[3].endswith("pending 2,892 (local: HTTP 500\\x1b[2J\\nboom 7)")
    assert lines[4].endswith("next: run the same command again to resume")
    interrupted = early_end(ended(progress, is_interrupted=True))
    assert interrupted is not None
    assert interrupted.startswith("interrupted: 2,892 asks still pending")


def test_warnings_are_named_first_and_counted_then() -> None:
    report = IntakeReport()
    report.warn(f"line {number} is odd" for number in range(12))
    report.refuse("line 99 is bad")
    lines = intake_lines(report)
    assert lines[0] == "warning: line 0 is odd"
    assert lines[-2:] == ["warning: and 2 more like these", "left out: line 99 is bad"]
