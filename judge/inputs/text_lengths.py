"""How much text a record holds, so that the longer records are, the fewer are held at a time."""

from judge.formats.judgments import GivenJudgment
from judge.formats.mapped import MappedRow
from judge.formats.tasks import Answer
from judge.job.trajectories import size_of
from judge.records import Pair, Vote


def pair_chars(pair: Pair) -> int:
    """Return the length of the prompt, the reference and both answers, in characters."""
    told = (pair.prompt.messages, pair.first.messages, pair.second.messages)
    texts = sum(size_of(messages) for messages in told)
    return texts + len(pair.prompt.reference or "")


def row_chars(row: MappedRow) -> int:
    """Return the length of the texts of a row's pair, in characters."""
    return pair_chars(row.pair)


def vote_chars(vote: Vote | Answer) -> int:
    """Return the length of a vote's note, in characters."""
    return len(vote.note or "")


def judgment_chars(given: GivenJudgment) -> int:
    """Return the length of a reply, in characters."""
    return len(given.reply)
