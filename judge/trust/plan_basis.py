"""What a plan for labels is made from: given, measured on the present labels, or assumed."""

import math
from dataclasses import dataclass

from calibration.layout import Layout, design_effect
from judge.trust.label_plan import Assumed
from judge.trust.present_gold import MeasuredGold

ASSUMED_ICC = 0.3
"""Intraclass correlation of a prompt's labels where none is known."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What every goal is planned from: given, measured or assumed."""

    expected: float | None
    """The agreement to expect."""
    confidence: float
    power: float
    layout: Layout
    labels_per_prompt: float
    icc: float | None
    """Correlation of the labels of one prompt; None where each prompt has one."""
    gold: MeasuredGold | None
    is_as_present: bool
    """Whether new labels lie on prompts as the present ones do."""
    prompts_per_counted: float
    """Labelled prompts for each that has a label which counts; above 1 for S2."""
    cost_per_label: float | None
    notes: tuple[str, ...]

    @property
    def present_prompts(self) -> int:
        """Prompts that the present labels stand for."""
        if self.gold is None:
            return 0
        if self.is_as_present:
            return self.gold.told.prompts
        # The present labels lie otherwise: they count as the prompts that are worth as much.
        worth = self.gold.told.worth or 0.0
        return math.floor(worth * self.layout.deff / self.layout.per_prompt)


@dataclass(frozen=True, slots=True)
class _Habits:
    """How labels lie on prompts: as measured, or one label on each."""

    votes_per_pair: float = 1.0
    pairs_per_prompt: float = 1.0
    counted: float = 1.0
    """Items that count for each label."""
    icc: float | None = None


def basis_of(
    assumed: Assumed,
    gold: MeasuredGold | None,
    *,
    power: float,
    confidence: float,
    cost_per_label: float | None,
) -> Basis:
    """Return what goals are planned from; what is assumed goes before what is measured. Pure."""
    measured = None if gold is None else gold.certificate.layout
    habits = _Habits() if gold is None or measured is None else _habits(gold, measured)
    labels = habits.votes_per_pair * (assumed.pairs_per_prompt or habits.pairs_per_prompt)
    icc = habits.icc if assumed.icc is None else assumed.icc
    items = labels * habits.counted
    notes = []
    if gold is not None and measured is None:
        notes.append(f"the ledger's votes tell nothing yet: {gold.certificate.why}")
    is_as_present = assumed.pairs_per_prompt is assumed.icc is None and measured is not None
    if icc is None and items > 1:
        notes.append(f"labels of one prompt are taken to correlate by {ASSUMED_ICC} (ICC)")
        icc = ASSUMED_ICC
    agreement = None if gold is None else gold.told.agreement.value
    per_counted = 1.0
    layout = Layout(items, design_effect(items, icc or 0.0))
    if is_as_present and gold is not None and measured is not None:
        layout, per_counted = measured, gold.told.prompts / gold.certificate.prompts
    return Basis(
        expected=agreement if assumed.expected is None else assumed.expected,
        confidence=confidence,
        power=power,
        layout=layout,
        labels_per_prompt=labels,
        icc=icc,
        gold=gold,
        is_as_present=is_as_present,
        prompts_per_counted=per_counted,
        cost_per_label=cost_per_label,
        notes=tuple(notes),
    )


def _habits(gold: MeasuredGold, layout: Layout) -> _Habits:
    typical = layout.typical or layout.per_prompt
    return _Habits(
        votes_per_pair=gold.told.labels / gold.told.pairs,
        pairs_per_prompt=gold.told.pairs / gold.told.prompts,
        counted=gold.certificate.n / gold.told.labels,
        icc=(layout.deff - 1) / (typical - 1) if typical > 1 else None,
    )
