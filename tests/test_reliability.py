"""Long campaigns against durability: kills, crash points and modelled power cuts."""

import random
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.benchmarks.bench import Bench
from tests.benchmarks.client import ClientJob
from tests.benchmarks.kills import Campaign, run_campaign
from tests.benchmarks.ledger_audit import acks_in, audit, read_acks
from tests.benchmarks.machine import Cores, scratch_folder
from tests.benchmarks.material import write_pairs
from tests.benchmarks.power_cuts import TRACER, Call, Disk, Print, Sync, read_trace

pytestmark = pytest.mark.reliability
needs_tracer = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

CRASH_POINTS = 30
POWER_CUTS = 300
KEPT_SHARES = (0.0, 0.3, 0.7)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with scratch_folder() as folder:
        yield Bench(folder, Cores(None, None))


def test_twenty_kills_of_a_job_of_20_000_judgments_lose_nothing(bench: Bench) -> None:
    campaign = Campaign(pairs=10_000, kills=20, max_in_flight=64, latency_s=0.05, seed=20)
    outcome = run_campaign(bench, campaign)
    assert outcome.exit_code == 0
    assert outcome.is_whole
    assert max(found.lost + found.changed + found.duplicates for found in outcome.audits) == 0
    assert outcome.audits[-1].stored == outcome.unique_asks == campaign.asks
    assert len(outcome.wasted) == campaign.kills
    assert max(outcome.wasted) <= campaign.max_in_flight
    assert outcome.requests == campaign.asks + sum(outcome.wasted)


@needs_tracer
def test_a_death_inside_any_system_call_of_a_commit_loses_nothing(bench: Bench) -> None:
    rng = random.Random(3)
    pairs = write_pairs(bench.folder / "pairs.jsonl", 1_500)
    acks, ledger = bench.folder / "acks", bench.folder / "ledger.db"
    acks.touch()
    deaths = 0
    with bench.simulator(latency_s=0.01, latency_spread=0.5) as simulator:
        job = ClientJob(
            str(pairs), str(ledger), simulator.base_url, max_in_flight=8, prints_acks=True
        )
        for number in range(CRASH_POINTS):
            call = ("pwrite64", "fdatasync")[number % 2]
            deaths += _die_inside(bench, job, acks, call, rng.randint(1, 40))
            if ledger.exists():
                found = audit(ledger, read_acks(acks))
                assert (found.lost, found.changed, found.duplicates) == (0, 0, 0)
                assert found.integrity == "ok"
        assert deaths >= CRASH_POINTS // 2
        with acks.open("ab") as writer, bench.start_client(job, stdout=writer) as client:
            assert client.wait(300) == 0
    found = audit(ledger, read_acks(acks))
    assert (found.stored, found.lost, found.integrity) == (3_000, 0, "ok")


def _die_inside(bench: Bench, job: ClientJob, acks: Path, call: str, nth: int) -> bool:
    """Run a client that is killed as it enters the nth such call; False if it never got there.

    The tracer has to stop at every call: with --seccomp-bpf it miscounts.
    """
    tracer = (
        "strace", "-f", "-qq", "-o", str(bench.folder / "deaths"),
        "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={nth}",
    )  # fmt: skip
    with acks.open("ab") as writer, bench.start_client(job, under=tracer, stdout=writer) as client:
        client.wait(300)
    return client.returncode != 0


@dataclass(frozen=True, slots=True)
class Cut:
    """What was left after one modelled power cut."""

    lost: int
    is_intact: bool


@pytest.fixture(scope="module")
def traced() -> Iterator[tuple[Path, list[Call]]]:
    """Where the ledger of a small job lay, and every call that its client made."""
    with scratch_folder() as folder:
        bench = Bench(folder, Cores(None, None))
        pairs = write_pairs(folder / "pairs.jsonl", 60)
        ledger, trace = folder / "ledger.db", folder / "trace"
        with (
            bench.simulator(latency_s=0.01, latency_spread=0.5) as simulator,
            (folder / "acks").open("wb") as acks,
        ):
            job = ClientJob(
                str(pairs), str(ledger), simulator.base_url, max_in_flight=8, prints_acks=True
            )
            tracer = (*TRACER, "-o", str(trace))
            with bench.start_client(job, under=tracer, stdout=acks) as client:
                assert client.wait(300) == 0
        with trace.open() as lines:
            yield ledger, [c for c in read_trace(lines) if folder in (c.path, c.path.parent)]


@needs_tracer
def test_no_power_cut_loses_a_reported_judgment(traced: tuple[Path, list[Call]]) -> None:
    ledger, calls = traced
    assert len(acks_in(_printed(calls, ledger))) == 120
    cuts = _cut_everywhere(ledger, calls, obeys_syncs=True)
    assert len(cuts) == POWER_CUTS
    assert sum(cut.lost for cut in cuts) == 0
    assert all(cut.is_intact for cut in cuts)


@needs_tracer
def test_the_model_of_power_cuts_bites_where_syncs_are_ignored(
    traced: tuple[Path, list[Call]],
) -> None:
    ledger, calls = traced
    assert sum(isinstance(call, Sync) and call.path.parent == ledger.parent for call in calls) > 20
    cuts = _cut_everywhere(ledger, calls, obeys_syncs=False)
    assert sum(cut.lost > 0 or not cut.is_intact for cut in cuts) > POWER_CUTS // 2


def _cut_everywhere(ledger: Path, calls: Sequence[Call], *, obeys_syncs: bool) -> list[Cut]:
    """Return what many power cuts, spread at random over the calls, would have left."""
    rng = random.Random(5)
    disk = Disk(ledger.parent, obeys_syncs=obeys_syncs)
    moments = sorted(rng.randrange(len(calls)) for _ in range(POWER_CUTS))
    cuts, done = [], 0
    for number, moment in enumerate(moments):
        for call in calls[done:moment]:
            disk.note(call)
        done = moment
        files = disk.after_cut(rng, KEPT_SHARES[number % len(KEPT_SHARES)])
        cuts.append(_inspect(ledger, files, acks_in(_printed(calls[:moment], ledger))))
    return cuts


def _inspect(ledger: Path, files: dict[Path, bytes], acks: Mapping[str, str]) -> Cut:
    with scratch_folder() as folder:
        for path, content in files.items():
            if path.name.startswith(ledger.name):
                (folder / path.name).write_bytes(content)
        if not (folder / ledger.name).exists():
            return Cut(len(acks), is_intact=True)
        try:
            with closing(sqlite3.connect(folder / ledger.name)) as connection:
                connection.execute("PRAGMA user_version").fetchone()
            found = audit(folder / ledger.name, acks)
        except sqlite3.DatabaseError:
            return Cut(len(acks), is_intact=False)
    return Cut(found.lost + found.changed, found.integrity == "ok")


def _printed(calls: Sequence[Call], ledger: Path) -> str:
    acks = ledger.with_name("acks")
    return b"".join(c.data for c in calls if isinstance(c, Print) and c.path == acks).decode()
