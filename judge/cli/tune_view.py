"""What tuning found, in words. Pure."""

import textwrap
from typing import TYPE_CHECKING

from judge.cli.columns import aligned
from judge.cli.compare_view import headline
from judge.cli.figure_words import many, p_number, range_words, share_words, signed_points
from judge.cli.visible import on_one_line

if TYPE_CHECKING:
    from judge.tuning.tuning import Standing, Tuned

WIDTH = 100
_HEAD = ("", "agreement", "95 % CI", "more than config", "95 % CI", "p, Holm", "labelled", "")
_METRICS = {"s1": "S1", "s2": "S2", "majority": "S1 with the majority"}


def tuned_lines(tuned: "Tuned") -> list[str]:
    """Return the answer first: the test split, where it was looked at, then all that was tried."""
    return [*_wrapped(_answer(tuned)), "", *_dev(tuned)]


def _answer(tuned: "Tuned") -> str:
    winner = on_one_line(tuned.winner.name)
    if tuned.test is None:
        return (
            f"Nothing that was tried agrees more with people than {winner}, the judge of the "
            "config; the test split was not looked at."
        )
    told = headline(tuned.test.couples[0])
    if tuned.is_better:
        verdict = "So it is better, on prompts that took no part in choosing it."
    else:
        verdict = "So the test split does not show that it is better: keep the config's judge."
    look = tuned.test.look
    seen = ""
    if look is not None:
        again = ", repeated," if look.is_repeated else ""
        seen = (
            f" Look {look.number}{again} of {look.looks} at {many(look.prompts, 'test prompt')}: "
            f"the level is {look.level:.2g}."
        )
    return f"On the test split: {told} {verdict}{seen}"


def _dev(tuned: "Tuned") -> list[str]:
    aside = (
        f"; {many(tuned.shown_prompts, 'prompt')} shown as examples set aside"
        if tuned.shown_prompts
        else ""
    )
    rows = [_HEAD, *(_row(one, tuned) for one in tuned.standings)]
    return [
        f"Tried on the dev split, {many(tuned.dev_prompts, 'prompt')}{aside}. Agreement is "
        f"{_METRICS[tuned.metric.value]}:",
        *(f"  {line}" for line in aligned(rows, right=frozenset({1, 3, 5, 6}))),
        *_wrapped(
            f"The best of {len(tuned.standings)} looks better here than it is, because it was "
            "chosen here: quote the test split. A pair without a label agrees with nobody."
        ),
    ]


def _row(one: "Standing", tuned: "Tuned") -> tuple[str, ...]:
    estimate, difference = one.agreement, one.difference
    has_ends = estimate.low is not None and estimate.high is not None
    ends = f"{100 * (estimate.low or 0):.1f} to {100 * (estimate.high or 0):.1f}"
    remarks = [f"{status} {count:,}" for status, count in one.statuses.items()]
    if one.variant.judge_key == tuned.incumbent.judge_key:
        remarks.insert(0, "the config's")
    if one.left_after is not None:
        remarks.append(f"left the race after {many(one.left_after, 'prompt')}")
    return (
        on_one_line(one.variant.name),
        share_words(estimate),
        ends if has_ends else "-",
        "-" if difference is None or difference.value is None else signed_points(difference.value),
        "-" if difference is None else range_words(difference),
        "-" if one.p_holm is None else p_number(one.p_holm),
        f"{one.labelled:,} of {one.pairs:,}",
        ", ".join(remarks),
    )


def _wrapped(sentence: str) -> list[str]:
    return textwrap.wrap(sentence, WIDTH, break_long_words=False, break_on_hyphens=False)
