"""`judge tune`: the sentence, the table that judge run takes, prices before, thresholds."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import judge
from judge.cli import app
from judge.cli.door import exit_code_of
from judge.simulator.process import simulator_process
from judge.simulator.settings import MODEL, SimulatorSettings
from tests.test_tuning import write

Told = tuple[int, str, str]


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    settings = SimulatorSettings(accuracy=0.6, example_gain=0.35, reply_words=5)
    with simulator_process(settings) as simulator:
        yield simulator.base_url


@pytest.fixture
def project(tmp_path: Path, base_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    pairs, votes = write(tmp_path, 0)
    pairs.rename(tmp_path / "pairs.jsonl")
    votes.rename(tmp_path / "votes.jsonl")
    (tmp_path / "judge.toml").write_text(
        f'[endpoints.sim]\nbase_url = "{base_url}"\n'
        f'[[judges]]\nname = "mine"\nendpoint = "sim"\nmodel = "{MODEL}"\n'
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tune(capsys: pytest.CaptureFixture[str], *arguments: str) -> Told:
    code = exit_code_of(app, ["tune", "pairs.jsonl", "--gold", "votes.jsonl", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_winner_comes_with_the_test_split_and_a_table_that_judge_run_takes(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "grid.toml").write_text('prompts = ["pair-tie"]\nfew_shots = [0, 2]\n')
    code, out, _ = tune(capsys, "--grid", "grid.toml", "--out", "tuned.toml", "--must-win")
    assert code == 0
    first = " ".join(out.split())
    assert first.startswith("On the test split: mine, pair-tie, 2 shots, t 0 agrees with")
    assert "So it is better" in first
    assert "Look 1 of 1 at" in first
    assert "2 prompts shown as examples set aside" in first
    assert "The best of 2 looks better here than it is" in first
    table = (project / "tuned.toml").read_text()
    assert out.endswith(table)
    config = (project / "judge.toml").read_text().partition("[[judges]]")[0] + table
    (project / "judge.toml").write_text(config)
    result = judge.run("runs/judge.tune-test.jsonl", config="judge.toml", ledger="runs/judge.db")
    assert result.progress.judged == 0, "the tuned judge is the one that was tried"


def test_a_dry_run_says_calls_and_price_and_leaves_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(project.rglob("*"))
    priced = (project / "judge.toml").read_text()
    priced += f'[prices."{MODEL}"]\ninput = 1.0\noutput = 2.0\n'
    (project / "judge.toml").write_text(priced)
    code, out, err = tune(capsys, "--few-shots", "0,2", "--temperatures", "0,0.7", "--dry-run")
    assert code == 0
    dev, test = out.split("two judges on the test split, at most")
    assert "mine, pair-tie, 2 shots, t 0.7" in dev
    assert dev.count("judge    ") == 4
    assert test.count("judge    ") == 2
    assert "$" in dev
    assert "nothing was sent" in err
    assert sorted(project.rglob("*")) == before


def test_a_judge_that_nothing_beats_fails_must_win_and_leaves_the_test_split_alone(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shots = ("--few-shots", "0,2", "--ledger", "runs/a.db", "--out", "tuned.toml", "--quiet")
    assert tune(capsys, *shots)[0] == 0
    base = (project / "judge.toml").read_text().partition("[[judges]]")[0]
    (project / "judge.toml").write_text(base + (project / "tuned.toml").read_text())
    again = ("--few-shots", "0,2", "--ledger", "runs/b.db", "--must-win")
    code, out, err = tune(capsys, *again)
    assert code == 1
    assert "the test split was not looked at" in " ".join(out.split())
    assert "threshold failed" in err
    assert not (project / "runs/b.tune-test.jsonl").exists()


def test_the_result_is_one_json_document_too(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = tune(capsys, "--few-shots", "0,2", "--json")
    found = json.loads(out)
    assert code == 0
    assert err == ""
    assert (found["schema"], found["is_better"]) == ("tuning/1", True)
    assert found["winner"] == "mine, pair-tie, 2 shots, t 0"
    assert [one["name"] for one in found["dev"]["variants"]][1] == found["incumbent"]
    assert found["test"]["look"]["looks"] == 1
    assert found["table"].startswith("[[judges]]\n")


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ((), "nothing to try; give --grid"),
        (("--few-shots", "many"), "--few-shots takes whole numbers"),
        (("--temperatures", "-1"), "--temperatures numbers of 0 or more"),
        (("--prompts", "pair-tye"), "no built-in prompt has this name"),
        (("--few-shots", "0,64"), "few_shots 64: the dev split has"),
        (("--grid", "nowhere.toml"), "nowhere.toml: cannot be read"),
    ],
)
def test_what_cannot_be_tried_is_said_before_anything_is_asked(
    project: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], why: str
) -> None:
    code, out, err = tune(capsys, *flags)
    assert (code, out) == (2, "")
    assert why in err
    assert not (project / "runs").exists()
