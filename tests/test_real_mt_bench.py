"""The published figures of MT-Bench, to the vote, from the published data."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from calibration.agreement import VoteColumns, human_human_agreement, judge_agreement
from calibration.intervals import Estimate
from calibration.position import TwoOrders, position_effects
from calibration.report.build import build_report
from calibration.report.columns import JudgeColumns, PairColumns
from calibration.report.text import report_text
from calibration.report.words import headline
from judge.ledger.bare_votes import BareVote
from judge.ledger.facts import AnswerFacts, JudgedPair
from judge.ledger.runs import Run, RunJudge
from judge.records import Order, Reading, Verdict
from judge.trust.audit import gather, report_of

DATA = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
LABELS = DATA / "mt_bench" / "labels.csv"
TURN_1_VOTES = DATA / "mt_bench" / "human_judgments_turn1.jsonl"
LLMBAR_GPT4 = DATA / "llmbar" / "mt_bench200" / "gpt-4.Vanilla_NoRules.result.json"

pytestmark = pytest.mark.skipif(
    not (LABELS.exists() and TURN_1_VOTES.exists()),
    reason=f"the published MT-Bench votes are not at {DATA / 'mt_bench'}",
)

Key = tuple[int, str, str]
CODES = {"A": 1, "B": -1, "tie": 0, "model_a": 1, "model_b": -1}


def hits(estimate: Estimate) -> tuple[int, int]:
    assert estimate.value is not None
    return round(estimate.value * estimate.n), estimate.n


def comparisons(turn: int) -> list[dict[str, str]]:
    with LABELS.open(newline="") as lines:
        return [row for row in csv.DictReader(lines) if int(row["turn"]) == turn]


def key_of(row: dict[str, str]) -> Key:
    return int(row["question_id"]), row["model_a"], row["model_b"]


def single_votes(annotators: str) -> list[tuple[Key, str, int]]:
    """Turn-1 votes (pair, annotator, choice) in the order of the models' names."""
    found = []
    for line in TURN_1_VOTES.read_text().splitlines():
        vote = json.loads(line)
        first, second, choice = vote["model_a"], vote["model_b"], CODES.get(vote["winner"], 0)
        if first > second:
            first, second, choice = second, first, -choice
        if vote["judge"].startswith(annotators):
            found.append(((vote["question_id"], first, second), vote["judge"], choice))
    return found


def as_columns(votes: list[tuple[Key, str, int]], keys: list[Key]) -> VoteColumns:
    rows = {key: row for row, key in enumerate(keys)}
    names = {name: code for code, name in enumerate(sorted({name for _, name, _ in votes}))}
    return VoteColumns(
        np.array([rows[key] for key, _, _ in votes]),
        np.array([names[name] for _, name, _ in votes]),
        np.array([choice for _, _, choice in votes], dtype=np.int8),
    )


def test_gpt_4_agrees_with_experts_as_table_5_says() -> None:
    rows = comparisons(1)
    assert all(row["model_a"] < row["model_b"] for row in rows)
    keys = [key_of(row) for row in rows]
    votes = as_columns(single_votes("expert"), keys)
    label = np.array([CODES[row["gpt4_winner"]] for row in rows], dtype=np.int8)
    questions = np.array([key[0] for key in keys])
    result = judge_agreement(label, votes.counts(len(keys)), cluster=questions)
    assert hits(result.s1.micro) == (886, 1343)
    assert hits(result.s2.micro) == (727, 859)
    assert hits(result.s2_coverage) == (859, 1343)


def test_experts_agree_with_experts_as_table_5_says() -> None:
    votes = single_votes("expert")
    keys = sorted({key for key, _, _ in votes})
    questions = np.array([key[0] for key in keys])
    result = human_human_agreement(as_columns(votes, keys), questions)
    assert hits(result.s1) == (454, 721)
    assert hits(result.s2) == (388, 479)


@pytest.mark.parametrize(
    ("turn", "s1", "s2"), [(1, (1124, 1688), (911, 1060)), (2, (1095, 1666), (912, 1069))]
)
def test_gpt_4_agrees_with_all_annotators_to_the_vote(
    turn: int, s1: tuple[int, int], s2: tuple[int, int]
) -> None:
    rows = comparisons(turn)
    columns = ("n_human_b", "n_human_ties", "n_human_a")
    counts = np.array([[float(row[c]) for c in columns] for row in rows])
    label = np.array([CODES[row["gpt4_winner"]] for row in rows], dtype=np.int8)
    questions = np.array([int(row["question_id"]) for row in rows])
    result = judge_agreement(label, counts, cluster=questions)
    assert hits(result.s1.micro) == s1
    assert hits(result.s2.micro) == s2


def test_the_report_on_turn_1_tells_the_published_story() -> None:
    rows = comparisons(1)
    keys = [key_of(row) for row in rows]
    given = single_votes("expert")
    label = np.array([CODES[row["gpt4_winner"]] for row in rows], dtype=np.int8)
    judge = JudgeColumns(
        name="gpt-4",
        label=label,
        has_label=np.ones(len(rows), dtype=bool),
        inconsistent=np.array([row["gpt4_inconsistent_order"] == "True" for row in rows]),
        judgments=np.full(len(rows), 2),
    )
    report = build_report(
        PairColumns(np.array([key[0] for key in keys])), [judge], votes=as_columns(given, keys)
    )
    assert headline(report).startswith("On ")
    assert "judge gpt-4 agrees with 66.0 % of the votes (95 % CI" in headline(report)
    assert "humans agree with each other on 63.0 %" in headline(report)
    figures = report.judges["gpt-4"]
    assert figures.s1.micro.low is not None
    assert figures.s1.micro.high is not None
    # Wider than 66.0 ± 2.5, the interval of 1,343 independent votes.
    assert figures.s1.micro.high - figures.s1.micro.low > 0.052
    assert report.prompts == 80


REPLIES = {"A": "AB", "B": "BA", "tie": "CC", "inconsistent": "AA"}
VERDICTS = {"A": Verdict.A, "B": Verdict.B, "C": Verdict.TIE}
GPT_4 = RunJudge("k", "gpt-4", "gpt-4", "pair", "digest", {})


def judged_pair(row: dict[str, str]) -> JudgedPair:
    """A published label as the two replies that collapse into it."""
    is_flip = row["gpt4_inconsistent_order"] == "True"
    replies = REPLIES["inconsistent" if is_flip else row["gpt4_winner"]]
    return JudgedPair(
        pair_id="/".join((row["turn"], *map(str, key_of(row)))),
        prompt_id=row["question_id"],
        readings=tuple(
            Reading(order.value, "k", order, 0, VERDICTS[said], None)
            for order, said in zip(Order, replies, strict=True)
        ),
        tags={"turn": int(row["turn"])},
        first=AnswerFacts(0, row["model_a"]),
        second=AnswerFacts(0, row["model_b"]),
    )


def counted_votes(row: dict[str, str]) -> list[BareVote]:
    """The published numbers of votes; they do not say whose they are."""
    counts = {"first": "n_human_a", "second": "n_human_b", "tie": "n_human_ties"}
    name = judged_pair(row).pair_id
    choices = [choice for choice, column in counts.items() for _ in range(int(row[column]))]
    return [BareVote(name, f"{name} {at}", choice) for at, choice in enumerate(choices)]


def test_one_report_on_both_turns_has_the_published_figures_of_each() -> None:
    rows = [*comparisons(1), *comparisons(2)]
    run = Run("r", "import", "", {"rule": "conservative"}, True, "", (GPT_4,))
    votes = [vote for row in rows for vote in counted_votes(row)]
    report = report_of(gather(run, map(judged_pair, rows), votes))
    figures = report.judges["gpt-4"]
    found = {turn: (hits(a.s1), hits(a.s2)) for turn, a in figures.turns.items()}
    assert found == {
        "1": ((1124, 1688), (911, 1060)),
        "2": ((1095, 1666), (912, 1069)),
    }
    assert hits(figures.s1.micro) == (1124 + 1095, 1688 + 1666)
    assert figures.counts.inconsistent == 290
    for agreement in figures.turns.values():
        assert agreement.s1.low is not None
        assert agreement.s1.high is not None
        # 80 questions are fewer than their votes, and the turns share them.
        assert agreement.s1.high - agreement.s1.low > 2 * 1.96 * (0.66 * 0.34 / 1688) ** 0.5
    couples = sum(turn.human_human.s1.n for turn in report.ceiling.turns.values())
    assert couples == report.ceiling.human_human.s1.n == report.ceiling.kappa.n
    assert "S1, turn 2   65.7 %" in report_text(report)


def test_experts_on_turn_1_are_the_ceiling_of_turn_1() -> None:
    rows = [*comparisons(1), *comparisons(2)]
    run = Run("r", "import", "", {"rule": "conservative"}, True, "", (GPT_4,))
    names = {1: "first", 0: "tie", -1: "second"}
    votes = [
        BareVote("/".join(("1", *map(str, key))), who, names[choice])
        for key, who, choice in single_votes("expert")
    ]
    report = report_of(gather(run, map(judged_pair, rows), votes))
    first, second = report.judges["gpt-4"].turns["1"], report.judges["gpt-4"].turns["2"]
    assert (hits(first.s1), hits(first.s2)) == ((886, 1343), (727, 859))
    humans = report.ceiling.turns["1"].human_human
    assert (hits(humans.s1), hits(humans.s2)) == ((454, 721), (388, 479))
    assert (second.s1.value, second.s1.n) == (None, 0)
    assert report.ceiling.turns["2"].human_human.s1.why == "no pair has votes by two annotators"
    assert report.ceiling.kappa.n == 721


def test_290_of_the_1814_gpt_4_labels_contradict_themselves() -> None:
    flags = [row["gpt4_inconsistent_order"] for turn in (1, 2) for row in comparisons(turn)]
    assert (flags.count("True"), len(flags)) == (290, 1814)


@pytest.mark.skipif(not LLMBAR_GPT4.exists(), reason=f"no released verdicts at {LLMBAR_GPT4}")
def test_released_gpt_4_verdicts_reproduce_their_order_effects() -> None:
    code = {"1": 1, "2": -1}
    results = [row["results"][0] for row in json.loads(LLMBAR_GPT4.read_text())]
    winners = [
        np.array([code[r[order]["winner"]] for r in results], dtype=np.int8)
        for order in ("swap = False", "swap = True")
    ]
    everywhere = np.ones(len(results), dtype=bool)
    effects = position_effects(
        TwoOrders(winners[0], winners[1], everywhere, everywhere), np.arange(len(results))
    )
    assert hits(effects.consistency) == (174, 200)
    assert hits(effects.toward_first) == (15, 200)
    assert hits(effects.toward_second) == (11, 200)
    assert effects.preference_fairness.value == pytest.approx(-0.02)
