"""Thresholds on a report: which failed, by how much, and that what is unknown never passes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.agreement import VoteColumns
from calibration.position import TwoOrders
from calibration.report.build import IntervalSettings, build_report
from calibration.report.columns import PANEL_HAS_NO_ORDER, JudgeColumns, PairColumns
from calibration.report.model import Report
from calibration.report.thresholds import Thresholds, failures

FEW_DRAWS = IntervalSettings(draws=50)
PAIRS = 40


def a_judge(name: str = "gpt", *, flips: int = 10, unparsed: int = 4) -> JudgeColumns:
    """Says first 30 times and second 10 times, flipping from the front, unparsed from the back."""
    row = np.arange(PAIRS)
    said = np.where(row < 30, 1, -1).astype(np.int8)
    everywhere = np.ones(PAIRS, bool)
    backward = np.where(row < flips, -said, said).astype(np.int8)
    return JudgeColumns(
        name=name,
        label=said,
        has_label=everywhere,
        inconsistent=~everywhere,
        judgments=np.full(PAIRS, 2),
        statuses={"unparsed": (row >= PAIRS - unparsed).astype(int)},
        orders=TwoOrders(said, backward, everywhere, everywhere),
    )


def a_report(*judges: JudgeColumns, voted: bool = True) -> Report:
    """Every vote is for the first answer, one in five a tie: S1 of the judge is 24 / 40."""
    row = np.arange(PAIRS)
    choice = np.where(row % 5 == 0, 0, 1).astype(np.int8)
    votes = VoteColumns(row, row % 3, choice) if voted else None
    given_judges = judges or (a_judge(),)
    return build_report(
        PairColumns(row // 2),
        given_judges,
        votes=votes,
        delivered=given_judges[-1].name,
        intervals=FEW_DRAWS,
    )


def test_thresholds_that_hold_say_nothing() -> None:
    asked = Thresholds(min_agreement=0.6, max_flip=0.25, max_unparsed=0.05)
    assert failures(a_report(), asked) == []
    assert failures(a_report(), Thresholds()) == []
    assert asked.is_any
    assert not Thresholds(metric="s2").is_any


def test_a_failure_names_the_figure_its_interval_and_the_gap() -> None:
    report = a_report()
    s1 = report.judges["gpt"].s1.micro
    assert s1.low is not None
    assert s1.high is not None
    [failure] = failures(report, Thresholds(min_agreement=0.75))
    assert failure == (
        f"S1 of judge gpt is 60.0 % ({100 * s1.low:.1f}-{100 * s1.high:.1f}, n 40), "
        "15.0 points below the minimum of 75 %"
    )
    flip, unparsed = failures(report, Thresholds(max_flip=0.2, max_unparsed=0.0499))
    assert flip.startswith("the share of pairs that judge gpt flips is 25.0 % (")
    assert flip.endswith(", n 40), 5.0 points above the maximum of 20 %")
    assert unparsed.startswith("the share of unparsed replies of judge gpt is 5.0 % (")
    assert unparsed.endswith(", n 80), 0.01 points above the maximum of 4.99 %")


def test_the_value_counts_and_not_the_lower_end_of_its_interval() -> None:
    report = a_report()
    low = report.judges["gpt"].s1.micro.low
    assert low is not None
    assert low < 0.55
    assert failures(report, Thresholds(min_agreement=0.6)) == []


def test_the_metric_chooses_the_agreement() -> None:
    # Of the 32 decided votes, all for the first answer, the judge shares 24.
    assert failures(a_report(), Thresholds(min_agreement=0.75, metric="s2")) == []
    [failure] = failures(a_report(), Thresholds(min_agreement=0.76, metric="s2"))
    assert failure.startswith("S2 of judge gpt is 75.0 %")


def test_what_is_not_known_fails_with_its_reason() -> None:
    one_order = replace(a_judge(), orders=None, why_no_orders="one order was asked")
    asked = Thresholds(min_agreement=0, max_flip=1)
    assert failures(a_report(one_order, voted=False), asked) == [
        "S1 of judge gpt is unknown (no human vote on a labelled pair), "
        "so the minimum of 0 % is not met",
        "the share of pairs that judge gpt flips is unknown (one order was asked), "
        "so the maximum of 100 % is not met",
    ]


def test_every_judge_is_held_to_flips_and_only_the_delivered_labels_to_agreement() -> None:
    steady, shaky = a_judge("steady", flips=0, unparsed=0), a_judge("shaky")
    panel = replace(steady, name="panel", orders=None, why_no_orders=PANEL_HAS_NO_ORDER)
    contrary = replace(shaky, label=-shaky.label)
    report = a_report(steady, contrary, panel)
    asked = Thresholds(min_agreement=0.5, max_flip=0.1, max_unparsed=0.01)
    names = [failure.split(" is ")[0] for failure in failures(report, asked)]
    assert names == [
        "the share of pairs that judge shaky flips",
        "the share of unparsed replies of judge shaky",
    ]


@pytest.mark.parametrize("share", [-0.01, 1.01, 75, float("nan")])
@pytest.mark.parametrize("name", ["min_agreement", "max_flip", "max_unparsed"])
def test_a_threshold_outside_of_0_to_1_is_refused(name: str, share: float) -> None:
    with pytest.raises(ValueError, match=rf"{name} is .*; give a share from 0 to 1"):
        Thresholds(**{name: share})


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_stricter_threshold_never_passes_where_a_milder_one_fails(one: float, two: float) -> None:
    report, (mild, strict) = a_report(), sorted((one, two))
    if failures(report, Thresholds(min_agreement=mild)):
        assert failures(report, Thresholds(min_agreement=strict))
    if failures(report, Thresholds(max_flip=strict)):
        assert failures(report, Thresholds(max_flip=mild))
