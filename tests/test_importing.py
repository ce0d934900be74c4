"""Loading pairs, votes and judgments made elsewhere: whole files, in the right orientation."""

import json
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import judge
from judge.api.deliver import import_file
from judge.api.label import arun
from judge.errors import InputError, LedgerError
from judge.ledger.runs import IMPORT_RUN, RunJudge, begin_run, complete_run, find_run
from judge.ledger.store import Ledger
from judge.outcomes.labelling import labelled_pairs
from judge.records import Label, Outcome
from judge.settings.config import Endpoint, Judge, Settings
from judge.simulator.server import running_simulator
from judge.simulator.settings import SimulatorSettings

ROOT = Path(__file__).parents[1]
MIRRORED = {
    "first": "second",
    "second": "first",
    "forward": "reversed",
    "reversed": "forward",
}
Row = dict[str, Any]


def mirrored(word: str) -> str:
    return MIRRORED.get(word, word)


def a_pair(pair_id: str, first: str = "Lima.", second: str = "Cusco.", **more: Any) -> Row:
    return {
        "pair_id": pair_id,
        "prompt": f"Capital of Peru? ({pair_id})",
        "first": first,
        "second": second,
        **more,
    }


def a_vote(pair_id: str, preference: str = "first", annotator: str = "ann", **more: Any) -> Row:
    return {"pair_id": pair_id, "annotator": annotator, "preference": preference, **more}


def a_judgment(pair_id: str, order: str, reply: str, **more: Any) -> Row:
    return {"pair_id": pair_id, "judge": "gpt", "order": order, "reply": reply, **more}


def both_orders(pair_id: str, forward: str, backward: str, **more: Any) -> list[Row]:
    return [
        a_judgment(pair_id, "forward", f"So: [[{forward}]]", **more),
        a_judgment(pair_id, "reversed", f"So: [[{backward}]]", **more),
    ]


class Desk:
    """A folder with a ledger, and files on their way into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = folder / "judge.db"

    def write(self, name: str, rows: Iterable[Row | str]) -> Path:
        path = self.folder / name
        with path.open("w") as file:
            for row in rows:
                file.write((row if isinstance(row, str) else json.dumps(row)) + "\n")
        return path

    def load(self, kind: str, rows: Iterable[Row | str], **options: Any) -> Any:
        return import_file(self.write(f"{kind}.jsonl", rows), kind, ledger=self.ledger, **options)

    def facts(self) -> list[str]:
        """Everything in the ledger, when each run was last used included."""
        connection = sqlite3.connect(self.ledger)
        try:
            return list(connection.iterdump())
        finally:
            connection.close()

    def column(self, query: str) -> list[Any]:
        connection = sqlite3.connect(self.ledger)
        try:
            return [row[0] for row in connection.execute(query)]
        finally:
            connection.close()

    def labels(self, run_id: str = "latest") -> dict[str, Label]:
        with Ledger(self.ledger, read_only=True) as ledger:
            pairs = labelled_pairs(ledger, find_run(ledger, run_id))
            return {pair.pair_id: label for pair, label in pairs}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


THREE_PAIRS = [a_pair("p1"), a_pair("p2"), a_pair("p3")]
FILES: dict[str, Sequence[Row]] = {
    "pairs": THREE_PAIRS,
    "votes": [a_vote("p1"), a_vote("p1", "tie", "bob"), a_vote("p2", "skip")],
    "judgments": both_orders("p1", "A", "B") + both_orders("p2", "A", "A"),
}


@pytest.mark.parametrize("kind", ["pairs", "votes", "judgments"])
def test_a_file_imported_twice_adds_nothing_the_second_time(desk: Desk, kind: str) -> None:
    if kind != "pairs":
        desk.load("pairs", THREE_PAIRS)
    rows = FILES[kind]
    result = desk.load(kind, rows)
    assert list(result.counts) == [kind]
    assert (result.read, result.new) == (len(rows), len(rows))
    stored = desk.column(f"SELECT * FROM {kind}")
    again = desk.load(kind, rows)
    assert (again.read, again.new) == (len(rows), 0)
    assert desk.column(f"SELECT * FROM {kind}") == stored
    assert len(stored) == len(rows)


@pytest.mark.parametrize("kind", ["pairs", "votes", "judgments"])
def test_a_line_repeated_inside_a_file_is_read_twice_and_stored_once(desk: Desk, kind: str) -> None:
    desk.load("pairs", [a_pair("other")])
    if kind != "pairs":
        desk.load("pairs", THREE_PAIRS)
    # Apart by more than one chunk of lines, and within one.
    rows = [FILES[kind][0]] * 1201
    result = desk.load(kind, rows)
    assert (result.read, result.new) == (1201, 1)


def test_only_what_is_new_in_a_longer_file_counts_as_new(desk: Desk) -> None:
    desk.load("pairs", THREE_PAIRS[:1])
    result = desk.load("pairs", THREE_PAIRS)
    assert (result.read, result.new, result.report.pairs) == (3, 2, 3)


BAD: dict[str, list[tuple[Row | str, str]]] = {
    "pairs": [
        ("{broken", "not JSON"),
        ({"pair_id": "p9", "prompt": "Q", "first": "one"}, 'field "second": missing'),
        (a_pair("p1", "Another answer."), '"p1" is known with another content'),
        (a_pair("p1", "Cusco.", "Lima."), '"p1" is known with its two answers exchanged'),
    ],
    "votes": [
        ("[]", "holds a list"),
        (a_vote("p1", "A"), 'unknown value "A"'),
        (a_vote("p9"), 'pair_id "p9" is not in the ledger; import its pair first'),
        (a_vote("p1", strength=9), "9 is out of range"),
    ],
    "judgments": [
        (a_judgment("p9", "forward", "[[A]]"), 'pair_id "p9" is not in the ledger'),
        (a_judgment("p3", "AB", "[[A]]"), 'unknown value "AB"'),
        (a_judgment("p1", "forward", "No: [[B]]"), "have another reply already"),
        (a_judgment("p3", "forward", "[[A]]", sample=-1), "-1 is out of range"),
        (a_judgment("p3", "forward", "[[A]]", verdict="A"), 'unknown field "verdict"'),
    ],
}


@pytest.mark.parametrize(
    ("kind", "bad", "problem"),
    [(kind, bad, problem) for kind, lines in BAD.items() for bad, problem in lines],
)
def test_one_bad_line_keeps_the_whole_file_out_and_the_ledger_as_it_was(
    desk: Desk, kind: str, bad: Row | str, problem: str
) -> None:
    for known in ("pairs", "votes", "judgments"):
        desk.load(known, FILES[known])
    before = desk.facts()
    good: dict[str, Row] = {
        "pairs": a_pair("p4"),
        "votes": a_vote("p3"),
        "judgments": a_judgment("p3", "forward", "[[A]]"),
    }
    with pytest.raises(InputError) as error:
        desk.load(kind, [good[kind], bad, good[kind]])
    first, remedy = str(error.value).splitlines()
    assert first.startswith(f"{desk.folder / kind}.jsonl:2: ")
    assert problem in first
    assert remedy == "nothing was imported; mend the lines, or use --skip-bad-lines"
    assert desk.facts() == before

    result = desk.load(kind, [good[kind], bad, good[kind]], skip_bad_lines=True)
    assert (result.read, result.new, result.report.n_bad_lines) == (2, 1, 1)
    assert result.report.bad_lines == [first]
    kept = set(before) - {line for line in before if '"runs"' in line}
    assert kept < set(desk.facts())


def test_a_bad_line_after_thousands_of_good_ones_still_stores_nothing(desk: Desk) -> None:
    desk.load("pairs", THREE_PAIRS)
    before = desk.facts()
    rows: list[Row | str] = [a_pair(f"n{index}") for index in range(1700)]
    with pytest.raises(InputError, match=r"pairs\.jsonl:1701: not JSON"):
        desk.load("pairs", [*rows, "nonsense"])
    assert desk.facts() == before


@pytest.mark.parametrize(("bad", "shown"), [(10, 10), (11, 10), (30, 10)])
def test_the_first_ten_bad_lines_are_named_and_the_rest_counted(
    desk: Desk, bad: int, shown: int
) -> None:
    desk.load("pairs", THREE_PAIRS)
    rows = [a_vote("p1"), *(a_vote(f"missing{index}") for index in range(bad))]
    with pytest.raises(InputError) as error:
        desk.load("votes", rows)
    *named, remedy = str(error.value).splitlines()
    more = [f"and {bad - shown} more bad lines"] if bad > shown else []
    assert [line.split(": ")[0] for line in named[:shown]] == [
        f"{desk.folder}/votes.jsonl:{number}" for number in range(2, shown + 2)
    ]
    assert named[shown:] == more
    assert remedy.startswith("nothing was imported")


def test_a_file_with_bad_lines_only_is_refused_even_when_they_may_be_skipped(desk: Desk) -> None:
    desk.load("pairs", THREE_PAIRS)
    before = desk.facts()
    with pytest.raises(InputError, match=r"votes\.jsonl:1: .*\nno line of the file could be used"):
        desk.load("votes", [a_vote("p9")], skip_bad_lines=True)
    assert desk.facts() == before


def test_a_missing_file_is_named(desk: Desk) -> None:
    with pytest.raises(InputError, match=r"nowhere\.jsonl: no such file; check the path"):
        import_file(desk.folder / "nowhere.jsonl", "votes", ledger=desk.ledger)


def test_empty_and_identical_answers_are_kept_with_a_warning(desk: Desk) -> None:
    result = desk.load("pairs", [a_pair("p1", "", "x"), a_pair("p2", "y", "y"), a_pair("p3")])
    assert (result.read, result.report.n_warnings) == (3, 2)
    assert result.report.warnings == [
        f'{desk.folder}/pairs.jsonl:1: pair "p1": "first" is an empty answer; it is judged as it '
        "is",
        f'{desk.folder}/pairs.jsonl:2: pair "p2": the two answers are identical; expect ties',
    ]


@pytest.mark.parametrize("kind", ["pairs", "votes", "judgments"])
def test_memory_does_not_grow_with_the_length_of_the_texts(desk: Desk, kind: str) -> None:
    desk.load("pairs", [a_pair(f"p{n}") for n in range(60)])
    long = "x" * 1_000_000
    rows: dict[str, Iterator[Row]] = {
        "pairs": (a_pair(f"n{n}", long, "short") for n in range(60)),
        "votes": (a_vote("p1", annotator=f"a{n}", note=long) for n in range(60)),
        "judgments": (a_judgment(f"p{n}", "forward", long) for n in range(60)),
    }
    path = desk.write(kind, rows[kind])
    tracemalloc.start()
    try:
        assert import_file(path, kind, ledger=desk.ledger).new == 60
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 45_000_000


# Labels of imported judgments


@pytest.mark.parametrize(
    ("forward", "backward", "outcome"),
    [
        ("A", "B", Outcome.FIRST),
        ("B", "A", Outcome.SECOND),
        ("C", "C", Outcome.TIE),
        ("A", "A", Outcome.INCONSISTENT),
        ("B", "B", Outcome.INCONSISTENT),
        ("A", "C", Outcome.INCONSISTENT),
    ],
)
@pytest.mark.parametrize(("first", "second"), [("Lima.", "Cusco."), ("Cusco.", "Lima.")])
def test_orders_are_those_of_the_pair_that_is_named(
    desk: Desk, first: str, second: str, forward: str, backward: str, outcome: Outcome
) -> None:
    desk.load("pairs", [a_pair("p1", first, second)])
    desk.load("judgments", both_orders("p1", forward, backward))
    assert desk.labels()["p1"].outcome is outcome


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ({"finish_reason": "length"}, "truncated"),
        ({"finish_reason": "content_filter"}, "refused"),
        ({"finish_reason": "tool_calls"}, "unparsed"),
        ({"finish_reason": "stop"}, None),
        ({"finish_reason": None}, None),
        ({}, None),
    ],
)
def test_a_reply_that_did_not_end_by_itself_is_never_read(
    desk: Desk, finish: Row, reason: str | None
) -> None:
    desk.load("pairs", [a_pair("p1")])
    desk.load("judgments", both_orders("p1", "A", "B", **finish))
    label = desk.labels()["p1"]
    assert label.reason == reason
    assert label.outcome is (Outcome.UNDECIDED if reason else Outcome.FIRST)
    assert desk.column("SELECT finish_reason FROM judgments") == [finish.get("finish_reason")] * 2


def test_a_tie_is_read_only_where_it_was_offered(desk: Desk) -> None:
    desk.load("pairs", [a_pair("p1")])
    desk.load("judgments", both_orders("p1", "C", "C"), allows_tie=False)
    label = desk.labels()["p1"]
    assert (label.outcome, label.reason) == (Outcome.UNDECIDED, "unparsed")


def test_the_same_judge_with_and_without_ties_never_mixes(desk: Desk) -> None:
    desk.load("pairs", [a_pair("p1")])
    rows = both_orders("p1", "C", "C")
    desk.load("judgments", rows)
    with pytest.raises(InputError, match="from an import with ties allowed; import this one alike"):
        desk.load("judgments", rows, allows_tie=False)
    assert desk.labels()["p1"].outcome is Outcome.TIE


def test_a_judge_name_stands_for_one_model(desk: Desk) -> None:
    desk.load("pairs", [a_pair("p1")])
    with pytest.raises(InputError) as error:
        desk.load(
            "judgments",
            [
                a_judgment("p1", "forward", "[[A]]", model="gpt-4-0613"),
                a_judgment("p1", "reversed", "[[B]]", model="gpt-4-0314"),
            ],
        )
    assert (
        str(error.value)
        .splitlines()[0]
        .endswith(
            ':2: judge "gpt" is known with model "gpt-4-0613", here with "gpt-4-0314"; '
            'give one of the two another "judge" name'
        )
    )
    desk.load("judgments", both_orders("p1", "A", "B", model="gpt-4-0613"))
    with pytest.raises(InputError, match='known with model "gpt-4-0613", here with "gpt"'):
        desk.load("judgments", both_orders("p1", "A", "B"))


def test_a_judge_has_its_nickname_and_its_model(desk: Desk) -> None:
    desk.load("pairs", [a_pair("p1")])
    named = both_orders("p1", "A", "B", model="gpt-4-0613")
    plain = [row | {"judge": "claude"} for row in both_orders("p1", "B", "A")]
    twin = [row | {"judge": "gpt again"} for row in named]
    assert desk.load("judgments", named + plain + twin).new == 6
    with Ledger(desk.ledger, read_only=True) as ledger:
        run = find_run(ledger, "latest")
    assert [(j.name, j.model) for j in run.judges] == [
        ("claude", "claude"),
        ("gpt", "gpt-4-0613"),
        ("gpt again", "gpt-4-0613"),
    ]
    assert len({j.judge_key for j in run.judges}) == 3


def test_another_reply_needs_another_sample_number(desk: Desk) -> None:
    desk.load("pairs", [a_pair("p1")])
    said = a_judgment("p1", "forward", "[[A]]")
    another = a_judgment("p1", "forward", "[[B]]")
    with pytest.raises(InputError, match=r':2: .*another reply already.*another "sample" number'):
        desk.load("judgments", [said, another])
    result = desk.load("judgments", [said, another | {"sample": 1}])
    assert (result.read, result.new) == (2, 2)


@pytest.mark.parametrize(
    ("samples", "outcome"),
    [
        ({0: "A", 1: "B"}, Outcome.FIRST),
        ({0: "neither", 1: "A"}, Outcome.FIRST),
        ({3: "A", 2: "neither"}, Outcome.FIRST),
        ({0: "neither", 1: "B", 2: "A"}, Outcome.INCONSISTENT),
    ],
)
def test_the_lowest_sample_with_a_verdict_counts(
    desk: Desk, samples: Mapping[int, str], outcome: Outcome
) -> None:
    desk.load("pairs", [a_pair("p1")])
    rows = [
        a_judgment("p1", "forward", f"[[{said}]]", sample=sample)
        for sample, said in samples.items()
    ]
    desk.load("judgments", [*rows, a_judgment("p1", "reversed", "[[B]]")])
    assert desk.labels()["p1"].outcome is outcome


def test_one_order_alone_leaves_the_pair_pending(desk: Desk) -> None:
    desk.load("pairs", THREE_PAIRS)
    desk.load("judgments", [a_judgment("p1", "forward", "[[A]]"), *both_orders("p2", "A", "B")])
    labels = desk.labels()
    assert [(labels[p].outcome.value, labels[p].reason) for p in ("p1", "p2", "p3")] == [
        ("undecided", "pending"),
        ("first", None),
        ("undecided", "pending"),
    ]


def test_the_same_ask_named_from_the_other_side_is_the_same_judgment(desk: Desk) -> None:
    sides = {"prompt": "Q", "first": "one", "second": "two"}
    exchanged = {"prompt": "Q", "first": "two", "second": "one"}
    desk.load("pairs", [{"pair_id": "p", **sides}, {"pair_id": "q", **exchanged}])
    desk.load("judgments", [a_judgment("p", "forward", "[[A]]")])
    assert desk.load("judgments", [a_judgment("q", "reversed", "[[A]]")]).new == 0
    with pytest.raises(InputError, match="another reply already"):
        desk.load("judgments", [a_judgment("q", "reversed", "[[B]]")])
    assert desk.load("judgments", [a_judgment("q", "forward", "[[B]]")]).new == 1
    labels = desk.labels()
    assert (labels["p"].outcome, labels["q"].outcome) == (Outcome.FIRST, Outcome.SECOND)


REPLIES = st.sampled_from(["[[A]]", "[[B]]", "[[C]]", "I cannot say.", None])
CHOICES = st.sampled_from(["first", "second", "tie", "both_bad", "skip"])
CASES = st.lists(st.tuples(REPLIES, REPLIES, st.lists(CHOICES, max_size=3)), min_size=1, max_size=6)


def rows_of(cases: Sequence[Any], ids: str, *, is_mirrored: bool) -> dict[str, list[Row]]:
    """The files of the same facts, told from either side."""

    def seen(word: str) -> str:
        return mirrored(word) if is_mirrored else word

    rows: dict[str, list[Row]] = {"pairs": [], "judgments": [], "votes": []}
    for index, (forward, backward, choices) in enumerate(cases):
        pair_id, prompt = (
            f"{ids}{index}",
            {"prompt": f"Q{index // 2}", "prompt_id": f"{index // 2}"},
        )
        answers = {seen("first"): f"x{index * 7 % 5}", seen("second"): f"y{index}"}
        rows["pairs"].append({"pair_id": pair_id, **prompt, **answers})
        for order, reply in (("forward", forward), ("reversed", backward)):
            if reply is not None:
                rows["judgments"].append(a_judgment(pair_id, seen(order), reply))
        for annotator, choice in enumerate(choices):
            rows["votes"].append(a_vote(pair_id, seen(choice), f"ann{annotator}"))
    return rows


def swapped_counts(figures: Row) -> Row:
    """The same figures with the candidates exchanged, and with them the orders."""

    def swapped(row: Row) -> Row:
        return row | {"first": row["second"], "second": row["first"]}

    effects, confusion = figures["order_effects"], figures["confusion"]
    exchanged = [confusion["counts"][at] for at in (2, 1, 0, 3, 4)]
    counts = [[row[at] for at in (2, 1, 0, 3)] for row in exchanged]
    return figures | {
        "counts": swapped(figures["counts"]),
        "marginals": swapped(figures["marginals"]),
        "order_effects": effects
        | {"table": [list(row) for row in zip(*effects["table"], strict=True)]},
        "confusion": confusion | {"counts": counts},
    }


def flat(item: Any) -> Any:
    """Numbers within rounding, everything else as it is."""
    if isinstance(item, Mapping):
        return {key: flat(value) for key, value in item.items()}
    return pytest.approx(item, abs=1e-9) if isinstance(item, float) else item


def a_desk_with(folder: Path, pairs: Sequence[Row], facts: Mapping[str, Sequence[Row]]) -> Desk:
    folder.mkdir()
    desk = Desk(folder)
    desk.load("pairs", pairs)
    desk.load("judgments", facts["judgments"])
    if facts["votes"]:
        desk.load("votes", facts["votes"])
    return desk


@given(CASES)
@settings(max_examples=25, deadline=None)
def test_the_same_facts_from_the_other_side_give_mirrored_labels_and_equal_agreement(
    cases: Sequence[Any],
) -> None:
    plain = rows_of(cases, "p", is_mirrored=False)
    other = rows_of(cases, "q", is_mirrored=True)
    if not plain["judgments"]:
        return
    with TemporaryDirectory() as folder:
        seen = a_desk_with(Path(folder) / "p", plain["pairs"], plain)
        exchanged = a_desk_with(Path(folder) / "q", other["pairs"], other)
        # Judgments are named from one side only, and both sides are read.
        both = a_desk_with(Path(folder) / "pq", plain["pairs"] + other["pairs"], plain)
        labels = {pair_id: (x.outcome.value, x.reason) for pair_id, x in both.labels().items()}
        for index in range(len(cases)):
            outcome, reason = labels[f"p{index}"]
            assert labels[f"q{index}"] == (mirrored(outcome), reason)
        for desk in (seen, exchanged):
            for pair_id, label in desk.labels().items():
                assert (label.outcome.value, label.reason) == labels[pair_id]
        seen_report: Any = judge.agree(ledger=seen.ledger).as_dict()
        other_report: Any = judge.agree(ledger=exchanged.ledger).as_dict()
        figures = swapped_counts(other_report["judges"]["gpt"])
        assert figures == flat(seen_report["judges"]["gpt"])
        ceiling = other_report["ceiling"]
        marginals = ceiling["marginals"]
        exchanged_marginals = marginals | {
            "first": marginals["second"],
            "second": marginals["first"],
        }
        assert ceiling | {"marginals": exchanged_marginals} == flat(seen_report["ceiling"])


async def test_imported_replies_are_labelled_exactly_like_our_own(desk: Desk) -> None:
    pairs = [
        a_pair(f"p{index}", f"Answer {index * 37 % 11}.", f"Reply {index * 53 % 13}, longer.")
        for index in range(60)
    ]
    pairs += [
        row | {"pair_id": f"x{row['pair_id']}", "first": row["second"], "second": row["first"]}
        for row in pairs[::3]
    ]
    path = desk.write("pairs.jsonl", pairs)
    flawed = SimulatorSettings(
        position_bias=0.3, tie_rate=0.2, unparsable_rate=0.1, length_rate=0.1,
        content_filter_rate=0.1, reply_words=5, seed=4,
    )  # fmt: skip
    async with running_simulator(flawed) as simulator:
        endpoint = Endpoint(base_url=simulator.base_url)
        asked = Settings(endpoints={"default": endpoint}, judges=(Judge(model="simulated-judge"),))
        result = await arun(path, settings=asked, ledger=desk.ledger)
    assert result.cause is None
    ours = desk.labels()
    kinds = {(label.outcome, label.reason) for label in ours.values()}
    assert {kind[1] for kind in kinds} >= {None, "unparsed", "truncated", "refused"}
    assert {kind[0] for kind in kinds} == set(Outcome)

    connection = sqlite3.connect(desk.ledger)
    stored = connection.execute(
        'SELECT p.pair_id, p.is_exchanged, j."order", j.reply, j.finish_reason '
        "FROM judgments j JOIN pairs p ON p.content_id = j.content_id"
    ).fetchall()
    connection.close()
    theirs = Desk(desk.folder / "elsewhere")
    theirs.folder.mkdir()
    theirs.load("pairs", pairs)
    theirs.load(
        "judgments",
        [
            a_judgment(pair_id, mirrored(order) if exchanged else order, reply, finish_reason=end)
            for pair_id, exchanged, order, reply, end in stored
        ],
    )
    assert {p: (label.outcome, label.reason) for p, label in theirs.labels().items()} == {
        p: (label.outcome, label.reason) for p, label in ours.items()
    }


# Runs


def a_judge_run(desk: Desk, run_id: str) -> None:
    """A judge run used after everything else, with its input read."""
    key = RunJudge("key", "strong", "m", "pair", "digest", {})
    with Ledger(desk.ledger) as ledger:
        now = max(desk.column("SELECT used_at FROM runs"), default="") + "1"
        begin_run(
            ledger, run_id, kind="judge", source="pairs.jsonl",
            settings={"rule": "conservative"}, judges=[key], now=now,
        )  # fmt: skip
        complete_run(ledger, run_id)


def latest(desk: Desk) -> str:
    with Ledger(desk.ledger, read_only=True) as ledger:
        return find_run(ledger, "latest").run_id


def test_without_judgments_there_is_no_latest_run(desk: Desk) -> None:
    desk.load("pairs", THREE_PAIRS)
    desk.load("votes", FILES["votes"])
    with pytest.raises(LedgerError, match="holds no judgments yet"):
        latest(desk)


def test_imported_judgments_are_the_latest_run_until_a_judge_runs(desk: Desk) -> None:
    desk.load("pairs", THREE_PAIRS)
    desk.load("judgments", FILES["judgments"])
    assert latest(desk) == IMPORT_RUN
    a_judge_run(desk, "r1")
    assert latest(desk) == "r1"
    desk.load("judgments", FILES["judgments"])
    assert latest(desk) == IMPORT_RUN


@pytest.mark.parametrize("kind", ["pairs", "votes"])
@pytest.mark.parametrize("has_imported_judgments", [True, False])
def test_what_is_imported_after_a_judge_run_does_not_hide_it(
    desk: Desk, kind: str, has_imported_judgments: bool
) -> None:
    desk.load("pairs", THREE_PAIRS)
    if has_imported_judgments:
        desk.load("judgments", FILES["judgments"])
    a_judge_run(desk, "r1")
    desk.load(kind, FILES[kind])
    assert latest(desk) == "r1"


def test_a_refused_file_of_judgments_does_not_become_the_latest_run(desk: Desk) -> None:
    desk.load("pairs", THREE_PAIRS)
    desk.load("judgments", FILES["judgments"])
    a_judge_run(desk, "r1")
    with pytest.raises(InputError):
        desk.load("judgments", [a_judgment("p9", "forward", "[[A]]")])
    assert latest(desk) == "r1"


def test_judgments_of_a_pair_known_from_another_run_bring_it_into_the_import(desk: Desk) -> None:
    desk.load("pairs", THREE_PAIRS)
    connection = sqlite3.connect(desk.ledger)
    with connection:
        connection.execute("UPDATE run_pairs SET run_id = 'elsewhere'")
    connection.close()
    desk.load("judgments", both_orders("p2", "A", "B"))
    assert list(desk.labels()) == ["p2"]


# When something breaks in the middle


@pytest.mark.parametrize("kind", ["pairs", "votes", "judgments"])
def test_a_database_that_fails_in_the_middle_leaves_the_ledger_as_it_was(
    desk: Desk, kind: str
) -> None:
    many: dict[str, list[Row]] = {
        "pairs": [a_pair(f"n{index}") for index in range(1200)],
        "votes": [a_vote("p1", annotator=f"a{index}") for index in range(1200)],
        "judgments": [a_judgment("p1", "forward", "[[A]]", sample=n) for n in range(1200)],
    }
    desk.load("pairs", THREE_PAIRS)
    desk.load("judgments", both_orders("p2", "A", "A"))
    connection = sqlite3.connect(desk.ledger)
    with connection:
        connection.execute(
            f"CREATE TRIGGER broken BEFORE INSERT ON {kind} "
            f"WHEN (SELECT COUNT(*) FROM {kind}) > 1000 "
            "BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END"
        )
    connection.close()
    before = desk.facts()
    with pytest.raises(LedgerError, match=r"judge\.db: disk I/O error; the disk failed to write"):
        desk.load(kind, many[kind])
    assert desk.facts() == before
    connection = sqlite3.connect(desk.ledger)
    connection.execute("DROP TRIGGER broken")
    connection.close()
    assert desk.load(kind, many[kind]).read == 1200


FROM_STDIN = """
import sys
import judge
judge.import_file("-", "pairs", ledger=sys.argv[1])
"""


def start(script: str, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", script, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stderr=pipe)


def test_a_kill_in_the_middle_leaves_the_ledger_as_it_was(desk: Desk) -> None:
    desk.load("pairs", THREE_PAIRS)
    before = desk.facts()
    lines = b"".join(json.dumps(a_pair(f"n{i}", "x" * 500)).encode() + b"\n" for i in range(4000))
    with start(FROM_STDIN, str(desk.ledger)) as process:
        assert process.stdin is not None
        process.stdin.write(lines)  # returns once all but a pipe's and a buffer's worth is read
        process.stdin.flush()
        process.kill()
        process.stdin.close()
    assert desk.facts() == before
    assert desk.load("pairs", THREE_PAIRS).new == 0


def test_bad_lines_of_standard_input_are_named_as_such(desk: Desk) -> None:
    rows = [a_pair("p1"), a_pair("p1", "Another answer."), "{"]
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    with start(FROM_STDIN, str(desk.ledger)) as process:
        _, errors = process.communicate(text.encode())
    assert process.returncode != 0
    assert b"<stdin>:2: pair_id" in errors
    assert b"<stdin>:3: not JSON" in errors


LIMITED = """
import resource, sys
import judge
from judge.errors import LedgerError
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
try:
    judge.import_file(sys.argv[1], "pairs", ledger=sys.argv[2])
except LedgerError as error:
    sys.exit(f"refused: {error}")
"""


def test_a_file_system_without_room_leaves_the_ledger_as_it_was(desk: Desk) -> None:
    desk.load("pairs", THREE_PAIRS)
    before = desk.facts()
    many = desk.write("many.jsonl", (a_pair(f"n{i}", "x" * 500) for i in range(4000)))
    with start(LIMITED, str(many), str(desk.ledger)) as process:
        _, errors = process.communicate()
    assert f"refused: ledger {desk.ledger}: ".encode() in errors
    assert desk.facts() == before
    assert import_file(many, "pairs", ledger=desk.ledger).new == 4000
