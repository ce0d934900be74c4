"""`judge check`: does everything work?"""

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from judge.api.base import DEFAULT_LEDGER
from judge.api.start import acheck
from judge.cli.configured import config_path
from judge.cli.documents import document_text
from judge.cli.overrides import SettingFlags, overrides_of
from judge.cli.talk import Talk, talk_on_stderr
from judge.cli.visible import on_one_line, visible
from judge.start.check_steps import Mark, Step


def command(
    *,
    config: Path | None = None,
    ledger: Path = DEFAULT_LEDGER,
    settings: SettingFlags | None = None,
    json: bool = False,
    show_prompts: bool = False,
) -> int:
    """Look over settings, prompts, keys, endpoints and ledger, and ask each judge one question.

    Every step is one line: ok, warning or failed, and what to do. Nothing is stored; each judge is
    sent two short requests.

    Parameters
    ----------
    config
        Settings as TOML. ./judge.toml is used where it exists.
    ledger
        Where replies would be kept.
    json
        Print one JSON document in place of the lines.
    show_prompts
        Print what each judge is asked in full, criteria included.
    """
    talk = talk_on_stderr(is_quiet=json)
    path = config_path(config, talk)
    overrides = overrides_of(settings or SettingFlags(), path, environ=os.environ)

    def show(step: Step) -> None:
        talk.clear()
        if not json:
            print(
                "\n".join([step_line(step), *prompt_lines(step, is_shown=show_prompts)]), flush=True
            )
        _say_what_is_awaited(step, talk)

    result = asyncio.run(acheck(config=path, ledger=ledger, overrides=overrides, on_step=show))
    talk.clear()
    if json:
        print(document_text(result.as_dict()))
    talk.say(_count_line(result.steps))
    return result.exit_code


def step_line(step: Step) -> str:
    """Return a step in one line in which nothing can steer a terminal."""
    remedy = f"; {step.remedy}" if step.remedy else ""
    return on_one_line(f"{step.mark.value:<8} {step.subject}: {step.found}{remedy}")


def prompt_lines(step: Step, *, is_shown: bool) -> list[str]:
    """Return the prompt that a step rendered, where there is one to show."""
    rendered = step.figures.get("rendered")
    if rendered is None or not is_shown:
        return []
    return ["[system]", visible(rendered["system"]), "[user]", visible(rendered["user"]), ""]


def _count_line(steps: Sequence[Step]) -> str:
    marks = Counter(step.mark for step in steps)
    return f"{len(steps)} steps: {marks[Mark.FAILED]} failed, {marks[Mark.WARNING]} with a warning"


def _say_what_is_awaited(step: Step, talk: Talk) -> None:
    if talk.is_live and not talk.is_quiet and step.subject.startswith(("endpoint", "judge")):
        talk.show("waiting for an endpoint ...")
