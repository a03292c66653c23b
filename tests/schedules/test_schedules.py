"""Making, changing, pausing and deleting schedules, and running one by hand."""

from __future__ import annotations

import datetime as dt
from uuid import uuid4

from django.http import Http404

from amchelper.exceptions import InvalidStateError
from executions.errors import NotRunnableError
from executions.models import Execution, Trigger
from instances.models import AmazonConnection, AMCInstance
from planning.windows import Window
from schedules.errors import DeletedScheduleError, StaleScheduleError
from schedules.models import Schedule, ScheduleSlot
from schedules.services.schedules import (
    ScheduleValues,
    create_schedule,
    delete_schedule,
    get_schedule,
    pause,
    resume,
    run_now,
    update_schedule,
)
from templates_app.services.templates import set_archived
from tests.schedules.base import NOW, ScheduleTestCase, make_template, moment, values


class ValuesTests(ScheduleTestCase):
    def test_rolling_window_follows_the_slots_local_date(self) -> None:
        # 00:30 in Berlin is still the day before in UTC.
        berlin = values(zone="Europe/Berlin", time=dt.time(0, 30), window_days=7, lag_days=1)
        window = berlin.window_at(moment("2026-03-09 23:30"))
        self.assertEqual(window, Window(dt.date(2026, 3, 3), dt.date(2026, 3, 9), "Europe/Berlin"))

    def test_fixed_window_is_the_same_for_every_slot(self) -> None:
        fixed = values(window_days=None, fixed_start=dt.date(2026, 1, 1), fixed_end=dt.date(2026, 1, 31))
        for at in ("2026-03-09 09:00", "2026-05-09 09:00"):
            self.assertEqual(fixed.window_at(moment(at)), Window(dt.date(2026, 1, 1), dt.date(2026, 1, 31), "UTC"))

    def test_what_is_saved_is_read_back(self) -> None:
        for wanted in (
            values(name="Weekly", kind="weekly", weekday=0, zone="America/New_York", missed_policy="ALL"),
            values(name="Monthly", kind="monthly", day_of_month=-1, start=dt.date(2026, 4, 1), lag_days=3),
            values(name="Fixed", window_days=None, fixed_start=dt.date(2026, 1, 1), fixed_end=dt.date(2026, 1, 2)),
        ):
            with self.subTest(wanted.name):
                made = create_schedule(actor=self.alice, template=self.template, values=wanted)
                self.assertEqual(ScheduleValues.of(Schedule.objects.get(pk=made.pk)), wanted)


class CreateTests(ScheduleTestCase):
    def test_first_run_is_the_next_slot(self) -> None:
        schedule = self.schedule()
        self.assertEqual(schedule.next_run_at, moment("2026-03-02 09:00"))
        self.assertEqual(schedule.instance, self.instance)
        self.assertFalse(ScheduleSlot.objects.exists())

    def test_same_submission_twice_is_one_schedule(self) -> None:
        key = uuid4()
        made = [
            create_schedule(actor=self.alice, template=self.template, values=values(), submission_key=key)
            for _ in range(2)
        ]
        self.assertEqual(made[0].pk, made[1].pk)
        self.assertEqual(Schedule.objects.count(), 1)

    def test_another_users_template_does_not_exist(self) -> None:
        foreign = make_template(self.charlie)
        with self.assertRaises(Http404):
            create_schedule(actor=self.alice, template=foreign, values=values())
        self.assertFalse(Schedule.objects.exists())

    def test_template_archived_in_another_tab_is_refused(self) -> None:
        stale = self.template
        set_archived(type(stale).objects.get(pk=stale.pk), actor=self.alice, archived=True)
        with self.assertRaisesMessage(NotRunnableError, "archived"):
            create_schedule(actor=self.alice, template=stale, values=values())

    def test_what_could_not_run_now_is_neither_planned_nor_resumed(self) -> None:
        paused = self.schedule()
        pause(schedule=paused, actor=self.alice)
        instances, logins = AMCInstance.objects.all(), AmazonConnection.objects.all()
        for why, is_active, status, login in (
            ("is disabled", False, "INACTIVE", "CONNECTED"),
            ("has not accepted", True, "PENDING", "CONNECTED"),
            ("is not connected", True, "ACTIVE", "RECONNECT_REQUIRED"),
        ):
            instances.update(is_active=is_active, status=status)
            logins.update(status=login)
            with self.subTest(why):
                with self.assertRaisesMessage(NotRunnableError, why):
                    create_schedule(actor=self.alice, template=self.template, values=values())
                with self.assertRaisesMessage(NotRunnableError, why):
                    resume(schedule=paused, actor=self.alice)
        self.assertEqual(Schedule.objects.get().status, "PAUSED")
        instances.update(status="ACTIVE", health_status="UNHEALTHY")
        logins.update(status="CONNECTED")
        resume(schedule=paused, actor=self.alice)
        self.assertEqual(Schedule.objects.get().status, "ACTIVE")

    def test_what_could_never_run_is_refused(self) -> None:
        day = dt.date
        for why, wrong in {
            "has not begun": values(window_days=None, fixed_start=day(2026, 1, 1), fixed_end=day(2026, 3, 3)),
            "13 months": values(window_days=None, fixed_start=day(2024, 1, 1), fixed_end=day(2024, 1, 2)),
            "first and the last day": values(window_days=None, fixed_start=day(2026, 1, 1)),
            "between 1 and 365": values(window_days=366),
            "last 13 months": values(window_days=365, lag_days=60),
            "last day has passed": values(start=day(2026, 1, 1), end=day(2026, 2, 1)),
            "name": values(name=" "),
            "most is 255": values(name="x" * 256),
            "missed runs": values(missed_policy="NEVER"),
        }.items():
            with self.subTest(why), self.assertRaisesMessage(NotRunnableError, why):
                create_schedule(actor=self.alice, template=self.template, values=wrong)
        self.assertFalse(Schedule.objects.exists())

    def test_fixed_days_may_begin_before_the_first_slot(self) -> None:
        later = values(start=dt.date(2026, 4, 1), window_days=None)
        later = ScheduleValues(
            **{**later.__dict__, "fixed_start": dt.date(2026, 3, 1), "fixed_end": dt.date(2026, 3, 31)}
        )
        self.assertIsNotNone(create_schedule(actor=self.alice, template=self.template, values=later))


class UpdateTests(ScheduleTestCase):
    def test_new_plan_starts_now(self) -> None:
        schedule = self.schedule()
        saved = update_schedule(
            schedule=schedule, actor=self.alice, values=values(time=dt.time(10)), seen=schedule.updated_at
        )
        self.assertEqual(saved.next_run_at, moment("2026-03-02 10:00"))
        self.assertEqual(saved.time, dt.time(10))

    def test_second_tab_is_told_that_it_is_stale(self) -> None:
        schedule = self.schedule()
        seen = schedule.updated_at
        update_schedule(schedule=schedule, actor=self.alice, values=values(name="First"), seen=seen)
        with self.assertRaises(StaleScheduleError):
            update_schedule(schedule=schedule, actor=self.alice, values=values(name="Second"), seen=seen)
        self.assertEqual(Schedule.objects.get().name, "First")

    def test_a_slot_does_not_make_a_tab_stale(self) -> None:
        schedule = self.schedule()
        self.tick("2026-03-02 09:00")
        update_schedule(
            schedule=schedule, actor=self.alice, values=values(name="Changed"), seen=schedule.updated_at
        )
        self.assertEqual(Schedule.objects.get().name, "Changed")

    def test_slot_that_was_due_when_the_plan_changed_still_runs(self) -> None:
        schedule = self.schedule()
        self.at("2026-03-02 09:00")
        update_schedule(
            schedule=schedule, actor=self.alice, values=values(time=dt.time(8)), seen=schedule.updated_at
        )
        self.tick()
        self.assertEqual(self.slots(schedule), [("2026-03-02 09:00", "STARTED")])
        self.assertEqual(Schedule.objects.get().next_run_at, moment("2026-03-03 08:00"))

    def test_past_slots_are_untouched(self) -> None:
        schedule = self.schedule()
        self.tick("2026-03-02 09:00")
        before = ScheduleSlot.objects.values().get()
        update_schedule(
            schedule=schedule,
            actor=self.alice,
            values=values(kind="monthly", day_of_month=2),
            seen=schedule.updated_at,
        )
        self.assertEqual(ScheduleSlot.objects.values().get(), before)

    def test_paused_schedule_stays_paused(self) -> None:
        schedule = self.schedule()
        pause(schedule=schedule, actor=self.alice)
        self.at("2026-03-04 12:00")
        saved = update_schedule(
            schedule=schedule, actor=self.alice, values=values(time=dt.time(10)), seen=schedule.updated_at
        )
        self.assertEqual((saved.status, saved.next_run_at), ("PAUSED", None))
        # What it missed by the old plan is told by the old plan.
        self.assertEqual(
            self.slots(schedule),
            [
                ("2026-03-02 09:00", "SKIPPED"),
                ("2026-03-03 09:00", "SKIPPED"),
                ("2026-03-04 09:00", "SKIPPED"),
            ],
        )

    def test_wrong_values_change_nothing(self) -> None:
        schedule = self.schedule()
        with self.assertRaises(NotRunnableError):
            update_schedule(
                schedule=schedule, actor=self.alice, values=values(window_days=999), seen=schedule.updated_at
            )
        self.assertEqual(Schedule.objects.get().window_days, 30)

    def test_outsider_changes_nothing(self) -> None:
        schedule = self.schedule()
        with self.assertRaises(Http404):
            update_schedule(
                schedule=schedule, actor=self.charlie, values=values(name="Mine"), seen=schedule.updated_at
            )
        for action in (pause, resume, delete_schedule):
            with self.subTest(action.__name__), self.assertRaises(Http404):
                action(schedule=schedule, actor=self.charlie)
        with self.assertRaises(Http404):
            get_schedule(self.charlie, schedule.schedule_id)
        self.assertEqual(Schedule.objects.get().name, "Daily reach")


class PauseTests(ScheduleTestCase):
    def test_paused_schedule_starts_nothing(self) -> None:
        schedule = self.schedule()
        pause(schedule=schedule, actor=self.alice)
        self.tick("2026-03-05 12:00")
        self.assertEqual(self.slots(schedule), [])
        self.assertFalse(Execution.objects.exists())

    def test_resuming_records_what_was_missed_and_goes_on_from_now(self) -> None:
        schedule = self.schedule(missed_policy="ALL")
        pause(schedule=schedule, actor=self.alice)
        self.at("2026-03-04 12:00")
        resume(schedule=schedule, actor=self.alice)
        self.tick()
        self.assertEqual(
            self.slots(schedule),
            [("2026-03-02 09:00", "SKIPPED"), ("2026-03-03 09:00", "SKIPPED"), ("2026-03-04 09:00", "SKIPPED")],
        )
        self.assertEqual(
            set(ScheduleSlot.objects.values_list("reason", flat=True)), {"Missed: the schedule was paused."}
        )
        self.assertEqual(Schedule.objects.get().next_run_at, moment("2026-03-05 09:00"))
        self.assertFalse(Execution.objects.exists())

    def test_slot_claimed_before_the_pause_does_not_start(self) -> None:
        from schedules.services.slots import claim_due

        schedule = self.schedule()
        claim_due(self.at("2026-03-02 09:00"))
        pause(schedule=schedule, actor=self.alice)
        self.tick()
        slot = ScheduleSlot.objects.get()
        self.assertEqual((slot.status, slot.reason), ("SKIPPED", "The schedule was paused."))

    def test_pausing_or_resuming_twice_is_refused(self) -> None:
        schedule = self.schedule()
        with self.assertRaises(InvalidStateError):
            resume(schedule=schedule, actor=self.alice)
        pause(schedule=schedule, actor=self.alice)
        with self.assertRaises(InvalidStateError):
            pause(schedule=schedule, actor=self.alice)

    def test_recurrence_that_ended_meanwhile_is_not_resumed(self) -> None:
        schedule = self.schedule(end=dt.date(2026, 3, 10))
        pause(schedule=schedule, actor=self.alice)
        self.at("2026-03-11 12:00")
        with self.assertRaises(NotRunnableError):
            resume(schedule=schedule, actor=self.alice)
        self.assertEqual(Schedule.objects.get().status, "PAUSED")


class ReasonTests(ScheduleTestCase):
    def test_all_that_stands_against_a_plan_is_told_at_once(self) -> None:
        AMCInstance.objects.update(is_active=False, status="INACTIVE")
        set_archived(self.template, actor=self.alice, archived=True)
        words = ["is archived", "is disabled", "Give the schedule a name.", "No run would ever come"]
        with self.assertRaises(NotRunnableError) as caught:
            self.schedule(name=" ", end=dt.date(2020, 1, 1))
        said = caught.exception.message
        self.assertEqual(sorted(words, key=said.index), words)

    def test_run_by_hand_tells_the_window_beside_the_rest(self) -> None:
        schedule = self.schedule()
        AMCInstance.objects.update(is_active=False, status="INACTIVE")
        Schedule.objects.update(
            window_kind="FIXED", fixed_start=dt.date(2020, 1, 1), fixed_end=dt.date(2020, 1, 9)
        )
        schedule = Schedule.objects.with_relations().get()
        with self.assertRaisesMessage(NotRunnableError, "is disabled") as caught:
            run_now(actor=self.alice, schedule=schedule)
        self.assertIn("13 months", caught.exception.message)


class DeleteTests(ScheduleTestCase):
    def test_history_stays_and_nothing_starts(self) -> None:
        schedule = self.schedule()
        self.tick("2026-03-02 09:00")
        delete_schedule(schedule=schedule, actor=self.alice)
        self.tick("2026-03-03 09:00")
        self.assertEqual(self.slots(schedule), [("2026-03-02 09:00", "STARTED")])
        self.assertEqual(ScheduleSlot.objects.visible_to(self.alice).count(), 1)
        for door in ("runnable_by", "editable_by"):
            self.assertFalse(getattr(Schedule.objects, door)(self.alice).exists())
        with self.assertRaises(DeletedScheduleError):
            delete_schedule(schedule=schedule, actor=self.alice)


class RunNowTests(ScheduleTestCase):
    def test_runs_over_todays_window_and_leaves_the_plan(self) -> None:
        schedule = self.schedule(lag_days=1, window_days=7)
        execution = run_now(actor=self.alice, schedule=schedule)
        self.assertEqual(execution.window, Window(dt.date(2026, 2, 23), dt.date(2026, 3, 1), "UTC"))
        self.assertEqual((execution.trigger, execution.schedule), (Trigger.MANUAL, schedule))
        self.assertEqual(Schedule.objects.get().next_run_at, moment("2026-03-02 09:00"))
        self.assertEqual(Schedule.objects.get().planned_until, NOW)
        self.assertFalse(ScheduleSlot.objects.exists())

    def test_second_click_gives_the_same_run(self) -> None:
        schedule, key = self.schedule(), uuid4()
        made = {run_now(actor=self.alice, schedule=schedule, submission_key=key).pk for _ in range(2)}
        self.assertEqual(len(made), 1)
