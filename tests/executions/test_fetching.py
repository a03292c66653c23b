"""Results: whole or not at all."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from amchelper.exceptions import InvalidStateError
from executions.errors import ErrorCode
from executions.models import Execution, ExecutionStatus
from executions.services.claims import claim_execution
from executions.services.executions import fetch_again
from executions.services.fetching import MAX_CRASHES, MAX_FAILURES, MAX_WAIT
from tests.executions.base import ExecutionTestCase

NOT_FETCHED = (ExecutionStatus.FAILED, ErrorCode.RESULT_NOT_FETCHED)


class FetchingTests(ExecutionTestCase):
    def files(self) -> list[Path]:
        return [path for path in self.results.rglob("*") if path.is_file()]

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
