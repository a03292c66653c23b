"""Runs that end, well or as AMC says."""

from __future__ import annotations

from executions.models import ExecutionStatus
from executions.results.columns import read_facts
from templates_app.services.templates import Content, create_template
from tests.executions.base import SQL, ExecutionTestCase
from tests.factories import InstanceFactory


class SuccessTests(ExecutionTestCase):
    def test_run_goes_from_queued_to_stored_result(self) -> None:
        execution = self.start()
        self.assertEqual(execution.status, ExecutionStatus.QUEUED)
        self.assertTrue(self.step(execution))
        self.assertEqual(execution.status, ExecutionStatus.SUBMITTING)
        self.step(execution)
        self.assertEqual(execution.status, ExecutionStatus.PENDING)
        self.wait(execution)
        self.assertTrue(self.step(execution))
        self.assertEqual(execution.status, ExecutionStatus.FETCHING)
        self.assertFalse(self.step(execution))
        self.assertEqual(execution.status, ExecutionStatus.SUCCEEDED)
        facts = read_facts(self.results / execution.parquet_file)
        self.assertEqual((execution.row_count, execution.byte_count), (facts.rows, facts.bytes))
        self.assertGreater(facts.rows, 1)
        self.assertEqual([column["name"] for column in execution.output_columns], ["campaign", "impressions"])
        self.assertEqual((execution.leased_by, execution.lease_until, execution.error), ("", None, ""))
        self.assert_stored(execution)

    def test_amc_gets_the_snapshot_under_our_own_id_and_an_explicit_window(self) -> None:
        execution = self.drive(self.start())
        (body,) = [call["body"] for call in self.calls("POST")]
        self.assertEqual(body["workflow"], {"workflowId": f"amchelper-{execution.pk}", "sqlQuery": SQL})
        self.assertEqual(body["timeWindowType"], "EXPLICIT")
        self.assertEqual(body["timeWindowStart"], f"{execution.window_start}T00:00:00")
        self.assertEqual(body["timeWindowTimeZone"], "UTC")
        self.assertNotIn("requireSyntheticData", body)

    def test_first_question_comes_after_half_a_minute(self) -> None:
        execution = self.drive_to(ExecutionStatus.PENDING)
        self.assertFalse(self.step(execution))
        self.clock.shift(29)
        self.assertFalse(self.step(execution))
        self.assertEqual(execution.status, ExecutionStatus.PENDING)
        self.clock.shift(1)
        self.step(execution)
        self.assertEqual(execution.status, ExecutionStatus.FETCHING)

    def test_edits_of_the_template_do_not_reach_a_queued_run(self) -> None:
        execution = self.start()
        self.template.sql_query = "SELECT 1 AS something_else"
        self.template.save()
        self.drive(execution)
        (body,) = [call["body"] for call in self.calls("POST")]
        self.assertEqual(body["workflow"]["sqlQuery"], SQL)

    def test_sandbox_runs_on_synthetic_data(self) -> None:
        sandbox = InstanceFactory.create(account=self.account, instance_id="amclocalsbx", instance_type="SANDBOX")
        template = create_template(
            actor=self.alice, instance=sandbox, content=Content(name="Sandbox", source_sql=SQL)
        )
        execution = self.drive(self.start(template=template))
        self.assertEqual(execution.status, ExecutionStatus.SUCCEEDED)
        (body,) = [call["body"] for call in self.calls("POST")]
        self.assertTrue(body["requireSyntheticData"])

    def test_result_without_rows_is_a_success(self) -> None:
        content = Content(name="Nothing", source_sql=f"{SQL} HAVING SUM(impressions) < 0")
        template = create_template(actor=self.alice, instance=self.instance, content=content)
        execution = self.drive(self.start(template=template))
        self.assertEqual((execution.status, execution.row_count), (ExecutionStatus.SUCCEEDED, 0))
        self.assert_stored(execution)


class EndTests(ExecutionTestCase):
    def test_sql_that_amc_rejects_is_rejected_with_its_words(self) -> None:
        content = Content(name="Wrong", source_sql="SELECT campaign FROM no_such_table")
        template = create_template(actor=self.alice, instance=self.instance, content=content)
        execution = self.drive(self.start(template=template))
        self.assertEqual((execution.status, execution.error_code), (ExecutionStatus.REJECTED, "invalid_sql"))
        self.assertIn("no_such_table", execution.error)
        self.assertIsNotNone(execution.finished_at)
        self.assertEqual(list(self.results.rglob("*.csv")), [])

    def test_rejections_have_codes(self) -> None:
        for variant, code in (("privacy", "amc_rejected"), ("overlap", "overlap_protection")):
            with self.subTest(variant):
                self.arm("exec_rejected", variant=variant, count=1)
                execution = self.drive(self.start())
                self.assertEqual((execution.status, execution.error_code), (ExecutionStatus.REJECTED, code))
                self.assertTrue(execution.error)

    def test_run_that_fails_at_amc_fails_with_its_words(self) -> None:
        self.arm("exec_failed", count=1)
        execution = self.drive(self.start())
        self.assertEqual((execution.status, execution.error_code), (ExecutionStatus.FAILED, "amc_failed"))
        self.assertIn("internal error", execution.error)

    def test_run_cancelled_in_the_console_says_so(self) -> None:
        self.arm("exec_stuck", count=1)
        execution = self.drive_to(ExecutionStatus.PENDING)
        self.finish_at_amc(execution, "CANCELLED")
        self.drive(execution)
        self.assertEqual(execution.status, ExecutionStatus.CANCELLED)
        self.assertIn("at AMC, not here", execution.error)
