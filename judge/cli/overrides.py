"""Flags as overrides of the settings: the first judge or generator, its endpoint, budgets."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from cyclopts import Parameter

from judge.candidates.generators import Generator
from judge.errors import ConfigError
from judge.outcomes.labels import Rule
from judge.policies.rules import PolicyName
from judge.prices.amounts import limits_of
from judge.settings.config import Judge, Settings
from judge.settings.overlay import toml_value

KEY_VARIABLE = "OPENAI_API_KEY"


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class AskingFlags:
    """What every command that asks can be told, and `--set` for all that has no flag."""

    asker: ClassVar[str]
    """The table whose first entry the flags are about."""

    model: str | None = None
    """Model to ask."""
    base_url: str | None = None
    """Address of its endpoint, such as http://127.0.0.1:8000/v1."""
    max_in_flight: int | None = None
    """Requests at the same time to that endpoint."""
    timeout_s: float | None = None
    """Seconds for one request to that endpoint."""
    budget: list[str] | None = None
    """What the job may take over all its resumptions: 20usd, 5000requests or 2Mtokens; may be
    repeated."""
    budget_usd: float | None = None
    """US dollars that the job may cost, by the prices in the config or of the price list."""
    budget_requests: int | None = None
    """Requests that the job may send, over all its resumptions."""
    budget_tokens: int | None = None
    """Tokens that the job may use, prompts and replies together."""
    set: Annotated[list[str] | None, Parameter(name="--set")] = None
    """TABLE.KEY=VALUE of any setting, such as endpoints.local.timeout_s=30; may be repeated."""

    def own(self) -> dict[str, Any]:
        """Return the settings of these flags alone, None where they are not given.

        Raises ConfigError for a --budget that is no amount, or limits what another flag limits.
        """
        limits = limits_of(self.budget or ())
        for name in limits:
            if getattr(self, name) is not None:
                flag = f"--{name.replace('_', '-')}"
                raise ConfigError(f"--budget and {flag} limit the same; give one of them")
        return {
            f"{self.asker}.0.model": self.model,
            "run.budget_usd": limits.get("budget_usd", self.budget_usd),
            "run.budget_requests": limits.get("budget_requests", self.budget_requests),
            "run.budget_tokens": limits.get("budget_tokens", self.budget_tokens),
        }


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class SettingFlags(AskingFlags):
    """The flags of commands that judge. They are about the first judge."""

    asker = "judges"

    model: str | None = None
    """Model of the first judge."""
    prompt: str | None = None
    """Prompt of the first judge: pair-tie, pair or a path to a TOML file."""
    criteria: str | None = None
    """Criteria of the first judge, for a prompt with $criteria: a built-in name or a TOML file."""
    reasoning_effort: str | None = None
    """How hard the first judge thinks, such as low or high; sent as it is."""
    reasoning_tokens: int | None = None
    """Room for the first judge's thinking, on top of its max_tokens."""
    rule: Rule | None = None
    """How the two orders of a pair become one label."""
    until: int | None = None
    """Answer and judge prompts until so many labels are usable: first or second."""
    policy: PolicyName | None = None
    """What is asked about a pair."""
    samples: int | None = None
    """Replies to each order of a pair, under the policies samples and cascade."""

    def own(self) -> dict[str, Any]:
        asked = AskingFlags.own(self)
        return {
            **asked,
            "judges.0.prompt": self.prompt,
            "judges.0.criteria": self.criteria,
            "judges.0.reasoning_effort": self.reasoning_effort,
            "judges.0.reasoning_tokens": self.reasoning_tokens,
            "run.rule": self.rule,
            "run.until": self.until,
            "run.policy": self.policy,
            "run.samples": self.samples,
        }


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorFlags(AskingFlags):
    """The flags of commands that generate. They are about the first generator."""

    asker = "generators"

    model: str | None = None
    """Model of the first generator."""
    n: int | None = None
    """Candidates that it writes for each prompt."""
    temperature: list[float] | None = None
    """Its temperature; repeated, its candidates take turns at each of them."""

    def own(self) -> dict[str, Any]:
        asked = AskingFlags.own(self)
        return {**asked, "generators.0.n": self.n, "generators.0.temperature": self.temperature}


def overrides_of(
    flags: AskingFlags, config: Path | None, *, environ: Mapping[str, str]
) -> dict[str, Any]:
    """Return dotted keys and values, as `load_settings` takes them.

    Raises ConfigError for a --set that is not TABLE.KEY=VALUE.
    """
    overrides = dict(_assignment(text) for text in flags.set or ())
    name, is_known = _first_endpoint(flags.asker, overrides, config, environ)
    given = flags.own()
    # Tuning an endpoint that does not exist would make one, at an address nobody gave.
    if is_known or flags.base_url is not None:
        given[f"endpoints.{name}.base_url"] = flags.base_url
        given[f"endpoints.{name}.max_in_flight"] = flags.max_in_flight
        given[f"endpoints.{name}.timeout_s"] = flags.timeout_s
    return overrides | {key: value for key, value in given.items() if value is not None}


def keyless_line(
    flags: AskingFlags, settings: Settings, *, environ: Mapping[str, str]
) -> str | None:
    """Return what to say where a key is set, an address is given, and the key does not go there.

    A key belongs to the address it was made for, so it is sent to another only when told.
    """
    asked: tuple[Judge | Generator, ...] = (
        settings.judges if flags.asker == SettingFlags.asker else settings.generators
    )
    if flags.base_url is None or not environ.get(KEY_VARIABLE) or not asked:
        return None
    endpoint = settings.endpoint_of(asked[0])
    if endpoint.api_key_env is not None:
        return None
    return (
        f"no key is sent to {endpoint.address}; name one with "
        f"--set endpoints.{asked[0].endpoint}.api_key_env={KEY_VARIABLE}"
    )


def _assignment(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or "." not in key:
        raise ConfigError(f'--set "{text}": write TABLE.KEY=VALUE, such as run.max_dropped=0.1')
    return key.strip(), toml_value(value.strip())


def _first_endpoint(
    asker: str, overrides: Mapping[str, Any], config: Path | None, environ: Mapping[str, str]
) -> tuple[str, bool]:
    """Return the name of the first asker's endpoint, and whether it can be used as it is."""
    tree = _tree(config)
    askers, endpoints = tree.get(asker), tree.get("endpoints")
    first = askers[0] if isinstance(askers, list) and askers else {}
    name = (
        overrides.get(f"{asker}.0.endpoint")
        or environ.get(f"JUDGE_{asker.upper()}__0__ENDPOINT")
        or (first.get("endpoint") if isinstance(first, dict) else None)
        or "default"
    )
    return str(name), not endpoints or (isinstance(endpoints, dict) and name in endpoints)


def _tree(config: Path | None) -> dict[str, Any]:
    """Return what a config file holds, and nothing where it cannot be read: loading it says why."""
    if config is None:
        return {}
    try:
        return tomllib.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
