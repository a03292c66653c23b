"""Runs begin once, from what is saved, where they may."""

from __future__ import annotations

import uuid
from datetime import date, timedelta

from django.http import Http404
from django.urls import reverse
from django.utils import timezone

from amchelper.exceptions import InvalidStateError
from executions.errors import NotRunnableError
from executions.models import Execution, ExecutionStatus, Trigger
from executions.services.executions import get_execution
from executions.services.start import run_again, start_execution
from instances.models import AmazonConnection, AMCInstance, Event, InstanceBrand
from planning.windows import Window
from templates_app.models import InstanceTemplate
from templates_app.services.templates import Content, set_archived, update_template
from tests.executions.base import SQL, ExecutionTestCase, window
from tests.messages import caught


class StartTests(ExecutionTestCase):
    def usage(self) -> int:
        return InstanceTemplate.objects.get(pk=self.template.pk).usage_count

    def assert_refused(self, words: str, **changes: object) -> None:
        with self.assertRaisesMessage(NotRunnableError, words):
            self.start(**changes)
        self.assertEqual((Execution.objects.count(), self.usage()), (0, 0))

    def test_snapshot_holds_what_is_saved(self) -> None:
        execution = self.start()
        execution.refresh_from_db()
        self.assertEqual((execution.sql_query, execution.source_sql, execution.template_version), (SQL, SQL, 1))
        self.assertEqual((execution.template_name, execution.template), ("Reach", self.template))
        self.assertEqual((execution.created_by, execution.instance), (self.alice, self.instance))
        self.assertEqual(execution.window, window())
        self.assertEqual(execution.workflow_id, f"amchelper-{execution.pk}")
        self.assertEqual(self.usage(), 1)

    def test_saved_state_counts_not_the_object_in_hand(self) -> None:
        self.template.sql_query = "SELECT 'never saved' AS x"
        self.assertEqual(self.start().sql_query, SQL)

    def test_name_is_made_of_brand_template_and_dates(self) -> None:
        dates = f"{window().start} - {window().end}"
        self.assertEqual(self.start().name, f"Northwind US - Reach - {dates}")
        InstanceBrand.objects.create(instance=self.instance, name="Northwind", folded="northwind")
        self.assertEqual(self.start().name, f"Northwind - Reach - {dates}")
        self.assertEqual(self.start(name="My run").name, "My run")

    def test_archived_template_is_refused(self) -> None:
        set_archived(self.template, actor=self.alice, archived=True)
        self.assert_refused("archived")

    def test_disabled_instance_is_refused(self) -> None:
        self.instance.apply(Event.DISABLE)
        self.assert_refused("Enable it")

    def test_instance_that_amc_never_accepted_is_refused(self) -> None:
        type(self.instance).objects.filter(pk=self.instance.pk).update(status="PENDING")
        self.assert_refused("Check its connection")

    def test_login_that_is_not_connected_is_refused(self) -> None:
        AmazonConnection.objects.update(status=AmazonConnection.Status.RECONNECT_REQUIRED)
        self.assert_refused("Reconnect it under Connections")

    def test_page_tells_all_reasons_at_once(self) -> None:
        old = self.start()
        set_archived(self.template, actor=self.alice, archived=True)
        AmazonConnection.objects.update(status=AmazonConnection.Status.RECONNECT_REQUIRED)
        AMCInstance.objects.update(is_active=False, status="INACTIVE")
        both = ("is disabled", "Reconnect it")
        for what, words in (("template", ("is archived", *both)), ("same", both)):
            address = reverse("executions:execution-again", args=[old.pk])
            page = self.client.post(address, {"what": what}, follow=True)
            for word in words:
                self.assertContains(page, word)
        self.assertEqual(Execution.objects.count(), 1)

    def test_window_that_cannot_run_is_refused(self) -> None:
        today = timezone.now().date()
        self.assert_refused("13 months", window=Window(date(2020, 1, 1), date(2020, 1, 31), "UTC"))
        self.assert_refused("has not begun", window=Window(today, today + timedelta(days=3), "UTC"))
        self.assert_refused("before it starts", window=Window(today, today - timedelta(days=3), "UTC"))
        self.assert_refused("no time zone", window=Window(window().start, window().end, "Mars/Olympus"))

    def test_somebody_elses_template_does_not_exist(self) -> None:
        with self.assertRaises(Http404):
            self.start(actor=self.charlie)
        self.assertEqual((Execution.objects.count(), self.usage()), (0, 0))

    def test_same_submission_gives_the_first_run(self) -> None:
        key = uuid.uuid4()
        first = self.start(submission_key=key)
        set_archived(self.template, actor=self.alice, archived=True)
        self.assertEqual(self.start(submission_key=key), first)
        self.assertEqual((Execution.objects.count(), self.usage()), (1, 1))

    def test_somebody_elses_submission_is_not_given_away(self) -> None:
        key = uuid.uuid4()
        first = self.start(submission_key=key)
        Execution.objects.filter(pk=first.pk).update(created_by=self.charlie)
        with self.assertRaises(InvalidStateError):
            self.start(submission_key=key)

    def test_workers_hear_of_it_only_after_the_commit(self) -> None:
        with caught() as messages:
            with self.captureOnCommitCallbacks(execute=True):
                self.start()
                self.assertEqual(messages, [])
            account = self.account
            self.assertEqual(messages.texts, [f"admit_executions {account.account_id} {account.marketplace_id}"])

    def test_another_users_execution_is_not_found(self) -> None:
        execution = self.start()
        self.assertEqual(get_execution(self.alice, execution.pk), execution)
        with self.assertRaises(Http404):
            get_execution(self.charlie, execution.pk)


class RunAgainTests(ExecutionTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.old = self.start(name="The first")
        content = Content(name="Reach", source_sql=f"{SQL} HAVING SUM(impressions) > 1")
        update_template(actor=self.alice, template=self.template, content=content, version=1)

    def test_as_it_was(self) -> None:
        again = run_again(self.old, actor=self.alice, as_is=True)
        self.assertNotEqual(again.pk, self.old.pk)
        self.assertEqual((again.sql_query, again.template_version), (SQL, 1))
        self.assertEqual((again.name, again.window, again.trigger), ("The first", self.old.window, Trigger.RERUN))
        self.assertNotEqual(again.workflow_id, self.old.workflow_id)
        self.assertEqual(again.status, ExecutionStatus.QUEUED)

    def test_as_the_template_is_now(self) -> None:
        again = run_again(self.old, actor=self.alice, as_is=False)
        self.assertIn("HAVING", again.sql_query)
        self.assertEqual((again.template_version, again.window), (2, self.old.window))

    def test_both_count_as_usage(self) -> None:
        run_again(self.old, actor=self.alice, as_is=True)
        run_again(self.old, actor=self.alice, as_is=False)
        self.template.refresh_from_db()
        self.assertEqual(self.template.usage_count, 3)

    def test_deleted_template_still_runs_as_it_was(self) -> None:
        self.template.delete()
        self.assertEqual(run_again(self.old, actor=self.alice, as_is=True).sql_query, SQL)
        with self.assertRaisesMessage(NotRunnableError, "was deleted"):
            run_again(self.old, actor=self.alice, as_is=False)

    def test_same_submission_gives_the_first(self) -> None:
        key = uuid.uuid4()
        for as_is in (True, False):
            runs = {run_again(self.old, actor=self.alice, as_is=as_is, submission_key=key).pk for _ in range(2)}
            self.assertEqual(len(runs), 1)
            key = uuid.uuid4()

    def test_disabled_instance_is_refused(self) -> None:
        self.instance.apply(Event.DISABLE)
        for as_is in (True, False):
            with self.assertRaises(NotRunnableError):
                run_again(self.old, actor=self.alice, as_is=as_is)

    def test_outsider_gets_404(self) -> None:
        with self.assertRaises(Http404):
            run_again(self.old, actor=self.charlie, as_is=True)
        with self.assertRaises(Http404):
            start_execution(actor=self.charlie, template=self.template, window=window(), trigger=Trigger.MANUAL)
