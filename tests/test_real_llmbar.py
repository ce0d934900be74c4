"""LLMBar's released verdicts give LLMBar's released statistics.

A reply of PaLM 2 without a verdict counts as wrong there, and two of them on one pair as equal.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration.agreement import VoteColumns, judge_agreement
from calibration.chance import cohens_kappa
from calibration.position import TwoOrders, position_effects
from judge.outcomes.labels import Rule, collapse
from judge.records import Preference

NATURAL = Path(__file__).parents[2] / "shared" / "data" / "llmbar" / "natural"
PREFERENCES = {"1": Preference.FIRST, "2": Preference.SECOND, "None": None}
CODES = {Preference.FIRST: 1, Preference.SECOND: -1}
ORDERS = {"False": "swap = False", "True": "swap = True"}

Said = list[Preference | None]

pytestmark = pytest.mark.skipif(
    not NATURAL.is_dir(), reason=f"LLMBar's released verdicts are not at {NATURAL}"
)


def read_winners(name: str) -> tuple[Said, dict[str, Said]]:
    """Return the gold preferences and, per order, the judge's, already un-swapped."""
    rows: list[dict[str, Any]] = json.loads((NATURAL / f"{name}.result.json").read_text())
    gold = [PREFERENCES[str(row["label"])] for row in rows]
    said = {
        order: [PREFERENCES[str(row["results"][0][key]["winner"])] for row in rows]
        for order, key in ORDERS.items()
    }
    return gold, said


def codes(preferences: Said) -> np.ndarray[Any, np.dtype[np.int8]]:
    return np.array([CODES[p] if p else 0 for p in preferences], np.int8)


def given(preferences: Said) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.array([preference is not None for preference in preferences], bool)


def published(name: str) -> dict[str, Any]:
    path = NATURAL / f"{name}.statistics.json"
    statistics: dict[str, Any] = json.loads(path.read_text())
    return statistics


def hits(text: str) -> tuple[int, int]:
    count, total = text.split("=")[0].split("/")
    return int(count), int(total)


JUDGES = ["gpt-4.CoT", "gpt-4.Vanilla_NoRules", "palm2.CoT", "palm2.Vanilla_NoRules"]


@pytest.mark.parametrize("name", JUDGES)
def test_each_order_agrees_with_the_gold_labels_as_published(name: str) -> None:
    gold, said = read_winners(name)
    for order, preferences in said.items():
        has_verdict = given(preferences)
        rows = np.arange(has_verdict.sum())
        gold_codes = codes(gold)[has_verdict]
        votes = VoteColumns(rows, np.zeros(len(rows), np.intp), gold_codes).counts(len(rows))
        s1 = judge_agreement(codes(preferences)[has_verdict], votes, cluster=rows).s1.micro
        assert s1.value is not None
        assert (round(s1.value * s1.n), len(gold)) == hits(published(name)[f"correct_{order}"])


@pytest.mark.parametrize("name", JUDGES)
def test_the_two_orders_are_equal_and_right_together_as_often_as_published(name: str) -> None:
    gold, said = read_winners(name)
    forward, reversed_ = said["False"], said["True"]
    orders = TwoOrders(codes(forward), codes(reversed_), given(forward), given(reversed_))
    consistency = position_effects(orders, np.arange(len(gold))).consistency
    assert consistency.value is not None
    equal = round(consistency.value * consistency.n)
    equal += int(np.sum(~given(forward) & ~given(reversed_)))
    assert (equal, len(gold)) == hits(published(name)["equal"])
    outcomes = [
        collapse(one, other, rule=Rule.CONSERVATIVE)
        for one, other in zip(forward, reversed_, strict=True)
    ]
    right = sum(g is not None and o == g.value for o, g in zip(outcomes, gold, strict=True))
    assert (right, len(gold)) == hits(published(name)["correct_both"])


@pytest.mark.parametrize("name", [name for name in JUDGES if name.startswith("gpt-4")])
def test_kappa_between_the_two_orders_is_the_published_one(name: str) -> None:
    _, said = read_winners(name)
    """For GPT-4 alone: how replies without a verdict entered PaLM 2's kappa is not published."""
    choices = [Preference.FIRST, Preference.SECOND]
    table = np.zeros((2, 2))
    for forward, reversed_ in zip(said["False"], said["True"], strict=True):
        assert forward is not None
        assert reversed_ is not None
        table[choices.index(forward), choices.index(reversed_)] += 1
    assert cohens_kappa(table) == pytest.approx(published(name)["kappa_agreement"], abs=1e-9)
