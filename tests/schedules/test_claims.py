"""Due slots are claimed once, and missed ones go by the schedule's policy."""

from __future__ import annotations

import datetime as dt
from unittest import mock

from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions.models import Execution
from schedules.models import Schedule, ScheduleSlot
from schedules.services import slots as schedule_slots
from schedules.services.slots import claim_due, decide, store
from tests.schedules.base import ScheduleTestCase, moment
from tests.transactions import recorded_transactions


class SlotClaimTests(ScheduleTestCase):
    def test_nothing_before_its_time(self) -> None:
        self.schedule()
        self.assertEqual(claim_due(moment("2026-03-02 08:59")), 0)
        self.assertFalse(ScheduleSlot.objects.exists())

    def test_slot_is_claimed_and_the_plan_moves_on(self) -> None:
        schedule = self.schedule()
        self.assertEqual(claim_due(moment("2026-03-02 09:00")), 1)
        self.assertEqual(self.slots(schedule), [("2026-03-02 09:00", "CLAIMED")])
        self.assertEqual(Schedule.objects.get().next_run_at, moment("2026-03-03 09:00"))

    def test_second_tick_finds_nothing(self) -> None:
        schedule = self.schedule()
        for _ in range(3):
            claim_due(moment("2026-03-02 09:00"))
        self.assertEqual(self.slots(schedule), [("2026-03-02 09:00", "CLAIMED")])

    def test_claimer_with_an_old_reading_adds_nothing(self) -> None:
        schedule = self.schedule()
        now = moment("2026-03-02 09:00")
        # One worker read the plan, and another one decided before it wrote.
        old = decide(schedule, now)
        claim_due(now)
        store([old], now)
        schedule_slots._move_on(Schedule.objects.due(now), [old], now)
        self.assertEqual(self.slots(schedule), [("2026-03-02 09:00", "CLAIMED")])
        self.assertEqual(Schedule.objects.get().next_run_at, moment("2026-03-03 09:00"))

    def test_old_reading_does_not_undo_a_changed_plan(self) -> None:
        schedule = self.schedule()
        now = moment("2026-03-02 09:00")
        old = decide(schedule, now)
        Schedule.objects.update(time=dt.time(17), next_run_at=moment("2026-03-02 17:00"))
        self.assertEqual(schedule_slots._move_on(Schedule.objects.due(now), [old], now), 0)
        self.assertEqual(Schedule.objects.get().next_run_at, moment("2026-03-02 17:00"))

    def test_last_slot_ends_the_plan(self) -> None:
        schedule = self.schedule(end=dt.date(2026, 3, 3))
        claim_due(moment("2026-03-02 09:00"))
        claim_due(moment("2026-03-03 09:00"))
        self.assertIsNone(Schedule.objects.get().next_run_at)
        self.assertEqual(claim_due(moment("2026-03-09 09:00")), 0)
        self.assertEqual(len(self.slots(schedule)), 2)

    def test_statements_do_not_grow_with_the_schedules(self) -> None:
        counts = []
        for number, day in ((1, 3), (30, 4)):
            for index in range(number):
                self.schedule(name=f"Schedule {number} {index}")
            now = moment(f"2026-03-0{day} 09:00")
            with CaptureQueriesContext(connection) as queries:
                claim_due(now)
            counts.append(len(queries))
        self.assertEqual(counts[0], counts[1])

    def test_years_of_many_schedules_are_stored_in_small_transactions(self) -> None:
        for index in range(20):
            self.schedule(name=f"Schedule {index}")
        with recorded_transactions() as log:
            self.assertEqual(claim_due(moment("2027-03-02 09:00")), 20)
        self.assertEqual(ScheduleSlot.objects.count(), 20 * 101)
        self.assertLessEqual(log.most_rows, 300)

    def test_a_plan_that_changed_since_it_was_decided_is_decided_again(self) -> None:
        schedule = self.schedule()
        now = moment("2026-03-04 09:00")
        decision = schedule_slots.decide(Schedule.objects.get(), now)
        self.assertEqual(schedule_slots._still_due([decision], now), [decision])
        Schedule.objects.filter(pk=schedule.pk).update(planned_until=moment("2026-03-03 09:00"))
        self.assertEqual(schedule_slots._still_due([decision], now), [])
        claim_due(now)
        self.assertEqual([at for at, _ in self.slots(schedule)], ["2026-03-04 09:00"])

    def test_more_than_a_batch_is_claimed_in_one_tick(self) -> None:
        for index in range(5):
            self.schedule(name=f"Schedule {index}")
        with mock.patch.object(schedule_slots, "BATCH", 2):
            self.assertEqual(claim_due(moment("2026-03-02 09:00")), 5)

    def test_unreadable_plan_is_paused_and_stops_no_other(self) -> None:
        broken, sound = self.schedule(name="A"), self.schedule(name="B")
        Schedule.objects.filter(pk=broken.pk).update(zone="Mars/Olympus")
        with self.assertLogs("schedules.services.slots", "ERROR"):
            claim_due(moment("2026-03-02 09:00"))
        paused = Schedule.objects.get(pk=broken.pk)
        self.assertEqual((paused.status, paused.next_run_at, paused.owner_told), ("PAUSED", None, False))
        self.assertEqual(list(Schedule.objects.to_tell()), [paused])
        self.assertEqual(len(self.slots(sound)), 1)

    def test_plan_that_is_mended_while_it_is_looked_at_is_not_paused(self) -> None:
        broken = self.schedule()
        Schedule.objects.filter(pk=broken.pk).update(zone="Mars/Olympus")
        read = Schedule.objects.get()
        Schedule.objects.filter(pk=broken.pk).update(zone="UTC", updated_at=moment("2026-03-02 09:00"))
        with self.assertLogs("schedules.services.slots", "ERROR"):
            self.assertIsNone(schedule_slots._decide_safely(read, moment("2026-03-02 09:00")))
        self.assertEqual(Schedule.objects.get().status, "ACTIVE")


class ClockChangeTests(ScheduleTestCase):
    def test_time_that_the_clocks_skip_runs_at_the_next_minute_that_exists(self) -> None:
        schedule = self.schedule(zone="Europe/Berlin", time=dt.time(2, 30))
        for hour in range(0, 6):
            claim_due(moment(f"2026-03-29 0{hour}:59"))
        self.assertEqual(self.slots(schedule)[-1], ("2026-03-29 01:00", "CLAIMED"))
        self.assertEqual([at for at, _ in self.slots(schedule) if at > "2026-03-29 00"], ["2026-03-29 01:00"])
        self.assertEqual(Schedule.objects.get().next_run_at, moment("2026-03-30 00:30"))

    def test_time_that_comes_twice_runs_once(self) -> None:
        schedule = self.schedule(zone="Europe/Berlin", time=dt.time(2, 30), start=dt.date(2026, 10, 25))
        for minute in range(0, 180, 10):
            claim_due(moment("2026-10-25 00:00") + dt.timedelta(minutes=minute))
        self.assertEqual(self.slots(schedule), [("2026-10-25 00:30", "CLAIMED")])

    def test_local_time_stays_the_same_across_a_change(self) -> None:
        schedule = self.schedule(zone="America/New_York")
        claim_due(moment("2026-03-07 14:00"))
        claim_due(moment("2026-03-08 13:00"))
        runs = [at for at, status in self.slots(schedule) if status == "CLAIMED"]
        self.assertEqual(runs, ["2026-03-07 14:00", "2026-03-08 13:00"])


class DowntimeTests(ScheduleTestCase):
    # Slots of 2 to 12 March at 09:00 were missed.
    BACK = moment("2026-03-12 15:00")

    def statuses(self, policy: str) -> list[str]:
        schedule = self.schedule(missed_policy=policy)
        claim_due(self.BACK)
        self.assertEqual(Schedule.objects.get().next_run_at, moment("2026-03-13 09:00"))
        self.assertEqual(len(self.slots(schedule)), 11)
        return [status for _, status in self.slots(schedule)]

    def test_latest_runs_one_and_tells_about_the_others(self) -> None:
        self.assertEqual(self.statuses("LATEST"), ["SKIPPED"] * 10 + ["CLAIMED"])
        reasons = set(ScheduleSlot.objects.filter(status="SKIPPED").values_list("reason", flat=True))
        self.assertEqual(reasons, {"Missed: nothing was running at that time."})

    def test_skip_runs_none(self) -> None:
        self.assertEqual(self.statuses("SKIP"), ["SKIPPED"] * 11)

    def test_all_runs_the_latest_ten(self) -> None:
        self.assertEqual(self.statuses("ALL"), ["SKIPPED"] + ["CLAIMED"] * 10)

    def test_skip_still_runs_a_slot_that_is_ten_minutes_late(self) -> None:
        for late, status in ((10, "CLAIMED"), (11, "SKIPPED")):
            schedule = self.schedule(name=f"{late}", missed_policy="SKIP")
            claim_due(moment("2026-03-02 09:00") + dt.timedelta(minutes=late))
            with self.subTest(late=late):
                self.assertEqual(self.slots(schedule), [("2026-03-02 09:00", status)])
            schedule.delete()

    def test_the_window_is_that_of_the_planned_time(self) -> None:
        self.schedule(missed_policy="ALL", lag_days=1, window_days=1)
        self.tick("2026-03-04 15:00")
        ends = Execution.objects.order_by("window_end").values_list("window_end", flat=True)
        self.assertEqual(list(ends), [dt.date(2026, 3, 1), dt.date(2026, 3, 2), dt.date(2026, 3, 3)])

    def test_years_of_missed_slots_cost_no_more_than_a_hundred_rows(self) -> None:
        schedule = self.schedule()
        with CaptureQueriesContext(connection) as queries:
            claim_due(moment("2036-03-02 10:00"))
        self.assertLess(len(queries), 15)
        slots = ScheduleSlot.objects.filter(schedule=schedule).order_by("scheduled_for")
        self.assertEqual(slots.count(), 101)
        self.assertEqual(slots.filter(status="CLAIMED").count(), 1)
        # 3,654 slots in ten years: one runs, 99 are told one by one, and one row speaks for the rest.
        self.assertEqual(
            slots[0].reason, "Missed: nothing was running at that time. So were 3,553 runs before it."
        )
