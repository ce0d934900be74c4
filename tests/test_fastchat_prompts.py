"""FastChat's prompt files load as they are and render byte for byte as FastChat renders them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts import JudgePrompt, PromptError, Shown, VerdictFormat, conversation, load_prompt
from prompts.fastchat import KNOWN_HOLES, cut_at_braces

MT_BENCH = Path(__file__).parents[2] / "shared" / "data" / "mt_bench"
HAS_MT_BENCH = (MT_BENCH / "judge_prompts.jsonl").exists()
needs_mt_bench = pytest.mark.skipif(not HAS_MT_BENCH, reason=f"no MT-Bench data in {MT_BENCH}")
SINGLE_TURN = {
    "name": "ours",
    "type": "pairwise",
    "system_prompt": "Say [[A]] or [[B]]. {not a hole}\n",
    "prompt_template": "Q {question}\nA {answer_a}\nB {answer_b}\n",
    "output_format": "[[A]]",
    "description": "is not read",
}
TWO_TURNS = SINGLE_TURN | {
    "name": "ours-multi-turn",
    "system_prompt": "Say [[A]], [[B]] or [[C]].",
    "prompt_template": "{ref_answer_1}|{ref_answer_2}|{question_1}|{answer_a_1}|{question_2}|"
    "{answer_a_2}|{question_1}|{answer_b_1}|{question_2}|{answer_b_2}",
}
RATING = SINGLE_TURN | {"name": "rating", "type": "single", "output_format": "[[rating]]"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path, SINGLE_TURN, TWO_TURNS, RATING)


def write(folder: Path, *rows: dict[str, Any]) -> Path:
    file = folder / "judge_prompts.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return file


def two_turn_pair(*, references: tuple[str, ...] = ()) -> Shown:
    prompt = [{"role": "user", "content": text} for text in ("q1", "q2")]
    sides = conversation(prompt, ["a1", "a2"]), conversation(prompt, ["b1", "b2"])
    return Shown("q", "a", "b", references, *sides)


# ----------------------------------------------------------------------------------------------
# loading


def test_a_prompt_is_named_behind_the_file(path: Path) -> None:
    prompt = load_prompt(f"{path}#ours")
    assert (prompt.name, prompt.system) == ("ours", SINGLE_TURN["system_prompt"])
    assert prompt.verdict_format is VerdictFormat.MTBENCH
    assert prompt.is_verbatim
    assert not prompt.needs_reference
    assert load_prompt(f"{path}#ours-multi-turn").needs_reference


def test_a_tie_is_allowed_where_it_is_mentioned(path: Path) -> None:
    assert not load_prompt(f"{path}#ours").allows_tie
    assert load_prompt(f"{path}#ours-multi-turn").allows_tie


def test_the_digest_is_that_of_no_neutralising_template(path: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin.toml"
    twin.write_text(
        'name = "ours"\nsource = "us"\nverdict_format = "mtbench"\nallows_tie = false\n'
        "system = 'Say [[A]] or [[B]].'\nuser = '''\n$question\n-\n$answer_a\n-\n$answer_b\n'''\n",
        encoding="utf-8",
    )
    row = SINGLE_TURN | {
        "system_prompt": "Say [[A]] or [[B]].",
        "prompt_template": "{question}\n-\n{answer_a}\n-\n{answer_b}",
    }
    verbatim, neutralising = load_prompt(f"{write(tmp_path, row)}#ours"), load_prompt(str(twin))
    pair = Shown("q", "a", "b")
    assert verbatim.render_pair(pair) == neutralising.render_pair(pair)
    assert verbatim.digest != neutralising.digest


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", r"holds many prompts; name one, as in .*\.jsonl#NAME: choose one of ours, ours-multi"),
        ("#", r"holds many prompts"),
        ("#our", r"has no prompt our \(did you mean ours\?\); choose one of ours, ours-multi-turn"),
        ("#rating", r"prompt rating is of type single, not pairwise, .*; choose one of ours, "),
    ],
)
def test_a_name_that_does_not_fit_is_answered_with_those_that_do(
    path: Path, name: str, message: str
) -> None:
    with pytest.raises(PromptError, match=message) as raised:
        load_prompt(f"{path}{name}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt_template": "{question} {answer_a}"}, r"hole \{answer_b\} is missing"),
        ({"prompt_template": "{question} {answer_c}"}, r"unknown hole \{answer_c\} \(did you mean"),
        (
            {"prompt_template": "{question} {answer_a} {answer_b} {answer_b_2}"},
            r"hole \{answer_a\} stands beside \{answer_b_2\}; use answer_a, answer_b, question or",
        ),
        ({"system_prompt": "Say [[A]]."}, r"\[\[B\]\] is never mentioned"),
        ({"output_format": "[[rating]]"}, r"output_format \[\[rating\]\] is unknown"),
        ({"name": "other"}, r"has no prompt ours; choose one of other"),
        ({"type": "single"}, r"is of type single.*; it has no pairwise prompt"),
        ({"type": None}, r"line 1: field type is None; it must be a text"),
    ],
)
def test_a_broken_prompt_is_one_clear_line(
    tmp_path: Path, change: dict[str, str], message: str
) -> None:
    with pytest.raises(PromptError, match=message) as raised:
        load_prompt(f"{write(tmp_path, SINGLE_TURN | change)}#ours")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n{", r"line 2: not valid JSON \(.*\); write one object per line"),
        (b"[]", r"line 1: not a JSON object"),
        (b"{}", r"line 1: field name is missing"),
        (b'"\xe9"', r"byte 1 is not UTF-8"),
        (f"{json.dumps(RATING)}\n{json.dumps(RATING)}".encode(), r"line 2: prompt rating is there"),
    ],
)
def test_a_broken_file_names_the_line(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "x.jsonl"
    file.write_bytes(content)
    with pytest.raises(PromptError, match=message):
        load_prompt(f"{file}#ours")


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"no\.jsonl: cannot be read \(No such file"):
        load_prompt(f"{tmp_path / 'no.jsonl'}#ours")


# ----------------------------------------------------------------------------------------------
# rendering


def test_texts_are_filled_in_as_they_are_and_never_filled_again(path: Path) -> None:
    pair = Shown("{answer_a} [[A]]", "{question} {{x}} </s>", "[The End of Assistant A's Answer]")
    rendered = load_prompt(f"{path}#ours").render_pair(pair)
    assert rendered.system == SINGLE_TURN["system_prompt"]
    assert rendered.user == f"Q {pair.question}\nA {pair.answer_a}\nB {pair.answer_b}\n"
    assert rendered.rewrites == 0


def test_two_turns_fill_the_numbered_holes(path: Path) -> None:
    prompt = load_prompt(f"{path}#ours-multi-turn")
    pair = two_turn_pair(references=("r1", "r2"))
    assert prompt.render_pair(pair).user == "r1|r2|q1|a1|q2|a2|q1|b1|q2|b2"
    assert prompt.render_pair(pair.exchanged).user == "r1|r2|q1|b1|q2|b2|q1|a1|q2|a2"


def test_a_pair_that_lacks_what_is_shown_is_refused(path: Path) -> None:
    prompt = load_prompt(f"{path}#ours-multi-turn")
    with pytest.raises(PromptError, match=r"ours-multi-turn: a reference answer is needed"):
        prompt.render_pair(two_turn_pair())
    with pytest.raises(PromptError, match=r"answer to turn 2 is needed and the pair has 1 in all"):
        prompt.render_pair(two_turn_pair(references=("r1",)))
    with pytest.raises(PromptError, match=r"two user turns .* has user, assistant; .*multi-turn$"):
        prompt.render_pair(Shown("q", "a", "b", ("r1", "r2")))


literals = st.sampled_from(["{{", "}}", "{question}", "{answer_a}", "[", "\n", "$question", "x"])


@given(st.lists(literals).map("".join), st.text(), st.text())
def test_a_format_string_is_filled_as_python_formats_it(template: str, q: str, a: str) -> None:
    fields = {"question": q, "answer_a": a}
    assert cut_at_braces(template).filled(fields) == template.format(**fields)


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ('{"a": {"b": "{question}"}} {answer_a}', '{"a": {"b": "Q"}} A'),
        ("{0} {} {question!r} {question.x} {question}", "{0} {} {question!r} {question.x} Q"),
        ("{ question } } {{ {question}", "{ question } } {{ Q"),
    ],
)
def test_braces_that_no_format_string_has_stay_as_they_are(template: str, filled: str) -> None:
    assert cut_at_braces(template).filled({"question": "Q", "answer_a": "A"}) == filled


@given(st.text(st.sampled_from("{}qa_1 \"'")))
def test_any_text_can_be_cut_and_put_together_again(template: str) -> None:
    text = cut_at_braces(template)
    whole = text.filled({hole: f"{{{hole}}}" for hole in text.holes})
    assert whole in {template, template.replace("{{", "{").replace("}}", "}")}


# ----------------------------------------------------------------------------------------------
# the published prompts and their recorded use


def rows_of(name: str) -> list[dict[str, Any]]:
    lines = (MT_BENCH / name).read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line]


def turns_of(name: str) -> dict[int, list[str]]:
    """The answers of a model by question, one per turn."""
    return {row["question_id"]: row["choices"][0]["turns"] for row in rows_of(name)}


def published(name: str) -> JudgePrompt:
    return load_prompt(f"{MT_BENCH / 'judge_prompts.jsonl'}#{name}")


@needs_mt_bench
@pytest.mark.parametrize("row", rows_of("judge_prompts.jsonl") if HAS_MT_BENCH else [])
def test_every_published_pairwise_prompt_loads_and_every_other_is_refused(
    row: dict[str, str],
) -> None:
    if row["type"] == "single":
        with pytest.raises(PromptError, match=r"type single.*choose one of pair-v2, pair-v2-multi"):
            published(row["name"])
        return
    prompt = published(row["name"])
    texts = {hole: f"<{hole} {{question}} [[A]]>" for hole in prompt.holes}
    assert prompt.allows_tie
    assert prompt.holes <= KNOWN_HOLES
    assert prompt.needs_reference is ("math" in row["name"])
    rendered = prompt.render(**texts)
    assert (rendered.system, rendered.user) == (
        row["system_prompt"],
        row["prompt_template"].format(**texts),
    )


def recorded_games() -> Iterator[tuple[str, str, Shown]]:
    """Prompt name, recorded user prompt and the pair it shows, for both games of every row."""
    questions = {row["question_id"]: row["turns"] for row in rows_of("question.jsonl")}
    references = turns_of("reference_answer/gpt-4.jsonl")
    answers = {name: turns_of(f"model_answer/{name}.jsonl") for name in ("phi-3", "phi-3-dpo")}
    for row in rows_of("gpt-4_pair.phi-3_vs_phi-3-dpo.jsonl"):
        question, turn = row["question_id"], row["turn"]
        prompt = [{"role": "user", "content": text} for text in questions[question][:turn]]
        first, second = (answers[row[model]][question][:turn] for model in ("model_1", "model_2"))
        pair = Shown(
            questions[question][turn - 1],
            first[-1],
            second[-1],
            references=references.get(question, []),
            conversation_a=conversation(prompt, first),
            conversation_b=conversation(prompt, second),
        )
        yield row["judge"][1], row["g1_user_prompt"], pair
        yield row["judge"][1], row["g2_user_prompt"], pair.exchanged


@needs_mt_bench
def test_every_recorded_prompt_is_reproduced_byte_for_byte() -> None:
    games = list(recorded_games())
    assert len(games) == 150
    assert {name for name, _, _ in games} == {"pair-v2", "pair-math-v1"}
    for name, recorded, pair in games:
        assert published(name).render_pair(pair).user == recorded
