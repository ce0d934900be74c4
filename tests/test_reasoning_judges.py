"""Judges that think first: thinking is kept apart, never read for a verdict, and has its budget."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.backends.body import chat_body
from judge.backends.vllm import effort_of, sampling_of
from judge.backends.wire import Answer, read_reply
from judge.chat import Reply
from judge.cli.summary import dropped_lines
from judge.errors import ConfigError
from judge.job.judging import ResolvedJudge, request_of, resolve_judge
from judge.job.pipeline import JobInput, RunResult, run_job
from judge.job.progress import MOST_REASONS, Progress
from judge.prices.budget import Budget
from judge.records import Judgment, Order, Status, Verdict
from judge.replies.reading import Read
from judge.replies.reading import read_reply as read_verdict
from judge.settings.config import Endpoint, Judge, Settings
from judge.simulator.server import running_simulator
from judge.simulator.settings import MODEL, Reasoning, SimulatorSettings
from judge.start.check_steps import Mark, Step
from judge.start.checking import check_everything
from prompts.template import Rendered, VerdictFormat
from tests.fakes import rows, write_pairs

THOUGHT = "B is longer, so\n\n[[B]]"


def read(message: dict[str, Any], finish_reason: str = "stop") -> Reply:
    choice = {"message": message, "finish_reason": finish_reason}
    return read_reply(Answer(200, {}, json.dumps({"choices": [choice]}).encode()), latency_s=0.1)


def verdict_of(reply: Reply, verdict_format: VerdictFormat = VerdictFormat.MTBENCH) -> Read:
    return read_verdict(reply, allows_tie=True, verdict_format=verdict_format)


FORMS: list[dict[str, Any]] = [
    {"content": "[[A]]", "reasoning_content": THOUGHT},
    {"content": "[[A]]", "reasoning": THOUGHT},
    {"content": "[[A]]", "reasoning": THOUGHT, "reasoning_content": THOUGHT},
    {"content": "[[A]]", "reasoning_details": [{"type": "reasoning.text", "text": THOUGHT}]},
    {"content": "[[A]]", "reasoning_details": [{"type": "reasoning.summary", "summary": THOUGHT}]},
    {"content": "[[A]]", "thinking_blocks": [{"type": "thinking", "thinking": THOUGHT}]},
    {"content": [{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": "[[A]]"}]},
    {
        "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]},
            {"type": "text", "text": "[[A]]"},
        ]
    },
    {"content": [{"type": "text", "text": "[[A]]"}, {"type": "reasoning", "text": THOUGHT}]},
]


@pytest.mark.parametrize("message", FORMS)
def test_thinking_is_kept_apart_wherever_it_comes(message: dict[str, Any]) -> None:
    reply = read(message)
    assert (reply.text, reply.reasoning) == ("[[A]]", THOUGHT)
    assert verdict_of(reply).verdict is Verdict.A


@pytest.mark.parametrize(
    "message",
    [
        {"content": "[[A]]"},
        {"content": "[[A]]", "reasoning_content": None, "reasoning": "", "reasoning_details": []},
        {"content": "[[A]]", "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]},
        {"content": "[[A]]", "reasoning": 7, "thinking_blocks": {"thinking": [[[[[["deep"]]]]]]}},
    ],
)
def test_no_thinking_is_none(message: dict[str, Any]) -> None:
    assert read(message).reasoning is None


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "text", "thinking", "reasoning"]), inner)
    ),
)


@given(JSON, JSON, JSON)
def test_whatever_the_fields_hold_a_reply_is_read(one: Any, two: Any, three: Any) -> None:
    reply = read({"content": one, "reasoning_content": two, "reasoning_details": three})
    assert isinstance(reply.text, str)
    assert reply.reasoning is None or reply.reasoning


def test_a_lone_surrogate_in_thinking_can_be_stored() -> None:
    body = b'{"choices": [{"message": {"content": "[[A]]", "reasoning": "\\ud800"}, '
    reply = read_reply(Answer(200, {}, body + b'"finish_reason": "stop"}]}'), latency_s=0.1)
    assert reply.reasoning is not None
    reply.reasoning.encode()


@pytest.mark.parametrize("text", ["", "  \n", f"<think>{THOUGHT}</think>", "<think></think>\n"])
@pytest.mark.parametrize("verdict_format", [VerdictFormat.MTBENCH, VerdictFormat.JSON])
def test_a_verdict_in_the_thinking_alone_is_none_and_the_reason_says_so(
    text: str, verdict_format: VerdictFormat
) -> None:
    thought = THOUGHT if verdict_format is VerdictFormat.MTBENCH else '{"verdict": "B"}'
    found = verdict_of(read({"content": text, "reasoning_content": thought}), verdict_format)
    assert (found.verdict, found.status) == (None, Status.UNPARSED)
    assert "thinking without an answer" in str(found.reason)
    assert "reasoning_tokens" in str(found.reason)


@pytest.mark.parametrize(
    "message",
    [
        {"content": "", "reasoning_content": THOUGHT},
        {"content": None, "reasoning": THOUGHT},
        {"content": f"<think>{THOUGHT}"},
        {"content": f"<thinking>\n{THOUGHT}\n"},
        {"content": f"[THINK]{THOUGHT}"},
    ],
)
def test_a_reply_cut_inside_its_thinking_is_truncated_and_names_its_budget(
    message: dict[str, Any],
) -> None:
    found = verdict_of(read(message, "length"))
    assert (found.verdict, found.status) == (None, Status.TRUNCATED)
    assert "inside its thinking; raise reasoning_tokens" in str(found.reason)


def test_a_reply_cut_after_its_thinking_names_the_budget_of_the_reply() -> None:
    found = verdict_of(read({"content": "Well, [[A]]", "reasoning": THOUGHT}, "length"))
    assert found.status is Status.TRUNCATED
    assert "raise max_tokens" in str(found.reason)


def test_a_think_tag_that_never_closes_is_no_verdict_though_the_server_says_stop() -> None:
    found = verdict_of(read({"content": f"<think>{THOUGHT}"}))
    assert (found.verdict, found.status) == (None, Status.UNPARSED)
    assert "never closed" in str(found.reason)
    assert "reasoning_tokens" in str(found.reason)


def test_a_flaw_of_the_answer_is_not_blamed_on_thinking() -> None:
    found = verdict_of(read({"content": "Both are fine.", "reasoning_content": THOUGHT}))
    assert found.status is Status.UNPARSED
    assert "thinking" not in str(found.reason)


def test_the_models_own_refusal_is_refused_in_its_words() -> None:
    reply = read({"content": None, "refusal": "I cannot compare these. [[A]]"})
    assert reply.text.startswith("I cannot")
    assert verdict_of(reply).status is Status.REFUSED
    assert verdict_of(read({"content": "[[A]]", "refusal": "no"})).verdict is Verdict.A


def resolved(judge: dict[str, Any], **endpoint: Any) -> tuple[ResolvedJudge, Endpoint]:
    where = Endpoint(base_url="http://127.0.0.1:1/v1", **endpoint)
    return resolve_judge(Judge(model="m", **judge), where), where


def body_of(judge: dict[str, Any], **endpoint: Any) -> dict[str, Any]:
    ready, where = resolved(judge, **endpoint)
    return chat_body(request_of(ready, Rendered("s", "u", 0)), where)


def test_nothing_about_thinking_is_sent_unless_it_is_set() -> None:
    plain = {"model", "messages", "temperature", "max_tokens"}
    assert body_of({}).keys() == plain
    assert body_of({"reasoning_tokens": 500}).keys() == plain


def test_room_for_thinking_comes_on_top_and_is_asked_of_the_endpoint_where_it_has_a_field() -> None:
    judge = {"reasoning_tokens": 500, "max_tokens": 100, "reasoning_effort": "high"}
    sent = body_of(judge, reasoning_tokens_field="thinking_token_budget")
    assert (sent["max_tokens"], sent["thinking_token_budget"]) == (600, 500)
    assert sent["reasoning_effort"] == "high"
    nested = body_of(judge, reasoning_tokens_field="reasoning.max_tokens")
    assert nested["reasoning"] == {"max_tokens": 500}
    newer = body_of(judge, max_tokens_field="max_completion_tokens")
    assert newer["max_completion_tokens"] == 600


def test_how_a_judge_thinks_is_part_of_what_it_is() -> None:
    told: list[dict[str, Any]] = [
        {},
        {"reasoning_effort": "low"},
        {"reasoning_effort": "high"},
        {"reasoning_tokens": 500},
        {"temperature": False},
    ]
    assert len({resolved(judge)[0].judge_key for judge in told}) == len(told)
    limited = resolved({"reasoning_tokens": 500}, reasoning_tokens_field="thinking_budget")
    assert limited[0].judge_key != resolved({"reasoning_tokens": 500})[0].judge_key


@pytest.mark.parametrize(
    ("field", "extra"), [("temperature", {}), ("reasoning.max_tokens", {"reasoning": {"x": 1}})]
)
def test_two_settings_for_one_field_are_refused(field: str, extra: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="remove one of them"):
        resolved({"reasoning_tokens": 9}, reasoning_tokens_field=field, extra_body=extra)


def test_a_budget_reserves_the_room_for_thinking_too() -> None:
    ready, _ = resolved({"reasoning_tokens": 500, "max_tokens": 100})
    without, _ = resolved({"max_tokens": 100})
    budget = Budget(tokens=10_000)
    reserved = [
        budget.most_of(request_of(judge, Rendered("s", "u", 0))).tokens
        for judge in (ready, without)
    ]
    assert reserved[0] - reserved[1] == 500


def test_in_this_process_effort_is_the_chat_templates_and_a_limit_the_engines() -> None:
    judge = Judge(model="m", reasoning_effort="low", reasoning_tokens=64)
    where = Endpoint(engine="vllm", reasoning_tokens_field="thinking_token_budget")
    request = request_of(resolve_judge(judge, where), Rendered("s", "u", 0))
    assert effort_of(request) == {"reasoning_effort": "low"}
    sampling = sampling_of(request, {}, {}, room=4096)
    assert sampling == {
        "temperature": 0.0,
        "thinking_token_budget": 64,
        "max_tokens": 1024 + 64,
    }


async def job(folder: Path, simulator: SimulatorSettings, **judge: Any) -> RunResult:
    pairs = write_pairs(folder / "pairs.jsonl", 12)
    async with running_simulator(simulator) as server:
        settings = Settings(
            endpoints={"default": Endpoint(base_url=server.base_url)},
            judges=(Judge(model=MODEL, **judge),),
        )
        return await run_job(JobInput(str(pairs)), settings, folder / "x.db", environ={})


def said(folder: Path) -> list[tuple[Any, ...]]:
    return sorted(
        (row["content_id"], row["judge_order"] if "judge_order" in row else row["order"],
         row["verdict"])
        for row in rows(folder / "x.db", "judgments")
    )  # fmt: skip


@pytest.mark.parametrize("prompt", ["pair-tie", "pair-json", "verdict"])
@pytest.mark.parametrize("where", [Reasoning.FIELD, Reasoning.TAGS])
async def test_a_thinking_judge_says_what_it_says_without_and_its_guesses_are_not_read(
    tmp_path: Path, prompt: str, where: Reasoning
) -> None:
    plain, thinking = tmp_path / "plain", tmp_path / "thinking"
    for folder, reasoning in ((plain, Reasoning.NONE), (thinking, where)):
        folder.mkdir()
        result = await job(folder, SimulatorSettings(reasoning=reasoning), prompt=prompt)
        assert result.dropped == 0
    assert said(thinking) == said(plain)
    for row in rows(thinking / "x.db", "judgments"):
        is_apart = where is Reasoning.FIELD
        assert (row["reasoning"] is not None) is is_apart
        assert ("<think>" in row["reply"]) is not is_apart


async def test_a_judge_that_says_all_in_its_thinking_gives_no_label(tmp_path: Path) -> None:
    result = await job(tmp_path, SimulatorSettings(reasoning=Reasoning.ONLY))
    assert result.dropped == 24
    assert result.exit_code == 3
    assert [row["reply"] for row in rows(tmp_path / "x.db", "judgments")] == [""] * 24
    assert all("[[" in row["reasoning"] for row in rows(tmp_path / "x.db", "judgments"))
    [warning] = dropped_lines(result.progress)
    assert "24 asks without a verdict" in warning
    assert "never read for a verdict" in warning


def test_only_a_notable_share_without_a_verdict_is_warned_of_and_few_causes_are_kept() -> None:
    progress = Progress(judged=100)
    progress.drop_reasons["the reply is strange"] = 4
    assert dropped_lines(progress) == []
    progress.drop_reasons["the reply is strange"] = 5
    assert len(dropped_lines(progress)) == 1
    judgment = Judgment(
        judgment_id="j", content_id="c", judge_key="k", order=Order.FORWARD, reply="",
        verdict=None, status=Status.FAILED, parser="p", created_at="",
    )  # fmt: skip
    for number in range(2 * MOST_REASONS):
        progress.note_judgment(judgment.model_copy(update={"reason": f"cause {number}"}))
    assert len(progress.drop_reasons) == MOST_REASONS


async def test_a_check_tells_of_thinking_and_names_one_remedy(tmp_path: Path) -> None:
    async def found(reasoning: Reasoning) -> Step:
        async with running_simulator(SimulatorSettings(reasoning=reasoning)) as server:
            told = {"endpoints.default.base_url": server.base_url, "judges.0.model": MODEL}
            result = await check_everything(None, tmp_path / "x.db", overrides=told, environ={})
        return next(step for step in result.steps if "finish reason" in step.found)

    beside = await found(Reasoning.FIELD)
    assert (beside.mark, "thinking of 1," in beside.found) == (Mark.OK, True)
    alone = await found(Reasoning.ONLY)
    assert (alone.mark, alone.remedy) == (Mark.FAILED, None)
    assert "raise reasoning_tokens" in alone.found


@pytest.mark.parametrize("where", [Reasoning.FIELD, Reasoning.TAGS])
async def test_a_reply_cut_inside_thinking_is_asked_again_with_twice_all_the_room(
    tmp_path: Path, where: Reasoning
) -> None:
    simulator = SimulatorSettings(reasoning=where, reasoning_words=300, reply_words=20)
    result = await job(tmp_path, simulator, max_tokens=150)
    assert result.dropped == 24
    [row, *_] = rows(tmp_path / "x.db", "judgments")
    assert (row["status"], row["attempts"], row["output_tokens"]) == ("truncated", 2, 300)
    assert "raise reasoning_tokens" in row["reason"]
    roomy = await job(tmp_path, simulator, max_tokens=150, reasoning_tokens=250)
    assert roomy.dropped == 0
    assert max(row["attempts"] for row in rows(tmp_path / "x.db", "judgments")) == 2
