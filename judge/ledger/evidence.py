"""Single pairs with everything said about them: texts, replies, votes. Read row by row."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import select

from judge.identity import messages_from_json
from judge.ledger.schema import contents, judgments, pairs, votes
from judge.ledger.store import Ledger
from judge.ledger.work import reading_from, readings_of
from judge.records import Message, Reading, Vote


class PairTexts(NamedTuple):
    """One given pair with its texts, in its own orientation."""

    pair_id: str
    prompt_id: str
    content_id: str
    is_exchanged: bool
    """Given the other way round than its content is stored."""
    prompt: tuple[Message, ...]
    reference: str | None
    first: tuple[Message, ...]
    second: tuple[Message, ...]
    first_model: str | None
    second_model: str | None
    tags: Mapping[str, Any]


class WholeReply(NamedTuple):
    """One judgment with its text, in the orientation of the content."""

    content_id: str
    reading: Reading
    reply: str
    reason: str | None


def pair_texts(ledger: Ledger, pair_ids: Sequence[str]) -> Iterator[PairTexts]:
    """Yield the given pairs with those ids, in any order; one is held at a time."""
    texts = (contents.c.prompt, contents.c.reference, contents.c.first, contents.c.second)
    query = (
        select(pairs, *texts)
        .join(contents, contents.c.content_id == pairs.c.content_id)
        .where(pairs.c.pair_id.in_(pair_ids))
    )
    with ledger.snapshot() as connection:
        for row in connection.execute(query):
            first, second = messages_from_json(row.first), messages_from_json(row.second)
            if row.is_exchanged:
                first, second = second, first
            yield PairTexts(
                row.pair_id,
                row.prompt_id,
                row.content_id,
                row.is_exchanged,
                messages_from_json(row.prompt),
                row.reference,
                first,
                second,
                row.first_model,
                row.second_model,
                json.loads(row.tags),
            )


def whole_replies(
    ledger: Ledger,
    content_ids: Sequence[str],
    judge_keys: Sequence[str],
    *,
    one_order: bool = False,
) -> Iterator[WholeReply]:
    """Yield the judgments of some judges on some contents with their texts, in any order."""
    query = readings_of(content_ids, judge_keys, one_order=one_order)
    with ledger.snapshot() as connection:
        for row in connection.execute(query.add_columns(judgments.c.reply, judgments.c.reason)):
            yield WholeReply(row.content_id, reading_from(row), row.reply, row.reason)


def votes_about(ledger: Ledger, pair_ids: Sequence[str]) -> Iterator[Vote]:
    """Yield the votes on some pairs, in the orientation of the pair each names."""
    query = select(votes.c.record).where(votes.c.pair_id.in_(pair_ids)).order_by(votes.c.vote_id)
    with ledger.snapshot() as connection:
        for record in connection.scalars(query):
            yield Vote.model_validate_json(record)
