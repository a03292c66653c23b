"""A busy database puts tasks off; it does not end them, nor the runs and slots they are about."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone

from executions.models import Execution
from executions.services.queue import admit_waiting
from executions.services.start import start_execution
from executions.services.steps import advance
from executions.tasks import tick_executions
from instances.models import HealthCheck
from planning.windows import Window
from schedules.models import ScheduleSlot
from schedules.services.slots import claim_due
from schedules.services.steps import start_claimed
from tests.executions.base import ExecutionTestCase
from tests.schedules.base import ScheduleTestCase
from tests.test_try_again import failing, locked_error


class PatientTaskTests(ScheduleTestCase):
    def run_failing(self, times: int, error: type[Exception] | None = None) -> Any:
        """Run a task whose first statement fails so often; returns its result."""
        left = [times]

        def see(execute: Any, sql: str, *args: Any) -> Any:
            if left[0]:
                left[0] -= 1
                raise locked_error() if error is None else error("broken")
            return execute(sql, *args)

        with connection.execute_wrapper(see):
            return tick_executions.apply()

    def test_a_busy_database_is_tried_again(self) -> None:
        with self.assertLogs("amchelper.queue", "WARNING") as logged:
            self.assertEqual(self.run_failing(3).state, "SUCCESS")
        seconds = [record.getMessage().rpartition("seconds=")[2] for record in logged.records]
        self.assertEqual(seconds, ["2", "4", "8"])

    def test_without_end_it_fails(self) -> None:
        with self.assertLogs("amchelper.queue", "WARNING"):
            result = self.run_failing(99)
        self.assertEqual(result.state, "FAILURE")
        self.assertIsInstance(result.result, OperationalError)

    def test_other_errors_are_not_tried_again(self) -> None:
        result = self.run_failing(1, OperationalError)
        self.assertEqual((result.state, str(result.result)), ("FAILURE", "broken"))


class SlotTests(ScheduleTestCase):
    def test_slots_wait_together_and_are_not_tried_one_by_one(self) -> None:
        for index in range(3):
            self.schedule(name=f"Schedule {index}")
        now = self.at("2026-03-02 09:00")
        claim_due(now)
        busy = failing('INSERT INTO "workflow_executions"')
        with self.assertNoLogs("schedules", "WARNING"), self.assertRaises(OperationalError), busy:
            start_claimed(now)
        self.assertEqual(start_claimed(now), 0)
        self.assertEqual(start_claimed(now + dt.timedelta(minutes=4)), 3)
        self.assertEqual(ScheduleSlot.objects.filter(status="STARTED").count(), 3)


class StepTests(ExecutionTestCase):
    def test_a_run_is_not_failed_by_it(self) -> None:
        window = Window(timezone.now().date() - dt.timedelta(days=30), timezone.now().date(), "UTC")
        execution = start_execution(actor=self.alice, template=self.template, window=window)
        admit_waiting(self.instance.account.ref)
        for _ in range(12):
            with failing('"attempted_at" = '), self.assertRaises(OperationalError):
                advance(execution.pk, "worker")
            self.wait(execution)
        self.assertEqual(Execution.objects.get().status, "SUBMITTING")
        self.assertEqual(self.drive(execution).status, "SUCCEEDED")

    def test_the_command_says_so(self) -> None:
        with failing('INSERT INTO "health_checks"'), self.assertRaises(CommandError) as caught:
            call_command("health_check", "--all", "--json")
        self.assertEqual((caught.exception.returncode, HealthCheck.objects.count()), (2, 0))
