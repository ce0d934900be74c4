"""The evidence read from a ledger: each pair as it was given, and only as much as is shown."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic_core import to_json

import judge
import judge.trust.evidence as reading
from calibration.position import TwoOrders
from calibration.report.columns import JudgeColumns
from calibration.report.evidence import Evidence, Flag, Passage, flag_masks, steady_labels
from judge.ledger.runs import find_run
from judge.ledger.store import Ledger
from judge.trust.audit import gather_in
from judge.trust.evidence import evidence_of

Row = dict[str, Any]

REPLIES = {
    "p1": ("I say [[A]]\n\n[[A]]", "[[B]]"),
    "p2": ("[[A]]", "[[A]]"),
    "p3": ("[[C]]", "[[C]]"),
    "p4": ("neither", "[[A]]"),
    "p5": ("[[B]]", "[[A]]"),
}
"""First, inconsistent, tie, unparsed, second."""
VOTES = [
    ("p1", "x", "second"), ("p1", "y", "second"), ("p1", "z", "both_bad"), ("p1", "w", "skip"),
    ("p2", "x", "first"), ("p2", "y", "first"),
    ("p3", "x", "tie"),
    ("p5", "x", "first"),
]  # fmt: skip


def write(path: Path, rows: Iterable[Row]) -> Path:
    path.write_bytes(b"".join(to_json(row) + b"\n" for row in rows))
    return path


def pair_row(name: str, **changes: Any) -> Row:
    return {
        "pair_id": name,
        "prompt_id": f"q-{name}",
        "prompt": f"Question of {name}",
        "first": {"text": f"First of {name}", "model": "model-x"},
        "second": {"text": f"Longer second of {name}", "model": "model-y"},
        "tags": {"category": "math"},
        **changes,
    }


def judgment_rows(name: str, both: tuple[str, str], who: str = "gpt") -> list[Row]:
    return [
        {"pair_id": name, "judge": who, "order": order, "reply": reply}
        for order, reply in zip(("forward", "reversed"), both, strict=True)
    ]


def a_ledger(
    folder: Path,
    pairs: Iterable[Row] | None = None,
    judgments: Iterable[Row] | None = None,
    votes: Iterable[Row] | None = None,
) -> Path:
    ledger = folder / "judge.db"
    pairs = [pair_row(name) for name in REPLIES] if pairs is None else pairs
    if judgments is None:
        judgments = [row for name, both in REPLIES.items() for row in judgment_rows(name, both)]
    if votes is None:
        votes = [{"pair_id": p, "annotator": a, "preference": c, "note": f"{a} on {p}"}
                 for p, a, c in VOTES]  # fmt: skip
    judge.import_file(write(folder / "p.jsonl", pairs), "pairs", ledger=ledger)
    judge.import_file(write(folder / "j.jsonl", judgments), "judgments", ledger=ledger)
    if voted := list(votes):
        judge.import_file(write(folder / "v.jsonl", voted), "votes", ledger=ledger)
    return ledger


def evidence_in(path: Path, *, gold: Path | None = None, **options: Any) -> Evidence:
    with Ledger(path, read_only=True) as ledger:
        run = find_run(ledger, "latest")
        gathered = gather_in(ledger, run, gold=str(gold) if gold else None)
        return evidence_of(ledger, gathered, **options)


def test_a_pair_is_told_with_its_texts_replies_and_votes(tmp_path: Path) -> None:
    evidence = evidence_in(a_ledger(tmp_path))
    pair = evidence.disagreements[1]
    assert (pair.row, pair.pair_id, pair.prompt_id) == (0, "p1", "q-p1")
    assert [(turn.role, turn.text.text) for turn in pair.prompt] == [("user", "Question of p1")]
    assert pair.first.texts == (Passage("First of p1"),)
    assert (pair.first.system, pair.second.system) == ("model-x", "model-y")
    assert (pair.label, pair.reason, pair.tags) == ("first", None, {"category": "math"})
    assert [(r.order, r.verdict, r.preference) for r in pair.replies] == [
        ("forward", "A", "first"),
        ("reversed", "B", "first"),
    ]
    assert pair.replies[0].text.text == "I say [[A]]\n\n[[A]]"
    assert [(v.annotator, v.preference) for v in pair.votes] == [
        ("w", "skip"), ("x", "second"), ("y", "second"), ("z", "both_bad"),
    ]  # fmt: skip
    assert pair.votes[1].note == Passage("x on p1")
    assert pair.tally == {"skip": 1, "second": 2, "both_bad": 1}
    assert pair.judge_labels == {}
    assert pair.why is not None
    assert pair.why.startswith("2 of 3 votes say second; the label is first, in both orders")


def test_disagreements_are_ranked_and_pairs_come_with_them_in_front(tmp_path: Path) -> None:
    evidence = evidence_in(a_ledger(tmp_path))
    # Laplace: one of one is 2/3, two of three are 3/5; contradictions come last.
    assert [pair.pair_id for pair in evidence.disagreements] == ["p5", "p1", "p2"]
    assert [pair.pair_id for pair in evidence.pairs] == ["p1", "p2", "p5", "p3", "p4"]
    assert [pair.row for pair in evidence.pairs] == [0, 1, 4, 2, 3]
    assert (evidence.pairs_in_run, evidence.why_left_out) == (5, None)


def test_flags_and_reasons_follow_the_labels(tmp_path: Path) -> None:
    pairs = {pair.pair_id: pair for pair in evidence_in(a_ledger(tmp_path)).pairs}
    assert pairs["p1"].flags == (Flag.AGAINST_VOTES,)
    assert pairs["p2"].flags == (Flag.AGAINST_VOTES, Flag.ORDERS, Flag.INCONSISTENT)
    assert pairs["p3"].flags == (Flag.TIE,)
    assert pairs["p4"].flags == (Flag.UNPARSED, Flag.UNVOTED)
    assert (pairs["p4"].label, pairs["p4"].reason) == ("undecided", "unparsed")
    failed = pairs["p4"].replies[0]
    assert (failed.verdict, failed.preference, failed.status) == (None, None, "unparsed")
    assert failed.reason


def test_a_pair_given_the_other_way_round_is_told_as_it_was_given(tmp_path: Path) -> None:
    twin = pair_row("p2")
    twin |= {"pair_id": "twin", "first": twin["second"], "second": twin["first"]}
    judgments = judgment_rows("p2", ("[[A]]", "[[B]]"))
    vote = {"pair_id": "twin", "annotator": "x", "preference": "first"}
    evidence = evidence_in(a_ledger(tmp_path, [pair_row("p2"), twin], judgments, [vote]))
    twin_pair, pair = evidence.pairs
    assert (pair.pair_id, pair.label) == ("p2", "first")
    assert (twin_pair.pair_id, twin_pair.label) == ("twin", "second")
    assert twin_pair.first == pair.second
    assert [(r.order, r.verdict, r.preference) for r in twin_pair.replies] == [
        ("forward", "B", "second"),
        ("reversed", "A", "second"),
    ]


def test_several_judges_have_a_label_each_beside_the_delivered_one(tmp_path: Path) -> None:
    rows = [row for who, both in (("one", "AB"), ("two", "AB"), ("three", "BA"))
            for row in judgment_rows("p1", (f"[[{both[0]}]]", f"[[{both[1]}]]"), who)]  # fmt: skip
    (pair,) = evidence_in(a_ledger(tmp_path, [pair_row("p1")], rows, [])).pairs
    assert pair.label == "first"
    assert pair.judge_labels == {"one": "first", "two": "first", "three": "second"}
    assert set(pair.flags) == {Flag.JUDGES, Flag.UNVOTED}
    assert [r.judge for r in pair.replies] == ["one", "one", "three", "three", "two", "two"]


def test_every_turn_of_a_conversation_is_told(tmp_path: Path) -> None:
    asked = [{"role": "user", "content": text} for text in ("One?", "Two?")]
    answers = {"messages": [{"role": "assistant", "content": text} for text in ("1.", "2.")]}
    others = {"messages": [{"role": "assistant", "content": text} for text in ("I.", "II.")]}
    pair = pair_row("p1", prompt=asked, first=answers, second=others, reference="One and two.")
    rows = judgment_rows("p1", ("[[A]]", "[[B]]"))
    (found,) = evidence_in(a_ledger(tmp_path, [pair], rows, [])).pairs
    assert [turn.text.text for turn in found.prompt] == ["One?", "Two?"]
    assert [text.text for text in found.first.texts] == ["1.", "2."]
    assert found.second.chars == 5
    assert found.reference == Passage("One and two.")
    assert found.question == "Two?"


def test_votes_of_a_file_replace_those_of_the_ledger(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    votes = [{"pair_id": "p3", "annotator": who, "preference": "first"} for who in "ab"]
    gold = write(tmp_path / "gold.jsonl", votes)
    evidence = evidence_in(ledger, gold=gold)
    assert [pair.pair_id for pair in evidence.disagreements] == ["p3"]
    assert [(v.annotator, v.preference) for v in evidence.disagreements[0].votes] == [
        ("annotator 1", "first"),
        ("annotator 2", "first"),
    ]
    named = evidence_in(ledger, gold=gold, annotators=["a", "b"])
    assert [v.annotator for v in named.disagreements[0].votes] == ["a", "b"]


def test_many_votes_on_one_pair_are_counted_and_not_all_shown(tmp_path: Path) -> None:
    votes = [{"pair_id": "p1", "annotator": f"a{n:03}", "preference": "second",
              **({"note": "why"} if n == 99 else {})} for n in range(100)]  # fmt: skip
    pair = evidence_in(a_ledger(tmp_path, votes=votes)).disagreements[0]
    assert (len(pair.votes), pair.votes_left_out, pair.tally) == (40, 60, {"second": 100})
    assert pair.votes[0].annotator == "a099"  # a note is worth more than a place


def test_long_texts_are_cut_and_their_ends_kept(tmp_path: Path) -> None:
    long = pair_row("p1", first="x" * 2_000_000 + " the end")
    rows = judgment_rows("p1", ("because " * 9000 + "\n\n[[A]]", "[[B]]"))
    votes = [{"pair_id": "p1", "annotator": who, "preference": "second"} for who in "ab"]
    evidence = evidence_in(a_ledger(tmp_path, [long], rows, votes))
    told, brief = evidence.disagreements[0], evidence.pairs[0]
    for pair, most in ((told, 20_000), (brief, 6_000)):
        (text,) = pair.first.texts
        assert (text.chars, text.shown) == (2_000_008, most)
        assert text.tail.endswith(" the end")
        assert pair.replies[0].text.tail.endswith("[[A]]")


def test_at_most_so_many_pairs_are_read_and_the_reason_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = a_ledger(tmp_path)
    monkeypatch.setattr(reading, "_CHUNK", 2)
    capped = evidence_in(ledger, most_pairs=4, n=1)
    assert len(capped.disagreements) == 1
    assert [pair.pair_id for pair in capped.pairs] == ["p5", "p1", "p2", "p3"]
    assert capped.why_left_out == "a page holds 4 pairs at most"
    monkeypatch.setattr(reading, "MOST_CHARS", 150)
    heavy = evidence_in(ledger)
    assert 0 < len(heavy.pairs) < 5
    assert heavy.why_left_out == "their texts would make the file too large"


def test_a_run_without_votes_has_pairs_and_no_disagreement(tmp_path: Path) -> None:
    evidence = evidence_in(a_ledger(tmp_path, votes=[]))
    assert evidence.disagreements == ()
    assert [pair.pair_id for pair in evidence.pairs] == list(REPLIES)
    assert all(Flag.UNVOTED in pair.flags for pair in evidence.pairs)


# Flags and steadiness, over columns


def columns(
    name: str, label: list[int], *, torn: list[bool] | None = None, orders: Any = None
) -> JudgeColumns:
    pairs = len(label)
    return JudgeColumns(
        name=name,
        label=np.array(label, np.int8),
        has_label=np.ones(pairs, bool),
        inconsistent=np.array(torn or [False] * pairs),
        judgments=np.full(pairs, 2),
        orders=orders,
    )


def two_orders(forward: list[int], backward: list[int], *, asked: bool = True) -> TwoOrders:
    has = np.full(len(forward), asked)
    return TwoOrders(np.array(forward, np.int8), np.array(backward, np.int8), has, has)


def test_a_panel_is_steady_where_every_judge_is_and_says_the_same() -> None:
    one = columns("one", [1, 1, 1, 0], orders=two_orders([1, 1, 1, 0], [1, 1, 1, 0]))
    two = columns("two", [1, -1, 0, 0], orders=two_orders([1, -1, 1, 0], [1, -1, -1, 0]))
    panel = columns("panel", [1, 1, 1, 0])
    assert steady_labels(panel, [one, two]).tolist() == [True, False, False, True]
    assert not steady_labels(panel, [columns("alone", [1, 1, 1, 0])]).any()


def test_judges_differ_where_their_labels_do_contradictions_included() -> None:
    one = columns("one", [1, 1, 0, -1])
    two = columns("two", [1, -1, 0, -1], torn=[False, False, True, False])
    masks = flag_masks(columns("panel", [0] * 4), [one, two], np.zeros((4, 3)))
    assert masks[Flag.JUDGES].tolist() == [False, True, True, False]
    assert masks[Flag.UNVOTED].all()


def test_evidence_is_the_same_each_time(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    assert evidence_in(ledger) == evidence_in(ledger)
    assert json.loads(to_json(evidence_in(ledger).pairs[0].tally)) == {
        "skip": 1, "second": 2, "both_bad": 1,
    }  # fmt: skip
