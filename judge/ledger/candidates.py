"""What generators answered, what a run still lacks, and the candidates among the answers.

A generation belongs to a conversation, never to a run or a given id, so the same ask is never
paid twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import ColumnElement, Result, Row, Select, and_, case, func, or_, select
from sqlalchemy.dialects.sqlite import insert

from judge.candidates.generation import Generation, GenerationStatus, ResolvedGenerator, Slot
from judge.candidates.generators import Tally
from judge.identity import messages_from_json
from judge.ledger.schema import generations, prompts, run_prompts
from judge.ledger.store import Ledger
from judge.ledger.work import PAGE_CHARS
from judge.records import Candidate, Message, Prompt

WINDOW = 256
"""Prompts whose candidates are looked up together."""


@dataclass(frozen=True, slots=True)
class PromptWork:
    """One conversation of a run and the candidates it still lacks."""

    position: int
    prompt_key: str
    messages: tuple[Message, ...]
    missing: frozenset[Slot]


def generation_row(generation: Generation, *, run_id: str | None = None) -> dict[str, Any]:
    """Return the row that `INSERT_GENERATION` stores; `run_id` is the run that paid for it."""
    sampling = to_json(generation.sampling).decode()
    return {**generation.__dict__, "sampling": sampling, "run_id": run_id}


def generation_page(
    ledger: Ledger, run_id: str, slots: Sequence[Slot], *, after: int, page_size: int
) -> list[PromptWork]:
    """Return the next conversations after a position that still lack one of the slots.

    Each conversation comes once, however many ids name it. A page of long texts is shorter, so
    that memory does not grow with the input; an empty page is the end.
    """
    query = (
        select(run_prompts.c.position, prompts.c.prompt_key, prompts.c.messages)
        .join(prompts, prompts.c.prompt_key == run_prompts.c.prompt_key)
        .where(
            run_prompts.c.run_id == run_id,
            run_prompts.c.position > after,
            _is_first_mention(),
            _count_answered(slots) < len(slots),
        )
        .order_by(run_prompts.c.position)
        .limit(page_size)
    )
    stored = select(
        generations.c.prompt_key, generations.c.generator_key, generations.c.sample
    ).where(_is_wanted(slots))
    with ledger.snapshot() as connection:
        rows = _until_long(connection.execute(query))
        missing = {row.prompt_key: set(slots) for row in rows}
        for row in connection.execute(stored.where(generations.c.prompt_key.in_(list(missing)))):
            missing[row.prompt_key].discard(Slot(row.generator_key, row.sample))
    return [
        PromptWork(
            position=row.position,
            prompt_key=row.prompt_key,
            messages=messages_from_json(row.messages),
            missing=frozenset(missing[row.prompt_key]),
        )
        for row in rows
    ]


def stored_slots(
    ledger: Ledger, prompt_keys: Sequence[str], slots: Sequence[Slot]
) -> Mapping[str, frozenset[Slot]]:
    """Return prompt key -> the slots that have a reply already, whichever run asked for it."""
    query = select(
        generations.c.prompt_key, generations.c.generator_key, generations.c.sample
    ).where(generations.c.prompt_key.in_(prompt_keys), _is_wanted(slots))
    found: dict[str, set[Slot]] = {}
    with ledger.snapshot() as connection:
        for row in connection.execute(query):
            found.setdefault(row.prompt_key, set()).add(Slot(row.generator_key, row.sample))
    return {key: frozenset(stored) for key, stored in found.items()}


def count_prompts(ledger: Ledger, run_id: str) -> int:
    """Return how many distinct conversations a run selects."""
    distinct = func.count(run_prompts.c.prompt_key.distinct())
    with ledger.snapshot() as connection:
        return connection.scalar(select(distinct).where(run_prompts.c.run_id == run_id)) or 0


def count_selected(ledger: Ledger, run_id: str) -> int:
    """Return how many prompts a run selects, counting ids, not conversations."""
    query = select(func.count()).select_from(run_prompts).where(run_prompts.c.run_id == run_id)
    with ledger.snapshot() as connection:
        return connection.scalar(query) or 0


def count_generations(
    ledger: Ledger, run_id: str, slots: Sequence[Slot]
) -> Mapping[GenerationStatus | None, int]:
    """Return status -> number of the run's generations in these slots; None counts candidates."""
    status = generations.c.status
    query = select(status, func.count()).where(_is_of_run(run_id, slots)).group_by(status)
    with ledger.snapshot() as connection:
        return {row[0] and GenerationStatus(row[0]): row[1] for row in connection.execute(query)}


def tally_generator(ledger: Ledger, run_id: str, generator: ResolvedGenerator) -> Tally:
    """Return what a generator's replies in a run add up to."""
    of_run = _is_of_run(run_id, generator.slots)
    counts = count_generations(ledger, run_id, generator.slots)
    per_prompt = (
        select(func.count(generations.c.text.distinct()).label("texts"))
        .where(of_run, generations.c.status.is_(None))
        .group_by(generations.c.prompt_key)
        .having(func.count() > 1)
        .subquery()
    )
    repeated = func.sum(case((per_prompt.c.texts == 1, 1), else_=0))
    with ledger.snapshot() as connection:
        row = connection.execute(select(func.count(), repeated).select_from(per_prompt)).one()
    return Tally(
        replies=sum(counts.values()),
        statuses={status.value: count for status, count in counts.items() if status is not None},
        prompts=row[0],
        repeated=row[1] or 0,
    )


def candidates_of(
    ledger: Ledger, run_id: str, slots: Sequence[Slot], *, keep_truncated: bool = False
) -> Iterator[tuple[Prompt, list[Candidate]]]:
    """Yield every prompt of a run that lacks nothing, with its candidates in the order of `slots`.

    Prompts come in input order and memory stays flat. One that still waits for a reply is left
    out: its pairs would change once the rest arrives. Generations without a candidate are left
    out of the list, answers cut at the token limit too unless they are to be kept.
    """
    for prompt, found in slotted_candidates_of(
        ledger, run_id, slots, keep_truncated=keep_truncated
    ):
        yield prompt, [candidate for _, candidate in found]


def slotted_candidates_of(
    ledger: Ledger, run_id: str, slots: Sequence[Slot], *, keep_truncated: bool = False
) -> Iterator[tuple[Prompt, list[tuple[Slot, Candidate]]]]:
    """Yield what `candidates_of` yields, each candidate with the slot that it fills."""
    with ledger.snapshot() as connection:
        highest = select(func.max(run_prompts.c.position)).where(run_prompts.c.run_id == run_id)
        last = connection.scalar(highest)
    after = -1
    while last is not None and after < last:
        page, after = _answered_page(ledger, _answers(run_id, slots, after), after)
        for rows in page:
            by_slot = {Slot(row.generator_key, row.sample): row for row in rows}
            if len(by_slot) == len(slots):
                ordered = [(slot, by_slot[slot]) for slot in slots]
                kept = [(at, row) for at, row in ordered if _is_candidate(row, keep_truncated)]
                yield _prompt_from(rows[0]), [(at, _candidate_from(row)) for at, row in kept]


def _answered_page(
    ledger: Ledger, query: Select[Any], after: int
) -> tuple[list[list[Row[Any]]], int]:
    """Return the answers of the next prompts, prompt by prompt, and the position they reach."""
    page: list[list[Row[Any]]] = []
    characters = 0
    with ledger.snapshot() as connection, closing(connection.execute(query)) as found:
        for _, rows in groupby(found, key=lambda row: row.position):
            page.append(list(rows))
            characters += sum(len(row.text) for row in page[-1])
            if characters >= PAGE_CHARS:
                return page, page[-1][0].position
    return page, after + WINDOW


def _answers(run_id: str, slots: Sequence[Slot], after: int) -> Select[Any]:
    """The answers in these slots to the next prompts after a position, a prompt at a time."""
    return (
        select(
            run_prompts.c.position,
            run_prompts.c.prompt_id,
            run_prompts.c.reference,
            run_prompts.c.tags,
            prompts.c.messages,
            generations.c.generator_key,
            generations.c.sample,
            generations.c.model,
            generations.c.text,
            generations.c.status,
        )
        .join(prompts, prompts.c.prompt_key == run_prompts.c.prompt_key)
        .join(generations, generations.c.prompt_key == run_prompts.c.prompt_key)
        .where(
            run_prompts.c.run_id == run_id,
            run_prompts.c.position > after,
            run_prompts.c.position <= after + WINDOW,
            _is_wanted(slots),
        )
        .order_by(run_prompts.c.position)
    )


def _is_candidate(row: Row[Any], keep_truncated: bool) -> bool:
    if row.status == GenerationStatus.TRUNCATED:
        return keep_truncated and bool(row.text.strip())
    return row.status is None


def _candidate_from(row: Row[Any]) -> Candidate:
    return Candidate(messages=(Message(role="assistant", content=row.text),), model=row.model)


def _prompt_from(row: Row[Any]) -> Prompt:
    return Prompt(
        prompt_id=row.prompt_id,
        messages=messages_from_json(row.messages),
        reference=row.reference,
        tags=from_json(row.tags),
    )


def _until_long(found: Result[Any]) -> list[Row[Any]]:
    """Return rows until their texts are long; at least one if there is one."""
    page: list[Row[Any]] = []
    characters = 0
    with closing(found):
        while characters < PAGE_CHARS and (row := found.fetchone()) is not None:
            page.append(row)
            characters += len(row.messages)
    return page


def _is_wanted(slots: Sequence[Slot]) -> ColumnElement[bool]:
    """Whether a generation is in one of the slots. The samples of a variant count from 0."""
    samples: dict[str, int] = {}
    for slot in slots:
        samples[slot.generator_key] = max(samples.get(slot.generator_key, 0), slot.sample + 1)
    return or_(
        *(
            and_(generations.c.generator_key == key, generations.c.sample < count)
            for key, count in samples.items()
        )
    )


def _is_of_run(run_id: str, slots: Sequence[Slot]) -> ColumnElement[bool]:
    selected = select(run_prompts.c.prompt_key).where(run_prompts.c.run_id == run_id)
    return and_(_is_wanted(slots), generations.c.prompt_key.in_(selected))


def _count_answered(slots: Sequence[Slot]) -> ColumnElement[int]:
    return (
        select(func.count())
        .where(generations.c.prompt_key == run_prompts.c.prompt_key, _is_wanted(slots))
        .correlate(run_prompts)
        .scalar_subquery()
    )


def _is_first_mention() -> ColumnElement[bool]:
    """Several given ids may name one conversation: only the first of a run is work."""
    earlier = run_prompts.alias("earlier")
    return ~(
        select(earlier.c.position)
        .where(
            earlier.c.run_id == run_prompts.c.run_id,
            earlier.c.prompt_key == run_prompts.c.prompt_key,
            earlier.c.position < run_prompts.c.position,
        )
        .exists()
    )


INSERT_GENERATION = insert(generations).on_conflict_do_nothing()
"""A generation whose key is stored already leaves the stored one as it is."""
