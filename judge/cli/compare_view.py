"""A comparison of judges in words. Pure."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from judge.cli.columns import aligned
from judge.cli.figure_words import (
    interval_words,
    many,
    p_number,
    p_words,
    points,
    range_words,
    share_words,
    signed_points,
)
from judge.cli.progress_line import percent
from judge.cli.visible import on_one_line

if TYPE_CHECKING:
    from calibration.significance import ChiSquareTest
    from judge.trust.comparison import Couple, JudgeComparison, Side

WIDTH = 100

_METRICS = {"s1": "of the votes", "s2": "of the decided votes", "majority": "of the majorities"}
_ROWS = {"s1": "S1, with ties", "s2": "S2, without ties", "majority": "S1 with the majority"}
_OUTCOMES = ("first", "second", "tie", "inconsistent", "no label")


def comparison_lines(found: "JudgeComparison") -> list[str]:
    """Return the answer first, then what it rests on and what could not be computed."""
    is_two = len(found.sides) == 2
    blocks = [
        [*_wrapped(headline(found.couples[0]) if is_two else _many_headline(found)), *_look(found)],
        _claims(found),
        _agreement(found.couples[0]) if is_two else _couples(found.couples),
        _labels(found),
        _changed(found),
        _data(found),
        _absences(found),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block).split("\n")


def headline(couple: "Couple") -> str:
    """Return one sentence: the difference, its interval, and the p-value last."""
    found, (first, second) = couple.comparison, _names(couple)
    difference = found.difference
    if difference.value is None:
        return (
            f"Which of {first} and {second} agrees more with people is unknown: {difference.why}."
        )
    one, two = map(share_words, found.agreement(found.metric))
    word = "more" if difference.value > 0 else "less" if difference.value < 0 else "as often"
    amount = f"{points(abs(difference.value))} points {word}" if word != "as often" else word
    of = _METRICS[found.metric]
    return (
        f"{second} agrees with {two} {of}, {first} with {one}: {second} {amount} "
        f"({interval_words(difference, found.level)}); p = {p_words(found.p)}."
    )


def failed_claims(found: "JudgeComparison") -> list[str]:
    """Return the judges that are not surely within the stated margin, with the reason."""
    level = found.claim_level()
    failed = []
    for couple in found.couples[: len(found.sides) - 1]:
        comparison = couple.comparison
        if comparison.margin is None or comparison.is_non_inferior(level):
            continue
        first, second = _names(couple)
        bound = comparison.differences[comparison.metric].at(level)
        why = (
            f"unknown: {bound.why}"
            if bound.low is None
            else f"it may be {points(-bound.low)} points worse"
        )
        margin = f"{100 * comparison.margin:g} points"
        failed.append(f"{second} is not surely within {margin} of {first}; {why}")
    return failed


def _many_headline(found: "JudgeComparison") -> str:
    names = ", ".join(on_one_line(side.name) for side in found.sides)
    q = found.q
    if q is None or q.p is None:
        return f"Whether any of {names} differs was not tested: {q.why if q else ''}."
    differ = "not all the same" if q.p <= found.alpha else "not told apart"
    return (
        f"{names} are {differ} in their agreement with people: Cochran's Q over prompts "
        f"{q.statistic:.2f}, {many(q.degrees, 'degree')} of freedom, p = {p_number(q.p)}."
    )


def _look(found: "JudgeComparison") -> list[str]:
    look = found.look
    if look is None:
        return []
    again = ", repeated," if look.is_repeated else ""
    of = f"look {look.number}{again} at the votes on these test prompts"
    p = [couple.p_adjusted for couple in found.couples if couple.p_adjusted is not None]
    if look.looks == 1:
        return _wrapped(f"This is {of} ({many(look.prompts, 'test prompt')}).")
    start = (
        f"This is {of} ({many(look.prompts, 'test prompt')}); with Bonferroni over "
        f"{look.looks} looks the level is {look.level:.4f}"
    )
    if not p:
        return _wrapped(f"{start}.")
    lowest = min(p)
    if lowest > 0.05:
        return _wrapped(f"{start}; there is no difference at 0.05 either.")
    held = "still holds" if lowest <= look.level else "does not hold any more"
    return _wrapped(f"{start}, where the difference {held}.")


def _claims(found: "JudgeComparison") -> list[str]:
    margin = found.settings.margin
    if margin is None:
        return []
    level, lines = found.claim_level(), []
    for couple in found.couples[: len(found.sides) - 1]:
        first, second = _names(couple)
        bound = couple.comparison.differences[found.settings.metric].at(level)
        passed = couple.comparison.is_non_inferior(level)
        is_or_not = "is not inferior" if passed else "is not shown to be non-inferior"
        low = "unknown" if bound.low is None else f"{signed_points(bound.low)} points"
        lines += _wrapped(
            f"{second} {is_or_not} to {first} by the margin of {100 * margin:g} points: "
            f"lower bound {low} at {100 * level:.4g} %."
        )
    return lines


def _agreement(couple: "Couple") -> list[str]:
    found, (first, second) = couple.comparison, _names(couple)
    rows: list[Sequence[str]] = [("", first, second, "difference", "interval", "n")]
    for metric, difference in found.differences.items():
        estimate = difference.at(found.level)
        if estimate.value is None:
            continue
        rows.append(
            (
                _ROWS[metric],
                *map(share_words, found.agreement(metric)),
                signed_points(estimate.value),
                range_words(estimate),
                f"{estimate.n:,}",
            )
        )
    if len(rows) == 1:
        return []
    buckets = {bucket.name: count for bucket, count in found.buckets.items()}
    told = ("FIXED", "BROKEN", "STILL_RIGHT", "STILL_WRONG")
    counts = ", ".join(f"{name.lower().replace('_', ' ')} {buckets[name]:,}" for name in told)
    method = f" ({found.p.method})" if found.p.method else ""
    return [
        *aligned(rows, right=frozenset({1, 2, 3, 5})),
        *_wrapped(
            f"p = {p_words(found.p)} for {_ROWS[found.metric]}{method}; "
            f"{many(found.p.n, 'prompt')} of {found.prompts:,} differ"
        ),
        f"by the majority of the votes: {counts}",
    ]


def _couples(couples: Sequence["Couple"]) -> list[str]:
    rows: list[Sequence[str]] = [
        ("first", "second", "first", "second", "difference", "interval", "p", "Holm's p")
    ]
    for couple in couples:
        found = couple.comparison
        difference = found.difference
        rows.append(
            (
                *_names(couple),
                *map(share_words, found.agreement(found.metric)),
                "-" if difference.value is None else signed_points(difference.value),
                range_words(difference),
                p_words(found.p),
                "-" if couple.p_adjusted is None else p_number(couple.p_adjusted),
            )
        )
    return [
        f"{_ROWS[couples[0].comparison.metric]}: every two judges, the second less the first",
        *aligned(rows, right=frozenset({2, 3, 4, 6, 7})),
    ]


def _labels(found: "JudgeComparison") -> list[str]:
    lines = [
        f"equal labels: {found.equal:,} of {found.common:,} ({percent(found.equal, found.common)})"
    ]
    if found.shift is None:
        return lines
    if found.common:
        first, second = (on_one_line(side.name) for side in found.sides)
        lines += [f"outcome of {first} (rows) and of {second} (columns)", *_table(found.outcomes)]
    moved = _test("Stuart-Maxwell", found.shift.stuart_maxwell)
    turned = _test("Bowker", found.shift.bowker)
    lines += _wrapped(f"distribution of labels: {moved}", indent="  ")
    return [*lines, *_wrapped(f"direction of changes: {turned}", indent="  ")]


def _table(outcomes: Mapping[str, Mapping[str, int]]) -> list[str]:
    columns = [name for name in _OUTCOMES if any(name in row for row in outcomes.values())]
    rows: list[Sequence[str]] = [("", *columns)]
    rows += [
        (name, *(f"{outcomes[name].get(column, 0):,}" for column in columns))
        for name in _OUTCOMES
        if name in outcomes
    ]
    return aligned(rows, right=frozenset(range(1, len(columns) + 1)))


def _test(name: str, test: "ChiSquareTest") -> str:
    if test.p is None or test.statistic is None:
        return f"{name} not computed, for {test.why}"
    degrees = many(test.degrees, "degree")
    return (
        f"{name} {test.statistic:.2f}, {degrees} of freedom, p = {p_number(test.p)} ({test.method})"
    )


def _changed(found: "JudgeComparison") -> list[str]:
    if not found.changed:
        return []
    rows = []
    for change in found.changed:
        votes = ", ".join(f"{name} {count}" for name, count in change.votes.items())
        arrow = f"{change.first} -> {change.second}"
        rows.append((change.bucket, on_one_line(change.pair_id), arrow, f"people: {votes or '-'}"))
    start = f"changed labels: {many(found.n_changed, 'pair')}"
    shown = "" if found.n_changed == len(rows) else f", {len(rows)} of them are"
    return [start + shown, *(f"  {line}" for line in aligned(rows))]


def _data(found: "JudgeComparison") -> list[str]:
    pairs = f"{many(found.common, 'common pair')}, {found.compared:,} labelled by all"
    lines = [f"{pairs}; {many(found.votes_used, 'vote')} used ({found.gold})"]
    lines += [f"  {_side(side, found.common)}" for side in found.sides]
    lines += [f"  left out {many(n, 'vote')}: {why}" for why, n in found.votes_left_out.items()]
    return [part for line in lines for part in _wrapped(line, indent="    ")]


def _side(side: "Side", common: int) -> str:
    more = f", {side.pairs - common:,} pairs of its own" if side.pairs > common else ""
    return on_one_line(
        f"{side.name}: judge {side.judge} of run {side.run_id}, model {', '.join(side.models)}, "
        f"prompt {', '.join(side.prompts)}, rule {side.rule}; {side.labelled:,} labelled{more}"
    )


def _absences(found: "JudgeComparison") -> list[str]:
    reasons = [
        f"not computed: {_ROWS[metric]} ({difference.why})"
        for metric, difference in found.couples[0].comparison.differences.items()
        if difference.value is None
    ]
    reasons += [
        f"no interval: {_ROWS[metric]} ({difference.why})"
        for metric, difference in found.couples[0].comparison.differences.items()
        if difference.value is not None and difference.why is not None
    ]
    return reasons


def _names(couple: "Couple") -> tuple[str, str]:
    return on_one_line(couple.first), on_one_line(couple.second)


def _wrapped(sentence: str, *, indent: str = "") -> list[str]:
    return textwrap.wrap(sentence, WIDTH, subsequent_indent=indent)
