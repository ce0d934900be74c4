"""A killed job loses nothing that it reported as stored, and pays for little twice."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.benchmarks.bench import Bench
from tests.benchmarks.kills import Campaign, Outcome, run_campaign
from tests.benchmarks.ledger_audit import audit, read_acks
from tests.benchmarks.machine import Cores, scratch_folder

CAMPAIGN = Campaign(
    pairs=150, kills=3, max_in_flight=16, latency_s=0.02, seed=7, latest_early_kill_s=0.4
)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with scratch_folder() as folder:
        yield Bench(folder, Cores(None, None))


@pytest.fixture(scope="module")
def outcome(bench: Bench) -> Outcome:
    return run_campaign(bench, CAMPAIGN)


def test_no_reported_judgment_is_lost_or_changed_by_a_kill(outcome: Outcome) -> None:
    assert outcome.acked > 0
    assert [found.lost for found in outcome.audits] == [0] * len(outcome.audits)
    assert [found.changed for found in outcome.audits] == [0] * len(outcome.audits)
    assert outcome.is_whole


def test_the_same_command_finishes_a_killed_job_with_every_ask_answered_once(
    outcome: Outcome,
) -> None:
    assert outcome.exit_code == 0
    assert outcome.audits[-1].stored == CAMPAIGN.asks
    assert max(found.duplicates for found in outcome.audits) == 0
    assert outcome.unique_asks == CAMPAIGN.asks


def test_a_kill_costs_at_most_the_requests_that_were_in_flight(outcome: Outcome) -> None:
    assert len(outcome.wasted) == CAMPAIGN.kills
    assert max(outcome.wasted) <= CAMPAIGN.max_in_flight
    assert outcome.requests == CAMPAIGN.asks + sum(outcome.wasted)


def test_some_kills_meet_a_job_with_part_of_its_judgments_stored(outcome: Outcome) -> None:
    assert any(0 < found.stored < CAMPAIGN.asks for found in outcome.audits)


@pytest.mark.usefixtures("outcome")
def test_the_audit_finds_a_judgment_that_was_taken_away_or_altered(
    bench: Bench, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    with (
        closing(sqlite3.connect(bench.folder / "kill.db")) as ledger,
        closing(sqlite3.connect(copy)) as target,
    ):
        ledger.backup(target)
        target.execute("DELETE FROM judgments WHERE rowid = 1")
        target.execute("UPDATE judgments SET verdict = 'altered' WHERE rowid = 2")
        target.commit()
    found = audit(copy, read_acks(bench.folder / "kill.acks"))
    assert (found.lost, found.changed, found.stored) == (1, 1, CAMPAIGN.asks - 1)
