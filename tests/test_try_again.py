"""A busy database and a user's limit: nothing typed is lost, and the log says it in one line."""

from __future__ import annotations

import html
import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import TestCase

import psycopg
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.urls import reverse

from amchelper.busy import is_busy
from amchelper.try_again import BUSY
from instances.models import InstanceBrand, MappingChange
from instances.services import mapping_changes
from instances.services.brands import replace_brands
from instances.services.mappings import mapped_values
from tests.base import CastTestCase
from tests.factories import InstanceFactory

TYPED = 'B00000000A\nB00000000B "<&>'
ASINS = "B00000000A\r\nB00000000B"


def locked_error() -> OperationalError:
    """Return what Django raises when another one holds SQLite's lock for longer than the timeout."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "locked.sqlite3"
        with (
            closing(sqlite3.connect(path, isolation_level=None)) as holder,
            closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other,
        ):
            holder.execute("BEGIN IMMEDIATE")
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as cause:
                return caused_by(cause)
    raise AssertionError("The database was not locked.")


def caused_by(cause: BaseException) -> OperationalError:
    """Return Django's error for an error of a database's own."""
    error = OperationalError(str(cause))
    error.__cause__ = cause
    return error


@contextmanager
def failing(
    words: str, error: Callable[[], Exception] = locked_error, *, times: int | None = None
) -> Iterator[None]:
    """Let each statement with these words end in an error, or the first few."""
    left = [times]
    depth = len(connection.savepoint_ids)

    def see(execute: Any, sql: str, *args: Any) -> Any:
        if connection.in_atomic_block and len(connection.savepoint_ids) == depth:
            # What runs without a transaction goes on after an error; the test's own one would keep it from that.
            transaction.set_rollback(False)
        if words in sql and left[0] != 0:
            left[0] = None if left[0] is None else left[0] - 1
            raise error()
        return execute(sql, *args)

    try:
        with connection.execute_wrapper(see):
            yield
    finally:
        # It never reached the database, whose transaction, the test's own, is as sound as before.
        if connection.in_atomic_block:
            transaction.set_rollback(False)


class BusyErrorTests(TestCase):
    def test_what_goes_away_by_itself_is_busy(self) -> None:
        self.assertTrue(is_busy(locked_error()))
        errors = psycopg.errors
        for cause in (errors.LockNotAvailable, errors.DeadlockDetected, errors.SerializationFailure,
                      errors.QueryCanceled):  # fmt: skip
            self.assertTrue(is_busy(caused_by(cause("busy"))), cause)

    def test_other_errors_are_not(self) -> None:
        for error in (
            OperationalError("disk I/O error"),
            caused_by(sqlite3.OperationalError("no such table: x")),
            caused_by(psycopg.errors.DiskFull("full")),
            ValueError("database is locked"),
        ):
            self.assertFalse(is_busy(error), error)


class BusyPageTests(CastTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.instance = InstanceFactory.create(account__connection__user=self.alice)
        replace_brands(self.instance, ["Norda"], actor=None)
        self.address = reverse("instances:mapping-create", args=[self.instance.pk])
        brand = InstanceBrand.objects.get()
        self.form = {"brand": str(brand.pk), "kinds": "asins", "text": ASINS, "action": "add"}

    def assert_busy(self, response: Any) -> str:
        """Find an answer that says when to come back; returns its text."""
        self.assertEqual((response.status_code, response["Retry-After"]), (503, "5"))
        return str(response.content.decode())

    def sent_again(self, page: str) -> dict[str, str]:
        """Return what the page's form sends."""
        fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page)
        return {html.unescape(name): html.unescape(value) for name, value in fields}

    def test_the_page_sends_again_what_was_typed(self) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(self.alice)
        token = strict.get(self.address).cookies["csrftoken"].value
        with failing('INSERT INTO "mapping_changes"'), self.assertLogs("amchelper.try_again", "WARNING") as logged:
            response = strict.post(f"{self.address}?x=1", {**self.form, "csrfmiddlewaretoken": token})
        page = self.assert_busy(response)
        self.assertIn(f'action="{self.address}?x=1"', page)
        fields = self.sent_again(page)
        self.assertEqual({name: fields[name] for name in self.form}, self.form)
        self.assertEqual(len(logged.records), 1)
        self.assertIsNone(logged.records[0].exc_info)
        self.assertEqual(strict.post(self.address, fields).status_code, 302)
        self.assertEqual(mapped_values(self.instance).asins, ASINS.split())

    def test_what_was_typed_is_escaped(self) -> None:
        with failing('INSERT INTO "instance_templates"'):
            address = reverse("templates:template-create", args=[self.instance.pk])
            form = {"name": TYPED, "source_sql": "SELECT '<\"&' AS x"}
            page = self.assert_busy(self.client.post(address, form))
        self.assertEqual({name: self.sent_again(page)[name] for name in form}, form)

    def test_htmx_gets_a_sentence_and_the_form_stays(self) -> None:
        with failing('INSERT INTO "mapping_changes"'):
            response = self.htmx_post(self.address, self.form)
        self.assertEqual(self.assert_busy(response), f"{BUSY} Try again in a moment.")
        self.assertTrue(response["Content-Type"].startswith("text/plain"))

    def test_others_that_change_the_same_are_waited_for_and_then_said(self) -> None:
        mapping_changes._begin(self.instance, None)
        wait, mapping_changes.WAIT_SECONDS = mapping_changes.WAIT_SECONDS, 0.0
        self.addCleanup(setattr, mapping_changes, "WAIT_SECONDS", wait)
        page = self.assert_busy(self.client.post(self.address, self.form))
        self.assertIn("Other mappings of this instance are being saved", page)
        self.assertEqual(self.sent_again(page)["text"], ASINS)
        self.assertEqual(MappingChange.objects.count(), 1)

    def test_a_file_can_only_be_sent_again_by_the_browser(self) -> None:
        form = {**self.form, "text": "", "file": SimpleUploadedFile("x.csv", ASINS.encode())}
        with failing('INSERT INTO "mapping_changes"'):
            page = self.assert_busy(self.client.post(self.address, form))
        self.assertIn("reload this page", page)
        self.assertEqual(self.sent_again(page), {})

    def test_no_page_holds_a_secret(self) -> None:
        secret = "correct horse battery"
        for name, form, words in (
            ("account_login", {"login": self.alice.email, "password": secret}, '"django_session"'),
            (
                "account_change_password",
                {"oldpassword": secret, "password1": secret, "password2": secret},
                'UPDATE "users"',
            ),
            ("instances:connection-paste", {"label": "x", "refresh_token": secret}, '"amazon_connections"'),
        ):
            if name == "account_login":
                self.client.logout()
            else:
                self.client.force_login(self.alice)
            with self.subTest(name), failing(words):
                page = self.assert_busy(self.client.post(reverse(name), form))
                self.assertNotIn(secret, page)
                self.assertIn("reload this page", page)

    def test_a_page_that_only_reads_is_asked_for_again(self) -> None:
        with failing('FROM "instance_brands"'):
            page = self.assert_busy(self.client.get(f"{self.address}?brand=1"))
        self.assertIn(f'href="{self.address}?brand=1"', page)

    def test_other_errors_are_errors(self) -> None:
        client = Client(raise_request_exception=False)
        client.force_login(self.alice)
        broken = failing('INSERT INTO "mapping_changes"', lambda: OperationalError("disk I/O error"))
        with broken, self.assertLogs("django.request", "ERROR"):
            self.assertEqual(client.post(self.address, self.form).status_code, 500)
