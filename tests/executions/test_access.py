"""Who sees runs, who cancels them, who starts them again."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.urls import reverse

from executions.errors import ErrorCode
from executions.models import Execution, ExecutionStatus
from executions.services.executions import cancel, fetch_again
from executions.services.start import run_again, start_execution
from tests.executions.base import ExecutionTestCase, window

WRITING = ("cancel", "again", "fetch")
READING = ("detail", "rows", "statistics")


class AccessTests(ExecutionTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.execution = self.start()

    def url(self, name: str) -> str:
        return reverse(f"executions:execution-{name}", args=[self.execution.pk])

    def statuses(self, names: tuple[str, ...], method: str) -> list[int]:
        return [getattr(self.client, method)(self.url(name)).status_code for name in names]

    def state(self) -> list[tuple[Any, ...]]:
        return list(Execution.objects.order_by("pk").values_list("pk", "status", "cancel_requested_at"))

    def test_who_may_neither_edit_nor_run_writes_nowhere(self) -> None:
        before = self.state()
        with self.nobody_may("editable_by", "runnable_by"):
            self.assertEqual(self.statuses(WRITING, "post"), [403, 403, 403])
            page = self.client.get(self.execution.get_absolute_url())
        self.assertEqual(self.state(), before)
        for address in WRITING:
            self.assertNotContains(page, self.url(address))

    def test_who_sees_nothing_finds_nothing(self) -> None:
        with self.nobody_may("visible_to", "runnable_by", "editable_by", "owned_by"):
            self.assertEqual(self.statuses(READING, "get"), [404, 404, 404])
            self.assertEqual(self.statuses(WRITING, "post"), [404, 404, 404])
            self.assertNotContains(
                self.client.get(reverse("executions:execution-list")), self.execution.get_absolute_url()
            )

    def test_bob_looks_and_changes_nothing(self) -> None:
        self.client.force_login(self.bob)
        before = self.state()
        with self.bob_sees():
            page = self.client.get(self.execution.get_absolute_url())
            self.assertContains(page, self.execution.name)
            self.assertContains(self.client.get(reverse("executions:execution-list")), self.execution.name)
            listing = reverse("executions:execution-of-instance", args=[self.instance.pk])
            self.assertContains(self.client.get(listing), self.execution.name)
            self.assertEqual(self.statuses(WRITING, "post"), [403, 403, 403])
        self.assertEqual(self.state(), before)
        for address in WRITING:
            self.assertNotContains(page, self.url(address))

    def test_buttons_are_those_of_the_owner_and_the_status(self) -> None:
        page = self.client.get(self.execution.get_absolute_url())
        self.assertContains(page, self.url("cancel"))
        self.assertNotContains(page, self.url("again"))
        Execution.objects.filter(pk=self.execution.pk).update(
            status=ExecutionStatus.FAILED, error_code=ErrorCode.RESULT_NOT_FETCHED, finished_at="2026-01-01T00:00Z"
        )
        page = self.client.get(self.execution.get_absolute_url())
        self.assertNotContains(page, self.url("cancel"))
        self.assertContains(page, self.url("again"))
        self.assertContains(page, self.url("fetch"))

    def test_services_refuse_who_only_sees(self) -> None:
        with self.bob_sees():
            for act in (cancel, fetch_again):
                with self.assertRaises(PermissionDenied):
                    act(self.execution, actor=self.bob)
            with self.assertRaises(PermissionDenied):
                run_again(self.execution, actor=self.bob, as_is=True)
            with self.assertRaises(PermissionDenied):
                start_execution(actor=self.bob, template=self.template, window=window())
        self.assertEqual(Execution.objects.count(), 1)

    def test_system_cancels_without_asking(self) -> None:
        with self.assertLogs("executions.services.executions", "INFO") as logged:
            self.assertEqual(cancel(self.execution, actor=None).status, ExecutionStatus.CANCELLED)
        self.assertIn("actor=system", logged.output[0])


class OneRuleTests(ExecutionTestCase):
    def test_row_and_condition_say_the_same(self) -> None:
        execution = self.start()
        row = Execution.objects.filter(pk=execution.pk)
        for status in ExecutionStatus:
            for code in ("", ErrorCode.RESULT_NOT_FETCHED):
                for asked_at in (None, execution.queued_at):
                    ended_at = None if status in ExecutionStatus.values[:5] else execution.queued_at
                    row.update(status=status, error_code=code, cancel_requested_at=asked_at, finished_at=ended_at)
                    execution.refresh_from_db()
                    with self.subTest(status=status, code=code, asked_at=asked_at):
                        self.assertEqual(execution.can_cancel, row.cancellable().exists())
                        self.assertEqual(execution.can_fetch_again, row.fetchable_again().exists())
