"""Verdicts as JSON: one object of two texts, read as strictly as [[A]], and its schema sent."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.backends.body import chat_body
from judge.backends.vllm import sampling_of
from judge.errors import ConfigError
from judge.job.judging import request_of, resolve_judge
from judge.records import Status, Verdict
from judge.replies.ratings import Unreadable
from judge.replies.reading import read_reply_text
from judge.replies.verdict_json import parse_verdict_json, verdict_schema
from judge.settings.config import Endpoint, Judge
from prompts.errors import PromptError
from prompts.loader import load_prompt, parse_prompt
from prompts.template import Rendered, VerdictFormat

ENDPOINT = Endpoint(base_url="http://127.0.0.1:1/v1")
WORDS = st.text(max_size=40)
VERDICTS = st.sampled_from(Verdict)


def said(verdict: Any = "A", reasoning: Any = "A is right.", **more: Any) -> str:
    return json.dumps({"reasoning": reasoning, "verdict": verdict, **more})


def why_not(reply: str, *, allow_tie: bool = True) -> str:
    found = parse_verdict_json(reply, allow_tie=allow_tie)
    assert isinstance(found, Unreadable), found
    assert found.reason.isprintable()
    assert len(found.reason) < 200
    return found.reason


@given(VERDICTS, WORDS, st.text(" \t\r\n", max_size=5), st.booleans())
def test_one_object_with_the_two_keys_is_its_verdict(
    verdict: Verdict, reasoning: str, blanks: str, is_ascii: bool
) -> None:
    reply = json.dumps({"reasoning": reasoning, "verdict": verdict}, ensure_ascii=is_ascii)
    if "<" not in reply and "[" not in reply:  # think tags are tried below
        assert parse_verdict_json(blanks + reply + blanks) is verdict


@given(VERDICTS, WORDS)
def test_exchanging_the_verdicts_letters_exchanges_what_is_read(
    verdict: Verdict, reasoning: str
) -> None:
    letters = {"A": "B", "B": "A", "tie": "tie"}
    plain = parse_verdict_json(said(verdict.value, reasoning))
    swapped = parse_verdict_json(said(letters[verdict.value], reasoning))
    if isinstance(plain, Verdict):
        assert isinstance(swapped, Verdict)
        assert swapped.value == letters[plain.value]
    else:
        assert swapped == plain


@given(st.text(max_size=200))
def test_any_other_text_is_no_verdict(text: str) -> None:
    try:
        is_object = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        is_object = False
    if not is_object:
        assert isinstance(parse_verdict_json(text), Unreadable)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["A", "B", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["verdict", "reasoning", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON)
def test_only_two_texts_are_a_verdict_whatever_the_json(value: Any) -> None:
    found = parse_verdict_json(json.dumps(value))
    is_one = (
        isinstance(value, dict)
        and value.keys() == {"reasoning", "verdict"}
        and isinstance(value["reasoning"], str)
        and value["verdict"] in ("A", "B")
    )
    assert isinstance(found, Verdict) is is_one


@pytest.mark.parametrize(
    "reply",
    [
        f"```json\n{said()}\n```",
        f"```\n{said()}\n```",
        f"  ```json\r\n{said()}\r\n```\n",
        f"<think>\nB? {said('B')}\n</think>\n\n{said()}",
        f"I lean to B. {said('B')}</think>{said()}",
        '{"verdict": "A", "reasoning": ""}',
        '{"reasoning": "He wrote [[B]] and {\\"verdict\\": \\"B\\"}", "verdict": "\\u0041"}',
    ],
)
def test_a_fence_around_it_all_and_thinking_before_it_leave_the_verdict(reply: str) -> None:
    assert parse_verdict_json(reply) is Verdict.A


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "not one JSON object"),
        ("[[A]]", "not one JSON object"),
        ('"A"', "not one JSON object"),
        (f"[{said()}]", "not one JSON object"),
        (f"My verdict: {said()}", "not one JSON object"),
        (f"{said()}\nDone.", "not one JSON object"),
        (f"{said('B')}\n{said()}", "not one JSON object"),
        (f"```json\n{said('B')}\n```\n```json\n{said()}\n```", "not one JSON object"),
        (f"```python\n{said()}\n```", "not one JSON object"),
        (f"```json\n{said()}", "not one JSON object"),
        (f"\u00a0{said()}", "not one JSON object"),
        (f"\ufeff{said()}", "not one JSON object"),
        (said()[:-1], "not one JSON object"),
        (said()[:-1] + ",}", "not one JSON object"),
        ("{'reasoning': 'x', 'verdict': 'A'}", "not one JSON object"),
        ('{"reasoning": "x\ny", "verdict": "A"}', "not one JSON object"),
        ('{"reasoning": "x", "verdict": "B", "verdict": "A"}', 'the key "verdict" twice'),
        ('{"verdict": "A", "reasoning": "x", "reasoning": "y"}', 'the key "reasoning" twice'),
        ('{"reasoning": "x", "verdict": "A", "\\u0076erdict": "A"}', 'the key "verdict" twice'),
        (said(confidence="high"), 'not asked for: "confidence"'),
        (said(__proto__="x"), 'not asked for: "__proto__"'),
        ('{"verdict": "A"}', 'no key "reasoning"'),
        ('{"reasoning": "x"}', 'no key "verdict"'),
        ('{"reasoning": "x", "Verdict": "A"}', 'no key "verdict"'),
        (said("a"), 'is "a"; it must be one of A, B, tie'),
        (said("C"), 'is "C"'),
        (said(" A"), 'is " A"'),
        (said("[[A]]"), 'is "[[A]]"'),
        (said("\u0410"), 'is "\\u0410"'),
        (said("A" * 10_000), "..."),
        (said(None), "is null"),
        (said(True), "is true"),
        (said(["A"]), "is a list"),
        (said({"A": "B"}), "is a table"),
        (said(reasoning=None), '"reasoning" is not a text'),
        (said(1), "the number"),
        ('{"reasoning": "x", "verdict": ' + "9" * 100_000 + "}", "the number"),
        ('{"reasoning": "x", "verdict": 1e999999999}', "the number"),
        ('{"reasoning": "x", "verdict": NaN}', "the number"),
        ('{"a":' * 50_000, "not one JSON object"),
        ("[" * 200_000, "not one JSON object"),
        (f"<think>{said('B')}", "inside its thinking"),
    ],
)
def test_whatever_else_it_says_is_no_verdict_and_the_reason_is_told(
    reply: str, reason: str
) -> None:
    assert reason in why_not(reply)


def test_a_tie_that_was_not_offered_is_no_verdict() -> None:
    assert parse_verdict_json(said("tie")) is Verdict.TIE
    assert "one of A, B" in why_not(said("tie"), allow_tie=False)


def test_a_reply_without_a_verdict_is_unparsed_for_the_reason_found() -> None:
    read = read_reply_text(said("C"), "stop", allows_tie=True, verdict_format=VerdictFormat.JSON)
    assert read.status is Status.UNPARSED
    assert read.reason is not None
    assert '"C"' in read.reason
    cut = read_reply_text(said(), "length", allows_tie=True, verdict_format=VerdictFormat.JSON)
    assert cut.status is Status.TRUNCATED


def test_the_schema_offers_what_the_template_does_and_reasons_first() -> None:
    schema = verdict_schema(allow_tie=True)
    assert list(schema["properties"]) == ["reasoning", "verdict"] == schema["required"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["verdict"]["enum"] == ["A", "B", "tie"]
    assert verdict_schema(allow_tie=False)["properties"]["verdict"]["enum"] == ["A", "B"]


def test_the_schema_is_sent_where_the_prompt_wants_json() -> None:
    judge = resolve_judge(Judge(model="m", prompt="pair-json"), ENDPOINT)
    body = chat_body(request_of(judge, Rendered("s", "u", 0)), ENDPOINT)
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {
            "name": "verdict",
            "strict": True,
            "schema": verdict_schema(allow_tie=True),
        },
    }
    local = sampling_of(request_of(judge, Rendered("s", "u", 0)), {}, {}, room=99)
    assert local["structured_outputs"] == {"json": verdict_schema(allow_tie=True)}


def test_the_schema_can_be_left_to_the_prompt_which_is_another_judge() -> None:
    told = resolve_judge(Judge(model="m", prompt="pair-json"), ENDPOINT)
    untold = resolve_judge(Judge(model="m", prompt="pair-json", json_schema=False), ENDPOINT)
    assert "response_format" not in chat_body(request_of(untold, Rendered("s", "u", 0)), ENDPOINT)
    assert told.judge_key != untold.judge_key
    asked = Judge(model="m", prompt="pair-json", json_schema=True)
    assert resolve_judge(asked, ENDPOINT).judge_key == told.judge_key


def test_other_prompts_send_no_schema_and_refuse_one(tmp_path: Path) -> None:
    body = chat_body(
        request_of(resolve_judge(Judge(model="m"), ENDPOINT), Rendered("s", "u", 0)), ENDPOINT
    )
    assert "response_format" not in body
    fastchat = tmp_path / "judge_prompts.jsonl"
    template = {
        "name": "pair-v2",
        "type": "pairwise",
        "system_prompt": 'End with "[[A]]", "[[B]]" or "[[C]]" for a tie.',
        "prompt_template": "{question}\n{answer_a}\n{answer_b}",
        "output_format": "[[A]]",
    }
    fastchat.write_text(json.dumps(template))
    for prompt in ("pair-tie", "verdict", f"{fastchat}#pair-v2"):
        with pytest.raises(ConfigError, match=r'take prompt = "pair-json", or remove json_schema'):
            resolve_judge(Judge(model="m", prompt=prompt, json_schema=True), ENDPOINT)


def template(text: str, *, allows_tie: bool) -> bytes:
    return (
        f'name = "own"\nsource = "own"\nverdict_format = "json"\n'
        f"allows_tie = {str(allows_tie).lower()}\nsystem = '''{text}'''\n"
        "user = '''\n$question\n\n$answer_a\n\n$answer_b\n'''\n"
    ).encode()


OWN = 'Say "reasoning", then "verdict": "A", "B" or "tie".'


def test_a_template_of_ones_own_names_keys_and_verdicts() -> None:
    assert parse_prompt(template(OWN, allows_tie=True), "own").allows_tie
    without = template(OWN.replace(' or "tie"', ""), allows_tie=False)
    assert not parse_prompt(without, "own").allows_tie


@pytest.mark.parametrize(
    ("text", "allows_tie", "cause"),
    [
        (OWN.replace('"reasoning"', "why"), True, '"reasoning" is never mentioned'),
        (OWN.replace('"verdict"', "verdict"), True, '"verdict" is never mentioned'),
        (OWN.replace('"A"', "A"), True, '"A" is never mentioned'),
        (OWN.replace('"B"', "[[B]]"), True, '"B" is never mentioned'),
        (OWN.replace('"tie"', "a tie"), True, 'but "tie" is never mentioned'),
        (OWN, False, 'allows_tie is false but "tie" is mentioned'),
    ],
)
def test_a_template_that_leaves_one_out_is_refused(text: str, allows_tie: bool, cause: str) -> None:
    with pytest.raises(PromptError) as refused:
        parse_prompt(template(text, allows_tie=allows_tie), "own")
    assert cause in str(refused.value)


def test_the_built_in_template_is_in_its_own_format() -> None:
    assert load_prompt("pair-json").verdict_format is VerdictFormat.JSON
