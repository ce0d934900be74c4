"""Checking references against the simulator: found, stored, skipped, never paid twice."""

import json
from pathlib import Path
from typing import Any

import pytest

from judge.api.references import acheck_references
from judge.errors import ConfigError, InputError
from judge.formats.pairs import pair_row
from judge.identity import canonical
from judge.job.pipeline import JobInput, RunResult, run_job
from judge.job.policy_figures import CascadeFigures
from judge.job.run_deletion import delete_from_ledger
from judge.ledger.references import reference_statuses
from judge.ledger.store import Ledger
from judge.outcomes.exporting import ExportFormat, export_ledger
from judge.references.references import ReferenceStatus
from judge.settings.config import Endpoint, Judge, References, Run, Settings
from judge.simulator.server import running_simulator
from judge.simulator.settings import MODEL, SimulatorSettings
from judge.simulator.sums import reference_pairs

N, WRONG_SHARE = 200, 0.2


def write_sums(path: Path, n: int = N, *, seed: int = 3) -> set[str]:
    """Write pairs about sums; return the ids of those with a wrong reference."""
    made = list(reference_pairs(n, wrong_share=WRONG_SHARE, seed=seed))
    path.write_text("".join(json.dumps(pair_row(one.pair)) + "\n" for one in made))
    return {one.pair.pair_id for one in made if not one.is_right}


def settings_for(simulator: Any, *, references: References | None = None, **run: Any) -> Settings:
    return Settings(
        endpoints={"default": Endpoint(base_url=simulator.base_url)},
        judges=(Judge(model=MODEL, prompt="pair-reference"),),
        references=references or References(),
        run=Run(**run),
    )


def written(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    return tmp_path / "sums.jsonl"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


async def test_wrong_references_are_found_and_few_right_ones_are_flagged(
    sums: Path, ledger: Path
) -> None:
    # Of 200 references 35 are wrong. A model that is right on 90 % of the questions contradicts
    # all 35, and 15 of the 165 right ones (9 %): those it gets wrong itself.
    wrong, out = write_sums(sums), ledger.with_name("doubtful.jsonl")
    async with running_simulator(SimulatorSettings()) as simulator:
        settings = settings_for(simulator)
        result = await acheck_references(sums, settings=settings, ledger=ledger, out=out)
    flagged = {row["pair_id"] for row in written(out)}
    assert result.exit_code == 0
    assert len(wrong) == 35
    assert wrong <= flagged
    assert len(flagged - wrong) == 15
    assert result.statuses[ReferenceStatus.DOUBTFUL] == len(flagged)
    assert len(written(out)[0]["reference_check"]["own_answers"]) == 3


async def test_nothing_is_asked_twice_and_a_budget_stops_the_check_resumably(
    sums: Path, ledger: Path
) -> None:
    write_sums(sums, 40)
    async with running_simulator(SimulatorSettings()) as simulator:
        few = settings_for(simulator, budget_requests=30)
        cut = await acheck_references(sums, settings=few, ledger=ledger)
        assert cut.exit_code == 4
        assert cut.unanswered > 0
        assert simulator.counts.requests <= 30
        whole = await acheck_references(sums, settings=settings_for(simulator), ledger=ledger)
        assert whole.exit_code == 0
        asked = simulator.counts.requests
        again = await acheck_references(sums, settings=settings_for(simulator), ledger=ledger)
        assert simulator.counts.requests == asked
    assert again.statuses == whole.statuses


async def judged(sums: Path, ledger: Path, settings: Settings) -> RunResult:
    return await run_job(JobInput(str(sums)), settings, ledger)


async def test_doubtful_pairs_are_skipped_and_their_labels_tell_why(
    sums: Path, ledger: Path
) -> None:
    wrong, out = write_sums(sums, 60), ledger.with_name("labels.jsonl")
    async with running_simulator(SimulatorSettings(answer_accuracy=1.0)) as simulator:
        settings = settings_for(simulator, doubtful_references="skip")
        await acheck_references(sums, settings=settings, ledger=ledger)
        result = await judged(sums, ledger, settings)
    assert result.exit_code == 0
    assert result.outcomes["undecided: doubtful reference"] == len(wrong)
    assert result.progress.done == 2 * (60 - len(wrong))
    export_ledger(ledger, out, to=ExportFormat.LABELS)
    labels = {row["pair_id"]: row for row in written(out)}
    assert {id_ for id_, row in labels.items() if row["reference"] == "doubtful"} == wrong
    assert all(labels[id_]["reason"] == "doubtful reference" for id_ in wrong)


async def test_by_default_doubtful_pairs_are_judged_and_the_label_says_so(
    sums: Path, ledger: Path
) -> None:
    wrong, out = write_sums(sums, 30), ledger.with_name("labels.jsonl")
    async with running_simulator(SimulatorSettings(answer_accuracy=1.0)) as simulator:
        settings = settings_for(simulator)
        before = await judged(sums, ledger, settings)
        export_ledger(ledger, out, to=ExportFormat.LABELS)
        assert "reference" not in written(out)[0]
        await acheck_references(sums, settings=settings, ledger=ledger)
        after = await judged(sums, ledger, settings)
    assert before.outcomes == after.outcomes
    export_ledger(ledger, out, to=ExportFormat.LABELS)
    assert {r["pair_id"] for r in written(out) if r["reference"] == "doubtful"} == wrong


async def test_a_cascade_leaves_doubtful_pairs_out_too(sums: Path, ledger: Path) -> None:
    wrong = write_sums(sums, 30)
    async with running_simulator(SimulatorSettings(answer_accuracy=1.0)) as simulator:
        base = settings_for(simulator, doubtful_references="skip", policy="cascade", samples=3)
        stages = (
            Judge(model=MODEL, name="a", prompt="pair-reference", temperature=1, accept_above=0.9),
            Judge(model=MODEL, name="b", prompt="pair-reference", temperature=0.5),
        )
        settings = base.model_copy(update={"judges": stages})
        await acheck_references(sums, settings=settings, ledger=ledger)
        result = await judged(sums, ledger, settings)
    assert result.outcomes["undecided: doubtful reference"] == len(wrong)
    assert result.policy is not None
    assert isinstance(result.policy, CascadeFigures)
    assert result.policy.stages[0].reached == 30 - len(wrong)


async def test_deleting_the_run_deletes_its_checks(sums: Path, ledger: Path) -> None:
    write_sums(sums, 5)
    async with running_simulator(SimulatorSettings()) as simulator:
        settings = settings_for(simulator, doubtful_references="skip")
        await acheck_references(sums, settings=settings, ledger=ledger)
        result = await judged(sums, ledger, settings)
    contents = [canonical(one.pair).content_id for one in reference_pairs(5, seed=3)]
    with Ledger(ledger, read_only=True) as stored:
        assert len(reference_statuses(stored, contents)) == 5
    delete_from_ledger(ledger, result.run_id)
    with Ledger(ledger, read_only=True) as stored:
        assert not reference_statuses(stored, contents)


async def test_pairs_without_a_reference_are_refused_where_all_lack_it_and_else_counted(
    tmp_path: Path, ledger: Path
) -> None:
    bare, mixed = tmp_path / "bare.jsonl", tmp_path / "mixed.jsonl"
    row = {"prompt": "q", "first": "a", "second": "b"}
    bare.write_text(json.dumps(row) + "\n")
    mixed.write_text(json.dumps(row) + "\n" + json.dumps(row | {"reference": "a"}) + "\n")
    async with running_simulator(SimulatorSettings()) as simulator:
        settings = settings_for(simulator)
        with pytest.raises(InputError, match="none of the 1 pairs has one"):
            await judged(bare, ledger, settings)
        with pytest.raises(InputError, match='none of its 1 pairs has a "reference"'):
            await acheck_references(bare, settings=settings, ledger=ledger)
        assert simulator.counts.requests == 0
        result = await judged(mixed, ledger, settings)
        checked = await acheck_references(mixed, settings=settings, ledger=ledger)
    assert "1 of 2 pairs have none" in " ".join(result.intake.warnings)
    assert checked.without_reference == 1


async def test_a_judge_that_is_not_there_is_named(sums: Path, ledger: Path) -> None:
    write_sums(sums, 2)
    nobody = Settings(
        endpoints={"default": Endpoint(base_url="http://127.0.0.1:9/v1")},
        judges=(Judge(model="m"),),
        references=References(judge="x"),
    )
    with pytest.raises(ConfigError, match='no judge "x"; judges are: m'):
        await acheck_references(sums, settings=nobody, ledger=ledger)
