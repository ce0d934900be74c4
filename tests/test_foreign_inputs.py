"""Tables of other columns and FastChat's files, from the command line to the report."""

import csv
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.chance import cohens_kappa
from judge.api.deliver import export, import_file
from judge.api.label import run
from judge.cli import app
from judge.cli.door import exit_code_of
from judge.errors import ConfigError, InputError
from judge.inputs.mapping import table_map
from judge.ledger.facts import votes_on, whole_pairs
from judge.ledger.runs import IMPORT_RUN, find_run, list_runs
from judge.ledger.store import Ledger
from judge.records import Pair, Vote
from judge.simulator.process import SimulatorProcess, simulator_process
from judge.simulator.settings import SimulatorSettings

DATA = Path(__file__).parents[1].parent / "shared" / "data"
PANDALM = DATA / "pandalm" / "testset-v1.json"
MT_BENCH = DATA / "mt_bench"
needs_mt_bench = pytest.mark.skipif(
    not MT_BENCH.exists(), reason=f"FastChat's files are not at {MT_BENCH}"
)

PAIR_MAP = "prompt=q+context,first=one,second=two"
MAP = f"{PAIR_MAP},vote:ann=says,vote:bob=bob"
VALUES = "0=tie,1=first,2=second"
ROWS: list[dict[str, Any]] = [
    {"q": "Capital?", "context": "Peru", "one": "Lima.", "two": "Cusco.", "says": 1, "bob": 2},
    {"q": "Sum?", "context": "", "one": "3, or 4", "two": 'It is "4".', "says": 0, "bob": ""},
    {"q": "Sum?", "context": "", "one": 'It is "4".', "two": "3, or 4", "says": 1, "bob": 1},
    {"q": "Name?\nWhich?", "context": "", "one": "", "two": "é\nñ", "says": 2, "bob": 0},
]
ROW_VOTES = 7
Row = dict[str, Any]


@dataclass(frozen=True)
class Ended:
    code: int
    talk: str

    @property
    def lines(self) -> list[str]:
        return self.talk.splitlines()


Typed = Callable[..., Ended]


@pytest.fixture
def typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Typed:
    """The command line in a folder of its own, without settings of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("JUDGE_", "OPENAI_")):
            monkeypatch.delenv(name)

    def judge(*arguments: str) -> Ended:
        code = exit_code_of(app, arguments)
        return Ended(code, capsys.readouterr().err)

    return judge


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with simulator_process(SimulatorSettings()) as process:
        yield process


def table(path: Path, rows: Sequence[Row] = ROWS) -> str:
    """Write rows as the ending of the path says."""
    if path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            delimiter = "," if path.suffix == ".csv" else "\t"
            writer = csv.DictWriter(file, rows[0], delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
    return str(path)


def told(path: Path, run_id: str = IMPORT_RUN) -> tuple[list[Pair], list[Vote]]:
    """The pairs of a run in their order and the votes on them, as the ledger has them."""
    with Ledger(path, read_only=True) as ledger:
        pairs = [pair for pair, _ in whole_pairs(ledger, run_id, [])]
        votes = list(votes_on(ledger, run_id))
    return pairs, sorted(votes, key=lambda vote: (vote.pair_id, vote.annotator))


def facts(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return [line for line in connection.iterdump() if '"runs"' not in line]
    finally:
        connection.close()


def texts(pair: Pair) -> tuple[str, str, str]:
    return pair.prompt.messages[0].content, pair.first.text, pair.second.text


def asking(simulator: SimulatorProcess, source: str, *more: str) -> list[str]:
    return ["run", source, "--base-url", simulator.base_url, "--model", "simulated-judge", *more]


# Tables


def test_every_kind_of_table_is_imported_whole(typed: Typed, tmp_path: Path) -> None:
    for ending in ("json", "jsonl", "csv", "tsv"):
        source = table(tmp_path / f"t.{ending}")
        ledger = tmp_path / f"{ending}.db"
        done = typed("import", source, "--map", MAP, "--values", VALUES, "--ledger", str(ledger))
        assert done.code == 0
        said = f"imported 4 pairs and 7 votes into {ledger}; 0 were there already"
        assert done.lines[-1] == said
        pairs, votes = told(ledger)
        assert [texts(pair) for pair in pairs] == [
            ("Capital?\n\nPeru", "Lima.", "Cusco."),
            ("Sum?", "3, or 4", 'It is "4".'),
            ("Sum?", 'It is "4".', "3, or 4"),
            ("Name?\nWhich?", "", "é\nñ"),
        ]
        assert [(vote.pair_id[-1], vote.annotator, vote.preference) for vote in votes] == (
            sorted(
                (pair.pair_id[-1], name, {0: "tie", 1: "first", 2: "second"}[row[column]])
                for pair, row in zip(pairs, ROWS, strict=True)
                for name, column in (("ann", "says"), ("bob", "bob"))
                if row[column] != ""
            )
        )


def test_a_table_imported_again_adds_nothing(typed: Typed, tmp_path: Path) -> None:
    arguments = ("import", table(tmp_path / "t.csv"), "--map", MAP, "--values", VALUES)
    ledger = tmp_path / "runs" / "judge.db"
    assert typed(*arguments).code == 0
    before = facts(ledger)
    said = "imported 0 pairs and 0 votes into runs/judge.db; 11 were there already"
    assert typed(*arguments).lines[-1] == said
    assert facts(ledger) == before


def test_pairs_and_votes_one_after_the_other_are_the_same_facts(tmp_path: Path) -> None:
    source = table(tmp_path / "t.json")
    both, apart = tmp_path / "both.db", tmp_path / "apart.db"
    import_file(source, map=MAP, values=VALUES, ledger=both)
    pairs = import_file(source, "pairs", map=MAP, values=VALUES, ledger=apart)
    assert ({*pairs.counts}, pairs.new) == ({"pairs"}, 4)
    assert told(apart)[1] == []
    votes = import_file(source, "votes", map=MAP, values=VALUES, ledger=apart)
    assert ({*votes.counts}, votes.new) == ({"votes"}, ROW_VOTES)
    assert facts(apart) == facts(both)


def test_a_map_without_votes_gives_pairs_alone(tmp_path: Path) -> None:
    ledger = tmp_path / "x.db"
    result = import_file(table(tmp_path / "t.csv"), map=PAIR_MAP, ledger=ledger)
    assert ({*result.counts}, result.new) == ({"pairs"}, 4)
    assert [texts(pair)[0] for pair in told(ledger)[0]][1:3] == ["Sum?", "Sum?"]


def test_votes_are_taken_only_for_the_pairs_that_their_rows_tell(tmp_path: Path) -> None:
    ledger = tmp_path / "x.db"
    source = table(tmp_path / "t.json")
    import_file(source, "pairs", map=MAP, values=VALUES, ledger=ledger)
    before = facts(ledger)
    exchanged = [{**row, "one": row["two"], "two": row["one"]} for row in ROWS]
    table(tmp_path / "t.json", [exchanged[0], {**ROWS[1], "q": "Product?"}, *ROWS[2:], ROWS[0]])
    with pytest.raises(InputError) as caught:
        import_file(source, "votes", map=MAP, values=VALUES, ledger=ledger)
    problems = str(caught.value).splitlines()
    assert '"t-1" is known with its two answers exchanged' in problems[0]
    assert '"t-2" is known with another content' in problems[1]
    assert 'pair_id "t-5" is not in the ledger' in problems[2]
    assert facts(ledger) == before
    result = import_file(
        source, "votes", map=MAP, values=VALUES, ledger=ledger, skip_bad_lines=True
    )
    assert (result.new, result.report.n_bad_lines) == (4, 3)
    assert {vote.pair_id for vote in told(ledger)[1]} == {"t-3", "t-4"}


def test_another_table_of_the_same_name_needs_ids_of_its_own(tmp_path: Path) -> None:
    ledger, other = tmp_path / "x.db", tmp_path / "other"
    other.mkdir()
    import_file(table(tmp_path / "t.json"), map=MAP, values=VALUES, ledger=ledger)
    source = table(other / "t.json", [{**ROWS[0], "q": "Another?", "id": "mine"}])
    with pytest.raises(InputError, match=r"file's name and the row; map a column to pair_id"):
        import_file(source, map=MAP, values=VALUES, ledger=ledger)
    assert import_file(source, map=f"{MAP},pair_id=id", values=VALUES, ledger=ledger).new == 3


def test_rows_can_be_limited_and_drawn(typed: Typed, tmp_path: Path) -> None:
    rows = [{**ROWS[0], "one": f"answer {number}"} for number in range(40)]
    for ending in ("json", "csv"):
        source = table(tmp_path / f"t.{ending}", rows)
        limited = tmp_path / f"{ending}-limited.db"
        mapped = ("import", source, "--map", MAP, "--values", VALUES, "--ledger")
        assert typed(*mapped, str(limited), "--limit", "3").code == 0
        assert [pair.first.text for pair in told(limited)[0]] == [f"answer {n}" for n in range(3)]
        drawn = []
        for name in ("a", "b"):
            ledger = tmp_path / f"{ending}-{name}.db"
            assert typed(*mapped, str(ledger), "--sample", "10", "--seed", "3").code == 0
            pairs, votes = told(ledger)
            assert (len(pairs), len(votes)) == (10, 20)
            drawn.append([pair.pair_id for pair in pairs])
        assert drawn[0] == drawn[1]
        assert drawn[0] != [f"t-{n}" for n in range(1, 11)]


cells = st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1, max_size=5)
rows_of_cells = st.lists(
    st.fixed_dictionaries({"q": cells, "one": cells, "two": cells, "says": st.sampled_from("012")}),
    min_size=1,
    max_size=5,
)


@settings(max_examples=25, deadline=None)
@given(rows_of_cells)
def test_exchanging_the_answer_columns_mirrors_the_votes_and_keeps_the_contents(
    rows: list[Row],
) -> None:
    straight = ("prompt=q,first=one,second=two,vote:ann=says", "0=tie,1=first,2=second")
    turned = ("prompt=q,first=two,second=one,vote:ann=says", "0=tie,1=second,2=first")
    with TemporaryDirectory() as folder:
        rows = [{**row, "q": f"Q {row['q']}"} for row in rows]
        source = table(Path(folder) / "t.json", rows)
        found = []
        for name, (columns, values) in (("one", straight), ("two", turned)):
            ledger = Path(folder) / f"{name}.db"
            import_file(source, map=columns, values=values, ledger=ledger)
            connection = sqlite3.connect(ledger)
            contents = {row[0] for row in connection.execute("SELECT content_id FROM contents")}
            connection.close()
            found.append((*told(ledger), contents))
    (pairs, votes, contents), (mirrored_pairs, mirrored_votes, same_contents) = found
    assert contents == same_contents
    swapped = {"first": "second", "second": "first", "tie": "tie"}
    assert [swapped[vote.preference] for vote in votes] == [v.preference for v in mirrored_votes]
    assert [(p.first, p.second) for p in pairs] == [(p.second, p.first) for p in mirrored_pairs]


# Judging a table


def test_a_table_is_judged_and_its_votes_are_kept(
    typed: Typed, tmp_path: Path, simulator: SimulatorProcess
) -> None:
    source = table(tmp_path / "t.csv")
    arguments = asking(simulator, source, "--map", MAP, "--values", VALUES)
    done = typed(*arguments)
    assert done.code == 0
    assert "stored 7 new of 7 votes in the rows" in done.lines
    ledger = tmp_path / "runs" / "judge.db"
    with Ledger(ledger, read_only=True) as opened:
        run_id = find_run(opened, "latest").run_id
        assert find_run(opened, "latest").settings["map"] == MAP
    pairs, votes = told(ledger, run_id)
    assert [pair.pair_id for pair in pairs] == ["t-2", "t-3", "t-4", "t-5"]
    assert len(votes) == ROW_VOTES
    asked = simulator.stats().requests
    again = typed(*arguments)
    assert again.code == 0
    assert f"run {run_id} in ledger" in again.talk
    assert "votes in the rows" not in again.talk
    assert simulator.stats().requests == asked
    report = tmp_path / "report.json"
    assert typed("agree", "--json", str(report)).code == 0
    assert json.loads(report.read_text())["judges"]["simulated-judge"]["s1"]["micro"]["n"] == 7


def test_another_map_or_other_values_are_another_run_and_cost_nothing_more(
    typed: Typed, tmp_path: Path, simulator: SimulatorProcess
) -> None:
    source = table(tmp_path / "t.csv")
    spellings = [(MAP, VALUES), (f"{MAP},tags.q=q", VALUES), (MAP, "0=both_bad,1=first,2=second")]
    asked = []
    for columns, values in spellings:
        assert typed(*asking(simulator, source, "--map", columns, "--values", values)).code == 0
        asked.append(simulator.stats().requests)
    assert asked[0] == asked[1] == asked[2]
    with Ledger(tmp_path / "runs" / "judge.db", read_only=True) as ledger:
        assert len(list_runs(ledger)) == 3


def test_a_judged_table_can_be_limited_and_drawn(
    typed: Typed, tmp_path: Path, simulator: SimulatorProcess
) -> None:
    source = table(tmp_path / "t.json", [{**ROWS[0], "one": str(n)} for n in range(30)])
    mapped = asking(simulator, source, "--map", PAIR_MAP)
    assert "2 pairs in both orders" in typed(*mapped, "--limit", "2").talk
    assert "5 pairs in both orders" in typed(*mapped, "--sample", "5").talk


def test_a_bad_row_stops_the_job_and_nothing_of_the_table_stays(
    typed: Typed, tmp_path: Path, simulator: SimulatorProcess
) -> None:
    ledger = tmp_path / "runs" / "judge.db"
    good = typed("import", table(tmp_path / "known.json"), "--map", MAP, "--values", VALUES)
    assert good.code == 0
    before = facts(ledger)
    rows = [{**ROWS[0], "one": str(number)} for number in range(1200)]
    source = table(tmp_path / "t.json", [*rows, {**ROWS[0], "says": 7}])
    arguments = asking(simulator, source, "--map", MAP, "--values", VALUES)
    asked = simulator.stats().requests
    done = typed(*arguments)
    assert done.code == 2
    assert done.lines[0].startswith(f"error: {source}:1201: ")
    assert 'column "says" is "7", which no rule covers' in done.lines[0]
    assert "nothing was asked" in done.lines[-1]
    assert (facts(ledger), simulator.stats().requests) == (before, asked)
    table(tmp_path / "t.json", [*rows[:2], {**ROWS[0], "says": 7}])
    skipping = typed(*arguments, "--skip-bad-lines")
    assert skipping.code == 0
    assert "2 pairs in both orders" in skipping.talk
    assert "stored 4 new of 4 votes in the rows" in skipping.lines


def test_python_takes_the_same_map(tmp_path: Path, simulator: SimulatorProcess) -> None:
    result = run(
        table(tmp_path / "t.tsv"),
        map=MAP,
        values=VALUES,
        ledger=tmp_path / "x.db",
        overrides={
            "endpoints.default.base_url": simulator.base_url,
            "judges.0.model": "simulated-judge",
        },
        environ={},
    )
    assert (result.intake.pairs, result.intake.votes, result.intake.new_votes) == (4, 7, 7)
    assert (result.exit_code, sum(result.outcomes.values())) == (0, 4)


# Messages


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--map", "prompt=qq,first=one,second=two"], 'names column "qq", which the file does not'),
        (["--map", "prompt=qq,first=one,second=two"], "Its columns are q, context, one, two"),
        (["--map", "prompt=q,first=one"], "--map: no column for second; add second=COLUMN"),
        (["--map", MAP], 'column "says" is "1", which no rule covers; add a rule to --values'),
        (["--map", PAIR_MAP, "--values", VALUES], "the map names no column of votes"),
        (["--values", VALUES], "--values: nothing to apply it to; name the columns with --map"),
        (["--map", PAIR_MAP, "--kind", "votes"], "add vote:ANNOTATOR=COLUMN to --map"),
        (["--map", PAIR_MAP, "--kind", "judgments"], "a map gives pairs and votes"),
        (["--from", "fastchatt"], '--from "fastchatt": unknown; did you mean "fastchat"?'),
        (["--from", "zzz"], '--from "zzz": unknown; known are fastchat'),
        (["--from", "fastchat", "--map", PAIR_MAP], "leave out one of the two"),
        (["--from", "fastchat", "--kind", "votes"], "its files say what they hold"),
        (["--from", "fastchat", "--limit", "2"], "all is taken"),
        (["--kind", "pairs", "--sample", "2"], "only rows of a table are selected"),
        (["other.json", "--kind", "pairs"], "2 files, and only --from takes several"),
        ([], "say what t.json holds: --kind pairs|votes|judgments"),
        (["--kind", "pairs"], "say what its columns mean with --map prompt=COLUMN,first=COLUMN"),
        (["--kind", "pairs"], "Its columns are q, context, one, two, says, bob"),
        (["--knd", "pairs"], "Did you mean --kind?"),
    ],
)
def test_what_does_not_go_together_is_told_in_words(
    typed: Typed, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    table(tmp_path / "t.json")
    done = typed("import", "t.json", *arguments)
    assert done.code == 2
    assert done.lines[0].startswith("error: ")
    assert expected in done.talk


@pytest.mark.parametrize("ending", ["csv", "tsv", "json", "jsonl"])
def test_a_table_without_its_map_is_told_apart_from_broken_pairs(
    typed: Typed, tmp_path: Path, simulator: SimulatorProcess, ending: str
) -> None:
    source = table(tmp_path / f"t.{ending}")
    done = typed(*asking(simulator, source))
    assert (done.code, len(done.lines)) == (2, 1)
    assert "holds no pairs as JSON Lines of ours" in done.talk
    assert "Its columns are q, context, one, two, says, bob" in done.talk


def test_broken_pairs_speak_for_themselves(typed: Typed, tmp_path: Path) -> None:
    row = {"prompt": "Q", "first": "one", "second": "two", "frist": 1}
    done = typed("import", table(tmp_path / "p.jsonl", [row]), "--kind", "pairs")
    assert done.code == 2
    assert 'p.jsonl:1: unknown field "frist"; did you mean "first"?' in done.lines[0]


def test_prompts_are_not_imported_as_pairs(typed: Typed, tmp_path: Path) -> None:
    source = table(tmp_path / "p.jsonl", [{"prompt": "Q?"}, {"prompt": "R?"}])
    for more in ([], ["--skip-bad-lines"]):
        done = typed("import", source, "--kind", "pairs", *more)
        assert (done.code, len(done.lines)) == (2, 1)
        assert "holds prompts where pairs are needed" in done.talk


def test_a_dry_run_reads_a_map_and_sends_nothing(
    typed: Typed, tmp_path: Path, simulator: SimulatorProcess
) -> None:
    mapped = asking(simulator, table(tmp_path / "t.csv"), "--map", PAIR_MAP)
    before = simulator.stats().requests
    done = typed(*mapped, "--dry-run")
    assert done.code == 0, done.talk
    assert simulator.stats().requests == before


def test_values_are_checked_before_a_file_is_looked_for() -> None:
    with pytest.raises(ConfigError, match='unknown preference "won"'):
        table_map(MAP, "1=won")
    assert table_map(None, None) is None


# Pairs that are known already


def a_pair(**more: Any) -> Row:
    return {"pair_id": "p1", "prompt": "Q?", "first": "one", "second": "two"} | more


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"tags": {"b": 2, "a": 1}}, None),
        ({"tags": {"a": 2}}, "tags 1"),
        ({"prompt_id": "other"}, "prompt_id 1"),
        ({"first": {"text": "one", "model": "m"}}, "models 1"),
    ],
)
def test_what_a_known_pair_keeps_is_said(
    typed: Typed, tmp_path: Path, change: Row, named: str | None
) -> None:
    first = a_pair(tags={"a": 1, "b": 2})
    assert typed("import", table(tmp_path / "1.jsonl", [first]), "--kind", "pairs").code == 0
    before = facts(tmp_path / "runs" / "judge.db")
    done = typed("import", table(tmp_path / "2.jsonl", [first | change]), "--kind", "pairs")
    assert done.code == 0
    warned = [line for line in done.lines if "known already with other values" in line]
    if named is None:
        assert warned == []
    else:
        assert warned == [
            f"warning: pairs known already with other values: 1 ({named}); the ledger keeps what "
            "it has, so give them new pair_ids if the new values are meant"
        ]
    assert facts(tmp_path / "runs" / "judge.db") == before


def test_known_pairs_are_counted_once_each_and_named_before_other_warnings(
    typed: Typed, tmp_path: Path, simulator: SimulatorProcess
) -> None:
    def rows(tag: int) -> list[Row]:
        return [a_pair(pair_id=f"p{n}", first="", tags={"n": tag}) for n in range(1200)]

    ledger = tmp_path / "runs" / "judge.db"
    import_file(table(tmp_path / "1.jsonl", rows(1)), "pairs", ledger=ledger)
    again = [*rows(2), a_pair(pair_id="new", tags={"n": 1}), a_pair(pair_id="new", prompt_id="x")]
    done = typed(*asking(simulator, table(tmp_path / "2.jsonl", again)))
    assert done.code == 0
    first, second = [line for line in done.lines if line.startswith("warning: ")][:2]
    assert "other values: 1,201 (tags 1,201, prompt_id 1)" in first
    assert "is an empty answer" in second


# FastChat


def answers(*turns: str, ids: Sequence[int] = (1, 2)) -> list[Row]:
    return [{"question_id": number, "choices": [{"turns": list(turns)}]} for number in ids]


def judged(one: str = "[[A]]", other: str = "[[B]]", **more: Any) -> Row:
    row = {"question_id": 1, "model_1": "alpha", "model_2": "beta", "judge": ["gpt", "pair-v2"]}
    return row | {"g1_judgment": one, "g2_judgment": other, "turn": 1, "tstamp": 1.0} | more


def voted(winner: str = "model_a", **more: Any) -> Row:
    row = {"question_id": 1, "model_a": "beta", "model_b": "alpha", "judge": "expert_1"}
    return row | {"winner": winner, "turn": 1} | more


class Folder:
    """A FastChat folder with two answered questions."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ledger = path.parent / "fastchat.db"
        questions = [{"question_id": n, "turns": [f"Q{n}?", "And?"]} for n in (1, 2)]
        self.write("question", questions)
        self.write("model_answer/alpha", answers("an alpha", "more"))
        self.write("model_answer/beta", answers("a beta", "more"))

    def write(self, name: str, rows: Sequence[Row | str]) -> str:
        path = self.path / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        path.write_text("".join(f"{line}\n" for line in lines))
        return str(path)

    def load(self, *paths: str, **more: Any) -> Any:
        given = [str(self.path)] if not paths else list(paths)
        return import_file(given, from_="fastchat", ledger=self.ledger, **more)

    def new(self, *paths: str, **more: Any) -> list[int]:
        return [count.new for count in self.load(*paths, **more).counts.values()]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "mt")


def test_a_folder_is_imported_in_one_go_and_reported_on(typed: Typed, folder: Folder) -> None:
    folder.write(
        "model_judgment/gpt_pair",
        [judged(), judged("[[A]]", "$ERROR$", question_id=2), judged("[[C]]", "[[C]]", turn=2)],
    )
    folder.write("human", [voted(), voted("tie", judge="expert_2"), voted(turn=2)])
    arguments = ("import", str(folder.path), "--from", "fastchat", "--ledger", str(folder.ledger))
    done = typed(*arguments)
    assert done.lines == [
        f"imported 3 pairs, 3 votes and 6 judgments into {folder.ledger}; 0 were there already",
        "judgments without a verdict: 1 failed",
        f"next: judge agree --ledger {folder.ledger}",
    ]
    assert done.code == 0
    before = facts(folder.ledger)
    assert "imported 0 pairs, 0 votes and 0 judgments" in typed(*arguments).talk
    assert facts(folder.ledger) == before

    pairs, votes = told(folder.ledger)
    assert {pair.pair_id: pair.first.text for pair in pairs} == {
        "1:1:alpha:beta": "an alpha",
        "2:1:alpha:beta": "an alpha",
        "1:2:alpha:beta": "an alpha\n\nmore",
    }
    assert [vote.preference for vote in votes] == ["second", "tie", "second"]
    report = folder.path.parent / "report.json"
    assert typed("agree", "--ledger", str(folder.ledger), "--json", str(report)).code == 0
    figures = json.loads(report.read_text())["judges"]["gpt"]
    assert figures["consistency"]["n"] == 2
    assert figures["s1"]["micro"]["n"] == 3


def test_files_can_be_named_one_by_one(folder: Folder) -> None:
    human = folder.write("elsewhere/human", [voted()])
    given = folder.write("elsewhere/judged", [judged()])
    question = str(folder.path / "question.jsonl")
    models = [str(folder.path / "model_answer" / f"{name}.jsonl") for name in ("alpha", "beta")]
    assert folder.new(question, *models, human, given) == [1, 1, 2]


def test_answers_alone_become_every_pair(folder: Folder) -> None:
    assert folder.new() == [4, 0, 0]
    assert [run.judges for run in _runs(folder.ledger)] == [()]


def _runs(path: Path) -> list[Any]:
    with Ledger(path, read_only=True) as ledger:
        return list_runs(ledger)


def test_a_pair_that_cannot_be_shown_is_told_once_however_often_it_is_named(
    typed: Typed, folder: Folder
) -> None:
    lost = [voted(model_b="gamma", judge=f"expert_{n}") for n in range(30)]
    folder.write("human", [voted(), *lost, voted(model_b="gamma", question_id=2)])
    folder.write("model_judgment/gpt_pair", [judged(), *[judged(model_2="gamma", tstamp=2.0)] * 2])
    arguments = ("import", str(folder.path), "--from", "fastchat", "--ledger", str(folder.ledger))
    refused = typed(*arguments)
    assert (refused.code, len(refused.lines)) == (2, 4)
    assert sum('no answer of "gamma"' in line for line in refused.lines) == 3
    assert "nothing was imported" in refused.lines[-1]
    assert facts(folder.ledger) == facts(_empty_ledger(folder))
    done = typed(*arguments, "--skip-bad-lines")
    assert done.code == 0
    assert sum(line.startswith("left out: ") for line in done.lines) == 4
    assert "left out: 31 votes and 4 judgments on pairs that could not be stored" in done.lines
    assert "imported 1 pairs, 1 votes and 2 judgments" in done.talk


def _empty_ledger(folder: Folder) -> Path:
    path = folder.path.parent / "empty.db"
    with Ledger(path):
        return path


def test_votes_on_pairs_of_an_earlier_import_need_no_texts(folder: Folder) -> None:
    folder.write("model_judgment/gpt_pair", [judged()])
    assert folder.new() == [1, 0, 2]
    human = folder.write("later/human", [voted(), voted(judge="expert_2")])
    assert folder.new(human) == [0, 2, 0]
    more = folder.write("later/judged", [judged(judge=["other", "pair-v2"])])
    assert folder.new(more) == [0, 0, 2]
    with pytest.raises(InputError, match=r'human\.jsonl:1: no question "9"'):
        folder.load(folder.write("later/human", [voted(question_id=9)]))


def test_facts_about_another_content_of_a_known_id_are_left_out(folder: Folder) -> None:
    folder.write("human", [voted()])
    folder.write("model_judgment/gpt_pair", [judged()])
    assert folder.new() == [1, 1, 2]
    folder.write("model_answer/beta", answers("a changed beta"))
    folder.write("human", [voted("tie"), voted(question_id=2)])
    folder.write("model_judgment/gpt_pair", [judged("[[B]]", "[[B]]")])
    with pytest.raises(InputError, match='"1:1:alpha:beta" is known with another content'):
        folder.load()
    result = folder.load(skip_bad_lines=True)
    assert [count.new for count in result.counts.values()] == [1, 1, 0]
    assert [count.left_out for count in result.counts.values()] == [0, 1, 2]
    assert result.report.n_bad_lines == 1


def test_another_reply_in_a_later_import_asks_for_both_files(folder: Folder) -> None:
    first = folder.write("model_judgment/first", [judged()])
    folder.load()
    second = folder.write("later/second", [judged("[[B]]", "[[A]]")])
    with pytest.raises(InputError, match="import the file that it came from together with this"):
        folder.load(second)
    assert folder.new(first, second) == [0, 0, 2]


def test_what_a_folder_holds_besides_is_said(typed: Typed, folder: Folder) -> None:
    folder.write("notes", [{"note": 1}])
    folder.write("human", [voted(), {"question_id": 1, "broken": True}, "{"])
    arguments = ("import", str(folder.path), "--from", "fastchat", "--ledger", str(folder.ledger))
    assert typed(*arguments).code == 2
    done = typed(*arguments, "--skip-bad-lines")
    assert done.code == 0
    assert sum(line.startswith("left out: ") for line in done.lines) == 2
    [passed] = [line for line in done.lines if line.startswith("passed over: ")]
    assert "notes.jsonl: holds no FastChat rows" in passed


def test_ties_that_were_never_offered_are_no_verdict(folder: Folder) -> None:
    folder.write("model_judgment/gpt_pair", [judged("[[C]]", "[[B]]")])
    assert folder.load(allows_tie=False).statuses == {"unparsed": 1}


# Published data


@pytest.mark.skipif(not PANDALM.exists(), reason=f"PandaLM's test set is not at {PANDALM}")
def test_pandalm_goes_from_its_file_to_the_report_with_nothing_lost(
    typed: Typed, tmp_path: Path, simulator: SimulatorProcess
) -> None:
    annotators = ("ann1", "ann2", "ann3")
    columns = (
        "prompt=instruction+input,first=response1,second=response2,"
        "vote:ann1=annotator1,vote:ann2=annotator2,vote:ann3=annotator3"
    )
    mapped = (str(PANDALM), "--map", columns, "--values", VALUES, "--ledger", "p.db")
    done = typed("import", *mapped)
    said = "imported 999 pairs and 2,997 votes into p.db; 0 were there already"
    assert (done.code, done.lines[-1]) == (0, said)
    rows = json.loads(PANDALM.read_text())
    pairs, votes = told(tmp_path / "p.db")
    assert [texts(pair) for pair in pairs] == [_pandalm_texts(row) for row in rows]
    assert sum(bool(row["input"]) for row in rows) == 832
    assert sum(not answer for pair in pairs for answer in texts(pair)[1:]) == 54
    connection = sqlite3.connect(tmp_path / "p.db")
    query = "SELECT content_id, COUNT(DISTINCT is_exchanged) FROM pairs GROUP BY content_id"
    sides = Counter(both for _, both in connection.execute(query))
    connection.close()
    assert (sides[1] + sides[2], sides[2]) == (863, 37)

    cast = {(vote.pair_id, vote.annotator): vote.preference for vote in votes}
    meant = {0: "tie", 1: "first", 2: "second"}
    for number, row in enumerate(rows, start=1):
        for at, name in enumerate(annotators, start=1):
            assert cast[f"testset-v1-{number}", name] == meant[row[f"annotator{at}"]]
    kinds = ("first", "second", "tie")
    kappas = []
    for one, other in combinations(annotators, 2):
        counts = np.zeros((3, 3))
        for pair in pairs:
            counts[
                kinds.index(cast[pair.pair_id, one]), kinds.index(cast[pair.pair_id, other])
            ] += 1
        kappas.append(round(cohens_kappa(counts) or 0.0, 3))
    assert sorted(kappas) == [0.852, 0.862, 0.879]

    ran = typed("run", *mapped, "--base-url", simulator.base_url, "--model", "simulated-judge")
    assert ran.code == 0
    assert "863 pairs in both orders, 1,726 asks: 1,726 to do" in ran.talk
    assert "stored 0 new of 2,997 votes in the rows" in ran.lines
    assert typed("agree", "--ledger", "p.db", "--json", "r.json").code == 0
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["judges"]["simulated-judge"]["s1"]["micro"]["n"] == 2997


def _pandalm_texts(row: Row) -> tuple[str, str, str]:
    prompt = "\n\n".join(part for part in (row["instruction"], row["input"]) if part.strip())
    return prompt, _as_text(row["response1"]), _as_text(row["response2"])


def _as_text(cell: Any) -> str:
    return cell if isinstance(cell, str) else "" if cell is None else json.dumps(cell)


@needs_mt_bench
def test_the_published_files_are_imported_in_one_go(typed: Typed, tmp_path: Path) -> None:
    arguments = ("import", str(MT_BENCH), "--from", "fastchat", "--ledger", "mt.db")
    refused = typed(*arguments)
    assert refused.code == 2
    rows = [
        json.loads(line)
        for line in (MT_BENCH / "human_judgments_turn1.jsonl").read_text().splitlines()
    ]
    unshown = {(r["question_id"], *sorted((r["model_a"], r["model_b"]))) for r in rows}
    assert f"and {len(unshown) - 10} more bad lines" in refused.lines
    done = typed(*arguments, "--skip-bad-lines")
    assert done.code == 0
    assert f"left out: and {len(unshown) - 10} more lines" in done.lines
    assert done.lines[-4:] == [
        f"left out: {len(rows):,} votes on pairs that could not be stored",
        "imported 75 pairs, 0 votes and 150 judgments into mt.db; 0 were there already",
        "judgments without a verdict: 3 failed",
        "next: judge agree --ledger mt.db",
    ]
    export(tmp_path / "labels.jsonl", ledger=tmp_path / "mt.db", to="labels")
    labels = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    published = [
        json.loads(line)
        for line in (MT_BENCH / "gpt-4_pair.phi-3_vs_phi-3-dpo.jsonl").read_text().splitlines()
    ]
    expected = {f"{row['question_id']}:1:phi-3:phi-3-dpo": _published(row) for row in published}
    assert {row["pair_id"]: row["outcome"] for row in labels} == expected
    assert Counter(expected.values())["undecided"] == 2


def _published(row: Row) -> str:
    """The label that the two published winners amount to."""
    games = {row["g1_winner"], row["g2_winner"]}
    if "error" in games:
        return "undecided"
    names = {"model_1": "first", "model_2": "second", "tie": "tie"}
    return names[games.pop()] if len(games) == 1 else "inconsistent"
