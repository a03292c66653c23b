"""What fails after the commit takes nothing back: the page answers that it is saved, and the log says the rest."""

from __future__ import annotations

import functools
import logging
import re
from pathlib import Path
from typing import Any
from unittest import TestCase

from django.conf import settings
from django.core.cache import caches
from django.db import OperationalError, transaction
from django.test import Client, TransactionTestCase
from django.urls import reverse

from amchelper.commits import after_commit
from amchelper.models import PendingMessage
from executions.models import Execution
from executions.services.start import start_execution
from templates_app.services.templates import Content, create_template
from tests.executions.base import SQL, window
from tests.factories import InstanceFactory, UserFactory
from tests.messages import caught
from tests.test_try_again import failing

ROOT = Path(settings.BASE_DIR)
MARK = '"pending_messages"'


def broken() -> OperationalError:
    """Return an error of a database that will not go away by itself."""
    return OperationalError("disk I/O error")


class PageTests(TransactionTestCase):
    """Real commits: the hooks run where they run in the product."""

    def setUp(self) -> None:
        caches["default"].clear()
        caches["generations"].clear()
        self.alice = UserFactory.create()
        instance = InstanceFactory.create(account__connection__user=self.alice)
        content = Content(name="Reach", source_sql=SQL)
        template = create_template(actor=self.alice, instance=instance, content=content)
        with caught():
            self.first = start_execution(actor=self.alice, template=template, window=window())
        PendingMessage.objects.all().delete()
        self.client = Client(raise_request_exception=False)
        self.client.force_login(self.alice)

    def run_again(self) -> Any:
        return self.client.post(reverse("executions:execution-again", args=[self.first.pk]), {"as_is": "1"})

    def assert_started(self, response: Any) -> None:
        again = Execution.objects.exclude(pk=self.first.pk).get()
        self.assertRedirects(response, again.get_absolute_url(), fetch_redirect_response=False)

    def test_run_is_there_although_its_message_could_not_be_sent(self) -> None:
        with caught() as messages, failing(MARK, broken), self.assertLogs("amchelper.commits", "ERROR") as logged:
            self.assert_started(self.run_again())
        self.assertEqual(messages, [])
        self.assertIn("not done after commit what=send admission", logged.output[0])
        self.assertIn("disk I/O error", logged.output[0])

    def test_busy_database_is_one_line_without_a_traceback(self) -> None:
        with caught() as messages, failing(MARK), self.assertLogs(level=logging.WARNING) as logged:
            self.assert_started(self.run_again())
        self.assertEqual(messages, [])
        self.assertEqual([record.name for record in logged.records], ["amchelper.queue"])
        self.assertIsNone(logged.records[0].exc_info)
        self.assertIn("database busy, message left to the next tick", logged.output[0])


class HookTests(TransactionTestCase):
    def test_what_was_saved_stays_and_the_next_ones_are_done(self) -> None:
        done: list[str] = []
        # What has no `__qualname__`, and fails.
        act = functools.partial(int, "no number")
        with self.assertLogs("amchelper.commits", "ERROR") as logged, transaction.atomic():
            UserFactory.create(email="saved@example.com")
            after_commit(act, what="count")
            after_commit(functools.partial(done.append, "next"), what="go on")
        self.assertEqual(done, ["next"])
        self.assertEqual(len(logged.records), 1)
        self.assertIn("what=count", logged.output[0])

    def test_rolled_back_nothing_is_done(self) -> None:
        done: list[str] = []
        with self.assertRaises(ZeroDivisionError), transaction.atomic():
            after_commit(functools.partial(done.append, "done"), what="do")
            raise ZeroDivisionError
        self.assertEqual(done, [])

    def test_busy_database_is_no_fault(self) -> None:
        with self.assertLogs("amchelper.commits", "WARNING") as logged, failing(MARK), transaction.atomic():
            after_commit(PendingMessage.objects.count, what="count")
        self.assertIsNone(logged.records[0].exc_info)
        self.assertIn("database busy after commit what=count", logged.output[0])


class OneWayTests(TestCase):
    def test_nothing_else_asks_django_for_a_hook(self) -> None:
        apps = ("amchelper", "executions", "instances", "planning", "schedules", "templates_app")
        found = [
            str(path.relative_to(ROOT))
            for app in apps
            for path in (ROOT / app).rglob("*.py")
            if re.search(r"\bon_commit\(", path.read_text())
        ]
        self.assertEqual(found, ["amchelper/commits.py"])
