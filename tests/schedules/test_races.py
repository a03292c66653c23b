"""Several workers tick at once, in threads with connections of their own."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from django.core import mail
from django.db import connection
from django.test import TransactionTestCase
from django.utils import timezone

from executions.models import Execution, ExecutionStatus
from schedules.models import Schedule, ScheduleSlot
from schedules.services.failures import tell_owner
from schedules.services.schedules import create_schedule
from schedules.services.slots import claim_due
from schedules.services.steps import run_due_slots, start_claimed, sync_slots
from tests.factories import UserFactory
from tests.messages import caught
from tests.schedules.base import make_template, values

WORKERS, SCHEDULES = 4, 12


class RaceTests(TransactionTestCase):
    def setUp(self) -> None:
        if connection.vendor == "sqlite" and cast("Any", connection).is_in_memory_db():
            self.skipTest("needs a database that threads can share: run it with make test-services")
        user = UserFactory.create()
        template = make_template(user)
        for number in range(SCHEDULES):
            create_schedule(actor=user, template=template, values=values(name=f"Schedule {number}"))
        now = timezone.now()
        Schedule.objects.update(planned_until=now - dt.timedelta(minutes=1), next_run_at=now)
        self.now = now

    def together(self, step: Callable[[dt.datetime], int], now: dt.datetime) -> int:
        """Let all workers do a step at the same moment; returns what they did in sum."""
        gate = threading.Barrier(WORKERS)

        def work(_: int) -> int:
            try:
                gate.wait(10)
                return step(now)
            finally:
                connection.close()

        with ThreadPoolExecutor(WORKERS) as pool:
            return sum(pool.map(work, range(WORKERS)))

    def test_every_slot_is_claimed_started_and_synced_once(self) -> None:
        self.assertEqual(self.together(claim_due, self.now), SCHEDULES)
        self.assertEqual(ScheduleSlot.objects.filter(status="CLAIMED").count(), SCHEDULES)
        self.assertFalse(Schedule.objects.due(self.now).exists())

        self.assertEqual(self.together(start_claimed, self.now), SCHEDULES)
        self.assertEqual(Execution.objects.count(), SCHEDULES)
        self.assertEqual(ScheduleSlot.objects.filter(status="STARTED").count(), SCHEDULES)

        Execution.objects.update(status=ExecutionStatus.REJECTED, finished_at=timezone.now(), error="No")
        self.assertEqual(self.together(sync_slots, self.now), SCHEDULES)
        self.assertEqual(set(Schedule.objects.values_list("consecutive_failures", flat=True)), {1})

    def test_whole_ticks_together_start_every_slot_once(self) -> None:
        def tick(now: dt.datetime) -> int:
            run_due_slots(now)
            return 0

        for _ in range(2):
            self.together(tick, self.now)
        self.assertEqual(Execution.objects.count(), SCHEDULES)
        self.assertEqual(ScheduleSlot.objects.filter(status="STARTED").count(), SCHEDULES)
        self.assertFalse(ScheduleSlot.objects.exclude(leased_by="", lease_until=None).exists())

    def test_failing_schedules_are_paused_and_told_once(self) -> None:
        Schedule.objects.update(consecutive_failures=5)
        with caught() as messages:
            self.together(sync_slots, self.now)
        owners = set(Schedule.objects.values_list("created_by", flat=True))
        self.assertEqual(sorted(messages.texts), sorted(f"tell_owner {owner}" for owner in owners))

        def tell(now: dt.datetime) -> int:
            for owner in owners:
                tell_owner(owner)
            return 0

        self.together(tell, self.now)
        self.assertEqual(len(mail.outbox), len(owners))
