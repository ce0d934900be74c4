"""The harness that measures: its figures, its table, its material, and one quick run."""

import re
import subprocess
import sys
from pathlib import Path

from judge.formats.lines import BadLine
from judge.formats.pairs import read_pairs
from judge.identity import canonical
from tests.benchmarks.figures import Figure, table
from tests.benchmarks.kills import Campaign
from tests.benchmarks.machine import ROOT
from tests.benchmarks.material import write_bodies, write_pairs


def test_a_figure_is_held_to_its_bar_by_its_median() -> None:
    assert Figure("x", "low enough", (1.0, 2.0, 9.0), at_most=2).passes is True
    assert Figure("x", "too high", (1.0, 2.1, 9.0), at_most=2).passes is False
    assert Figure("x", "high enough", (0.1, 0.96, 1.0), at_least=0.96).passes is True
    assert Figure("x", "too low", (0.95,), at_least=0.96).passes is False
    assert Figure("x", "no bar", (5.0,)).passes is None


def test_a_missed_bar_stands_out_in_the_table() -> None:
    lines = table([Figure("x", "wait", (1.0, 3.0, 2.0), "s", at_most=1.5)]).splitlines()
    assert re.fullmatch(r"\| x +\| wait +\| <= 1.5 +\| 2 s +\| 1 to 3 +\| MISS \|", lines[-1])
    assert len({len(line) for line in lines}) == 1


def test_pairs_are_different_and_of_realistic_size_with_brackets_and_foreign_letters(
    tmp_path: Path,
) -> None:
    path = write_pairs(tmp_path / "pairs.jsonl", 200)
    pairs = []
    for line in read_pairs(path):
        assert not isinstance(line, BadLine)
        pairs.append(line.record)
    texts = [candidate.text for pair in pairs for candidate in (pair.first, pair.second)]
    assert len({canonical(pair).content_id for pair in pairs}) == 200
    assert 2_500 < sum(map(len, texts)) / len(texts) < 2_900
    assert 0.1 < sum("[" in text for text in texts) / len(texts) < 0.5
    assert 0.1 < sum(not text.isascii() for text in texts) / len(texts) < 0.5


def test_every_pair_gives_two_bodies_of_about_seven_kilobytes(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs.jsonl", 20)
    bodies = write_bodies(tmp_path / "bodies.jsonl", pairs).read_bytes().splitlines()
    assert len(set(bodies)) == 40
    assert all(6_000 < len(body) < 9_500 for body in bodies)


def test_kills_are_spread_over_the_job_and_repeat_for_a_seed() -> None:
    campaign = Campaign(pairs=10_000, kills=20, max_in_flight=64, latency_s=0.05, seed=1)
    moments = campaign.moments()
    assert moments == campaign.moments()
    assert sum(moment.acks == 0 for moment in moments) == 4
    assert max(moment.acks for moment in moments) > campaign.asks / 2


def test_a_quick_run_measures_and_prints_a_table() -> None:
    command = [sys.executable, "tests/benchmarks/run.py", "--quick", "cpu"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    first, *lines = result.stdout.splitlines()
    assert "cores of" in first
    assert "load average" in first
    assert any(re.search(r"CPU per judgment, all in +\| <= 0.35 +\| [\d.]+ ms", x) for x in lines)
