"""The simulated judge asked for one letter: what it says, and how sure it says it is."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from judge.records import Order, Verdict, preference_from
from judge.replies.verdict_token import parse_verdict_token, verdict_probabilities
from judge.simulator.answering import answer_chat
from judge.simulator.draws import digest
from judge.simulator.quality import true_preference
from judge.simulator.settings import Logprobs, SimulatorSettings
from prompts.loader import load_prompt

PAIRS = 1500
LETTERS = {"A": Verdict.A, "B": Verdict.B, "C": Verdict.TIE}


def texts(number: int) -> tuple[str, str, str]:
    return f"What is {number}?", f"The first idea, {number}.", f"Another idea, {number}."


def body(number: int, order: Order = Order.FORWARD, *, prompt: str = "verdict", **more: Any) -> Any:
    question, first, second = texts(number)
    a, b = (first, second) if order is Order.FORWARD else (second, first)
    rendered = load_prompt(prompt).render(question=question, answer_a=a, answer_b=b)
    told = [
        {"role": "system", "content": rendered.system},
        {"role": "user", "content": rendered.user},
    ]
    asked = {"model": "m", "temperature": 0, "logprobs": True, "top_logprobs": 20}
    return json.dumps({"messages": told, **asked, **more}).encode()


def choice(settings: SimulatorSettings, content: bytes) -> dict[str, Any]:
    answer = answer_chat(
        settings,
        content,
        body_digest=digest(settings.seed, b"body", content),
        earlier_sends=0,
        created=0,
    )
    assert answer.response is not None
    assert answer.response.status == 200, answer.response.body
    found: dict[str, Any] = json.loads(answer.response.body)["choices"][0]
    return found


def told(found: dict[str, Any]) -> tuple[float, float, float] | None:
    tokens = [
        {one["token"]: one["logprob"]} | {t["token"]: t["logprob"] for t in one["top_logprobs"]}
        for one in found["logprobs"]["content"]
    ]
    return verdict_probabilities(found["message"]["content"], tokens)


def certainties(settings: SimulatorSettings) -> Iterator[tuple[float, bool]]:
    """How sure each verdict is, and whether it names the truly better answer."""
    for number in range(PAIRS):
        found = choice(settings, body(number))
        said = LETTERS[found["message"]["content"]]
        probabilities = told(found)
        assert probabilities is not None
        truth = true_preference(*texts(number), seed=settings.seed)
        yield max(probabilities), preference_from(said, Order.FORWARD) is truth


def test_a_prompt_for_one_letter_gets_one_letter() -> None:
    found = choice(SimulatorSettings(), body(1))
    assert found["message"]["content"] in LETTERS
    assert found["finish_reason"] == "stop"


def test_the_stated_letter_is_the_likeliest_and_all_add_up_to_1() -> None:
    settings = SimulatorSettings(tie_rate=0.3)
    said = set()
    for number in range(200):
        found = choice(settings, body(number))
        letter = found["message"]["content"]
        probabilities = told(found)
        assert probabilities is not None
        assert letter == "ABC"[probabilities.index(max(probabilities))]
        said.add(letter)
        [token] = found["logprobs"]["content"]
        mass = sum(math.exp(top["logprob"]) for top in token["top_logprobs"])
        assert 0.999 < mass <= 1 + 1e-9
        assert len(token["top_logprobs"]) == 20
        assert token["token"] == letter
    assert said == set(LETTERS)


@pytest.mark.parametrize("accuracy", [0.7, 0.9])
def test_who_states_a_certainty_is_right_as_often(accuracy: float) -> None:
    stated = list(certainties(SimulatorSettings(accuracy=accuracy)))
    for low, high in ((0.5, 0.8), (0.8, 0.95), (0.95, 1.01)):
        some = [(p, is_right) for p, is_right in stated if low <= p < high]
        mean = sum(p for p, _ in some) / len(some)
        right = sum(is_right for _, is_right in some) / len(some)
        assert abs(right - mean) < 4 * math.sqrt(mean * (1 - mean) / len(some)) + 0.001
    assert sum(p for p, _ in stated) / PAIRS == pytest.approx(accuracy, abs=0.02)


def test_a_low_temperature_boasts_and_a_high_one_doubts() -> None:
    def mean(temperature: float) -> float:
        settings = SimulatorSettings(confidence_temperature=temperature)
        stated = [p for p, _ in certainties(settings)]
        return sum(stated) / len(stated)

    assert mean(0.4) > 0.92 > 0.85 > mean(2.5) > 0.6


def test_two_orders_that_share_an_opinion_are_equally_sure() -> None:
    for shared, expected in ((1.0, 100), (0.0, 0)):
        settings = SimulatorSettings(shared_opinion=shared)
        pairs = [
            [told(choice(settings, body(number, order))) for order in Order]
            for number in range(100)
        ]
        same = sum(
            forward is not None
            and reversed_ is not None
            and forward[:2] == pytest.approx(reversed_[1::-1])
            for forward, reversed_ in pairs
        )
        assert same == expected


def test_only_as_many_alternatives_are_told_as_are_asked_for() -> None:
    [token] = choice(SimulatorSettings(), body(1, top_logprobs=3))["logprobs"]["content"]
    assert len(token["top_logprobs"]) == 3
    [token] = choice(SimulatorSettings(), body(1, top_logprobs=0))["logprobs"]["content"]
    assert token["top_logprobs"] == []


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        (SimulatorSettings(), {"logprobs": False}),
        (SimulatorSettings(), {"logprobs": None}),
        (SimulatorSettings(logprobs=Logprobs.IGNORED), {}),
        (SimulatorSettings(), {"prompt": "pair-tie"}),
        (SimulatorSettings(unparsable_rate=1.0), {}),
        (SimulatorSettings(empty_rate=1.0), {}),
    ],
)
def test_otherwise_there_are_no_probabilities(
    settings: SimulatorSettings, more: dict[str, Any]
) -> None:
    assert choice(settings, body(1, **more))["logprobs"] is None


@pytest.mark.parametrize(
    ("settings", "more", "param"),
    [
        (SimulatorSettings(logprobs=Logprobs.REFUSED), {}, "logprobs"),
        (SimulatorSettings(), {"top_logprobs": 21}, "top_logprobs"),
    ],
)
def test_a_refusal_names_what_it_refuses(
    settings: SimulatorSettings, more: dict[str, Any], param: str
) -> None:
    content = body(1, **more)
    answer = answer_chat(settings, content, body_digest=b"", earlier_sends=0, created=0)
    assert answer.response is not None
    assert answer.response.status == 400
    assert json.loads(answer.response.body)["error"]["param"] == param


def test_an_unreadable_letter_is_no_verdict() -> None:
    settings = SimulatorSettings(unparsable_rate=1.0)
    said = {choice(settings, body(number))["message"]["content"] for number in range(60)}
    assert len(said) > 4
    assert all(parse_verdict_token(text) is None for text in said)


def test_ties_come_only_where_the_letter_c_is_offered(tmp_path: Path) -> None:
    without = tmp_path / "letter.toml"
    without.write_text(
        'name = "letter"\nsource = "own"\nverdict_format = "token"\nallows_tie = false\n'
        'system = "Answer with a single letter."\nuser = """[User Question]\n$question\n'
        "[The Start of Assistant A's Answer]\n$answer_a\n[The End of Assistant A's Answer]\n"
        "[The Start of Assistant B's Answer]\n$answer_b\n[The End of Assistant B's Answer]\n"
        'A or B?"""\n'
    )
    settings = SimulatorSettings(tie_rate=0.5)
    found = [choice(settings, body(number, prompt=str(without))) for number in range(40)]
    assert {one["message"]["content"] for one in found} == {"A", "B"}
