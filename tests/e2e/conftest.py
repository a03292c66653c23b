"""Chromium, and a whole product for it to look at."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.product import EMAIL, PASSWORD, Product, running_product

# Milliseconds: enough for a machine that does much else, and no success waits for it.
PATIENCE = 45_000
# How far stories move the clock on.
MOST_DAYS_PASSED = 8
expect.set_options(timeout=PATIENCE)
# The background-networking flags keep Chromium from looking for its maker's servers.
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Start everything on free ports with a database of its own."""
    # Nobody signs in again while stories move the clock on.
    idle = {"SESSION_IDLE_HOURS": str(24 * (MOST_DAYS_PASSED + 1))}
    with running_product(tmp_path_factory.mktemp("var"), days_passed=MOST_DAYS_PASSED, settings=idle) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start Chromium once."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        pytest.fail("The browser tests need Chromium: install it, or set CHROMIUM to its path.")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, product: Product) -> Iterator[Page]:
    """Open a fresh, signed-out page that fails the test on script errors and policy violations."""
    context = browser.new_context(
        viewport={"width": 1500, "height": 900}, base_url=product.url, reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE)
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on(
        "console",
        lambda message: (
            problems.append(f"{opened.url} {message.location} {message.text}")
            if re.search("Content Security|Refused", message.text)
            else None
        ),
    )
    yield opened
    context.close()
    assert not problems, problems


@pytest.fixture
def alice(page: Page) -> Page:
    """Sign Alice in through the form."""
    page.goto("/accounts/login/")
    page.locator("[name=login]").fill(EMAIL)
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Home").wait_for()
    return page
