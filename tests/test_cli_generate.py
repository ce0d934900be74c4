"""`judge generate`, and `judge run` on prompts, as people type them: streams and exit codes."""

import io
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from judge.cli import app
from judge.cli.door import exit_code_of
from judge.cli.overrides import GeneratorFlags, SettingFlags, overrides_of
from judge.simulator.process import SimulatorProcess, simulator_process
from judge.simulator.settings import GENERATORS, MODEL, SimulatorSettings
from tests.fakes import rows, write_pairs

SMALL, LARGE = GENERATORS
SUMMARY = ["generated", "dropped", "pairs", "requests", "stored"]


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    talk: str

    @property
    def lines(self) -> list[str]:
        return self.talk.splitlines()

    def last_words(self) -> list[str]:
        return [line.split()[0] for line in self.lines[-5:]]


Typed = Callable[..., Ended]


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with simulator_process(SimulatorSettings(answer_words=60, reply_words=20)) as running:
        yield running


@pytest.fixture
def typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Typed:
    """Type a command in a folder with six prompts, in this process."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("JUDGE_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    lines = [json.dumps({"prompt_id": f"q{n}", "prompt": f"Question {n}?"}) for n in range(6)]
    Path("prompts.jsonl").write_text("".join(f"{line}\n" for line in lines))

    def run(*arguments: str) -> Ended:
        code = exit_code_of(app, arguments)
        return Ended(code, *capsys.readouterr())

    return run


def configure(simulator: SimulatorProcess, *more: str, in_flight: int = 8) -> None:
    """Write ./judge.toml with two generators and a judge, all at one address."""
    lines = [
        *("[endpoints.sim]", f'base_url = "{simulator.base_url}"', f"max_in_flight = {in_flight}"),
        *("[[generators]]", 'endpoint = "sim"', f'model = "{SMALL}"', "n = 2"),
        *("[[generators]]", 'endpoint = "sim"', f'model = "{LARGE}"', "n = 1"),
        *("[[judges]]", 'endpoint = "sim"', f'model = "{MODEL}"'),
        *more,
    ]
    Path("judge.toml").write_text("\n".join(lines))


def facts(table: str) -> list[dict[str, Any]]:
    return rows(Path("runs/judge.db").resolve(), table)


def priced(*models: str) -> list[str]:
    return [
        line for model in models for line in (f'[prices."{model}"]', "input = 1.0", "output = 10.0")
    ]


# Flags


def test_every_flag_of_generate_is_explained(typed: Typed) -> None:
    done = typed("generate", "--help")
    assert (done.code, done.talk) == (0, "")
    shown = [line.strip("│ ") for line in done.out.splitlines() if line.startswith("│")]
    flags = [line for line in shown if line.startswith("--")]
    assert len(flags) >= 15
    assert [line for line in flags if len(line.split(maxsplit=2)) < 3] == []


def test_the_same_flags_are_about_the_first_generator_or_the_first_judge(tmp_path: Path) -> None:
    config = tmp_path / "judge.toml"
    config.write_text(
        '[endpoints.a]\nbase_url = "http://a/v1"\n[endpoints.b]\nbase_url = "http://b/v1"\n'
        '[[judges]]\nmodel = "m"\nendpoint = "a"\n[[generators]]\nmodel = "g"\nendpoint = "b"\n'
    )
    asked = {"model": "x", "timeout_s": 3.0, "budget_requests": 7}
    writing = GeneratorFlags(n=2, temperature=[0.5], **asked)  # type: ignore[arg-type]
    assert overrides_of(SettingFlags(**asked), config, environ={}) == {  # type: ignore[arg-type]
        "judges.0.model": "x",
        "run.budget_requests": 7,
        "endpoints.a.timeout_s": 3.0,
    }
    assert overrides_of(writing, config, environ={}) == {
        "generators.0.model": "x",
        "generators.0.n": 2,
        "generators.0.temperature": [0.5],
        "run.budget_requests": 7,
        "endpoints.b.timeout_s": 3.0,
    }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["generate"], "PROMPTS"),
        (["generate", "prompts.jsonl"], "add a [[generators]] table to the config"),
        (["generate", "prompts.jsonl", "--model", "m"], "set n = 2 or more"),
        (["generate", "prompts.jsonl", "--model", "m", "--n", "0"], "generators.0.n"),
        (["generate", "prompts.jsonl", "--budget-usd", "-1"], "run.budget_usd"),
        (["generate", "none.jsonl", "--model", "m", "--n", "2", "--base-url", "http://x/v1"],
         "no such file"),
        (["run", "prompts.jsonl", "--model", "m", "--base-url", "http://x/v1"],
         "prompts.jsonl: holds prompts, and no generator is set to answer them"),
        (["generate", "pairs.jsonl", "--model", "m", "--n", "2", "--base-url", "http://x/v1"],
         "holds pairs where prompts are needed"),
        (["generate", "prompts.jsonl", "--model", "m", "--n", "2", "--base-url", "http://x/v1",
          "--out", "prompts.jsonl"], "is the file of prompts itself"),
        (["run", "pairs.jsonl", "--model", "m", "--base-url", "http://x/v1",
          "--set", "endpoints.default.tpm=100"], "raise tpm to at least 2,048"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_words_and_exits_2(
    typed: Typed, arguments: list[str], expected: str
) -> None:
    write_pairs(Path("pairs.jsonl"), 2)
    done = typed(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.lines[0].startswith("error: ")
    assert expected in done.talk
    assert "Traceback" not in done.talk


# judge generate


def test_a_generation_ends_in_five_lines_and_the_same_command_asks_nothing(
    typed: Typed, simulator: SimulatorProcess
) -> None:
    configure(simulator)
    simulator.reset_stats()
    first = typed("generate", "prompts.jsonl", "--out", "made.jsonl")
    assert (first.code, first.out) == (0, "")
    assert first.last_words() == SUMMARY
    assert "6 prompts, 3 candidates each, 18 asks: 18 to do, 0 stored" in first.talk
    assert f"2 generators: {SMALL} (n 2) at {simulator.base_url}; {LARGE} (n 1)" in first.talk
    assert "18 in made.jsonl, of 18 candidates; 0 of 6 prompts without a pair" in first.talk
    assert first.lines[-1].endswith("next: judge run made.jsonl --ledger runs/judge.db")
    assert simulator.stats().requests == 18
    written = Path("made.jsonl").read_bytes()
    second = typed("generate", "prompts.jsonl", "--out", "made.jsonl")
    assert (second.code, second.last_words()) == (0, SUMMARY)
    assert "18 asks: 0 to do, 18 stored" in second.talk
    assert simulator.stats().requests == 18
    assert Path("made.jsonl").read_bytes() == written


def test_the_next_command_that_is_named_judges_the_pairs(
    typed: Typed, simulator: SimulatorProcess
) -> None:
    configure(simulator)
    made = typed("generate", "prompts.jsonl")
    command = made.lines[-1].partition("next: judge ")[2].split()
    assert command[1].startswith("runs/judge.")
    judged = typed(*command)
    assert judged.code == 0
    assert "18 pairs in both orders, 36 asks: 36 to do" in judged.talk


def test_a_generator_can_be_named_by_flags_alone(typed: Typed, simulator: SimulatorProcess) -> None:
    done = typed(
        "generate", "prompts.jsonl", "--base-url", simulator.base_url, "--model", LARGE, "--n", "4",
        "--temperature", "0.7", "--temperature", "1", "--limit", "2", "--quiet",
    )  # fmt: skip
    assert (done.code, done.out, done.talk) == (0, "", "")
    asked = [json.loads(row["sampling"])["temperature"] for row in facts("generations")]
    assert sorted(asked) == [0.7] * 4 + [1] * 4


def test_cold_answers_are_complained_about_with_the_remedy_and_exit_3(
    typed: Typed, simulator: SimulatorProcess
) -> None:
    done = typed(
        "generate", "prompts.jsonl", "--base-url", simulator.base_url, "--model", SMALL, "--n", "2",
        "--temperature", "0",
    )  # fmt: skip
    assert (done.code, done.last_words()) == (3, SUMMARY)
    assert "gave 6 of 6 prompts the same answer every time; raise the temperature" in done.talk
    assert "error: no pairs: 12 candidates of 6 prompts left no two to compare" in done.talk
    assert "identical 6, near-identical 0" in done.lines[-4]
    assert "next: raise the temperature" in done.lines[-1]


def test_replies_that_are_no_candidates_are_counted_by_status(typed: Typed) -> None:
    with simulator_process(SimulatorSettings(empty_rate=1.0)) as mute:
        configure(mute)
        done = typed("generate", "prompts.jsonl")
    assert done.code == 3
    assert "dropped   18 replies without a candidate (empty 18); identical 0" in done.talk
    assert f'warning: generator "{LARGE}": 6 of 6 replies are empty; raise max_tokens' in done.talk


# judge run on prompts


def test_prompts_are_answered_and_judged_by_one_command(
    typed: Typed, simulator: SimulatorProcess
) -> None:
    configure(simulator)
    done = typed("run", "prompts.jsonl")
    assert (done.code, done.out) == (0, "")
    heads = [line.split()[0] for line in done.lines]
    assert heads[-5:] == ["judged", "labels", "orders", "requests", "stored"]
    assert [head for head in heads if head in SUMMARY[:3]] == SUMMARY[:3]
    [pairs] = Path("runs").glob("judge.*.pairs.jsonl")
    assert f"18 in {pairs}" in done.talk
    [answered] = [line for line in done.lines if line.startswith("stored")][:-1]
    assert answered.endswith("; next: judging the pairs"), "nobody has to type another command"
    assert "18 pairs in both orders, 36 asks: 36 to do, 0 stored" in done.talk
    again = typed("run", "prompts.jsonl")
    assert "36 asks: 0 to do, 36 stored" in again.talk
    assert again.lines[-4] == done.lines[-4], "the same labels"


@pytest.mark.parametrize(
    "command",
    [
        ("run", "prompts.jsonl", "--dry-run"),
        ("generate", "prompts.jsonl", "--dry-run"),
        ("cost", "prompts.jsonl"),
    ],
)
def test_the_cost_of_answering_prompts_is_told_and_nothing_is_sent(
    command: tuple[str, ...], typed: Typed, simulator: SimulatorProcess
) -> None:
    configure(simulator)
    prompts = len(Path("prompts.jsonl").read_text().splitlines())
    before = simulator.stats().requests
    done = typed(*command)
    assert done.code == 0, done.talk
    assert simulator.stats().requests == before
    assert f"input    {prompts} prompts, {prompts} distinct" in done.out
    candidates = sum(g["n"] for g in tomllib.loads(Path("judge.toml").read_text())["generators"])
    answers = candidates * prompts
    has_judging = command[0] != "generate"
    asks = candidates * (candidates - 1) * prompts if has_judging else 0  # all pairs, both orders
    assert f"calls    {answers + asks:,} to send" in done.out
    assert ("judging comes on top" in done.out) is not has_judging
    assert (f"{asks:,} for judging them" in done.out) is has_judging
    assert typed("generate", "prompts.jsonl").code == 0
    again = typed(*command)
    assert f"calls    {asks:,} to send" in again.out
    assert f"; {answers:,} stored already" in again.out


def test_what_is_odd_about_an_input_is_said_before_anything_is_asked(
    typed: Typed, simulator: SimulatorProcess
) -> None:
    same = {"prompt": "Tea?", "first": "Hot.", "second": "Hot."}
    Path("same.jsonl").write_text(json.dumps(same))
    done = typed("run", "same.jsonl", "--base-url", simulator.base_url, "--model", MODEL)
    [warning] = [n for n, line in enumerate(done.lines) if line.startswith("warning: ")]
    [sizes] = [n for n, line in enumerate(done.lines) if line.startswith("1 pair in both orders")]
    [judged] = [n for n, line in enumerate(done.lines) if line.startswith("judged")]
    assert sizes < warning < judged


# Budgets


def test_a_spent_budget_exits_4_with_the_reason_and_resumes_once_raised(
    typed: Typed, simulator: SimulatorProcess
) -> None:
    configure(simulator)
    simulator.reset_stats()
    first = typed("run", "prompts.jsonl", "--budget-requests", "10")
    assert (first.code, simulator.stats().requests) == (4, 10)
    [error] = [line for line in first.lines if line.startswith("error: ")]
    assert "10 requests" in error
    assert error.endswith("raise budget_requests and run the same command again to resume")
    assert "pending 8; tokens " in first.talk
    assert first.talk.count("spent 10 of 10 requests") == 1
    assert "judged" not in first.talk
    second = typed("run", "prompts.jsonl", "--budget-requests", "30")
    assert (second.code, simulator.stats().requests) == (4, 30)
    assert "spent 30 of 30 requests" in second.lines[-2]
    third = typed("run", "prompts.jsonl", "--budget-requests", "54")
    assert (third.code, simulator.stats().requests) == (0, 54)


def test_money_is_shown_where_prices_are_known_and_not_asked_for_elsewhere(
    typed: Typed, simulator: SimulatorProcess
) -> None:
    configure(simulator)
    free = typed("run", "prompts.jsonl")
    assert "$" not in free.talk
    assert "price" not in free.talk
    unpriced = typed("run", "prompts.jsonl", "--budget-usd", "2")
    assert unpriced.code == 2
    assert f'there is no price for model "{MODEL}"' in unpriced.talk
    configure(simulator, *priced(MODEL, SMALL, LARGE))
    paid = typed("run", "prompts.jsonl", "--budget-usd", "2", "--ledger", "runs/paid.db")
    assert paid.code == 0
    assert "; spent $0.0" in paid.lines[-2]
    assert " of $2.00; judging $" in paid.lines[-2]
    assert paid.lines[-2].endswith(" per 1,000 usable labels")


# Keys


def test_a_key_that_is_not_sent_to_a_given_address_is_said_once(
    typed: Typed, simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-made-up-for-this-test")
    at = ["--base-url", simulator.base_url]
    line = (
        f"no key is sent to {simulator.base_url}; name one with "
        "--set endpoints.default.api_key_env=OPENAI_API_KEY"
    )
    made = typed("generate", "prompts.jsonl", *at, "--model", SMALL, "--n", "2", "--out", "p.jsonl")
    judged = typed("run", "p.jsonl", *at, "--model", MODEL)
    for done in (made, judged):
        assert done.code == 0
        assert done.lines.count(line) == 1
    named = "endpoints.default.api_key_env=OPENAI_API_KEY"
    keyed = typed("run", "p.jsonl", *at, "--model", MODEL, "--set", named)
    assert "no key is sent" not in keyed.talk
    monkeypatch.delenv("OPENAI_API_KEY")
    assert "no key is sent" not in typed("run", "p.jsonl", *at, "--model", MODEL).talk


# Signals


def test_ctrl_c_while_generating_ends_with_130_and_the_same_command_goes_on(
    typed: Typed, tmp_path: Path
) -> None:
    slow = SimulatorSettings(latency_s=0.1, answer_words=60, reply_words=20)
    with simulator_process(slow) as simulator:
        configure(simulator, in_flight=2)
        with subprocess.Popen(
            [sys.executable, "-m", "judge", "run", "prompts.jsonl"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            end = time.monotonic() + 30
            while simulator.stats().requests < 4:
                assert time.monotonic() < end, "waited in vain"
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, talk = process.communicate(timeout=30)
        answered = simulator.stats().by_status[200]
    done = Ended(process.returncode, "", talk)
    assert (done.code, done.last_words()) == (130, SUMMARY)
    assert f"generated {answered} of 18 asks" in talk
    assert "none yet: they are written once no candidate is missing" in talk
    assert "next: run the same command again to resume" in done.lines[-1]
    assert facts("deferrals") == []
    # Another seed: started anew, this one would give its first answers again.
    with simulator_process(SimulatorSettings(seed=1, answer_words=60, reply_words=20)) as fast:
        configure(fast)
        resumed = typed("run", "prompts.jsonl")
    assert resumed.code == 0
    assert f"18 asks: {18 - answered} to do, {answered} stored" in resumed.talk
    assert "judged    36 of 36 asks" in resumed.talk
