"""No secret in logs, pages, error reports or, in clear, in the database."""

from __future__ import annotations

import logging
from io import StringIO

from django.core.management import call_command
from django.db import connection as db
from django.urls import reverse
from django.views.debug import ExceptionReporter

from instances.services.amazon import token_source
from tests.base import LocalAmcTestCase
from tests.factories import InstanceFactory

SECRETS = ("Atzr|", "Atza|", "local-secret", "local-healthy", "local-revoked")


def dump_database() -> str:
    """Return every text the database holds."""
    texts = []
    with db.cursor() as cursor:
        for table in db.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {db.ops.quote_name(table)}")  # noqa: S608  names from the database
            texts += [str(row) for row in cursor.fetchall()]
    return "\n".join(texts)


class SecretsTests(LocalAmcTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.instance = InstanceFactory.create(account=self.account, instance_id="amclocalus1", config={"amc": {}})
        self.log = StringIO()
        handler = logging.StreamHandler(self.log)
        logging.getLogger().addHandler(handler)
        self.addCleanup(logging.getLogger().removeHandler, handler)

    def assert_clean(self, text: str, where: str) -> None:
        for secret in SECRETS:
            self.assertNotIn(secret, text, where)

    def test_nothing_leaks_on_the_usual_ways(self) -> None:
        for fault in (None, "token_expired", "invalid_grant", "bad_json", "reset"):
            if fault:
                self.arm(fault)
            self.client.post(reverse("instances:instance-check", args=[self.instance.pk]))
        self.connection.refresh_from_db()
        pages = [
            "/", "/instances/", "/health/", "/connections/",
            self.instance.get_absolute_url(), self.connection.get_absolute_url(),
            reverse("instances:instance-update", args=[self.instance.pk]),
            reverse("instances:connection-update", args=[self.connection.pk]),
        ]  # fmt: skip
        for page in pages:
            self.assert_clean(self.client.get(page).content.decode(), page)
        self.client.force_login(self.sam)
        for model, pk in (("amazonconnection", self.connection.pk), ("amcinstance", self.instance.pk)):
            for view, args in (("changelist", []), ("change", [pk])):
                text = self.client.get(reverse(f"admin:instances_{model}_{view}", args=args)).content.decode()
                self.assert_clean(text, f"admin {model} {view}")
        out = StringIO()
        call_command("health_check", "--all", "--json", "--fail-on", "never", stdout=out)
        self.assert_clean(out.getvalue(), "command")
        self.assert_clean(self.log.getvalue(), "log")
        self.assertIn("amc call", self.log.getvalue())
        self.assert_clean(dump_database(), "database")

    def test_objects_do_not_show_their_secrets(self) -> None:
        source = token_source(self.connection)
        source.access_token()
        for thing in (source, source.current, source.login, self.connection):
            self.assert_clean(repr(thing), repr(type(thing)))

    def test_error_report_hides_settings(self) -> None:
        try:
            raise RuntimeError("boom")
        except RuntimeError as error:
            report = ExceptionReporter(None, type(error), error, error.__traceback__).get_traceback_text()
        self.assert_clean(report, "error report")
