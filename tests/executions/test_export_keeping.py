"""How long exports are kept, and what they go with."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.test import override_settings
from django.utils import timezone

from amchelper.dependents import delete_with_dependents
from amchelper.disk import MEGABYTE, free_bytes, temporary_root
from executions.models import ResultExport
from executions.results import spill
from executions.services.export_steps import remove_expired, tick
from executions.services.retention import remove_old_results
from instances.models import AMCInstance
from tests.executions.export_base import ExportTestCase
from tests.large_results import store_run


class KeepingTests(ExportTestCase):
    def remove(self, act: Callable[[], object]) -> None:
        """Do something and what follows its commit; no spreadsheet is left then."""
        self.assertEqual(len(self.exported()), 1)
        with self.captureOnCommitCallbacks(execute=True):
            act()
        self.assertEqual((self.exported(), ResultExport.objects.count()), ([], 0))

    def test_kept_for_its_hours(self) -> None:
        export = self.made()
        self.clock.shift(timedelta(hours=settings.EXPORT_KEEP_HOURS) - timedelta(minutes=1))
        with self.captureOnCommitCallbacks(execute=True):
            tick(timezone.now())
        self.assertTrue(self.download(self.url("export-download", export.pk)))
        self.clock.shift(120)
        self.assertNotContains(self.client.get(self.execution.get_absolute_url()), "Excel file is ready")
        self.remove(lambda: tick(timezone.now()))

    def test_expired_but_not_yet_removed_it_is_made_anew(self) -> None:
        export = self.made()
        self.clock.shift(timedelta(hours=settings.EXPORT_KEEP_HOURS, minutes=1))
        with self.captureOnCommitCallbacks(execute=True):
            self.assertNotEqual(self.made(), export)
        self.assertEqual(len(self.exported()), 1)

    def test_failed_ones_go_too(self) -> None:
        claim = self.claimed(self.ask())
        claim.fail("Why.")
        remove_expired(timezone.now())
        self.assertEqual(ResultExport.objects.count(), 1)
        self.clock.shift(timedelta(hours=settings.EXPORT_KEEP_HOURS, minutes=1))
        remove_expired(timezone.now())
        self.assertEqual(ResultExport.objects.count(), 0)

    def test_beyond_their_space_the_oldest_go(self) -> None:
        old = self.made()
        self.clock.shift(60)
        young = self.made(store_run(self.template, 10))
        with self.captureOnCommitCallbacks(execute=True):
            with override_settings(EXPORT_STORAGE_BYTES=(old.byte_count or 0) + (young.byte_count or 0)):
                self.assertEqual(remove_expired(timezone.now()), 0)
            with override_settings(EXPORT_STORAGE_BYTES=young.byte_count):
                self.assertEqual(remove_expired(timezone.now()), 1)
        self.assertEqual(self.exported(), [Path(young.file).name])

    def test_removed_by_hand(self) -> None:
        export = self.made()
        self.remove(lambda: self.client.post(self.url("export-delete", export.pk)))

    def test_goes_with_its_run(self) -> None:
        self.made()
        self.remove(self.execution.delete)

    def test_goes_with_its_instance(self) -> None:
        self.made()
        self.remove(
            lambda: delete_with_dependents(AMCInstance.objects.filter(pk=self.instance.pk), actor=self.alice)
        )

    def test_goes_with_its_result(self) -> None:
        self.made()
        with override_settings(RESULT_RETENTION_DAYS=1):
            self.remove(lambda: remove_old_results(timezone.now() + timedelta(days=2)))

    def test_goes_when_the_disk_is_short_of_space_and_the_result_stays(self) -> None:
        self.made()
        with override_settings(MIN_FREE_DISK_MB=2 * free_bytes() // MEGABYTE):
            self.remove(lambda: remove_old_results(timezone.now()))
        self.assertTrue(self.client.get(self.execution.get_absolute_url()).context["rows"])

    def test_file_of_a_row_is_no_stray_one(self) -> None:
        export = self.made()
        # As after a crash between the file's name and the row's.
        stray = self.results / export.file.replace(".", ".0000", 1)
        stray.write_bytes(b"x")
        later = timezone.now() + timedelta(days=400 - 1)
        with override_settings(RESULT_RETENTION_DAYS=0):
            self.assertEqual(remove_old_results(later).orphaned, 1)
        self.assertEqual(self.exported(), [Path(export.file).name])

    def test_what_a_killed_process_left_is_swept(self) -> None:
        # One whose lock is free and was last written long ago, as the kernel dates it; and one in use.
        left = temporary_root() / "duckdb-left"
        left.mkdir(parents=True)
        (left / "rows").write_text("x")
        os.utime(left, (0, 0))
        incoming = self.results / "incoming" / "left.xlsx"
        incoming.parent.mkdir(exist_ok=True)
        incoming.write_text("x")
        with spill.spill_folder() as used:
            os.utime(used, (0, 0))
            tick(timezone.now())
            self.assertEqual((left.exists(), used.exists(), incoming.exists()), (False, True, True))
        tick(timezone.now() + timedelta(days=2))
        self.assertFalse(incoming.exists())
