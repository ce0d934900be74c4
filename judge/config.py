"""Settings: one model for the config file, the environment and the flags.

Precedence: flag > environment > file > default. Keys to endpoints are named by environment
variable and never written down.
"""

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeGuard, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from judge.errors import ConfigError
from judge.labels import Rule

ENVIRONMENT_PREFIX = "JUDGE_"
OPENAI_BASE_URL = "https://api.openai.com/v1"


class Table(BaseModel):
    """Base of every table of the config file: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Endpoint(Table):
    """One OpenAI-compatible address and how hard it may be pushed."""

    base_url: str
    """Up to and including the version, such as http://127.0.0.1:8000/v1."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; None sends no Authorization header."""
    headers: dict[str, str] = {}
    extra_body: dict[str, Any] = {}
    """Fields merged into every request; part of a judgment's identity."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    max_in_flight: Annotated[int, Field(ge=1, le=4096)] = 64
    timeout_s: Annotated[float, Field(gt=0)] = 120.0
    """For one request, from sending it to its last byte."""
    accept_missing_finish_reason: bool = False
    """For servers that never send one. A cut reply can then not be told from a whole one."""

    def api_key(self, name: str, environ: Mapping[str, str]) -> SecretStr | None:
        """Return the key, or None when no variable is named; ConfigError if it is not set."""
        if self.api_key_env is None:
            return None
        key = environ.get(self.api_key_env, "")
        if not key:
            raise ConfigError(
                f'endpoint "{name}": environment variable {self.api_key_env} is not set; '
                "export it, or remove api_key_env if the endpoint needs no key"
            )
        return SecretStr(key)


class Judge(Table):
    """One judge: a model, a prompt and how it is sampled."""

    model: str
    name: str = ""
    """Nickname in reports; the model's name where empty. Not part of a judgment's identity."""
    endpoint: str = "default"
    prompt: str = "pair-tie"
    """A built-in prompt's name or a path to a TOML file."""
    orders: Literal["both"] = "both"
    temperature: Annotated[float, Field(ge=0)] | None = 0.0
    """None leaves it to the server, for models that refuse the parameter."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: int | None = None
    max_tokens: Annotated[int, Field(ge=1)] = 1024

    @property
    def display_name(self) -> str:
        return self.name or self.model

    def sampling(self) -> dict[str, float | int]:
        """Return the sampling parameters that are sent, without `max_tokens`."""
        given = {"temperature": self.temperature, "top_p": self.top_p, "seed": self.seed}
        return {name: value for name, value in given.items() if value is not None}


class Run(Table):
    """What a run does with the replies."""

    rule: Rule = Rule.CONSERVATIVE
    max_dropped: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Share of the asks that may end without a verdict before the exit code says so."""


class Settings(Table):
    """Everything a job can be told, whether by file, environment or flag."""

    endpoints: dict[str, Endpoint] = {}
    judges: tuple[Judge, ...] = ()
    run: Run = Run()

    def endpoint_of(self, judge: Judge) -> Endpoint:
        return self.endpoints[judge.endpoint]


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
    for dotted, value in [*_from_environment(environ), *(overrides or {}).items()]:
        _put(tree, dotted, value)
    _add_default_endpoint(tree, environ)
    where = str(path) if path else "settings"
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        raise ConfigError("\n".join(_problems(error, where))) from error
    _check_references(settings, where)
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


def _from_environment(environ: Mapping[str, str]) -> list[tuple[str, Any]]:
    """Return (dotted key, value) of the variables that name one of our tables."""
    found = []
    for name, text in sorted(environ.items()):
        if not name.startswith(ENVIRONMENT_PREFIX):
            continue
        keys = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        if keys[0] in Settings.model_fields and len(keys) > 1:
            found.append((".".join(keys), _toml_value(text)))
    return found


def _toml_value(text: str) -> Any:
    """Read a variable or flag as a TOML value, and as plain text where it is none."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _put(tree: dict[str, Any], dotted: str, value: Any) -> None:
    """Set a dotted key in nested tables and lists, making what is missing on the way."""
    *path, last = dotted.split(".")
    node: Any = tree
    for key, following in zip(path, [*path[1:], last], strict=True):
        empty: Any = [] if following.isdigit() else {}
        node = _child(node, key, empty, dotted)
    if isinstance(node, list):
        index = _index(node, last, dotted)
        node[index:] = [value, *node[index + 1 :]]
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise ConfigError(f'setting "{dotted}": "{path[-1]}" is a single value, not a table')


def _child(node: Any, key: str, empty: Any, dotted: str) -> Any:
    if isinstance(node, list):
        index = _index(node, key, dotted)
        if index == len(node):
            node.append(empty)
        return node[index]
    if isinstance(node, dict):
        return node.setdefault(key, empty)
    raise ConfigError(f'setting "{dotted}": "{key}" stands under a single value, not a table')


def _index(node: list[Any], key: str, dotted: str) -> int:
    if not key.isdigit() or int(key) > len(node):
        raise ConfigError(
            f'setting "{dotted}": "{key}" is not a position in a list of {len(node)}; '
            "positions count from 0"
        )
    return int(key)


def _add_default_endpoint(tree: dict[str, Any], environ: Mapping[str, str]) -> None:
    endpoints = tree.setdefault("endpoints", {})
    if not isinstance(endpoints, dict) or (endpoints and "default" not in endpoints):
        return
    default = endpoints.setdefault("default", {})
    if isinstance(default, dict) and "base_url" not in default:
        default["base_url"] = environ.get("OPENAI_BASE_URL") or OPENAI_BASE_URL
        if environ.get("OPENAI_API_KEY") or default["base_url"] == OPENAI_BASE_URL:
            default.setdefault("api_key_env", "OPENAI_API_KEY")


def _check_references(settings: Settings, where: str) -> None:
    names: set[str] = set()
    for judge in settings.judges:
        if judge.endpoint not in settings.endpoints:
            known = ", ".join(sorted(settings.endpoints))
            raise ConfigError(
                f'{where}: judge "{judge.display_name}": there is no endpoint '
                f'"{judge.endpoint}"{_suggestion(judge.endpoint, settings.endpoints)}; '
                f"endpoints are: {known}"
            )
        if judge.display_name in names:
            raise ConfigError(
                f'{where}: two judges are called "{judge.display_name}"; give one another name'
            )
        names.add(judge.display_name)
    for name, endpoint in settings.endpoints.items():
        if not endpoint.base_url.startswith(("http://", "https://")):
            raise ConfigError(
                f'{where}: endpoint "{name}": base_url "{endpoint.base_url}" must begin with '
                "http:// or https://"
            )


def _problems(error: ValidationError, where: str) -> list[str]:
    """Return one line per problem: file, key, cause, and the nearest known key."""
    lines = []
    for problem in error.errors():
        location = [str(part) for part in problem["loc"]]
        key = ".".join(location)
        if problem["type"] == "extra_forbidden":
            hint = _suggestion(location[-1], _known_keys(location[:-1]))
            lines.append(f'{where}: unknown key "{key}"{hint}')
        elif problem["type"] == "missing":
            lines.append(f'{where}: "{key}" is missing')
        else:
            lines.append(f'{where}: "{key}": {problem["msg"]} (got {problem["input"]!r})')
    return lines


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


def _suggestion(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f'; did you mean "{near[0]}"?' if near else ""
