"""The policy that settings name: which there are, what each can be told, what contradicts it."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from judge.errors import ConfigError
from judge.outcomes.labels import Rule
from judge.settings.suggestion import did_you_mean

DEFAULT_SAMPLES = 5


class PolicyName(StrEnum):
    """What is asked about a pair, and which answers its label rests on."""

    BOTH_ORDERS = "both_orders"
    """Every judge in both orders, once."""
    SINGLE_ORDER = "single_order"
    """Every judge in one order, drawn per pair: half the price, bias unseen."""
    SAMPLES = "samples"
    """Every judge several times in each order."""
    PANEL = "panel"
    """Every judge in both orders; a majority decides, of a quorum at least."""
    CASCADE = "cascade"
    """The judges one after the other, until one is sure enough."""
    EARLY_STOP = "early_stop"
    """One judge in one order, and in the other unless the first was sure enough."""


_OWN_KEYS = {
    "samples": (PolicyName.SAMPLES, PolicyName.CASCADE),
    "quorum": (PolicyName.PANEL,),
    "stop_above": (PolicyName.EARLY_STOP,),
    "audit_share": (PolicyName.EARLY_STOP,),
    "temperature_scale": (PolicyName.EARLY_STOP,),
}
"""Settings that mean nothing under another policy."""


def _known(given: Any) -> Any:
    if isinstance(given, str) and given not in {name.value for name in PolicyName}:
        hint = did_you_mean(given, PolicyName)
        names = ", ".join(PolicyName)
        text = "there is no such policy{hint}{gap} policies are: {names}"
        told = {"hint": hint, "gap": "" if hint else ";", "names": names}
        raise PydanticCustomError("unknown_policy", text, told)
    return given


Confidence = Annotated[float, Field(strict=True, ge=0.5, le=1, allow_inf_nan=False)]


class PolicyRules(BaseModel):
    """The keys of the `[run]` table that say what is asked and how it becomes a label."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    rule: Rule = Rule.CONSERVATIVE
    policy: Annotated[PolicyName, BeforeValidator(_known)] = PolicyName.BOTH_ORDERS
    """Not given, it is single_order under the rule single_random."""
    samples: Annotated[int, Field(strict=True, ge=1, le=1000)] | None = None
    """Of each order: 5 under the policy samples where not given, otherwise 1."""
    quorum: Annotated[int, Field(strict=True, ge=1)] | None = None
    """Judges of a panel that must have an outcome; with fewer the pair is undecided."""
    stop_above: Confidence = 0.95
    """Confidence of the first order from which on early_stop skips the second."""
    audit_share: Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)] = 0.1
    """Of the pairs, asked in both orders in any case, to measure the price of stopping."""
    temperature_scale: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] = 1.0
    """Divides the log-odds of the first order; above 1 for a judge that is surer than right."""

    @model_validator(mode="before")
    @classmethod
    def _one_order_has_its_rule_and_policy(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        if given.get("policy") == PolicyName.SINGLE_ORDER:
            return {"rule": Rule.SINGLE_RANDOM, **given}
        if given.get("rule") == Rule.SINGLE_RANDOM:
            return {"policy": PolicyName.SINGLE_ORDER, **given}
        return given

    @property
    def samples_per_order(self) -> int:
        is_many = self.policy is PolicyName.SAMPLES
        return self.samples or (DEFAULT_SAMPLES if is_many else 1)


def check_policy(
    rules: PolicyRules, judges: Sequence[str], accept_above: Sequence[float | None]
) -> None:
    """Raise ConfigError where the policy contradicts its rule, its judges or its own settings.

    `judges` are names; both sequences are in the order of the settings.
    """
    policy = rules.policy
    _check_own_keys(rules)
    if rules.rule is Rule.SINGLE_RANDOM and policy is not PolicyName.SINGLE_ORDER:
        raise ConfigError(
            f'the rule "single_random" asks one order and the policy "{policy}" asks more; remove '
            "one of the two"
        )
    if policy is PolicyName.SINGLE_ORDER and rules.rule in (Rule.CONSERVATIVE, Rule.LENIENT):
        raise ConfigError(
            f'the rule "{rules.rule}" compares two orders and the policy "single_order" asks one; '
            "remove the rule"
        )
    if policy is PolicyName.PANEL:
        _check_panel(rules, len(judges))
    if policy is PolicyName.CASCADE:
        _check_cascade(judges, accept_above)
    if policy is PolicyName.EARLY_STOP and len(judges) != 1:
        raise ConfigError(
            f'the policy "early_stop" is for one judge and there are {len(judges)}; keep one '
            '[[judges]] table, or set policy = "cascade"'
        )


def _check_own_keys(rules: PolicyRules) -> None:
    for key, owners in _OWN_KEYS.items():
        is_given = key in rules.model_fields_set and getattr(rules, key) is not None
        if is_given and rules.policy not in owners:
            raise ConfigError(
                f'run.{key} means nothing under the policy "{rules.policy}"; remove it, or set '
                f'policy = "{owners[0]}"'
            )


def _check_panel(rules: PolicyRules, judges: int) -> None:
    if judges < 2:
        raise ConfigError(
            'the policy "panel" needs two judges at least; add a [[judges]] table, or remove it'
        )
    if rules.quorum is not None and rules.quorum > judges:
        raise ConfigError(
            f"run.quorum is {rules.quorum} and the panel has {judges} judges: no pair would ever "
            "be decided; lower it"
        )


def _check_cascade(judges: Sequence[str], accept_above: Sequence[float | None]) -> None:
    if len(judges) < 2:
        raise ConfigError(
            'the policy "cascade" needs two judges at least, the cheap one first; add a '
            "[[judges]] table, or remove the policy"
        )
    for name, threshold in zip(judges[:-1], accept_above, strict=False):
        if threshold is None:
            raise ConfigError(
                f'judge "{name}": accept_above is missing; every judge of a cascade but the last '
                "says from which confidence on, 0.5 to 1, its labels are final, such as 0.9"
            )
