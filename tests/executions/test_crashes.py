"""kill -9 anywhere: another worker goes on, nothing is lost, nothing is done twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone

from amchelper.leases import LeaseLostError
from executions.models import LEASE, Execution, ExecutionStatus
from executions.services.claims import claim_execution
from executions.services.steps import advance
from executions.services.submission import request_of
from tests.executions.base import ExecutionTestCase, killed_at_statement


class KilledWorkerTests(ExecutionTestCase):
    def kill_everywhere(self, status: str, at_most: int) -> None:
        """Die before each SQL statement of the steps from a status on, one run after the other."""
        for number in range(1, at_most):
            self.control("POST", "reset")
            execution = self.drive_to(status)
            self.wait(execution)
            with killed_at_statement(number) as died:
                while self.step(execution, "killed"):
                    pass
            self.wait(execution)
            self.drive(execution, worker="another")
            with self.subTest(status=status, statement=number):
                self.assertEqual(
                    (execution.status, len(self.at_amc())), (ExecutionStatus.SUCCEEDED, 1), execution.error
                )
                self.assert_stored(execution)
            if not died:
                self.assertGreater(number, 4)
                return
        self.fail(f"more than {at_most} statements")

    def test_in_the_queue(self) -> None:
        self.kill_everywhere(ExecutionStatus.QUEUED, 60)

    def test_while_submitting(self) -> None:
        self.kill_everywhere(ExecutionStatus.SUBMITTING, 30)

    def test_while_asking(self) -> None:
        self.kill_everywhere(ExecutionStatus.PENDING, 50)

    def test_while_fetching(self) -> None:
        self.kill_everywhere(ExecutionStatus.FETCHING, 30)

    def test_after_the_post_and_before_the_answer_was_written(self) -> None:
        execution = self.drive_to(ExecutionStatus.SUBMITTING)
        claim = claim_execution(execution.pk, worker="killed")
        assert claim is not None
        claim.heartbeat(attempted_at=timezone.now(), lookups=0)
        with claim.client() as client:
            client.create_execution(claim.row.ref, request_of(claim.row))
        self.assertFalse(self.step(execution, "another"))
        self.expire_lease(execution)
        self.drive(execution, worker="another")
        self.assertEqual((execution.status, len(self.at_amc())), (ExecutionStatus.SUCCEEDED, 1))

    def test_before_the_post_went_out(self) -> None:
        execution = self.drive_to(ExecutionStatus.SUBMITTING)
        claim = claim_execution(execution.pk, worker="killed")
        assert claim is not None
        claim.heartbeat(attempted_at=timezone.now(), lookups=0)
        self.expire_lease(execution)
        self.drive(execution, worker="another")
        self.assertEqual((execution.status, len(self.at_amc())), (ExecutionStatus.SUCCEEDED, 1))


class ClaimTests(ExecutionTestCase):
    def test_second_worker_cannot_claim_the_same_step(self) -> None:
        execution = self.drive_to(ExecutionStatus.SUBMITTING)
        first = claim_execution(execution.pk, worker="one")
        self.assertIsNotNone(first)
        self.assertIsNone(claim_execution(execution.pk, worker="two"))
        self.assertIsNone(claim_execution(execution.pk, worker="one"))

    def test_lease_ends_and_its_holder_cannot_write_any_more(self) -> None:
        execution = self.drive_to(ExecutionStatus.SUBMITTING)
        late = claim_execution(execution.pk, worker="late")
        assert late is not None
        self.expire_lease(execution)
        another = claim_execution(execution.pk, worker="another")
        assert another is not None
        writes: tuple[Callable[[], object], ...] = (
            lambda: late.heartbeat(always=True),
            lambda: late.finish(status=ExecutionStatus.PENDING),
            lambda: late.defer(timedelta()),
        )
        for write in writes:
            with self.assertRaises(LeaseLostError):
                write()
        another.heartbeat(always=True)
        execution.refresh_from_db()
        self.assertEqual(execution.status, ExecutionStatus.SUBMITTING)

    def test_holder_that_is_late_but_alone_may_still_write(self) -> None:
        execution = self.drive_to(ExecutionStatus.SUBMITTING)
        late = claim_execution(execution.pk, worker="late")
        assert late is not None
        self.expire_lease(execution)
        late.finish(waiting_for="something")
        execution.refresh_from_db()
        self.assertEqual((execution.waiting_for, execution.lease_until), ("something", None))

    def test_kept_lease_lasts(self) -> None:
        execution = self.drive_to(ExecutionStatus.SUBMITTING)
        claim = claim_execution(execution.pk, worker="one")
        assert claim is not None
        for _ in range(5):
            self.clock.shift(LEASE * 0.8)
            claim.heartbeat(always=True)
        self.assertIsNone(claim_execution(execution.pk, worker="two"))

    def test_messages_that_come_twice_do_nothing(self) -> None:
        execution = self.drive_to(ExecutionStatus.SUBMITTING)
        for _ in range(3):
            advance(execution.pk, "one")
            advance(execution.pk, "two")
        self.assertEqual(len(self.calls("POST")), 1)
        self.drive(execution)
        before = len(self.amc.received())
        for _ in range(3):
            self.assertFalse(advance(execution.pk, "one"))
        self.assertEqual(len(self.amc.received()), before)

    def test_message_about_a_deleted_execution_does_nothing(self) -> None:
        execution = self.start()
        Execution.objects.filter(pk=execution.pk).delete()
        self.assertFalse(advance(execution.pk, "one"))

    def test_execution_deleted_during_a_step_is_left_alone(self) -> None:
        execution = self.drive_to(ExecutionStatus.SUBMITTING)
        claim = claim_execution(execution.pk, worker="one")
        assert claim is not None
        Execution.objects.filter(pk=execution.pk).delete()
        with self.assertRaises(LeaseLostError):
            claim.finish(status=ExecutionStatus.PENDING)
