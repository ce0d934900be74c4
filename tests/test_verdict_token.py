"""A reply of one letter is a verdict, and a reply that is more than its letter is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.records import Verdict
from judge.verdict_token import PARSER, parse_verdict_token

EXPECTED = {"A": Verdict.A, "B": Verdict.B, "C": Verdict.TIE}
PIECES = ("A", "B", "C", "[[", "]]", ".", " ", "\n", "a", '"', "<think>", "</think>", "*", "\u200b")
replies = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)


@pytest.mark.parametrize("letter", EXPECTED)
@pytest.mark.parametrize(
    "shape",
    ["{}", " {}", "{}\n", "\r\n\t{} ", "{}.", "[[{}]]", " [[{}]].\n", "<think>B?</think>{}"],
)
def test_one_letter_is_a_verdict(letter: str, shape: str) -> None:
    assert parse_verdict_token(shape.format(letter)) is EXPECTED[letter]


@pytest.mark.parametrize(
    "reply",
    [
        *("", " ", ".", "D", "a", "AB", "A B", "A A", "A\nB", "A\nA", "A..", "A .", "A!", "A,"),
        *('"A"', "'A'", "`A`", "**A**", "> A", "(A)", "[A]", "[[A]", "[A]]", "[[ A ]]", "[[A.]]"),
        *("[[[A]]]", "[[A]][[A]]", "[[A]] [[B]]", "[[a]]", "[[tie]]", "tie", "A>B", "A is better"),
        *("Verdict: A", "Answer A", "I choose A.", "A. Because it is right.", '{"verdict": "A"}'),
        *(
            "\u0410",
            "\uff21",
            "\u200bA",
            "A\u200b",
            "\ufeffA",
            "A\x0b",
            "\x1cA",
            "\u2028A",
            "A\x00",
        ),
        *("<think>A", "A<think>", "<think>\nA\n", "</think>", "<think>A</think>", "A</think>"),
    ],
)
def test_everything_else_is_none(reply: str) -> None:
    assert parse_verdict_token(reply) is None


def test_the_last_think_tag_decides_what_is_the_reply() -> None:
    assert parse_verdict_token("<think>A</think>B</think>\nC") is Verdict.TIE
    assert parse_verdict_token("<think>A</think>B<think>") is None


def test_a_tie_that_was_not_offered_is_not_read() -> None:
    assert parse_verdict_token("C", allow_tie=False) is None
    assert parse_verdict_token("[[C]].", allow_tie=False) is None
    assert parse_verdict_token("A", allow_tie=False) is Verdict.A


def test_the_parser_is_named_with_its_version() -> None:
    assert PARSER == "token/1"


@given(replies | st.text())
def test_no_reply_raises_and_no_verdict_is_invented(reply: str) -> None:
    verdict = parse_verdict_token(reply)
    said = {letter for letter in EXPECTED if letter in reply.rpartition("</think>")[2]}
    assert verdict is None or said == {letter for letter in EXPECTED if EXPECTED[letter] is verdict}


@given(replies)
def test_swapping_the_letters_swaps_the_verdict(reply: str) -> None:
    swapped = {Verdict.A: Verdict.B, Verdict.B: Verdict.A}
    verdict = parse_verdict_token(reply)
    other = parse_verdict_token(reply.translate(str.maketrans("AB", "BA")))
    assert other is (swapped.get(verdict, verdict) if verdict else None)
