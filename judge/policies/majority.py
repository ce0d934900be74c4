"""Labels from readings that a policy chose: several samples of an order count as one."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from judge.outcomes.labels import Rule, resolve_label
from judge.policy import BOTH_ORDERS
from judge.records import Label, Order, Reading, Verdict


def resolve_samples(
    pair_id: str,
    readings: Sequence[Reading],
    *,
    rule: Rule,
    expected_orders: Sequence[Order] | None = None,
) -> Label:
    """Return the label of a pair from the readings that count.

    The soft rule takes every sample as it is; under the others the samples of an order are one
    reading first, as `majority_readings` says. The label names them all. Expected are the orders
    that there are readings of, where nothing else is said.
    """
    present = [order for order in BOTH_ORDERS if any(r.order is order for r in readings)]
    expected = expected_orders or present or BOTH_ORDERS
    whole = resolve_label(pair_id, readings, rule=rule, expected_orders=expected)
    asked = Counter((reading.judge_key, reading.order) for reading in readings)
    if rule is Rule.SOFT or all(count == 1 for count in asked.values()):
        return whole
    folded = majority_readings(readings)
    label = resolve_label(pair_id, folded, rule=rule, expected_orders=expected)
    chosen = set(label.judgments)
    voted = {(r.judge_key, r.order) for r in folded if r.judgment_id in chosen}
    ids = (r.judgment_id for r in readings if (r.judge_key, r.order) in voted)
    # The probability is that of every sample, not of those that speak for the others.
    told = {"probability": whole.probability, "margin": whole.margin}
    return label.model_copy(update={"judgments": tuple(sorted(ids)), **told})


def majority_readings(readings: Sequence[Reading]) -> list[Reading]:
    """Return one reading per judge and order: what most of its samples say.

    Samples without a verdict do not vote. Where the most votes are shared, the order says tie: it
    leans neither way. An order without any verdict stands as its newest failure.
    """
    asked: dict[tuple[str, Order], list[Reading]] = {}
    for reading in sorted(readings, key=lambda r: (r.judge_key, r.order, r.sample, r.judgment_id)):
        asked.setdefault((reading.judge_key, reading.order), []).append(reading)
    return [_majority(past) for past in asked.values()]


def judge_labels(readings: Sequence[Reading], rule: Rule) -> dict[str, Label]:
    """Return judge key -> the label that each judge's readings make by themselves."""
    return {
        key: resolve_samples("", [r for r in readings if r.judge_key == key], rule=rule)
        for key in sorted({reading.judge_key for reading in readings})
    }


def _majority(past: Sequence[Reading]) -> Reading:
    verdicts = Counter(reading.verdict for reading in past if reading.verdict is not None)
    if not verdicts:
        return past[-1]
    most = max(verdicts.values())
    shared = [verdict for verdict, votes in verdicts.items() if votes == most]
    verdict = shared[0] if len(shared) == 1 else Verdict.TIE
    spoken = next((r for r in past if r.verdict is verdict), None)
    return spoken or replace(past[0], verdict=Verdict.TIE, status=None)
