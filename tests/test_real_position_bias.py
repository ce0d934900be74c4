"""The parser on texts that real judges wrote, and the position consistency they imply."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from judge.records import Verdict
from judge.verdicts import parse_verdict

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
