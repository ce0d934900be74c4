"""`judge batch` as people type it, and what it says."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from judge.cli import app
from judge.cli.door import exit_code_of
from judge.simulator.process import SimulatorProcess, simulator_process
from judge.simulator.settings import SimulatorSettings
from tests.fakes import write_pairs


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    write_pairs(tmp_path / "pairs.jsonl", 4)
    return tmp_path


@pytest.fixture
def simulator(folder: Path) -> Iterator[SimulatorProcess]:
    with simulator_process(SimulatorSettings(reply_words=5)) as simulator:
        configure(folder, simulator.base_url)
        yield simulator


def configure(folder: Path, base_url: str, **more: str) -> None:
    (folder / "judge.toml").write_text(
        f'[endpoints.main]\nbase_url = "{base_url}"\n\n'
        '[[judges]]\nmodel = "simulated-judge"\nendpoint = "main"\nmax_tokens = 200\n'
    )


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = exit_code_of(app, ["batch", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_whole_way_with_a_provider(
    folder: Path, simulator: SimulatorProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, talk = typed(capsys, "export", "pairs.jsonl", "--out", "b", "--max-requests", "5")
    assert (code, out) == (0, "")
    assert "requests  8 of run" in talk
    assert "in 2 files" in talk
    assert "next      judge batch submit b; or run the files yourself" in talk
    code, out, talk = typed(capsys, "fetch", "b")
    assert code == 4
    assert "requests-0001.jsonl  not submitted" in talk
    assert typed(capsys, "submit", "b")[0] == 0
    code, out, talk = typed(capsys, "submit", "b")
    assert (code, "made now" in talk) == (0, False)
    until = time.monotonic() + 20
    while "completed: 3 of 3 requests done, 0 failed" not in out and time.monotonic() < until:
        code, out, talk = typed(capsys, "status", "b")
    assert "completed: 5 of 5 requests done, 0 failed" in out
    assert "next      judge batch fetch b" in talk
    code, out, talk = typed(capsys, "fetch", "b")
    assert code == 0
    assert "8 judgments stored, 0 there already" in talk
    assert "missing   0 of the asks" in talk
    assert exit_code_of(app, ["run", "pairs.jsonl"]) == 0
    assert "0 to do, 8 stored" in capsys.readouterr().err
    assert simulator.stats().requests == 8


def test_what_is_of_no_use_is_named_and_what_is_missing_is_listed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(folder, "http://127.0.0.1:9/v1")
    typed(capsys, "export", "pairs.jsonl", "--out", "b", "--ledger", "l.db")
    requests = (folder / "b" / "requests-0001.jsonl").read_text().splitlines()
    first, second, third, *_ = (json.loads(line)["custom_id"] for line in requests)
    message = {"role": "assistant", "content": "[[A]]"}
    body = {"choices": [{"message": message, "finish_reason": "stop"}]}
    good = {"custom_id": first, "response": {"status_code": 200, "body": body}}
    late = {"custom_id": second, "response": None, "error": {"code": "batch_expired"}}
    odd = {**good, "custom_id": "\u202eevil"}
    lines = [good, good, late, {**good, "custom_id": "f" * 32}, odd]
    text = "".join(json.dumps(line) + "\n" for line in lines) + '{"custom_id": "'
    (folder / "out.jsonl").write_text(text)
    words = ["import", "out.jsonl", "--ledger", "l.db", "--missing-out", "m.jsonl"]
    code, out, talk = typed(capsys, *words)
    assert (code, out) == (0, "")
    assert f"doubled: out.jsonl:2: {first} again" in talk
    assert f'foreign: out.jsonl:4: custom_id "{"f" * 32}" was not exported' in talk
    assert "broken: out.jsonl:5: " in talk
    assert "broken: out.jsonl:6: is not valid JSON" in talk
    assert "\u202e" not in talk
    assert "left out  2 broken, 1 foreign, 1 doubled" in talk
    assert "no answer 1 (main: batch_expired 1)" in talk
    assert "missing   7 of the asks that were exported" in talk
    assert "judge batch export pairs.jsonl --out NEW --ledger l.db" in talk
    missing = [json.loads(line) for line in (folder / "m.jsonl").read_text().splitlines()]
    assert third in {row["custom_id"] for row in missing}
    assert len(missing) == 7
    code, _, talk = typed(capsys, "export", "pairs.jsonl", "--out", "c", "--ledger", "l.db")
    assert "requests  7 of run" in talk
    assert "warning: 6 asks of these stand in an earlier export" in talk


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["import", "nowhere.jsonl"], "nowhere.jsonl: no such file"),
        (["import", "pairs.jsonl"], "ledger runs/judge.db does not exist"),
        (["import", ".", "--ledger", "l.db"], "these are no output or error files of a batch"),
        (["import", "b", "--ledger", "l.db"], "holds no output files yet"),
        (["import", "other.jsonl", "--ledger", "l.db"], "give the --ledger that it was exported"),
        (["submit", "."], "holds no manifest.json"),
        (["status", "nowhere"], "holds no manifest.json"),
        (["submit", "pairs.jsonl"], "is a file; name the folder of the batch"),
        (["export", "pairs.jsonl", "--out", "."], "is not an empty folder"),
        (["export", "pairs.jsonl", "--out", "x", "--max-requests", "50001"], "less than or equal"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    configure(folder, "http://127.0.0.1:9/v1")
    typed(capsys, "export", "pairs.jsonl", "--out", "b", "--ledger", "l.db")
    foreign = {"custom_id": "f" * 32, "response": None, "error": {"code": "batch_expired"}}
    (folder / "other.jsonl").write_text(json.dumps(foreign))
    if words[1] == ".":
        (folder / "other.jsonl").unlink()
    code, out, talk = typed(capsys, *words)
    assert (code, out) == (2, "")
    assert said in talk
    assert "this should not happen" not in talk


def test_a_server_that_is_not_there_is_an_endpoint_that_failed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(folder, "http://127.0.0.1:9/v1")
    typed(capsys, "export", "pairs.jsonl", "--out", "b")
    code, _, talk = typed(capsys, "submit", "b")
    assert code == 5
    assert "main: cannot connect" in talk


def test_a_judge_in_this_process_is_run_by_its_engine(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "judge.toml").write_text(
        '[endpoints.box]\nengine = "vllm"\n\n[[judges]]\nmodel = "tiny"\nendpoint = "box"\n'
    )
    code, _, talk = typed(capsys, "export", "pairs.jsonl", "--out", "b")
    assert code == 0
    wanted = "run_batch -i b/requests-0001.jsonl -o b/output.jsonl --model tiny"
    assert wanted in talk
    assert "judge batch submit" not in talk
