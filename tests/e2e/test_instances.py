"""The main job in a real browser: connect, import, add, check, look."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import PATIENCE
from tests.e2e.looking import check_accessible, held, look, reload_until_visible, set_theme, settle
from tests.product import PASSWORD, Product


def connect(page: Page) -> None:
    """Go through Amazon's consent, as the local AMC shows it."""
    page.goto("/connections/")
    page.locator("[name=label]").first.fill("Agency login")
    page.get_by_role("button", name="Continue to Amazon").click()
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_text("Agency login").first).to_be_visible()


@pytest.mark.usefixtures("product")
class TestMainJob:
    """One story; the steps build on each other, so they are one test."""

    def test_connect_import_add_check(self, alice: Page, product: Product) -> None:
        page = alice
        look(page, "home-empty")
        page.goto("/connections/")
        look(page, "connections-empty")
        connect(page)
        self.discover_and_import(page)
        self.add_instance(page)
        self.check_one_with_the_keyboard(page)
        self.select_all(page)
        self.check_all(page)
        self.see_the_same_from_the_shell(product)
        self.look_around(page)

    def discover_and_import(self, page: Page) -> None:
        page.goto("/connections/")
        page.get_by_role("button", name="Discover").first.click()
        expect(page.get_by_text("amclocalus1").first).to_be_visible(timeout=30_000)
        look(page, "discovery")
        with page.expect_response(lambda response: response.url.endswith("/discover/")):
            page.get_by_role("button", name="Read again").press("Enter")
        settle(page)
        expect(page.get_by_role("group", name="What was found")).to_be_focused(timeout=30_000)
        # Left for adding by hand.
        page.locator("input[type=checkbox][value$='amclocalus2']").uncheck()
        page.get_by_role("button", name="Import selected").first.click()
        page.wait_for_url("**/instances/")
        page.goto("/instances/?q=amclocalus")
        expect(page.get_by_text("amclocalus1").first).to_be_visible()
        expect(page.get_by_text("amclocalus2")).to_have_count(0)

    def add_instance(self, page: Page) -> None:
        page.goto("/instances/add/")
        look(page, "instance-add")
        page.get_by_label("Name", exact=False).first.fill("Garden US")
        account = page.get_by_label("Account")
        option = account.locator("option", has_text="ENTITYLOCALUS1 · US").first
        account.select_option(value=option.get_attribute("value"))
        page.get_by_label("AMC instance ID").fill("amclocalus9")
        page.get_by_role("button", name="Test and save").click()
        expect(page.get_by_text("What to do").first).to_be_visible()
        look(page, "instance-test")
        # Nothing typed is lost.
        expect(page.get_by_label("AMC instance ID")).to_have_value("amclocalus9")
        expect(page.get_by_label("Name", exact=False).first).to_have_value("Garden US")
        page.get_by_label("AMC instance ID").fill("amclocalus2")
        page.get_by_role("button", name="Test and save").click()
        expect(page.get_by_role("heading", name="Garden US")).to_be_visible()
        look(page, "instance-detail")

    def check_one_with_the_keyboard(self, page: Page) -> None:
        page.goto("/instances/?q=amclocalus1")
        button = page.get_by_role("button", name=re.compile("^Check .*Trail"))
        button.press("Enter")
        expect(page.locator(".toast-text", has_text="Healthy")).to_be_visible()
        expect(button).to_be_focused()
        page.locator("#instance-table a", has_text="Trail").first.click()
        button = page.get_by_role("button", name="Check now")
        button.press("Enter")
        expect(page.locator(".toast-text", has_text="Healthy")).to_be_visible()
        expect(button).to_be_focused()

    def select_all(self, page: Page) -> None:
        page.goto("/instances/?q=amclocalus1")
        page.locator("#instance-table a", has_text="Trail").first.click()
        page.get_by_role("button", name="Disable").click()
        expect(page.get_by_role("button", name="Enable and check")).to_be_visible()
        page.goto("/instances/?q=amclocalus")
        page.get_by_label("Select all on this page").check()
        expect(page.locator("[data-select-count]").first).to_have_text("1 selected")
        page.locator("#instance-table a", has_text="Trail").first.click()
        page.get_by_role("button", name="Enable and check").click()
        expect(page.locator(".toast-text", has_text="Healthy")).to_be_visible()

    def check_all(self, page: Page) -> None:
        page.goto("/instances/")
        page.get_by_role("button", name="Check all").click()
        expect(page.get_by_text("Finished:")).to_be_visible(timeout=60_000)
        page.goto("/instances/?sort=health")
        table = page.locator("#instance-table")
        for word in ("Error", "Unhealthy", "Healthy"):
            expect(table.get_by_text(word, exact=True).first).to_be_visible()
        look(page, "instances")

    def see_the_same_from_the_shell(self, product: Product) -> None:
        done = product.manage("health_check", "--all", "--json", "--fail-on", "never")
        assert done.returncode == 0, done.stderr
        summary = json.loads(done.stdout)["summary"]
        assert summary["healthy"] > 100
        assert summary["unhealthy"] == 2
        assert summary["error"] == 1

    def look_around(self, page: Page) -> None:
        for path, name in (("/", "home"), ("/health/", "health"), ("/connections/", "connections")):
            page.goto(path)
            look(page, name)
        page.goto("/instances/?q=amclocalbad")
        page.locator("#instance-table a", has_text="Tee Pilot").first.click()
        expect(page.get_by_role("heading", name="Tee Pilot")).to_be_visible()
        look(page, "instance-failing")
        self.look_at_every_other_page(page)

    def look_at_every_other_page(self, page: Page) -> None:
        page.goto("/connections/")
        connection = page.get_by_role("link", name="Agency login").first.get_attribute("href")
        page.goto("/instances/?q=amclocalus1")
        instance = page.locator("#instance-table a", has_text="Trail").first.get_attribute("href")
        page.goto("/health/")
        run = page.locator("a[href*='/instances/checks/']").first.get_attribute("href")
        paths = [
            *(
                f"{connection}{part}"
                for part in ("", "edit/", "disconnect/", "delete/", "accounts/add/", "discover/")
            ),
            *(f"{instance}{part}" for part in ("edit/", "delete/")),
            f"{run}",
            "/connections/paste/",
            "/accounts/password/change/",
            "/accounts/password/reset/",
            "/accounts/2fa/",
            "/accounts/logout/",
        ]
        for path in paths:
            page.goto(path)
            with held(page):
                for theme in ("light", "dark"):
                    set_theme(page, theme)
                    check_accessible(page)


class TestWithoutScript:
    def test_every_step_works_with_plain_forms(self, browser: Browser, product: Product) -> None:
        create = f"from amchelper.models import User; User.objects.create_user('plain@example.com', '{PASSWORD}')"
        assert product.manage("shell", "-c", create).returncode == 0
        context = browser.new_context(java_script_enabled=False, base_url=product.url)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto("/accounts/login/")
        page.locator("[name=login]").fill("plain@example.com")
        page.locator("[name=password]").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Home")).to_be_visible()
        connect(page)
        page.goto("/connections/")
        page.get_by_role("button", name="Discover").first.click()
        page.get_by_role("button", name="Import selected").first.click()
        page.wait_for_url("**/instances/")
        page.goto("/instances/?q=amclocalus")
        expect(page.get_by_text("amclocalus2").first).to_be_visible()
        page.get_by_role("button", name="Check all").click()
        page.wait_for_url("**/instances/checks/*/")
        reload_until_visible(page, page.get_by_text("Finished:"))
        context.close()


class TestErrorPages:
    @pytest.mark.parametrize("name", ["403", "403_csrf", "404", "500"])
    def test_error_page(self, page: Page, product: Product, name: str) -> None:
        # With DEBUG on Django shows pages of its own, so ours are rendered apart and put into their place.
        render = f"from django.template.loader import render_to_string; print(render_to_string('{name}.html'))"
        html = product.manage("shell", "-v", "0", "-c", render).stdout
        page.route(f"{product.url}/nowhere/", lambda route: route.fulfill(body=html, content_type="text/html"))
        page.goto("/nowhere/")
        expect(page.get_by_role("link", name="Go to the home page")).to_be_visible()
        look(page, f"error-{name}")


class TestSignedOut:
    def test_sign_in_page(self, page: Page) -> None:
        page.goto("/instances/")
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        look(page, "sign-in")
