"""What the newest replies of a ledger took: what an estimate is measured on.

Only the newest are looked at, whoever gave them, so that a large ledger costs no more than a
small one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, literal_column, select

from judge.identity import messages_from_json
from judge.ledger.schema import contents, generations, judgments, prompts, run_judges
from judge.ledger.store import Ledger
from judge.records import Message, Order

NEWEST = 1000
"""Replies that are looked at."""
MEASURED = 200
"""Prompts of one model that are rendered again to measure its tokens."""


@dataclass(slots=True)
class RecentReplies:
    """How long and how slow the newest replies of one judge or generator were."""

    seconds: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CountedPair:
    """A pair that a judge was asked about, and the tokens that its endpoint counted."""

    model: str
    prompt_digest: str
    order: Order
    """In the orientation of the texts."""
    prompt_json: str
    reference: str | None
    first_json: str
    second_json: str
    input_tokens: int


@dataclass(frozen=True, slots=True)
class CountedPrompt:
    """A conversation that a generator was asked about, and the tokens that were counted."""

    generator_key: str
    messages: tuple[Message, ...]
    input_tokens: int


def recent_replies(ledger: Ledger, keys: Sequence[str]) -> dict[str, RecentReplies]:
    """Return judge or generator key -> its replies among the newest of the ledger."""
    found: dict[str, RecentReplies] = {}
    with ledger.snapshot() as connection:
        for table, asked in ((judgments, "judge_key"), (generations, "generator_key")):
            for row in connection.execute(_newest(table, table.c[asked].label("asked"))):
                if row.asked not in keys:
                    continue
                replies = found.setdefault(row.asked, RecentReplies())
                if row.latency_s is not None:
                    replies.seconds.append(row.latency_s)
                if row.output_tokens is not None:
                    replies.tokens.append(row.output_tokens)
    return found


def counted_pairs(ledger: Ledger, models: Sequence[str]) -> list[CountedPair]:
    """Return pairs that judges of these models were asked about lately, some of each model."""
    newest = _newest(judgments, judgments.c.judge_key, judgments.c.content_id, judgments.c.order)
    asked = newest.where(judgments.c.input_tokens > 0).subquery()
    judges = (
        select(run_judges.c.judge_key, run_judges.c.model, run_judges.c.prompt_digest)
        .where(run_judges.c.model.in_(models))
        .distinct()
        .subquery()
    )
    query = (
        select(
            judges.c.model,
            judges.c.prompt_digest,
            asked.c.order,
            contents.c.prompt,
            contents.c.reference,
            contents.c.first,
            contents.c.second,
            asked.c.input_tokens,
        )
        .select_from(asked)
        .join(judges, judges.c.judge_key == asked.c.judge_key)
        .join(contents, contents.c.content_id == asked.c.content_id)
    )
    found: dict[str, list[CountedPair]] = {}
    with ledger.snapshot() as connection:
        for row in connection.execute(query):
            of_model = found.setdefault(row.model, [])
            if len(of_model) < MEASURED:
                model, digest, order, *texts = row
                of_model.append(CountedPair(model, digest, Order(order), *texts))
    return [pair for pairs in found.values() for pair in pairs]


def counted_prompts(ledger: Ledger, keys: Mapping[str, object]) -> list[CountedPrompt]:
    """Return conversations that generators with these keys were asked about lately."""
    newest = _newest(generations, generations.c.generator_key, generations.c.prompt_key)
    asked = newest.where(
        generations.c.input_tokens > 0, generations.c.generator_key.in_(list(keys))
    ).subquery()
    query = (
        select(asked.c.generator_key, prompts.c.messages, asked.c.input_tokens)
        .join(prompts, prompts.c.prompt_key == asked.c.prompt_key)
        .limit(MEASURED)
    )
    with ledger.snapshot() as connection:
        return [
            CountedPrompt(key, messages_from_json(messages), tokens)
            for key, messages, tokens in connection.execute(query)
        ]


def _newest(table: Table, *columns: ColumnElement[Any]) -> Select[Any]:
    return (
        select(*columns, table.c.latency_s, table.c.input_tokens, table.c.output_tokens)
        .order_by(literal_column(f"{table.name}.rowid").desc())
        .limit(NEWEST)
    )
