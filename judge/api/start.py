"""Twins of the commands to start with: demo, init, check, simulate."""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from judge.api.base import DEFAULT_LEDGER, wait_for

if TYPE_CHECKING:
    from judge.simulator.process import SimulatorProcess
    from judge.start.check_steps import Step
    from judge.start.checking import CheckResult
    from judge.start.demonstration import DemoResult


def demo(folder: str | Path = DEFAULT_LEDGER.parent) -> "DemoResult":
    """Run the whole path on example pairs with a simulated judge; return everything it made.

    Writes demo.db, demo.votes.jsonl and demo.trl.jsonl into `folder`, in place of earlier ones.
    """
    from judge.start.demonstration import run_demo

    return wait_for(run_demo(Path(folder)))


def init(folder: str | Path = ".") -> tuple[Path, ...]:
    """Write a project folder that runs at once, and return its files.

    Raises ConfigError, having written nothing, where one of the files is there already.
    """
    from judge.start.project import make_project

    return make_project(Path(folder))


async def acheck(
    *,
    config: str | Path | None = None,
    ledger: str | Path = DEFAULT_LEDGER,
    overrides: Mapping[str, Any] | None = None,
    on_step: "Callable[[Step], None] | None" = None,
    environ: Mapping[str, str] = os.environ,
) -> "CheckResult":
    """Return whether settings, prompts, keys, endpoints and ledger work, step by step.

    Each judge is asked one small question and one for token probabilities; nothing is stored.
    `on_step` is handed each step as soon as it is done. What does not work is a failed step, not
    an exception.
    """
    from judge.start.checking import check_everything

    return await check_everything(
        Path(config) if config else None,
        Path(ledger),
        overrides=overrides,
        on_step=on_step,
        environ=environ,
    )


def check(**arguments: Any) -> "CheckResult":
    """Look everything over; the synchronous twin of `acheck`, with the same arguments."""
    return wait_for(acheck(**arguments))


def simulate(**settings: Any) -> "AbstractContextManager[SimulatorProcess]":
    """Return a context manager that yields a simulated judge in a process of its own.

    `settings` are the fields of `SimulatorSettings`; the judge's address is its `base_url`.
    """
    from judge.simulator.process import simulator_process
    from judge.simulator.settings import SimulatorSettings

    return simulator_process(SimulatorSettings(**settings))
