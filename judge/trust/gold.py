"""Human votes from a file, in place of those in the ledger."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

from pydantic_core import to_json

from judge.formats.lines import BadLine, Line
from judge.formats.tasks import Answer, read_votes_and_answers
from judge.inputs.intake import IntakeReport
from judge.ledger.bare_votes import BareVote
from judge.ledger.store import Ledger
from judge.people.handing_over import votes_from
from judge.records import Vote

TWICE = "the same vote twice"

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class GoldVotes:
    """The votes of a file, each once."""

    votes: Sequence[BareVote]
    left_out: Counter[str]
    """Votes of the file that are not among them, by reason."""


def read_gold(ledger: Ledger, path: str) -> GoldVotes:
    """Return the votes of a JSON Lines file, answers to handed-off tasks un-shuffled.

    An answer speaks of A and B: only the ledger that its task was handed off from knows which
    candidate that was. Raises InputError that names every bad line, and every answer to a task
    that the ledger does not know.
    """
    report = IntakeReport()
    seen: set[bytes] = set()
    votes: list[BareVote] = []
    left_out: Counter[str] = Counter()
    lines = _records(path, report)
    source = "<stdin>" if path == "-" else path
    while chunk := list(islice(lines, _CHUNK)):
        given, unknown = votes_from(ledger, chunk)
        for conflict in unknown:
            report.refuse(f"{source}:{conflict.line}: {conflict.problem}")
        for _, vote in given:
            digest = sha256(to_json(vote)).digest()
            if digest in seen:
                left_out[TWICE] += 1
            else:
                seen.add(digest)
                votes.append(BareVote(vote.pair_id, vote.annotator, vote.preference, vote.batch))
    report.raise_if_bad("no figure was computed; mend the lines")
    return GoldVotes(votes, left_out)


def _records(path: str, report: IntakeReport) -> Iterator[Line[Vote | Answer]]:
    """Yield the valid lines; note the others."""
    for line in read_votes_and_answers(path):
        if isinstance(line, BadLine):
            report.refuse(str(line))
        else:
            yield line
