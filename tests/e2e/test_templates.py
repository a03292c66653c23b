"""Templates in a real browser: write, see it filled in and previewed, save, edit, use."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.looking import look
from tests.product import EMAIL, Product

_SETUP = f"""
from amchelper.models import User
from instances.models import AMCAccount, AMCInstance, AmazonConnection, InstanceBrand
alice = User.objects.get(email={EMAIL!r})
login, _ = AmazonConnection.objects.get_or_create(
    user=alice, label="Template login", defaults=dict(region="NA", refresh_token="Atzr|local-healthy"))
account, _ = AMCAccount.objects.get_or_create(
    connection=login, account_id="ENTITYLOCALUS1", marketplace_id="ATVPDKIKX0DER",
    defaults=dict(account_name="Northwind Outdoor US"))
instance, _ = AMCInstance.objects.get_or_create(
    user=alice, instance_id="amclocaltpl", defaults=dict(account=account, name="Trail Running", region="NA"))
brand, _ = InstanceBrand.objects.get_or_create(instance=instance, folded="trail", defaults=dict(name="Trail"))
from instances.models.mapping import MappingKind
from instances.services.mappings import Entry, add_mappings
add_mappings(instance, [
    Entry(brand.pk, MappingKind.ASIN, "B0TRAIL001"), Entry(brand.pk, MappingKind.ASIN, "B0TRAIL002"),
    Entry(brand.pk, MappingKind.CAMPAIGN_ID, "123456789012345678"),
], actor=None)
print("instance", instance.pk)
"""
# What another server process does: it saves a new version.
_ELSEWHERE = """
from templates_app.models import InstanceTemplate
from templates_app.services.templates import Content, update_template
template = InstanceTemplate.objects.get(name="Reach by campaign")
content = Content(name=template.name, source_sql="SELECT 42 AS from_another_process")
update_template(actor=template.user, template=template, content=content, version=template.version)
"""
SQL = """SELECT campaign, SUM(purchases) AS purchases
FROM amazon_attributed_events_by_conversion_time
WHERE campaign LIKE '%{{word}}%' AND conversion_event_date >= :start_date
AND tracked_asin IN ({{asins}}) AND campaign_id_string IN ($campaign_ids)
GROUP BY 1"""
FINISHED = (
    SQL.replace("{{word}}", "Trail")
    .replace(":start_date", "'2026-09-01'")
    .replace("{{asins}}", "'B0TRAIL001', 'B0TRAIL002'")
    .replace("$campaign_ids", "123456789012345678")
)


@pytest.fixture
def instance(product: Product) -> str:
    """Return our ID of an instance of Alice's."""
    done = product.manage("shell", "-c", _SETUP)
    assert done.returncode == 0, done.stderr
    return done.stdout.rsplit("instance ", 1)[1].split()[0]


def on_step(page: Page, title: str) -> None:
    """Wait for a step of the run wizard; all of them have a button "Continue"."""
    expect(page.locator(".wizard-step[aria-current=step]")).to_contain_text(title)


def write_sql(page: Page, sql: str) -> None:
    """Replace the editor's text as a user who pastes does."""
    editor = page.locator(".cm-content").first
    editor.click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text(sql)


class TestTemplates:
    """One story; the steps build on each other, so they are one test."""

    def test_write_save_edit_use(self, alice: Page, product: Product, instance: str) -> None:
        page = alice
        page.goto(f"/instances/{instance}/templates/")
        look(page, "templates-empty")
        self.write(page)
        self.edit(page)
        self.use(page, product, instance)
        self.delete(page, instance)

    def write(self, page: Page) -> None:
        page.get_by_role("link", name="New template").click()
        page.wait_for_url("**/new/")
        page.get_by_label("Name").fill("Reach by campaign")
        write_sql(page, SQL)
        # The mappings fill two of four by themselves.
        expect(page.get_by_text("2 of 4 set")).to_be_visible()
        expect(page.get_by_label("asins", exact=True)).to_have_value("B0TRAIL001\nB0TRAIL002")
        expect(page.get_by_text("from mappings")).to_have_count(2)
        page.get_by_label("word", exact=True).fill("Trail")
        page.get_by_label("start_date", exact=True).fill("2026-09-01")
        expect(page.get_by_text("4 of 4 set")).to_be_visible()
        expect(page.locator("#template-preview textarea")).to_have_value(FINISHED)
        look(page, "template-editor")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("heading", name="Reach by campaign")).to_be_visible()
        look(page, "template-detail")

    def edit(self, page: Page) -> None:
        detail = page.url
        page.get_by_role("link", name="Edit").click()
        page.wait_for_url("**/edit/")
        expect(page.locator(".cm-content").first).to_contain_text("{{word}}")
        write_sql(page, SQL.replace("AS purchases", "AS orders"))
        page.get_by_role("button", name="Save").click()
        # The form has the same heading.
        page.wait_for_url(detail)
        expect(page.get_by_role("heading", name="Reach by campaign")).to_be_visible()
        page.goto(f"{detail}versions/")
        look(page, "template-versions")

    def use(self, page: Page, product: Product, instance: str) -> None:
        page.goto(f"/instances/{instance}/templates/")
        look(page, "templates")
        page.get_by_role("link", name="Run Reach by campaign").click()
        on_step(page, "Template")
        expect(page.locator("[data-sql-view]").first).to_have_value(FINISHED.replace("AS purchases", "AS orders"))
        look(page, "wizard-template")
        done = product.manage("shell", "-c", _ELSEWHERE)
        assert done.returncode == 0, done.stderr
        for address in (page.url, f"/instances/{instance}/templates/"):
            page.goto(address)
        page.get_by_role("link", name="Run Reach by campaign").click()
        on_step(page, "Template")
        expect(page.locator("[data-sql-view]").first).to_have_value("SELECT 42 AS from_another_process")
        page.get_by_role("button", name="Continue").click()
        on_step(page, "Type")
        look(page, "wizard-type")
        page.get_by_role("button", name="Continue").click()
        on_step(page, "Window")
        look(page, "wizard-window")

    def delete(self, page: Page, instance: str) -> None:
        page.goto(f"/instances/{instance}/templates/")
        page.get_by_label("More about Reach by campaign").click()
        page.get_by_role("link", name="Delete").click()
        expect(page.get_by_role("button", name="Delete for good")).to_be_visible()
        look(page, "template-delete")
        page.get_by_role("button", name="Delete for good").click()
        expect(page.get_by_text("No template yet")).to_be_visible()
