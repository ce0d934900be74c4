"""Requests refused for one of their fields: not for the item, and told at once with the remedy."""

import json
from pathlib import Path
from typing import Any

import pytest

from judge.backends.refusals import refusal_of, refused_field
from judge.backends.wire import Answer
from judge.candidates.generators import Generator
from judge.errors import AccountError
from judge.job.pipeline import JobInput, RunResult, run_job
from judge.settings.config import Endpoint, Judge, Settings
from judge.simulator.server import running_simulator
from judge.simulator.settings import MODEL, Refusable, SimulatorSettings
from tests.fakes import rows, write_pairs

BODY = {
    "model": "m",
    "messages": [],
    "temperature": 0.0,
    "seed": 7,
    "reasoning_effort": "low",
    "max_tokens": 100,
    "response_format": {},
    "thinking_token_budget": 64,
    "repetition_penalty": 1.1,
}


def answer(message: str, param: str | None = None, status: int = 400) -> Answer:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    return Answer(status, {}, json.dumps({"error": error}).encode())


def found(given: Answer, **body: Any) -> tuple[str, bool] | None:
    return refused_field(given, BODY | body)


LIMIT = "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
FASTAPI = {"detail": [{"loc": ["body", "max_tokens"], "msg": "Extra inputs are not permitted"}]}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (answer(LIMIT + "'max_completion_tokens' instead.", "max_tokens"), "max_tokens"),
        (answer(LIMIT + "'max_completion_tokens' instead."), "max_tokens"),
        (answer("Please use max_completion_tokens instead"), "max_tokens"),
        (Answer(422, {}, json.dumps(FASTAPI).encode()), "max_tokens"),
        (answer("'temperature' does not support 0 with this model.", "temperature"), "temperature"),
        (answer("may only be 1 when thinking", "temperature"), "temperature"),
        (answer("This response_format type is unavailable now"), "response_format"),
        (answer("Invalid schema", "response_format.json_schema"), "response_format"),
        (answer("json_schema is not supported here"), "response_format"),
        (answer("Unrecognized request argument supplied: reasoning_effort"), "reasoning_effort"),
        (
            answer("thinking_token_budget is set but reasoning_config is not configured"),
            "thinking_token_budget",
        ),
        (answer("repetition_penalty: extra fields not permitted"), "repetition_penalty"),
        (answer("not allowed", "seed", 403), "seed"),
    ],
)
def test_the_field_that_an_answer_refuses_is_found(given: Answer, field: str) -> None:
    assert found(given) == (field, True)


def test_the_sentence_of_a_provider_and_the_remedy_read_as_one_line() -> None:
    given = answer(LIMIT + "'max_completion_tokens' instead.", "max_tokens")
    error = refusal_of(given, {"max_tokens": 8}, where="local")
    remedy = 'set max_tokens_field = "max_completion_tokens" on the endpoint'
    assert str(error).endswith(f"'max_completion_tokens' instead; {remedy}")


@pytest.mark.parametrize(
    "given",
    [
        answer("the context is too long", "messages"),
        answer("temperature is not supported, writes the user", "messages[1].content"),
        answer("max_tokens is too large: 100. This model has a context of 4096", "max_tokens"),
        answer("'max_tokens' or 'max_completion_tokens' is too large: 8192 > 4096 - 500"),
        answer("max_tokens: at most 16384 completion tokens", "max_tokens"),
        answer("the model does not support images"),
        answer("top_k is not supported"),
        answer("max_tokens_total is not supported"),
        answer("unsupported: 'max_tokens'", "max_tokens", 500),
        answer("unsupported: 'max_tokens'", "max_tokens", 429),
        answer("", None),
        Answer(400, {}, b""),
        Answer(400, {}, b"[1]"),
        Answer(400, {}, b'{"error": {"param": {"a": 1}, "message": ["b"]}}'),
        Answer(200, {}, b"max_tokens unsupported"),
    ],
)
def test_what_is_about_the_item_or_passes_by_itself_is_no_such_refusal(given: Answer) -> None:
    assert found(given) is None


@pytest.mark.parametrize("word", ["temperature", "seed"])
def test_an_everyday_word_in_a_message_alone_is_not_certain(word: str) -> None:
    assert found(answer(f"{word} is not supported")) == (word, False)


def test_what_was_not_sent_is_not_to_blame() -> None:
    given = answer("response_format is not supported", "response_format")
    assert refused_field(given, {"model": "m", "max_tokens": 5}) is None


@pytest.mark.parametrize(
    ("field", "body", "remedy"),
    [
        ("max_tokens", {}, 'max_tokens_field = "max_completion_tokens"'),
        ("max_completion_tokens", {}, 'max_tokens_field = "max_tokens"'),
        ("temperature", {"temperature": 0.7}, "temperature = false (it is 0.7)"),
        ("response_format", {}, "json_schema = false"),
        (
            "reasoning_effort",
            {"reasoning_effort": "low"},
            'reasoning_effort of the judge (it is "l',
        ),
        ("seed", {}, "remove seed"),
        ("thinking_budget", {}, "reasoning_tokens_field"),
        ("min_p", {}, "remove min_p in extra_body"),
    ],
)
def test_the_error_names_the_setting_to_change(
    field: str, body: dict[str, Any], remedy: str
) -> None:
    given = answer(f"{field} is not supported", field)
    error = refusal_of(given, {field: 1, **body}, where="local", extra=["min_p"])
    assert isinstance(error, AccountError)
    assert error.is_certain
    assert "local: HTTP 400" in str(error)
    assert remedy in str(error)


async def job(folder: Path, simulator: SimulatorSettings, **told: Any) -> RunResult:
    pairs = write_pairs(folder / "pairs.jsonl", 40)
    async with running_simulator(simulator) as server:
        judge, endpoint = told.get("judge", {}), told.get("endpoint", {})
        settings = Settings(
            endpoints={"default": Endpoint(base_url=server.base_url, **endpoint)},
            judges=(Judge(model=MODEL, **judge),),
        )
        return await run_job(JobInput(str(pairs)), settings, folder / "x.db", environ={})


@pytest.mark.parametrize(
    ("refused", "judge", "remedy", "endpoint", "mended"),
    [
        (
            Refusable.MAX_TOKENS,
            {},
            'max_tokens_field = "max_completion_tokens"',
            {"max_tokens_field": "max_completion_tokens"},
            {},
        ),
        (Refusable.TEMPERATURE, {}, "temperature = false", {}, {"temperature": False}),
        (
            Refusable.RESPONSE_FORMAT,
            {"prompt": "pair-json"},
            "json_schema = false",
            {},
            {"json_schema": False},
        ),
        (
            Refusable.REASONING_EFFORT,
            {"reasoning_effort": "low"},
            "reasoning_effort of the judge",
            {},
            {"reasoning_effort": None},
        ),
    ],
)
async def test_a_refused_field_ends_the_job_at_once_and_the_remedy_mends_it(
    tmp_path: Path,
    refused: Refusable,
    judge: dict[str, Any],
    remedy: str,
    endpoint: dict[str, Any],
    mended: dict[str, Any],
) -> None:
    simulator = SimulatorSettings(refuses=(refused,))
    result = await job(tmp_path, simulator, judge=judge)
    assert isinstance(result.cause, AccountError)
    assert remedy in str(result.cause)
    assert result.exit_code == 5
    assert rows(tmp_path / "x.db", "judgments") == []
    again = await job(tmp_path, simulator, judge=judge | mended, endpoint=endpoint)
    assert again.cause is None
    assert again.progress.done == 80
    assert again.dropped == 0


def test_a_generator_too_can_leave_the_temperature_to_the_server() -> None:
    [variant] = Generator.model_validate({"model": "m", "temperature": False}).variants
    assert variant.sampling == {}
    for wrong in (True, [], [0.5, 0.5]):
        with pytest.raises(ValueError, match="temperature"):
            Generator.model_validate({"model": "m", "temperature": wrong})
