"""Judgments as JSON Lines: replies that a judge gave elsewhere, to be read by our parser.

    {"pair_id", "judge", "order": forward | reversed, "reply", "finish_reason"?, "sample"?,
     "model"?}

`order` is in the orientation of the pair that is named: forward showed its first answer as A.
The reply is raw text; what it decides is not given but parsed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from judge.formats.lines import BadLine, Line, read_lines
from judge.formats.rows import record_from, refuse_empty
from judge.records import Order, Record


class GivenJudgment(Record):
    """A judge's reply from outside, before its verdict is read."""

    pair_id: str
    judge: str
    """The judge's name in reports."""
    order: Order
    reply: str
    finish_reason: str | None = None
    sample: Annotated[int, Field(ge=0)] = 0
    model: str | None = None
    """The model behind the judge; None where only its name is known."""


def read_judgments(path: str | Path) -> Iterator[Line[GivenJudgment] | BadLine]:
    """One judgment or one problem per line; `-` reads standard input.

    Raises InputError while iterating when the file as a whole cannot be used.
    """
    return read_lines(path, parse_judgment)


def parse_judgment(line: bytes) -> GivenJudgment:
    """The judgment on one line; raises InputError with the problem in one line."""
    judgment = record_from(line, GivenJudgment)
    refuse_empty("pair_id", judgment.pair_id)
    refuse_empty("judge", judgment.judge)
    return judgment
