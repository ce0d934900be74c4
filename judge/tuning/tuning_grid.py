"""What is tried: the settings of a grid become judges. Pure."""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from judge.errors import ConfigError
from judge.job.judging import resolve_judge
from judge.settings.config import Judge, Number, Settings, Table
from judge.settings.suggestion import did_you_mean

FewShots = Annotated[int, Field(strict=True, ge=0, le=64)]
Temperature = Annotated[Number, Field(ge=0)]


class Grid(Table):
    """The values to try; those of a key that is empty are the judge's own."""

    prompts: tuple[str, ...] = ()
    criteria: tuple[str, ...] = ()
    few_shots: tuple[FewShots, ...] = ()
    temperatures: tuple[Temperature, ...] = ()
    judges: tuple[str, ...] = ()
    """Names of judges of the config; all of them where empty."""

    @property
    def most_few_shots(self) -> int:
        return max(self.few_shots, default=0)


@dataclass(frozen=True, slots=True)
class Variant:
    """One judge that is tried."""

    name: str
    """What it is, in words, and its name in the ledger."""
    judge: Judge
    judge_key: str
    base: str
    """Name of the judge of the config that it varies."""


def read_grid(path: Path) -> Grid:
    """Return the grid of a TOML file; ConfigError names each problem, one a line."""
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check --grid") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    try:
        return Grid.model_validate(tree)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            key = ".".join(map(str, problem["loc"]))
            if problem["type"] == "extra_forbidden":
                hint = did_you_mean(key, Grid.model_fields)
                keys = ", ".join(Grid.model_fields)
                lines.append(f'{path}: unknown key "{key}"{hint or ";"} the keys are {keys}')
            else:
                lines.append(f'{path}: "{key}": {problem["msg"]} (got {problem["input"]!r})')
        raise ConfigError("\n".join(lines)) from error


def variants_of(
    settings: Settings, grid: Grid, examples: str | None, *, needs_others: bool = True
) -> tuple[Variant, ...]:
    """Return the config's first judge, the incumbent, then every other judge of the grid once.

    `examples` is the file of the few-shots. Raises ConfigError where a prompt cannot be used, a
    judge is not in the config, or nothing but the incumbent would be tried unless that will do.
    """
    incumbent = settings.judges[0]
    found = [_variant(incumbent, incumbent, settings)]
    keys = {found[0].judge_key}
    for base in _bases(settings, grid.judges):
        for changes in product(
            grid.prompts or (base.prompt,),
            grid.criteria or (base.criteria,),
            grid.few_shots or (None,),
            grid.temperatures or (base.temperature,),
        ):
            one = _variant(_changed(base, changes, examples), base, settings)
            if one.judge_key not in keys:
                keys.add(one.judge_key)
                found.append(one)
    if len(found) == 1 and needs_others:
        raise ConfigError(
            f'nothing to try: every variant of the grid is judge "{incumbent.display_name}" of the '
            "config as it is; add prompts, few_shots, temperatures or another judge"
        )
    return _named_apart(found)


def _bases(settings: Settings, names: Sequence[str]) -> list[Judge]:
    by_name = {judge.display_name: judge for judge in settings.judges}
    for name in names:
        if name not in by_name:
            raise ConfigError(
                f'grid: there is no judge "{name}"{did_you_mean(name, by_name)}; judges of the '
                f"config are: {', '.join(by_name)}"
            )
    return [by_name[name] for name in names] or list(settings.judges)


def _changed(
    base: Judge,
    changes: tuple[str, str | None, int | None, float | None],
    examples: str | None,
) -> Judge:
    prompt, criteria, few_shots, temperature = changes
    update: dict[str, object] = {"prompt": prompt, "temperature": temperature}
    # The criteria of a prompt that is given up would not fit another.
    update["criteria"] = criteria if prompt == base.prompt or criteria != base.criteria else None
    if few_shots is not None:
        update |= {"few_shots": few_shots or None, "examples": examples if few_shots else None}
    return base.model_copy(update=update)


def _variant(judge: Judge, base: Judge, settings: Settings) -> Variant:
    resolved = resolve_judge(judge, settings.endpoint_of(judge))
    parts = [base.display_name, judge.prompt]
    if judge.criteria:
        parts.append(judge.criteria)
    parts.append(f"{judge.few_shots or 'all' if judge.examples else 0} shots")
    parts.append("t default" if judge.temperature is None else f"t {judge.temperature:g}")
    return Variant(", ".join(parts), judge, resolved.judge_key, base.display_name)


def _named_apart(found: Sequence[Variant]) -> tuple[Variant, ...]:
    """Return the variants under names of their own, the same in the ledger as here."""
    named: dict[str, Variant] = {}
    for one in found:
        name, number = one.name, 2
        while name in named:
            name, number = f"{one.name} ({number})", number + 1
        judge = one.judge.model_copy(update={"name": name, "accept_above": None})
        named[name] = Variant(name, judge, one.judge_key, one.base)
    return tuple(named.values())


def table_of(judge: Judge, name: str) -> str:
    """Return a judge as a [[judges]] table that settings read back, under the name `name`."""
    given = judge.model_dump(exclude_defaults=True) | {"model": judge.model, "name": name}
    given |= {"prompt": judge.prompt, "temperature": judge.temperature}
    order = [key for key in Judge.model_fields if key in given]
    return "\n".join(["[[judges]]", *(f"{key} = {_toml(given[key])}" for key in order)]) + "\n"


def _toml(value: object) -> str:
    if value is None or isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # A basic string of TOML escapes as JSON does; so is every character beyond ASCII kept.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
