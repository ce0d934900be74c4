"""A tiny random model that vLLM really runs in this process: it answers, judges and is freed."""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import judge
from judge.backends.vllm import VLLMChat
from judge.backends.vllm_engine import start_engine
from judge.candidates.generators import Generator
from judge.candidates.pairing import PairingRules
from judge.chat import ChatModel, ChatRequest
from judge.errors import AccountError, ConfigError, ItemError, TransientError
from judge.job.endpoints import LocalEngines
from judge.settings.config import Endpoint, Judge, Settings
from tests.fakes import rows, write_pairs
from tests.integration.engine import CHOICE, ON_A_CPU, REAL_ENGINE, prepare_environment, write_lines
from tests.integration.tiny_model import make_tiny_model

pytestmark = REAL_ENGINE
prepare_environment()

ON_ONE_LOOP = pytest.mark.asyncio(loop_scope="module")
ENDPOINT = Endpoint(engine="vllm", options=ON_A_CPU)
REQUEST = ChatRequest(
    model="tiny",
    system="You are an impartial judge. " * 40,
    user="What is the capital of France?",
    sampling={"temperature": 0.0},
    max_tokens=4,
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chat(model: Path) -> AsyncIterator[ChatModel]:
    async with LocalEngines() as engines:
        yield await engines.chat("tiny", ENDPOINT, str(model))


# the public job


def settings_of(model: Path, **more: Any) -> Settings:
    """Return settings with a generator and a judge, each with the model at its own endpoint."""
    judging = {"engine": "vllm", "options": ON_A_CPU, "extra_body": CHOICE}
    return Settings(
        endpoints={"writing": ENDPOINT, "judging": Endpoint.model_validate(judging)},
        judges=(Judge(model=str(model), endpoint="judging", prompt="verdict", max_tokens=8),),
        **more,
    )


async def test_prompts_are_answered_and_the_answers_judged(model: Path, tmp_path: Path) -> None:
    prompts = write_lines(
        tmp_path / "prompts.jsonl",
        [json.dumps({"prompt": f"Write a poem about number {n}."}) for n in range(5)],
    )
    settings = settings_of(
        model,
        generators=(Generator(model=str(model), endpoint="writing", n=4, max_tokens=24),),
        pairing=PairingRules(keep_truncated=True),
    )

    result = await judge.arun(prompts, settings=settings, ledger=tmp_path / "x.db", environ={})

    assert result.cause is None
    written = rows(tmp_path / "x.db", "generations")
    judged = rows(tmp_path / "x.db")
    assert len(written) == 20
    assert len({row["text"] for row in written}) > 10, "a random model repeats itself rarely"
    assert len(judged) == result.progress.total
    assert {row["verdict"] for row in judged} <= {"A", "B", "tie"}
    assert sum(result.outcomes.values()) * 2 == len(judged)
    assert sum(row["cached_tokens"] for row in judged) > 128, "they share their instructions"


async def test_a_pair_too_long_for_the_model_fails_alone(model: Path, tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs.jsonl", 6)
    long = {"pair_id": "long", "prompt": "Why? " * 4000, "first": "yes", "second": "no"}
    with pairs.open("a", encoding="utf-8") as file:
        file.write(json.dumps(long) + "\n")

    result = await judge.arun(
        pairs, settings=settings_of(model), ledger=tmp_path / "x.db", environ={}
    )

    judged = rows(tmp_path / "x.db")
    assert Counter(row["status"] for row in judged) == {None: 12, "failed": 2}
    assert {row["reason"] for row in judged if row["status"]}.pop().count("max_model_len")
    assert result.exit_code == 3, "2 of 14 asks without a verdict are more than max_dropped"


# one engine, asked directly


@ON_ONE_LOOP
async def test_the_same_request_twice_is_served_from_the_prefix_cache(chat: ChatModel) -> None:
    first, second = [await chat.complete(REQUEST) for _ in range(2)]

    assert first.text == second.text
    assert first.input_tokens is not None
    assert first.input_tokens > 256
    assert second.cached_tokens is not None
    assert second.cached_tokens >= 128


@ON_ONE_LOOP
async def test_token_probabilities_come_with_every_token(chat: ChatModel) -> None:
    reply = await chat.complete(replace(REQUEST, top_logprobs=5))

    assert len(reply.alternatives) == reply.output_tokens
    for alternatives in reply.alternatives:
        assert 1 <= len(alternatives) <= 6
        assert all(logprob <= 1e-6 for logprob in alternatives.values())


@ON_ONE_LOOP
async def test_a_schema_is_kept_even_by_a_random_model(chat: ChatModel) -> None:
    schema = {
        "type": "object",
        "properties": {"verdict": {"enum": ["A", "B", "C"]}},
        "required": ["verdict"],
        "additionalProperties": False,
    }

    reply = await chat.complete(replace(REQUEST, json_schema=schema, max_tokens=400))

    assert json.loads(reply.text)["verdict"] in {"A", "B", "C"}


@ON_ONE_LOOP
async def test_a_seed_repeats_a_sampled_reply(chat: ChatModel) -> None:
    sampled = [
        (await chat.complete(replace(REQUEST, sampling={"temperature": 1.0, "seed": seed}))).text
        for seed in (1, 1, 2, 3, 4)
    ]

    assert sampled[0] == sampled[1]
    assert len(set(sampled)) > 1


@ON_ONE_LOOP
async def test_many_requests_are_answered_at_once(chat: ChatModel) -> None:
    asked = [replace(REQUEST, user=f"What is {number}?") for number in range(64)]

    replies = await asyncio.gather(*map(chat.complete, asked))

    assert {reply.output_tokens for reply in replies} <= {1, 2, 3, 4}
    assert len(replies) == 64


@ON_ONE_LOOP
async def test_a_cancelled_request_leaves_the_engine(chat: VLLMChat) -> None:
    engine: Any = chat._engine._engine  # type: ignore[attr-defined]
    endless = VLLMChat(
        "tiny", Endpoint(engine="vllm", extra_body={"ignore_eos": True}), chat._engine
    )
    asking = asyncio.create_task(endless.complete(replace(REQUEST, max_tokens=3000)))
    async with asyncio.timeout(60):
        while not engine.get_num_unfinished_requests():  # noqa: ASYNC110 (the engine has no event)
            await asyncio.sleep(0.01)

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert engine.get_num_unfinished_requests() == 0
    assert (await chat.complete(REQUEST)).output_tokens, "and the engine goes on"


@ON_ONE_LOOP
async def test_a_request_has_a_time_limit(chat: VLLMChat) -> None:
    limited = Endpoint(engine="vllm", timeout_s=0.05, extra_body={"ignore_eos": True})
    hasty = VLLMChat("tiny", limited, chat._engine)

    with pytest.raises(TransientError, match="timeout_s"):
        await hasty.complete(replace(REQUEST, max_tokens=3000))


@ON_ONE_LOOP
@pytest.mark.parametrize(
    ("extra_body", "error", "message"),
    [
        ({"temprature": 1.0}, ConfigError, 'did you mean "temperature"'),
        ({"n": 3}, ConfigError, '"n" is not a sampling parameter that can be set'),
        ({"top_p": 7.0}, ItemError, "top_p"),
        ({"structured_outputs": {"choise": ["A"]}}, ConfigError, 'did you mean "choice"'),
        ({"structured_outputs": {}}, ItemError, "structured outputs"),
        ({"chat_template": "{{ raise_exception('no system') }}"}, ItemError, "no system"),
    ],
)
async def test_what_the_engine_does_not_take_is_named(
    chat: VLLMChat, extra_body: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        await VLLMChat(
            "tiny", Endpoint(engine="vllm", extra_body=extra_body), chat._engine
        ).complete(REQUEST)


@ON_ONE_LOOP
async def test_exact_probabilities_of_chosen_tokens_can_be_had(chat: VLLMChat) -> None:
    tokenizer = chat._engine._tokenizer  # type: ignore[attr-defined]
    ids = [tokenizer.encode(letter, add_special_tokens=False)[0] for letter in "ABC"]
    exact = VLLMChat(
        "tiny", Endpoint(engine="vllm", extra_body={"logprob_token_ids": ids}), chat._engine
    )

    reply = await exact.complete(replace(REQUEST, max_tokens=1, top_logprobs=1))

    assert set("ABC") <= set(reply.alternatives[0])


@ON_ONE_LOOP
async def test_an_interrupt_from_the_terminal_does_not_reach_the_engine(chat: VLLMChat) -> None:
    [process] = chat._engine._engine.engine_core.resources.engine_manager.processes  # type: ignore[attr-defined]

    os.kill(process.pid, signal.SIGINT)

    await asyncio.gather(*(chat.complete(REQUEST) for _ in range(20)))
    assert process.is_alive()


@ON_ONE_LOOP
async def test_a_dead_engine_says_so_at_once(model: Path) -> None:
    async with LocalEngines() as engines:
        chat: Any = await engines.chat("doomed", ENDPOINT, str(model))
        [process] = chat._engine._engine.engine_core.resources.engine_manager.processes
        os.kill(process.pid, signal.SIGKILL)

        with pytest.raises(AccountError, match=r"doomed: vLLM's engine died.*resume"):
            await _asked_until_it_fails(chat)


async def _asked_until_it_fails(chat: ChatModel) -> None:
    async with asyncio.timeout(60):
        while True:
            await chat.complete(REQUEST)


# models that do not load


@pytest.mark.parametrize(
    ("options", "name", "message"),
    [
        ({"tensor_paralel_size": 2}, None, 'has no engine argument "tensor_paralel_size"; did you'),
        ({"model": "other"}, None, "name it in the judge"),
        ({"dtype": "flaot16"}, None, "flaot16"),
        ({}, "/nowhere/at/all", "check the model: a folder, or a name on the hub"),
        ({"num_gpu_blocks_override": 1}, None, "lower gpu_memory_utilization, max_model_len"),
    ],
)
def test_a_model_that_does_not_load_says_why_and_what_helps(
    model: Path, options: dict[str, Any], name: str | None, message: str
) -> None:
    endpoint = Endpoint(engine="vllm", options=ON_A_CPU | options)

    with pytest.raises(ConfigError) as raised:
        start_engine("tiny", endpoint, name or str(model))

    assert message in str(raised.value)
    assert 'endpoint "tiny"' in str(raised.value)
    assert "\n" not in str(raised.value)


async def test_a_check_tells_the_version_and_loads_nothing(model: Path, tmp_path: Path) -> None:
    overrides = {
        "endpoints.tiny.engine": "vllm",
        "judges.0.model": str(model),
        "judges.0.endpoint": "tiny",
    }

    result = await judge.acheck(ledger=tmp_path / "x.db", overrides=overrides, environ={})

    assert result.exit_code == 0
    assert any("is loaded when a job starts" in step.found for step in result.steps)
