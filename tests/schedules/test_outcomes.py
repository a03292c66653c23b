"""Slots follow their executions, try again when it is worth it, and schedules that keep failing stop."""

from __future__ import annotations

import datetime as dt

from django.core import mail
from django.test import override_settings
from django.utils import timezone

from amchelper.leases import CLOCK_SKEW_LIMIT
from amchelper.models import PendingMessage
from executions.models import Execution, ExecutionStatus
from schedules.models import PauseCode, Schedule, ScheduleSlot, SlotReason
from schedules.services.failures import tell_owner
from schedules.services.schedules import delete_schedule, pause, resume, run_now
from schedules.services.steps import BACKOFF, TRANSIENT_CODES, sync_slots
from tests.messages import caught
from tests.schedules.base import ScheduleTestCase, moment


class OutcomeTests(ScheduleTestCase):
    def ended(self, status: str, **fields: object) -> ScheduleSlot:
        """Return the slot after its run ended."""
        self.schedule()
        self.tick("2026-03-02 09:00")
        self.at("2026-03-02 09:07")
        self.end(Execution.objects.get(), status, **fields)
        sync_slots(timezone.now())
        return ScheduleSlot.objects.get()

    def test_slot_is_running_while_its_run_is(self) -> None:
        self.schedule()
        self.tick("2026-03-02 09:00")
        self.assertEqual(sync_slots(), 0)
        self.assertEqual(ScheduleSlot.objects.get().status, "STARTED")

    def test_slot_succeeds_with_its_run(self) -> None:
        slot = self.ended(ExecutionStatus.SUCCEEDED)
        self.assertEqual((slot.status, slot.finished_at), ("SUCCEEDED", moment("2026-03-02 09:07")))

    def test_slot_fails_with_the_words_of_its_run(self) -> None:
        slot = self.ended(ExecutionStatus.REJECTED, error="Object 'x' not found", error_code="invalid_sql")
        self.assertEqual((slot.status, slot.reason), ("FAILED", "Object 'x' not found"))
        self.assertEqual(slot.reason_code, "invalid_sql")
        self.assertEqual(Schedule.objects.get().consecutive_failures, 1)

    def test_cancelled_run_is_no_success(self) -> None:
        slot = self.ended(ExecutionStatus.CANCELLED)
        self.assertEqual((slot.status, slot.reason), ("SKIPPED", "Its run was cancelled."))
        self.assertEqual(slot.reason_code, SlotReason.RUN_CANCELLED)
        self.assertEqual(Schedule.objects.get().consecutive_failures, 0)

    def test_deleted_run_is_no_success(self) -> None:
        self.schedule()
        self.tick("2026-03-02 09:00")
        Execution.objects.all().delete()
        sync_slots()
        self.assertEqual(ScheduleSlot.objects.get().status, "FAILED")

    def test_syncing_twice_counts_once(self) -> None:
        self.ended(ExecutionStatus.REJECTED, error="No")
        sync_slots()
        self.assertEqual(Schedule.objects.get().consecutive_failures, 1)


class RetryTests(ScheduleTestCase):
    def try_and_fail(self, at: str, code: str = "amc_failed") -> ScheduleSlot:
        """Start what waits at `at`, and let AMC fail it at once."""
        self.tick(at)
        self.end(
            Execution.objects.latest("queued_at"), ExecutionStatus.FAILED, error="AMC is down.", error_code=code
        )
        sync_slots(timezone.now())
        return ScheduleSlot.objects.get()

    def test_transient_failure_is_tried_three_more_times_with_longer_breaks(self) -> None:
        self.schedule()
        slot = self.try_and_fail("2026-03-02 09:00")
        for attempt, (before, after) in enumerate(
            [
                ("2026-03-02 09:04", "2026-03-02 09:05"),
                ("2026-03-02 09:19", "2026-03-02 09:20"),
                ("2026-03-02 10:04", "2026-03-02 10:05"),
            ],
            start=1,
        ):
            self.assertEqual((slot.status, slot.attempts), ("CLAIMED", attempt))
            self.assertEqual((slot.reason_code, slot.next_step_at), ("amc_failed", moment(after)))
            self.assertIn(f"Try {attempt + 1} of 4", slot.reason)
            self.tick(before)
            self.assertEqual(Execution.objects.count(), attempt)
            slot = self.try_and_fail(after)
            self.assertEqual(Execution.objects.count(), attempt + 1)
        self.assertEqual((slot.status, slot.reason), ("FAILED", "AMC is down."))
        self.tick("2026-03-02 12:00")
        self.assertEqual(Execution.objects.count(), 4)
        # Four runs, one failed slot.
        self.assertEqual(Schedule.objects.get().consecutive_failures, 1)

    def test_breaks_are_shorter_than_what_is_taken_for_a_wrong_clock(self) -> None:
        self.assertLess(max(BACKOFF), CLOCK_SKEW_LIMIT)

    def test_retry_that_succeeds_makes_the_slot_succeed(self) -> None:
        self.schedule()
        self.try_and_fail("2026-03-02 09:00")
        self.tick("2026-03-02 09:05")
        second = Execution.objects.latest("queued_at")
        self.end(second, ExecutionStatus.SUCCEEDED)
        sync_slots()
        slot = ScheduleSlot.objects.get()
        self.assertEqual((slot.status, slot.execution, slot.reason), ("SUCCEEDED", second, ""))
        self.assertEqual(slot.reason_code, "")
        self.assertEqual(Schedule.objects.get().consecutive_failures, 0)

    def test_retry_covers_the_same_days(self) -> None:
        self.schedule(zone="Etc/GMT+9", time=dt.time(23, 58))
        self.try_and_fail("2026-03-02 08:58")
        self.tick("2026-03-02 09:03")
        self.assertEqual(Execution.objects.count(), 2)
        self.assertEqual(len(set(Execution.objects.values_list("window_end", flat=True))), 1)

    def test_retry_of_a_paused_schedule_does_not_start(self) -> None:
        schedule = self.schedule()
        self.try_and_fail("2026-03-02 09:00")
        pause(schedule=schedule, actor=self.alice)
        self.tick("2026-03-02 09:05")
        self.assertEqual(Execution.objects.count(), 1)
        self.assertEqual(ScheduleSlot.objects.get().status, "SKIPPED")

    def test_lasting_failures_are_not_tried_again(self) -> None:
        for day, code in enumerate(
            ("invalid_sql", "outcome_unknown", "no_end", "lost", "reconnect_required"), start=2
        ):
            with self.subTest(code):
                self.assertNotIn(code, TRANSIENT_CODES)
                Schedule.objects.all().delete()
                self.schedule()
                self.assertEqual(self.try_and_fail(f"2026-03-{day:02} 09:00", code).status, "FAILED")


class GivingUpTests(ScheduleTestCase):
    def fail_on(self, *days: int) -> None:
        """Let the slots of these days in March fail for good."""
        for day in days:
            self.tick(f"2026-03-{day:02} 09:00")
            self.end(Execution.objects.latest("queued_at"), ExecutionStatus.REJECTED, error="SQL is wrong.")
            sync_slots(timezone.now())

    def test_five_failures_in_a_row_pause_and_tell_the_owner(self) -> None:
        schedule = self.schedule()
        self.fail_on(2, 3, 4, 5)
        self.assertTrue(Schedule.objects.get().is_active)
        self.assertEqual(mail.outbox, [])
        with caught() as messages:
            self.fail_on(6)
            self.assertEqual((mail.outbox, messages.texts), ([], [f"tell_owner {self.alice.pk}"]))
            messages.deliver()
        schedule.refresh_from_db()
        self.assertEqual((schedule.status, schedule.pause_code), ("PAUSED", PauseCode.FAILURES))
        self.assertEqual(schedule.status_reason, "Paused after 5 failed runs in a row. SQL is wrong.")
        self.assertIsNone(schedule.next_run_at)
        (message,) = mail.outbox
        self.assertEqual(message.to, ["alice@example.com"])
        self.assertIn(f"http://testserver{schedule.get_absolute_url()}", message.body)
        self.assertIn("SQL is wrong.", message.body)

    def test_owner_is_told_once(self) -> None:
        self.schedule()
        with caught() as messages:
            self.fail_on(2, 3, 4, 5, 6)
            messages.deliver()
            sync_slots()
            self.tick("2026-03-07 09:00")
            sync_slots()
        self.assertNotIn(f"tell_owner {self.alice.pk}", messages.texts)
        tell_owner(self.alice.pk)
        self.assertEqual(len(mail.outbox), 1)
        self.assertEqual(Execution.objects.count(), 5)

    @override_settings(
        EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend", EMAIL_HOST="127.0.0.1", EMAIL_PORT=9
    )
    def test_mail_that_cannot_be_sent_does_not_stop_the_pause(self) -> None:
        self.schedule()
        self.fail_on(2, 3, 4, 5, 6)
        with self.assertLogs("schedules.services.failures", "ERROR"):
            tell_owner(self.alice.pk)
        self.assertEqual(Schedule.objects.get().status, "PAUSED")

    def test_message_to_tell_that_got_lost_is_sent_again(self) -> None:
        self.schedule()
        with caught():
            self.fail_on(2, 3, 4, 5, 6)
        PendingMessage.objects.all().delete()
        with caught() as messages:
            sync_slots()
        self.assertEqual(messages.texts, [f"tell_owner {self.alice.pk}"])

    def test_thousand_schedules_that_fail_together_are_one_mail(self) -> None:
        now, template = timezone.now(), self.template
        Schedule.objects.bulk_create(
            Schedule(
                created_by=self.alice, instance=template.instance, template=template, name=f"Schedule {n:04}",
                kind="daily", time=now.time(), planned_until=now, next_run_at=now, consecutive_failures=5,
            )
            for n in range(1000)
        )  # fmt: skip
        with caught() as messages:
            sync_slots()
            sync_slots()
            self.assertEqual(messages.texts, [f"tell_owner {self.alice.pk}"])
            messages.deliver()
        (message,) = mail.outbox
        self.assertEqual(message.subject, "AMC Helper: 1000 schedules are paused")
        self.assertIn("Schedule 0019", message.body)
        self.assertNotIn("Schedule 0020", message.body)
        self.assertIn("And 980 more", message.body)

    def test_schedule_that_was_resumed_before_the_mail_is_not_in_it(self) -> None:
        schedule = self.schedule()
        self.fail_on(2, 3, 4, 5, 6)
        resume(schedule=schedule, actor=self.alice)
        tell_owner(self.alice.pk)
        self.assertEqual(mail.outbox, [])

    def test_success_in_between_begins_the_count_anew(self) -> None:
        self.schedule()
        self.fail_on(2, 3, 4, 5)
        self.tick("2026-03-06 09:00")
        self.end(Execution.objects.latest("queued_at"), ExecutionStatus.SUCCEEDED)
        sync_slots()
        self.fail_on(7, 8, 9, 10)
        self.assertEqual(Schedule.objects.get().consecutive_failures, 4)
        self.assertTrue(Schedule.objects.get().is_active)

    def test_success_by_hand_begins_the_count_anew_once(self) -> None:
        schedule = self.schedule()
        self.fail_on(2, 3, 4, 5)
        self.at("2026-03-05 12:00")
        self.end(run_now(actor=self.alice, schedule=schedule), ExecutionStatus.SUCCEEDED)
        sync_slots()
        self.assertEqual(Schedule.objects.get().consecutive_failures, 0)
        self.fail_on(6, 7, 8, 9)
        sync_slots()
        self.assertEqual(Schedule.objects.get().consecutive_failures, 4)

    def test_failure_by_hand_does_not_count(self) -> None:
        schedule = self.schedule()
        self.fail_on(2, 3, 4, 5)
        self.end(run_now(actor=self.alice, schedule=schedule), ExecutionStatus.REJECTED)
        sync_slots()
        self.assertEqual(Schedule.objects.get().consecutive_failures, 4)

    def test_skipped_slots_neither_count_nor_reset(self) -> None:
        schedule = self.schedule()
        self.fail_on(2, 3, 4, 5)
        pause(schedule=schedule, actor=self.alice)
        Schedule.objects.update(consecutive_failures=4)
        self.at("2026-03-06 12:00")
        resume(schedule=schedule, actor=self.alice)
        # Resuming by hand is a new start, whatever was skipped.
        self.assertEqual(Schedule.objects.get().consecutive_failures, 0)

    def test_several_ends_in_one_tick_count_in_their_order(self) -> None:
        schedule = self.schedule(missed_policy="ALL")
        Schedule.objects.update(consecutive_failures=3)
        self.tick("2026-03-05 12:00")
        runs = list(Execution.objects.order_by("slot__scheduled_for"))
        for minute, (run, status) in enumerate(
            zip(
                runs,
                [
                    ExecutionStatus.REJECTED,
                    ExecutionStatus.SUCCEEDED,
                    ExecutionStatus.REJECTED,
                    ExecutionStatus.REJECTED,
                ],
                strict=True,
            )
        ):
            self.at(f"2026-03-05 12:1{minute}")
            self.end(run, status)
        sync_slots()
        schedule.refresh_from_db()
        self.assertEqual((schedule.consecutive_failures, schedule.status), (2, "ACTIVE"))

    def test_resumed_schedule_may_fail_five_times_again(self) -> None:
        schedule = self.schedule()
        self.fail_on(2, 3, 4, 5, 6)
        resume(schedule=schedule, actor=self.alice)
        self.fail_on(7, 8, 9, 10)
        self.assertTrue(Schedule.objects.get().is_active)

    def test_deleted_schedule_tells_nobody(self) -> None:
        schedule = self.schedule()
        self.fail_on(2, 3, 4, 5)
        self.tick("2026-03-06 09:00")
        delete_schedule(schedule=schedule, actor=self.alice)
        self.end(Execution.objects.latest("queued_at"), ExecutionStatus.REJECTED)
        with caught() as messages:
            sync_slots()
        self.assertEqual(messages, [])
