"""Mappings in a real browser: paste, be corrected, upload, search, replace, remove, export."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import PATIENCE
from tests.e2e.looking import look
from tests.product import EMAIL, PASSWORD, Product

_SETUP = f"""
from amchelper.models import User
from instances.models import AMCAccount, AMCInstance, AmazonConnection
from instances.services.brands import replace_brands
alice = User.objects.get(email={EMAIL!r})
login, _ = AmazonConnection.objects.get_or_create(
    user=alice, label="Mapping login", defaults=dict(region="NA", refresh_token="Atzr|local-healthy"))
account, _ = AMCAccount.objects.get_or_create(
    connection=login, account_id="ENTITYLOCALUS1", marketplace_id="ATVPDKIKX0DER",
    defaults=dict(account_name="Northwind Outdoor US"))
instance, _ = AMCInstance.objects.get_or_create(
    user=alice, instance_id="NAME", defaults=dict(account=account, name="Trail Running US", region="NA"))
replace_brands(instance, BRANDS, actor=None)
print("instance", instance.pk)
"""
# What the page says about an upload, however quickly it goes by; the next page can still read it.
_WRITE_DOWN = """() => {
    const place = document.querySelector("[data-upload-text]");
    new MutationObserver(() => sessionStorage.said = (sessionStorage.said || "") + place.textContent + ";")
        .observe(place, {childList: true});
}"""
LONG_ID = "9223372036854775807"


def prepare(product: Product, name: str, brands: list[str]) -> str:
    """Return the address of an instance with brands and no mappings."""
    done = product.manage("shell", "-c", _SETUP.replace("NAME", name).replace("BRANDS", repr(brands)))
    assert done.returncode == 0, done.stderr
    return f"/instances/{done.stdout.split('instance ')[-1].strip()}/mappings/"


def open_form(page: Page) -> None:
    """Go to the form; the list has a field "Brand" too."""
    page.get_by_role("link", name="Add mappings").click()
    expect(page.get_by_label("Paste", exact=True)).to_be_visible()


def open_kind(page: Page, link: str, column: str) -> None:
    """Go to the mappings of a kind."""
    page.get_by_role("link", name=link).first.click()
    expect(page.get_by_role("columnheader", name=column, exact=True)).to_be_visible()


def told(page: Page, text: str) -> None:
    """Wait for a message; the screen reader's copy of it does not count."""
    expect(page.locator("#messages").get_by_text(text)).to_be_visible(timeout=60_000)


@pytest.mark.usefixtures("product")
class TestMappings:
    """One story; the steps build on each other, so they are one test."""

    def test_from_nothing_to_thousands(self, alice: Page, product: Product, tmp_path: Path) -> None:
        page = alice
        page.goto(prepare(product, "amcmapempty", []))
        expect(page.get_by_text("A brand comes first")).to_be_visible()
        address = prepare(product, "amcmaptrail", ["Trail", "Wellhome", "GreenLeaf"])
        page.goto(address)
        look(page, "mappings-empty")
        self.paste(page)
        self.upload(page, tmp_path)
        self.search(page)
        self.replace(page)
        self.remove(page)
        self.export(page)

    def paste(self, page: Page) -> None:
        open_form(page)
        look(page, "mappings-form")
        page.get_by_label("Brand").select_option("Trail")
        page.get_by_label("Paste", exact=True).fill("b0trail001\nB0TRAIL01\nB0TRAIL002, 1234567890")
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.get_by_text("2 lines cannot be taken. Nothing was saved.")).to_be_visible()
        expect(page.get_by_role("heading", name="What is wrong")).to_be_visible()
        look(page, "mappings-errors")
        expect(page.get_by_label("Paste", exact=True)).to_have_value(
            "b0trail001\nB0TRAIL01\nB0TRAIL002, 1234567890"
        )
        page.get_by_label("Paste", exact=True).fill("b0trail001\nB0TRAIL002")
        page.get_by_role("button", name="Add", exact=True).click()
        told(page, "2 mappings added.")
        expect(page.locator("#mapping-table").get_by_text("B0TRAIL001")).to_be_visible()

    def upload(self, page: Page, folder: Path) -> None:
        lines = [f"{brand},B0{number:08d},," for number in range(6_000) for brand in ("Trail", "Wellhome")]
        lines += [f"Trail,,{LONG_ID},", 'GreenLeaf,,,"Summer, sale"', "Trail,,,Straße – Ärmel"]
        lines += [f"GreenLeaf,,,Autumn {number:03d} | SP | Exact" for number in range(150)]
        file = folder / "mappings.csv"
        file.write_text("\n".join(["brand,asin,campaign_id,campaign_name", *lines]))
        open_form(page)
        expect(page.locator("[data-upload-text]")).to_be_attached()
        page.evaluate(_WRITE_DOWN)
        page.get_by_label("Or upload a CSV file").set_input_files(file)
        page.get_by_role("button", name="Add", exact=True).click()
        told(page, "12,153 mappings added.")
        said = page.evaluate("sessionStorage.said")
        assert "Uploading: 0 %" in said
        assert "Reading and checking every line…" in said
        expect(page.locator(".mapping-tiles")).to_contain_text("12,002")
        look(page, "mappings")
        open_kind(page, "Campaign IDs", "Campaign ID")
        expect(page.locator("#mapping-table").get_by_text(LONG_ID)).to_be_visible()
        open_kind(page, "Campaign names", "Campaign name")
        look(page, "mappings-names")

    def search(self, page: Page) -> None:
        table = page.locator("#mapping-table")
        page.get_by_role("searchbox").fill("autumn 14")
        expect(table.get_by_text("12 campaign names match")).to_be_visible()
        page.get_by_role("searchbox").fill("straße ärm")
        expect(table.get_by_text("Straße – Ärmel")).to_be_visible()
        expect(table.locator("tbody tr")).to_have_count(1)
        expect(page).to_have_url(re.compile("q=stra"))
        page.get_by_role("searchbox").fill("nowhere")
        expect(table.get_by_text("Nothing matches")).to_be_visible()
        page.get_by_role("link", name="Clear filters").click()
        page.get_by_role("link", name="Page 2", exact=True).click()
        expect(page.locator("#mapping-table .pager-count")).to_have_text("101–152 of 152")

    def replace(self, page: Page) -> None:
        open_form(page)
        page.get_by_label("Brand").select_option("GreenLeaf")
        page.get_by_label("Campaigns").check()
        page.get_by_label("Paste", exact=True).fill("Summer, sale\nWinter")
        page.get_by_role("button", name="Replace…").click()
        expect(page.get_by_text("Replace? 150 removed, 1 added, 1 kept")).to_be_visible()
        look(page, "mappings-replace")
        page.get_by_role("button", name="Replace and remove 150").click()
        told(page, "Replaced: 1 added, 150 removed, 1 kept.")
        expect(page.locator("#mapping-table tbody tr")).to_have_count(3)

    def remove(self, page: Page) -> None:
        expect(page.get_by_role("button", name="Remove selected…")).to_be_disabled()
        page.get_by_label("Select all on this page").check()
        expect(page.get_by_text("3 selected")).to_be_visible()
        page.get_by_label("Select Winter").uncheck()
        page.get_by_role("button", name="Remove selected…").click()
        expect(page.get_by_role("heading", name="Remove 2 campaign names?")).to_be_visible()
        look(page, "mappings-remove")
        page.get_by_role("button", name="Remove 2").click()
        told(page, "2 mappings removed.")
        open_kind(page, "ASINs", "ASIN")
        page.get_by_label("Brand", exact=True).select_option("Wellhome")
        page.get_by_role("button", name="Remove all 6,000 matching…").click()
        page.get_by_role("button", name="Remove 6,000").click()
        told(page, "6,000 mappings removed.")
        page.get_by_role("link", name="Clear filters").click()
        expect(page.locator(".mapping-tiles")).to_contain_text("6,002")

    def export(self, page: Page) -> None:
        with page.expect_download() as download:
            page.get_by_role("link", name="Export CSV").click()
        text = Path(download.value.path()).read_text("utf-8-sig")
        assert text.startswith("brand,asin,campaign_id,campaign_name")
        assert f"Trail,,{LONG_ID}," in text


class TestTooMuch:
    """What is too large is said before it is sent; what was sent anyway leaves the form as it is."""

    def test_a_file_that_is_too_large_loses_nothing(self, alice: Page, product: Product, tmp_path: Path) -> None:
        page = alice
        page.goto(prepare(product, "amcmaplarge", ["Trail", "Wellhome"]))
        open_form(page)
        page.get_by_label("Brand").select_option("Wellhome")
        file = self.file(tmp_path, megabytes=11)
        page.get_by_label("Or upload a CSV file").set_input_files(file)
        said = page.get_by_label("Or upload a CSV file").evaluate("field => field.validationMessage")
        assert said == "This file is too large. Split it into several files."
        # Somebody whose page does not look at the size.
        page.locator("form[data-upload]").evaluate("form => { form.noValidate = true }")
        for megabytes in (17, 80):
            page.get_by_label("Or upload a CSV file").set_input_files(self.file(tmp_path, megabytes))
            page.get_by_role("button", name="Add", exact=True).click()
            told(page, f"This request has {megabytes}.0\xa0MB; at most 16.0\xa0MB are taken at once.")
            expect(page.get_by_label("Brand").locator("option:checked")).to_have_text("Wellhome")
        # Past htmx, as a browser sends a form itself.
        page.get_by_label("Paste", exact=True).fill("what else was typed")
        page.locator("form[data-upload]").evaluate("form => HTMLFormElement.prototype.submit.call(form)")
        expect(page.get_by_role("heading", name="Too much at once")).to_be_visible()
        look(page, "too-much")
        page.get_by_role("link", name="Back to the form").click()
        expect(page.get_by_label("Paste", exact=True)).to_have_value("what else was typed")

    def test_without_script_the_way_back_leads_to_what_was_chosen(
        self, browser: Browser, product: Product, tmp_path: Path
    ) -> None:
        page = plain_page(browser, product, prepare(product, "amcmaplargeplain", ["Trail", "Wellhome"]))
        open_form(page)
        page.get_by_label("Brand").select_option("Wellhome")
        page.get_by_label("Paste", exact=True).fill("B0TRAIL001 and what else was typed")
        page.get_by_label("Or upload a CSV file").set_input_files(self.file(tmp_path, megabytes=17))
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.get_by_role("heading", name="Too much at once")).to_be_visible()
        expect(page.get_by_text("at most 16.0\xa0MB are taken at once")).to_be_visible()
        page.go_back()
        expect(page.get_by_label("Paste", exact=True)).to_have_value("B0TRAIL001 and what else was typed")
        expect(page.get_by_label("Brand").locator("option:checked")).to_have_text("Wellhome")
        page.context.close()

    @staticmethod
    def file(folder: Path, megabytes: int) -> Path:
        """Return a file of that size."""
        file = folder / f"{megabytes}.csv"
        file.write_bytes(b"B0TRAIL001\n" * (megabytes * 1024 * 1024 // 11))
        return file


def plain_page(browser: Browser, product: Product, address: str) -> Page:
    """Return a page without JavaScript, signed in."""
    context = browser.new_context(java_script_enabled=False, base_url=product.url)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(f"/accounts/login/?next={address}")
    page.locator("[name=login]").fill(EMAIL)
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    return page


class TestWithoutScript:
    def test_every_step_works_with_plain_forms(self, browser: Browser, product: Product) -> None:
        page = plain_page(browser, product, prepare(product, "amcmapplain", ["Trail"]))
        open_form(page)
        page.get_by_label("Paste", exact=True).fill("B0TRAIL001 B0TRAIL002 wrong")
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.get_by_text("1 line cannot be taken. Nothing was saved.")).to_be_visible()
        page.get_by_label("Paste", exact=True).fill("B0TRAIL001 B0TRAIL002")
        page.get_by_role("button", name="Add", exact=True).click()
        told(page, "2 mappings added.")
        page.get_by_role("searchbox").fill("001")
        page.get_by_role("button", name="Apply").click()
        page.wait_for_url("**q=001**")
        page.get_by_label("Select B0TRAIL001").check()
        page.get_by_role("button", name="Remove selected…").click()
        page.get_by_role("button", name="Remove 1").click()
        told(page, "1 mapping removed.")
        open_form(page)
        page.get_by_label("Paste", exact=True).fill("B0TRAIL003")
        page.get_by_role("button", name="Replace…").click()
        page.get_by_role("button", name="Replace and remove 1").click()
        told(page, "Replaced: 1 added, 1 removed, 0 kept.")
        page.context.close()
