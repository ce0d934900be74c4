"""Reading facts back: judged pairs with or without their texts, votes, deferred asks."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, String, and_, case, cast, func, literal, select, true

from judge.identity import messages_from_json
from judge.ledger.schema import contents, deferrals, judgments, pairs, run_pairs, votes
from judge.ledger.store import Ledger
from judge.ledger.work import fill_page, is_asked_order, reading_from, readings_of
from judge.records import Candidate, Order, Pair, Prompt, Reading, Status, Verdict, Vote
from judge.trust.answer_style import AnswerStyle, style_of

PAGE = 1000
_EVERY_DIGIT = "%!.17g"
"""SQLite's own way to text keeps 15 digits, and a label can turn on the last."""


@dataclass(frozen=True, slots=True)
class AnswerFacts:
    """What is known of one answer without its text."""

    chars: int
    """Length in characters, all its turns together."""
    model: str | None = None
    style: AnswerStyle | None = None
    """None where texts were not read."""


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """One given pair of a run with its readings, all in the given pair's orientation."""

    pair_id: str
    prompt_id: str
    readings: tuple[Reading, ...]
    tags: Mapping[str, Any]
    first: AnswerFacts
    second: AnswerFacts
    content_id: str = ""
    is_exchanged: bool = False
    """Whether the given sides are exchanged against the content's."""


def judged_pairs(
    ledger: Ledger,
    run_id: str,
    judge_keys: Sequence[str],
    *,
    one_order: bool = False,
    with_style: bool = False,
) -> Iterator[JudgedPair]:
    """Yield every given pair of a run in input order, without texts; memory stays flat.

    `with_style` counts the formatting of the answers too, for which their texts are read.
    """
    for rows, readings in _pages(ledger, run_id, judge_keys, with_texts=False, one_order=one_order):
        styles = _styles(ledger, list(readings)) if with_style else {}
        for row in rows:
            yield _judged_pair(row, readings[row.content_id], styles.get(row.content_id))


def whole_pairs(
    ledger: Ledger, run_id: str, judge_keys: Sequence[str], *, one_order: bool = False
) -> Iterator[tuple[Pair, tuple[Reading, ...]]]:
    """Yield every given pair of a run in input order with its texts, as it was given."""
    for rows, readings in _pages(ledger, run_id, judge_keys, with_texts=True, one_order=one_order):
        for row in rows:
            yield _pair_from(row), _oriented(readings[row.content_id], row.is_exchanged)


def reading_patterns(
    ledger: Ledger,
    run_id: str,
    judge_keys: Sequence[str],
    *,
    one_order: bool = False,
    with_probabilities: bool = False,
) -> Iterator[tuple[tuple[Reading, ...], int]]:
    """Yield what was read of the pairs of a run, each distinct pattern once with its count.

    A few patterns stand for any number of pairs, so counting them costs no record per pair, save
    `with_probabilities` where replies carry them. The readings are in the orientation of the given
    pairs; they carry no judgment ids and no grades.
    """
    bar, judged = literal("|"), judgments.c
    verdict, status = func.coalesce(judged.verdict, ""), func.coalesce(judged.status, "")
    sample = cast(judged.sample, String)
    reading = judged.judge_key + bar + judged.order + bar + sample + bar + verdict + bar + status
    for told in (judged.p_a, judged.p_b, judged.p_tie) if with_probabilities else ():
        reading += bar + case((told.is_(None), ""), else_=func.printf(_EVERY_DIGIT, told))
    per_pair = (
        select(
            pairs.c.is_exchanged,
            func.group_concat(reading).label("pattern"),
        )
        .select_from(run_pairs)
        .join(pairs, pairs.c.pair_id == run_pairs.c.pair_id)
        .outerjoin(
            judgments,
            and_(
                judgments.c.content_id == run_pairs.c.content_id,
                judgments.c.judge_key.in_(judge_keys),
                is_asked_order() if one_order else true(),
            ),
        )
        .where(run_pairs.c.run_id == run_id)
        .group_by(run_pairs.c.position)
        .subquery()
    )
    columns = (per_pair.c.is_exchanged, per_pair.c.pattern)
    query = select(*columns, func.count().label("pairs")).group_by(*columns)
    with ledger.snapshot() as connection:
        for row in connection.execute(query):
            yield _oriented(_readings_in(row.pattern), row.is_exchanged), row.pairs


def votes_on(ledger: Ledger, run_id: str) -> Iterator[Vote]:
    """Yield the votes on the pairs of a run, in the orientation of the pair each names."""
    selected = select(run_pairs.c.pair_id).where(run_pairs.c.run_id == run_id)
    query = select(votes.c.record).where(votes.c.pair_id.in_(selected)).order_by(votes.c.vote_id)
    with ledger.snapshot() as connection:
        for record in connection.scalars(query):
            yield Vote.model_validate_json(record)


def deferral_reasons(ledger: Ledger, run_id: str) -> list[tuple[str, int]]:
    """Return (reason, count) of the asks of a run that were given up and still wait, most first."""
    count = func.count()
    answered = select(judgments.c.content_id).where(
        judgments.c.content_id == deferrals.c.content_id,
        judgments.c.judge_key == deferrals.c.judge_key,
        judgments.c.order == deferrals.c.order,
    )
    query = (
        select(deferrals.c.reason, count)
        .where(deferrals.c.run_id == run_id, ~answered.exists())
        .group_by(deferrals.c.reason)
        .order_by(count.desc(), deferrals.c.reason)
    )
    with ledger.snapshot() as connection:
        return [(row[0], row[1]) for row in connection.execute(query)]


def _pages(
    ledger: Ledger,
    run_id: str,
    judge_keys: Sequence[str],
    *,
    with_texts: bool,
    one_order: bool,
) -> Iterator[tuple[Sequence[Row[Any]], Mapping[str, list[Reading]]]]:
    after = -1
    while True:
        with ledger.snapshot() as connection:
            found = connection.execute(_page_query(run_id, after, with_texts=with_texts))
            rows = fill_page(found) if with_texts else found.all()
            readings: dict[str, list[Reading]] = {row.content_id: [] for row in rows}
            query = readings_of(list(readings), judge_keys, one_order=one_order)
            for row in connection.execute(query):
                readings[row.content_id].append(reading_from(row))
        if not rows:
            return
        yield rows, readings
        after = rows[-1].position


def _page_query(run_id: str, after: int, *, with_texts: bool) -> Select[Any]:
    texts = (
        (contents.c.prompt, contents.c.reference, contents.c.first, contents.c.second)
        if with_texts
        else (contents.c.first_chars, contents.c.second_chars)
    )
    return (
        select(run_pairs.c.position, pairs, *texts)
        .join(pairs, pairs.c.pair_id == run_pairs.c.pair_id)
        .join(contents, contents.c.content_id == pairs.c.content_id)
        .where(run_pairs.c.run_id == run_id, run_pairs.c.position > after)
        .order_by(run_pairs.c.position)
        .limit(PAGE)
    )


def _styles(
    ledger: Ledger, content_ids: Sequence[str]
) -> Mapping[str, tuple[AnswerStyle, AnswerStyle]]:
    """The styles of both answers by content, its first answer first."""
    texts = (contents.c.content_id, contents.c.first, contents.c.second)
    query = select(*texts).where(contents.c.content_id.in_(content_ids))
    with ledger.snapshot() as connection:
        # One row at a time: of a page of long answers only the counts are held.
        return {
            row.content_id: (style_of(row.first), style_of(row.second))
            for row in connection.execute(query)
        }


def _judged_pair(
    row: Row[Any],
    readings: Sequence[Reading],
    styles: tuple[AnswerStyle, AnswerStyle] | None,
) -> JudgedPair:
    chars = (row.first_chars, row.second_chars)
    first_at, second_at = (1, 0) if row.is_exchanged else (0, 1)
    return JudgedPair(
        pair_id=row.pair_id,
        prompt_id=row.prompt_id,
        readings=_oriented(readings, row.is_exchanged),
        tags=json.loads(row.tags),
        # Models are stored with the given pair, the answers with the content.
        first=AnswerFacts(chars[first_at], row.first_model, styles and styles[first_at]),
        second=AnswerFacts(chars[second_at], row.second_model, styles and styles[second_at]),
        content_id=row.content_id,
        is_exchanged=row.is_exchanged,
    )


def _readings_in(pattern: str | None) -> list[Reading]:
    readings = []
    for part in pattern.split(",") if pattern else ():
        judge_key, order, sample, verdict, status, *told = part.split("|")
        readings.append(
            Reading(
                judgment_id="",
                judge_key=judge_key,
                order=Order(order),
                sample=int(sample),
                verdict=Verdict(verdict) if verdict else None,
                status=Status(status) if status else None,
                probabilities=_probabilities(told),
            )
        )
    return readings


def _probabilities(told: Sequence[str]) -> tuple[float, float, float] | None:
    if not any(told):
        return None
    p_a, p_b, p_tie = map(float, told)
    return p_a, p_b, p_tie


def _oriented(readings: Sequence[Reading], is_exchanged: bool) -> tuple[Reading, ...]:
    return tuple(reading.oriented(is_exchanged=is_exchanged) for reading in readings)


def _pair_from(row: Row[Any]) -> Pair:
    first, second = messages_from_json(row.first), messages_from_json(row.second)
    if row.is_exchanged:
        first, second = second, first
    return Pair(
        pair_id=row.pair_id,
        prompt=Prompt(
            prompt_id=row.prompt_id,
            messages=messages_from_json(row.prompt),
            reference=row.reference,
            tags=json.loads(row.tags),
        ),
        first=Candidate(messages=first, model=row.first_model),
        second=Candidate(messages=second, model=row.second_model),
    )
