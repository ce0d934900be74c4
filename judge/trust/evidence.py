"""The evidence behind a report: the pairs worth looking at, read from the ledger.

Only those pairs are read, some at a time, and long texts are cut as they come: memory holds what
a page can show, however large the run is.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from calibration.agreement import Index
from calibration.report.disagreements import Disagreement, most_informative
from calibration.report.evidence import (
    AnswerEvidence,
    Evidence,
    Flag,
    PairEvidence,
    ReplyEvidence,
    Turn,
    VoteEvidence,
    excerpt,
    flag_masks,
    steady_labels,
)
from judge.job.trajectories import answer_text, answers_by_turn, message_text
from judge.ledger.evidence import PairTexts, WholeReply, pair_texts, votes_about, whole_replies
from judge.ledger.runs import Run
from judge.ledger.store import Ledger
from judge.outcomes.labelling import label_of, own_label
from judge.records import Message, preference_from
from judge.trust.audit import Gathered

CHOSEN = 20
MOST_PAIRS = 2000
MOST_CHARS = 12_000_000
"""Texts of all pairs for looking up, together; compressed, far less than this fits a page."""
MOST_VOTES = 40
"""Votes shown one by one; the others are counted."""

_CHUNK = 200
_WHOLE_TEXT = 20_000
"""Most characters of a text of a chosen disagreement."""
_BRIEF_TEXT = 6_000
"""Most characters of a text of any other pair."""
_TAG_CHARS = 120
_PREFERENCES = {1: "first", 0: "tie", -1: "second"}


def evidence_of(
    ledger: Ledger,
    gathered: Gathered,
    *,
    n: int = CHOSEN,
    most_pairs: int = MOST_PAIRS,
    annotators: Sequence[str] | None = None,
) -> Evidence:
    """Return the `n` most informative disagreements of a run, and up to `most_pairs` of its pairs.

    `gathered` must be of this ledger. Votes of a file have neither notes nor, unless `annotators`
    names them by their codes, names. Raises LedgerError where the ledger cannot be read.
    """
    tally = gathered.votes.counts(len(gathered.pair_ids))
    singles = gathered.judges[: len(gathered.run.judges)]
    flags = flag_masks(gathered.delivered, singles, tally)
    chosen = most_informative(
        gathered.delivered.label,
        tally,
        has_label=gathered.delivered.has_label,
        inconsistent=gathered.delivered.inconsistent,
        steady=steady_labels(gathered.delivered, singles),
        cluster=gathered.pairs.cluster,
        n=n,
    )
    # Links lead to the chosen ones, so those come before all others.
    rank = 1 - flags[Flag.AGAINST_VOTES].astype(np.int8)
    rank[[disagreement.row for disagreement in chosen]] = -1
    rows = np.argsort(rank, kind="stable")[:most_pairs]
    reader = _Reader(ledger, gathered, flags, annotators)
    with ledger.snapshot():
        told = tuple(reader.told(chosen))
        pairs = tuple(_within(reader.pairs(rows, _BRIEF_TEXT), MOST_CHARS))
    return Evidence(told, pairs, len(gathered.pair_ids), _why_left_out(rows, pairs, gathered))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads pairs of one run by their rows."""

    ledger: Ledger
    gathered: Gathered
    flags: Mapping[Flag, Any]
    annotators: Sequence[str] | None

    def told(self, chosen: Sequence[Disagreement]) -> Iterator[PairEvidence]:
        """Yield disagreements, each with why it was chosen."""
        rows = np.array([disagreement.row for disagreement in chosen], np.intp)
        for pair, disagreement in zip(self.pairs(rows, _WHOLE_TEXT), chosen, strict=True):
            yield replace(pair, why=disagreement.why)

    def pairs(self, rows: Index, most: int) -> Iterator[PairEvidence]:
        """Yield the pairs of some rows in their order, texts cut to `most` characters."""
        for start in range(0, len(rows), _CHUNK):
            yield from self._chunk(rows[start : start + _CHUNK].tolist(), most)

    def _chunk(self, rows: Sequence[int], most: int) -> Iterator[PairEvidence]:
        run, ids = self.gathered.run, [self.gathered.pair_ids[row] for row in rows]
        read = {texts.pair_id: _cut(texts, most) for texts in pair_texts(self.ledger, ids)}
        contents = list({texts.content_id for texts, _ in read.values()})
        said: dict[str, list[tuple[WholeReply, ReplyEvidence]]] = {}
        names = {judge.judge_key: judge.name for judge in run.judges}
        found = whole_replies(self.ledger, contents, run.judge_keys, one_order=run.one_order)
        votes = self._votes(rows, ids, most)
        for reply in found:
            reply, short = reply._replace(reply=""), excerpt(reply.reply, most)
            told = ReplyEvidence(names[reply.reading.judge_key], "", short, reason=reply.reason)
            said.setdefault(reply.content_id, []).append((reply, told))
        for row, pair_id in zip(rows, ids, strict=True):
            texts, pair = read[pair_id]
            replies = said.get(texts.content_id, [])
            cast = votes.get(pair_id, [])
            yield replace(
                pair,
                row=row,
                **_said(run, texts, replies),
                votes=tuple(cast[:MOST_VOTES]),
                tally=dict(Counter(vote.preference for vote in cast)),
                flags=tuple(flag for flag, mask in self.flags.items() if mask[row]),
            )

    def _votes(
        self, rows: Sequence[int], ids: Sequence[str], most: int
    ) -> dict[str, list[VoteEvidence]]:
        """Return pair id -> its votes, those with a note first, then by annotator."""
        found: dict[str, list[VoteEvidence]] = {}
        if self.gathered.source is None:
            for vote in votes_about(self.ledger, ids):
                note = excerpt(vote.note, most) if vote.note else None
                told = VoteEvidence(vote.annotator, vote.preference, note)
                found.setdefault(vote.pair_id, []).append(told)
        else:
            cast = self.gathered.votes
            for at in np.flatnonzero(np.isin(cast.pair, rows)).tolist():
                told = VoteEvidence(
                    self._annotator(int(cast.annotator[at])), _PREFERENCES[int(cast.choice[at])]
                )
                found.setdefault(self.gathered.pair_ids[cast.pair[at]], []).append(told)
        for told_of_pair in found.values():
            told_of_pair.sort(key=lambda vote: (vote.note is None, vote.annotator))
        return found

    def _annotator(self, code: int) -> str:
        return self.annotators[code] if self.annotators else f"annotator {code + 1}"


def _cut(texts: PairTexts, most: int) -> tuple[PairTexts, PairEvidence]:
    """Return what is known of a pair before anyone judged it; the texts are let go of."""
    pair = PairEvidence(
        row=0,
        pair_id=texts.pair_id,
        prompt_id=texts.prompt_id,
        prompt=tuple(Turn(turn.role, excerpt(message_text(turn), most)) for turn in texts.prompt),
        first=_answer(texts.first, texts.first_model, most),
        second=_answer(texts.second, texts.second_model, most),
        label="",
        reference=excerpt(texts.reference, most) if texts.reference else None,
        tags={
            name: str(value)[:_TAG_CHARS]
            for name, value in texts.tags.items()
            if isinstance(value, str | int | float)
        },
    )
    return texts._replace(prompt=(), reference=None, first=(), second=()), pair


def _answer(messages: Sequence[Message], model: str | None, most: int) -> AnswerEvidence:
    answers = (answer_text(answer) for answer in answers_by_turn(messages))
    return AnswerEvidence(tuple(excerpt(answer, most) for answer in answers), model)


def _said(
    run: Run,
    texts: PairTexts,
    replies: Sequence[tuple[WholeReply, ReplyEvidence]],
) -> dict[str, Any]:
    """Return what the judges said as the pair sees it, and the labels that it amounts to."""
    is_exchanged = texts.is_exchanged
    oriented = [(r.reading.oriented(is_exchanged=is_exchanged), told) for r, told in replies]
    readings = [reading for reading, _ in oriented]
    label = label_of(
        run, texts.pair_id, readings, content_id=texts.content_id, is_exchanged=is_exchanged
    )
    own = {
        judge.name: own_label(
            run, [r for r in readings if r.judge_key == judge.judge_key]
        ).outcome.value
        for judge in run.judges
    }
    told = [
        replace(
            told,
            order=reading.order.value,
            sample=reading.sample,
            verdict=reading.verdict and reading.verdict.value,
            preference=reading.verdict and preference_from(reading.verdict, reading.order).value,
            status=reading.status and reading.status.value,
        )
        for reading, told in oriented
    ]
    places = {judge.name: place for place, judge in enumerate(run.judges)}
    return {
        "label": label.outcome.value,
        "reason": label.reason,
        "judge_labels": own if len(own) > 1 else {},
        "replies": tuple(sorted(told, key=lambda r: (places[r.judge], r.order, r.sample))),
    }


def _within(pairs: Iterator[PairEvidence], most: int) -> Iterator[PairEvidence]:
    """Yield pairs until their texts are `most` characters together."""
    for pair in pairs:
        most -= sum(passage.shown for passage in pair.passages())
        if most < 0:
            return
        yield pair


def _why_left_out(rows: Index, pairs: Sequence[PairEvidence], gathered: Gathered) -> str | None:
    if len(pairs) < len(rows):
        return "their texts would make the file too large"
    if len(rows) < len(gathered.pair_ids):
        return f"a page holds {len(rows):,} pairs at most"
    return None
