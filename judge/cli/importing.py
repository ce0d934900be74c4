"""`judge import`: load records made elsewhere."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from judge.api import DEFAULT_LEDGER, import_file
from judge.cli.summary import intake_lines
from judge.cli.talk import talk_on_stderr

File = Annotated[str, Parameter(name="FILE", allow_leading_hyphen=True)]


def command(
    file: File,
    /,
    *,
    kind: Literal["pairs", "votes", "judgments"],
    ledger: Path = DEFAULT_LEDGER,
    skip_bad_lines: bool = False,
    no_ties: bool = False,
) -> int:
    """Load pairs, human votes or judgments into a ledger. Importing a file again adds nothing.

    Parameters
    ----------
    file
        JSON Lines file; - reads standard input.
    kind
        What its lines are.
    ledger
        Where they are kept.
    skip_bad_lines
        Leave out lines that cannot be read, instead of importing nothing.
    no_ties
        For judgments: the judge was offered no tie, so [[C]] is no verdict.
    """
    talk = talk_on_stderr()
    result = import_file(
        file, kind, ledger=ledger, allows_tie=not no_ties, skip_bad_lines=skip_bad_lines
    )
    for line in intake_lines(result.report):
        talk.warn(line)
    stored = result.read - result.new
    talk.say(f"imported {result.new:,} {kind} into {ledger}; {stored:,} were there already")
    return 0
