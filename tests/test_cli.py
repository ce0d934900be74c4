"""The command line as people use it: a process, its two streams and its exit code."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import pytest
from cyclopts import App

from judge.cli import app
from judge.cli.door import exit_code_of
from judge.cli.overrides import SettingFlags, overrides_of
from judge.errors import ConfigError, LedgerError
from judge.ledger.store import Ledger
from judge.simulator.process import SimulatorProcess, simulator_process
from judge.simulator.settings import AccountFault, SimulatorSettings

EXAMPLES = files("judge.examples") / "pairs.jsonl"
DEADLINE_S = 30.0
SUMMARY = ["judged", "labels", "orders", "requests", "stored"]
COMMANDS = ["demo", "run", "import", "agree", "export", "simulate"]


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    talk: str

    @property
    def lines(self) -> list[str]:
        return self.talk.splitlines()


Typed = Callable[..., Ended]


@dataclass(frozen=True)
class Shell:
    """A folder to type commands in, without any setting of the person who runs the tests."""

    folder: Path

    def environ(self, **variables: str) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("JUDGE_", "OPENAI_", "CI"))
        }
        return {**kept, "TERM": "dumb", "COLUMNS": "100"} | variables

    def start(self, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "judge", *arguments],
            cwd=self.folder,
            env=self.environ(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def judge(self, *arguments: str, **variables: str) -> Ended:
        with self.start(*arguments, **variables) as process:
            return ended(process)

    def write(self, name: str, *lines: str) -> str:
        (self.folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return name


def ended(process: "subprocess.Popen[str]") -> Ended:
    out, talk = process.communicate(timeout=DEADLINE_S)
    return Ended(process.returncode, out, talk)


def pair(number: int, **more: object) -> str:
    row = {
        "pair_id": f"p{number}",
        "prompt": f"What is {number}?",
        "first": "One.",
        "second": "Two",
    }
    return json.dumps(row | more)


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "pairs.jsonl").write_bytes(EXAMPLES.read_bytes())
    return Shell(tmp_path)


@pytest.fixture
def here(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Typed:
    """The command line in this process: as `shell.judge`, only faster."""
    monkeypatch.chdir(shell.folder)
    for name in os.environ.keys() - shell.environ().keys():
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")

    def typed(*arguments: str) -> Ended:
        code = exit_code_of(app, arguments)
        return Ended(code, *capsys.readouterr())

    return typed


@pytest.fixture(scope="module")
def fast() -> Iterator[SimulatorProcess]:
    with simulator_process(SimulatorSettings()) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def slow() -> Iterator[SimulatorProcess]:
    with simulator_process(SimulatorSettings(latency_s=0.3)) as simulator:
        yield simulator


def asking(simulator: SimulatorProcess, *more: str) -> list[str]:
    address = ["--base-url", simulator.base_url, "--model", "simulated-judge"]
    return ["run", "pairs.jsonl", *address, *more]


# Help and version


def test_help_names_every_command_and_imports_nothing_heavy(shell: Shell) -> None:
    code = """
import sys
from judge.cli import main
sys.argv = ["judge", "--help"]
try:
    main()
except SystemExit as end:
    assert not end.code
heavy = {"scipy", "openai", "sqlalchemy", "aiohttp", "numpy", "pydantic"}
print(heavy & {name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=shell.environ(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "set()\n"
    assert [name for name in COMMANDS if name not in done.stdout] == []
    groups = ["start", "label", "trust", "data and service"]
    places = [done.stdout.index(f"╭─ {group} ─") for group in groups]
    assert places == sorted(places)


def test_version_goes_to_stdout(shell: Shell) -> None:
    done = shell.judge("--version")
    assert (done.code, done.talk) == (0, "")
    assert done.out[0].isdigit()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_each_of_its_flags(here: Typed, command: str) -> None:
    done = here(command, "--help")
    assert (done.code, done.talk) == (0, "")
    rows = [line.strip("│ ") for line in done.out.splitlines() if line.startswith("│")]
    flags = [row for row in rows if row.startswith("--")]
    assert flags
    assert [row for row in flags if len(row.split(maxsplit=2)) < 3] == []


# Usage and settings


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["runn", "pairs.jsonl"], 'Did you mean "run"?'),
        (["run", "pairs.jsonl", "--rul", "lenient"], "Did you mean --rule?"),
        (["run", "pairs.jsonl", "--retry", "lost"], '"unparsed"'),
        (["run", "pairs.jsonl", "--limit", "0"], "Must be >= 1"),
        (["run", "pairs.jsonl", "--set", "timeout=3"], "TABLE.KEY=VALUE"),
        (["run"], "INPUT"),
        (["run", "pairs.jsonl"], "add a [[judges]] table to the config or give --model"),
        (["run", "none.jsonl", "--model", "m", "--base-url", "http://x/v1"], "no such file"),
        (["run", "pairs.jsonl", "--config", "none.toml"], "--config"),
        (["run", "pairs.jsonl", "--model", "m"], "OPENAI_API_KEY is not set"),
        (["agree", "--ledger", "none.db"], "does not exist"),
        (["simulate", "--accuracy", "3"], "--accuracy 3: "),
        (["simulate", "--votes", "pairs.jsonl", "--annotators", "0"], "at least 1"),
    ],
)
def test_a_mistake_is_told_in_words_and_exits_2(
    here: Typed, arguments: list[str], expected: str
) -> None:
    done = here(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.lines[0].startswith("error: ")
    assert expected in done.talk
    assert "Traceback" not in done.talk


def test_a_misspelt_key_of_the_config_is_refused_with_a_suggestion(
    shell: Shell, here: Typed
) -> None:
    config = shell.write("own.toml", "[[judges]]", 'modle = "m"')
    done = here("run", "pairs.jsonl", "--config", config)
    assert done.code == 2
    assert 'own.toml: unknown key "judges.0.modle"; did you mean "model"?' in done.talk


def test_a_config_in_the_folder_is_used_and_said(shell: Shell) -> None:
    shell.write(
        "judge.toml",
        "[endpoints.local]",
        'base_url = "http://127.0.0.1:9/v1"',
        'api_key_env = "A_KEY_NOBODY_SET"',
        "[[judges]]",
        'model = "m"',
        'endpoint = "local"',
    )
    done = shell.judge("run", "pairs.jsonl")
    assert done.code == 2
    assert done.lines[0] == "settings from judge.toml"
    assert "environment variable A_KEY_NOBODY_SET is not set" in done.talk


def test_a_traceback_is_shown_only_with_debug(here: Typed) -> None:
    plain = here("agree", "--ledger", "none.db")
    debug = here("agree", "--ledger", "none.db", "--debug")
    assert "Traceback" not in plain.talk
    assert debug.talk.startswith("Traceback")
    assert debug.lines[-1] == plain.lines[-1]
    assert debug.code == plain.code == 2


def test_bad_lines_stop_the_job_before_anything_is_asked(
    shell: Shell, fast: SimulatorProcess
) -> None:
    shell.write("pairs.jsonl", pair(1), '{"prompt": 3}', pair(2))
    before = fast.stats().requests
    done = shell.judge(*asking(fast))
    assert done.code == 2
    assert "pairs.jsonl:2" in done.talk
    assert "--skip-bad-lines" in done.talk
    assert fast.stats().requests == before
    skipped = shell.judge(*asking(fast, "--skip-bad-lines"))
    assert skipped.code == 0
    assert "left out: pairs.jsonl:2" in skipped.talk
    assert "judged    4 of 4 asks" in skipped.talk


def test_nothing_from_a_file_reaches_the_terminal_as_a_control_character(
    shell: Shell, fast: SimulatorProcess
) -> None:
    hostile = "\x1b]0;owned\x07\x1b[31m\u202e"
    shell.write("pairs.jsonl", pair(1, pair_id=hostile, first="Same.", second="Same."))
    done = shell.judge(*asking(fast))
    assert done.code == 0
    assert "\\x1b]0;owned\\x07" in done.talk
    assert not {"\x1b", "\x07", "\u202e"} & set(done.talk)


def test_an_error_nobody_foresaw_is_one_line_and_exits_70(
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken = App(result_action="return_value")

    @broken.default
    def fail() -> None:
        raise ExceptionGroup(
            "tasks", [LedgerError("known"), ZeroDivisionError("no\x1bway\nat all")]
        )

    assert exit_code_of(broken, []) == 70
    assert capsys.readouterr().err == (
        "error: ZeroDivisionError: no\\x1bway; this should not happen: see where with --debug\n"
    )


def test_errors_of_tasks_side_by_side_are_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    full = App(result_action="return_value")

    @full.default
    def fail() -> None:
        inner = ExceptionGroup("workers", [LedgerError("disk full"), LedgerError("disk full")])
        raise ExceptionGroup("tasks", [inner])

    assert exit_code_of(full, []) == 2
    assert capsys.readouterr().err == "error: disk full\n"


def test_flags_override_the_endpoint_of_the_first_judge(tmp_path: Path) -> None:
    config = tmp_path / "judge.toml"
    config.write_text('[endpoints.local]\nbase_url = "http://x/v1"\n[[judges]]\nendpoint = "local"')
    flags = SettingFlags(model="m", timeout_s=3.0, set=["run.max_dropped=0.5", "judges.0.name=j"])
    assert overrides_of(flags, config, environ={}) == {
        "run.max_dropped": 0.5,
        "judges.0.name": "j",
        "judges.0.model": "m",
        "endpoints.local.timeout_s": 3.0,
    }


def test_a_flag_never_makes_an_endpoint_at_an_address_nobody_gave(tmp_path: Path) -> None:
    config = tmp_path / "judge.toml"
    config.write_text('[endpoints.local]\nbase_url = "http://x/v1"')
    tuned = overrides_of(SettingFlags(model="m", max_in_flight=3), config, environ={})
    assert tuned == {"judges.0.model": "m"}
    placed = overrides_of(SettingFlags(base_url="http://y/v1"), config, environ={})
    assert placed == {"endpoints.default.base_url": "http://y/v1"}


@pytest.mark.parametrize("text", ["run.rule", "=3", "rule=lenient", ""])
def test_an_assignment_without_table_key_and_value_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"TABLE\.KEY=VALUE"):
        overrides_of(SettingFlags(set=[text]), None, environ={})


# Jobs


def test_a_job_ends_in_five_lines_on_stderr_and_the_same_command_asks_nothing_again(
    shell: Shell, fast: SimulatorProcess
) -> None:
    fast.reset_stats()
    first = shell.judge(*asking(fast))
    assert (first.code, first.out) == (0, "")
    assert [line.split()[0] for line in first.lines[-5:]] == SUMMARY
    assert "60 pairs in both orders, 120 asks: 120 to do, 0 stored" in first.talk
    assert first.lines[-1].endswith("next: judge agree --ledger runs/judge.db")
    assert fast.stats().requests == 120
    second = shell.judge(*asking(fast))
    assert second.code == 0
    assert "0 to do, 120 stored" in second.talk
    assert [line.split()[0] for line in second.lines[-5:]] == SUMMARY
    assert second.lines[-4] == first.lines[-4], "the same labels"
    assert fast.stats().requests == 120


def test_quiet_says_nothing_when_all_goes_well(shell: Shell, fast: SimulatorProcess) -> None:
    done = shell.judge(*asking(fast, "--quiet", "--limit", "2"))
    assert (done.code, done.out, done.talk) == (0, "", "")


def test_from_judgments_to_votes_report_and_training_data(
    shell: Shell, fast: SimulatorProcess
) -> None:
    assert shell.judge(*asking(fast)).code == 0
    votes = shell.judge("simulate", "--votes", "pairs.jsonl", "--annotators", "2")
    assert votes.code == 0
    assert "simulated" in votes.talk
    rows = [json.loads(line) for line in votes.out.splitlines()]
    assert len(rows) == 120
    shell.write("votes.jsonl", *votes.out.splitlines())
    taken = shell.judge("import", "votes.jsonl", "--kind", "votes")
    assert taken.lines == ["imported 120 votes into runs/judge.db; 0 were there already"]
    again = shell.judge("import", "votes.jsonl", "--kind", "votes")
    assert again.lines == ["imported 0 votes into runs/judge.db; 120 were there already"]
    report = shell.judge("agree", "--json", "report.json")
    assert (report.code, report.lines) == (0, ["report written to report.json"])
    assert report.out.startswith("On 60 human-labelled pairs, judge simulated-judge agrees with")
    assert json.loads((shell.folder / "report.json").read_text())["schema"] == "report/1"
    data = shell.judge("export", "--to", "trl", "--style", "standard", "--out", "data.jsonl")
    assert (data.code, data.out) == (0, "")
    exported = (shell.folder / "data.jsonl").read_text().splitlines()
    assert data.talk.startswith(f"wrote {len(exported)} of 60 pairs to data.jsonl; left out: ")
    assert set(json.loads(exported[0])) >= {"prompt", "chosen", "rejected"}


def test_many_asks_without_a_verdict_exit_3(shell: Shell) -> None:
    with simulator_process(SimulatorSettings(unparsable_rate=0.5)) as simulator:
        done = shell.judge(*asking(simulator, "--limit", "20"))
    assert done.code == 3
    assert "undecided" in done.lines[-4]
    assert "(now: unparsed " in done.lines[-3]


def test_an_address_where_nothing_answers_exits_5_at_once(shell: Shell) -> None:
    began = time.monotonic()
    done = shell.judge("run", "pairs.jsonl", "--model", "m", "--base-url", "http://127.0.0.1:9/v1")
    assert done.code == 5
    assert time.monotonic() - began < 10
    [error] = [line for line in done.lines if line.startswith("error: ")]
    assert "cannot connect to http://127.0.0.1:9" in error
    assert error.endswith("run the same command again to resume")


def test_a_refused_account_exits_5_before_any_result_and_4_after(shell: Shell) -> None:
    fault = AccountFault.PAYMENT_REQUIRED
    with simulator_process(SimulatorSettings(account_fault=fault)) as simulator:
        assert shell.judge(*asking(simulator)).code == 5
    later = SimulatorSettings(account_fault=fault, account_fault_after=30)
    with simulator_process(later) as simulator:
        done = shell.judge(*asking(simulator))
    assert done.code == 4
    assert done.lines[-1].endswith("next: run the same command again to resume")


def test_a_ledger_in_use_is_refused(shell: Shell, fast: SimulatorProcess) -> None:
    with Ledger(shell.folder / "runs" / "judge.db"):
        done = shell.judge(*asking(fast))
    assert done.code == 2
    assert done.lines[-1].startswith("error: ")
    assert "runs/judge.db" in done.lines[-1]


def test_ctrl_c_drains_and_saves_and_the_same_command_resumes(
    shell: Shell, slow: SimulatorProcess, fast: SimulatorProcess
) -> None:
    slow.reset_stats()
    with shell.start(*asking(slow, "--max-in-flight", "4")) as process:
        wait_until(lambda: slow.stats().requests >= 10)
        process.send_signal(signal.SIGINT)
        done = ended(process)
    assert done.code == 130
    assert "stopping: requests in flight are finished and stored" in done.talk
    assert [line.split()[0] for line in done.lines[-5:]] == SUMMARY
    answered = slow.stats().by_status[200]
    assert f"judged    {answered} of 120 asks" in done.talk, "whatever was answered is stored"
    resumed = shell.judge(*asking(fast))
    assert resumed.code == 0
    assert f"{120 - answered} to do, {answered} stored" in resumed.talk


def test_a_second_ctrl_c_exits_at_once(shell: Shell) -> None:
    with (
        simulator_process(SimulatorSettings(hang_rate=1.0)) as simulator,
        shell.start(*asking(simulator)) as process,
    ):
        wait_until(lambda: simulator.stats().requests >= 1)
        assert process.stderr is not None
        process.send_signal(signal.SIGINT)
        while "stopping" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        done = ended(process)
    assert done.code == 130
    assert "run the same command again to resume" in done.talk


def test_sigterm_drains_and_exits_143(shell: Shell, slow: SimulatorProcess) -> None:
    slow.reset_stats()
    with shell.start(*asking(slow, "--max-in-flight", "4")) as process:
        wait_until(lambda: slow.stats().requests >= 5)
        process.send_signal(signal.SIGTERM)
        done = ended(process)
    assert done.code == 143
    assert f"judged    {slow.stats().by_status[200]} of 120 asks" in done.talk


def test_sigterm_waits_only_so_long_for_requests_that_hang(shell: Shell) -> None:
    code = "import judge.cli.signals as s; s.DRAIN_S = 0.2; from judge.cli import main; main()"
    with simulator_process(SimulatorSettings(hang_rate=1.0)) as simulator:
        command = [sys.executable, "-c", code, *asking(simulator)]
        with subprocess.Popen(
            command, cwd=shell.folder, env=shell.environ(), stderr=subprocess.PIPE, text=True
        ) as process:
            wait_until(lambda: simulator.stats().requests >= 1)
            process.send_signal(signal.SIGTERM)
            done = ended(process)
    assert done.code == 143
    assert "run the same command again to resume" in done.talk


def test_a_closed_pipe_ends_a_command_without_a_traceback(shell: Shell) -> None:
    with shell.start("simulate", "--votes", "pairs.jsonl", "--annotators", "200") as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        done = ended(process)
    assert done.code == 141
    assert done.talk == ""


def test_a_terminal_sees_one_line_that_is_rewritten(shell: Shell, slow: SimulatorProcess) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "judge", *asking(slow, "--limit", "10", "--max-in-flight", "4")],
        cwd=shell.folder,
        env=shell.environ(TERM="xterm"),
        stderr=theirs,
    ) as process:
        os.close(theirs)
        seen = read_all(ours)
    assert process.returncode == 0
    assert "/20 | " in seen
    assert "4 in flight" in seen
    seen = seen.replace("\x1b[K", "")
    assert "\x1b" not in seen
    assert [line.split()[0] for line in seen.splitlines()[-5:]] == SUMMARY


def read_all(terminal: int) -> str:
    """What a terminal was sent until its other end closed."""
    parts = []
    with os.fdopen(terminal, "rb", buffering=0) as file:
        while select.select([file], [], [], DEADLINE_S)[0]:
            try:
                part = file.read(4096)
            except OSError:  # Linux reports the closed end as an error
                break
            if not part:
                break
            parts.append(part)
    return b"".join(parts).decode()


# The simulated judge


def test_simulate_prints_its_address_alone_and_says_that_it_is_simulated(shell: Shell) -> None:
    with shell.start("simulate") as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        run = shell.judge(
            "run", "pairs.jsonl", "--limit", "1",
            "--base-url", address, "--model", "simulated-judge",
        )  # fmt: skip
        process.send_signal(signal.SIGINT)
        done = ended(process)
    assert run.code == 0
    assert (done.code, done.out) == (0, "")
    assert "this judge is simulated" in done.talk
    assert f"judge run pairs.jsonl --base-url {address} --model simulated-judge" in done.talk
