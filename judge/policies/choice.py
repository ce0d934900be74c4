"""From settings to a policy: as a job begins, and later from what the run remembers of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from judge.outcomes.labels import Rule
from judge.policies.cascade import Cascade, Stage
from judge.policies.early_stop import EarlyStop
from judge.policies.fixed import FixedPolicy
from judge.policies.left_out import LeftOut
from judge.policies.rules import PolicyName, PolicyRules
from judge.policy import Policy
from judge.references.references import DOUBTFUL_REASON


def policy_settings(
    rules: PolicyRules, judge_keys: Sequence[str], accept_above: Sequence[float | None]
) -> dict[str, Any]:
    """Return what a run keeps of its policy, as JSON; nothing where the rule says it all.

    Only what changes the questions or the labels is in it: it is part of the run's id.
    """
    policy = rules.policy
    kept: dict[str, Any] = {"name": policy.value}
    if policy is PolicyName.BOTH_ORDERS or rules.rule is Rule.SINGLE_RANDOM:
        return {}
    if rules.samples_per_order > 1:
        kept["samples"] = rules.samples_per_order
    if policy is PolicyName.PANEL and rules.quorum is not None:
        kept["quorum"] = rules.quorum
    if policy is PolicyName.CASCADE:
        kept["stages"] = [list(stage) for stage in zip(judge_keys, accept_above, strict=True)]
    if policy is PolicyName.EARLY_STOP:
        for key in ("stop_above", "audit_share", "temperature_scale"):
            kept[key] = getattr(rules, key)
    return kept


LEFT_OUT = "left_out"
"""Beside the settings of a run: contents that nothing is asked about (`Run.policy_settings`)."""


def policy_of(settings: Mapping[str, Any], judge_keys: Sequence[str]) -> Policy:
    """Return the policy that the settings of a run describe."""
    policy = _policy_of(settings, judge_keys)
    left_out = settings.get(LEFT_OUT)
    return LeftOut(policy, left_out, DOUBTFUL_REASON) if left_out else policy


def _policy_of(settings: Mapping[str, Any], judge_keys: Sequence[str]) -> Policy:
    kept, rule = settings.get("policy") or {}, Rule(settings["rule"])
    samples = kept.get("samples", 1)
    if kept.get("name") == PolicyName.CASCADE:
        stages = tuple(Stage(key, accept_above) for key, accept_above in kept["stages"])
        return Cascade(stages, rule, samples)
    if kept.get("name") == PolicyName.EARLY_STOP:
        return EarlyStop(
            judge_keys[0], kept["stop_above"], kept["audit_share"], kept["temperature_scale"]
        )
    return FixedPolicy(
        judge_keys=tuple(judge_keys),
        rule=rule,
        one_order=asks_one_order(settings),
        samples=samples,
        quorum=kept.get("quorum", 0),
    )


def most_asked(settings: Mapping[str, Any], judge_keys: Sequence[str]) -> FixedPolicy:
    """Return the policy that asks at once all that a run may ever ask about a pair."""
    policy = _policy_of(settings, judge_keys)
    if isinstance(policy, FixedPolicy):
        return policy
    return FixedPolicy(tuple(judge_keys), Rule(settings["rule"]), samples=policy.samples)


def asks_one_order(settings: Mapping[str, Any]) -> bool:
    """Return whether a run asks each pair in one order only, so that others do not count."""
    kept = settings.get("policy") or {}
    is_named = kept.get("name") == PolicyName.SINGLE_ORDER
    return is_named or settings.get("rule") == Rule.SINGLE_RANDOM
