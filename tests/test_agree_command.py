"""`judge agree` as a command: the report on one stream, thresholds and their exit code."""

import json
from pathlib import Path
from typing import Any

import pytest

import judge
from judge.cli import app
from judge.cli.door import exit_code_of

PAIRS = 20
Told = tuple[int, str, list[str]]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A judge that calls every pair for the first answer, one of ten with the order alone."""
    folder = tmp_path_factory.mktemp("agree")
    path = folder / "judge.db"
    names = [f"p{n}" for n in range(PAIRS)]
    files: dict[str, list[dict[str, Any]]] = {
        "pairs": [
            {"pair_id": name, "prompt": f"Q {name}", "first": "one", "second": "another"}
            for name in names
        ],
        "judgments": [
            {"pair_id": name, "judge": "gpt", "order": order, "reply": f"[[{said}]]"}
            for at, name in enumerate(names)
            for order, said in (("forward", "A"), ("reversed", "A" if at % 10 == 0 else "B"))
        ],
        "votes": [
            {"pair_id": name, "annotator": "x", "preference": "first" if at % 4 else "second"}
            for at, name in enumerate(names)
        ],
    }
    for kind, rows in files.items():
        file = folder / kind
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        judge.import_file(file, kind, ledger=path)
    return path


def agree(capsys: pytest.CaptureFixture[str], *arguments: str) -> Told:
    code = exit_code_of(app, ["agree", *arguments])
    told = capsys.readouterr()
    return code, told.out, told.err.splitlines()


def test_without_a_threshold_there_is_nothing_to_fail(
    ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, talk = agree(capsys, "--ledger", str(ledger))
    assert (code, talk) == (0, [])
    assert out.startswith("On 20 human-labelled pairs, judge gpt agrees with 70.0 % of the votes")


def test_thresholds_that_hold_are_said_to_and_exit_0(
    ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--min-agreement", "0.7", "--max-flip", "0.1", "--max-unparsed", "0")
    code, _, talk = agree(capsys, "--ledger", str(ledger), *asked)
    assert (code, talk) == (
        0,
        ["thresholds met, by the values of the figures and not by their intervals"],
    )


def test_every_threshold_that_fails_is_named_with_its_gap_and_exits_1(
    ledger: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = ("--min-agreement", "0.8", "--max-flip", "0.05", "--max-unparsed", "0.5")
    report = tmp_path / "report.json"
    code, out, talk = agree(capsys, "--ledger", str(ledger), *asked, "--json", str(report))
    assert code == 1
    assert out.startswith("On 20 human-labelled pairs")
    assert json.loads(report.read_text())["schema"] == "report/1"
    written, s1, flips = talk
    assert written == f"report written to {report}"
    assert s1.startswith("threshold failed: S1 of judge gpt is 70.0 % (")
    assert s1.endswith(", 10.0 points below the minimum of 80 %")
    assert flips.endswith("5.0 points above the maximum of 5 %")


def test_the_metric_is_s2_where_it_is_asked_for(
    ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--ledger", str(ledger), "--min-agreement", "0.75", "--metric")
    assert agree(capsys, *asked, "s2")[0] == 0
    assert agree(capsys, *asked, "s1")[0] == 1
    code, _, talk = agree(capsys, *asked, "s3")
    assert code == 2
    assert "s3" in talk[0]


@pytest.mark.parametrize("share", ["75", "-0.1", "nan", "high"])
@pytest.mark.parametrize("flag", ["--min-agreement", "--max-flip", "--max-unparsed"])
def test_a_threshold_that_is_no_share_is_a_usage_error(
    ledger: Path, capsys: pytest.CaptureFixture[str], flag: str, share: str
) -> None:
    code, out, talk = agree(capsys, "--ledger", str(ledger), f"{flag}={share}")
    assert (code, out) == (2, "")
    assert flag in talk[0]
