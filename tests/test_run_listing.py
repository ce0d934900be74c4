"""Runs of a ledger: listed, shown and deleted."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import judge as api
from judge.errors import ConfigError, LedgerError
from judge.identity import canonical
from judge.ledger.handoffs import Batch, add_batch
from judge.ledger.intake import Given, add_pairs, add_votes
from judge.ledger.runs import IMPORT_RUN, RunJudge, begin_run, complete_run, find_run
from judge.ledger.store import Ledger
from judge.ledger.writer import INSERT_DEFERRAL, INSERT_JUDGMENT
from judge.outcomes.labelling import labelled_pairs
from judge.people.drawing import Task
from judge.records import (
    Candidate,
    Judgment,
    Message,
    Order,
    Pair,
    Prompt,
    Status,
    Verdict,
    Vote,
)
from tests.fakes import rows

STRONG = RunJudge("key-1", "strong", "model-1", "pair-tie", "digest-1", {"temperature": 0})
WEAK = RunJudge("key-2", "weak", "model-2", "pair", "digest-2", {})

WIN = (Verdict.A, Verdict.B)
"""What is said in the forward and in the reversed order by who prefers the first answer."""
LOSS = (Verdict.B, Verdict.A)
TIE = (Verdict.TIE, Verdict.TIE)
FLIP = (Verdict.A, Verdict.A)
NOTHING = (None, None)
Said = tuple[Verdict | None, Verdict | None]


def said(role: str, text: str) -> tuple[Message, ...]:
    return (Message(role=role, content=text),)


def pair(number: int) -> Pair:
    return Pair(
        pair_id=f"p{number}",
        prompt=Prompt(prompt_id=f"q{number}", messages=said("user", f"Question {number}?")),
        first=Candidate(messages=said("assistant", "a")),
        second=Candidate(messages=said("assistant", "b")),
    )


def add_run(
    ledger: Ledger,
    run_id: str,
    verdicts: Mapping[int, Said | None],
    *,
    judges: Sequence[RunJudge] = (STRONG,),
    kind: str = "judge",
    rule: str = "conservative",
) -> None:
    """Add a run over numbered pairs, each with what every judge said of it, if anything."""
    begin_run(
        ledger,
        run_id,
        kind=kind,
        source="pairs.jsonl",
        settings={"rule": rule, "selection": {"limit": None, "seed": 0}},
        judges=judges,
        now=f"2026-01-0{1 + len(rows(ledger.path, 'runs'))}T10:00:00",
    )
    chosen = [pair(number) for number in verdicts]
    given_pairs = [Given(line, one, canonical(one)) for line, one in enumerate(chosen, 1)]
    assert add_pairs(ledger, run_id, given_pairs) == []
    complete_run(ledger, run_id)
    judgments = [
        judgment(number, judge, order, verdict)
        for number, both in verdicts.items()
        if both is not None
        for judge in judges
        for order, verdict in zip(Order, both, strict=True)
    ]
    if judgments:
        with ledger.transaction() as connection:
            connection.execute(INSERT_JUDGMENT, [each.__dict__ for each in judgments])


def judgment(number: int, judge: RunJudge, order: Order, verdict: Verdict | None) -> Judgment:
    content = canonical(pair(number))
    return Judgment(
        judgment_id=f"{content.content_id} {judge.judge_key} {order}",
        content_id=content.content_id,
        judge_key=judge.judge_key,
        order=order.other if content.is_exchanged else order,
        reply="a reply",
        finish_reason="stop",
        verdict=verdict,
        status=None if verdict else Status.UNPARSED,
        input_tokens=100,
        output_tokens=20,
        latency_s=0.5,
        attempts=2,
        parser="test/1",
        created_at="2026-01-01",
    )


def vote(number: int, preference: str = "first", annotator: str = "ann") -> Vote:
    return Vote(pair_id=f"p{number}", annotator=annotator, preference=preference)


def add(ledger: Ledger, *votes: Vote) -> None:
    _, conflicts = add_votes(ledger, list(enumerate(votes, 1)))
    assert conflicts == []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Ledger(tmp_path / "x.db"):
        pass
    return tmp_path / "x.db"


def counts(path: Path) -> dict[str, int]:
    tables = ("runs", "run_pairs", "run_judges", "pairs", "contents", "judgments", "votes")
    return {table: len(rows(path, table)) for table in tables}


# Listing and showing


def test_runs_are_listed_with_their_counts_the_newest_last(path: Path) -> None:
    with Ledger(path) as ledger:
        add_run(ledger, "one", {1: WIN, 2: FLIP, 3: None, 4: NOTHING})
        add_run(ledger, "two", {1: WIN, 5: None}, judges=(STRONG, WEAK))
    one, two = api.runs(ledger=path)
    assert (one.run_id, one.judges, one.pairs) == ("one", ("strong",), 4)
    assert (one.done, one.pending) == (6, 2)
    assert dict(one.outcomes) == {
        "first": 1,
        "inconsistent": 1,
        "undecided: pending": 1,
        "undecided: unparsed": 1,
    }
    assert (two.judges, two.pairs, two.done, two.pending) == (("strong", "weak"), 2, 4, 4)


def test_an_import_has_nothing_pending(path: Path) -> None:
    with Ledger(path) as ledger:
        add_run(ledger, IMPORT_RUN, {1: WIN, 2: None}, kind=IMPORT_RUN)
    [found] = api.runs(ledger=path)
    assert (found.done, found.pending) == (2, None)


def test_a_run_asked_in_one_order_waits_for_one_order(path: Path) -> None:
    with Ledger(path) as ledger:
        add_run(ledger, "one", {1: WIN, 2: None}, rule="single_random")
    [found] = api.runs(ledger=path)
    assert (found.done, found.pending) == (1, 1)


def test_an_empty_ledger_lists_nothing_and_a_missing_one_is_an_error(path: Path) -> None:
    assert api.runs(ledger=path) == []
    with pytest.raises(LedgerError, match="does not exist"):
        api.runs(ledger=path.with_name("none.db"))


def test_a_run_is_shown_with_what_its_replies_add_up_to(path: Path) -> None:
    with Ledger(path) as ledger:
        add_run(ledger, "one", {1: WIN, 2: NOTHING, 3: None}, judges=(STRONG, WEAK))
        deferred = {
            "run_id": "one", "content_id": canonical(pair(3)).content_id, "judge_key": "key-1",
            "order": "forward", "reason": "HTTP 503", "attempts": 6, "created_at": "2026",
        }  # fmt: skip
        with ledger.transaction() as connection:
            connection.execute(INSERT_DEFERRAL, [deferred])
        add_run(ledger, "two", {4: WIN})
    detail = api.show_run("one", ledger=path)
    strong = detail.replies["strong"]
    assert (strong.judgments, strong.verdicts, dict(strong.statuses)) == (4, 2, {"unparsed": 2})
    assert (strong.input_tokens, strong.output_tokens, strong.retries) == (400, 80, 4)
    assert (strong.mean_latency_s, strong.cost_usd) == (0.5, None)
    assert detail.replies["weak"] == strong
    assert detail.deferrals == (("HTTP 503", 1),)
    assert [judge.prompt_digest for judge in detail.judges] == ["digest-1", "digest-2"]
    assert api.show_run(ledger=path).summary.run_id == "two"


def test_an_unknown_run_is_met_with_those_there_are(path: Path) -> None:
    with Ledger(path) as ledger:
        add_run(ledger, "one", {1: WIN})
    with pytest.raises(LedgerError, match="its runs are: one"):
        api.show_run("two", ledger=path)


# Deleting


def test_the_only_run_goes_with_all_its_facts(path: Path) -> None:
    with Ledger(path) as ledger:
        add_run(ledger, "one", {1: WIN, 2: None})
    deletion = api.delete_run("one", ledger=path)
    assert deletion is not None
    assert (deletion.judgments, deletion.pairs, deletion.contents) == (2, 2, 2)
    assert not any(counts(path).values())


def test_what_another_run_uses_stays(path: Path) -> None:
    with Ledger(path) as ledger:
        add_run(ledger, "one", {1: WIN, 2: WIN}, judges=(STRONG, WEAK))
        add_run(ledger, "two", {2: WIN, 3: WIN})
    deletion = api.delete_run("one", ledger=path)
    assert deletion is not None
    assert (deletion.judgments, deletion.kept_judgments) == (6, 2)
    assert (deletion.pairs, deletion.kept_pairs) == (1, 1)
    kept = {(row["judge_key"], row["content_id"]) for row in rows(path)}
    assert kept == {("key-1", canonical(pair(number)).content_id) for number in (2, 3)}


def test_a_pair_with_votes_stays_with_its_votes(path: Path) -> None:
    with Ledger(path) as ledger:
        add_run(ledger, "one", {1: WIN, 2: WIN})
        add(ledger, vote(1), vote(1, "second", "bob"))
    deletion = api.delete_run("one", ledger=path)
    assert deletion is not None
    assert (deletion.pairs, deletion.voted_pairs, deletion.votes) == (1, 1, 2)
    assert [row["pair_id"] for row in rows(path, "pairs")] == ["p1"]
    assert len(rows(path, "votes")) == 2
    assert len(rows(path, "contents")) == 1


def test_what_is_declined_is_not_deleted(path: Path) -> None:
    with Ledger(path) as ledger:
        add_run(ledger, "one", {1: WIN, 2: WIN})
    before, asked = counts(path), []
    assert api.delete_run("one", ledger=path, confirm=lambda d: bool(asked.append(d))) is None
    assert counts(path) == before
    assert [(deletion.judgments, deletion.pairs) for deletion in asked] == [(4, 2)]


def test_latest_is_not_deleted_and_a_missing_ledger_is_not_made(path: Path) -> None:
    with Ledger(path) as ledger:
        add_run(ledger, "one", {1: WIN})
    with pytest.raises(ConfigError, match="by its id"):
        api.delete_run("latest", ledger=path)
    with pytest.raises(LedgerError, match="does not exist"):
        api.delete_run("one", ledger=path.with_name("none.db"))
    with pytest.raises(LedgerError, match="its runs are: one"):
        api.delete_run("two", ledger=path)
    assert not path.with_name("none.db").exists()
    assert counts(path)["runs"] == 1


def test_a_run_that_people_were_handed_stays(path: Path) -> None:
    with Ledger(path) as ledger:
        add_run(ledger, "one", {1: WIN})
        batch = Batch(
            name="batch-1", run_id="one", rule="conservative", seed=0, n=1, include=(),
            is_again=False, frame_size=1, excluded={}, audit_probability=1.0,
            guidelines_digest="d", created_at="2026",
        )  # fmt: skip
        task = Task("t", "batch-1", "p1", Order.FORWARD, True, None, 1.0)
        add_batch(ledger, batch, [task])
    with pytest.raises(LedgerError, match="handed batch-1"):
        api.delete_run("one", ledger=path)
    assert counts(path)["runs"] == 1


SELECTIONS = st.dictionaries(
    st.integers(1, 6), st.sampled_from([WIN, LOSS, TIE, FLIP, NOTHING, None]), max_size=5
)


@settings(max_examples=25, deadline=None)
@given(one=SELECTIONS, two=SELECTIONS, second_judge=st.sampled_from([STRONG, WEAK]))
def test_deleting_a_run_changes_no_label_of_another(
    tmp_path_factory: pytest.TempPathFactory,
    one: dict[int, Said | None],
    two: dict[int, Said | None],
    second_judge: RunJudge,
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "x.db"
    with Ledger(path) as ledger:
        add_run(ledger, "one", one, judges=(STRONG,))
        add_run(ledger, "two", two, judges=(second_judge,))
        before = [label for _, label in labelled_pairs(ledger, find_run(ledger, "two"))]
        add(ledger, *(vote(number) for number in one))
    api.delete_run("one", ledger=path)
    with Ledger(path, read_only=True) as ledger:
        assert [label for _, label in labelled_pairs(ledger, find_run(ledger, "two"))] == before
    assert {row["pair_id"] for row in rows(path, "pairs")} == {f"p{n}" for n in one | two}
    used = {(canonical(pair(number)).content_id, second_judge.judge_key) for number in two}
    assert {(row["content_id"], row["judge_key"]) for row in rows(path)} <= used
