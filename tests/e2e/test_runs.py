"""From a template to rows on the screen, in a real browser."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import EMAIL, Product
from tests.e2e.test_instances import look

_SETUP = f"""
from amchelper.models import User
from instances.models import AMCAccount, AMCInstance, AmazonConnection
from templates_app.services.templates import Content, create_template
alice = User.objects.get(email={EMAIL!r})
login, _ = AmazonConnection.objects.get_or_create(
    user=alice, label="Runs login", defaults=dict(region="NA", refresh_token="Atzr|local-healthy"))
account, _ = AMCAccount.objects.get_or_create(
    connection=login, account_id="ENTITYLOCALUS1", marketplace_id="ATVPDKIKX0DER",
    defaults=dict(account_name="Northwind Outdoor US"))
instance, _ = AMCInstance.objects.get_or_create(
    user=alice, instance_id="amclocalus1", defaults=dict(account=account, name="Northwind Trail Running", region="NA"))
AMCInstance.objects.filter(pk=instance.pk).update(status="ACTIVE")
sql = (
    "SELECT campaign, SUM(impressions) AS impressions, COUNT(DISTINCT user_id) AS reach "
    "FROM dsp_impressions GROUP BY 1"
)
template = create_template(user=alice, instance=instance, content=Content(name="Reach to run", source_sql=sql))
print("template", template.get_absolute_url())
"""


@pytest.fixture
def template(product: Product) -> str:
    """Return the address of a template of Alice's."""
    done = product.manage("shell", "-c", _SETUP)
    assert done.returncode == 0, done.stderr
    return done.stdout.rsplit("template ", 1)[1].split()[0]


class TestRuns:
    """One story; the steps build on each other, so they are one test."""

    def test_run_once_watch_look_download(self, alice: Page, template: str) -> None:
        page = alice
        page.goto("/runs/")
        look(page, "runs-empty")
        self.start(page, template)
        self.watch(page)
        self.look_at_rows(page)
        page.goto("/runs/")
        look(page, "runs")
        page.goto("/")
        look(page, "home")

    def test_weekly_schedule_runs_when_its_time_has_come(
        self, alice: Page, template: str, product: Product
    ) -> None:
        page = alice
        self.plan_weekly(page, template)
        look(page, "schedule-new")
        expect(page.get_by_text("No slot has come yet")).to_be_visible()
        product.move_clock(timedelta(days=8).total_seconds())
        try:
            self.wait_for_slot(page)
            look(page, "schedule")
            for address, name in (("/schedules/", "schedules"), ("/schedules/calendar/", "calendar")):
                page.goto(address)
                look(page, name)
        finally:
            product.move_clock(0)

    def plan_weekly(self, page: Page, template: str) -> None:
        page.goto(template)
        page.get_by_role("link", name="Use").click()
        page.get_by_role("button", name="Continue").click()
        page.get_by_label("Recurring schedule").check()
        page.get_by_role("button", name="Continue").click()
        page.get_by_label("Every week").check()
        page.get_by_label("Time zone").fill("Europe/Berlin")
        page.get_by_label("Time zone").press("Tab")
        expect(page.locator("#run-preview")).to_contain_text("Europe/Berlin")
        look(page, "wizard-recurring")
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Save the schedule").click()

    def wait_for_slot(self, page: Page) -> None:
        """Read the page of the schedule until its first slot's run has ended."""
        for _ in range(90):
            page.reload()
            if page.locator("#slot-history").get_by_text("Succeeded").count():
                return
            page.wait_for_timeout(1000)
        expect(page.locator("main")).to_contain_text("Succeeded")

    def start(self, page: Page, template: str) -> None:
        page.goto(template)
        page.get_by_role("link", name="Use").click()
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Continue").click()
        page.get_by_text("60 days").click()
        expect(page.locator("#run-preview")).to_contain_text("60 days")
        page.get_by_role("button", name="Continue").click()
        look(page, "wizard-review")
        page.get_by_role("button", name="Start the run").click()

    def watch(self, page: Page) -> None:
        expect(page.locator("#execution-progress")).to_be_visible()
        # The page loads itself anew when the run ends; not while it is looked at.
        page.route("**/runs/*/", lambda route: route.abort())
        look(page, "run-progress")
        page.unroute("**/runs/*/")
        expect(page.locator("#result-table")).to_be_visible(timeout=120_000)

    def look_at_rows(self, page: Page) -> None:
        expect(page.locator("canvas[data-chart]")).to_be_visible()
        look(page, "run-result")
        page.get_by_role("link", name="impressions").click()
        expect(page.locator("th[aria-sort=ascending]")).to_have_count(1)
        page.get_by_label("Search rows").fill("Kids")
        page.get_by_label("Search rows").press("Enter")
        expect(page.locator("#result-table .pager-count")).to_contain_text("matching")
        with page.expect_download() as download:
            page.get_by_text("Download", exact=True).click()
            page.get_by_role("link", name="CSV as AMC sent it").click()
        assert download.value.path().read_bytes().startswith(b"campaign,impressions,reach\n")
        page.get_by_role("link", name="Columns").click()
        look(page, "run-columns")
