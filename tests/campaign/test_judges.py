"""A campaign proves nothing unless its judges notice what must not be."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.test import SimpleTestCase
from django.utils import timezone

from executions.models import Execution, ExecutionStatus, Trigger
from schedules.models import ScheduleSlot
from schedules.services.schedules import create_schedule
from templates_app.models import InstanceTemplate
from tests.campaign.logs import findings
from tests.campaign.verification import violations
from tests.executions.base import ExecutionTestCase
from tests.schedules.base import values


class Amc:
    """What the judges ask a local AMC for."""

    def __init__(self, executions: list[dict[str, Any]], results: dict[str, bytes]) -> None:
        self.executions, self.results = executions, results

    def control(self, method: str, route: str) -> dict[str, Any]:
        return {route: self.executions}

    def result(self, execution_id: str) -> bytes:
        return self.results[execution_id]


class VerificationTests(ExecutionTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.runs = [self.drive(self.start(trigger=Trigger.API)) for _ in range(2)]
        self.run_ = self.runs[0]
        results = {run.amc_execution_id: (self.results / run.csv_file).read_bytes() for run in self.runs}
        self.server = Amc(self.at_amc(), results)

    def found(self, **given: Any) -> list[str]:
        return violations(self.server, **{"started": 2, "planned": {}, "most_open": {}, **given})  # type: ignore[arg-type]

    def assert_found(self, words: str, **given: Any) -> None:
        found = self.found(**given)
        self.assertTrue(any(words in violation for violation in found), found)

    def change(self, **fields: Any) -> None:
        Execution.objects.filter(pk=self.run_.pk).update(**fields)

    def test_nothing_is_found_where_nothing_is_wrong(self) -> None:
        self.assertEqual(self.found(), [])

    def test_a_second_creation_is_found(self) -> None:
        self.server.executions.append({**self.server.executions[0], "workflowExecutionId": "another"})
        self.assert_found("was created 2 times")

    def test_an_execution_of_nobody_is_found(self) -> None:
        self.server.executions.append({"workflowId": "amchelper-x", "workflowExecutionId": "x", "instanceId": "i"})
        self.assert_found("AMC has an execution of nobody")

    def test_a_run_that_was_never_created_is_found(self) -> None:
        self.server.executions.clear()
        self.assert_found("was created 0 times")

    def test_runs_that_took_each_others_execution_are_found(self) -> None:
        self.change(amc_execution_id="")
        Execution.objects.filter(pk=self.runs[1].pk).update(amc_execution_id=self.run_.amc_execution_id)
        self.assert_found("took another run's execution")

    def test_a_lost_run_is_found(self) -> None:
        self.assert_found("2 runs by API instead of 3", started=3)

    def test_a_run_that_did_not_end_well_is_found(self) -> None:
        self.change(status=ExecutionStatus.FAILED, error="Broken")
        self.assert_found("is FAILED: Broken")

    def test_a_hold_that_stays_is_found(self) -> None:
        self.change(lease_until=timezone.now(), leased_by="worker")
        self.assert_found("still held by worker")

    def test_a_changed_result_is_found(self) -> None:
        path = self.results / self.run_.csv_file
        path.write_bytes(path.read_bytes().replace(b",", b";", 1))
        self.assert_found("differs from AMC's")

    def test_wrong_numbers_of_rows_are_found(self) -> None:
        self.change(row_count=1_000_000)
        self.assert_found("rows or bytes are wrong")

    def test_a_shared_file_is_found(self) -> None:
        self.change(parquet_file=self.runs[1].parquet_file)
        self.assert_found("2 runs share the file")

    def test_a_file_of_nobody_is_found(self) -> None:
        (self.results / "stray.csv").write_text("x")
        self.assert_found("no run names the file stray.csv")

    def test_what_a_worker_that_died_began_is_removed(self) -> None:
        unfinished = self.results / "incoming" / "half.csv"
        unfinished.write_text("x")
        self.assertEqual(self.found(), [])
        self.assertFalse(unfinished.exists())

    def test_a_wrong_usage_count_is_found(self) -> None:
        InstanceTemplate.objects.filter(pk=self.template.pk).update(usage_count=3)
        self.assert_found("was used 2 times and counts 3")

    def test_a_slot_without_a_row_is_found(self) -> None:
        moment = timezone.now() - timedelta(days=1)
        self.assert_found("has no slot at", planned={self.run_.pk: {moment}})

    def test_a_slot_that_stays_held_is_found(self) -> None:
        schedule = create_schedule(actor=self.alice, template=self.template, values=values())
        ScheduleSlot.objects.create(schedule=schedule, scheduled_for=timezone.now(), leased_by="a worker")
        self.assert_found("is still held by a worker")

    def test_too_many_open_at_once_are_found(self) -> None:
        self.assert_found("had 11 runs open at once", most_open={"amclocalus1": 11})


class LogTests(SimpleTestCase):
    def found(self, text: str) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "worker1.log"
            path.write_text(text)
            return list(findings([path]))

    def test_warnings_are_expected(self) -> None:
        self.assertEqual(
            self.found("2026-11-23T08:31:43+0000 WARNING a.b call failed error=ConnectionError\n"), []
        )

    def test_errors_of_one_kind_are_counted(self) -> None:
        line = "2026-11-23T08:31:43+0000 ERROR a.b step failed id={} status=PENDING\n"
        found = self.found(line.format(1) + line.format(2))
        self.assertEqual(len(found), 1)
        self.assertIn("logged 2 times by worker: ", found[0])

    def test_a_traceback_is_told_with_its_last_line(self) -> None:
        text = (
            'Traceback (most recent call last):\n  File "x.py", line 1\ndjango.db.utils.OperationalError: gone\n'
        )
        self.assertIn("OperationalError: gone", self.found(text)[0])

    def test_a_locked_database_is_found_even_in_a_warning(self) -> None:
        self.assertTrue(self.found("2026-11-23T08:31:43+0000 WARNING a.b database is locked\n"))
