"""What a running job shows: the live line, the record for logs, the rate, the five last words."""

import io
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.cli import progress_view
from judge.cli.progress_line import duration, progress_line, progress_record, retries, to_do
from judge.cli.progress_view import ProgressView, RateWindow
from judge.cli.summary import closing_lines, early_end, intake_lines
from judge.cli.talk import Talk, can_rewrite
from judge.cli.visible import on_one_line, visible
from judge.errors import AccountError
from judge.intake import IntakeReport
from judge.pipeline import RunResult
from judge.progress import Progress

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
