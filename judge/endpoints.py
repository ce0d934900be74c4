"""Opening a job's endpoints: each checked, throttled and kept within the budget."""

import random
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Protocol

from pydantic import SecretStr

from judge.budget import Budget, BudgetedChat
from judge.config import Endpoint, Settings
from judge.desk import EndpointPool
from judge.errors import ConfigError
from judge.progress import Progress
from judge.throttling.admission import Limits
from judge.throttling.throttle import Throttle, ThrottledChat


class Asker(Protocol):
    """A judge or a generator, ready to ask."""

    @property
    def name(self) -> str: ...
    @property
    def endpoint(self) -> str: ...
    @property
    def max_tokens(self) -> int: ...


def check_rates(settings: Settings, askers: Iterable[Asker], *, longest: int = 1) -> None:
    """Raise ConfigError where a reply may have more tokens than its endpoint's minute has.

    A reply may have up to `longest` times max_tokens.
    """
    for asker in askers:
        tpm, most = settings.endpoints[asker.endpoint].tpm, longest * asker.max_tokens
        if tpm is not None and most > tpm:
            again = f", and {longest} times that where it is cut" * (longest > 1)
            raise ConfigError(
                f'endpoint "{asker.endpoint}": tpm = {tpm:,} has no room for one reply of '
                f'"{asker.name}" (max_tokens {asker.max_tokens:,}{again}); raise tpm to at least '
                f"{most:,}, or lower max_tokens"
            )


def keys_of(
    settings: Settings, names: Iterable[str], environ: Mapping[str, str]
) -> dict[str, SecretStr | None]:
    """Return endpoint name -> key; ConfigError for a variable that is named and not set."""
    return {name: settings.endpoints[name].api_key(name, environ) for name in names}


async def open_endpoint(
    stack: AsyncExitStack,
    name: str,
    endpoint: Endpoint,
    key: SecretStr | None,
    *,
    models: Iterable[str],
    budget: Budget,
    progress: Progress,
) -> EndpointPool:
    """Return an endpoint ready to be asked, after a free request that finds a wrong one.

    Raises UnreachableError or AccountError. `progress` gets its throttle to show.
    """
    from judge.backends.openai import OpenAIChat  # aiohttp: not for a job with nothing to do

    chat = await stack.enter_async_context(OpenAIChat(name, endpoint, key))
    with progress.at_stage(f"reaching {name}"):
        round_trip_s = max([await chat.preflight(model) for model in models])
    limits = Limits(
        max_in_flight=endpoint.max_in_flight,
        start_in_flight=endpoint.start_in_flight,
        rpm=endpoint.rpm,
        tpm=endpoint.tpm,
    )
    throttle = Throttle(name, limits, rng=random.Random(name))
    progress.throttles[name] = throttle
    return EndpointPool(
        name=name,
        chat=ThrottledChat(BudgetedChat(chat, budget), throttle),
        throttle=throttle,
        max_in_flight=endpoint.max_in_flight,
        round_trip_s=round_trip_s,
    )
