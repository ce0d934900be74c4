"""kill -9 at random moments of a job, and what is left afterwards."""

import random
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from judge.simulator.process import SimulatorProcess
from tests.benchmarks.bench import TIMEOUT_S, Bench
from tests.benchmarks.client import ClientJob
from tests.benchmarks.figures import Figure
from tests.benchmarks.ledger_audit import Audit, audit, read_acks
from tests.benchmarks.material import write_pairs

EARLY_KILL_EVERY = 5
"""Every so many kills one comes while the client starts or reads its input."""
LAST_KILL_AT = 0.95
JITTER_S = 0.02
SETTLED_AFTER_S = 0.1


@dataclass(frozen=True, slots=True)
class Moment:
    """When a client dies: so many seconds after so many acknowledgements in all."""

    acks: int
    then_s: float


@dataclass(frozen=True, slots=True)
class Campaign:
    """A job, and how often it is killed."""

    pairs: int
    kills: int
    max_in_flight: int
    latency_s: float
    seed: int
    latest_early_kill_s: float = 1.5
    """After the start; must be less than the whole job takes."""

    @property
    def asks(self) -> int:
        return 2 * self.pairs

    def moments(self) -> list[Moment]:
        """Return the moments of all kills; zero acknowledgements mean a kill during start-up."""
        rng = random.Random(self.seed)
        targets = sorted(rng.sample(range(1, int(LAST_KILL_AT * self.asks)), self.kills))
        return [
            Moment(0, rng.uniform(0.05, self.latest_early_kill_s))
            if number % EARLY_KILL_EVERY == 0
            else Moment(target, rng.uniform(0, JITTER_S))
            for number, target in enumerate(targets)
        ]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a campaign ended."""

    acked: int
    audits: Sequence[Audit]
    """One after every kill and one at the end."""
    wasted: Sequence[int]
    """Requests that each kill made worthless: received by the judge, their replies not stored."""
    requests: int
    unique_asks: int
    exit_code: int

    @property
    def is_whole(self) -> bool:
        """Whether every audit found the ledger intact."""
        return all(found.integrity == "ok" for found in self.audits)


def run_campaign(bench: Bench, campaign: Campaign) -> Outcome:
    """Run a job, kill it at every moment, resume it each time, and let the last life finish."""
    pairs = write_pairs(bench.folder / "kill.jsonl", campaign.pairs, seed=campaign.seed)
    acks, ledger = bench.folder / "kill.acks", bench.folder / "kill.db"
    acks.touch()
    audits: list[Audit] = []
    wasted: list[int] = []
    with bench.simulator(latency_s=campaign.latency_s, latency_spread=0.3) as simulator:
        job = ClientJob(
            str(pairs), str(ledger), simulator.base_url, max_in_flight=campaign.max_in_flight,
            core=bench.cores.client, prints_acks=True,
        )  # fmt: skip
        for number, moment in enumerate(campaign.moments(), 1):
            bench.say(f"kill {number} of {campaign.kills} at {moment.acks:,} acknowledgements")
            _live_until(bench, job, acks, moment)
            _wait_until_settled(simulator)
            if ledger.exists():
                audits.append(audit(ledger, read_acks(acks)))
            stored = audits[-1].stored if audits else 0
            wasted.append(simulator.stats().requests - stored - sum(wasted))
        bench.say("kill: finishing the job")
        exit_code = _live(bench, job, acks)
        stats = simulator.stats()
    known = read_acks(acks)
    audits.append(audit(ledger, known))
    return Outcome(len(known), audits, wasted, stats.requests, stats.unique_bodies, exit_code)


def measure_kills(bench: Bench) -> list[Figure]:
    """Twenty kills of a job of 20,000 judgments."""
    if bench.is_quick:
        campaign = Campaign(300, 3, 32, latency_s=0.05, seed=1, latest_early_kill_s=0.4)
    else:
        campaign = Campaign(10_000, 20, 256, latency_s=0.05, seed=1)
    outcome = run_campaign(bench, campaign)
    worst = [max(getattr(a, field) for a in outcome.audits) for field in ("lost", "duplicates")]
    changed = max(found.changed for found in outcome.audits)
    broken = sum(found.integrity != "ok" for found in outcome.audits)
    unfinished = campaign.asks - outcome.audits[-1].stored
    repeats = tuple(outcome.wasted)
    limit = campaign.max_in_flight
    return [
        Figure("kill", "kills", (len(repeats),)),
        Figure("kill", "acknowledged judgments lost", (worst[0],), at_most=0),
        Figure("kill", "acknowledged verdicts changed", (changed,), at_most=0),
        Figure("kill", "duplicate judgments", (worst[1],), at_most=0),
        Figure("kill", "failed integrity checks", (broken,), at_most=0),
        Figure("kill", "judgments missing at the end", (unfinished,), at_most=0),
        Figure("kill", "repeated requests, worst kill", (max(repeats),), at_most=limit),
        Figure("kill", "repeated requests per kill", repeats),
        Figure("kill", "repeated requests in all", (outcome.requests - outcome.unique_asks,)),
    ]


def _live_until(bench: Bench, job: ClientJob, acks: Path, moment: Moment) -> None:
    """Run a client and kill it at a moment; RuntimeError if it ends by itself before."""
    with acks.open("rb") as reader, acks.open("ab") as writer:
        seen = reader.read().count(b"\n")
        with bench.start_client(job, stdout=writer) as client:
            try:
                while seen < moment.acks and client.poll() is None:
                    time.sleep(0.001)
                    seen += reader.read().count(b"\n")
                time.sleep(moment.then_s)
            finally:
                client.kill()
    if client.returncode != -9:
        raise RuntimeError(f"the client ended with {client.returncode} before it was killed")


def _live(bench: Bench, job: ClientJob, acks: Path) -> int:
    """Run a client to its end and return its exit code."""
    with acks.open("ab") as writer, bench.start_client(job, stdout=writer) as client:
        try:
            return client.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            client.kill()
            raise


def _wait_until_settled(simulator: SimulatorProcess) -> None:
    """Return once the requests of a dead client have all been received and given up."""
    before = -1
    while (stats := simulator.stats()).in_flight or stats.requests != before:
        before = stats.requests
        time.sleep(SETTLED_AFTER_S)
