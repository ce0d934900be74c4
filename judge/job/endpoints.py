"""Opening a job's endpoints: each checked, throttled and kept within the budget."""

import asyncio
import random
from collections.abc import Collection, Iterable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from pydantic import SecretStr

from judge.chat import ChatModel
from judge.errors import ConfigError
from judge.job.desk import EndpointPool
from judge.job.progress import Progress
from judge.prices.budget import Budget, BudgetedChat
from judge.settings.config import Endpoint, Settings
from judge.throttling.admission import Limits
from judge.throttling.throttle import Throttle, ThrottledChat

if TYPE_CHECKING:
    from judge.backends.vllm import VLLMChat


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


class LocalEngines:
    """The models that a job runs in this process: each is loaded once, and freed at the end.

    Use as an async context manager around all that asks them.
    """

    def __init__(self) -> None:
        self._chats: dict[tuple[str, str], VLLMChat] = {}
        """By endpoint and model."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.keep_only(())

    async def chat(self, name: str, endpoint: Endpoint, model: str) -> ChatModel:
        """Return the model of an endpoint, loaded unless it is already; takes seconds or minutes.

        Raises ConfigError where it cannot be loaded.
        """
        if (name, model) not in self._chats:
            from judge.backends.vllm import VLLMChat
            from judge.backends.vllm_engine import start_engine

            engine = await asyncio.to_thread(start_engine, name, endpoint, model)
            chat = self._chats[name, model] = VLLMChat(name, endpoint, engine)
            await chat.warm_up()
        return self._chats[name, model]

    async def keep_only(self, endpoints: Collection[str]) -> None:
        """Free the models of all other endpoints: their memory is wanted by those to come."""
        for name, model in list(self._chats):
            if name not in endpoints:
                await self._chats.pop((name, model)).close()


async def open_endpoint(
    stack: AsyncExitStack,
    name: str,
    endpoint: Endpoint,
    key: SecretStr | None,
    *,
    models: Collection[str],
    budget: Budget,
    progress: Progress,
    engines: LocalEngines | None = None,
) -> EndpointPool:
    """Return an endpoint ready to be asked, after a free request that finds a wrong one.

    `engines` keeps models that are loaded here for whoever asks them next; without it they are
    freed with `stack`. Raises UnreachableError, AccountError or ConfigError. `progress` gets its
    throttle to show.
    """
    if (contradiction := endpoint.contradiction()) is not None:
        raise ConfigError(f'endpoint "{name}": {contradiction}')
    if endpoint.engine == "vllm":
        if engines is None:
            engines = await stack.enter_async_context(LocalEngines())
        model = endpoint.only_model(name, models)
        with progress.at_stage(f"loading {model}"):
            chat, round_trip_s = await engines.chat(name, endpoint, model), 0.0
    else:
        chat, round_trip_s = await _reached(stack, name, endpoint, key, models, progress)
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


async def _reached(
    stack: AsyncExitStack,
    name: str,
    endpoint: Endpoint,
    key: SecretStr | None,
    models: Collection[str],
    progress: Progress,
) -> tuple[ChatModel, float]:
    """Return an address as a ChatModel, and the seconds of a round trip to it."""
    from judge.backends.openai import OpenAIChat  # aiohttp: not for a job with nothing to do

    chat = await stack.enter_async_context(OpenAIChat(name, endpoint, key))
    with progress.at_stage(f"reaching {name}"):
        return chat, max([await chat.preflight(model) for model in models])
