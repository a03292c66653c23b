"""Old results go, rows stay."""

from __future__ import annotations

import io
import os
import uuid
from datetime import datetime, timedelta

from django.core.management import call_command
from django.test import override_settings
from django.utils import timezone

from executions.models import Execution
from executions.services.result_files import result_name
from executions.services.retention import Removal, remove_old_results
from tests.executions.base import ExecutionTestCase


class RetentionTests(ExecutionTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.old = self.drive(self.start())
        self.clock.shift(timedelta(hours=20))
        self.young = self.drive(self.start())
        self.now = timezone.now()

    def size(self, execution: Execution) -> int:
        names = execution.csv_file, execution.parquet_file
        return sum((self.results / name).stat().st_size for name in names)

    def files(self) -> set[str]:
        return {str(path.relative_to(self.results)) for path in self.results.rglob("*") if path.is_file()}

    def assert_only_young_is_left(self) -> None:
        self.assertEqual(self.files(), {self.young.csv_file, self.young.parquet_file})
        old = Execution.objects.get(pk=self.old.pk)
        self.assertEqual((old.csv_file, old.parquet_file, old.result_removed_at), ("", "", self.now))
        self.assertEqual((old.status, old.row_count, old.has_result), ("SUCCEEDED", self.old.row_count, False))
        self.assertTrue(Execution.objects.get(pk=self.young.pk).has_result)

    def test_by_age(self) -> None:
        size = self.size(self.old)
        with override_settings(RESULT_RETENTION_DAYS=30):
            self.assertEqual(remove_old_results(self.now), Removal())
            self.now += timedelta(days=29, hours=6)
            self.assertEqual(remove_old_results(self.now), Removal(results=1, bytes=size))
        self.assert_only_young_is_left()

    def test_by_size_the_oldest_go(self) -> None:
        with override_settings(RESULT_STORAGE_BYTES=self.size(self.young) + self.size(self.old)):
            self.assertEqual(remove_old_results(self.now), Removal())
        with override_settings(RESULT_STORAGE_BYTES=self.size(self.young) + self.size(self.old) - 1):
            self.assertEqual(remove_old_results(self.now).results, 1)
        self.assert_only_young_is_left()

    def test_zero_means_no_limit(self) -> None:
        with override_settings(RESULT_RETENTION_DAYS=0, RESULT_STORAGE_BYTES=0):
            self.assertEqual(remove_old_results(self.now + timedelta(days=9999)), Removal())

    def test_dry_run_removes_nothing(self) -> None:
        before = self.files()
        with override_settings(RESULT_RETENTION_DAYS=1):
            self.assertEqual(remove_old_results(self.now + timedelta(days=9), dry_run=True).results, 2)
        self.assertEqual(self.files(), before)
        self.assertTrue(Execution.objects.get(pk=self.old.pk).has_result)

    def test_twice_is_once(self) -> None:
        with override_settings(RESULT_RETENTION_DAYS=1):
            later = self.now + timedelta(days=9)
            self.assertEqual(remove_old_results(later).results, 2)
            self.assertEqual(remove_old_results(later), Removal())

    def date_files(self, moment: datetime) -> None:
        """Let all files have been written then; the kernel dates them by its own clock."""
        for name in self.files():
            os.utime(self.results / name, (moment.timestamp(), moment.timestamp()))

    def test_stray_files_go_after_a_day(self) -> None:
        stray = self.results / result_name(uuid.uuid4(), "csv")
        unfinished = self.results / "incoming" / "something.csv"
        for path in (stray, unfinished):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
        foreign = self.results / "ab" / "readme.txt"
        foreign.parent.mkdir(exist_ok=True)
        foreign.write_text("not ours")
        Execution.objects.filter(pk=self.old.pk).delete()
        self.date_files(self.now)
        self.assertEqual(remove_old_results(self.now), Removal())
        self.date_files(self.now - timedelta(days=2))
        self.assertEqual(remove_old_results(self.now).orphaned, 3)
        self.assertEqual(self.files(), {self.young.csv_file, self.young.parquet_file, "ab/readme.txt"})

    def test_command_says_what_it_does(self) -> None:
        with override_settings(RESULT_RETENTION_DAYS=1):
            self.clock.shift(timedelta(days=9))
            said = io.StringIO()
            call_command("prune_results", "--dry-run", stdout=said)
            self.assertIn("Would remove 2 results", said.getvalue())
            self.assertEqual(len(self.files()), 4)
            call_command("prune_results", stdout=said)
            self.assertIn("Removed 2 results and 0 orphaned files", said.getvalue())
            self.assertEqual(self.files(), set())
