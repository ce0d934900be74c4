"""Generators as they are set: which model answers, how often, and how it is sampled. Pure.

Lists of sampling parameters and system prompts span a grid. Candidate i of a prompt is made by
variant i modulo the size of the grid, so `n = 4` and `temperature = [0.7, 1.0]` make two
candidates at each temperature. The grid counts like the digits of a number: the seed changes
first, then top_k, top_p and temperature, and the system prompt last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from judge.candidates.pairing import PairingRules, Strategy
from judge.errors import ConfigError
from judge.records import Record
from judge.settings.suggestion import did_you_mean

NOTABLE_SHARE = 0.1

T = TypeVar("T")

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(strict=True, ge=1)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


def _temperatures(value: Any) -> Any:
    """Return a list of temperatures; false is none at all, since TOML has no null."""
    if value is False:
        return ()
    given = _as_list(value)
    if not given:
        raise ValueError("the list is empty; name a temperature, or false to send none")
    return given


def _without_repeats(values: tuple[T, ...]) -> tuple[T, ...]:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value!r} stands there twice; name each value once")
    return values


_OneOrMore = (BeforeValidator(_as_list), AfterValidator(_without_repeats))

Temperatures = Annotated[
    tuple[Annotated[Number, Field(ge=0)], ...], BeforeValidator(_temperatures), *_OneOrMore[1:]
]
Shares = Annotated[tuple[Annotated[Number, Field(gt=0, le=1)], ...], *_OneOrMore]
TopKs = Annotated[tuple[Annotated[int, Field(strict=True, ge=-1)], ...], *_OneOrMore]
Texts = Annotated[tuple[Text, ...], *_OneOrMore]
Seeds = Annotated[tuple[Annotated[int, Field(strict=True)], ...], *_OneOrMore]


@dataclass(frozen=True, slots=True)
class Variant:
    """One point of a generator's grid."""

    system: str | None
    """A system message to put first; None sends the prompt alone."""
    sampling: Mapping[str, float | int]
    """As it is sent, without `max_tokens`."""

    @property
    def is_fixed(self) -> bool:
        """Whether a server that keeps its word answers the same each time."""
        return self.sampling.get("temperature") == 0 or "seed" in self.sampling


class Generator(Record):
    """One `[[generators]]` table: a model that answers prompts, and how it is sampled.

    Every sampling parameter takes one value or a list of them.
    """

    model_config = ConfigDict(protected_namespaces=(), hide_input_in_errors=True)

    model: Text
    name: str = ""
    """Nickname in messages; the model's name where empty. Not part of a generation's identity."""
    endpoint: str = "default"
    n: Count = 1
    """Candidates for each prompt, all variants together."""
    temperature: Temperatures = (1.0,)
    """False sends none, for models that refuse the parameter."""
    top_p: Shares = ()
    top_k: TopKs = ()
    """Sent as `top_k`, which many servers know and OpenAI's does not; -1 is vLLM's "all"."""
    system: Texts = ()
    seed: Seeds = ()
    max_tokens: Count = 2048

    @property
    def display_name(self) -> str:
        return self.name or self.model

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The whole grid, at least one variant."""
        axes: dict[str, tuple[float, ...]] = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "seed": self.seed,
        }
        given = {name: values for name, values in axes.items() if values}
        return tuple(
            Variant(system, dict(zip(given, point, strict=True)))
            for system in self.system or (None,)
            for point in product(*given.values())
        )


def check_generators(generators: Sequence[Generator], rules: PairingRules) -> None:
    """Raise ConfigError where generators and pairing rules can give no pair."""
    names: set[str] = set()
    for generator in generators:
        if generator.display_name in names:
            raise ConfigError(
                f'two generators are called "{generator.display_name}"; give one another name'
            )
        names.add(generator.display_name)
    if not generators:
        return
    if sum(generator.n for generator in generators) == 1:
        raise ConfigError(
            f'generator "{generators[0].display_name}": n = 1 with one generator gives no pairs; '
            "set n = 2 or more, or add a generator"
        )
    models = list(dict.fromkeys(generator.model for generator in generators))
    if rules.strategy is Strategy.BASELINE and rules.baseline not in models:
        hint = did_you_mean(rules.baseline or "", models) or f"; models are: {', '.join(models)}"
        raise ConfigError(f'pairing: baseline "{rules.baseline}" is no generator\'s model{hint}')
    if rules.strategy is Strategy.ON_POLICY:
        _check_on_policy([generator.display_name for generator in generators], rules)
    if len(models) == 1 and (rules.across_models or rules.strategy is Strategy.BASELINE):
        rule = "across_models" if rules.across_models else "strategy baseline"
        raise ConfigError(
            f'pairing: {rule} needs two models, and all generators are "{models[0]}"; '
            "add a generator with another model"
        )


def _check_on_policy(names: Sequence[str], rules: PairingRules) -> None:
    if rules.on_policy not in names:
        hint = did_you_mean(rules.on_policy or "", names) or f"; generators are: {', '.join(names)}"
        raise ConfigError(f'pairing: on_policy "{rules.on_policy}" is no generator{hint}')
    if len(names) == 1:
        raise ConfigError(
            f'pairing: strategy on_policy needs a second generator to compare "{names[0]}" with; '
            "add a [[generators]] table, with another name where the model is the same"
        )


def generator_warnings(generators: Sequence[Generator]) -> list[str]:
    """Return what is odd about generators that are used all the same, one line each."""
    found = []
    for generator in generators:
        variants, who = generator.variants, f'generator "{generator.display_name}"'
        if len(variants) > generator.n:
            unused = [_shown(variant) for variant in variants[generator.n :]]
            shown = "; ".join(unused[:3]) + (f"; and {len(unused) - 3} more" * (len(unused) > 3))
            found.append(
                f"{who}: n = {generator.n} uses the first {generator.n} of {len(variants)} "
                f"variants, never these: {shown}; raise n, or shorten the lists"
            )
        repeated = variants[: max(0, generator.n - len(variants))]
        fixed = [variant for variant in repeated if variant.is_fixed]
        if fixed:
            found.append(
                f"{who}: asks the same more than once with {_shown(fixed[0])}, so the answers "
                "may be identical and are then dropped; "
                + (
                    f"give {generator.n} seeds, or none"
                    if "seed" in fixed[0].sampling
                    else "raise the temperature, or lower n"
                )
            )
    return found


@dataclass(frozen=True, slots=True)
class Tally:
    """What one generator's replies in a run add up to."""

    replies: int
    statuses: Mapping[str, int]
    """Replies that are no candidate, by status."""
    prompts: int
    """Prompts with two candidates or more of this generator."""
    repeated: int
    """Those of them whose candidates are all the same text."""


def complaints(name: str, tally: Tally) -> list[str]:
    """Return what is wrong with a generator, judging by its replies, one line each.

    A share below `NOTABLE_SHARE` is not worth a line.
    """
    counted = (
        ("empty", "are empty", "raise max_tokens, or check the model's chat template"),
        ("truncated", "were cut at the token limit", "raise max_tokens, or set keep_truncated"),
        ("refused", "were stopped by a content filter", "look at the prompts, or change the model"),
        ("failed", "were rejected by the endpoint", "look at the reasons kept in the ledger"),
        ("unfinished", "ended otherwise than as answers", "keep tools out of extra_body"),
    )
    found = []
    for status, what, remedy in counted:
        count = tally.statuses.get(status, 0)
        if count and count >= NOTABLE_SHARE * tally.replies:
            found.append(
                f'generator "{name}": {count:,} of {tally.replies:,} replies {what}; {remedy}'
            )
    if tally.repeated and tally.repeated >= NOTABLE_SHARE * tally.prompts:
        found.append(
            f'generator "{name}": gave {tally.repeated:,} of {tally.prompts:,} prompts the same '
            "answer every time; raise the temperature, or give other seeds"
        )
    return found


def _shown(variant: Variant) -> str:
    parts = [f"{name} {value:g}" for name, value in variant.sampling.items()]
    if variant.system is not None:
        text = " ".join(variant.system.split())
        parts.append(f'system "{text if len(text) <= 30 else text[:29] + "…"}"')
    return ", ".join(parts)
