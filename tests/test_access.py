"""Every address, and who may open it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, time
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import AnonymousUser
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from amchelper.models import User
from executions.models import Execution
from instances.models import AmazonConnection, AMCAccount, AMCInstance, HealthCheck, HealthCheckBatch
from planning.recurrence import Recurrence
from planning.windows import Window
from schedules.services.schedules import ScheduleValues, create_schedule
from templates_app.services.templates import Content, create_template
from tests.base import CastTestCase
from tests.factories import AccountFactory, ConnectionFactory, InstanceFactory

# Owner's expected status, an outsider's, and the method. "connection", "instance" and "run" name the object.
PAGES = {
    "home": ("GET", None, 200, 200),
    "instances:connection-list": ("GET", None, 200, 200),
    "instances:connection-start": ("POST", None, 200, 200),
    "instances:connection-callback": ("GET", None, 302, 302),
    "instances:connection-paste": ("GET", None, 200, 200),
    "instances:connection-detail": ("GET", "connection", 200, 404),
    "instances:connection-update": ("GET", "connection", 200, 404),
    "instances:connection-reconnect": ("POST", "connection", 302, 404),
    "instances:connection-disconnect": ("GET", "connection", 200, 404),
    "instances:connection-delete": ("GET", "connection", 200, 404),
    "instances:account-create": ("GET", "connection", 200, 404),
    "instances:account-delete": ("GET", "account", 200, 404),
    "instances:connection-discover": ("GET", "connection", 200, 404),
    "instances:connection-import": ("POST", "connection", 302, 404),
    "instances:instance-list": ("GET", None, 200, 200),
    "instances:instance-create": ("GET", None, 200, 200),
    "instances:brand-list": ("GET", None, 200, 200),
    "instances:check-create": ("POST", None, 302, 302),
    "instances:check-detail": ("GET", "run", 200, 404),
    # A foreign instance says so on its own pages; below it nothing exists.
    "instances:instance-detail": ("GET", "instance", 200, 403),
    "instances:instance-update": ("GET", "instance", 200, 403),
    "instances:instance-delete": ("GET", "instance", 200, 403),
    # It is enabled already: the page says so in a message.
    "instances:instance-enable": ("POST", "instance", 302, 403),
    "instances:instance-disable": ("POST", "instance", 302, 403),
    "instances:instance-check": ("POST", "instance", 302, 403),
    # Mappings are below an instance; without rows in the form, replacing and removing only say so.
    "instances:mapping-list": ("GET", "instance", 200, 404),
    "instances:mapping-create": ("GET", "instance", 200, 404),
    "instances:mapping-replace": ("POST", "instance", 302, 404),
    "instances:mapping-remove": ("POST", "instance", 302, 404),
    "instances:mapping-export": ("GET", "instance", 200, 404),
    "instances:health-list": ("GET", None, 200, 200),
    "templates:schema": ("GET", None, 200, 200),
    "templates:template-list": ("GET", "instance", 200, 404),
    "templates:template-create": ("GET", "instance", 200, 404),
    "templates:template-parameters": ("POST", "instance", 200, 404),
    "templates:template-preview": ("POST", "instance", 200, 404),
    "templates:template-lint": ("POST", "instance", 200, 404),
    "executions:execution-list": ("GET", None, 200, 200),
    "executions:execution-of-instance": ("GET", "instance", 200, 404),
    "executions:execution-detail": ("GET", "execution", 200, 404),
    # Without htmx the rows are part of the run's page.
    "executions:execution-rows": ("GET", "execution", 302, 404),
    # It has no result yet.
    "executions:execution-statistics": ("GET", "execution", 404, 404),
    "executions:execution-download": ("GET", "download", 404, 404),
    "executions:execution-cancel": ("POST", "execution", 302, 404),
    "executions:execution-again": ("POST", "execution", 302, 404),
    "executions:execution-fetch": ("POST", "execution", 302, 404),
    "schedules:run-preview": ("POST", "instance", 200, 404),
    "schedules:run-start": ("GET", "template", 302, 404),
    "schedules:run": ("GET", "wizard", 200, 404),
    "templates:template-detail": ("GET", "template", 200, 404),
    "templates:template-update": ("GET", "template", 200, 404),
    "templates:template-copy": ("GET", "template", 200, 404),
    "templates:template-archive": ("POST", "template", 302, 404),
    "templates:template-delete": ("GET", "template", 200, 404),
    "templates:template-versions": ("GET", "template", 200, 404),
    "schedules:schedule-list": ("GET", None, 200, 200),
    "schedules:schedule-calendar": ("GET", None, 200, 200),
    "schedules:schedule-of-instance": ("GET", "instance", 200, 404),
    "schedules:schedule-detail": ("GET", "schedule", 200, 404),
    "schedules:schedule-update": ("GET", "schedule", 200, 404),
    "schedules:schedule-pause": ("POST", "schedule", 302, 404),
    "schedules:schedule-resume": ("POST", "schedule", 302, 404),
    "schedules:schedule-run": ("POST", "schedule", 302, 404),
    "schedules:schedule-delete": ("GET", "schedule", 200, 404),
    # It is the newest already: restoring says so in a message.
    "templates:template-restore": ("POST", "template version", 302, 404),
}
# allauth and the admin bring their own access rules; their addresses are listed by prefix.
FOREIGN_PREFIXES = ("accounts/", "admin/")


def own_url_names(
    patterns: list[URLPattern | URLResolver], namespace: str = "", prefix: str = ""
) -> Iterator[str]:
    """Return the names of all addresses the product itself declares."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if route.startswith(FOREIGN_PREFIXES):
            continue
        if isinstance(pattern, URLResolver):
            inner = f"{pattern.namespace}:" if pattern.namespace else namespace
            yield from own_url_names(pattern.url_patterns, inner, route)
        else:
            yield f"{namespace}{pattern.name}"


class AccessTableTests(CastTestCase):
    def setUp(self) -> None:
        super().setUp()
        login = ConnectionFactory.create(user=self.alice, refresh_token="", status="DISCONNECTED")
        instance = InstanceFactory.create(account=AccountFactory.create(connection=login))
        run = HealthCheckBatch.objects.create(user=self.alice, trigger="list", total=0)
        content = Content(name="Reach", source_sql="SELECT 1 AS x")
        template = create_template(actor=self.alice, instance=instance, content=content)
        recurrence = Recurrence(kind="daily", time=time(9), zone="UTC")
        schedule = create_schedule(
            actor=self.alice,
            template=template,
            values=ScheduleValues(name="Daily", recurrence=recurrence, window_days=30),
        )
        window = Window(date(2026, 9, 1), date(2026, 9, 30), "UTC")
        execution = Execution.objects.create(
            user=self.alice, instance=instance, template=template, template_name="Reach", template_version=1,
            name="September", source_sql="SELECT 1 AS x", sql_query="SELECT 1 AS x",
            window_start=window.start, window_end=window.end, window_zone=window.zone,
        )  # fmt: skip
        self.objects: dict[str, list[Any]] = {
            "connection": [login.pk],
            "account": [instance.account_id],
            "instance": [instance.pk],
            "run": [run.pk],
            "template": [instance.pk, template.template_id],
            "execution": [execution.pk],
            "download": [execution.pk, "csv"],
            "wizard": [instance.pk, template.template_id, uuid4(), "template"],
            "schedule": [schedule.schedule_id],
            "template version": [instance.pk, template.template_id, 1],
        }

    def ask(self, name: str) -> int:
        method, kind, *_ = PAGES[name]
        url = reverse(name, args=self.objects[kind] if kind else [])
        return int(getattr(self.client, method.lower())(url).status_code)

    def test_table_names_every_address(self) -> None:
        self.assertEqual(sorted(set(own_url_names(get_resolver().url_patterns))), sorted(PAGES))

    def test_owner(self) -> None:
        for name, row in PAGES.items():
            with self.subTest(name):
                self.assertEqual(self.ask(name), row[2])

    def test_outsider(self) -> None:
        self.client.force_login(self.charlie)
        for name, row in PAGES.items():
            with self.subTest(name):
                self.assertEqual(self.ask(name), row[3])

    def test_staff_are_outsiders_outside_the_admin(self) -> None:
        self.client.force_login(self.sam)
        for name, row in PAGES.items():
            if row[1]:
                with self.subTest(name):
                    self.assertEqual(self.ask(name), row[3])

    def test_signed_out(self) -> None:
        self.client.logout()
        for name in PAGES:
            with self.subTest(name):
                self.assertEqual(self.ask(name), 302)

    def test_unknown_object_is_404(self) -> None:
        self.objects = {kind: [uuid4(), *rest] for kind, (_, *rest) in self.objects.items()}
        for name, row in PAGES.items():
            if row[1]:
                with self.subTest(name):
                    self.assertEqual(self.ask(name), 404)

    def test_get_never_writes(self) -> None:
        for name, (method, kind, *_) in PAGES.items():
            if method == "POST":
                url = reverse(name, args=self.objects[kind] if kind else [])
                with self.subTest(name):
                    self.assertEqual(self.client.get(url).status_code, 405)

    def test_foreign_instance_says_access_denied(self) -> None:
        self.client.force_login(self.charlie)
        response = self.client.get(reverse("instances:instance-detail", args=self.objects["instance"]))
        self.assertContains(response, "Access denied", status_code=403)


class QuerySetAccessTests(CastTestCase):
    def test_only_the_owner_sees_and_edits(self) -> None:
        instance = InstanceFactory.create(account__connection__user=self.alice)
        for model in (AmazonConnection, AMCAccount, AMCInstance, HealthCheckBatch, HealthCheck):
            if model is HealthCheckBatch:
                HealthCheckBatch.objects.create(user=self.alice, trigger="list", total=0)
            if model is HealthCheck:
                HealthCheck.objects.create(instance=instance, verdict="HEALTHY")
            for door in ("visible_to", "editable_by"):
                with self.subTest(model=model.__name__, door=door):
                    self.assertEqual(self.count(model, door, self.alice), 1)
                    self.assertEqual(self.count(model, door, self.charlie), 0)
                    self.assertEqual(self.count(model, door, self.sam), 0)
                    self.assertEqual(self.count(model, door, AnonymousUser()), 0)

    @staticmethod
    def count(model: type, door: str, user: User | AnonymousUser) -> int:
        return int(getattr(model.objects, door)(user).count())  # type: ignore[attr-defined]  # any model


class SignedOutHtmxTests(CastTestCase):
    def test_signed_out_htmx_request_leaves_the_page(self) -> None:
        self.client.logout()
        response = self.client.get(
            reverse("instances:instance-list"),
            headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/instances/?health=ERROR"},
        )
        self.assertEqual(response.status_code, 200)
        self.assertEqual(response["HX-Redirect"], "/accounts/login/?next=%2Finstances%2F%3Fhealth%3DERROR")
        self.assertEqual(response.content, b"")


class AdminAccessTests(CastTestCase):
    def test_admin_is_for_staff(self) -> None:
        InstanceFactory.create(account__connection__user=self.alice)
        for model in (
            "amazonconnection",
            "amcaccount",
            "amcinstance",
            "healthcheck",
            "healthcheckbatch",
            "healthrollup",
            "brandasin",
            "brandcampaign",
        ):
            url = reverse(f"admin:instances_{model}_changelist")
            with self.subTest(model):
                self.client.force_login(self.alice)
                self.assertEqual(self.client.get(url).status_code, 302)
                self.client.force_login(self.sam)
                self.assertEqual(self.client.get(url).status_code, 200)
