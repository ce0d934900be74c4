"""TRL rows: a preference only where there is one, and the winner always under `chosen`."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.errors import InputError
from judge.formats.trl import trl_row
from judge.records import Candidate, Label, Message, Outcome, Pair, Prompt

OUTCOMES_WITHOUT_A_WINNER = [Outcome.TIE, Outcome.INCONSISTENT, Outcome.UNDECIDED]


def conversation(*texts: str) -> tuple[Message, ...]:
    """Messages from texts such as "user: Hi"."""
    split = [text.split(": ", 1) for text in texts]
    return tuple(Message.model_validate({"role": r, "content": c}) for r, c in split)


def rows(*texts: str) -> list[dict[str, str]]:
    return [{"role": m.role, "content": m.content} for m in conversation(*texts)]


def pair_of(
    prompt: tuple[str, ...] = ("user: Capital of Peru?",),
    first: tuple[str, ...] = ("assistant: Lima.",),
    second: tuple[str, ...] = ("assistant: Cusco.",),
) -> Pair:
    return Pair(
        pair_id="p1",
        prompt=Prompt(prompt_id="q1", messages=conversation(*prompt), tags={"turn": 1}),
        first=Candidate(messages=conversation(*first), model="m1"),
        second=Candidate(messages=conversation(*second), model="m2"),
    )


def label_of(outcome: Outcome, **fields: Any) -> Label:
    return Label(pair_id="p1", outcome=outcome, rule="conservative", **fields)


def test_a_standard_row_holds_three_texts() -> None:
    row = trl_row(pair_of(), label_of(Outcome.FIRST), conversational=False)
    assert row == {"prompt": "Capital of Peru?", "chosen": "Lima.", "rejected": "Cusco."}


def test_a_conversational_row_holds_three_lists_of_messages() -> None:
    pair = pair_of(prompt=("system: Be short.", "user: Capital of Peru?"))
    row = trl_row(pair, label_of(Outcome.SECOND), conversational=True)
    assert row == {
        "prompt": rows("system: Be short.", "user: Capital of Peru?"),
        "chosen": rows("assistant: Cusco."),
        "rejected": rows("assistant: Lima."),
    }


@pytest.mark.parametrize("outcome", OUTCOMES_WITHOUT_A_WINNER)
@pytest.mark.parametrize("conversational", [True, False])
def test_what_has_no_winner_is_never_a_preference(outcome: Outcome, conversational: bool) -> None:
    label = label_of(outcome, probability=0.9, margin=0.8)
    assert trl_row(pair_of(), label, conversational=conversational, keep_meta=True) is None


@given(
    st.sampled_from(list(Outcome)),
    st.none() | st.floats(0, 1),
    st.booleans(),
    st.booleans(),
)
def test_exchanging_the_candidates_and_the_label_changes_no_text(
    outcome: Outcome, probability: float | None, conversational: bool, keep_meta: bool
) -> None:
    pair = pair_of()
    swapped_pair = pair.model_copy(update={"first": pair.second, "second": pair.first})
    swapped = {Outcome.FIRST: Outcome.SECOND, Outcome.SECOND: Outcome.FIRST}
    style = {"conversational": conversational, "keep_meta": keep_meta}
    row = trl_row(pair, label_of(outcome, probability=probability), **style)
    opposite = None if probability is None else 1.0 - probability
    label = label_of(swapped.get(outcome, outcome), probability=opposite)
    other = trl_row(swapped_pair, label, **style)
    if row is not None and other is not None and row.get("chosen_probability") is not None:
        expected = pytest.approx(other.pop("chosen_probability"))
        assert row.pop("chosen_probability") == expected
    assert row == other


def test_a_margin_is_written_only_where_the_label_has_one() -> None:
    label = label_of(Outcome.FIRST, probability=0.5, margin=0.0)
    with_margin = trl_row(pair_of(), label, conversational=False)
    without = trl_row(pair_of(), label_of(Outcome.FIRST), conversational=False)
    assert with_margin is not None
    assert without is not None
    assert with_margin["margin"] == 0.0
    assert list(with_margin) == ["prompt", "chosen", "rejected", "margin"]
    assert "margin" not in without


def test_meta_columns_speak_of_the_chosen_answer_and_hold_plain_values() -> None:
    label = label_of(Outcome.SECOND, probability=0.25, margin=0.5)
    row = trl_row(pair_of(), label, conversational=False, keep_meta=True)
    assert row is not None
    assert row["chosen_probability"] == 0.75
    assert (row["chosen_model"], row["rejected_model"]) == ("m2", "m1")
    assert (row["pair_id"], row["prompt_id"], row["rule"]) == ("p1", "q1", "conservative")
    assert json.loads(row["tags"]) == {"turn": 1}


@pytest.mark.parametrize(
    "prompt",
    [("system: Be short.", "user: Hi"), ("user: Hi", "assistant: Hello", "user: Bye")],
)
def test_a_conversation_does_not_fit_the_standard_style(prompt: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as refused:
        trl_row(pair_of(prompt=prompt), label_of(Outcome.FIRST), conversational=False)
    assert 'pair "p1"' in str(refused.value)
    assert "use the conversational style" in str(refused.value)


def test_an_answer_to_the_last_turn_follows_the_whole_prompt() -> None:
    prompt = ("user: u1", "assistant: old", "user: u2")
    row = trl_row(pair_of(prompt=prompt), label_of(Outcome.FIRST), conversational=True)
    assert row is not None
    assert row["prompt"] == rows(*prompt)
    assert row["chosen"] == rows("assistant: Lima.")


def test_answers_to_every_turn_alternate_with_the_later_user_turns() -> None:
    pair = pair_of(
        prompt=("system: s", "user: u1", "user: u2", "user: u3"),
        first=("assistant: a1", "assistant: a2", "assistant: a3"),
        second=("assistant: b1", "assistant: b2", "assistant: b3"),
    )
    row = trl_row(pair, label_of(Outcome.SECOND), conversational=True)
    assert row == {
        "prompt": rows("system: s", "user: u1"),
        "chosen": rows("assistant: b1", "user: u2", "assistant: b2", "user: u3", "assistant: b3"),
        "rejected": rows("assistant: a1", "user: u2", "assistant: a2", "user: u3", "assistant: a3"),
    }


def test_a_label_of_another_pair_is_a_bug_of_the_caller() -> None:
    label = Label(pair_id="p2", outcome=Outcome.FIRST, rule="soft")
    with pytest.raises(ValueError, match="p2"):
        trl_row(pair_of(), label, conversational=False)
