"""The parser reads what a judge decided and refuses everything else."""

import json
import random
import re
import time
import timeit
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.records import Verdict
from judge.replies.verdict_lines import read_line
from judge.replies.verdicts import PARSER, parse_verdict

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "cases" / "verdicts.jsonl").read_text("utf-8").splitlines()
]
EXPECTED = {"A": Verdict.A, "B": Verdict.B, "tie": Verdict.TIE, "unparsed": None}
SWAPPED = {Verdict.A: Verdict.B, Verdict.B: Verdict.A, Verdict.TIE: Verdict.TIE, None: None}
OTHER = {"A": "B", "B": "A", "first": "second", "second": "first"}
TRICKY = ("[[A]]", "[[B]]", "[[C]]", "[[", "]]", "\n", "\r", ">", "```", "<think>", "</think>")
PIECES = (*TRICKY, "Verdict: ", "is better", "not ", "Assistant A ", ". ", '"', "\u200b", "\u2028")


def with_positions_swapped(text: str) -> str:
    return re.sub(r"\b(?:A|B|first|second)\b", lambda word: OTHER[word[0]], text)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_every_case_reads_as_written_down(case: dict[str, str]) -> None:
    assert parse_verdict(case["raw"]) is EXPECTED[case["expected"]], case["why"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_swapping_the_positions_in_a_reply_swaps_its_verdict(case: dict[str, str]) -> None:
    swapped = parse_verdict(with_positions_swapped(case["raw"]))
    assert swapped is SWAPPED[EXPECTED[case["expected"]]]


def test_a_tie_that_was_not_offered_is_not_read() -> None:
    assert parse_verdict("[[C]]") is Verdict.TIE
    assert parse_verdict("[[C]]", allow_tie=False) is None
    assert parse_verdict("[[A]]", allow_tie=False) is Verdict.A
    assert parse_verdict("[[C]]\n\n[[A]]", allow_tie=False) is None


def test_the_parser_is_named_with_its_version() -> None:
    assert PARSER == "mtbench/1"


@pytest.mark.parametrize(
    "reply",
    [
        "Therefore, [[A]] is better.",
        "Therefore, [[A]] Assistant A is better.",
        "It handles the edge case. Therefore, **[[A]]**.",
        "Overall, Assistant A is better than Assistant B. [[A]]",
        "Assistant A is better than Assistant B: [[A]]",
        "Comparing Assistant A and Assistant B, I believe that **[[A]]** gave a better answer.",
        "Given the user's instructions, I conclude that:\n\n[[A]]",
        "**Final Verdict:**\n[[A]]",
        "Since Assistant B failed to answer, my verdict is [[A]]",
        "[[A]] [[A]]",
        "Looking at nearby points of style alone, I believe [[B]].\nThe rest differs.\n[[A]]",
        "[[A]] wins.",
        "[[A]] (Assistant A)",
        "[[A]], because it is complete.",
        "- Final verdict: [[A]]",
        "Verdict - [[A]]",
        "\u56e0\u6b64\uff0c[[A]]",
        "\u2696\ufe0f Final Verdict: [[A]]",
        "[THINK]perhaps [[B]][/THINK][[A]]",
    ],
)
def test_a_verdict_in_a_usual_form_is_read(reply: str) -> None:
    assert parse_verdict(reply) is Verdict.A


@pytest.mark.parametrize(
    "reply",
    [
        # somebody else's verdict, or a text that merely holds the token
        "Assistant A's evaluation is [[C]].",
        "The reply's verdict is [[A]]",
        "Reply A contains [[A]]",
        "The second reply says:\n\n[[A]]",
        "The second reply says:\nFinal verdict: [[A]]",
        "One candidate ends like so: final verdict: [[A]]",
        "The instruction hidden in it: [[A]]",
        "You must select [[A]]",
        "Assistant A: [[A]]",
        'My note reads "final verdict: [[A]]',
        # menus
        "* [[A]] if A is better\n* [[B]] if B is better\n* [[C]] for a tie",
        "- [[A]]: A is better\n- [[B]]: B is better\n- [[C]]: tie",
        # contradictions
        "I conclude that [[B]] is better than [[A]].",
        "Therefore, Assistant B is better. [[A]]",
        "Assistant B is clearly more helpful, so [[A]]",
        "It is a tie: [[A]]",
        "[[C]] is better",
        "The worse answer is [[A]]",
        "[[A]] is better. Wait, I mixed them up.",
        "My verdict is [[B]].\n\nSo: [[A]]",
        # conditions and negations around the token
        "[[A]], if only style matters",
        "[[A]] is better if only style matters",
        "[[A]] provides no better answer",
        "I'd not go with [[A]]",
        "I would not go with... [[A]]",
        "\u6211\u4e0d\u9009\u62e9[[A]]",
        # marks that hide, quote or strike
        "[[*A*]]",
        "[*[A]*]",
        "~~[[A]]~~",
        "'[[A]]'",
        "[[A]]\u3164",
        "[[A]]\xad",
        "[[A]]\x0b",
        "My verdict is [[A]]. \u200b",
        "[[A]]<|im_end|>",
        "~~~\n[[A]]\n~~~",
        "````\n```\n[[A]]",
        "```\n```python\n[[A]]",
        "[[A]]\n> [[A]]",
        "[THINK]still thinking\n[[A]]",
    ],
)
def test_a_reply_that_does_not_decide_is_refused(reply: str) -> None:
    assert parse_verdict(reply) is None


def test_what_is_read_at_a_glance_reads_the_same_in_full() -> None:
    labels = ("", "Verdict: ", "Final verdict: ", "**Final Verdict:** ", "My final verdict is ")
    for label in labels:
        for letter in "ABC":
            line = f"{label}[[{letter}]]"
            assert read_line(line) is not None
            assert read_line(line) == read_line(f" {line}"), line  # the blank rules out the glance


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5)).map("".join))
def test_any_reply_parses_without_raising(reply: str) -> None:
    assert parse_verdict(reply) in {None, *Verdict}


@given(st.text(alphabet=st.characters(exclude_characters="]")))
def test_a_reply_without_a_whole_token_has_no_verdict(reply: str) -> None:
    assert parse_verdict(reply) is None


@given(
    st.lists(st.sampled_from(PIECES) | st.sampled_from(["so ", "I believe ", ": "])).map("".join)
)
def test_positions_are_treated_alike(reply: str) -> None:
    assert parse_verdict(with_positions_swapped(reply)) is SWAPPED[parse_verdict(reply)]


def test_no_mutation_that_adds_no_token_turns_one_side_into_the_other() -> None:
    rng = random.Random(20261121)
    marks = ["[[", "]]", *"\u200b\u200d\ufeff\u202e\u2066[]\"'\u201c\u201d`*><{\\~"]
    inserts = [*marks, "not ", "never ", " no ", "\n", "\r", "n't "]
    short = [case for case in CASES if len(case["raw"]) < 2000]
    inventions = 0
    for _ in range(6000):
        case = rng.choice(short)
        text = case["raw"]
        for _ in range(rng.randint(1, 3)):
            at = rng.randint(0, len(text))
            text = text[:at] + rng.choice(inserts) + text[at:]
        expected, read = EXPECTED[case["expected"]], parse_verdict(text)
        assert {expected, read} != {Verdict.A, Verdict.B}, (case["id"], text)
        assert read in (None, expected) or expected is None, (case["id"], text)
        inventions += expected is None and read is not None
    # A mutation can break what made a reply doubtful (a fence, a think tag), so not zero.
    assert inventions / 6000 < 0.02


def test_cut_replies_are_rarely_taken_for_whole_ones() -> None:
    """The finish reason guards against cuts; the text alone cannot always tell."""
    short = [case for case in CASES if len(case["raw"]) < 2000]
    cuts = [(case, end) for case in short for end in range(len(case["raw"]))]
    misread = [
        (case["id"], end)
        for case, end in cuts
        if parse_verdict(case["raw"][:end]) not in (None, EXPECTED[case["expected"]])
    ]
    assert len(misread) / len(cuts) < 0.02, misread


NASTY = (
    *(
        "[",
        "]",
        "<",
        '"',
        "*",
        " ",
        "\n",
        "\r\n",
        ".",
        "a. ",
        "1. ",
        "- ",
        "> x\n",
        "```\n",
        "not ",
    ),
    *(
        "word ",
        "[[A]] ",
        "[[A]]\n",
        "[[A] ",
        "<think>",
        "<think ",
        "Assistant A ",
        "Assistant A is ",
    ),
    *(
        "Final verdict: [[A]] is better\n",
        "worse a ",
        "reply's a ",
        "provide a ",
        "than ",
        "\u7684",
    ),
)


def cpu_seconds(text: str) -> float:
    def once() -> float:
        start = time.process_time()
        parse_verdict(text)
        return time.process_time() - start

    return min(once() for _ in range(2))


@pytest.mark.parametrize("ending", ["", "[[A]]", "\nSo I believe [[A]]"], ids=repr)
@pytest.mark.parametrize("unit", NASTY, ids=repr)
def test_time_grows_no_faster_than_the_reply(unit: str, ending: str) -> None:
    small, large = (unit * (size // len(unit)) + ending for size in (40_000, 160_000))
    assert cpu_seconds(large) < 9 * cpu_seconds(small) + 0.01  # quadratic would be 16


@pytest.mark.parametrize("unit", ["- ", "Assistant A is ", "<"], ids=repr)
def test_a_megabyte_is_read_in_a_moment(unit: str) -> None:
    assert cpu_seconds("[[A]] " + unit * (1_000_000 // len(unit))) < 1.0


def test_a_usual_reply_is_read_in_microseconds() -> None:
    reply = "The two replies differ in depth and in care. " * 17 + "\n\n[[A]]"
    best = min(timeit.repeat(lambda: parse_verdict(reply), number=500, repeat=7)) / 500
    assert best < 60e-6  # 5e-6 on a quiet core
