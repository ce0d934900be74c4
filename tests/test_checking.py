"""Checks against real servers: every step says what it found, and nothing is stored."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from judge.ledger.store import Ledger
from judge.simulator.server import running_simulator
from judge.simulator.settings import AccountFault, SimulatorSettings
from judge.start.check_steps import LONGEST_LINE, Mark, Step, last_line, sqlite_step
from judge.start.checking import CheckResult, check_everything
from tests.fakes import Scripted, Sent, completion, failure, scripted_server

KEY = "made-up-key-0123456789"


def flags(base_url: str, **more: Any) -> dict[str, Any]:
    return {
        "endpoints.default.base_url": base_url,
        "judges.0.model": "simulated-judge",
        "judges.0.name": "main",
    } | more


async def checked(
    folder: Path, base_url: str, environ: dict[str, str] | None = None, **more: Any
) -> CheckResult:
    told = flags(base_url, **{name.replace("__", "."): value for name, value in more.items()})
    return await check_everything(
        None, folder / "runs" / "x.db", overrides=told, environ=environ or {}
    )


def step_of(steps: Sequence[Step], *words: str) -> Step:
    [found] = [
        step for step in steps if all(word in f"{step.subject}: {step.found}" for word in words)
    ]
    return found


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def with_probabilities(answer: Scripted) -> Scripted:
    document = json.loads(answer.body)
    tops = [{"token": "A", "logprob": -0.1}, {"token": "B", "logprob": -2.4}]
    token = {"token": "A", "logprob": -0.1, "top_logprobs": tops}
    document["choices"][0]["logprobs"] = {"content": [token]}
    return replace(answer, body=json.dumps(document).encode())


async def test_a_check_of_a_working_judge_is_ok_in_every_step(tmp_path: Path) -> None:
    async with running_simulator(SimulatorSettings()) as simulator:
        result = await checked(tmp_path, simulator.base_url)
        asked = simulator.stats.requests
    assert {step.mark for step in result.steps} == {Mark.OK}
    assert result.exit_code == 0
    assert asked == 2  # one question, one for token probabilities
    call = step_of(result.steps, 'judge "main": verdict')
    assert call.figures["verdict"] in ("A", "B", "tie")
    assert call.figures["requests"] == 1
    assert call.figures["input_tokens"] > 0
    assert "finish reason stop" in call.found
    assert "listed" in step_of(result.steps, "model simulated-judge is").found


async def test_a_check_stores_nothing(tmp_path: Path) -> None:
    async with running_simulator(SimulatorSettings()) as simulator:
        await checked(tmp_path, simulator.base_url)
    assert names_in(tmp_path) == []


async def test_a_check_leaves_an_existing_ledger_as_it_is(tmp_path: Path) -> None:
    ledger = tmp_path / "x.db"
    Ledger(ledger).close()
    before = ledger.read_bytes()
    async with running_simulator(SimulatorSettings()) as simulator:
        result = await check_everything(
            None, ledger, overrides=flags(simulator.base_url), environ={}
        )
    assert "can be written" in step_of(result.steps, "x.db").found
    assert ledger.read_bytes() == before


async def test_steps_are_handed_over_as_they_are_done(tmp_path: Path) -> None:
    seen: list[Step] = []
    async with running_simulator(SimulatorSettings()) as simulator:
        result = await check_everything(
            None,
            tmp_path / "x.db",
            overrides=flags(simulator.base_url),
            on_step=seen.append,
            environ={},
        )
    assert tuple(seen) == result.steps


async def test_settings_say_which_file_and_variables_they_come_from(tmp_path: Path) -> None:
    config = tmp_path / "judge.toml"
    config.write_text('[[judges]]\nmodel = "simulated-judge"\n[run]\nrule = "conservative"\n')
    async with running_simulator(SimulatorSettings()) as simulator:
        environ = {
            "JUDGE_RUN__RULE": "lenient",
            "OPENAI_BASE_URL": simulator.base_url,
            "JUDGE_HOME": "no setting",
        }
        result = await check_everything(config, tmp_path / "x.db", environ=environ)
    found = step_of(result.steps, "read from").found
    assert found == f"read from {config}; from the environment: JUDGE_RUN__RULE, OPENAI_BASE_URL"


async def test_wrong_settings_fail_line_by_line_with_code_2(tmp_path: Path) -> None:
    config = tmp_path / "judge.toml"
    config.write_text('[[judges]]\nmodle = "x"\n[run]\nrulle = "lenient"\n')
    result = await check_everything(config, tmp_path / "x.db", environ={})
    failed = [step for step in result.steps if step.mark is Mark.FAILED]
    assert result.exit_code == 2
    assert [step.subject for step in failed] == ["settings"] * 3
    assert any('did you mean "rule"?' in step.found for step in failed)


async def test_without_a_judge_there_is_nothing_to_ask(tmp_path: Path) -> None:
    result = await check_everything(None, tmp_path / "x.db", environ={})
    assert result.exit_code == 2
    assert "--model" in (step_of(result.steps, "no judge is set").remedy or "")


async def test_a_prompt_that_cannot_be_used_fails_with_code_2(tmp_path: Path) -> None:
    result = await checked(tmp_path, "http://127.0.0.1:9/v1", judges__0__prompt="pair-tei")
    assert result.exit_code == 2
    assert "pair-tie" in step_of(result.steps, "no built-in prompt").found


async def test_a_verbatim_template_is_warned_about(tmp_path: Path) -> None:
    template = {
        "name": "pair-v2",
        "type": "pairwise",
        "system_prompt": "Say [[A]], [[B]] or [[C]].",
        "prompt_template": (
            "{question}\n[The Start of Assistant A's Answer]\n{answer_a}\n"
            "[The End of Assistant A's Answer]\n[The Start of Assistant B's Answer]\n{answer_b}\n"
            "[The End of Assistant B's Answer]"
        ),
        "output_format": "[[A]]",
    }
    path = tmp_path / "prompts.jsonl"
    path.write_text(json.dumps(template))
    async with running_simulator(SimulatorSettings()) as simulator:
        result = await checked(tmp_path, simulator.base_url, judges__0__prompt=f"{path}#pair-v2")
    warning = step_of(result.steps, "template pair-v2")
    assert warning.mark is Mark.WARNING
    assert warning.remedy is not None
    assert result.exit_code == 0


@pytest.mark.parametrize(
    "prompt", ["pair", "pair-tie", "pair-reference", "pair-multi-turn", "verdict"]
)
async def test_every_built_in_prompt_can_show_the_small_question(
    tmp_path: Path, prompt: str
) -> None:
    async with scripted_server([completion("A" if prompt == "verdict" else "[[A]]")]) as server:
        result = await checked(tmp_path, server.base_url, judges__0__prompt=prompt)
    assert "verdict A read" in step_of(result.steps, "verdict A").found
    assert {sent.user for sent in server.chats} == {server.chats[0].user}
    assert "2 + 2" in server.chats[0].user


async def test_a_key_that_is_not_set_fails_with_code_2_and_asks_nothing(tmp_path: Path) -> None:
    async with running_simulator(SimulatorSettings()) as simulator:
        result = await checked(
            tmp_path, simulator.base_url, endpoints__default__api_key_env="SOME_KEY"
        )
        assert simulator.stats.requests == 0
    assert result.exit_code == 2
    assert "SOME_KEY is not set" in step_of(result.steps, "SOME_KEY").found


async def test_a_key_is_never_shown(tmp_path: Path) -> None:
    async with scripted_server([failure(401), failure(401)]) as server:
        server.models = Scripted(401, json.dumps({"error": f"wrong key {KEY}"}).encode())
        result = await checked(
            tmp_path, server.base_url, {"SOME_KEY": KEY}, endpoints__default__api_key_env="SOME_KEY"
        )
    assert result.exit_code == 5
    assert "variable SOME_KEY is set" in step_of(result.steps, "SOME_KEY").found
    assert KEY not in json.dumps(result.as_dict())


async def test_an_address_where_nothing_answers_fails_with_code_5(tmp_path: Path) -> None:
    result = await checked(tmp_path, "http://127.0.0.1:9/v1")
    assert result.exit_code == 5
    assert "start the server" in step_of(result.steps, "cannot connect").found


async def test_a_model_that_is_not_listed_is_a_warning_with_the_nearest_name(
    tmp_path: Path,
) -> None:
    async with running_simulator(SimulatorSettings()) as simulator:
        result = await checked(tmp_path, simulator.base_url, judges__0__model="simulated-juge")
    warning = step_of(result.steps, "not listed")
    assert warning.mark is Mark.WARNING
    assert 'did you mean "simulated-judge"?' in warning.found


async def test_an_endpoint_that_lists_no_models_is_fine(tmp_path: Path) -> None:
    async with scripted_server([completion()]) as server:
        result = await checked(tmp_path, server.base_url)
    assert step_of(result.steps, "lists no models").mark is Mark.OK
    assert result.exit_code == 0


async def test_a_refusing_account_fails_with_code_5_and_is_asked_once(tmp_path: Path) -> None:
    faulty = SimulatorSettings(account_fault=AccountFault.INSUFFICIENT_QUOTA)
    async with running_simulator(faulty) as simulator:
        result = await checked(tmp_path, simulator.base_url)
        assert simulator.stats.requests == 1
    assert result.exit_code == 5
    assert "credit" in step_of(result.steps, "insufficient_quota").found


async def test_a_failure_is_told_and_not_waited_out(tmp_path: Path) -> None:
    async with scripted_server([failure(503)]) as server:
        result = await checked(tmp_path, server.base_url)
    assert len(server.chats) == 1
    assert result.exit_code == 5
    assert "503" in step_of(result.steps, 'judge "main"', "503").found


async def test_a_reply_without_a_verdict_shows_its_last_line(tmp_path: Path) -> None:
    async with scripted_server([completion("Both are fine.\nI pick \x1b[31mA\n\n")]) as server:
        result = await checked(tmp_path, server.base_url)
    failed = step_of(result.steps, "no verdict, unparsed")
    assert failed.mark is Mark.FAILED
    assert failed.figures["last_line"] == "I pick \x1b[31mA"
    assert failed.remedy is not None
    assert result.exit_code == 5


async def test_a_cut_reply_names_max_tokens(tmp_path: Path) -> None:
    async with scripted_server([completion("Let me think", "length")]) as server:
        result = await checked(tmp_path, server.base_url)
    assert "max_tokens" in (step_of(result.steps, "no verdict, truncated").remedy or "")


def offering(sent: Sent) -> Scripted:
    return with_probabilities(completion()) if "logprobs" in sent.body else completion()


def ignoring(sent: Sent) -> Scripted:
    return completion()


def refusing(sent: Sent) -> Scripted:
    return failure(400) if "logprobs" in sent.body else completion()


def failing(sent: Sent) -> Scripted:
    return failure(500) if "logprobs" in sent.body else completion()


@pytest.mark.parametrize(
    ("script", "told", "mark"),
    [
        (offering, "offered", Mark.OK),
        (ignoring, "ignored", Mark.OK),
        (refusing, "refused", Mark.OK),
        (failing, "not known", Mark.WARNING),
    ],
)
async def test_token_probabilities_are_offered_ignored_or_refused(
    tmp_path: Path, script: Any, told: str, mark: Mark
) -> None:
    async with scripted_server(script) as server:
        result = await checked(tmp_path, server.base_url)
    step = step_of(result.steps, "token probabilities")
    assert (step.mark, told in step.found) == (mark, True)
    assert result.exit_code == 0
    probe = server.chats[-1].body
    assert (probe["logprobs"], probe["top_logprobs"]) == (True, 5)
    assert probe["max_tokens"] <= 10


async def test_a_verdict_prompt_without_probabilities_is_a_warning(tmp_path: Path) -> None:
    async with scripted_server([completion("A")]) as server:
        result = await checked(tmp_path, server.base_url, judges__0__prompt="verdict")
    assert step_of(result.steps, "token probabilities: ignored").mark is Mark.WARNING


async def test_a_budget_in_money_needs_a_price(tmp_path: Path) -> None:
    result = await checked(tmp_path, "http://127.0.0.1:9/v1", run__budget_usd=1.0)
    assert result.exit_code == 2
    assert "[prices." in step_of(result.steps, "there is no price").found


async def test_generators_are_looked_up_but_not_asked(tmp_path: Path) -> None:
    generator = {"model": "simulated-generator-small", "n": 2}
    drafts = SimulatorSettings(generators={"simulated-generator-small": 1})
    async with running_simulator(drafts) as simulator:
        result = await checked(tmp_path, simulator.base_url, generators=[generator])
        assert simulator.stats.requests == 2
    assert step_of(result.steps, "2 candidates").subject == 'generator "simulated-generator-small"'
    assert step_of(result.steps, "model simulated-generator-small is listed").mark is Mark.OK


async def test_a_ledger_in_use_fails_with_code_2(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    async with running_simulator(SimulatorSettings()) as simulator:
        with Ledger(path):
            result = await check_everything(
                None, path, overrides=flags(simulator.base_url), environ={}
            )
    assert result.exit_code == 2
    assert "in use" in step_of(result.steps, "in use").found


async def test_a_ledger_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    async with running_simulator(SimulatorSettings()) as simulator:
        result = await checked(tmp_path, simulator.base_url)
    failed = step_of(result.steps, "cannot be written")
    assert (failed.mark, failed.exit_code) == (Mark.FAILED, 2)


def test_an_old_sqlite_is_fine_because_only_one_writes() -> None:
    old, fixed = sqlite_step((3, 40, 1)), sqlite_step((3, 51, 3))
    assert (old.mark, fixed.mark) == (Mark.OK, Mark.OK)
    assert "the ledger's lock allows one, so it is fine" in old.found
    assert fixed.found == "SQLite 3.51.3"


def test_a_last_line_is_cut_and_blank_lines_are_passed_over() -> None:
    assert last_line("a\nb\n \n") == "b"
    assert len(last_line("x" * 1000)) == LONGEST_LINE
