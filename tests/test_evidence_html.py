"""The evidence as HTML: what is in it, what is cut, and that no text becomes markup."""

import gzip
import json
import random
import re
import subprocess
import sys
import time
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.report.evidence import (
    AnswerEvidence,
    Evidence,
    PairEvidence,
    Passage,
    ReplyEvidence,
    excerpt,
    shortened,
)
from tests.evidence_examples import HOSTILE, a_pair, everywhere, evidence_with, hostile_answer

pytest.importorskip("nh3", reason='the libraries of reports are missing: pip install ".[report]"')
pytest.importorskip("markdown_it", reason="markdown-it-py is missing")
pytest.importorskip("jinja2", reason="jinja2 is missing")

from calibration.report.html.evidence import EVIDENCE_CSS, EVIDENCE_JS, evidence_markup
from calibration.report.html.evidence_payload import payload_of
from calibration.report.html.model_text import model_markup, reply_markup

SHOWN_ATTRIBUTES = {"start"}


class Tags(HTMLParser):
    """Every start tag of a text with its attributes, and the text between tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(str(html))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def unpacked(html: str) -> list[dict[str, Any]]:
    """The pairs that a page holds for looking up."""
    found = re.search(r'id="ev-payload">([^<]*)</script>', html)
    assert found
    text = gzip.decompress(b64decode(found[1])).decode()
    return [json.loads(line) for line in text.split("\n") if line]


def letters(text: str) -> str:
    return re.sub(r"[\W\d_]", "", text)


# Texts


@pytest.mark.parametrize("case", HOSTILE, ids=[case["id"] for case in HOSTILE])
def test_hostile_text_has_no_tag_but_those_of_plain_writing(case: dict[str, Any]) -> None:
    shown = Tags(model_markup(hostile_answer(case)[:20_000]))
    allowed = "p br strong em del code pre blockquote ul ol li hr table thead tbody tr th td mark"
    assert {tag for tag, _ in shown.tags} <= set(allowed.split())
    assert {name for _, attributes in shown.tags for name in attributes} <= SHOWN_ATTRIBUTES


@pytest.mark.parametrize("case", HOSTILE, ids=[case["id"] for case in HOSTILE])
def test_hostile_text_keeps_all_its_letters(case: dict[str, Any]) -> None:
    text = hostile_answer(case)[:20_000].replace("\ud83d", "")
    assert letters(Tags(model_markup(text)).text) == letters(text)


@given(st.text())
def test_any_text_becomes_text_without_attributes(text: str) -> None:
    shown = Tags(model_markup(text))
    assert {name for _, attributes in shown.tags for name in attributes} <= SHOWN_ATTRIBUTES
    assert shown.text.strip() or not text.strip()
    str(model_markup(text)).encode()


@pytest.mark.parametrize(
    "text",
    [
        "[a](https://example.com) ![b](https://example.com/x.png) <https://example.com>",
        "[a][1]\n\n[1]: https://example.com",
        "https://example.com",
        "<iframe src=https://example.com></iframe><svg onload=x><style>@import 'https://e';",
    ],
)
def test_nothing_leads_outside_and_addresses_stay_readable(text: str) -> None:
    shown = Tags(model_markup(text))
    assert not {"a", "img", "iframe", "svg", "style"} & {tag for tag, _ in shown.tags}
    assert "https://e" in shown.text


def test_markdown_is_set_as_such_without_headings_of_its_own() -> None:
    html = model_markup(
        "# Title\n\n- one\n- **two**\n\n| a | b |\n|:-:|---|\n| 1 | 2 |\n\n    x = 1"
    )
    tags = [tag for tag, _ in Tags(html).tags]
    assert {"ul", "li", "strong", "table", "td", "pre"} <= set(tags)
    assert not {"h1", "h2", "h3"} & set(tags)
    assert "<p><strong>Title</strong></p>" in html


@pytest.mark.parametrize("text", ["```", "---", "***", "> ", "-"])
def test_a_text_of_markup_alone_is_shown_as_it_is(text: str) -> None:
    assert text.strip() in Tags(model_markup(text)).text


@pytest.mark.parametrize(
    "text",
    ["*a " * 7000, "[" * 20_000, "> " * 10_000, "`" * 20_000, "~~a" * 6000, "|a" * 3000 + "\n|-"],
)
def test_no_text_takes_long(text: str) -> None:
    begun = time.process_time()
    model_markup(text)
    assert time.process_time() - begun < 2


def test_only_the_token_that_counts_is_marked() -> None:
    html, tail = reply_markup(Passage("Not [[A]].\n\n**[[A]]**"), "A")
    assert html.count("<mark>") == 1
    assert html.rstrip().endswith("<mark>[[A]]</mark></strong></p>")
    assert tail == ""
    assert "<mark>" not in "".join(reply_markup(Passage("[[A]]"), None))
    assert "<mark>" not in "".join(reply_markup(Passage("[[A]]"), "B"))
    assert reply_markup(Passage(" C\n"), "tie")[0] == "<p><mark>C</mark></p>\n"
    head, tail = reply_markup(Passage("[[B]] ...", "so [[B]]", 99), "B")
    assert ("<mark>" in head, "<mark>" in tail) == (False, True)


@given(st.text(max_size=60), st.integers(3, 80), st.integers(3, 80))
def test_a_cut_text_keeps_its_beginning_its_end_and_its_length(
    text: str, most: int, fewer: int
) -> None:
    passage = excerpt(text, most)
    assert passage.chars == len(text)
    assert text.startswith(passage.text)
    assert text.endswith(passage.tail)
    again = shortened(passage, fewer)
    assert again.chars == len(text)
    assert again.shown == min(passage.shown, fewer)
    assert text.startswith(again.text)
    assert text.endswith(again.tail)


# The sections


def test_a_disagreement_shows_everything_about_its_pair() -> None:
    text = Tags(evidence_markup(evidence_with(a_pair()))).text
    for part in (
        "Question 0?",
        "First answer to 0.",
        "Second answer to 0, longer.",
        "model-x",
        "Shown A = first, B = second",
        "Shown A = second, B = first",
        "I prefer A.",
        "I prefer B.",
        "first is better",
        "The second one is complete.",
        "bob",
        "All 2 votes say second; the label is first.",
        "The only pair of the run.",
    ):
        assert part in text


def test_every_order_is_told_even_where_there_is_no_reply_or_verdict() -> None:
    pair = a_pair(
        replies=(ReplyEvidence("gpt", "reversed", Passage(""), status="refused", reason="filter"),)
    )
    text = " ".join(Tags(evidence_markup(evidence_with(pair))).text.split())
    assert "Shown A = first, B = second not asked, or no reply" in text
    assert "Shown A = second, B = first no verdict refused: filter" in text


def test_without_disagreements_and_pairs_the_page_says_so() -> None:
    html = evidence_markup(Evidence((), (), 0))
    assert "None: no label contradicts" in html
    assert "ev-payload" not in html


@pytest.mark.parametrize("case", HOSTILE, ids=[case["id"] for case in HOSTILE])
def test_no_hostile_text_adds_an_element_or_an_attribute(case: dict[str, Any]) -> None:
    harmless = Tags(evidence_markup(evidence_with(everywhere("harmless"))))
    markup = evidence_markup(evidence_with(everywhere(hostile_answer(case)[:5000])))
    shown = Tags(str(markup))
    plain = {*("p", "br", "strong", "em", "code", "pre", "ol", "ul", "li", "mark", "div"),
             *("details", "summary", "span", "blockquote", "hr")}  # fmt: skip
    assert {tag for tag, _ in shown.tags} <= {tag for tag, _ in harmless.tags} | plain
    names = {name for _, attributes in shown.tags for name in attributes}
    assert names <= {name for _, attributes in harmless.tags for name in attributes} | {"start"}
    assert [tag for tag, _ in shown.tags].count("script") == 1
    str(markup).encode()


def test_the_payload_returns_what_was_given() -> None:
    cut = Passage("begin", "end", 12)
    pairs = [replace(a_pair(row), reference=cut) for row in range(40)]
    found = unpacked(evidence_markup(Evidence(tuple(pairs[:1]), tuple(pairs), 40)))
    assert [pair["row"] for pair in found] == list(range(40))
    assert found[3]["prompt"] == [["user", "Question 3?"]]
    assert found[3]["reference"] == ["begin", 12, "end"]
    assert found[3]["votes"] == [["ann", "second", "The second one is complete."],
                                 ["bob", "second", None]]  # fmt: skip
    assert found[3]["replies"][1]["preference"] == "first"
    assert found[3]["flags"] == ["against-votes"]


@given(st.text(st.characters()))
def test_any_text_survives_the_payload_lone_surrogates_aside(text: str) -> None:
    (line, rest) = gzip.decompress(b64decode(payload_of([everywhere(text)]).base64)).split(b"\n")
    assert rest == b""
    assert json.loads(line)["prompt"][0][1] == re.sub("[\ud800-\udfff]", "\ufffd", text)


def test_equal_pairs_are_equal_bytes() -> None:
    pairs = tuple(a_pair(row) for row in range(50))
    assert payload_of(pairs) == payload_of(pairs)


def incompressible(chars: int, seed: int) -> str:
    return random.Random(seed).randbytes(chars // 2).hex()


def test_what_does_not_fit_is_left_out_and_counted() -> None:
    pairs = [
        a_pair(row, first=AnswerEvidence((Passage(incompressible(6000, row)),)))
        for row in range(100)
    ]
    payload = payload_of(pairs, most_bytes=200_000)
    assert 0 < payload.pairs < 100
    assert 100_000 < len(payload.base64) <= 200_000
    text = gzip.decompress(b64decode(payload.base64)).decode()
    assert [json.loads(line)["row"] for line in text.splitlines()] == list(range(payload.pairs))


def test_a_page_of_long_texts_stays_under_three_megabytes() -> None:
    def long(row: int) -> PairEvidence:
        side = AnswerEvidence((excerpt(incompressible(40_000, row), 20_000),))
        reply = ReplyEvidence("gpt", "forward", excerpt("<b>&*_" * 9000, 20_000))
        return a_pair(row, first=side, second=side, replies=(reply,) * 30)

    pairs = tuple(long(row) for row in range(60))
    html = evidence_markup(Evidence(pairs[:20], pairs, 100_000, "a page holds 60 pairs at most"))
    assert len(html.encode()) + len(EVIDENCE_CSS) + len(EVIDENCE_JS) < 3_000_000
    found = unpacked(html)
    assert f"{len(found):,} of the 100,000 pairs of the run" in html
    assert f"{100_000 - len(found):,} are left out" in html
    assert "characters left out" in html


def test_two_thousand_pairs_take_far_less_than_a_second() -> None:
    words = [
        "the",
        "answer",
        "of",
        "this",
        "assistant",
        "covers",
        "more",
        "of",
        "what",
        "was",
        "asked",
        "than",
        "that",
        "one",
    ]
    rng = random.Random(5)

    def told(chars: int) -> Passage:
        return Passage(" ".join(rng.choices(words, k=chars // 5)))

    pairs = tuple(
        a_pair(row, first=AnswerEvidence((told(900),)), second=AnswerEvidence((told(900),)))
        for row in range(2000)
    )
    evidence_markup(evidence_with(a_pair()))
    begun = time.process_time()
    evidence_markup(Evidence(pairs[:20], pairs, 2000))
    assert time.process_time() - begun < 1


def test_the_script_writes_no_markup_and_runs_no_text() -> None:
    for forbidden in (
        *("innerHTML", "outerHTML", "insertAdjacent", "document.write", "</script"),
        *("eval(", "Function(", "fetch(", "XMLHttp", "import("),
    ):
        assert forbidden not in EVIDENCE_JS


def test_importing_the_records_loads_no_library_of_pages() -> None:
    code = (
        "import sys, calibration.report.evidence, calibration.report.html.model_text;"
        "assert not {'nh3', 'jinja2', 'markdown_it', 'markupsafe'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_library_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nh3", None)
    with pytest.raises(ImportError, match=r'pip install "evenhand\[report\]"'):
        model_markup("text")
