"""Lists of runs cost the same however much history there is, for whoever looks."""

from __future__ import annotations

import random
from datetime import timedelta
from itertools import product
from typing import Any
from unittest import mock

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from amchelper.models import User
from executions.models import Execution, ExecutionStatus
from executions.services import newest
from executions.services.newest import newest_of, newest_runs
from executions.services.start import make_execution
from instances.models import AMCInstance
from templates_app.models import InstanceTemplate
from tests.base import CastTestCase
from tests.executions.base import window
from tests.factories import AccountFactory, InstanceFactory
from tests.schedules.base import make_template

LIST, HOME = reverse("executions:execution-list"), reverse("home")


class HistoryTestCase(CastTestCase):
    """Runs by the hundred, without an AMC."""

    def instances(self, user: User, count: int) -> list[AMCInstance]:
        account = AccountFactory.create(connection__user=user)
        return [InstanceFactory.create(account=account) for _ in range(count)]

    def ended(self, instances: list[AMCInstance], ages: list[float], **fields: Any) -> list[Execution]:
        """Make runs that ended, so many hours ago each, on one instance after the other."""
        templates: dict[Any, InstanceTemplate] = {}
        now, rows = timezone.now(), []
        for number, age in enumerate(ages):
            instance = instances[number % len(instances)]
            if instance.pk not in templates:
                templates[instance.pk] = make_template(instance.user, instance)
            row = make_execution(created_by=instance.user, template=templates[instance.pk], window=window())
            row.complete()
            row.status, row.finished_at = ExecutionStatus.SUCCEEDED, now - timedelta(hours=age)
            row.queued_at = row.finished_at
            for name, value in fields.items():
                setattr(row, name, value)
            rows.append(row)
        moments = [row.queued_at for row in rows]
        Execution.objects.bulk_create(rows)
        for row, moment in zip(rows, moments, strict=True):
            row.queued_at = moment
        Execution.objects.bulk_update(rows, ["queued_at"], batch_size=200)
        return rows

    def statements(self, address: str, **headers: str) -> list[str]:
        """Return what a page asks the database, its session and user apart."""
        with CaptureQueriesContext(connection) as queries:
            self.assertEqual(self.client.get(address, headers=headers).status_code, 200)
        return [query["sql"] for query in queries]


class NewestRunsTests(HistoryTestCase):
    def setUp(self) -> None:
        super().setUp()
        random.seed(7)
        busy, quiet, small = (
            self.instances(user, n) for user, n in ((self.alice, 3), (self.bob, 40), (self.charlie, 2))
        )
        # Alice ran most of the newest ones, Bob has many instances and ran long ago, Charlie hardly ever ran.
        self.ended(busy, [random.uniform(0, 20) for _ in range(120)])
        self.ended(quiet, [random.uniform(15, 60) for _ in range(110)])
        self.ended(quiet[:1], [random.uniform(30, 35) for _ in range(40)])
        self.ended(small, [1, 50, 70])

    def test_rows_are_those_of_all_in_order(self) -> None:
        for user in (self.alice, self.bob, self.charlie, self.sam):
            keys = list(Execution.objects.visible_to(user).values_list("pk", flat=True))
            for looked_at, skip, count in product((10, 500), (0, 5, 60, 145, 400), (5, 26)):
                with (
                    self.subTest(user=user, looked_at=looked_at, skip=skip, count=count),
                    mock.patch.object(newest, "_LOOKED_AT", looked_at),
                ):
                    self.assertEqual([run.pk for run in newest_runs(user, skip, count)], keys[skip : skip + count])

    def test_filtered_rows_are_those_of_all_in_order(self) -> None:
        for pattern in ("", "no such name"):
            runs = Execution.objects.visible_to(self.bob).filter(template_name__contains=pattern)
            for skip in (0, 60, 400):
                with self.subTest(pattern, skip=skip), mock.patch.object(newest, "_LOOKED_AT", 10):
                    self.assertEqual(newest_of(runs, skip, 9), list(runs[skip : skip + 9]))

    def test_no_list_reads_or_counts_what_it_does_not_show(self) -> None:
        unread = "source_sql", "sql_query", "parameter_values", "refresh_token", '"config"'
        for user in (self.alice, self.bob):
            self.client.force_login(user)
            self.client.get(LIST)
            with mock.patch.object(newest, "_LOOKED_AT", 10):
                asked = [*self.statements(LIST), *self.statements(HOME)]
            for said in asked:
                for column in unread:
                    self.assertNotIn(column, said)
            self.assertEqual([said for said in asked if "COUNT(" in said and "workflow_executions" in said], [])


class ConstantTests(HistoryTestCase):
    def test_statements_are_the_same_for_3_and_60_rows(self) -> None:
        instances = self.instances(self.alice, 3)
        self.client.get(LIST)
        counts = []
        for more in (3, 57):
            self.ended(instances, [float(age) for age in range(more)])
            pages = [
                LIST,
                f"{LIST}?status=SUCCEEDED",
                HOME,
                reverse("executions:execution-of-instance", args=[instances[0].pk]),
            ]
            counts.append([
                len(self.statements(page, **headers)) for page in pages for headers in ({}, {"HX-Request": "true"})
            ])  # fmt: skip
        self.assertEqual(counts[0], counts[1])

    def test_a_fragment_that_polls_asks_for_its_rows_only(self) -> None:
        self.ended(self.instances(self.alice, 3), [float(age) for age in range(60)])
        self.client.get(LIST)
        for page in (LIST, HOME):
            asked = [said for said in self.statements(page, **{"HX-Request": "true"}) if "workflow_" in said]
            self.assertEqual(len(asked), 2, asked)

    def test_pages_lead_on_without_a_count(self) -> None:
        runs = self.ended(self.instances(self.alice, 3), [float(age) for age in range(60)])
        first = self.client.get(LIST)
        self.assertContains(first, "1–25 of more than 25 runs")
        self.assertContains(first, "Runs 1 to 25, there are more")
        last = self.client.get(f"{LIST}?page=3")
        self.assertContains(last, "51–60 of 60 runs")
        self.assertContains(last, runs[-1].get_absolute_url())
        self.assertNotContains(last, runs[49].get_absolute_url())


class PlanTests(HistoryTestCase):
    """What the database does with the statements, by its own account."""

    def plan(self, said: str) -> str:
        explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
        with connection.cursor() as cursor:
            cursor.execute(f"{explain} {said}")
            return "\n".join(str(row[-1]) for row in cursor.fetchall())

    def history(self) -> None:
        """Let Charlie run nearly all of 3,000 runs, on a few instances, and Alice few of the old ones, on many."""
        self.ended(self.instances(self.charlie, 4), [float(age) for age in range(2_960)])
        self.ended(self.instances(self.alice, 30), [2_000.0 + age for age in range(40)])
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")

    def assert_by_index(self, user: User, indexes: set[str], filters: str = "") -> None:
        self.client.force_login(user)
        self.client.get(LIST)
        said = [one for one in self.statements(LIST + filters) if "workflow_executions" in one]
        plans = "\n".join(self.plan(one) for one in said)
        self.assertNotIn("Seq Scan on workflow_executions", plans)
        self.assertNotRegex(plans, r"SCAN workflow_executions(?! USING)")
        for index in indexes:
            self.assertIn(index, plans)

    def test_all_reads_go_by_index(self) -> None:
        self.history()
        for user, indexes in (
            (self.charlie, {"executions_newest"}),
            (self.alice, {"executions_newest", "executions_newest_of_instance"}),
            (self.bob, {"executions_newest"}),
        ):
            with self.subTest(user=user):
                self.assert_by_index(user, indexes)

    def test_retention_goes_through_stored_results_only(self) -> None:
        self.history()
        self.ended(self.instances(self.bob, 1), [1.0, 2.0], csv_file="a.csv", parquet_file="a.parquet")
        with CaptureQueriesContext(connection) as queries:
            rows = list(
                Execution.objects.with_files().order_by("-finished_at", "-pk").values_list("pk", "csv_file")
            )
        self.assertEqual(len(rows), 2)
        self.assertIn("executions_with_files", self.plan(queries[-1]["sql"]))
