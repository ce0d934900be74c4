"""The canonical JSON Lines: what is read, what is refused, and in which words."""

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from judge.errors import InputError
from judge.formats import lines
from judge.formats.judgments import parse_judgment, read_judgments
from judge.formats.labels import label_row
from judge.formats.lines import BadLine, Line
from judge.formats.pairs import pair_from, pair_row, parse_pair, read_pairs, warnings_of
from judge.formats.votes import parse_vote, read_votes, vote_row
from judge.identity import canonical
from judge.records import Candidate, Label, Message, Order, Outcome, Pair, Prompt

PAIR = {"pair_id": "p1", "prompt": "Capital of Peru?", "first": "Lima.", "second": "Cusco."}
VOTE = {"pair_id": "p1", "annotator": "ann", "preference": "first"}
JUDGMENT = {"pair_id": "p1", "judge": "strong", "order": "forward", "reply": "[[A]]"}
PANDALM = Path(__file__).parents[1] / "../shared/data/pandalm/testset-v1.json"


def write(folder: Path, *rows: Any, name: str = "pairs.jsonl") -> Path:
    path = folder / name
    raw = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path.write_bytes(b"\n".join(raw) + b"\n")
    return path


def problem_with(parse: Any, row: Any) -> str:
    line = row if isinstance(row, bytes) else json.dumps(row).encode()
    with pytest.raises(InputError) as refused:
        parse(line)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def reads_or_explains(line: bytes) -> bool:
    """Whether the line is a pair, or a problem that a terminal shows as one line."""
    try:
        parse_pair(line)
    except InputError as error:
        return bool(str(error)) and str(error).isprintable()
    return True


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def answer(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


# Reading files


def test_good_lines_and_bad_lines_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, PAIR, b"", b"{oops", {**PAIR, "pair_id": "p2"}, b"  \t")
    read = list(read_pairs(path))
    assert [line.number for line in read] == [1, 3, 4]
    assert [line.record.pair_id for line in read if isinstance(line, Line)] == ["p1", "p2"]
    assert isinstance(read[1], BadLine)
    assert str(read[1]).startswith(f"{path}:3: not JSON (")


def test_a_problem_names_file_line_field_cause_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, *[PAIR] * 16, {"prompt": "q", "second": "b"})
    (problem,) = [str(line) for line in read_pairs("pairs.jsonl") if isinstance(line, BadLine)]
    assert problem == (
        'pairs.jsonl:17: field "first": missing; give a text or an object with "text"'
    )


def test_a_byte_order_mark_and_windows_line_ends_are_tolerated(tmp_path: Path) -> None:
    line = json.dumps(PAIR).encode()
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + line + b"\r\n\r\n" + b"\xef\xbb\xbf\r\n" + line)
    assert [line.number for line in read_pairs(path)] == [1, 4]
    assert all(isinstance(line, Line) for line in read_pairs(path))


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (None, "no such file; check the path"),
        (b"", "holds no records; write one JSON object per line"),
        (b"\n \n\xef\xbb\xbf", "holds no records; write one JSON object per line"),
        (b"\x1f\x8b\x08rest", "is compressed with gzip; unpack it first"),
        (b"\xff\xfe{\x00", "is UTF-16 text; save it as UTF-8"),
    ],
)
def test_a_file_without_records_is_refused_as_a_whole(
    tmp_path: Path, content: bytes | None, cause: str
) -> None:
    path = tmp_path / "votes.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as refused:
        list(read_votes(path))
    assert str(refused.value) == f"{path}: {cause}"


def test_a_directory_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory; name a file in it"):
        list(read_pairs(tmp_path))


def test_a_file_of_bad_lines_alone_is_no_empty_file(tmp_path: Path) -> None:
    (bad,) = read_pairs(write(tmp_path, b"[]"))
    assert isinstance(bad, BadLine)
    assert bad.problem == "holds a list; write one JSON object per line"


def test_a_dash_reads_standard_input_and_leaves_it_open(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO(json.dumps(VOTE).encode() + b"\n{}\n")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stream))
    good, bad = read_votes("-")
    assert isinstance(good, Line)
    assert str(bad).startswith("<stdin>:2: ")
    assert not stream.closed


def test_a_line_over_the_limit_is_refused_and_the_next_one_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = json.dumps(PAIR).encode() + b"\n"
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", len(line))
    monkeypatch.setattr(lines, "_CHUNK_BYTES", 16)
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(line + b" " + line + line + b"x" * 500)
    kinds = [(type(read), read.number) for read in read_pairs(path)]
    assert kinds == [(Line, 1), (BadLine, 2), (Line, 3), (BadLine, 4)]


def test_lines_are_read_only_as_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_bytes((json.dumps(PAIR).encode() + b"\n") * 3 + b"{oops")
    reader = read_pairs(path)
    assert [next(reader).number for _ in range(3)] == [1, 2, 3]


def test_an_answer_of_ten_megabytes_is_accepted(tmp_path: Path) -> None:
    (line,) = read_pairs(write(tmp_path, {**PAIR, "first": "ab\n€" * 1_700_000}))
    assert isinstance(line, Line)
    assert len(line.record.first.text.encode()) > 10_000_000


# Text that no line may hold


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            b'{"prompt":"q","first":"a\\u0000b","second":"c"}',
            'NUL character in "first"; remove it',
        ),
        (
            b'{"prompt":"q","first":{"text":"\\u0000"},"second":"c"}',
            'NUL character in "first.text"; remove it',
        ),
        (
            b'{"prompt":"q","first":"a","second":"c","tags":{"k":[1,"\\u0000"]}}',
            'NUL character in "tags.k[1]"; remove it',
        ),
        (b'{"prompt":"q\x00"}', "NUL byte at byte 13; remove it"),
        (
            b'{"prompt":"q","first":"a\\ud800","second":"c"}',
            'lone surrogate \\ud800 in "first", half a character; remove it',
        ),
        (
            b'{"prompt":"q","first":"a\\udc00 b","second":"c"}',
            'lone surrogate \\udc00 in "first", half a character; remove it',
        ),
        (b'{"prompt":"\xff"}', "not UTF-8 at byte 12; save the file as UTF-8"),
        (
            b'{"prompt":"q","tags":{"x":NaN}}',
            "NaN and Infinity are not JSON; leave such a field out or write null",
        ),
    ],
)
def test_text_that_cannot_be_kept_is_refused(line: bytes, problem: str) -> None:
    assert problem_with(parse_pair, line) == problem


def test_a_backslash_before_u0000_is_plain_text() -> None:
    pair = parse_pair(b'{"prompt":"q","first":"a\\\\u0000","second":"\\ud83d\\ude00"}')
    assert pair.first.text == "a\\u0000"
    assert pair.second.text == "😀"


def test_a_number_beyond_floats_is_refused_in_tags_and_votes() -> None:
    problem = 'field "tags.x": number too large; leave it out or write a text'
    line = b'{"prompt":"q","first":"a","second":"b","tags":{"x":1e999}}'
    assert problem_with(parse_pair, line) == problem
    line = b'{"pair_id":"p","annotator":"a","preference":"tie","seconds":1e999}'
    assert "number too large" in problem_with(parse_vote, line)


@pytest.mark.parametrize("line", [b"[" * 100_000, b'{"a":' * 100_000, b"{", b"nul", b'{"a":1}}'])
def test_a_line_that_is_no_json_is_refused(line: bytes) -> None:
    assert problem_with(parse_pair, line).startswith("not JSON (")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_pair_or_a_problem_in_one_line(line: bytes) -> None:
    assert reads_or_explains(line)


@given(
    st.dictionaries(
        st.sampled_from([*PAIR, "reference", "tags", "prompt_id", "x\x1b[31m"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["text", "messages", "model", "role", "content"]), inner
                )
            ),
            max_leaves=8,
        ),
    )
)
def test_any_json_object_is_a_pair_or_a_problem_in_one_line(row: dict[str, Any]) -> None:
    assert reads_or_explains(json.dumps(row).encode())


# Pairs


def test_a_short_pair_reads_as_one_question_and_two_answers() -> None:
    pair = parse_pair(json.dumps(PAIR).encode())
    assert pair.prompt.messages == (Message(role="user", content="Capital of Peru?"),)
    assert pair.first == Candidate(messages=(Message(role="assistant", content="Lima."),))
    assert pair.prompt.reference is None
    assert pair.prompt.tags == {}


def test_every_field_of_a_full_pair_is_kept() -> None:
    row = {
        "pair_id": "p1",
        "prompt_id": "q1",
        "prompt": [{"role": "system", "content": "Be short."}, user("Hi")],
        "first": {"text": "Hello", "model": "m1"},
        "second": {"messages": [answer("What?")], "model": "m2"},
        "reference": "Hello!",
        "tags": {"category": "chat", "turn": 1, "own": [1.5, None]},
    }
    pair = parse_pair(json.dumps(row).encode())
    assert pair.prompt.prompt_id == "q1"
    assert [message.role for message in pair.prompt.messages] == ["system", "user"]
    assert (pair.first.model, pair.second.model) == ("m1", "m2")
    assert pair.second.text == "What?"
    assert pair.prompt.reference == "Hello!"
    assert pair.prompt.tags == row["tags"]


def test_null_stands_for_an_absent_optional_field() -> None:
    optional = {"pair_id", "prompt_id", "reference", "tags"}
    pair = parse_pair(json.dumps(PAIR | dict.fromkeys(optional)).encode())
    assert pair == parse_pair(json.dumps({k: PAIR[k] for k in PAIR if k != "pair_id"}).encode())


def test_pairs_of_one_prompt_without_ids_share_a_prompt_id() -> None:
    one = parse_pair(b'{"prompt":"q","first":"a","second":"b"}')
    two = parse_pair(b'{"prompt":[{"role":"user","content":"q"}],"first":"a","second":"c"}')
    other = parse_pair(b'{"prompt":"q","reference":"r","first":"a","second":"b"}')
    assert one.prompt.prompt_id == two.prompt.prompt_id != other.prompt.prompt_id
    assert one.pair_id != two.pair_id


def test_without_an_id_each_orientation_of_a_content_has_its_own() -> None:
    one = parse_pair(b'{"prompt":"q","first":"a","second":"b"}')
    two = parse_pair(b'{"prompt":"q","first":"b","second":"a"}')
    again = parse_pair(b'{"prompt":"q","first":{"text":"b","model":"m"},"second":"a"}')
    content = canonical(one)
    assert one.pair_id == content.content_id == canonical(two).content_id
    assert two.pair_id == again.pair_id == content.content_id + "-x"
    assert canonical(two).is_exchanged


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            {"promt": "q"},
            'unknown field "promt"; did you mean "prompt"? Own columns go under "tags"',
        ),
        ({"zzz": 1}, 'unknown field "zzz"; own columns go under "tags"'),
        ({"pair_id": 17}, 'field "pair_id": the number 17; write it as a text, "17"'),
        ({"pair_id": " "}, 'field "pair_id": empty; give an id or leave the field out'),
        ({"prompt": None}, 'field "prompt": missing; give a text or a list of messages'),
        ({"prompt": " \n"}, 'field "prompt": empty; give the question that was answered'),
        ({"prompt": []}, 'field "prompt": an empty list; give at least one message'),
        ({"prompt": [user("")]}, 'field "prompt": empty; give the question that was answered'),
        (
            {"prompt": {"text": "q"}},
            'field "prompt": an object where a text or a list of messages is needed; '
            "give a text or a list of messages",
        ),
        (
            {"prompt": [answer("a")]},
            'field "prompt": no user message; give the question that was answered',
        ),
        (
            {"prompt": [user("q"), answer("a")]},
            'field "prompt": ends with an answer; end it with the turn to be answered',
        ),
        (
            {"prompt": [user("q"), {"role": "human", "content": "x"}]},
            'field "prompt[1].role": unknown role "human"; '
            "give system or user or assistant or tool",
        ),
        (
            {"prompt": [{"role": "user", "content": {"type": "text"}}]},
            'field "prompt[0].content": an object where a text is needed; give a text',
        ),
        (
            {"prompt": [{"role": "user", "contents": "x"}]},
            'unknown field "prompt[0].contents"; did you mean "content"? '
            'A message holds "role" and "content"',
        ),
        (
            {"prompt": ["q"]},
            'field "prompt[0]": a text where an object with "role" and "content" is needed; '
            'give an object with "role" and "content"',
        ),
        (
            {"first": ["a"]},
            'field "first": a list where a text is needed; give a text or an object with "text"',
        ),
        (
            {"first": {"model": "m"}},
            'field "first": no answer; give a text or an object with "text"',
        ),
        (
            {"first": {"text": "a", "messages": [answer("a")]}},
            'field "first": both "text" and "messages"; give one of them',
        ),
        ({"first": {"text": 4}}, 'field "first.text": the number 4; write it as a text, "4"'),
        (
            {"first": {"text": "a", "modle": "m"}},
            'unknown field "first.modle"; did you mean "model"? Own columns go under "tags"',
        ),
        (
            {"first": {"messages": "a"}},
            'field "first.messages": a text where a list of messages is needed; '
            "give a list of messages",
        ),
        (
            {"reference": ["r1", "r2"]},
            'field "reference": a list where a text is needed; give a text',
        ),
        ({"tags": "x"}, 'field "tags": a text where an object is needed; give an object'),
    ],
)
def test_a_wrong_pair_is_refused_in_words_that_help(change: dict[str, Any], problem: str) -> None:
    assert problem_with(parse_pair, PAIR | change) == problem


def test_a_problem_shows_hostile_names_short_and_escaped() -> None:
    problem = problem_with(parse_pair, PAIR | {"\x1b[31m" + "y" * 500: 1})
    assert problem.startswith('unknown field "\\u001b[31m')
    assert len(problem) < 120


def test_an_empty_answer_is_kept_with_a_warning() -> None:
    pair = parse_pair(json.dumps(PAIR | {"first": " \n"}).encode())
    assert warnings_of(pair) == ['pair "p1": "first" is an empty answer; it is judged as it is']


def test_identical_answers_are_kept_with_a_warning() -> None:
    pair = parse_pair(json.dumps(PAIR | {"second": {"text": "Lima.", "model": "m"}}).encode())
    assert warnings_of(pair) == ['pair "p1": the two answers are identical; expect ties']


def test_an_ordinary_pair_has_no_warning() -> None:
    assert warnings_of(parse_pair(json.dumps(PAIR).encode())) == []


# Conversations of several turns

TWO_TURNS = [user("u1"), user("u2")]


@pytest.mark.parametrize(
    "messages",
    [
        [answer("a1"), answer("a2")],
        [answer("a1"), user("u2"), answer("a2")],
        [user("u1"), answer("a1"), user("u2"), answer("a2")],
    ],
)
def test_a_candidate_may_answer_every_turn_with_the_turns_between(messages: list[Any]) -> None:
    row = {
        "prompt": TWO_TURNS,
        "first": {"messages": messages},
        "second": {"messages": [answer("b1"), answer("b2")]},
    }
    pair = parse_pair(json.dumps(row).encode())
    assert [m.content for m in pair.first.messages] == ["a1", "a2"]
    assert {m.role for m in pair.first.messages} == {"assistant"}


@pytest.mark.parametrize("prompt", [TWO_TURNS, [user("u1"), answer("old"), user("u2")]])
def test_a_candidate_may_answer_the_last_turn(prompt: list[Any]) -> None:
    row = {"prompt": prompt, "first": "a", "second": {"messages": [answer("b")]}}
    pair = parse_pair(json.dumps(row).encode())
    assert (pair.first.text, pair.second.text) == ("a", "b")
    assert len(pair.prompt.messages) == len(prompt)


@pytest.mark.parametrize(
    ("prompt", "messages", "cause"),
    [
        (TWO_TURNS, [], "an empty list"),
        (TWO_TURNS, [user("u1")], "no assistant message"),
        (TWO_TURNS, [answer("a")] * 3, "assistant messages: 3, user turns: 2"),
        (TWO_TURNS, [user("u2"), answer("a")], "assistant messages: 1, user turns: 2"),
        ([user("u1")], [answer("a"), answer("b")], "assistant messages: 2, user turns: 1"),
        (TWO_TURNS, [answer("a"), user("other"), answer("b")], "other messages than"),
        (TWO_TURNS, [answer("a"), answer("b"), user("u2")], "other messages than"),
        ([user("u1")], [{"role": "tool", "content": "t"}, answer("a")], "other messages than"),
        (
            [user("u1"), answer("old"), user("u2")],
            [answer("a"), answer("b")],
            "answers turns that the prompt already holds answers to",
        ),
    ],
)
def test_a_candidate_of_another_shape_is_refused(
    prompt: list[Any], messages: list[Any], cause: str
) -> None:
    row = {"prompt": prompt, "first": {"messages": messages}, "second": "b"}
    assert problem_with(parse_pair, row).startswith(f'field "first.messages": {cause}')


def test_candidates_that_answer_different_turns_are_refused() -> None:
    row = {
        "prompt": TWO_TURNS,
        "first": {"messages": [answer("a1"), answer("a2")]},
        "second": "b2",
    }
    problem = '"first" answers 2 turns and "second" 1; give both for the same turns'
    assert problem_with(parse_pair, row) == problem


# Round trips

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
NAME = TEXT.filter(lambda text: bool(text.strip()))
QUESTION = NAME.map(lambda text: Message(role="user", content=text))
SYSTEM = TEXT.map(lambda text: Message(role="system", content=text))


@st.composite
def pairs(draw: st.DrawFn) -> Pair:
    turns = draw(st.lists(QUESTION, min_size=1, max_size=3))
    count = draw(st.sampled_from([1, len(turns)]))

    def candidate() -> Candidate:
        texts = draw(st.lists(TEXT, min_size=count, max_size=count))
        messages = tuple(Message(role="assistant", content=text) for text in texts)
        return Candidate(messages=messages, model=draw(st.none() | TEXT))

    return Pair(
        pair_id=draw(NAME),
        prompt=Prompt(
            prompt_id=draw(NAME),
            messages=(*draw(st.lists(SYSTEM, max_size=1)), *turns),
            reference=draw(st.none() | TEXT),
            tags=draw(st.dictionaries(TEXT, st.none() | st.booleans() | st.integers() | TEXT)),
        ),
        first=candidate(),
        second=candidate(),
    )


@given(pairs())
def test_a_written_pair_reads_back_as_it_was(pair: Pair) -> None:
    assert parse_pair(to_json(pair_row(pair))) == pair
    assert pair_from(pair_row(pair)) == pair


def test_real_answers_survive_reading_and_writing(tmp_path: Path) -> None:
    if not PANDALM.exists():
        pytest.skip("the PandaLM test set is not here")
    rows = [
        {
            "prompt": f"{case['instruction']}\n\n{case['input']}",
            "first": case["response1"],
            "second": case["response2"],
        }
        for case in json.loads(PANDALM.read_text(encoding="utf-8"))
    ]
    read = list(read_pairs(write(tmp_path, *rows)))
    assert len(read) == len(rows) == 999
    for line, row in zip(read, rows, strict=True):
        if isinstance(line, BadLine):  # six answers of the set are the JSON value true
            assert not all(isinstance(value, str) for value in row.values())
            continue
        pair = line.record
        assert (pair.first.text, pair.second.text) == (row["first"], row["second"])
        assert parse_pair(to_json(pair_row(pair))) == pair


# Votes


def test_a_full_vote_is_read_and_written_back_as_it_was() -> None:
    row = VOTE | {
        "preference": "both_bad",
        "strength": 3,
        "ratings": {"clarity": {"first": 1, "second": 7}},
        "shown_order": "reversed",
        "batch": "b1",
        "seconds": 12,
        "note": "neither",
        "created_at": "2026-01-01T00:00:00Z",
    }
    vote = parse_vote(json.dumps(row).encode())
    assert vote.shown_order is Order.REVERSED
    assert vote.ratings is not None
    assert vote.ratings["clarity"].second == 7
    assert json.loads(to_json(vote_row(vote))) == row


def test_a_short_vote_leaves_the_rest_open() -> None:
    vote = parse_vote(json.dumps(VOTE).encode())
    assert vote.strength is None
    assert vote_row(vote) == VOTE


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"preference": "A"}, "field \"preference\": unknown value \"A\"; give 'first', 'second', "
         "'tie', 'both_bad' or 'skip'"),
        ({"prefrence": "first"}, 'unknown field "prefrence"; did you mean "preference"? Known are '
         "pair_id, annotator, preference, strength, ratings, shown_order, batch, seconds, note, "
         "created_at"),
        ({"strength": 4}, 'field "strength": 4 is out of range; '
         "give a value less than or equal to 3"),
        ({"strength": "2"}, 'field "strength": a text where a whole number is needed; '
         "give a whole number"),
        ({"strength": True}, 'field "strength": true where a whole number is needed; '
         "give a whole number"),
        ({"strength": 1.5}, 'field "strength": a number where a whole number is needed; '
         "give a whole number"),
        ({"seconds": -1}, 'field "seconds": -1 is out of range; '
         "give a value greater than or equal to 0"),
        ({"shown_order": "ab"}, 'field "shown_order": unknown value "ab"; '
         "give 'forward' or 'reversed'"),
        ({"ratings": {"clarity": {"first": 8, "second": 1}}}, 'field "ratings.clarity.first": '
         "8 is out of range; give a value less than or equal to 7"),
        ({"ratings": {"clarity": {"first": 1}}}, 'field "ratings.clarity.second": missing; '
         "every record needs it"),
        ({"ratings": {"clarity": {"first": 1, "second": 1, "third": 1}}},
         'unknown field "ratings.clarity.third"; remove it'),
        ({"ratings": {"clarity": 5}}, 'field "ratings.clarity": a number where an object is needed;'
         " give an object"),
        ({"annotator": 5}, 'field "annotator": the number 5; write it as a text, "5"'),
        ({"annotator": " "}, 'field "annotator": empty; give a name'),
        ({"note": "a\0"}, 'NUL character in "note"; remove it'),
    ],
)  # fmt: skip
def test_a_wrong_vote_is_refused_in_words_that_help(change: dict[str, Any], problem: str) -> None:
    assert problem_with(parse_vote, VOTE | change) == problem


def test_a_vote_needs_a_pair_an_annotator_and_a_preference() -> None:
    for field in VOTE:
        row = {name: value for name, value in VOTE.items() if name != field}
        problem = f'field "{field}": missing; every record needs it'
        assert problem_with(parse_vote, row) == problem


# Judgments and labels


def test_a_given_judgment_is_read_with_its_raw_reply(tmp_path: Path) -> None:
    full = JUDGMENT | {"finish_reason": "stop", "sample": 2, "model": "m", "order": "reversed"}
    short, long = read_judgments(write(tmp_path, JUDGMENT, full))
    assert isinstance(short, Line)
    assert isinstance(long, Line)
    assert (short.record.sample, short.record.model, short.record.finish_reason) == (0, None, None)
    assert short.record.order is Order.FORWARD
    assert json.loads(to_json(long.record)) == full


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"order": "A"}, "order"),
        ({"sample": -1}, "sample"),
        ({"judge": ""}, "judge"),
        ({"pair_id": ""}, "pair_id"),
        ({"reply": None}, "reply"),
    ],
)
def test_a_wrong_judgment_is_refused_by_its_field(change: dict[str, Any], field: str) -> None:
    assert problem_with(parse_judgment, JUDGMENT | change).startswith(f'field "{field}": ')


def test_a_given_verdict_is_refused_because_verdicts_are_parsed() -> None:
    problem = problem_with(parse_judgment, JUDGMENT | {"verdict": "A"})
    assert problem.startswith('unknown field "verdict"')


def test_a_label_is_written_with_null_probabilities_and_without_an_absent_reason() -> None:
    label = Label(pair_id="p1", outcome=Outcome.TIE, rule="conservative", judgments=("j1", "j2"))
    assert to_json(label_row(label)) == (
        b'{"pair_id":"p1","outcome":"tie","probability":null,"margin":null,'
        b'"rule":"conservative","judgments":["j1","j2"]}'
    )


def test_a_label_is_written_with_its_reason() -> None:
    label = Label(pair_id="p1", outcome=Outcome.UNDECIDED, reason="split", rule="soft")
    assert label_row(label)["reason"] == "split"
    assert list(label_row(label))[:3] == ["pair_id", "outcome", "reason"]
