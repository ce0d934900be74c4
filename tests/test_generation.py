"""One generation, from ask to candidate or the reason why not, and a rehearsal of the whole."""

import asyncio
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import AsyncOpenAI

from judge.candidates.generation import (
    Generation,
    GenerationAsk,
    GenerationStatus,
    asks_of,
    generate_once,
    prompt_key,
    refuse_twins,
    resolve_generator,
    slots_of,
)
from judge.candidates.generators import Generator
from judge.candidates.pairing import PairingRules, pair_candidates
from judge.chat import ChatRequest, Reply
from judge.errors import (
    AccountError,
    ConfigError,
    EndpointError,
    ItemError,
    TransientError,
)
from judge.job.judging import Deferred
from judge.job.retry import RetryBudget, RetryPolicy
from judge.records import Candidate, Message, Preference
from judge.settings.config import Endpoint
from judge.simulator.answering import answer_chat
from judge.simulator.draws import digest
from judge.simulator.quality import true_preference
from judge.simulator.replies import NO_PAIR
from judge.simulator.server import running_simulator
from judge.simulator.settings import GENERATORS, SimulatorSettings
from tests.fakes import reply

ENDPOINT = Endpoint(base_url="http://127.0.0.1:1/v1")
SMALL, LARGE = GENERATORS
QUESTION = (Message(role="user", content="How is tea made?"),)
TALK = (
    Message(role="system", content="Be brief."),
    Message(role="user", content="Hello"),
    Message(role="assistant", content="Hi"),
    Message(role="user", content="How is tea made?"),
)


class Scripted:
    """A ChatModel that gives the scripted answers in turn, the last one for ever."""

    def __init__(self, *script: Reply | EndpointError) -> None:
        self._script = script
        self.requests: list[ChatRequest] = []

    async def complete(self, request: ChatRequest) -> Reply:
        answer = self._script[min(len(self.requests), len(self._script) - 1)]
        self.requests.append(request)
        if isinstance(answer, EndpointError):
            raise answer
        return answer


class ByClient:
    """A ChatModel over the official client."""

    def __init__(self, client: AsyncOpenAI) -> None:
        self._client = client

    async def complete(self, request: ChatRequest) -> Reply:
        done = await self._client.chat.completions.create(
            model=request.model,
            messages=[{"role": m.role, "content": m.content} for m in request.conversation],  # type: ignore[misc]
            max_tokens=request.max_tokens,
            extra_body=dict(request.sampling),
        )
        choice, usage = done.choices[0], done.usage
        assert usage is not None
        text = choice.message.content or ""
        return Reply(text, choice.finish_reason, usage.prompt_tokens, usage.completion_tokens, 0.01)


def generator(**given: Any) -> Generator:
    return Generator.model_validate({"model": "m", **given})


def asks(one: Generator, messages: tuple[Message, ...] = QUESTION) -> list[GenerationAsk]:
    resolved = [resolve_generator(one, ENDPOINT)]
    return list(asks_of(prompt_key(messages), messages, resolved, frozenset(slots_of(resolved))))


def policy() -> RetryPolicy:
    return RetryPolicy(
        budget=RetryBudget(reserve=0, share=0),
        stop=asyncio.Event(),
        on_wait=lambda error, wait_s: None,
        rng=random.Random(0),
    )


async def outcome(
    chat: Scripted, one: Generator | None = None, messages: tuple[Message, ...] = QUESTION
) -> Generation | Deferred:
    return await generate_once(asks(one or generator(), messages)[0], chat, policy(), now="2026")


async def generated(chat: Scripted, **given: Any) -> Generation:
    result = await outcome(chat, generator(**given))
    assert isinstance(result, Generation)
    return result


# What is asked


async def test_a_conversation_is_sent_as_it_is() -> None:
    chat = Scripted(reply("x"))
    await outcome(chat, messages=TALK)
    (sent,) = chat.requests
    assert (sent.conversation, sent.model, sent.max_tokens) == (TALK, "m", 2048)
    assert dict(sent.sampling) == {"temperature": 1.0}


async def test_a_system_prompt_goes_first_and_joins_the_prompts_own() -> None:
    chat = Scripted(reply("x"))
    for messages in (QUESTION, TALK):
        await outcome(chat, generator(system="Be kind."), messages)
    first = [sent.conversation[0] for sent in chat.requests]
    assert [(message.role, message.content) for message in first] == [
        ("system", "Be kind."),
        ("system", "Be kind.\n\nBe brief."),
    ]
    assert [sent.conversation[1:] for sent in chat.requests] == [QUESTION, TALK[1:]]


async def test_each_sample_uses_the_next_variant_of_the_grid() -> None:
    chat = Scripted(reply("x"))
    for ask in asks(generator(n=5, temperature=[0.2, 0.9])):
        await generate_once(ask, chat, policy(), now="2026")
    assert [sent.sampling["temperature"] for sent in chat.requests] == [0.2, 0.9, 0.2, 0.9, 0.2]
    slots = [ask.slot.sample for ask in asks(generator(n=5, temperature=[0.2, 0.9]))]
    assert slots == [0, 0, 1, 1, 2]


def test_only_what_is_missing_is_asked() -> None:
    resolved = [resolve_generator(generator(n=3), ENDPOINT)]
    missing = frozenset(slots_of(resolved)[1:2])
    (only,) = asks_of("key", QUESTION, resolved, missing)
    assert only.slot.sample == 1


# What comes of it


async def test_a_nul_character_in_a_candidate_is_replaced_for_no_input_may_hold_one() -> None:
    made = await generated(Scripted(reply("a\0b")))

    assert (made.status, made.text) == (None, "a\ufffdb")


async def test_a_whole_reply_is_a_candidate() -> None:
    made = await generated(Scripted(reply("Boil water.")), temperature=0.5, system="Be kind.")
    assert (made.text, made.status, made.reason) == ("Boil water.", None, None)
    assert made.sampling == {"temperature": 0.5, "max_tokens": 2048, "system": "Be kind."}
    assert (made.input_tokens, made.output_tokens, made.latency_s, made.attempts) == (7, 3, 0.5, 1)
    assert (made.finish_reason, made.created_at, made.model) == ("stop", "2026", "m")


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (reply("Boil", "length"), GenerationStatus.TRUNCATED),
        (reply("", "length"), GenerationStatus.TRUNCATED),
        (reply(" \n"), GenerationStatus.EMPTY),
        (reply("Boil", "content_filter"), GenerationStatus.REFUSED),
        (reply("Boil", "tool_calls"), GenerationStatus.UNFINISHED),
        (ItemError("too long"), GenerationStatus.FAILED),
        (ItemError("no", is_refusal=True), GenerationStatus.REFUSED),
    ],
)
async def test_nothing_else_is_a_candidate(
    answer: Reply | EndpointError, status: GenerationStatus
) -> None:
    chat = Scripted(answer)
    made = await generated(chat)
    assert made.status is status
    assert made.reason
    assert made.text == (answer.text if isinstance(answer, Reply) else "")
    assert len(chat.requests) == 1


@pytest.mark.parametrize("failure", [TransientError("down"), AccountError("no credit")])
async def test_a_failure_of_the_endpoint_stays_pending(failure: EndpointError) -> None:
    result = await outcome(Scripted(failure))
    assert result == Deferred(failure, 1)


# Identity


def keys(**given: Any) -> list[str]:
    return [ask.slot.generator_key for ask in asks(generator(**given))]


@pytest.mark.parametrize(
    "other",
    [
        {"model": "other"},
        {"temperature": 0.9},
        {"top_k": 5},
        {"top_p": 0.5},
        {"seed": 1},
        {"max_tokens": 9},
        {"system": "Be kind."},
    ],
)
def test_whatever_changes_the_request_changes_the_key(other: dict[str, Any]) -> None:
    assert keys() != keys(**other)


def test_names_and_addresses_do_not_change_the_key_but_extra_fields_do() -> None:
    plain = resolve_generator(generator(), ENDPOINT).slots
    assert resolve_generator(generator(name="nick", endpoint="e"), ENDPOINT).slots == plain
    extra = Endpoint(base_url="http://127.0.0.1:1/v1", extra_body={"min_p": 0.1})
    assert resolve_generator(generator(), extra).slots != plain


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4))
def test_a_larger_n_or_a_longer_grid_keeps_what_was_asked_before(
    n: int, more: int, temperatures: int
) -> None:
    heat = [0.1 * (i + 1) for i in range(temperatures + 1)]
    before = asks(generator(n=n * temperatures, temperature=heat[:-1]))
    larger = asks(generator(n=n * temperatures + more, temperature=heat[:-1]))
    longer = asks(generator(n=n * (temperatures + 1), temperature=heat))
    assert {ask.slot for ask in before} <= {ask.slot for ask in larger}
    assert {ask.slot for ask in before} <= {ask.slot for ask in longer}
    assert len({ask.slot for ask in longer}) == n * (temperatures + 1)


async def test_every_ask_has_an_id_of_its_own() -> None:
    both = [*asks(generator(n=3, temperature=[0.5, 1])), *asks(generator(n=3), TALK)]
    made = [await generate_once(ask, Scripted(reply("x")), policy(), now="2026") for ask in both]
    assert len({one.generation_id for one in made if isinstance(one, Generation)}) == 6


def test_generators_that_ask_the_same_thing_are_refused() -> None:
    one = resolve_generator(generator(name="a"), ENDPOINT)
    twin = generator(name="b", temperature=[0, 1])
    with pytest.raises(ConfigError, match='"a" and "b" ask the same thing'):
        refuse_twins([one, resolve_generator(twin.model_copy(update={"n": 2}), ENDPOINT)])
    refuse_twins([one, resolve_generator(twin, ENDPOINT)])  # its second variant is never used


# The simulated generator

SIMULATED = SimulatorSettings(generators=GENERATORS)


def answered(
    settings: SimulatorSettings, model: str, text: str, *, sends: int = 0, **more: Any
) -> Any:
    told = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    body = json.dumps(told).encode()
    digested = digest(settings.seed, b"body", body)
    answer = answer_chat(settings, body, body_digest=digested, earlier_sends=sends, created=0)
    assert answer.response is not None
    return json.loads(answer.response.body)


def text_of(model: str, text: str, **more: Any) -> str:
    return str(answered(SIMULATED, model, text, **more)["choices"][0]["message"]["content"])


def test_a_better_generator_wins_by_the_ratio_of_drafts() -> None:
    asked = [f"How is tea number {n} made?" for n in range(1500)]
    won = [true_preference(q, text_of(LARGE, q), text_of(SMALL, q)) for q in asked]
    share = won.count(Preference.FIRST) / len(asked)
    assert abs(share - 4 / 5) < 4 * (0.8 * 0.2 / len(asked)) ** 0.5


def test_a_generator_repeats_itself_at_temperature_0_and_by_seed_only() -> None:
    def distinct(**more: Any) -> int:
        return len({text_of(SMALL, "Tea?", sends=n, **more) for n in range(20)})

    assert distinct(temperature=0) == distinct(temperature=1, seed=5) == 1
    assert distinct(temperature=1) == 20
    assert 1 < distinct(temperature=0.3) < 20
    cold = text_of(SMALL, "Tea?", temperature=0)
    assert cold == text_of(SMALL, "Tea?", temperature=0, seed=3, max_tokens=500)
    assert cold != text_of(LARGE, "Tea?", temperature=0)
    assert cold != text_of(SMALL, "Coffee?", temperature=0)
    assert text_of(SMALL, "Tea?", seed=5) != text_of(SMALL, "Tea?", seed=6)


@given(st.text(), st.sampled_from([SMALL, LARGE]))
def test_any_prompt_gets_an_answer_of_plain_words(text: str, model: str) -> None:
    said = text_of(model, text)
    assert 25 < len(said.split()) < 150
    assert "[" not in said


@pytest.mark.parametrize(
    ("flaw", "finish_reason", "counted"),
    [
        ("empty_rate", "stop", ""),
        ("content_filter_rate", "content_filter", ""),
        ("length_rate", "length", None),
        ("unparsable_rate", "stop", None),
    ],
)
def test_flaws_meet_generators_too(flaw: str, finish_reason: str, counted: str | None) -> None:
    settings = SimulatorSettings.model_validate({"generators": GENERATORS, flaw: 1.0})
    (choice,) = answered(settings, SMALL, "Tea?")["choices"]
    assert choice["finish_reason"] == finish_reason
    said = choice["message"]["content"]
    assert said == counted if counted is not None else said


def test_other_models_are_judges_and_say_so() -> None:
    assert text_of("simulated-judge", "Tea?") == NO_PAIR
    assert answered(SIMULATED, SMALL, "Tea?")["model"] == SMALL


async def test_the_whole_path_from_prompt_to_pairs_can_be_rehearsed() -> None:
    generators = [
        resolve_generator(generator(model=SMALL, n=2, temperature=[0, 1.0]), ENDPOINT),
        resolve_generator(generator(model=LARGE, n=2, top_k=20), ENDPOINT),
    ]
    wanted = list(asks_of(prompt_key(TALK), TALK, generators, frozenset(slots_of(generators))))
    async with (
        running_simulator(SIMULATED) as simulator,
        AsyncOpenAI(base_url=simulator.base_url, api_key="none", max_retries=0) as client,
    ):
        listed = [model.id async for model in client.models.list()]
        chat = ByClient(client)
        made = [await generate_once(ask, chat, policy(), now="2026") for ask in wanted]
    assert {SMALL, LARGE} < set(listed)
    whole = [one for one in made if isinstance(one, Generation) and one.status is None]
    candidates = [
        Candidate(messages=(Message(role="assistant", content=one.text),), model=one.model)
        for one in whole
    ]
    pairing = pair_candidates("p", candidates, PairingRules(across_models=True))
    assert (len(whole), pairing.kept, len(pairing.pairs)) == (4, 4, 4)
