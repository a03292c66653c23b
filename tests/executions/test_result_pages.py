"""Pages of runs whose result is gone, damaged, or asked for something that cannot be."""

from __future__ import annotations

import uuid
from datetime import time
from typing import Any

from django.test import override_settings
from django.urls import reverse

from executions.models import Execution
from executions.services import results
from planning.recurrence import Recurrence
from schedules.services.schedules import ScheduleValues, create_schedule, delete_schedule
from tests.executions.base import ExecutionTestCase, window


class ResultPageTests(ExecutionTestCase):
    def url(self, name: str, execution: Execution, *args: Any) -> str:
        return reverse(f"executions:execution-{name}", args=[execution.pk, *args])

    def finished(self) -> Execution:
        return self.drive(self.start())

    def test_lost_file_leaves_the_page_of_the_run(self) -> None:
        execution = self.finished()
        (self.results / execution.parquet_file).unlink()
        page = self.client.get(execution.get_absolute_url())
        self.assertContains(page, "The stored result is gone")
        self.assertContains(page, execution.amc_execution_id)
        self.assertEqual(self.client.get(self.url("statistics", execution)).status_code, 404)
        self.assertEqual(self.client.get(self.url("download", execution, "parquet")).status_code, 404)
        (self.results / execution.csv_file).unlink()
        self.assertEqual(self.client.get(self.url("download", execution, "csv")).status_code, 404)

    def test_damaged_file_is_a_message(self) -> None:
        execution = self.finished()
        (self.results / execution.parquet_file).write_bytes(b"PAR1 nothing else")
        self.assertContains(self.client.get(execution.get_absolute_url()), "cannot be read")
        self.assertContains(self.htmx_get(self.url("rows", execution)), "cannot be read")
        statistics = self.client.get(self.url("statistics", execution), follow=True)
        self.assertContains(statistics, "cannot be read")
        for kind in ("xlsx", "spreadsheet"):
            answer = self.client.get(self.url("download", execution, kind), follow=True)
            self.assertContains(answer, "cannot be read")

    def test_question_for_which_there_is_no_place_is_told_on_the_page(self) -> None:
        execution = self.finished()
        with override_settings(RESULT_QUESTIONS_PER_PROCESS=1), results._QUESTIONS.held():
            page = self.client.get(execution.get_absolute_url())
            self.assertContains(page, "As many results are being read as are read at a time (1). Try again")
            self.assertContains(page, execution.amc_execution_id)
            columns = self.client.get(self.url("statistics", execution), follow=True)
            self.assertContains(columns, "As many results are being read")
        self.assertContains(self.client.get(self.url("statistics", execution)), "impressions")

    def test_chart_that_cannot_be_drawn_says_why_and_can_be_changed(self) -> None:
        page = self.client.get(self.finished().get_absolute_url() + "?chart_x=impressions&chart_y=campaign")
        self.assertContains(page, "holds no numbers")
        self.assertContains(page, 'name="chart_y"')

    def test_page_behind_the_last_one_is_the_last_one(self) -> None:
        execution = self.finished()
        rows = self.htmx_get(self.url("rows", execution) + "?rows=99999")
        self.assertEqual(rows.context["number"], 1)
        self.assertTrue(rows.context["rows"])

    def test_second_click_on_run_again_leads_to_the_same_run(self) -> None:
        execution = self.finished()
        page = self.client.get(execution.get_absolute_url())
        key = str(page.context["run_key"])
        self.assertContains(page, f'name="key" value="{key}"')
        first, second = (
            self.client.post(self.url("again", execution), {"what": "same", "key": key})["Location"] for _ in "12"
        )
        self.assertEqual(first, second)
        other = self.client.post(self.url("again", execution), {"what": "same", "key": str(uuid.uuid4())})
        self.assertNotEqual(other["Location"], first)
        self.assertEqual(self.client.post(self.url("again", execution), {"key": "no key"}).status_code, 302)

    def test_deleted_schedule_is_named_and_its_history_is_one_click_away(self) -> None:
        recurrence = Recurrence(kind="daily", time=time(9), zone="UTC")
        schedule = create_schedule(
            actor=self.alice,
            template=self.template,
            values=ScheduleValues(name="Every morning", recurrence=recurrence, window_days=7),
        )
        execution = self.start(schedule_id=schedule.pk, window=window())
        self.assertContains(self.client.get(execution.get_absolute_url()), schedule.get_absolute_url())
        delete_schedule(schedule=schedule, actor=self.alice)
        page = self.client.get(execution.get_absolute_url())
        self.assertContains(page, "Every morning</a>, deleted since")
        self.assertContains(page, schedule.get_absolute_url())
        self.assertContains(self.client.get(schedule.get_absolute_url()), "This schedule was deleted on")

    def test_place_in_sql_without_parameters_is_linked_to_the_sql_as_sent(self) -> None:
        execution = self.finished()
        Execution.objects.filter(pk=execution.pk).update(
            status="REJECTED", parquet_file="", error="From line 1, column 8: Column 'x' not found in any table"
        )
        page = self.client.get(execution.get_absolute_url())
        self.assertContains(page, 'href="#sql-heading"')
        self.assertNotContains(page, 'href="#source-sql"')
