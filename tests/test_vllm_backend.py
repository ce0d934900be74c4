"""vLLM in this process, with an engine that only plays one: no vLLM is needed here."""

import asyncio
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

import judge
from judge.backends.vllm import (
    Generated,
    VLLMChat,
    alternatives_of,
    messages_of,
    reply_of,
    sampling_of,
    split_extra,
)
from judge.backends.vllm_engine import start_engine
from judge.candidates.generators import Generator
from judge.chat import ChatRequest
from judge.errors import AccountError, ConfigError, ItemError, TransientError
from judge.job.endpoints import LocalEngines, open_endpoint
from judge.job.judging import resolve_judge
from judge.job.progress import Progress
from judge.prices.budget import Budget
from judge.records import Message
from judge.settings.config import Endpoint, Judge, Settings
from judge.settings.loading import load_settings
from tests.fakes import rows, write_pairs

CONTEXT = 400


class FakeEngine:
    """Plays a LocalEngine: a token is a word, and the reply is what `answer` makes of them."""

    delay_s = 0.0

    def __init__(self, answer: Callable[[], Generated] | None = None) -> None:
        self._answer = answer or (lambda: Generated("[[A]]", "stop", 3, 0))
        self.asked: list[tuple[int, dict[str, Any]]] = []
        self.templates: list[Mapping[str, Any]] = []
        self.is_asked = asyncio.Event()
        self.in_flight = self.most_in_flight = self.cancelled = self.shutdowns = 0

    @property
    def context_tokens(self) -> int:
        return CONTEXT

    @property
    def default_sampling(self) -> Mapping[str, Any]:
        return {"top_k": 20, "temperature": 0.6}

    def tokens_of(
        self, messages: Sequence[Mapping[str, str]], template: Mapping[str, Any]
    ) -> list[int]:
        self.templates.append(template)
        return [len(word) for message in messages for word in message["content"].split()]

    async def generate(
        self, tokens: list[int], sampling: Mapping[str, Any], request_id: str
    ) -> Generated:
        self.asked.append((len(tokens), dict(sampling)))
        self.is_asked.set()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.delay_s)
            return self._answer()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1

    def shutdown(self) -> None:
        self.shutdowns += 1


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, FakeEngine]]:
    """(endpoint, model, engine) of every engine that is started, all of them fakes."""
    started: list[tuple[str, str, FakeEngine]] = []

    def start(name: str, _endpoint: Endpoint, model: str) -> FakeEngine:
        engine = FakeEngine()
        started.append((name, model, engine))
        return engine

    monkeypatch.setattr("judge.backends.vllm_engine.start_engine", start)
    return started


def request(**fields: Any) -> ChatRequest:
    given = {"system": "Judge.", "user": "Which one?", "sampling": {"temperature": 0.0}}
    return ChatRequest(**{"model": "m", "max_tokens": 100, **given, **fields})


def chat(engine: FakeEngine, **endpoint: Any) -> VLLMChat:
    return VLLMChat("gpu", Endpoint(engine="vllm", **endpoint), engine)


# what is asked


def test_what_the_request_says_goes_before_the_models_defaults_and_extra_body_before_both() -> None:
    asked = request(sampling={"temperature": 0.0, "seed": 7})

    sampling = sampling_of(asked, {"temperature": 0.6, "top_k": 20}, {"seed": 8}, room=1000)

    assert sampling == {"temperature": 0.0, "top_k": 20, "seed": 8, "max_tokens": 100}


def test_a_temperature_left_to_the_server_is_the_models_own() -> None:
    assert sampling_of(request(sampling={}), {"temperature": 0.6}, {}, room=9)["temperature"] == 0.6


def test_token_probabilities_and_a_schema_are_asked_for_by_the_engines_names() -> None:
    schema = {"type": "object"}
    asked = request(top_logprobs=5, json_schema=schema)

    sampling = sampling_of(asked, {}, {"structured_outputs": {"choice": ["A"]}}, room=1000)

    assert sampling["logprobs"] == 5
    assert sampling["structured_outputs"] == {"json": schema}, "the request knows what it needs"


def test_chosen_tokens_are_told_of_in_place_of_the_likeliest() -> None:
    sampling = sampling_of(request(top_logprobs=5), {}, {"logprob_token_ids": [3, 4]}, room=9)

    assert (sampling["logprobs"], sampling["logprob_token_ids"]) == (2, [3, 4])


def test_the_fields_of_the_chat_template_are_no_sampling_parameters() -> None:
    sampling, template = split_extra(
        {"chat_template": "{{x}}", "chat_template_kwargs": {"thinking": False}, "top_k": 3}
    )

    assert sampling == {"top_k": 3}
    assert template == {"chat_template": "{{x}}", "thinking": False}


def test_a_conversation_is_sent_as_it_is_and_an_empty_system_text_not_at_all() -> None:
    turns = (Message(role="user", content="a"), Message(role="assistant", content="b"))

    assert messages_of(request(conversation=turns)) == [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
    ]
    assert messages_of(request(system="")) == [{"role": "user", "content": "Which one?"}]
    assert messages_of(request())[0] == {"role": "system", "content": "Judge."}


# what comes back


def test_alternatives_with_one_text_are_added_and_impossible_ones_left_out() -> None:
    told = alternatives_of(
        [("A", math.log(0.2)), ("A", math.log(0.3)), ("B", math.log(0.5)), ("C", -math.inf)]
    )

    assert told == pytest.approx({"A": math.log(0.5), "B": math.log(0.5)})


async def test_a_reply_carries_tokens_cached_tokens_and_alternatives() -> None:
    engine = FakeEngine(lambda: Generated("A", "stop", 1, 2, ({"A": -0.1},)))

    reply = await chat(engine).complete(request())

    assert (reply.text, reply.finish_reason) == ("A", "stop")
    assert (reply.input_tokens, reply.cached_tokens, reply.output_tokens) == (3, 2, 1)
    assert reply.alternatives == ({"A": -0.1},)


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_a_reply_that_the_engine_broke_off_is_no_reply(reason: str) -> None:
    with pytest.raises(TransientError, match=reason):
        reply_of(Generated("half", reason, 1, 0), input_tokens=1, latency_s=0.1)


# limits


async def test_a_prompt_longer_than_the_context_is_refused_for_good() -> None:
    engine = FakeEngine()

    with pytest.raises(ItemError, match=r"the prompt has 401 tokens.*context 400.*max_model_len"):
        await chat(engine).complete(request(system="", user="word " * (CONTEXT + 1)))

    assert engine.asked == []


async def test_a_reply_gets_no_more_room_than_the_context_leaves() -> None:
    engine = FakeEngine()

    await chat(engine).complete(request(system="", user="word " * (CONTEXT - 10)))

    assert engine.asked[0][1]["max_tokens"] == 10


async def test_a_request_that_takes_too_long_is_taken_out_of_the_engine() -> None:
    engine = FakeEngine()
    engine.delay_s = 60

    with pytest.raises(TransientError, match="timeout_s") as raised:
        await chat(engine, timeout_s=0.01).complete(request())

    assert (raised.value.kind, engine.cancelled, engine.in_flight) == ("time-out", 1, 0)


async def test_a_cancelled_request_is_taken_out_of_the_engine() -> None:
    engine = FakeEngine()
    engine.delay_s = 60
    asking = asyncio.create_task(chat(engine).complete(request()))
    await engine.is_asked.wait()

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert (engine.cancelled, engine.in_flight) == (1, 0)


# settings


def loaded(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "judge.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, environ={})


def test_an_engine_takes_all_that_is_asked_and_queues_it_itself() -> None:
    endpoint = Endpoint(engine="vllm")

    assert (endpoint.max_in_flight, endpoint.start_in_flight) == (256, 256)
    assert Endpoint(engine="vllm", max_in_flight=32).start_in_flight == 32
    assert Endpoint(base_url="http://127.0.0.1:9/v1").start_in_flight is None


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ("", "base_url is missing; add the address"),
        ('engine = "vllm"\nbase_url = "http://127.0.0.1:8/v1"', "base_url belongs to an address"),
        ('engine = "vllm"\napi_key_env = "KEY"', "api_key_env belongs to an address"),
        ('base_url = "http://127.0.0.1:8/v1"\noptions = {dtype = "half"}', 'add engine = "vllm"'),
        ('engine = "vlm"', "vllm"),
    ],
)
def test_keys_that_do_not_go_with_the_engine_are_refused(
    tmp_path: Path, endpoint: str, message: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        loaded(tmp_path, f'[endpoints.gpu]\n{endpoint}\n[[judges]]\nmodel="m"\nendpoint="gpu"')

    assert message in str(raised.value)
    assert "endpoint" in str(raised.value)
    assert "gpu" in str(raised.value)


def test_two_models_at_one_engine_are_refused(tmp_path: Path) -> None:
    asked = '[endpoints.gpu]\nengine = "vllm"\n[[judges]]\nmodel="one"\nendpoint="gpu"\n'

    assert loaded(tmp_path, asked + '[[generators]]\nmodel="one"\nendpoint="gpu"\nn=2').judges
    with pytest.raises(ConfigError, match=r'"one" and "two"; give each model an .endpoints. table'):
        loaded(tmp_path, asked + '[[generators]]\nmodel="two"\nendpoint="gpu"\nn=2')


def test_a_default_endpoint_that_is_an_engine_gets_no_address(tmp_path: Path) -> None:
    settings = loaded(tmp_path, '[endpoints.default]\nengine = "vllm"\n[[judges]]\nmodel="m"')

    assert settings.endpoints["default"].base_url is None


def test_a_quantised_model_is_another_judge_and_memory_settings_are_not() -> None:
    keys = [
        resolve_judge(Judge(model="m"), Endpoint(engine="vllm", options=options)).judge_key
        for options in ({}, {"gpu_memory_utilization": 0.5}, {"quantization": "fp8"})
    ]

    assert keys[0] == keys[1] != keys[2]


def test_without_vllm_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)  # as if it were not installed

    with pytest.raises(ConfigError, match=r'endpoint "gpu".*pip install "evenhand\[vllm\]"'):
        start_engine("gpu", Endpoint(engine="vllm"), "m")


# engines of a job


def settings_of(**models: str) -> Settings:
    """Return settings with a judge, and a generator where one is named, at endpoints of engines."""
    names = {models["judge_at"], models.get("generator_at", models["judge_at"])}
    generator = Generator(
        model=models.get("generator", ""), endpoint=models.get("generator_at", ""), n=2,
        temperature=(0.5, 1.0),
    ) if "generator" in models else None  # fmt: skip
    return Settings(
        endpoints={name: Endpoint(engine="vllm", max_in_flight=8) for name in names},
        judges=(Judge(model=models["judge"], endpoint=models["judge_at"], max_tokens=50),),
        generators=(generator,) if generator else (),
    )


def write_prompts(path: Path, count: int) -> Path:
    path.write_text("".join(f'{{"prompt": "Question {n}?"}}\n' for n in range(count)))
    return path


async def test_a_job_loads_its_model_once_asks_all_of_it_and_frees_it(
    tmp_path: Path,
    engines: list[tuple[str, str, FakeEngine]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = tmp_path / "x.db"
    monkeypatch.setattr(FakeEngine, "delay_s", 0.02)

    result = await judge.arun(
        write_pairs(tmp_path / "pairs.jsonl", 40),
        settings=settings_of(judge="m", judge_at="gpu"),
        ledger=ledger,
        environ={},
    )

    [(name, model, engine)] = engines
    assert (name, model, engine.shutdowns) == ("gpu", "m", 1)
    assert (result.exit_code, result.progress.judged) == (0, 80)
    assert {row["cached_tokens"] for row in rows(ledger)} == {0}
    assert engine.most_in_flight == 8


async def test_judges_and_generators_of_one_endpoint_share_its_model(
    tmp_path: Path,
    engines: list[tuple[str, str, FakeEngine]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = iter(range(1000))
    monkeypatch.setattr(
        FakeEngine,
        "generate",
        lambda *_: _said(Generated(f"text {next(texts)}\n[[A]]", "stop", 3, 0)),
    )

    result = await judge.arun(
        write_prompts(tmp_path / "prompts.jsonl", 3),
        settings=settings_of(judge="m", judge_at="gpu", generator="m", generator_at="gpu"),
        ledger=tmp_path / "x.db",
        environ={},
    )

    assert [(name, model, engine.shutdowns) for name, model, engine in engines] == [("gpu", "m", 1)]
    assert result.progress.judged == 6


async def test_a_generators_model_is_freed_before_the_judges_is_loaded(
    tmp_path: Path,
    engines: list[tuple[str, str, FakeEngine]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = iter(range(1000))
    monkeypatch.setattr(
        FakeEngine,
        "generate",
        lambda *_: _said(Generated(f"text {next(texts)}\n[[A]]", "stop", 3, 0)),
    )
    freed: list[int] = []
    monkeypatch.setattr(FakeEngine, "shutdown", lambda _self: freed.append(len(engines)))

    await judge.arun(
        write_prompts(tmp_path / "prompts.jsonl", 2),
        settings=settings_of(judge="j", judge_at="one", generator="g", generator_at="two"),
        ledger=tmp_path / "x.db",
        environ={},
    )

    assert [(name, model) for name, model, _ in engines] == [("two", "g"), ("one", "j")]
    assert freed == [1, 2], "with one engine started, then with both"


async def _said(generated: Generated) -> Generated:
    return generated


async def test_a_dead_engine_ends_the_job_and_leaves_the_rest_pending(
    tmp_path: Path,
    engines: list[tuple[str, str, FakeEngine]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = iter(range(1000))

    async def die(*_: Any) -> Generated:
        if next(calls) > 20:
            raise AccountError("gpu: vLLM's engine died")
        return Generated("[[A]]", "stop", 3, 0)

    monkeypatch.setattr(FakeEngine, "generate", die)

    result = await judge.arun(
        write_pairs(tmp_path / "pairs.jsonl", 40),
        settings=settings_of(judge="m", judge_at="gpu"),
        ledger=tmp_path / "x.db",
        environ={},
    )

    assert "engine died" in str(result.cause)
    assert (result.exit_code, result.progress.judged) == (4, 20), "one call warmed the engine up"
    assert engines[0][2].shutdowns == 1


async def test_a_model_that_cannot_be_warmed_up_is_freed(
    engines: list[tuple[str, str, FakeEngine]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> Generated:
        raise ConfigError("no such parameter")

    monkeypatch.setattr(FakeEngine, "generate", refuse)

    with pytest.raises(ConfigError, match="no such parameter"):
        async with LocalEngines() as loading:
            await loading.chat("gpu", Endpoint(engine="vllm"), "m")

    assert engines[0][2].shutdowns == 1


async def test_settings_made_in_python_are_checked_too(
    engines: list[tuple[str, str, FakeEngine]],
) -> None:
    async def opened(endpoint: Endpoint, *models: str) -> None:
        async with AsyncExitStack() as stack:
            await open_endpoint(
                stack, "gpu", endpoint, None,
                models=models, budget=Budget(), progress=Progress(),
            )  # fmt: skip

    with pytest.raises(ConfigError, match="base_url is missing"):
        await opened(Endpoint(), "m")
    with pytest.raises(ConfigError, match="loads one model"):
        await opened(Endpoint(engine="vllm"), "m", "n")
    assert engines == []


async def test_a_check_says_what_is_missing_without_loading_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    config = tmp_path / "judge.toml"
    config.write_text('[endpoints.gpu]\nengine = "vllm"\n[[judges]]\nmodel="m"\nendpoint="gpu"')

    result = await judge.acheck(config=config, ledger=tmp_path / "x.db", environ={})

    found = [step.found for step in result.steps]
    assert any("vLLM in this process" in text for text in found)
    assert any("evenhand[vllm]" in text for text in found)
    assert result.exit_code == 2
