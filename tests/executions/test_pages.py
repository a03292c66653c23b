"""Pages of runs, on real results of the local AMC."""

from __future__ import annotations

import io
from typing import Any

import openpyxl
from django.urls import reverse

from executions.models import Execution, ExecutionStatus
from templates_app.services.templates import Content, create_template
from tests.executions.base import ExecutionTestCase


class ExecutionPageTests(ExecutionTestCase):
    def url(self, name: str, execution: Execution, *args: Any) -> str:
        return reverse(f"executions:execution-{name}", args=[execution.pk, *args])

    def finished(self) -> Execution:
        return self.drive(self.start(name="=September"))

    def failed(self) -> Execution:
        content = Content(
            name="Broken",
            source_sql="SELECT campaign, SUM(impressions) AS i\nFROM dsp_impressions\n"
            "WHERE {{text}} = nowhere GROUP BY 1",
            parameter_values={"text": "a rather long text\nin two lines"},
        )
        template = create_template(actor=self.alice, instance=self.instance, content=content)
        return self.drive(self.start(template=template))

    def test_rows_are_shown_sorted_filtered_and_searched(self) -> None:
        execution = self.finished()
        page = self.client.get(execution.get_absolute_url())
        self.assertContains(page, "Trail_Fire_Evergreen_Prospecting_US")
        self.assertContains(page, "data-chart")
        rows = self.htmx_get(self.url("rows", execution) + "?sort=-impressions")
        impressions = [row[1][1] for row in rows.context["rows"]]
        numbers = [int(number.replace(",", "")) for number in impressions]
        self.assertEqual(numbers, sorted(numbers, reverse=True))
        found = self.htmx_get(self.url("rows", execution) + "?column=campaign&op=contains&value=kids")
        self.assertTrue(all("Kids" in row[0][1] for row in found.context["rows"]))
        self.assertGreater(found.context["result"].total, found.context["result"].filtered)
        self.assertContains(self.htmx_get(self.url("rows", execution) + "?search=nothing+such"), "No row matches")

    def test_wrong_question_is_a_message(self) -> None:
        execution = self.finished()
        response = self.htmx_get(self.url("rows", execution) + "?sort=x%22;DROP")
        self.assertContains(response, "has no column")

    def downloaded(self, execution: Execution, kind: str) -> bytes:
        response: Any = self.client.get(self.url("download", execution, kind))
        return b"".join(response.streaming_content)

    def test_downloads(self) -> None:
        execution = self.finished()
        csv = self.downloaded(execution, "csv")
        self.assertTrue(csv.startswith(b"campaign,impressions\n"))
        safe = self.downloaded(execution, "spreadsheet")
        self.assertEqual(len(safe.splitlines()), len(csv.splitlines()))
        book = self.downloaded(execution, "xlsx")
        sheet = openpyxl.load_workbook(io.BytesIO(book))["Result"]
        self.assertEqual([cell.value for cell in sheet[1]], ["campaign", "impressions"])
        parquet = self.downloaded(execution, "parquet")
        self.assertEqual(parquet[:4], b"PAR1")
        self.assertEqual(self.client.get(self.url("download", execution, "exe")).status_code, 404)

    def test_columns_have_figures(self) -> None:
        self.assertContains(self.client.get(self.url("statistics", self.finished())), "impressions")

    def test_failure_is_explained_in_the_users_own_sql(self) -> None:
        execution = self.failed()
        self.assertEqual(execution.status, ExecutionStatus.REJECTED)
        page = self.client.get(execution.get_absolute_url())
        self.assertContains(page, "line 3, column 18")
        self.assertContains(page, "does not exist where it is used")

    def test_live_fragment_stops_by_itself(self) -> None:
        execution = self.start()
        live = self.htmx_get(execution.get_absolute_url())
        self.assertContains(live, 'hx-trigger="every 3s"')
        self.assertContains(self.htmx_get(reverse("executions:execution-list")), 'hx-trigger="every 3s"')
        self.drive(execution)
        ended = self.htmx_get(execution.get_absolute_url())
        self.assertNotContains(ended, "every 3s")
        self.assertEqual(ended["HX-Refresh"], "true")
        self.assertNotContains(self.htmx_get(reverse("executions:execution-list")), "every 3s")

    def test_cancel_and_run_again(self) -> None:
        execution = self.start()
        self.client.post(self.url("cancel", execution))
        self.assertEqual(self.drive(execution).status, ExecutionStatus.CANCELLED)
        for what in ("same", "template"):
            self.client.post(self.url("again", execution), {"what": what})
        self.assertEqual(Execution.objects.count(), 3)

    def test_list_filters_and_costs_the_same_for_many(self) -> None:
        first = self.start(name="One")
        listing = reverse("executions:execution-list")
        self.client.get(listing)
        with self.assertNumQueries(5):
            self.client.get(listing)
        for number in range(30):
            self.start(name=f"Run {number}")
        with self.assertNumQueries(5):
            self.client.get(listing)
        self.assertContains(self.client.get(listing + "?q=One"), first.get_absolute_url())
        self.assertNotContains(self.client.get(listing + "?status=SUCCEEDED"), first.get_absolute_url())

    def test_page_of_a_run_reads_the_rights_with_the_run(self) -> None:
        execution = self.start()
        self.client.get(execution.get_absolute_url())
        with self.assertNumQueries(5):
            page = self.client.get(execution.get_absolute_url())
        self.assertContains(page, self.url("cancel", execution))

    def test_removed_result_says_so(self) -> None:
        execution = self.finished()
        Execution.objects.filter(pk=execution.pk).update(
            csv_file="", parquet_file="", result_removed_at=execution.finished_at
        )
        self.assertContains(self.client.get(execution.get_absolute_url()), "The result was removed on")

    def test_outsider_gets_404_everywhere(self) -> None:
        execution = self.finished()
        self.client.force_login(self.charlie)
        for name in ("detail", "rows", "statistics"):
            self.assertEqual(self.client.get(self.url(name, execution)).status_code, 404)
        self.assertEqual(self.client.get(self.url("download", execution, "csv")).status_code, 404)
