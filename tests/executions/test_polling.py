"""Questions to AMC about runs that are there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar
from unittest import mock

import time_machine
from django.db import IntegrityError, transaction
from django.utils import timezone

from executions.models import Execution, ExecutionStatus
from executions.presenters.progress import timeline
from executions.services import polling, steps
from executions.services.claims import ExecutionClaim
from executions.services.steps import advance
from executions.services.timing import times_at_amc
from instances.amc.client import AmcClient
from instances.amc.executions import AmcExecution
from instances.models import AmazonConnection
from tests.executions.base import ExecutionTestCase
from tests.messages import caught
from tests.shared_data import DATA


class PollingTests(ExecutionTestCase):
    def stuck(self) -> Execution:
        """Return a run that AMC does not end."""
        self.arm("exec_stuck", count=1)
        return self.drive_to(ExecutionStatus.PENDING)

    def test_questions_become_rarer_up_to_five_minutes(self) -> None:
        execution = self.stuck()
        waits = []
        for _ in range(8):
            self.wait(execution)
            # What the machine needs for a step is no part of the wait.
            with time_machine.travel(asked_at := timezone.now(), tick=False):
                self.step(execution)
            waits.append((execution.next_step_at - asked_at).total_seconds())
        self.assertEqual(waits, [60, 90, 135, 200, 300, 300, 300, 300])

    def test_scale_of_the_waits_is_a_setting(self) -> None:
        with self.settings(EXECUTION_POLL_SCALE=0.05):
            execution = self.stuck()
            self.clock.shift(1.6)
            self.step(execution)
            self.assertEqual(execution.polls, 1)

    def test_running_is_shown_with_its_beginning(self) -> None:
        execution = self.stuck()
        self.finish_at_amc(execution, "RUNNING")
        self.wait(execution)
        self.step(execution)
        self.assertEqual((execution.status, execution.amc_status), (ExecutionStatus.RUNNING, "RUNNING"))
        self.assertIsNotNone(execution.started_at)

    def test_run_that_ended_before_it_was_asked_about_has_no_start_after_its_end(self) -> None:
        execution = self.drive_to(ExecutionStatus.PENDING)
        self.clock.shift(timedelta(seconds=40))
        self.step(execution)
        self.assertEqual(execution.status, ExecutionStatus.FETCHING)
        self.assertIsNone(execution.started_at)
        names = [step["name"] for step in timeline(execution)]
        self.assertEqual(names, ["Queued", "Submitted to AMC", "Ended at AMC", "Ended"])
        self.assertEqual([step["status"] for step in timeline(execution)], ["done", "done", "done", "current"])
        self.assert_in_order(self.drive(execution))

    def test_run_that_failed_before_it_was_asked_about_has_no_start_after_its_end(self) -> None:
        execution = self.stuck()
        self.finish_at_amc(execution, "FAILED", "It broke.")
        self.clock.shift(timedelta(seconds=40))
        self.step(execution)
        self.assertEqual((execution.status, execution.started_at), (ExecutionStatus.FAILED, None))
        self.assert_in_order(execution)

    def test_times_stay_in_order_whatever_the_clock_of_amc_shows(self) -> None:
        now = timezone.now()
        submitted, seen = now - timedelta(seconds=60), now - timedelta(seconds=30)
        for told, started, ended in (
            (now - timedelta(seconds=10), seen, now - timedelta(seconds=10)),
            (now - timedelta(seconds=40), now - timedelta(seconds=40), now - timedelta(seconds=40)),
            (now - timedelta(hours=2), submitted, submitted),
            (now + timedelta(hours=2), seen, now),
            (None, seen, now),
        ):
            row = Execution(submitted_at=submitted, started_at=seen)
            with self.subTest(told=told):
                found = times_at_amc(row, told, now)
                self.assertEqual(found, {"started_at": started, "amc_finished_at": ended})

    def test_database_takes_no_start_after_the_end(self) -> None:
        execution, now = self.start(), timezone.now()
        with self.assertRaises(IntegrityError), transaction.atomic():
            Execution.objects.filter(pk=execution.pk).update(
                started_at=now, amc_finished_at=now - timedelta(seconds=1)
            )

    def assert_in_order(self, execution: Execution) -> None:
        times = [step["at"] for step in timeline(execution) if step["at"]]
        self.assertEqual(times, sorted(times))
        self.assertGreater(len(times), 2)

    def test_status_nobody_documented_stays_open(self) -> None:
        execution = self.stuck()
        self.arm("unknown_status", route="execution")
        for _ in range(3):
            self.wait(execution)
            self.step(execution)
            self.assertIn(execution.status, (ExecutionStatus.PENDING, ExecutionStatus.RUNNING))
        self.assertEqual(execution.amc_status, "HIBERNATING")
        self.amc.control("DELETE", "faults")
        self.finish_at_amc(execution, "FAILED", "It broke.")
        self.drive(execution)
        self.assertEqual((execution.status, execution.error), (ExecutionStatus.FAILED, "It broke."))

    def test_publishing_is_not_finished(self) -> None:
        self.arm("exec_publishing", seconds=100, count=1)
        execution = self.drive_to(ExecutionStatus.PENDING)
        self.wait(execution)
        self.step(execution)
        self.assertEqual((execution.status, execution.amc_status), (ExecutionStatus.RUNNING, "PUBLISHING"))
        self.assertEqual(self.drive(execution).status, ExecutionStatus.SUCCEEDED)

    def test_run_that_never_ends_fails_an_hour_after_its_timeout(self) -> None:
        execution = self.stuck()
        self.clock.shift(timedelta(seconds=21_600, minutes=59))
        self.step(execution)
        self.assertEqual(execution.status, ExecutionStatus.RUNNING)
        self.clock.shift(timedelta(minutes=6))
        self.step(execution)
        self.assertEqual((execution.status, execution.error_code), (ExecutionStatus.FAILED, "no_end"))
        self.assertIn("did not report an end", execution.error)

    def test_run_that_ended_while_nobody_asked_for_days_is_fetched(self) -> None:
        execution = self.drive_to(ExecutionStatus.PENDING)
        self.clock.shift(timedelta(days=2))
        self.assertEqual(self.drive(execution).status, ExecutionStatus.SUCCEEDED)

    def test_amc_in_trouble_changes_nothing_but_the_time(self) -> None:
        for fault in ({"fault": "server_error"}, {"fault": "throttle", "seconds": 20}, {"fault": "reset"}):
            with self.subTest(**fault):
                self.control("POST", "reset")
                execution = self.drive_to(ExecutionStatus.PENDING)
                self.arm(**fault, route="execution", count=9)
                self.wait(execution)
                self.step(execution)
                self.assertEqual((execution.status, execution.step_attempts), (ExecutionStatus.PENDING, 1))
                self.assertTrue(execution.waiting_for)
                self.amc.control("DELETE", "faults")
                self.drive(execution)
                self.assertEqual((execution.status, execution.waiting_for), (ExecutionStatus.SUCCEEDED, ""))

    def test_login_that_ends_meanwhile_is_waited_for(self) -> None:
        execution = self.stuck()
        self.connection.disconnect()
        for _ in range(10):
            self.wait(execution)
            self.step(execution)
        self.assertEqual(execution.status, ExecutionStatus.PENDING)
        self.assertIn("Reconnect", execution.waiting_for)
        self.connection.store_tokens(refresh_token="Atzr|local-healthy", access_token="", expires_at=None)
        self.finish_at_amc(execution, "FAILED", "It broke.")
        self.assertEqual(self.drive(execution).error, "It broke.")

    def test_login_that_amazon_revoked_meanwhile_is_marked(self) -> None:
        execution = self.stuck()
        self.connection.store_tokens(refresh_token="Atzr|local-revoked", access_token="", expires_at=None)
        self.wait(execution)
        self.step(execution)
        self.connection.refresh_from_db()
        self.assertEqual(
            (self.connection.status, execution.status),
            (AmazonConnection.Status.RECONNECT_REQUIRED, ExecutionStatus.PENDING),
        )

    def test_run_that_amc_has_forgotten_fails_in_the_end(self) -> None:
        execution = self.stuck()
        Execution.objects.filter(pk=execution.pk).update(amc_execution_id="00000000-0000-0000-0000-000000000000")
        self.drive(execution)
        self.assertEqual((execution.status, execution.error_code), (ExecutionStatus.FAILED, "lost"))
        assert execution.finished_at is not None
        assert execution.submitted_at is not None
        self.assertGreater(execution.finished_at - execution.submitted_at, timedelta(minutes=10))


class ManyAtOnceTests(ExecutionTestCase):
    def at_amc_together(self, count: int) -> list[Execution]:
        executions = [self.start() for _ in range(count)]
        for execution in executions:
            self.drive_to(ExecutionStatus.PENDING, execution)
        self.clock.shift(60)
        self.amc.control("DELETE", "requests")
        return executions

    def test_one_list_answers_for_all_of_an_instance(self) -> None:
        executions = self.at_amc_together(8)
        self.assertTrue(advance(executions[0].pk, "worker"))
        asked = [call["path"].rsplit("/", 1)[-1] for call in self.calls("GET")]
        self.assertEqual(asked, ["workflowExecutions"])
        statuses = set(Execution.objects.values_list("status", flat=True))
        self.assertEqual(statuses, {ExecutionStatus.FETCHING})

    def test_runs_that_end_together_are_followed_by_one_admission_and_one_message_each(self) -> None:
        executions = self.at_amc_together(8)
        self.start()
        with caught() as messages:
            self.assertTrue(advance(executions[0].pk, "worker"))
            expected = [f"advance_execution {execution.pk}" for execution in executions[1:]]
            account = self.account
            admission = f"admit_executions {account.account_id} {account.marketplace_id}"
            self.assertEqual(sorted(messages.texts), sorted([*expected, admission]))
            # The tick sends what the worker goes on with itself, in case it does not.
            messages.clear()
            steps.send_due(timezone.now())
            self.assertEqual(messages.texts, [f"advance_execution {executions[0].pk}"])

    def test_two_are_asked_about_one_by_one(self) -> None:
        executions = self.at_amc_together(2)
        for execution in executions:
            advance(execution.pk, "worker")
        asked = [call["path"].rsplit("/", 1)[-1] for call in self.calls("GET")]
        self.assertEqual(asked, [execution.amc_execution_id for execution in executions])

    def test_those_the_list_does_not_show_are_asked_about_singly(self) -> None:
        executions = self.at_amc_together(4)
        old = executions[0]
        Execution.objects.filter(pk=old.pk).update(amc_execution_id="00000000-0000-0000-0000-000000000000")
        advance(executions[1].pk, "worker")
        self.assertEqual(len(self.calls("GET")), 2)
        statuses = list(Execution.objects.order_by("queued_at").values_list("status", flat=True))
        self.assertEqual(statuses, [ExecutionStatus.PENDING, *[ExecutionStatus.FETCHING] * 3])

    def test_list_that_fails_puts_all_off(self) -> None:
        executions = self.at_amc_together(4)
        self.arm("server_error", route="executions", method="GET", count=9)
        advance(executions[0].pk, "worker")
        for execution in executions:
            execution.refresh_from_db()
            self.assertEqual((execution.status, execution.lease_until), (ExecutionStatus.PENDING, None))
            self.assertGreater(execution.next_step_at, execution.queued_at + timedelta(seconds=60))
        self.amc.control("DELETE", "faults")
        for execution in executions:
            self.assertEqual(self.drive(execution).status, ExecutionStatus.SUCCEEDED)

    def test_bug_at_another_run_does_not_count_against_this_one(self) -> None:
        executions = self.at_amc_together(4)
        this, broken = executions[0], executions[2]

        def ask(client: AmcClient, claim: ExecutionClaim, listed: dict[str, AmcExecution]) -> AmcExecution:
            if claim.row.pk == broken.pk:
                raise ZeroDivisionError
            return polling_ask(client, claim, listed)

        polling_ask = polling._ask
        with mock.patch.object(polling, "_ask", ask), self.assertLogs("executions.services.steps", "ERROR"):
            advance(this.pk, "worker")
        this.refresh_from_db()
        self.assertEqual((this.status, this.step_attempts), (ExecutionStatus.FETCHING, 0))

    def test_bug_leaves_none_of_the_others_held(self) -> None:
        for broken in ("_list", "_poll_other"):
            with self.subTest(broken):
                this, *others = self.at_amc_together(4)
                with (
                    mock.patch.object(polling, broken, side_effect=ZeroDivisionError),
                    self.assertLogs("executions.services.steps", "ERROR"),
                ):
                    advance(this.pk, "worker")
                for other in others:
                    other.refresh_from_db()
                    self.assertEqual((other.lease_until, other.leased_by, other.step_attempts), (None, "", 0))
                for execution in (this, *others):
                    self.assertEqual(self.drive(execution).status, ExecutionStatus.SUCCEEDED)

    def test_lost_lease_of_another_run_concerns_it_alone(self) -> None:
        this, taken, *others = self.at_amc_together(4)
        list_executions = AmcClient.list_executions

        def steal(client: AmcClient, *args: Any, **kwargs: Any) -> Iterator[AmcExecution]:
            Execution.objects.filter(pk=taken.pk).update(leased_by="other")
            return list_executions(client, *args, **kwargs)

        with (
            mock.patch.object(AmcClient, "list_executions", steal),
            # Each row is a page, and each heartbeat writes.
            mock.patch.object(polling, "PAGE_SIZE", 1),
            mock.patch("amchelper.leases._HEARTBEAT_SHARE", 0),
        ):
            self.assertTrue(advance(this.pk, "worker"))
        taken.refresh_from_db()
        self.assertEqual((taken.status, taken.leased_by), (ExecutionStatus.PENDING, "other"))
        rest = Execution.objects.filter(pk__in=[this.pk, *(other.pk for other in others)])
        self.assertEqual(set(rest.values_list("status", flat=True)), {ExecutionStatus.FETCHING})

    def test_those_another_worker_holds_are_left_alone(self) -> None:
        executions = self.at_amc_together(4)
        held = executions[2]
        Execution.objects.filter(pk=held.pk).update(
            leased_by="other", lease_until=held.next_step_at + timedelta(hours=1)
        )
        advance(executions[0].pk, "worker")
        held.refresh_from_db()
        self.assertEqual((held.status, held.leased_by), (ExecutionStatus.PENDING, "other"))


class RealTimeTests(ExecutionTestCase):
    amc_options: ClassVar[dict[str, Any]] = {"speed": 10, "data": DATA}

    def test_pending_running_succeeded(self) -> None:
        execution = self.start()
        seen = []
        for _ in range(40):
            seen.append(execution.status)
            if execution.status == ExecutionStatus.SUCCEEDED:
                break
            if not self.step(execution):
                self.wait(execution)
        order = [
            ExecutionStatus.QUEUED,
            ExecutionStatus.SUBMITTING,
            ExecutionStatus.PENDING,
            ExecutionStatus.RUNNING,
            ExecutionStatus.FETCHING,
            ExecutionStatus.SUCCEEDED,
        ]
        self.assertEqual([status for status in order if status in seen], order)
        assert execution.started_at is not None
        assert execution.amc_finished_at is not None
        self.assertLessEqual(execution.started_at, execution.amc_finished_at)
