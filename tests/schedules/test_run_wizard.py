"""The run wizard, step by step."""

from __future__ import annotations

import re
from datetime import date
from functools import partial
from typing import Any

import time_machine
from django.conf import settings
from django.http import HttpResponse
from django.test import override_settings

from amchelper.dependents import delete_with_dependents
from amchelper.limits import RUNS, spend
from executions.models import Execution
from executions.services import start
from executions.services.start import start_execution
from instances.models import AmazonConnection, AMCInstance, InstanceBrand
from planning.windows import Window
from schedules.models import Schedule
from schedules.services import schedules
from schedules.views import wizard
from templates_app.models import InstanceTemplate
from templates_app.services.templates import Content, set_archived, update_template
from tests.race.test_deletions import right_after
from tests.templates_app.test_template_pages import TemplateTestCase
from tests.test_try_again import failing

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
            actor=self.alice,
            template=self.saved,
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
            actor=self.alice,
            template=self.saved,
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

    def test_a_step_that_a_busy_database_could_not_keep_is_sent_again(self) -> None:
        self.post("template", version=1)
        page = self.client.get(self.address + "type/").content.decode()
        current = re.search(r'name="([^"]*-current_step)"', page)
        assert current is not None
        form = {current[1]: "type", "type-kind": "recurring"}
        with failing('UPDATE "django_session"'):
            response = self.client.post(self.address + "type/", form)
        self.assertEqual(response.status_code, 503)
        self.assertContains(response, 'name="type-kind" value="recurring"', status_code=503)
        self.assertEqual(self.client.post(self.address + "type/", form)["Location"], self.address + "recurring/")

    def test_one_start_too_many_is_held_up_and_can_be_sent_again(self) -> None:
        self.to_review()
        with override_settings(LIMITS_PER_MINUTE={**settings.LIMITS_PER_MINUTE, "runs": 1}):
            spend(self.alice, RUNS)
            response = self.post("review", name="October", agreed_version=1)
        self.assertContains(response, 'name="review-name" value="October"', status_code=429)
        self.assertFalse(Execution.objects.exists())
        self.post("review", name="October", agreed_version=1)
        self.assertEqual(Execution.objects.get().name, "October")

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
        assert schedule.next_run_at is not None
        self.assertEqual(schedule.next_run_at.isoformat(), "2026-11-30T08:00:00+00:00")

    def hidden(self, response: Any, name: str) -> str:
        """Return the value a browser would send back for a hidden field."""
        found = re.search(rf'<input[^>]*name="{name}"[^>]*value="([^"]*)"', response.content.decode())
        assert found is not None, name
        return found[1]

    def save_again(self, sql: str = "SELECT 2 AS y") -> None:
        content = Content(name="Reach", source_sql=sql)
        update_template(actor=self.alice, template=self.saved, content=content, version=self.saved.version)
        self.saved.refresh_from_db()

    def test_page_that_asks_again_agrees_to_what_it_shows(self) -> None:
        self.to_review()
        self.save_again()
        asked = self.post("review", name="Old", agreed_version=1)
        self.post("review", name="New", agreed_version=self.hidden(asked, "review-agreed_version"))
        self.assertEqual(Execution.objects.get().template_version, 2)

    def test_review_that_is_opened_again_agrees_to_what_it_shows(self) -> None:
        self.to_review()
        self.post("review", name="Typed", agreed_version=1, wizard_goto_step="once")
        self.save_again()
        review = self.client.get(self.address + "review/")
        self.assertEqual(self.hidden(review, "review-agreed_version"), "2")

    def test_template_step_that_is_opened_again_has_seen_the_new_version(self) -> None:
        self.to_review()
        self.save_again()
        seen = self.client.get(self.address + "template/")
        self.assertContains(seen, "SELECT 2 AS y")
        self.post("template", version=self.hidden(seen, "template-version"))
        self.assertNotContains(self.client.get(self.address + "review/"), "saved again")

    def test_get_never_starts_a_run(self) -> None:
        self.to_review()
        self.post("review", name="Typed", agreed_version=1, wizard_goto_step="once")
        response = self.client.get(self.address + "finished/")
        self.assertEqual(response.status_code, 302)
        self.assertFalse(Execution.objects.exists())

    def test_refused_start_says_why_and_keeps_what_was_typed(self) -> None:
        self.to_review(days="60")
        set_archived(self.saved, actor=self.alice, archived=True)
        refused = self.post("review", name="My own name", agreed_version=1)
        self.assertFalse(Execution.objects.exists())
        page = self.client.get(refused["Location"]) if refused.status_code == 302 else refused
        self.assertContains(page, "archived")
        self.assertContains(page, "My own name")
        self.assertContains(page, "60 days")

    def test_suggested_name_follows_the_window(self) -> None:
        self.to_review()
        review = self.client.get(self.address + "review/")
        name = self.hidden(review, "review-name")
        self.assertIn("2026-10-11 - 2026-11-09", name)
        self.post("review", name=name, agreed_version=1, wizard_goto_step="once")
        self.to_review(days="7")
        self.assertIn(
            "2026-11-03 - 2026-11-09", self.hidden(self.client.get(self.address + "review/"), "review-name")
        )

    def test_refused_start_leaves_the_name_to_follow_the_window(self) -> None:
        self.to_review()
        name = self.hidden(self.client.get(self.address + "review/"), "review-name")
        set_archived(self.saved, actor=self.alice, archived=True)
        self.post("review", name=name, agreed_version=1)
        set_archived(self.saved, actor=self.alice, archived=False)
        self.to_review(days="7")
        name = self.hidden(self.client.get(self.address + "review/"), "review-name")
        self.assertIn("2026-11-03", name)
        self.post("review", name=name, agreed_version=1)
        self.assertEqual(Execution.objects.get().name, name)

    def test_own_name_stays_when_the_window_changes(self) -> None:
        self.to_review()
        self.post("review", name="Own", agreed_version=1, wizard_goto_step="once")
        self.to_review(days="7")
        self.assertEqual(self.hidden(self.client.get(self.address + "review/"), "review-name"), "Own")

    def test_name_starts_with_the_first_brand(self) -> None:
        for brand in ("Zebra", "Acme"):
            InstanceBrand.objects.create(instance=self.instance, name=brand, folded=brand.casefold())
        self.to_review()
        suggested = self.hidden(self.client.get(self.address + "review/"), "review-name")
        self.assertEqual(suggested, "Acme - Reach - 2026-10-11 - 2026-11-09")
        window = Window(date(2026, 10, 11), date(2026, 11, 9), "UTC")
        # Nobody types a name for runs of schedules and of the API.
        self.assertEqual(start_execution(actor=self.alice, template=self.saved, window=window).name, suggested)

    def test_step_of_the_other_kind_leads_back(self) -> None:
        self.post("template", version=1)
        self.post("type", kind="recurring")
        page = self.client.get(self.address + "recurring/").content.decode()
        step = re.search(r'name="([^"]*-current_step)"', page)
        assert step is not None
        # In another tab the user changes the type.
        self.post("type", kind="once")
        response = self.client.post(
            self.address + "recurring/", {step[1]: "recurring", "recurring-mode": "rolling"}
        )
        self.assertEqual(response.status_code, 302)
        self.assertEqual(self.client.post(self.address + "once/", {step[1]: "bogus"}).status_code, 302)

    def test_missing_lag_is_asked_for_and_not_made_up(self) -> None:
        self.assertContains(self.to_review(lag_days=""), "Give the data delay in days")
        dates = self.to_review(mode="dates", start="2026-10-01", end="2026-10-31", lag_days="")
        self.assertEqual(dates.status_code, 302)

    def test_what_a_step_kept_although_it_is_wrong_is_shown_and_fails_nowhere(self) -> None:
        self.to_review()
        for step, fields in (
            ("template", {"version": "abc"}),
            ("template", {"version": "9" * 5_000}),
            ("type", {"kind": "never"}),
            ("once", {"mode": "never", "zone": "Mars/Olympus"}),
        ):
            self.post(step, wizard_goto_step="review", **fields)
            for shown in ("template", "type", "once", "review"):
                with self.subTest(fields, shown=shown):
                    self.assertEqual(self.client.get(f"{self.address}{shown}/").status_code, 200)
        self.post("review", name="Never", agreed_version=1)
        self.assertFalse(Execution.objects.exists())

    def test_unknown_choice_gets_a_message(self) -> None:
        self.assertContains(self.to_review(mode="bogus"), "Select a valid choice")

    def test_dates_that_no_slot_can_have_are_stopped_at_their_step(self) -> None:
        self.post("template", version=1)
        self.post("type", kind="recurring")
        fields = {"mode": "dates", "start": "2024-01-01", "end": "2024-01-31", "zone": "UTC", "lag_days": "14"}
        response = self.post("recurring", recurrence="daily", time="09:00", **fields)
        self.assertEqual(response.status_code, 200)
        self.assertContains(response, "AMC keeps the last 13 months", count=None)
        self.assertContains(response, 'class="alert alert-danger"')

    def test_schedule_inside_the_lag_is_a_warning(self) -> None:
        self.post("template", version=1)
        self.post("type", kind="recurring")
        fields = {"mode": "rolling", "days": "7", "lag_days": "3", "zone": "UTC"}
        self.post("recurring", recurrence="daily", time="09:00", **fields)
        self.assertContains(self.client.get(self.address + "review/"), "still gain conversions")

    def test_run_that_cannot_start_says_so_before_it_is_submitted(self) -> None:
        self.to_review()
        AmazonConnection.objects.update(status="RECONNECT_REQUIRED")
        self.post("review", name="Blocked", agreed_version=1)
        self.assertFalse(Execution.objects.exists())
        self.assertContains(self.client.get(self.address + "review/"), "Reconnect it under Connections")

    def levels(self) -> dict[str, str]:
        """Return what the first step says of each question."""
        checks = self.client.get(self.address + "template/").context["checks"]
        return {check.label: check.level for check in checks}

    def test_first_step_says_what_stands_against_a_run(self) -> None:
        fine = dict.fromkeys(["Amazon login", "Instance", "Health", "Template", "Length", "Places at AMC"], "ok")
        self.assertEqual(self.levels(), fine)
        AMCInstance.objects.update(health_status="UNHEALTHY", health_error="AMC terms not accepted")
        self.assertEqual(self.levels(), {**fine, "Health": "warning"})
        AMCInstance.objects.update(health_status="ERROR")
        self.assertEqual(self.levels(), {**fine, "Health": "warning"})
        AMCInstance.objects.update(health_status="HEALTHY", status="PENDING")
        self.assertEqual(self.levels(), {**fine, "Instance": "error"})
        AMCInstance.objects.update(status="INACTIVE", is_active=False)
        AmazonConnection.objects.update(status="RECONNECT_REQUIRED")
        set_archived(self.saved, actor=self.alice, archived=True)
        refused = dict.fromkeys(["Amazon login", "Instance", "Template"], "error")
        self.assertEqual(self.levels(), {**fine, **refused})

    def test_length_is_no_longer_a_green_line_where_amc_may_refuse_it(self) -> None:
        InstanceTemplate.objects.update(sql_query="x" * 70_000)
        page = self.client.get(self.address + "template/")
        self.assertEqual({check.label: check.level for check in page.context["checks"]}["Length"], "warning")
        self.assertContains(page, "The finished SQL has 70,000 bytes. AMC may refuse more than 65,536")

    def to_recurring_review(self, **changed: str) -> None:
        self.post("template", version=1)
        self.post("type", kind="recurring")
        fields = {"mode": "rolling", "days": "30", "lag_days": "14", "zone": "UTC", "recurrence": "daily"}
        self.post("recurring", **{**fields, "time": "09:00", **changed})

    def test_unhealthy_instance_is_tried_by_hand_and_skipped_by_plan(self) -> None:
        AMCInstance.objects.update(health_status="UNHEALTHY", health_error="AMC terms not accepted")
        skipped = "Planned runs are skipped while it is so."
        self.to_review()
        self.assertNotContains(self.client.get(self.address + "review/"), skipped)
        self.to_recurring_review()
        self.assertContains(self.client.get(self.address + "review/"), skipped)

    def test_recurrence_on_a_disabled_instance_is_not_saved_and_loses_nothing(self) -> None:
        self.to_recurring_review(days="60")
        AMCInstance.objects.update(is_active=False, status="INACTIVE")
        AmazonConnection.objects.update(status=AmazonConnection.Status.RECONNECT_REQUIRED)
        refused = self.post("review", name="My own plan", agreed_version=1)
        self.assertFalse(Schedule.objects.exists())
        page = self.client.get(refused["Location"])
        for said in (
            "The instance is disabled. Enable it",
            "is not connected. Reconnect it",
            "My own plan",
            "60 days",
        ):
            self.assertContains(page, said)

    def test_template_deleted_meanwhile_is_said_with_a_way_on(self) -> None:
        self.to_review()
        delete_with_dependents(InstanceTemplate.objects.all(), actor=None)
        for page in (self.client.get(self.address + "review/"), self.client.post(self.address + "review/")):
            self.assertContains(
                page, "This template was deleted while you were planning its run.", status_code=404
            )
            self.assertContains(page, f'href="{self.url("list")}"', status_code=404)
        # Whoever never was in this wizard is told nothing more than of any other address.
        self.client.force_login(self.charlie)
        page = self.client.get(self.address + "review/")
        self.assertNotContains(page, "was deleted while", status_code=404)

    def test_template_deleted_in_the_very_moment_of_the_start_is_said(self) -> None:
        for kind, to_review, module, name in (
            ("read", self.to_review, wizard, "spend"),
            ("write", self.to_review, start, "make_execution"),
            ("plan", self.to_recurring_review, schedules, "_plannable_template"),
        ):
            with self.subTest(kind):
                self.saved = self.template(name=kind)
                self.address = self.client.get(self.run_url())["Location"].removesuffix("template/")
                to_review()
                rows = InstanceTemplate.objects.filter(pk=self.saved.pk)
                with right_after(module, name, partial(delete_with_dependents, rows, actor=None)):
                    answer: Any = self.post("review", name="My own", agreed_version=1)
                page = self.client.get(answer["Location"]) if answer.status_code == 302 else answer
                self.assertContains(
                    page, "This template was deleted while you were planning its run.", status_code=404
                )
        self.assertEqual((Execution.objects.count(), Schedule.objects.count()), (0, 0))

    def test_instance_deleted_meanwhile_is_said_with_a_way_on(self) -> None:
        self.to_review()
        delete_with_dependents(AMCInstance.objects.filter(pk=self.instance.pk), actor=None)
        page = self.client.get(self.address + "review/")
        self.assertContains(page, "This instance was deleted while you were planning its run.", status_code=404)
        self.assertContains(page, 'href="/instances/"', status_code=404)

    def test_submitted_wizard_leads_to_its_run_although_the_template_is_gone(self) -> None:
        self.to_review()
        self.post("review", name="September", agreed_version=1)
        delete_with_dependents(InstanceTemplate.objects.all(), actor=None)
        self.assertRedirects(self.client.get(self.address + "review/"), Execution.objects.get().get_absolute_url())

    def test_suggested_name_of_a_schedule_is_no_half_sentence(self) -> None:
        shorter = "or the last day of shorter months"
        for day, name in (
            ("1", "Reach, every month on day 1"),
            ("28", "Reach, every month on day 28"),
            ("29", f"Reach, every month on day 29, {shorter}"),
            ("31", f"Reach, every month on day 31, {shorter}"),
            ("-1", "Reach, every month on the last day"),
        ):
            self.to_recurring_review(recurrence="monthly", day_of_month=day)
            with self.subTest(day):
                page = self.client.get(self.address + "review/")
                self.assertEqual(self.hidden(page, "review-name"), name)

    def test_editing_is_offered_to_those_who_may(self) -> None:
        self.assertContains(self.client.get(self.address + "template/"), "Edit the template")
        with self.nobody_may("editable_by"):
            self.assertNotContains(self.client.get(self.address + "template/"), "Edit the template")

    def test_outsider_finds_nothing(self) -> None:
        self.client.force_login(self.charlie)
        self.assertEqual(self.client.get(self.address + "template/").status_code, 404)
        self.assertEqual(self.client.get(self.run_url()).status_code, 404)
