"""Tables with other column names: what a map says, and that no row, answer or vote is lost."""

import json
import tracemalloc
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.chance import cohens_kappa
from judge.errors import ConfigError, InputError
from judge.formats.column_map import ColumnMap, parse_map, parse_values
from judge.formats.lines import BadLine, Line
from judge.formats.mapped import MappedRow, read_mapped
from judge.formats.tables import MAX_DOCUMENT_BYTES, read_rows
from judge.identity import canonical

PANDALM = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "pandalm"
TESTSET = PANDALM / "testset-v1.json"

PLAIN = parse_map("prompt=question,first=one,second=two")
VOTED = parse_map("prompt=question,first=one,second=two,vote:ann=choice")
ROW = {"question": "Capital of Peru?", "one": "Lima.", "two": "Cusco.", "choice": "first"}


def written(path: Path, content: Any) -> Path:
    """A file of rows: JSON Lines or one JSON document, or a text or bytes as they are."""
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        path.write_bytes(content.encode())
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in content))
    else:
        path.write_text(json.dumps(content))
    return path


def mapped(path: Path, column_map: ColumnMap = PLAIN, **values: str) -> list[MappedRow]:
    rules = {"values": parse_values(values["values"])} if values else {}
    lines = list(read_mapped(path, column_map, **rules))
    assert [str(line) for line in lines if isinstance(line, BadLine)] == []
    return [line.record for line in lines if isinstance(line, Line)]


def problems(path: Path, column_map: ColumnMap = PLAIN, **values: str) -> list[str]:
    rules = {"values": parse_values(values["values"])} if values else {}
    lines = list(read_mapped(path, column_map, **rules))
    return [str(line) for line in lines if isinstance(line, BadLine)]


def texts(row: MappedRow) -> tuple[str, str, str]:
    return row.pair.prompt.messages[0].content, row.pair.first.text, row.pair.second.text


# The map and the values


def test_a_map_names_columns_for_targets() -> None:
    column_map = parse_map(
        "prompt = instruction + input, first=a,second=b,reference=r,pair_id=p,prompt_id=q,"
        "first_model=m1,second_model=m2,tags.language=lang,vote:ann 1=x,vote:ann2=y.0.z"
    )
    assert column_map == ColumnMap(
        prompt=("instruction", "input"),
        first=("a",),
        second=("b",),
        reference=("r",),
        pair_id="p",
        prompt_id="q",
        first_model="m1",
        second_model="m2",
        tags={"language": "lang"},
        votes={"ann 1": "x", "ann2": "y.0.z"},
    )


@given(st.text(min_size=1, max_size=8).filter(str.strip), st.booleans())
def test_any_column_name_can_be_written(name: str, is_quoted: bool) -> None:
    if is_quoted:
        escaped = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    else:
        escaped = "".join("\\" + character for character in name)
    column_map = parse_map(f"prompt={escaped}+plain,first={escaped},second=b")
    assert column_map.prompt == (name, "plain")
    assert column_map.first == (name,)
    assert parse_values(f"{escaped}=tie") == {name: "tie"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prompt=a,first=b", "no column for second; add second=COLUMN"),
        ("prompt=a,first=b,secnd=c", 'unknown target "secnd"; did you mean "second"?'),
        ("prompt=a,first=b,second=c,first=d", "first is given twice; join its columns with +"),
        ("prompt=a,first=b,second=c,vote:x=d,vote:x=e", "vote:x is given twice; give it once"),
        ("prompt=a,first=b,second=c,vote:=d", '"vote:=d" has no name after vote:'),
        ("prompt=a,first=b,second=c,pair_id=d+e", '"pair_id=d+e" joins columns'),
        ("prompt=a,first=b,second=", '"second=" names no column'),
        ("prompt=a+,first=b,second=c", '"prompt=a+" names no column'),
        ("prompt=a,,first=b,second=c", "an empty item"),
        ("prompt", '"prompt" is not TARGET=COLUMN'),
        ("prompt=a=b,first=b,second=c", '"prompt=a=b" is not TARGET=COLUMN'),
        ('prompt="a,first=b,second=c', "a double quote is never closed"),
        ("prompt=a,first=b,second=c\\", "ends in a backslash"),
        ("", "an empty item"),
    ],
)
def test_a_wrong_map_is_refused_with_its_remedy(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_map(text)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1=frist", 'unknown preference "frist" in "1=frist"; did you mean "first"?'),
        ("1=first,1=second", 'two preferences for "1"'),
        ("first", '"first" is not VALUE=PREFERENCE'),
        ("=skip", '"=skip" is not VALUE=PREFERENCE'),
    ],
)
def test_wrong_values_are_refused_with_their_remedy(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_values(text)
    assert message in str(error.value)


# Kinds of file


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.json", [ROW, ROW]),
        ("object.json", {"version": 1, "rows": [ROW, ROW], "notes": ["x"]}),
        ("lines.jsonl", [ROW, ROW]),
        ("lines.json", f"{json.dumps(ROW)}\n{json.dumps(ROW)}\n"),
        ("marked.json", b"\xef\xbb\xbf" + json.dumps([ROW, ROW]).encode()),
        ("a.csv", "question,one,two,choice\n" + "Capital of Peru?,Lima.,Cusco.,first\r\n" * 2),
        ("a.tsv", "question\tone\ttwo\tchoice\n" + "Capital of Peru?\tLima.\tCusco.\tfirst\n" * 2),
        (
            "marked.csv",
            b"\xef\xbb\xbf"
            + b"question,one,two,choice\n"
            + b"Capital of Peru?,Lima.,Cusco.,A\n" * 2,
        ),
    ],
)
def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path, name: str, content: Any) -> None:
    rows = mapped(written(tmp_path / name, content), VOTED)
    assert [texts(row) for row in rows] == [("Capital of Peru?", "Lima.", "Cusco.")] * 2
    assert [vote.preference for row in rows for vote in row.votes] == ["first"] * 2


def test_csv_cells_may_hold_separators_line_breaks_and_long_answers(tmp_path: Path) -> None:
    long = "x" * 300_000
    content = f'question,one,two\n"a, ""b""\nc",{long},\n\n"d",e,f\n'
    path = written(tmp_path / "a.csv", content)
    assert [texts(row) for row in mapped(path)] == [('a, "b"\nc', long, ""), ("d", "e", "f")]
    assert [line.number for line in read_rows(path)] == [2, 4]


def test_json_lines_and_csv_are_read_one_row_at_a_time(tmp_path: Path) -> None:
    for name, row in (("a.jsonl", json.dumps(ROW) + "\n"), ("a.csv", "q,a,b\n")):
        lines = read_rows(written(tmp_path / name, row * 20_000))
        tracemalloc.start()
        assert sum(isinstance(line, Line) for line in lines) >= 19_999
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 4_000_000, f"{name}: {peak} bytes"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "[1, 2", "not JSON"),
        ("a.json", '[{"a": NaN}]', "null in place of NaN"),
        ("a.json", "3", "holds a number; write a list of objects"),
        ("a.json", "[]", "holds no rows"),
        ("a.json", {"train": [ROW], "test": [ROW]}, "holds several lists (train, test)"),
        ("a.csv", "question,one,two\n", "holds no rows"),
        ("a.csv", "question,one,one\n1,2,3\n", 'two columns are called "one"; rename one'),
        ("a.csv", 'question,one,two\n"1,2,3\n4,5,6\n', "a.csv:2: the row cannot be read"),
        ("a.csv", "question,one,two\n1,2,3\n".encode("utf-16"), "not UTF-8; save the file"),
        ("a.parquet", "x", 'the ending ".parquet", so its kind is unknown'),
        ("a", "x", "no ending, so its kind is unknown"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_as_a_whole(
    tmp_path: Path, name: str, content: Any, message: str
) -> None:
    with pytest.raises(InputError) as error:
        list(read_mapped(written(tmp_path / name, content), PLAIN))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=name):
        list(read_mapped(tmp_path / name, PLAIN))


def test_a_json_list_too_large_to_hold_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.write(b"[\n")
        file.truncate(MAX_DOCUMENT_BYTES + 1)
    with pytest.raises(InputError, match=r"larger than 1 GiB.*convert it to JSON Lines"):
        list(read_mapped(path, PLAIN))


def test_bad_rows_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    short = b"question,one,two\n1,2\n1,2,3\n1,2,\0\n\xe9,2,3\n"
    path = written(tmp_path / "a.csv", short)
    assert problems(path) == [
        f"{path}:2: 2 cells where the header has 3; quote cells that hold the separator",
        f'{path}:4: NUL character in "two"; remove it',
        f"{path}:5: not UTF-8; save the file as UTF-8",
    ]
    path = written(tmp_path / "a.json", [ROW, 3, {**ROW, "one": "a\0"}, {**ROW, "question": " "}])
    assert problems(path) == [
        f"{path}:2: holds a number; write one object per row",
        f'{path}:3: NUL character in "one"; remove it',
        f'{path}:4: field "prompt": empty; give the question that was answered',
    ]


# Cells


def test_joined_columns_leave_blank_ones_out(tmp_path: Path) -> None:
    rows = [
        {"i": "Add.", "j": "1 2", "one": "3", "two": "4"},
        {"i": " ", "j": "1 2", "one": "3", "two": "4"},
        {"i": "Add.", "one": "3", "two": "4"},
    ]
    joined = mapped(
        written(tmp_path / "a.json", rows), parse_map("prompt=i+j,first=one,second=two")
    )
    assert [texts(row)[0] for row in joined] == ["Add.\n\n1 2", "1 2", "Add."]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (True, "true"),
        (False, "false"),
        (3, "3"),
        (1.5, "1.5"),
        (None, ""),
        ("", ""),
        (" a ", " a "),
    ],
)
def test_a_scalar_becomes_a_text_and_null_an_empty_answer(
    tmp_path: Path, cell: Any, text: str
) -> None:
    path = written(tmp_path / "a.json", [{**ROW, "one": cell}])
    assert texts(mapped(path)[0])[1] == text


def test_an_answer_column_that_a_row_lacks_is_no_empty_answer(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [ROW, {"question": "q", "one": "a"}])
    assert problems(path) == [
        f'{path}:2: column "two": missing; write null for an empty answer',
    ]


def test_dotted_columns_reach_into_nested_values_and_exact_names_come_first(tmp_path: Path) -> None:
    row = {
        "conversation": [{"content": "Capital of Peru?"}],
        "answers": {"one": "Lima."},
        "answers.two": "Cusco.",
        "meta": {"lang": "en", "level": 2},
    }
    column_map = parse_map(
        "prompt=conversation.0.content,first=answers.one,second=answers.two,"
        "tags.lang=meta.lang,tags.level=meta.level,tags.none=meta.none"
    )
    path = written(tmp_path / "a.json", [row, {**row, "meta": {"none": 1}}])
    rows = mapped(path, column_map)
    assert texts(rows[0]) == ("Capital of Peru?", "Lima.", "Cusco.")
    assert rows[0].pair.prompt.tags == {"lang": "en", "level": 2}
    assert rows[1].pair.prompt.tags == {"none": 1}


def test_a_list_of_messages_is_taken_as_it_is(tmp_path: Path) -> None:
    row = {
        "question": [{"role": "system", "content": "Brief."}, {"role": "user", "content": "Hi"}],
        "one": [{"role": "assistant", "content": "Hello!"}],
        "two": "Hm.",
    }
    pair = mapped(written(tmp_path / "a.json", [row]))[0].pair
    assert [message.role for message in pair.prompt.messages] == ["system", "user"]
    assert (pair.first.text, pair.second.text) == ("Hello!", "Hm.")


def test_an_object_where_a_text_is_needed_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", [{**ROW, "one": {"text": "Lima."}}])
    message = f'{path}:1: column "one": an object where a text is needed; reach into it as one.NAME'
    assert problems(path) == [message]


def test_a_map_that_names_no_column_of_the_file_says_which_there_are(tmp_path: Path) -> None:
    column_map = parse_map("prompt=qestion,first=one,second=two")
    with pytest.raises(InputError) as error:
        list(read_mapped(written(tmp_path / "a.json", [ROW]), column_map))
    assert 'column "qestion", which the file does not have' in str(error.value)
    assert 'did you mean "question"? Its columns are question, one, two, choice' in str(error.value)


# Votes and ids


def test_a_value_without_a_rule_is_refused_and_the_rule_suggested(tmp_path: Path) -> None:
    rows = [{**ROW, "choice": 1}, {**ROW, "choice": 3}, {**ROW, "choice": "a,b"}]
    path = written(tmp_path / "a.json", rows)
    rule = "which no rule covers; add a rule to --values, such as"
    assert problems(path, VOTED, values="1=first") == [
        f'{path}:2: column "choice" is "3", {rule} 3=skip',
        f'{path}:3: column "choice" is "a,b", {rule} "a,b"=skip',
    ]
    assert len(mapped(path, VOTED, values='1=first,3=skip,"a,b"=tie')) == 3


def test_without_values_the_canonical_words_are_understood(tmp_path: Path) -> None:
    words = ["first", "second", "tie", "both_bad", "skip", "A", "B", "model_a", "model_b", " A "]
    path = written(tmp_path / "a.json", [{**ROW, "choice": word} for word in words])
    given = [vote.preference for row in mapped(path, VOTED) for vote in row.votes]
    side = ["first", "second"]
    assert given == [*side, "tie", "both_bad", "skip", *side, *side, "first"]
    path = written(tmp_path / "b.json", [{**ROW, "choice": "left"}])
    assert 'is "left", which no rule covers' in problems(path, VOTED)[0]


def test_a_blank_vote_is_no_vote(tmp_path: Path) -> None:
    column_map = parse_map("prompt=question,first=one,second=two,vote:a=choice,vote:b=other")
    rows = [{**ROW, "other": None}, {**ROW, "choice": "", "other": True}, ROW]
    votes = [
        [(vote.annotator, vote.preference) for vote in row.votes]
        for row in mapped(
            written(tmp_path / "a.json", rows), column_map, values="first=first,true=tie"
        )
    ]
    assert votes == [[("a", "first")], [("b", "tie")], [("a", "first")]]


def test_rows_of_one_content_keep_their_own_votes(tmp_path: Path) -> None:
    exchanged = {**ROW, "one": ROW["two"], "two": ROW["one"]}
    path = written(tmp_path / "mine.json", [ROW, ROW, exchanged])
    rows = mapped(path, VOTED)
    assert [row.pair.pair_id for row in rows] == ["mine-1", "mine-2", "mine-3"]
    assert [vote.pair_id for row in rows for vote in row.votes] == ["mine-1", "mine-2", "mine-3"]
    assert len({canonical(row.pair).content_id for row in rows}) == 1
    assert rows[2].pair.first.text == "Cusco."


def test_without_votes_equal_rows_have_the_id_of_their_content_and_side(tmp_path: Path) -> None:
    exchanged = {**ROW, "one": ROW["two"], "two": ROW["one"]}
    ids = [row.pair.pair_id for row in mapped(written(tmp_path / "a.json", [ROW, ROW, exchanged]))]
    assert ids[0] == ids[1] != ids[2]
    assert ids[0].removesuffix("-x") == ids[2].removesuffix("-x")


def test_mapped_ids_models_and_references_are_used(tmp_path: Path) -> None:
    column_map = parse_map(
        "prompt=question,first=one,second=two,pair_id=id,prompt_id=q,reference=ref,"
        "first_model=m1,second_model=m2,vote:ann=choice"
    )
    full = {**ROW, "id": 7, "q": 1, "ref": "Lima", "m1": "x", "m2": "y"}
    path = written(
        tmp_path / "a.json", [full, {**full, "ref": " ", "m1": None}, {**full, "id": ""}]
    )
    lines = list(read_mapped(path, column_map))
    first, second = (line.record for line in lines if isinstance(line, Line))
    assert (first.pair.pair_id, first.pair.prompt.prompt_id) == ("7", "1")
    assert (first.pair.first.model, first.pair.second.model) == ("x", "y")
    assert first.pair.prompt.reference == "Lima"
    assert [vote.pair_id for vote in first.votes] == ["7"]
    assert (second.pair.prompt.reference, second.pair.first.model) == (None, None)
    assert str(lines[2]) == f'{path}:3: field "pair_id": empty; give an id or leave the field out'


@pytest.mark.skipif(not TESTSET.exists(), reason=f"PandaLM's test set is not at {TESTSET}")
def test_pandalm_is_read_without_losing_a_row_an_answer_or_a_vote() -> None:
    annotators = ("ann1", "ann2", "ann3")
    column_map = parse_map(
        "prompt=instruction+input,first=response1,second=response2,prompt_id=idx,"
        "vote:ann1=annotator1,vote:ann2=annotator2,vote:ann3=annotator3"
    )
    rows = mapped(TESTSET, column_map, values="0=tie,1=first,2=second")
    assert len(rows) == len({row.pair.pair_id for row in rows}) == 999
    assert sum(len(row.votes) for row in rows) == 2997
    assert all(vote.pair_id == row.pair.pair_id for row in rows for vote in row.votes)
    sides: dict[str, set[bool]] = {}
    for content in (canonical(row.pair) for row in rows):
        sides.setdefault(content.content_id, set()).add(content.is_exchanged)
    assert len(sides) == 863
    assert sum(len(both) == 2 for both in sides.values()) == 37
    answers = [candidate.text for row in rows for candidate in (row.pair.first, row.pair.second)]
    assert (answers.count(""), answers.count("true")) == (54, 6)
    assert texts(rows[466])[0] == "Truthfulness"
    assert sum("\n\n" in texts(row)[0] for row in rows) >= 831

    kinds = ("first", "second", "tie")
    columns = {
        name: [kinds.index(v.preference) for row in rows for v in row.votes if v.annotator == name]
        for name in annotators
    }
    kappas = []
    for one, other in combinations(annotators, 2):
        table = np.zeros((3, 3))
        np.add.at(table, (columns[one], columns[other]), 1)
        kappas.append(round(cohens_kappa(table) or 0.0, 3))
    assert sorted(kappas) == [0.852, 0.862, 0.879]
    assert Counter(columns["ann1"]) == {1: 475, 0: 427, 2: 97}
