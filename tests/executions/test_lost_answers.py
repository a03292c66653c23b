"""A run exists once at AMC, whatever answers got lost on the way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest import mock

from amc_facts.limits import VISIBLE_AFTER_SECONDS
from executions.models import Execution, ExecutionStatus
from executions.services.timing import STEP
from instances.amc.auth import TokenSource
from instances.amc.reporting import SEND_WITHIN, VISIBILITY
from instances.models import Event
from tests.executions.base import ExecutionTestCase


class LostAnswerTests(ExecutionTestCase):
    def test_created_although_the_answer_was_lost(self) -> None:
        for variant in ("", "reset"):
            with self.subTest(variant):
                self.control("POST", "reset")
                self.arm("created_but_504", variant=variant, count=1)
                execution = self.drive(self.start())
                self.assertEqual(execution.status, ExecutionStatus.SUCCEEDED)
                self.assertEqual(len(self.at_amc()), 1)

    def test_created_unseen_for_45_seconds_is_not_created_again(self) -> None:
        self.arm("exec_slow_visible", count=1)
        execution = self.drive_to(ExecutionStatus.SUBMITTING)
        self.step(execution)
        self.assertEqual(execution.status, ExecutionStatus.PENDING)
        self.wait(execution)
        self.step(execution)
        self.assertEqual((execution.status, execution.step_attempts), (ExecutionStatus.PENDING, 0))
        self.drive(execution)
        self.assertEqual(execution.status, ExecutionStatus.SUCCEEDED)
        self.assertEqual(len(self.at_amc()), 1)

    def test_lost_and_unseen_for_45_seconds_is_waited_for(self) -> None:
        execution = self.drive_to(ExecutionStatus.SUBMITTING)
        self.lose_answer(execution, hidden_seconds=45)
        self.wait(execution)
        self.step(execution)
        self.assertEqual((execution.status, execution.lookups), (ExecutionStatus.SUBMITTING, 1))
        self.drive(execution)
        self.assertEqual(execution.status, ExecutionStatus.SUCCEEDED)
        self.assertEqual((len(self.at_amc()), len(self.calls("POST"))), (1, 1))

    def test_refused_without_trace_is_posted_again_after_two_minutes(self) -> None:
        for status in (500, 503, 504):
            with self.subTest(status):
                self.control("POST", "reset")
                self.arm("server_error", status=status, count=1, route="executions", method="POST")
                execution = self.drive_to(ExecutionStatus.SUBMITTING)
                self.step(execution)
                attempted_at = execution.attempted_at
                assert attempted_at is not None
                self.drive(execution)
                self.assertEqual(execution.status, ExecutionStatus.SUCCEEDED)
                self.assertEqual((len(self.at_amc()), len(self.calls("POST"))), (1, 2))
                assert execution.submitted_at is not None
                self.assertGreaterEqual(execution.submitted_at - attempted_at, timedelta(minutes=2))

    def test_post_that_was_held_up_for_too_long_is_not_sent_but_tried_again(self) -> None:
        execution = self.drive_to(ExecutionStatus.SUBMITTING)
        access_token = TokenSource.access_token

        def slow_refresh(source: TokenSource) -> str:
            token = access_token(source)
            self.clock.shift(SEND_WITHIN)
            return token

        with mock.patch.object(TokenSource, "access_token", slow_refresh):
            self.step(execution)
        self.assertEqual(
            (execution.status, execution.attempted_at, execution.step_attempts),
            (ExecutionStatus.SUBMITTING, None, 1),
        )
        self.assertIn("was not sent", execution.waiting_for)
        self.assertEqual(self.calls("POST"), [])
        self.drive(execution)
        self.assertEqual((execution.status, len(self.at_amc())), (ExecutionStatus.SUCCEEDED, 1))

    def test_what_is_sent_at_the_last_moment_shows_before_looking_for_it_ends(self) -> None:
        lasts = timedelta(seconds=STEP.connect_timeout + STEP.read_timeout)
        self.assertLess(SEND_WITHIN + lasts + timedelta(seconds=VISIBLE_AFTER_SECONDS), VISIBILITY)

    def test_one_run_whatever_becomes_of_the_answer(self) -> None:
        faults: tuple[dict[str, Any], ...] = (
            {"fault": "created_but_504"}, {"fault": "created_but_504", "variant": "reset"},
            {"fault": "truncated_body"}, {"fault": "wrong_content_type"}, {"fault": "slow", "seconds": 0.1},
            {"fault": "null_fields"}, {"fault": "extra_fields"}, {"fault": "unknown_status"}, {"fault": "reset"},
            {"fault": "bad_json"}, {"fault": "empty_200"}, {"fault": "message_200"}, {"fault": "hang", "seconds": 0.2},
            {"fault": "server_error", "status": 500}, {"fault": "server_error", "status": 502, "variant": "html"},
            {"fault": "server_error", "status": 504}, {"fault": "execution_limit"}, {"fault": "exec_publishing"},
            {"fault": "exec_failed"}, {"fault": "token_expired"},
        )  # fmt: skip
        for fault in faults:
            with self.subTest(**fault):
                self.control("POST", "faults", {"route": "executions", "method": "POST", "count": 1, **fault})
                execution = self.drive(self.start())
                expected = ExecutionStatus.FAILED if fault["fault"] == "exec_failed" else ExecutionStatus.SUCCEEDED
                self.assertEqual(execution.status, expected, execution.error)
                runs = [run for run in self.at_amc() if run["workflowId"] == execution.workflow_id]
                self.assertEqual([run["workflowExecutionId"] for run in runs], [execution.amc_execution_id])
                self.amc.control("DELETE", "faults")

    def test_lost_run_is_not_posted_again_while_the_list_does_not_come_whole(self) -> None:
        for fault in ({"fault": "paging_loop"}, {"fault": "paging_empty_page"}, {"fault": "message_200"}):
            with self.subTest(**fault):
                self.control("POST", "reset")
                execution = self.drive_to(ExecutionStatus.SUBMITTING)
                self.lose_answer(execution)
                # After a reset the first one goes out with a token that is forgotten.
                posts = len(self.calls("POST"))
                self.arm(**fault, route="executions", method="GET")
                for _ in range(5):
                    self.wait(execution)
                    self.step(execution)
                    self.assertEqual(execution.status, ExecutionStatus.SUBMITTING)
                    self.assertIsNotNone(execution.attempted_at)
                self.control("DELETE", "faults")
                self.drive(execution)
                self.assertEqual(execution.status, ExecutionStatus.SUCCEEDED)
                self.assertEqual((len(self.at_amc()), len(self.calls("POST"))), (1, posts))

    def test_lost_run_that_was_cancelled_in_the_console_is_found_and_not_posted_again(self) -> None:
        self.arm("exec_stuck", count=1)
        execution = self.drive_to(ExecutionStatus.SUBMITTING)
        self.lose_answer(execution)
        [run] = self.at_amc()
        self.control("POST", "executions", {"id": run["workflowExecutionId"], "status": "CANCELLED"})
        self.drive(execution)
        self.assertEqual(
            (execution.status, execution.amc_execution_id),
            (ExecutionStatus.CANCELLED, run["workflowExecutionId"]),
        )
        self.assertEqual((len(self.at_amc()), len(self.calls("POST"))), (1, 1))

    def test_nothing_is_posted_while_looking_fails(self) -> None:
        for fault in (
            {"fault": "reset"},
            {"fault": "server_error"},
            {"fault": "throttle"},
            {"fault": "empty_200"},
            {"fault": "wrong_entity"},
        ):
            with self.subTest(**fault):
                self.control("POST", "reset")
                execution = self.drive_to(ExecutionStatus.SUBMITTING)
                self.lose_answer(execution)
                attempted_at, posts = execution.attempted_at, len(self.calls("POST"))
                self.arm(**fault, route="executions", method="GET", count=9)
                self.clock.shift(timedelta(minutes=3))
                self.step(execution)
                self.assertEqual(
                    (execution.status, execution.attempted_at), (ExecutionStatus.SUBMITTING, attempted_at)
                )
                self.assertTrue(execution.waiting_for)
                self.assertEqual(len(self.calls("POST")), posts)
                self.amc.control("DELETE", "faults")
                self.drive(execution)
                self.assertEqual((execution.status, len(self.at_amc())), (ExecutionStatus.SUCCEEDED, 1))

    def test_second_attempt_that_gets_lost_too_counts_from_its_own_time(self) -> None:
        self.arm("server_error", status=503, count=2, route="executions", method="POST")
        execution = self.drive_to(ExecutionStatus.SUBMITTING)
        self.step(execution)
        first_at = execution.attempted_at
        assert first_at is not None
        while len(self.calls("POST")) < 2:
            if not self.step(execution):
                self.wait(execution)
        execution.refresh_from_db()
        assert execution.attempted_at is not None
        self.assertGreaterEqual(execution.attempted_at - first_at, timedelta(minutes=2))
        self.drive(execution)
        self.assertEqual((len(self.at_amc()), len(self.calls("POST"))), (1, 3))

    def test_clock_that_jumps_ahead_after_a_lost_answer_makes_no_second_run(self) -> None:
        execution = self.drive_to(ExecutionStatus.SUBMITTING)
        self.lose_answer(execution, hidden_seconds=3645)
        # The product believes that an hour has passed; AMC, half a minute after creation, shows nothing yet.
        self.clock.shift(3600)
        self.step(execution)
        self.assertEqual((execution.status, len(self.calls("POST"))), (ExecutionStatus.SUBMITTING, 1))
        self.clock.shift(120)
        self.drive(execution)
        self.assertEqual((execution.status, len(self.at_amc())), (ExecutionStatus.SUCCEEDED, 1))

    def test_clock_that_was_ahead_when_the_answer_was_lost_hides_nothing(self) -> None:
        self.control("POST", "clock", {"advance": -86_400 * 2})
        self.arm("created_but_504", count=1)
        execution = self.drive_to(ExecutionStatus.SUBMITTING)
        self.step(execution)
        self.drive(execution)
        self.assertEqual((execution.status, len(self.at_amc())), (ExecutionStatus.SUCCEEDED, 1))

    def test_clock_set_back_strands_nothing(self) -> None:
        for status in (ExecutionStatus.SUBMITTING, ExecutionStatus.PENDING, ExecutionStatus.FETCHING):
            with self.subTest(status):
                self.control("POST", "reset")
                self.clock.shift(timedelta(days=2))
                execution = self.drive_to(status)
                Execution.objects.filter(pk=execution.pk).update(
                    leased_by="dead", lease_until=execution.next_step_at
                )
                self.clock.shift(timedelta(days=-2))
                self.step(execution)
                self.drive(execution)
                self.assertEqual((execution.status, len(self.at_amc())), (ExecutionStatus.SUCCEEDED, 1))

    def test_throttled_submission_waits_as_long_as_asked(self) -> None:
        self.arm("throttle", seconds=40, count=1, route="executions", method="POST")
        execution = self.drive_to(ExecutionStatus.SUBMITTING)
        began = execution.queued_at
        self.step(execution)
        self.assertEqual((execution.status, execution.attempted_at), (ExecutionStatus.SUBMITTING, None))
        self.assertGreaterEqual(execution.next_step_at - began, timedelta(seconds=39))
        self.assertIn("slow down", execution.waiting_for)
        self.drive(execution)
        self.assertEqual((execution.status, len(self.at_amc())), (ExecutionStatus.SUCCEEDED, 1))

    def test_expired_token_is_renewed_on_the_way(self) -> None:
        self.drive(self.start())
        self.arm("token_expired", variant="old")
        self.assertEqual(self.drive(self.start()).status, ExecutionStatus.SUCCEEDED)

    def test_login_that_ended_fails_the_run_and_says_what_to_do(self) -> None:
        self.connection.refresh_token = "Atzr|local-revoked"
        self.connection.save()
        execution = self.drive(self.start())
        self.assertEqual((execution.status, execution.error_code), (ExecutionStatus.FAILED, "reconnect_required"))
        self.assertIn("Reconnect", execution.error)
        self.assertEqual(self.at_amc(), [])

    def test_refused_access_fails_the_run(self) -> None:
        self.arm("wrong_entity", count=1)
        execution = self.drive(self.start())
        self.assertEqual((execution.status, execution.error_code), (ExecutionStatus.FAILED, "forbidden"))

    def test_instance_disabled_while_waiting_fails_the_run(self) -> None:
        execution = self.start()
        self.instance.apply(Event.DISABLE)
        self.drive(execution)
        self.assertEqual((execution.status, execution.error_code), (ExecutionStatus.FAILED, "instance_disabled"))
        self.assertEqual(self.at_amc(), [])
