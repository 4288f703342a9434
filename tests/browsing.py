"""A browser for tests: headless Chromium, that of the system, driven by Playwright.

    def test_it(opened):
        page = opened(path, width=400, scheme="dark")

A page that was opened must not write to the console, throw, or ask for anything but itself.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
Opened = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, once for the tests of a file."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=chromium, args=[*FLAGS])
        yield launched
        launched.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Opened]:
    """Open a file in a window of a width, on a light or a dark desktop."""
    complaints: list[str] = []
    contexts = []

    def run(path: Path, width: int = 1280, scheme: str = "light") -> Any:
        own = path.as_uri()

        def asked(request: Any) -> None:
            if request.url != own:
                complaints.append(f"request for {request.url}")

        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", asked)
        page.goto(own)
        return page

    yield run
    for context in contexts:
        context.close()
    assert not complaints


def too_wide(page: Any) -> int:
    """The pixels by which a page sticks out of its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


CONTRASTS = """() => {
  // The ratios of WCAG 2.2: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
  const parsed = (c) => { const n = c.match(/[\\d.]+/g).map(Number);
                          return n.length > 3 ? n : [...n, 1]; };
  const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const light = (c) => { const [r, g, b] = c.slice(0, 3).map((v) => {
      v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const below = (e) => {
    if (e.closest("svg [class]") && e.tagName === "text") {
      const rect = e.parentNode.querySelector("rect");
      return parsed(getComputedStyle(rect).fill);
    }
    const layers = [];
    for (let at = e; at; at = at.parentElement) {
      layers.push(parsed(getComputedStyle(at).backgroundColor));
    }
    return layers.reverse().reduce((under, one) => over(one, under), [255, 255, 255, 1]);
  };
  const found = {};
  const every = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (every.nextNode()) {
    const e = every.currentNode.parentElement;
    if (!every.currentNode.data.trim() || e.closest("script, style, :disabled")) continue;
    if (!e.getClientRects().length) continue;
    const style = getComputedStyle(e), back = below(e);
    const own = parsed(e.tagName === "text" ? style.fill : style.color);
    const [a, b] = [light(over(own, back)), light(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const key = e.tagName + "." + e.getAttribute("class") + " in " +
      (e.parentElement.getAttribute("class") || e.parentElement.tagName);
    if (!(found[key] < ratio)) found[key] = ratio;
  }
  return found; }"""


def contrasts(page: Any) -> dict[str, float]:
    """For each kind of text on a page, the least contrast with what is behind it."""
    return dict(page.evaluate(CONTRASTS))
