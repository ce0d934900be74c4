"""Reading settings: file, environment and flags, laid over each other and checked.

Precedence: flag > environment > file > default. Every problem is named with its source.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeGuard, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from judge.candidates.first_pass import check_first_pass
from judge.candidates.generators import check_generators
from judge.errors import ConfigError
from judge.policies.rules import check_policy
from judge.settings.config import Settings
from judge.settings.overlay import put, toml_value
from judge.settings.suggestion import did_you_mean

ENVIRONMENT_PREFIX = "JUDGE_"
OPENAI_BASE_URL = "https://api.openai.com/v1"

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*", re.IGNORECASE)
_NEVER_SHOWN = {"headers", "extra_body", "api_key_env", "base_url"}
"""Settings that may hold a key, though they should not."""


def load_settings(
    path: Path | None,
    overrides: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Return the settings of `path`, overlaid by the environment and then by `overrides`.

    `overrides` maps dotted keys ("run.rule", "judges.0.model") to values. The environment spells
    them JUDGE_RUN__RULE. Without any endpoint, OPENAI_BASE_URL and OPENAI_API_KEY make one named
    "default". Raises ConfigError with every problem, one a line.
    """
    tree: dict[str, Any] = _read_toml(path) if path else {}
    sources: dict[str, str] = {}
    for name, dotted, value in _from_environment(environ):
        sources[dotted] = name
        put(tree, dotted, value)
    for dotted, value in (overrides or {}).items():
        sources[dotted] = "flags"
        put(tree, dotted, value)
    _add_default_endpoint(tree, environ)
    where = str(path) if path else "settings"
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        lines = [_problem(p, _source_of(p, sources) or where) for p in error.errors()]
        raise ConfigError("\n".join(lines)) from error
    try:
        _check_references(settings)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    return settings


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); check the path given to --config"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error


def _from_environment(environ: Mapping[str, str]) -> list[tuple[str, str, Any]]:
    """Return (variable, dotted key, value) of the variables that name one of our tables.

    A name close to one of them is taken too, to be refused as a misspelling.
    """
    found = []
    for name, text in sorted(environ.items()):
        if not name.startswith(ENVIRONMENT_PREFIX):
            continue
        keys = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        if len(keys) > 1 and did_you_mean(keys[0], Settings.model_fields):
            found.append((name, ".".join(keys), toml_value(text)))
    return found


def _add_default_endpoint(tree: dict[str, Any], environ: Mapping[str, str]) -> None:
    endpoints = tree.setdefault("endpoints", {})
    if not isinstance(endpoints, dict) or (endpoints and "default" not in endpoints):
        return
    default = endpoints.setdefault("default", {})
    is_address = isinstance(default, dict) and default.get("engine", "openai") == "openai"
    if is_address and "base_url" not in default:
        default["base_url"] = environ.get("OPENAI_BASE_URL") or OPENAI_BASE_URL
        if environ.get("OPENAI_API_KEY") or default["base_url"] == OPENAI_BASE_URL:
            default.setdefault("api_key_env", "OPENAI_API_KEY")


def _check_references(settings: Settings) -> None:
    names: set[str] = set()
    for judge in settings.judges:
        settings.endpoint_of(judge)
        if judge.display_name in names:
            raise ConfigError(
                f'two judges are called "{judge.display_name}"; give one another name'
            )
        names.add(judge.display_name)
    if settings.judges:
        thresholds = [judge.accept_above for judge in settings.judges]
        check_policy(settings.run, [judge.display_name for judge in settings.judges], thresholds)
    for generator in settings.generators:
        settings.endpoint_of(generator)
    check_generators(settings.generators, settings.pairing)
    check_first_pass(settings)
    for name, endpoint in settings.endpoints.items():
        if (contradiction := endpoint.contradiction()) is not None:
            raise ConfigError(f'endpoint "{name}": {contradiction}')
        if endpoint.base_url is None:
            if models := settings.models_at(name):
                endpoint.only_model(name, models)
        elif (problem := _address_problem(endpoint.base_url)) is not None:
            raise ConfigError(f'endpoint "{name}": base_url {problem}')
        if endpoint.api_key_env is not None and not _VARIABLE.fullmatch(endpoint.api_key_env):
            raise ConfigError(
                f'endpoint "{name}": api_key_env must be the name of an environment variable; '
                "export the key under a name and write that name"
            )


def _address_problem(url: str) -> str | None:
    """Return what is wrong with a base URL; it is quoted only where it cannot hold a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        return f"is no address ({error}); write one such as http://127.0.0.1:8000/v1"
    if "@" in url or parts.query or parts.fragment:
        return "must not hold a user, a password or a query; name a key with api_key_env"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return f'"{url}" must begin with http:// or https:// and name a host'
    return None


def _source_of(problem: ErrorDetails, sources: Mapping[str, str]) -> str | None:
    """Return what set the value in question, where that was not the file."""
    key = f"{_key_of(problem)}."
    is_unknown = problem["type"] == "extra_forbidden"  # then perhaps because of a key below it
    found = [
        source
        for dotted, source in sources.items()
        if key.startswith(f"{dotted}.") or (is_unknown and dotted.startswith(key))
    ]
    return found[-1] if found else None


def _problem(problem: ErrorDetails, where: str) -> str:
    """Return a problem in one line: file or variable, key, cause, and the nearest known key."""
    location = [str(part) for part in problem["loc"]]
    key = _key_of(problem)
    if problem["type"] == "extra_forbidden":
        hint = did_you_mean(location[-1], _known_keys(location[:-1]))
        return f'{where}: unknown key "{key}"{hint or "; remove it"}'
    if problem["type"] == "missing":
        return f'{where}: "{key}" is missing; add it'
    got = problem["input"]
    if _NEVER_SHOWN.intersection(location):
        return f'{where}: "{key}": {problem["msg"]}'
    shown = "a table" if isinstance(got, dict) else "a list" if isinstance(got, list) else repr(got)
    return f'{where}: "{key}": {problem["msg"]} (got {shown})'


def _key_of(problem: ErrorDetails) -> str:
    return ".".join(str(part) for part in problem["loc"])


def _known_keys(location: list[str]) -> Iterable[str]:
    """Return the keys of the table at `location`, walking the settings model."""
    table: type[BaseModel] = Settings
    parts = iter(location)
    for part in parts:
        field = table.model_fields.get(part)
        if field is None:
            return ()
        items = [t for t in get_args(field.annotation) if _is_table(t)]
        if items:
            next(parts, None)  # the name or position of one item of a collection
            table = items[0]
        elif _is_table(field.annotation):
            table = field.annotation
        else:
            return ()
    return table.model_fields


def _is_table(annotation: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
