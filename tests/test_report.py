"""The report as data and as text, on ordinary input and on input with too little in it."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from calibration.agreement import VoteColumns
from calibration.position import TwoOrders
from calibration.report.build import IntervalSettings, build_report
from calibration.report.columns import Answers, JudgeColumns, PairColumns
from calibration.report.model import Report
from calibration.report.text import report_text
from calibration.report.words import headline

PAIRS = 240
FEW_DRAWS = IntervalSettings(draws=200)


def noisy(rng: np.random.Generator, truth: np.ndarray, accuracy: float) -> np.ndarray:
    guesses = rng.choice([1, 0, -1], len(truth))
    return np.where(rng.random(len(truth)) < accuracy, truth, guesses).astype(np.int8)


def a_judge(name: str, rng: np.random.Generator, truth: np.ndarray) -> JudgeColumns:
    forward, backward = noisy(rng, truth, 0.8), noisy(rng, truth, 0.75)
    has_forward, has_reversed = rng.random(len(truth)) < 0.97, rng.random(len(truth)) < 0.97
    labelled = has_forward & has_reversed
    return JudgeColumns(
        name=name,
        label=np.where(labelled & (forward == backward), forward, 0).astype(np.int8),
        has_label=labelled,
        inconsistent=labelled & (forward != backward),
        judgments=np.full(len(truth), 2),
        statuses={"unparsed": (~has_forward).astype(int) + ~has_reversed},
        undecided={"unparsed": int(np.sum(~labelled)) - 1},
        n_pending=1,
        orders=TwoOrders(forward, backward, has_forward, has_reversed),
    )


def an_input(judges: int = 1) -> tuple[PairColumns, list[JudgeColumns], VoteColumns]:
    rng = np.random.default_rng(3)
    truth = rng.choice([1, 0, -1], PAIRS, p=[0.5, 0.15, 0.35])
    pair = rng.integers(0, PAIRS, 500)
    choice = noisy(rng, truth[pair], 0.75)
    both_bad = np.zeros(500, bool)
    both_bad[np.flatnonzero(choice == 0)[:5]] = True
    votes = VoteColumns(pair, rng.integers(0, 12, 500), choice, both_bad)
    none = np.zeros(PAIRS, np.intp)
    shorter = Answers(none, none, none, none, none)
    chars = 100 + 50 * rng.choice([1, -1], PAIRS)
    shorter = replace(shorter, chars=none + 100)
    pairs = PairColumns(np.arange(PAIRS) // 4, replace(shorter, chars=chars), shorter)
    return pairs, [a_judge(f"j{k + 1}", rng, truth) for k in range(judges)], votes


def a_report(judges: int = 1) -> Report:
    pairs, columns, votes = an_input(judges)
    return build_report(
        pairs,
        columns,
        votes=votes,
        votes_left_out={"skip": 8},
        provenance={"gold": "votes.jsonl"},
        intervals=FEW_DRAWS,
    )


def test_the_json_has_the_promised_keys_in_the_promised_order() -> None:
    report = json.loads(json.dumps(a_report().as_dict(), allow_nan=False))
    assert list(report) == ["schema", "counts", "judges", "ceiling", "baselines", "provenance"]
    assert report["schema"] == "report/1"
    judge = report["judges"]["j1"]
    assert list(judge)[:9] == [
        "s1",
        "s2",
        "s2_coverage",
        "kappa",
        "consistency",
        "toward_first",
        "toward_second",
        "preference_fairness",
        "unparsed_rate",
    ]
    assert list(judge)[9:] == [
        "status_rates",
        "s1_errors_wrong",
        "turns",
        "coefficients",
        "marginals",
        "order_effects",
        "strata",
        "bias",
        "coherence",
        "systems",
        "win_rates",
        "reliability",
        "confusion",
        "certificate",
        "expense",
        "counts",
    ]
    assert list(judge["s1"]) == list(judge["s2"]) == ["micro", "macro", "majority"]
    assert list(judge["kappa"]) == ["value", "low", "high", "n"]
    assert list(report["ceiling"]) == [
        "human_human",
        "leave_one_out",
        "kappa",
        "turns",
        "coefficients",
        "marginals",
        "annotators",
    ]
    assert list(report["ceiling"]["human_human"]) == ["s1", "s2"]
    assert list(report["baselines"])[:3] == ["always_first", "longest", "random"]
    assert report["provenance"]["gold"] == "votes.jsonl"
    assert report["provenance"]["intervals"]["clustered_by"] == "prompt"


def test_every_figure_has_an_interval_around_its_value() -> None:
    report = a_report()
    missing = {path for path, _ in report.missing()}
    # Nothing in the columns is asked twice, made by a system, in markdown or in threes.
    absent = {"order_effects", "strata", "bias", "coherence", "systems", "reliability"}
    assert {path[2] for path in missing if path[0] == "judges"} <= absent
    assert {path[:2] for path in missing if path[0] != "judges"} <= {("ceiling", "annotators")}

    def check(item: object) -> int:
        assert isinstance(item, Mapping)
        if list(item) == ["value", "low", "high", "n"]:
            if item["low"] is not None:
                assert item["low"] <= item["value"] <= item["high"]
                assert item["n"] > 0
            return 1
        return sum(check(child) for child in item.values() if isinstance(child, Mapping))

    data = report.as_dict()
    found = check({key: data[key] for key in ("judges", "ceiling", "baselines")})
    assert found == len(list(report.figures()))


def test_the_counts_add_up() -> None:
    _, (judge,), votes = an_input()
    counts = a_report().as_dict()["counts"]
    assert isinstance(counts, dict)
    kinds = ("first", "second", "ties", "inconsistent")
    assert counts["labelled"] == sum(counts[kind] for kind in kinds)
    assert counts["pairs"] == PAIRS
    assert counts["pairs"] == (
        counts["labelled"] + sum(counts["undecided"].values()) + counts["pending"]
    )
    assert counts["judgments"] == sum(counts["by_status"].values()) == 2 * PAIRS
    assert counts["votes"] == len(votes.pair) + 8
    assert counts["votes"] == counts["votes_used"] + sum(counts["votes_left_out"].values())
    unlabelled = int(np.sum(~judge.has_label[votes.pair]))
    assert counts["votes_left_out"] == {"skip": 8, "pair without a label": unlabelled}
    assert counts["prompts"] == 60


def test_the_text_opens_with_the_number_its_interval_and_the_human_ceiling() -> None:
    report = a_report()
    s1 = report.judges["j1"].s1.micro
    humans = report.ceiling.human_human.s1
    assert s1.value is not None
    assert s1.low is not None
    assert s1.high is not None
    assert humans.value is not None
    sentence = headline(report)
    assert sentence.startswith(
        f"On {report.votes.pairs_compared} human-labelled pairs, judge j1 agrees with "
        f"{100 * s1.value:.1f} % of the votes "
        f"(95 % CI {100 * s1.low:.1f}-{100 * s1.high:.1f}, clustered by prompt); "
        f"humans agree with each other on {100 * humans.value:.1f} % ("
    )
    assert report_text(report).replace("\n", " ").startswith(sentence)


def test_the_text_shows_its_parts_in_order_within_100_columns() -> None:
    text = report_text(a_report())
    parts = ["On ", "Data", "S1, with ties", "S1: share", "Left out", "Baselines", "Provenance"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert max(len(line) for line in text.splitlines()) <= 100
    assert text.isascii()
    for told in ("8 votes: skip", "votes: pair without a label", "1 pair pending", "Kappa"):
        assert told in text
    assert not re.search(r"\b(nan|None)\b", text)


def test_many_judges_with_long_names_still_fit() -> None:
    pairs, judges, votes = an_input(5)
    judges = [replace(judge, name=f"{judge.name}-{'x' * 60}") for judge in judges]
    text = report_text(build_report(pairs, judges, votes=votes, intervals=FEW_DRAWS))
    assert max(len(line) for line in text.splitlines()) <= 100
    table = text[text.index("votes  ") : text.index("Left out")]
    assert all(f"j{k}-xxx" in table for k in range(1, 6))


def test_the_same_input_gives_the_same_report() -> None:
    assert a_report().as_dict() == a_report().as_dict()


def with_turns(pairs: PairColumns, *turns: int) -> PairColumns:
    """The pairs with turns in rotation; turn 0 is no turn."""
    row = np.arange(PAIRS)
    return replace(
        pairs,
        turns={
            turn: row[row % len(turns) == place] for place, turn in enumerate(turns) if turn > 0
        },
    )


def test_each_turn_has_the_figures_of_a_report_on_its_pairs_alone() -> None:
    pairs, (judge,), votes = an_input()
    report = build_report(with_turns(pairs, 2, 1), [judge], votes=votes, intervals=FEW_DRAWS)
    assert list(report.ceiling.turns) == list(report.judges["j1"].turns) == ["1", "2"]
    for place, turn in enumerate(("2", "1")):
        is_on_turn = np.arange(PAIRS) % 2 == place
        alone = build_report(pairs, [judge], votes=votes.on(is_on_turn), intervals=FEW_DRAWS)
        figures, found = alone.judges["j1"], report.judges["j1"].turns[turn]
        assert (found.s1, found.s2) == (figures.s1.micro, figures.s2.micro)
        assert report.ceiling.turns[turn].human_human == alone.ceiling.human_human
        assert report.ceiling.turns[turn].leave_one_out == alone.ceiling.leave_one_out
    turns = report.judges["j1"].turns.values()
    assert sum(turn.s1.n for turn in turns) == report.judges["j1"].s1.micro.n
    written = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert list(written["judges"]["j1"]["turns"]["1"]) == ["s1", "s2"]
    assert list(written["ceiling"]["turns"]["1"]) == ["human_human", "leave_one_out"]


def test_the_text_shows_the_turns_beside_the_humans_where_they_split_the_pairs() -> None:
    pairs, judges, votes = an_input(2)

    def text(*turns: int) -> str:
        return report_text(
            build_report(with_turns(pairs, *turns), judges, votes=votes, intervals=FEW_DRAWS)
        )

    assert "By turn" not in text(1)
    both = text(1, 2)
    block = both[both.index("By turn of the conversation") : both.index("Left out")]
    rows = [line.split("  ")[0] for line in block.splitlines() if line.startswith("S")]
    assert rows == ["S1, turn 1", "S1, turn 2", "S2, turn 1", "S2, turn 2"]
    assert all(name in block for name in ("j1", "j2", "humans"))
    assert "without a turn" not in both
    some = text(1, 0)
    assert "S2, turn 1" in some
    assert "120 pairs without a turn: in the figures of no turn" in some
    many = text(*range(1, 41))
    assert max(len(line) for line in many.splitlines()) <= 100
    assert "S1, turn 12 " in many
    assert "S1, turn 13 " not in many
    assert "and 28 turns more in the JSON" in many


def test_an_error_is_left_out_once_and_counted_as_wrong_once() -> None:
    said = np.array([1, 1, 0, 0, -1, 0], np.int8)
    has_label = np.array([True, True, False, False, True, False])
    judge = JudgeColumns(
        name="j",
        label=said,
        has_label=has_label,
        inconsistent=np.zeros(6, bool),
        judgments=np.full(6, 2),
        statuses={
            "unparsed": np.array([0, 0, 2, 0, 0, 0]),
            "refused": np.array([0, 0, 0, 1, 0, 0]),
            "failed": np.zeros(6, int),
        },
        undecided={"unparsed": 1, "refused": 1, "split": 1},
        errors=np.array([False, False, True, True, False, False]),
    )
    # The ties voted on pairs 2 and 3 are not agreed with by a label that there is none of.
    votes = VoteColumns(
        np.array([0, 0, 1, 2, 2, 3, 4, 5]),
        np.arange(8),
        np.array([1, -1, 1, 0, 1, 0, 1, 0], np.int8),
    )
    report = build_report(PairColumns(np.arange(6)), [judge], votes=votes, intervals=FEW_DRAWS)
    figures = report.judges["j"]
    assert (figures.s1.micro.value, figures.s1.micro.n) == (2 / 4, 4)
    assert (figures.s1_errors_wrong.value, figures.s1_errors_wrong.n) == (2 / 7, 7)
    rates = {name: (rate.value, rate.n) for name, rate in figures.status_rates.items()}
    assert rates == {"unparsed": (2 / 12, 12), "refused": (1 / 12, 12), "failed": (0, 12)}
    assert figures.unparsed_rate == figures.status_rates["unparsed"]
    assert figures.counts.by_status == {"verdict": 9, "unparsed": 2, "refused": 1}
    text = report_text(report)
    assert re.search(r"^  errors as wrong +28\.6 %", text, re.MULTILINE)
    assert re.search(r"^  refused +8\.3 %", text, re.MULTILINE)
    assert "  failed" not in text
    assert "Errors as wrong: a pair without a label because of errors" in text


def test_without_errors_they_take_no_line_and_change_no_figure() -> None:
    report = a_report()
    figures = report.judges["j1"]
    assert figures.s1_errors_wrong == figures.s1.micro
    assert "rrors as wrong" not in report_text(report)


def test_the_status_rates_are_clustered_by_prompt() -> None:
    pairs, (judge,), _ = an_input()
    bad_prompts = (np.arange(PAIRS) // 4 % 5 == 0).astype(int) * 2
    broken = replace(judge, statuses={"truncated": bad_prompts})
    rate = build_report(pairs, [broken]).judges["j1"].status_rates["truncated"]
    assert (rate.value, rate.n) == (0.2, 480)
    assert rate.low is not None
    assert rate.high is not None
    assert rate.high - rate.low > 1.9 * 1.96 * 2 * (0.2 * 0.8 / 480) ** 0.5


def test_the_text_names_a_group_of_missing_figures_once() -> None:
    pairs, judges, votes = an_input()
    alone = np.zeros(len(votes.pair), int)
    report = build_report(
        with_turns(pairs, 1, 2),
        [replace(judges[0], orders=None, why_no_orders="one order was asked")],
        votes=replace(votes, annotator=alone),
        intervals=FEW_DRAWS,
    )
    text = report_text(report)
    assert "Not computed (one order was asked): consistency, toward_first" in text
    assert "Same in both orders" not in text
    nothing = replace(votes, choice=np.zeros(len(votes.pair), np.int8))
    told = report_text(build_report(pairs, judges, votes=nothing, intervals=FEW_DRAWS))
    assert " s2," in told
    assert "judges.j1.s2.micro" not in told


def test_exchanging_the_candidates_changes_no_figure_about_the_judge_but_the_baselines() -> None:
    pairs, (judge,), votes = an_input()
    assert judge.orders is not None
    orders = judge.orders
    exchanged = replace(
        judge,
        label=-judge.label,
        orders=TwoOrders(
            -orders.reversed, -orders.forward, orders.has_reversed, orders.has_forward
        ),
    )
    swapped_votes = replace(votes, choice=-votes.choice)
    before = build_report(pairs, [judge], votes=votes, intervals=FEW_DRAWS)
    after = build_report(pairs, [exchanged], votes=swapped_votes, intervals=FEW_DRAWS)
    assert after.ceiling.human_human == before.ceiling.human_human
    assert after.ceiling.leave_one_out == before.ceiling.leave_one_out
    assert after.ceiling.kappa.value == pytest.approx(before.ceiling.kappa.value)
    for name in ("s1", "s2", "s2_coverage", "consistency", "toward_first", "unparsed_rate"):
        assert getattr(after.judges["j1"], name) == getattr(before.judges["j1"], name)
    assert after.judges["j1"].kappa.low == pytest.approx(before.judges["j1"].kappa.low)
    assert after.baselines.always_first != before.baselines.always_first


def test_a_perfect_judge_reaches_everything_and_doubt_remains() -> None:
    pairs, (judge,), _ = an_input()
    rows = np.flatnonzero(judge.has_label & (judge.label != 0))
    votes = VoteColumns(rows, np.zeros(len(rows), int), judge.label[rows])
    figures = build_report(pairs, [judge], votes=votes, intervals=FEW_DRAWS).judges["j1"]
    for estimate in (figures.s1.micro, figures.s2.micro, figures.s2.macro, figures.kappa):
        assert estimate.value == pytest.approx(1)
        assert estimate.low is not None
        assert estimate.low < 0.99


def test_random_labels_and_coin_flips_reach_what_theory_says() -> None:
    report = a_report()
    _, _, votes = an_input()
    ties = float(np.mean(votes.choice == 0))
    assert report.baselines.random.s1.value == pytest.approx(1 / 3)
    assert report.baselines.random.s2.value == pytest.approx(1 / 2)
    assert report.baselines.coin_flip.s1.value == pytest.approx(0.25 + 0.25 * ties)
    firsts = float(np.mean(votes.choice == 1))
    assert report.baselines.always_first.s1.value == pytest.approx(firsts)


def test_without_votes_the_rest_is_reported_and_the_text_says_what_is_missing() -> None:
    pairs, judges, _ = an_input()
    report = build_report(pairs, judges)
    figures = report.judges["j1"]
    assert figures.s1.micro.value is None
    assert figures.kappa.value is None
    assert figures.consistency.value is not None
    assert figures.unparsed_rate.low is not None
    text = report_text(report)
    assert text.startswith("Agreement of judge j1 with humans is unknown: there are no human votes")
    assert "Not computed (no human votes): S1, S2, kappa" in text
    assert "Same in both orders" in text


def test_one_annotator_leaves_the_ceiling_unknown_and_says_so() -> None:
    pairs, judges, _ = an_input()
    votes = VoteColumns(np.arange(PAIRS), np.zeros(PAIRS, int), np.ones(PAIRS, np.int8))
    report = build_report(pairs, judges, votes=votes, intervals=FEW_DRAWS)
    assert report.ceiling.human_human.s1.value is None
    assert report.judges["j1"].s1.micro.low is not None
    assert "unknown: no pair has votes by two annotators" in headline(report)
    assert "ceiling.leave_one_out.s1" in report_text(report)


def test_one_prompt_gives_figures_without_intervals_and_says_why() -> None:
    _, judges, votes = an_input()
    report = build_report(
        PairColumns(np.zeros(PAIRS, int)), judges, votes=votes, intervals=FEW_DRAWS
    )
    s1 = report.judges["j1"].s1.micro
    assert s1.value is not None
    assert s1.low is None
    assert "No interval (one prompt only" in report_text(report)


def test_two_pairs_are_enough_for_a_report() -> None:
    both = np.array([True, True])
    judge = JudgeColumns(
        "j", np.array([1, -1], np.int8), both, ~both, np.array([2, 2]), undecided={}
    )
    votes = VoteColumns(np.array([0, 1]), np.array([0, 0]), np.array([1, 1], np.int8))
    report = build_report(PairColumns(np.array([0, 1])), [judge], votes=votes, intervals=FEW_DRAWS)
    s1 = report.judges["j"].s1.micro
    assert (s1.value, s1.n) == (0.5, 2)
    assert s1.low is not None
    assert s1.low < 0.05
    assert "On 2 human-labelled pairs" in report_text(report)


def test_only_ties_leave_s2_and_kappa_unknown() -> None:
    ties, everywhere = np.zeros(20, np.int8), np.ones(20, bool)
    judge = JudgeColumns("j", ties, everywhere, ~everywhere, np.full(20, 2))
    votes = VoteColumns(np.arange(20), np.zeros(20, int), ties)
    report = build_report(PairColumns(np.arange(20)), [judge], votes=votes, intervals=FEW_DRAWS)
    assert report.judges["j"].s1.micro.value == 1
    assert report.judges["j"].s2.micro.value is None
    assert report.judges["j"].kappa.value is None
    text = report_text(report)
    assert "both sides used the same single choice" in text
    assert "(no vote and label are both decided): s2" in text


def test_a_judge_that_never_parses_still_gets_its_report() -> None:
    nothing, nowhere = np.zeros(20, np.int8), np.zeros(20, bool)
    judge = JudgeColumns(
        "mute",
        nothing,
        nowhere,
        nowhere,
        np.full(20, 2),
        statuses={"unparsed": np.full(20, 2)},
        undecided={"unparsed": 20},
        orders=TwoOrders(nothing, nothing, nowhere, nowhere),
    )
    votes = VoteColumns(np.arange(20), np.zeros(20, int), np.ones(20, np.int8))
    report = build_report(PairColumns(np.arange(20)), [judge], votes=votes, intervals=FEW_DRAWS)
    assert report.judges["mute"].unparsed_rate.value == 1
    assert report.judges["mute"].consistency.value is None
    assert report.votes.votes_left_out == {"pair without a label": 20}
    text = report_text(report)
    assert "no vote is on a labelled pair" in text
    assert "20 votes: pair without a label" in text


def test_no_pairs_at_all_make_an_empty_report() -> None:
    nothing = np.zeros(0, np.int8)
    judge = JudgeColumns("j", nothing, nothing > 0, nothing > 0, nothing)
    text = report_text(build_report(PairColumns(nothing), [judge]))
    assert "pairs              0   of 0 prompts" in text


def test_the_delivered_labels_lead_the_report_and_a_panel_has_no_order() -> None:
    pairs, (judge, other), votes = an_input(2)
    panel = replace(other, name="panel", orders=None)
    report = build_report(
        pairs, [judge, panel], votes=votes, delivered="panel", intervals=FEW_DRAWS
    )
    assert "judge panel agrees" in headline(report)
    assert report.labels == report.judges["panel"].counts
    assert report.judges["panel"].consistency.value is None
    assert report.judges["j1"].consistency.value is not None
    assert "Data (labels of panel)" in report_text(report)


def test_pairs_that_are_not_accounted_for_are_refused() -> None:
    _, (judge,), _ = an_input()
    with pytest.raises(ValueError, match="name a reason for each pair without a label"):
        replace(judge, undecided={})
    with pytest.raises(ValueError, match="more failures than judgments"):
        replace(judge, judgments=np.zeros(PAIRS, int))
    with pytest.raises(ValueError, match="must have 240 rows"):
        replace(judge, judgments=np.zeros(3, int))
    with pytest.raises(ValueError, match="must have 240 rows"):
        replace(judge, errors=np.zeros(3, bool))
    with pytest.raises(ValueError, match="give it a reason and no label"):
        replace(judge, errors=judge.has_label)


def test_input_that_does_not_fit_together_is_refused_with_a_remedy() -> None:
    pairs, (judge,), votes = an_input()
    with pytest.raises(ValueError, match="at least one judge"):
        build_report(pairs, [])
    with pytest.raises(ValueError, match="different names"):
        build_report(pairs, [judge, judge])
    with pytest.raises(ValueError, match="'x' is not among j1"):
        build_report(pairs, [judge], delivered="x")
    with pytest.raises(ValueError, match="one row per pair"):
        build_report(PairColumns(np.arange(3)), [judge])
    with pytest.raises(ValueError, match="turn 2 names pair row 240 of 240"):
        build_report(replace(pairs, turns={2: np.array([0, PAIRS])}), [judge])
    with pytest.raises(ValueError, match="votes_left_out"):
        build_report(pairs, [judge], votes=replace(votes, pair=votes.pair + PAIRS))
