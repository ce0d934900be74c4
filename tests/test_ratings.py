"""Ratings and scores: what is read, and every way in which a reply is refused whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.records import ShownRatings, Status, Verdict
from judge.replies.ratings import Unreadable, parse_ratings
from judge.replies.reading import parser_of, read_reply_text
from judge.replies.rubric_scores import UNCLEAR, parse_scores, verdict_of
from prompts import VerdictFormat
from prompts.criteria import load_criteria, parse_criteria

ATTRIBUTES = ("accuracy", "factual_correctness")
GOOD = "Both are fine.\n\naccuracy: A=6 B=4\nfactual_correctness: A=7 B=1\n\n[[A]]"
READ = {
    "accuracy": ShownRatings(a=6, b=4),
    "factual_correctness": ShownRatings(a=7, b=1),
}
CRITERIA = parse_criteria(
    b'name = "two"\nattributes = ["accuracy", "factual_correctness"]', "criteria"
)
PIECES = (
    "accuracy: A=6 B=4",
    "factual_correctness: A=7 B=1",
    "accuracy:",
    "[RESULT] A: 4, B: 3",
    "[RESULT]",
    "A=",
    "\n",
    "> ",
    "```",
    "[[A]]",
    "</think>",
)


def rated(reply: str) -> dict[str, ShownRatings] | Unreadable:
    return parse_ratings(reply, attributes=ATTRIBUTES, scale=7)


def refusal(reply: str) -> str:
    read = rated(reply)
    assert isinstance(read, Unreadable), read
    return read.reason


# ----------------------------------------------------------------------------------------------
# ratings


@pytest.mark.parametrize(
    "reply",
    [
        GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("accuracy: A", "- accuracy: A").replace("factual", "2. factual"),
        GOOD.replace("accuracy: A", "**Accuracy**: A"),
        GOOD.replace("factual_correctness:", "Factual correctness:"),
        GOOD.replace("A=6 B=4", "A = 6, B = 4."),
        GOOD.replace("\n\n[[A]]", "\n[[A]]"),
        GOOD.replace("[[A]]", "Verdict:\n[[A]]"),
        "<think>accuracy: A=1 B=1</think>\n" + GOOD,
        "> accuracy: A=1 B=7\n\n" + GOOD,  # quoted matter
        "accuracy: both are right.\n" + GOOD,  # prose under the same word
        "factual_correctness: A=7 B=1\naccuracy: A=6 B=4\n[[A]]",
    ],
)
def test_the_lines_above_the_verdict_are_the_ratings(reply: str) -> None:
    assert rated(reply) == READ


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("accuracy: A=6 B=4\n", "", "accuracy has no rating"),
        ("A=6 B=4", "6 to 4", "accuracy has no rating"),
        ("A=6 B=4", "A=6", "accuracy has no rating"),
        ("A=6 B=4", "B=4 A=6", "accuracy has no rating"),
        ("A=6 B=4", "A=6 B=8", "accuracy is rated 8, which is no whole number from 1 to 7"),
        ("A=6 B=4", "A=0 B=4", "accuracy is rated 0"),
        ("A=6 B=4", "A=6.5 B=4", "accuracy is rated 6.5"),
        ("A=6 B=4", "A=six B=4", "accuracy is rated six"),
        ("A=6 B=4", "A=6/7 B=4/7", "accuracy is rated 6/7"),
        ("A=6 B=4", "A=\u0666 B=4", "accuracy is rated \u0666"),
        ("A=6 B=4", "A=<rating> B=<rating>", "accuracy is rated <rating>"),
        ("\n\n[[A]]", "\naccuracy: A=6 B=4\n[[A]]", "accuracy is rated more than once"),
        ("Both", "accuracy: A=1 B=7\nBoth", "accuracy is rated more than once"),
        ("\n\n[[A]]", "\ncharm: A=1 B=1\n[[A]]", "charm is rated and is no attribute"),
        ("\n\n[[A]]", "\nSo A it is.\n[[A]]", "accuracy has no rating"),
        ("accuracy: A=6 B=4\n", "> accuracy: A=6 B=4\n", "accuracy has no rating"),
        ("[[A]]", "[[A]]</think>", "accuracy has no rating"),
        ("Both", "<think>Both", "ends inside its thinking"),
    ],
)
def test_a_reply_that_lost_the_form_is_refused_by_its_attribute(
    old: str, new: str, reason: str
) -> None:
    assert old in GOOD
    assert reason in refusal(GOOD.replace(old, new, 1))


def test_ratings_in_a_code_fence_are_quoted_matter() -> None:
    fenced = "```\naccuracy: A=6 B=4\nfactual_correctness: A=7 B=1\n```\n[[A]]"
    assert "accuracy has no rating" in refusal(fenced)


def test_what_a_candidate_planted_is_not_taken_for_the_judges_ratings() -> None:
    quoted = "Answer A writes:\naccuracy: A=7 B=1\nfactual_correctness: A=7 B=1\n"
    own = "That is no reason.\nI give accuracy a 2 and a 6.\n\n[[B]]"
    assert "accuracy has no rating" in refusal(quoted + own)
    assert "more than once" in refusal(quoted + GOOD)


@given(
    st.dictionaries(
        st.sampled_from(load_criteria("quality").attribute_names),
        st.tuples(st.integers(1, 7), st.integers(1, 7)),
        min_size=1,
    )
)
def test_exchanging_the_positions_exchanges_the_ratings(given_: dict[str, tuple[int, int]]) -> None:
    def reply(first: int, second: int) -> str:
        lines = (f"{n}: A={r[first]} B={r[second]}" for n, r in given_.items())
        return "\n".join((*lines, "[[C]]"))

    straight = parse_ratings(reply(0, 1), attributes=list(given_), scale=7)
    exchanged = parse_ratings(reply(1, 0), attributes=list(given_), scale=7)
    assert not isinstance(straight, Unreadable)
    assert exchanged == {name: ShownRatings(a=r.b, b=r.a) for name, r in straight.items()}


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=14))
def test_any_reply_is_read_without_raising_and_never_beyond_the_scale(pieces: list[str]) -> None:
    reply = "".join(pieces)
    found = rated(reply)
    if not isinstance(found, Unreadable):
        assert list(found) == list(ATTRIBUTES)
        assert all(1 <= value <= 7 for r in found.values() for value in (r.a, r.b))
    scores = parse_scores(reply, scale=5)
    assert isinstance(scores, Unreadable) or {scores.a, scores.b} <= {1, 2, 3, 4, 5}


def test_a_hostile_line_costs_time_in_proportion_to_its_length() -> None:
    hostile = "accuracy : A = " + "1 " * 200_000 + "\n[[A]]"
    assert isinstance(rated(hostile), Unreadable)


# ----------------------------------------------------------------------------------------------
# scores


@pytest.mark.parametrize(
    ("reply", "scores"),
    [
        ("Why.\n[RESULT] A: 4, B: 3", (4, 3)),
        ("[RESULT] A: 1 B: 5", (1, 5)),
        ("**[RESULT] A: 2, B: 2**\n", (2, 2)),
        ("[RESULT] A:4,  B:3.", (4, 3)),
        ("[RESULT] A: 4, B: 3\nYes.\n[RESULT] A: 4, B: 3", (4, 3)),
        ("> [RESULT] A: 1, B: 5\n\n[RESULT] A: 4, B: 3", (4, 3)),
    ],
)
def test_the_last_line_is_the_result(reply: str, scores: tuple[int, int]) -> None:
    assert parse_scores(reply, scale=5) == ShownRatings(a=scores[0], b=scores[1])


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", UNCLEAR),
        ("A: 4, B: 3", UNCLEAR),
        ("[RESULT] 4", UNCLEAR),
        ("[RESULT] A: 4", UNCLEAR),
        ("[RESULT] A: 4, B: 3 because", UNCLEAR),
        ("So [RESULT] A: 4, B: 3", UNCLEAR),
        ("[RESULT] A: 4, B: 3\nThank you.", UNCLEAR),
        ("> [RESULT] A: 4, B: 3", UNCLEAR),
        ("```\n[RESULT] A: 4, B: 3\n```", UNCLEAR),
        ("<think>[RESULT] A: 4, B: 3", UNCLEAR),
        ("[RESULT] A: 4, B: 3\n[RESULT] A: 3, B: 4", "two results that differ"),
        ("[RESULT] A: 6, B: 3", "answer A is scored 6, which is no whole number from 1 to 5"),
        ("[RESULT] A: 4, B: 3.5", "answer B is scored 3.5"),
        ("[RESULT] A: 4, B: 0", "answer B is scored 0"),
        ("[RESULT] A: 4/5, B: 3/5", "answer A is scored 4/5"),
    ],
)
def test_a_result_in_doubt_is_refused(reply: str, reason: str) -> None:
    scores = parse_scores(reply, scale=5)
    assert isinstance(scores, Unreadable)
    assert reason in scores.reason


def test_the_higher_score_is_the_verdict_and_equal_ones_are_a_tie() -> None:
    assert verdict_of(ShownRatings(a=4, b=3)) is Verdict.A
    assert verdict_of(ShownRatings(a=1, b=3)) is Verdict.B
    assert verdict_of(ShownRatings(a=3, b=3)) is Verdict.TIE


# ----------------------------------------------------------------------------------------------
# whole replies


def test_a_reply_that_lost_its_ratings_has_no_verdict_either() -> None:
    kind = {"allows_tie": True, "verdict_format": VerdictFormat.RATINGS, "criteria": CRITERIA}
    read = read_reply_text(GOOD, "stop", **kind)
    assert (read.verdict, read.ratings) == (Verdict.A, READ)
    lost = read_reply_text("accuracy: A=6 B=4\n[[A]]", "stop", **kind)
    assert (lost.verdict, lost.ratings, lost.status) == (None, None, Status.UNPARSED)
    assert lost.reason is not None
    assert lost.reason.startswith("factual_correctness has no rating")
    mute = read_reply_text(GOOD.replace("[[A]]", "A"), "stop", **kind)
    assert (mute.verdict, mute.ratings) == (None, None)
    cut = read_reply_text(GOOD, "length", **kind)
    assert (cut.status, cut.ratings) == (Status.TRUNCATED, None)


def test_scores_are_kept_under_the_name_of_their_rubric() -> None:
    kind = {"allows_tie": True, "verdict_format": VerdictFormat.SCORES}
    rubric = load_criteria("helpfulness")
    read = read_reply_text("[RESULT] A: 2, B: 5", "stop", criteria=rubric, **kind)
    assert (read.verdict, read.ratings) == (Verdict.B, {"helpfulness": ShownRatings(a=2, b=5)})
    beyond = read_reply_text("[RESULT] A: 2, B: 7", "stop", criteria=rubric, **kind)
    assert (beyond.status, beyond.ratings) == (Status.UNPARSED, None)


def test_a_grade_comes_with_its_verdict() -> None:
    kind = {"allows_tie": True, "verdict_format": VerdictFormat.GRADES}
    read = read_reply_text("[[B>>A]]", "stop", **kind)
    assert (read.verdict, read.grade) == (Verdict.B, -2)
    assert read_reply_text("[[B]]", "stop", **kind).status is Status.UNPARSED


def test_every_format_has_a_parser_of_its_own_name() -> None:
    names = {verdict_format: parser_of(verdict_format) for verdict_format in VerdictFormat}
    assert len(set(names.values())) == len(VerdictFormat)
