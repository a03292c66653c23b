"""What migrations do to the runs of a deployment that is older."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.test import TransactionTestCase
from django.utils import timezone

from amchelper.bulk import ROWS_WITH_TEXT
from executions.services.start import make_execution, queue_executions
from templates_app.services.templates import Content, create_template
from tests.executions.base import SQL, window
from tests.factories import InstanceFactory
from tests.messages import caught
from tests.migrations import migrate, migrate_all
from tests.transactions import recorded_transactions

WRONG, RIGHT = 2 * ROWS_WITH_TEXT + 3, 5


class KilledError(BaseException):
    """The process died here."""


class ImpossibleStartTests(TransactionTestCase):
    def setUp(self) -> None:
        instance = InstanceFactory.create()
        content = Content(name="Reach", source_sql=SQL)
        template = create_template(actor=instance.user, instance=instance, content=content)
        runs = [
            make_execution(created_by=instance.user, template=template, window=window())
            for _ in range(WRONG + RIGHT)
        ]
        with caught(), transaction.atomic():
            queue_executions(runs, actor=None)
        self.addCleanup(migrate_all)
        self.now = timezone.now()
        rows = migrate("executions", "0004_result_exports").get_model("executions", "Execution").objects
        rows.update(started_at=self.now, amc_finished_at=self.now + timedelta(minutes=1))
        wrong = list(rows.values_list("pk", flat=True)[:WRONG])
        rows.filter(pk__in=wrong).update(amc_finished_at=self.now - timedelta(minutes=1))

    def migrate(self) -> list[int]:
        """Take the starts back; returns how many rows each transaction wrote."""
        with recorded_transactions() as log:
            migrate("executions", "0005_clear_impossible_starts")
        return [one.rows for one in log if any("workflow_executions" in said for said in one.statements)]

    def starts_left(self) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM workflow_executions WHERE started_at IS NOT NULL")
            return int(cursor.fetchone()[0])

    def test_many_runs_are_mended_few_at_a_time(self) -> None:
        self.assertEqual(self.migrate(), [ROWS_WITH_TEXT, ROWS_WITH_TEXT, 3])
        self.assertEqual(self.starts_left(), RIGHT)

    def test_interrupted_it_keeps_what_was_done_and_goes_on(self) -> None:
        seen: list[str] = []

        def die(execute: Any, sql: str, *arguments: Any) -> Any:
            if sql.startswith('UPDATE "workflow_executions"'):
                seen.append(sql)
                if len(seen) == 2:
                    raise KilledError
            return execute(sql, *arguments)

        with connection.execute_wrapper(die), self.assertRaises(KilledError):
            self.migrate()
        self.assertEqual(self.starts_left(), RIGHT + WRONG - ROWS_WITH_TEXT)
        self.assertEqual(self.migrate(), [ROWS_WITH_TEXT, 3])
        self.assertEqual(self.starts_left(), RIGHT)


class IndexTests(TransactionTestCase):
    def indexes(self) -> set[str]:
        with connection.cursor() as cursor:
            found = connection.introspection.get_constraints(cursor, "workflow_executions")
        return {name for name, about in found.items() if about["index"] and name.startswith("executions_")}

    def test_lists_get_their_indexes_also_after_an_interruption_and_lose_them_on_the_way_back(self) -> None:
        self.addCleanup(migrate_all)
        new = {"executions_newest", "executions_newest_of_instance", "executions_with_files"}
        migrate("executions", "0006_start_before_end")
        before = self.indexes()
        self.assertIn("executions_of_instance", before)
        self.assertEqual(before & new, set())
        with connection.cursor() as cursor:
            # What an interrupted attempt leaves has the name already.
            cursor.execute("CREATE INDEX executions_newest ON workflow_executions (name)")
        migrate("executions", "0007_lists_by_index")
        self.assertEqual(self.indexes(), before - {"executions_of_instance"} | new)
        with connection.cursor() as cursor:
            constraints = connection.introspection.get_constraints(cursor, "workflow_executions")
        self.assertEqual(constraints["executions_newest"]["columns"], ["queued_at", "id"])
        migrate("executions", "0006_start_before_end")
        self.assertEqual(self.indexes(), before)
