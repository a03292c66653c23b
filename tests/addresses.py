"""Every address of the product, and one thing of each kind that addresses are about."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, time, timedelta
from typing import Any
from uuid import uuid4

from django.urls import URLPattern, URLResolver, reverse
from django.utils import timezone

from executions.models import Execution, ResultExport
from instances.models import BrandASIN, HealthCheckBatch, InstanceBrand
from planning.recurrence import Recurrence
from planning.windows import Window
from schedules.services.schedules import ScheduleValues, create_schedule
from templates_app.services.templates import Content, create_template
from tests.base import CastTestCase
from tests.factories import AccountFactory, ConnectionFactory, InstanceFactory

# Method, the object an address is about, and the status its owner gets, then Bob who only sees it, then an outsider.
# What changes, starts or asks something refuses Bob, its forms and questions included.
PAGES: dict[str, tuple[str, str | None, int, int, int]] = {
    "home": ("GET", None, 200, 200, 200),
    "instances:connection-list": ("GET", None, 200, 200, 200),
    "instances:connection-start": ("POST", None, 200, 200, 200),
    "instances:connection-callback": ("GET", None, 302, 302, 302),
    "instances:connection-paste": ("GET", None, 200, 200, 200),
    "instances:connection-detail": ("GET", "connection", 200, 200, 404),
    "instances:connection-update": ("GET", "connection", 200, 403, 404),
    "instances:connection-reconnect": ("POST", "connection", 302, 403, 404),
    "instances:connection-disconnect": ("GET", "connection", 200, 403, 404),
    "instances:connection-delete": ("GET", "connection", 200, 403, 404),
    "instances:account-create": ("GET", "connection", 200, 403, 404),
    "instances:account-delete": ("GET", "account", 200, 403, 404),
    "instances:connection-discover": ("GET", "connection", 200, 403, 404),
    "instances:connection-import": ("POST", "connection", 302, 403, 404),
    "instances:instance-list": ("GET", None, 200, 200, 200),
    "instances:instance-create": ("GET", None, 200, 200, 200),
    "instances:instance-suggestions": ("GET", None, 200, 200, 200),
    "instances:brand-suggestions": ("GET", None, 200, 200, 200),
    "instances:brand-list": ("GET", None, 200, 200, 200),
    "instances:check-create": ("POST", None, 302, 302, 302),
    "instances:check-detail": ("GET", "batch", 200, 200, 404),
    # A foreign instance says so on its own pages; below it nothing exists.
    "instances:instance-detail": ("GET", "instance", 200, 200, 403),
    "instances:instance-update": ("GET", "instance", 200, 403, 403),
    "instances:instance-delete": ("GET", "instance", 200, 403, 403),
    # It is enabled already: the page says so in a message.
    "instances:instance-enable": ("POST", "instance", 302, 403, 403),
    "instances:instance-disable": ("POST", "instance", 302, 403, 403),
    "instances:instance-check": ("POST", "instance", 302, 403, 403),
    # Mappings are below an instance; without rows in the form, replacing and removing only say so.
    "instances:mapping-list": ("GET", "instance", 200, 200, 404),
    "instances:mapping-create": ("GET", "instance", 200, 403, 404),
    "instances:mapping-replace": ("POST", "instance", 302, 403, 404),
    "instances:mapping-remove": ("POST", "instance", 302, 403, 404),
    "instances:mapping-export": ("GET", "instance", 200, 200, 404),
    "instances:health-list": ("GET", None, 200, 200, 200),
    "templates:schema": ("GET", None, 200, 200, 200),
    "templates:template-suggestions": ("GET", None, 200, 200, 200),
    "templates:template-list": ("GET", "instance", 200, 200, 404),
    "templates:template-create": ("GET", "instance", 200, 403, 404),
    "templates:template-parameters": ("POST", "instance", 200, 403, 404),
    "templates:template-preview": ("POST", "instance", 200, 403, 404),
    "templates:template-lint": ("POST", "instance", 200, 403, 404),
    "executions:execution-list": ("GET", None, 200, 200, 200),
    "executions:execution-of-instance": ("GET", "instance", 200, 200, 404),
    "executions:execution-cancel-open": ("POST", "instance", 302, 403, 404),
    "executions:execution-detail": ("GET", "execution", 200, 200, 404),
    # Without htmx the rows are part of the run's page.
    "executions:execution-rows": ("GET", "execution", 302, 302, 404),
    "executions:column-choices": ("GET", "execution", 302, 302, 404),
    "executions:column-names": ("GET", "execution", 404, 404, 404),
    # It has no result yet.
    "executions:execution-statistics": ("GET", "execution", 404, 404, 404),
    "executions:execution-download": ("GET", "download", 404, 404, 404),
    "executions:export-list": ("GET", "execution", 302, 302, 404),
    "executions:export-create": ("POST", "download", 404, 404, 404),
    # It is being prepared: the run's page says so in a message.
    "executions:export-download": ("GET", "export", 302, 302, 404),
    "executions:export-delete": ("POST", "export", 302, 403, 404),
    "executions:execution-cancel": ("POST", "execution", 302, 403, 404),
    "executions:execution-again": ("POST", "execution", 302, 403, 404),
    "executions:execution-fetch": ("POST", "execution", 302, 403, 404),
    "schedules:run-preview": ("POST", "instance", 200, 403, 404),
    "schedules:run-start": ("GET", "template", 302, 403, 404),
    "schedules:run": ("GET", "wizard", 200, 403, 404),
    "templates:template-detail": ("GET", "template", 200, 200, 404),
    "templates:template-update": ("GET", "template", 200, 403, 404),
    "templates:template-copy": ("GET", "template", 200, 403, 404),
    "templates:template-archive": ("POST", "template", 302, 403, 404),
    "templates:template-delete": ("GET", "template", 200, 403, 404),
    "templates:template-versions": ("GET", "template", 200, 200, 404),
    "schedules:schedule-list": ("GET", None, 200, 200, 200),
    "schedules:schedule-calendar": ("GET", None, 200, 200, 200),
    "schedules:schedule-of-instance": ("GET", "instance", 200, 200, 404),
    "schedules:schedule-detail": ("GET", "schedule", 200, 200, 404),
    "schedules:schedule-update": ("GET", "schedule", 200, 403, 404),
    "schedules:schedule-pause": ("POST", "schedule", 302, 403, 404),
    "schedules:schedule-resume": ("POST", "schedule", 302, 403, 404),
    "schedules:schedule-run": ("POST", "schedule", 302, 403, 404),
    "schedules:schedule-delete": ("GET", "schedule", 200, 403, 404),
    # It is the newest already: restoring says so in a message.
    "templates:template-restore": ("POST", "template version", 302, 403, 404),
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


class AddressTestCase(CastTestCase):
    """Alice has one of everything; `objects` holds what addresses name, by the kind in PAGES."""

    objects: dict[str, list[Any]]

    def setUp(self) -> None:
        super().setUp()
        login = ConnectionFactory.create(user=self.alice, label="Alice's login")
        instance = InstanceFactory.create(
            account=AccountFactory.create(connection=login, account_name="Alice's account"),
            name="Alice's instance",
        )
        brand = InstanceBrand.objects.create(instance=instance, name="Alice's brand", folded="alice's brand")
        BrandASIN.objects.create(brand=brand, asin="B0ALICE001")
        batch = HealthCheckBatch.objects.create(user=self.alice, trigger="list", total=0)
        content = Content(name="Alice's reach", source_sql="SELECT 1 AS x")
        template = create_template(actor=self.alice, instance=instance, content=content)
        recurrence = Recurrence(kind="daily", time=time(9), zone="UTC")
        schedule = create_schedule(
            actor=self.alice,
            template=template,
            values=ScheduleValues(name="Alice's daily", recurrence=recurrence, window_days=30),
        )
        login.disconnect()
        window = Window(date(2026, 9, 1), date(2026, 9, 30), "UTC")
        execution = Execution.objects.create(
            created_by=self.alice, instance=instance, template=template, template_name="Reach", template_version=1,
            name="Alice's September", source_sql="SELECT 1 AS x", sql_query="SELECT 1 AS x",
            window_start=window.start, window_end=window.end, window_zone=window.zone,
        )  # fmt: skip
        export = ResultExport.objects.create(
            execution=execution,
            created_by=self.alice,
            format="XLSX",
            expires_at=timezone.now() + timedelta(days=1),
        )
        self.objects = {
            "connection": [login.pk],
            "account": [instance.account_id],
            "instance": [instance.pk],
            "batch": [batch.pk],
            "template": [instance.pk, template.template_id],
            "execution": [execution.pk],
            "download": [execution.pk, "csv"],
            "export": [export.pk],
            "wizard": [instance.pk, template.template_id, uuid4(), "template"],
            "schedule": [schedule.schedule_id],
            "template version": [instance.pk, template.template_id, 1],
        }

    def address(self, name: str) -> str:
        kind = PAGES[name][1]
        return reverse(name, args=self.objects[kind] if kind else [])
