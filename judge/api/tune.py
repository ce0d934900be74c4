"""The twin of `judge tune`."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from judge.api.base import DEFAULT_LEDGER, wait_for
from judge.settings.config import Settings
from judge.settings.loading import load_settings

if TYPE_CHECKING:
    from judge.inputs.intake import IntakeReport
    from judge.job.desk import Stop
    from judge.job.progress import Progress
    from judge.prices.estimate import Estimate
    from judge.tuning.tune_job import TuneQuestion, TuneResult
    from judge.tuning.tuning_grid import Grid


async def atune(
    pairs: str | Path,
    grid: "Grid | str | Path",
    *,
    gold: str | Path | None = None,
    settings: Settings | None = None,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    ledger: str | Path = DEFAULT_LEDGER,
    metric: str = "s1",
    test_share: float = 0.5,
    seed: int = 0,
    race: bool = False,
    out: str | Path | None = None,
    stop: "Stop | None" = None,
    on_start: "Callable[[Progress, IntakeReport], None] | None" = None,
    environ: Mapping[str, str] = os.environ,
) -> "TuneResult":
    """Try a grid of judges on dev votes and the best against the config's first on test votes.

    `grid` is a `Grid` or a TOML file. Votes are those of `gold`, or else of the ledger; `metric`
    is "s1", "s2" or "majority"; `race` drops what is surely worse early. Examples and pair files
    are kept beside the ledger, the winner's [[judges]] table is written to `out`. The look at the
    test votes is noted in the ledger. Resumes: nothing is asked twice. Raises ConfigError,
    InputError and LedgerError; where asking ended early, `tuned` is None and `run` says why.
    """
    from judge.atomic import atomic_writer
    from judge.tuning.tune_job import tune_job

    resolved = settings or load_settings(
        Path(config) if config else None, overrides, environ=environ
    )
    question = _question(pairs, grid, gold, metric, test_share, seed=seed, race=race)
    result = await tune_job(
        question, resolved, Path(ledger), stop=stop, on_start=on_start, environ=environ
    )
    if out is not None and result.table is not None:
        with atomic_writer(Path(out)) as file:
            file.write(result.table.encode())
    return result


def tune(pairs: str | Path, grid: "Grid | str | Path", **arguments: Any) -> "TuneResult":
    """Tune a judge; the synchronous twin of `atune`, with the same arguments."""
    return wait_for(atune(pairs, grid, **arguments))


def tune_cost(
    pairs: str | Path,
    grid: "Grid | str | Path",
    *,
    gold: str | Path | None = None,
    settings: Settings | None = None,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    ledger: str | Path = DEFAULT_LEDGER,
    metric: str = "s1",
    test_share: float = 0.5,
    seed: int = 0,
    environ: Mapping[str, str] = os.environ,
) -> "tuple[Estimate, Estimate]":
    """Return what the whole grid would take on dev pairs, and at most two judges on test pairs.

    The arguments are those of `atune`. Sends nothing and writes nothing; what the ledger holds is
    counted as done.
    """
    from judge.job.pipeline import JobInput
    from judge.prices.estimating import estimate_job
    from judge.tuning.tune_job import prepare_tuning, write_pairs

    resolved = settings or load_settings(
        Path(config) if config else None, overrides, environ=environ
    )
    question = _question(pairs, grid, gold, metric, test_share, seed=seed, race=False)
    with TemporaryDirectory() as name:
        folder = Path(name)
        prepared = prepare_tuning(question, resolved, Path(ledger), folder=folder)
        dev, test = folder / "dev.jsonl", folder / "test.jsonl"
        write_pairs(dev, prepared.material.dev)
        write_pairs(test, prepared.material.test)
        whole = estimate_job(JobInput(str(dev)), prepared.asking(prepared.variants), Path(ledger))
        # Which one wins is unknown: the one with the longest prompts costs most.
        sizes = {one.name: one.prompt_tokens.high for one in whole.judges}
        incumbent, *others = prepared.variants
        longest = max(others, key=lambda one: sizes[one.name])
        last = estimate_job(
            JobInput(str(test)), prepared.asking((incumbent, longest)), Path(ledger)
        )
    return whole, last


def _question(
    pairs: str | Path,
    grid: "Grid | str | Path",
    gold: str | Path | None,
    metric: str,
    share: float,
    *,
    seed: int,
    race: bool,
) -> "TuneQuestion":
    from calibration.compare import Metric
    from judge.tuning.tune_job import TuneQuestion
    from judge.tuning.tuning_grid import Grid, read_grid

    return TuneQuestion(
        pairs=str(pairs),
        grid=grid if isinstance(grid, Grid) else read_grid(Path(grid)),
        gold=str(gold) if gold else None,
        metric=Metric(metric),
        share=share,
        seed=seed,
        is_race=race,
    )
