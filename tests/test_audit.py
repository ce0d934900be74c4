"""From a ledger and votes to report.json: every figure by hand, and nothing lost on the way."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import judge
from judge.errors import ConfigError, EvenhandError, InputError, LedgerError
from judge.ledger.facts import AnswerFacts, JudgedPair
from judge.ledger.runs import Run, RunJudge
from judge.outcomes.labelling import label_of, name_outcome
from judge.records import Order, Reading, Status, Verdict, Vote
from judge.simulator.process import simulator_process
from judge.simulator.settings import SimulatorSettings
from judge.trust.answer_style import AnswerStyle
from judge.trust.audit import gather, report_of
from judge.trust.pair_columns import turn_of

Row = dict[str, Any]
Orders = tuple[str | None, str | None]

CONTRADICTIONS: dict[str, Orders] = {"p4": ("A", "A"), "p5": ("A", "C"), "p6": ("B", "B")}
VERDICTS: dict[str, Orders] = {
    "p1": ("A", "B"),
    "p2": ("B", "A"),
    "p3": ("C", "C"),
    **CONTRADICTIONS,
    "p7": ("A", "neither"),
    "p8": ("A", None),
    "p9": ("cut", "cut"),
}
"""A win of each answer, a tie, hard and soft flips, and no label for three reasons."""

VOTES = [
    ("p1", "x", "first"), ("p1", "y", "first"), ("p1", "z", "second"),
    ("p2", "x", "second"), ("p2", "y", "tie"),
    ("p3", "x", "tie"), ("p3", "y", "both_bad"), ("p3", "z", "first"),
    ("p4", "x", "first"), ("p4", "y", "skip"),
    ("p5", "x", "tie"),
    ("p7", "x", "first"),
    ("p8", "x", "second"),
]  # fmt: skip


def pair_rows(names: Iterable[str]) -> list[Row]:
    """Two pairs to a prompt; the first answer is the longer one, but for p1 and p2."""
    return [
        {
            "pair_id": name,
            "prompt_id": f"q{(int(name[1:]) + 1) // 2}",
            "prompt": f"Question {(int(name[1:]) + 1) // 2}",
            "first": f"short {name}" if name in ("p1", "p2") else f"a longer answer {name}",
            "second": f"a longer answer {name}" if name in ("p1", "p2") else f"short {name}",
        }
        for name in names
    ]


def judgment_rows(verdicts: Mapping[str, Orders], name: str = "gpt") -> list[Row]:
    return [
        {
            "pair_id": pair_id,
            "judge": name,
            "order": order,
            "reply": f"[[{said}]]" if said in "ABC" else said,
            "finish_reason": "length" if said == "cut" else "stop",
        }
        for pair_id, both in verdicts.items()
        for order, said in zip(("forward", "reversed"), both, strict=True)
        if said is not None
    ]


def vote_rows(votes: Iterable[tuple[str, str, str]]) -> list[Row]:
    return [{"pair_id": p, "annotator": a, "preference": choice} for p, a, choice in votes]


def write(path: Path, rows: Iterable[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def a_ledger(
    folder: Path,
    judges: Mapping[str, Mapping[str, Orders]],
    votes: Iterable[tuple[str, str, str]] = (),
) -> Path:
    ledger = folder / "judge.db"
    names = dict.fromkeys(name for verdicts in judges.values() for name in verdicts)
    judge.import_file(write(folder / "p.jsonl", pair_rows(names)), "pairs", ledger=ledger)
    rows = [row for name, verdicts in judges.items() for row in judgment_rows(verdicts, name)]
    judge.import_file(write(folder / "j.jsonl", rows), "judgments", ledger=ledger)
    if voted := vote_rows(votes):
        judge.import_file(write(folder / "v.jsonl", voted), "votes", ledger=ledger)
    return ledger


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} in a report")


def reported(ledger: Path, **options: Any) -> Row:
    """The report as it lies on the disk, which is also what the call returns."""
    path = ledger.parent / "report.json"
    report = judge.agree(ledger=ledger, json=path, **options)
    written: Row = json.loads(path.read_bytes(), parse_constant=refuse_constant)
    assert written == json.loads(json.dumps(report.as_dict()))
    return written


def assert_is(estimate: Row, value: float, n: int, *, prompts: int = 2) -> None:
    """The figure of n items of that many prompts; one prompt gives no interval."""
    assert estimate["value"] == pytest.approx(value)
    assert estimate["n"] == n
    if prompts == 1:
        assert estimate["low"] is estimate["high"] is None
    else:
        assert estimate["low"] <= estimate["value"] <= estimate["high"]


def test_every_figure_of_a_judge_is_the_one_counted_by_hand(tmp_path: Path) -> None:
    report = reported(a_ledger(tmp_path, {"gpt": VERDICTS}, VOTES))
    gpt = report["judges"]["gpt"]
    # Votes on p1 to p5: 2 of 3, 1 of 2, 2 of 3, 0 of 1, 1 of 1.
    assert_is(gpt["s1"]["micro"], 6 / 10, 10)
    assert_is(gpt["s1"]["macro"], (2 / 3 + 1 / 2 + 2 / 3 + 0 + 1) / 5, 5)
    assert_is(gpt["s1"]["majority"], (1 + 1 / 2 + 1 + 0 + 1) / 5, 5)
    # Decided labels are those of p1 and p2, of one prompt: 2 of 3, 1 of 1.
    assert_is(gpt["s2"]["micro"], 3 / 4, 4, prompts=1)
    assert_is(gpt["s2"]["macro"], (2 / 3 + 1) / 2, 2, prompts=1)
    assert_is(gpt["s2"]["majority"], 1, 2, prompts=1)
    assert_is(gpt["s2_coverage"], 4 / 10, 10)
    # Labels first, tie, second: 3, 5, 2; votes on them: 4, 4, 2.
    chance = (3 * 4 + 5 * 4 + 2 * 2) / 100
    assert_is(gpt["kappa"], (0.6 - chance) / (1 - chance), 10)
    assert_is(gpt["consistency"], 3 / 6, 6)
    assert_is(gpt["toward_first"], 2 / 6, 6)
    assert_is(gpt["toward_second"], 1 / 6, 6)
    assert_is(gpt["preference_fairness"], -1 / 6, 6)
    assert_is(gpt["unparsed_rate"], 1 / 17, 17)
    assert list(gpt["status_rates"]) == ["unparsed", "truncated", "refused", "failed"]
    for status, count in (("unparsed", 1), ("truncated", 2), ("refused", 0), ("failed", 0)):
        assert_is(gpt["status_rates"][status], count / 17, 17)
    # The vote on p7 finds no label because of an error; that on p8 still waits for a judgment.
    assert_is(gpt["s1_errors_wrong"], 6 / 11, 11)


def test_the_ceiling_and_the_baselines_are_those_counted_by_hand(tmp_path: Path) -> None:
    report = reported(a_ledger(tmp_path, {"gpt": VERDICTS}, VOTES))
    ceiling, baselines = report["ceiling"], report["baselines"]
    # Couples of votes on p1, p2, p3: 1 of 3, 0 of 1, 1 of 3.
    assert_is(ceiling["human_human"]["s1"], 2 / 7, 7)
    assert_is(ceiling["human_human"]["s2"], 1 / 3, 3, prompts=1)
    # Each vote of p1, p2, p3 against the others': halves where those are split.
    assert_is(ceiling["leave_one_out"]["s1"], (1 + 0 + 1) / 8, 8)
    assert_is(ceiling["leave_one_out"]["s2"], 1 / 3, 3, prompts=1)
    # Couples of x with y: first first, second tie, tie tie; of x with z, and of y with z: first
    # second, tie first. On both sides together: first 6, tie 5, second 3.
    sums, differences = 6**2 + 5**2 + 3**2, 3 * (1 + 1)
    chance = (sums - differences) / (4 * 7**2)
    assert_is(ceiling["kappa"], (2 / 7 - chance) / (1 - chance), 7)
    assert ceiling["turns"] == {}
    assert_is(baselines["always_first"]["s1"], 5 / 12, 12)
    assert_is(baselines["always_first"]["s2"], 5 / 8, 8)
    assert_is(baselines["longest"]["s1"], 5 / 12, 12)
    assert_is(baselines["longest"]["s2"], 5 / 8, 8)
    assert_is(baselines["random"]["s1"], 1 / 3, 12)
    assert_is(baselines["random"]["s2"], 1 / 2, 8)
    # Half of its labels are ties, as 4 of the 12 votes; a quarter is each answer's.
    assert_is(baselines["coin_flip"]["s1"], (8 / 12) / 4 + (4 / 12) / 2, 12)
    assert_is(baselines["coin_flip"]["s2"], 1 / 2, 8)


def test_every_count_of_the_report_is_the_one_counted_by_hand(tmp_path: Path) -> None:
    report = reported(a_ledger(tmp_path, {"gpt": VERDICTS}, VOTES))
    labels = {
        "pairs": 9,
        "labelled": 6,
        "first": 1,
        "second": 1,
        "ties": 1,
        "inconsistent": 3,
        "undecided": {"unparsed": 1, "truncated": 1},
        "pending": 1,
        "judgments": 17,
        "by_status": {"verdict": 14, "unparsed": 1, "truncated": 2},
    }
    assert report["judges"]["gpt"]["counts"] == labels
    assert report["counts"] == {
        "prompts": 5,
        **labels,
        "votes": 13,
        "votes_used": 10,
        "votes_left_out": {"skipped by the annotator": 1, "pair without a label": 2},
        "votes_both_bad": 1,
        "annotators": 3,
        "pairs_compared": 5,
    }


def test_the_keys_of_report_json_have_the_documented_order(tmp_path: Path) -> None:
    report = reported(a_ledger(tmp_path, {"gpt": VERDICTS}, VOTES))
    assert list(report) == ["schema", "counts", "judges", "ceiling", "baselines", "provenance"]
    assert report["schema"] == "report/1"
    gpt = report["judges"]["gpt"]
    documented = [
        "s1", "s2", "kappa", "consistency", "toward_first", "toward_second",
        "preference_fairness", "unparsed_rate",
    ]  # fmt: skip
    assert [key for key in gpt if key in documented] == documented
    assert list(gpt["s1"]) == list(gpt["s2"]) == ["micro", "macro", "majority"]
    assert list(gpt["s1"]["micro"]) == list(gpt["kappa"]) == ["value", "low", "high", "n"]
    assert list(report["ceiling"])[:4] == ["human_human", "leave_one_out", "kappa", "turns"]
    assert list(report["baselines"]) == ["always_first", "longest", "random", "coin_flip"]


def test_the_provenance_names_the_run_its_rule_its_judges_and_the_votes(tmp_path: Path) -> None:
    provenance = reported(a_ledger(tmp_path, {"gpt": VERDICTS}, VOTES))["provenance"]
    assert (provenance["run"], provenance["rule"]) == ("import", "conservative")
    assert provenance["gold"] == "votes in the ledger"
    assert provenance["judges"]["gpt"]["model"] == "gpt"
    assert provenance["intervals"]["clustered_by"] == "prompt"


def test_without_votes_a_judge_is_still_compared_with_itself(tmp_path: Path) -> None:
    report = reported(a_ledger(tmp_path, {"gpt": VERDICTS}))
    gpt = report["judges"]["gpt"]
    nothing = {"value": None, "low": None, "high": None, "n": 0}
    assert gpt["s1"]["micro"] == gpt["s2"]["majority"] == gpt["kappa"] == nothing
    assert report["ceiling"]["human_human"]["s1"] == nothing
    assert_is(gpt["consistency"], 3 / 6, 6)
    assert report["counts"]["votes"] == 0


@pytest.mark.parametrize(
    ("verdicts", "votes"),
    [
        ({"p1": ("A", "B")}, [("p1", "x", "first")]),
        ({"p1": ("A", "A")}, [("p1", "x", "skip")]),
        ({"p1": ("neither", "cut"), "p3": ("A", None)}, [("p1", "x", "first")]),
        ({"p1": ("C", "C"), "p3": ("C", "C")}, [("p1", "x", "tie"), ("p3", "x", "both_bad")]),
        ({"p1": ("A", "B"), "p3": ("A", "B")}, [("p1", "x", "first"), ("p3", "x", "first")]),
    ],
)
def test_a_report_on_too_little_says_null_and_never_nan(
    tmp_path: Path, verdicts: Mapping[str, Orders], votes: Sequence[tuple[str, str, str]]
) -> None:
    report = reported(a_ledger(tmp_path, {"gpt": verdicts}, votes))
    assert b"NaN" not in (tmp_path / "report.json").read_bytes()
    assert report["counts"]["pairs"] == len(verdicts)


def test_one_prompt_gives_a_value_without_an_interval(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, {"gpt": {"p1": ("A", "B"), "p2": ("A", "B")}}, VOTES[:5])
    micro = reported(ledger)["judges"]["gpt"]["s1"]["micro"]
    assert micro == {"value": pytest.approx(2 / 5), "low": None, "high": None, "n": 5}


def test_a_narrow_interval_needs_many_prompts_not_many_pairs_of_one(tmp_path: Path) -> None:
    few, many = tmp_path / "few", tmp_path / "many"
    verdicts: dict[str, Orders] = {f"p{n}": ("A", "B") for n in range(1, 41)}
    # A prompt's pairs succeed and fail together in `few`.
    votes = [(f"p{n}", "x", "first" if n % 4 < 2 else "second") for n in range(1, 41)]
    widths = []
    for folder, prompts in ((few, 4), (many, 40)):
        folder.mkdir()
        rows = [
            row | {"prompt_id": f"q{int(row['pair_id'][1:]) % prompts}"}
            for row in pair_rows(verdicts)
        ]
        ledger = folder / "judge.db"
        for kind, lines in (
            ("pairs", rows),
            ("judgments", judgment_rows(verdicts)),
            ("votes", vote_rows(votes)),
        ):
            judge.import_file(write(folder / kind, lines), kind, ledger=ledger)
        micro = reported(ledger)["judges"]["gpt"]["s1"]["micro"]
        assert_is(micro, 0.5, 40)
        widths.append(micro["high"] - micro["low"])
    assert widths[0] > 1.5 * widths[1]


# Gold from a file


def test_votes_of_the_ledger_on_pairs_of_another_run_are_counted_as_left_out(
    tmp_path: Path,
) -> None:
    ledger = a_ledger(tmp_path, {"gpt": VERDICTS}, VOTES)
    alone = pair_rows(["p1", "p2", "p3"])
    with simulator_process(SimulatorSettings()) as simulator:
        settings = {"endpoints.default.base_url": simulator.base_url, "judges.0.model": "m"}
        judge.run(write(tmp_path / "few", alone), overrides=settings, environ={}, ledger=ledger)
    counts = reported(ledger)["counts"]
    assert (counts["pairs"], counts["votes"]) == (3, len(VOTES))
    assert counts["votes_left_out"]["pair not in this run"] == 4
    assert counts["votes_left_out"]["skipped by the annotator"] == 1
    assert counts["votes_used"] + sum(counts["votes_left_out"].values()) == len(VOTES)


def test_gold_from_a_file_replaces_the_votes_of_the_ledger(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, {"gpt": VERDICTS}, VOTES)
    gold = write(
        tmp_path / "gold.jsonl",
        vote_rows([("p1", "g", "second"), ("p3", "g", "tie"), ("p99", "g", "first")]),
    )
    report = reported(ledger, gold=gold)
    assert_is(report["judges"]["gpt"]["s1"]["micro"], 1 / 2, 2)
    assert report["provenance"]["gold"] == str(gold)
    counts = report["counts"]
    assert (counts["votes"], counts["votes_used"], counts["annotators"]) == (3, 2, 1)
    assert counts["votes_left_out"] == {"pair not in this run": 1}


def test_the_same_votes_give_the_same_figures_from_a_file_and_from_the_ledger(
    tmp_path: Path,
) -> None:
    ledger = a_ledger(tmp_path, {"gpt": VERDICTS}, VOTES)
    gold = write(tmp_path / "gold.jsonl", vote_rows(VOTES))
    stored, given = reported(ledger), reported(ledger, gold=gold)
    for part in ("counts", "judges", "ceiling", "baselines"):
        assert given[part] == stored[part]


def test_a_gold_line_given_twice_counts_once(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, {"gpt": VERDICTS}, VOTES)
    gold = write(tmp_path / "gold.jsonl", vote_rows([*VOTES, *VOTES]))
    stored, doubled = reported(ledger), reported(ledger, gold=gold)
    assert doubled["judges"] == stored["judges"]
    assert doubled["ceiling"] == stored["ceiling"]
    assert doubled["counts"]["votes"] == 26
    assert doubled["counts"]["votes_left_out"]["the same vote twice"] == 13


def test_an_annotator_who_votes_twice_is_heard_twice(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, {"gpt": VERDICTS})
    rows = vote_rows([("p1", "x", "first")] * 2)
    rows[1]["batch"] = "second round"
    report = reported(ledger, gold=write(tmp_path / "gold.jsonl", rows))
    assert report["counts"]["votes_used"] == 2
    # Yet nobody agrees with themselves as one human with another.
    assert report["ceiling"]["human_human"]["s1"]["n"] == 0


def test_every_bad_line_of_a_gold_file_is_named_and_no_report_is_written(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, {"gpt": VERDICTS}, VOTES)
    gold = write(tmp_path / "gold.jsonl", vote_rows(VOTES))
    with gold.open("a") as file:
        file.write('{"pair_id": "p1"}\nnonsense\n')
    report = tmp_path / "report.json"
    report.write_text("old")
    with pytest.raises(InputError) as error:
        judge.agree(ledger=ledger, gold=gold, json=report)
    assert str(error.value).splitlines() == [
        f'{gold}:14: field "annotator": missing; every record needs it',
        f"{gold}:15: not JSON (expected ident at character 2); write one JSON object per line",
        "no figure was computed; mend the lines",
    ]
    assert report.read_text() == "old"


@pytest.mark.parametrize("text", [None, "", "\n"])
def test_a_gold_file_without_votes_is_refused(tmp_path: Path, text: str | None) -> None:
    ledger = a_ledger(tmp_path, {"gpt": VERDICTS})
    gold = tmp_path / "gold.jsonl"
    if text is not None:
        gold.write_text(text)
    with pytest.raises(InputError, match=r"gold\.jsonl: (no such file|holds no records)"):
        judge.agree(ledger=ledger, gold=gold)


# Answers to handed-off tasks as gold


def handed_off(folder: Path) -> tuple[Path, list[Row]]:
    """A ledger with every decided pair handed off, and answers that all name the first answer."""
    ledger = a_ledger(folder, {"gpt": VERDICTS})
    judge.handoff(folder / "tasks.jsonl", n=8, ledger=ledger, run="import", seed=3)
    tasks = [json.loads(line) for line in (folder / "tasks.jsonl").read_text().splitlines()]
    firsts = {row["first"] for row in pair_rows(VERDICTS)}
    answers = [
        {
            "task_id": task["task_id"],
            "annotator": "vendor",
            "preference": "A" if task["answer_a"] in firsts else "B",
        }
        for task in tasks
    ]
    return ledger, answers


def test_answers_as_gold_are_unshuffled_as_they_are_on_import(tmp_path: Path) -> None:
    ledger, answers = handed_off(tmp_path)
    assert {answer["preference"] for answer in answers} == {"A", "B"}
    answers[0]["preference"] = "both_bad"
    gold = write(tmp_path / "answers.jsonl", answers)
    report = reported(ledger, gold=gold)
    assert report["baselines"]["always_first"]["s1"]["value"] == pytest.approx(7 / 8)
    assert (report["counts"]["votes"], report["counts"]["votes_both_bad"]) == (8, 1)
    judge.import_file(gold, "votes", ledger=ledger)
    stored = reported(ledger)
    for part in ("counts", "judges", "ceiling", "baselines"):
        assert stored[part] == report[part]


def test_votes_and_answers_may_share_a_gold_file_and_a_task_counts_once(tmp_path: Path) -> None:
    ledger, answers = handed_off(tmp_path)
    rows = [*answers, *vote_rows([("p1", "x", "first")]), answers[0]]
    counts = reported(ledger, gold=write(tmp_path / "gold.jsonl", rows))["counts"]
    assert counts["annotators"] == 2
    assert counts["votes"] == 10
    assert counts["votes_left_out"]["the same vote twice"] == 1


def test_answers_to_tasks_of_another_ledger_are_refused_by_line(tmp_path: Path) -> None:
    _, answers = handed_off(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    ledger = a_ledger(other, {"gpt": VERDICTS})
    gold = write(tmp_path / "gold.jsonl", [*vote_rows(VOTES[:2]), answers[0]])
    with pytest.raises(InputError) as error:
        judge.agree(ledger=ledger, gold=gold)
    first, last = str(error.value).splitlines()
    assert first.startswith(f'{gold}:3: task_id "{answers[0]["task_id"]}" is of no batch in this')
    assert last == "no figure was computed; mend the lines"


# Rules and turns


def rule_report(rule: str, pairs: Sequence[Any], votes: Iterable[Vote] = ()) -> Any:
    return report_of(gather(a_run(1, rule), judged(pairs, 1), votes))


def test_one_order_leaves_order_effects_out_and_says_why() -> None:
    said = [(0, [(Verdict.A, None)]), (1, [(None, Verdict.A)]), (2, [(Verdict.TIE, None)])]
    report = rule_report("single_random", said, [Vote(pair_id="p1", annotator="x",
                                                      preference="second")])  # fmt: skip
    figures = report.judges["j0"]
    assert (figures.counts.first, figures.counts.second, figures.counts.ties) == (1, 1, 1)
    assert figures.s1.micro.value == 1
    for name in ("consistency", "toward_first", "toward_second", "preference_fairness"):
        assert getattr(figures, name).value is None
        assert getattr(figures, name).why == "one order was asked"


def test_the_soft_rule_reports_outcomes_and_order_effects_as_ever() -> None:
    said = [(0, [(Verdict.A, Verdict.TIE)]), (1, [(Verdict.A, Verdict.A)])]
    figures = rule_report("soft", said).judges["j0"]
    assert (figures.counts.first, figures.counts.ties, figures.counts.inconsistent) == (1, 1, 0)
    assert figures.consistency.value == 0
    assert figures.toward_first.value == 1


@pytest.mark.parametrize(
    ("tag", "turn"),
    [(1, 1), (2, 2), ("2", 2), (0, None), (-1, None), (True, None), ("", None), ("two", None),
     (1.5, None), (None, None), ("²", None), ([1], None)],
)  # fmt: skip
def test_a_turn_is_a_number_or_its_digits(tag: Any, turn: int | None) -> None:
    assert turn_of({"turn": tag}) == turn
    assert turn_of({"category": "math"}) is None


def test_the_turn_of_a_pair_is_its_tag(tmp_path: Path) -> None:
    ledger = tmp_path / "judge.db"
    verdicts: dict[str, Orders] = {f"p{n}": ("A", "B") for n in range(1, 10)}
    rows = [
        row | {"tags": {"turn": 1 + int(row["pair_id"][1:]) % 2}} if row["pair_id"] != "p9" else row
        for row in pair_rows(verdicts)
    ]
    votes = vote_rows((name, who, "first") for name in verdicts for who in "xy")
    votes[0]["preference"] = "second"
    for kind, lines in (
        ("pairs", rows), ("judgments", judgment_rows(verdicts)), ("votes", votes),
    ):  # fmt: skip
        judge.import_file(write(tmp_path / kind, lines), kind, ledger=ledger)
    report = reported(ledger)
    turns = report["judges"]["gpt"]["turns"]
    assert list(turns) == ["1", "2"]
    assert_is(turns["1"]["s1"], 1, 8)
    assert_is(turns["2"]["s1"], 7 / 8, 8)
    assert_is(report["ceiling"]["turns"]["2"]["human_human"]["s1"], 3 / 4, 4)
    assert_is(report["judges"]["gpt"]["s1"]["micro"], 17 / 18, 18)


# Orientation


def test_votes_on_ids_of_one_content_count_in_the_orientation_of_each_id(tmp_path: Path) -> None:
    ledger = tmp_path / "judge.db"
    sides = {"first": "one", "second": "two"}
    exchanged = {"first": "two", "second": "one"}
    rows: list[Row] = [
        {"pair_id": "p", "prompt": "Q", **sides},
        {"pair_id": "again", "prompt": "Q", **sides},
        {"pair_id": "exchanged", "prompt": "Q", **exchanged},
        {"pair_id": "other", "prompt": "R", **sides},
    ]
    said = judgment_rows({"p": ("A", "B"), "other": ("B", "A")})
    # Three people prefer the text "one"; one of them saw it as the second answer.
    votes = vote_rows(
        [("p", "x", "first"), ("again", "y", "first"), ("exchanged", "z", "second"),
         ("other", "x", "second")]
    )  # fmt: skip
    for kind, lines in (("pairs", rows), ("judgments", said), ("votes", votes)):
        judge.import_file(write(tmp_path / kind, lines), kind, ledger=ledger)
    report = reported(ledger)
    assert_is(report["judges"]["gpt"]["s1"]["micro"], 1, 4)
    assert_is(report["judges"]["gpt"]["consistency"], 1, 4)
    counts = report["counts"]
    assert (counts["pairs"], counts["first"], counts["second"]) == (4, 2, 2)


# Several judges


def test_several_judges_are_reported_with_their_majority(tmp_path: Path) -> None:
    names = [f"p{n}" for n in range(1, 6)]
    first, second, tie, flip = ("A", "B"), ("B", "A"), ("C", "C"), ("A", "A")
    judges: dict[str, dict[str, Orders]] = {
        "one": dict(zip(names, [first, first, second, flip, first], strict=True)),
        "two": dict(zip(names, [first, first, tie, flip, ("neither", "A")], strict=True)),
        "three": dict(zip(names, [first, second, first, second, second], strict=True)),
    }
    votes = [("p1", "x", "first"), ("p2", "x", "first"), ("p3", "x", "first"),
             ("p4", "x", "second"), ("p5", "x", "first")]  # fmt: skip
    report = reported(a_ledger(tmp_path, judges, votes))
    assert list(report["judges"]) == ["one", "three", "two", "panel"]
    panel = report["judges"]["panel"]
    # p1 and p2 by majority, p3 three ways, p4 inconsistent twice, p5 one against one.
    assert panel["counts"]["undecided"] == {"split": 2}
    assert (panel["counts"]["first"], panel["counts"]["inconsistent"]) == (2, 1)
    assert_is(panel["s1"]["micro"], 2 / 3, 3)
    assert_is(report["judges"]["one"]["s1"]["micro"], 3 / 5, 5)
    assert_is(report["judges"]["two"]["s1"]["micro"], 2 / 4, 4)
    assert panel["counts"]["judgments"] == 30
    assert panel["consistency"]["value"] is None
    assert report["counts"]["labelled"] == panel["counts"]["labelled"] == 3
    assert_is(panel["unparsed_rate"], 1 / 30, 30)


def test_a_judge_may_be_called_panel(tmp_path: Path) -> None:
    both: dict[str, Orders] = {"p1": ("A", "B"), "p3": ("B", "A")}
    report = reported(a_ledger(tmp_path, {"panel": both, "gpt": both}))
    assert list(report["judges"]) == ["gpt", "panel", "panel of 2"]


# What cannot be reported


def test_what_there_is_no_report_on_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"missing\.db does not exist; check the path"):
        judge.agree(ledger=tmp_path / "missing.db")
    ledger = tmp_path / "judge.db"
    judge.import_file(write(tmp_path / "p", pair_rows(["p1"])), "pairs", ledger=ledger)
    with pytest.raises(LedgerError, match="holds no judgments yet"):
        judge.agree(ledger=ledger)
    with pytest.raises(LedgerError, match=r"run import of ledger .* has no judgments; name anoth"):
        judge.agree(ledger=ledger, run="import")
    with pytest.raises(LedgerError, match='has no run "r9"; its runs are: import'):
        judge.agree(ledger=ledger, run="r9")


def test_a_report_that_cannot_be_written_says_where_and_why(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, {"gpt": VERDICTS})
    with pytest.raises(EvenhandError, match=r"no/report\.json: its directory does not exist"):
        judge.agree(ledger=ledger, json=tmp_path / "no" / "report.json")


def test_a_report_never_takes_the_place_of_the_ledger(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, {"gpt": VERDICTS})
    before = ledger.read_bytes()
    with pytest.raises(ConfigError, match=r"judge\.db is the ledger itself"):
        judge.agree(ledger=ledger, json=ledger)
    assert ledger.read_bytes() == before


# Any facts whatever

SAID = st.sampled_from([*Verdict, *Status, None])
CHOICE = st.sampled_from(["first", "second", "tie", "both_bad", "skip"])
PAIRS = st.lists(
    st.tuples(st.integers(0, 3), st.lists(st.tuples(SAID, SAID), min_size=3, max_size=3)),
    min_size=1,
    max_size=12,
)
NUMBERED_VOTES = st.lists(
    st.tuples(st.integers(0, 14), st.sampled_from("xyz"), CHOICE), max_size=30
)


def a_run(judges: int, rule: str) -> Run:
    known = [RunJudge(f"k{j}", f"j{j}", "m", "pair", "digest", {}) for j in range(judges)]
    return Run("r", "judge", "pairs.jsonl", {"rule": rule}, True, "", tuple(known))


def a_reading(key: str, order: Order, said: Verdict | Status) -> Reading:
    verdict = said if isinstance(said, Verdict) else None
    status = said if isinstance(said, Status) else None
    return Reading(f"{key}-{order}", key, order, 0, verdict, status)


def an_answer(chars: int) -> AnswerFacts:
    style = AnswerStyle(lists=chars % 2, marks=chars % 3, digest=bytes([chars]))
    return AnswerFacts(chars, f"model {chars % 4}" if chars else None, style)


def judged(pairs: Sequence[Any], judges: int) -> list[JudgedPair]:
    return [
        JudgedPair(
            pair_id=f"p{index}",
            prompt_id=f"q{prompt}",
            readings=tuple(
                a_reading(f"k{key}", order, said)
                for key, both in enumerate(replies[:judges])
                for order, said in zip(Order, both, strict=True)
                if said is not None
            ),
            tags={},
            first=an_answer(index * 5 % 7),
            second=an_answer(index * 3 % 7),
        )
        for index, (prompt, replies) in enumerate(pairs)
    ]


def numbers(item: Any) -> Iterable[Any]:
    if isinstance(item, Mapping):
        for value in item.values():
            yield from numbers(value)
    elif isinstance(item, list | tuple):
        for value in item:
            yield from numbers(value)
    elif isinstance(item, int | float):
        yield item


UNBOUNDED = {
    "fleiss",
    "ac2",
    "alpha_nominal",
    "alpha_ordinal",
    "alpha_interval",
    "decisiveness",
    "log_loss",
}
"""Figures that may lie outside -1 to 1; every other is a share or a difference of two."""


@given(
    PAIRS,
    NUMBERED_VOTES,
    st.integers(1, 3),
    st.sampled_from(["conservative", "lenient", "soft", "single_random"]),
)
def test_nothing_disappears_and_every_figure_is_a_number_in_its_interval(
    pairs: Sequence[Any], votes: Sequence[Any], judges: int, rule: str
) -> None:
    given_votes = [
        Vote(pair_id=f"p{p}", annotator=a, preference=choice, note=str(at))
        for at, (p, a, choice) in enumerate(votes)
    ]
    run, readings = a_run(judges, rule), judged(pairs, judges)
    report = report_of(gather(run, readings, given_votes))
    delivered = Counter(name_outcome(label_of(run, p.pair_id, p.readings)) for p in readings)
    assert report.labels.pending == delivered["undecided: pending"]
    assert report.labels.first == delivered["first"]
    assert report.labels.inconsistent == delivered["inconsistent"]
    assert report.labels.undecided.get("split", 0) == delivered["undecided: split"]
    written: Any = report.as_dict()
    for figures in written["judges"].values():
        counts = figures["counts"]
        assert counts["pairs"] == len(pairs)
        ends = counts["labelled"] + sum(counts["undecided"].values()) + counts["pending"]
        assert ends == len(pairs)
        wins = counts["first"] + counts["second"] + counts["ties"]
        assert wins + counts["inconsistent"] == counts["labelled"]
        assert sum(counts["by_status"].values()) == counts["judgments"]
    counts = written["counts"]
    assert counts["votes"] == len(votes)
    assert counts["votes_used"] + sum(counts["votes_left_out"].values()) == len(votes)
    assert all(math.isfinite(number) for number in numbers(written))
    for path, estimate in report.figures():
        if estimate.value is None:
            assert estimate.low is estimate.high is None
        elif estimate.low is not None:
            assert estimate.high is not None
            assert estimate.low <= estimate.value <= estimate.high
            assert path[-1] in UNBOUNDED or -1 <= estimate.low <= estimate.high <= 1
