"""Planning human labels: how many, on how many prompts, and how many beyond the present ones."""

import math
from dataclasses import replace
from pathlib import Path

from calibration.certificates import Metric
from calibration.layout import normal_quantile
from calibration.planning import (
    MCNEMAR_MARGIN,
    MOST_PROMPTS,
    detectable_difference,
    items_for_half_width,
    items_to_certify,
    items_to_compare,
    prompts_for,
    prompts_for_half_width,
    prompts_to_certify,
)
from judge.errors import ConfigError
from judge.ledger.runs import find_run
from judge.ledger.store import Ledger
from judge.trust.audit import Gathered, gather_in
from judge.trust.certifying import check_metric, check_share
from judge.trust.label_plan import Assumed, Goal, Plan
from judge.trust.plan_basis import Basis, basis_of
from judge.trust.present_gold import present_gold

NOTHING_ASSUMED = Assumed()

_COMPARED_BY_S1 = "judges are compared on all votes, ties included"


def plan(
    *,
    at_least: float | None = None,
    half_width: float | None = None,
    difference: float | None = None,
    expected: float | None = None,
    discordance: float | None = None,
    power: float = 0.8,
    confidence: float = 0.95,
    metric: Metric = "s1",
    pairs_per_prompt: float | None = None,
    icc: float | None = None,
    ledger: str | Path | None = None,
    gold: str | Path | None = None,
    run: str = "latest",
    cost_per_label: float | None = None,
) -> Plan:
    """Return how many human labels, on how many prompts, each goal takes.

    Goals, at least one, as shares: certify `at_least`, estimate to `half_width`, tell judges a
    `difference` apart. With a `ledger`, what is not given comes from its votes (or the file
    `gold`), and the plan counts what is needed beyond them. Raises ConfigError, InputError and
    LedgerError.
    """
    shares = {
        "at_least": at_least, "half_width": half_width, "difference": difference, "power": power,
        "confidence": confidence, "discordance": discordance,
    }  # fmt: skip
    for name, share in shares.items():
        if share is not None:
            check_share(name, share)
    check_metric(metric)
    assumed = Assumed(expected, discordance, pairs_per_prompt, icc)
    _check(assumed, cost_per_label)
    if at_least is half_width is difference is None:
        raise ConfigError("nothing to plan for; give at_least, half_width or difference")
    if ledger is None and gold is not None:
        raise ConfigError(f"gold {gold} needs the ledger that its pairs are in; name it")
    gathered = None
    if ledger is not None:
        with Ledger(Path(ledger), read_only=True) as opened:
            gathered = gather_in(opened, find_run(opened, run), gold=str(gold) if gold else None)
    return plan_of(
        gathered,
        at_least=at_least,
        half_width=half_width,
        difference=difference,
        assumed=assumed,
        power=power,
        confidence=confidence,
        metric=metric,
        cost_per_label=cost_per_label,
    )


def plan_of(
    gathered: Gathered | None,
    *,
    at_least: float | None = None,
    half_width: float | None = None,
    difference: float | None = None,
    assumed: Assumed = NOTHING_ASSUMED,
    power: float = 0.8,
    confidence: float = 0.95,
    metric: Metric = "s1",
    cost_per_label: float | None = None,
) -> Plan:
    """Return the plan for goals as `plan` takes them, from gathered columns or without. Pure."""
    gold = None if gathered is None else present_gold(gathered, metric, at_least, confidence)
    basis = basis_of(
        assumed, gold, power=power, confidence=confidence, cost_per_label=cost_per_label
    )
    goals = []
    if at_least is not None:
        goals.append(_to_certify(at_least, basis))
    if half_width is not None:
        goals.append(_to_half_width(half_width, basis))
    if difference is not None:
        goals.append(_to_compare(difference, basis, discordance=assumed.discordance))
    notes = list(basis.notes)
    if half_width is not None and basis.expected is None:
        notes.append("the agreement is taken as 50 %, which needs the most labels")
    if difference is not None and metric != "s1":
        notes.append(_COMPARED_BY_S1)
    return Plan(
        metric=metric,
        confidence=confidence,
        power=power,
        labels_per_prompt=basis.labels_per_prompt,
        icc=basis.icc,
        goals=tuple(goals),
        present=None if gold is None else gold.told,
        notes=tuple(notes),
    )


def _check(assumed: Assumed, cost_per_label: float | None) -> None:
    for name, share in (("expected", assumed.expected), ("icc", assumed.icc)):
        if share is not None and not 0 <= share <= 1:
            raise ConfigError(f"{name} is {share}; give a share from 0 to 1")
    pairs = assumed.pairs_per_prompt
    if pairs is not None and not 1 <= pairs < math.inf:
        raise ConfigError(f"pairs_per_prompt is {pairs}; give a number from 1")
    if cost_per_label is not None and not 0 <= cost_per_label < math.inf:
        raise ConfigError(f"cost_per_label is {cost_per_label}; give dollars from 0")


def _to_certify(target: float, basis: Basis) -> Goal:
    expected = basis.expected
    if expected is None:
        raise ConfigError(
            "the agreement to expect is not known; give --expected (expected=), or a ledger "
            "with votes"
        )
    goal = Goal("certify", target, expected, deff=basis.layout.deff)
    is_met = False
    if basis.gold is not None:
        is_met = basis.gold.certificate.is_granted
        goal = replace(goal, present=basis.gold.certificate.bound, is_met=is_met)
    if expected <= target:
        why = "the agreement expected is not above the target, so no number of labels certifies it"
        return replace(goal, why=None if is_met else why)
    asked = {"confidence": basis.confidence, "power": basis.power}
    size = items_to_certify(target, expected, **asked)
    prompts = prompts_to_certify(target, expected, layout=basis.layout, **asked)
    if size is None or prompts is None:
        why = f"the agreement expected is so close to the target that {MOST_PROMPTS:,} prompts "
        return replace(goal, why=f"{why}would not tell")
    return _on_present(replace(goal, items=size.items), prompts, basis)


def _to_half_width(half_width: float, basis: Basis) -> Goal:
    expected = basis.expected
    share = 0.5 if expected is None else expected
    goal = Goal("half_width", half_width, share, deff=basis.layout.deff)
    if basis.gold is not None:
        interval = basis.gold.told.agreement
        if interval.low is not None and interval.high is not None:
            present = (interval.high - interval.low) / 2
            goal = replace(goal, present=present, is_met=present <= half_width)
    quantile = normal_quantile((1 + basis.confidence) / 2)
    items = items_for_half_width(share, half_width, quantile=quantile)
    prompts = prompts_for_half_width(share, half_width, layout=basis.layout, level=basis.confidence)
    return _on_present(replace(goal, items=items), prompts, basis)


def _to_compare(difference: float, basis: Basis, *, discordance: float | None) -> Goal:
    measured = None if basis.gold is None else basis.gold.discordance
    share = discordance
    if share is None:
        if measured is None:
            raise ConfigError(
                "how often the two judges differ is not known; give discordance, or a ledger with "
                "votes whose run has two judges"
            )
        share = measured.share
    if difference > share:
        raise ConfigError(
            f"difference {difference:g} is more than the discordance {share:.3g}: judges that "
            "differ on so few labels cannot be so far apart; give a smaller difference"
        )
    asked = {"confidence": basis.confidence, "power": basis.power}
    layout, have, per_prompt = basis.layout, None, basis.labels_per_prompt
    goal = Goal("difference", difference, share)
    if measured is not None and basis.is_as_present:
        layout, have, per_prompt = measured.layout, measured.prompts, measured.layout.per_prompt
        items = measured.n / layout.deff / (1 + MCNEMAR_MARGIN)
        present = detectable_difference(items, share, **asked)
        goal = replace(goal, present=present, is_met=present is not None and present <= difference)
    items_needed = math.ceil(items_to_compare(difference, share, **asked) * (1 + MCNEMAR_MARGIN))
    goal = replace(goal, items=items_needed, deff=layout.deff)
    return _laid_out(
        goal,
        prompts_for(items_needed, layout=layout),
        have=basis.present_prompts if have is None else have,
        labels_per_prompt=per_prompt,
        cost_per_label=basis.cost_per_label,
    )


def _on_present(goal: Goal, counted_prompts: int, basis: Basis) -> Goal:
    """Return a goal about agreement, laid out on prompts of which some may count for nothing."""
    return _laid_out(
        goal,
        math.ceil(counted_prompts * basis.prompts_per_counted - 1e-9),
        have=basis.present_prompts,
        labels_per_prompt=basis.labels_per_prompt,
        cost_per_label=basis.cost_per_label,
    )


def _laid_out(
    goal: Goal,
    prompts: int,
    *,
    have: int,
    labels_per_prompt: float,
    cost_per_label: float | None,
) -> Goal:
    """Return the goal with its labels, and those beyond the prompts that there are."""
    more = 0 if goal.is_met else max(1, prompts - have)
    more_labels = math.ceil(more * labels_per_prompt - 1e-9)
    return replace(
        goal,
        prompts=prompts,
        labels=math.ceil(prompts * labels_per_prompt - 1e-9),
        more_prompts=more,
        more_labels=more_labels,
        cost_usd=None if cost_per_label is None else more_labels * cost_per_label,
    )
