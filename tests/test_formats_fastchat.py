"""FastChat folders: one id per two models, both orders the right way round, nothing lost."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.errors import InputError
from judge.formats.fastchat import read_fastchat
from judge.formats.fastchat_bundle import FastChatBundle
from judge.formats.fastchat_facts import parse_judgments, parse_vote
from judge.formats.judgments import GivenJudgment
from judge.formats.lines import BadLine, Line
from judge.records import Order, Pair, Preference, Vote, preference_from
from judge.replies.verdicts import parse_verdict

MT_BENCH = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "mt_bench"
JUDGED = MT_BENCH / "gpt-4_pair.phi-3_vs_phi-3-dpo.jsonl"
VOTED = MT_BENCH / "human_judgments_turn1.jsonl"
ANSWERS = (MT_BENCH / "model_answer" / "phi-3.jsonl", MT_BENCH / "model_answer" / "phi-3-dpo.jsonl")

needs_mt_bench = pytest.mark.skipif(
    not all(path.exists() for path in (MT_BENCH / "question.jsonl", JUDGED, VOTED, *ANSWERS)),
    reason=f"the published MT-Bench files are not at {MT_BENCH}",
)

QUESTIONS = [
    {"question_id": 1, "category": "math", "turns": ["1+1?", "And 2+2?"], "reference": ["2", "4"]},
    {"question_id": "q2", "turns": ["Hi"]},
]


def answer(question_id: int | str, *turns: str) -> dict[str, Any]:
    return {"question_id": question_id, "choices": [{"index": 0, "turns": turns}, {"turns": ["x"]}]}


def judgment(**fields: Any) -> dict[str, Any]:
    return {
        "question_id": 1,
        "model_1": "alpha",
        "model_2": "beta",
        "g1_winner": "model_1",
        "g2_winner": "model_1",
        "judge": ["gpt-4", "pair-v2"],
        "g1_judgment": "g1 [[A]]",
        "g2_judgment": "g2 [[B]]",
        "turn": 1,
        "tstamp": 1.5,
        **fields,
    }


def vote(**fields: Any) -> dict[str, Any]:
    return {
        "question_id": 1,
        "model_a": "alpha",
        "model_b": "beta",
        "winner": "model_a",
        "judge": "expert_1",
        **fields,
    }


def written(folder: Path, **files: list[dict[str, Any]]) -> Path:
    """A FastChat folder; `model_answer__alpha` is the file model_answer/alpha.jsonl."""
    for name, rows in files.items():
        path = folder / (name.replace("__", "/") + ".jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def answered(folder: Path, **files: list[dict[str, Any]]) -> Path:
    return written(
        folder,
        question=QUESTIONS,
        model_answer__alpha=[answer(1, "a1", "a2"), answer("q2", "a3")],
        model_answer__beta=[answer(1, "b1", "b2"), answer("q2", "b3")],
        **files,
    )


def pairs_of(bundle: FastChatBundle) -> dict[str, Pair]:
    lines = [line for _, lines in bundle.pairs() for line in lines]
    pairs = [line.record for line in lines if isinstance(line, Line)]
    assert len({pair.pair_id for pair in pairs}) == len(pairs)
    return {pair.pair_id: pair for pair in pairs}


def votes_of(bundle: FastChatBundle) -> list[Vote]:
    lines = [line for _, lines in bundle.votes() for line in lines]
    assert [str(line) for line in lines if isinstance(line, BadLine)] == []
    return [line.record for line in lines if isinstance(line, Line)]


def judgments_of(bundle: FastChatBundle) -> list[GivenJudgment]:
    lines = [line for _, lines in bundle.judgments() for line in lines]
    assert [str(line) for line in lines if isinstance(line, BadLine)] == []
    return [line.record for line in lines if isinstance(line, Line)]


def bad_pairs(bundle: FastChatBundle) -> list[str]:
    lines = [line for _, lines in bundle.pairs() for line in lines]
    return [str(line) for line in lines if isinstance(line, BadLine)]


def test_a_judgment_line_is_two_replies_one_per_order(tmp_path: Path) -> None:
    bundle = read_fastchat(answered(tmp_path, model_judgment__j=[judgment()]))
    assert judgments_of(bundle) == [
        GivenJudgment(
            pair_id="1:1:alpha:beta", judge="gpt-4", model="gpt-4", order=order, reply=reply
        )
        for order, reply in ((Order.FORWARD, "g1 [[A]]"), (Order.REVERSED, "g2 [[B]]"))
    ]
    pair = pairs_of(bundle)["1:1:alpha:beta"]
    assert (pair.first.model, pair.second.model) == ("alpha", "beta")
    assert (pair.first.text, pair.second.text) == ("a1", "b1")
    assert pair.prompt.prompt_id == "1"
    assert pair.prompt.tags == {"category": "math", "turn": 1}


@given(st.booleans(), st.integers(1, 2), st.sampled_from(["gpt-4", ["gpt-4", "pair-v2"]]))
def test_the_models_the_other_way_round_are_the_same_pair_in_the_other_order(
    is_exchanged: bool, turn: int, judge: Any
) -> None:
    models = ("beta", "alpha") if is_exchanged else ("alpha", "beta")
    row = judgment(model_1=models[0], model_2=models[1], turn=turn, judge=judge)
    forward, reversed_ = parse_judgments(json.dumps(row).encode()).judgments
    assert forward.pair_id == reversed_.pair_id == f"1:{turn}:alpha:beta"
    assert (forward.reply, reversed_.reply) == ("g1 [[A]]", "g2 [[B]]")
    expected = (Order.REVERSED, Order.FORWARD) if is_exchanged else (Order.FORWARD, Order.REVERSED)
    assert (forward.order, reversed_.order) == expected


def test_an_outage_is_no_reply_and_its_other_order_stays(tmp_path: Path) -> None:
    rows = [judgment(g2_judgment="$ERROR$", g2_winner="error")]
    one, other = judgments_of(read_fastchat(answered(tmp_path, model_judgment__j=rows)))
    assert (one.reply, one.finish_reason) == ("g1 [[A]]", None)
    assert (other.reply, other.finish_reason) == ("", "error")


def test_a_reply_that_fastchat_could_not_read_is_kept_for_our_parser(tmp_path: Path) -> None:
    rows = [judgment(g1_judgment="I would not say.", g1_winner="error")]
    first = judgments_of(read_fastchat(answered(tmp_path, model_judgment__j=rows)))[0]
    assert (first.reply, first.finish_reason) == ("I would not say.", None)


def test_another_reply_to_the_same_ask_is_another_sample_in_any_file(tmp_path: Path) -> None:
    again = judgment(g1_judgment="again [[A]]", g2_judgment="again [[B]]", tstamp=2.5)
    twin = judgment(model_1="beta", model_2="alpha", tstamp=3.5)
    folder = answered(
        tmp_path, model_judgment__a=[judgment(), again], model_judgment__b=[judgment(), twin]
    )
    given = judgments_of(read_fastchat(folder))
    found = [(j.order.value, j.reply, j.sample) for j in given]
    assert found == [
        ("forward", "g1 [[A]]", 0),
        ("reversed", "g2 [[B]]", 0),
        ("forward", "again [[A]]", 1),
        ("reversed", "again [[B]]", 1),
        ("forward", "g1 [[A]]", 0),
        ("reversed", "g2 [[B]]", 0),
        ("reversed", "g1 [[A]]", 2),
        ("forward", "g2 [[B]]", 2),
    ]


def test_turn_two_shows_both_turns(tmp_path: Path) -> None:
    folder = answered(tmp_path, model_judgment__j=[judgment(), judgment(turn=2)])
    pairs = pairs_of(read_fastchat(folder))
    pair = pairs["1:2:alpha:beta"]
    assert [(m.role, m.content) for m in pair.prompt.messages] == [
        ("user", "1+1?"),
        ("user", "And 2+2?"),
    ]
    assert [(m.role, m.content) for m in pair.first.messages] == [
        ("assistant", "a1"),
        ("assistant", "a2"),
    ]
    assert pair.second.text == "b1\n\nb2"
    assert pair.prompt.tags["turn"] == 2
    assert pair.prompt.prompt_id == pairs["1:1:alpha:beta"].prompt.prompt_id


def test_references_come_from_the_reference_answers_where_there_are_any(tmp_path: Path) -> None:
    rows = [judgment(), judgment(turn=2), judgment(question_id="q2")]
    own = pairs_of(read_fastchat(answered(tmp_path, model_judgment__j=rows)))
    assert own["1:1:alpha:beta"].prompt.reference == "2"
    assert own["1:2:alpha:beta"].prompt.reference == "2\n\n4"
    assert own["q2:1:alpha:beta"].prompt.reference is None
    written(tmp_path, **{"reference_answer__gpt-4": [answer("q2", "Hello.")]})
    bundle = read_fastchat(tmp_path)
    assert "gpt-4" not in bundle.answers
    given = pairs_of(bundle)
    assert given["1:1:alpha:beta"].prompt.reference is None
    assert given["q2:1:alpha:beta"].prompt.reference == "Hello."


@pytest.mark.parametrize(
    ("winner", "preference", "exchanged", "note"),
    [
        ("model_a", "first", "second", None),
        ("model_b", "second", "first", None),
        ("tie", "tie", "tie", None),
        ("tie (inconsistent)", "tie", "tie", "tie (inconsistent)"),
        ("tie (bothbad)", "both_bad", "both_bad", None),
        ("both_bad", "both_bad", "both_bad", None),
        ("error", "skip", "skip", "error"),
    ],
)
def test_every_winner_is_a_vote_in_the_orientation_of_the_pair(
    winner: str, preference: str, exchanged: str, note: str | None
) -> None:
    straight = parse_vote(json.dumps(vote(winner=winner, turn=2)).encode()).vote
    row = vote(winner=winner, model_a="beta", model_b="alpha", turn=2)
    other = parse_vote(json.dumps(row).encode()).vote
    assert straight.pair_id == other.pair_id == "1:2:alpha:beta"
    assert (straight.preference, other.preference) == (preference, exchanged)
    assert (straight.shown_order, other.shown_order) == (Order.FORWARD, Order.REVERSED)
    assert straight.note == other.note == note
    assert straight.annotator == "expert_1"


def test_pairs_come_once_and_only_where_a_judgment_or_vote_names_them(tmp_path: Path) -> None:
    folder = answered(
        tmp_path,
        model_judgment__j=[judgment(), judgment(model_1="beta", model_2="alpha")],
        human=[vote(), vote(question_id="q2")],
    )
    assert list(pairs_of(read_fastchat(folder))) == ["1:1:alpha:beta", "q2:1:alpha:beta"]


def test_without_judgments_and_votes_every_two_models_are_paired(tmp_path: Path) -> None:
    written(tmp_path, model_answer__gamma=[answer(1, "c1", "c2")])
    bundle = read_fastchat(answered(tmp_path))
    ids = set(pairs_of(bundle))
    assert {i for i in ids if i.startswith("1:")} == {
        f"1:{turn}:{two}" for turn in (1, 2) for two in ("alpha:beta", "alpha:gamma", "beta:gamma")
    }
    assert {i for i in ids if i.startswith("q2")} == {"q2:1:alpha:beta"}
    missing = 'no answer of "gamma" to question q2, turn 1; add it to model_answer/gamma.jsonl'
    assert bad_pairs(bundle) == [f"{tmp_path / 'question.jsonl'}:2: {missing}"] * 2


def test_a_judgment_whose_pair_cannot_be_shown_is_named_and_its_replies_are_kept(
    tmp_path: Path,
) -> None:
    rows = [
        judgment(model_2="gamma"),
        judgment(question_id=9),
        judgment(question_id="q2", turn=2),
        judgment(),
    ]
    bundle = read_fastchat(answered(tmp_path, model_judgment__j=rows))
    path = tmp_path / "model_judgment" / "j.jsonl"
    assert bad_pairs(bundle) == [
        f'{path}:1: no answer of "gamma" to question 1, turn 1; add it to model_answer/gamma.jsonl',
        f'{path}:2: no question "9"; add its question.jsonl',
        f"{path}:3: turn 2 where question q2 has 1; correct the turn",
    ]
    assert len(judgments_of(bundle)) == 8


def test_judgments_alone_can_be_read(tmp_path: Path) -> None:
    bundle = read_fastchat(written(tmp_path, j=[judgment()]) / "j.jsonl")
    assert len(judgments_of(bundle)) == 2
    assert bad_pairs(bundle) == [f'{tmp_path}/j.jsonl:1: no question "1"; add its question.jsonl']


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (judgment(model_2="alpha"), 'field "model_2": "alpha" against itself; name two models'),
        (judgment(turn=0), 'field "turn": 0 is out of range'),
        (judgment(question_id=None), 'field "question_id": null where a text is needed'),
        (judgment(g1_judgment=None), 'field "g1_judgment": null where a text is needed'),
        ({"question_id": 1, "model_1": "a", "model_2": "b"}, 'field "judge": missing'),
    ],
)
def test_a_bad_judgment_line_is_reported_once_with_its_cause(
    tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    bundle = read_fastchat(answered(tmp_path, model_judgment__j=[row, judgment()]))
    lines = [line for _, lines in bundle.judgments() for line in lines]
    bad = [str(line) for line in lines if isinstance(line, BadLine)]
    assert len(bad) == 1
    assert f"j.jsonl:1: {message}" in bad[0]
    assert len(lines) == 3
    assert bad_pairs(bundle) == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (vote(winner="left"), 'unknown value "left"; known are model_a, model_b'),
        (vote(judge=["gpt-4", "pair-v2"]), "a model, whose verdict is no human vote"),
        (vote(judge=" "), 'field "judge": empty'),
        (vote(model_a="beta"), '"beta" against itself'),
    ],
)
def test_a_bad_vote_line_is_refused(row: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        parse_vote(json.dumps(row).encode())
    assert message in str(error.value)


names = st.text(st.sampled_from("a:%3A"), min_size=1, max_size=4)


@given(names, names, names, names)
def test_two_pairs_of_models_never_share_an_id(one: str, two: str, three: str, four: str) -> None:
    if one == two or three == four:
        return
    rows = [vote(model_a=a, model_b=b) for a, b in ((one, two), (three, four))]
    ids = {parse_vote(json.dumps(row).encode()).vote.pair_id for row in rows}
    assert (len(ids) == 1) == ({one, two} == {three, four})


def test_bad_questions_and_answers_are_listed_and_the_last_answer_counts(tmp_path: Path) -> None:
    folder = answered(tmp_path, human=[vote()])
    with (folder / "question.jsonl").open("a") as file:
        file.write('{"question_id": 3, "turns": [" "]}\n{"question_id": 1, "turns": ["Other?"]}\n')
    with (folder / "model_answer" / "alpha.jsonl").open("a") as file:
        file.write(json.dumps(answer(1, "later", "a2")) + '\n{"question_id": 3, "choices": []}\n')
    bundle = read_fastchat(folder)
    bad = [str(line) for line in bundle.bad_lines]
    assert len(bad) == 3
    assert 'question.jsonl:3: field "turns[0]": empty' in bad[0]
    assert "question.jsonl:4: another question 1 than at" in bad[1]
    assert 'alpha.jsonl:4: field "choices"' in bad[2]
    assert pairs_of(bundle)["1:1:alpha:beta"].first.text == "later"


def test_what_a_folder_holds_besides_is_named_as_left_out(tmp_path: Path) -> None:
    folder = answered(
        tmp_path,
        judge_prompts=[{"name": "pair-v2", "prompt_template": "{question}"}],
        model_judgment__single=[{"question_id": 1, "model": "alpha", "score": 7}],
    )
    (folder / "empty.jsonl").touch()
    left_out = read_fastchat(folder).left_out
    assert [Path(text.split(":")[0]).name for text in left_out] == [
        "empty.jsonl",
        "judge_prompts.jsonl",
        "single.jsonl",
    ]
    with pytest.raises(InputError, match="holds no FastChat rows that can be imported"):
        read_fastchat(folder / "judge_prompts.jsonl")


def test_folders_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no \.jsonl file"):
        read_fastchat(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read_fastchat(tmp_path / "absent")
    written(tmp_path, question=QUESTIONS, model_answer__alpha=[answer(1, "a")])
    with pytest.raises(InputError, match="nothing to pair"):
        read_fastchat(tmp_path)
    folder = answered(tmp_path, more__alpha=[answer(1, "other")])
    with pytest.raises(InputError, match='"alpha" has its answers in'):
        read_fastchat(folder, folder / "more" / "alpha.jsonl")
    written(folder, reference_answer__a=[answer(1, "2")], reference_answer__b=[answer(1, "two")])
    with pytest.raises(InputError, match=r"references of several judges \(a\.jsonl, b\.jsonl\)"):
        read_fastchat(folder)


@needs_mt_bench
def test_published_judgments_are_read_with_their_answers_and_the_right_way_round() -> None:
    bundle = read_fastchat(MT_BENCH / "question.jsonl", *ANSWERS, JUDGED)
    pairs = pairs_of(bundle)
    assert (len(pairs), bad_pairs(bundle), bundle.bad_lines) == (75, [], ())
    given = judgments_of(bundle)
    assert Counter(judgment.order for judgment in given) == {Order.FORWARD: 75, Order.REVERSED: 75}
    assert sum(judgment.finish_reason == "error" for judgment in given) == 3
    rows = [json.loads(line) for line in JUDGED.read_text().splitlines()]
    for at, row in enumerate(rows):
        pair = pairs[given[2 * at].pair_id]
        assert (pair.first.model, pair.second.model) == (row["model_1"], row["model_2"])
        for game, shown_first in (("g1", pair.first), ("g2", pair.second)):
            shown = row[f"{game}_user_prompt"]
            first_block = shown.split("The Start of Assistant B", 1)[0]
            assert shown_first.text.strip() in first_block
    winners = {"model_1": Preference.FIRST, "model_2": Preference.SECOND, "tie": Preference.TIE}
    stated = [winners.get(row[f"{game}_winner"]) for row in rows for game in ("g1", "g2")]
    read = [parse_verdict(judgment.reply) for judgment in given]
    ours = [
        None if verdict is None else preference_from(verdict, judgment.order)
        for verdict, judgment in zip(read, given, strict=True)
    ]
    decided = [(o, s) for o, s in zip(ours, stated, strict=True) if o is not None]
    assert len(decided) == 147
    assert all(our == their for our, their in decided)


@needs_mt_bench
def test_published_votes_are_read_to_the_last_one() -> None:
    bundle = read_fastchat(VOTED)
    votes = votes_of(bundle)
    assert len(votes) == 1689
    assert len({vote.model_dump_json() for vote in votes}) == 1689
    assert len({vote.annotator for vote in votes}) == 65
    rows = [json.loads(line) for line in VOTED.read_text().splitlines()]
    for row, cast in zip(rows, votes, strict=True):
        winner = {"first": 2, "second": 3}.get(cast.preference)
        name = None if winner is None else cast.pair_id.split(":")[winner]
        assert name == row.get(row["winner"])
    assert len(bad_pairs(bundle)) == len({vote.pair_id for vote in votes})
