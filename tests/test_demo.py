"""The demonstration and the example data that it stands on."""

import json
from collections import Counter
from pathlib import Path
from urllib.request import urlopen

import pytest

import judge
from judge.errors import LedgerError
from judge.formats.pairs import warnings_of
from judge.ledger.store import Ledger
from judge.start import demonstration
from judge.start.demonstration import SIMULATED, example_pairs


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A demonstration whose judge answers at once."""
    calm = {"latency_s": 0.0, "rate_limit_rate": 0.0}
    monkeypatch.setattr(demonstration, "SIMULATED", SIMULATED.model_copy(update=calm))


def test_the_examples_are_sixty_ordinary_pairs_of_thirty_prompts() -> None:
    pairs = list(example_pairs())
    assert len({pair.pair_id for pair in pairs}) == len(pairs) == 60
    assert Counter(Counter(pair.prompt.prompt_id for pair in pairs).values()) == {2: 30}
    assert Counter(pair.prompt.tags["category"] for pair in pairs) == dict.fromkeys(
        ("writing", "math", "coding", "facts", "reasoning", "advice"), 10
    )
    assert [warning for pair in pairs for warning in warnings_of(pair)] == []
    words = [len(c.text.split()) for pair in pairs for c in (pair.first, pair.second)]
    assert 15 <= min(words) < max(words) <= 120


@pytest.mark.usefixtures("hasty")
def test_a_demonstration_judges_reports_and_exports_and_can_be_repeated(tmp_path: Path) -> None:
    first = judge.demo(tmp_path)
    again = judge.demo(tmp_path)
    for result in (first, again):
        assert result.run.exit_code == 0
        assert result.run.progress.judged == 120, "every demonstration starts afresh"
        assert result.votes == 180
        assert result.report is not None
        assert result.manifest is not None
    assert first.run.outcomes == again.run.outcomes
    outcomes = first.run.outcomes
    assert outcomes["inconsistent"] > 0, "the position bias shows"
    rows = [json.loads(line) for line in first.paths.data.read_text().splitlines()]
    assert len(rows) == outcomes["first"] + outcomes["second"]


@pytest.mark.usefixtures("hasty")
def test_the_judge_of_the_demonstration_favours_the_first_position(tmp_path: Path) -> None:
    report = judge.demo(tmp_path).report
    assert report is not None
    figures = report.judges[report.delivered]
    assert figures.preference_fairness is not None
    assert figures.preference_fairness.value is not None
    assert figures.preference_fairness.value < 0


def test_a_demonstration_leaves_a_ledger_in_use_alone(tmp_path: Path) -> None:
    with Ledger(tmp_path / "demo.db"), pytest.raises(LedgerError):
        judge.demo(tmp_path)
    assert (tmp_path / "demo.db").exists()


def test_the_twin_of_simulate_serves_inside_a_with_block() -> None:
    with judge.simulate(seed=3) as simulator, urlopen(f"{simulator.base_url}/models") as answer:
        assert json.load(answer)["data"]
        assert answer.headers["x-simulated"]


def test_twins_stay_functions_after_they_were_used() -> None:
    # A submodule of the same name would take a twin's place once it is imported.
    twins = ("agree", "demo", "import_file", "run", "simulate")
    assert [name for name in twins if not callable(getattr(judge, name))] == []
