"""Files that a worker makes of large results: once for all who ask, within bounds, kept for a while and no longer."""

from __future__ import annotations

import io
from datetime import timedelta
from unittest import mock

import duckdb
import openpyxl
import pytest
from celery import current_app
from django.test import override_settings
from django.utils import timezone

from amchelper import shutdown
from amchelper.busy import RETRY_AFTER_SECONDS
from amchelper.disk import MEGABYTE, free_bytes
from executions.errors import ExportLimitError
from executions.models import Execution, ExportFormat, ExportStatus, ResultExport
from executions.results.columns import METADATA_KEY, Kind, ResultColumn, ResultFacts, pack_columns
from executions.results.spreadsheets import MAX_CELLS, MAX_COLUMNS, MAX_ROWS, SpreadsheetLimitError, ensure_fits
from executions.services import export_steps
from executions.services.export_steps import MAX_ATTEMPTS, make_exports, tick
from executions.services.exports import ask_for_export
from tests.executions.export_base import ROWS, ExportTestCase
from tests.large_results import store_run
from tests.test_try_again import failing


class AskingTests(ExportTestCase):
    def test_small_result_is_made_at_once_and_leaves_nothing(self) -> None:
        with override_settings(EXPORT_INLINE_CELLS=ROWS * 5):
            page = self.client.get(self.execution.get_absolute_url())
            self.assertContains(page, self.url("execution-download", self.execution.pk, "xlsx"))
            with self.assertLogs("executions.services.downloads", "INFO") as logged:
                book = self.download(self.url("execution-download", self.execution.pk, "xlsx"))
        self.assertIn("export made", logged.output[0])
        self.assertEqual(openpyxl.load_workbook(io.BytesIO(book))["Result"].max_row, ROWS + 1)
        self.assertEqual(ResultExport.objects.count(), 0)
        self.assert_nothing_unfinished()

    def test_few_cells_with_long_texts_are_not_made_at_once(self) -> None:
        Execution.objects.filter(pk=self.execution.pk).update(byte_count=10**9)
        with override_settings(EXPORT_INLINE_CELLS=ROWS * 5):
            page = self.client.get(self.execution.get_absolute_url())
        self.assertContains(page, self.url("export-create", self.execution.pk, "xlsx"))

    def test_large_result_is_prepared_and_then_downloaded(self) -> None:
        page = self.client.get(self.execution.get_absolute_url())
        self.assertNotContains(page, self.url("execution-download", self.execution.pk, "xlsx"))
        asked = self.client.post(self.url("export-create", self.execution.pk, "xlsx"), follow=True)
        self.assertContains(asked, "is being prepared")
        with self.assertLogs("executions.services.export_steps", "INFO") as logged:
            self.assertEqual(make_exports(), 1)
        self.assertIn("export made", logged.output[0])
        self.assertIn(f"actor={self.alice.pk}", logged.output[0])
        page = self.client.get(self.execution.get_absolute_url())
        self.assertContains(page, "The Excel file is ready")
        export = ResultExport.objects.get()
        self.assertEqual((export.rows_done, export.byte_count), (ROWS, self.size_of(export)))
        for url in (
            self.url("export-download", export.pk),
            self.url("execution-download", self.execution.pk, "xlsx"),
        ):
            sheet = openpyxl.load_workbook(io.BytesIO(self.download(url)), read_only=True)["Result"]
            rows = list(sheet.iter_rows(values_only=True))
            self.assertEqual((len(rows), rows[0][0], rows[-1][0]), (ROWS + 1, "campaign", "Campaign 499"))
        self.assert_nothing_unfinished()

    def size_of(self, export: ResultExport) -> int:
        return (self.results / export.file).stat().st_size

    def test_reading_an_address_makes_nothing(self) -> None:
        answer = self.client.get(self.url("execution-download", self.execution.pk, "xlsx"), follow=True)
        self.assertContains(answer, "is prepared in the background")
        self.assertEqual(self.client.get(self.url("export-list")).status_code, 302)
        self.assertEqual(ResultExport.objects.count(), 0)

    def test_asking_again_leads_to_the_same_file_whoever_asks(self) -> None:
        self.ask()
        with self.bob_sees():
            self.client.force_login(self.bob)
            page = self.client.post(self.url("export-create", self.execution.pk, "xlsx"), follow=True)
            self.assertContains(page, "is being prepared")
            self.assertNotContains(page, "Cancel")
        export = ResultExport.objects.get()
        self.assertEqual(export.created_by, self.alice)
        make_exports()
        self.assertEqual(self.ask(), export)
        self.assertEqual(make_exports(), 0)
        self.assertEqual(len(self.exported()), 1)

    def test_fragment_asks_again_only_while_something_can_change(self) -> None:
        export = self.ask()
        live = self.htmx_get(self.url("export-list"))
        self.assertContains(live, 'hx-trigger="every 2s"')
        # Without JavaScript a link does.
        self.assertContains(live, f'href="{self.execution.get_absolute_url()}#result-export">Reload')
        make_exports()
        ended = self.htmx_get(self.url("export-list"))
        self.assertNotContains(ended, "every 2s")
        self.assertContains(ended, self.url("export-download", export.pk))
        export.delete()
        self.assertNotContains(self.htmx_get(self.url("export-list")), "Excel")

    def test_page_tells_how_far_it_is_and_what_is_before_it(self) -> None:
        self.ask()
        self.clock.shift(1)
        later = self.ask(store_run(self.template, ROWS))
        self.assertContains(self.htmx_get(self.url("export-list", later.execution_id)), "1 other is before it")
        self.claimed(later).heartbeat(rows_done=1_234)
        told = self.htmx_get(self.url("export-list", later.execution_id))
        self.assertContains(told, 'aria-label="1,234 of 5,000 rows"')

    def test_unknown_format_and_missing_result_are_not_found(self) -> None:
        self.assertEqual(self.client.post(self.url("export-create", self.execution.pk, "csv")).status_code, 404)
        Execution.objects.filter(pk=self.execution.pk).update(parquet_file="", csv_file="")
        self.assertEqual(self.client.post(self.url("export-create", self.execution.pk, "xlsx")).status_code, 404)

    def test_file_that_is_not_ready_says_so(self) -> None:
        export = self.ask()
        answer = self.client.get(self.url("export-download", export.pk), follow=True)
        self.assertContains(answer, "This file is not ready")

    def test_message_goes_out_once_it_is_written(self) -> None:
        with mock.patch.object(current_app, "send_task") as send, self.captureOnCommitCallbacks(execute=True):
            self.ask()
            self.ask()
        self.assertEqual([call.args[0] for call in send.call_args_list], ["executions.tasks.make_exports"])


class LimitTests(ExportTestCase):
    def test_each_user_has_a_few_in_preparation(self) -> None:
        other = store_run(self.template, ROWS)
        with override_settings(EXPORTS_PER_USER=1):
            self.ask()
            self.ask()
            answer = self.client.post(self.url("export-create", other.pk, "xlsx"), follow=True)
            self.assertContains(answer, "You have 1 file in preparation, the most at a time: “September”")
            make_exports()
            self.ask(other)
        self.assertEqual(ResultExport.objects.count(), 2)

    def test_all_users_together_have_a_bound_too(self) -> None:
        self.ask()
        other = store_run(self.template, ROWS)
        with (
            override_settings(EXPORTS_IN_ALL=1),
            self.bob_sees(),
            self.assertRaisesMessage(ExportLimitError, "1 file is being prepared for all users"),
        ):
            ask_for_export(other, ExportFormat.XLSX, actor=self.bob)

    def test_result_that_fits_no_sheet_is_told_before_anything_is_queued(self) -> None:
        execution = store_run(self.template, MAX_ROWS + 1, columns=1)
        told = f"A spreadsheet holds 1,048,575 rows here and this result has {MAX_ROWS + 1:,}. Download it as CSV"
        for answer in (
            self.client.post(self.url("export-create", execution.pk, "xlsx"), follow=True),
            self.client.get(self.url("execution-download", execution.pk, "xlsx"), follow=True),
        ):
            self.assertContains(answer, told)
        self.assertEqual(ResultExport.objects.count(), 0)

    def test_one_process_makes_one_at_a_time(self) -> None:
        export = self.ask()
        with export_steps._making:
            self.assertEqual(make_exports(), 0)
        self.assertEqual(make_exports(), 1)
        export.refresh_from_db()
        self.assertTrue(export.is_ready)

    def test_who_asked_first_is_first(self) -> None:
        exports = []
        for _ in range(3):
            exports.append(self.ask(store_run(self.template, 100)))
            self.clock.shift(1)
        self.assertEqual(make_exports(), 3)
        ended = ResultExport.objects.order_by("finished_at").values_list("pk", flat=True)
        self.assertEqual(list(ended), [export.pk for export in exports])


@pytest.mark.parametrize(
    ("rows", "columns", "told"),
    [
        (MAX_ROWS + 1, 1, "holds 1,048,575 rows here and this result has 1,048,576"),
        (1, MAX_COLUMNS + 1, "holds 16,384 columns and this result has 16,385"),
        (MAX_CELLS // 100 + 1, 100, "holds 50,000,000 cells here and this result has 50,000,100"),
    ],
)
def test_limits_of_a_sheet(rows: int, columns: int, told: str) -> None:
    column = ResultColumn("a", "a", Kind.INTEGER, "BIGINT")
    ensure_fits(ResultFacts(min(rows, 1_000), 1, 1, (column,)))
    with pytest.raises(SpreadsheetLimitError, match=told):
        ensure_fits(ResultFacts(rows, 1, 1, (column,) * columns))


class EndingTests(ExportTestCase):
    def test_cancelled_while_it_is_made_it_stops_and_leaves_nothing(self) -> None:
        export = self.ask()
        # Through the page, whose statement comes between two of the worker's.
        cancel = self.url("export-delete", export.pk)
        with (
            self.before_update("rows_done", lambda: self.client.post(cancel)),
            self.assertLogs("executions.services.export_steps", "INFO") as logged,
        ):
            make_exports()
        self.assertIn("export given up", logged.output[-1])
        self.assertEqual((ResultExport.objects.count(), self.exported()), (0, []))
        self.assert_nothing_unfinished()

    def test_cancelled_after_the_last_row_the_file_goes_too(self) -> None:
        export = self.ask()
        with self.before_update("file", lambda: ResultExport.objects.filter(pk=export.pk).delete()):
            make_exports()
        self.assertEqual(self.exported(), [])

    def test_worker_that_is_stopped_gives_way_and_the_next_one_begins_anew(self) -> None:
        self.addCleanup(shutdown._requested.clear)
        export = self.ask()
        with self.before_update("leased_by", shutdown.request_stop):
            make_exports()
        export.refresh_from_db()
        self.assertEqual((export.status, export.step_attempts, export.leased_by), (ExportStatus.PREPARING, 0, ""))
        self.assert_nothing_unfinished()
        self.assertEqual(make_exports(), 0)
        shutdown._requested.clear()
        self.assertEqual(make_exports(), 1)
        export.refresh_from_db()
        self.assertTrue(export.is_ready)

    def test_worker_that_died_is_followed_by_another(self) -> None:
        export = self.ask()
        self.claimed(export)
        self.assertEqual(make_exports(), 0)
        self.clock.shift(ResultExport.objects.all().lease + timedelta(seconds=1))
        with mock.patch.object(current_app, "send_task") as send:
            tick(timezone.now())
            tick(timezone.now())
        self.assertEqual([call.args[0] for call in send.call_args_list], ["executions.tasks.make_exports"])
        self.assertEqual(make_exports(), 1)

    def test_export_that_kills_every_worker_is_given_up(self) -> None:
        export = self.ask()
        for _ in range(MAX_ATTEMPTS):
            self.claimed(export)
            self.clock.shift(ResultExport.objects.all().lease + timedelta(seconds=1))
        make_exports()
        self.assertContains(self.client.get(self.execution.get_absolute_url()), "It could not be made. Ask your")

    def test_damaged_result_is_told_and_can_be_tried_again(self) -> None:
        export = self.ask()
        whole = (self.results / self.execution.parquet_file).read_bytes()
        (self.results / self.execution.parquet_file).write_bytes(b"PAR1 nothing else")
        make_exports()
        page = self.htmx_get(self.url("export-list"))
        self.assertContains(page, "could not be made. The stored result cannot be read")
        self.assertContains(page, "Try again")
        (self.results / self.execution.parquet_file).write_bytes(whole)
        again = self.made()
        self.assertNotEqual(again, export)
        self.assertEqual(ResultExport.objects.count(), 1)

    def test_file_that_was_lost_is_made_again(self) -> None:
        (self.results / self.made().file).unlink()
        self.assertTrue(self.made().is_ready)
        self.assertEqual(len(self.exported()), 1)

    def test_short_of_space_it_fails_with_a_sentence(self) -> None:
        export = self.ask()
        with override_settings(MIN_FREE_DISK_MB=2 * free_bytes() // MEGABYTE):
            make_exports()
        export.refresh_from_db()
        self.assertEqual(export.status, ExportStatus.FAILED)
        self.assertIn("disk is nearly full; its administrators have been told. Ask again later", export.error)
        self.assert_nothing_unfinished()

    def test_bug_is_logged_and_tried_again_later(self) -> None:
        export = self.ask()
        parquet = self.results / self.execution.parquet_file
        whole = parquet.read_bytes()
        # It names a column that it does not have.
        said = pack_columns([ResultColumn("a", "a", Kind.INTEGER, "BIGINT")], csv_bytes=1)
        duckdb.sql(
            f"COPY (SELECT 1 AS b) TO '{parquet}' (FORMAT parquet, KV_METADATA {{{METADATA_KEY}: '{said}'}})"
        )
        with self.assertLogs("executions.services.export_steps", "ERROR"):
            make_exports()
        export.refresh_from_db()
        self.assertEqual((export.status, export.step_attempts), (ExportStatus.PREPARING, 1))
        self.assert_nothing_unfinished()
        parquet.write_bytes(whole)
        self.clock.shift(export.next_step_at - timezone.now() + timedelta(seconds=1))
        self.assertEqual(make_exports(), 1)
        export.refresh_from_db()
        self.assertTrue(export.is_ready)

    def test_busy_database_is_no_failed_try(self) -> None:
        export = self.ask()
        for words in ('"rows_done" = ', '"file" = '):
            for _ in range(MAX_ATTEMPTS + 1):
                with (
                    self.subTest(words),
                    failing(words, times=1),
                    self.assertLogs("executions.services.export_steps", "WARNING") as logged,
                ):
                    self.assertEqual(make_exports(), 1)
                self.assertEqual([record.exc_info for record in logged.records], [None])
                export.refresh_from_db()
                self.assertEqual((export.status, export.step_attempts), (ExportStatus.PREPARING, 0))
                self.assert_nothing_unfinished()
                self.clock.shift(timedelta(seconds=RETRY_AFTER_SECONDS + 1))
        self.assertEqual(make_exports(), 1)
        export.refresh_from_db()
        self.assertTrue(export.is_ready)
        self.assertEqual(len(self.exported()), 1)

    def test_database_that_stays_busy_leaves_it_to_the_end_of_the_lease(self) -> None:
        export = self.ask()
        steps = "executions.services.export_steps"
        with failing('"rows_done" = '), self.assertLogs(steps, "WARNING") as logged:
            self.assertEqual(make_exports(), 1)
        self.assertEqual([record.exc_info for record in logged.records], [None])
        self.assertEqual(make_exports(), 0)
        self.clock.shift(ResultExport.objects.all().lease + timedelta(seconds=1))
        self.assertEqual(make_exports(), 1)
        export.refresh_from_db()
        self.assertTrue(export.is_ready)
