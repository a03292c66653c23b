"""A result of thousands of columns, in a real browser."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.looking import look
from tests.product import EMAIL, Product

_SETUP = f"""
from amchelper.models import User
from instances.models import AMCAccount, AMCInstance, AmazonConnection
from templates_app.services.templates import Content, create_template
from tests.large_results import store_wide_run
alice = User.objects.get(email={EMAIL!r})
login, _ = AmazonConnection.objects.get_or_create(
    user=alice, label="Runs login", defaults=dict(region="NA", refresh_token="Atzr|local-healthy"))
account, _ = AMCAccount.objects.get_or_create(
    connection=login, account_id="ENTITYLOCALUS1", marketplace_id="ATVPDKIKX0DER",
    defaults=dict(account_name="Northwind Outdoor US"))
instance, _ = AMCInstance.objects.get_or_create(
    user=alice, instance_id="amclocalus1", defaults=dict(account=account, name="Northwind Trail Running", region="NA"))
template = create_template(actor=alice, instance=instance, content=Content(name="Wide", source_sql="SELECT 1"))
for columns, typed in ((5_000, 1_000), (8, None)):
    run = store_wide_run(template, columns, typed_columns=typed, name=f"Result of {{columns}} columns")
    print("run", run.get_absolute_url())
"""


@dataclass(frozen=True)
class Runs:
    """Addresses of a run of very many columns and of one of few."""

    wide: str
    narrow: str


@pytest.fixture
def runs(product: Product) -> Runs:
    """Return the addresses of two stored runs of Alice's."""
    done = product.manage("shell", "-c", _SETUP)
    assert done.returncode == 0, done.stderr
    return Runs(*(line.split()[1] for line in done.stdout.splitlines() if line.startswith("run ")))


class TestWideResults:
    """One story; the steps build on each other, so they are one test."""

    def test_find_choose_sort_and_leave_out_columns(self, alice: Page, runs: Runs) -> None:
        page = alice
        page.goto(runs.narrow)
        expect(page.get_by_role("columnheader", name="column 8 decimal")).to_be_visible()
        look(page, "result-narrow")
        page.goto(runs.wide)
        self.page_through_columns(page)
        self.choose_columns(page)
        self.filter_by_a_suggested_column(page)
        self.leave_columns_out(page)
        page.get_by_role("link", name="Columns", exact=True).click()
        expect(page.get_by_text("1–50 of 5,000")).to_be_visible()
        look(page, "result-wide-columns")

    def page_through_columns(self, page: Page) -> None:
        expect(page.get_by_text("Columns 1–50 of 5,000")).to_be_visible()
        look(page, "result-wide")
        page.get_by_role("link", name="Next columns").click()
        expect(page.get_by_text("Columns 51–100 of 5,000")).to_be_visible()
        expect(page.get_by_role("columnheader", name="column 51 text")).to_be_visible()

    def choose_columns(self, page: Page) -> None:
        page.get_by_text("Choose columns", exact=True).click()
        find = page.get_by_role("searchbox", name="Find columns by name")
        find.fill("499")
        expect(page.get_by_text("15 found")).to_be_visible()
        page.get_by_label("column 4990 double").check()
        # What is ticked stays while other names are looked for.
        find.fill("column 77")
        expect(page.get_by_text("11 found")).to_be_visible()
        expect(page.get_by_label("column 4990 double")).to_be_checked()
        page.get_by_label("column 77 integer").check()
        # Scrolled half way, the bar on phones would cover half of a button.
        page.evaluate("() => window.scrollTo(0, 0)")
        look(page, "result-wide-choosing")
        page.get_by_role("button", name="Show chosen").click()
        expect(page.get_by_text("2 of 5,000 columns")).to_be_visible()
        expect(page.locator("#result-table th")).to_have_count(2)

    def filter_by_a_suggested_column(self, page: Page) -> None:
        page.get_by_role("link", name="column 77 integer", exact=True).click()
        expect(page.locator("th[aria-sort=ascending]")).to_have_count(1)
        column = page.get_by_label("Filter by column")
        column.press_sequentially("column 1002")
        expect(page.locator("#column-names option")).to_have_count(1)
        column.fill("column 1002 integer")
        page.get_by_label("Condition").select_option("contains")
        page.get_by_label("Value", exact=True).last.fill("1050")
        page.get_by_role("button", name="Apply").click()
        expect(page.locator("#result-table .pager-count").last).to_contain_text("1 matching, 100 in all")
        expect(page.locator("#result-table th")).to_have_count(2)
        page.evaluate("() => window.scrollTo(0, 0)")
        look(page, "result-wide-chosen")

    def leave_columns_out(self, page: Page) -> None:
        page.reload()
        expect(page.locator("#result-table .pager-count").last).to_contain_text("1 matching, 100 in all")
        page.get_by_role("link", name="Leave out column 4990 double").click()
        expect(page.locator("#result-table th")).to_have_count(1)
        page.get_by_role("link", name="Show all").click()
        expect(page.get_by_text("Columns 1–50 of 5,000")).to_be_visible()
