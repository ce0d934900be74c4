import base64
import hashlib
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from html import unescape
from html.parser import HTMLParser

import pytest
from markupsafe import Markup, escape

from calibration.intervals import Estimate
from calibration.report.html import part_tables, words
from calibration.report.html.charts import Axis, Dot, dots_chart
from calibration.report.html.page import report_html
from calibration.report.html.tables import Form, Line, Table, estimates_table
from calibration.report.model import Report
from calibration.report.text import report_text
from calibration.report.words import Light, headline, light
from tests.report_fixture import (
    HOSTILE,
    empty_report,
    full_report,
    hostile_report,
    one_prompt_report,
    report_without_votes,
)

DEGENERATE = [report_without_votes, empty_report, one_prompt_report]


@cache
def page_of(make: Callable[[], Report]) -> str:
    return report_html(make(), title="Agreement", command="judge agree --html report.html")


def words_of(page: str) -> str:
    """The text that a reader sees, without styles and scripts."""
    body = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", body)))


class Elements(HTMLParser):
    """Every element with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_begins_with_the_sentence_of_the_text() -> None:
    report = full_report()
    page = page_of(full_report)
    told = re.sub(r"\s+", " ", report_text(report))
    assert str(escape(headline(report))) in page
    against = re.search(r'<p class="light [a-z]+">.*?</strong>(.*?)</p>', page, re.DOTALL)
    assert against is not None
    assert against[1].strip() in told


@pytest.mark.parametrize(
    ("judge", "expected", "sentence"),
    [(0.6, "below", "below the human"), (0.8, "level", "overlap"), (0.95, "above", "above human")],
)
def test_the_light_and_the_sentence_beside_it_say_the_same(
    judge: float, expected: str, sentence: str
) -> None:
    report = full_report(judges=("j",))
    figures = report.judges["j"]
    s1 = replace(figures.s1, micro=Estimate(judge, judge - 0.03, judge + 0.03, 400))
    human_human = replace(report.ceiling.human_human, s1=Estimate(0.81, 0.78, 0.84, 400))
    ceiling = replace(report.ceiling, human_human=human_human)
    made = replace(report, judges={"j": replace(figures, s1=s1)}, ceiling=ceiling)
    assert light(made) == expected
    shown = words_of(report_html(made, title="x"))
    assert words.TITLES[Light(expected)] in shown
    assert sentence in shown


def test_every_figure_of_the_report_is_on_the_page_unrounded() -> None:
    report, page = full_report(), page_of(full_report)
    numbers = set(re.findall(r'data-numbers="([^"]*)"', page))
    absent = [
        ".".join(path)
        for path, e in report.figures()
        if e.value is not None
        and ";".join(_written(x) for x in (e.value, e.low, e.high, e.n)) not in numbers
    ]
    # Averages over pairs of a judge's errors stand only where a judge has errors, and the human
    # ceiling of a turn only as humans with each other.
    assert [p for p in absent if "s1_errors_wrong" not in p and "leave_one_out" not in p] == []


def test_sections_stand_in_the_order_of_the_questions() -> None:
    page = report_html(full_report(), title="x", evidence=Markup("<p>the pairs</p>"))
    ids = re.findall(r'<(?:section|div) id="([a-z-]+)"', page)
    assert ids == [
        "answer", "data", "judges", "confusion", "order", "confidence", "breakdowns", "bias",
        "systems", "win-rates", "chance", "disagreements", "provenance",
    ]  # fmt: skip
    links = re.findall(r'href="#([a-z-]+)"', page)
    assert [x for x in dict.fromkeys(links) if x not in ids] == []


def test_the_data_block_adds_up() -> None:
    for table in (part_tables.ends_table(full_report().labels),
                  part_tables.votes_table(full_report().votes)):  # fmt: skip
        total = 0
        for row in table.rows:
            if row.cells and row.cells[0] is not None:
                count = int(row.cells[0].text.replace(",", ""))
                if row.name == "in all":
                    assert total == count
                    total = 0
                else:
                    total += count


def test_names_given_by_others_are_text_and_nothing_else() -> None:
    page = page_of(hostile_report)
    assert HOSTILE not in page
    assert str(escape(HOSTILE)) in page
    assert page.count("<script") == 1
    assert page.count("</style>") == 1
    assert HOSTILE in words_of(page)


def test_the_policy_admits_only_the_styles_and_scripts_of_the_page() -> None:
    page = report_html(full_report(), title="x", styles=["p { margin: 0 }"], scripts=["let a = 1;"])
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; ")
    assert "unsafe" not in policy[1]
    for element in ("style", "script"):
        inline = re.findall(rf"<{element}>(.*?)</{element}>", page, re.DOTALL)
        assert len(inline) == 2
        for text in inline:
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy[1]


def test_nothing_on_the_page_names_another_address() -> None:
    for tag, attributes in Elements(page_of(full_report)).found:
        assert "style" not in attributes, tag
        for name in ("src", "href", "action", "srcset", "xlink:href"):
            address = attributes.get(name)
            assert address is None or address.startswith(("#", "data:")), f"{tag} {name}={address}"
    styles = re.findall(r"<style>(.*?)</style>", page_of(full_report), re.DOTALL)
    assert not any("url(" in text or "@import" in text for text in styles)


def test_a_style_that_would_end_its_own_element_is_refused() -> None:
    with pytest.raises(ValueError, match="closing tag"):
        report_html(empty_report(), title="x", styles=["/* </STYLE> */"])


@pytest.mark.parametrize("make", DEGENERATE)
def test_a_report_of_almost_nothing_says_why_and_shows_no_broken_number(
    make: Callable[[], Report],
) -> None:
    shown = words_of(page_of(make))
    assert re.search(r"\b(nan|inf|None|Undefined)\b", shown) is None
    assert "No comparison with humans" in shown
    whys = {e.why for _, e in make().missing()} - {None}
    assert all(str(why) in shown for why in whys)


def test_a_cell_too_small_to_publish_says_so() -> None:
    assert "fewer than 5 prompts" in words_of(page_of(full_report))


def test_a_figure_without_interval_says_why_beside_it() -> None:
    one = Estimate(0.5, None, None, 2, "one prompt only")
    table = estimates_table("c", "k", heads=("a",), lines=[Line("x", (one,))])
    assert table.rows[0].cells[0].note == "n 2; one prompt only"  # type: ignore[union-attr]


def test_rows_without_any_value_become_notes_by_reason() -> None:
    absent = Estimate(None, None, None, 0, "no human votes")
    known = Estimate(0.5, 0.4, 0.6, 9)
    lines = [Line("head"), Line("a", (absent,)), Line("next"), Line("b", (known,))]
    table = estimates_table("c", "k", heads=("j",), lines=[*lines, Line("d", (absent,))])
    assert [row.name for row in table.rows] == ["next", "b"]
    assert table.notes == ("Not computed (no human votes): a, d.",)


@pytest.mark.parametrize(
    ("form", "value", "interval"),
    [
        (Form.SHARE, "78.6 %", "74.3-82.4"),
        (Form.NUMBER, "0.786", "0.743 to 0.824"),
        (Form.POINTS, "+78.6 pt", "+74.3 to +82.4"),
    ],
)
def test_each_form_writes_value_and_interval_alike(form: Form, value: str, interval: str) -> None:
    table = _one(Estimate(0.786, 0.743, 0.824, 412), form)
    cell = table.rows[0].cells[0]
    assert cell is not None
    assert (cell.text, cell.interval, cell.note) == (value, interval, "n 412")


def test_a_rounded_zero_has_no_minus_sign() -> None:
    cell = _one(Estimate(-0.00001, -0.1, 0.1, 4), Form.NUMBER).rows[0].cells[0]
    assert cell is not None
    assert cell.text == "0.000"


def test_a_chart_takes_its_colours_from_the_page() -> None:
    estimate = Estimate(0.5, 0.4, 0.6, 9)
    svg = dots_chart([Dot("a", "judge", estimate), Dot("a", "humans", estimate)], Axis("x"))
    fixed = re.findall(r'(?:fill|stroke)="(#[0-9a-f]+|black|white|rgb[^"]*)"', str(svg))
    assert fixed == []
    assert "var(--series-2)" in str(svg)
    assert "currentColor" in str(svg)


def test_a_chart_without_a_value_is_not_drawn() -> None:
    absent = Estimate(None, None, None, 0, "no votes")
    assert dots_chart([Dot("a", "judge", absent)], Axis("x")) is None


def test_a_chart_escapes_its_labels() -> None:
    svg = dots_chart([Dot("<b>&", "judge", Estimate(0.5, 0.4, 0.6, 9))], Axis("x"))
    assert "&lt;b&gt;&amp;" in str(svg)


def test_the_same_report_makes_the_same_page() -> None:
    again = report_html(full_report(), title="Agreement", command="judge agree --html report.html")
    assert again == page_of(full_report)


def test_the_page_names_its_seeds_and_the_command_that_makes_it_again() -> None:
    shown = words_of(page_of(full_report))
    assert "judge agree --html report.html" in shown
    assert re.search(r"seed 0 ", shown)
    assert "11 votes: skip" in shown


@pytest.mark.parametrize("library", ["jinja2", "altair", "vl_convert"])
def test_a_missing_library_is_an_error_that_names_the_remedy(library: str) -> None:
    code = (
        f"import sys; sys.modules[{library!r}] = None\n"
        "from calibration.report.html.page import report_html\n"
        "try:\n    report_html(None, title='x')\n"
        "except ImportError as error:\n    print(error)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert 'pip install "evenhand[report]"' in said
    assert library in said


def test_importing_the_page_draws_in_no_heavy_library() -> None:
    code = (
        "import sys, calibration.report.html.page\n"
        "print({'jinja2', 'altair', 'vl_convert'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"


def _one(estimate: Estimate, form: Form) -> Table:
    return estimates_table("c", "k", heads=("a",), lines=[Line("x", (estimate,), form)])


def _written(number: float | None) -> str:
    return "" if number is None else str(number)
