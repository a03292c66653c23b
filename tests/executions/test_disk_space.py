"""Too little space: results wait at AMC as long as for anything else, room is made, administrators know."""

from __future__ import annotations

from datetime import timedelta
from unittest import mock

from celery import current_app
from django.conf import settings
from django.core import mail
from django.core.checks import run_checks
from django.test import override_settings
from django.urls import reverse
from django.utils import timezone

from amchelper.disk import MEGABYTE, free_bytes
from executions.errors import ErrorCode
from executions.models import Execution, ExecutionStatus
from executions.services.disk_space import report_shortage
from executions.services.executions import fetch_again
from executions.services.fetching import MAX_FAILURES, MAX_WAIT
from tests.executions.base import ExecutionTestCase
from tests.factories import UserFactory
from tests.full_disks import largest_file, small_disk


def reserve_larger_than_what_is_free() -> override_settings:
    """Be as short of space as on a disk that is nearly full."""
    return override_settings(MIN_FREE_DISK_MB=2 * free_bytes() // MEGABYTE)


class WaitingTests(ExecutionTestCase):
    def try_often(self, execution: Execution, times: int = 2 * MAX_FAILURES) -> None:
        """Let a worker try as often as it is due."""
        for _ in range(times):
            self.step(execution)
            self.wait(execution)

    def assert_waits(self, execution: Execution, told: str) -> None:
        self.assertEqual(
            (execution.status, execution.fetch_failures, execution.error), (ExecutionStatus.FETCHING, 0, "")
        )
        self.assertContains(self.client.get(execution.get_absolute_url()), told)
        self.assertEqual(list((self.results / "incoming").glob("*")), [])

    def test_result_waits_at_amc_without_being_asked_for_until_there_is_space(self) -> None:
        execution = self.drive_to(ExecutionStatus.FETCHING)
        with reserve_larger_than_what_is_free():
            self.try_often(execution)
            self.assert_waits(
                execution,
                "The server&#x27;s disk is nearly full; its administrators have been told. The result waits at AMC",
            )
        self.assertEqual(self.calls("GET", "downloadUrls"), [])
        self.drive(execution)
        self.assertEqual((execution.status, execution.waiting_for), (ExecutionStatus.SUCCEEDED, ""))
        self.assert_stored(execution)

    def test_tries_become_rarer_and_stay_within_half_an_hour(self) -> None:
        execution = self.drive_to(ExecutionStatus.FETCHING)
        minutes = []
        with reserve_larger_than_what_is_free():
            for _ in range(60):
                self.step(execution)
                minutes.append(round((execution.next_step_at - timezone.now()).total_seconds() / 60))
                self.wait(execution)
        self.assertEqual(minutes, sorted(minutes))
        self.assertEqual((minutes[0], minutes[-1]), (1, 30))

    def test_patience_is_that_with_amc_and_the_result_can_be_fetched_later(self) -> None:
        execution = self.drive_to(ExecutionStatus.FETCHING)
        with reserve_larger_than_what_is_free():
            self.step(execution)
            self.clock.shift(MAX_WAIT - timedelta(minutes=10))
            self.step(execution)
            self.assertEqual(execution.status, ExecutionStatus.FETCHING)
            self.clock.shift(timedelta(minutes=40))
            self.step(execution)
        self.assertEqual(
            (execution.status, execution.error_code), (ExecutionStatus.FAILED, ErrorCode.RESULT_NOT_FETCHED)
        )
        self.assertIn("disk is nearly full", execution.error)
        self.assert_stored(self.drive(fetch_again(execution, actor=self.alice)))

    def test_disk_that_fills_up_meanwhile(self) -> None:
        execution = self.drive_to(ExecutionStatus.FETCHING)
        with override_settings(MIN_FREE_DISK_MB=0), largest_file(100):
            self.try_often(execution)
        self.assert_waits(execution, "disk is nearly full")
        self.assertNotEqual(self.calls("GET", "downloadUrls"), [])
        self.assert_stored(self.drive(execution))

    def test_disk_that_has_no_room_for_what_the_storage_announces(self) -> None:
        execution = self.drive_to(ExecutionStatus.FETCHING)
        with override_settings(MIN_FREE_DISK_MB=0), small_disk(self.results, 8):
            (self.results / "filler").write_bytes(b"x" * 4096 * 2)
            self.assertEqual(free_bytes(), 0)
            self.try_often(execution, times=MAX_FAILURES + 1)
            self.assert_waits(execution, "disk is nearly full")
        self.assert_stored(self.drive(execution))

    def test_disk_that_refuses_for_other_reasons_is_waited_for_too(self) -> None:
        execution = self.drive_to(ExecutionStatus.FETCHING)
        obstacle = self.results / "incoming"
        obstacle.write_text("not a folder")
        with self.assertLogs("executions.services.fetching", "ERROR"):
            self.try_often(execution)
        obstacle.unlink()
        self.assert_waits(execution, "It could not be stored here")
        self.assert_stored(self.drive(execution))


class TellingTests(ExecutionTestCase):
    def test_administrators_are_told_once_a_day_and_results_pruned_at_once(self) -> None:
        UserFactory.create(email="left@example.com", is_staff=True, is_active=False)
        with (
            mock.patch.object(current_app, "send_task") as send,
            self.assertLogs("executions.services.disk_space", "ERROR") as logged,
        ):
            for _ in range(3):
                report_shortage(1_000_000)
        self.assertEqual(len(logged.output), 1)
        self.assertIn("disk space short", logged.output[0])
        self.assertIn("needed=1000000", logged.output[0])
        self.assertEqual([call.args[0] for call in send.call_args_list], ["executions.tasks.prune_results"])
        (told,) = mail.outbox
        self.assertEqual((told.to, told.subject), ([self.sam.email], "AMC Helper: the disk is nearly full"))
        self.assertIn("RESULT_STORAGE_BYTES", told.body)

    def test_run_that_waits_tells_them(self) -> None:
        execution = self.drive_to(ExecutionStatus.FETCHING)
        with reserve_larger_than_what_is_free(), self.assertLogs("executions.services.disk_space", "ERROR"):
            self.step(execution)
        self.assertEqual(len(mail.outbox), 1)

    def test_every_page_says_it_to_staff_and_to_nobody_else(self) -> None:
        with reserve_larger_than_what_is_free():
            self.assertNotContains(self.client.get(reverse("home")), "disk has only")
            self.client.force_login(self.sam)
            self.assertContains(self.client.get(reverse("home")), "disk has only")
        self.assertNotContains(self.client.get(reverse("home")), "disk has only")

    def test_check_says_it(self) -> None:
        def told() -> list[str]:
            return [str(message.msg) for message in run_checks() if message.id == "amchelper.W003"]

        self.assertEqual(told(), [])
        with reserve_larger_than_what_is_free():
            self.assertIn(str(settings.RESULTS_DIR), told()[0])
