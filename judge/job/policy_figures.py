"""How a policy went whose questions depend on the answers: what it saved, and at what price."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from judge.ledger.readings import ReadContent, read_contents
from judge.ledger.runs import Run
from judge.ledger.store import Ledger
from judge.outcomes.labels import PENDING, Rule
from judge.policies.cascade import LEFT_TO_PEOPLE, Cascade
from judge.policies.choice import policy_of
from judge.policies.early_stop import EarlyStop
from judge.policies.left_out import LeftOut
from judge.policies.majority import resolve_samples
from judge.policies.tracing import trace

if TYPE_CHECKING:
    from calibration.intervals import Estimate
    from calibration.report.columns import Expense


@dataclass(frozen=True, slots=True)
class StageFigures:
    """One judge of a cascade."""

    judge: str
    reached: int
    """Contents that came to it."""
    decided: int
    """Those of them that its label is final for."""
    judgments: int
    expense: "Expense | None"
    """What its judgments took, on pairs of the run."""


@dataclass(frozen=True, slots=True)
class CascadeFigures:
    """What each stage of a cascade decided; contents, several pair ids of one content once."""

    stages: tuple[StageFigures, ...]
    left: int
    """To people: no stage was sure enough."""
    failed: int
    """Without a verdict of the last judge."""
    pending: int


@dataclass(frozen=True, slots=True)
class StopFigures:
    """What stopping early saved, and how often it would have changed a label."""

    contents: int
    stopped: int
    """Of all contents, those whose second order was not asked."""
    without_probabilities: int
    """Of all contents, those whose first verdict came without: they never stop."""
    audited: int
    """Of all contents, those asked in both orders in any case that would have stopped."""
    changed: "Estimate"
    """Share of the audited whose label both orders make another; clustered by prompt."""


PolicyFigures = CascadeFigures | StopFigures


def policy_figures(
    ledger: Ledger, run: Run, expenses: Mapping[str, "Expense"]
) -> PolicyFigures | None:
    """Return how a run's policy went, or None where every pair is asked the same.

    `expenses` has what the judgments took, by judge key.
    """
    policy = policy_of(run.policy_settings, run.judge_keys)
    if isinstance(policy, LeftOut):
        policy = policy.policy
    if not policy.is_staged:
        return None
    found = read_contents(ledger, run.run_id, run.judge_keys)
    contents = (content for content in found if content.content_id not in run.left_out)
    if isinstance(policy, Cascade):
        names = {judge.judge_key: judge.name for judge in run.judges}
        return _cascade_figures(policy, contents, names, expenses)
    assert isinstance(policy, EarlyStop)
    return _stop_figures(policy, contents, Rule(run.rule))


def _cascade_figures(
    cascade: Cascade,
    contents: Iterable[ReadContent],
    names: Mapping[str, str],
    expenses: Mapping[str, "Expense"],
) -> CascadeFigures:
    reached, judged, decided = Counter[str](), Counter[str](), Counter[str]()
    ends = Counter[str]()
    for content in contents:
        traced = trace(cascade, content.content_id, content.readings)
        mine = Counter(reading.judge_key for reading in traced.answered)
        reached.update(mine.keys() | {q.judge_key for q in traced.open_questions})
        judged.update(mine)
        deciding = cascade.deciding(content.content_id, traced.answered)
        if deciding is None:
            ends[PENDING] += 1
        elif deciding.reason is not None:
            ends[deciding.reason] += 1
        elif all(reading.verdict is None for reading in deciding.readings):
            ends["failed"] += 1
        else:
            decided[deciding.readings[0].judge_key] += 1
    keys = [stage.judge_key for stage in cascade.stages]
    return CascadeFigures(
        stages=tuple(
            StageFigures(names[key], reached[key], decided[key], judged[key], expenses.get(key))
            for key in keys
        ),
        left=ends[LEFT_TO_PEOPLE],
        failed=ends["failed"],
        pending=ends[PENDING],
    )


def _stop_figures(policy: EarlyStop, contents: Iterable[ReadContent], rule: Rule) -> StopFigures:
    from calibration.intervals import clustered_proportion  # numpy: not before the first request

    total = stopped = without = 0
    changed: list[bool] = []
    prompts: list[str] = []
    for content in contents:
        total += 1
        both, first = policy.audit(content.content_id, content.readings)
        deciding = policy.deciding(content.content_id, content.readings)
        without += bool(first) and policy.confidence(first) is None
        if deciding is not None and len(deciding.readings) == 1:
            stopped += 1
        if both:
            label, alone = (resolve_samples("", said, rule=rule) for said in (both, first))
            changed.append(label.outcome is not alone.outcome)
            prompts.append(content.prompt_id)
    share = clustered_proportion(changed, prompts, empty="no audited pair would have stopped")
    return StopFigures(total, stopped, without, len(changed), share.estimate)
