"""Many at the same moment: every run counted, no submission doubled, no place given away twice."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.core.cache import caches
from django.db import connection, connections
from django.test import TransactionTestCase
from django.utils import timezone

from executions.models import Execution, ExecutionStatus, Trigger
from executions.services.claims import claim_execution
from executions.services.executions import cancel
from executions.services.queue import admit_waiting
from executions.services.start import start_execution
from executions.services.steps import send_due
from instances.models import AMCInstance
from templates_app.models import InstanceTemplate
from templates_app.services.templates import Content, create_template
from tests.executions.base import SQL, window
from tests.factories import AccountFactory, InstanceFactory, UserFactory
from tests.messages import caught

# SQLite lets one writer in at a time, and its databases of tests live in one connection's memory.
IS_PARALLEL = connection.vendor == "postgresql"
T = TypeVar("T")


def together(count: int, act: Callable[[int], T]) -> list[T]:
    """Do it so often, from threads that begin in the same moment where the database allows that."""
    if not IS_PARALLEL:
        return [act(number) for number in range(count)]
    barrier = threading.Barrier(min(count, 20), timeout=30)

    def begin(number: int) -> T:
        try:
            if number < barrier.parties:
                barrier.wait()
            return act(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=20) as pool:
        return list(pool.map(begin, range(count)))


class ExecutionRaceTests(TransactionTestCase):
    template: InstanceTemplate
    instance: AMCInstance

    def setUp(self) -> None:
        caches["default"].clear()
        self.alice = UserFactory.create()
        account = AccountFactory.create(connection__user=self.alice)
        self.instance = InstanceFactory.create(account=account)
        content = Content(name="Reach", source_sql=SQL)
        self.template = create_template(actor=self.alice, instance=self.instance, content=content)

    def start(self, **changes: Any) -> Execution:
        return start_execution(
            **{
                "actor": self.alice,
                "template": self.template,
                "window": window(),
                "trigger": Trigger.MANUAL,
                **changes,
            }
        )

    def test_hundred_starts_are_hundred_runs_and_hundred_uses(self) -> None:
        started = together(100, lambda number: self.start().pk)
        self.assertEqual(len(set(started)), 100)
        self.template.refresh_from_db()
        self.assertEqual((self.template.usage_count, Execution.objects.count()), (100, 100))

    def test_one_submission_is_one_run_however_often_it_arrives(self) -> None:
        key = uuid.uuid4()
        started = together(40, lambda number: self.start(submission_key=key).pk)
        self.assertEqual(len(set(started)), 1)
        self.template.refresh_from_db()
        self.assertEqual((self.template.usage_count, Execution.objects.count()), (1, 1))

    def test_places_are_given_away_once(self) -> None:
        for _ in range(40):
            self.start()
        account = self.instance.account.ref
        admitted = together(20, lambda number: admit_waiting(account))
        pks = [pk for group in admitted for pk in group]
        oldest = list(Execution.objects.order_by("queued_at", "id").values_list("pk", flat=True)[:10])
        self.assertEqual((sorted(pks), Execution.objects.at_amc().count()), (sorted(oldest), 10))

    def test_of_many_ticks_one_sends_a_step(self) -> None:
        for _ in range(10):
            self.start()
        admit_waiting(self.instance.account.ref)
        Execution.objects.update(sent_at=None)
        with caught() as messages:
            together(20, lambda number: send_due(timezone.now()))
        self.assertEqual(
            sorted(messages.texts), sorted(f"advance_execution {run.pk}" for run in Execution.objects.all())
        )

    def test_one_of_many_workers_gets_a_step(self) -> None:
        execution = self.start()
        admit_waiting(self.instance.account.ref)
        claims = together(20, lambda number: claim_execution(execution.pk, worker=f"worker {number}"))
        self.assertEqual(len([claim for claim in claims if claim is not None]), 1)

    def test_cancelled_or_admitted_but_never_lost_between_both(self) -> None:
        account = self.instance.account.ref
        for _ in range(10):
            execution = self.start()

            def act(number: int, execution: Execution = execution) -> object:
                return cancel(execution, actor=self.alice) if number == 0 else admit_waiting(account)

            together(2, act)
            execution.refresh_from_db()
            self.assertIsNotNone(execution.cancel_requested_at)
            self.assertIn(execution.status, (ExecutionStatus.CANCELLED, ExecutionStatus.SUBMITTING))
