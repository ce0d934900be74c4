"""Delivering labels: exactly the decided pairs, a manifest that adds up, never half a file."""

import hashlib
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import judge
from judge.api.deliver import agree, export, import_file
from judge.errors import ConfigError, EvenhandError, InputError, LedgerError
from judge.identity import canonical, judgment_id
from judge.ledger.intake import Given, add_judgments, add_pairs
from judge.ledger.runs import RunJudge, begin_run, complete_run
from judge.ledger.store import Ledger
from judge.outcomes.exporting import Manifest, manifest_path
from judge.records import Candidate, Judgment, Message, Order, Pair, Prompt, Verdict

ROOT = Path(__file__).parents[1]
Row = dict[str, Any]
Orders = tuple[str | None, str | None]

VERDICTS: dict[str, Orders] = {
    "wins": ("A", "B"),
    "loses": ("B", "A"),
    "ties": ("C", "C"),
    "contradicts": ("A", "A"),
    "leans": ("A", "C"),
    "babbles": ("hm", "B"),
}
LEFT_OUT = {"inconsistent": 2, "tie": 1, "undecided: unparsed": 1}


def pair_rows(names: Iterable[str], **more: Any) -> list[Row]:
    return [
        {"pair_id": n, "prompt": f"Q {n}", "first": f"{n} 1", "second": f"{n} 2", **more}
        for n in names
    ]


def judgment_rows(verdicts: Mapping[str, Orders]) -> list[Row]:
    return [
        {"pair_id": pair_id, "judge": "gpt", "order": order, "reply": f"So: [[{said}]]"}
        for pair_id, both in verdicts.items()
        for order, said in zip(("forward", "reversed"), both, strict=True)
        if said is not None
    ]


def load(ledger: Path, kind: str, rows: Iterable[Row]) -> None:
    path = ledger.parent / f"{kind}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    import_file(path, kind, ledger=ledger)


def a_ledger(folder: Path, verdicts: Mapping[str, Orders] = VERDICTS) -> Path:
    ledger = folder / "judge.db"
    load(ledger, "pairs", pair_rows(verdicts))
    load(ledger, "judgments", judgment_rows(verdicts))
    return ledger


def rows_in(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def assert_adds_up(out: Path, manifest: Manifest) -> None:
    data = out.read_bytes()
    assert data.count(b"\n") == manifest.rows
    assert hashlib.sha256(data).hexdigest() == manifest.sha256
    assert manifest.rows + sum(manifest.left_out.values()) == manifest.pairs
    written = json.loads(manifest_path(out).read_bytes())
    assert (written["rows"], written["sha256"]) == (manifest.rows, manifest.sha256)
    assert (written["pairs"], written["left_out"]) == (manifest.pairs, manifest.left_out)
    assert (written["file"], written["is_partial"]) == (out.name, manifest.is_partial)


def user(text: str) -> Row:
    return {"role": "user", "content": text}


def assistant(text: str) -> Row:
    return {"role": "assistant", "content": text}


# What the rows are


def test_standard_rows_hold_the_winner_and_the_loser_of_every_decided_pair(tmp_path: Path) -> None:
    ledger, out = a_ledger(tmp_path), tmp_path / "data.jsonl"
    manifest = export(out, ledger=ledger, style="standard")
    assert rows_in(out) == [
        {"prompt": "Q wins", "chosen": "wins 1", "rejected": "wins 2"},
        {"prompt": "Q loses", "chosen": "loses 2", "rejected": "loses 1"},
    ]
    assert_adds_up(out, manifest)


def test_conversational_rows_hold_messages(tmp_path: Path) -> None:
    ledger, out = a_ledger(tmp_path), tmp_path / "data.jsonl"
    turns = [{"role": "system", "content": "Be brief."}, user("Hi"), assistant("Hello"), user("?")]
    load(ledger, "pairs", pair_rows(["talk"], prompt=turns))
    load(ledger, "judgments", judgment_rows({"talk": ("B", "A")}))
    manifest = export(out, ledger=ledger)
    assert rows_in(out) == [
        {
            "prompt": [user("Q wins")],
            "chosen": [assistant("wins 1")],
            "rejected": [assistant("wins 2")],
        },
        {
            "prompt": [user("Q loses")],
            "chosen": [assistant("loses 2")],
            "rejected": [assistant("loses 1")],
        },
        {"prompt": turns, "chosen": [assistant("talk 2")], "rejected": [assistant("talk 1")]},
    ]
    assert (manifest.format, manifest.style) == ("trl", "conversational")
    assert_adds_up(out, manifest)


def test_label_rows_hold_every_pair_whatever_its_outcome(tmp_path: Path) -> None:
    ledger, out = a_ledger(tmp_path), tmp_path / "labels.jsonl"
    manifest = export(out, ledger=ledger, to="labels")
    rows = rows_in(out)
    assert [(row["pair_id"], row["outcome"], row.get("reason")) for row in rows] == [
        ("wins", "first", None),
        ("loses", "second", None),
        ("ties", "tie", None),
        ("contradicts", "inconsistent", None),
        ("leans", "inconsistent", None),
        ("babbles", "undecided", "unparsed"),
    ]
    assert list(rows[0]) == ["pair_id", "outcome", "probability", "margin", "rule", "judgments"]
    assert all(row["rule"] == "conservative" and len(row["judgments"]) == 2 for row in rows)
    assert (manifest.rows, manifest.left_out, manifest.style) == (6, {}, None)
    assert_adds_up(out, manifest)


def test_ids_of_one_content_are_rows_of_their_own_in_their_own_orientation(tmp_path: Path) -> None:
    ledger, out = tmp_path / "judge.db", tmp_path / "labels.jsonl"
    rows = pair_rows(["one", "two", "three"], prompt="Q", first="x", second="y")
    rows[1] |= {"first": "y", "second": "x"}
    load(ledger, "pairs", rows)
    load(ledger, "judgments", judgment_rows({"two": ("A", "B")}))
    export(out, ledger=ledger, to="labels")
    outcomes = [(row["pair_id"], row["outcome"]) for row in rows_in(out)]
    assert outcomes == [("one", "second"), ("two", "first"), ("three", "second")]
    export(out, ledger=ledger, style="standard")
    assert rows_in(out) == [{"prompt": "Q", "chosen": "y", "rejected": "x"}] * 3


SAID = st.sampled_from(["A", "B", "C", "hm", None])


@given(st.lists(st.tuples(SAID, SAID), min_size=1, max_size=10))
@settings(max_examples=25, deadline=None)
def test_exactly_the_pairs_that_both_orders_decide_become_preferences(
    replies: Sequence[Orders],
) -> None:
    verdicts = {f"p{index}": said for index, said in enumerate(replies)}
    if all(said == (None, None) for said in replies):
        return
    with TemporaryDirectory() as folder:
        ledger, out = a_ledger(Path(folder), verdicts), Path(folder) / "data.jsonl"
        manifest = export(out, ledger=ledger, style="standard", partial=True)
        chosen = {("A", "B"): "1", ("B", "A"): "2"}
        assert [row["chosen"] for row in rows_in(out)] == [
            f"{pair_id} {chosen[said]}" for pair_id, said in verdicts.items() if said in chosen
        ]
        assert manifest.pairs == len(replies)
        assert manifest.is_partial == any(None in said for said in replies)
        assert manifest.left_out.get("tie", 0) == replies.count(("C", "C"))
        assert_adds_up(out, manifest)


# What the manifest says


def test_the_manifest_says_what_is_in_the_file_and_what_not(tmp_path: Path) -> None:
    ledger, out = a_ledger(tmp_path), tmp_path / "data.jsonl"
    manifest = export(out, ledger=ledger)
    written = json.loads((tmp_path / "data.jsonl.manifest.json").read_bytes())
    assert list(written) == [
        "file", "format", "style", "rows", "sha256", "run", "rule", "is_partial", "pairs",
        "left_out", "judges", "margin", "attributes", "agreement", "created_at",
    ]  # fmt: skip
    assert (written["run"], written["rule"], written["is_partial"]) == (
        "import", "conservative", False,
    )  # fmt: skip
    assert (written["rows"], written["pairs"], written["left_out"]) == (2, 6, LEFT_OUT)
    assert [(entry["name"], entry["model"]) for entry in written["judges"]] == [("gpt", "gpt")]
    assert written["agreement"] is None
    assert_adds_up(out, manifest)


def test_the_manifest_holds_the_agreement_with_the_votes_there_are(tmp_path: Path) -> None:
    ledger, out = a_ledger(tmp_path), tmp_path / "data.jsonl"
    votes = [
        {"pair_id": pair_id, "annotator": "x", "preference": choice}
        for pair_id, choice in {"wins": "first", "loses": "first", "leans": "tie"}.items()
    ]
    load(ledger, "votes", votes)
    agreement = export(out, ledger=ledger).agreement
    assert agreement is not None
    figures = agree(ledger=ledger).judges["gpt"]
    assert agreement == {"s1": figures.s1.micro.as_dict(), "s2": figures.s2.micro.as_dict()}
    assert (agreement["s1"]["value"], agreement["s1"]["n"]) == (pytest.approx(2 / 3), 3)
    assert (agreement["s2"]["value"], agreement["s2"]["n"]) == (pytest.approx(1 / 2), 2)
    assert agreement["s1"]["low"] < 2 / 3 < agreement["s1"]["high"]


@pytest.mark.parametrize("to", ["trl", "labels"])
def test_the_same_export_twice_is_the_same_to_the_byte(tmp_path: Path, to: str) -> None:
    ledger = a_ledger(tmp_path)
    first = export(tmp_path / "one.jsonl", ledger=ledger, to=to)
    second = export(tmp_path / "two.jsonl", ledger=ledger, to=to)
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    assert first.sha256 == second.sha256


def test_a_device_gets_the_rows_and_no_manifest_beside_it(tmp_path: Path) -> None:
    manifest = export("/dev/null", ledger=a_ledger(tmp_path), to="labels")
    assert manifest.rows == 6
    assert not Path("/dev/null.manifest.json").exists()


def test_the_python_twin_can_be_called_more_than_once(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    for name in ("one.jsonl", "two.jsonl"):
        twin: Any = judge.export
        assert twin(tmp_path / name, ledger=ledger).rows == 2


# Refusals


def pair_of(row: Row) -> Pair:
    def answer(text: str) -> Candidate:
        return Candidate(messages=(Message(role="assistant", content=text),))

    question = (Message(role="user", content=row["prompt"]),)
    prompt = Prompt(prompt_id=row["pair_id"], messages=question)
    return Pair(
        pair_id=row["pair_id"],
        prompt=prompt,
        first=answer(row["first"]),
        second=answer(row["second"]),
    )


def a_judge_run(ledger_path: Path, answered: Mapping[str, Sequence[Order]]) -> None:
    """A run of two judges on one pair; each said that the first answer wins, where it said so."""
    pair = pair_of(pair_rows(["p1"])[0])
    content = canonical(pair)
    judges = [RunJudge(name, name, "m", "pair", "digest", {}) for name in answered]
    with Ledger(ledger_path) as ledger:
        begin_run(
            ledger, "r1", kind="judge", source="pairs.jsonl",
            settings={"rule": "conservative"}, judges=judges, now="2026",
        )  # fmt: skip
        add_pairs(ledger, "r1", [Given(1, pair, content)])
        add_judgments(
            ledger,
            [
                (0, a_judgment(content.content_id, name, order))
                for name, orders in answered.items()
                for order in orders
            ],
        )
        complete_run(ledger, "r1")


def a_judgment(content_id: str, key: str, order: Order) -> Judgment:
    return Judgment(
        judgment_id=judgment_id(content_id, key, order, 0),
        content_id=content_id,
        judge_key=key,
        order=order,
        reply="[[A]]",
        verdict=Verdict.A if order is Order.FORWARD else Verdict.B,
        status=None,
        parser="test",
        created_at="2026",
    )


@pytest.mark.parametrize(
    ("one", "two", "is_finished"),
    [
        (list(Order), list(Order), True),
        (list(Order), [Order.REVERSED], False),
        (list(Order), [], False),
        ([], [], False),
    ],
)
def test_a_run_is_exported_once_every_judge_has_answered_in_both_orders(
    tmp_path: Path, one: Sequence[Order], two: Sequence[Order], is_finished: bool
) -> None:
    ledger, out = tmp_path / "judge.db", tmp_path / "data.jsonl"
    a_judge_run(ledger, {"one": one, "two": two})
    if is_finished:
        manifest = export(out, ledger=ledger)
        assert (manifest.rows, manifest.is_partial) == (1, False)
        return
    out.write_text("old")
    with pytest.raises(LedgerError) as error:
        export(out, ledger=ledger)
    assert str(error.value) == (
        "run r1: 1 pairs still wait for a judgment; run the same judge run command again to "
        "finish them, or export what there is with --partial"
    )
    assert out.read_text() == "old"
    assert not manifest_path(out).exists()
    manifest = export(out, ledger=ledger, partial=True)
    assert (manifest.rows, manifest.is_partial) == (0, True)
    assert manifest.left_out == {"undecided: pending": 1}
    assert_adds_up(out, manifest)


def test_imported_judgments_that_lack_an_order_are_exported_as_partial_only(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, {**VERDICTS, "waits": ("A", None), "unseen": (None, None)})
    out = tmp_path / "data.jsonl"
    with pytest.raises(LedgerError, match=r"2 pairs lack a reply.*import the missing judgments"):
        export(out, ledger=ledger)
    assert not out.exists()
    manifest = export(out, ledger=ledger, partial=True)
    assert manifest.is_partial
    assert manifest.left_out == {**LEFT_OUT, "undecided: pending": 2}
    assert_adds_up(out, manifest)


def test_a_run_whose_input_was_not_read_to_the_end_is_not_complete(tmp_path: Path) -> None:
    ledger, out = a_ledger(tmp_path, {"wins": ("A", "B")}), tmp_path / "data.jsonl"
    with Ledger(ledger) as opened:
        begin_run(
            opened, "cut", kind="judge", source="pairs.jsonl",
            settings={"rule": "conservative"}, judges=(), now="2026",
        )  # fmt: skip
    with pytest.raises(LedgerError, match="run cut: its input was not read to the end; run the"):
        export(out, ledger=ledger, run="cut")


def test_standard_rows_are_refused_where_a_prompt_is_a_conversation(tmp_path: Path) -> None:
    ledger, out = a_ledger(tmp_path), tmp_path / "data.jsonl"
    load(ledger, "pairs", pair_rows(["talk"], prompt=[user("Hi"), assistant("Hello"), user("?")]))
    load(ledger, "judgments", judgment_rows({"talk": ("B", "A")}))
    out.write_text("old")
    with pytest.raises(InputError, match='pair "talk": its prompt is a conversation'):
        export(out, ledger=ledger, style="standard")
    assert out.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir() if "data" in path.name) == ["data.jsonl"]


def test_an_export_never_takes_the_place_of_the_ledger(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    before = ledger.read_bytes()
    with pytest.raises(ConfigError, match=r"judge\.db is the ledger itself; write the export to"):
        export(ledger, ledger=ledger)
    assert ledger.read_bytes() == before


# When something breaks in the middle


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)


STOPS_IN_THE_MIDDLE = """
import sys
from importlib import import_module
from judge.api.deliver import export
exporting = import_module("judge.outcomes.exporting")
make_row, made = exporting.trl_row, []
def stopping(pair, label, **style):
    if len(made) == 1500:
        print("half", flush=True)
        sys.stdin.read()
    made.append(pair)
    return make_row(pair, label, **style)
exporting.trl_row = stopping
export(sys.argv[2], ledger=sys.argv[1])
"""
FULL_DISK = """
import resource, sys
from judge.api.deliver import export
from judge.errors import EvenhandError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    export(sys.argv[2], ledger=sys.argv[1])
except EvenhandError as error:
    print(error)
"""


def big_ledger(folder: Path, pairs: int, chars: int) -> Path:
    ledger = folder / "judge.db"
    names = [f"p{index}" for index in range(pairs)]
    load(ledger, "pairs", (row | {"first": row["first"] + "x" * chars} for row in pair_rows(names)))
    load(ledger, "judgments", judgment_rows(dict.fromkeys(names, ("A", "B"))))
    return ledger


def test_a_kill_in_the_middle_keeps_the_old_file_and_its_manifest(tmp_path: Path) -> None:
    ledger, out = big_ledger(tmp_path, 2000, 1000), tmp_path / "data.jsonl"
    out.write_text("old")
    manifest_path(out).write_text("old manifest")
    with start(STOPS_IN_THE_MIDDLE, str(ledger), str(out)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.kill()
    assert out.read_text() == "old"
    assert manifest_path(out).read_text() == "old manifest"
    assert_adds_up(out, export(out, ledger=ledger))


def test_a_full_disk_is_named_and_keeps_the_old_file(tmp_path: Path) -> None:
    ledger, out = big_ledger(tmp_path, 200, 1000), tmp_path / "data.jsonl"
    out.write_text("old")
    with start(FULL_DISK, str(ledger), str(out)) as process:
        said, _ = process.communicate()
    assert said.startswith(f"cannot write {out}: larger than the largest file allowed here; ")
    assert out.read_text() == "old"
    assert not manifest_path(out).exists()
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".partial")]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvenhandError, match=r"no/data\.jsonl: its directory does not exist"):
        export(tmp_path / "no" / "data.jsonl", ledger=a_ledger(tmp_path))


def test_memory_does_not_grow_with_the_number_of_pairs(tmp_path: Path) -> None:
    peaks = []
    for pairs in (2000, 3000):
        folder = tmp_path / str(pairs)
        folder.mkdir()
        ledger, out = big_ledger(folder, pairs, 6000), folder / "data.jsonl"
        tracemalloc.start()
        try:
            export(out, ledger=ledger)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert out.stat().st_size > 6000 * pairs
    # Two pages of a thousand pairs are held; the second file is 6 MB longer than the first.
    assert peaks[1] < peaks[0] + 2_000_000
