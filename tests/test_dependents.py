"""What goes with rows that are deleted: every kind is told by number, refused while it must not go, and goes."""

from __future__ import annotations

import html
import re
import tempfile
from collections import Counter
from datetime import date, time
from pathlib import Path
from typing import Any
from unittest import mock

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.db.models import Model
from django.db.models.deletion import Collector
from django.test import override_settings
from django.urls import reverse
from django.utils import timezone

from amchelper import dependents
from amchelper.dependents import cascade_paths, delete_with_dependents, impact_of, registered_models
from amchelper.exceptions import InvalidStateError
from amchelper.models import User
from executions.models import Execution, ExecutionStatus
from instances.models import (
    AmazonConnection,
    AMCAccount,
    AMCInstance,
    BrandASIN,
    BrandCampaign,
    HealthCheck,
    HealthCheckBatch,
    HealthRollup,
    InstanceBrand,
)
from planning.recurrence import Recurrence
from schedules.models import Schedule, ScheduleSlot
from schedules.services.schedules import ScheduleValues, create_schedule, delete_schedule
from templates_app.models import InstanceTemplate
from templates_app.services.templates import Content, create_template
from tests.base import CastTestCase
from tests.factories import AccountFactory, ConnectionFactory, InstanceFactory

ROOTS: tuple[type[Model], ...] = (AMCInstance, AmazonConnection, AMCAccount, User)


class DependentsTestCase(CastTestCase):
    """Alice's instance with one or more rows of every kind, and results in a folder of the test."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="amc-results-")
        self.addCleanup(folder.cleanup)
        self.results = Path(folder.name)
        storage = {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": folder.name},
        }
        changed = override_settings(RESULTS_DIR=folder.name, STORAGES={**settings.STORAGES, "results": storage})
        changed.enable()
        self.addCleanup(changed.disable)
        self.login = ConnectionFactory.create(user=self.alice, label="Main login")
        account = AccountFactory.create(connection=self.login)
        self.instance = InstanceFactory.create(account=account, name="Northwind US")
        self.url = reverse("instances:instance-delete", args=[self.instance.pk])

    def template(self, name: str = "Reach") -> InstanceTemplate:
        content = Content(name=name, source_sql="SELECT 1 AS x")
        return create_template(actor=self.alice, instance=self.instance, content=content)

    def schedule(self, template: InstanceTemplate, name: str = "Weekly") -> Schedule:
        recurrence = Recurrence(kind="daily", time=time(9), zone="UTC")
        values = ScheduleValues(name=name, recurrence=recurrence, window_days=30)
        return create_schedule(actor=self.alice, template=template, values=values)

    def run_of(self, status: str = ExecutionStatus.SUCCEEDED, **fields: Any) -> Execution:
        is_open = status in ("QUEUED", "SUBMITTING", "PENDING", "RUNNING", "FETCHING")
        return Execution.objects.create(**{
            "created_by": self.alice, "instance": self.instance, "template_name": "Reach", "template_version": 1,
            "name": "September", "source_sql": "SELECT 1 AS x", "sql_query": "SELECT 1 AS x",
            "window_start": date(2026, 9, 1), "window_end": date(2026, 9, 30), "status": status,
            "finished_at": None if is_open else timezone.now(), **fields,
        })  # fmt: skip

    def result(self) -> Execution:
        """Store a run with files of 3,000 bytes as AMC sent them."""
        execution = self.run_of(byte_count=3000)
        Execution.objects.filter(pk=execution.pk).update(
            csv_file=f"ab/{execution.pk}.csv", parquet_file=f"ab/{execution.pk}.parquet"
        )
        (self.results / "ab").mkdir(exist_ok=True)
        for extension in ("csv", "parquet"):
            (self.results / f"ab/{execution.pk}.{extension}").write_text("x")
        return execution

    def fill(self) -> None:
        """Make rows of every kind."""
        brand = InstanceBrand.objects.create(instance=self.instance, name="Acme", folded="acme")
        BrandASIN.objects.bulk_create(BrandASIN(brand=brand, asin=f"B0ACME000{n}") for n in range(3))
        BrandCampaign.objects.create(brand=brand, kind="campaign_name", value="Spring", folded="spring")
        template, other = self.template(), self.template("Path")
        self.template("Alone")
        kept, deleted = self.schedule(template), self.schedule(other, "Old")
        for planned in (kept, deleted):
            ScheduleSlot.objects.create(
                schedule=planned, scheduled_for=timezone.now(), next_step_at=timezone.now()
            )
        delete_schedule(schedule=deleted, actor=self.alice)
        self.run_of(ExecutionStatus.FAILED)
        self.result()
        batch = HealthCheckBatch.objects.create(user=self.alice, trigger="list", total=2)
        HealthCheck.objects.bulk_create(
            HealthCheck(instance=self.instance, batch=batch, verdict="HEALTHY") for _ in range(2)
        )
        HealthRollup.objects.create(instance=self.instance, healthy=1, hour=timezone.now())


class RegistryTests(DependentsTestCase):
    def missing(self) -> set[type[Model]]:
        return {model for root in ROOTS for model in cascade_paths(root)} - registered_models()

    def test_every_model_whose_rows_go_with_others_is_registered(self) -> None:
        self.assertEqual(self.missing(), set())

    def test_a_model_that_no_app_registers_is_noticed(self) -> None:
        with mock.patch.dict(dependents._kinds):
            del dependents._kinds[ScheduleSlot]
            self.assertEqual(self.missing(), {ScheduleSlot})

    def test_cascades_are_followed_over_every_way(self) -> None:
        self.assertEqual(
            sorted(cascade_paths(AMCInstance)[ScheduleSlot]),
            ["schedule__instance", "schedule__template__instance"],
        )
        # An account is not deleted under an instance, so nothing of an instance goes with it.
        self.assertEqual(cascade_paths(AMCAccount), {})
        self.assertEqual(set(cascade_paths(AmazonConnection)), {AMCAccount})

    def test_numbers_are_those_the_database_would_delete(self) -> None:
        self.fill()
        LogEntry.objects.create(user=self.alice, action_flag=1, object_repr="x", change_message="")
        for rows in (AMCInstance.objects.all(), User.objects.filter(pk=self.alice.pk)):
            with self.subTest(rows.model.__name__):
                collector = Collector(using=connection.alias, origin=rows)
                collector.collect(rows)
                going = Counter({model: len(found) for model, found in collector.data.items()})
                for fast in collector.fast_deletes:
                    going[fast.model] += fast.count()
                told = impact_of(rows).counts
                self.assertEqual({**told, rows.model: 1}, {model: n for model, n in going.items() if n})
                self.assertGreater(len(told), 8)


class InstancePageTests(DependentsTestCase):
    def test_every_kind_is_told_with_its_number(self) -> None:
        self.fill()
        page = self.client.get(self.url)
        for said in (
            "1 brand: Acme", "3 mapped ASINs", "1 mapped campaign", "3 templates: Alone, Path, Reach",
            "3 saved versions of templates", "1 schedule: Weekly", "1 schedule deleted before", "2 planned runs",
            "2 runs", "1 stored result (2.9\xa0KB)", "2 health checks", "1 hour of summarised history",
        ):  # fmt: skip
            with self.subTest(said):
                self.assertContains(page, said)
        self.assertNotContains(page, "Nothing but")

    def test_nothing_but_its_settings_is_said_only_when_nothing_else_goes(self) -> None:
        said = "Nothing but its name and settings."
        self.assertContains(self.client.get(self.url), said)
        makers: tuple[Any, ...] = (
            self.template,
            self.run_of,
            lambda: InstanceBrand.objects.create(instance=self.instance, name="Acme", folded="acme"),
            lambda: HealthCheck.objects.create(instance=self.instance, verdict="HEALTHY"),
            lambda: HealthRollup.objects.create(instance=self.instance, healthy=1, hour=timezone.now()),
        )
        for make in makers:
            row = make()
            with self.subTest(type(row).__name__):
                self.assertNotContains(self.client.get(self.url), said)
            row.delete()

    def test_long_lists_of_names_are_cut_with_a_number(self) -> None:
        InstanceBrand.objects.bulk_create(
            InstanceBrand(instance=self.instance, name=f"B{n}", folded=f"b{n}") for n in range(8)
        )
        self.assertContains(self.client.get(self.url), "8 brands: B0, B1, B2, B3, B4 and 3 more")

    def test_name_must_be_typed_where_runs_or_schedules_exist(self) -> None:
        template = self.template()
        self.assertNotContains(self.client.get(self.url), "typed_name")
        for make in (self.run_of, lambda: self.schedule(template)):
            row = make()
            with self.subTest(type(row).__name__):
                self.assertContains(self.client.get(self.url), "Type “Northwind US” to delete it")
                for typed in ("", "northwind us", "Northwind"):
                    page = self.client.post(self.url, {"typed_name": typed})
                    self.assertContains(page, "This is not its name" if typed else "Type the name")
                self.assertContains(page, 'value="Northwind"')
            row.delete()
        self.assertTrue(AMCInstance.objects.exists())

    def test_right_name_deletes_all_and_the_files_of_results(self) -> None:
        self.fill()
        keep = InstanceFactory.create(account=self.instance.account, name="Other")
        self.assertEqual(len(list(self.results.rglob("*.*"))), 2)
        with self.captureOnCommitCallbacks(execute=True):
            response = self.client.post(self.url, {"typed_name": " Northwind  US "})
        self.assertRedirects(response, reverse("instances:instance-list"))
        self.assertEqual(list(self.results.rglob("*.*")), [])
        self.assertEqual(list(AMCInstance.objects.all()), [keep])
        for model in cascade_paths(AMCInstance):
            self.assertEqual(model._default_manager.count(), 0, model)

    def test_files_stay_when_the_deletion_does_not_come_about(self) -> None:
        self.result()
        self.run_of(ExecutionStatus.RUNNING)
        with self.captureOnCommitCallbacks(execute=True), self.assertRaises(InvalidStateError):
            delete_with_dependents(AMCInstance.objects.all(), actor=self.alice)
        self.assertEqual(len(list(self.results.rglob("*.*"))), 2)

    def test_markup_in_a_name_is_text(self) -> None:
        AMCInstance.objects.update(name="<b>x</b>")
        self.run_of()
        page = self.client.get(self.url)
        self.assertContains(page, "Type “&lt;b&gt;x&lt;/b&gt;” to delete it")

    def test_delete_is_offered_in_the_settings_only(self) -> None:
        for name in ("instance-detail", "instance-update"):
            page = self.client.get(reverse(f"instances:{name}", args=[self.instance.pk]))
            (self.assertContains if name == "instance-update" else self.assertNotContains)(page, f'"{self.url}"')
        for address in (reverse("instances:instance-list"), reverse("home")):
            self.assertNotContains(self.client.get(address), self.url)


class OpenRunTests(DependentsTestCase):
    def test_run_open_at_amc_stands_against_it(self) -> None:
        for status in (ExecutionStatus.SUBMITTING, ExecutionStatus.PENDING, ExecutionStatus.RUNNING):
            run = self.run_of(status)
            with self.subTest(status):
                page = self.client.get(self.url)
                self.assertContains(page, "1 run is open at AMC and would go on there unseen.")
                self.assertNotContains(page, "Delete for good")
                page = self.client.post(self.url, {"typed_name": "Northwind US"})
                self.assertContains(page, "It cannot be deleted yet.")
            run.delete()
        self.assertTrue(AMCInstance.objects.exists())

    def test_its_open_runs_can_be_cancelled_from_there(self) -> None:
        queued, running = self.run_of(ExecutionStatus.QUEUED), self.run_of(ExecutionStatus.RUNNING)
        address = reverse("executions:execution-cancel-open", args=[self.instance.pk])
        page = self.client.get(self.url)
        self.assertContains(page, f'action="{address}"')
        self.run_of(ExecutionStatus.SUCCEEDED)
        link = re.search(r'href="([^"]+)"\s*>See its open runs', page.content.decode())
        assert link is not None
        shown = {run.pk for run in self.client.get(html.unescape(link[1])).context["page"]}
        self.assertEqual(shown, {queued.pk, running.pk})
        response = self.client.post(address, {"next": self.url}, follow=True)
        self.assertRedirects(response, self.url)
        self.assertContains(response, "2 runs will end.")
        self.assertContains(response, "1 run is being cancelled at AMC. Try again in a minute.")
        queued.refresh_from_db()
        running.refresh_from_db()
        self.assertEqual(queued.status, ExecutionStatus.CANCELLED)
        self.assertIsNotNone(running.cancel_requested_at)
        Execution.objects.update(status=ExecutionStatus.CANCELLED, finished_at=timezone.now())
        self.client.post(self.url, {"typed_name": "Northwind US"})
        self.assertFalse(AMCInstance.objects.exists())
        self.assertRedirects(
            self.client.post(reverse("executions:execution-cancel-open", args=[self.other().pk])),
            reverse("executions:execution-of-instance", args=[self.other().pk]),
        )

    def other(self) -> AMCInstance:
        return AMCInstance.objects.first() or InstanceFactory.create(account=self.login.accounts.get())

    def test_run_that_only_waits_here_goes_without_reaching_amc(self) -> None:
        self.run_of(ExecutionStatus.QUEUED)
        self.assertContains(self.client.get(self.url), "1 of these runs waits and will not start.")
        self.client.post(self.url, {"typed_name": "Northwind US"})
        self.assertFalse(Execution.objects.exists())

    def test_login_that_nobody_can_cancel_with_does_not_keep_it_for_ever(self) -> None:
        self.run_of(ExecutionStatus.RUNNING)
        self.login.disconnect()
        self.assertContains(self.client.get(self.url), "1 of these runs is open at AMC and goes on there")
        self.client.post(self.url, {"typed_name": "Northwind US"})
        self.assertFalse(AMCInstance.objects.exists())


class OtherPagesTests(DependentsTestCase):
    def test_template_tells_its_schedules_and_asks_for_its_name(self) -> None:
        template = self.template()
        url = reverse("templates:template-delete", args=[self.instance.pk, template.template_id])
        self.assertNotContains(self.client.get(url), "typed_name")
        planned = self.schedule(template)
        ScheduleSlot.objects.create(schedule=planned, scheduled_for=timezone.now(), next_step_at=timezone.now())
        self.run_of(template=template)
        page = self.client.get(url)
        for said in ("1 schedule: Weekly", "1 planned run of the history", "1 saved version", "1 run of it stays"):
            self.assertContains(page, said)
        self.client.post(url)
        self.assertTrue(Schedule.objects.exists())
        self.client.post(url, {"typed_name": "Reach"})
        self.assertFalse(Schedule.objects.exists())
        self.assertEqual(Execution.objects.count(), 1)

    def test_connection_tells_its_accounts(self) -> None:
        url = reverse("instances:connection-delete", args=[self.login.pk])
        self.assertContains(self.client.get(url), "1 instance needs its accounts")
        self.client.post(url)
        self.assertTrue(AmazonConnection.objects.exists())
        delete_with_dependents(AMCInstance.objects.all(), actor=self.alice)
        self.assertContains(self.client.get(url), "1 account: ENTITYLOCALUS1")
        self.client.post(url)
        self.assertFalse(AmazonConnection.objects.exists())

    def test_account_with_instances_is_kept_and_says_by_which(self) -> None:
        account = self.instance.account
        url = reverse("instances:account-delete", args=[account.pk])
        for page in (self.client.get(url), self.client.post(url)):
            self.assertContains(page, "Still needed by 1 instance: Northwind US.")
        self.assertTrue(AMCAccount.objects.exists())
        delete_with_dependents(AMCInstance.objects.all(), actor=self.alice)
        self.client.post(url)
        self.assertFalse(AMCAccount.objects.exists())

    def test_disconnecting_says_what_stops(self) -> None:
        template = self.template()
        self.schedule(template, "Weekly")
        for status in ("QUEUED", "SUBMITTING", "PENDING", "RUNNING", "FETCHING", "SUCCEEDED"):
            self.run_of(status)
        InstanceFactory.create(account=self.instance.account, is_active=False, status="INACTIVE")
        page = self.client.get(reverse("instances:connection-disconnect", args=[self.login.pk]))
        for said in (
            "1 account can no longer be read for instances.",
            "1 instance is no longer checked.",
            "2 runs at AMC go on there and are followed once you reconnect.",
            "1 result cannot be fetched before you reconnect.",
            "2 runs that have not reached AMC will fail.",
            "1 active schedule: Weekly skips its runs until you reconnect.",
        ):
            with self.subTest(said):
                self.assertContains(page, said)

    def test_disconnecting_an_unused_login_stops_nothing_else(self) -> None:
        unused = ConnectionFactory.create(user=self.alice)
        page = self.client.get(reverse("instances:connection-disconnect", args=[unused.pk]))
        self.assertContains(page, "forgets this login")
        self.assertNotContains(page, "no longer checked")


class AdminTests(DependentsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.client.force_login(self.sam)

    def test_user_is_told_with_all_that_goes_and_goes_with_the_files(self) -> None:
        self.fill()
        url = reverse("admin:amchelper_user_delete", args=[self.alice.pk])
        page = self.client.get(url)
        for said in (
            "1 connection: Main login",
            "1 instance: Northwind US",
            "3 templates",
            "2 runs",
            "1 schedule",
        ):
            self.assertContains(page, said)
        with self.captureOnCommitCallbacks(execute=True):
            self.client.post(url, {"post": "yes"})
        self.assertFalse(User.objects.filter(pk=self.alice.pk).exists())
        self.assertEqual(list(self.results.rglob("*.*")), [])

    def test_run_open_at_amc_refuses_on_every_page_and_action(self) -> None:
        self.run_of(ExecutionStatus.RUNNING)
        for row in (self.instance, self.alice):
            name = f"admin:{row._meta.app_label}_{row._meta.model_name}"
            action = {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"}
            pages = (
                self.client.get(reverse(f"{name}_delete", args=[row.pk])),
                self.client.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}),
                self.client.post(reverse(f"{name}_changelist"), action),
            )
            for page in pages:
                with self.subTest(name):
                    self.assertContains(page, "1 run is open at AMC")
            self.assertTrue(type(row)._default_manager.filter(pk=row.pk).exists())

    def test_delete_action_takes_the_files_too(self) -> None:
        self.result()
        action = {"action": "delete_selected", "_selected_action": [str(self.instance.pk)], "post": "yes"}
        with self.captureOnCommitCallbacks(execute=True):
            self.client.post(reverse("admin:instances_amcinstance_changelist"), action)
        self.assertFalse(AMCInstance.objects.exists())
        self.assertEqual(list(self.results.rglob("*.*")), [])
