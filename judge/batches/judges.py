"""The judges of exported asks: noted with the export, so that their replies can be read later."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.backends.body import chat_body
from judge.backends.refusals import refusal_of
from judge.backends.wire import Answer
from judge.errors import AccountError, ConfigError, EvenhandError
from judge.job.judging import ResolvedJudge, request_of, resolve_judge
from judge.ledger.batches import BatchExport
from judge.settings.config import Endpoint, Judge, Settings
from prompts.template import Rendered

PROMPTS = "prompts"
_FILES = ("prompt", "criteria")
"""Settings of a judge that may be the path of a file."""
_SECRET = {"headers", "api_key_env"}
"""Of an endpoint: never written down, and of no use for reading a reply."""


def noted_judges(
    settings: Settings, judges: Mapping[str, ResolvedJudge], *, written: Path, kept: Path
) -> dict[str, Any]:
    """Return judge key -> what its replies are read by, as JSON.

    A prompt or criteria of the user's own are copied into the folder `written`, which will be
    called `kept`: they may be edited before the replies come back.
    """
    noted = {}
    for judge in settings.judges:
        endpoint = settings.endpoint_of(judge)
        key = resolve_judge(judge, endpoint).judge_key
        if key not in judges:
            continue
        copies = {}
        for setting in _FILES:
            file, mark, name = (getattr(judge, setting) or "").partition("#")
            if Path(file).is_file() and Path(file).suffix:
                target = f"{key[:12]}-{setting}{Path(file).suffix}"
                (written / PROMPTS).mkdir(exist_ok=True)
                shutil.copyfile(file, written / PROMPTS / target)
                copies[setting] = f"{kept / PROMPTS / target}{mark}{name}"
        noted[key] = {
            "judge": judge.model_dump(mode="json", exclude_defaults=True),
            "endpoint": endpoint.model_dump(mode="json", exclude_defaults=True, exclude=_SECRET),
            "copies": copies,
        }
    return noted


def reading_judge(
    export: BatchExport, judge_key: str, settings: Settings | None
) -> tuple[ResolvedJudge, Endpoint]:
    """Return a judge of an export as it was asked, with its endpoint.

    It is looked for in the settings, where given, and in what the export noted. Raises ConfigError
    where neither has it any more, such as after its prompt was edited and its copy lost.
    """
    causes = []
    for judge, endpoint in _candidates(export, judge_key, settings):
        try:
            resolved = resolve_judge(judge, endpoint)
        except EvenhandError as error:
            causes.append(str(error))
            continue
        if resolved.judge_key == judge_key:
            return resolved, endpoint
    name = export.judges.get(judge_key, {}).get("judge", {}).get("model", judge_key)
    raise ConfigError(
        f'judge "{name}" of the batch in {export.folder} cannot be had as it was asked'
        f"{_listed(causes)}; give --config with its settings and put its prompt back as it was"
    )


def refused_request(
    answer: Answer, judge: ResolvedJudge, endpoint: Endpoint
) -> AccountError | None:
    """Return the error where an answer refuses how the judge is asked, not what about."""
    body = chat_body(request_of(judge, Rendered("", "", 0)), endpoint)
    return refusal_of(answer, body, where=judge.endpoint, extra=endpoint.extra_body)


def _candidates(
    export: BatchExport, judge_key: str, settings: Settings | None
) -> Iterator[tuple[Judge, Endpoint]]:
    noted = export.judges.get(judge_key)
    if noted is not None:
        judge = Judge.model_validate(noted["judge"])
        endpoint = Endpoint.model_validate(noted["endpoint"])
        yield judge, endpoint
        yield judge.model_copy(update=noted["copies"]), endpoint
    for given in settings.judges if settings else ():
        yield given, settings.endpoint_of(given) if settings else Endpoint()


def _listed(causes: Sequence[str]) -> str:
    return f" ({'; '.join(dict.fromkeys(causes))})" if causes else ""
