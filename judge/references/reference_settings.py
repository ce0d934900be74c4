"""The settings under which a judge's model checks references: as a generator of replies. Pure."""

from judge.candidates.generators import Generator
from judge.candidates.pairing import PairingRules
from judge.errors import ConfigError
from judge.settings.config import Judge, Settings
from prompts.reference_prompts import own_answer_system


def _judge_of(settings: Settings) -> Judge:
    name = settings.references.judge
    if not settings.judges:
        raise ConfigError("no judge is set; add a [[judges]] table to the config or give --model")
    for judge in settings.judges:
        if name in (None, judge.display_name):
            return judge
    names = ", ".join(judge.display_name for judge in settings.judges)
    raise ConfigError(f'references.judge: there is no judge "{name}"; judges are: {names}')


def answering_settings(settings: Settings) -> Settings:
    """Return settings whose one generator is the judge's model answering by itself."""
    rules, judge = settings.references, _judge_of(settings)
    temperature = () if judge.temperature is None else (rules.temperature,)
    return _with_generator(
        settings, judge,
        n=rules.samples, temperature=temperature, system=(own_answer_system(),),
    )  # fmt: skip


def comparing_settings(settings: Settings) -> Settings:
    """Return settings whose one generator is the judge's model comparing answers."""
    judge = _judge_of(settings)
    temperature = () if judge.temperature is None else (0.0,)
    return _with_generator(settings, judge, n=1, temperature=temperature, system=())


def _with_generator(
    settings: Settings,
    judge: Judge,
    *,
    n: int,
    temperature: tuple[float, ...],
    system: tuple[str, ...],
) -> Settings:
    generator = Generator(
        model=judge.model,
        name=f"{judge.display_name} (references)",
        endpoint=judge.endpoint,
        n=n,
        temperature=temperature or False,
        system=system,
        max_tokens=settings.references.max_tokens,
    )
    told = {"generators": (generator,), "pairing": PairingRules()}
    return settings.model_copy(update=told)
