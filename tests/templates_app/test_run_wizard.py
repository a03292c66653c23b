"""The run wizard, step by step."""

from __future__ import annotations

import re
from typing import Any

import time_machine
from django.http import HttpResponse

from templates_app.models import Execution, InstanceTemplate, Schedule
from templates_app.services.templates import Content, update_template
from tests.templates_app.test_template_pages import TemplateTestCase

NOW = "2026-11-23T12:00:00Z"


@time_machine.travel(NOW, tick=False)
class RunWizardTests(TemplateTestCase):
    saved: InstanceTemplate

    def setUp(self) -> None:
        super().setUp()
        self.saved = self.template()
        self.client.force_login(self.alice)
        start = self.client.get(self.run_url())
        self.address = start["Location"].removesuffix("template/")

    def run_url(self) -> str:
        return self.url("detail", self.saved.template_id) + "run/"

    def post(self, step: str, **fields: Any) -> HttpResponse:
        data = {f"{step}-{name}": value for name, value in fields.items() if not name.startswith("wizard_")}
        data |= {name: value for name, value in fields.items() if name.startswith("wizard_")}
        prefix = re.search(
            r'name="([^"]*-current_step)"', self.client.get(self.address + f"{step}/").content.decode()
        )
        assert prefix is not None
        response = self.client.post(self.address + f"{step}/", {prefix[1]: step, **data})
        assert isinstance(response, HttpResponse)
        return response

    def to_review(self, **window: Any) -> HttpResponse:
        self.post("template", version=1)
        self.post("type", kind="once")
        fields = {"mode": "rolling", "days": "30", "lag_days": "14", "zone": "UTC", **window}
        return self.post("once", **fields)

    def test_shows_what_is_saved_now(self) -> None:
        update_template(
            template=self.saved,
            user=self.alice,
            content=Content(name="Reach", source_sql="SELECT 2 AS y"),
            version=1,
        )
        self.assertContains(self.client.get(self.address + "template/"), "SELECT 2 AS y")

    def test_runs_the_default_window(self) -> None:
        self.to_review()
        review = self.client.get(self.address + "review/")
        self.assertContains(review, "11 Oct")
        response = self.post("review", name="October", agreed_version=1)
        execution = Execution.objects.get()
        self.assertEqual(response["Location"], execution.get_absolute_url())
        self.assertEqual(execution.name, "October")
        self.assertEqual((str(execution.window_start), str(execution.window_end)), ("2026-10-11", "2026-11-09"))
        self.assertEqual(execution.sql_query, self.saved.sql_query)
        self.saved.refresh_from_db()
        self.assertEqual(self.saved.usage_count, 1)

    def test_submitting_twice_creates_one(self) -> None:
        self.to_review()
        self.post("review", name="Once", agreed_version=1)
        again = self.client.post(self.address + "review/", {"review-name": "Twice", "review-agreed_version": 1})
        self.assertEqual(again["Location"], Execution.objects.get().get_absolute_url())

    def test_changed_template_asks_again(self) -> None:
        self.to_review()
        update_template(
            template=self.saved,
            user=self.alice,
            content=Content(name="Reach", source_sql="SELECT 2 AS y"),
            version=1,
        )
        response = self.post("review", name="Old", agreed_version=1)
        self.assertContains(response, "SELECT 2 AS y")
        self.assertContains(response, "saved again")
        self.assertFalse(Execution.objects.exists())
        self.post("review", name="New", agreed_version=2)
        self.assertEqual(Execution.objects.get().sql_query, "SELECT 2 AS y")

    def test_future_is_stopped_and_what_was_typed_stays(self) -> None:
        response = self.to_review(mode="dates", start="2026-11-01", end="2027-01-31")
        self.assertEqual(response.status_code, 200)
        self.assertContains(response, 'value="2027-01-31"')
        self.assertContains(response, "has not begun")

    def test_inside_the_lag_is_a_warning(self) -> None:
        self.to_review(lag_days="5")
        self.assertContains(self.client.get(self.address + "review/"), "alert-warning")

    def test_back_keeps_what_was_typed(self) -> None:
        self.to_review(days="60")
        self.post("review", name="Typed", agreed_version=1, wizard_goto_step="once")
        self.assertContains(self.client.get(self.address + "review/"), "Typed")

    def test_preview_resolves_the_window(self) -> None:
        url = self.url("list") + "run-preview/"
        fields = {"once-mode": "rolling", "once-days": "7", "once-lag_days": "14", "once-zone": "America/New_York"}
        response = self.client.post(url, fields)
        self.assertContains(response, "3 Nov")
        self.assertContains(response, "2026-11-03 05:00")

    def test_plans_a_schedule(self) -> None:
        self.post("template", version=1)
        self.post("type", kind="recurring")
        fields = {"mode": "rolling", "days": "7", "lag_days": "14", "zone": "Europe/Berlin"}
        self.post("recurring", recurrence="weekly", weekday="1", day_of_month="1", time="09:00", **fields)
        review = self.client.get(self.address + "review/")
        self.assertContains(review, "Every Monday at 09:00")
        self.assertContains(review, "30 Nov 2026, 09:00")
        self.post("review", name="Mondays", agreed_version=1)
        schedule = Schedule.objects.get()
        self.assertEqual((schedule.name, schedule.kind, schedule.weekday), ("Mondays", "weekly", 1))
        self.assertEqual(schedule.next_run_at.isoformat(), "2026-11-30T08:00:00+00:00")

    def test_outsider_finds_nothing(self) -> None:
        self.client.force_login(self.charlie)
        self.assertEqual(self.client.get(self.address + "template/").status_code, 404)
        self.assertEqual(self.client.get(self.run_url()).status_code, 404)
