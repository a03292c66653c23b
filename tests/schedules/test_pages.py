"""Pages of schedules."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from amchelper.dependents import delete_with_dependents
from executions.models import Execution, ExecutionStatus
from executions.services import start
from instances.models import AMCInstance
from schedules.models import Schedule, ScheduleSlot
from schedules.presenters.schedule_lists import calendar_days
from schedules.services import schedules as services
from schedules.services.schedules import create_schedule, delete_schedule, pause
from schedules.services.steps import sync_slots
from schedules.views import schedules as views
from templates_app.models import InstanceTemplate
from tests.factories import InstanceFactory
from tests.race.test_deletions import right_after
from tests.schedules.base import NOW, ScheduleTestCase, make_template, values


def url(name: str, *args: Any) -> str:
    return reverse(f"schedules:schedule-{name}", args=args)


class ScheduleListTests(ScheduleTestCase):
    def test_shows_recurrence_next_run_in_both_zones_and_last_slots(self) -> None:
        self.schedule(zone="America/New_York", time=dt.time(8, 30))
        self.tick("2026-03-02 13:30")
        response = self.client.get(url("list"))
        self.assertContains(response, "Every day at 08:30 (America/New_York)")
        self.assertContains(response, "Tue 3 Mar 2026, 08:30")
        self.assertContains(response, 'datetime="2026-03-03T13:30:00+00:00" data-viewer-time')
        self.assertContains(response, "Last runs, the oldest first: running")

    def test_next_run_comes_first_and_paused_ones_last(self) -> None:
        late, early, stopped = (
            self.schedule(name=name, time=dt.time(hour))
            for name, hour in (("Late", 20), ("Early", 10), ("Stop", 9))
        )
        pause(schedule=stopped, actor=self.alice)
        rows = self.client.get(url("list")).context["rows"]
        self.assertEqual([row.schedule for row in rows], [early, late, stopped])

    def test_filters_by_words_instance_and_status(self) -> None:
        other = make_template(
            self.alice,
            InstanceFactory.create(
                account__connection__user=self.alice,
                name="Trailhead",
            ),
        )
        first = self.schedule(name="First")
        second = create_schedule(actor=self.alice, template=other, values=values(name="Second"))
        pause(schedule=second, actor=self.alice)
        for query, found in (
            ("", {first, second}),
            ("q=trail+sec", {second}),
            ("q=reach", {first, second}),
            ("q=nothing", set()),
            ("status=PAUSED", {second}),
            (f"instance={self.instance.pk}", {first}),
            (f"instance={quote(str(self.instance))}", {first}),
            (f"instance={self.instance.instance_id.upper()}", {first}),
            ("instance=trail", {second}),
            (f"instance={uuid4()}", set()),
            ("status=BOGUS", set()),
        ):
            with self.subTest(query):
                rows = self.htmx_get(f"{url('list')}?{query}").context["rows"]
                self.assertEqual({row.schedule for row in rows}, found)

    def test_text_that_names_no_instance_is_said_to(self) -> None:
        self.schedule()
        InstanceFactory.create(account__connection__user=self.charlie, name="Secret")
        for text in ("Secret", "nowhere"):
            page = self.client.get(f"{url('list')}?instance={text}")
            self.assertContains(page, f"No instance has “{text}” in its name or AMC ID.")
        self.assertContains(page, 'value="nowhere"')

    def test_htmx_gets_the_table_only(self) -> None:
        self.schedule()
        response = self.htmx_get(url("list"))
        self.assertContains(response, 'id="schedule-table"')
        self.assertNotContains(response, "<html")

    def test_statements_do_not_grow_with_the_rows(self) -> None:
        counts = []
        for number in (1, 9):
            for index in range(number):
                self.schedule(name=f"Schedule {number} {index}")
            self.tick(f"2026-03-{number + 2:02} 09:00")
            with CaptureQueriesContext(connection) as queries:
                self.client.get(url("list"))
            counts.append(len(queries))
        self.assertEqual(counts[0], counts[1])

    def test_others_schedules_and_deleted_ones_are_not_listed(self) -> None:
        create_schedule(actor=self.charlie, template=make_template(self.charlie), values=values(name="Foreign"))
        self.client.post(url("delete", self.schedule(name="Gone").schedule_id))
        response = self.client.get(url("list"))
        self.assertNotContains(response, "Foreign")
        self.assertContains(response, "No schedule yet")

    def test_tab_of_an_instance_shows_its_schedules(self) -> None:
        self.schedule(name="Here")
        response = self.client.get(url("of-instance", self.instance.pk))
        self.assertContains(response, "Here")
        self.assertContains(response, 'aria-current="page"')


class DetailTests(ScheduleTestCase):
    def test_shows_the_next_five_slots_with_their_windows_and_clock_changes(self) -> None:
        self.at("2026-03-27 12:00")
        schedule = self.schedule(zone="Europe/Berlin", time=dt.time(2, 30))
        response = self.client.get(schedule.get_absolute_url())
        self.assertEqual(len(response.context["preview"].slots), 5)
        self.assertContains(response, "02:30 does not exist on 29 Mar 2026")
        self.assertContains(response, "30 days")

    def test_history_links_to_the_runs_and_says_why_slots_failed(self) -> None:
        schedule = self.schedule()
        self.tick("2026-03-02 09:00")
        execution = Execution.objects.get()
        self.end(execution, ExecutionStatus.REJECTED, error="Object <x> not found")
        sync_slots()
        response = self.client.get(schedule.get_absolute_url())
        self.assertContains(response, execution.get_absolute_url())
        self.assertContains(response, "Object &lt;x&gt; not found")
        self.assertContains(response, "The last 1 run failed.")

    def test_says_why_planned_runs_are_skipped_and_where_to_mend_it(self) -> None:
        schedule = self.schedule()
        address = schedule.get_absolute_url()
        self.assertNotContains(self.client.get(address), "are skipped")
        login = self.instance.account.connection
        for change, said, way_out in (
            ({"is_active": False, "status": "INACTIVE"}, "is disabled", self.instance.get_absolute_url()),
            ({"status": "PENDING"}, "has not accepted", self.instance.get_absolute_url()),
            ({"health_status": "UNHEALTHY", "health_error": "No terms"}, "No terms", "Open the instance"),
        ):
            AMCInstance.objects.update(**{"is_active": True, "status": "ACTIVE", **change})
            with self.subTest(said):
                page = self.client.get(address)
                self.assertContains(page, "Its planned runs are skipped while it is so:")
                self.assertContains(page, said)
                self.assertContains(page, way_out)
        AMCInstance.objects.update(health_status="HEALTHY")
        login.disconnect()
        self.assertContains(self.client.get(address), login.get_absolute_url())

    def test_statements_do_not_grow_with_the_history(self) -> None:
        schedule = self.schedule(missed_policy="ALL")
        counts = []
        for day in ("02", "12"):
            self.tick(f"2026-03-{day} 09:00")
            with CaptureQueriesContext(connection) as queries:
                self.client.get(schedule.get_absolute_url())
            counts.append(len(queries))
        self.assertEqual(counts[0], counts[1])

    def test_stopped_schedule_says_so_here_and_on_home(self) -> None:
        schedule = self.schedule(name="Weekly reach")
        Schedule.objects.update(consecutive_failures=5)
        sync_slots()
        for page in (schedule.get_absolute_url(), reverse("home"), url("list")):
            with self.subTest(page):
                self.assertContains(self.client.get(page), "Paused after 5 failed runs in a row.")
        self.assertContains(self.client.get(reverse("home")), "stopped and needs a look")

    def test_history_is_asked_for_again_while_a_slot_is_open(self) -> None:
        schedule = self.schedule()
        self.tick("2026-03-02 09:00")
        self.assertContains(self.client.get(schedule.get_absolute_url()), 'hx-trigger="every 5s"')
        ScheduleSlot.objects.update(status="SUCCEEDED")
        self.assertNotContains(self.client.get(schedule.get_absolute_url()), 'hx-trigger="every 5s"')

    def test_earlier_tries_of_a_slot_are_not_outside_the_plan(self) -> None:
        schedule = self.schedule()
        self.tick("2026-03-02 09:00")
        ScheduleSlot.objects.update(execution=None, status="CLAIMED", attempts=1)
        self.tick("2026-03-02 09:30")
        self.assertEqual(schedule.executions.count(), 2)
        self.assertNotContains(self.client.get(schedule.get_absolute_url()), "Runs outside the plan")

    def test_schedule_paused_by_hand_is_no_news_on_home(self) -> None:
        pause(schedule=self.schedule(), actor=self.alice)
        self.assertNotContains(self.client.get(reverse("home")), "stopped and needs a look")


class ActionTests(ScheduleTestCase):
    def test_pause_and_resume(self) -> None:
        schedule = self.schedule()
        for action, status in (("pause", "PAUSED"), ("pause", "PAUSED"), ("resume", "ACTIVE")):
            response = self.client.post(url(action, schedule.schedule_id), follow=True)
            self.assertRedirects(response, schedule.get_absolute_url())
            self.assertEqual(Schedule.objects.get().status, status)

    def test_run_now_leads_to_the_run_and_twice_to_the_same(self) -> None:
        schedule = self.schedule()
        key = self.client.get(schedule.get_absolute_url()).context["run_key"]
        answers = [self.client.post(url("run", schedule.schedule_id), {"key": key}) for _ in range(2)]
        execution = Execution.objects.get()
        self.assertEqual({answer["Location"] for answer in answers}, {execution.get_absolute_url()})

    def test_run_now_says_what_becomes_of_the_plan(self) -> None:
        schedule = self.schedule()
        page = self.client.post(url("run", schedule.schedule_id), follow=True)
        self.assertContains(page, "The schedule goes on as planned.")
        pause(schedule=schedule, actor=self.alice)
        page = self.client.post(url("run", schedule.schedule_id), follow=True)
        self.assertContains(page, "The schedule stays paused.")
        self.assertEqual(Schedule.objects.get().status, "PAUSED")

    def test_resuming_what_would_only_be_skipped_says_why(self) -> None:
        schedule = self.schedule()
        pause(schedule=schedule, actor=self.alice)
        AMCInstance.objects.update(is_active=False, status="INACTIVE")
        page = self.client.post(url("resume", schedule.schedule_id), follow=True)
        self.assertContains(page, "The instance is disabled.")
        self.assertEqual(Schedule.objects.get().status, "PAUSED")

    def test_run_that_cannot_start_says_why(self) -> None:
        schedule = self.schedule()
        type(self.instance).objects.update(is_active=False, status="INACTIVE")
        response = self.client.post(url("run", schedule.schedule_id), follow=True)
        self.assertContains(response, "The instance is disabled.")

    def test_deleting_asks_first(self) -> None:
        schedule = self.schedule()
        self.assertContains(self.client.get(url("delete", schedule.schedule_id)), "their results stay")
        self.assertIsNone(Schedule.objects.get().deleted_at)
        self.client.post(url("delete", schedule.schedule_id))
        self.assertIsNotNone(Schedule.objects.get().deleted_at)

    def test_history_of_a_deleted_schedule_stays_within_reach(self) -> None:
        schedule = self.schedule(name="Old plan")
        self.schedule(name="Kept plan")
        self.tick("2026-03-02 09:00")
        page = self.client.get(url("delete", schedule.schedule_id))
        for said in ("1 run that has begun will go on.", "1 planned run of its history stays", "1 run and"):
            self.assertContains(page, said)
        self.client.post(url("delete", schedule.schedule_id))
        listed = self.client.get(url("list"))
        self.assertNotContains(listed, schedule.get_absolute_url())
        self.assertContains(listed, '<option value="DELETED">Deleted</option>')
        address = f"{url('list')}?status=DELETED&instance={quote(str(self.instance))}"
        self.assertContains(self.client.get(url("of-instance", self.instance.pk)), address.replace("&", "&amp;"))
        found = self.client.get(address)
        self.assertContains(found, schedule.get_absolute_url())
        self.assertNotContains(found, "Kept plan")
        page = self.client.get(schedule.get_absolute_url())
        self.assertContains(page, "This schedule was deleted on 2 Mar 2026, 09:00 UTC.")
        self.assertContains(page, Execution.objects.filter(schedule=schedule).get().get_absolute_url())
        for action in ("pause", "resume", "run", "update", "delete"):
            self.assertNotContains(page, url(action, schedule.schedule_id))

    def test_acting_on_a_schedule_deleted_under_the_open_page_leads_to_its_history(self) -> None:
        schedule = self.schedule(name="Old plan")
        delete_schedule(schedule=schedule, actor=self.alice)
        before = list(Schedule.objects.values())
        for method, action in (
            ("post", "pause"), ("post", "resume"), ("post", "run"), ("post", "delete"), ("get", "update"),
            ("get", "delete"),
        ):  # fmt: skip
            with self.subTest(action, method=method):
                response = getattr(self.client, method)(url(action, schedule.schedule_id), follow=True)
                self.assertRedirects(response, schedule.get_absolute_url())
                self.assertContains(response, "Old plan was deleted, so nothing was changed or started.")
        self.assertEqual(list(Schedule.objects.values()), before)
        self.assertFalse(Execution.objects.exists())


class ScheduleEditTests(ScheduleTestCase):
    def form(self, schedule: Schedule, **changed: Any) -> dict[str, Any]:
        """Return what the untouched page would send, with changes."""
        response = self.client.get(url("update", schedule.schedule_id))
        form = response.context["form"]
        data = {name: form.get_initial_for_field(field, name) for name, field in form.fields.items()}
        data = {name: value for name, value in data.items() if value is not None}
        return {**data, "seen": response.context["seen"], **changed}

    def test_schedule_deleted_under_the_form_keeps_what_was_typed(self) -> None:
        schedule = self.schedule()
        form = self.form(schedule, name="Typed with care")
        delete_schedule(schedule=schedule, actor=self.alice)
        page = self.client.post(url("update", schedule.schedule_id), form)
        self.assertContains(page, "was deleted, so nothing was changed")
        self.assertContains(page, 'value="Typed with care"')
        self.assertNotEqual(Schedule.objects.get().name, "Typed with care")

    def test_schedule_deleted_while_the_form_is_saved_keeps_what_was_typed(self) -> None:
        schedule = self.schedule()
        form = self.form(schedule, name="Typed with care")
        with right_after(views, "read_seen", lambda: delete_schedule(schedule=schedule, actor=self.alice)):
            page = self.client.post(url("update", schedule.schedule_id), form)
        self.assertContains(page, "was deleted, so nothing was changed")
        self.assertContains(page, 'value="Typed with care"')
        self.assertNotEqual(Schedule.objects.get().name, "Typed with care")

    def test_action_on_a_schedule_deleted_in_the_same_moment_leads_to_its_history(self) -> None:
        for action in ("pause", "delete"):
            schedule = self.schedule(name=f"Plan to {action}")
            with (
                self.subTest(action),
                right_after(
                    services,
                    "get_schedule_to_edit",
                    partial(delete_schedule, schedule=schedule, actor=None),
                ),
            ):
                page = self.client.post(url(action, schedule.schedule_id), follow=True)
                self.assertContains(page, f"Plan to {action} was deleted, so nothing was changed or started.")

    def test_run_by_hand_of_a_template_deleted_in_the_same_moment_starts_nothing(self) -> None:
        schedule = self.schedule()
        rows = InstanceTemplate.objects.filter(pk=self.template.pk)
        for module, name in ((services, "get_schedule_to_run"), (start, "make_execution")):
            with self.subTest(name), transaction.atomic():
                with right_after(module, name, lambda: delete_with_dependents(rows, actor=None)):
                    page = self.client.post(url("run", schedule.schedule_id), {"key": str(uuid4())}, follow=True)
                self.assertEqual(page.status_code, 404)
                self.assertFalse(Execution.objects.exists())
                transaction.set_rollback(True)

    def test_untouched_page_saves_the_same_values(self) -> None:
        for number, wanted in enumerate(
            (
                values(window_days=45, missed_policy="ALL", start=dt.date(2026, 4, 1), end=dt.date(2026, 12, 31)),
                values(kind="weekly", weekday=0, zone="Europe/Berlin", lag_days=0),
                values(kind="monthly", day_of_month=-1),
                values(window_days=None, fixed_start=dt.date(2026, 1, 1), fixed_end=dt.date(2026, 1, 31)),
            )
        ):
            with self.subTest(number):
                schedule = create_schedule(actor=self.alice, template=self.template, values=wanted)
                before = Schedule.objects.filter(pk=schedule.pk).values().get()
                response = self.client.post(url("update", schedule.schedule_id), self.form(schedule))
                self.assertRedirects(response, schedule.get_absolute_url())
                after = Schedule.objects.filter(pk=schedule.pk).values().get()
                self.assertEqual({**after, "updated_at": None}, {**before, "updated_at": None})

    def test_change_moves_the_next_run(self) -> None:
        schedule = self.schedule()
        self.client.post(
            url("update", schedule.schedule_id), self.form(schedule, time="15:45", zone="America/New_York")
        )
        self.assertEqual(Schedule.objects.get().next_run_at, dt.datetime(2026, 3, 2, 20, 45, tzinfo=dt.UTC))

    def test_second_tab_is_told_and_may_then_save_on_top(self) -> None:
        schedule = self.schedule()
        stale = self.form(schedule, name="Second")
        self.client.post(url("update", schedule.schedule_id), self.form(schedule, name="First"))
        response = self.client.post(url("update", schedule.schedule_id), stale)
        self.assertContains(response, "This schedule was saved again after you opened it.")
        self.assertContains(response, 'value="Second"')
        self.assertEqual(Schedule.objects.get().name, "First")
        self.client.post(url("update", schedule.schedule_id), {**stale, "seen": response.context["seen"]})
        self.assertEqual(Schedule.objects.get().name, "Second")

    def test_wrong_fields_are_named(self) -> None:
        schedule = self.schedule()
        for field, wrong in (
            ("zone", {"zone": "Mars/Olympus"}),
            ("ends_on", {"starts_on": "2026-05-01", "ends_on": "2026-04-01"}),
            ("starts_on", {"starts_on": "1999-01-01"}),
            ("custom_days", {"days": "custom", "custom_days": "0"}),
            ("end", {"mode": "dates", "start": "2026-01-02", "end": "2026-01-01"}),
            ("name", {"name": ""}),
        ):
            with self.subTest(field):
                response = self.client.post(url("update", schedule.schedule_id), self.form(schedule, **wrong))
                self.assertEqual(response.status_code, 200)
                self.assertIn(field, response.context["form"].errors)
        self.assertEqual(Schedule.objects.get().name, "Daily reach")

    def test_what_the_service_refuses_is_shown(self) -> None:
        schedule = self.schedule()
        form = self.form(schedule, ends_on="2026-03-01")
        response = self.client.post(url("update", schedule.schedule_id), form)
        self.assertContains(response, "No run would ever come")

    def test_forged_moment_counts_as_stale(self) -> None:
        schedule = self.schedule()
        for seen in ("", "yesterday", "2020-01-01T00:00:00"):
            with self.subTest(seen):
                response = self.client.post(url("update", schedule.schedule_id), self.form(schedule, seen=seen))
                self.assertContains(response, "This schedule was saved again")

    def test_preview_saves_nothing(self) -> None:
        schedule = self.schedule()
        form = self.form(schedule, time="15:45", preview="1")
        response = self.htmx_post(url("update", schedule.schedule_id), form)
        self.assertContains(response, "Every day at 15:45 (UTC)")
        self.assertNotContains(response, "<html")
        self.assertContains(
            self.client.post(url("update", schedule.schedule_id), form), "Every day at 15:45 (UTC)"
        )
        self.assertEqual(Schedule.objects.get().time, dt.time(9))


class CalendarTests(ScheduleTestCase):
    def test_slots_stand_on_the_day_of_their_own_zone(self) -> None:
        schedule = self.schedule(zone="Pacific/Auckland", time=dt.time(1), kind="weekly", weekday=1)
        days = calendar_days([schedule], timezone.now())
        found = [day.day for day in days if day.entries]
        self.assertEqual(found, [dt.date(2026, 3, 9) + dt.timedelta(weeks=n) for n in range(4)])
        self.assertTrue(all(day.weekday() == 0 for day in found))

    def test_whole_weeks_from_monday(self) -> None:
        self.at("2026-03-05 12:00")
        days = calendar_days([self.schedule()], timezone.now())
        self.assertEqual(days[0].day, dt.date(2026, 3, 2))
        self.assertEqual(len(days) % 7, 0)
        self.assertEqual([day.day for day in days if day.is_today], [dt.date(2026, 3, 5)])
        self.assertEqual(sum(len(day.entries) for day in days), 30)

    def test_page_shows_active_schedules_of_the_user(self) -> None:
        self.schedule(name="Mine")
        pause(schedule=self.schedule(name="Paused"), actor=self.alice)
        create_schedule(actor=self.charlie, template=make_template(self.charlie), values=values(name="Foreign"))
        response = self.client.get(url("calendar"))
        self.assertContains(response, "Mine", count=30)
        self.assertNotContains(response, "Paused")
        self.assertNotContains(response, "Foreign")

    def test_empty_calendar_says_what_to_do(self) -> None:
        self.assertContains(self.client.get(url("calendar")), "Nothing is planned")
        self.assertEqual(ScheduleSlot.objects.count(), 0)
        self.assertEqual(timezone.now(), NOW)
