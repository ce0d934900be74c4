"""`judge agree`: the agreement report."""

from pathlib import Path

from calibration.report.text import report_text
from judge.api import DEFAULT_LEDGER, agree
from judge.cli.talk import talk_on_stderr
from judge.cli.visible import visible


def command(
    *,
    ledger: Path = DEFAULT_LEDGER,
    gold: Path | None = None,
    run: str = "latest",
    json: Path | None = None,
) -> int:
    """Print how far the judges of a run agree with human votes, and with themselves.

    Parameters
    ----------
    ledger
        Where the judgments are kept.
    gold
        JSON Lines file of human votes, in place of the votes in the ledger.
    run
        A run's id, or latest.
    json
        Also write the report as JSON to this file.
    """
    report = agree(ledger=ledger, gold=gold, run=run, json=json)
    print(visible(report_text(report)), end="")
    if json is not None:
        talk_on_stderr().say(f"report written to {json}")
    return 0
