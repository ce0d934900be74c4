"""`judge tune`: which prompt, examples and temperature agree most with people?"""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from judge.api.base import DEFAULT_LEDGER
from judge.api.tune import atune, tune_cost
from judge.cli.configured import config_path
from judge.cli.cost_view import estimate_lines
from judge.cli.documents import document_text
from judge.cli.inputs import Input
from judge.cli.overrides import SettingFlags, overrides_of
from judge.cli.progress_view import ProgressView
from judge.cli.signals import ending_on_signals
from judge.cli.summary import early_end
from judge.cli.talk import Talk, talk_on_stderr
from judge.cli.tune_view import tuned_lines
from judge.cli.visible import visible
from judge.errors import ConfigError
from judge.inputs.intake import IntakeReport
from judge.job.desk import Stop
from judge.job.progress import Progress
from judge.settings.config import Settings
from judge.settings.loading import load_settings
from judge.tuning.tuning_grid import Grid, read_grid

THRESHOLD_FAILED = 1


def command(
    input_: Input,
    /,
    *,
    grid: Path | None = None,
    prompts: list[str] | None = None,
    few_shots: list[str] | None = None,
    temperatures: list[str] | None = None,
    gold: Path | None = None,
    config: Path | None = None,
    ledger: Path = DEFAULT_LEDGER,
    settings: SettingFlags | None = None,
    metric: Literal["s1", "s2", "majority"] = "s1",
    test_share: Annotated[float, Parameter(validator=Number(gt=0, lt=1))] = 0.5,
    seed: int = 0,
    race: bool = False,
    out: Path | None = None,
    must_win: bool = False,
    dry_run: bool = False,
    json: bool = False,
    quiet: bool = False,
) -> int:
    """Try prompts, examples and temperatures on the dev votes, and test the best on the others.

    Every variant is asked about the pairs with votes on dev prompts. The one that agrees most, and
    the first judge of the config, are then asked about the pairs with votes on test prompts: that
    figure is the one to quote. Examples come from dev prompts alone, which are then left out of
    the trial. Resumes when the same command is run again.

    Parameters
    ----------
    input_
        JSON Lines file of pairs.
    grid
        TOML file with any of prompts, criteria, few_shots, temperatures and judges, each a list.
    prompts
        Prompts to try, such as pair-tie,pair-grades; may be repeated.
    few_shots
        Numbers of examples to show, such as 0,4.
    temperatures
        Temperatures to try, such as 0,0.7.
    gold
        JSON Lines file of human votes, in place of the votes in the ledger.
    config
        Settings as TOML. ./judge.toml is used where it exists. Its first judge is the one to beat.
    ledger
        Where the replies are kept. The drawn examples are kept beside it.
    metric
        The agreement that is compared: s1 over votes with ties, s2 where both sides are decided,
        majority over pairs.
    test_share
        Share of the prompts that the test split takes.
    seed
        Of the drawing of examples.
    race
        After a third of the dev prompts, go on without what is surely worse than the best.
    out
        Write the winner's [[judges]] table to this file.
    must_win
        Exit with 1 unless the winner is surely better than the config's judge on the test split.
    dry_run
        Say what the whole grid would take, and send nothing.
    json
        Print one JSON document in place of the lines.
    quiet
        Say only warnings and errors.
    """
    talk = talk_on_stderr(is_quiet=quiet or json)
    path = config_path(config, talk)
    overrides = overrides_of(settings or SettingFlags(), path, environ=os.environ)
    resolved = load_settings(path, overrides, environ=os.environ)
    tried = _grid(grid, prompts, few_shots, temperatures)
    asked: dict[str, Any] = {"gold": gold, "metric": metric, "test_share": test_share, "seed": seed}
    if dry_run:
        dev, test = tune_cost(input_, tried, settings=resolved, ledger=ledger, **asked)
        shown = [
            "the whole grid on the dev split", *estimate_lines(dev, over=[]), "",
            "two judges on the test split, at most", *estimate_lines(test, over=[]),
        ]  # fmt: skip
        print(visible("\n".join(shown)))
        talk.say("nothing was sent and nothing was written")
        return 0
    asked |= {"race": race, "out": out}
    return asyncio.run(
        _tune(input_, tried, resolved, ledger, asked, talk=talk, must_win=must_win, json=json)
    )


async def _tune(
    source: str,
    grid: Grid,
    settings: Settings,
    ledger: Path,
    asked: dict[str, Any],
    *,
    talk: Talk,
    must_win: bool,
    json: bool,
) -> int:
    stop = Stop()
    with ending_on_signals(stop, talk) as interrupts, ProgressView(talk, source) as view:

        def begin(progress: Progress, intake: IntakeReport) -> None:
            talk.say(f"run {progress.run_id}: {intake.pairs:,} pairs, {progress.total:,} asks")
            for warning in intake.warnings:
                talk.warn(f"warning: {warning}")
            view.begin(progress)

        result = await atune(
            source, grid, settings=settings, ledger=ledger, stop=stop, on_start=begin,
            **asked,
        )  # fmt: skip
    tuned = result.tuned
    if tuned is None:
        if (why := early_end(result.run)) is not None:
            talk.warn(f"error: {why}")
        talk.warn("tuning ended early and tells nothing yet; the same command resumes")
        return interrupts.exit_code or result.exit_code
    if json:
        print(document_text(tuned.as_dict() | {"table": result.table}))
    else:
        print(visible("\n".join([*tuned_lines(tuned), "", result.table or ""]).rstrip()))
    if asked["out"] is not None:
        talk.say(f"the winner's table was written to {asked['out']}")
    if must_win and not tuned.is_better:
        talk.warn("threshold failed: the winner is not surely better on the test split")
        return THRESHOLD_FAILED
    return 0


def _grid(
    path: Path | None,
    prompts: list[str] | None,
    few_shots: list[str] | None,
    temperatures: list[str] | None,
) -> Grid:
    """Return the grid of the file, with what flags say in place of its own."""
    base = read_grid(path) if path else Grid()
    update: dict[str, object] = {}
    try:
        if prompts:
            update["prompts"] = _items(prompts)
        if few_shots:
            update["few_shots"] = tuple(int(text) for text in _items(few_shots))
        if temperatures:
            update["temperatures"] = tuple(float(text) for text in _items(temperatures))
        found = Grid.model_validate(base.model_dump() | update)
    except ValueError as error:
        raise ConfigError(
            "--few-shots takes whole numbers from 0 to 64, --temperatures numbers of 0 or more, "
            "such as 0,4 and 0,0.7"
        ) from error
    if found == Grid():
        raise ConfigError("nothing to try; give --grid, --prompts, --few-shots or --temperatures")
    return found


def _items(given: list[str]) -> tuple[str, ...]:
    return tuple(item.strip() for text in given for item in text.split(",") if item.strip())
