"""Flags of `judge run` as overrides of the settings."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from judge.errors import ConfigError
from judge.labels import Rule
from judge.overlay import toml_value


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class SettingFlags:
    """The settings that have a flag of their own, and `--set` for all the others."""

    model: str | None = None
    """Model of the first judge."""
    base_url: str | None = None
    """Address of the first judge's endpoint, such as http://127.0.0.1:8000/v1."""
    prompt: str | None = None
    """Prompt of the first judge: pair-tie, pair or a path to a TOML file."""
    rule: Rule | None = None
    """How the two orders of a pair become one label."""
    max_in_flight: int | None = None
    """Requests at the same time to the first judge's endpoint."""
    timeout_s: float | None = None
    """Seconds for one request to the first judge's endpoint."""
    set: Annotated[list[str] | None, Parameter(name="--set")] = None
    """TABLE.KEY=VALUE of any setting, such as endpoints.local.timeout_s=30; may be repeated."""


def overrides_of(
    flags: SettingFlags, config: Path | None, *, environ: Mapping[str, str]
) -> dict[str, Any]:
    """Return dotted keys and values, as `load_settings` takes them.

    Raises ConfigError for a --set that is not TABLE.KEY=VALUE.
    """
    overrides = dict(_assignment(text) for text in flags.set or ())
    name, is_known = _first_endpoint(overrides, config, environ)
    given: dict[str, Any] = {
        "judges.0.model": flags.model,
        "judges.0.prompt": flags.prompt,
        "run.rule": flags.rule,
    }
    # Tuning an endpoint that does not exist would make one, at an address nobody gave.
    if is_known or flags.base_url is not None:
        given[f"endpoints.{name}.base_url"] = flags.base_url
        given[f"endpoints.{name}.max_in_flight"] = flags.max_in_flight
        given[f"endpoints.{name}.timeout_s"] = flags.timeout_s
    return overrides | {key: value for key, value in given.items() if value is not None}


def _assignment(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or "." not in key:
        raise ConfigError(f'--set "{text}": write TABLE.KEY=VALUE, such as run.max_dropped=0.1')
    return key.strip(), toml_value(value.strip())


def _first_endpoint(
    overrides: Mapping[str, Any], config: Path | None, environ: Mapping[str, str]
) -> tuple[str, bool]:
    """Return the name of the first judge's endpoint, and whether it can be used as it is."""
    tree = _tree(config)
    judges, endpoints = tree.get("judges"), tree.get("endpoints")
    first = judges[0] if isinstance(judges, list) and judges else {}
    name = (
        overrides.get("judges.0.endpoint")
        or environ.get("JUDGE_JUDGES__0__ENDPOINT")
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
