"""Looking everything over before the first paid request, from settings to ledger.

Each judge is asked one small question through its own prompt. Nothing is stored. The module is not
called `check`: a submodule of that name would hide the function `judge.check`.
"""

import asyncio
import os
import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from judge.backends.probing import ProbingChat, TokenProbabilities
from judge.candidates.generators import Generator
from judge.chat import ChatRequest
from judge.errors import ConfigError, EndpointError, EvenhandError, LedgerError
from judge.job.judging import Ask, Deferred, ResolvedJudge, judge_once, request_of, resolve_judge
from judge.job.retry import RetryBudget, RetryPolicy
from judge.ledger.store import Ledger
from judge.prices.price_list import prices_of
from judge.prices.pricing import price_of
from judge.records import Judgment, Order
from judge.settings.config import Endpoint, Settings
from judge.settings.loading import ENVIRONMENT_PREFIX, load_settings
from judge.start.check_steps import (
    Mark,
    Step,
    call_step,
    endpoint_subject,
    engine_step,
    failure,
    generator_step,
    judge_step,
    key_step,
    listing_step,
    no_judge_step,
    probabilities_step,
    reachable_step,
    settings_step,
    sqlite_step,
    subject_of,
    template_step,
)
from prompts.shown import Shown
from prompts.template import JudgePrompt

_ONE_TURN = Shown(
    question="What is 2 + 2? Answer with the number.",
    answer_a="4",
    answer_b="5",
    references=("4",),
)
_TWO_TURNS = Shown(
    question=_ONE_TURN.question,
    answer_a="4\n\n8",
    answer_b="5\n\n10",
    references=("4", "8"),
    conversation_a=(
        {"role": "user", "content": _ONE_TURN.question},
        {"role": "assistant", "content": "4"},
        {"role": "user", "content": "Double it."},
        {"role": "assistant", "content": "8"},
    ),
    conversation_b=(
        {"role": "user", "content": _ONE_TURN.question},
        {"role": "assistant", "content": "5"},
        {"role": "user", "content": "Double it."},
        {"role": "assistant", "content": "10"},
    ),
)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """All that was looked at, in order."""

    steps: tuple[Step, ...]

    @property
    def exit_code(self) -> int:
        """0 where nothing failed, otherwise that of the first failure: 2 settings, 5 endpoint."""
        return next((step.exit_code for step in self.steps if step.mark is Mark.FAILED), 0)

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON, schema "check/1"."""
        return {
            "schema": "check/1",
            "exit_code": self.exit_code,
            "steps": [
                {
                    "subject": step.subject,
                    "mark": step.mark,
                    "found": step.found,
                    "remedy": step.remedy,
                    "figures": dict(step.figures),
                }
                for step in self.steps
            ],
        }


async def check_everything(
    config: Path | None,
    ledger: Path,
    *,
    overrides: Mapping[str, Any] | None = None,
    on_step: Callable[[Step], None] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> CheckResult:
    """Return every step of a check; `on_step` is handed each as soon as it is done.

    Never raises for what it is there to find: a failed step says what is wrong.
    """
    steps: list[Step] = []

    def note(step: Step) -> None:
        steps.append(step)
        if on_step is not None:
            on_step(step)

    try:
        settings = load_settings(config, overrides, environ=environ)
    except ConfigError as error:
        for line in str(error).splitlines():
            note(failure("settings", ConfigError(line), exit_code=2))
    else:
        note(settings_step(str(config) if config else None, _variables(environ), overrides or ()))
        judges = []
        for step, judge in _judge_steps(settings):
            note(step)
            judges += [judge] if judge is not None else []
        async for step in _endpoint_steps(settings, judges, environ):
            note(step)
    for step in await asyncio.to_thread(lambda: list(_ledger_steps(ledger))):
        note(step)
    return CheckResult(tuple(steps))


def _variables(environ: Mapping[str, str]) -> list[str]:
    """Return the names of the variables that hold settings; loading has read them."""
    tables = tuple(f"{ENVIRONMENT_PREFIX}{name.upper()}__" for name in Settings.model_fields)
    named = [name for name in sorted(environ) if name.upper().startswith(tables)]
    return named + [name for name in ("OPENAI_BASE_URL",) if environ.get(name)]


def _judge_steps(settings: Settings) -> Iterator[tuple[Step, ResolvedJudge | None]]:
    """Yield what each model is and each judge's template, with the judge where it can be asked."""
    if not settings.judges:
        yield no_judge_step(has_generators=bool(settings.generators)), None
    for judge in settings.judges:
        endpoint = settings.endpoint_of(judge)
        yield judge_step(judge, endpoint), None
        try:
            resolved = resolve_judge(judge, endpoint)
            if settings.run.budget_usd is not None:
                price_of(judge.model, prices_of(settings))
        except ConfigError as error:
            yield failure(subject_of(judge.display_name), error, exit_code=2), None
        else:
            example = resolved.prompt.render_pair(_shown(resolved.prompt))
            yield template_step(resolved, example), resolved
    for generator in settings.generators:
        yield generator_step(generator, settings.endpoint_of(generator)), None


async def _endpoint_steps(
    settings: Settings, judges: Sequence[ResolvedJudge], environ: Mapping[str, str]
) -> AsyncIterator[Step]:
    asked: list[ResolvedJudge | Generator] = [*judges, *settings.generators]
    for name in sorted({model.endpoint for model in asked}):
        endpoint = settings.endpoints[name]
        models = list(dict.fromkeys(one.model for one in asked if one.endpoint == name))
        try:
            key = endpoint.api_key(name, environ)
        except ConfigError as error:
            yield key_step(name, endpoint, error)
            continue
        if endpoint.engine == "vllm":
            yield await _engine_step(name, endpoint, models)
            continue
        yield key_step(name, endpoint, None)
        async with ProbingChat(name, endpoint, key) as chat:
            try:
                round_trip_s = await chat.preflight(models[0])
            except EndpointError as error:
                yield failure(endpoint_subject(name), error, exit_code=5)
                continue
            yield reachable_step(name, endpoint, round_trip_s)
            for model in models:
                yield listing_step(name, model, chat.listed)
            for judge in judges:
                if judge.endpoint == name:
                    async for step in _live_steps(judge, chat):
                        yield step


async def _engine_step(name: str, endpoint: Endpoint, models: Sequence[str]) -> Step:
    from judge.backends.vllm_engine import installed_version

    try:
        version = await asyncio.to_thread(installed_version, name, endpoint)
    except ConfigError as error:
        return failure(endpoint_subject(name), error, exit_code=2)
    return engine_step(name, version, models)


async def _live_steps(judge: ResolvedJudge, chat: ProbingChat) -> AsyncIterator[Step]:
    """Yield what came of one question to a judge, and of one for token probabilities."""
    result = await _ask_once(judge, chat)
    yield call_step(judge, result)
    if isinstance(result, Deferred):
        return
    found: TokenProbabilities | EndpointError
    try:
        found = await chat.token_probabilities(_request(judge))
    except EndpointError as error:
        found = error
    yield probabilities_step(judge, found)


async def _ask_once(judge: ResolvedJudge, chat: ProbingChat) -> Judgment | Deferred:
    is_over = asyncio.Event()
    is_over.set()  # no retries: a check tells of a failure, it does not wait it out
    retries = RetryPolicy(
        budget=RetryBudget(), stop=is_over, on_wait=lambda *_: None, rng=random.Random(0)
    )
    ask = Ask("check", _shown(judge.prompt), judge, Order.FORWARD, 0)
    return await judge_once(ask, chat, retries, now="")


def _request(judge: ResolvedJudge) -> ChatRequest:
    return request_of(judge, judge.prompt.render_pair(_shown(judge.prompt)))


def _shown(prompt: JudgePrompt) -> Shown:
    return _TWO_TURNS if prompt.is_conversational else _ONE_TURN


def _ledger_steps(path: Path) -> Iterator[Step]:
    """Yield whether the ledger can be written. One that does not exist yet is not made."""
    yield sqlite_step(sqlite3.sqlite_version_info)
    try:
        if path.exists():
            Ledger(path).close()
            yield Step("ledger", Mark.OK, f"{path} can be written")
            return
        folder = _nearest_folder(path)
        # A ledger of a moment shows whether this file system locks files and keeps a log.
        with TemporaryDirectory(dir=folder, prefix=".judge-check-") as beside:
            Ledger(Path(beside) / "x.db").close()
        yield Step("ledger", Mark.OK, f"{path} does not exist yet; it can be made in {folder}")
    except EvenhandError as error:
        yield failure("ledger", error, exit_code=2)
    except OSError as error:
        problem = f"ledger {path}: its folder cannot be written ({error.strerror})"
        remedy = "choose another --ledger, or mend the folder's permissions"
        yield failure("ledger", LedgerError(f"{problem}; {remedy}"), exit_code=2)


def _nearest_folder(path: Path) -> Path:
    """Return the folder that a new ledger would be made in, or the nearest above that exists."""
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    return folder
