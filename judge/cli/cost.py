"""`judge cost`: what would a job take?"""

import os
from collections.abc import Iterator
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
from judge.prices.estimate import Estimate, over_budget
from judge.prices.price_list import has_price_list, price_warnings
from judge.settings.config import Settings
from judge.settings.loading import load_settings

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
    is counted as done, and how long its replies were is what new ones are taken to be. For a file
    of prompts, answering them and judging the answers. The same as judge run --dry-run.

    Prices are those of [prices] in the config, or else of the price list that comes with
    evenhand[cost], for addresses that it knows.

    Parameters
    ----------
    input_
        JSON Lines file of pairs or of prompts; - reads standard input.
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
    with_judging: bool = True,
) -> int:
    """Print what a job would take, as text or as one JSON document."""
    estimate = estimated(
        source, settings, ledger, lines=lines, columns=columns, talk=talk, with_judging=with_judging
    )
    for line in (*intake_lines(estimate.intake), *_price_warnings(settings)):
        talk.warn(line)
    if json:
        print(document_text(estimate.as_dict()))
        return 0
    over = over_budget(estimate, settings.run.model_dump(include=set(BUDGETS)))
    shown = [line for sample in estimate.samples for line in ("", *sample_lines(sample))]
    print(visible("\n".join([*estimate_lines(estimate, over=over), *shown])))
    if estimate.usd is None and not has_price_list():
        talk.say("the prices of many providers come with the extra cost: evenhand[cost]")
    talk.say("nothing was sent and nothing was written")
    return 0


def estimated(
    source: str,
    settings: Settings,
    ledger: Path,
    *,
    lines: InputFlags,
    columns: MapFlags | None = None,
    talk: Talk,
    with_judging: bool = True,
) -> Estimate:
    """Return what a job would take, showing how far the counting has come."""

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
        with_judging=with_judging,
        on_pairs=count,
    )
    talk.clear()
    return estimate


def _price_warnings(settings: Settings) -> Iterator[str]:
    for warning in price_warnings(settings):
        yield f"warning: {warning}"
