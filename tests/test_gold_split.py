"""Dev and test: prompts stay in their part, looks are counted, and older ledgers still open."""

import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import judge
from calibration.agreement import VoteColumns
from calibration.report.columns import PairColumns
from judge.errors import ConfigError, LedgerError
from judge.ledger.looks import Look, looks_of, record_look
from judge.ledger.schema import SCHEMA_VERSION, metadata
from judge.ledger.store import Ledger
from judge.trust.gold_split import Split, is_test, prompt_digest, prompts_under_test, split_gathered
from judge.trust.looking import look_id_of, note_look

VERSION_1 = Path(__file__).parent / "cases" / "ledger_version_1.sql"
NAMES = [f"prompt {n}" for n in range(400)]


@dataclass(frozen=True)
class Voted:
    """Columns with votes, as far as a split looks at them: two pairs a prompt, a vote on each."""

    prompt_ids: tuple[str, ...]
    pairs: PairColumns
    votes: VoteColumns
    votes_left_out: Mapping[str, int] = field(default_factory=dict)


def voted(*prompt_ids: str) -> Voted:
    n = 2 * len(prompt_ids)
    return Voted(
        prompt_ids,
        PairColumns(np.arange(n) // 2),
        VoteColumns(np.arange(n), np.zeros(n, int), np.zeros(n, np.int8), np.arange(n) % 2 == 0),
        {"skipped by the annotator": 1},
    )


def look(look_id: str, *prompts: str) -> Look:
    digests = frozenset(map(prompt_digest, prompts))
    return Look(look_id, "compare", "a against b", "all", 0.5, digests, {"value": 0.1}, "2026")


# The split


@given(st.text(), st.floats(0.01, 0.98), st.floats(0.001, 0.01))
def test_a_larger_test_part_keeps_every_prompt_of_a_smaller_one(
    name: str, share: float, more: float
) -> None:
    assert is_test(name, share) <= is_test(name, share + more)


def test_a_share_of_the_prompts_is_test() -> None:
    for share in (0.2, 0.5, 0.8):
        assert np.mean([is_test(name, share) for name in NAMES]) == pytest.approx(share, abs=0.06)


def test_a_prompt_stays_in_its_part_for_ever() -> None:
    # Changing the hash would turn prompts that judges were tuned on into test prompts.
    assert [is_test(f"q{n}") for n in range(12)] == [
        False, False, True, True, False, False, True, False, False, True, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 2.0, float("nan")])
def test_a_share_that_leaves_a_part_empty_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        is_test("x", share)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        split_gathered(voted("x"), Split.ALL, share=share)


def test_dev_and_test_part_the_votes_by_prompt_and_keep_the_pairs() -> None:
    whole = voted(*NAMES)
    parts = {split: split_gathered(whole, split) for split in Split}
    assert parts[Split.ALL] is whole
    dev, test = parts[Split.DEV], parts[Split.TEST]
    for part, is_of_it in ((dev, False), (test, True)):
        prompts = whole.pairs.cluster[part.votes.pair]
        assert {is_test(NAMES[at]) for at in prompts} == {is_of_it}
        assert part.pairs is whole.pairs
        assert part.votes.both_bad is not None
        assert part.votes.both_bad.sum() * 2 == len(part.votes.pair)
    assert sorted([*dev.votes.pair, *test.votes.pair]) == list(range(800))
    assert dev.votes_left_out == {
        "skipped by the annotator": 1, "prompt not in the dev split": len(test.votes.pair),
    }  # fmt: skip


def test_only_test_prompts_with_votes_are_under_test() -> None:
    whole = voted(*NAMES[:20])
    in_test = {name for name in NAMES[:20] if is_test(name)}
    assert prompts_under_test(whole) == {prompt_digest(name) for name in in_test}
    assert prompts_under_test(split_gathered(whole, Split.TEST)) == prompts_under_test(whole)
    assert prompts_under_test(split_gathered(whole, Split.DEV)) == frozenset()


# Looks


def test_looks_that_share_a_prompt_are_counted_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with Ledger(path):
        pass
    first = note_look(path, look("one", "a", "b"))
    other = note_look(path, look("two", "c"))
    third = note_look(path, look("three", "b", "c", "d"))
    assert first is not None
    assert other is not None
    assert third is not None
    assert [(n.number, n.looks, n.prompts) for n in (first, other, third)] == [
        (1, 1, 2), (1, 1, 1), (3, 3, 3),
    ]  # fmt: skip
    assert third.level == pytest.approx(0.05 / 3)
    with Ledger(path, read_only=True) as ledger:
        assert looks_of(ledger, {prompt_digest("d")}) == [look("three", "b", "c", "d")]
        assert looks_of(ledger, frozenset()) == []


def test_a_repeated_look_is_one_look_and_needs_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with Ledger(path):
        pass
    note_look(path, look("one", "a"))
    note_look(path, look("two", "a"))
    with Ledger(path):
        again = note_look(path, look("one", "a"))
    assert again is not None
    assert (again.number, again.looks, again.is_repeated) == (1, 2, True)


def test_a_look_that_cannot_be_noted_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with Ledger(path), pytest.raises(LedgerError, match=r"in use by process .* --split dev"):
        note_look(path, look("one", "a"))
    with Ledger(path):
        assert note_look(path, look("none")) is None


def test_the_id_of_a_look_is_its_question_and_its_facts() -> None:
    ids = {
        look_id_of(*asked)
        for asked in (
            (["compare", {"metric": "s1"}], [b"ab", b"c"]),
            (["compare", {"metric": "s2"}], [b"ab", b"c"]),
            (["compare", {"metric": "s1"}], [b"a", b"bc"]),
        )
    }
    assert len(ids) == 3
    assert look_id_of(["x"], [b"y"]) == look_id_of(["x"], [b"y"])


# Ledgers of version 1, which knew no looks


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1.read_text())
        connection.commit()
    return path


def shape(path: Path) -> dict[str, set[str]]:
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: {row[1] for row in connection.execute(f'PRAGMA table_info("{name}")')}
            for (name,) in names
        }


def version(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        [[value]] = connection.execute("SELECT value FROM meta WHERE key = 'schema'")
        return str(value)


def test_an_old_ledger_is_read_without_being_touched(old: Path) -> None:
    before = old.read_bytes()
    assert [run.judges for run in judge.runs(ledger=old)] == [("gpt",)]
    found = judge.show_run("latest", ledger=old)
    assert found.summary.outcomes == {"first": 4}
    with Ledger(old, read_only=True) as ledger:
        assert looks_of(ledger, {prompt_digest("q1")}) == []
    assert old.read_bytes() == before


def test_whoever_writes_brings_an_old_ledger_up_to_date(old: Path, tmp_path: Path) -> None:
    facts = judge.show_run("latest", ledger=old)
    with Ledger(old) as ledger:
        record_look(ledger, look("one", "a"))
    with Ledger(tmp_path / "new.db"):
        pass
    assert shape(old) == shape(tmp_path / "new.db")
    assert set(shape(old)) == set(metadata.tables)
    assert version(old) == str(SCHEMA_VERSION)
    assert judge.show_run("latest", ledger=old) == facts
    with Ledger(old) as ledger:
        assert len(looks_of(ledger, {prompt_digest("a")})) == 1


KILLED = """
import os, sys
from pathlib import Path
from sqlalchemy import Engine, event
from judge.ledger.store import Ledger

@event.listens_for(Engine, "after_cursor_execute")
def die(connection, cursor, statement, *rest):
    if statement.lstrip().startswith(sys.argv[2]):
        os._exit(9)

Ledger(Path(sys.argv[1])).close()
"""


@pytest.mark.parametrize("after", ["CREATE TABLE", "ALTER TABLE", "UPDATE meta"])
def test_a_process_that_dies_meanwhile_leaves_the_old_version(old: Path, after: str) -> None:
    before = shape(old)
    ended = subprocess.run([sys.executable, "-c", KILLED, str(old), after], check=False)
    assert ended.returncode == 9
    assert (shape(old), version(old)) == (before, "1")
    with Ledger(old):
        pass
    assert version(old) == str(SCHEMA_VERSION)


def test_a_split_of_columns_is_what_the_report_can_be_made_of(old: Path) -> None:
    from judge.ledger.runs import find_run
    from judge.trust.audit import gather_in

    with Ledger(old, read_only=True) as ledger:
        gathered = gather_in(ledger, find_run(ledger, "latest"))
    test = split_gathered(gathered, Split.TEST)
    assert type(test) is type(gathered)
    assert test.votes_left_out["prompt not in the test split"] == 4 - len(test.votes.pair)
    assert len(test.votes.pair) == sum(is_test(f"q{n}") for n in range(4))
    assert replace(test, votes=gathered.votes, votes_left_out={}).pairs is gathered.pairs
