"""The whole job against a simulated judge: every pair, both orders, once, and it resumes."""

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from judge.errors import AccountError, ConfigError, EndpointError, UnreachableError
from judge.inputs.intake import IntakeReport, Selection
from judge.job.desk import Stop
from judge.job.pipeline import JobInput, RunResult, run_job
from judge.job.progress import Progress
from judge.ledger.facts import judged_pairs
from judge.ledger.runs import count_pairs, find_run, list_runs
from judge.ledger.store import Ledger
from judge.outcomes.labelling import count_outcomes, labelled_pairs
from judge.outcomes.labels import Rule
from judge.records import Order, Outcome, Status
from judge.settings.config import Endpoint, Judge, Run, Settings
from judge.simulator.server import running_simulator
from judge.simulator.settings import MODEL, AccountFault, SimulatorSettings
from tests.fakes import rows, write_pairs

NOWHERE = "http://127.0.0.1:9/v1"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return write_pairs(tmp_path / "pairs.jsonl", 30)


def told(
    base_url: str,
    *judges: Judge,
    rule: Rule = Rule.CONSERVATIVE,
    max_dropped: float = 0.05,
    **endpoint: Any,
) -> Settings:
    return Settings(
        endpoints={"default": Endpoint(base_url=base_url, **endpoint)},
        judges=judges or (Judge(model=MODEL),),
        run=Run(rule=rule, max_dropped=max_dropped),
    )


async def job(
    pairs: Path, settings: Settings, ledger: Path, selection: Selection | None = None, **more: Any
) -> RunResult:
    return await run_job(
        JobInput(str(pairs), selection or Selection()), settings, ledger, environ={}, **more
    )


def stored_asks(ledger: Path) -> Counter[tuple[Any, ...]]:
    return Counter(
        (row["content_id"], row["judge_key"], row["order"], row["sample"]) for row in rows(ledger)
    )


def check_sums(result: RunResult, pairs: int) -> None:
    """Nothing disappears: every pair has an outcome, every ask is done or pending."""
    assert sum(result.outcomes.values()) == pairs
    with Ledger(result.ledger, read_only=True) as reader:
        run = find_run(reader, result.run_id)
        assert count_pairs(reader, run.run_id) == pairs
        assert count_outcomes(reader, run) == result.outcomes
        done = sum(
            len({(r.judge_key, r.order) for r in pair.readings})
            for pair in judged_pairs(reader, run.run_id, [j.judge_key for j in run.judges])
        )
    assert done == result.progress.done
    assert result.progress.done + result.progress.pending == result.progress.total


async def test_every_pair_is_judged_once_in_both_orders(pairs: Path, ledger: Path) -> None:
    async with running_simulator(SimulatorSettings()) as simulator:
        result = await job(pairs, told(simulator.base_url), ledger)
        stats = simulator.stats
    assert (stats.requests, stats.repeats) == (60, 0)
    asks = stored_asks(ledger)
    assert set(asks.values()) == {1}
    by_content = Counter((content, order) for content, _, order, _ in asks)
    assert set(by_content.values()) == {1}
    assert len({content for content, _ in by_content}) == 30
    assert {order for _, order in by_content} == set(Order)
    assert result.progress.total == result.progress.judged == 60
    assert result.exit_code == 0
    check_sums(result, 30)


async def test_the_same_command_again_asks_nothing_and_needs_no_server(
    pairs: Path, ledger: Path
) -> None:
    async with running_simulator(SimulatorSettings()) as simulator:
        settings = told(simulator.base_url)
        first = await job(pairs, settings, ledger)
    seen: list[Progress] = []
    again = await job(pairs, settings, ledger, on_start=lambda counts, _: seen.append(counts))
    assert (seen[0].total, seen[0].pending) == (60, 0)
    assert again.exit_code == 0
    assert again.cause is None
    assert again.run_id == first.run_id
    assert again.outcomes == first.outcomes
    assert again.progress.judged == 0
    check_sums(again, 30)


async def test_an_interrupted_job_resumes_with_only_what_is_missing(
    pairs: Path, ledger: Path
) -> None:
    stop = Stop()
    async with running_simulator(SimulatorSettings(latency_s=0.01)) as simulator:
        settings = told(simulator.base_url, max_in_flight=4)

        def watch(progress: Progress, _: IntakeReport) -> None:
            real = progress.note_judgment

            def note(*args: Any, **kwargs: Any) -> None:
                real(*args, **kwargs)
                if progress.judged == 20:
                    stop.request()

            progress.note_judgment = note  # type: ignore[method-assign]

        first = await job(pairs, settings, ledger, stop=stop, on_start=watch)
        assert first.is_interrupted
        assert first.exit_code == 4
        assert 20 <= first.progress.judged <= 24
        assert simulator.stats.requests == first.progress.judged  # what was in flight is stored
        assert first.outcomes["undecided: pending"] > 0
        check_sums(first, 30)
        second = await job(pairs, settings, ledger)
        assert second.progress.stored_before == first.progress.judged
        assert second.exit_code == 0
        assert (simulator.stats.requests, simulator.stats.repeats) == (60, 0)
    check_sums(second, 30)
    assert second.outcomes.get("undecided: pending", 0) == 0


async def test_resuming_gives_the_labels_of_a_job_that_was_never_interrupted(
    tmp_path: Path, pairs: Path
) -> None:
    settings_ = SimulatorSettings(position_bias=0.2, tie_rate=0.1, unparsable_rate=0.1)
    found = []
    async with running_simulator(settings_) as simulator:
        settings = told(simulator.base_url, max_in_flight=4)
        whole, parts = tmp_path / "whole.db", tmp_path / "parts.db"
        await job(pairs, settings, whole)
        simulator.counts.reset()  # so that it draws the same flaws again
        await job(pairs, settings, parts, Selection(limit=11))
        assert (await job(pairs, settings, parts)).progress.stored_before == 22
        for path in (whole, parts):
            with Ledger(path, read_only=True) as reader:
                labels = labelled_pairs(reader, find_run(reader, "latest"))
                found.append([label.model_dump_json() for _, label in labels])
    assert found[0] == found[1]
    assert len(found[0]) == 30


async def test_a_smaller_selection_pays_only_once_for_what_it_shares(
    pairs: Path, ledger: Path
) -> None:
    async with running_simulator(SimulatorSettings()) as simulator:
        settings = told(simulator.base_url)
        small = await job(pairs, settings, ledger, Selection(limit=10))
        assert (small.progress.total, simulator.stats.requests) == (20, 20)
        sampled = await job(pairs, settings, ledger, Selection(sample=5, seed=3))
        assert sampled.progress.total == 10
        await job(pairs, settings, ledger)
        assert (simulator.stats.requests, simulator.stats.repeats) == (60, 0)
    with Ledger(ledger, read_only=True) as reader:
        assert len(list_runs(reader)) == 3


async def test_the_same_command_is_the_same_run_and_another_setting_another(
    tmp_path: Path, pairs: Path, ledger: Path
) -> None:
    copy = write_pairs(tmp_path / "copy.jsonl", 30)
    async with running_simulator(SimulatorSettings()) as simulator:
        url = simulator.base_url
        plain = told(url)

        async def run_id(path: Path, settings: Settings, selection: Selection | None = None) -> str:
            return (await job(path, settings, ledger, selection)).run_id

        first = await run_id(pairs, plain)
        assert await run_id(pairs, plain) == first
        assert await run_id(copy, plain) == first
        nickname = told(url, Judge(model=MODEL, name="nick"))
        assert await run_id(pairs, nickname) == first
        assert await run_id(pairs, told(url, max_in_flight=3, max_dropped=0.5)) == first
        shorter = write_pairs(tmp_path / "shorter.jsonl", 3)
        others = [
            await run_id(pairs, told(url, rule=Rule.LENIENT)),
            await run_id(pairs, plain, Selection(limit=3)),
            await run_id(pairs, plain, Selection(sample=3)),
            await run_id(pairs, plain, Selection(sample=3, seed=1)),
            await run_id(pairs, told(url, Judge(model=MODEL, temperature=0.5))),
            await run_id(pairs, told(url, Judge(model=MODEL, prompt="pair"))),
            await run_id(pairs, told(url, extra_body={"top_k": 1})),
            await run_id(shorter, plain),
        ]
    assert len({first, *others}) == 1 + len(others)


async def test_another_rule_asks_nothing_again(pairs: Path, ledger: Path) -> None:
    async with running_simulator(SimulatorSettings(position_bias=0.5)) as simulator:
        settings = told(simulator.base_url)
        strict = await job(pairs, settings, ledger)
    lenient = await job(pairs, told(NOWHERE, rule=Rule.LENIENT), ledger)
    assert lenient.progress.judged == 0
    assert lenient.exit_code == 0
    assert strict.outcomes[Outcome.INCONSISTENT] > 0
    assert Outcome.INCONSISTENT not in lenient.outcomes
    check_sums(lenient, 30)


async def test_two_judges_decide_by_majority_and_both_are_asked(pairs: Path, ledger: Path) -> None:
    judges = (Judge(model=MODEL, name="one"), Judge(model=MODEL, name="two", prompt="pair"))
    async with running_simulator(SimulatorSettings(accuracy=0.6)) as simulator:
        result = await job(pairs, told(simulator.base_url, *judges), ledger)
        assert (simulator.stats.requests, simulator.stats.repeats) == (120, 0)
    assert result.progress.total == 120
    check_sums(result, 30)
    with Ledger(ledger, read_only=True) as reader:
        run = find_run(reader, "latest")
        keys = {judge.name: judge.judge_key for judge in run.judges}
        alone = {name: dict(_outcomes(reader, run, key)) for name, key in sorted(keys.items())}
        together = dict(_outcomes(reader, run, None))
    for pair_id, outcome in together.items():
        one, two = alone["one"][pair_id], alone["two"][pair_id]
        assert outcome == (one if one == two else "undecided: split")
    assert set(together.values()) >= {"first", "second", "undecided: split"}


def _outcomes(reader: Ledger, run: Any, key: str | None) -> list[tuple[str, str]]:
    judges = tuple(judge for judge in run.judges if key in (None, judge.judge_key))
    one = dataclasses.replace(run, judges=judges)
    return [
        (label.pair_id, label.outcome if label.reason is None else f"undecided: {label.reason}")
        for _, label in labelled_pairs(reader, one)
    ]


async def test_two_judges_that_ask_the_same_thing_are_refused(pairs: Path, ledger: Path) -> None:
    twins = (Judge(model=MODEL, name="one"), Judge(model=MODEL, name="two"))
    with pytest.raises(ConfigError, match='"one" and "two" ask the same thing'):
        await job(pairs, told(NOWHERE, *twins), ledger)
    with pytest.raises(ConfigError, match="no judge is set"):
        await job(pairs, Settings(), ledger)


async def test_too_many_asks_without_a_verdict_exit_3_now_and_whenever_it_is_run_again(
    pairs: Path, ledger: Path
) -> None:
    async with running_simulator(SimulatorSettings(unparsable_rate=0.3)) as simulator:
        settings = told(simulator.base_url)
        result = await job(pairs, settings, ledger)
    assert 6 < result.dropped < 30
    assert result.dropped == result.progress.statuses.total()
    assert result.exit_code == 3
    assert result.outcomes["undecided: unparsed"] > 0
    check_sums(result, 30)
    again = await job(pairs, settings, ledger)
    assert (again.progress.judged, again.dropped) == (0, result.dropped)
    assert again.exit_code == 3
    assert (await job(pairs, told(NOWHERE, max_dropped=0.9), ledger)).exit_code == 0


async def test_a_retry_asks_the_next_sample_of_what_had_no_verdict_and_of_nothing_else(
    pairs: Path, ledger: Path
) -> None:
    async with running_simulator(
        SimulatorSettings(unparsable_rate=0.4, faulty_sends=1)
    ) as simulator:
        settings = told(simulator.base_url)
        first = await job(pairs, settings, ledger)
        dropped = first.dropped
        assert dropped > 0
        untouched = await job(pairs, settings, ledger, retry=frozenset({Status.REFUSED}))
        assert untouched.dropped == dropped
        retried = await job(pairs, settings, ledger, retry=frozenset({Status.UNPARSED}))
        assert simulator.stats.requests == 60 + dropped
    assert retried.dropped == 0
    assert retried.exit_code == 0
    assert retried.progress.done == 60
    samples = Counter(row["sample"] for row in rows(ledger))
    assert samples == {0: 60, 1: dropped}
    assert sum(row["status"] == "unparsed" for row in rows(ledger)) == dropped  # kept as they were
    check_sums(retried, 30)


async def test_refused_and_cut_replies_are_counted_by_reason(pairs: Path, ledger: Path) -> None:
    flaws = SimulatorSettings(content_filter_rate=0.3, length_rate=0.3)
    async with running_simulator(flaws) as simulator:
        result = await job(pairs, told(simulator.base_url), ledger)
    assert result.exit_code == 3
    assert result.progress.pending == 0
    assert result.outcomes["undecided: refused"] > 0
    assert result.outcomes["undecided: truncated"] > 0
    check_sums(result, 30)


async def test_faults_on_the_way_cost_requests_and_no_judgment(pairs: Path, ledger: Path) -> None:
    faults = SimulatorSettings(
        server_error_rate=0.1, reset_rate=0.1, html_rate=0.1, faulty_sends=1, seed=2
    )
    async with running_simulator(faults) as simulator:
        result = await job(pairs, told(simulator.base_url), ledger)
        repeats = simulator.stats.repeats
    assert result.exit_code == 0
    assert repeats > 0
    assert set(stored_asks(ledger).values()) == {1}
    assert len(stored_asks(ledger)) == 60
    check_sums(result, 30)


async def test_an_endpoint_that_is_down_exits_5_and_stores_the_input(
    pairs: Path, ledger: Path
) -> None:
    result = await job(pairs, told(NOWHERE), ledger)
    assert isinstance(result.cause, UnreachableError)
    assert "127.0.0.1:9" in str(result.cause)
    assert "start the server, or check base_url" in str(result.cause)
    assert "\n" not in str(result.cause)
    assert result.exit_code == 5
    assert result.outcomes == {"undecided: pending": 30}
    check_sums(result, 30)


async def test_an_endpoint_that_is_gone_after_first_results_exits_4(
    tmp_path: Path, pairs: Path, ledger: Path
) -> None:
    async with running_simulator(SimulatorSettings()) as simulator:
        await job(pairs, told(simulator.base_url), ledger, Selection(limit=3))
    result = await job(pairs, told(NOWHERE), ledger)
    assert (result.progress.stored_before, result.exit_code) == (6, 4)
    check_sums(result, 30)


@pytest.mark.parametrize(("served", "exit_code"), [(0, 5), (20, 4)])
async def test_a_refused_account_ends_the_job_and_a_good_one_finishes_it(
    pairs: Path, ledger: Path, served: int, exit_code: int
) -> None:
    broke = SimulatorSettings(
        account_fault=AccountFault.INSUFFICIENT_QUOTA, account_fault_after=served
    )
    async with running_simulator(broke) as simulator:
        result = await job(pairs, told(simulator.base_url, max_in_flight=4), ledger)
    assert isinstance(result.cause, AccountError)
    assert result.exit_code == exit_code
    assert result.progress.judged == served
    check_sums(result, 30)
    async with running_simulator(SimulatorSettings()) as simulator:
        after = await job(pairs, told(simulator.base_url), ledger)
        assert simulator.stats.requests == 60 - served
    assert after.exit_code == 0
    check_sums(after, 30)


def test_the_exit_code_says_how_it_ended() -> None:
    def ended(**fields: Any) -> int:
        progress = Progress(total=100, stored_before=fields.pop("done", 100))
        return RunResult(
            run_id="r",
            ledger=Path("x.db"),
            intake=IntakeReport(),
            progress=progress,
            outcomes={},
            rule="conservative",
            seconds=1.0,
            max_dropped=0.05,
            **fields,
        ).exit_code

    assert ended() == 0
    assert ended(dropped=5) == 0
    assert ended(dropped=6) == 3
    assert ended(done=99) == 4
    assert ended(done=0) == 5
    assert ended(done=0, cause=EndpointError("x")) == 5
    assert ended(done=1, cause=EndpointError("x")) == 4
    assert ended(done=99, dropped=50) == 4


async def test_on_start_is_told_the_counts_before_anything_is_asked(
    pairs: Path, ledger: Path
) -> None:
    async with running_simulator(SimulatorSettings()) as simulator:
        seen: list[tuple[int, int, int]] = []

        def begin(progress: Progress, intake: IntakeReport) -> None:
            assert intake.pairs == 30
            seen.append((progress.total, progress.pending, simulator.stats.requests))

        result = await job(pairs, told(simulator.base_url), ledger, on_start=begin)
    assert seen == [(60, 60, 0)]
    assert result.seconds > 0
    assert (result.rule, result.ledger) == ("conservative", ledger)


async def test_flips_are_counted_as_the_labels_have_them(pairs: Path, ledger: Path) -> None:
    async with running_simulator(SimulatorSettings(position_bias=0.5)) as simulator:
        result = await job(pairs, told(simulator.base_url), ledger)
    assert result.progress.compared == 30
    assert result.progress.flipped == result.outcomes[Outcome.INCONSISTENT] > 0
