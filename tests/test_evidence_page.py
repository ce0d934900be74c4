"""The evidence in a real browser: looking pairs up, by hand and by key, and hostile texts."""

import base64
import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from calibration.report.evidence import AnswerEvidence, Evidence, Flag, PairEvidence, Passage
from tests.evidence_examples import HOSTILE, a_pair, everywhere, hostile_answer

CHROMIUM = shutil.which("chromium")
pytest.importorskip("nh3", reason='the libraries of reports are missing: pip install ".[report]"')
pytest.importorskip("jinja2", reason="jinja2 is missing")
pytest.importorskip("playwright", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not on this machine")

from playwright.sync_api import Browser, Page, expect, sync_playwright  # noqa: E402

from calibration.report.html.evidence import (  # noqa: E402
    EVIDENCE_CSS,
    EVIDENCE_JS,
    evidence_markup,
)

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Request


def digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def write_page(path: Path, evidence: Evidence) -> str:
    """Write a page that allows nothing but its own style and script; return its address."""
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest(EVIDENCE_CSS)}'; "
        f"script-src 'sha256-{digest(EVIDENCE_JS)}'; img-src data:"
    )
    path.write_text(
        f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width"><title>Evidence</title>
<link rel="icon" href="data:,"><style>{EVIDENCE_CSS}</style></head>
<body><main>{evidence_markup(evidence)}</main><script>{EVIDENCE_JS}</script></body></html>""",
        encoding="utf-8",
    )
    return path.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page, and everything in it that should not be."""

    page: Page
    address: str
    noises: list[str] = field(default_factory=list)
    """Console messages, errors and dialogs."""
    requests: list[str] = field(default_factory=list)
    """Addresses asked for beside the page itself."""

    def open(self, fragment: str = "", *, ready: bool = True) -> Page:
        self.page.goto(self.address + fragment)
        if ready:
            self.page.wait_for_selector("#ev-browser:not([hidden])")
        return self.page

    def ids(self) -> list[str]:
        return self.page.locator(".ev-item > span:first-child").all_text_contents()

    def pair(self) -> str:
        return self.page.locator(".ev-detail h3").inner_text().removeprefix("Pair ")

    def expect_pair(self, pair_id: str) -> None:
        expect(self.page.locator(".ev-detail h3")).to_have_text(f"Pair {pair_id}")

    def state(self) -> str:
        return str(self.page.evaluate("location.hash"))


def watched(browser: Browser, address: str, **options: Any) -> Watched:
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(8000)
    found = Watched(page, address)

    def on_console(message: "ConsoleMessage") -> None:
        found.noises.append(message.text)

    def on_request(request: "Request") -> None:
        url = request.url
        if url.partition("#")[0] != address and not url.startswith(("data:", "blob:")):
            found.requests.append(url)

    page.on("console", on_console)
    page.on("pageerror", lambda error: found.noises.append(str(error)))
    page.on("dialog", lambda dialog: (found.noises.append(dialog.message), dialog.dismiss()))
    page.on("request", on_request)
    page.on("popup", lambda popup: found.noises.append(f"popup {popup.url}"))
    return found


def some_pairs() -> tuple[PairEvidence, ...]:
    """Six pairs of two categories, given out of the input's order."""
    agreed = {"flags": (), "why": None, "label": "second"}
    pairs = [
        a_pair(0, tags={"category": "math"}),
        a_pair(1, tags={"category": "math"}, **agreed),
        a_pair(2, tags={"category": "prose"}, flags=(Flag.ORDERS, Flag.INCONSISTENT),
               label="inconsistent", tally={"second": 9}),
        a_pair(3, tags={"category": "prose"}, **agreed | {"flags": (Flag.UNVOTED,)},
               votes=(), tally={}),
        a_pair(4, tags={"category": "prose"}, first=AnswerEvidence((Passage("x" * 500),))),
        a_pair(5, tags={"category": "math"}, **agreed),
    ]  # fmt: skip
    return tuple(pairs[row] for row in (0, 2, 4, 1, 3, 5))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    pairs = some_pairs()
    path = tmp_path_factory.mktemp("page") / "report.html"
    return write_page(path, Evidence(pairs[:3], pairs, 6))


@pytest.fixture
def seen(browser: Browser, address: str) -> Iterator[Watched]:
    found = watched(browser, address)
    yield found
    assert found.noises == []
    assert found.requests == []
    found.page.context.close()


def test_every_pair_is_listed_in_input_order_and_the_first_is_shown(seen: Watched) -> None:
    page = seen.open()
    assert seen.ids() == ["p0", "p1", "p2", "p3", "p4", "p5"]
    assert seen.pair() == "p0"
    assert page.locator("#ev-found").inner_text() == "6 pairs"
    assert seen.state() == ""  # looking at a page does not change its address
    detail = page.locator("#ev-detail").inner_text()
    for part in ("First answer to 0.", "model-y", "Shown A = second, B = first", "[[B]]",
                 "The second one is complete.", "category: math"):  # fmt: skip
        assert part in detail
    assert page.locator(".ev-detail mark").all_inner_texts() == ["[[A]]", "[[B]]"]
    assert page.locator(".ev-needs").is_hidden()


def test_filters_narrow_with_counts_and_only_those_that_hold_anywhere(seen: Watched) -> None:
    page = seen.open()
    shown = page.locator(".ev-filter:visible")
    assert [text.split(" ")[-1] for text in shown.all_inner_texts()] == ["2", "1", "1", "1"]
    page.get_by_role("button", name="judge ≠ humans").click()
    assert seen.ids() == ["p0", "p4"]
    assert page.locator("#ev-found").inner_text() == "2 of 6 pairs"
    assert page.get_by_role("button", name="no vote").is_disabled()
    page.get_by_role("button", name="judge ≠ humans").click()
    page.get_by_role("button", name="orders disagree").click()
    page.get_by_role("button", name="inconsistent").click()
    assert seen.ids() == ["p2"]
    page.get_by_role("button", name="Show all").click()
    assert len(seen.ids()) == 6


def test_search_part_and_order(seen: Watched) -> None:
    page = seen.open()
    page.locator("#ev-search").fill("ANSWER TO 3")
    seen.expect_pair("p3")
    assert seen.ids() == ["p3"]
    page.locator("#ev-search").fill("nowhere")
    expect(page.locator("#ev-detail")).to_contain_text("No pair fits")
    assert seen.ids() == []
    page.get_by_role("button", name="Show all").click()
    page.locator("#ev-part").select_option(label="math")
    assert seen.ids() == ["p0", "p1", "p5"]
    page.locator("#ev-part").select_option(label="all")
    page.locator("#ev-sort").select_option("gap")
    assert seen.ids()[0] == "p4"
    page.locator("#ev-sort").select_option("votes")
    assert (seen.ids()[0], seen.ids()[-1]) == ("p2", "p3")


def test_the_address_holds_the_state(seen: Watched, browser: Browser) -> None:
    page = seen.open()
    page.get_by_role("button", name="judge ≠ humans").click()
    page.locator("#ev-sort").select_option("gap")
    page.locator(".ev-item").last.click()
    assert seen.pair() == "p0"
    other = watched(browser, seen.address)
    other.open(seen.state())
    assert (other.pair(), other.ids()) == ("p0", ["p4", "p0"])
    other.page.context.close()


def test_a_link_of_a_disagreement_opens_its_pair(seen: Watched) -> None:
    page = seen.open("#only=no-vote&find=nothing")
    page.locator("#disagreement-1 .ev-link a").click()
    seen.expect_pair("p0")
    assert page.evaluate("document.activeElement.id") == "ev-detail"
    # A link reaches its pair even where the filters beside it would hide it.
    seen.page.goto(f"{seen.address}#pair=p5&only=against-votes")
    seen.expect_pair("p5")


def test_other_fragments_are_left_alone(seen: Watched) -> None:
    page = seen.open("#informative")
    assert page.evaluate("document.querySelector('#pairs').getBoundingClientRect().top") > 0
    assert seen.pair() == "p0"


def test_keys_work_inside_the_browser_and_nowhere_else(seen: Watched) -> None:
    page = seen.open()
    page.keyboard.press("j")
    assert seen.pair() == "p0"
    page.locator(".ev-item").first.focus()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert seen.pair() == "p1"
    assert page.evaluate("document.activeElement.textContent").startswith("p1")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "ev-search"
    page.keyboard.type("j/k")
    assert page.locator("#ev-search").input_value() == "j/k"


def test_single_keys_can_be_turned_off_and_stay_so(seen: Watched) -> None:
    page = seen.open()
    page.locator("#ev-keys").uncheck()
    page.locator(".ev-item").first.focus()
    page.keyboard.press("j")
    assert seen.pair() == "p0"
    page.keyboard.press("ArrowDown")
    assert seen.pair() == "p1"
    assert "keys=off" in seen.state()
    page.reload()
    page.wait_for_selector("#ev-browser:not([hidden])")
    assert not page.locator("#ev-keys").is_checked()


def test_the_list_is_one_stop_of_the_tab_key(seen: Watched) -> None:
    page = seen.open()
    page.locator(".ev-item").nth(2).click()
    stops = page.evaluate("[...document.querySelectorAll('.ev-item')].map((item) => item.tabIndex)")
    assert stops == [-1, -1, 0, -1, -1, -1]
    assert page.locator('.ev-item[aria-current="true"]').count() == 1
    page.keyboard.press("End")
    assert seen.pair() == "p5"
    page.keyboard.press("Home")
    assert seen.pair() == "p0"


def test_next_can_be_pressed_again_and_again(seen: Watched) -> None:
    page = seen.open()
    page.get_by_role("button", name="Next").focus()
    for _ in range(5):
        page.keyboard.press("Enter")
    assert seen.pair() == "p5"
    assert page.get_by_role("button", name="Next").is_disabled()
    assert page.evaluate("document.activeElement.id") == "ev-detail"


def test_without_scripts_the_disagreements_are_there_and_the_rest_is_explained(
    browser: Browser, address: str
) -> None:
    found = watched(browser, address, java_script_enabled=False)
    page = found.open(ready=False)
    assert page.locator(".ev-case").count() == 3
    assert page.get_by_text("needs JavaScript").is_visible()
    assert page.locator("#ev-browser").is_hidden()
    assert page.locator(".ev-link").first.is_hidden()
    page.locator("#disagreement-2 > summary").click()
    assert page.get_by_text("First answer to 2.").is_visible()
    assert found.requests == []
    page.context.close()


def test_long_texts_are_folded_until_asked_for_with_and_without_scripts(
    browser: Browser, tmp_path: Path
) -> None:
    long = a_pair(0, first=AnswerEvidence((Passage("line\n\n" * 400),)))
    page_address = write_page(tmp_path / "long.html", Evidence((long,), (long,), 1))
    for enabled in (True, False):
        found = watched(browser, page_address, java_script_enabled=enabled)
        page = found.open(ready=enabled)
        for box in page.locator(".ev-fold").all()[: 2 if enabled else 1]:
            text = box.locator(".ev-text")
            folded = text.bounding_box()
            box.get_by_text("Show all").click()
            whole = text.bounding_box()
            assert folded is not None
            assert whole is not None
            assert folded["height"] < 300 < 3000 < whole["height"]
            box.get_by_text("Show less").click()
        page.context.close()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_window_and_sides_stack_when_narrow(
    browser: Browser, address: str, width: int, scheme: Any
) -> None:
    found = watched(browser, address, viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = found.open()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    left, right = (page.locator(f".ev-detail .ev-of-{side}").bounding_box()
                   for side in ("first", "second"))  # fmt: skip
    assert left is not None
    assert right is not None
    assert (right["y"] >= left["y"] + left["height"]) == (width < 900)
    assert worst_contrast(page) >= 4.5
    page.context.close()


def test_on_paper_a_dark_page_has_the_colours_of_a_light_one(
    browser: Browser, address: str
) -> None:
    said = "() => getComputedStyle(document.querySelector('.ev-case .ev-is-second')).color"
    colours = []
    for scheme in ("light", "dark"):
        options: dict[str, Any] = {"color_scheme": scheme}
        page = watched(browser, address, **options).open()
        page.emulate_media(media="print")
        colours.append(page.evaluate(said))
        page.context.close()
    assert colours == ["rgb(168, 71, 0)"] * 2


def worst_contrast(page: Page) -> float:
    """The least contrast of a visible text with what lies behind it, after WCAG 2."""
    return float(
        page.evaluate(
            """() => {
  const rgb = (css) => css.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const [r, g, b, a = 1] = rgb(getComputedStyle(at).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    return matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
  };
  let worst = 21;
  for (const element of document.querySelectorAll(".ev *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !element.checkVisibility() || element.closest(":disabled")) continue;
    const [one, other] = [rgb(getComputedStyle(element).color), behind(element)].map(luminance);
    worst = Math.min(worst, (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05));
  }
  return worst;
}"""
        )
    )


# Hostile texts


@pytest.fixture(scope="module")
def hostile_address(tmp_path_factory: pytest.TempPathFactory) -> str:
    pairs = []
    for row, case in enumerate(HOSTILE):
        pair = everywhere(hostile_answer(case)[:4000], row)
        pairs.append(replace(pair, pair_id=case["id"], flags=(Flag.AGAINST_VOTES,)))
    path = tmp_path_factory.mktemp("hostile") / "report.html"
    return write_page(path, Evidence(tuple(pairs), tuple(pairs), len(pairs)))


def test_hostile_texts_run_nothing_ask_for_nothing_and_lead_nowhere(
    browser: Browser, hostile_address: str
) -> None:
    found = watched(browser, hostile_address)
    page = found.open()
    page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    for case in HOSTILE:
        page.evaluate("hash => { location.hash = hash; }", f"pair={case['id']}")
        found.expect_pair(case["id"])
        shown = page.locator(".ev-detail .ev-of-first .ev-raw").first.evaluate("e => e.textContent")
        expected = hostile_answer(case)[:4000].replace("\ud83d", "\ufffd") or "(empty)"
        assert shown == expected
    outward = page.evaluate(
        """[...document.querySelectorAll("[src], [href], [style], iframe, object, form, base")]
           .filter((e) => e.closest(".ev") && !(e.getAttribute("href") ?? "").startsWith("#"))
           .map((e) => e.outerHTML)"""
    )
    handlers = page.evaluate(
        """[...document.querySelectorAll(".ev *")].flatMap((e) => [...e.attributes])
           .map((a) => a.name).filter((name) => name.startsWith("on"))"""
    )
    assert (outward, handlers, found.noises, found.requests) == ([], [], [], [])
    assert page.evaluate("document.scripts.length") == 1  # the pairs are unpacked and gone
    page.context.close()


def test_text_from_right_to_left_is_set_so(browser: Browser, tmp_path: Path) -> None:
    arabic = a_pair(0, first=AnswerEvidence((Passage("مرحبا بالعالم"),)))
    found = watched(browser, write_page(tmp_path / "r.html", Evidence((arabic,), (arabic,), 1)))
    page = found.open()
    for box in (".ev-case .ev-of-first .ev-text", ".ev-detail .ev-of-first .ev-text"):
        assert page.locator(box).evaluate("e => getComputedStyle(e).direction") == "rtl"
    page.context.close()


def test_two_thousand_pairs_are_ready_within_a_moment(browser: Browser, tmp_path: Path) -> None:
    pairs = tuple(a_pair(row) for row in range(2000))
    found = watched(browser, write_page(tmp_path / "many.html", Evidence((), pairs, 2000)))
    page = found.open()
    assert found.ids() == [f"p{row}" for row in range(2000)]
    spent = page.evaluate(
        """() => { const begun = performance.now();
           document.querySelector('[data-flag="against-votes"]').click();
           return performance.now() - begun; }"""
    )
    assert spent < 1000
    assert page.locator(".ev-item").count() == 2000
    page.context.close()
