"""What tests of exports share: a run with a result that is too large to be made at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
from django.test import override_settings
from django.urls import reverse
from django.utils import timezone

from amchelper.disk import temporary_root
from amchelper.leases import new_token
from executions.models import Execution, ExportFormat, ExportStatus, ResultExport
from executions.services.export_steps import ExportClaim, make_exports
from executions.services.exports import ask_for_export
from tests.executions.base import ExecutionTestCase
from tests.large_results import store_run

ROWS = 5_000


class ExportTestCase(ExecutionTestCase):
    """Alice has a run with a result that is too large to be made at once."""

    def setUp(self) -> None:
        super().setUp()
        changed = override_settings(EXPORT_INLINE_CELLS=100)
        changed.enable()
        self.addCleanup(changed.disable)
        self.execution = store_run(self.template, ROWS, name="September")

    def url(self, name: str, *args: Any) -> str:
        return reverse(f"executions:{name}", args=args or [self.execution.pk])

    def ask(self, execution: Execution | None = None) -> ResultExport:
        """Ask for the spreadsheet of a run."""
        return ask_for_export(execution or self.execution, ExportFormat.XLSX, actor=self.alice)

    def made(self, execution: Execution | None = None) -> ResultExport:
        """Ask for a spreadsheet and have it made."""
        export = self.ask(execution)
        make_exports()
        export.refresh_from_db()
        self.assertEqual((export.status, export.error), (ExportStatus.READY, ""))
        return export

    def claimed(self, export: ResultExport) -> ExportClaim:
        """Claim an export, as a worker does."""
        token = new_token("worker")
        row = ResultExport.objects.claim([export.pk], token=token, now=timezone.now()).first()
        assert row is not None
        return ExportClaim(row, token)

    def download(self, url: str) -> bytes:
        response: Any = self.client.get(url)
        self.assertEqual(response.status_code, 200)
        return b"".join(response.streaming_content)

    def exported(self) -> list[str]:
        """Return the names of all spreadsheets in the results' folder."""
        return sorted(path.name for path in self.results.rglob("*.xlsx"))

    def assert_nothing_unfinished(self) -> None:
        self.assertEqual(list(temporary_root().iterdir()), [])
        self.assertEqual(list((self.results / "incoming").glob("*")), [])

    @contextmanager
    def before_update(self, of_field: str, act: Callable[[], object]) -> Iterator[None]:
        """Do something just before a worker first writes this field of an export."""
        acts = [act]

        def watch(execute: Any, sql: str, parameters: Any, many: bool, context: dict[str, Any]) -> Any:
            if acts and sql.startswith('UPDATE "result_exports"') and f'"{of_field}" =' in sql:
                acts.pop()()
            return execute(sql, parameters, many, context)

        with connection.execute_wrapper(watch):
            yield
        self.assertEqual(acts, [])
