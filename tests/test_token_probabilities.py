"""Token probabilities along the whole path: asked for, stored, in labels, report and export."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from judge.cli.summary import unsure_lines
from judge.errors import AccountError, ConfigError
from judge.job.judging import LETTER_TOKENS, request_of, resolve_judge
from judge.job.pipeline import JobInput, RunResult, run_job
from judge.ledger.facts import judged_pairs, reading_patterns
from judge.ledger.runs import Run as StoredRun
from judge.ledger.runs import find_run
from judge.ledger.store import Ledger
from judge.outcomes.exporting import ExportFormat, export_ledger
from judge.outcomes.labelling import count_outcomes, labelled_pairs, name_outcome
from judge.outcomes.labels import Rule
from judge.outcomes.soft import log_odds
from judge.records import Label, Order, Outcome
from judge.settings.config import Endpoint, Judge, Run, Settings
from judge.simulator.server import running_simulator
from judge.simulator.settings import MODEL, Logprobs, SimulatorSettings
from judge.start.checking import check_everything
from judge.trust.audit import gather_in, report_of
from prompts.shown import Shown
from tests.fakes import Sent, completion, failure, rows, scripted_server, write_pairs

PAIRS = 60
VERDICT = Judge(model=MODEL, prompt="verdict", max_tokens=LETTER_TOKENS)
SHOWN = Shown("Which tea?", "Oolong.", "Any green one.")


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


async def judged(
    ledger: Path,
    simulated: SimulatorSettings,
    *,
    judge: Judge = VERDICT,
    rule: Rule = Rule.SOFT,
    **run: Any,
) -> RunResult:
    pairs = write_pairs(ledger.parent / "pairs.jsonl", PAIRS)
    async with running_simulator(simulated) as simulator:
        settings = Settings(
            endpoints={"default": Endpoint(base_url=simulator.base_url)},
            judges=(judge,),
            run=Run(rule=rule, **run),
        )
        return await run_job(JobInput(str(pairs)), settings, ledger, environ={})


def labels_of(ledger: Path) -> list[Label]:
    with Ledger(ledger, read_only=True) as opened:
        return [label for _, label in labelled_pairs(opened, find_run(opened, "latest"))]


def test_only_a_prompt_for_a_letter_asks_for_probabilities() -> None:
    def asked(**judge: Any) -> int | None:
        resolved = resolve_judge(Judge(model="m", **judge), Endpoint(base_url="http://x"))
        return request_of(resolved, resolved.prompt.render_pair(SHOWN)).top_logprobs

    assert asked(prompt="verdict") == 20
    assert asked(prompt="verdict", top_logprobs=5) == 5
    assert asked(prompt="verdict", top_logprobs=False) is None
    assert asked(prompt="pair-tie") is None


def test_how_many_alternatives_are_asked_for_is_no_part_of_a_judges_identity() -> None:
    endpoint = Endpoint(base_url="http://x")
    keys = {
        resolve_judge(Judge(model="m", prompt="verdict", top_logprobs=top), endpoint).judge_key
        for top in (None, 5, 20)
    }
    assert len(keys) == 1


def test_a_letter_without_room_for_its_end_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(ConfigError, match=r'judge "m": max_tokens = 1 .* set max_tokens = 8'):
        resolve_judge(
            Judge(model="m", prompt="verdict", max_tokens=1), Endpoint(base_url="http://x")
        )


@pytest.mark.parametrize("rule", [Rule.SOFT, Rule.CONSERVATIVE])
async def test_probabilities_are_stored_with_every_verdict_and_make_the_labels(
    ledger: Path, rule: Rule
) -> None:
    simulated = SimulatorSettings(tie_rate=0.1, position_bias=0.3, shared_opinion=0.3)
    result = await judged(ledger, simulated, rule=rule)
    assert result.exit_code == 0
    stored = rows(ledger)
    for row in stored:
        told = {"A": row["p_a"], "B": row["p_b"], "tie": row["p_tie"]}
        assert sum(told.values()) == pytest.approx(1)
        assert max(told, key=lambda letter: told[letter]) == row["verdict"]
    labels = labels_of(ledger)
    assert all(label.probability is not None and label.margin is not None for label in labels)
    assert any(0.01 < (label.margin or 0) < 0.99 for label in labels)
    if rule is Rule.SOFT:
        assert {label.outcome for label in labels} <= {Outcome.FIRST, Outcome.SECOND, Outcome.TIE}
        for label in labels:
            if label.outcome is not Outcome.TIE:
                assert label.probability is not None
                assert (label.outcome is Outcome.FIRST) == (label.probability > 0.5)
    else:
        assert Outcome.INCONSISTENT in {label.outcome for label in labels}


async def test_the_mean_of_both_orders_is_taken_in_log_odds(ledger: Path) -> None:
    await judged(ledger, SimulatorSettings(tie_rate=0.1, shared_opinion=0.0))
    with Ledger(ledger, read_only=True) as opened:
        run = find_run(opened, "latest")
        for pair, label in labelled_pairs(opened, run):
            odds = []
            for reading in pair.readings:
                assert reading.probabilities is not None
                p_a, p_b, p_tie = reading.probabilities
                shown = log_odds(p_a + p_tie / 2, p_b + p_tie / 2)
                odds.append(shown if reading.order is Order.FORWARD else -shown)
            assert label.probability is not None
            stated = math.log(label.probability / (1 - label.probability))
            assert stated == pytest.approx(sum(odds) / 2)


async def test_outcomes_are_counted_as_labels_say_to_the_last_digit(ledger: Path) -> None:
    await judged(ledger, SimulatorSettings(tie_rate=0.2, position_bias=0.3, unparsable_rate=0.1))
    with Ledger(ledger, read_only=True) as opened:
        run: StoredRun = find_run(opened, "latest")
        names = [name_outcome(label) for _, label in labelled_pairs(opened, run)]
        assert count_outcomes(opened, run) == {name: names.count(name) for name in names}
        patterns = reading_patterns(opened, run.run_id, run.judge_keys, with_probabilities=True)
        counted = {(r.order, r.verdict, r.probabilities) for found, _ in patterns for r in found}
        singly = {
            (r.order, r.verdict, r.probabilities)
            for pair in judged_pairs(opened, run.run_id, run.judge_keys)
            for r in pair.readings
        }
        few = list(reading_patterns(opened, run.run_id, run.judge_keys))
    assert counted == singly
    assert len(few) < 30
    assert all(r.probabilities is None for found, _ in few for r in found)


async def test_the_report_says_whether_the_probabilities_mean_what_they_say(
    ledger: Path, tmp_path: Path
) -> None:
    simulated = SimulatorSettings(accuracy=0.8)
    await judged(ledger, simulated)
    votes = tmp_path / "votes.jsonl"
    with Ledger(ledger, read_only=True) as opened:
        gathered = gather_in(opened, find_run(opened, "latest"))
    chosen = [{"pair_id": p, "annotator": "x", "preference": "first"} for p in gathered.pair_ids]
    votes.write_text("".join(json.dumps(vote) + "\n" for vote in chosen))
    judge = gathered.delivered
    assert judge.probability is not None
    assert judge.has_probability is not None
    assert judge.has_probability.all()
    assert list(judge.probability) == [label.probability for label in labels_of(ledger)]
    with Ledger(ledger, read_only=True) as opened:
        voted = gather_in(opened, find_run(opened, "latest"), gold=str(votes))
    found = report_of(voted).judges[MODEL].reliability
    assert found.brier.value is not None
    assert len(found.coverage) > 3


async def test_an_export_has_the_probability_of_each_label(ledger: Path, tmp_path: Path) -> None:
    await judged(ledger, SimulatorSettings())
    by_id = {label.pair_id: label for label in labels_of(ledger)}
    out = tmp_path / "labels.jsonl"
    export_ledger(ledger, out, to=ExportFormat.LABELS)
    for row in map(json.loads, out.read_text().splitlines()):
        assert row["probability"] == by_id[row["pair_id"]].probability
        assert row["margin"] == abs(2 * row["probability"] - 1)
    trl = tmp_path / "trl.jsonl"
    export_ledger(ledger, trl, to=ExportFormat.TRL)
    assert all("margin" in json.loads(line) for line in trl.read_text().splitlines())


@pytest.mark.parametrize("logprobs", [Logprobs.IGNORED, Logprobs.OFFERED])
async def test_an_endpoint_that_tells_no_probabilities_costs_no_verdict_and_is_told_of(
    ledger: Path, logprobs: Logprobs
) -> None:
    result = await judged(ledger, SimulatorSettings(logprobs=logprobs, unparsable_rate=0.1))
    verdicts = [row for row in rows(ledger) if row["verdict"] is not None]
    is_lacking = logprobs is Logprobs.IGNORED
    assert all((row["p_a"] is None) == is_lacking for row in verdicts)
    assert result.progress.without_probabilities == ({MODEL: len(verdicts)} if is_lacking else {})
    lines = unsure_lines(result.progress)
    assert len(lines) == is_lacking
    assert all(MODEL in line and "top_logprobs = false" in line for line in lines)


async def test_an_endpoint_that_refuses_probabilities_ends_the_job_at_once_and_nothing_is_lost(
    ledger: Path,
) -> None:
    refusing = SimulatorSettings(logprobs=Logprobs.REFUSED)
    result = await judged(ledger, refusing)
    assert isinstance(result.cause, AccountError)
    assert "top_logprobs = false" in str(result.cause)
    assert result.exit_code == 5
    assert rows(ledger) == []
    assert 1 <= len(rows(ledger, "deferrals")) <= 10
    assert result.outcomes == {"undecided: pending": PAIRS}
    told = await judged(ledger, refusing, judge=VERDICT.model_copy(update={"top_logprobs": None}))
    assert (told.run_id, told.exit_code) == (result.run_id, 0)
    assert all(row["p_a"] is None and row["verdict"] for row in rows(ledger))
    assert told.progress.without_probabilities == {}  # nobody asked for any


async def test_samples_make_probabilities_where_the_endpoint_has_none(ledger: Path) -> None:
    sampled = VERDICT.model_copy(update={"temperature": 1.0, "top_logprobs": None})
    simulated = SimulatorSettings(logprobs=Logprobs.REFUSED, shared_opinion=0.0)
    result = await judged(ledger, simulated, judge=sampled, policy="samples", samples=3)
    assert result.exit_code == 0
    assert len(rows(ledger)) == 6 * PAIRS
    possible = {(k / 2 + 0.5) / 7 for k in range(13)}
    for label in labels_of(ledger):
        assert any(label.probability == pytest.approx(p) for p in possible)
    with Ledger(ledger, read_only=True) as opened:
        judge = gather_in(opened, find_run(opened, "latest")).delivered
    assert judge.has_probability is not None
    assert judge.has_probability.all()


@pytest.mark.parametrize(
    ("logprobs", "exit_code", "words"),
    [
        (Logprobs.OFFERED, 0, "token probabilities: offered"),
        (Logprobs.IGNORED, 0, "token probabilities: ignored"),
        (Logprobs.REFUSED, 5, "set top_logprobs = false"),
    ],
)
async def test_a_check_tells_what_becomes_of_the_probabilities(
    tmp_path: Path, logprobs: Logprobs, exit_code: int, words: str
) -> None:
    async with running_simulator(SimulatorSettings(logprobs=logprobs)) as simulator:
        told = {
            "endpoints.default.base_url": simulator.base_url,
            "judges.0.model": MODEL,
            "judges.0.prompt": "verdict",
        }
        result = await check_everything(None, tmp_path / "x.db", overrides=told, environ={})
    assert result.exit_code == exit_code
    [step] = [step for step in result.steps if words in step.found]
    call = next((s for s in result.steps if " read" in s.found and "verdict" in s.figures), None)
    if logprobs is Logprobs.OFFERED:
        assert call is not None
        assert "(probability of A " in call.found
        assert sum(call.figures[name] for name in ("p_a", "p_b", "p_tie")) == pytest.approx(1)
    else:
        assert "samples" in (step.remedy or step.found) or "judge without" in step.found


async def test_a_check_asks_for_as_many_alternatives_as_the_job_will(tmp_path: Path) -> None:
    def few(sent: Sent) -> Any:
        if sent.body.get("top_logprobs", 0) > 5:
            return replace(failure(400), body=b'{"error": {"message": "at most 5 top_logprobs"}}')
        return completion("A")

    async with scripted_server(few) as server:
        told: dict[str, Any] = {
            "endpoints.default.base_url": server.base_url,
            "judges.0.model": "m",
            "judges.0.prompt": "verdict",
        }
        asking_20 = await check_everything(None, tmp_path / "x.db", overrides=told, environ={})
        told["judges.0.top_logprobs"] = 3
        asking_3 = await check_everything(None, tmp_path / "x.db", overrides=told, environ={})
        asked = [sent.body.get("top_logprobs") for sent in server.chats]
    assert (asking_20.exit_code, asking_3.exit_code) == (5, 0)
    assert any("lower top_logprobs" in step.found for step in asking_20.steps)
    assert asked == [20, 3, 3]
