from dataclasses import replace

import pytest

from calibration.intervals import Estimate
from calibration.report.html.charts import Axis, Dot, dots_chart
from calibration.report.html.judge_tables import judges_table
from calibration.report.html.page import report_html
from calibration.report.html.pictures import annotator_pictures
from calibration.report.html.tables import Form, Line, estimates_table
from tests.report_fixture import full_report


def test_long_names_in_a_chart_lose_their_middle_so_that_they_stay_apart() -> None:
    estimate = Estimate(0.5, 0.4, 0.6, 9)
    names = [f"a-model-with-a-very-long-name-{end}" for end in ("one", "two")]
    svg = str(dots_chart([Dot(name, "judge", estimate) for name in names], Axis("x")))
    assert "a-model-wi…g-name-one" in svg
    assert "a-model-wi…g-name-two" in svg


def test_the_chart_of_annotators_says_how_many_it_shows() -> None:
    report = full_report()
    absent = Estimate(None, None, None, 3, "too few to show")
    name, figures = next(iter(report.ceiling.annotators.items()))
    some = {**report.ceiling.annotators, name: replace(figures, s1=absent)}
    assert [p.title for p in annotator_pictures(report)] == ["Annotators"]
    less = replace(report, ceiling=replace(report.ceiling, annotators=some))
    assert [p.title for p in annotator_pictures(less)] == [
        f"{len(some) - 1} of {len(some)} annotators"
    ]


def test_confidence_is_drawn_of_the_judges_that_state_it_where_the_delivered_one_does_not() -> None:
    report = full_report()
    delivered = report.judges[report.delivered]
    absent = Estimate(None, None, None, 0, "the judge gave no probabilities")
    silent = replace(delivered.reliability, curve=(), coverage=(), brier=absent)
    judges = {**report.judges, report.delivered: replace(delivered, reliability=silent)}
    page = report_html(replace(report, judges=judges), title="Agreement")
    section = page.split('<section id="confidence"')[1].split("</section>")[0]
    assert '<details class="judge" open>' in section
    assert "<figcaption>Reliability</figcaption>" in section
    usual = (
        report_html(report, title="Agreement")
        .split('<section id="confidence"')[1]
        .split("</section>")[0]
    )
    assert '<details class="judge">' in usual


def test_a_price_that_is_unknown_says_so() -> None:
    report = full_report()
    judges = {
        name: replace(
            judge, expense=replace(judge.expense, usd_per_1000=None, usd_per_1000_labels=None)
        )
        for name, judge in report.judges.items()
    }
    notes = " ".join(judges_table(replace(report, judges=judges)).notes)
    assert "not every judgment has a known price" in notes


@pytest.mark.parametrize(("p", "text"), [(1.46e-17, "< 0.001"), (0.0432, "0.043"), (1.0, "1.000")])
def test_a_p_value_is_never_written_as_zero(p: float, text: str) -> None:
    made = estimates_table("t", "c", heads=("p",), lines=[Line("x", (p,), Form.P)])
    cell = made.rows[0].cells[0]
    assert cell is not None
    assert cell.text == text
