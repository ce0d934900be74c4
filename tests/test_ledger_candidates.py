"""Prompts and generations in the ledger: what is lacking, what is stored, who is a candidate."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from judge.candidates.generation import (
    Generation,
    GenerationStatus,
    ResolvedGenerator,
    Slot,
    generation_id,
    prompt_key,
    resolve_generator,
    slots_of,
)
from judge.candidates.generators import Generator, complaints
from judge.ledger import candidates
from judge.ledger.candidates import (
    INSERT_GENERATION,
    PromptWork,
    candidates_of,
    count_generations,
    count_prompts,
    generation_page,
    generation_row,
    tally_generator,
)
from judge.ledger.prompt_intake import add_prompts
from judge.ledger.schema import generations
from judge.ledger.store import Ledger
from judge.ledger.writer import LedgerWriter
from judge.records import Message, Prompt
from judge.settings.config import Endpoint

ENDPOINT = Endpoint(base_url="http://127.0.0.1:1/v1")


def resolved(**given: Any) -> ResolvedGenerator:
    return resolve_generator(Generator.model_validate({"model": "m", **given}), ENDPOINT)


HOT = resolved(name="hot", n=3, temperature=[0.5, 1.0])
OTHER = resolved(model="other", n=1)
SLOTS = slots_of([HOT, OTHER])


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "x.db") as opened:
        yield opened


def prompt(number: int, prompt_id: str | None = None, **more: Any) -> Prompt:
    question = (Message(role="user", content=f"Question {number}?"),)
    return Prompt(prompt_id=prompt_id or f"q{number}", messages=question, **more)


def generation(
    of: Prompt, slot: Slot, text: str = "An answer.", status: GenerationStatus | None = None
) -> Generation:
    key = prompt_key(of.messages)
    return Generation(
        generation_id=generation_id(key, slot),
        prompt_key=key,
        generator_key=slot.generator_key,
        sample=slot.sample,
        model="other" if slot in OTHER.slots else "m",
        sampling={"temperature": 1.0, "max_tokens": 5},
        text=text,
        status=status,
        created_at="2026",
    )


def store(ledger: Ledger, *made: Generation) -> None:
    with ledger.transaction() as connection:
        connection.execute(INSERT_GENERATION, [generation_row(one, run_id="r") for one in made])


def answer_all(ledger: Ledger, of: Sequence[Prompt], slots: Sequence[Slot] = SLOTS) -> None:
    store(
        ledger, *(generation(p, s, f"{p.prompt_id} {i}") for p in of for i, s in enumerate(slots))
    )


def lacking(
    ledger: Ledger, page_size: int = 100, slots: Sequence[Slot] = SLOTS
) -> list[PromptWork]:
    found: list[PromptWork] = []
    while page := generation_page(
        ledger, "r", slots, after=found[-1].position if found else -1, page_size=page_size
    ):
        assert len(page) <= page_size
        found += page
    return found


# Prompts


def test_prompts_are_selected_in_input_order_and_once(ledger: Ledger) -> None:
    first, second = prompt(1), prompt(2)
    assert add_prompts(ledger, "r", [first, second, first]) == 2
    assert add_prompts(ledger, "r", [second, prompt(3)]) == 1
    assert add_prompts(ledger, "other run", [first]) == 1
    work = lacking(ledger)
    assert [item.messages[0].content for item in work] == [f"Question {n}?" for n in (1, 2, 3)]
    assert [item.position for item in work] == [0, 1, 2]
    assert add_prompts(ledger, "r", []) == 0


def test_one_conversation_under_two_ids_is_asked_once_and_read_twice(ledger: Ledger) -> None:
    one, twin = prompt(1), prompt(1, "twin", reference="R", tags={"turn": 2})
    assert add_prompts(ledger, "r", [one, twin]) == 2
    assert count_prompts(ledger, "r") == 1
    assert len(lacking(ledger)) == 1
    answer_all(ledger, [one])
    assert [found for found, _ in candidates_of(ledger, "r", SLOTS)] == [one, twin]


def test_a_mended_reference_asks_nothing_again(ledger: Ledger) -> None:
    add_prompts(ledger, "r", [prompt(1, reference="wrong")])
    answer_all(ledger, [prompt(1)])
    mended = prompt(1, reference="right")
    add_prompts(ledger, "r2", [mended])
    assert generation_page(ledger, "r2", SLOTS, after=-1, page_size=9) == []
    assert [found for found, _ in candidates_of(ledger, "r2", SLOTS)] == [mended]


# What is lacking


@pytest.mark.parametrize("page_size", [1, 3, 100])
def test_pages_name_exactly_what_is_missing(ledger: Ledger, page_size: int) -> None:
    given = [prompt(n) for n in range(8)]
    add_prompts(ledger, "r", given)
    answer_all(ledger, given[2:4])
    answer_all(ledger, given[5:6], SLOTS[1:])
    missing = [(item.messages, item.missing) for item in lacking(ledger, page_size)]
    every = frozenset(SLOTS)
    assert missing == [
        (p.messages, frozenset(SLOTS[:1]) if p is given[5] else every)
        for p in given
        if p not in given[2:4]
    ]


def test_a_status_is_an_answer_and_is_not_asked_again(ledger: Ledger) -> None:
    add_prompts(ledger, "r", [prompt(1)])
    store(ledger, *(generation(prompt(1), s, "", GenerationStatus.EMPTY) for s in SLOTS))
    assert lacking(ledger) == []


def test_a_larger_n_lacks_only_the_new_samples(ledger: Ledger) -> None:
    add_prompts(ledger, "r", [prompt(1)])
    answer_all(ledger, [prompt(1)])
    larger = slots_of([resolved(n=6, temperature=[0.5, 1.0]), OTHER])
    (item,) = lacking(ledger, slots=larger)
    assert item.missing == set(larger) - set(SLOTS)
    assert lacking(ledger, slots=HOT.slots[:2]) == []


def test_another_run_with_the_same_prompt_lacks_nothing(ledger: Ledger) -> None:
    add_prompts(ledger, "first", [prompt(1)])
    answer_all(ledger, [prompt(1)])
    add_prompts(ledger, "r", [prompt(1, "renamed"), prompt(2)])
    assert [item.position for item in lacking(ledger)] == [1]


def test_long_prompts_make_short_pages(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "PAGE_CHARS", 100)
    add_prompts(ledger, "r", [prompt(n) for n in range(6)])
    page = generation_page(ledger, "r", SLOTS, after=-1, page_size=100)
    assert 1 <= len(page) < 6
    assert len(lacking(ledger)) == 6


# Facts


def test_a_stored_generation_stays_as_it_is(ledger: Ledger) -> None:
    add_prompts(ledger, "r", [prompt(1)])
    store(ledger, generation(prompt(1), SLOTS[0], "first"))
    store(ledger, generation(prompt(1), SLOTS[0], "second"))
    with ledger.snapshot() as connection:
        (row,) = connection.execute(select(generations)).all()
    assert (row.run_id, row.text, row.sampling) == (
        "r",
        "first",
        '{"temperature":1.0,"max_tokens":5}',
    )


async def test_a_generation_goes_through_the_writer_of_the_judgments(ledger: Ledger) -> None:
    add_prompts(ledger, "r", [prompt(1)])
    async with LedgerWriter(ledger) as writer:
        for slot in SLOTS:
            await writer.write(INSERT_GENERATION, generation_row(generation(prompt(1), slot)))
    assert lacking(ledger) == []


def test_generations_are_counted_by_status_within_run_and_slots(ledger: Ledger) -> None:
    add_prompts(ledger, "r", [prompt(1)])
    assert count_generations(ledger, "r", SLOTS) == {}
    cut = GenerationStatus.TRUNCATED
    store(ledger, generation(prompt(1), SLOTS[0]), generation(prompt(1), SLOTS[1], "x", cut))
    store(ledger, generation(prompt(2), SLOTS[0]))
    assert count_generations(ledger, "r", SLOTS) == {None: 1, cut: 1}
    assert count_generations(ledger, "r", OTHER.slots) == {}


# Candidates


def test_candidates_come_prompt_by_prompt_in_the_order_of_the_generators(ledger: Ledger) -> None:
    given = [prompt(n, tags={"n": n}) for n in range(3)]
    add_prompts(ledger, "r", given)
    answer_all(ledger, given[::-1])
    found = list(candidates_of(ledger, "r", SLOTS))
    assert [p for p, _ in found] == given
    for p, made in found:
        assert [one.text for one in made] == [f"{p.prompt_id} {i}" for i in range(4)]
        assert [one.model for one in made] == ["m", "m", "m", "other"]


def test_a_prompt_that_still_waits_is_left_out(ledger: Ledger) -> None:
    given = [prompt(1), prompt(2), prompt(3)]
    add_prompts(ledger, "r", given)
    answer_all(ledger, given[:1], SLOTS[1:])
    answer_all(ledger, given[2:])
    assert [p for p, _ in candidates_of(ledger, "r", SLOTS)] == given[2:]


@pytest.mark.parametrize("status", GenerationStatus)
def test_no_status_is_ever_a_candidate(ledger: Ledger, status: GenerationStatus) -> None:
    add_prompts(ledger, "r", [prompt(1)])
    store(ledger, generation(prompt(1), SLOTS[0], "text", status))
    answer_all(ledger, [prompt(1)], SLOTS[1:])
    kept = {
        keep: len(next(candidates_of(ledger, "r", SLOTS, keep_truncated=keep))[1])
        for keep in (False, True)
    }
    assert kept == {False: 3, True: 4 if status is GenerationStatus.TRUNCATED else 3}


def test_a_cut_answer_without_text_is_not_kept(ledger: Ledger) -> None:
    add_prompts(ledger, "r", [prompt(1)])
    store(ledger, *(generation(prompt(1), s, " ", GenerationStatus.TRUNCATED) for s in SLOTS))
    assert list(candidates_of(ledger, "r", SLOTS, keep_truncated=True)) == [(prompt(1), [])]


@pytest.mark.parametrize(("window", "chars"), [(2, 10**9), (256, 1), (3, 40)])
def test_small_pages_lose_and_repeat_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, window: int, chars: int
) -> None:
    monkeypatch.setattr(candidates, "WINDOW", window)
    monkeypatch.setattr(candidates, "PAGE_CHARS", chars)
    given = [prompt(n) for n in range(11)]
    add_prompts(ledger, "r", given)
    answered = [*given[:2], *given[7:]]
    answer_all(ledger, answered)
    assert [p for p, _ in candidates_of(ledger, "r", SLOTS)] == answered


def test_writing_while_candidates_are_read_is_allowed(ledger: Ledger) -> None:
    given = [prompt(n) for n in range(3)]
    add_prompts(ledger, "r", given)
    answer_all(ledger, given)
    for found, _ in candidates_of(ledger, "r", SLOTS):
        add_prompts(ledger, "elsewhere", [found])
    assert count_prompts(ledger, "elsewhere") == 3


def test_nothing_is_sorted_or_searched_from_end_to_end(ledger: Ledger) -> None:
    query = candidates._answers("r", SLOTS, -1).compile(
        ledger.connection, compile_kwargs={"literal_binds": True}
    )
    with ledger.snapshot() as connection:
        plan = [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}")]
    assert not [step for step in plan if "SCAN" in step or "TEMP B-TREE" in step], plan


# What replies say about a generator


def test_a_generator_that_repeats_itself_is_found(ledger: Ledger) -> None:
    given = [prompt(n) for n in range(4)]
    add_prompts(ledger, "r", given)
    for p in given:
        store(ledger, *(generation(p, s, "the same") for s in HOT.slots))
        store(ledger, generation(p, OTHER.slots[0], "", GenerationStatus.EMPTY))
    assert complaints("hot", tally_generator(ledger, "r", HOT)) == [
        'generator "hot": gave 4 of 4 prompts the same answer every time; raise the temperature, '
        "or give other seeds"
    ]
    (said,) = complaints("other", tally_generator(ledger, "r", OTHER))
    assert said.startswith('generator "other": 4 of 4 replies are empty; raise max_tokens')


def test_a_generator_that_varies_is_not_complained_of(ledger: Ledger) -> None:
    given = [prompt(n) for n in range(4)]
    add_prompts(ledger, "r", given)
    assert complaints("hot", tally_generator(ledger, "r", HOT)) == []
    answer_all(ledger, given)
    tally = tally_generator(ledger, "r", HOT)
    assert (tally.replies, tally.prompts, tally.repeated) == (12, 4, 0)
    assert complaints("hot", tally) == []
