"""Runs: what a ledger looks at, which one is the latest, and what deleting one deletes."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import func, select

from judge.errors import LedgerError
from judge.identity import canonical
from judge.ledger.intake import Given, add_pairs, add_votes
from judge.ledger.runs import (
    IMPORT_RUN,
    Run,
    RunJudge,
    begin_run,
    complete_run,
    count_pairs,
    discard_run,
    find_run,
    list_runs,
)
from judge.ledger.schema import contents, judgments, pairs, run_pairs, votes
from judge.ledger.store import Ledger
from judge.ledger.writer import INSERT_JUDGMENT
from judge.records import Candidate, Judgment, Message, Order, Pair, Prompt, Verdict, Vote

STRONG = RunJudge("key-1", "strong", "model-1", "pair-tie", "digest", {"temperature": 0})
WEAK = RunJudge("key-2", "weak", "model-2", "pair", "digest", {})


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "x.db") as opened:
        yield opened


def said(role: str, text: str) -> tuple[Message, ...]:
    return (Message(role=role, content=text),)


def pair(pair_id: str, first: str = "one", second: str = "two") -> Pair:
    return Pair(
        pair_id=pair_id,
        prompt=Prompt(prompt_id="q", messages=said("user", "Q")),
        first=Candidate(messages=said("assistant", first)),
        second=Candidate(messages=said("assistant", second)),
    )


def begin(
    ledger: Ledger,
    run_id: str,
    *,
    now: str,
    judges: Sequence[RunJudge] = (STRONG,),
    kind: str = "judge",
    is_complete: bool = True,
) -> Run:
    run = begin_run(
        ledger,
        run_id,
        kind=kind,
        source="pairs.jsonl",
        settings={"rule": "conservative"},
        judges=judges,
        now=now,
    )
    if is_complete:
        complete_run(ledger, run_id)
    return run


def select_for(ledger: Ledger, run_id: str, *chosen: Pair) -> None:
    given = [Given(line, one, canonical(one)) for line, one in enumerate(chosen, 1)]
    assert add_pairs(ledger, run_id, given) == []


def ids(ledger: Ledger) -> list[str]:
    return [run.run_id for run in list_runs(ledger)]


def stored(ledger: Ledger) -> tuple[set[str], int]:
    with ledger.snapshot() as connection:
        return (
            set(connection.scalars(select(pairs.c.pair_id))),
            connection.scalar(select(func.count()).select_from(contents)) or 0,
        )


def test_a_run_reads_back_as_it_was_begun(ledger: Ledger) -> None:
    begin(ledger, "r1", now="2026-01-01", judges=(WEAK, STRONG))
    run = find_run(ledger, "r1")
    assert run.judges == (STRONG, WEAK)  # by name
    assert (run.kind, run.source, run.rule) == ("judge", "pairs.jsonl", "conservative")
    assert run.is_complete
    assert run.created_at == "2026-01-01"


def test_latest_is_the_run_used_last_not_the_one_made_last(ledger: Ledger) -> None:
    begin(ledger, "r1", now="2026-01-01")
    begin(ledger, "r2", now="2026-01-02")
    assert find_run(ledger, "latest").run_id == "r2"
    begin(ledger, "r1", now="2026-01-03")
    assert find_run(ledger, "latest").run_id == "r1"
    assert ids(ledger) == ["r2", "r1"]
    assert find_run(ledger, "r1").created_at == "2026-01-01"


def test_latest_passes_over_runs_without_judges_and_inputs_that_were_not_read_whole(
    ledger: Ledger,
) -> None:
    begin(ledger, "r1", now="2026-01-01")
    begin(ledger, IMPORT_RUN, now="2026-01-02", kind=IMPORT_RUN, judges=())
    begin(ledger, "r2", now="2026-01-03", is_complete=False)
    assert find_run(ledger, "latest").run_id == "r1"


def test_an_import_with_judges_can_be_the_latest(ledger: Ledger) -> None:
    begin(ledger, "r1", now="2026-01-01")
    begin(ledger, IMPORT_RUN, now="2026-01-02", kind=IMPORT_RUN)
    assert find_run(ledger, "latest").run_id == IMPORT_RUN


def test_an_unknown_run_is_refused_with_the_known_ones(ledger: Ledger) -> None:
    begin(ledger, "r1", now="2026-01-01")
    with pytest.raises(LedgerError) as caught:
        find_run(ledger, "r9")
    assert str(caught.value) == f'ledger {ledger.path} has no run "r9"; its runs are: r1'


def test_a_ledger_without_judgments_says_how_to_start(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="holds no judgments yet; start with judge run"):
        find_run(ledger, "latest")


def test_a_judge_of_another_name_is_renamed_and_not_added(ledger: Ledger) -> None:
    begin(ledger, "r1", now="2026-01-01")
    renamed = RunJudge("key-1", "other", "model-1", "pair-tie", "digest", {"temperature": 0})
    assert begin(ledger, "r1", now="2026-01-02", judges=(renamed,)).judges == (renamed,)


def test_a_run_that_was_read_whole_keeps_its_selection(ledger: Ledger) -> None:
    begin(ledger, "r1", now="2026-01-01", is_complete=False)
    select_for(ledger, "r1", pair("p1"), pair("p2"))
    complete_run(ledger, "r1")
    begin(ledger, "r1", now="2026-01-02")
    assert count_pairs(ledger, "r1") == 2


def test_an_interrupted_input_starts_over(ledger: Ledger) -> None:
    begin(ledger, "r1", now="2026-01-01", is_complete=False)
    select_for(ledger, "r1", pair("p1"))
    assert not begin(ledger, "r1", now="2026-01-02", is_complete=False).is_complete
    assert count_pairs(ledger, "r1") == 0


def test_a_later_import_adds_to_the_earlier_one(ledger: Ledger) -> None:
    begin(ledger, IMPORT_RUN, now="2026-01-01", kind=IMPORT_RUN, is_complete=False)
    select_for(ledger, IMPORT_RUN, pair("p1"))
    begin(ledger, IMPORT_RUN, now="2026-01-02", kind=IMPORT_RUN, is_complete=False)
    select_for(ledger, IMPORT_RUN, pair("p2", "three"))
    assert count_pairs(ledger, IMPORT_RUN) == 2


def test_a_mended_file_takes_the_place_of_one_whose_reading_was_interrupted(
    ledger: Ledger,
) -> None:
    begin(ledger, "r1", now="2026-01-01", is_complete=False)
    select_for(ledger, "r1", pair("p1", "mistaken"))
    begin(ledger, "r2", now="2026-01-02", is_complete=False)  # the mended file: another run
    select_for(ledger, "r2", pair("p1", "mended"))
    assert ids(ledger) == ["r2"]
    assert stored(ledger) == ({"p1"}, 1)


def test_beginning_a_run_leaves_the_complete_ones_alone(ledger: Ledger) -> None:
    begin(ledger, "r1", now="2026-01-01", is_complete=False)
    select_for(ledger, "r1", pair("p1"))
    complete_run(ledger, "r1")
    begin(ledger, IMPORT_RUN, now="2026-01-02", kind=IMPORT_RUN, is_complete=False)
    begin(ledger, "r2", now="2026-01-03")
    assert ids(ledger) == ["r1", IMPORT_RUN, "r2"]
    assert stored(ledger) == ({"p1"}, 1)


def test_discarding_a_run_deletes_only_what_no_other_run_uses(ledger: Ledger) -> None:
    begin(ledger, "r1", now="2026-01-01")
    select_for(ledger, "r1", pair("shared", "a"), pair("same content", "b"))
    begin(ledger, "r2", now="2026-01-02")
    select_for(ledger, "r2", pair("shared", "a"), pair("also b", "b"), pair("alone", "c"))
    discard_run(ledger, "r2")
    assert ids(ledger) == ["r1"]
    assert stored(ledger) == ({"shared", "same content"}, 2)
    with ledger.snapshot() as connection:
        assert set(connection.scalars(select(run_pairs.c.run_id))) == {"r1"}


def test_discarding_a_run_keeps_every_vote_and_every_judgment_with_what_it_is_about(
    ledger: Ledger,
) -> None:
    begin(ledger, "r1", now="2026-01-01")
    judged = pair("judged", "b")
    select_for(ledger, "r1", pair("voted", "a"), judged, pair("neither", "c"))
    assert add_votes(ledger, [(1, Vote(pair_id="voted", annotator="x", preference="tie"))])[0] == 1
    judgment = Judgment(
        judgment_id="j",
        content_id=canonical(judged).content_id,
        judge_key="key-1",
        order=Order.FORWARD,
        reply="[[A]]",
        verdict=Verdict.A,
        status=None,
        parser="p",
        created_at="2026",
    )
    with ledger.transaction() as connection:
        connection.execute(INSERT_JUDGMENT, [judgment.__dict__])
    discard_run(ledger, "r1")
    known, n_contents = stored(ledger)
    assert known == {"voted"}
    assert n_contents == 2
    with ledger.snapshot() as connection:
        assert connection.scalar(select(func.count()).select_from(votes)) == 1
        assert connection.scalar(select(func.count()).select_from(judgments)) == 1


def test_discarding_does_not_slow_down_with_the_square_of_the_ledger(ledger: Ledger) -> None:
    """No part of the statement searches a table anew for each row of another."""
    plans: list[str] = []
    begin(ledger, "r1", now="2026-01-01")
    with ledger.transaction() as connection:
        raw = connection.connection.dbapi_connection
        assert raw is not None
        statements: list[str] = []
        raw.set_trace_callback(statements.append)
        discard_run(ledger, "r1")
        raw.set_trace_callback(None)
        for statement in statements:
            if statement.startswith("DELETE"):
                explained = raw.cursor().execute(f"EXPLAIN QUERY PLAN {statement}")
                plans += [row[3] for row in explained.fetchall()]
    assert any("LIST SUBQUERY" in step for step in plans)
    assert not any("CORRELATED" in step for step in plans)
