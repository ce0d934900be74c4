"""The report as a browser shows it: nothing fetched, nothing said, readable for everyone."""

import json
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
CHROMIUM = Path("/usr/bin/chromium")
if not CHROMIUM.exists():
    pytest.skip(f"no browser at {CHROMIUM}", allow_module_level=True)

from playwright.sync_api import Browser, Page, Request, sync_playwright  # noqa: E402

from calibration.report.html.page import report_html  # noqa: E402
from calibration.report.model import Report  # noqa: E402
from tests.report_fixture import (  # noqa: E402
    full_report,
    hostile_report,
    report_without_votes,
)

PAGES: dict[str, Callable[[], Report]] = {
    "full": full_report,
    "hostile": hostile_report,
    "without-votes": report_without_votes,
}
PHONE, DESK = 390, 1280
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
]
OPEN_ALL = "() => document.querySelectorAll('details').forEach(d => { d.open = true; })"
TOO_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"

Opened = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pages")
    for name, make in PAGES.items():
        html = report_html(make(), title="Agreement", command="judge agree --html report.html")
        (place / f"{name}.html").write_text(html, encoding="utf-8")
    return place


@pytest.fixture
def opened(browser: Browser, folder: Path) -> Iterator[Opened]:
    contexts = []

    def open_page(
        name: str, *, width: int = DESK, scheme: str = "light", scripts: bool = True
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            java_script_enabled=scripts,
        )
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        page.goto((folder / f"{name}.html").as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", PAGES)
def test_the_page_fetches_nothing_and_logs_nothing(
    browser: Browser, folder: Path, name: str
) -> None:
    context = browser.new_context()
    page = context.new_page()
    requests: list[str] = []
    said: list[str] = []

    def note(request: Request) -> None:
        requests.append(request.url)

    page.on("request", note)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    address = (folder / f"{name}.html").as_uri()
    page.goto(address, wait_until="networkidle")
    page.evaluate(OPEN_ALL)
    context.close()
    assert [url for url in requests if not url.startswith("data:")] == [address]
    assert said == []


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [
        ("full", DESK, "light"),
        ("full", DESK, "dark"),
        ("hostile", PHONE, "dark"),
        ("without-votes", PHONE, "light"),
    ],
)
def test_axe_finds_nothing_serious(opened: Opened, name: str, width: int, scheme: str) -> None:
    page = opened(name, width=width, scheme=scheme)
    page.evaluate(OPEN_ALL)
    page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate(
        "() => axe.run(document, {resultTypes: ['violations'], runOnly: "
        "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
    )
    told = [
        (v["id"], v["impact"], v["nodes"][0]["html"][:120])
        for v in found["violations"]
        if v["impact"] in {"serious", "critical"}
    ]
    assert told == [], json.dumps(told, indent=1)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_no_width_needs_scrolling_sideways(opened: Opened, name: str, width: int) -> None:
    page = opened(name, width=width)
    page.evaluate(OPEN_ALL)
    assert page.evaluate(TOO_WIDE) <= 0


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_no_chart_is_cut_off(opened: Opened, width: int) -> None:
    page = opened("full", width=width)
    cut = page.evaluate(
        """() => [...document.querySelectorAll('.chart text')].filter(text => {
            const own = text.getBoundingClientRect();
            const all = text.closest('main').getBoundingClientRect();
            return own.left < all.left - 4 || own.right > all.right + 4;
        }).map(text => text.textContent)"""
    )
    assert cut == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_charts_follow_the_colour_scheme(opened: Opened, scheme: str) -> None:
    page = opened("full", scheme=scheme)
    ink, text, paper = page.evaluate(
        """() => [getComputedStyle(document.body).color,
                  getComputedStyle(document.querySelector('.chart text')).fill,
                  getComputedStyle(document.body).backgroundColor]"""
    )
    assert ink == text
    assert paper == ("rgb(20, 23, 26)" if scheme == "dark" else "rgb(255, 255, 255)")


def test_without_scripts_everything_is_there_but_the_copy_buttons(opened: Opened) -> None:
    page = opened("full", scripts=False)
    assert page.locator("main section").count() == 12
    assert page.locator("table").count() > 20
    assert page.locator("button").count() == 0


def test_on_paper_every_fold_is_open_and_ink_is_dark(opened: Opened) -> None:
    page = opened("full", scheme="dark", scripts=False)
    page.emulate_media(media="print", color_scheme="dark")
    guide = page.locator("details.guide dl")
    assert guide.bounding_box() is not None
    assert page.locator("nav.contents").is_hidden()
    assert page.evaluate("() => getComputedStyle(document.body).color") == "rgb(0, 0, 0)"


def test_printing_opens_the_folds_and_closes_them_again(opened: Opened) -> None:
    page = opened("full")
    closed = "() => document.querySelectorAll('details:not([open])').length"
    before = page.evaluate(closed)
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    during = page.evaluate(closed)
    page.evaluate("() => dispatchEvent(new Event('afterprint'))")
    assert (before > 0, during, page.evaluate(closed)) == (True, 0, before)


def test_the_first_tab_leads_past_the_contents_and_focus_is_visible(opened: Opened) -> None:
    page = opened("full")
    page.keyboard.press("Tab")
    text, outline = page.evaluate(
        """() => [document.activeElement.textContent,
                  getComputedStyle(document.activeElement).outlineWidth]"""
    )
    assert text == "Skip to the answer"
    assert outline == "3px"


def test_a_table_is_copied_as_csv_with_every_number_of_an_estimate(opened: Opened) -> None:
    lines = _copied(opened("full"), "who", "CSV").splitlines()
    assert lines[0].startswith('who,"S1, with ties value","S1, with ties low"')
    s1 = full_report().judges["strong"].s1.micro
    assert lines[1].startswith(f"strong,{s1.value},{s1.low},{s1.high},{s1.n},")
    assert len({line.count(",") for line in lines[1:]}) == 1


def test_a_table_is_copied_as_markdown(opened: Opened) -> None:
    lines = _copied(opened("full"), "who", "Markdown").splitlines()
    assert lines[0] == "| who | S1, with ties | S2, without ties | S1, majority | S2, majority |"
    assert lines[1] == "| --- | --- | --- | --- | --- |"
    assert "n 412" in lines[2]


def test_a_name_that_begins_like_a_formula_is_copied_as_text(opened: Opened) -> None:
    lines = _copied(opened("hostile"), "annotator", "CSV").splitlines()
    assert lines[1].startswith("'=1+1,")


def _copied(page: Page, corner: str, kind: str) -> str:
    """Return what the button under the table with this first head puts on the clipboard."""
    page.evaluate(OPEN_ALL)
    page.evaluate(
        """() => { navigator.clipboard.writeText = async words => { window.copied = words; }; }"""
    )
    table = page.locator(f".table:has(thead th:first-child:text-is('{corner}'))").first
    table.locator("xpath=following-sibling::*[1]").get_by_role("button", name=kind).click()
    page.wait_for_function("() => window.copied !== undefined")
    words: str = page.evaluate("() => window.copied")
    return words
