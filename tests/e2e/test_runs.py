"""From a template to rows on the screen, in a real browser."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import MOST_DAYS_PASSED
from tests.e2e.looking import look, reload_until_visible
from tests.e2e.test_templates import on_step
from tests.local_amc.api import wait_until
from tests.product import EMAIL, Product

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
template = create_template(actor=alice, instance=instance, content=Content(name="Reach to run", source_sql=sql))
print("template", template.get_absolute_url())
"""
# Longer than looking at a page takes.
_PUBLISHING_SECONDS = 300


@pytest.fixture
def template(product: Product) -> str:
    """Return the address of a template of Alice's."""
    done = product.manage("shell", "-c", _SETUP)
    assert done.returncode == 0, done.stderr
    return done.stdout.rsplit("template ", 1)[1].split()[0]


class TestRuns:
    """One story; the steps build on each other, so they are one test."""

    def test_run_once_watch_look_download(self, alice: Page, template: str, product: Product) -> None:
        page = alice
        page.goto("/runs/")
        look(page, "runs-empty")
        self.prepare(page, template)
        self.start_and_watch(page, product)
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
        expect(page.get_by_text("No planned run has come yet")).to_be_visible()
        look(page, "schedule-new")
        product.pass_time(timedelta(days=MOST_DAYS_PASSED))
        # A page without a run does not renew itself.
        reload_until_visible(page, page.locator("#slot-history").get_by_text("Succeeded").first)
        look(page, "schedule")
        for address, name in (("/schedules/", "schedules"), ("/schedules/calendar/", "calendar")):
            page.goto(address)
            look(page, name)

    def plan_weekly(self, page: Page, template: str) -> None:
        page.goto(template)
        page.get_by_role("link", name="Run", exact=True).click()
        on_step(page, "Template")
        page.get_by_role("button", name="Continue").click()
        on_step(page, "Type")
        page.get_by_label("Recurring schedule").check()
        page.get_by_role("button", name="Continue").click()
        on_step(page, "Recurrence")
        page.get_by_label("Every week").check()
        page.get_by_label("Time zone").fill("Europe/Berlin")
        page.get_by_label("Time zone").press("Tab")
        expect(page.locator("#run-preview")).to_contain_text("Europe/Berlin")
        look(page, "wizard-recurring")
        page.get_by_role("button", name="Continue").click()
        on_step(page, "Review")
        page.get_by_role("button", name="Save the schedule").click()

    def prepare(self, page: Page, template: str) -> None:
        page.goto(template)
        page.get_by_role("link", name="Run", exact=True).click()
        on_step(page, "Template")
        page.get_by_role("button", name="Continue").click()
        on_step(page, "Type")
        page.get_by_role("button", name="Continue").click()
        on_step(page, "Window")
        page.get_by_text("60 days").click()
        expect(page.locator("#run-preview")).to_contain_text("60 days")
        page.get_by_role("button", name="Continue").click()
        on_step(page, "Review")
        look(page, "wizard-review")

    def start_and_watch(self, page: Page, product: Product) -> None:
        # The page loads itself anew when the run ends, so the run goes on only when it has been looked at.
        product.control("faults", fault="exec_publishing", count=1, seconds=_PUBLISHING_SECONDS)
        page.get_by_role("button", name="Start the run").click()
        expect(page.locator("#execution-progress")).to_be_visible()
        look(page, "run-progress")
        wait_until(product.statuses_at_amc, lambda statuses: "PUBLISHING" in statuses, seconds=180)
        product.control("clock", advance=_PUBLISHING_SECONDS)
        expect(page.locator("#result-table")).to_be_visible(timeout=300_000)

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
        expect(page.get_by_role("heading", name="Columns")).to_be_visible()
        look(page, "run-columns")
