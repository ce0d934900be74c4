"""Graded and rated labels from a simulated judge to the exported file, as a user would get them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from judge.api.compare import compare
from judge.api.deliver import export
from judge.api.label import cost
from judge.api.start import acheck
from judge.cli.check import prompt_lines
from judge.cli.cost_view import sample_lines
from judge.cli.overrides import SettingFlags
from judge.errors import ConfigError
from judge.job.pipeline import JobInput, RunResult, run_job
from judge.ledger.rated import rated_attributes
from judge.ledger.runs import find_run
from judge.ledger.store import Ledger
from judge.outcomes.labelling import labelled_pairs
from judge.records import AttributeMeans, Outcome
from judge.settings.config import Endpoint, Judge, Settings
from judge.simulator.server import running_simulator
from judge.simulator.settings import MODEL, SimulatorSettings
from tests.fakes import rows, write_pairs

PAIRS = 24
RUBRIC = """
name = "support"
scale = 5
principles = ["Prefer what the customer can do at once."]
attributes = ["accuracy", { name = "politeness", description = "Warm, without flattery." }]
"""


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return write_pairs(tmp_path / "pairs.jsonl", PAIRS)


@pytest.fixture
def rubric(tmp_path: Path) -> Path:
    path = tmp_path / "support.toml"
    path.write_text(RUBRIC, encoding="utf-8")
    return path


async def judged(pairs: Path, ledger: Path, *judges: Judge, **simulated: Any) -> RunResult:
    told = {"position_bias": 0.2, "tie_rate": 0.1, "reply_words": 20} | simulated
    async with running_simulator(SimulatorSettings(**told)) as simulator:
        settings = Settings(
            endpoints={"default": Endpoint(base_url=simulator.base_url)}, judges=judges
        )
        return await run_job(JobInput(str(pairs)), settings, ledger, environ={})


def write(path: Path, given: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in given), encoding="utf-8")


def edit(rubric: Path) -> None:
    rubric.write_text(RUBRIC.replace("at once", "soon"), encoding="utf-8")


def exported(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


async def test_grades_reach_the_margin_of_the_training_rows(pairs: Path, tmp_path: Path) -> None:
    ledger, out = tmp_path / "x.db", tmp_path / "data.jsonl"
    result = await judged(pairs, ledger, Judge(model=MODEL, prompt="pair-grades"))
    assert result.exit_code == 0
    assert {row["grade"] for row in rows(ledger)} <= {-2, -1, 0, 1, 2}
    manifest = export(out, ledger=ledger, margin="grade", style="standard")
    assert (manifest.margin, manifest.attributes) == ("grade", [])
    margins = {row["margin"] for row in exported(out)}
    assert margins <= {1.0, 1.5, 2.0}
    assert len(margins) > 1
    export(out, ledger=ledger, margin="grade-unit")
    assert {row["margin"] for row in exported(out)} == {margin / 2 for margin in margins}
    for plain in ("none", "probability"):
        export(out, ledger=ledger, margin=plain)
        assert all("margin" not in row for row in exported(out))


async def test_ratings_reach_the_label_and_the_columns(
    pairs: Path, rubric: Path, tmp_path: Path
) -> None:
    ledger, out = tmp_path / "x.db", tmp_path / "data.jsonl"
    judge = Judge(model=MODEL, prompt="pair-ratings", criteria=str(rubric))
    assert (await judged(pairs, ledger, judge)).exit_code == 0
    labels = tmp_path / "labels.jsonl"
    export(labels, ledger=ledger, to="labels")
    by_id = {row["pair_id"]: row for row in exported(labels)}
    assert {tuple(row["attributes"]) for row in by_id.values()} == {("accuracy", "politeness")}
    manifest = export(out, ledger=ledger, attributes=True)
    assert manifest.attributes == ["accuracy", "politeness"]
    decided = [row for row in by_id.values() if row["outcome"] in ("first", "second")]
    assert len(decided) > 3
    for row, label in zip(exported(out), decided, strict=True):
        means = label["attributes"]["politeness"]
        sides = ("first", "second") if label["outcome"] == "first" else ("second", "first")
        assert [row["politeness_chosen"], row["politeness_rejected"]] == [means[s] for s in sides]
        assert row["politeness_margin"] == row["politeness_chosen"] - row["politeness_rejected"]
    export(out, ledger=ledger)
    assert "politeness_chosen" not in exported(out)[0]


async def test_pairs_given_the_other_way_round_get_their_ratings_the_other_way_round(
    pairs: Path, tmp_path: Path
) -> None:
    both = [
        each
        for pair in exported(pairs)
        for each in (
            pair,
            {**pair, "pair_id": f"{pair['pair_id']}r", "first": pair["second"]}
            | {"second": pair["first"]},
        )
    ]
    write(pairs, both)
    ledger = tmp_path / "x.db"
    graded = Judge(model=MODEL, name="graded", prompt="pair-grades")
    result = await judged(pairs, ledger, graded, Judge(model=MODEL, prompt="pair-ratings"))
    with Ledger(ledger, read_only=True) as reader:
        run = find_run(reader, result.run_id)
        assert len(rated_attributes(reader, run.run_id, run.judge_keys)) == 8
        labels = {label.pair_id: label for _, label in labelled_pairs(reader, run)}
    assert len(rows(ledger)) == 4 * PAIRS
    rated = 0
    for pair_id, label in labels.items():
        mirror = labels.get(f"{pair_id}r")
        if mirror is None or label.outcome is Outcome.UNDECIDED:
            continue
        rated += 1
        assert label.grade is not None
        assert label.attributes is not None
        assert mirror.grade == -label.grade
        assert mirror.attributes == {
            name: AttributeMeans(first=means.second, second=means.first)
            for name, means in label.attributes.items()
        }
    assert rated > PAIRS / 3


async def test_scores_are_an_attribute_of_the_name_of_their_rubric(
    pairs: Path, tmp_path: Path
) -> None:
    ledger, out = tmp_path / "x.db", tmp_path / "labels.jsonl"
    await judged(pairs, ledger, Judge(model=MODEL, prompt="rubric-scores"), position_bias=0)
    export(out, ledger=ledger, to="labels")
    for row in exported(out):
        means = row["attributes"]["helpfulness"]
        if row["outcome"] == "first":
            assert means["first"] > means["second"]
        if row["outcome"] == "tie":
            assert means["margin"] == 0


async def test_an_edited_rubric_is_asked_anew_and_never_mixes_with_its_older_self(
    pairs: Path, rubric: Path, tmp_path: Path
) -> None:
    ledger, judge = (
        tmp_path / "x.db",
        Judge(model=MODEL, prompt="pair-ratings", criteria=str(rubric)),
    )
    first = await judged(pairs, ledger, judge)
    again = await judged(pairs, ledger, judge)
    assert (again.run_id, again.progress.judged) == (first.run_id, 0)
    edit(rubric)
    edited = await judged(pairs, ledger, judge)
    assert edited.progress.judged == 2 * PAIRS
    assert edited.run_id != first.run_id
    keys = {row["judge_key"] for row in rows(ledger)}
    assert len(keys) == 2


async def test_two_versions_of_a_rubric_are_two_judges_to_compare(
    pairs: Path, rubric: Path, tmp_path: Path
) -> None:
    ledger, other = tmp_path / "x.db", tmp_path / "v2.toml"
    edit(other)
    versions = [
        Judge(model=MODEL, name=name, prompt="pair-ratings", criteria=str(path))
        for name, path in (("v1", rubric), ("v2", other))
    ]
    await judged(pairs, ledger, *versions)
    gold = tmp_path / "votes.jsonl"
    votes = (
        {"pair_id": pair["pair_id"], "annotator": "ann", "preference": "first"}
        for pair in exported(pairs)
    )
    write(gold, votes)
    compared = compare("v1", "v2", ledger=ledger, gold=gold)
    assert (len(compared.sides), compared.common) == (2, PAIRS)


async def test_an_export_is_refused_where_nothing_was_graded_or_rated(
    pairs: Path, tmp_path: Path
) -> None:
    ledger, out = tmp_path / "x.db", tmp_path / "data.jsonl"
    await judged(pairs, ledger, Judge(model=MODEL))
    with pytest.raises(ConfigError, match="its judges rated no attributes"):
        export(out, ledger=ledger, attributes=True)
    with pytest.raises(ConfigError, match="its label has no grade to make a margin of"):
        export(out, ledger=ledger, margin="grade")
    assert not out.exists()


async def test_a_check_says_what_the_criteria_are_and_shows_the_prompt_with_them(
    rubric: Path, tmp_path: Path
) -> None:
    flags = SettingFlags(model=MODEL, prompt="pair-ratings", criteria=str(rubric))
    async with running_simulator(SimulatorSettings()) as simulator:
        overrides = {name: value for name, value in flags.own().items() if value is not None}
        result = await acheck(
            config=None,
            ledger=tmp_path / "x.db",
            overrides={**overrides, "endpoints.default.base_url": simulator.base_url},
        )
    assert result.exit_code == 0
    step = next(step for step in result.steps if "rendered" in step.figures)
    assert "criteria support (principles: 1, attributes: 2), rated from 1 to 5" in step.found
    assert step.figures["rated"] == ["accuracy", "politeness"]
    printed = "\n".join(prompt_lines(step, is_shown=True))
    assert "- politeness: Warm, without flattery." in printed
    assert "[The Start of Assistant B's Answer]" in printed
    assert prompt_lines(step, is_shown=False) == []


def test_a_dry_run_shows_the_criteria_whole(pairs: Path, tmp_path: Path) -> None:
    overrides = {"judges.0.model": MODEL, "judges.0.prompt": "pair-ratings"}
    found = cost(pairs, ledger=tmp_path / "x.db", overrides=overrides, environ={})
    shown = "\n".join(sample_lines(found.samples[0]))
    assert "absence_of_hallucination: A=<rating> B=<rating>" in shown
