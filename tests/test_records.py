"""The vocabulary: positions, candidates and orders, and the one bridge between them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from judge.records import (
    AttributeRating,
    Candidate,
    Judgment,
    Message,
    Order,
    Pair,
    Preference,
    Prompt,
    Reading,
    Status,
    Verdict,
    Vote,
    preference_from,
)

verdicts = st.sampled_from(Verdict)
orders = st.sampled_from(Order)
readings = st.builds(
    Reading,
    judgment_id=st.text(max_size=5),
    judge_key=st.text(max_size=5),
    order=orders,
    sample=st.integers(0, 9),
    verdict=verdicts | st.none(),
    status=st.sampled_from(Status) | st.none(),
)


@pytest.mark.parametrize(
    ("verdict", "order", "meant"),
    [
        (Verdict.A, Order.FORWARD, Preference.FIRST),
        (Verdict.B, Order.FORWARD, Preference.SECOND),
        (Verdict.TIE, Order.FORWARD, Preference.TIE),
        (Verdict.A, Order.REVERSED, Preference.SECOND),
        (Verdict.B, Order.REVERSED, Preference.FIRST),
        (Verdict.TIE, Order.REVERSED, Preference.TIE),
    ],
)
def test_a_position_means_the_candidate_that_was_shown_there(
    verdict: Verdict, order: Order, meant: Preference
) -> None:
    assert preference_from(verdict, order) is meant


@given(verdicts, orders)
def test_the_same_words_about_the_other_order_mean_the_other_candidate(
    verdict: Verdict, order: Order
) -> None:
    assert preference_from(verdict, order.other) is preference_from(verdict, order).swapped


@given(st.sampled_from(Preference), orders)
def test_exchanging_twice_changes_nothing(preference: Preference, order: Order) -> None:
    assert preference.swapped.swapped is preference
    assert order.other.other is order
    assert order.other is not order
    assert (preference.swapped is preference) == (preference is Preference.TIE)


@given(readings)
def test_a_reading_seen_from_the_other_side_has_the_other_order_and_the_same_words(
    reading: Reading,
) -> None:
    other = reading.oriented(is_exchanged=True)
    assert other.order is reading.order.other
    assert (other.verdict, other.status, other.sample) == (
        reading.verdict,
        reading.status,
        reading.sample,
    )
    assert (other.judgment_id, other.judge_key) == (reading.judgment_id, reading.judge_key)
    assert other.oriented(is_exchanged=True) == reading
    assert reading.oriented(is_exchanged=False) == reading


@given(readings)
def test_what_a_reading_means_trades_places_with_the_candidates(reading: Reading) -> None:
    if reading.verdict is not None:
        other = reading.oriented(is_exchanged=True)
        meant = preference_from(reading.verdict, reading.order)
        assert preference_from(reading.verdict, other.order) is meant.swapped


def test_a_multi_turn_answer_is_one_text_of_its_own_words() -> None:
    turns = [("user", "Q1"), ("assistant", "one"), ("user", "Q2"), ("assistant", "two")]
    messages: Any = tuple(Message(role=role, content=text) for role, text in turns)
    assert Candidate(messages=messages).text == "one\n\ntwo"
    assert Candidate(messages=()).text == ""


VOTE = {"pair_id": "p", "annotator": "ann", "preference": "first"}
JUDGMENT = {
    "judgment_id": "j",
    "content_id": "c",
    "judge_key": "k",
    "order": "forward",
    "reply": "[[A]]",
    "verdict": "A",
    "status": None,
    "parser": "p/1",
    "created_at": "2026",
}


def test_what_is_left_out_is_none_and_never_a_number_that_stands_for_nothing() -> None:
    judgment = Judgment.model_validate(JUDGMENT)
    assert judgment.cost_usd is None
    assert judgment.latency_s is None
    assert judgment.input_tokens is None
    assert Vote.model_validate(VOTE).strength is None


@pytest.mark.parametrize(
    ("record", "row", "wrong"),
    [
        (Vote, VOTE, {"preference": "left"}),
        (Vote, VOTE, {"strength": 4}),
        (Vote, VOTE, {"strength": -1}),
        (Vote, VOTE, {"seconds": -0.1}),
        (Vote, VOTE, {"weight": 1}),
        (Vote, VOTE, {"ratings": {"tone": {"first": 0, "second": 1}}}),
        (AttributeRating, {"first": 1, "second": 7}, {"second": 8}),
        (Judgment, JUDGMENT, {"order": "backward"}),
        (Judgment, JUDGMENT, {"verdict": "C"}),
        (Judgment, JUDGMENT, {"status": "tie"}),
        (Judgment, JUDGMENT, {"sample": -1}),
        (Message, {"role": "user", "content": "x"}, {"role": "judge"}),
        (Message, {"role": "user", "content": "x"}, {"names": "x"}),
    ],
)
def test_a_record_refuses_what_it_does_not_know(
    record: Any, row: dict[str, Any], wrong: dict[str, Any]
) -> None:
    record.model_validate(row)
    with pytest.raises(ValidationError):
        record.model_validate(row | wrong)


def test_a_record_cannot_be_changed() -> None:
    pair = Pair(
        pair_id="p",
        prompt=Prompt(prompt_id="q", messages=(Message(role="user", content="Q"),)),
        first=Candidate(messages=()),
        second=Candidate(messages=()),
    )
    with pytest.raises(ValidationError):
        pair.pair_id = "other"  # type: ignore[misc]
