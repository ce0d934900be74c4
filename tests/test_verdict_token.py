"""A reply of one letter is a verdict, and a reply that is more than its letter is none."""

from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.records import Verdict
from judge.replies.verdict_token import PARSER, parse_verdict_token, verdict_probabilities

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


# Token probabilities

TOP = {"A": log(0.6), "B": log(0.3), "C": log(0.08), "The": log(0.001)}


def probabilities(
    reply: str, *alternatives: dict[str, float], allow_tie: bool = True
) -> tuple[float, float, float]:
    found = verdict_probabilities(reply, alternatives, allow_tie=allow_tie)
    assert found is not None
    return found


def test_probabilities_are_a_softmax_over_the_offered_verdicts_only() -> None:
    assert probabilities("A", TOP) == pytest.approx((0.6 / 0.98, 0.3 / 0.98, 0.08 / 0.98))
    assert probabilities("A", TOP, allow_tie=False) == pytest.approx((2 / 3, 1 / 3, 0.0))


def test_tokens_of_one_answer_are_added_up() -> None:
    several = {
        "A": log(0.3),
        " A": log(0.1),
        "\u2581A": log(0.05),
        "\u0120A": log(0.05),
        "\u010aA": log(0.02),
        "[[A": log(0.05),
        "A.": log(0.03),
        "B": log(0.3),
        "C": log(0.05),
    }
    assert probabilities("A", several) == pytest.approx((0.6 / 0.95, 0.3 / 0.95, 0.05 / 0.95))


@pytest.mark.parametrize("token", ["a", "Assistant", "AB", "A B", "**A**", '"A"', "A)", "\u0410"])
def test_a_token_that_could_not_begin_the_same_reply_is_another_answer(token: str) -> None:
    with_it = {"A": log(0.5), "B": log(0.25), "C": log(0.1), token: log(0.1)}
    assert probabilities("A", with_it) == pytest.approx((0.5 / 0.85, 0.25 / 0.85, 0.1 / 0.85))


def test_a_verdict_that_is_not_told_has_the_floor_of_the_last_alternative_and_not_0() -> None:
    told = {"A": log(0.7), "B": log(0.2), "The": log(0.01), "It": log(0.002)}
    assert probabilities("A", told) == pytest.approx((0.7 / 0.902, 0.2 / 0.902, 0.002 / 0.902))


def test_the_floor_is_no_more_than_the_alternatives_leave() -> None:
    assert probabilities("A", {"A": log(0.9)}) == pytest.approx((0.9 / 1.1, 0.1 / 1.1, 0.1 / 1.1))
    assert probabilities("A", {"A": log(0.97), "B": log(0.03)}) == pytest.approx((0.97, 0.03, 0.0))
    assert probabilities("A", {"A": 0.0}) == (1.0, 0.0, 0.0)


def test_what_cannot_come_has_no_probability() -> None:
    assert probabilities("B", {"B": 0.0, "A": -9999.0, "C": -9999.0}) == (0.0, 1.0, 0.0)
    assert verdict_probabilities("B", [{"B": -9999.0}]) is None


@pytest.mark.parametrize(
    ("reply", "tokens"),
    [
        ("A", ["A"]),
        (" A\n", [" A", "\n"]),
        ("\n A", ["\n", " A"]),
        ("[[A]]", ["[[", "A", "]]"]),
        ("[[A]].", ["[[A", "]]", "."]),
        ("A.", ["A", "."]),
        ("A", ["A", "<|im_end|>"]),
        ("A", ["A", "</s>", ""]),
        ("<think>B? A!</think>\nA", ["<think>", "B", "?", " A", "!", "</think>", "\n", "A"]),
        ("A", ["A", " or", " B", "</think>", "\n\n", "A", "<|eot_id|>"]),  # thinking kept apart
        ("A", ["\u0120A"]),
        ("A", ["\u2581", "A"]),
    ],
)
def test_the_token_is_the_one_where_the_verdict_stands(reply: str, tokens: list[str]) -> None:
    noise = {"B": log(0.4), "A": log(0.4), "C": log(0.1)}
    place = max(at for at, token in enumerate(tokens) if "A" in token)
    alternatives = [
        {token: log(0.5), "B": log(0.3), "C": log(0.1)} if at == place else {token: -1.0} | noise
        for at, token in enumerate(tokens)
    ]
    assert probabilities(reply, *alternatives) == pytest.approx((5 / 9, 3 / 9, 1 / 9))


@pytest.mark.parametrize(
    ("reply", "alternatives"),
    [
        ("A", []),
        ("A", [{}]),
        ("A", [{"B": -0.1, "A": -2.0}]),  # the token that was taken comes first, and is not A
        ("A", [{"As": -0.1, "A": -2.0}]),
        ("A", [{"Y": -0.1}, {"A": -0.1}, {"B": -0.1}]),
        ("A is better", [TOP, {" is": -0.1}, {" better": -0.1}]),
        ("a", [{"a": -0.1, "A": -2.0}]),
        ("", [TOP]),
        ("<think>A", [{"<think>": -0.1}, TOP]),
    ],
)
def test_without_a_verdict_at_a_token_of_its_own_there_are_no_probabilities(
    reply: str, alternatives: list[dict[str, float]]
) -> None:
    assert verdict_probabilities(reply, alternatives) is None


def test_a_tie_that_was_not_offered_has_no_probabilities_either() -> None:
    assert verdict_probabilities("C", [{"C": -0.1, "A": -3.0}], allow_tie=False) is None


def test_the_stated_letter_need_not_be_the_likeliest() -> None:
    p_a, p_b, _ = probabilities("B", {"B": log(0.2), "A": log(0.7)})
    assert p_b < p_a


logprobs = st.floats(-30, 0)
token_tops = st.dictionaries(
    st.sampled_from(["A", "B", "C", " A", "[[B", "C.", "The", "a", "\n", "]]"]) | st.text(),
    logprobs,
    max_size=6,
)


@given(replies | st.text(), st.lists(token_tops, max_size=4), st.booleans())
def test_probabilities_add_up_to_1_wherever_there_are_any(
    reply: str, alternatives: list[dict[str, float]], allow_tie: bool
) -> None:
    found = verdict_probabilities(reply, alternatives, allow_tie=allow_tie)
    if found is None:
        return
    assert parse_verdict_token(reply, allow_tie=allow_tie) is not None
    assert all(0 <= p <= 1 for p in found)
    assert sum(found) == pytest.approx(1)
    assert allow_tie or found[2] == 0


@given(st.sampled_from("AB"), st.lists(st.tuples(st.sampled_from("ABC"), logprobs), max_size=3))
def test_swapping_the_letters_swaps_their_probabilities(
    letter: str, more: list[tuple[str, float]]
) -> None:
    told = {letter: -0.5} | {token: p for token, p in more if token != letter}
    swap = str.maketrans("AB", "BA")
    swapped = {token.translate(swap): p for token, p in told.items()}
    found = verdict_probabilities(letter, [told])
    other = verdict_probabilities(letter.translate(swap), [swapped])
    assert found is not None
    assert other == pytest.approx((found[1], found[0], found[2]))
