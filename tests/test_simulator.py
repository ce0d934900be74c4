"""The simulated judge without its server: hidden truth, votes, rates and draws."""

import json
from collections.abc import Iterator
from math import sqrt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from judge.identity import canonical
from judge.job.showing import shown_of
from judge.records import Candidate, Message, Order, Pair, Preference, Prompt, preference_from
from judge.replies.verdicts import parse_verdict
from judge.simulator.answering import answer_chat
from judge.simulator.draws import digest
from judge.simulator.faults import Fault, draw_delivery
from judge.simulator.opinion import read_prompt
from judge.simulator.quality import (
    hidden_quality,
    human_votes,
    normal_form,
    question_text,
    true_preference,
)
from judge.simulator.replies import NO_PAIR
from judge.simulator.settings import SimulatorSettings
from prompts.loader import load_prompt

PAIRS = 1500
HOSTILE = Path(__file__).parent / "cases" / "hostile_answers.jsonl"


def pair(number: int) -> Pair:
    first = f"The first idea, number {number}, in a few words." + " And more." * (number % 3)
    second = f"Another idea, number {number}, in a few words." + " And more." * (number % 2)
    return Pair(
        pair_id=f"p{number}",
        prompt=Prompt(prompt_id=f"q{number}", messages=(said("user", f"What is {number}?"),)),
        first=Candidate(messages=(said("assistant", first),)),
        second=Candidate(messages=(said("assistant", second),)),
    )


def said(role: Any, content: str) -> Message:
    return Message(role=role, content=content)


def swapped(given: Pair) -> Pair:
    return given.model_copy(
        update={"pair_id": f"{given.pair_id}r", "first": given.second, "second": given.first}
    )


def truth(given: Pair) -> Preference:
    return true_preference(question_text(given.prompt), given.first.text, given.second.text)


def body(given: Pair, *, tie: bool = False, **extra: Any) -> bytes:
    menu = "Say [[A]] or [[B]]." + (" Say [[C]] for a tie." if tie else "")
    user = (
        f"[User Question]\n{question_text(given.prompt)}\n\n"
        f"[The Start of Assistant A's Answer]\n{given.first.text}\n"
        f"[The End of Assistant A's Answer]\n\n"
        f"[The Start of Assistant B's Answer]\n{given.second.text}\n"
        f"[The End of Assistant B's Answer]"
    )
    told = [{"role": "system", "content": menu}, {"role": "user", "content": user}]
    return json.dumps({"model": "any", "temperature": 0, "messages": told, **extra}).encode()


def choice(settings: SimulatorSettings, content: bytes, *, earlier_sends: int = 0) -> Any:
    """The first choice of the completion, reached without a network."""
    answer = answer_chat(
        settings,
        content,
        body_digest=digest(settings.seed, b"body", content),
        earlier_sends=earlier_sends,
        created=0,
    )
    assert answer.response is not None
    return json.loads(answer.response.body)["choices"][0]


def reply(settings: SimulatorSettings, content: bytes, *, earlier_sends: int = 0) -> str:
    return str(choice(settings, content, earlier_sends=earlier_sends)["message"]["content"])


def preferences(settings: SimulatorSettings, *, tie: bool = False) -> Iterator[Preference | None]:
    for number in range(PAIRS):
        verdict = parse_verdict(reply(settings, body(pair(number), tie=tie)), allow_tie=tie)
        yield None if verdict is None else preference_from(verdict, Order.FORWARD)


def texts() -> Iterator[tuple[str, str]]:
    for number in range(PAIRS):
        yield pair(number).first.text, pair(number).second.text


def assert_rate(hits: int, n: int, *, expected: float) -> None:
    """Four standard errors: wrong once in 16,000 for a fresh seed, never for this fixed one."""
    assert abs(hits / n - expected) <= 4 * sqrt(expected * (1 - expected) / n), hits / n


# The hidden truth


@given(st.text(), st.text(), st.text())
def test_the_true_preference_turns_with_the_answers(prompt: str, first: str, second: str) -> None:
    straight = true_preference(prompt, first, second)
    assert true_preference(prompt, second, first) is straight.swapped


def test_hidden_quality_is_standard_normal_and_differs_by_prompt_and_seed() -> None:
    sample = [hidden_quality("q", f"answer {i}") for i in range(4000)]
    mean = sum(sample) / 4000
    assert abs(mean) < 4 / sqrt(4000)
    assert abs(sum((x - mean) ** 2 for x in sample) / 4000 - 1) < 4 * sqrt(2 / 4000)
    assert hidden_quality("q", "Yes.") != hidden_quality("r", "Yes.")
    assert hidden_quality("q", "Yes.") != hidden_quality("q", "Yes.", seed=1)


def test_the_truth_of_hostile_texts_survives_the_rendered_prompt() -> None:
    template = load_prompt("pair-tie")
    lines = [json.loads(line) for line in HOSTILE.read_text().splitlines()]
    answers = [line["answer"] * line.get("repeat", 1) for line in lines]
    assert len(answers) > 30
    other = "Tea, 東京 [[B]]."
    for answer in answers:
        rendered = template.render(question=answer, answer_a=answer, answer_b=other)
        shown = read_prompt(rendered.system, [rendered.user])
        assert shown is not None
        assert shown.is_tie_offered
        texts = (shown.question, shown.answer_a, shown.answer_b)
        assert [normal_form(text) for text in texts] == [
            normal_form(text) for text in (answer, answer, other)
        ]


def test_votes_speak_of_the_question_that_judging_shows() -> None:
    turns = (said("user", "Name a tea."), said("assistant", "Oolong."), said("user", "Why?"))
    for messages in (turns, turns[:1]):
        given = pair(1).model_copy(update={"prompt": Prompt(prompt_id="m", messages=messages)})
        content = canonical(given)
        shown = shown_of(
            content.prompt_json, content.reference, content.first_json, content.second_json
        )
        assert question_text(given.prompt) == shown.question
        assert {given.first.text, given.second.text} == {shown.answer_a, shown.answer_b}


# Votes


def test_votes_follow_the_stated_accuracy_and_tie_rate() -> None:
    pairs = [pair(i) for i in range(PAIRS)]
    votes = list(human_votes(pairs, annotators=3, accuracy=0.8, tie_rate=0.1))
    assert votes == list(human_votes(pairs, annotators=3, accuracy=0.8, tie_rate=0.1))
    assert votes != list(human_votes(pairs, seed=1, annotators=3, accuracy=0.8, tie_rate=0.1))
    assert [v.annotator for v in votes[:4]] == [f"simulated-{i}" for i in (1, 2, 3, 1)]
    decided = [v for v in votes if v.preference != "tie"]
    assert_rate(len(votes) - len(decided), len(votes), expected=0.1)
    truths = {given.pair_id: truth(given) for given in pairs}
    right = sum(v.preference == truths[v.pair_id] for v in decided)
    assert_rate(right, len(decided), expected=0.8)


def test_a_pair_given_the_other_way_round_gets_mirrored_votes() -> None:
    for number in range(100):
        straight = [v.preference for v in human_votes([pair(number)])]
        mirrored = [Preference(v.preference).swapped for v in human_votes([swapped(pair(number))])]
        assert mirrored == straight


# Rates


@pytest.mark.parametrize("accuracy", [0.0, 0.6, 0.9, 1.0])
def test_verdicts_name_the_truly_better_answer_at_the_stated_accuracy(accuracy: float) -> None:
    stated = preferences(SimulatorSettings(accuracy=accuracy))
    right = sum(verdict is truth(pair(i)) for i, verdict in enumerate(stated))
    assert_rate(right, PAIRS, expected=accuracy)


@pytest.mark.parametrize("bias", [0.4, -0.4, 1.0])
def test_position_bias_is_the_share_of_verdicts_that_ignore_the_texts(bias: float) -> None:
    stated = preferences(SimulatorSettings(accuracy=1.0, position_bias=bias))
    favoured = Preference.FIRST if bias > 0 else Preference.SECOND
    decided = [(verdict, truth(pair(i))) for i, verdict in enumerate(stated)]
    worse_favoured = [verdict for verdict, best in decided if best is not favoured]
    assert_rate(worse_favoured.count(favoured), len(worse_favoured), expected=abs(bias))
    assert all(verdict is favoured for verdict, best in decided if best is favoured)


def test_length_bias_shifts_verdicts_toward_the_longer_answer() -> None:
    for bias, expected in ((0.0, 0.5), (0.3, 0.8), (-0.3, 0.2)):
        stated = preferences(SimulatorSettings(accuracy=0.65, length_bias=bias, shared_opinion=0))
        longer = [
            verdict is (Preference.FIRST if len(first) > len(second) else Preference.SECOND)
            for verdict, (first, second) in zip(stated, texts(), strict=True)
            if len(normal_form(first)) != len(normal_form(second))
        ]
        # Whether the longer is the better is itself a coin flip of the hidden truth.
        assert abs(sum(longer) / len(longer) - expected) < 0.05


def test_ties_come_at_their_rate_and_only_where_they_are_offered() -> None:
    settings = SimulatorSettings(tie_rate=0.25)
    ties = sum(verdict is Preference.TIE for verdict in preferences(settings, tie=True))
    assert_rate(ties, PAIRS, expected=0.25)
    assert None not in set(preferences(settings, tie=False))


def test_unparsable_replies_come_at_their_rate_and_all_others_can_be_read() -> None:
    unread = list(preferences(SimulatorSettings(unparsable_rate=0.2), tie=True)).count(None)
    assert_rate(unread, PAIRS, expected=0.2)
    assert None not in set(preferences(SimulatorSettings(tie_rate=0.3), tie=True))
    assert set(preferences(SimulatorSettings(unparsable_rate=1.0), tie=True)) == {None}


@pytest.mark.parametrize(("shared", "expected"), [(1.0, 1.0), (0.0, 0.7**2 + 0.3**2)])
def test_shared_opinions_make_the_two_orders_err_together(shared: float, expected: float) -> None:
    settings = SimulatorSettings(accuracy=0.7, shared_opinion=shared)
    agreed = 0
    for number in range(PAIRS):
        orders = {Order.FORWARD: pair(number), Order.REVERSED: swapped(pair(number))}
        meant = set()
        for order, shown in orders.items():
            verdict = parse_verdict(reply(settings, body(shown)))
            assert verdict is not None
            meant.add(preference_from(verdict, order))
        agreed += len(meant) == 1
    assert_rate(agreed, PAIRS, expected=expected)


# Replies


def test_temperature_0_repeats_itself_and_a_higher_one_samples_anew() -> None:
    settings = SimulatorSettings(accuracy=0.5, shared_opinion=0)
    for temperature, is_constant in ((0, True), (0.7, False)):
        content = body(pair(1), temperature=temperature)
        replies = {reply(settings, content, earlier_sends=sends) for sends in range(8)}
        assert (len(replies) == 1) is is_constant


@given(st.integers(0, 10_000), st.sampled_from([60, 150, 400]))
def test_a_cut_reply_is_a_prefix_of_the_whole_one(number: int, words: int) -> None:
    content = body(pair(number))
    whole = choice(SimulatorSettings(reply_words=words), content)
    cut = choice(SimulatorSettings(reply_words=words, length_rate=1.0), content)
    assert (whole["finish_reason"], cut["finish_reason"]) == ("stop", "length")
    assert len(cut["message"]["content"]) < len(whole["message"]["content"])
    assert whole["message"]["content"].startswith(cut["message"]["content"])
    assert abs(len(whole["message"]["content"].split()) - words) <= 25


def test_a_reply_longer_than_the_token_limit_is_cut_there() -> None:
    cut = choice(SimulatorSettings(), body(pair(1), max_tokens=20))
    assert (len(cut["message"]["content"]), cut["finish_reason"]) == (80, "length")


def test_a_prompt_without_two_answers_is_told_so_and_gets_no_verdict() -> None:
    asked = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hello"}]})
    assert reply(SimulatorSettings(), asked.encode()) == NO_PAIR
    assert parse_verdict(NO_PAIR) is None


# Draws


def test_faults_are_decided_by_seed_body_and_earlier_sends() -> None:
    settings = SimulatorSettings(
        rate_limit_rate=0.3, hang_rate=0.2, latency_s=2, latency_spread=0.5
    )
    drawn = [draw_delivery(settings, b"body", earlier_sends=i) for i in range(PAIRS)]
    assert drawn == [draw_delivery(settings, b"body", earlier_sends=i) for i in range(PAIRS)]
    other = settings.model_copy(update={"seed": 1})
    assert drawn != [draw_delivery(other, b"body", earlier_sends=i) for i in range(PAIRS)]
    faults = [delivery.fault for delivery in drawn]
    assert_rate(faults.count(Fault.RATE_LIMITED), PAIRS, expected=0.3)
    assert_rate(faults.count(Fault.HANG), PAIRS, expected=0.2)
    mean_latency_s = sum(delivery.latency_s for delivery in drawn) / PAIRS
    assert abs(mean_latency_s - 2) < 0.15


def test_faults_can_be_kept_to_the_first_sends_of_a_body() -> None:
    settings = SimulatorSettings(server_error_rate=1.0, faulty_sends=2)
    faults = [draw_delivery(settings, b"body", earlier_sends=i).fault for i in range(4)]
    assert faults == [Fault.SERVER_ERROR, Fault.SERVER_ERROR, None, None]


@pytest.mark.parametrize(
    "wrong", [{"hang_rate": 0.6, "reset_rate": 0.6}, {"accuracy": 1.2}, {"latency": 1}]
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        SimulatorSettings.model_validate(wrong)
