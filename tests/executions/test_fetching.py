"""Results: whole or not at all."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from amchelper import shutdown
from amchelper.exceptions import InvalidStateError
from executions.errors import ErrorCode
from executions.models import LEASE, Execution, ExecutionStatus
from executions.results.connection import open_files
from executions.results.watching import Stop
from executions.services import fetching
from executions.services.claims import ExecutionClaim, claim_execution
from executions.services.executions import fetch_again
from executions.services.fetching import MAX_CRASHES, MAX_FAILURES, MAX_WAIT
from tests.executions.base import ExecutionTestCase
from tests.test_try_again import locked_error

NOT_FETCHED = (ExecutionStatus.FAILED, ErrorCode.RESULT_NOT_FETCHED)


class FilesTestCase(ExecutionTestCase):
    def files(self) -> list[Path]:
        return [path for path in self.results.rglob("*") if path.is_file()]


class FetchingTests(FilesTestCase):
    def test_download_that_breaks_off_is_repeated(self) -> None:
        for fault in ("download_truncated", "download_expired", "download_500", "download_bad_signature"):
            with self.subTest(fault):
                self.arm(fault, count=1)
                execution = self.drive(self.start())
                self.assertEqual((execution.status, execution.error), (ExecutionStatus.SUCCEEDED, ""))
                self.assert_stored(execution)

    def test_packed_download_is_unpacked(self) -> None:
        self.arm("download_gzip", count=1)
        self.assert_stored(self.drive(self.start()))

    def test_nothing_partial_is_ever_visible(self) -> None:
        self.arm("download_truncated")
        execution = self.drive_to(ExecutionStatus.FETCHING)
        self.step(execution)
        self.assertEqual((execution.status, execution.fetch_failures), (ExecutionStatus.FETCHING, 1))
        self.assertEqual((self.files(), execution.csv_file, execution.row_count), ([], "", None))

    def test_five_downloads_that_fail_end_it_and_it_can_be_fetched_later(self) -> None:
        self.arm("download_truncated")
        execution = self.drive_to(ExecutionStatus.FETCHING)
        Execution.objects.filter(pk=execution.pk).update(fetch_failures=MAX_FAILURES - 2)
        self.step(execution)
        self.assertEqual(
            (execution.status, execution.fetch_failures), (ExecutionStatus.FETCHING, MAX_FAILURES - 1)
        )
        self.drive(execution)
        self.assertEqual(
            (execution.status, execution.error_code), (ExecutionStatus.FAILED, ErrorCode.RESULT_NOT_FETCHED)
        )
        self.assertIn("broke off", execution.error)
        self.amc.control("DELETE", "faults")
        again = self.drive(fetch_again(execution, actor=self.alice))
        self.assertEqual((again.status, len(self.at_amc())), (ExecutionStatus.SUCCEEDED, 1))
        self.assert_stored(again)

    def test_result_that_kills_every_worker_is_given_up(self) -> None:
        execution = self.drive_to(ExecutionStatus.FETCHING)
        for _ in range(MAX_CRASHES):
            self.assertIsNotNone(claim_execution(execution.pk, worker="killed"))
            self.expire_lease(execution)
        self.step(execution)
        self.assertEqual(
            (execution.status, execution.error_code), (ExecutionStatus.FAILED, ErrorCode.RESULT_NOT_FETCHED)
        )

    def test_only_a_result_that_was_not_fetched_can_be_fetched_again(self) -> None:
        execution = self.drive(self.start())
        with self.assertRaises(InvalidStateError):
            fetch_again(execution, actor=self.alice)

    def test_result_that_is_not_ready_is_waited_for_without_counting(self) -> None:
        self.arm("download_not_ready")
        execution = self.drive_to(ExecutionStatus.FETCHING)
        for _ in range(2 * MAX_FAILURES):
            self.step(execution)
            self.wait(execution)
        self.assertEqual(
            (execution.status, execution.step_attempts, execution.fetch_failures), (ExecutionStatus.FETCHING, 0, 0)
        )
        self.amc.control("DELETE", "faults")
        self.assertEqual(self.drive(execution).status, ExecutionStatus.SUCCEEDED)

    def test_result_that_never_gets_ready_is_given_up(self) -> None:
        self.arm("download_not_ready")
        execution = self.drive_to(ExecutionStatus.FETCHING)
        self.step(execution)
        self.clock.shift(MAX_WAIT - timedelta(minutes=1))
        self.step(execution)
        self.assertEqual(execution.status, ExecutionStatus.FETCHING)
        self.clock.shift(120)
        self.step(execution)
        self.assertEqual(
            (execution.status, execution.error_code), (ExecutionStatus.FAILED, ErrorCode.RESULT_NOT_FETCHED)
        )

    def test_login_that_ends_before_the_result_came_is_waited_for(self) -> None:
        execution = self.drive_to(ExecutionStatus.FETCHING)
        self.connection.disconnect()
        for _ in range(2 * MAX_FAILURES):
            self.step(execution)
            self.wait(execution)
        self.assertEqual(execution.status, ExecutionStatus.FETCHING)
        self.assertIn("Reconnect", execution.waiting_for)
        self.connection.store_tokens(refresh_token="Atzr|local-healthy", access_token="", expires_at=None)
        self.assertEqual(self.drive(execution).status, ExecutionStatus.SUCCEEDED)

    def test_disk_that_refuses_is_said_and_tried_again(self) -> None:
        execution = self.drive_to(ExecutionStatus.FETCHING)
        obstacle = self.results / "incoming"
        obstacle.write_text("not a folder")
        self.step(execution)
        self.assertEqual(execution.status, ExecutionStatus.FETCHING)
        self.assertIn("could not be stored", execution.waiting_for)
        obstacle.unlink()
        self.drive(execution)
        self.assert_stored(execution)

    def test_result_in_parts_is_one_file_with_one_header(self) -> None:
        self.control("POST", "options", {"rows_per_part": 1})
        execution = self.drive(self.start())
        self.control("POST", "options", {"rows_per_part": 500_000})
        parts = sorted((self.amc.app.state.runner._folder / execution.amc_execution_id).iterdir())
        self.assertGreater(len(parts), 2)
        lines = (self.results / execution.csv_file).read_text().splitlines()
        self.assertEqual(lines.count(lines[0]), 1)
        self.assertEqual(len(lines) - 1, execution.row_count)

    def test_files_are_for_their_owner_only(self) -> None:
        execution = self.drive(self.start())
        self.assertEqual((self.results / execution.csv_file).stat().st_mode & 0o777, 0o600)


class ConversionTests(FilesTestCase):
    """A conversion without end, and what ends it."""

    def step_while_converting(self, execution: Execution, happens: Callable[[int], object]) -> None:
        """Do the step; its conversion goes on until something happens that ends it, told the number of the pulse."""
        beats = 0

        def convert(csv: Path, parquet: Path, *, stop: Stop, **kwargs: Any) -> None:
            with open_files(csv, stop=stop) as connection:
                connection.execute("SELECT count(*) FROM range(10000000000) a, range(1000) b")

        def wait(*args: Any, **kwargs: Any) -> Any:
            nonlocal beats
            beats += 1
            happens(beats)
            return real_wait(*args, **{**kwargs, "timeout": 0.01})

        real_wait = concurrent.futures.wait
        with mock.patch.object(fetching, "convert", convert), mock.patch("executions.results.watching.wait", wait):
            self.step(execution)

    def test_worker_that_is_stopped_gives_way_and_the_next_one_begins_anew(self) -> None:
        self.addCleanup(shutdown._requested.clear)
        execution = self.drive_to(ExecutionStatus.FETCHING)
        self.step_while_converting(execution, lambda beat: shutdown.request_stop())
        self.assertEqual(
            (execution.status, execution.step_attempts, execution.fetch_failures, execution.leased_by),
            (ExecutionStatus.FETCHING, 0, 0, ""),
        )
        self.assertEqual(self.files(), [])
        shutdown._requested.clear()
        self.assert_stored(self.drive(execution))

    def test_stop_ends_a_download_too(self) -> None:
        self.addCleanup(shutdown._requested.clear)
        execution = self.drive_to(ExecutionStatus.FETCHING)
        shutdown.request_stop()
        self.step(execution)
        self.assertEqual((execution.status, execution.step_attempts), (ExecutionStatus.FETCHING, 0))
        shutdown._requested.clear()
        self.assert_stored(self.drive(execution))

    def test_row_is_held_as_long_as_it_takes(self) -> None:
        self.addCleanup(shutdown._requested.clear)
        execution = self.drive_to(ExecutionStatus.FETCHING)
        held: list[object] = []

        def happens(beat: int) -> None:
            if beat > 20:
                shutdown.request_stop()
                return
            self.clock.shift(LEASE * 0.4)
            if beat > 1:
                # As long as this worker is alive nobody else gets it.
                held.append(claim_execution(execution.pk, worker="another"))

        with mock.patch("amchelper.leases._HEARTBEAT_SHARE", 0.0):
            self.step_while_converting(execution, happens)
        self.assertEqual(held, [None] * 19)

    def test_row_that_another_worker_has_ends_the_work(self) -> None:
        execution = self.drive_to(ExecutionStatus.FETCHING)

        def lose(beat: int) -> None:
            Execution.objects.filter(pk=execution.pk).update(leased_by="another")

        with (
            mock.patch("amchelper.leases._HEARTBEAT_SHARE", 0.0),
            self.assertLogs("executions.services.steps", "WARNING") as logged,
        ):
            self.step_while_converting(execution, lose)
        self.assertIn("lease lost", logged.output[0])
        self.assertEqual((execution.leased_by, self.files()), ("another", []))

    def test_busy_database_does_not_end_the_work(self) -> None:
        self.addCleanup(shutdown._requested.clear)
        execution = self.drive_to(ExecutionStatus.FETCHING)
        busy = mock.patch.object(ExecutionClaim, "heartbeat", side_effect=locked_error())
        self.addCleanup(mock.patch.stopall)

        def happens(beat: int) -> None:
            if beat == 1:
                busy.start()
            if beat == 5:
                busy.stop()
                shutdown.request_stop()

        self.step_while_converting(execution, happens)
        self.assertEqual((execution.status, execution.step_attempts), (ExecutionStatus.FETCHING, 0))

    def test_too_long_a_time_is_said_and_it_can_be_fetched_again(self) -> None:
        execution = self.drive_to(ExecutionStatus.FETCHING)
        with mock.patch.object(fetching, "_LEAST_CONVERSION_SECONDS", 0.05):
            self.step_while_converting(execution, lambda beat: None)
        self.assertEqual((execution.status, execution.error_code), NOT_FETCHED)
        self.assertIn("made into a table", execution.error)
        self.assertEqual(self.files(), [])
        self.assert_stored(self.drive(fetch_again(execution, actor=self.alice)))
