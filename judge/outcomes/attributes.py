"""Grades and ratings kept with a label: oriented to the candidates, averaged over what it rests on.

Pure. Several samples of an order count as one, the two orders as one judge, and the judges alike:
so a constant pull of a position cancels, and no judge counts more for having been asked more often.
"""

from collections.abc import Iterable, Sequence

from judge.errors import ConfigError
from judge.job.judging import ResolvedJudge
from judge.records import (
    AttributeMeans,
    Label,
    Order,
    Outcome,
    Preference,
    Reading,
    Verdict,
    preference_from,
)


def with_ratings(label: Label, readings: Sequence[Reading]) -> Label:
    """Return the label with the mean grade and ratings of the readings that it rests on.

    As it is where none of them carries any, and where there is no outcome: one order alone would
    keep its position bias.
    """
    if label.outcome is Outcome.UNDECIDED:
        return label
    if all(reading.grade is None and reading.ratings is None for reading in readings):
        return label
    chosen = set(label.judgments)
    decided = [r for r in readings if r.judgment_id in chosen and r.verdict is not None]
    return label.model_copy(
        update={"grade": mean_grade(decided), "attributes": mean_ratings(decided)}
    )


def mean_grade(readings: Iterable[Reading]) -> float | None:
    """Return how much better the first candidate is, -2 to 2; None where nothing is graded."""
    return _mean_of_judges(
        (reading, reading.grade if _is_first_a(reading.order) else -reading.grade)
        for reading in readings
        if reading.grade is not None
    )


def mean_ratings(readings: Sequence[Reading]) -> dict[str, AttributeMeans] | None:
    """Return attribute -> mean ratings of both candidates; None where nothing is rated.

    The attributes come in the order in which they are first met, by judge.
    """
    rated = [
        (reading, reading.ratings)
        for reading in sorted(readings, key=lambda r: (r.judge_key, r.order, r.sample))
        if reading.ratings is not None
    ]
    names = dict.fromkeys(name for _, ratings in rated for name in ratings)
    return {
        name: _means([(r, own[name]) for r, own in rated if name in own]) for name in names
    } or None


def check_scales(judges: Iterable[ResolvedJudge]) -> None:
    """Raise ConfigError where two judges rate one attribute on two scales.

    The mean of their ratings would mean nothing.
    """
    known: dict[str, tuple[str, int]] = {}
    for judge in judges:
        scale = judge.prompt.criteria.scale if judge.prompt.criteria else 0
        for attribute in judge.prompt.rated:
            other, its_scale = known.setdefault(attribute, (judge.name, scale))
            if its_scale != scale:
                raise ConfigError(
                    f'judges "{other}" and "{judge.name}" rate {attribute} on 1 to {its_scale} '
                    f"and on 1 to {scale}, which cannot be averaged; give both one scale, or "
                    "one attribute another name"
                )


def _means(rated: Sequence[tuple[Reading, tuple[float, float]]]) -> AttributeMeans:
    oriented = [
        (reading, shown if _is_first_a(reading.order) else shown[::-1]) for reading, shown in rated
    ]
    first = _mean_of_judges((reading, means[0]) for reading, means in oriented)
    second = _mean_of_judges((reading, means[1]) for reading, means in oriented)
    assert first is not None  # an attribute is listed because something rated it
    assert second is not None
    return AttributeMeans(first=first, second=second)


def _mean_of_judges(values: Iterable[tuple[Reading, float]]) -> float | None:
    """Return the mean over judges of the mean over their orders of the mean over samples."""
    by_judge: dict[str, dict[Order, list[float]]] = {}
    for reading, value in values:
        by_judge.setdefault(reading.judge_key, {}).setdefault(reading.order, []).append(value)
    if not by_judge:
        return None
    return _mean([_mean([_mean(each) for each in asked.values()]) for asked in by_judge.values()])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _is_first_a(order: Order) -> bool:
    return preference_from(Verdict.A, order) is Preference.FIRST
