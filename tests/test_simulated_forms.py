"""The simulated judge answers every built-in form, readably and about the pair it is shown."""

import json
from collections import Counter
from typing import Any

import pytest

from judge.records import Status, Verdict
from judge.replies.reading import Read, read_reply_text
from judge.simulator.answering import answer_chat
from judge.simulator.draws import digest
from judge.simulator.settings import SimulatorSettings
from prompts import JudgePrompt, Shown, load_prompt

RIGHT = SimulatorSettings(accuracy=1, shared_opinion=1, reply_words=20)
PAIRS = 150
MIRRORED = {Verdict.A: Verdict.B, Verdict.B: Verdict.A, Verdict.TIE: Verdict.TIE}
FORMS = ("pair-grades", "pair-ratings", "pair-criteria", "rubric", "rubric-scores")


def shown(number: int) -> Shown:
    return Shown(f"Question {number}?", f"First answer {number}.", f"Second answer {number}.")


def read_of(settings: SimulatorSettings, prompt: JudgePrompt, pair: Shown) -> Read:
    rendered = prompt.render_pair(pair)
    told = [
        {"role": "system", "content": rendered.system},
        {"role": "user", "content": rendered.user},
    ]
    body = json.dumps({"model": "any", "temperature": 0, "messages": told}).encode()
    answer = answer_chat(
        settings,
        body,
        body_digest=digest(settings.seed, b"body", body),
        earlier_sends=0,
        created=0,
    )
    assert answer.response is not None
    choice: Any = json.loads(answer.response.body)["choices"][0]
    return read_reply_text(
        choice["message"]["content"],
        choice["finish_reason"],
        allows_tie=prompt.allows_tie,
        verdict_format=prompt.verdict_format,
        criteria=prompt.criteria,
    )


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_answered_readably_with_verdicts_of_each_kind(name: str) -> None:
    settings = SimulatorSettings(tie_rate=0.2, reply_words=20)
    prompt = load_prompt(name)
    reads = [read_of(settings, prompt, shown(number)) for number in range(PAIRS)]
    assert all(read.status is None for read in reads)
    wanted = {Verdict.A, Verdict.B} | ({Verdict.TIE} if prompt.allows_tie else set())
    assert {read.verdict for read in reads} == wanted


@pytest.mark.parametrize("name", FORMS)
def test_a_judge_that_is_always_right_says_the_same_of_both_orders(name: str) -> None:
    prompt = load_prompt(name)
    for number in range(40):
        forward = read_of(RIGHT, prompt, shown(number))
        reversed_ = read_of(RIGHT, prompt, shown(number).exchanged)
        assert forward.verdict is not None
        assert reversed_.verdict is MIRRORED[forward.verdict]
        assert (forward.grade or 0) == -(reversed_.grade or 0)


def test_unreadable_replies_are_unreadable_in_every_form() -> None:
    settings = SimulatorSettings(unparsable_rate=1, reply_words=20)
    for name in FORMS:
        reads = [read_of(settings, load_prompt(name), shown(number)) for number in range(30)]
        assert {read.status for read in reads} == {Status.UNPARSED}


def test_grades_of_both_strengths_are_given() -> None:
    prompt = load_prompt("pair-grades")
    grades = Counter(read_of(RIGHT, prompt, shown(number)).grade for number in range(PAIRS))
    assert set(grades) == {-2, -1, 1, 2}


def test_every_attribute_is_rated_over_most_of_its_scale() -> None:
    prompt = load_prompt("pair-ratings")
    reads = [read_of(RIGHT, prompt, shown(number)) for number in range(PAIRS)]
    for name in prompt.rated:
        given = {r.ratings[name].a for r in reads if r.ratings is not None}
        assert {2, 3, 4, 5, 6} <= given <= {1, 2, 3, 4, 5, 6, 7}
