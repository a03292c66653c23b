"""Look at pages: light and dark, wide and narrow, by axe, and as pictures; always at pages that have come to rest."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

SHOTS = os.environ.get("SCREENSHOTS")
CHECKED = {("light", 1500), ("dark", 390)}

# Nothing is being loaded, swapped or faded; whether a transition begins is known only after the styles are worked out.
_IS_AT_REST = """() => document.readyState === "complete"
    && !document.querySelector(".htmx-request, .htmx-swapping, .htmx-settling, .htmx-added")
    && document.getAnimations().every(a => a.playState !== "running" || !(a instanceof CSSTransition))"""
_HOLD = """() => {
    window.heldByTest = event => event.preventDefault();
    document.addEventListener("htmx:beforeRequest", window.heldByTest);
}"""
_LET_GO = '() => document.removeEventListener("htmx:beforeRequest", window.heldByTest)'


def settle(page: Page) -> None:
    """Wait until a page is loaded, nothing is on its way, and what has changed is painted."""
    page.wait_for_function(_IS_AT_REST)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


@contextmanager
def held(page: Page) -> Iterator[None]:
    """Keep a page that asks for news again and again as it is until the block ends."""
    page.wait_for_load_state()
    page.evaluate(_HOLD)
    settle(page)
    yield
    page.evaluate(_LET_GO)


def check_accessible(page: Page) -> None:
    """Fail on any violation axe finds."""
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
    assert found.violations_count == 0, found.generate_report()


def set_theme(page: Page, theme: str) -> None:
    """Switch between light and dark, and wait until no colour is still on its way."""
    page.evaluate("theme => document.documentElement.setAttribute('data-bs-theme', theme)", theme)
    settle(page)


def set_width(page: Page, width: int) -> None:
    """Make the window so many pixels wide, and wait until everything has its place."""
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_function("width => window.innerWidth === width", arg=width)
    settle(page)


def look(page: Page, name: str) -> None:
    """Check a page in light and wide, dark and narrow; keep pictures of all four when SCREENSHOTS names a folder.

    The caller has waited for something that only this page shows.
    """
    with held(page):
        for theme, width in (("light", 1500), ("dark", 390), ("light", 390), ("dark", 1500)):
            is_checked = (theme, width) in CHECKED
            if not (is_checked or SHOTS):
                continue
            set_theme(page, theme)
            set_width(page, width)
            if is_checked:
                # Colours differ by theme, the arrangement by width: two of the four show everything.
                check_accessible(page)
                overflow = page.evaluate(
                    "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                )
                assert overflow <= 0, f"{name} is wider than the window at {width} px"
            if SHOTS:
                Path(SHOTS).mkdir(parents=True, exist_ok=True)
                page.screenshot(path=f"{SHOTS}/{name}-{theme}-{width}.png", full_page=width == 1500)
        set_width(page, 1500)


def reload_until_visible(page: Page, locator: Locator, seconds: float = 300) -> None:
    """Load a page that does not renew itself again and again until it shows something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(PlaywrightTimeoutError):
            return locator.wait_for(timeout=1000)
        page.reload()
    return expect(locator).to_be_visible()
