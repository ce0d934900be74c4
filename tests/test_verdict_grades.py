"""Graded verdicts are read by the rule of plain ones, and never more freely."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.records import Verdict
from judge.replies.verdict_grades import PARSER, parse_grade, verdict_of
from judge.replies.verdicts import parse_verdict

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "cases" / "verdicts.jsonl").read_text("utf-8").splitlines()
]
LETTER_CASES = [case for case in CASES if not re.search(r"\[\[[AB][>=]", case["raw"])]
MUCH = {"A": "A>>B", "B": "B>>A", "C": "A=B"}
LITTLE = {"A": "A>B", "B": "B>A", "C": "A=B"}
TOKENS = {"[[A>>B]]": 2, "[[A>B]]": 1, "[[A=B]]": 0, "[[B>A]]": -1, "[[B>>A]]": -2}
SWAPPED = {"A>>B": "B>>A", "A>B": "B>A", "A=B": "A=B", "B>A": "A>B", "B>>A": "A>>B"}
PIECES = (*TOKENS, "[[A]]", "\n", ">", "```", "</think>", "Verdict: ", "not ", "is better", '"')


def graded(text: str, grades: dict[str, str]) -> str:
    return re.sub(r"\[\[([ABC])\]\]", lambda token: f"[[{grades[token[1]]}]]", text)


@pytest.mark.parametrize("grades", [MUCH, LITTLE], ids=["much", "a little"])
@pytest.mark.parametrize("case", LETTER_CASES, ids=lambda case: case["id"])
def test_a_grade_is_read_exactly_where_a_letter_would_be(
    case: dict[str, str], grades: dict[str, str]
) -> None:
    letter = parse_verdict(case["raw"])
    grade = parse_grade(graded(case["raw"], grades))
    assert (None if grade is None else verdict_of(grade)) is letter


@pytest.mark.parametrize(("token", "grade"), TOKENS.items())
@pytest.mark.parametrize("reply", ["{}", "Why.\n\n{}", "Final verdict: {}", "**{}**.", "\n{}\n"])
def test_each_token_is_its_grade(token: str, grade: int, reply: str) -> None:
    assert parse_grade(reply.format(token)) == grade


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "[[A]]",  # a letter is no grade
        "Why. [[A]]\n[[A>B]] [[A>>B]]",
        "[[A>>B]] or [[A>B]]",
        "[[A>>B]]\n\n[[A>B]]",  # the same winner, another grade
        "My verdict: [[B>A]]\n\nOn reflection:\n[[A>B]]",
        "[[A]]\n\n[[A>B]]",
        "[[B]]\n\n[[A>B]]",
        "> [[A>>B]]",
        "```\n[[A>>B]]\n```",
        "<think>[[A>>B]]",
        "[[a>>b]]",
        "[[A >> B]]",
        "[[A\u226bB]]",
        "[[B=A]]",
        "[[A>>>B]]",
        "[[A<B]]",
        "[A>>B]",
        "[[A>>B]](link)",
        "Assistant B is better: [[A>>B]]",
        "The second answer wins, so [[A>B]]",
        "It is a tie: [[A>B]]",
        "I would not say [[A>>B]]",
        'It ends with "[[B>>A]]"',
        "[[A>>B]]\nOne more thing: both are short.",
    ],
)
def test_what_is_in_doubt_is_no_grade(reply: str) -> None:
    assert parse_grade(reply) is None


def test_what_repeats_the_same_grade_does_not_contradict_it() -> None:
    assert parse_grade("[[A>B]]\n\nSo my verdict stays.\n[[A>B]]") == 1
    assert parse_grade("At first sight [[B>A]] looked right to me, yet B errs.\n\n[[A>B]]") == 1


def test_a_tie_that_was_not_offered_is_not_read() -> None:
    assert parse_grade("[[A=B]]", allow_tie=False) is None
    assert parse_grade("[[A>B]]", allow_tie=False) == 1


def test_the_parser_is_named_with_its_version() -> None:
    assert PARSER == "grades/1"


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=12))
def test_swapping_the_positions_swaps_the_grade_of_any_reply(pieces: list[str]) -> None:
    reply = "".join(piece for piece in pieces if piece != "[[A]]")
    tokens = "|".join(map(re.escape, SWAPPED))
    swapped = re.sub(rf"\[\[({tokens})\]\]", lambda t: f"[[{SWAPPED[t[1]]}]]", reply)
    if re.search(r"\b[AB]\b", re.sub(rf"\[\[(?:{tokens})\]\]", "", reply)):
        return  # a letter in prose would have to be swapped too
    grade, mirrored = parse_grade(reply), parse_grade(swapped)
    assert mirrored == (None if grade is None else -grade)


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=12))
def test_any_reply_is_read_without_raising(pieces: list[str]) -> None:
    assert parse_grade("".join(pieces)) in {None, *TOKENS.values()}


def test_a_verdict_follows_its_grade() -> None:
    assert [verdict_of(grade) for grade in (2, 1, 0, -1, -2)] == [
        Verdict.A, Verdict.A, Verdict.TIE, Verdict.B, Verdict.B,
    ]  # fmt: skip
