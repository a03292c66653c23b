"""What may be any number of rows is written and deleted in small transactions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.db.models import RestrictedError
from django.urls import reverse
from django.utils import timezone

from amchelper.bulk import delete_gradually, update_rows, weighed
from amchelper.dependents import delete_with_dependents
from amchelper.models import User
from executions.models import Execution
from instances.models import (
    AmazonConnection,
    AMCAccount,
    AMCInstance,
    HealthCheck,
    HealthRollup,
    InstanceBrand,
    MappingKind,
)
from instances.services.brands import replace_brands
from instances.services.mappings import Entry, add_mappings
from schedules.models import Schedule, ScheduleSlot
from templates_app.models import InstanceTemplate
from templates_app.services.templates import Content, create_template, update_template
from tests.base import CastTestCase, everything
from tests.factories import InstanceFactory
from tests.transactions import MAX_ROWS, recorded_transactions

CHECKS, RUNS, ASINS = 3_000, 300, 2_500


class KilledError(BaseException):
    """The process died here."""


class DeletionTests(CastTestCase):
    instance: AMCInstance
    template: InstanceTemplate

    @classmethod
    def setUpTestData(cls) -> None:
        """Give Alice an instance with much of everything, and another one with a little."""
        super().setUpTestData()
        cls.instance = InstanceFactory.create(account__connection__user=cls.alice)
        other = InstanceFactory.create(account=cls.instance.account)
        replace_brands(cls.instance, ["Norda"], actor=None)
        brand = InstanceBrand.objects.get()
        asins = [Entry(brand.pk, MappingKind.ASIN, f"B{number:09d}") for number in range(ASINS)]
        add_mappings(cls.instance, asins, actor=None)
        now = timezone.now()
        for instance, count in ((cls.instance, CHECKS), (other, 1)):
            checked = [now - dt.timedelta(minutes=number) for number in range(count)]
            HealthCheck.objects.bulk_create(
                HealthCheck(instance=instance, verdict="HEALTHY", checked_at=at) for at in checked
            )
            hours = [now - dt.timedelta(hours=number) for number in range(count)]
            HealthRollup.objects.bulk_create(HealthRollup(instance=instance, hour=at, healthy=1) for at in hours)
            cls.template = cls.run_often(instance, min(count, RUNS))
        cls.template = InstanceTemplate.objects.get(instance=cls.instance)

    @classmethod
    def run_often(cls, instance: AMCInstance, count: int) -> InstanceTemplate:
        """Save a template, save it again, plan it, and run it so often by that plan."""
        content = Content(name="Reach", source_sql="SELECT 1 AS x")
        template = create_template(actor=cls.alice, instance=instance, content=content)
        template = update_template(actor=cls.alice, template=template, content=content, version=1)
        now = timezone.now()
        schedule = Schedule.objects.create(
            created_by=cls.alice, instance=instance, template=template, name="Daily", kind="daily",
            time=dt.time(9), planned_until=now,
        )  # fmt: skip
        runs = [
            Execution(
                created_by=cls.alice, instance=instance, template=template, template_name="Reach", template_version=1,
                schedule=schedule, name="Run", source_sql="SELECT 1 AS x", sql_query="SELECT 1 AS x",
                window_start=now.date(), window_end=now.date(), status="SUCCEEDED", finished_at=now,
            )
            for _ in range(count)
        ]  # fmt: skip
        for run in runs:
            run.complete()
        Execution.objects.bulk_create(runs)
        ScheduleSlot.objects.bulk_create(
            ScheduleSlot(
                schedule=schedule, scheduled_for=now - dt.timedelta(days=number), status="SUCCEEDED", execution=run
            )
            for number, run in enumerate(runs)
        )
        return template

    def delete(self, row: AMCInstance | InstanceTemplate) -> None:
        delete_with_dependents(type(row)._default_manager.filter(pk=row.pk), actor=self.alice)

    def assert_small(self, act: Callable[[], object]) -> None:
        """Do it, and find that it was many transactions of which none wrote much."""
        with recorded_transactions() as log:
            act()
        self.assertLessEqual(log.most_rows, MAX_ROWS)
        self.assertLess(log.most_statements, 40)
        self.assertGreater(len(log), 10)

    def test_an_instance_goes_with_all_that_belongs_to_it_and_nothing_else(self) -> None:
        self.assert_small(lambda: self.delete(self.instance))
        left = {name: len(rows) for name, rows in everything().items() if rows}
        expected = {
            "AmazonConnection": 1, "AMCAccount": 1, "AMCInstance": 1, "HealthCheck": 1, "HealthRollup": 1,
            "InstanceTemplate": 1, "TemplateVersion": 2, "Schedule": 1, "ScheduleSlot": 1, "Execution": 1,
        }  # fmt: skip
        self.assertEqual(left, expected)

    def test_one_that_dies_half_way_leaves_an_instance_that_does_nothing_and_can_be_deleted(self) -> None:
        seen = []

        def die(execute: Any, sql: str, *args: Any) -> Any:
            seen.append(sql.startswith('SELECT "workflow_executions"."id"'))
            if sum(seen) == 1:
                raise KilledError
            return execute(sql, *args)

        with self.assertRaises(KilledError), connection.execute_wrapper(die):
            self.delete(self.instance)
        left = AMCInstance.objects.get(pk=self.instance.pk)
        self.assertFalse(left.is_active)
        self.assertEqual(left.health_checks.count(), 0)
        self.assertEqual(left.executions.count(), RUNS)
        self.delete(left)
        self.assertFalse(AMCInstance.objects.filter(pk=left.pk).exists())

    def test_a_template_goes_and_its_runs_stay(self) -> None:
        self.assert_small(lambda: self.delete(self.template))
        self.assertEqual(Execution.objects.filter(instance=self.instance, template=None).count(), RUNS)
        self.assertEqual((Schedule.objects.count(), ScheduleSlot.objects.count()), (1, 1))

    def test_the_admin_deletes_in_small_transactions_too(self) -> None:
        self.client.force_login(self.sam)
        url = reverse("admin:instances_amcinstance_delete", args=[self.instance.pk])
        self.assert_small(lambda: self.client.post(url, {"post": "yes"}))
        self.assertFalse(AMCInstance.objects.filter(pk=self.instance.pk).exists())

    def test_a_user_goes_with_everything(self) -> None:
        self.client.force_login(self.sam)
        url = reverse("admin:amchelper_user_delete", args=[self.alice.pk])
        self.assert_small(lambda: self.client.post(url, {"post": "yes"}))
        self.assertFalse(User.objects.filter(pk=self.alice.pk).exists())
        self.assertEqual({name for name, rows in everything().items() if rows}, set())

    def test_what_others_need_is_refused_before_anything_goes(self) -> None:
        before = everything()
        for rows in (AMCAccount.objects.all(), AmazonConnection.objects.all()):
            with self.subTest(rows.model.__name__), self.assertRaises(RestrictedError):
                delete_gradually(rows)
        self.assertEqual(everything(), before)


class UpdateTests(CastTestCase):
    def test_changed_fields_are_saved_and_no_others(self) -> None:
        rows = [InstanceFactory.create(account__connection__user=self.alice) for _ in range(3)]
        for number, row in enumerate(rows):
            row.name, row.description, row.config = f"New {number}", "not saved", {"amc": {"number": number}}
        update_rows(rows, ["name", "config"])
        update_rows([], ["name"])
        found = AMCInstance.objects.order_by("name").values_list("name", "description", "config")
        self.assertEqual(list(found), [(f"New {n}", "", {"amc": {"number": n}}) for n in range(3)])


class WeightTests(CastTestCase):
    def test_parts_are_neither_long_nor_heavy_and_nothing_is_left_out(self) -> None:
        for items, most, size, parts in (
            ([], 10, 3, []),
            ([1, 1, 1, 1], 10, 3, [[1, 1, 1], [1]]),
            ([4, 5, 6, 7], 10, 3, [[4, 5], [6], [7]]),
            ([99, 1, 99], 10, 3, [[99], [1], [99]]),
        ):
            with self.subTest(items):
                self.assertEqual(list(weighed(items, int, most, size)), parts)
