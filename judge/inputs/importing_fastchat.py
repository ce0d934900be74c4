"""Loading what FastChat's files hold together: pairs, human votes and judgments at once."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from judge.formats.fastchat import read_fastchat
from judge.formats.fastchat_bundle import FastChatBundle
from judge.formats.judgments import GivenJudgment
from judge.formats.lines import BadLine, Line
from judge.inputs.importing import Importer, ImportKind, ImportResult, importing
from judge.inputs.intake import IntakeReport, chunked
from judge.inputs.text_lengths import judgment_chars, pair_chars, vote_chars
from judge.ledger.intake import sides_of
from judge.records import Pair, Vote

F = TypeVar("F", Vote, GivenJudgment)

_OTHER_REPLY = (
    "the ledger has another reply of this judge to this pair in this order; import the file that "
    "it came from together with this one, so that both are kept as samples"
)


@dataclass
class _Unplaced:
    """Pairs that could not be stored, and the facts about them."""

    problems: dict[tuple[str, int], str] = field(default_factory=dict)
    """Why a pair cannot be shown, by the file and the line that first names it."""
    clashing: set[str | None] = field(default_factory=set)
    """Ids that the ledger knows with another content: a fact about them means another pair."""
    left_out: Counter[ImportKind] = field(default_factory=Counter)


def import_fastchat(
    paths: Sequence[str], ledger_path: Path, *, allows_tie: bool, skip_bad_lines: bool
) -> ImportResult:
    """Store the pairs, votes and judgments of FastChat folders and files; again, it adds nothing.

    A pair that cannot be shown, for want of its question or of an answer, is one bad line however
    many votes and judgments name it; those are counted as left out, unless an earlier import has
    brought the pair. Raises as `importing` does, and InputError for paths that cannot be used.
    """
    bundle = read_fastchat(*paths)
    report = IntakeReport()
    for bad_line in bundle.bad_lines:
        report.refuse(str(bad_line))
    unplaced = _Unplaced()
    with importing(
        ledger_path, report, allows_tie=allows_tie, skip_bad_lines=skip_bad_lines
    ) as importer:
        _add_pairs(importer, bundle, unplaced)
        for path, votes in bundle.votes():
            for cast in chunked(votes, vote_chars, report):
                kept = _placed(importer, path, cast, unplaced, ImportKind.VOTES)
                importer.add_votes(path, [(line.number, line.record) for line in kept])
        for path, judgments in bundle.judgments():
            for given in chunked(judgments, judgment_chars, report):
                known = _placed(importer, path, given, unplaced, ImportKind.JUDGMENTS)
                importer.add_judgments(path, known, clash=_OTHER_REPLY)
    return importer.result(*ImportKind, left_out=unplaced.left_out, passed_over=bundle.left_out)


def _add_pairs(importer: Importer, bundle: FastChatBundle, unplaced: _Unplaced) -> None:
    is_named = bool(bundle.judgment_files or bundle.vote_files)
    for path, lines in bundle.pairs():
        # A line that names a pair is itself a fact: it is refused where that is read.
        shown = _showable(path, lines, unplaced) if is_named else lines
        for pairs in chunked(shown, pair_chars, importer.report):
            unplaced.clashing |= importer.add_pairs(path, pairs)


def _showable(
    path: str, lines: Iterable[Line[Pair] | BadLine], unplaced: _Unplaced
) -> Iterator[Line[Pair]]:
    for line in lines:
        if isinstance(line, BadLine):
            unplaced.problems[path, line.number] = str(line)
        else:
            yield line


def _placed(
    importer: Importer, path: str, lines: Sequence[Line[F]], unplaced: _Unplaced, kind: ImportKind
) -> list[Line[F]]:
    """Return the votes or judgments on pairs of the ledger; note the others and their pairs."""
    known = sides_of(importer.ledger, {line.record.pair_id for line in lines})
    placed = []
    for line in lines:
        if line.record.pair_id in known and line.record.pair_id not in unplaced.clashing:
            placed.append(line)
            continue
        unplaced.left_out[kind] += 1
        problem = unplaced.problems.pop((path, line.number), None)
        if problem is not None:
            importer.report.refuse(problem)
    return placed
