"""Pairs with everything said about them, made by hand for the tests of the pages."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from calibration.report.evidence import (
    AnswerEvidence,
    Evidence,
    Flag,
    PairEvidence,
    Passage,
    ReplyEvidence,
    Turn,
    VoteEvidence,
)

HOSTILE: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parent / "cases" / "hostile_answers.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]


def hostile_answer(case: dict[str, Any]) -> str:
    """Return the text of a case."""
    return str(case["answer"]) * int(case.get("repeat", 1))


def a_pair(row: int = 0, **changes: Any) -> PairEvidence:
    """Return a pair on which a steady judge and two people part."""
    pair = PairEvidence(
        row=row,
        pair_id=f"p{row}",
        prompt_id=f"q{row}",
        prompt=(Turn("user", Passage(f"Question {row}?")),),
        first=AnswerEvidence((Passage(f"First answer to {row}."),), "model-x"),
        second=AnswerEvidence((Passage(f"Second answer to {row}, longer."),), "model-y"),
        label="first",
        replies=(
            ReplyEvidence(
                "gpt", "forward", Passage("I prefer A.\n\n[[A]]"), verdict="A", preference="first"
            ),
            ReplyEvidence(
                "gpt", "reversed", Passage("I prefer B.\n\n[[B]]"), verdict="B", preference="first"
            ),
        ),
        votes=(
            VoteEvidence("ann", "second", Passage("The second one is complete.")),
            VoteEvidence("bob", "second"),
        ),
        tally={"second": 2},
        flags=(Flag.AGAINST_VOTES,),
        why="All 2 votes say second; the label is first.",
    )
    return replace(pair, **changes)


def evidence_with(*pairs: PairEvidence) -> Evidence:
    """Return evidence whose disagreements and pairs are those given."""
    return Evidence(pairs, pairs, len(pairs))


def everywhere(text: str, row: int = 0) -> PairEvidence:
    """Return a pair that shows one text wherever a text can stand."""
    given = Passage(text)
    return replace(
        a_pair(row),
        pair_id=text,
        prompt_id=text,
        prompt=(Turn("system", given), Turn("user", given)),
        reference=given,
        first=AnswerEvidence((given, given), text),
        second=AnswerEvidence((Passage("cut: ", text, 7),), text),
        tags={text: text, "category": text},
        judge_labels={text: "first"},
        replies=(
            ReplyEvidence(text, "forward", given, verdict="A", preference="first"),
            ReplyEvidence(text, "reversed", given, status="unparsed", reason=text),
        ),
        votes=(VoteEvidence(text, "second", given),),
        tally={"second": 1},
        why=text,
    )
