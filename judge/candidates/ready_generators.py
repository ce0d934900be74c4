"""Generators of the settings made ready to ask, and what tells one run of theirs from another."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from pydantic import SecretStr

from judge.candidates.generation import ResolvedGenerator, refuse_twins, resolve_generator, slots_of
from judge.errors import ConfigError
from judge.inputs.intake import Selection, input_digest
from judge.job.endpoints import check_rates, keys_of
from judge.settings.config import Settings


def resolved_generators(settings: Settings) -> tuple[ResolvedGenerator, ...]:
    """Return the generators ready to ask; ConfigError where one is unusable."""
    if not settings.generators:
        raise ConfigError(
            "no generator is set; add a [[generators]] table to the config, with model and n, or "
            "give --model and --n"
        )
    generators = tuple(resolve_generator(g, settings.endpoint_of(g)) for g in settings.generators)
    refuse_twins(generators)
    check_rates(settings, generators)
    return generators


def ready_generators(
    settings: Settings, environ: Mapping[str, str]
) -> tuple[tuple[ResolvedGenerator, ...], dict[str, SecretStr | None]]:
    """Return the generators and the keys of their endpoints; ConfigError where one is unusable."""
    generators = resolved_generators(settings)
    return generators, keys_of(settings, sorted({g.endpoint for g in generators}), environ)


def names_of(generators: Sequence[ResolvedGenerator]) -> dict[str, str]:
    """Return generator key -> the name of the generator that asks so."""
    return {key: generator.name for generator in generators for key in generator.variants}


def generation_run_id(
    prompts: str,
    selection: Selection,
    generators: Sequence[ResolvedGenerator],
    *,
    in_waves: bool = False,
) -> str:
    """Return the id of a file's prompts under these generators: the same job, the same run."""
    identity: dict[str, object] = {
        "input": input_digest(prompts),
        "selection": asdict(selection),
        "slots": [asdict(slot) for slot in slots_of(generators)],
    }
    if in_waves:
        identity["in_waves"] = True
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
