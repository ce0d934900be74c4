"""Facts read back: judged pairs, votes and what was given up, and appends that are committed."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from judge.errors import LedgerError
from judge.identity import canonical, judgment_id
from judge.ledger import facts
from judge.ledger.facts import deferral_reasons, judged_pairs, votes_on, whole_pairs
from judge.ledger.intake import Given, add_pairs, add_votes
from judge.ledger.runs import IMPORT_RUN, Run, RunJudge, begin_run, complete_run, find_run
from judge.ledger.schema import judgments
from judge.ledger.store import Ledger
from judge.ledger.writer import LedgerWriter
from judge.outcomes.labelling import count_outcomes, label_of, labelled_pairs
from judge.outcomes.labels import PENDING, Rule
from judge.records import (
    Candidate,
    Judgment,
    Message,
    Order,
    Outcome,
    Pair,
    Prompt,
    Reading,
    Status,
    Verdict,
    Vote,
)

KEYS = ("key-1", "key-2")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "x.db") as opened:
        begin(opened)
        yield opened


def begin(ledger: Ledger, run_id: str = "r", kind: str = "judge") -> Run:
    begin_run(
        ledger,
        run_id,
        kind=kind,
        source="s",
        settings={"rule": "conservative"},
        judges=[RunJudge(key, key, "m", "p", "d", {}) for key in KEYS],
        now="2026",
    )
    complete_run(ledger, run_id)
    return find_run(ledger, run_id)


def answer(*turns: str, model: str | None = None) -> Candidate:
    messages = tuple(Message(role="assistant", content=turn) for turn in turns)
    return Candidate(messages=messages, model=model)


def pair(pair_id: str, first: Candidate, second: Candidate) -> Pair:
    prompt = Prompt(
        prompt_id=f"of {pair_id}",
        messages=(Message(role="user", content="Q1"), Message(role="user", content="Q2")),
        reference="42",
        tags={"turn": 2, "language": "de"},
    )
    return Pair(pair_id=pair_id, prompt=prompt, first=first, second=second)


def numbered(count: int) -> list[Pair]:
    return [pair(f"p{n}", answer(f"a{n}"), answer(f"b{n}")) for n in range(count)]


def choose(ledger: Ledger, *chosen: Pair, run_id: str = "r") -> list[str]:
    given = [Given(line, one, canonical(one)) for line, one in enumerate(chosen, 1)]
    assert add_pairs(ledger, run_id, given) == []
    return [item.content.content_id for item in given]


def judgment(
    content_id: str,
    said: Verdict | Status = Verdict.A,
    *,
    key: str = "key-1",
    order: Order = Order.FORWARD,
    sample: int = 0,
) -> Judgment:
    return Judgment(
        judgment_id=judgment_id(content_id, key, order, sample),
        content_id=content_id,
        judge_key=key,
        order=order,
        sample=sample,
        reply="the whole reply",
        verdict=said if isinstance(said, Verdict) else None,
        status=said if isinstance(said, Status) else None,
        parser="p",
        created_at="2026",
    )


def count_judgments(ledger: Ledger) -> int:
    with ledger.snapshot() as connection:
        return connection.scalar(select(func.count()).select_from(judgments)) or 0


async def store(ledger: Ledger, *rows: Judgment) -> None:
    async with LedgerWriter(ledger) as writer:
        await asyncio.gather(*(writer.append(row) for row in rows))


def test_the_length_of_an_answer_counts_all_its_turns_on_its_own_side(ledger: Ledger) -> None:
    short_then_long = pair("one", answer("x", "y" * 30), answer("z" * 5, "z"))
    turned = pair("two", short_then_long.second, short_then_long.first)
    choose(ledger, short_then_long, turned)
    one, two = judged_pairs(ledger, "r", KEYS)
    assert (one.first.chars, one.second.chars) == (31, 6)
    assert (two.first.chars, two.second.chars) == (6, 31)


def test_lengths_are_in_characters_and_not_in_bytes(ledger: Ledger) -> None:
    choose(ledger, pair("one", answer("äöü🙂"), answer('"\\\n')))
    (one,) = judged_pairs(ledger, "r", KEYS)
    assert (one.first.chars, one.second.chars) == (4, 3)


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_style_and_model_of_an_answer_stay_on_the_side_it_was_given_on(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(facts, "PAGE", page)
    listed = answer("# Title\n- one\n- two", "then\n1. **three**", model="lister")
    plain = answer("nothing to count", model="plain")
    # Both share one content: whichever is canonical, one of the two is given exchanged.
    choose(ledger, pair("one", listed, plain), pair("two", plain, listed))
    one, two = judged_pairs(ledger, "r", KEYS, with_style=True)
    assert (one.first, one.second) == (two.second, two.first)
    assert (one.first.model, one.second.model) == ("lister", "plain")
    assert one.first.style is not None
    assert one.second.style is not None
    assert (one.first.style.lists, one.first.style.marks) == (3, 2)
    assert (one.second.style.lists, one.second.style.marks) == (0, 0)
    assert one.first.style.digest != one.second.style.digest


def test_texts_are_not_read_for_style_unless_it_is_asked_for(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(messages_json: str) -> None:
        raise AssertionError(f"{messages_json} was read")

    monkeypatch.setattr(facts, "style_of", refuse)
    choose(ledger, *numbered(2))
    assert [one.first.style for one in judged_pairs(ledger, "r", KEYS)] == [None, None]
    with pytest.raises(AssertionError, match="was read"):
        list(judged_pairs(ledger, "r", KEYS, with_style=True))


def test_a_pair_reads_back_whole(ledger: Ledger) -> None:
    given = pair("one", answer("x", "y", model="m1"), answer("z", "z", model="m2"))
    choose(ledger, given)
    assert [found for found, _ in whole_pairs(ledger, "r", KEYS)] == [given]
    (judged,) = judged_pairs(ledger, "r", KEYS)
    assert judged.prompt_id == "of one"
    assert judged.tags == {"turn": 2, "language": "de"}


@pytest.mark.parametrize("page", [1, 2, 3, 1000])
def test_pages_of_any_size_read_the_same(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(facts, "PAGE", page)
    choose(ledger, *numbered(7))
    expected = [f"p{n}" for n in range(7)]
    assert [one.pair_id for one in judged_pairs(ledger, "r", KEYS)] == expected
    assert [one.pair_id for one, _ in whole_pairs(ledger, "r", KEYS)] == expected


def test_votes_are_those_on_the_pairs_of_the_run(ledger: Ledger) -> None:
    begin(ledger, "other")
    mine, theirs = numbered(2)
    choose(ledger, mine)
    choose(ledger, theirs, run_id="other")
    cast = [Vote(pair_id=p, annotator="x", preference="first", note="ü") for p in ("p0", "p1")]
    add_votes(ledger, list(enumerate(cast, 1)))
    assert list(votes_on(ledger, "r")) == [cast[0]]


async def test_an_append_has_ended_once_a_reader_sees_its_row(ledger: Ledger) -> None:
    (one,) = choose(ledger, *numbered(1))
    with Ledger(ledger.path, read_only=True) as reader:
        async with LedgerWriter(ledger) as writer:
            await writer.append(judgment(one))
            assert count_judgments(reader) == 1
            await writer.append(judgment(one, order=Order.REVERSED))
            assert count_judgments(reader) == 2


async def test_what_gathers_during_a_commit_is_committed_together(ledger: Ledger) -> None:
    ids = choose(ledger, *numbered(50))
    async with LedgerWriter(ledger) as writer:
        await asyncio.gather(*(writer.append(judgment(one)) for one in ids))
        assert writer.commits == 2  # the first alone, all others in the next
    assert count_judgments(ledger) == 50


async def test_the_second_answer_to_an_ask_leaves_the_first_as_it_was(ledger: Ledger) -> None:
    (one,) = choose(ledger, *numbered(1))
    await store(ledger, judgment(one, Verdict.A), judgment(one, Verdict.B))
    await store(ledger, judgment(one, Verdict.TIE))
    (found,) = judged_pairs(ledger, "r", KEYS)
    assert [reading.verdict for reading in found.readings] == [Verdict.A]


async def test_after_one_failed_commit_every_append_fails(ledger: Ledger) -> None:
    one, two = choose(ledger, *numbered(2))
    with ledger.transaction() as connection:
        connection.execute(text("ALTER TABLE judgments RENAME TO elsewhere"))
    async with LedgerWriter(ledger) as writer:
        with pytest.raises(LedgerError, match="no such table: judgments"):
            await writer.append(judgment(one))
        with ledger.transaction() as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO judgments"))
        with pytest.raises(LedgerError, match="no such table: judgments"):
            await writer.append(judgment(two))
    assert count_judgments(ledger) == 0


async def test_a_cancelled_worker_does_not_cancel_the_commit_of_the_others(
    ledger: Ledger,
) -> None:
    ids = choose(ledger, *numbered(3))
    async with LedgerWriter(ledger) as writer:
        tasks = [asyncio.ensure_future(writer.append(judgment(one))) for one in ids]
        await asyncio.sleep(0)
        tasks[1].cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in done] == [type(None), asyncio.CancelledError, type(None)]
    assert count_judgments(ledger) == 3


async def test_leaving_the_writer_waits_for_what_is_being_committed(ledger: Ledger) -> None:
    ids = choose(ledger, *numbered(5))
    async with LedgerWriter(ledger) as writer:
        appends = [asyncio.ensure_future(writer.append(judgment(one))) for one in ids]
        await asyncio.sleep(0)
    assert count_judgments(ledger) == 5
    await asyncio.gather(*appends)


async def defer(ledger: Ledger, content_id: str, reason: str, order: str = "forward") -> None:
    async with LedgerWriter(ledger) as writer:
        await writer.defer(
            run_id="r",
            content_id=content_id,
            judge_key="key-1",
            order=order,
            reason=reason,
            attempts=6,
            created_at="2026",
        )


async def test_an_ask_given_up_twice_counts_once_with_its_newest_reason(ledger: Ledger) -> None:
    one, two = choose(ledger, *numbered(2))
    await defer(ledger, one, "time-out")
    await defer(ledger, one, "429")
    await defer(ledger, two, "429")
    await defer(ledger, two, "reset", order="reversed")
    assert deferral_reasons(ledger, "r") == [("429", 2), ("reset", 1)]
    assert deferral_reasons(ledger, "other") == []


async def test_an_ask_that_was_answered_after_all_is_no_longer_given_up(ledger: Ledger) -> None:
    one, two = choose(ledger, *numbered(2))
    await defer(ledger, one, "time-out")
    await defer(ledger, two, "time-out")
    await store(ledger, judgment(one))
    assert deferral_reasons(ledger, "r") == [("time-out", 1)]


async def test_every_pair_is_counted_in_exactly_one_outcome(ledger: Ledger) -> None:
    rng = random.Random(7)
    ids = choose(ledger, *numbered(200))
    rows = []
    for one in ids:
        for key in KEYS:
            for order in Order:
                if rng.random() < 0.9:
                    said = rng.choice([*Verdict, *Verdict, *Verdict, *Status])
                    rows.append(judgment(one, said, key=key, order=order))
    await store(ledger, *rows)
    run = find_run(ledger, "r")
    outcomes = count_outcomes(ledger, run)
    assert outcomes.total() == 200
    complete = {one for one in ids if sum(row.content_id == one for row in rows) == 4}
    assert outcomes[f"undecided: {PENDING}"] == 200 - len(complete)
    assert {name for name, n in outcomes.items() if n} > {"first", "second", "inconsistent"}


def readings(*orders: tuple[str, Order]) -> list[Reading]:
    return [Reading(f"{key}/{order}", key, order, 0, Verdict.A, None) for key, order in orders]


def test_a_pair_is_pending_while_one_of_the_judges_has_not_answered(ledger: Ledger) -> None:
    run = find_run(ledger, "r")
    missing = readings(*((KEYS[0], order) for order in Order), (KEYS[1], Order.FORWARD))
    for said in (missing[:2], missing):
        label = label_of(run, "p", said)
        assert (label.outcome, label.reason) == (Outcome.UNDECIDED, PENDING)
        assert label.judgments == tuple(sorted(one.judgment_id for one in said))
    whole = [*missing, *readings((KEYS[1], Order.REVERSED))]
    assert label_of(run, "p", whole).outcome is Outcome.INCONSISTENT


def test_an_import_waits_for_no_judge_that_said_nothing(ledger: Ledger) -> None:
    run = begin(ledger, IMPORT_RUN, kind=IMPORT_RUN)
    said = readings(*((KEYS[0], order) for order in Order))
    assert label_of(run, "p", said).outcome is Outcome.INCONSISTENT


async def test_the_same_ledger_gives_the_same_labels_byte_for_byte(tmp_path: Path) -> None:
    rng = random.Random(3)
    pairs_, said = numbered(40), [*Verdict, *Status]

    def labels(ledger: Ledger) -> bytes:
        run = find_run(ledger, "r")
        return b"\n".join(
            label.model_dump_json().encode() for _, label in labelled_pairs(ledger, run)
        )

    rows = [
        judgment(canonical(one).content_id, rng.choice(said), key=key, order=order)
        for one in pairs_
        for key in KEYS
        for order in Order
    ]
    found = []
    for name in ("one.db", "two.db"):
        rng.shuffle(rows)  # the sequence in which replies arrived is no part of a label
        with Ledger(tmp_path / name) as ledger:
            begin(ledger)
            choose(ledger, *pairs_)
            await store(ledger, *rows)
            found += [labels(ledger), labels(ledger)]
    assert len(set(found)) == 1
    assert len(found[0].splitlines()) == 40


def test_the_rule_of_a_run_is_stored_with_every_label(ledger: Ledger) -> None:
    choose(ledger, *numbered(1))
    ((_, label),) = labelled_pairs(ledger, find_run(ledger, "r"))
    assert label.rule == Rule.CONSERVATIVE.value
    assert label.reason == PENDING
