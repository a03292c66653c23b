"""Downloads that are read, given up half way or never begun: each lets go of everything, and pages find threads."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from django.test import override_settings
from django.urls import reverse

from amchelper.disk import MEGABYTE, free_bytes, temporary_root
from amchelper.downloads import PLACES
from executions.services.downloads import DOWNLOAD_KINDS, open_download
from tests.executions.base import ExecutionTestCase
from tests.large_results import store_run


def open_files() -> list[str]:
    """Return the files of results and the temporary ones that this process holds open, deleted ones too."""
    found = [descriptor.readlink() for descriptor in Path("/proc/self/fd").iterdir() if descriptor.is_symlink()]
    return [str(path) for path in found if "amc-result" in str(path) or str(temporary_root()) in str(path)]


class DownloadTests(ExecutionTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.execution = store_run(self.template, 20_000)
        changed = override_settings(EXPORT_INLINE_CELLS=1_000_000)
        changed.enable()
        self.addCleanup(changed.disable)

    def get(self, kind: str, **more: Any) -> Any:
        return self.client.get(reverse("executions:execution-download", args=[self.execution.pk, kind]), **more)

    def assert_nothing_is_held(self) -> None:
        self.assertEqual(PLACES.taken, 0)
        self.assertEqual(open_files(), [])
        self.assertEqual(list(temporary_root().glob("*")), [])

    def test_read_to_the_end(self) -> None:
        for kind in DOWNLOAD_KINDS:
            with self.subTest(kind):
                response = self.get(kind)
                content = b"".join(response.streaming_content)
                if kind != "spreadsheet":
                    self.assertEqual(int(response["Content-Length"]), len(content))
                self.assert_nothing_is_held()

    def test_given_up_half_way(self) -> None:
        for kind in DOWNLOAD_KINDS:
            with self.subTest(kind):
                download = open_download(self.execution, kind)
                next(download)
                self.assertTrue(open_files() or list(temporary_root().glob("*")))
                download.close()
                self.assert_nothing_is_held()

    def test_given_up_before_the_first_byte(self) -> None:
        for kind in DOWNLOAD_KINDS:
            with self.subTest(kind):
                open_download(self.execution, kind).close()
                self.assert_nothing_is_held()

    def test_never_sent(self) -> None:
        for kind in DOWNLOAD_KINDS:
            with self.subTest(kind):
                open_download(self.execution, kind)
                self.assert_nothing_is_held()

    def test_closed_twice_gives_one_place_back(self) -> None:
        with closing(open_download(self.execution, "csv")):
            open_download(self.execution, "parquet").close()
            self.assertEqual(PLACES.taken, 1)
        self.assert_nothing_is_held()

    def test_one_too_many_is_told_and_pages_go_on(self) -> None:
        with (
            override_settings(DOWNLOADS_PER_PROCESS=1),
            closing(open_download(self.execution, "csv")) as first,
        ):
            next(first)
            answer = self.get("parquet", follow=True)
            self.assertContains(answer, "As many downloads are going on as are served at a time (1). Try again")
        self.assertEqual(b"".join(self.get("parquet").streaming_content)[:4], b"PAR1")

    def test_what_cannot_be_opened_holds_no_place(self) -> None:
        (self.results / self.execution.parquet_file).write_bytes(b"PAR1 nothing else")
        for kind in ("spreadsheet", "xlsx"):
            self.assertContains(self.get(kind, follow=True), "cannot be read")
        (self.results / self.execution.csv_file).unlink()
        self.assertEqual(self.get("csv").status_code, 404)
        self.assert_nothing_is_held()

    def test_short_of_space_a_spreadsheet_is_refused_and_what_is_there_is_not(self) -> None:
        with override_settings(MIN_FREE_DISK_MB=2 * free_bytes() // MEGABYTE):
            self.assertContains(self.get("xlsx", follow=True), "disk is nearly full")
            self.assertEqual(b"".join(self.get("parquet").streaming_content)[:4], b"PAR1")
        self.assert_nothing_is_held()

    def test_every_download_is_logged_with_who_took_it(self) -> None:
        for kind in DOWNLOAD_KINDS:
            with self.subTest(kind), self.assertLogs("amchelper.security_events", "INFO") as logged:
                b"".join(self.get(kind).streaming_content)
            who, what = f"event=exported user={self.alice.pk}", f"execution={self.execution.pk} kind={kind}"
            self.assertIn(who, logged.output[0])
            self.assertIn(what, logged.output[0])
