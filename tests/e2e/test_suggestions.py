"""Filters that suggest what is meant while one types, in a real browser."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.e2e.looking import look
from tests.product import EMAIL, Product

_SETUP = f"""
from datetime import date
from django.utils import timezone
from amchelper.models import User
from executions.models import Execution
from executions.services.start import make_execution
from instances.models import AMCAccount, AMCInstance, AmazonConnection
from planning.windows import Window
from templates_app.services.templates import Content, create_template
alice = User.objects.get(email={EMAIL!r})
login = AmazonConnection.objects.create(user=alice, label="Suggested", region="NA", refresh_token="Atzr|local-healthy")
account = AMCAccount.objects.create(connection=login, account_id="ENTITYSUGGEST", marketplace_id="ATVPDKIKX0DER")
for number, name in enumerate(["Quince orchard", "Quince garden", "Medlar"]):
    instance = AMCInstance.objects.create(
        user=alice, instance_id=f"amcsuggest{{number}}", account=account, name=name, region="NA", status="ACTIVE")
    content = Content(name="Reach", source_sql="SELECT 1 AS x")
    template = create_template(actor=alice, instance=instance, content=content)
    window = Window(date(2026, 1, 1), date(2026, 1, 7), "UTC")
    run = make_execution(created_by=alice, template=template, window=window, name=f"Run of {{name}}")
    run.status, run.finished_at = "SUCCEEDED", timezone.now()
    run.save()
print("done")
"""


def test_typing_suggests_and_choosing_filters(alice: Page, product: Product) -> None:
    done = product.manage("shell", "-c", _SETUP)
    assert done.returncode == 0, done.stderr
    page = alice
    page.goto("/runs/")
    expect(page.get_by_role("link", name="Run of Medlar")).to_be_visible()
    field = page.get_by_label("Instance")
    field.press_sequentially("quince", delay=20)
    expect(page.locator("#instance-suggestions option")).to_have_count(2)
    # Chromium does not let scripts choose from the list; it puts the text in and says `change`.
    field.fill("Quince garden (amcsuggest1)")
    field.press("Tab")
    expect(page.get_by_role("link", name="Run of Quince orchard")).to_have_count(0)
    expect(page.get_by_role("link", name="Run of Quince garden")).to_be_visible()
    expect(page).to_have_url(re.compile(r"instance=Quince"))
    look(page, "runs-suggested")
    page.get_by_label("Instance").fill("nowhere")
    page.get_by_label("Instance").press("Tab")
    expect(page.get_by_text("No instance has “nowhere” in its name or AMC ID.")).to_be_visible()
