"""`judge init`, `check`, `cost` and `runs` as people type them: streams and exit codes."""

import io
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from judge.cli import app
from judge.cli.check import step_line
from judge.cli.columns import aligned
from judge.cli.cost_view import HEAD_CHARS, TAIL_CHARS, sample_lines
from judge.cli.door import exit_code_of
from judge.prices.estimate import PromptSample
from judge.records import Order
from judge.simulator.process import SimulatorProcess, simulator_process
from judge.simulator.settings import SimulatorSettings
from judge.start.check_steps import Mark, Step
from tests.fakes import completion, scripted_server, write_pairs

COMMANDS = [
    ("init",), ("check",), ("cost",),
    ("runs", "list"), ("runs", "show"), ("runs", "delete"), ("compare",),
]  # fmt: skip


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    talk: str


Typed = Callable[..., Ended]


@pytest.fixture
def typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Typed:
    """Type a command in a folder of its own, in this process, with standard input closed."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("JUDGE_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def run(*arguments: str) -> Ended:
        code = exit_code_of(app, arguments)
        return Ended(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with simulator_process(SimulatorSettings(position_bias=0.2)) as running:
        yield running


def at(simulator: SimulatorProcess) -> list[str]:
    return ["--base-url", simulator.base_url, "--model", "simulated-judge"]


def judged(typed: Typed, simulator: SimulatorProcess, *more: str) -> str:
    """Judge four pairs and return the run's id."""
    write_pairs(Path("pairs.jsonl"), 4)
    done = typed("run", "pairs.jsonl", *at(simulator), *more)
    assert done.code == 0
    [run_id] = re.findall(r"run (\w+) in ledger", done.talk)
    return str(run_id)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_each_of_its_flags(typed: Typed, command: tuple[str, ...]) -> None:
    done = typed(*command, "--help")
    assert (done.code, done.talk) == (0, "")
    rows = [line.strip("│ ") for line in done.out.splitlines() if line.startswith("│")]
    described = [row for row in rows if len(row.split(maxsplit=2)) == 3]
    assert [row for row in rows if row.startswith("--") and row not in described] == []


# init


def test_a_new_project_runs_at_once(typed: Typed, simulator: SimulatorProcess) -> None:
    made = typed("init")
    assert made.code == 0
    assert made.out.splitlines()[:2] == ["README.md", "judge.toml"]
    config = Path("judge.toml")
    config.write_text(config.read_text().replace("http://127.0.0.1:8100/v1", simulator.base_url))
    commands = re.findall(r"^    judge (.+)$", Path("README.md").read_text(), re.MULTILINE)
    assert commands[0].startswith("simulate --port 8100")
    for command in ("check", *commands[1:]):
        done = typed(*command.split())
        assert done.code == 0, done.talk
    assert len(Path("data/preferences.jsonl").read_text().splitlines()) > 0
    assert typed("cost", "data/pairs.jsonl").out.splitlines()[1].endswith("not asked again")


def test_a_project_is_not_written_over_another(typed: Typed) -> None:
    assert typed("init", "here").code == 0
    again = typed("init", "here")
    assert (again.code, again.out) == (2, "")
    assert "judge.toml" in again.talk
    assert "nothing was written" in again.talk


# check


def test_a_check_is_one_line_a_step_and_one_json_document_on_request(
    typed: Typed, simulator: SimulatorProcess
) -> None:
    done = typed("check", *at(simulator))
    lines = done.out.splitlines()
    assert done.code == 0
    assert {line.split()[0] for line in lines} == {"ok"}
    assert f"{len(lines)} steps: 0 failed" in done.talk
    told = typed("check", *at(simulator), "--json")
    document = json.loads(told.out)
    assert (told.code, told.talk, document["schema"]) == (0, "", "check/1")
    assert len(document["steps"]) == len(lines)


def test_a_failed_check_says_so_by_its_exit_code(typed: Typed) -> None:
    away = typed("check", "--base-url", "http://127.0.0.1:9/v1", "--model", "m")
    assert away.code == 5
    assert "failed   endpoint" in away.out
    bare = typed("check", "--json")
    assert bare.code == json.loads(bare.out)["exit_code"] == 2


def test_a_broken_config_is_a_failed_step_not_an_error(typed: Typed) -> None:
    Path("judge.toml").write_text("[judges\n")
    done = typed("check")
    assert done.code == 2
    assert done.out.startswith("failed   settings: judge.toml: not valid TOML")


async def test_a_hostile_reply_steers_no_terminal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from judge.start.checking import check_everything

    hostile = "I choose\n\x1b]0;owned\x07 [[A]] or\r[[B]] \u202e"
    async with scripted_server([completion(hostile)]) as server:
        flags = {"endpoints.default.base_url": server.base_url, "judges.0.model": "m"}
        result = await check_everything(None, tmp_path / "x.db", overrides=flags, environ={})
    shown = "\n".join(map(step_line, result.steps))
    assert "\\x1b]0;owned\\x07 [[A]] or\\r[[B]] \\u202e" in shown
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", shown)


def test_a_step_is_one_line_with_its_remedy() -> None:
    step = Step("ledger", Mark.WARNING, "a\nb", "do this")
    assert step_line(step) == "warning  ledger: a\\nb; do this"


# cost


def test_cost_and_a_dry_run_say_the_same_and_ask_nothing(
    typed: Typed, simulator: SimulatorProcess
) -> None:
    write_pairs(Path("pairs.jsonl"), 4)
    simulator.reset_stats()
    told = typed("cost", "pairs.jsonl", *at(simulator))
    dry = typed("run", "pairs.jsonl", *at(simulator), "--dry-run")
    assert (told.code, dry.code) == (0, 0)
    assert told.out == dry.out
    assert "calls    8 to send" in told.out
    assert 'price unknown; set [prices."simulated-judge"]' in told.out
    assert told.out.count("--- simulated-judge, ") == 2
    assert "nothing was sent" in told.talk
    assert simulator.stats().requests == 0
    assert [path.name for path in Path().iterdir()] == ["pairs.jsonl"]


def test_cost_knows_prices_budgets_and_what_is_stored(
    typed: Typed, simulator: SimulatorProcess
) -> None:
    judged(typed, simulator)
    write_pairs(Path("pairs.jsonl"), 5)
    Path("judge.toml").write_text(
        '[prices."simulated-judge"]\ninput = 100.0\noutput = 200.0\n[run]\nbudget_usd = 0.1\n'
    )
    done = typed("cost", "pairs.jsonl", *at(simulator))
    assert "calls    2 to send; 8 stored already and not asked again" in done.out
    assert re.search(r"price \$0\.\d+ to \$0\.\d+", done.out)
    assert "budget   budget_usd may end the job before it is done" in done.out
    assert "(measured)" in done.out


def test_cost_as_json_is_one_document(typed: Typed, simulator: SimulatorProcess) -> None:
    write_pairs(Path("pairs.jsonl"), 4)
    done = typed("cost", "pairs.jsonl", *at(simulator), "--json", "--limit", "3")
    document = json.loads(done.out)
    assert (document["schema"], document["calls"], document["usd"]) == ("cost/1", 6, None)
    assert done.talk == ""


def test_cost_of_two_judges_is_told_apart_and_together(
    typed: Typed, simulator: SimulatorProcess
) -> None:
    write_pairs(Path("pairs.jsonl"), 4)
    Path("judge.toml").write_text(
        '[[judges]]\nname = "one"\nmodel = "simulated-judge"\n[[judges]]\nmodel = "other"\n'
    )
    done = typed("cost", "pairs.jsonl", "--base-url", simulator.base_url)
    assert "judge    one: model simulated-judge, 8 calls" in done.out
    assert "judge    other: model other, 8 calls" in done.out
    assert "calls    16 to send" in done.out
    assert "\nall " in done.out


def test_a_bad_line_ends_cost_with_code_2(typed: Typed, simulator: SimulatorProcess) -> None:
    path = write_pairs(Path("pairs.jsonl"), 2)
    path.write_text(path.read_text() + "{}\n")
    done = typed("cost", "pairs.jsonl", *at(simulator))
    assert (done.code, done.out) == (2, "")
    assert "pairs.jsonl:3" in done.talk


def test_a_long_prompt_is_shown_without_its_middle() -> None:
    sample = PromptSample("j", Order.FORWARD, "", "a" * HEAD_CHARS + "b" * 50 + "c" * TAIL_CHARS)
    lines = sample_lines(sample)
    assert lines[0] == "--- j, forward order"
    assert lines[-1] == f"{'a' * HEAD_CHARS}\n... 50 characters ...\n{'c' * TAIL_CHARS}"


# runs


def test_runs_are_listed_and_shown(typed: Typed, simulator: SimulatorProcess) -> None:
    first = judged(typed, simulator)
    second = judged(typed, simulator, "--prompt", "pair")
    table = typed("runs", "list").out.splitlines()
    assert [line.split()[0] for line in table] == ["run", first, second]
    listed = json.loads(typed("runs", "list", "--json").out)["runs"]
    assert [(run["run_id"], run["pairs"], run["pending"]) for run in listed] == [
        (first, 4, 0),
        (second, 4, 0),
    ]
    shown = typed("runs", "show", first)
    assert shown.code == 0
    assert "prompt pair-tie, digest" in shown.out
    assert "8 done, 0 pending" in shown.out
    latest = json.loads(typed("runs", "show", "--json").out)
    assert latest["summary"]["run_id"] == second
    assert latest["replies"]["simulated-judge"]["judgments"] == 8


def test_a_ledger_without_runs_says_how_to_start(typed: Typed) -> None:
    missing = typed("runs", "list")
    assert (missing.code, missing.out) == (2, "")
    assert "does not exist" in missing.talk


def test_deleting_needs_yes_where_nobody_can_be_asked(
    typed: Typed, simulator: SimulatorProcess
) -> None:
    run_id = judged(typed, simulator)
    refused = typed("runs", "delete", run_id)
    assert (refused.code, refused.out) == (2, "")
    assert "--yes" in refused.talk
    done = typed("runs", "delete", run_id, "--yes")
    assert done.code == 0
    assert done.out.startswith(f"deleted run {run_id}: 8 judgments, 4 pairs")
    assert json.loads(typed("runs", "list", "--json").out)["runs"] == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_a_person_at_a_terminal_is_asked_with_the_counts(
    typed: Typed,
    simulator: SimulatorProcess,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    left: int,
) -> None:
    run_id = judged(typed, simulator)
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    done = typed("runs", "delete", run_id)
    assert done.code == 0
    assert f"this deletes for good\nrun {run_id}: 8 judgments, 4 pairs" in done.talk
    assert "delete? [y/N] " in done.talk
    assert bool(done.out) is (left == 0)
    assert len(json.loads(typed("runs", "list", "--json").out)["runs"]) == left


def test_columns_are_aligned_and_the_last_one_is_not_padded() -> None:
    rows = [("a", "1", "long last"), ("bbb", "22", "x")]
    assert aligned(rows, right=frozenset({1})) == ["a     1  long last", "bbb  22  x"]
