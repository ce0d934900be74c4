"""A plan for human labels in words. Pure."""

import math
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from judge.cli.columns import aligned
from judge.cli.visible import on_one_line

if TYPE_CHECKING:
    from judge.trust.label_plan import Goal, Plan, PresentGold

WIDTH = 100
_METRICS = {"s1": "S1", "s2": "S2", "majority": "with the majority"}
_HEAD = ("goal", "independent", "deff", "prompts", "labels", "more prompts", "more labels", "cost")


def plan_lines(plan: "Plan") -> list[str]:
    """Return what to buy for each goal, a table of it, and what was assumed."""
    told = [_present(plan.present, plan)] if plan.present is not None else []
    told += [sentence for goal in plan.goals for sentence in _sentences(goal, plan)]
    lines = [line for text in told for line in textwrap.wrap(text, WIDTH)]
    rows = [_row(goal) for goal in plan.goals if goal.items is not None]
    if rows:
        kept = [at for at, _ in enumerate(_HEAD) if any(row[at] for row in rows)]
        table = [[row[at] for at in kept] for row in (_HEAD, *rows)]
        lines += ["", *aligned(table, right=frozenset(range(1, len(kept))))]
    notes = [*plan.notes, *_advice(plan)]
    if notes:
        lines.append("")
        lines += [line for note in notes for line in textwrap.wrap(f"Note: {note}.", WIDTH)]
    return lines


def _present(present: "PresentGold", plan: "Plan") -> str:
    judge = on_one_line(present.judge)
    if present.agreement.value is None:
        return f"Present gold: nothing to say of judge {judge}: {present.agreement.why}."
    each = present.labels / present.pairs
    worth = "" if present.worth is None else f", worth {present.worth:,.0f} independent ones"
    icc = "" if plan.icc is None else f", ICC {min(plan.icc, 1.0):.2f}"
    return (
        f"Present gold: {present.labels:,} labels on {present.pairs:,} pairs of "
        f"{present.prompts:,} prompts ({each:.1f} a pair){worth}; judge {judge} agrees with "
        f"{_percent(present.agreement.value)} ({_METRICS[plan.metric]}){icc}."
    )


def _sentences(goal: "Goal", plan: "Plan") -> Iterator[str]:
    what = _goal_words(goal, plan)
    if goal.is_met:
        yield f"{what}: the present gold is enough; it {_present_words(goal)}."
    elif goal.prompts is None or goal.labels is None:
        yield f"{what}: {goal.why}."
    else:
        buy = f"{goal.labels:,} labels on {goal.prompts:,} prompts"
        if plan.present is not None:
            buy = f"{goal.more_labels:,} more labels on {goal.more_prompts:,} more prompts"
        cost = "" if goal.cost_usd is None else f", ${goal.cost_usd:,.2f}"
        yield f"{what}: {buy}{cost}."
    if not goal.is_met and goal.present is not None:
        yield f"The present gold {_present_words(goal)}."


def _goal_words(goal: "Goal", plan: "Plan") -> str:
    level, power = _percent(plan.confidence), _percent(plan.power)
    if goal.kind == "certify":
        return (
            f"To certify at least {_percent(goal.size)} if the truth is {_percent(goal.expected)} "
            f"({level} confidence, {power} power)"
        )
    if goal.kind == "half_width":
        return (
            f"To know an agreement of {_percent(goal.expected)} to {_points(goal.size)} either "
            f"side ({level} interval)"
        )
    return (
        f"To tell two judges {_points(goal.size)} apart if they differ on "
        f"{_percent(goal.expected)} of the labels ({level} confidence, {power} power)"
    )


def _present_words(goal: "Goal") -> str:
    present = goal.present or 0.0
    if goal.kind == "certify":  # rounded down: rounding up would claim too much
        return f"certifies {math.floor(1000 * present + 1e-9) / 10:g} %"
    if goal.kind == "half_width":
        return f"tells it to {_points(present)} either side"
    return f"tells {_points(present)} apart"


def _row(goal: "Goal") -> tuple[str, ...]:
    names = {
        "certify": f"at least {_percent(goal.size)}",
        "half_width": f"within {_points(goal.size)}",
        "difference": f"{_points(goal.size)} apart",
    }
    is_beyond = goal.more_prompts != goal.prompts
    return (
        names[goal.kind],
        f"{goal.items:,}",
        f"{goal.deff:.2f}",
        f"{goal.prompts:,}",
        f"{goal.labels:,}",
        f"{goal.more_prompts:,}" if is_beyond else "",
        f"{goal.more_labels:,}" if is_beyond else "",
        "" if goal.cost_usd is None else f"${goal.cost_usd:,.2f}",
    )


def _advice(plan: "Plan") -> Iterator[str]:
    if any(goal.items and goal.deff and goal.deff > 1.05 for goal in plan.goals):
        yield (
            "buy prompts rather than labels per prompt: with one label on each prompt, the "
            "independent labels above are all it takes"
        )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def _points(share: float) -> str:
    return f"{100 * share:.3g} points"
