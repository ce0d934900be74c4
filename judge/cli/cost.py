"""`judge cost`: what would a job take?"""

import os
from pathlib import Path

from judge.api.base import DEFAULT_LEDGER
from judge.api.label import cost
from judge.cli.configured import config_path
from judge.cli.cost_view import estimate_lines, sample_lines
from judge.cli.documents import document_text
from judge.cli.inputs import Input, InputFlags
from judge.cli.mapping import MapFlags
from judge.cli.overrides import SettingFlags, overrides_of
from judge.cli.summary import intake_lines
from judge.cli.talk import Talk, talk_on_stderr
from judge.cli.visible import visible
from judge.config import Settings
from judge.estimate import over_budget
from judge.loading import load_settings

BUDGETS = ("budget_requests", "budget_tokens", "budget_usd")


def command(
    input_: Input,
    /,
    *,
    config: Path | None = None,
    ledger: Path = DEFAULT_LEDGER,
    settings: SettingFlags | None = None,
    lines: InputFlags | None = None,
    columns: MapFlags | None = None,
    json: bool = False,
) -> int:
    """Say what judging a file would take: calls, tokens, money and time. Sends nothing.

    Every prompt is rendered as it would be sent, and two of them are shown. What the ledger holds
    is counted as done. The same as judge run --dry-run.

    Parameters
    ----------
    input_
        JSON Lines file of pairs; - reads standard input.
    config
        Settings as TOML. ./judge.toml is used where it exists.
    ledger
        Where the replies are kept, if there are any yet.
    json
        Print one JSON document in place of the lines.
    """
    talk = talk_on_stderr(is_quiet=json)
    path = config_path(config, talk)
    overrides = overrides_of(settings or SettingFlags(), path, environ=os.environ)
    resolved = load_settings(path, overrides, environ=os.environ)
    return show_cost(
        input_,
        resolved,
        ledger,
        lines=lines or InputFlags(),
        columns=columns,
        talk=talk,
        json=json,
    )


def show_cost(
    source: str,
    settings: Settings,
    ledger: Path,
    *,
    lines: InputFlags,
    columns: MapFlags | None = None,
    talk: Talk,
    json: bool = False,
) -> int:
    """Print what a job would take, as text or as one JSON document."""

    def count(pairs: int) -> None:
        if talk.is_live and not talk.is_quiet:
            talk.show(f"{pairs:,} pairs read")

    columns = columns or MapFlags()
    estimate = cost(
        source,
        map=columns.map,
        values=columns.values,
        settings=settings,
        ledger=ledger,
        limit=lines.limit,
        sample=lines.sample,
        seed=lines.seed,
        retry=lines.retry or (),
        skip_bad_lines=lines.skip_bad_lines,
        on_pairs=count,
    )
    talk.clear()
    for line in intake_lines(estimate.intake):
        talk.warn(line)
    if json:
        print(document_text(estimate.as_dict()))
        return 0
    over = over_budget(estimate, settings.run.model_dump(include=set(BUDGETS)))
    shown = [line for sample in estimate.samples for line in ("", *sample_lines(sample))]
    print(visible("\n".join([*estimate_lines(estimate, over=over), *shown])))
    talk.say("nothing was sent and nothing was written")
    return 0
