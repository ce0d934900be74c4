"""Which judge ranks the candidates for best against worst, and which judge what is left. Pure."""

from judge.candidates.pairing import Strategy
from judge.errors import ConfigError
from judge.outcomes.labels import Rule
from judge.settings.config import Judge, Run, Settings
from judge.settings.suggestion import did_you_mean


def check_first_pass(settings: Settings) -> None:
    """Raise ConfigError where the judge of the first pass is none of the judges."""
    if settings.pairing.strategy is Strategy.BEST_WORST and settings.judges:
        _ranking_judge(settings)


def first_pass_settings(settings: Settings) -> Settings:
    """Return the settings of the first pass: its judge alone, in one order, within the budgets."""
    run = settings.run
    asked = Run(
        rule=Rule.SINGLE_RANDOM,
        max_dropped=run.max_dropped,
        budget_requests=run.budget_requests,
        budget_tokens=run.budget_tokens,
        budget_usd=run.budget_usd,
    )
    return settings.model_copy(update={"judges": (_ranking_judge(settings),), "run": asked})


def second_pass_settings(settings: Settings) -> Settings:
    """Return the settings of what the first pass leaves: without its judge, where that is named.

    A judge that is named in `first_pass` is there for that alone, unless there is no other.
    """
    name = settings.pairing.first_pass
    others = tuple(judge for judge in settings.judges if judge.display_name != name)
    return settings.model_copy(update={"judges": others}) if others else settings


def _ranking_judge(settings: Settings) -> Judge:
    name = settings.pairing.first_pass
    if name is None:
        return settings.judges[0]
    names = [judge.display_name for judge in settings.judges]
    if name not in names:
        hint = did_you_mean(name, names) or f"; judges are: {', '.join(names)}"
        raise ConfigError(f'pairing: first_pass "{name}" is no judge{hint}')
    return settings.judges[names.index(name)]
