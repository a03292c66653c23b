"""The one tick of schedules: it claims, starts and follows, and loses nothing wherever it dies."""

from __future__ import annotations

import itertools
from typing import Any
from unittest import mock

from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from amchelper.celery import app
from executions.models import Execution, ExecutionStatus
from schedules.models import ScheduleSlot, ScheduleSlotQuerySet
from schedules.services import steps
from schedules.services.steps import run_due_slots
from schedules.tasks import run_due_slots as task
from tests.schedules.base import ScheduleTestCase, moment


class TickTests(ScheduleTestCase):
    def test_one_tick_claims_and_starts_and_a_later_one_follows(self) -> None:
        schedule = self.schedule()
        self.at("2026-03-02 09:00")
        task()
        self.assertEqual(self.slots(schedule), [("2026-03-02 09:00", "STARTED")])
        self.end(Execution.objects.get(), ExecutionStatus.SUCCEEDED)
        task()
        self.assertEqual(self.slots(schedule), [("2026-03-02 09:00", "SUCCEEDED")])
        self.assertEqual(Execution.objects.count(), 1)

    def test_beat_sends_nothing_else_for_schedules(self) -> None:
        sent = [entry["task"] for entry in app.conf.beat_schedule.values()]
        self.assertEqual([name for name in sent if name.startswith("schedules.")], [task.name])

    def test_tick_that_dies_in_any_statement_loses_and_doubles_nothing(self) -> None:
        first, second = self.schedule(name="A"), self.schedule(name="B", missed_policy="ALL")
        now = self.at("2026-03-02 09:00")
        run_due_slots(now)
        self.end(Execution.objects.get(schedule=first), ExecutionStatus.SUCCEEDED)
        self.at("2026-03-03 09:00")
        for number in itertools.count():
            with self.subTest(number), transaction.atomic():
                is_dead = self.dies_in_tick(number)
                run_due_slots(moment("2026-03-03 09:00") + ScheduleSlotQuerySet.lease)
                self.assertEqual(
                    self.slots(first), [("2026-03-02 09:00", "SUCCEEDED"), ("2026-03-03 09:00", "STARTED")]
                )
                self.assertEqual(
                    self.slots(second), [("2026-03-02 09:00", "STARTED"), ("2026-03-03 09:00", "STARTED")]
                )
                self.assertEqual(Execution.objects.count(), 4)
                transaction.set_rollback(True)
            if not is_dead:
                break
        self.assertGreater(number, 20)

    def dies_in_tick(self, number: int) -> bool:
        """Let a tick die at its statement `number`; returns whether it had so many."""
        count = 0

        def die(execute: Any, sql: str, *arguments: Any) -> Any:
            nonlocal count
            # The process is gone: all that still happens is that the database undoes an open transaction.
            if not sql.startswith("ROLLBACK"):
                count += 1
                if count > number:
                    raise SystemExit
            return execute(sql, *arguments)

        try:
            with connection.execute_wrapper(die):
                run_due_slots(moment("2026-03-03 09:00"))
        except SystemExit:
            return True
        return False

    def test_step_that_fails_keeps_no_other_from_running(self) -> None:
        schedule = self.schedule()
        run_due_slots(self.at("2026-03-02 09:00"))
        with (
            mock.patch.object(steps, "claim_due", side_effect=OperationalError("disk I/O error")),
            self.assertRaises(OperationalError),
        ):
            self.end(Execution.objects.get(), ExecutionStatus.SUCCEEDED)
            ScheduleSlot.objects.create(schedule=schedule, scheduled_for=moment("2026-03-02 09:01"))
            run_due_slots(self.at("2026-03-02 09:01"))
        self.assertEqual(
            self.slots(schedule), [("2026-03-02 09:00", "SUCCEEDED"), ("2026-03-02 09:01", "STARTED")]
        )

    def test_idle_tick_costs_a_handful_of_statements(self) -> None:
        self.schedule()
        with CaptureQueriesContext(connection) as queries:
            run_due_slots()
        self.assertLessEqual(len(queries), 6)
