"""The parser on texts that real judges wrote, and the position consistency they imply."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from calibration.position import TwoOrders, order_effects, position_effects
from judge.records import Verdict
from judge.replies.verdicts import parse_verdict

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the real judge texts (../shared/data) are not on this machine"
)

GPT_4 = "gpt-4-0613"
OTHERS = ("claude-3-haiku-20240307", "gemini-pro", "gpt-3.5-turbo-1106")
BY_TOKEN = {"A": Verdict.A, "B": Verdict.B, "C": Verdict.TIE}
Row = dict[str, str]
Reader = Callable[[str], Verdict | None]


def rows_of(path: str) -> list[Row]:
    return [json.loads(line) for line in (DATA / path).read_text("utf-8").splitlines()]


def position_bias_rows(judge: str) -> list[Row]:
    return rows_of(f"position_bias/Repetition1.{judge}.jsonl")


def last_token(text: str) -> Verdict | None:
    """The verdict as the publishers of the data read it."""
    tokens = re.findall(r"\[\[([ABC])\]\]", text)
    return BY_TOKEN[tokens[-1]] if tokens else None


def gpt_4_texts() -> list[str]:
    pairs = rows_of("mt_bench/gpt-4_pair.phi-3_vs_phi-3-dpo.jsonl")
    texts = [row["judgment"] for row in position_bias_rows(GPT_4)]
    texts += [row[game] for row in pairs for game in ("g1_judgment", "g2_judgment")]
    return [text for text in texts if "$ERROR$" not in text]  # an outage, stored as a reply


def consistency(rows: list[Row], read: Reader) -> tuple[int, int]:
    """Return (texts whose pair has one un-swapped verdict, texts of pairs with two verdicts)."""
    pairs = defaultdict(list)
    for row in rows:
        shown = {Verdict.A: row["model_a"], Verdict.B: row["model_b"], Verdict.TIE: "tie"}
        said = read(row["judgment"])
        models = frozenset((row["model_a"], row["model_b"]))
        pairs[row["question_id"], models].append(shown[said] if said else None)
    decided = [said for said in pairs.values() if None not in said]
    return 2 * sum(one == other for one, other in decided), 2 * len(decided)


def test_almost_no_gpt_4_verdict_is_refused_and_none_is_changed() -> None:
    said = [(last_token(text), parse_verdict(text)) for text in gpt_4_texts()]
    assert len(said) == 339
    assert all(token is not None for token, _ in said)
    assert [pair for pair in said if pair[1] not in (None, pair[0])] == []
    refused = Counter(token for token, read in said if read is None)
    assert refused.total() <= 0.01 * len(said)
    classes = Counter(token for token, _ in said)
    for verdict, count in classes.items():
        assert refused[verdict] <= 0.02 * count, verdict


def test_few_verdicts_of_other_judges_are_refused_and_none_is_changed() -> None:
    texts = [row["judgment"] for judge in OTHERS for row in position_bias_rows(judge)]
    said = [(last_token(text), parse_verdict(text)) for text in texts]
    with_token = [pair for pair in said if pair[0] is not None]
    assert len(with_token) == 573
    assert [pair for pair in said if pair[1] not in (None, pair[0])] == []
    assert sum(read is None for _, read in with_token) <= 0.04 * len(with_token)


def test_texts_that_do_not_decide_clearly_are_refused() -> None:
    """The two texts whose last token is not what the text says of the answers."""
    texts = [row["judgment"] for row in position_bias_rows("gemini-pro")]
    unclear = [
        text
        for text in texts
        if text.endswith(("evaluation is [[C]].", "[[B]] is better than [[A]]."))
    ]
    assert len(unclear) == 2
    assert [parse_verdict(text) for text in unclear] == [None, None]


@pytest.mark.parametrize(
    ("judge", "same", "total"),
    [
        ("gpt-4-0613", 170, 192),
        ("gpt-3.5-turbo-1106", 152, 190),
        ("claude-3-haiku-20240307", 128, 192),
        ("gemini-pro", 112, 188),
    ],
)
def test_the_published_consistency_is_reproduced(judge: str, same: int, total: int) -> None:
    rows = position_bias_rows(judge)
    assert consistency(rows, last_token) == (same, total)
    ours, decided = consistency(rows, parse_verdict)
    assert decided >= 0.9 * total
    assert abs(ours / decided - same / total) < 0.03


def two_orders(rows: list[Row]) -> TwoOrders:
    """The published verdicts on each pair of models, the first in the alphabet being the first."""
    said: dict[tuple[str, ...], dict[bool, int | None]] = defaultdict(dict)
    for row in rows:
        models = (row["model_a"], row["model_b"])
        shown = {Verdict.A: 1, Verdict.TIE: 0, Verdict.B: -1}
        verdict = last_token(row["judgment"])
        code = None if verdict is None else shown[verdict]
        is_forward = models[0] < models[1]
        said[row["question_id"], *sorted(models)][is_forward] = (
            code if is_forward or code is None else -code
        )
    columns = [[both[order] for both in said.values()] for order in (True, False)]
    forward, reversed_ = (np.array([code or 0 for code in c], np.int8) for c in columns)
    has_forward, has_reversed = (np.array([code is not None for code in c]) for c in columns)
    return TwoOrders(forward, reversed_, has_forward, has_reversed)


@pytest.mark.parametrize(
    ("judge", "published"), [("gpt-4-0613", 0.885), ("claude-3-haiku-20240307", 0.667)]
)
def test_the_table_of_a_real_judge_holds_its_published_consistency(
    judge: str, published: float
) -> None:
    orders = two_orders(position_bias_rows(judge))
    pairs = np.arange(len(orders.forward))
    position, effects = position_effects(orders, pairs), order_effects(orders, pairs)
    assert position.consistency.n == 96
    assert position.consistency.value == pytest.approx(published, abs=5e-4)
    flipped = effects.table[:3, :3][:, ::-1]
    assert np.trace(flipped) / 96 == position.consistency.value
    assert position.toward_first.value == pytest.approx(np.triu(flipped, 1).sum() / 96)
    assert effects.repetition_stability.value is None


def llmbar_verdicts() -> list[tuple[int, int, int]]:
    """Gold label, and what GPT-4 preferred in either order, un-swapped."""
    path = DATA / "llmbar" / "mt_bench200" / "gpt-4.Vanilla_NoRules.result.json"
    code = {"1": 1, "2": -1}
    rows = json.loads(path.read_text("utf-8"))
    return [
        (
            code[str(row["label"])],
            code[str(row["results"][0]["swap = False"]["winner"])],
            code[str(row["results"][0]["swap = True"]["winner"])],
        )
        for row in rows
    ]


def test_the_order_effects_of_gpt_4_on_llmbar_are_those_of_its_verdicts() -> None:
    gold, forward, reversed_ = (np.array(c, np.int8) for c in zip(*llmbar_verdicts(), strict=True))
    everywhere, pairs = np.ones(200, bool), np.arange(200)
    orders = TwoOrders(forward, reversed_, everywhere, everywhere)
    position, effects = position_effects(orders, pairs), order_effects(orders, pairs)
    assert position.consistency.value == pytest.approx(0.87)
    assert position.toward_first.value == pytest.approx(0.075)
    assert position.toward_second.value == pytest.approx(0.055)
    assert position.preference_fairness.value == pytest.approx(-0.02)
    assert effects.table[:3, :3].tolist() == [[15, 0, 87], [0, 0, 0], [87, 0, 11]]
    assert effects.lean.p == pytest.approx(0.557, abs=5e-4)
    right = (forward == gold).astype(int) + (reversed_ == gold)
    assert np.mean(right == 2) == pytest.approx(0.745)
    assert np.mean(right) / 2 == pytest.approx(0.81)
    consistent = forward == reversed_
    assert np.mean(right[consistent] == 2) == pytest.approx(0.85632, abs=1e-5)
