"""What tests of runs share: a fast local AMC, a folder for results, and time that passes at once."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import time_machine
from django.conf import settings
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from executions.models import FINAL_STATUSES, LEASE, Execution, ExecutionStatus, Trigger
from executions.services.claims import claim_execution
from executions.services.queue import admit_and_send
from executions.services.start import start_execution
from executions.services.steps import advance
from executions.services.submission import request_of
from instances.amc import throttle
from instances.models import AMCInstance
from planning.windows import Window
from templates_app.models import InstanceTemplate
from templates_app.services.templates import Content, create_template
from tests.base import LocalAmcTestCase
from tests.factories import InstanceFactory
from tests.shared_data import DATA, build_data

SQL = "SELECT campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY campaign"


class KilledError(BaseException):
    """The worker died here; nothing of ours may catch it."""


class ExecutionTestCase(LocalAmcTestCase):
    """Alice runs a template of hers at a local AMC that needs no time for it."""

    amc_options: ClassVar[dict[str, Any]] = {"speed": 0, "data": DATA}
    instance: AMCInstance
    template: InstanceTemplate

    @classmethod
    def setUpClass(cls) -> None:
        build_data()
        super().setUpClass()

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.instance = InstanceFactory.create(account=cls.account, instance_id="amclocalus1", name="Northwind US")
        content = Content(name="Reach", source_sql=SQL)
        cls.template = create_template(actor=cls.alice, instance=cls.instance, content=content)

    def setUp(self) -> None:
        """Keep results in a folder of this test, and take the clock in hand."""
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="amc-results-")
        self.addCleanup(folder.cleanup)
        self.results = Path(folder.name)
        results = {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": folder.name, "file_permissions_mode": 0o600},
        }
        changed = override_settings(
            RESULTS_DIR=folder.name, STORAGES={**settings.STORAGES, "results": results}, EXECUTION_POLL_SCALE=1.0
        )
        changed.enable()
        self.addCleanup(changed.disable)
        traveller = time_machine.travel(datetime.now(UTC), tick=True)
        self.clock = traveller.start()
        self.addCleanup(traveller.stop)

    def start(self, **changes: Any) -> Execution:
        """Queue a run of last month's first week."""
        wanted: dict[str, Any] = {
            "actor": self.alice,
            "template": self.template,
            "window": window(),
            "trigger": Trigger.MANUAL,
        }
        return start_execution(**{**wanted, **changes})

    def step(self, execution: Execution, worker: str = "worker") -> bool:
        """Admit a run that waits, or do one step if it is due, and look at the row again."""
        execution.refresh_from_db()
        if execution.status == ExecutionStatus.QUEUED:
            admit_and_send(execution.instance.account.ref)
            execution.refresh_from_db()
            return execution.status == ExecutionStatus.SUBMITTING
        is_more_due = advance(execution.pk, worker)
        execution.refresh_from_db()
        return is_more_due

    def wait(self, execution: Execution) -> None:
        """Let time pass until the next step is due and nobody holds the execution."""
        execution.refresh_from_db()
        moments = [execution.next_step_at, execution.lease_until or execution.next_step_at]
        passing = max(moments) - timezone.now() + timedelta(seconds=0.01)
        self.clock.shift(max(passing, timedelta()))
        # A throttle goes by the machine's running time, which does not travel.
        throttle._throttles.clear()

    def drive(self, execution: Execution, *, worker: str = "worker", steps: int = 60) -> Execution:
        """Do steps, letting time pass, until the run has ended."""
        for _ in range(steps):
            execution.refresh_from_db()
            if execution.status in FINAL_STATUSES:
                return execution
            if not self.step(execution, worker):
                self.wait(execution)
        raise AssertionError(f"still {execution.status} after {steps} steps: {execution.waiting_for}")

    def drive_to(self, status: str, execution: Execution | None = None) -> Execution:
        """Do steps until the run is in a status."""
        execution = execution or self.start()
        for _ in range(30):
            if execution.status == status:
                return execution
            if not self.step(execution) and execution.status != status:
                self.wait(execution)
        raise AssertionError(f"never {status}, but {execution.status}: {execution.error}")

    def expire_lease(self, execution: Execution) -> None:
        """Let the time of a lease pass, as after a crash."""
        self.clock.shift(LEASE + timedelta(seconds=1))
        execution.refresh_from_db()

    def at_amc(self) -> list[dict[str, Any]]:
        """Return the executions that the local AMC ever created."""
        return list(self.control("GET", "executions")["executions"])

    def finish_at_amc(self, execution: Execution, status: str, reason: str = "") -> None:
        """Have AMC end a run that is stuck."""
        self.control("POST", "executions", {"id": execution.amc_execution_id, "status": status, "reason": reason})

    def calls(self, method: str, ending: str = "") -> list[dict[str, Any]]:
        """Return the reporting calls the local AMC received."""
        return [
            call
            for call in self.amc.received()
            if call["method"] == method and "/amc/reporting/" in call["path"] and call["path"].endswith(ending)
        ]

    def lose_answer(self, execution: Execution, *, hidden_seconds: float = 0) -> None:
        """Have AMC create the run, and lose the answer as a broken connection does; reads find it only later."""
        if hidden_seconds:
            self.arm("exec_slow_visible", seconds=hidden_seconds, count=1)
        claim = claim_execution(execution.pk, worker="unlucky")
        assert claim is not None
        claim.heartbeat(attempted_at=timezone.now(), lookups=0)
        with claim.client() as client:
            client.create_execution(claim.row.ref, request_of(claim.row))
        claim.defer(timedelta(seconds=15), counts=False)
        execution.refresh_from_db()

    def assert_stored(self, execution: Execution) -> None:
        """Assert that the stored CSV is, byte for byte, what AMC holds, and that nothing else lies around."""
        parts = sorted((self.amc.app.state.runner._folder / execution.amc_execution_id).iterdir())
        self.assertEqual(len(parts), 1)
        self.assertEqual((self.results / execution.csv_file).read_bytes(), parts[0].read_bytes())
        self.assertGreater((self.results / execution.parquet_file).stat().st_size, 0)
        self.assertEqual(list((self.results / "incoming").iterdir()), [])


def window(start: date | None = None, days: int = 7) -> Window:
    """Return a window that AMC has all data of."""
    start = start or (datetime.now(UTC).date() - timedelta(days=40))
    return Window(start, start + timedelta(days=days - 1), "UTC")


@contextmanager
def killed_at_statement(number: int) -> Iterator[list[int]]:
    """Let the process die just before its n-th SQL statement; the list stays empty if it lives that long."""
    died: list[int] = []
    counter = itertools.count(1)

    def count(execute: Any, sql: str, parameters: Any, many: bool, context: dict[str, Any]) -> Any:
        if died or next(counter) == number:
            died.append(number)
            raise KilledError
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(count), suppress(KilledError):
        yield died
