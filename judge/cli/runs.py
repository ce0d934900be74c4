"""`judge runs`: what lies in a ledger."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from judge.api.base import DEFAULT_LEDGER
from judge.api.runs import delete_run, runs, show_run
from judge.cli.configured import known_prices
from judge.cli.documents import document_text
from judge.cli.runs_view import deletion_lines, detail_lines, run_table
from judge.cli.talk import Talk, talk_on_stderr
from judge.cli.visible import visible
from judge.errors import ConfigError
from judge.ledger.deletion import Deletion

RunId = Annotated[str, Parameter(name="RUN")]


def list_command(*, ledger: Path = DEFAULT_LEDGER, json: bool = False) -> int:
    """List the runs of a ledger, the one used last at the end.

    Parameters
    ----------
    ledger
        Where the judgments are kept.
    json
        Print one JSON document in place of the table.
    """
    talk = talk_on_stderr()
    with _waiting(talk):
        found = runs(ledger=ledger)
    if not json and not found:
        talk.say(f"ledger {ledger} holds no runs; start with judge run")
        return 0
    _print({"runs": found}, run_table(found) if not json else None)
    return 0


def show_command(
    run: RunId = "latest",
    /,
    *,
    ledger: Path = DEFAULT_LEDGER,
    config: Path | None = None,
    json: bool = False,
) -> int:
    """Show one run: its settings and judges, and what its replies add up to.

    Parameters
    ----------
    run
        A run's id, or latest.
    ledger
        Where the judgments are kept.
    config
        Settings with the prices of models, for replies that are stored without what they cost;
        ./judge.toml where it exists.
    json
        Print one JSON document in place of the lines.
    """
    talk = talk_on_stderr()
    prices = known_prices(config, talk)
    with _waiting(talk):
        detail = show_run(run, ledger=ledger, prices=prices)
    _print(detail, None if json else detail_lines(detail))
    return 0


def delete_command(
    run: RunId, /, *, ledger: Path = DEFAULT_LEDGER, yes: bool = False, json: bool = False
) -> int:
    """Delete a run with the judgments and pairs that no other run uses. Votes always stay.

    Parameters
    ----------
    run
        The run's id.
    ledger
        Where the judgments are kept.
    yes
        Delete without asking.
    json
        Print what was deleted as one JSON document.
    """
    talk = talk_on_stderr()
    if not yes and not sys.stdin.isatty():
        raise ConfigError(
            f"run {run}: deleting asks first, and standard input is no terminal; "
            "add --yes to delete without being asked"
        )
    confirm = None if yes else lambda deletion: _is_confirmed(deletion, talk)
    talk.say(f"looking for what only run {run} uses ...")
    deletion = delete_run(run, ledger=ledger, confirm=confirm)
    if deletion is None:
        talk.say("nothing was deleted")
        return 0
    lines = deletion_lines(deletion)
    _print(deletion, None if json else [f"deleted {lines[0]}", *lines[1:]])
    talk.say(f"ledger {ledger} keeps its size on the disk; later runs fill the free space first")
    return 0


@contextmanager
def _waiting(talk: Talk) -> Iterator[None]:
    """Say that a ledger is being read, for a large one takes minutes."""
    if talk.is_live:
        talk.show("reading the ledger ...")
    try:
        yield
    finally:
        talk.clear()


def _is_confirmed(deletion: Deletion, talk: Talk) -> bool:
    talk.say("\n".join(["this deletes for good", *deletion_lines(deletion)]))
    print("delete? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _print(document: Any, lines: list[str] | None) -> None:
    """Print lines where there are some, otherwise the document as JSON."""
    print(document_text(document) if lines is None else visible("\n".join(lines)))
