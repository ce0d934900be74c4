"""Grades and ratings of a label: oriented, averaged, and written as margins and columns."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.errors import ConfigError
from judge.formats.labels import label_row
from judge.job.judging import ResolvedJudge, resolve_judge
from judge.outcomes.attributes import check_scales, mean_grade, mean_ratings, with_ratings
from judge.outcomes.labels import Rule, resolve_label
from judge.outcomes.margins import MarginSource, attribute_columns, margin_of
from judge.records import AttributeMeans, Label, Order, Outcome, Reading, Status, Verdict
from judge.settings.config import Endpoint, Judge

FORWARD, REVERSED = Order.FORWARD, Order.REVERSED
SIDES = {2: Verdict.A, 1: Verdict.A, 0: Verdict.TIE, -1: Verdict.B, -2: Verdict.B}
ENDPOINT = Endpoint(base_url="http://127.0.0.1:9/v1")


def reading(
    order: Order,
    grade: int | None = None,
    *,
    judge: str = "k",
    sample: int = 0,
    ratings: dict[str, tuple[float, float]] | None = None,
    verdict: Verdict | None = Verdict.A,
) -> Reading:
    return Reading(
        judgment_id=f"{judge}-{order}-{sample}",
        judge_key=judge,
        order=order,
        sample=sample,
        verdict=SIDES[grade] if grade is not None else verdict,
        status=None if grade is not None or verdict is not None else Status.UNPARSED,
        grade=grade,
        ratings=ratings,
    )


def label_of(*readings: Reading, rule: Rule = Rule.CONSERVATIVE) -> Label:
    return with_ratings(resolve_label("p", readings, rule=rule), readings)


# ----------------------------------------------------------------------------------------------
# grades


def test_grades_that_name_the_same_winner_agree_and_are_averaged() -> None:
    label = label_of(reading(FORWARD, 2), reading(REVERSED, -1))
    assert (label.outcome, label.grade) == (Outcome.FIRST, 1.5)


def test_a_judge_stuck_on_a_position_is_inconsistent_and_of_grade_0() -> None:
    label = label_of(reading(FORWARD, 2), reading(REVERSED, 2))
    assert (label.outcome, label.grade) == (Outcome.INCONSISTENT, 0)


def test_one_order_alone_gives_an_undecided_label_no_grade() -> None:
    label = label_of(reading(FORWARD, 2), reading(REVERSED, verdict=None))
    assert (label.outcome, label.grade) == (Outcome.UNDECIDED, None)


def test_judges_count_alike_however_often_they_were_asked() -> None:
    thrice = [reading(o, 2 if o is FORWARD else -2, sample=s) for o in Order for s in range(3)]
    once = [reading(FORWARD, 0, judge="l"), reading(REVERSED, 0, judge="l")]
    assert mean_grade([*thrice, *once]) == 1
    assert mean_grade([]) is None


GRADE = st.integers(-2, 2)


@given(GRADE, GRADE, GRADE, GRADE)
def test_exchanging_the_candidates_turns_the_grade_and_the_ratings(
    forward: int, reversed_: int, a: int, b: int
) -> None:
    given_ = [
        reading(FORWARD, forward, ratings={"style": (a, b)}),
        reading(REVERSED, reversed_, ratings={"style": (b, 3)}),
    ]
    other = [each.oriented(is_exchanged=True) for each in given_]
    straight, exchanged = label_of(*given_), label_of(*other)
    assert straight.grade is not None
    assert exchanged.grade == -straight.grade
    assert straight.attributes is not None
    assert exchanged.attributes == {
        name: AttributeMeans(first=means.second, second=means.first)
        for name, means in straight.attributes.items()
    }


@given(GRADE, GRADE)
def test_a_conservative_winner_is_never_behind_in_grade(forward: int, reversed_: int) -> None:
    label = label_of(reading(FORWARD, forward), reading(REVERSED, reversed_))
    if label.outcome in (Outcome.FIRST, Outcome.SECOND):
        margin = margin_of(label, MarginSource.GRADE)
        assert margin is not None
        assert 1 <= margin <= 2


# ----------------------------------------------------------------------------------------------
# ratings


def test_ratings_are_oriented_and_averaged_over_the_orders() -> None:
    label = label_of(
        reading(FORWARD, 1, ratings={"accuracy": (6, 4), "style": (5, 5)}),
        reading(REVERSED, -1, ratings={"accuracy": (3, 7), "style": (1, 2)}),
    )
    assert label.attributes == {
        "accuracy": AttributeMeans(first=6.5, second=3.5),
        "style": AttributeMeans(first=3.5, second=3),
    }


def test_each_judge_rates_its_own_attributes() -> None:
    readings = [
        reading(FORWARD, judge="k", ratings={"accuracy": (6, 4)}),
        reading(FORWARD, judge="l", ratings={"accuracy": (2, 2), "style": (5, 1)}),
    ]
    assert mean_ratings(readings) == {
        "accuracy": AttributeMeans(first=4, second=3),
        "style": AttributeMeans(first=5, second=1),
    }
    assert mean_ratings([reading(FORWARD)]) is None


def test_a_label_without_grades_and_ratings_is_written_as_before() -> None:
    label = label_of(reading(FORWARD), reading(REVERSED, verdict=Verdict.B))
    assert label == resolve_label(
        "p", [reading(FORWARD), reading(REVERSED, verdict=Verdict.B)], rule=Rule.CONSERVATIVE
    )
    assert not {"grade", "attributes"} & label_row(label).keys()


def test_a_label_row_holds_the_grade_and_each_attribute_with_its_margin() -> None:
    row = label_row(
        label_of(
            reading(FORWARD, 2, ratings={"accuracy": (6, 4)}),
            reading(REVERSED, -1, ratings={"accuracy": (3, 7)}),
        )
    )
    assert row["grade"] == 1.5
    assert row["attributes"] == {"accuracy": {"first": 6.5, "second": 3.5, "margin": 3.0}}


# ----------------------------------------------------------------------------------------------
# margins and columns


def decided(outcome: Outcome, grade: float | None = None, **more: object) -> Label:
    return Label.model_validate(
        {"pair_id": "p", "outcome": outcome, "grade": grade, "rule": "x", **more}
    )


@pytest.mark.parametrize(
    ("outcome", "grade", "margin"),
    [
        (Outcome.FIRST, 2, 2),
        (Outcome.FIRST, 1.5, 1.5),
        (Outcome.SECOND, -1, 1),
        (Outcome.FIRST, -0.2, 0),  # outvoted judges were surer
    ],
)
def test_a_margin_by_grade_is_the_lead_of_the_winner(
    outcome: Outcome, grade: float, margin: float
) -> None:
    assert margin_of(decided(outcome, grade), MarginSource.GRADE) == margin
    assert margin_of(decided(outcome, grade), MarginSource.GRADE_UNIT) == margin / 2


def test_a_margin_is_of_the_probability_unless_told_and_none_where_told() -> None:
    label = decided(Outcome.FIRST, 2, probability=0.9, margin=0.8)
    assert margin_of(label, MarginSource.PROBABILITY) == 0.8
    assert margin_of(label, MarginSource.NONE) is None


def test_a_margin_by_grade_where_nothing_is_graded_says_so() -> None:
    with pytest.raises(ConfigError, match=r'pair "p": its label has no grade.*pair-grades'):
        margin_of(decided(Outcome.FIRST), MarginSource.GRADE)


@pytest.mark.parametrize(
    ("outcome", "chosen", "rejected"), [(Outcome.FIRST, 6, 4), (Outcome.SECOND, 4, 6)]
)
def test_columns_speak_of_the_chosen_and_the_rejected_answer(
    outcome: Outcome, chosen: float, rejected: float
) -> None:
    label = decided(outcome, attributes={"style": {"first": 6, "second": 4}})
    assert attribute_columns(label, ["style", "safety"]) == {
        "style_chosen": chosen,
        "style_rejected": rejected,
        "style_margin": chosen - rejected,
        "safety_chosen": None,
        "safety_rejected": None,
        "safety_margin": None,
    }


# ----------------------------------------------------------------------------------------------
# scales


def judge_of(name: str, scale: int, folder: Path) -> ResolvedJudge:
    path = folder / f"{name}.toml"
    path.write_text(f'name = "{name}"\nscale = {scale}\nattributes = ["accuracy"]\n')
    judge = Judge(model="m", name=name, prompt="pair-ratings", criteria=str(path))
    return resolve_judge(judge, ENDPOINT)


def test_two_scales_of_one_attribute_are_refused_because_their_mean_means_nothing(
    tmp_path: Path,
) -> None:
    five, seven = judge_of("five", 5, tmp_path), judge_of("seven", 7, tmp_path)
    check_scales([five, judge_of("more", 5, tmp_path)])
    with pytest.raises(ConfigError, match=r'"five" and "seven" rate accuracy on 1 to 5 and on 1'):
        check_scales([five, seven])


def test_a_judge_with_edited_criteria_is_another_judge(tmp_path: Path) -> None:
    five, seven = judge_of("v", 5, tmp_path), judge_of("v", 7, tmp_path)
    assert five.judge_key != seven.judge_key
    assert five.judge_key == judge_of("v", 5, tmp_path).judge_key


def test_broken_criteria_name_the_judge() -> None:
    with pytest.raises(ConfigError, match=r'judge "j": criteria qualty: no built-in'):
        resolve_judge(
            Judge(model="m", name="j", prompt="pair-ratings", criteria="qualty"), ENDPOINT
        )
