"""Reading what an endpoint sent: replies, errors and Retry-After. Pure, hostile bodies included."""

import json
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from judge.backends.refusals import LOGPROBS, refused_field
from judge.backends.wire import (
    MOST_TOKENS,
    QUOTED_CHARS,
    Answer,
    listed_models,
    read_error,
    read_reply,
    retry_after_s,
)
from judge.chat import Reply
from judge.errors import (
    AccountError,
    EndpointError,
    ItemError,
    ThrottledError,
    TransientError,
)


def body_of(content: Any = "[[A]]", finish_reason: Any = "stop", **more: Any) -> bytes:
    choice = {"message": {"role": "assistant", "content": content}, "finish_reason": finish_reason}
    return json.dumps({"choices": [choice], **more}).encode()


def read(body: bytes, *, accept_missing: bool = False) -> Reply:
    answer = Answer(200, {}, body)
    return read_reply(answer, latency_s=1.5, accept_missing_finish_reason=accept_missing)


def error_of(status: int, body: bytes = b"", **headers: str) -> EndpointError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_error(Answer(status, named, body), where="local")


def envelope(code: Any = None, kind: Any = None, message: Any = "no") -> bytes:
    return json.dumps({"error": {"message": message, "type": kind, "code": code}}).encode()


def test_a_reply_is_read_with_its_usage() -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": 34, "total_tokens": 46}
    assert read(body_of("Why.\n[[B]]", usage=usage)) == Reply("Why.\n[[B]]", "stop", 12, 34, 1.5)


@pytest.mark.parametrize(
    "usage", [None, [], {}, "x", {"prompt_tokens": None}, {"prompt_tokens": -1}]
)
def test_missing_usage_is_none(usage: Any) -> None:
    reply = read(body_of(usage=usage))
    assert (reply.input_tokens, reply.output_tokens) == (None, None)


@pytest.mark.parametrize("count", [True, 2**63, MOST_TOKENS + 1, -1, 1.5, "7", [1]])
def test_a_count_that_no_ledger_could_hold_is_none(count: Any) -> None:
    usage = {"prompt_tokens": count, "completion_tokens": 3}
    assert read(body_of(usage=usage)).input_tokens is None


def test_tokens_from_a_prefix_cache_are_counted_where_they_are_told() -> None:
    usage = {"prompt_tokens": 12, "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 0}}
    assert read(body_of(usage=usage)).cached_tokens == 8


@pytest.mark.parametrize("details", [None, [], "x", {}, {"cached_tokens": -1}])
def test_untold_cached_tokens_are_none(details: Any) -> None:
    usage = {"prompt_tokens": 12, "prompt_tokens_details": details}
    reply = read(body_of(usage=usage))
    assert (reply.input_tokens, reply.cached_tokens) == (12, None)


def token(text: Any, logprob: Any, **more: Any) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": None} | more


def with_logprobs(logprobs: Any) -> bytes:
    document = json.loads(body_of("A"))
    document["choices"][0]["logprobs"] = logprobs
    return json.dumps(document).encode()


def test_alternatives_are_read_token_by_token_the_taken_one_first() -> None:
    tops = [token("A", -0.2), token("B", -1.5), token(" A", -4)]
    said = [token("B", -1.5, top_logprobs=tops), token("<|end|>", -0.1)]
    [first, second] = read(with_logprobs({"content": said, "refusal": None})).alternatives
    assert list(first.items()) == [("B", -1.5), ("A", -0.2), (" A", -4.0)]
    assert second == {"<|end|>": -0.1}


def test_a_logarithm_is_kept_within_what_can_be_computed_with() -> None:
    tops = [token("B", -9999.0), token("C", -1e9), token("D", -(10**400)), token("E", 1e-6)]
    [found] = read(with_logprobs({"content": [token("A", 0, top_logprobs=tops)]})).alternatives
    assert found == {"A": 0.0, "B": -9999.0, "C": -10_000.0, "D": -10_000.0, "E": 0.0}


@pytest.mark.parametrize(
    "logprobs",
    [
        *(None, [], {}, "x", 7, {"content": None}, {"content": []}, {"content": 7}),
        {"content": [None]},
        {"content": [{"token": "A"}]},
        {"content": [token("A", None)]},
        {"content": [token("A", "-0.1")]},
        {"content": [token("A", True)]},
        {"content": [token("A", 0.5)]},
        {"content": [token("A", float("nan"))]},
        {"content": [token("A", float("inf"))]},
        {"content": [token(None, -0.1)]},
        {"content": [token(["A"], -0.1)]},
        {"content": [token("A", -0.1, top_logprobs=7)]},
        {"content": [token("A", -0.1, top_logprobs=[None])]},
        {"content": [token("A", -0.1), token("B", "no")]},
        {"tokens": ["A"], "token_logprobs": [-0.1]},
    ],
)
def test_alternatives_that_make_no_sense_leave_a_reply_without_them(logprobs: Any) -> None:
    reply = read(with_logprobs(logprobs))
    assert (reply.text, reply.alternatives) == ("A", ())


def param_error(message: str, param: str | None) -> bytes:
    return json.dumps({"error": {"message": message, "param": param, "code": None}}).encode()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, param_error("This model does not support it.", "logprobs")),
        (400, param_error("must be at most 5", "top_logprobs")),
        (400, param_error("Logprobs are not available.", None)),
        (403, param_error("You are not allowed to request logprobs from this model.", None)),
        (422, json.dumps({"detail": [{"loc": ["body", "logprobs"], "msg": "extra"}]}).encode()),
        (404, b"no logprobs here"),
    ],
)
def test_a_refusal_that_names_logprobs_is_one_of_them(status: int, body: bytes) -> None:
    assert refused_field(Answer(status, {}, body), LOGPROBS)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, param_error("the context is too long", "messages")),
        (400, b""),
        (400, b"[]"),
        (200, param_error("logprobs", None)),
        (401, param_error("logprobs", None)),
        (429, param_error("logprobs", None)),
        (500, param_error("logprobs", None)),
    ],
)
def test_any_other_error_is_none_of_them(status: int, body: bytes) -> None:
    assert not refused_field(Answer(status, {}, body), LOGPROBS)


@pytest.mark.parametrize("content", [None, 7, {}, [], [1, None, {"type": "image"}]])
def test_content_that_is_no_text_is_an_empty_reply(content: Any) -> None:
    assert read(body_of(content)).text == ""


def test_parts_of_text_are_joined() -> None:
    parts = [{"type": "text", "text": "Why. "}, {"type": "text", "text": "[[A]]"}]
    assert read(body_of(parts)).text == "Why. [[A]]"


def test_lone_surrogates_are_replaced_so_that_the_text_can_be_stored() -> None:
    body = body_of("x").replace(b'"x"', rb'"a\ud800b [[A]]"')
    assert read(body).text == "a\ufffdb [[A]]"
    read(body).text.encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502 Bad Gateway</html>",
        b"{",
        body_of()[:-2],
        b"null",
        b"[]",
        b'"text"',
        b"7",
        b"{}",
        b'{"choices": []}',
        b'{"choices": {}}',
        b'{"choices": [null]}',
        b'{"choices": [{"finish_reason": "stop"}]}',
        b'{"choices": [{"message": null, "finish_reason": "stop"}]}',
        b'{"choices": [{"message": [], "finish_reason": "stop"}]}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"choices":' * 50_000,
        b"[" * 5_000 + b"]" * 5_000,
        b'{"choices": [' + b"9" * 10_000 + b"]}",
        envelope("server_error"),
    ],
)
def test_a_200_without_a_whole_reply_is_transient(body: bytes) -> None:
    with pytest.raises(TransientError) as caught:
        read(body)
    assert not isinstance(caught.value, ThrottledError)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < QUOTED_CHARS + 100


@pytest.mark.parametrize("finish_reason", [None, "error", "abort"])
def test_a_reply_that_may_be_cut_is_transient(finish_reason: str | None) -> None:
    with pytest.raises(TransientError, match="finish_reason"):
        read(body_of("[[A]]", finish_reason))


def test_a_missing_finish_reason_counts_as_stop_only_on_request() -> None:
    body = b'{"choices": [{"message": {"content": "[[A]]"}}]}'
    with pytest.raises(TransientError, match="accept_missing_finish_reason"):
        read(body)
    assert read(body, accept_missing=True).finish_reason == "stop"
    assert read(body_of(finish_reason=None), accept_missing=True).finish_reason == "stop"
    assert read(body_of(finish_reason="length"), accept_missing=True).finish_reason == "length"


@pytest.mark.parametrize("reason", ["length", "content_filter", "tool_calls", 7, ["x"], {"a": 1}])
def test_other_finish_reasons_are_kept_as_words(reason: Any) -> None:
    assert read(body_of(finish_reason=reason)).finish_reason == str(reason)


def test_a_hostile_finish_reason_is_short_and_printable() -> None:
    body = body_of(finish_reason="x").replace(b'"x"', rb'"\ud800\u001b[2J' + b"y" * 9999 + b'"')
    reason = read(body).finish_reason
    assert reason.isprintable()
    assert len(reason) <= QUOTED_CHARS


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=20))
def test_any_json_is_a_reply_or_a_transient_error(value: Any) -> None:
    for document in (value, {"choices": value}, {"choices": [value]}, {"error": value}):
        try:
            read(to_json(document))
        except TransientError:
            continue


@given(st.binary(max_size=200), st.integers(300, 599))
def test_any_answer_other_than_200_is_an_error_of_ours(body: bytes, status: int) -> None:
    error = error_of(status, body)
    assert str(error).isprintable()
    assert str(status) in str(error)


@pytest.mark.parametrize("status", [408, 409, 425, 500, 501, 502, 503, 504, 520, 529, 599])
def test_errors_that_may_pass_are_transient_and_named_by_status(status: int) -> None:
    error = error_of(status)
    assert type(error) is TransientError
    assert error.kind == str(status)


def test_a_429_is_a_throttle_with_the_wait_it_asks_for() -> None:
    error = error_of(429, envelope("rate_limit_exceeded"), Retry_After="20")
    assert isinstance(error, ThrottledError)
    assert (error.retry_after_s, error.kind) == (20.0, "429")


@pytest.mark.parametrize(
    "body",
    [
        envelope("insufficient_quota"),
        envelope(None, "insufficient_quota"),
        envelope("429", "insufficient_quota"),
        envelope("billing_hard_limit_reached"),
    ],
)
def test_a_429_for_lack_of_credit_is_certainly_the_account(body: bytes) -> None:
    error = error_of(429, body, Retry_After="20")
    assert isinstance(error, AccountError)
    assert error.is_certain
    assert "credit" in str(error)


@pytest.mark.parametrize(
    ("status", "is_certain", "remedy"),
    [
        (401, False, "api_key_env"),
        (402, True, "add credit"),
        (403, False, "permissions"),
        (404, False, "model's name"),
    ],
)
def test_account_errors_name_the_remedy(status: int, is_certain: bool, remedy: str) -> None:
    error = error_of(status, envelope("some_code", message="who are you"))
    assert isinstance(error, AccountError)
    assert error.is_certain is is_certain
    assert str(error).startswith(f"local: HTTP {status} some_code: who are you; ")
    assert remedy in str(error)


@pytest.mark.parametrize("status", [400, 405, 413, 415, 422, 451])
def test_what_the_endpoint_will_never_accept_is_an_item_error(status: int) -> None:
    error = error_of(status, envelope("context_length_exceeded"))
    assert isinstance(error, ItemError)
    assert not error.is_refusal


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
def test_a_content_filter_is_a_refusal(code: str) -> None:
    error = error_of(400, envelope(code))
    assert isinstance(error, ItemError)
    assert error.is_refusal


def test_a_redirect_says_where_to_go_without_obeying_the_text() -> None:
    error = error_of(308, Location="https://new.example/v1\x1b[2J\n" + "x" * 999)
    assert isinstance(error, AccountError)
    assert "https://new.example/v1" in str(error)
    assert str(error).isprintable()
    assert len(str(error)) < QUOTED_CHARS + 100


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": "plain\\nwords"}', "plain words"),
        (b'{"message": "top level"}', "top level"),
        (b'{"detail": "of FastAPI"}', "of FastAPI"),
        (b'{"error": {"message": ["a", "list"]}}', "list"),
        (b"<h1>nginx</h1>", "<h1>nginx</h1>"),
        (b"", "(empty body)"),
        (b"[" * 100_000, "[[["),
        (b'{"error": {"message": "m", "code": {"a": "\\n"}}}', "m"),
        (envelope(404, message="by number"), "404: by number"),
    ],
)
def test_error_bodies_of_any_shape_are_quoted_in_one_line(body: bytes, said: str) -> None:
    error = error_of(500, body)
    assert said in str(error)
    assert str(error).isprintable()
    assert len(str(error)) < 2 * QUOTED_CHARS + 100


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "20"}, 20.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "-3"}, 0.0),
        ({"retry-after-ms": "250", "Retry-After": "20"}, 0.25),
        ({"retry-after-ms": "soon", "Retry-After": "20"}, 20.0),
        ({"Retry-After": formatdate(1_000_000_060, usegmt=True)}, 60.0),
        ({"Retry-After": formatdate(999_999_000, usegmt=True)}, 0.0),
        ({"Retry-After": "Sun Sep  9 01:47:40 2001"}, 60.0),  # asctime: obsolete, still allowed
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "Fri, 31 Dec 99999 23:59:59 GMT"}, None),
        ({"Retry-After": "Fri, 99 Foo 2001 99:99:99 GMT"}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after_s(headers, now=1_000_000_000.0) == seconds


@given(st.text(max_size=40))
def test_any_retry_after_is_none_or_seconds(text: str) -> None:
    seconds = retry_after_s({"Retry-After": text, "retry-after-ms": text}, now=0.0)
    assert seconds is None or seconds >= 0.0


@pytest.mark.parametrize(
    ("body", "models"),
    [
        (b'{"data": [{"id": "a"}, {"id": "b"}]}', ("a", "b")),
        (b'{"data": []}', ()),
        (b'{"data": null}', ()),
        (b'{"models": []}', ()),
        (b'{"data": [{}]}', ()),
        (b"[1]", ()),
        (b"<html>", ()),
        (b"[" * 100_000, ()),
    ],
)
def test_models_are_listed_where_they_can_be_read(body: bytes, models: tuple[str, ...]) -> None:
    assert listed_models(body) == models
