"""Handing pairs to people and taking their answers back."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

import judge
from judge.api.deliver import agree, handoff, import_file
from judge.cli import app
from judge.cli.door import exit_code_of
from judge.errors import ConfigError, EvenhandError, InputError, LedgerError
from judge.ledger.facts import votes_on
from judge.ledger.handoffs import find_tasks, list_batches, tasks_in
from judge.ledger.store import Ledger
from judge.people.handing_over import Handoff
from judge.records import Order, Outcome

Row = dict[str, Any]
Orders = tuple[str | None, str | None]

VERDICTS: dict[str, Orders] = {
    **{f"wins{at}": ("A", "B") for at in range(8)},
    **{f"loses{at}": ("B", "A") for at in range(3)},
    **{f"ties{at}": ("C", "C") for at in range(2)},
    **{f"contradicts{at}": ("A", "A") for at in range(4)},
    "babbles": ("hm", "B"),
    "waits": ("A", None),
}
LABELLED = len(VERDICTS) - 1
INCONSISTENT = {f"contradicts{at}" for at in range(4)}


def pair_row(name: str, **more: Any) -> Row:
    return {
        "pair_id": name,
        "prompt_id": f"cluster of {name[:4]}",
        "prompt": f"Q {hashlib.md5(name.encode()).hexdigest()[:8]}",
        "first": {"text": f"yes {len(name)}", "model": "model-x1"},
        "second": {"text": f"no {len(name)}", "model": "model-y2"},
        "tags": {"origin": "tag-z3"},
    } | more


def judgment_rows(verdicts: Mapping[str, Orders]) -> list[Row]:
    return [
        {
            "pair_id": id_,
            "judge": "judge-w4",
            "order": order,
            "reply": f"By reasoning-v5.\n[[{said}]]",
        }
        for id_, both in verdicts.items()
        for order, said in zip(("forward", "reversed"), both, strict=True)
        if said is not None
    ]


def written(path: Path, rows: Iterable[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def load(ledger: Path, kind: str, rows: Iterable[Row]) -> None:
    import_file(written(ledger.parent / f"{kind}.jsonl", rows), kind, ledger=ledger)


def vote_row(pair_id: str) -> Row:
    return {"pair_id": pair_id, "annotator": "gold", "preference": "first"}


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "judge.db"
    load(path, "pairs", map(pair_row, VERDICTS))
    load(path, "judgments", judgment_rows(VERDICTS))
    return path


def hand_off(ledger: Path, n: int, name: str = "tasks.jsonl", **more: Any) -> Handoff:
    return handoff(ledger.parent / name, n=n, ledger=ledger, **more)


def rows_of(done: Handoff) -> list[Row]:
    return [json.loads(line) for line in done.out.read_text().splitlines()]


def ids_of(done: Handoff) -> set[str]:
    return {task.pair_id for task in done.tasks}


def answers_to(done: Handoff, **more: Any) -> list[Row]:
    """Everybody likes the answer that says yes, which is each pair's first."""
    return [
        {
            "task_id": row["task_id"],
            "annotator": "ann",
            "preference": "A" if row["answer_a"].startswith("yes") else "B",
            **more,
        }
        for row in rows_of(done)
    ]


def come_back(done: Handoff, ledger: Path, rows: Iterable[Row]) -> int:
    """Import answers; return how many votes were new."""
    path = written(ledger.parent / "answers.jsonl", rows)
    return import_file(path, "votes", ledger=ledger).new


# What is drawn


def test_the_audit_is_drawn_from_the_labelled_pairs(ledger: Path) -> None:
    done = hand_off(ledger, 6, seed=3)
    assert len(done.tasks) == done.audit_tasks == len(rows_of(done)) == 6
    assert ids_of(done) < VERDICTS.keys() - {"waits"}
    assert (done.batch.frame_size, done.batch.excluded) == (LABELLED, {"pending": 1})
    assert done.batch.audit_probability == 6 / LABELLED
    assert {task.inclusion_probability for task in done.tasks} == {6 / LABELLED}
    assert done.audit_prompts == done.prompts == len({id_[:4] for id_ in ids_of(done)})


def test_every_labelled_pair_can_be_drawn(ledger: Path) -> None:
    assert ids_of(hand_off(ledger, LABELLED)) == VERDICTS.keys() - {"waits"}


def test_included_outcomes_come_along_whole(ledger: Path) -> None:
    done = hand_off(ledger, 5, include=["inconsistent", "undecided"])
    included = {task.pair_id: task for task in done.tasks if task.included_as}
    assert included.keys() == INCONSISTENT | {"babbles"}
    assert {task.inclusion_probability for task in included.values()} == {1.0}
    assert included["babbles"].stratum == "undecided"
    assert done.audit_tasks == 5
    assert dict(done.included_tasks) == {Outcome.INCONSISTENT: 4, Outcome.UNDECIDED: 1}


def test_without_an_audit_only_the_included_pairs_go(ledger: Path) -> None:
    done = hand_off(ledger, 0, include=["tie"])
    assert ids_of(done) == {"ties0", "ties1"}
    assert (done.audit_tasks, done.audit_prompts, done.prompts) == (0, 0, 1)
    assert done.batch.audit_probability == 0


def test_more_than_there_is_hands_over_what_there_is(ledger: Path) -> None:
    done = hand_off(ledger, 10**30)
    assert done.audit_tasks == LABELLED
    assert {task.inclusion_probability for task in done.tasks} == {1.0}


def test_what_was_handed_off_or_voted_on_is_not_drawn_again(ledger: Path) -> None:
    load(ledger, "votes", [vote_row("wins0"), vote_row("wins1")])
    first = hand_off(ledger, 7, batch="one")
    second = hand_off(ledger, 100, "more.jsonl", batch="two")
    assert not ids_of(first) & ids_of(second)
    assert ids_of(first) | ids_of(second) == VERDICTS.keys() - {"waits", "wins0", "wins1"}
    assert second.batch.excluded == {
        "handed off before": 7,
        "human votes already": 2,
        "pending": 1,
    }
    assert second.batch.frame_size == LABELLED - 9


def test_again_lets_all_of_them_take_part(ledger: Path) -> None:
    load(ledger, "votes", [vote_row("wins0")])
    first = hand_off(ledger, 7)
    second = hand_off(ledger, LABELLED, "more.jsonl", again=True)
    assert ids_of(second) == VERDICTS.keys() - {"waits"}
    assert second.batch.is_again
    assert not {task.task_id for task in first.tasks} & {task.task_id for task in second.tasks}


def test_one_content_is_one_task_by_whatever_ids_it_goes(ledger: Path) -> None:
    row = pair_row("wins0")
    load(ledger, "pairs", [row | {"pair_id": "twin"}])
    mirrored = row | {"pair_id": "mirror", "first": row["second"], "second": row["first"]}
    load(ledger, "pairs", [mirrored])
    done = hand_off(ledger, 100, batch="one")
    assert ids_of(done) == VERDICTS.keys() - {"waits"}
    assert done.batch.excluded == {"pending": 1, "same answers as another pair": 2}
    load(ledger, "pairs", [pair_row("new"), pair_row("wins0", pair_id="third")])
    load(ledger, "judgments", judgment_rows({"new": ("A", "B")}))
    assert ids_of(hand_off(ledger, 100, "more.jsonl", batch="two")) == {"new"}


# What people see


def test_a_task_file_tells_nothing_of_models_judges_pairs_and_outcomes(ledger: Path) -> None:
    done = hand_off(ledger, 100, include=["inconsistent", "tie", "undecided"])
    secrets = ["model-x1", "model-y2", "judge-w4", "reasoning-v5", "tag-z3", "cluster of", "[["]
    secrets += ["inconsistent", "undecided", "forward", "reversed", "audit", "import", *VERDICTS]
    for told in (done.out.read_text(), done.guidelines.read_text()):
        assert [secret for secret in secrets if secret in told] == []
    assert all(
        row.keys() == {"task_id", "prompt", "answer_a", "answer_b", "questions"}
        for row in rows_of(done)
    )


def test_the_file_follows_the_sides_and_the_sequence_of_the_ledger(ledger: Path) -> None:
    done = hand_off(ledger, 100)
    rows = rows_of(done)
    assert [row["task_id"] for row in rows] == [task.task_id for task in done.tasks]
    assert [row["answer_a"].startswith("yes") for row in rows] == [
        task.shown_order is Order.FORWARD for task in done.tasks
    ]
    assert len({task.shown_order for task in done.tasks}) == 2
    ids = [task.pair_id for task in done.tasks]
    assert ids != [id_ for id_ in VERDICTS if id_ in ids]


def test_pairs_are_shown_as_they_were_given_even_if_stored_the_other_way_round(
    tmp_path: Path,
) -> None:
    ledger = tmp_path / "judge.db"
    for first, second in (("yes a", "no b"), ("yes b", "no a"), ("yes", "zzz"), ("yes c", "aaa")):
        row = pair_row(f"{first}-{second}", first=first, second=second)
        load(ledger, "pairs", [row])
        load(ledger, "judgments", judgment_rows({row["pair_id"]: ("A", "B")}))
    done = hand_off(ledger, 4)
    for row, task in zip(rows_of(done), done.tasks, strict=True):
        shown = [row["answer_a"], row["answer_b"]]
        given = task.pair_id.split("-")
        assert shown == (given if task.shown_order is Order.FORWARD else given[::-1])


def test_guidelines_name_the_batch_and_the_digest_of_its_tasks(ledger: Path) -> None:
    done = hand_off(ledger, 5, batch="pilot one")
    text = done.guidelines.read_text()
    assert done.guidelines == ledger.parent / "tasks.guidelines.md"
    assert done.sha256 == hashlib.sha256(done.out.read_bytes()).hexdigest()
    assert "Batch: pilot one\nTasks: 5\n" in text
    assert done.sha256 in text
    assert done.batch.guidelines_digest in text
    assert "$" not in text


def test_guidelines_go_where_they_are_wanted(ledger: Path, tmp_path: Path) -> None:
    hand_off(ledger, 5, guidelines_out=tmp_path / "read-me.md")
    assert (tmp_path / "read-me.md").exists()
    assert not (tmp_path / "tasks.guidelines.md").exists()


# What is kept


def test_the_ledger_keeps_what_an_unbiased_figure_needs(ledger: Path) -> None:
    done = hand_off(ledger, 5, include=["inconsistent"], seed=-4, batch="b")
    with Ledger(ledger, read_only=True) as opened:
        assert list_batches(opened) == [done.batch]
        assert tuple(tasks_in(opened, "b")) == done.tasks
        [task, *_] = done.tasks
        assert find_tasks(opened, [task.task_id, "other"]) == {task.task_id: task}
    batch = done.batch
    assert (batch.run_id, batch.rule, batch.seed, batch.n) == ("import", "conservative", -4, 5)
    assert (batch.include, batch.is_again) == ((Outcome.INCONSISTENT,), False)


def test_the_same_command_writes_the_same_files(ledger: Path) -> None:
    first = hand_off(ledger, 5, include=["tie", "inconsistent"])
    before = (first.out.read_bytes(), first.guidelines.read_bytes())
    come_back(first, ledger, answers_to(first))
    load(ledger, "pairs", [pair_row("new")])
    load(ledger, "judgments", judgment_rows({"new": ("A", "B"), "waits": ("A", "B")}))
    again = hand_off(ledger, 5, include=["inconsistent", "tie"])
    assert (first.is_repeat, again.is_repeat) == (False, True)
    assert (again.out.read_bytes(), again.guidelines.read_bytes()) == before
    assert (again.batch, again.tasks) == (first.batch, first.tasks)


def test_files_lost_after_the_batch_was_stored_are_written_again(ledger: Path) -> None:
    first = hand_off(ledger, 5)
    before = first.out.read_bytes()
    first.out.unlink()
    first.guidelines.unlink()
    assert hand_off(ledger, 5, "elsewhere.jsonl").out.read_bytes() == before


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"n": 6}, "with --n 5, and now --n 6"),
        ({"seed": 1}, "with --seed 0, and now --seed 1"),
        ({"include": ["tie"]}, "with no --include, and now --include tie"),
        ({"again": True}, "with no --again, and now --again"),
    ],
)
def test_a_batch_with_other_settings_is_refused(ledger: Path, changed: Row, expected: str) -> None:
    hand_off(ledger, 5, batch="b")
    with pytest.raises(ConfigError) as refusal:
        hand_off(ledger, **({"n": 5, "name": "more.jsonl", "batch": "b"} | changed))
    assert f'batch "b" was handed off {expected}' in str(refusal.value)
    assert not (ledger.parent / "more.jsonl").exists()


@pytest.mark.parametrize("name", ["tasks.jsonl", "tasks.guidelines.md"])
def test_a_file_with_other_content_is_left_alone_and_nothing_is_stored(
    ledger: Path, name: str
) -> None:
    taken = ledger.parent / name
    taken.write_text("answers of a week\n")
    with pytest.raises(ConfigError, match="exists with other content"):
        hand_off(ledger, 5)
    assert taken.read_text() == "answers of a week\n"
    assert {path.name for path in ledger.parent.glob("*tasks*")} == {name}
    with Ledger(ledger, read_only=True) as opened:
        assert list_batches(opened) == []
    taken.unlink()
    assert len(hand_off(ledger, 5).tasks) == 5


# What comes back


def test_answers_become_votes_in_the_orientation_of_their_pairs(ledger: Path) -> None:
    done = hand_off(ledger, 12, batch="pilot")
    ratings = {"clarity": {"A": 7, "B": 2}}
    rows = answers_to(done, strength=2, seconds=30, note="why", ratings=ratings)
    assert come_back(done, ledger, rows) == 12
    tasks = {task.pair_id: task for task in done.tasks}
    with Ledger(ledger, read_only=True) as opened:
        votes = {vote.pair_id: vote for vote in votes_on(opened, "import")}
    assert votes.keys() == tasks.keys()
    for pair_id, vote in votes.items():
        assert (vote.preference, vote.strength, vote.seconds) == ("first", 2, 30)
        assert (vote.annotator, vote.note, vote.batch) == ("ann", "why", "pilot")
        assert vote.shown_order is tasks[pair_id].shown_order
        assert vote.ratings is not None
        rating = vote.ratings["clarity"]
        is_forward = vote.shown_order is Order.FORWARD
        assert (rating.first, rating.second) == ((7, 2) if is_forward else (2, 7))


@pytest.mark.parametrize("said", ["tie", "both_bad", "skip"])
def test_answers_without_a_side_stay_what_they_are(ledger: Path, said: str) -> None:
    done = hand_off(ledger, 3)
    come_back(done, ledger, [row | {"preference": said} for row in answers_to(done)])
    with Ledger(ledger, read_only=True) as opened:
        assert {vote.preference for vote in votes_on(opened, "import")} == {said}


def test_the_same_answers_again_add_nothing(ledger: Path) -> None:
    done = hand_off(ledger, 6)
    rows = answers_to(done)
    filled_in = [task | answer for task, answer in zip(rows_of(done), rows, strict=True)]
    assert [come_back(done, ledger, given) for given in (rows, rows, filled_in)] == [6, 0, 0]


def test_the_report_uses_the_answers(ledger: Path) -> None:
    done = hand_off(ledger, LABELLED)
    come_back(done, ledger, answers_to(done))
    s2 = agree(ledger=ledger).judges["judge-w4"].s2.micro
    assert s2.value == pytest.approx(8 / 11)


def test_an_unknown_task_is_named_with_its_line_and_nothing_is_imported(ledger: Path) -> None:
    done = hand_off(ledger, 4)
    rows = answers_to(done)
    rows[2]["task_id"] = "0123"
    with pytest.raises(InputError) as refusal:
        come_back(done, ledger, rows)
    assert 'answers.jsonl:3: task_id "0123" is of no batch in this ledger' in str(refusal.value)
    assert come_back(done, ledger, answers_to(done)) == 4


def test_answers_to_a_ledger_that_never_handed_anything_off_are_refused(ledger: Path) -> None:
    with pytest.raises(InputError, match='task_id "t" is of no batch'):
        load(ledger, "votes", [{"task_id": "t", "annotator": "ann", "preference": "A"}])


# What cannot be done


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"n": 0}, "--n 0 draws nothing"),
        ({"n": -1}, "--n -1: give how many"),
        ({"n": 1, "include": ["first"]}, "--include first: give one of inconsistent, tie, und"),
        ({"n": 1, "batch": " "}, "--batch: give a name"),
        ({"n": 1, "batch": "a\nb"}, "--batch: give a name"),
        ({"n": 1, "run": "other"}, 'has no run "other"; its runs are: import'),
        ({"n": 1, "name": "judge.db"}, "judge.db is the ledger itself"),
        ({"n": 1, "name": "none/tasks.jsonl"}, "its directory does not exist"),
    ],
)
def test_what_cannot_be_drawn_is_refused(ledger: Path, arguments: Row, expected: str) -> None:
    with pytest.raises(EvenhandError) as refusal:
        hand_off(ledger, **arguments)
    assert expected in str(refusal.value)
    with Ledger(ledger, read_only=True) as opened:
        assert list_batches(opened) == []


def test_an_outcome_that_no_pair_has_is_refused_when_it_is_all_that_is_asked(
    tmp_path: Path,
) -> None:
    ledger = tmp_path / "judge.db"
    load(ledger, "pairs", [pair_row("wins")])
    load(ledger, "judgments", judgment_rows({"wins": ("A", "B")}))
    with pytest.raises(LedgerError, match="none of its 1 pairs that can be drawn has an outcome"):
        hand_off(ledger, 0, include=["tie"])


def test_tasks_and_guidelines_need_two_files(ledger: Path) -> None:
    with pytest.raises(ConfigError, match="need a file each"):
        hand_off(ledger, 1, guidelines_out=ledger.parent / "tasks.jsonl")


def test_a_ledger_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="does not exist"):
        hand_off(tmp_path / "missing.db", 1)
    assert list(tmp_path.iterdir()) == []


def test_pending_pairs_are_counted_where_nothing_can_be_drawn(tmp_path: Path) -> None:
    ledger = tmp_path / "judge.db"
    load(ledger, "pairs", map(pair_row, VERDICTS))
    load(ledger, "judgments", judgment_rows({"waits": ("A", None)}))
    with pytest.raises(LedgerError, match=rf"no pair can be drawn \(pending {len(VERDICTS)}\)"):
        hand_off(ledger, 5)


def test_a_run_without_any_judgment_says_what_to_do(tmp_path: Path) -> None:
    ledger = tmp_path / "judge.db"
    load(ledger, "pairs", [pair_row("a")])
    with pytest.raises(LedgerError, match="start with judge run, or judge import"):
        hand_off(ledger, 5)


# The command


def test_the_command_says_what_it_drew_and_from_what(
    ledger: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ledger.parent)
    typed = ["handoff", "--ledger", "judge.db", "--n", "50", "--out", "tasks.jsonl"]
    typed += ["--include", "inconsistent", "--include", "tie", "--batch", "pilot"]
    assert exit_code_of(app, typed) == 0
    first = capsys.readouterr()
    assert first.out == ""
    assert first.err.splitlines() == [
        f"--n 50 is more than the {LABELLED} pairs that can be drawn: all of them were",
        "the audit covers 5 prompts: below 200 the intervals of agreement are wide",
        f"tasks     {LABELLED} over 5 prompts in tasks.jsonl; guidelines in "
        "tasks.guidelines.md; batch pilot",
        f"audit     {LABELLED} of {LABELLED} pairs that can be drawn, each with probability 1, "
        "over 5 prompts; included all 4 inconsistent, all 2 tie, 6 of them in the audit too",
        "left out  pending 1",
        "next      judge import ANSWERS --kind votes --ledger judge.db",
    ]
    assert exit_code_of(app, typed) == 0
    assert "batch pilot was handed off before" in capsys.readouterr().err
    assert exit_code_of(app, [*typed, "--seed", "2"]) == 2


def test_the_twin_is_public() -> None:
    assert judge.handoff is handoff
