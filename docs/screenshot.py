"""Take the pictures of the README: the report of the demonstration, light and dark.

.venv/bin/python docs/screenshot.py
"""

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import judge

HERE = Path(__file__).parent
CHROMIUM = "/usr/bin/chromium"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
WIDTH, HEIGHT = 1200, 540


def main() -> None:
    """Run the demonstration in a temporary folder and photograph the top of its report."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as browsers:
        page_path = judge.demo(Path(folder)).paths.html
        browser = browsers.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        for scheme in ("light", "dark"):
            context = browser.new_context(
                viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme
            )
            page = context.new_page()
            page.goto(page_path.as_uri())
            page.screenshot(path=HERE / f"report-{scheme}.png")
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
