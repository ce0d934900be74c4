"""What a run still has to ask: page by page, each content once, and counts that agree."""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from judge.identity import canonical, judgment_id
from judge.ledger import work
from judge.ledger.facts import deferral_reasons, judged_pairs, votes_on, whole_pairs
from judge.ledger.intake import Given, add_pairs
from judge.ledger.runs import RunJudge, begin_run, complete_run
from judge.ledger.schema import metadata
from judge.ledger.store import Ledger
from judge.ledger.work import (
    WorkItem,
    count_answered,
    count_contents,
    count_dropped,
    work_page,
)
from judge.ledger.writer import INSERT_JUDGMENT
from judge.policy import missing_questions
from judge.records import Candidate, Judgment, Message, Order, Pair, Prompt, Status, Verdict
from tests.fakes import work_pages

KEYS = ("key-1", "key-2")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "x.db") as opened:
        begin(opened, "r")
        yield opened


def begin(ledger: Ledger, run_id: str) -> None:
    begin_run(
        ledger,
        run_id,
        kind="judge",
        source="s",
        settings={"rule": "conservative"},
        judges=[RunJudge(key, key, "m", "p", "d", {}) for key in KEYS],
        now="2026",
    )
    complete_run(ledger, run_id)


def pair(number: int, pair_id: str | None = None, text: str = "") -> Pair:
    first, second = (
        Candidate(messages=(Message(role="assistant", content=f"{side} {number} {text}"),))
        for side in "ab"
    )
    question = (Message(role="user", content=f"Q{number}"),)
    return Pair(
        pair_id=pair_id or f"p{number}",
        prompt=Prompt(prompt_id=f"q{number}", messages=question),
        first=first,
        second=second,
    )


def choose(ledger: Ledger, chosen: Iterable[Pair], run_id: str = "r") -> list[str]:
    """Select pairs for a run and return their content ids."""
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
        reply="r",
        verdict=said if isinstance(said, Verdict) else None,
        status=said if isinstance(said, Status) else None,
        parser="p",
        created_at="2026",
    )


def store(ledger: Ledger, *judgments: Judgment) -> None:
    with ledger.transaction() as connection:
        connection.execute(INSERT_JUDGMENT, [one.__dict__ for one in judgments])


def items(ledger: Ledger, page_size: int = 3) -> list[WorkItem]:
    return [item for page in work_pages(ledger, "r", KEYS, page_size=page_size) for item in page]


def open_asks(ledger: Ledger, *, retry: frozenset[Status] = frozenset()) -> int:
    return sum(len(missing_questions(item.answered, KEYS, retry=retry)) for item in items(ledger))


@pytest.mark.parametrize("page_size", [1, 3, 10, 100])
def test_every_content_comes_once_and_in_input_order(ledger: Ledger, page_size: int) -> None:
    ids = choose(ledger, [pair(n) for n in (3, 1, 2, 5, 4, 9, 7)])
    pages = list(work_pages(ledger, "r", KEYS, page_size=page_size))
    assert [item.content.content_id for page in pages for item in page] == ids
    assert all(len(page) <= page_size for page in pages)


@pytest.mark.parametrize("page_size", [1, 2, 100])
def test_a_content_given_under_several_ids_is_work_once(ledger: Ledger, page_size: int) -> None:
    ids = choose(ledger, [pair(1), pair(2), pair(1, "again"), pair(3), pair(2, "and again")])
    found = [item.content.content_id for item in items(ledger, page_size)]
    assert found == [ids[0], ids[1], ids[3]]
    assert count_contents(ledger, "r") == 3


def test_a_content_that_another_run_saw_first_is_still_work(ledger: Ledger) -> None:
    begin(ledger, "r0")
    choose(ledger, [pair(1)], "r0")
    ids = choose(ledger, [pair(2), pair(1, "other")])
    assert [item.content.content_id for item in items(ledger)] == ids


def test_a_page_shows_what_the_judges_of_the_run_have_said_and_no_one_else(
    ledger: Ledger,
) -> None:
    one, two = choose(ledger, [pair(1), pair(2)])
    store(
        ledger,
        judgment(one, Verdict.B, order=Order.REVERSED),
        judgment(one, Status.UNPARSED),
        judgment(one, key="a judge of another run"),
        judgment(two, key="key-2", sample=2),
    )
    first, second = items(ledger)
    assert {(r.judge_key, r.order, r.verdict, r.status) for r in first.answered} == {
        ("key-1", Order.REVERSED, Verdict.B, None),
        ("key-1", Order.FORWARD, None, Status.UNPARSED),
    }
    assert [(r.judge_key, r.sample) for r in second.answered] == [("key-2", 2)]
    assert [
        len(item.answered) for item in work_page(ledger, "r", ["key-2"], after=-1, page_size=9)
    ] == [0, 1]


def test_the_counts_agree_with_what_is_asked(ledger: Ledger) -> None:
    ids = choose(ledger, [pair(n) for n in range(6)] + [pair(1, "again")])
    total = 2 * len(KEYS) * count_contents(ledger, "r")
    assert open_asks(ledger) == total == 24
    replies = [
        judgment(ids[0]),
        judgment(ids[0], order=Order.REVERSED),
        judgment(ids[1], Status.UNPARSED),
        judgment(ids[1], Status.UNPARSED, sample=1),
        judgment(ids[2], key="key-2"),
        judgment("a content of no run"),
        judgment(ids[3], key="a judge of another run"),
    ]
    store(ledger, *replies)
    assert count_answered(ledger, "r", KEYS) == {"key-1": 3, "key-2": 1}
    assert open_asks(ledger) == total - 4


def test_an_answer_is_never_asked_again_unless_its_status_is_named(ledger: Ledger) -> None:
    (one,) = choose(ledger, [pair(1)])
    store(
        ledger,
        judgment(one, Verdict.A),
        judgment(one, Status.UNPARSED, order=Order.REVERSED),
        judgment(one, Status.FAILED, key="key-2"),
        judgment(one, Status.TRUNCATED, key="key-2", order=Order.REVERSED),
    )
    assert open_asks(ledger) == 0
    assert open_asks(ledger, retry=frozenset({Status.UNPARSED})) == 1
    assert open_asks(ledger, retry=frozenset(Status)) == 3
    (item,) = items(ledger)
    (question,) = missing_questions(item.answered, KEYS, retry=frozenset({Status.UNPARSED}))
    assert (question.order, question.sample) == (Order.REVERSED, 1)


def test_an_ask_is_dropped_while_none_of_its_samples_has_a_verdict(ledger: Ledger) -> None:
    one, two = choose(ledger, [pair(1), pair(2)])
    store(
        ledger,
        judgment(one, Verdict.TIE),
        judgment(one, Status.UNPARSED, order=Order.REVERSED),
        judgment(two, Status.REFUSED),
        judgment(two, Status.FAILED, key="a judge of another run"),
    )
    assert count_dropped(ledger, "r", KEYS) == 2
    store(ledger, judgment(one, Verdict.B, order=Order.REVERSED, sample=1))
    assert count_dropped(ledger, "r", KEYS) == 1


def test_pages_of_long_texts_are_short_and_miss_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "PAGE_CHARS", 1000)
    sizes = [10, 2000, 10, 10, 300, 300, 300, 10]
    ids = choose(ledger, [pair(n, text="x" * size) for n, size in enumerate(sizes)])
    pages = list(work_pages(ledger, "r", KEYS, page_size=100))
    assert [item.content.content_id for page in pages for item in page] == ids
    assert [len(page) for page in pages] == [2, 4, 2]
    assert [one.pair_id for one, _ in whole_pairs(ledger, "r", KEYS)] == [
        f"p{n}" for n in range(len(sizes))
    ]


def test_an_empty_run_has_no_work(ledger: Ledger) -> None:
    assert items(ledger) == []
    assert count_contents(ledger, "r") == 0
    assert count_answered(ledger, "r", KEYS) == {}
    assert count_dropped(ledger, "r", KEYS) == 0


def test_no_query_scans_a_table_however_deep_the_page(ledger: Ledger) -> None:
    choose(ledger, [pair(n) for n in range(5)])
    seen: list[tuple[str, Any]] = []

    def note(connection: Connection, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    event.listen(ledger.connection, "before_cursor_execute", note)
    work_page(ledger, "r", KEYS, after=3, page_size=2)
    list(judged_pairs(ledger, "r", KEYS))
    list(whole_pairs(ledger, "r", KEYS))
    list(votes_on(ledger, "r"))
    deferral_reasons(ledger, "r")
    count_contents(ledger, "r")
    count_answered(ledger, "r", KEYS)
    count_dropped(ledger, "r", KEYS)
    event.remove(ledger.connection, "before_cursor_execute", note)
    plans = _plans(ledger.path, [one for one in seen if one[0].startswith("SELECT")])
    assert len(plans) >= 10
    for statement, steps in plans.items():
        scanned = {step.split()[1] for step in steps if step.startswith("SCAN")}
        assert not scanned & {*metadata.tables, "earlier"}, statement
        for step in steps:
            if step.startswith("SEARCH"):
                assert "USING" in step, statement
    first_mention = next(steps for steps in plans.values() if any("earlier" in s for s in steps))
    assert "SEARCH run_pairs USING PRIMARY KEY (run_id=? AND position>?)" in first_mention
    assert any(
        "earlier USING COVERING INDEX run_pairs_content (run_id=? AND content_id=? AND pos" in step
        for step in first_mention
    )
    assert any(
        "SEARCH judgments USING INDEX sqlite_autoindex_judgments_1 (content_id=? AND judge_key=?"
        in step
        for steps in plans.values()
        for step in steps
    )


def _plans(path: Path, statements: list[tuple[str, Any]]) -> dict[str, list[str]]:
    connection = sqlite3.connect(path)
    try:
        return {
            statement: [
                row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            ]
            for statement, parameters in statements
        }
    finally:
        connection.close()
