"""Runs that their user does not want any more."""

from __future__ import annotations

from datetime import timedelta

from django.http import Http404
from django.utils import timezone

from amchelper.exceptions import InvalidStateError
from executions.models import Execution, ExecutionStatus
from executions.services.claims import claim_execution
from executions.services.executions import cancel
from executions.services.steps import send_due
from tests.executions.base import ExecutionTestCase
from tests.messages import caught


class CancelTests(ExecutionTestCase):
    def test_waiting_run_ends_at_once_and_never_reaches_amc(self) -> None:
        execution = cancel(self.start(), actor=self.alice)
        self.assertEqual(execution.status, ExecutionStatus.CANCELLED)
        self.assertIsNotNone(execution.finished_at)
        self.assertFalse(self.step(execution))
        self.assertEqual(self.at_amc(), [])

    def test_workers_are_told_where_they_have_something_to_do(self) -> None:
        self.arm("exec_stuck", count=1)
        for status, count in ((ExecutionStatus.QUEUED, 0), (ExecutionStatus.PENDING, 1)):
            execution = self.drive_to(status)
            with (
                self.subTest(status),
                caught() as messages,
                self.captureOnCommitCallbacks(execute=True),
            ):
                cancel(execution, actor=self.alice)
                send_due(timezone.now())
            with self.subTest(status):
                self.assertEqual(messages.texts, [f"advance_execution {execution.pk}"] * count)

    def test_run_that_was_admitted_but_not_posted_is_not_posted(self) -> None:
        execution = self.drive_to(ExecutionStatus.SUBMITTING)
        self.assertEqual(cancel(execution, actor=self.alice).status, ExecutionStatus.SUBMITTING)
        self.assertEqual(self.drive(execution).status, ExecutionStatus.CANCELLED)
        self.assertEqual(self.at_amc(), [])

    def test_run_at_amc_is_cancelled_there_and_then_here(self) -> None:
        for status in ("PENDING", "RUNNING"):
            with self.subTest(status):
                self.arm("exec_stuck", count=1)
                execution = self.drive_to(ExecutionStatus.PENDING)
                if status == "RUNNING":
                    self.finish_at_amc(execution, "RUNNING")
                    execution = self.drive_to(ExecutionStatus.RUNNING, execution)
                self.amc.control("DELETE", "requests")
                self.assertEqual(cancel(execution, actor=self.alice).status, status)
                self.drive(execution, steps=4)
                self.assertEqual(
                    (execution.status, execution.amc_status), (ExecutionStatus.CANCELLED, "CANCELLED")
                )
                self.assertEqual(execution.error, "")
                self.assertEqual([call["body"] for call in self.calls("PUT")], [{"status": "CANCELLED"}])

    def test_run_that_amc_is_slow_to_cancel_is_asked_about_until_it_ends(self) -> None:
        self.arm("exec_stuck", count=1)
        execution = self.drive_to(ExecutionStatus.PENDING)
        self.arm("exec_cancel_race")
        cancel(execution, actor=self.alice)
        for _ in range(3):
            self.step(execution)
            self.assertIn(execution.status, (ExecutionStatus.PENDING, ExecutionStatus.RUNNING))
            self.wait(execution)
        self.assertEqual(len(self.calls("PUT")), 1)
        self.finish_at_amc(execution, "CANCELLED")
        self.assertEqual(self.drive(execution).status, ExecutionStatus.CANCELLED)

    def test_run_that_was_faster_than_the_cancelling_succeeds(self) -> None:
        execution = self.drive_to(ExecutionStatus.PENDING)
        cancel(execution, actor=self.alice)
        self.assertEqual(self.drive(execution).status, ExecutionStatus.SUCCEEDED)
        self.assertEqual(len(self.calls("PUT")), 1)
        self.assert_stored(execution)

    def test_cancelling_that_fails_is_tried_again(self) -> None:
        self.arm("exec_stuck", count=1)
        execution = self.drive_to(ExecutionStatus.PENDING)
        cancel(execution, actor=self.alice)
        self.arm("wrong_entity", method="PUT", count=1)
        self.step(execution)
        self.assertEqual((execution.status, execution.cancel_sent_at), (ExecutionStatus.PENDING, None))
        self.assertEqual(self.drive(execution).status, ExecutionStatus.CANCELLED)

    def test_request_that_comes_during_the_post_is_heard_right_after_it(self) -> None:
        self.arm("exec_stuck", count=1)
        execution = self.drive_to(ExecutionStatus.SUBMITTING)
        claim = claim_execution(execution.pk, worker="posting")
        assert claim is not None
        cancel(execution, actor=self.alice)
        claim.finish(
            status=ExecutionStatus.PENDING,
            amc_execution_id="amc-1",
            next_step_at=claim.after(timedelta(minutes=1)),
        )
        self.assertIsNotNone(claim_execution(execution.pk, worker="next"))

    def test_lost_answer_and_cancelled_is_looked_for_and_then_cancelled_there(self) -> None:
        execution = self.drive_to(ExecutionStatus.SUBMITTING)
        self.lose_answer(execution, hidden_seconds=45)
        cancel(execution, actor=self.alice)
        self.drive(execution)
        # At speed 0 it had succeeded before it could be seen.
        self.assertEqual((execution.status, len(self.at_amc())), (ExecutionStatus.SUCCEEDED, 1))
        self.assertEqual(len(self.calls("PUT")), 1)

    def test_lost_and_never_created_and_cancelled_is_cancelled_without_another_post(self) -> None:
        self.arm("server_error", status=503, route="executions", method="POST", count=1)
        execution = self.drive_to(ExecutionStatus.SUBMITTING)
        self.step(execution)
        cancel(execution, actor=self.alice)
        self.assertEqual(self.drive(execution).status, ExecutionStatus.CANCELLED)
        self.assertEqual((len(self.at_amc()), len(self.calls("POST"))), (0, 1))

    def test_nothing_is_left_to_cancel_once_amc_has_finished(self) -> None:
        execution = self.drive_to(ExecutionStatus.FETCHING)
        with self.assertRaisesMessage(InvalidStateError, "on the way"):
            cancel(execution, actor=self.alice)
        self.drive(execution)
        with self.assertRaisesMessage(InvalidStateError, "ended already"):
            cancel(execution, actor=self.alice)

    def test_cancelling_twice_is_cancelling_once(self) -> None:
        execution = self.start()
        cancel(execution, actor=self.alice)
        ended_at = Execution.objects.get(pk=execution.pk).finished_at
        self.clock.shift(60)
        self.assertEqual(cancel(execution, actor=self.alice).finished_at, ended_at)

    def test_outsider_learns_nothing(self) -> None:
        execution = self.start()
        with self.assertRaises(Http404):
            cancel(execution, actor=self.charlie)
        execution.refresh_from_db()
        self.assertEqual(execution.status, ExecutionStatus.QUEUED)
