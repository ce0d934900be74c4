"""Judges of the settings made ready to ask."""

from collections.abc import Mapping

from pydantic import SecretStr

from judge.errors import ConfigError
from judge.job.endpoints import check_rates, keys_of
from judge.job.judging import ResolvedJudge, resolve_judge
from judge.outcomes.attributes import check_scales
from judge.policies.rules import check_policy
from judge.settings.config import Settings


def ready_judges(
    settings: Settings, environ: Mapping[str, str]
) -> tuple[tuple[ResolvedJudge, ...], dict[str, SecretStr | None]]:
    """Return the judges and the keys of their endpoints; ConfigError where they cannot be asked."""
    judges = resolved_judges(settings)
    check_rates(settings, judges, longest=2)  # a cut reply is asked for with twice the room
    return judges, keys_of(settings, sorted({judge.endpoint for judge in judges}), environ)


def resolved_judges(settings: Settings) -> tuple[ResolvedJudge, ...]:
    """Return the judges of the settings ready to ask; ConfigError where they cannot be."""
    if not settings.judges:
        raise ConfigError("no judge is set; add a [[judges]] table to the config or give --model")
    judges = tuple(resolve_judge(j, settings.endpoint_of(j)) for j in settings.judges)
    by_key: dict[str, str] = {}
    for judge in judges:
        twin = by_key.setdefault(judge.judge_key, judge.name)
        if twin != judge.name:
            raise ConfigError(
                f'judges "{twin}" and "{judge.name}" ask the same thing: same model, prompt and '
                "sampling; remove one, or give them different seeds"
            )
    check_scales(judges)
    thresholds = [judge.accept_above for judge in settings.judges]
    check_policy(settings.run, [judge.name for judge in judges], thresholds)
    return judges
