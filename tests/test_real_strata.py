"""Parts of the published MT-Bench votes: where agreement is easy, and where it is not."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from calibration.agreement import VoteColumns
from calibration.confusion import confusion
from calibration.inference import win_rates
from calibration.strata import Stratification, annotator_figures, quality_gap, stratify

DATA = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "mt_bench"
LABELS, VOTES = DATA / "labels.csv", DATA / "human_judgments_turn1.jsonl"
CATEGORIES = (
    "writing",
    "roleplay",
    "reasoning",
    "math",
    "coding",
    "extraction",
    "stem",
    "humanities",
)
CODES = {"A": 1, "B": -1, "tie": 0, "model_a": 1, "model_b": -1}

pytestmark = pytest.mark.skipif(
    not (LABELS.exists() and VOTES.exists()),
    reason=f"the published MT-Bench votes are not at {DATA}",
)


class Turn1:
    """The labels of GPT-4 and the votes of experts on the first turn, as columns."""

    def __init__(self) -> None:
        with LABELS.open(newline="") as lines:
            rows = [row for row in csv.DictReader(lines) if row["turn"] == "1"]
        keys = {
            (int(row["question_id"]), row["model_a"], row["model_b"]): place
            for place, row in enumerate(rows)
        }
        self.question = np.array([key[0] for key in keys])
        self.label = np.array([CODES[row["gpt4_winner"]] for row in rows], dtype=np.int8)
        self.inconsistent = np.array([row["gpt4_inconsistent_order"] == "True" for row in rows])
        self.models = tuple(sorted({model for key in keys for model in key[1:]}))
        self.first = np.array([self.models.index(key[1]) for key in keys])
        self.second = np.array([self.models.index(key[2]) for key in keys])
        self.votes = self._votes(keys)
        self.has_label = np.ones(len(rows), dtype=bool)

    def _votes(self, keys: dict[tuple[int, str, str], int]) -> VoteColumns:
        pair, annotator, choice = [], [], []
        who: dict[str, int] = {}
        for line in VOTES.read_text().splitlines():
            vote = json.loads(line)
            if not vote["judge"].startswith("expert"):
                continue
            a, b, said = vote["model_a"], vote["model_b"], CODES.get(vote["winner"], 0)
            if a > b:
                a, b, said = b, a, -said
            pair.append(keys[vote["question_id"], a, b])
            annotator.append(who.setdefault(vote["judge"], len(who)))
            choice.append(said)
        return VoteColumns(np.array(pair), np.array(annotator), np.array(choice, dtype=np.int8))


@pytest.fixture(scope="module")
def turn_1() -> Turn1:
    return Turn1()


def test_agreement_rises_with_the_human_margin(turn_1: Turn1) -> None:
    gap = quality_gap(turn_1.votes, len(turn_1.label))
    parts = stratify(
        turn_1.label,
        turn_1.votes,
        has_label=turn_1.has_label,
        cluster=turn_1.question,
        strata={"quality gap": gap},
    )["quality gap"]
    s2 = [figures.s2.value or 0 for figures in parts.values()]
    even, lean, unanimous = parts.values()
    assert s2 == sorted(s2)
    assert s2[2] - s2[0] > 0.3
    assert even.s2.high is not None
    assert unanimous.s2.low is not None
    assert even.s2.high < unanimous.s2.low
    assert unanimous.humans_s1.value == 1
    assert lean.humans_s1.value is not None
    assert lean.humans_s1.value < 0.5


def test_categories_differ_and_add_up(turn_1: Turn1) -> None:
    category = Stratification((turn_1.question - 81) // 10, CATEGORIES)
    parts = stratify(
        turn_1.label,
        turn_1.votes,
        has_label=turn_1.has_label,
        cluster=turn_1.question,
        strata={"category": category},
    )["category"]
    assert list(parts) == list(CATEGORIES)
    assert sum(figures.s1.n for figures in parts.values()) == 1343
    agreed = sum(round((f.s1.value or 0) * f.s1.n) for f in parts.values())
    assert agreed == 886
    assert all(figures.prompts == 10 for figures in parts.values())


def test_the_confusion_matrix_holds_every_expert_vote(turn_1: Turn1) -> None:
    counts = confusion(
        turn_1.label, turn_1.votes, has_label=turn_1.has_label, inconsistent=turn_1.inconsistent
    ).counts
    assert int(counts.sum()) == 1343
    # Agreement is the diagonal, and an inconsistent label is a tie.
    assert counts[0, 0] + counts[1, 1] + counts[2, 2] + counts[3, 1] == 886
    assert counts[0, 0] + counts[2, 2] == 727


def test_experts_agree_with_the_other_experts_to_different_degrees(turn_1: Turn1) -> None:
    found = annotator_figures(turn_1.votes, turn_1.question, most=1000)
    assert sum(figures.votes for figures in found.values()) == 1343
    assert len(found) == 58
    shown = {f.votes: f.s1.value for f in found.values() if f.s1.value is not None}
    assert max(shown) == 103
    assert len(shown) >= 3
    assert all(0.55 < value < 0.75 for value in shown.values())
    # Most experts gave about 22 votes, too few of them on a pair that others voted on too.
    few = [f for f in found.values() if "too few to show" in (f.s1.why or "")]
    assert len(few) > 40


def test_few_votes_correct_the_win_rates_of_gpt_4(turn_1: Turn1) -> None:
    tally = turn_1.votes.counts(len(turn_1.label))
    known = win_rates(
        turn_1.label,
        tally,
        has_label=turn_1.has_label,
        cluster=turn_1.question,
        first_system=turn_1.first,
        second_system=turn_1.second,
        names=turn_1.models,
    )
    judge = {model: rate.judge.value or 0 for model, rate in known.items()}
    assert max(judge, key=judge.__getitem__) == "gpt-4"
    assert min(judge, key=judge.__getitem__) == "llama-13b"
    # Votes on a quarter of the questions must find what votes on all of them say.
    tally[turn_1.question % 4 != 0] = 0
    few = win_rates(
        turn_1.label,
        tally,
        has_label=turn_1.has_label,
        cluster=turn_1.question,
        first_system=turn_1.first,
        second_system=turn_1.second,
        names=turn_1.models,
    )
    for model, rate in few.items():
        truth, corrected = known[model].humans.value, rate.corrected
        assert truth is not None
        assert corrected.low is not None
        assert corrected.high is not None
        assert corrected.low < truth < corrected.high
    gains = [
        rate.equivalent_labels / rate.humans.n for rate in few.values() if rate.equivalent_labels
    ]
    assert np.median(gains) > 1.2
